package spec

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// references finds what a $ref leads to. It reads nothing but the document itself.
type references struct {
	root  *tree.Node
	found map[string]place
	names map[*tree.Node]map[string]*tree.Node // of large objects: looking through them for every $ref would take for ever
}

type place struct {
	n       *tree.Node
	pointer string
	problem string // "" when the place exists
}

func newReferences(root *tree.Node) *references {
	return &references{root: root, found: map[string]place{}, names: map[*tree.Node]map[string]*tree.Node{}}
}

// target returns the node, its JSON pointer, and what is wrong with the reference.
func (r *references) target(ref string) (*tree.Node, string, string) {
	p, known := r.found[ref]
	if !known {
		p = r.locate(ref)
		r.found[ref] = p
	}
	return p.n, p.pointer, p.problem
}

func (r *references) locate(ref string) place {
	fragment, local := strings.CutPrefix(ref, "#")
	if !local {
		return place{problem: "leads outside this file"}
	}
	pointer, err := url.PathUnescape(fragment) // RFC 6901 §6
	switch {
	case err != nil:
		return place{problem: "is not percent-encoded correctly"}
	case pointer != "" && pointer[0] != '/':
		return place{problem: "names an anchor; write the JSON pointer, #/components/…"}
	}
	n := r.root
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer == "" {
			break
		}
		if n = r.child(n, strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")); n == nil {
			return place{problem: "leads nowhere"}
		}
	}
	return place{n: n, pointer: pointer}
}

func (r *references) child(n *tree.Node, name string) *tree.Node {
	if n.Kind == tree.Array {
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(n.Items) || strconv.Itoa(i) != name {
			return nil
		}
		return n.Items[i]
	}
	if len(n.Members) < 16 {
		return n.Get(name)
	}
	index := r.names[n]
	if index == nil {
		index = make(map[string]*tree.Node, len(n.Members))
		for _, m := range n.Members {
			index[m.Name] = m.Value
		}
		r.names[n] = index
	}
	return index[name]
}

// follow goes on from a node to the object that is meant, through as many references as there are.
func (r *references) follow(n *tree.Node, at string) (*tree.Node, string, string) {
	var been map[*tree.Node]bool
	for {
		ref := n.Get("$ref")
		if ref == nil || ref.Kind != tree.String {
			return n, at, ""
		}
		if been[n] {
			return nil, at, "leads in a circle"
		}
		if been == nil {
			been = map[*tree.Node]bool{}
		}
		been[n] = true
		next, where, problem := r.target(ref.Text)
		if problem != "" {
			return nil, at, problem
		}
		n, at = next, where
	}
}

// schema follows a schema that is nothing but a reference. Where other keywords stand beside $ref they count, so that
// the schema is meant as it stands, except in OpenAPI 3.0, which ignores them.
func (r *references) schema(n *tree.Node, at string, v version) string {
	for range 1000 { // walker.loops found the circles
		ref := n.Get("$ref")
		if ref == nil || v > v30 && len(n.Members) > 1 {
			return at
		}
		next, where, problem := r.target(ref.Text)
		if problem != "" {
			return at
		}
		n, at = next, where
	}
	return at
}
