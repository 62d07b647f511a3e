package spec

import (
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// maxCopies bounds what one overlay adds: an update is copied for every match.
const maxCopies = 1 << 20

// apply applies an overlay's actions in order (OpenAPI Overlay 1.0). An action that matches nothing is an error, though
// the specification permits it: the document was changed under it, and what it should protect stands unprotected.
func apply(root *tree.Node, o Overlay, f *faults) {
	over, err := tree.Parse(o.File, o.Text)
	if err != nil {
		f.take(err)
		return
	}
	if !strings.HasPrefix(over.Get("overlay").Str(), "1.0.") {
		f.add(over.At, "write overlay: 1.0.0", "the file is no OpenAPI Overlay 1.0")
		return
	}
	w := &walker{faults: f, version: v31, refs: newReferences(over)}
	if w.document(over, "Overlay"); len(f.list) > 0 {
		return
	}
	a := &overlayer{faults: f, root: root, copies: maxCopies}
	for _, action := range over.Get("actions").Items {
		a.act(action)
	}
	if len(over.Get("actions").Items) == 0 {
		f.add(over.At, "", "the overlay has no actions")
	}
}

type overlayer struct {
	*faults
	root   *tree.Node
	copies int // nodes that may still be added
}

func (o *overlayer) act(action *tree.Node) {
	target, update, remove := action.Get("target"), action.Get("update"), action.Get("remove").True()
	q, err := parseQuery(target.Text)
	if err != nil {
		o.add(target.At, "it is a JSONPath (RFC 9535): names with a dash or a slash stand in brackets, $.info['x-name']", "target %q: %v", target.Text, err)
		return
	}
	matches, err := q.find(o.root)
	switch {
	case err != nil:
		o.add(target.At, "", "target %q: %v", target.Text, err)
	case len(matches) == 0:
		o.add(target.At, "the document may have changed since the overlay was written", "target %q matches nothing in the document", target.Text)
	case remove:
		o.remove(matches, target)
	case update == nil:
		o.add(action.At, "", "the action has neither update nor remove")
	default:
		for _, m := range matches {
			if o.update(m.n, update, target); o.copies < 0 {
				return
			}
		}
	}
}

// update merges into an object and appends to a list (Overlay 1.0 §4.4.3.1).
func (o *overlayer) update(n, update, target *tree.Node) {
	switch {
	case n.Kind == tree.Array:
		n.Items = append(n.Items, o.copy(update))
	case n.Kind == tree.Object && update.Kind == tree.Object:
		o.merge(n, update)
	case n.Kind == tree.Object:
		o.add(update.At, "", "target %q selects an object, and update is %s", target.Text, update.Kind)
	default:
		o.add(target.At, "select the object or list that contains it", "target %q selects %s, which no update can change", target.Text, n.Kind)
	}
}

// merge merges objects deeply, adds list to list, and lets anything else replace what was there. What the overlay
// wrote keeps the overlay's place.
func (o *overlayer) merge(n, update *tree.Node) {
	index := make(map[string]int, len(n.Members))
	for i, m := range n.Members {
		index[m.Name] = i
	}
	for _, m := range update.Members {
		i, there := index[m.Name]
		if !there {
			n.Members = append(n.Members, tree.Member{Name: m.Name, At: m.At, Value: o.copy(m.Value)})
			continue
		}
		old := &n.Members[i]
		switch {
		case old.Value.Kind == tree.Object && m.Value.Kind == tree.Object:
			o.merge(old.Value, m.Value)
		case old.Value.Kind == tree.Array && m.Value.Kind == tree.Array:
			for _, item := range m.Value.Items {
				old.Value.Items = append(old.Value.Items, o.copy(item))
			}
		default:
			old.At, old.Value = m.At, o.copy(m.Value)
		}
	}
}

func (o *overlayer) copy(n *tree.Node) *tree.Node {
	if o.copies -= size(n); o.copies < 0 {
		o.add(n.At, "", "the overlay makes the document too large")
		return &tree.Node{At: n.At}
	}
	return n.Clone()
}

func size(n *tree.Node) int {
	s := 1
	for _, m := range n.Members {
		s += size(m.Value)
	}
	for _, item := range n.Items {
		s += size(item)
	}
	return s
}

func (o *overlayer) remove(matches []match, target *tree.Node) {
	gone, parents := map[*tree.Node]bool{}, map[*tree.Node]bool{}
	for _, m := range matches {
		if m.parent == nil {
			o.add(target.At, "", "target %q removes the whole document", target.Text)
			return
		}
		gone[m.n], parents[m.parent] = true, true
	}
	for p := range parents {
		p.Members = slices.DeleteFunc(p.Members, func(m tree.Member) bool { return gone[m.Value] })
		p.Items = slices.DeleteFunc(p.Items, func(n *tree.Node) bool { return gone[n] })
	}
}
