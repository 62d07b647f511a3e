package spec

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/tree"
	"github.com/portreeve/portreeve/internal/vectors"
)

// TestJSONPathCompliance runs the JSONPath compliance test suite. It knows lists of nodes in which one may stand twice;
// here each is selected once, so that no action is done twice, and results are compared as sets of places.
func TestJSONPathCompliance(t *testing.T) {
	b, err := os.ReadFile(vectors.Path(t, "jsonpath/cts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var suite struct {
		Tests []struct {
			Name, Selector string
			Document       json.RawMessage
			Invalid        bool       `json:"invalid_selector"`
			Paths          []string   `json:"result_paths"`
			Several        [][]string `json:"results_paths"`
		}
	}
	if err := json.Unmarshal(b, &suite); err != nil {
		t.Fatal(err)
	}
	invalid := 0
	for _, c := range suite.Tests {
		q, err := parseQuery(c.Selector)
		if c.Invalid {
			if invalid++; err == nil {
				t.Errorf("%s: %q was understood", c.Name, c.Selector)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		root, err := tree.Parse("cts", wrapped(c.Document))
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		root = root.Items[0]
		found, err := q.find(root)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		places := map[*tree.Node]string{}
		normalized(root, "$", places)
		got := make([]string, len(found))
		for i, m := range found {
			got[i] = places[m.n]
		}
		all := c.Several
		if all == nil {
			all = [][]string{c.Paths}
		}
		if !slices.ContainsFunc(all, func(want []string) bool { return slices.Equal(set(want), set(got)) }) {
			t.Errorf("%s: %s selects %v, not %v", c.Name, c.Selector, got, all)
		}
	}
	t.Logf("%d queries answered, %d refused", len(suite.Tests)-invalid, invalid)
	if len(suite.Tests) < 600 || invalid < 200 {
		t.Errorf("the suite has only %d tests, %d of them invalid", len(suite.Tests), invalid)
	}
}

// wrapped makes a list of a value: a scalar alone would be read as YAML.
func wrapped(v []byte) []byte { return slices.Concat([]byte("["), v, []byte("]")) }

func set(list []string) []string {
	list = slices.Sorted(slices.Values(list))
	return slices.Compact(list)
}

// normalized gives every node its normalized path (RFC 9535 §2.7).
func normalized(n *tree.Node, at string, places map[*tree.Node]string) {
	places[n] = at
	for _, m := range n.Members {
		normalized(m.Value, at+"['"+strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\b", `\b`, "\t", `\t`, "\n", `\n`, "\f", `\f`, "\r", `\r`, "\x00", `\u0000`, "\x01", `\u0001`, "\x1f", `\u001f`).Replace(m.Name)+"']", places)
	}
	for i, item := range n.Items {
		normalized(item, at+"["+itoa(i)+"]", places)
	}
}
