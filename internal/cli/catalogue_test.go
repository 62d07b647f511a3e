package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/attack"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/control/catalogue"
	"github.com/portreeve/portreeve/internal/demo"
	"github.com/portreeve/portreeve/internal/evidence"
	"github.com/portreeve/portreeve/internal/lint"
)

// unbuilt are the tests that the catalogue names and nobody has built yet. The list only shrinks: a test that exists and
// still stands here is a fault.
var unbuilt = []string{
	"attack/attribute-pairs", "attack/flow-pace", "attack/health-disclosure", "attack/health-probe", "attack/injection-corpus", "attack/limit-window",
	"attack/plaintext", "attack/portal-keys", "attack/security-contact", "attack/ssrf", "attack/tls-certificate", "attack/tls-versions",
	"attack/token-revoked", "attack/unclassified-values",
	"drill/alert", "drill/anomaly", "drill/canary-secrets", "drill/clock", "drill/event-schema", "drill/events", "drill/key-store-audit", "drill/kill-switch",
	"drill/ledger-restore", "drill/ledger-tamper", "drill/missing-secret", "drill/pan-refused", "drill/plan-diff", "drill/replica-loss", "drill/replicas",
	"drill/restore", "drill/secret-age", "drill/store-canary", "drill/token-ids", "drill/upstream-certificate", "drill/upstream-faults",
	"import/42crunch", "import/approvals", "import/bandit", "import/burp", "import/codeql", "import/openapi-validator", "import/postman", "import/sarif",
	"import/sbom", "import/schemathesis", "import/semgrep", "import/zap",
	"prove/finding-age", "prove/limit-overrides", "prove/packs", "prove/policy-dates",
}

// TestCatalogueNamesRealTests holds that catalogue, attacks and checks know each other.
func TestCatalogueNamesRealTests(t *testing.T) {
	c := catalogue.Builtin()
	exists := map[string][]control.ID{}
	for _, r := range lint.Rules() {
		exists["check/"+r.ID] = r.Controls
	}
	for _, a := range attack.Attacks {
		exists["attack/"+a.Rule.ID] = a.Rule.Controls
	}
	for _, t := range evidence.Computed {
		exists[t.By] = t.Controls
	}
	named := map[string]bool{}
	for _, x := range c.Controls {
		for _, by := range x.TestedBy.By {
			named[by] = true
			controls, built := exists[by]
			switch {
			case built && slices.Contains(unbuilt, by):
				t.Errorf("%s is built: take it off the list", by)
			case built && !slices.Contains(controls, x.ID):
				t.Errorf("the catalogue has %s tested by %s, which does not say so", x.ID, by)
			case !built && !slices.Contains(unbuilt, by):
				t.Errorf("the catalogue has %s tested by %s, which does not exist", x.ID, by)
			}
		}
	}
	for _, by := range unbuilt {
		if !named[by] {
			t.Errorf("nothing asks for %s any more: take it off the list", by)
		}
	}
	for by, controls := range exists {
		for _, id := range controls {
			switch x := c.Control(id); {
			case x == nil:
				t.Errorf("%s tests %q, which is no control", by, id)
			case !slices.Contains(x.TestedBy.By, by):
				t.Errorf("%s tests %s, and the catalogue does not say so", by, id)
			}
		}
	}
	t.Logf("%d tests exist, %d are named and not built", len(exists), len(unbuilt))
}

// TestStepsNameRealControls reads the gate's source for the controls its steps say they enforce.
func TestStepsNameRealControls(t *testing.T) {
	c := catalogue.Builtin()
	found := 0
	err := filepath.WalkDir(filepath.Join("..", "gate"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, id := range controlsIn(f) {
			found++
			if x := c.Control(id); x == nil {
				t.Errorf("%s enforces %q, which is no control", path, id)
			} else if !x.Requires(control.Declared) {
				t.Errorf("%s enforces %s, which no configuration can declare", path, id)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 30 {
		t.Errorf("only %d controls were found: where do they stand now?", found)
	}
}

// controlsIn collects the literals of []control.ID.
func controlsIn(f *ast.File) []control.ID {
	var out []control.ID
	ast.Inspect(f, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		list, ok := lit.Type.(*ast.ArrayType)
		if !ok {
			return true
		}
		if s, ok := list.Elt.(*ast.SelectorExpr); !ok || s.Sel.Name != "ID" {
			return true
		}
		for _, e := range lit.Elts {
			if b, ok := e.(*ast.BasicLit); ok {
				if id, err := strconv.Unquote(b.Value); err == nil {
					out = append(out, control.ID(id))
				}
			}
		}
		return true
	})
	return out
}

// TestDemonstrationsNameRealControls holds the demo's table against the catalogue.
func TestDemonstrationsNameRealControls(t *testing.T) {
	for _, d := range demo.Demonstrations(demo.Forged{}) {
		for _, id := range d.Controls {
			if catalogue.Builtin().Control(control.ID(id)) == nil {
				t.Errorf("%s shows %q, which is no control", d.ID, id)
			}
		}
	}
}
