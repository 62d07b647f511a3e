package keys

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// stock is what a store says of its rows.
type stock struct {
	rows    bool
	peppers []string
	err     error
}

func (s stock) Empty(context.Context) (bool, error)            { return !s.rows, s.err }
func (s stock) PeppersInUse(context.Context) ([]string, error) { return s.peppers, s.err }

func TestMaterialIsMadeOnceOnly(t *testing.T) {
	ctx, dir := t.Context(), filepath.Join(t.TempDir(), "data")
	first, err := LoadMaterial(ctx, dir, stock{}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"": 0o700, SigningKeyFile: 0o600, PeppersFile: 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", name, info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(left) > 0 {
		t.Errorf("drafts are left: %v", left)
	}
	// Read again with and without rows, and with a source of randomness that would betray any use of it.
	for _, s := range []stock{{}, {rows: true, peppers: []string{first.Peppers.Current()}}} {
		again, err := LoadMaterial(ctx, dir, s, dry{})
		if err != nil {
			t.Fatal(err)
		}
		if again.KeyID() != first.KeyID() || again.Peppers.Current() != first.Peppers.Current() {
			t.Error("the material changed")
		}
	}
	for _, f := range []string{SigningKeyFile, PeppersFile} {
		secret, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		line := strings.TrimSpace(strings.Split(strings.TrimPrefix(string(secret), "-----BEGIN PRIVATE KEY-----\n"), "\n")[0])
		if out := fmt.Sprintf("%v %+v %#v", first, first, first); strings.Contains(out, line) {
			t.Errorf("printing shows %s: %s", f, out)
		}
	}
}

type dry struct{}

func (dry) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

//threat:39 key material that is gone while the store has rows → no start
func TestMaterialMissingWithRowsIsNoStart(t *testing.T) {
	for _, lost := range []string{SigningKeyFile, PeppersFile} {
		dir := private(t)
		first, err := LoadMaterial(t.Context(), dir, stock{}, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, lost)); err != nil {
			t.Fatal(err)
		}
		rows := stock{rows: true, peppers: []string{first.Peppers.Current()}}
		if _, err := LoadMaterial(t.Context(), dir, rows, rand.Reader); !errors.Is(err, ErrMaterialMissing) || !strings.Contains(err.Error(), lost) {
			t.Errorf("without %s: %v", lost, err)
		}
		if _, err := os.Stat(filepath.Join(dir, lost)); err == nil {
			t.Errorf("%s was made anew", lost)
		}
	}
}

//threat:39 another pepper than the store's → no start
func TestAnotherPepperIsNoStart(t *testing.T) {
	dir := private(t)
	if _, err := LoadMaterial(t.Context(), dir, stock{}, rand.Reader); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadMaterial(t.Context(), dir, stock{rows: true, peppers: []string{"0123456789abcdef"}}, rand.Reader); !errors.Is(err, ErrMaterialMissing) {
		t.Errorf("got %v", err)
	}
	away := errors.New("away")
	if _, err := LoadMaterial(t.Context(), dir, stock{err: away}, rand.Reader); !errors.Is(err, away) {
		t.Errorf("a store that does not answer: %v", err)
	}
}

// What others may have read, or may replace, is not used.
func TestMaterialOthersCanReach(t *testing.T) {
	for name, arrange := range map[string]func(dir string) error{
		"readable key":     func(dir string) error { return os.Chmod(filepath.Join(dir, SigningKeyFile), 0o640) },
		"readable peppers": func(dir string) error { return os.Chmod(filepath.Join(dir, PeppersFile), 0o604) },
		"shared directory": func(dir string) error { return os.Chmod(dir, 0o770) },
		"linked peppers": func(dir string) error {
			p := filepath.Join(dir, PeppersFile)
			return errors.Join(os.Rename(p, p+".real"), os.Symlink(p+".real", p))
		},
		"damaged key": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, SigningKeyFile), []byte("-----BEGIN PRIVATE KEY-----\n"), 0o600)
		},
		"empty peppers": func(dir string) error { return os.WriteFile(filepath.Join(dir, PeppersFile), nil, 0o600) },
		"short pepper": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, PeppersFile), []byte("c2hvcnQ=\n"), 0o600)
		},
		"a directory": func(dir string) error {
			p := filepath.Join(dir, PeppersFile)
			return errors.Join(os.Remove(p), os.Mkdir(p, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := private(t)
			if _, err := LoadMaterial(t.Context(), dir, stock{}, rand.Reader); err != nil {
				t.Fatal(err)
			}
			if err := arrange(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := LoadMaterial(t.Context(), dir, stock{}, rand.Reader); err == nil {
				t.Error("it was used")
			} else if strings.Contains(err.Error(), "c2hvcnQ") {
				t.Errorf("the error shows a pepper: %v", err)
			}
		})
	}
}

// A start that was interrupted leaves a draft; a file that came meanwhile is never replaced.
func TestWritePrivateNeverReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path+".new", []byte("half"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := writePrivate(path, []byte("whole")); err != nil {
		t.Fatal(err)
	}
	if err := writePrivate(path, []byte("other")); err == nil {
		t.Error("a file was replaced")
	}
	if b, err := readPrivate(path); err != nil || string(b) != "whole" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestPeppersRetire(t *testing.T) {
	a, b := bytes.Repeat([]byte{1}, pepperLen), bytes.Repeat([]byte{2}, pepperLen)
	old, err := NewPeppers(a)
	if err != nil {
		t.Fatal(err)
	}
	both, err := NewPeppers(b, a)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(generate(t, Live))
	if err != nil {
		t.Fatal(err)
	}
	was, _ := old.sum(old.Current(), p)
	now, ok := both.sum(old.Current(), p)
	if !ok || was != now {
		t.Error("a retired pepper proves nothing")
	}
	if fresh, _ := both.sum(both.Current(), p); fresh == was || both.Current() == old.Current() {
		t.Error("a new pepper changes nothing")
	}
	if _, ok := old.sum(both.Current(), p); ok {
		t.Error("a pepper that is not there proves keys")
	}
	for name, secrets := range map[string][][]byte{"none": nil, "short": {a[:31]}, "twice": {a, a}} {
		if _, err := NewPeppers(secrets...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
