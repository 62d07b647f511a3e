package lint

import (
	"net/url"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// schema is one schema that judges a part of some body or parameter, met for the first time.
type schema struct {
	n       *tree.Node // where its references lead
	own     *tree.Node // as it stands
	pointer string     // of n
	at      string     // pointer of own
	name    string     // of a property: its name; of a parameter too
	within  string     // the name of what a property stands in: a component's or another property's
	op      *spec.Operation
	status  string // of an answer
	param   *spec.Parameter
}

// requests are the schemas of what comes in: bodies and parameters.
func (s *Subject) requests() []*schema {
	if s.inRequests == nil {
		w := &schemaWalk{d: s.Document, seen: map[*tree.Node]bool{}}
		for _, op := range s.Document.Operations {
			for i := range op.Parameters {
				if p := &op.Parameters[i]; p.Schema != "" {
					w.enter(&schema{at: p.Schema, name: p.Name, op: op, param: p})
				}
			}
			if op.Body != nil {
				for _, m := range op.Body.Content {
					if m.Schema != "" {
						w.enter(&schema{at: m.Schema, op: op})
					}
				}
			}
		}
		s.inRequests = w.out
	}
	return s.inRequests
}

// answers are the schemas of what leaves.
func (s *Subject) answers() []*schema {
	if s.inAnswers == nil {
		w := &schemaWalk{d: s.Document, seen: map[*tree.Node]bool{}}
		for _, op := range s.Document.Operations {
			for _, r := range op.Responses {
				for _, m := range r.Content {
					if m.Schema != "" {
						w.enter(&schema{at: m.Schema, op: op, status: r.Status})
					}
				}
			}
		}
		s.inAnswers = w.out
	}
	return s.inAnswers
}

type schemaWalk struct {
	d    *spec.Document
	seen map[*tree.Node]bool
	out  []*schema
}

// enter adds a schema and what it leads to, in the order of the document. A property is told apart by where it stands, so
// that each name is met although its schema is shared.
func (w *schemaWalk) enter(first *schema) {
	for queue := []*schema{first}; len(queue) > 0; {
		s := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		s.own = w.d.Node(s.at)
		if s.own == nil || w.seen[s.own] {
			continue
		}
		w.seen[s.own] = true
		s.n, s.pointer = w.follow(s.own, s.at)
		if s.n == nil || s.n.Kind != tree.Object { // true and false have nothing to look at
			continue
		}
		w.out = append(w.out, s)
		if s.n != s.own && w.seen[s.n] {
			continue
		}
		w.seen[s.n] = true
		children := w.children(s)
		slices.Reverse(children)
		queue = append(queue, children...)
	}
}

// follow goes along local references.
func (w *schemaWalk) follow(n *tree.Node, pointer string) (*tree.Node, string) {
	for range 32 {
		ref := n.Get("$ref").Str()
		if ref == "" || !strings.HasPrefix(ref, "#") {
			return n, pointer
		}
		fragment, err := url.PathUnescape(ref[1:])
		if err != nil {
			return n, pointer
		}
		to := w.d.Node(fragment)
		if to == nil {
			return n, pointer
		}
		n, pointer = to, fragment
	}
	return n, pointer
}

func (w *schemaWalk) children(s *schema) []*schema {
	var out []*schema
	add := func(at, name, within string) {
		out = append(out, &schema{at: at, name: name, within: within, op: s.op, status: s.status})
	}
	within := s.name
	if component, ok := strings.CutPrefix(s.pointer, "/components/schemas/"); ok && !strings.Contains(component, "/") {
		within = component
	}
	for _, m := range s.n.Members {
		at := s.pointer + "/" + tree.Escape(m.Name)
		switch m.Name {
		case "properties":
			for _, p := range m.Value.Members {
				add(at+"/"+tree.Escape(p.Name), p.Name, within)
			}
		case "patternProperties", "dependentSchemas":
			for _, p := range m.Value.Members {
				add(at+"/"+tree.Escape(p.Name), "", within)
			}
		case "allOf", "anyOf", "oneOf", "prefixItems":
			for i := range m.Value.Items {
				// a part of the same value: what it says of properties, it says of that value
				add(at+"/"+itoa(i), "", within)
			}
		case "items", "additionalProperties", "unevaluatedProperties", "contains", "if", "then", "else":
			if m.Value.Kind == tree.Object {
				add(at, "", within)
			}
		}
	}
	return out
}

// extension is a member of x-portreeve of a schema, wherever it may stand: beside a reference, in what it leads to, or in
// a part of it.
func (s *schema) extension(name string) *tree.Node {
	for _, n := range []*tree.Node{s.own, s.n} {
		if x := n.Get("x-portreeve").Get(name); x != nil {
			return x
		}
		if all := n.Get("allOf"); all != nil {
			for _, item := range all.Items {
				if x := item.Get("x-portreeve").Get(name); x != nil {
					return x
				}
			}
		}
	}
	return nil
}

// flag reports whether a boolean keyword is true, beside the reference or behind it.
func (s *schema) flag(name string) bool { return s.own.Get(name).True() || s.n.Get(name).True() }

// types are what type says, none where it says nothing.
func (s *schema) types() []string {
	t := s.n.Get("type")
	switch {
	case t == nil:
		return nil
	case t.Kind == tree.Array:
		var out []string
		for _, item := range t.Items {
			if item.Text != "null" {
				out = append(out, item.Text)
			}
		}
		return out
	}
	return []string{t.Text}
}

func (s *schema) is(kind string) bool { return slices.Contains(s.types(), kind) }

// closed reports whether the values are a list.
func (s *schema) closed() bool { return s.n.Get("enum") != nil || s.n.Get("const") != nil }

// isJSON reports whether a media type is JSON.
func isJSON(t string) bool {
	return t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json")
}
