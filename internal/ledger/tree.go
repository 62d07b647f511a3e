package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// Tiles are as c2sp.org/tlog-tiles lays them out: 256 hashes of every eighth level; full ones in tile/<L>/<N>, the one at
// the right edge of a checkpoint in tile/<L>/<N>.p/<W>. What the tree is built of, the lines, stays in the segments.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// tree is the RFC 6962 Merkle tree over the lines of a ledger, at its right edge: what a new leaf needs and nothing else.
// The zero tree is empty.
type tree struct {
	size  uint64
	peaks []node        // complete subtrees from left to right, each smaller than the one before
	edge  [][]tlog.Hash // by tile level: the hashes of the tile that is not full
}

type node struct {
	height int
	hash   tlog.Hash
}

// tile is one of the tree's, full or at the right edge.
type tile struct {
	level  int
	number uint64
	hashes []tlog.Hash
}

// add appends a leaf and calls full with each tile that it filled.
func (t *tree) add(leaf tlog.Hash, full func(tile)) {
	t.size++
	n := node{0, leaf}
	for {
		if n.height%tileHeight == 0 {
			t.place(n, full)
		}
		last := len(t.peaks) - 1
		if last < 0 || t.peaks[last].height != n.height {
			break
		}
		n = node{n.height + 1, tlog.NodeHash(t.peaks[last].hash, n.hash)}
		t.peaks = t.peaks[:last]
	}
	t.peaks = append(t.peaks, n)
}

// place puts a complete subtree into the tile of its level.
func (t *tree) place(n node, full func(tile)) {
	level := n.height / tileHeight
	if level == len(t.edge) {
		t.edge = append(t.edge, nil)
	}
	t.edge[level] = append(t.edge[level], n.hash)
	if len(t.edge[level]) == tileWidth {
		full(tile{level, t.size>>(tileHeight*(level+1)) - 1, t.edge[level]})
		t.edge[level] = nil // the full one's owner keeps it
	}
}

// root is the tree's head; of an empty tree the hash of nothing (RFC 6962 section 2.1).
func (t *tree) root() tlog.Hash {
	if len(t.peaks) == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return h
	}
	h := t.peaks[len(t.peaks)-1].hash
	for _, p := range slices.Backward(t.peaks[:len(t.peaks)-1]) {
		h = tlog.NodeHash(p.hash, h)
	}
	return h
}

// clone returns a copy that shares nothing that add changes.
func (t *tree) clone() tree {
	c := tree{size: t.size, peaks: slices.Clone(t.peaks), edge: make([][]tlog.Hash, len(t.edge))}
	for i, e := range t.edge {
		c.edge[i] = slices.Clone(e)
	}
	return c
}

// partial returns the tiles at the right edge that are neither full nor empty.
func (t *tree) partial() []tile {
	var out []tile
	for level, hashes := range t.edge {
		if len(hashes) > 0 {
			out = append(out, tile{level, t.size >> (tileHeight * (level + 1)), hashes})
		}
	}
	return out
}

// path is the tile's place below a ledger's directory.
func (t tile) path() string {
	p := filepath.Join("tile", fmt.Sprint(t.level), tileNumber(t.number))
	if len(t.hashes) < tileWidth {
		p = filepath.Join(p+".p", fmt.Sprint(len(t.hashes)))
	}
	return p
}

// tileNumber writes a number in groups of three digits, x before all but the last: x001/x234/067.
func tileNumber(n uint64) string {
	s := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	return s
}

// write makes a tile durable, and removes narrower forms of it: whoever wants one of those finds its hashes here.
func (t tile) write(dir string) error {
	name := filepath.Join(dir, t.path())
	var b bytes.Buffer
	for i := range t.hashes {
		b.Write(t.hashes[i][:])
	}
	if err := replaceFile(name, b.Bytes(), 0o600); err != nil {
		return err
	}
	if len(t.hashes) == tileWidth {
		return os.RemoveAll(name + ".p")
	}
	narrower, err := os.ReadDir(filepath.Dir(name))
	for _, f := range narrower {
		if f.Name() != filepath.Base(name) {
			err = errors.Join(err, os.Remove(filepath.Join(filepath.Dir(name), f.Name())))
		}
	}
	return err
}

// readTile returns the first hashes of a tile, from the full one or from one at the right edge that is wide enough.
func readTile(dir string, level int, number uint64, width int) ([]tlog.Hash, error) {
	whole := filepath.Join(dir, "tile", fmt.Sprint(level), tileNumber(number))
	b, err := os.ReadFile(whole)
	for try := 0; errors.Is(err, fs.ErrNotExist) && width < tileWidth && try < 3; try++ {
		// A wider one may take its place at any moment.
		forms, _ := os.ReadDir(whole + ".p")
		for _, f := range forms {
			if n, aerr := strconv.Atoi(f.Name()); aerr == nil && n >= width {
				b, err = os.ReadFile(filepath.Join(whole+".p", f.Name()))
			}
		}
		if err != nil {
			if c, cerr := os.ReadFile(whole); cerr == nil {
				b, err = c, nil
			}
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("tile %d/%s is missing", level, tileNumber(number))
	}
	if err != nil {
		return nil, err
	}
	if len(b)%tlog.HashSize != 0 || len(b) < width*tlog.HashSize {
		return nil, fmt.Errorf("tile %d/%s has %d bytes where %d belong", level, tileNumber(number), len(b), width*tlog.HashSize)
	}
	out := make([]tlog.Hash, width)
	for i := range out {
		copy(out[i][:], b[i*tlog.HashSize:])
	}
	return out, nil
}

// loadTree reads the right edge of the tree of so many lines from its tiles. Whether it is the tree that was signed, its
// root says.
func loadTree(dir string, size uint64) (tree, error) {
	t := tree{size: size}
	levels := (bits.Len64(size) + tileHeight - 1) / tileHeight
	t.edge = make([][]tlog.Hash, levels)
	for level := levels - 1; level >= 0; level-- {
		width := int(size >> (tileHeight * level) % tileWidth)
		if width == 0 {
			continue
		}
		hashes, err := readTile(dir, level, size>>(tileHeight*(level+1)), width)
		if err != nil {
			return tree{}, err
		}
		t.edge[level] = hashes
		for rest, bit := hashes, tileHeight-1; bit >= 0; bit-- {
			if width>>bit&1 == 1 {
				t.peaks = append(t.peaks, node{tileHeight*level + bit, fold(rest[:1<<bit])})
				rest = rest[1<<bit:]
			}
		}
	}
	return t, nil
}

// fold is the head of a complete subtree over a power of two of hashes.
func fold(hashes []tlog.Hash) tlog.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return tlog.NodeHash(fold(hashes[:half]), fold(hashes[half:]))
}

// tiles reads hashes of a tree for proofs (tlog.HashReader), for a checkpoint of size.
type tiles struct {
	dir  string
	size uint64
	read map[string][]tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (r *tiles) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		height, n := tlog.SplitStoredHashIndex(index)
		level := height / tileHeight
		from := uint64(n) << (height % tileHeight) // first hash of the tile level below it
		number, width := from/tileWidth, tileWidth
		if last := r.size >> (tileHeight * level); number == last/tileWidth {
			width = int(last % tileWidth)
		}
		key := fmt.Sprintf("%d/%d", level, number)
		hashes, ok := r.read[key]
		if !ok {
			var err error
			if hashes, err = readTile(r.dir, level, number, width); err != nil {
				return nil, err
			}
			if r.read == nil {
				r.read = map[string][]tlog.Hash{}
			}
			r.read[key] = hashes
		}
		at := int(from % tileWidth)
		end := at + 1<<(height%tileHeight)
		if end > len(hashes) {
			return nil, fmt.Errorf("hash %d of level %d lies beyond the tree of %d lines", n, height, r.size)
		}
		out[i] = fold(hashes[at:end])
	}
	return out, nil
}

// replaceFile writes a file so that a reader sees the old or the new one, and the new one outlives a crash.
func replaceFile(name string, b []byte, mode fs.FileMode) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return syncDir(dir)
}
