package ledger

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// written makes a ledger of so many lines, sealed at its end, and returns its directory.
func written(t testing.TB, lines int) string {
	t.Helper()
	dir := t.TempDir()
	add(t, dir, lines)
	return dir
}

func add(t testing.TB, dir string, lines int) {
	t.Helper()
	l := open(t, dir, Options{})
	for i := range lines {
		e := event(rand.Text(), Whole)
		if i%100 == 0 {
			if err := l.Append(context.Background(), e); err != nil {
				t.Fatal(err)
			}
		} else if !l.Enqueue(e) {
			t.Fatal("no room")
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustVerify(t testing.TB, dir string, since ...Checkpoint) Report {
	t.Helper()
	rep, err := Verify(dir, since...)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func latest(t testing.TB, dir string) Checkpoint {
	t.Helper()
	v, _, err := Verifier(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, found, err := Latest(dir, v)
	if err != nil || !found {
		t.Fatal("no checkpoint", err)
	}
	return c
}

// Every single changed bit, and every line removed, doubled, moved or cut off, is found, with its place; and nothing is
// added to such a ledger.
func TestTamperingIsFound(t *testing.T) {
	dir := written(t, 4)
	names, _ := segments(dir)
	good, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(good, []byte("\n"))
	try := func(what string, b []byte, line int) {
		t.Helper()
		if err := os.WriteFile(names[0], b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Verify(dir)
		var broken *Broken
		switch {
		case err == nil:
			t.Errorf("%s was not found", what)
		case errors.As(err, &broken) && line > 0 && broken.Line != line && broken.Line != line+1:
			t.Errorf("%s in line %d: %v", what, line, err)
		}
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1
		try(fmt.Sprintf("bit of byte %d", i), b, bytes.Count(good[:i], []byte("\n"))+1)
	}
	try("removed line", bytes.Join([][]byte{lines[0], lines[2], lines[3]}, nil), 2)
	try("removed first line", bytes.Join(lines[1:], nil), 1)
	try("doubled line", bytes.Join([][]byte{lines[0], lines[0], lines[1]}, nil), 2)
	try("swapped lines", bytes.Join([][]byte{lines[0], lines[2], lines[1], lines[3]}, nil), 2)
	for i := 0; i < len(good); i += 3 {
		try(fmt.Sprintf("cut at byte %d", i), good[:i], 0)
		if i%101 != 0 {
			continue
		}
		if _, _, err := Open(dir, Options{}); err == nil {
			t.Fatalf("cut at byte %d: a ledger that lost signed lines goes on", i)
		}
	}
	os.WriteFile(names[0], good, 0o600)
	mustVerify(t, dir)
}

// A tree that is not made of the lines, and a checkpoint that nobody signed, are found.
func TestSpoiltTree(t *testing.T) {
	dir := written(t, 2*tileWidth+9)
	good := latest(t, dir)
	for _, name := range []string{"tile/0/000", "tile/0/001", "tile/1/000.p/2"} {
		name = filepath.Join(dir, name)
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[3] ^= 1
		os.WriteFile(name, b, 0o600)
		if _, err := Verify(dir); err == nil && !strings.Contains(name, ".p") {
			t.Errorf("%s: a changed tile was not found", name)
		}
		if _, _, err := Open(dir, Options{}); err == nil && strings.Contains(name, ".p") {
			t.Errorf("%s: a changed edge was not found", name)
		}
		b[3] ^= 1
		os.WriteFile(name, b, 0o600)
	}
	name := filepath.Join(dir, checkpointFile)
	for i := range good.Note {
		b := bytes.Clone(good.Note)
		b[i] ^= 1
		os.WriteFile(name, b, 0o600)
		if _, err := Verify(dir); err == nil {
			t.Fatalf("byte %d of the checkpoint: not found", i)
		}
	}
	os.WriteFile(name, good.Note, 0o600)
	mustVerify(t, dir)
}

// Who owns the files and the key can write another past. Whoever keeps a checkpoint elsewhere finds it.
func TestACheckpointElsewhereFindsARewrittenPast(t *testing.T) {
	dir := written(t, 300)
	kept := latest(t, dir)
	add(t, dir, 300)
	rep := mustVerify(t, dir, kept)
	if rep.Lines != 600 || len(rep.Foreign) != 1 || rep.Foreign[0] != 300 {
		t.Errorf("%+v", rep)
	}

	// The owner begins anew with the same key.
	for _, pattern := range []string{"*.jsonl", "tile", "checkpoint"} {
		names, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, name := range names {
			os.RemoveAll(name)
		}
	}
	add(t, dir, 400)
	mustVerify(t, dir)
	if _, err := Verify(dir, kept); !errors.Is(err, ErrRewritten) && !strings.Contains(fmt.Sprint(err), ErrRewritten.Error()) {
		t.Errorf("a rewritten past: %v", err)
	}
	for _, pattern := range []string{"*.jsonl", "tile", "checkpoint"} {
		names, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, name := range names {
			os.RemoveAll(name)
		}
	}
	add(t, dir, 200)
	if _, err := Verify(dir, kept); !errors.Is(err, ErrCut) {
		t.Errorf("a shorter past: %v", err)
	}
}

// Nothing is signed with a new key where lines stand that the old one vouched for.
func TestALostKeyIsNotReplaced(t *testing.T) {
	dir := written(t, 3)
	os.Remove(filepath.Join(dir, signerFile))
	if _, _, err := Open(dir, Options{}); !errors.Is(err, ErrKeyMissing) {
		t.Errorf("got %v", err)
	}
}

func TestAKeyThatOthersCanRead(t *testing.T) {
	dir := written(t, 3)
	info, err := os.Stat(filepath.Join(dir, signerFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	os.Chmod(filepath.Join(dir, signerFile), 0o644)
	if _, _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "can be read by others") {
		t.Errorf("got %v", err)
	}
}

// After a kill between lines and checkpoint the tree is made good from the lines.
func TestTheTreeFollowsTheLines(t *testing.T) {
	dir := written(t, 300)
	old := snapshot(t, dir)
	add(t, dir, 1000)
	for name, b := range old { // as if no checkpoint had been made since
		if !strings.HasSuffix(name, ".jsonl") {
			os.MkdirAll(filepath.Dir(name), 0o700)
			os.WriteFile(name, b, 0o600)
		}
	}
	for name := range snapshot(t, dir) {
		if _, ok := old[name]; !ok && strings.Contains(name, "tile") {
			os.Remove(name)
		}
	}
	add(t, dir, 1)
	if rep := mustVerify(t, dir); rep.Lines != 1301 || rep.Checkpoint.Size != 1301 {
		t.Errorf("%+v", rep)
	}
}

func snapshot(t testing.TB, dir string) map[string][]byte {
	out := map[string][]byte{}
	filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			out[name] = b
		}
		return nil
	})
	return out
}

// A process goes on where the last one stopped, in the same segment, and reads no segment that is sealed.
func TestOpenReadsOnlyTheEnd(t *testing.T) {
	dir := t.TempDir()
	for range 4 {
		l := open(t, dir, Options{Segment: 4096, Now: nil})
		for i := range 20 {
			l.Append(context.Background(), event(fmt.Sprint(i), Whole))
		}
		l.Close()
	}
	names, _ := segments(dir)
	if len(names) < 5 {
		t.Fatalf("%d segments", len(names))
	}
	os.WriteFile(names[0], []byte("not read\n"), 0o600)
	l := open(t, dir, Options{Segment: 4096})
	l.Close()
	if _, err := Verify(dir); err == nil {
		t.Error("verify does not read it either")
	}
}

// The proof of an event stands by itself; any change to it is found, by the checksum database's code too.
func TestProof(t *testing.T) {
	dir := written(t, 700)
	v, key, err := Verifier(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []uint64{1, 256, 257, 699, 700} {
		p, err := Prove(dir, number)
		if err != nil {
			t.Fatal(err)
		}
		text := p.Marshal()
		got, err := ReadProof(text, v)
		if err != nil || got.Index != number-1 || !bytes.Equal(got.Line, p.Line) {
			t.Fatalf("line %d: %v", number, err)
		}
		if at, _ := placeOf(got.Line); at.seq != number {
			t.Errorf("line %d proves line %d", number, at.seq)
		}
		for i := 0; i < len(text) && number == 257; i++ {
			b := bytes.Clone(text)
			b[i] ^= 1
			if _, err := ReadProof(b, v); err == nil {
				t.Fatalf("line %d: byte %d changed (%q), and believed", number, i, text[max(0, i-10):i+1])
			}
		}
		foreign, err := note.NewVerifier(key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := note.Open(p.Checkpoint.Note, note.VerifierList(foreign)); err != nil {
			t.Error(err)
		}
		if err := tlog.CheckRecord(p.Hashes, int64(p.Checkpoint.Size), p.Checkpoint.Root, int64(p.Index), tlog.RecordHash(p.Line)); err != nil {
			t.Error(err)
		}
	}
	if _, err := Prove(dir, 701); !errors.Is(err, ErrNotSealed) {
		t.Errorf("got %v", err)
	}
	other, _, _ := Verifier(written(t, 1))
	p, _ := Prove(dir, 5)
	if _, err := ReadProof(p.Marshal(), other); !errors.Is(err, ErrNotOurs) {
		t.Errorf("another ledger's key: %v", err)
	}
}

func FuzzReadProof(f *testing.F) {
	dir := written(f, 3)
	v, _, err := Verifier(dir)
	if err != nil {
		f.Fatal(err)
	}
	p, err := Prove(dir, 2)
	if err != nil {
		f.Fatal(err)
	}
	good := p.Marshal()
	f.Add(good)
	f.Add([]byte(proofHeader + "extra \nindex 0\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := ReadProof(b, v); err == nil && (got.Index != 1 || !bytes.Equal(got.Line, p.Line)) {
			t.Fatalf("believed: %q", b)
		}
	})
}
