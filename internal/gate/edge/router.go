package edge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
)

// router finds operations by canonical segments: a trie in which the left-most literal wins, a segment with literal
// and variable parts ("{id}.json") comes next, a whole variable last.
type router struct{ root node }

type node struct {
	literal map[string]*node
	mixed   []mixedNode
	any     *node
	name    string // of the variable that leads to any
	methods []route
}

type mixedNode struct {
	pattern mixed
	next    *node
}

type route struct {
	method string
	op     *plan.Operation
	names  []string // path parameter names in order
}

func newRouter(operations []*plan.Operation) (*router, error) {
	r := new(router)
	for _, op := range operations {
		if err := r.add(op); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *router) add(op *plan.Operation) error {
	if !strings.HasPrefix(op.Path, "/") {
		return fmt.Errorf("%s: path %q does not begin with /", op.Source, op.Path)
	}
	n := &r.root
	var names []string
	for _, part := range strings.Split(op.Path[1:], "/") {
		var err error
		if n, names, err = n.child(part, names); err != nil {
			return fmt.Errorf("%s: path %q: %w", op.Source, op.Path, err)
		}
	}
	if slices.ContainsFunc(n.methods, func(o route) bool { return o.method == op.Method }) {
		return fmt.Errorf("%s: %s %s is declared twice", op.Source, op.Method, op.Path)
	}
	n.methods = append(n.methods, route{op.Method, op, names})
	return nil
}

// child returns the node for one template segment, made if need be.
func (n *node) child(part string, names []string) (*node, []string, error) {
	m, err := parseMixed(part)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case len(m.names) == 0:
		lit := m.literals[0]
		if n.literal == nil {
			n.literal = map[string]*node{}
		}
		if n.literal[lit] == nil {
			n.literal[lit] = new(node)
		}
		return n.literal[lit], names, nil
	case len(m.names) == 1 && m.literals[0] == "" && m.literals[1] == "":
		if n.any == nil {
			n.any = new(node)
		}
		return n.any, append(names, m.names[0]), nil
	}
	names = append(names, m.names...)
	for i := range n.mixed {
		if slices.Equal(n.mixed[i].pattern.literals, m.literals) {
			return n.mixed[i].next, names, nil
		}
	}
	next := new(node)
	i, _ := slices.BinarySearchFunc(n.mixed, m, func(a mixedNode, b mixed) int { return a.pattern.before(b) })
	n.mixed = slices.Insert(n.mixed, i, mixedNode{m, next})
	return next, names, nil
}

// mixed is a segment template: literals[0] {names[0]} literals[1] {names[1]} … literals[n].
type mixed struct{ literals, names []string }

func parseMixed(part string) (mixed, error) {
	var m mixed
	for {
		lit, rest, open := strings.Cut(part, "{")
		m.literals = append(m.literals, lit)
		if !open {
			if strings.Contains(lit, "}") {
				return m, fmt.Errorf("segment %q has an unmatched }", part)
			}
			return m, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || name == "" || strings.Contains(name, "{") {
			return m, fmt.Errorf("segment %q has an unmatched {", part)
		}
		if len(m.names) > 0 && lit == "" {
			return m, fmt.Errorf("segment %q has two variables side by side", part)
		}
		m.names = append(m.names, name)
		part = after
	}
}

// before orders templates of one place, so that none depends on where in the document it stands: more literal at the left
// first, then more literal in all, then fewer variables.
func (m mixed) before(o mixed) int {
	return cmp.Or(cmp.Compare(len(o.literals[0]), len(m.literals[0])), cmp.Compare(len(strings.Join(o.literals, "")), len(strings.Join(m.literals, ""))),
		cmp.Compare(len(m.names), len(o.names)), slices.Compare(m.literals, o.literals))
}

// match cuts an escaped segment by the template; each variable takes as little as its following literal allows, and
// never nothing.
func (m *mixed) match(escaped string, dst []string) ([]string, bool) {
	rest, ok := strings.CutPrefix(escaped, m.literals[0])
	if !ok {
		return dst, false
	}
	for i := range m.names {
		lit := m.literals[i+1]
		var value string
		if i == len(m.names)-1 {
			if value, ok = strings.CutSuffix(rest, lit); !ok {
				return dst, false
			}
		} else {
			value, rest, ok = strings.Cut(rest, lit)
			if !ok {
				return dst, false
			}
		}
		if value == "" {
			return dst, false
		}
		dst = append(dst, value)
	}
	return dst, true
}

// found is what a path leads to.
type found struct {
	node      *node
	values    []string
	ambiguous bool // the path is another operation's to whoever decodes it first
}

// find walks the segments, left-most literal first, and comes back where a literal led nowhere.
func (n *node) find(segments []segment, values []string) (found, bool) {
	if len(segments) == 0 {
		return found{node: n, values: values}, len(n.methods) > 0
	}
	s := segments[0]
	if next := n.literal[s.decoded]; next != nil {
		if f, ok := next.find(segments[1:], values); ok {
			return f, true
		}
	}
	for i := range n.mixed {
		if s.slash {
			break
		}
		if vs, ok := n.mixed[i].pattern.match(s.escaped, values); ok {
			if f, ok := n.mixed[i].next.find(segments[1:], vs); ok {
				return f, true
			}
		} else if s.escaped != s.decoded {
			// An escaped ':' of "{id}:export" is plain data here and a delimiter to an upstream that decodes (threat 1).
			if _, ok := n.mixed[i].pattern.match(s.decoded, nil); ok {
				return found{ambiguous: true}, true
			}
		}
	}
	if n.any != nil && s.escaped != "" {
		return n.any.find(segments[1:], append(values, s.escaped))
	}
	return found{}, false
}

// route returns the operation of a method, with HEAD following GET.
func (f found) route(method string) (*route, bool) {
	for i := range f.node.methods {
		if f.node.methods[i].method == method {
			return &f.node.methods[i], true
		}
	}
	if method == "HEAD" {
		return f.route("GET")
	}
	return nil, false
}

// allow lists the methods of a path, sorted, for Allow (RFC 9110 §10.2.1).
func (f found) allow() string {
	var methods []string
	for _, r := range f.node.methods {
		methods = append(methods, r.method)
		if r.method == "GET" {
			methods = append(methods, "HEAD")
		}
	}
	slices.Sort(methods)
	return strings.Join(slices.Compact(methods), ", ")
}

// params pairs the names of a route with the values found.
func (f found) params(r *route, dst []exchange.Param) []exchange.Param {
	for i, name := range r.names {
		dst = append(dst, exchange.Param{Name: name, Value: f.values[i]})
	}
	return dst
}
