package spec

import (
	"fmt"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// apply applies an overlay's actions in order (OpenAPI Overlay 1.0). An action that matches nothing is an error: the
// document was changed under it.
func apply(root *tree.Node, o Overlay) error {
	over, err := tree.Parse(o.File, o.Text)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(over.Get("overlay").Str(), "1.") {
		return &tree.Error{At: over.At, Problem: "the file is no OpenAPI Overlay 1.x", Hint: "write overlay: 1.0.0"}
	}
	actions := over.Get("actions")
	if actions == nil || len(actions.Items) == 0 {
		return &tree.Error{At: over.At, Problem: "the overlay has no actions"}
	}
	for _, a := range actions.Items {
		target := a.Get("target")
		if target == nil {
			return &tree.Error{At: a.At, Problem: "an action has no target"}
		}
		path, err := parsePath(target.Text)
		if err != nil {
			return &tree.Error{At: target.At, Problem: err.Error(), Hint: "understood are names, ['names'], [n], * and .. of RFC 9535"}
		}
		found := 0
		update, remove := a.Get("update"), a.Get("remove").True()
		if update == nil && !remove {
			return &tree.Error{At: a.At, Problem: "an action has neither update nor remove"}
		}
		walkPath(root, path, func(parent *tree.Node, name string, index int, n *tree.Node) {
			found++
			switch {
			case remove:
				removeChild(parent, name, index)
			case n.Kind == tree.Array:
				n.Items = append(n.Items, update.Clone())
			default:
				mergeInto(n, update)
			}
		})
		if found == 0 {
			return &tree.Error{At: target.At, Problem: fmt.Sprintf("target %q matches nothing in the document", target.Text)}
		}
	}
	return nil
}

// mergeInto merges objects deeply; anything else replaces.
func mergeInto(n, update *tree.Node) {
	if n.Kind != tree.Object || update.Kind != tree.Object {
		*n = *update.Clone()
		return
	}
	for _, m := range update.Members {
		old := n.Get(m.Name)
		switch {
		case old == nil:
			n.Set(m.Name, m.Value.Clone())
		case old.Kind == tree.Array && m.Value.Kind == tree.Array:
			old.Items = append(old.Items, m.Value.Clone().Items...)
		default:
			mergeInto(old, m.Value)
		}
	}
}

func removeChild(parent *tree.Node, name string, index int) {
	if parent == nil {
		return
	}
	if parent.Kind == tree.Array {
		parent.Items = append(parent.Items[:index:index], parent.Items[index+1:]...)
		return
	}
	for i := range parent.Members {
		if parent.Members[i].Name == name {
			parent.Members = append(parent.Members[:i:i], parent.Members[i+1:]...)
			return
		}
	}
}

// step is one segment of a path.
type pathStep struct {
	name string
	any  bool
	deep bool // after "..": at any depth
}

// parsePath reads the part of JSONPath that overlays use.
func parsePath(s string) ([]pathStep, error) {
	if !strings.HasPrefix(s, "$") {
		return nil, fmt.Errorf("target %q does not begin with $", s)
	}
	var out []pathStep
	rest := s[1:]
	for rest != "" {
		deep := false
		if strings.HasPrefix(rest, "..") {
			deep, rest = true, rest[1:]
			if strings.HasPrefix(rest, ".[") {
				rest = rest[1:]
			}
		}
		switch {
		case strings.HasPrefix(rest, "['") || strings.HasPrefix(rest, `["`):
			end := strings.Index(rest[2:], rest[1:2]+"]")
			if end < 0 {
				return nil, fmt.Errorf("target %q has an unfinished name", s)
			}
			out = append(out, pathStep{name: rest[2 : 2+end], deep: deep})
			rest = rest[2+end+2:]
		case strings.HasPrefix(rest, "[*]"):
			out, rest = append(out, pathStep{any: true, deep: deep}), rest[3:]
		case strings.HasPrefix(rest, "["):
			end := strings.IndexByte(rest, ']')
			if end < 0 || strings.Trim(rest[1:end], "0123456789") != "" || end == 1 {
				return nil, fmt.Errorf("target %q: %q is not understood", s, rest)
			}
			out, rest = append(out, pathStep{name: rest[1:end], deep: deep}), rest[end+1:]
		case strings.HasPrefix(rest, "."):
			end := 1
			for end < len(rest) && rest[end] != '.' && rest[end] != '[' {
				end++
			}
			name := rest[1:end]
			if name == "" || strings.ContainsAny(name, "?@()'\" ") {
				return nil, fmt.Errorf("target %q: %q is not understood", s, rest)
			}
			out, rest = append(out, pathStep{name: name, any: name == "*", deep: deep}), rest[end:]
		default:
			return nil, fmt.Errorf("target %q: %q is not understood", s, rest)
		}
	}
	return out, nil
}

type visit func(parent *tree.Node, name string, index int, n *tree.Node)

// walkPath calls f for every node the path selects. Matches are collected first, so that f may change the tree.
func walkPath(root *tree.Node, path []pathStep, f visit) {
	type match struct {
		parent *tree.Node
		name   string
		index  int
		n      *tree.Node
	}
	now := []match{{n: root}}
	for _, s := range path {
		var next []match
		var collect func(m match)
		collect = func(m match) {
			for i := range m.n.Members {
				c := &m.n.Members[i]
				if s.any || c.Name == s.name {
					next = append(next, match{m.n, c.Name, -1, c.Value})
				}
				if s.deep {
					collect(match{n: c.Value})
				}
			}
			for i, c := range m.n.Items {
				if s.any || fmt.Sprint(i) == s.name {
					next = append(next, match{m.n, "", i, c})
				}
				if s.deep {
					collect(match{n: c})
				}
			}
		}
		for _, m := range now {
			collect(m)
		}
		now = next
	}
	for i := len(now) - 1; i >= 0; i-- { // backwards, so that removing an item moves none that is still to come
		f(now[i].parent, now[i].name, now[i].index, now[i].n)
	}
}
