package schema

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/vectors"
)

// iJSON are valid by RFC 8259 and refused here: RFC 7493 forbids a name twice.
var iJSON = map[string]bool{"y_object_duplicated_key.json": true, "y_object_duplicated_key_and_value.json": true}

//threat:45 the JSON parsing test suite → what must be refused is
func TestJSONParsingVectors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectors.Path(t, "json-parsing"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	count := map[byte]int{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(f)
		count[name[0]]++
		treeErr := parse(new(tree), string(b), DefaultDepth, DefaultValues, bounds{})
		accepted := Strict(b) == nil
		if accepted != (treeErr == nil) {
			t.Errorf("%s: scan and tree differ: %v and %v", name, accepted, treeErr)
		}
		switch {
		case name[0] == 'n' && accepted:
			t.Errorf("%s was accepted", name)
		case name[0] == 'y' && accepted == iJSON[name]:
			t.Errorf("%s: accepted %v: %v", name, accepted, Strict(b))
		}
	}
	if count['n'] != 188 || count['y'] != 95 {
		t.Errorf("the set has %d n_ and %d y_", count['n'], count['y'])
	}
}

type suiteGroup struct {
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema"`
	Tests       []struct {
		Description string          `json:"description"`
		Data        json.RawMessage `json:"data"`
		Valid       bool            `json:"valid"`
	} `json:"tests"`
}

func suite(t *testing.T, dir string) map[string][]suiteGroup {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(vectors.Path(t, dir), "*.json"))
	out := map[string][]suiteGroup{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var groups []suiteGroup
		if err := json.Unmarshal(b, &groups); err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(f), ".json")] = groups
	}
	return out
}

// remotes finds the suite's documents at the address its schemas give them, and JSON Schema's own metaschemas, which the
// oracle carries.
func remotes(t *testing.T) loader {
	suite := vectors.Path(t, "json-schema/remotes")
	return func(address string) ([]byte, error) {
		if path, ok := strings.CutPrefix(address, "http://localhost:1234/"); ok {
			return os.ReadFile(filepath.Join(suite, path))
		}
		if path, ok := strings.CutPrefix(address, "https://json-schema.org/"); ok {
			return os.ReadFile(filepath.Join(oracle(t), "metaschemas", path))
		}
		return nil, errors.New("not of the suite")
	}
}

// oracle is where the module stands that this engine is held against.
func oracle(t testing.TB) string {
	dir, err := oracleDir()
	if err != nil {
		t.Skipf("SKIPPED: the source of the oracle is not there: %v", err)
	}
	return dir
}

var oracleDir = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/santhosh-tekuri/jsonschema/v6").Output()
	return strings.TrimSpace(string(out)), err
})

// program compiles a schema of the suite as the document itself; one that is no object stands in one.
func (g suiteGroup) program(t *testing.T, d Dialect, annotated bool) (*Program, error) {
	t.Helper()
	return g.compile(t, d, annotated, Options{Undeclared: Ignore})
}

func (g suiteGroup) compile(t *testing.T, d Dialect, annotated bool, o Options) (*Program, error) {
	t.Helper()
	document, pointer := []byte(g.Schema), ""
	if document[0] != '{' {
		document, pointer = []byte(`{"schema":`+string(document)+`}`), "/schema"
	}
	set, err := newSet(document, d, remotes(t))
	if err != nil {
		return nil, err
	}
	set.annotated = annotated
	return set.Compile(pointer, o)
}

func TestJSONSchemaSuite(t *testing.T) {
	ran := 0
	for file, groups := range suite(t, "json-schema/tests/draft2020-12") {
		for _, g := range groups {
			p, err := g.program(t, OpenAPI31, file == "format") // that file wants formats to assert nothing
			if err != nil {
				t.Errorf("%s: %s: %v", file, g.Description, err)
				continue
			}
			for _, tc := range g.Tests {
				ran++
				err := p.Validate(tc.Data)
				if (err == nil) != tc.Valid {
					t.Errorf("%s: %s: %s: got %v, want valid %v", file, g.Description, tc.Description, err, tc.Valid)
				}
				var f *Failure
				if err != nil && (!errors.As(err, &f) || len(f.Violations) == 0 || f.Violations[0].Code == "invalid") {
					t.Errorf("%s: %s: %s: not explained: %v", file, g.Description, tc.Description, err)
				}
			}
		}
	}
	t.Logf("%d required tests of draft 2020-12", ran)
	if ran != 1299 {
		t.Errorf("the set has %d tests", ran)
	}
}

// runSuite judges every test of a folder and tells how many were refused for a reason that is known.
func runSuite(t *testing.T, dir string, d Dialect, known []string, differs map[string]string) (ran, refused int) {
	for file, groups := range suite(t, dir) {
		for _, g := range groups {
			p, err := g.program(t, d, file == "format")
			if err != nil {
				if !slices.ContainsFunc(known, func(k string) bool { return strings.Contains(err.Error(), k) }) {
					t.Errorf("%s: %s: %v", file, g.Description, err)
				}
				refused += len(g.Tests)
				continue
			}
			for _, tc := range g.Tests {
				ran++
				if err := p.Validate(tc.Data); (err == nil) != tc.Valid && differs[tc.Description] == "" {
					t.Errorf("%s: %s: %s: got %v, want valid %v", file, g.Description, tc.Description, err, tc.Valid)
				}
			}
		}
	}
	t.Logf("%s: %d tests ran; %d stand in schemas that are refused", dir, ran, refused)
	return ran, refused
}

// TestOptionalSuite: what JSON Schema leaves open is done as the suite prefers.
func TestOptionalSuite(t *testing.T) {
	if ran, _ := runSuite(t, "json-schema/tests/draft2020-12/optional", OpenAPI31, []string{"of another dialect"}, nil); ran != 161 {
		t.Errorf("%d tests ran", ran)
	}
}

// TestDraft4Suite: OpenAPI 3.0's dialect is draft 4 but for what it has not. A schema that uses that is refused; of what it
// has every verdict is draft 4's.
func TestDraft4Suite(t *testing.T) {
	absent := []string{
		`no keyword "patternProperties"`, `no keyword "dependencies"`,
		"items: no valid schema: an array", // nor additionalItems
		`"null" is no type`, "type: no valid schema: an array stands where a string",
		"not of the suite", "no such file", "anchor", // id, in which the suite's references lead elsewhere
	}
	ran, refused := runSuite(t, "json-schema/tests/draft4", OpenAPI30, absent, nil)
	if ran != 430 || refused != 188 {
		t.Errorf("%d and %d tests", ran, refused)
	}
	runSuite(t, "json-schema/tests/draft4/optional", OpenAPI30, absent,
		map[string]string{"a float is not an integer even without fractional part": "1.0 is an integer, as since draft 6"})
}

func TestFormatSuite(t *testing.T) {
	ran, wrong := 0, 0
	for file, groups := range suite(t, "json-schema/tests/draft2020-12/optional/format") {
		for _, g := range groups {
			p, err := g.program(t, OpenAPI31, false)
			if err != nil {
				t.Errorf("%s: %s: %v", file, g.Description, err)
				continue
			}
			for _, tc := range g.Tests {
				ran++
				if err := p.Validate(tc.Data); (err == nil) != tc.Valid {
					wrong++
					t.Errorf("%s: %s %s: got %v, want valid %v", file, tc.Description, tc.Data, err, tc.Valid)
				}
			}
		}
	}
	t.Logf("%d tests of asserted formats, %d wrong", ran, wrong)
	if ran != 764 {
		t.Errorf("the set has %d tests", ran)
	}
}

// schemaPointers are all schemas of a document's components and bodies.
func schemaPointers(v any, at string, out *[]string) {
	switch v := v.(type) {
	case map[string]any:
		for name, child := range v {
			here := at + "/" + escapePointer(name)
			if _, isObject := child.(map[string]any); isObject && (name == "schema" || at == "/components/schemas") {
				*out = append(*out, here)
				continue
			}
			schemaPointers(child, here, out)
		}
	case []any:
		for i, child := range v {
			schemaPointers(child, at+"/"+strconv.Itoa(i), out)
		}
	}
}

func TestEverySchemaOfBoxCompiles(t *testing.T) {
	b, err := os.ReadFile(vectors.Path(t, "documents/box.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	var pointers []string
	schemaPointers(doc, "", &pointers)
	start := time.Now()
	set, err := NewSet(b, OpenAPI30)
	if err != nil {
		t.Fatal(err)
	}
	for _, pointer := range pointers {
		for _, o := range []Options{{Direction: Request}, {Direction: Response, Undeclared: Drop}} {
			if _, err := set.Compile(pointer, o); err != nil {
				t.Error(err)
			}
		}
	}
	t.Logf("%d schemas, %d programs in %v", len(pointers), len(set.programs), time.Since(start))
	if len(pointers) < 600 {
		t.Errorf("only %d schemas were found", len(pointers))
	}
}
