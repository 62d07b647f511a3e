package spec

import (
	"errors"
	"strconv"

	"github.com/portreeve/portreeve/internal/tree"
)

// match is a node a query selects, with the object or list it stands in.
type match struct{ parent, n *tree.Node }

// maxSteps bounds the work of one query: filters may hold queries of their own.
const maxSteps = 20_000_000

var errSteps = errors.New("takes too long to answer")

// finder evaluates queries within a budget.
type finder struct {
	root  *tree.Node
	steps int
}

// find returns what a query selects, each node once, in the document's order.
func (q query) find(root *tree.Node) ([]match, error) {
	f := &finder{root: root, steps: maxSteps}
	out := f.from(match{n: root}, q)
	if f.steps < 0 {
		return nil, errSteps
	}
	return out, nil
}

func (f *finder) from(start match, q query) []match {
	now := []match{start}
	for _, s := range q {
		var next []match
		taken := map[*tree.Node]bool{}
		been := map[*tree.Node]bool{}
		take := func(m match) {
			if !taken[m.n] {
				taken[m.n] = true
				next = append(next, m)
			}
		}
		for _, m := range now {
			f.children(m.n, s, been, take)
		}
		now = next
	}
	return now
}

// children takes the children of a node, and with .. those of everything below it.
func (f *finder) children(n *tree.Node, s segment, been map[*tree.Node]bool, take func(match)) {
	if s.deep {
		if been[n] {
			return
		}
		been[n] = true
	}
	for _, sel := range s.selectors {
		f.chosen(n, sel, take)
	}
	if !s.deep {
		return
	}
	for _, m := range n.Members {
		f.children(m.Value, s, been, take)
	}
	for _, item := range n.Items {
		f.children(item, s, been, take)
	}
}

func (f *finder) chosen(n *tree.Node, sel selector, take func(match)) {
	if f.steps -= 1 + len(n.Members) + len(n.Items); f.steps < 0 {
		return
	}
	switch sel.kind {
	case byName:
		if c := n.Get(sel.name); c != nil {
			take(match{n, c})
		}
	case byIndex:
		i := sel.index
		if i < 0 {
			i += len(n.Items)
		}
		if i >= 0 && i < len(n.Items) {
			take(match{n, n.Items[i]})
		}
	default:
		each := func(c *tree.Node) {
			if sel.kind == wildcard || f.holds(sel.filter, c) {
				take(match{n, c})
			}
		}
		for _, m := range n.Members {
			each(m.Value)
		}
		for _, item := range n.Items {
			each(item)
		}
	}
}

func (f *finder) holds(c filter, n *tree.Node) bool {
	switch c := c.(type) {
	case all:
		for _, part := range c {
			if !f.holds(part, n) {
				return false
			}
		}
		return true
	case some:
		for _, part := range c {
			if f.holds(part, n) {
				return true
			}
		}
		return false
	case negated:
		return !f.holds(c.of, n)
	case exists:
		return len(f.values(c.of, n)) > 0
	case equal:
		a, b := f.values(c.a, n), f.values(c.b, n)
		if len(a) == 0 || len(b) == 0 {
			return len(a) == len(b) // nothing equals nothing, RFC 9535 §2.3.5.2.2
		}
		return same(a[0].n, b[0].n)
	}
	return false
}

func (f *finder) values(o operand, n *tree.Node) []match {
	switch {
	case o.literal != nil:
		return []match{{n: o.literal}}
	case o.absolute:
		return f.from(match{n: f.root}, o.path)
	}
	return f.from(match{n: n}, o.path)
}

// same compares scalars; an object or a list equals nothing here.
func same(a, b *tree.Node) bool {
	if a.Kind != b.Kind || a.Kind == tree.Object || a.Kind == tree.Array {
		return false
	}
	if a.Kind == tree.Number {
		x, errX := strconv.ParseFloat(a.Text, 64)
		y, errY := strconv.ParseFloat(b.Text, 64)
		return errX == nil && errY == nil && x == y
	}
	return a.Kind == tree.Null || a.Text == b.Text
}
