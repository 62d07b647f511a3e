package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// foreign is a tree kept by the checksum database's own code.
type foreign []tlog.Hash

func (f foreign) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = f[x]
	}
	return out, nil
}

// Heads, tiles and proofs are those of the Go checksum database's client, at every size.
func TestTreeIsTheChecksumDatabases(t *testing.T) {
	dir := t.TempDir()
	var ours tree
	var theirs foreign
	write := func(t tile) {
		if err := t.write(dir); err != nil {
			panic(err)
		}
	}
	for n := range int64(3*tileWidth + 5) {
		line := fmt.Appendf(nil, "line %d", n)
		ours.add(tlog.RecordHash(line), write)
		hashes, err := tlog.StoredHashes(n, line, theirs)
		if err != nil {
			t.Fatal(err)
		}
		theirs = append(theirs, hashes...)
		want, err := tlog.TreeHash(n+1, theirs)
		if err != nil {
			t.Fatal(err)
		}
		if ours.root() != want {
			t.Fatalf("%d lines: head %v, want %v", n+1, ours.root(), want)
		}
	}
	for _, p := range ours.partial() {
		write(p)
	}
	loaded, err := loadTree(dir, ours.size)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.root() != ours.root() {
		t.Error("a loaded tree has another head")
	}
	for n := range 2 * tileWidth {
		line := fmt.Appendf(nil, "more %d", n)
		loaded.add(tlog.RecordHash(line), write)
		ours.add(tlog.RecordHash(line), func(tile) {})
	}
	if loaded.root() != ours.root() {
		t.Error("a loaded tree grows otherwise")
	}
	for _, p := range loaded.partial() {
		write(p)
	}

	// Their client reads our tiles.
	size := int64(loaded.size)
	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: loaded.root()}, onDisk{t, dir})
	for _, n := range []int64{0, 1, 255, 256, 511, 700, size - 1} {
		proof, err := tlog.ProveRecord(size, n, &tiles{dir: dir, size: uint64(size)})
		if err != nil {
			t.Fatal(err)
		}
		want, err := tlog.ProveRecord(size, n, reader)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(proof) != fmt.Sprint(want) {
			t.Errorf("proof of line %d differs", n)
		}
	}
	old := int64(3*tileWidth + 5)
	tree3, err := tlog.ProveTree(size, old, &tiles{dir: dir, size: uint64(size)})
	if err != nil {
		t.Fatal(err)
	}
	before, _ := tlog.TreeHash(old, theirs)
	if err := tlog.CheckTree(tree3, size, loaded.root(), old, before); err != nil {
		t.Error(err)
	}
}

// onDisk hands tiles of the tlog-tiles layout to the checksum database's client.
type onDisk struct {
	t   *testing.T
	dir string
}

func (o onDisk) Height() int                             { return tileHeight }
func (o onDisk) SaveTiles(tiles []tlog.Tile, _ [][]byte) {}
func (o onDisk) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range tiles {
		name := filepath.Join(o.dir, strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// A cut, changed or missing tile is not a tree of another head: it is an error, or a head that nobody signed.
func TestSpoiltTiles(t *testing.T) {
	dir := t.TempDir()
	var tr tree
	for n := range 300 {
		tr.add(tlog.RecordHash(fmt.Appendf(nil, "%d", n)), func(f tile) { f.write(dir) })
	}
	for _, p := range tr.partial() {
		p.write(dir)
	}
	name := filepath.Join(dir, "tile", "0", "001.p", "44")
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for what, b := range map[string][]byte{"cut": good[:len(good)-1], "empty": nil, "changed": append([]byte{good[0] ^ 1}, good[1:]...)} {
		os.WriteFile(name, b, 0o600)
		if got, err := loadTree(dir, tr.size); err == nil && got.root() == tr.root() {
			t.Errorf("%s: not seen", what)
		}
	}
	os.Remove(name)
	if _, err := loadTree(dir, tr.size); err == nil {
		t.Error("missing: not seen")
	}
}
