package attack

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/portreeve/portreeve/internal/demo"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
	"github.com/portreeve/portreeve/internal/vectors"
)

// What is called invalid must surely be: a wrong word here is a false finding. (That something is called valid proves little.)
func TestInvalidIsSure(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectors.Path(t, "json-schema/tests/draft2020-12"), "*.json"))
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	d, err := spec.Parse("x.yaml", []byte("openapi: 3.1.0\ninfo: {title: x, version: '1'}\npaths: {}\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := schemas{d}
	tests, caught, invalid := 0, 0, 0
	for _, f := range files {
		if slices.Contains([]string{"format.json", "vocabulary.json"}, filepath.Base(f)) {
			continue // formats are asserted here, and no vocabulary is ever missing
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var groups []struct {
			Description string
			Schema      json.RawMessage
			Tests       []struct {
				Description string
				Data        json.RawMessage
				Valid       bool
			}
		}
		if err := json.Unmarshal(b, &groups); err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			var n *tree.Node
			switch text := strings.TrimSpace(string(g.Schema)); text {
			case "true", "false":
				n = &tree.Node{Kind: tree.Bool, Text: text}
			default:
				if n, err = tree.Parse(f, g.Schema); err != nil {
					continue // the reader of documents refuses it
				}
			}
			for _, c := range g.Tests {
				var v any
				dec := json.NewDecoder(bytes.NewReader(c.Data))
				dec.UseNumber()
				if err := dec.Decode(&v); err != nil {
					t.Fatal(err)
				}
				tests++
				ok, why := s.allows(n, v)
				if !ok && c.Valid {
					t.Errorf("%s: %s: %s: called invalid: %s", filepath.Base(f), g.Description, c.Description, why)
				}
				if !c.Valid {
					if invalid++; !ok {
						caught++
					}
				}
			}
		}
	}
	t.Logf("%d tests; %d of %d invalid values are known to be", tests, caught, invalid)
	if tests < 1000 || caught < 250 {
		t.Errorf("only %d tests and %d caught", tests, caught)
	}
}

// Values that are made are valid, and violations are not, by another's judgement.
func TestGenerator(t *testing.T) {
	for _, c := range []struct {
		name string
		text func(t *testing.T) []byte
		most int
	}{
		{"demo", func(*testing.T) []byte { return demo.Document() }, 100},
		{"sample", func(*testing.T) []byte { return []byte(sampleDocument) }, 100},
		{"box", func(t *testing.T) []byte {
			b, err := os.ReadFile(vectors.Path(t, "documents/box.json"))
			if err != nil {
				t.Fatal(err)
			}
			return b
		}, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := spec.Parse(c.name, c.text(t))
			if err != nil {
				t.Fatal(err)
			}
			whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(d.JSON))
			if err != nil {
				t.Fatal(err)
			}
			compiler := jsonschema.NewCompiler()
			compiler.DefaultDraft(jsonschema.Draft2020)
			compiler.AssertFormat()
			if err := compiler.AddResource("urn:doc", whole); err != nil {
				t.Fatal(err)
			}
			g := &generator{schemas{d}, rand.New(rand.NewPCG(1, 2))}
			bodies, made, broken := 0, 0, 0
			for _, op := range d.Operations {
				if op.Body == nil {
					continue
				}
				for _, m := range op.Body.Content {
					if !isJSON(m.Type) || m.Schema == "" || bodies >= c.most {
						continue
					}
					judge, err := compiler.Compile("urn:doc#" + m.Schema)
					if err != nil {
						t.Logf("%s: %v", op.ID, err)
						continue
					}
					bodies++
					n := g.at(m.Schema)
					v, ok := g.value(n)
					if !ok {
						t.Logf("%s: no value is made", op.ID)
						continue
					}
					made++
					if err := judge.Validate(plainJSON(t, v)); err != nil {
						t.Errorf("%s: the value made is not valid: %v", op.ID, err)
					}
					for _, bad := range g.violations(n, v, true) {
						broken++
						if judge.Validate(plainJSON(t, bad.value)) == nil {
							t.Errorf("%s: %s: is valid", op.ID, bad.what)
						}
					}
				}
			}
			t.Logf("%d bodies, %d values, %d violations", bodies, made, broken)
			if made == 0 || broken == 0 || made < bodies*9/10 {
				t.Error("too few values are made")
			}
		})
	}
}

// plainJSON sends a value through JSON, as a call does.
func plainJSON(t *testing.T, v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
