package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/finding"
)

func sample(t *testing.T) *finding.Report {
	t.Helper()
	b, err := os.ReadFile("testdata/sample.json")
	if err != nil {
		t.Fatal(err)
	}
	r := new(finding.Report)
	if err := json.Unmarshal(b, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFormats(t *testing.T) {
	r := sample(t)
	for _, f := range Formats {
		t.Run(f.Name, func(t *testing.T) {
			got, err := ByName(f.Name)
			if err != nil || got.Name != f.Name {
				t.Fatalf("%v %v", got.Name, err)
			}
			var a, b bytes.Buffer
			if err := f.Write(&a, r); err != nil {
				t.Fatal(err)
			}
			if err := f.Write(&b, r); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
				t.Errorf("the same report is written differently: %v", err)
			}
			for _, id := range []string{"bola-read", "undeclared-field", "secret-in-file"} {
				if !strings.Contains(a.String(), id) {
					t.Errorf("%s is missing", id)
				}
			}
			if !strings.Contains(a.String(), "no identity owns an object") {
				t.Error("what could not be decided is missing")
			}
			if err := f.Write(&a, new(finding.Report)); err != nil {
				t.Errorf("an empty report: %v", err)
			}
			if err := f.Write(full{}, r); err == nil {
				t.Error("a full disk is not noticed")
			}
		})
	}
	if _, err := ByName("pdf"); err == nil || !strings.Contains(err.Error(), "text, json, html, sarif, junit") {
		t.Errorf("an unknown format: %v", err)
	}
}

// full takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestOutputs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a=b.json")
	outs, err := ParseOutputs([]string{"json=" + path, "html=" + filepath.Join(dir, "a.html")})
	if err != nil || len(outs) != 2 || outs[0].Path != path {
		t.Fatalf("%v %v", outs, err)
	}
	for _, o := range outs {
		if err := o.Write(sample(t)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(o.Path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", o.Path, info.Mode(), err)
		}
	}
	b, _ := os.ReadFile(path)
	if back := new(finding.Report); json.Unmarshal(b, back) != nil || len(back.Findings) != 3 {
		t.Error("the file does not hold the report")
	}
	for _, bad := range [][]string{{"json"}, {"json="}, {"=x"}, {"pdf=x"}, {"json=x", "html=./x"}} {
		if _, err := ParseOutputs(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if err := (Output{Formats[0], filepath.Join(dir, "missing", "x")}).Write(sample(t)); err == nil {
		t.Error("a missing directory is not noticed")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".report-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
