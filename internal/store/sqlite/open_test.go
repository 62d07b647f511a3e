package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/store"
)

func path(t *testing.T) string { return filepath.Join(t.TempDir(), "portreeve.db") }

func create(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// change runs SQL on the file as another program would.
func change(t *testing.T, path, script string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(script); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

func row(id string) *keys.APIKey {
	now := time.Now()
	return &keys.APIKey{ID: id, Environment: keys.Live, PepperID: "p", Owner: "o", Purpose: "p", Created: now, Expires: now.Add(time.Hour)}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	p := path(t)
	s := create(t, p)
	if err := s.CreateKey(t.Context(), row("a")); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(p + "*")
	if err != nil || len(names) < 2 {
		t.Fatalf("files %v, %v", names, err)
	}
	for _, name := range names {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Dir(p)); len(left) != 1 {
		t.Errorf("left beside the database: %v", left)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		arrange func(t *testing.T, p string)
		want    error
	}{
		"a missing file":         {func(*testing.T, string) {}, fs.ErrNotExist},
		"a directory":            {func(t *testing.T, p string) { os.Mkdir(p, 0o700) }, nil},
		"a file others may read": {func(t *testing.T, p string) { create(t, p).Close(); os.Chmod(p, 0o640) }, nil},
		"a link": {func(t *testing.T, p string) {
			create(t, p+".real").Close()
			os.Symlink(p+".real", p)
		}, nil},
		"a dangling link": {func(t *testing.T, p string) { os.Symlink(p+".nowhere", p) }, nil},
		"another program's database": {func(t *testing.T, p string) {
			change(t, p, `CREATE TABLE theirs (x)`)
		}, store.ErrCorrupt},
		"another application": {func(t *testing.T, p string) { change(t, p, `PRAGMA application_id = 7`) }, store.ErrCorrupt},
		"a newer version": {func(t *testing.T, p string) {
			create(t, p).Close()
			change(t, p, `INSERT INTO migration VALUES (99, '0099_future.sql', 'x')`)
		}, store.ErrCorrupt},
		"another history": {func(t *testing.T, p string) {
			create(t, p).Close()
			change(t, p, `UPDATE migration SET sum = 'x'`)
		}, store.ErrCorrupt},
		"no database": {func(t *testing.T, p string) {
			os.WriteFile(p, []byte(strings.Repeat("not a database. ", 100)), 0o600)
		}, store.ErrCorrupt},
		"a damaged one": {func(t *testing.T, p string) {
			create(t, p).Close()
			f, err := os.OpenFile(p, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			f.WriteAt([]byte(strings.Repeat("\xff", 3000)), 100)
		}, store.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			p := path(t)
			c.arrange(t, p)
			s, err := Open(t.Context(), p, Options{})
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if _, err := os.Stat(p + ".nowhere"); err == nil {
				t.Error("a link was followed")
			}
		})
	}
}

// Two processes may make the database at the same time.
func TestOpenedByManyAtOnce(t *testing.T) {
	p := path(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			s, err := Open(context.Background(), p, Options{Create: true})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if err := s.CreateKey(context.Background(), row(string(rune('a'+i)))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := create(t, p)
	defer s.Close()
	if ks, err := s.Keys(t.Context(), keys.KeyFilter{}); err != nil || len(ks) != 8 {
		t.Errorf("%d keys, %v", len(ks), err)
	}
}

// A database that is removed or replaced under a running process sees no revocation any more: polling it fails, so that
// what was read from it grows stale.
func TestAReplacedFileIsNoticed(t *testing.T) {
	for name, replace := range map[string]func(p string) error{
		"removed": os.Remove,
		"replaced": func(p string) error {
			return errors.Join(os.Rename(p, p+".old"), os.WriteFile(p, nil, 0o600))
		},
		"linked": func(p string) error { return errors.Join(os.Rename(p, p+".old"), os.Symlink(p+".old", p)) },
	} {
		p := path(t)
		s := create(t, p)
		if _, err := s.Position(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := replace(p); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Position(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		s.Close()
	}
}

// Rows that somebody else wrote wrongly are no keys.
func TestDamagedRowsAreNoKeys(t *testing.T) {
	p := path(t)
	s := create(t, p)
	defer s.Close()
	if err := s.CreateKey(t.Context(), row("a")); err != nil {
		t.Fatal(err)
	}
	change(t, p, `UPDATE api_key SET roles = '["admin"'`)
	if _, err := s.Key(t.Context(), "a"); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Since(t.Context(), keys.Position{}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}
