package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/theory/jsonpath"
	jp "github.com/theory/jsonpath/spec"

	"github.com/portreeve/portreeve/internal/tree"
)

// query is a JSONPath (RFC 9535). A library reads it and decides its filters; the walk is made here, over nodes that know
// their places.
type query struct {
	segments []*jp.Segment
	deep     int  // descents inside filters
	absolute bool // a filter may look at the whole document
}

// match is a node a query selects, with the object or list it stands in.
type match struct{ parent, n *tree.Node }

const (
	maxQuery = 4 << 10    // bytes
	maxSteps = 20_000_000 // of one query: filters may hold queries of their own
)

var errSteps = errors.New("takes too long to answer")

func parseQuery(s string) (*query, error) {
	if len(s) > maxQuery {
		return nil, fmt.Errorf("longer than %d bytes", maxQuery)
	}
	p, err := jsonpath.Parse(s)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "jsonpath: "))
	}
	q := &query{p.Query().Segments(), strings.Count(s, ".."), strings.Count(s, "$") > 1}
	for _, segment := range q.segments {
		if segment.IsDescendant() {
			q.deep--
		}
	}
	return q, nil
}

// finder evaluates a query within a budget.
type finder struct {
	*query
	document *tree.Node
	root     any // the document for filters; nil where none looks at it
	values   map[*tree.Node]any
	sizes    map[*tree.Node]int
	steps    int
}

// find returns what a query selects, each node once, in the document's order.
func (q *query) find(root *tree.Node) (found []match, err error) {
	defer func() {
		if recover() != nil { // the library's panic over a filter is the overlay's fault, not the end of the process
			found, err = nil, errors.New("cannot be answered")
		}
	}()
	f := &finder{query: q, document: root, values: map[*tree.Node]any{}, sizes: map[*tree.Node]int{}, steps: maxSteps}
	if q.absolute {
		f.root = f.value(root)
	}
	now := []match{{n: root}}
	for _, s := range q.segments {
		var next []match
		taken := map[*tree.Node]bool{}
		been := map[*tree.Node]bool{}
		take := func(parent, n *tree.Node) {
			if !taken[n] {
				taken[n] = true
				next = append(next, match{parent, n})
			}
		}
		for _, m := range now {
			f.children(m.n, s, been, take)
		}
		now = next
	}
	if f.steps < 0 {
		return nil, errSteps
	}
	return now, nil
}

// children takes the children of a node, and with .. those of everything below it.
func (f *finder) children(n *tree.Node, s *jp.Segment, been map[*tree.Node]bool, take func(parent, n *tree.Node)) {
	if s.IsDescendant() {
		if been[n] {
			return
		}
		been[n] = true
	}
	for _, sel := range s.Selectors() {
		if f.steps -= 1 + len(n.Members) + len(n.Items); f.steps < 0 {
			return
		}
		f.chosen(n, sel, take)
	}
	if !s.IsDescendant() {
		return
	}
	for _, m := range n.Members {
		f.children(m.Value, s, been, take)
	}
	for _, item := range n.Items {
		f.children(item, s, been, take)
	}
}

func (f *finder) chosen(n *tree.Node, sel jp.Selector, take func(parent, n *tree.Node)) {
	switch sel := sel.(type) {
	case jp.Name:
		if c := n.Get(string(sel)); c != nil {
			take(n, c)
		}
	case jp.Index:
		i := int(sel)
		if i < 0 {
			i += len(n.Items)
		}
		if i >= 0 && i < len(n.Items) {
			take(n, n.Items[i])
		}
	case jp.SliceSelector:
		lower, upper := sel.Bounds(len(n.Items))
		step := sel.Step()
		for i := lower; step > 0 && i < upper; i += step {
			take(n, n.Items[i])
		}
		for i := upper; step < 0 && i > lower; i += step {
			take(n, n.Items[i])
		}
	case *jp.FilterSelector:
		each := func(c *tree.Node) {
			if f.holds(sel, c) {
				take(n, c)
			}
		}
		for _, m := range n.Members {
			each(m.Value)
		}
		for _, item := range n.Items {
			each(item)
		}
	case jp.WildcardSelector:
		for _, m := range n.Members {
			take(n, m.Value)
		}
		for _, item := range n.Items {
			take(n, item)
		}
	default: // RFC 9535 §2.3 has no other
		f.steps = -1
	}
}

// holds asks a filter, for the price of all it could look at.
func (f *finder) holds(filter *jp.FilterSelector, n *tree.Node) bool {
	if f.steps < 0 {
		return false
	}
	look := f.size(n)
	if f.absolute {
		look += f.size(f.document)
	}
	cost := 1
	for range f.deep { // a descent inside a descent looks at everything for everything
		if cost *= look; cost > f.steps {
			break
		}
	}
	if f.steps -= cost; f.steps < 0 {
		return false
	}
	return filter.Eval(f.value(n), f.root)
}

// size counts the nodes of a part of the document.
func (f *finder) size(n *tree.Node) int {
	if s, known := f.sizes[n]; known {
		return s
	}
	s := size(n)
	f.sizes[n] = s
	return s
}

// value is a node as the library knows values.
func (f *finder) value(n *tree.Node) any {
	switch n.Kind {
	case tree.Bool:
		return n.Text == "true"
	case tree.String:
		return n.Text
	case tree.Number:
		if v, err := strconv.ParseFloat(n.Text, 64); err == nil {
			return v
		}
		return json.Number(n.Text)
	case tree.Null:
		return nil
	}
	if v, known := f.values[n]; known {
		return v
	}
	if n.Kind == tree.Array {
		list := make([]any, len(n.Items))
		for i, item := range n.Items {
			list[i] = f.value(item)
		}
		f.values[n] = list
		return list
	}
	object := make(map[string]any, len(n.Members))
	for _, m := range n.Members {
		object[m.Name] = f.value(m.Value)
	}
	f.values[n] = object
	return object
}
