package schema

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// DefaultDepth bounds the nesting of a body where Options name no bound.
const DefaultDepth = 64

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

// node is a JSON value with its place in the body. A body of many small values makes many of them: keep it small.
type node struct {
	kind       Kind
	truth      bool
	fate       fate
	mask       mask
	changed    bool // something below it leaves or is masked
	start, end uint32
	text       string // a string unescaped, a number as written
	in         *inside
}

// inside is what only some values have.
type inside struct {
	items    []node
	members  []member
	outcomes []outcome // what was found of this value so far
}

type member struct {
	name       string // unescaped
	start, end uint32 // of the name as written, with its quotes
	value      node
}

func (n *node) items() []node {
	if n.in == nil {
		return nil
	}
	return n.in.items
}

func (n *node) members() []member {
	if n.in == nil {
		return nil
	}
	return n.in.members
}

func (n *node) member(name string) *node {
	all := n.members()
	for i := range all {
		if all[i].name == name {
			return &all[i].value
		}
	}
	return nil
}

// parser reads one JSON value strictly (RFC 8259 as narrowed by RFC 7493). It works on a string, so that the texts it
// finds share the body's bytes.
type parser struct {
	s     string
	i     int
	depth int
	max   int // nesting allowed
}

// syntaxError is where and why a body is no strict JSON.
type syntaxError struct {
	code   string
	offset int
}

func (e *syntaxError) Error() string { return e.code + " at byte " + strconv.Itoa(e.offset) }

// parse reads a whole body into a tree.
func parse(body []byte, depth int) (*node, error) {
	p := &parser{s: string(body), max: depth}
	if len(body) > math.MaxInt32 {
		return nil, p.fail("size")
	}
	n := new(node)
	p.space()
	if err := p.value(n); err != nil {
		return nil, err
	}
	return n, p.end()
}

func (p *parser) fail(code string) error { return &syntaxError{code, p.i} }

// end wants nothing but white space.
func (p *parser) end() error {
	p.space()
	if p.i != len(p.s) {
		return p.fail("syntax")
	}
	return nil
}

func (p *parser) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

// next takes one punctuation mark.
func (p *parser) next(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *parser) kind() Kind {
	if p.i >= len(p.s) {
		return 0
	}
	switch c := p.s[p.i]; {
	case c == '{':
		return Object
	case c == '[':
		return Array
	case c == '"':
		return String
	case c == 't', c == 'f':
		return Boolean
	case c == 'n':
		return Null
	case c == '-', c-'0' < 10:
		return Number
	}
	return 0
}

func (p *parser) value(n *node) error {
	n.kind, n.start = p.kind(), uint32(p.i)
	var err error
	switch n.kind {
	case Object:
		err = p.object(n)
	case Array:
		err = p.array(n)
	case String:
		n.text, err = p.str()
	case Number:
		from := p.i
		err = p.number()
		n.text = p.s[from:p.i]
	default:
		n.truth = n.kind == Boolean && p.s[p.i] == 't'
		err = p.word()
	}
	n.end = uint32(p.i)
	return err
}

// word reads true, false or null.
func (p *parser) word() error {
	for _, w := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(p.s[p.i:], w) {
			p.i += len(w)
			return nil
		}
	}
	return p.fail("syntax")
}

// enter takes the bracket that opens an array or object.
func (p *parser) enter() error {
	if p.depth++; p.depth > p.max {
		return p.fail("depth")
	}
	p.i++
	p.space()
	return nil
}

// more takes what stands between two elements, or the bracket that closes.
func (p *parser) more(closing byte) (bool, error) {
	p.space()
	switch {
	case p.next(','):
		p.space()
		return true, nil
	case p.next(closing):
		p.depth--
		return false, nil
	}
	return false, p.fail("syntax")
}

func (p *parser) array(n *node) error {
	if err := p.enter(); err != nil {
		return err
	}
	if p.next(']') {
		p.depth--
		return nil
	}
	n.in = new(inside)
	for more := true; more; {
		var item node
		err := p.value(&item)
		if err != nil {
			return err
		}
		n.in.items = append(n.in.items, item)
		if more, err = p.more(']'); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) object(n *node) error {
	if err := p.enter(); err != nil {
		return err
	}
	if p.next('}') {
		p.depth--
		return nil
	}
	n.in = new(inside)
	var seen names
	for more := true; more; {
		m := member{start: uint32(p.i)}
		var err error
		if m.name, err = p.name(&seen); err != nil {
			return err
		}
		m.end = uint32(p.i)
		if err = p.colon(); err != nil {
			return err
		}
		if err = p.value(&m.value); err != nil {
			return err
		}
		n.in.members = append(n.in.members, m)
		if more, err = p.more('}'); err != nil {
			return err
		}
	}
	return nil
}

// name reads a member's name, which must be new.
func (p *parser) name(seen *names) (string, error) {
	if p.kind() != String {
		return "", p.fail("syntax")
	}
	name, err := p.str()
	if err == nil && !seen.add(name) {
		err = p.fail("duplicate")
	}
	return name, err
}

func (p *parser) colon() error {
	p.space()
	if !p.next(':') {
		return p.fail("syntax")
	}
	p.space()
	return nil
}

// names are those of one object: few are gone through, many are looked up.
type names struct {
	few  []string
	many map[string]struct{}
}

// add reports whether a name is new.
func (s *names) add(name string) bool {
	if s.many != nil {
		before := len(s.many)
		s.many[name] = struct{}{}
		return len(s.many) > before
	}
	for _, n := range s.few {
		if n == name {
			return false
		}
	}
	if s.few = append(s.few, name); len(s.few) == 16 {
		s.many = make(map[string]struct{}, 64)
		for _, n := range s.few {
			s.many[n] = struct{}{}
		}
	}
	return true
}

// str reads a string at its quote and unescapes it.
func (p *parser) str() (string, error) {
	p.i++
	from := p.i
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == '"':
			s := p.s[from:p.i]
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

// escaped reads on at the first backslash of the string that began at from.
func (p *parser) escaped(from int) (string, error) {
	out := append([]byte(nil), p.s[from:p.i]...)
	for p.i < len(p.s) {
		c := p.s[p.i]
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
		r, err := p.escape()
		if err != nil {
			return "", err
		}
		out = utf8.AppendRune(out, r)
	}
	return "", p.fail("syntax")
}

// escape reads one escape behind its backslash; a surrogate must come with its other half.
func (p *parser) escape() (rune, error) {
	if p.i >= len(p.s) {
		return 0, p.fail("syntax")
	}
	e := p.s[p.i]
	p.i++
	if k := strings.IndexByte(`"\/bfnrt`, e); k >= 0 {
		return rune("\"\\/\b\f\n\r\t"[k]), nil
	}
	if e != 'u' {
		return 0, p.fail("syntax")
	}
	r, err := p.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if !strings.HasPrefix(p.s[p.i:], `\u`) {
		return 0, p.fail("surrogate")
	}
	p.i += 2
	low, err := p.hex4()
	if err != nil {
		return 0, err
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, p.fail("surrogate")
	}
	return r, nil
}

func (p *parser) hex4() (rune, error) {
	if p.i+4 > len(p.s) {
		return 0, p.fail("syntax")
	}
	var r rune
	for _, c := range []byte(p.s[p.i : p.i+4]) {
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
