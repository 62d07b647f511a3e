package starter

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// graph is every schema that judges a body, each once, with what it leads to.
type graph struct {
	doc     *spec.Document
	nodes   map[*tree.Node]*node
	order   []*node // as the document has them
	byName  map[string]*tree.Node
	targets map[string]target
}

type target struct {
	n       *tree.Node
	pointer string
}

// node is one schema.
type node struct {
	n       *tree.Node
	pointer string
	to      []*node
	parent  *node  // of a property: the schema that declares it
	name    string // of a property: its name

	answers   bool // some answer may hold it
	whole     bool // it is a whole answer, or all that an answer holds
	issues    bool // an answer of an operation that hands out credentials may
	resources []string
}

// most bounds how many resources one schema remembers: what more have in common belongs to none of them.
const most = 8

func newGraph(d *spec.Document) *graph {
	g := &graph{doc: d, nodes: map[*tree.Node]*node{}, byName: map[string]*tree.Node{}, targets: map[string]target{}}
	const components = "/components/schemas"
	if all := d.Node(components); all != nil {
		for _, m := range all.Members {
			g.byName[m.Name] = m.Value
		}
		for _, m := range all.Members {
			g.enter(m.Value, components+"/"+tree.Escape(m.Name))
		}
	}
	for _, op := range d.Operations {
		if op.Body != nil {
			for _, m := range op.Body.Content {
				g.at(m.Schema)
			}
		}
		for _, r := range op.Responses {
			for _, m := range r.Content {
				g.at(m.Schema)
			}
		}
	}
	return g
}

// at returns the schema at a pointer, nil where there is none.
func (g *graph) at(pointer string) *node {
	if pointer == "" {
		return nil
	}
	n := g.doc.Node(pointer)
	if n == nil {
		return nil
	}
	return g.enter(n, pointer)
}

// enter adds a schema and everything it leads to.
func (g *graph) enter(n *tree.Node, pointer string) *node {
	first := g.put(n, pointer)
	for queue := []*node{first}; len(queue) > 0; {
		now := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if now.to != nil {
			continue
		}
		now.to = g.children(now)
		for _, c := range slices.Backward(now.to) {
			if c.to == nil {
				queue = append(queue, c)
			}
		}
	}
	return first
}

func (g *graph) put(n *tree.Node, pointer string) *node {
	s := g.nodes[n]
	if s == nil {
		s = &node{n: n, pointer: pointer}
		g.nodes[n] = s
		g.order = append(g.order, s)
	}
	return s
}

// children are the schemas a schema leads to; never nil.
func (g *graph) children(s *node) []*node {
	out := []*node{}
	if ref := s.n.Get("$ref").Str(); ref != "" {
		if t := g.resolve(ref); t.n != nil {
			out = append(out, g.put(t.n, t.pointer))
		}
		if g.doc.Is30() {
			return out
		}
	}
	for _, m := range s.n.Members {
		at := s.pointer + "/" + m.Name
		switch m.Name {
		case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas":
			for _, p := range m.Value.Members {
				c := g.put(p.Value, at+"/"+tree.Escape(p.Name))
				if m.Name == "properties" && c.parent == nil {
					c.parent, c.name = s, p.Name
				}
				out = append(out, c)
			}
		case "allOf", "anyOf", "oneOf", "prefixItems":
			for i, item := range m.Value.Items {
				out = append(out, g.put(item, at+"/"+strconv.Itoa(i)))
			}
		case "items", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "contains", "if", "then", "else":
			if m.Value.Kind == tree.Object {
				out = append(out, g.put(m.Value, at))
			}
		}
	}
	return out
}

func (g *graph) resolve(ref string) target {
	if t, known := g.targets[ref]; known {
		return t
	}
	var t target
	if pointer, ok := pointerOf(ref); ok {
		const components = "/components/schemas/"
		if name, ok := strings.CutPrefix(pointer, components); ok && !strings.Contains(name, "/") {
			t = target{g.byName[unescape(name)], pointer}
		} else {
			t = target{g.doc.Node(pointer), pointer}
		}
	}
	g.targets[ref] = t
	return t
}

// pointerOf is the JSON pointer of a local reference (RFC 6901 §6).
func pointerOf(ref string) (string, bool) {
	fragment, local := strings.CutPrefix(ref, "#")
	pointer, err := url.PathUnescape(fragment)
	return pointer, local && err == nil
}

func unescape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// follow goes through references to the schema that is meant.
func (g *graph) follow(n *tree.Node) *tree.Node {
	for range 32 {
		ref := n.Get("$ref").Str()
		if ref == "" {
			return n
		}
		t := g.resolve(ref)
		if t.n == nil {
			return n
		}
		n = t.n
	}
	return n
}

// reach tells every schema which operations' answers may hold it.
func (p *Proposal) reach() {
	for _, o := range p.Operations {
		if o.remove {
			continue
		}
		issues := issuing(o)
		for _, r := range o.op.Responses {
			success := r.Status != "" && (r.Status[0] == '2' || r.Status == "default")
			for _, m := range r.Content {
				if s := p.schemas.at(m.Schema); s != nil {
					p.schemas.mark(s, o.Resource, issues && success)
					if success {
						p.schemas.whole(s)
					}
				}
			}
		}
	}
}

// mark lets a schema and all it leads to know an operation, as long as that is news.
func (g *graph) mark(s *node, resource string, issues bool) {
	for queue := []*node{s}; len(queue) > 0; {
		now := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		news := !now.answers || issues && !now.issues
		now.answers, now.issues = true, now.issues || issues
		if len(now.resources) < most && !slices.Contains(now.resources, resource) {
			now.resources = append(now.resources, resource)
			news = true
		}
		if news {
			queue = append(queue, now.to...)
		}
	}
}

// whole marks what a whole answer is made of: the schema, those that judge the same value, and the one property of an
// object that has no other.
func (g *graph) whole(s *node) {
	for queue := []*node{s}; len(queue) > 0; {
		now := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if now.whole {
			continue
		}
		now.whole = true
		properties := now.n.Get("properties")
		for _, c := range now.to {
			inner := c.parent == now && properties.Get(c.name) == c.n
			if inner && len(properties.Members) > 1 || !inner && !g.same(now, c) {
				continue
			}
			queue = append(queue, c)
		}
	}
}

// same reports whether a schema judges the very value another judges.
func (g *graph) same(s, c *node) bool {
	if ref := s.n.Get("$ref").Str(); ref != "" && g.resolve(ref).n == c.n {
		return true
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		if list := s.n.Get(keyword); list != nil && slices.Contains(list.Items, c.n) {
			return true
		}
	}
	return false
}

// within is the name of what declares a property: the property or component above it.
func (s *node) within() string {
	if s.parent == nil {
		return ""
	}
	tokens := strings.Split(s.parent.pointer, "/")
	for i := len(tokens) - 1; i > 0; i-- {
		if tokens[i-1] == "properties" || tokens[i-1] == "schemas" {
			return unescape(tokens[i])
		}
	}
	return ""
}

// component is the name of the component a schema stands in, "" for one that stands in an operation.
func (s *node) component() string {
	rest, ok := strings.CutPrefix(s.pointer, "/components/schemas/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return unescape(name)
}

// types are the JSON types a schema names, through references; none when it names none.
func (g *graph) types(n *tree.Node) []string {
	n = g.follow(n)
	t := n.Get("type")
	switch {
	case t == nil:
		if n.Get("properties") != nil {
			return []string{"object"}
		}
		return nil
	case t.Kind == tree.String:
		return []string{t.Text}
	}
	var out []string
	for _, item := range t.Items {
		if item.Str() != "null" {
			out = append(out, item.Str())
		}
	}
	return out
}
