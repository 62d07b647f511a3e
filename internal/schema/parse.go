package schema

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth bounds the nesting of a body.
const MaxDepth = 64

// kind of a JSON value.
type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	array
	objectKind
)

// node is a JSON value with its place in the body.
type node struct {
	kind       kind
	start, end int
	text       string // a string unescaped, a number as written
	truth      bool
	items      []*node
	members    []member
}

type member struct {
	name  string
	start int // of the name's quote
	value *node
	fate  fate
	mask  string
}

// fate is what becomes of a member.
type fate uint8

const (
	kept fate = iota
	undeclared
	withheld
	masked
)

// parser reads one JSON value strictly (RFC 8259 as narrowed by RFC 7493).
type parser struct {
	b     []byte
	i     int
	depth int
}

// syntaxError is where and why a body is no strict JSON.
type syntaxError struct {
	code   string
	offset int
}

func (e *syntaxError) Error() string { return e.code + " at byte " + strconv.Itoa(e.offset) }

func parse(b []byte) (*node, error) {
	p := &parser{b: b}
	p.space()
	n, err := p.value()
	if err != nil {
		return nil, err
	}
	p.space()
	if p.i != len(b) {
		return nil, p.fail("syntax")
	}
	return n, nil
}

func (p *parser) fail(code string) error { return &syntaxError{code, p.i} }

func (p *parser) space() {
	for p.i < len(p.b) {
		switch p.b[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

func (p *parser) value() (*node, error) {
	if p.i >= len(p.b) {
		return nil, p.fail("syntax")
	}
	n := &node{start: p.i}
	var err error
	switch c := p.b[p.i]; {
	case c == '{':
		err = p.object(n)
	case c == '[':
		err = p.array(n)
	case c == '"':
		n.kind = text
		n.text, err = p.str()
	case c == 't':
		n.kind, n.truth = boolean, true
		err = p.word("true")
	case c == 'f':
		n.kind = boolean
		err = p.word("false")
	case c == 'n':
		err = p.word("null")
	default:
		n.kind = number
		err = p.number()
		n.text = string(p.b[n.start:p.i])
	}
	n.end = p.i
	return n, err
}

func (p *parser) word(w string) error {
	if !strings.HasPrefix(string(p.b[p.i:min(len(p.b), p.i+len(w))]), w) {
		return p.fail("syntax")
	}
	p.i += len(w)
	return nil
}

func (p *parser) digits() bool {
	from := p.i
	for p.i < len(p.b) && p.b[p.i]-'0' < 10 {
		p.i++
	}
	return p.i > from
}

// maxExponent: numbers beyond a double's range are refused; every reader makes something else of them.
const maxExponent = 400

func (p *parser) number() error {
	if p.i < len(p.b) && p.b[p.i] == '-' {
		p.i++
	}
	from := p.i
	if !p.digits() {
		return p.fail("syntax")
	}
	if p.b[from] == '0' && p.i-from > 1 {
		return p.fail("syntax")
	}
	if p.i < len(p.b) && p.b[p.i] == '.' {
		p.i++
		if !p.digits() {
			return p.fail("syntax")
		}
	}
	if p.i < len(p.b) && p.b[p.i]|0x20 == 'e' {
		p.i++
		if p.i < len(p.b) && (p.b[p.i] == '+' || p.b[p.i] == '-') {
			p.i++
		}
		from := p.i
		if !p.digits() {
			return p.fail("syntax")
		}
		if e, err := strconv.Atoi(string(p.b[from:p.i])); err != nil || e > maxExponent {
			return p.fail("number")
		}
	}
	if p.i-from > 1000 {
		return p.fail("number")
	}
	return nil
}

func (p *parser) array(n *node) error {
	n.kind = array
	if p.depth++; p.depth > MaxDepth {
		return p.fail("depth")
	}
	p.i++
	p.space()
	if p.i < len(p.b) && p.b[p.i] == ']' {
		p.i++
		p.depth--
		return nil
	}
	for {
		p.space()
		v, err := p.value()
		if err != nil {
			return err
		}
		n.items = append(n.items, v)
		p.space()
		if p.i >= len(p.b) {
			return p.fail("syntax")
		}
		switch p.b[p.i] {
		case ',':
			p.i++
		case ']':
			p.i++
			p.depth--
			return nil
		default:
			return p.fail("syntax")
		}
	}
}

func (p *parser) object(n *node) error {
	n.kind = objectKind
	if p.depth++; p.depth > MaxDepth {
		return p.fail("depth")
	}
	p.i++
	p.space()
	if p.i < len(p.b) && p.b[p.i] == '}' {
		p.i++
		p.depth--
		return nil
	}
	var seen map[string]bool
	for {
		p.space()
		if p.i >= len(p.b) || p.b[p.i] != '"' {
			return p.fail("syntax")
		}
		m := member{start: p.i}
		var err error
		if m.name, err = p.str(); err != nil {
			return err
		}
		if dup, all := repeated(n.members, m.name, seen); dup {
			return p.fail("duplicate")
		} else {
			seen = all
		}
		p.space()
		if p.i >= len(p.b) || p.b[p.i] != ':' {
			return p.fail("syntax")
		}
		p.i++
		p.space()
		if m.value, err = p.value(); err != nil {
			return err
		}
		n.members = append(n.members, m)
		p.space()
		if p.i >= len(p.b) {
			return p.fail("syntax")
		}
		switch p.b[p.i] {
		case ',':
			p.i++
		case '}':
			p.i++
			p.depth--
			return nil
		default:
			return p.fail("syntax")
		}
	}
}

// repeated looks a name up: by going through few members, by a set from 16 on.
func repeated(members []member, name string, seen map[string]bool) (bool, map[string]bool) {
	if len(members) < 16 {
		for i := range members {
			if members[i].name == name {
				return true, nil
			}
		}
		return false, nil
	}
	if seen == nil {
		seen = make(map[string]bool, 64)
		for i := range members {
			seen[members[i].name] = true
		}
	}
	if seen[name] {
		return true, seen
	}
	seen[name] = true
	return false, seen
}

// str reads a string at a quote and unescapes it.
func (p *parser) str() (string, error) {
	p.i++
	from := p.i
	for p.i < len(p.b) {
		c := p.b[p.i]
		switch {
		case c == '"':
			s := string(p.b[from:p.i])
			p.i++
			if !utf8.ValidString(s) {
				return "", p.fail("utf8")
			}
			return s, nil
		case c == '\\':
			return p.escaped(from)
		case c < 0x20:
			return "", p.fail("syntax")
		}
		p.i++
	}
	return "", p.fail("syntax")
}

func (p *parser) escaped(from int) (string, error) {
	out := append([]byte(nil), p.b[from:p.i]...)
	for p.i < len(p.b) {
		c := p.b[p.i]
		p.i++
		switch {
		case c == '"':
			if !utf8.Valid(out) {
				return "", p.fail("utf8")
			}
			return string(out), nil
		case c < 0x20:
			return "", p.fail("syntax")
		case c != '\\':
			out = append(out, c)
			continue
		}
		if p.i >= len(p.b) {
			return "", p.fail("syntax")
		}
		e := p.b[p.i]
		p.i++
		if k := strings.IndexByte(`"\/bfnrt`, e); k >= 0 {
			out = append(out, "\"\\/\b\f\n\r\t"[k])
			continue
		}
		if e != 'u' {
			return "", p.fail("syntax")
		}
		r, err := p.hex4()
		if err != nil {
			return "", err
		}
		if utf16.IsSurrogate(r) {
			if p.i+1 >= len(p.b) || p.b[p.i] != '\\' || p.b[p.i+1] != 'u' {
				return "", p.fail("surrogate")
			}
			p.i += 2
			low, err := p.hex4()
			if err != nil {
				return "", err
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return "", p.fail("surrogate")
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return "", p.fail("syntax")
}

func (p *parser) hex4() (rune, error) {
	if p.i+4 > len(p.b) {
		return 0, p.fail("syntax")
	}
	var r rune
	for _, c := range p.b[p.i : p.i+4] {
		switch {
		case c-'0' < 10:
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, p.fail("syntax")
		}
	}
	p.i += 4
	return r, nil
}

// value returns the tree as the engine wants it, without members that are undeclared. Numbers stay exact.
func (n *node) value() any {
	switch n.kind {
	case boolean:
		return n.truth
	case number:
		return json.Number(n.text)
	case text:
		return n.text
	case array:
		out := make([]any, len(n.items))
		for i, v := range n.items {
			out[i] = v.value()
		}
		return out
	case objectKind:
		out := make(map[string]any, len(n.members))
		for i := range n.members {
			if n.members[i].fate != undeclared {
				out[n.members[i].name] = n.members[i].value.value()
			}
		}
		return out
	}
	return nil
}

// Strict reports, as a *Failure, whether a body is one strict JSON value.
func Strict(body []byte) error {
	if _, err := parse(body); err != nil {
		return failure(err)
	}
	return nil
}

// Value is a scalar found by Lookup.
type Value struct{ n *node }

// Text returns a string unescaped, a number as written; ok is false for everything else.
func (v Value) Text() (string, bool) {
	return v.n.text, v.n.kind == text || v.n.kind == number
}

// Lookup finds the value at a JSON pointer (RFC 6901) in a body. It finds nothing in a body that is no strict JSON.
func Lookup(body []byte, pointer string) (Value, bool) {
	n, err := parse(body)
	if err != nil {
		return Value{}, false
	}
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = unescapePointer(token)
		next := (*node)(nil)
		switch n.kind {
		case objectKind:
			for i := range n.members {
				if n.members[i].name == token {
					next = n.members[i].value
				}
			}
		case array:
			if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(n.items) && strconv.Itoa(i) == token {
				next = n.items[i]
			}
		}
		if next == nil {
			return Value{}, false
		}
		n = next
	}
	return Value{n}, true
}

func unescapePointer(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~")
}

func escapePointer(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "~", "~0"), "/", "~1")
}
