package starter

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var both = []File{{ConfigName, []byte("one\n")}, {OverlayName, []byte("two\n")}}

// contents are the files of a folder, hidden ones too.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out[e.Name()] = "a folder"
		if !e.IsDir() {
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			out[e.Name()] = string(b)
		}
	}
	return out
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if err := Write(dir, false, both...); err != nil {
		t.Fatal(err)
	}
	written := map[string]string{ConfigName: "one\n", OverlayName: "two\n"}
	if diff := cmp.Diff(written, contents(t, dir)); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	other := []File{{ConfigName, []byte("three\n")}, {OverlayName, []byte("four\n")}}
	var exists *ExistsError
	if err := Write(dir, false, other...); !errors.As(err, &exists) || exists.Path != filepath.Join(dir, ConfigName) {
		t.Errorf("overwriting without force: %v", err)
	}
	if diff := cmp.Diff(written, contents(t, dir)); diff != "" {
		t.Errorf("it was changed all the same (-want +got):\n%s", diff)
	}
	if err := Write(dir, true, other...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{ConfigName: "three\n", OverlayName: "four\n"}, contents(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWriteNothing: where one file cannot be written none is, and nothing is left behind.
func TestWriteNothing(t *testing.T) {
	t.Run("the second is there", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, OverlayName), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		var exists *ExistsError
		if err := Write(dir, false, both...); !errors.As(err, &exists) {
			t.Error(err)
		}
		if diff := cmp.Diff(map[string]string{OverlayName: "mine"}, contents(t, dir)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := Free(dir, ConfigName, OverlayName); !errors.As(err, &exists) || exists.Path != filepath.Join(dir, OverlayName) {
			t.Error(err)
		}
	})
	t.Run("the second is a folder", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, OverlayName), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := Write(dir, true, both...); err == nil {
			t.Error("a folder was overwritten")
		}
		if diff := cmp.Diff(map[string]string{OverlayName: "a folder"}, contents(t, dir)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("a dangling link", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, ConfigName)); err != nil {
			t.Fatal(err)
		}
		var exists *ExistsError
		if err := Write(dir, false, both...); !errors.As(err, &exists) {
			t.Error(err)
		}
		if _, err := os.Lstat(filepath.Join(dir, "elsewhere")); !errors.Is(err, fs.ErrNotExist) {
			t.Error("the link was followed")
		}
	})
	t.Run("the folder is a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Write(file, false, both...); err == nil || !strings.Contains(err.Error(), "not a directory") {
			t.Error(err)
		}
	})
	t.Run("the folder above is missing", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a", "b")
		if err := Write(dir, false, both...); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	t.Run("the name is too long", func(t *testing.T) { // fails after the first file was prepared
		dir := filepath.Join(t.TempDir(), "new")
		if err := Write(dir, false, both[0], File{strings.Repeat("n", 250), nil}); err == nil {
			t.Error("it was written")
		}
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the new folder is left behind: %v", contents(t, dir))
		}
	})
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct{ path, want string }{
		"missing":   {filepath.Join(dir, "none.yaml"), "none.yaml: reading the document: no such file or directory\n  hint: name an OpenAPI document"},
		"a folder":  {dir, "reading the document: is a directory\n  hint:"},
		"empty":     {file("empty.yaml", ""), "empty.yaml:1: the file is empty"},
		"no paths":  {file("paths.yaml", "openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths: {}\n"), "paths.yaml:3: the document declares no operations"},
		"in files":  {file("files.yaml", "openapi: 3.0.3\ninfo: {title: T, description: {$ref: 'd.yml'}, version: '1'}\npaths: {/a: {get: {$ref: 'a.yml'}}}\n"), "files.yaml:2: $ref \"d.yml\" cannot be read: no such file or directory"},
		"a letter":  {file("typo.yaml", "openapi: 3.0.3\ninfo: {title: T, version: '1'}\npahts: {}\n"), `did you mean "paths"?`},
		"elsewhere": {file("ref.yaml", "openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths: {/a: {get: {responses: {'200': {$ref: 'b.yaml#/x'}}}}}\n"), "ref.yaml:3: $ref \"b.yaml#/x\" cannot be read: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(c.path)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			var bad interface{ BadInput() bool }
			if !errors.As(err, &bad) {
				t.Errorf("%v is not the user's to mend", err)
			}
		})
	}
}
