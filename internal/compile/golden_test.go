package compile_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/portreeve/portreeve/internal/compile"
)

var update = flag.Bool("update", false, "write the golden plans and errors anew")

// noon is when every golden case is compiled.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Each case of testdata is a configuration with its document and overlays, and beside them the plan they make, or the
// error. The document itself is left out of the golden plan: it is the input.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := compiled(t, a)
			name := "error"
			if strings.HasPrefix(got, "{") {
				name = "plan"
			}
			if *update {
				a.Files = append(withoutGolden(a.Files), txtar.File{Name: name, Data: []byte(got)})
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(file(a, name)), got); d != "" {
				t.Errorf("-golden +got (go test ./internal/compile -update writes it anew)\n%s", d)
			}
		})
	}
}

func file(a *txtar.Archive, name string) []byte {
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func withoutGolden(files []txtar.File) (out []txtar.File) {
	for _, f := range files {
		if f.Name != "plan" && f.Name != "error" {
			out = append(out, f)
		}
	}
	return out
}

// compiled returns the plan as indented JSON, or the error, with the place the files lie in left out.
func compiled(t *testing.T, a *txtar.Archive) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range withoutGolden(a.Files) {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := compile.Load(filepath.Join(dir, "portreeve.yaml"), noon)
	if err != nil {
		return strings.ReplaceAll(err.Error(), dir+"/", "") + "\n"
	}
	if p.Hash != p.Sum() {
		t.Errorf("the plan's hash is not its sum")
	}
	again, err := compile.Load(filepath.Join(dir, "portreeve.yaml"), noon)
	if err != nil || again.Hash != p.Hash {
		t.Errorf("the same files made another plan: %v", err)
	}
	p.Document = nil
	b, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.ReplaceAll(b, []byte(dir+"/"), nil)) + "\n"
}

// Whatever the plan promises is in its hash: a plan that guards otherwise has another one.
func TestHashKnowsTheRules(t *testing.T) {
	a, err := txtar.ParseFile("testdata/orders.txtar")
	if err != nil {
		t.Fatal(err)
	}
	hash := func(file, from, to string) string {
		dir := t.TempDir()
		for _, f := range withoutGolden(a.Files) {
			data := f.Data
			if f.Name == file {
				if !bytes.Contains(data, []byte(from)) {
					t.Fatalf("%s holds no %q", file, from)
				}
				data = bytes.ReplaceAll(data, []byte(from), []byte(to))
			}
			if err := os.WriteFile(filepath.Join(dir, f.Name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chdir(dir); err != nil { // so that paths are the same in all
			t.Fatal(err)
		}
		p, err := compile.Load("portreeve.yaml", noon)
		if err != nil {
			t.Fatal(err)
		}
		return p.Hash
	}
	t.Chdir(t.TempDir())
	plain := hash("", "", "")
	if again := hash("", "", ""); again != plain {
		t.Error("the hash changes by itself")
	}
	for _, c := range [][3]string{
		{"portreeve.yaml", "customer: [\"orders:read\"", "customer: [\"orders:*\""},
		{"portreeve.yaml", "100/1h", "1000/1h"},
		{"openapi.yaml", "class: cardholder", "class: personal"},
		{"openapi.yaml", "maxLength: 40", "maxLength: 400"},
		{"openapi.yaml", "owner: $response.body#/owner_id", "owner: $response.body#/id"},
	} {
		if hash(c[0], c[1], c[2]) == plain {
			t.Errorf("%s: %q became %q, and the hash stayed", c[0], c[1], c[2])
		}
	}
}
