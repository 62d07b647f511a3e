package schema

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// any returns the tree as encoding/json would, numbers as written: the form the engine's compiler takes.
func (n *node) any() any {
	switch n.kind {
	case Boolean:
		return n.truth
	case Number:
		return json.Number(n.text)
	case String:
		return n.text
	case Array:
		out := make([]any, len(n.items()))
		for i := range n.items() {
			out[i] = n.items()[i].any()
		}
		return out
	case Object:
		out := make(map[string]any, len(n.members()))
		for i := range n.members() {
			m := &n.members()[i]
			out[m.name] = m.value.any()
		}
		return out
	}
	return nil
}

// nodeOf is the reverse of any.
func nodeOf(v any) *node {
	switch v := v.(type) {
	case bool:
		return &node{kind: Boolean, truth: v}
	case json.Number:
		return &node{kind: Number, text: v.String()}
	case string:
		return &node{kind: String, text: v}
	case []any:
		n := &node{kind: Array, in: new(inside)}
		for _, item := range v {
			n.in.items = append(n.in.items, *nodeOf(item))
		}
		return n
	case map[string]any:
		n := &node{kind: Object, in: new(inside)}
		for name, value := range v {
			n.in.members = append(n.in.members, member{name: name, value: *nodeOf(value)})
		}
		return n
	}
	return &node{kind: Null}
}

// canonical appends a form that is equal for equal values (JSON Schema Core §4.2.2) and for no others.
func canonical(dst []byte, n *node) []byte {
	text := func(s string) {
		dst = append(strconv.AppendInt(dst, int64(len(s)), 10), ':')
		dst = append(dst, s...)
	}
	dst = append(dst, '0'+byte(n.kind))
	switch n.kind {
	case Boolean:
		dst = strconv.AppendBool(dst, n.truth)
	case Number:
		text(decimalOf(n.text).String())
	case String:
		text(n.text)
	case Array:
		text(strconv.Itoa(len(n.items())))
		for i := range n.items() {
			dst = canonical(dst, &n.items()[i])
		}
	case Object:
		members := n.members()
		order := make([]int, len(members))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int { return strings.Compare(members[a].name, members[b].name) })
		text(strconv.Itoa(len(order)))
		for _, i := range order {
			text(members[i].name)
			dst = canonical(dst, &members[i].value)
		}
	}
	return dst
}

// repeated reports whether two items are equal.
func repeated(items []node) bool {
	seen := make(map[string]struct{}, len(items))
	var form []byte
	for i := range items {
		form = canonical(form[:0], &items[i])
		if _, twice := seen[string(form)]; twice {
			return true
		}
		seen[string(form)] = struct{}{}
	}
	return false
}
