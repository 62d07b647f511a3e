package schema

import (
	"strings"
	"unicode/utf8"
)

// Kind is the kind of a JSON value. The zero value is none.
type Kind uint8

// The kinds of RFC 8259 §3.
const (
	Null Kind = iota + 1
	Boolean
	Number
	String
	Array
	Object
)

// kinds tells a value's kind by its first byte.
var kinds = [256]Kind{'{': Object, '[': Array, '"': String, 't': Boolean, 'f': Boolean, 'n': Null, '-': Number,
	'0': Number, '1': Number, '2': Number, '3': Number, '4': Number, '5': Number, '6': Number, '7': Number, '8': Number, '9': Number}

// node is where a value or a member's name stands in the text, and what was found of it. A caller can put one on every
// two bytes of a body, so that every byte of it counts: it must stay at 12.
type node struct {
	start, end uint32 // in the text, as written
	word       uint32 // what follows, and the node behind all that the value holds
}

const (
	maxNodes    = 1<<24 - 1 // the last 24 bits of a node's word
	fateShift   = 24
	maskShift   = 26
	changedFlag = 1 << 29 // something below it leaves or is masked
	escapedFlag = 1 << 30 // a string with escapes
	cutFlag     = 1 << 31 // it breaks its bounds, and not all of it is in the tree
)

func (n *node) after() uint32       { return n.word & maxNodes }
func (n *node) is(f uint32) bool    { return n.word&f != 0 }
func (n *node) set(f uint32)        { n.word |= f }
func (n *node) fate() fate          { return fate(n.word >> fateShift & 3) }
func (n *node) mask() mask          { return mask(n.word >> maskShift & 7) }
func (n *node) becomes(f fate)      { n.word = n.word&^(3<<fateShift) | uint32(f)<<fateShift }
func (n *node) maskedBy(m mask)     { n.word = n.word&^(7<<maskShift) | uint32(m)<<maskShift }
func (n *node) size() int           { return int(n.end - n.start) }
func (n *node) holdsAny(v ref) bool { return n.after() > uint32(v)+1 }

// arena is a list that grows without moving what it holds, and so without the copies and the slack of append.
type arena[T any] struct {
	chunks []*[chunkSize]T
	n      uint32
}

const (
	chunkBits = 9
	chunkSize = 1 << chunkBits
)

func (a *arena[T]) at(i uint32) *T { return &a.chunks[i>>chunkBits][i&(chunkSize-1)] }

// add makes room for one more; what stands there is of an earlier use.
func (a *arena[T]) add() uint32 {
	if int(a.n>>chunkBits) == len(a.chunks) {
		a.chunks = append(a.chunks, new([chunkSize]T))
	}
	a.n++
	return a.n - 1
}

// reset empties the list and keeps a few chunks for the next use.
func (a *arena[T]) reset(keep int) {
	if a.n = 0; len(a.chunks) > keep {
		clear(a.chunks[keep:])
		a.chunks = a.chunks[:keep]
	}
}

// ref is a value, or a member's name, in a tree: the place of its node. A value's nodes follow its own: the items of an
// array one behind the other, the members of an object each as name and value. The whole body is 0.
type ref uint32

// tree is a JSON text with an index of its values.
type tree struct {
	s     string
	nodes arena[node]
	cut   bool // not all of the text is in it

	plainOf ref // the string unescaped last
	plain   string
}

func (t *tree) at(v ref) *node       { return t.nodes.at(uint32(v)) }
func (t *tree) after(v ref) ref      { return ref(t.at(v).after()) }
func (t *tree) kind(v ref) Kind      { return kinds[t.s[t.at(v).start]] }
func (t *tree) truth(v ref) bool     { return t.s[t.at(v).start] == 't' }
func (t *tree) written(v ref) string { n := t.at(v); return t.s[n.start:n.end] }

// text is a string unescaped, a number as written.
func (t *tree) text(v ref) string {
	n := t.at(v)
	if t.s[n.start] != '"' {
		return t.s[n.start:n.end]
	}
	raw := t.s[n.start+1 : n.end-1]
	if !n.is(escapedFlag) {
		return raw
	}
	if t.plain == "" || t.plainOf != v {
		t.plainOf, t.plain = v, unescape(raw)
	}
	return t.plain
}

// items counts the items of an array, as far as most+1 if that is not negative.
func (t *tree) items(v ref, most int) int {
	count := 0
	for i, end := v+1, t.after(v); i < end && (most < 0 || count <= most); i = t.after(i) {
		count++
	}
	return count
}

// members is items for objects.
func (t *tree) members(v ref, most int) int {
	count := 0
	for i, end := v+1, t.after(v); i < end && (most < 0 || count <= most); i = t.after(i + 1) {
		count++
	}
	return count
}

// member finds a member's value; 0 where there is none, or v is no object.
func (t *tree) member(v ref, name string) ref {
	if t.kind(v) != Object {
		return 0
	}
	for i, end := v+1, t.after(v); i < end; i = t.after(i + 1) {
		n := t.at(i)
		if raw := t.s[n.start+1 : n.end-1]; raw == name && !n.is(escapedFlag) || n.is(escapedFlag) && unescapesTo(raw, name) {
			return i + 1
		}
	}
	return 0
}

// unescape undoes the escapes of a string that was read before.
func unescape(raw string) string {
	var out strings.Builder
	out.Grow(len(raw))
	for {
		i := strings.IndexByte(raw, '\\')
		if i < 0 {
			out.WriteString(raw)
			return out.String()
		}
		out.WriteString(raw[:i])
		p := parser{s: raw, i: i + 1}
		r, _ := p.escape()
		out.WriteRune(r)
		raw = raw[p.i:]
	}
}

// unescapesTo compares without making the text.
func unescapesTo(raw, text string) bool {
	for {
		i := strings.IndexByte(raw, '\\')
		if i < 0 {
			return raw == text
		}
		if !strings.HasPrefix(text, raw[:i]) {
			return false
		}
		p := parser{s: raw, i: i + 1}
		r, _ := p.escape()
		next, size := utf8.DecodeRuneInString(text[i:])
		if size == 0 || next != r {
			return false
		}
		raw, text = raw[p.i:], text[i+size:]
	}
}
