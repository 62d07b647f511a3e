package spec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/tree"
)

func TestQueries(t *testing.T) {
	root, err := tree.Parse("q", []byte(`{"a":{"b":1,"x-c":[{"n":"x","k":true},{"n":"y"},{"n":"z","k":false}]},"é f":{"b":2,"n":"x"},"l":[10,20,30]}`))
	if err != nil {
		t.Fatal(err)
	}
	for q, want := range map[string]string{
		"$.a.b": "1", "$['a']['b']": "1", `$["é f"].b`: "2", "$.l[0]": "10", "$.l[-1]": "30", "$.l[0,2]": "10 30", "$.l[*]": "10 20 30",
		"$..b": "1 2", "$..['b','n']": `1 "x" "y" "z" 2 "x"`, "$.a['x-c'][*].n": `"x" "y" "z"`,
		"$.a['x-c'][?@.n=='x']":                       `{"n":"x","k":true}`,
		"$.a['x-c'][?(@.n == 'x' || @.n == \"y\")].n": `"x" "y"`,
		"$.a['x-c'][?@.k].n":                          `"x" "z"`,
		"$.a['x-c'][?!@.k].n":                         `"y"`,
		"$.a['x-c'][?@.k == false && @.n != 'x'].n":   `"z"`,
		"$.a['x-c'][?@.n == $['é f'].n].n":            `"x"`,
		"$.l[?@ == 2e1]":                              "20",
		"$.nothing":                                   "",
		"$.l[7]":                                      "",
		"$.a['x-c'][?@.none == @.nothing].n":          `"x" "y" "z"`,
		"$..[?@.b]":                                   `{"b":1,"x-c":[{"n":"x","k":true},{"n":"y"},{"n":"z","k":false}]} {"b":2,"n":"x"}`,
		"$.l[0:2]":                                    "10 20",
		"$.l[?@ > 15]":                                "20 30",
		"$.a[?length(@) == 3][0].n":                   `"x"`,
		"$.a['x-c'][?match(@.n, '[xy]')].n":           `"x" "y"`,
		"$['\\u0061'].b":                              "1",
		"$..*..b":                                     "1 2",
	} {
		p, err := parseQuery(q)
		if err != nil {
			t.Errorf("%s: %v", q, err)
			continue
		}
		found, err := p.find(root)
		var got []string
		for _, m := range found {
			got = append(got, string(m.n.AppendJSON(nil)))
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" || err != nil {
			t.Errorf("%s: %v %s", q, err, diff)
		}
	}
	for _, q := range []string{"", "a", "$.", "$..", "$[", "$['a", "$[]", "$[01]", "$['a' 'b']", "$[?]", "$[?@..a==1]", "$.x-y",
		"$[?(@.a]", "$[?1]", "$.a b", "$[?!@.a==1]", "$[?" + strings.Repeat("!", 100) + "@]", "$" + strings.Repeat(".a", 5000)} {
		if _, err := parseQuery(q); err == nil {
			t.Errorf("%q was understood", q)
		}
	}
}

const over = "overlay: 1.0.0\ninfo: {title: o, version: '1'}\nactions:\n"

func TestOverlaySemantics(t *testing.T) {
	const doc = `{"openapi":"3.1.0","info":{"title":"T","version":"1"},"paths":{"/a":{"get":{"tags":["t"],"responses":{"200":{"description":"d"},"400":{"description":"e"}}}}}}`
	for actions, want := range map[string]string{
		"- {target: $.paths.*.get, update: {tags: [u], summary: S, responses: {'200': {description: new}}}}": `{"tags":["t","u"],"responses":{"200":{"description":"new"},"400":{"description":"e"}},"summary":"S"}`,
		"- {target: $.paths.*.get.tags, update: u}":                                                          `{"tags":["t","u"],"responses":{"200":{"description":"d"},"400":{"description":"e"}}}`,
		"- {target: \"$..responses[?@.description=='e']\", remove: true}":                                    `{"tags":["t"],"responses":{"200":{"description":"d"}}}`,
		"- {target: $..tags, remove: true}\n- {target: $..get, update: {tags: [v]}}":                         `{"responses":{"200":{"description":"d"},"400":{"description":"e"}},"tags":["v"]}`,
		"- {target: \"$..responses['200','400']\", update: {x-a: {b: 1}}}":                                   `{"tags":["t"],"responses":{"200":{"description":"d","x-a":{"b":1}},"400":{"description":"e","x-a":{"b":1}}}}`,
	} {
		d, err := Parse("d", []byte(doc), Overlay{"o", []byte(over + actions)})
		if err != nil {
			t.Errorf("%s: %v", actions, err)
			continue
		}
		if diff := cmp.Diff(want, string(d.Node("/paths/~1a/get").AppendJSON(nil))); diff != "" {
			t.Errorf("%s: %s", actions, diff)
		}
	}
	for text, want := range map[string]string{
		over + "- {target: $.paths.*.put, update: {}}":                                "o:4: target \"$.paths.*.put\" matches nothing",
		over + "- {target: $.info.title, update: x}":                                  "which no update can change",
		over + "- {target: $.info, update: [1]}":                                      "selects an object, and update is a list",
		over + "- {target: $, remove: true}":                                          "removes the whole document",
		over + "- {target: $.info}":                                                   "neither update nor remove",
		over + "- {target: $.info, updates: {}}":                                      `did you mean "update"?`,
		over + "- {target: '$.paths[1:2', remove: true}":                              "it is a JSONPath",
		over + "- {target: $.paths.*.get, update: {securty: []}}":                     `did you mean "security"?`,
		over + "- {target: $.paths.*.get, update: {security: [{k: []}]}}":             `o:4: security scheme "k" is not declared`,
		strings.Replace(over, "1.0.0", "1.1.0", 1) + "- {target: $.info, update: {}}": "no OpenAPI Overlay 1.0",
		"overlay: 1.0.0\ninfo: {title: o, version: '1'}\nactions: []\n":               "no actions",
		"a: 1\na: 2\n": "stands twice",
	} {
		if _, err := Parse("d", []byte(doc), Overlay{"o", []byte(text)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestOverlayCannotFillTheMemory(t *testing.T) {
	doc := fmtDoc(2000)
	var update strings.Builder
	for i := range 2000 {
		update.WriteString("x-" + itoa(i) + ": 1, ")
	}
	_, err := Parse("d", []byte(doc), Overlay{"o", []byte(over + "- {target: $..get, update: {" + update.String() + "}}")})
	if err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("got %v", err)
	}
}

// TestQueryCannotTakeForEver: a filter may ask about everything for everything, and is told so instead.
func TestQueryCannotTakeForEver(t *testing.T) {
	doc := []byte(fmtDoc(2000))
	for _, target := range []string{"$..[?@..[?@..[?@..*]]]", "$..[?$..[?@..a]]"} {
		_, err := Parse("d", doc, Overlay{"o", []byte(over + "- {target: '" + target + "', remove: true}")})
		if err == nil || !strings.Contains(err.Error(), "takes too long") {
			t.Errorf("%s: got %v", target, err)
		}
	}
	if _, err := Parse("d", doc, Overlay{"o", []byte(over + "- {target: '$..[?@..description]', update: {x-a: 1}}")}); err != nil && !strings.Contains(err.Error(), "no update can change") {
		t.Error(err)
	}
}
