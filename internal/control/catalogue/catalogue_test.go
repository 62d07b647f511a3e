package catalogue

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/vectors"
)

func TestBuiltin(t *testing.T) {
	c, err := Parse("catalogue.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Controls) != 121 || len(c.Items) != 89 || len(c.Frameworks) != 8 {
		t.Errorf("%d controls, %d guide items, %d frameworks", len(c.Controls), len(c.Items), len(c.Frameworks))
	}
	if c.Hash != Builtin().Hash || len(c.Hash) != 64 {
		t.Errorf("hash %q", c.Hash)
	}
	if c.Control("authn.required").Title == "" || c.Control("no.such") != nil {
		t.Error("looking up a control")
	}
	for _, id := range []control.ID{"token.revocation", "respond.contain"} {
		if p := c.Control(id).Parameters[0]; p.Default != "PT1S" {
			t.Errorf("%s: %s is %s", id, p.Name, p.Default)
		}
	}
}

// TestGuideLines holds that a control and a line of the guide that names it know each other.
func TestGuideLines(t *testing.T) {
	c := Builtin()
	for _, i := range c.Items {
		for _, id := range i.Controls {
			if i.Kind == "guide-metadata" || i.Kind == "tool" || i.Kind == "getting-help" || i.Kind == "mapping-row" {
				continue // their controls speak of the section
			}
			if !slices.Contains(c.Control(id).Guide.Lines, i.Line) {
				t.Errorf("line %d names %s, which does not name line %d", i.Line, id, i.Line)
			}
		}
	}
}

// frameworkIDs reads the lists of identifiers that exist, which are not part of the project.
func frameworkIDs(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(filepath.Dir(vectors.Path(t, "documents")), "..", "framework-ids.json"))
	if err != nil {
		t.Skip("SKIPPED: framework-ids.json is not beside the vectors; set PORTREEVE_VECTORS to a folder that has it as a neighbour")
	}
	var ids map[string][]string
	if err := json.Unmarshal(b, &ids); err != nil {
		t.Fatal(err)
	}
	return ids
}

func unknownIDs(c *Catalogue, ids map[string][]string) (unknown []string, checked int) {
	look := func(of, framework string, list []string) {
		for _, id := range list {
			checked++
			if !slices.Contains(ids[framework], id) {
				unknown = append(unknown, of+": "+framework+" "+id)
			}
		}
	}
	for _, x := range c.Controls {
		for _, m := range x.Mappings {
			look(string(x.ID), m.Framework, m.IDs)
		}
	}
	for _, i := range c.Items {
		look(i.Text, i.Framework, i.IDs)
	}
	return unknown, checked
}

func TestFrameworkIDsExist(t *testing.T) {
	ids := frameworkIDs(t)
	unknown, checked := unknownIDs(Builtin(), ids)
	for _, u := range unknown {
		t.Error("no such identifier: " + u)
	}
	if checked < 1000 {
		t.Errorf("only %d identifiers were looked at", checked)
	}
	t.Logf("%d identifiers of %d frameworks", checked, len(ids))
	if u, _ := unknownIDs(&Catalogue{Controls: []Control{{ID: "a.b", Mappings: []Mapping{{"pci-dss-4.0.1", []string{"8.3.99"}}}}}}, ids); len(u) != 1 {
		t.Error("an identifier that does not exist was not found")
	}
}

func TestFaultsOfACatalogue(t *testing.T) {
	whole := string(text)
	for name, c := range map[string]struct{ old, new, want string }{
		"an unknown field":             {"why: Identity taken", "wy: Identity taken", `lacks "why"`},
		"a field too many":             {"  group: authn\n", "  group: authn\n  grp: x\n", `has no field "grp"`},
		"a control twice":              {"- id: authn.stateless\n", "- id: authn.required\n", "stands twice"},
		"a line nobody carries":        {"  controls: [authn.stateless]", "  controls: []", "carried by no control"},
		"a line with another's":        {"  controls: [authn.stateless]", "  controls: [authn.stateful]", `"authn.stateful", which does not exist`},
		"a framework nobody listed":    {"{framework: gdpr, ids: [25(1), 25(2)]}", "{framework: gdrp, ids: [25(1), 25(2)]}", `"gdrp", which does not exist`},
		"an id that lost its quotes":   {"ids: ['8.3.4']", "ids: [8.3]", "ids is not text"},
		"a facet nothing shows":        {"by: [import/semgrep]", "by: []", `the facet "tested"`},
		"a tester nobody knows":        {"attack/bola-list", "magic/bola-list", `cannot be "magic/bola-list"`},
		"a severity that is no word":   {"severity: critical", "severity: severe", "severe"},
		"a facet that is no word":      {"evidence: [declared, tested, operating]", "evidence: [declared, believed]", `"believed"`},
		"a bound that is no word":      {"bound: lte", "bound: below", `"below"`},
		"an edition that is not read":  {"schema: portreeve/catalogue/v1", "schema: portreeve/catalogue/v9", "is not read"},
		"a control of another's group": {"  group: design\n", "  group: authz\n", "the group"},
	} {
		if strings.Count(whole, c.old) == 0 {
			t.Errorf("%s: %q is not in the catalogue", name, c.old)
			continue
		}
		_, err := Parse("catalogue.yaml", []byte(strings.Replace(whole, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
