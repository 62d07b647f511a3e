package schema

import (
	"encoding/json"
	"hash/maphash"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// any returns a value as encoding/json would, numbers as written: the form the engine's compiler takes.
func (t *tree) any(v ref) any {
	switch t.kind(v) {
	case Boolean:
		return t.truth(v)
	case Number:
		return json.Number(t.text(v))
	case String:
		return t.text(v)
	case Array:
		out := make([]any, 0, t.items(v, -1))
		for i, end := v+1, t.after(v); i < end; i = t.after(i) {
			out = append(out, t.any(i))
		}
		return out
	case Object:
		out := make(map[string]any, t.members(v, -1))
		for i, end := v+1, t.after(v); i < end; i = t.after(i + 1) {
			out[t.text(i)] = t.any(i + 1)
		}
		return out
	}
	return nil
}

// canonicalOf is the canonical form of a value of a document.
func canonicalOf(v any) string {
	var t tree
	text, err := json.Marshal(v)
	if err == nil {
		err = parse(&t, string(text), documentDepth, maxNodes, bounds{})
	}
	if err != nil {
		panic("schema: value of a document: " + err.Error()) // a programming error: the document was read by parser
	}
	form, _ := t.canonical(nil, 0, -1)
	return string(form)
}

// canonical appends a form that is equal for equal values (JSON Schema Core §4.2.2) and for no others. It stops, and says
// so, where the form gets longer than most: the value is none of those whose forms are not. most < 0 is no bound.
func (t *tree) canonical(dst []byte, v ref, most int) (form []byte, whole bool) {
	text := func(s string) {
		dst = append(strconv.AppendInt(dst, int64(len(s)), 10), ':')
		dst = append(dst, s...)
	}
	fits := func(more int) bool { return most < 0 || len(dst)+more <= most }
	dst = append(dst, '0'+byte(t.kind(v)))
	switch t.kind(v) {
	case Boolean:
		dst = strconv.AppendBool(dst, t.truth(v))
	case Number:
		dst = decimalOf(t.text(v)).append(dst)
	case String:
		s := t.text(v)
		if !fits(len(s)) {
			return dst, false
		}
		text(s)
	case Array:
		n := t.items(v, most)
		if !fits(n) {
			return dst, false
		}
		text(strconv.Itoa(n))
		for i, end := v+1, t.after(v); i < end; i = t.after(i) {
			if dst, whole = t.canonical(dst, i, most); !whole {
				return dst, false
			}
		}
	case Object:
		n := t.members(v, most)
		if !fits(n) {
			return dst, false
		}
		text(strconv.Itoa(n))
		for _, i := range t.sorted(v, n) {
			text(t.text(i))
			if dst, whole = t.canonical(dst, i+1, most); !whole {
				return dst, false
			}
		}
	}
	return dst, fits(0)
}

// sorted returns the names of an object's n members in order.
func (t *tree) sorted(v ref, n int) []ref {
	out := make([]ref, 0, n)
	for i, end := v+1, t.after(v); i < end; i = t.after(i + 1) {
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b ref) int { return strings.Compare(t.text(a), t.text(b)) })
	return out
}

// repeats reports whether two items of an array are equal. It keeps where items stand, not what they are.
func (e *evaluation) repeats(v ref) bool {
	t, end := &e.tree, e.tree.after(v)
	e.resize(16)
	for i, n := v+1, 1; i < end; i, n = t.after(i), n+1 {
		if 4*n > 3*len(e.table) {
			e.resize(2 * len(e.table))
			for j := v + 1; j < i; j = t.after(j) {
				e.table[e.slot(j)] = j
			}
		}
		slot := e.slot(i)
		if e.table[slot] != 0 {
			return true
		}
		e.table[slot] = i
	}
	return false
}

// resize empties the table.
func (e *evaluation) resize(n int) {
	if cap(e.table) < n {
		e.table = make([]ref, n)
		return
	}
	e.table = e.table[:n]
	clear(e.table)
}

// slot finds where in the table a value equal to v stands, or v may.
func (e *evaluation) slot(v ref) int {
	mask := len(e.table) - 1
	i := int(e.tree.hash(v)) & mask
	for e.table[i] != 0 && !e.tree.equal(e.table[i], v) {
		e.steps++
		i = (i + 1) & mask
	}
	return i
}

// Keys of hashes, which no caller knows; of seeds of their own, so that no text hashes to one of them.
var key, key2 = maphash.String(maphash.MakeSeed(), ""), maphash.String(maphash.MakeSeed(), "")

func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a^key, b^key2)
	return high ^ low
}

// hash is equal for equal values.
func (t *tree) hash(v ref) uint64 {
	kind := t.kind(v)
	h := uint64(kind)
	switch kind {
	case Boolean:
		if t.truth(v) {
			h = 7
		}
	case Number:
		d := decimalOf(t.text(v))
		h = mix(maphash.String(seed, d.digits), uint64(d.exponent)<<4|uint64(d.sign()+1))
	case String:
		h = maphash.String(seed, t.text(v))
	case Array:
		for i, end := v+1, t.after(v); i < end; i = t.after(i) {
			h = mix(h, t.hash(i))
		}
	case Object: // in any order
		for i, end := v+1, t.after(v); i < end; i = t.after(i + 1) {
			h += mix(maphash.String(seed, t.text(i)), t.hash(i+1))
		}
	}
	return mix(h, uint64(kind))
}

// equal compares as JSON Schema does: numbers by value, members in any order.
func (t *tree) equal(a, b ref) bool {
	kind := t.kind(a)
	if kind != t.kind(b) {
		return false
	}
	switch kind {
	case Boolean:
		return t.truth(a) == t.truth(b)
	case Number:
		return decimalOf(t.text(a)) == decimalOf(t.text(b))
	case String:
		return t.text(a) == t.text(b)
	case Array:
		i, j, endA, endB := a+1, b+1, t.after(a), t.after(b)
		for ; i < endA && j < endB; i, j = t.after(i), t.after(j) {
			if !t.equal(i, j) {
				return false
			}
		}
		return i == endA && j == endB
	case Object:
		n := t.members(a, -1)
		if t.members(b, n) != n {
			return false
		}
		other := t.sorted(b, n)
		for k, i := range t.sorted(a, n) {
			if t.text(i) != t.text(other[k]) || !t.equal(i+1, other[k]+1) {
				return false
			}
		}
	}
	return true
}
