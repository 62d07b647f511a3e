package evidence_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/evidence"
	"github.com/portreeve/portreeve/internal/finding"
)

// packed makes a pack and returns its directory and manifest.
func packed(t *testing.T) (string, *evidence.Manifest) {
	t.Helper()
	in := promised(t, configuration)
	var err error
	if in.Log, err = evidence.ReadLog(kept(t, lawful(in.Plan)...), in.From, in.To); err != nil {
		t.Fatal(err)
	}
	passed, err := json.Marshal(report(in, "attack", outcome(finding.Passed)))
	if err != nil {
		t.Fatal(err)
	}
	sources := []evidence.Source{{Name: "attack.json", Text: passed}, {Name: "broken.json", Text: []byte("{")}}
	for _, s := range sources {
		in.Results = append(in.Results, evidence.Report(s.Name, s.Text))
	}
	dir := filepath.Join(t.TempDir(), "pack")
	m, err := evidence.Write(dir, in, collect(t, in), []byte("<!doctype html>"), sources, "read me\n")
	if err != nil {
		t.Fatal(err)
	}
	return dir, m
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func tampered(err error) bool {
	var t *evidence.Tampered
	return errors.As(err, &t)
}

func TestPack(t *testing.T) {
	dir, m := packed(t)
	v, err := evidence.Verify(dir, m.Sum)
	if err != nil || !v.Recomputed || v.Manifest.Sum != m.Sum || len(v.Evidence.Controls) != 121 {
		t.Fatalf("%+v %v", v, err)
	}
	if _, err := evidence.Verify(dir, strings.Repeat("0", 64)); !tampered(err) {
		t.Errorf("another sum: %v", err)
	}
	for _, p := range files(t, dir) {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", p, info.Mode(), err)
		}
	}
	if _, err := evidence.Write(dir, promised(t, configuration), v.Evidence, nil, nil, ""); err == nil {
		t.Error("a pack is written over")
	}
	if _, err := evidence.Verify(t.TempDir(), ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no pack: %v", err)
	}
}

// TestOneBit turns one bit of every file, at the beginning, in the middle and at the end, and one of every byte of the
// manifest.
func TestOneBit(t *testing.T) {
	dir, _ := packed(t)
	turned := 0
	for _, p := range files(t, dir) {
		whole, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		bits := []int{0, 7, len(whole)*4 + 3, len(whole)*8 - 1}
		if filepath.Base(p) == evidence.ManifestFile {
			bits = bits[:0]
			for i := range whole {
				bits = append(bits, i*8+i%8)
			}
		}
		for _, bit := range bits {
			b := bytes.Clone(whole)
			b[bit/8] ^= 1 << (bit % 8)
			if err := os.WriteFile(p, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := evidence.Verify(dir, ""); !tampered(err) {
				t.Fatalf("bit %d of %s: %v", bit, p, err)
			}
			turned++
		}
		if err := os.WriteFile(p, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := evidence.Verify(dir, ""); err != nil {
		t.Error(err)
	}
	t.Logf("%d bits turned", turned)
}

func TestFilesOfAPack(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"one too many":         func(dir string) error { return os.WriteFile(filepath.Join(dir, "results", "other.json"), nil, 0o600) },
		"one missing":          func(dir string) error { return os.Remove(filepath.Join(dir, "log.json")) },
		"one longer":           func(dir string) error { return appendTo(filepath.Join(dir, "report.html"), "<p>all is well</p>") },
		"the manifest longer":  func(dir string) error { return appendTo(filepath.Join(dir, evidence.ManifestFile), " ") },
		"a link out of it":     func(dir string) error { return os.Symlink("/etc/hostname", filepath.Join(dir, "link")) },
		"the manifest missing": func(dir string) error { return os.Remove(filepath.Join(dir, evidence.ManifestFile)) },
	} {
		dir, _ := packed(t)
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := evidence.Verify(dir, ""); !tampered(err) && (name != "the manifest missing" || !errors.Is(err, fs.ErrNotExist)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

// TestForgedWithAManifest alters a file and makes the manifest fit: hashes then hold, and only computing the evidence again
// finds it.
func TestForgedWithAManifest(t *testing.T) {
	for name, c := range map[string]struct{ file, old, new string }{
		"a state":      {"evidence.json", `"state": "not-evidenced"`, `"state": "evidenced"`},
		"a value":      {"evidence.json", `"value": "not-run"`, `"value": "yes"`},
		"a count":      {"evidence.json", `"n": 0`, `"n": 9`},
		"an event":     {"log.json", `"status": 401`, `"status": 200`},
		"an outcome":   {"results/001.json", `"passed"`, `"failed"`},
		"the plan":     {"plan.json", `"environment": "production"`, `"environment": "development"`},
		"the document": {"document.json", `"Orders"`, `"Nothing"`},
		"a step":       {"inputs.json", `"absent": false`, `"absent": true`},
	} {
		dir, m := packed(t)
		p := filepath.Join(dir, filepath.FromSlash(c.file))
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		forged := bytes.ReplaceAll(b, []byte(c.old), []byte(c.new))
		if bytes.Equal(b, forged) {
			t.Fatalf("%s: %q is not in %s", name, c.old, c.file)
		}
		if err := os.WriteFile(p, forged, 0o600); err != nil {
			t.Fatal(err)
		}
		for i := range m.Files {
			if m.Files[i].Path == c.file {
				m.Files[i].Size, m.Files[i].SHA256 = int64(len(forged)), evidence.Sum(forged)
			}
		}
		m.Sum = evidence.SumOf(m)
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		e.SetIndent("", " ")
		if err := e.Encode(m); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, evidence.ManifestFile), text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := evidence.Verify(dir, ""); !tampered(err) || strings.Contains(err.Error(), "was changed") || strings.Contains(err.Error(), "the manifest") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestManifestStaysInside(t *testing.T) {
	dir, m := packed(t)
	secret := filepath.Join(filepath.Dir(dir), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.Files = append(m.Files, evidence.File{Path: "../secret", Size: 1, SHA256: evidence.Sum([]byte("x"))})
	m.Sum = evidence.SumOf(m)
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, evidence.ManifestFile), append(b, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.Verify(dir, ""); !tampered(err) || !strings.Contains(err.Error(), "../secret") {
		t.Error(err)
	}
}
