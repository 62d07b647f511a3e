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

// DefaultValues bounds the values of a body where Options name no bound: a list of 100,000 records of ten fields fits.
const DefaultValues = 1 << 20

// parser reads one JSON value strictly (RFC 8259 as narrowed by RFC 7493). It works on a string, so that the texts it
// finds share the body's bytes.
type parser struct {
	s      string
	i      int
	depth  int
	max    int   // nesting allowed
	into   *tree // nil: what is read is not recorded
	values int   // that may still be recorded
}

// syntaxError is where and why a body is no strict JSON.
type syntaxError struct {
	code   string
	offset int
}

func (e *syntaxError) Error() string { return e.code + " at byte " + strconv.Itoa(e.offset) }

// parse reads a whole body into a tree. What breaks the bounds is read as strictly, but not recorded.
func parse(t *tree, body string, depth, values int, b bounds) error {
	p := &parser{s: body, max: depth, into: t, values: values}
	if len(body) > math.MaxInt32 {
		return p.fail("size")
	}
	t.s = body
	p.space()
	if err := p.value(b); err != nil {
		return err
	}
	return p.end()
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
	return kinds[p.s[p.i]]
}

func (p *parser) value(b bounds) error {
	kind, start, t := p.kind(), p.i, p.into
	var at, flags uint32
	if t != nil {
		if p.values--; p.values < 0 || t.nodes.n >= maxNodes {
			return p.fail("values")
		}
		at = t.nodes.add()
	}
	var err error
	switch kind {
	case Object, Array:
		cut := b.refuses(kind) != ""
		if cut {
			p.into = nil
		}
		full := false
		if kind == Object {
			full, err = p.object(b)
		} else {
			full, err = p.array(b)
		}
		if p.into = t; t != nil && (cut || full) {
			flags, t.cut = cutFlag, true
		}
	case String:
		var escaped bool
		if escaped, err = p.str(); escaped {
			flags = escapedFlag
		}
	case Number:
		err = p.number()
	default:
		err = p.word()
	}
	if t != nil {
		*t.nodes.at(at) = node{uint32(start), uint32(p.i), t.nodes.n | flags}
	}
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

// array reads an array and tells whether it has more items than its bounds let it have; those are not recorded.
func (p *parser) array(b bounds) (full bool, err error) {
	if err := p.enter(); err != nil {
		return false, err
	}
	if p.next(']') {
		p.depth--
		return false, nil
	}
	most := b.most(Array)
	for n, more := 0, true; more; n++ {
		if most >= 0 && n > most {
			p.into, full = nil, true
		}
		if err = p.value(b.item(n)); err != nil {
			return full, err
		}
		if more, err = p.more(']'); err != nil {
			return full, err
		}
	}
	return full, nil
}

// object is array for members.
func (p *parser) object(b bounds) (full bool, err error) {
	if err := p.enter(); err != nil {
		return false, err
	}
	if p.next('}') {
		p.depth--
		return false, nil
	}
	var seen names
	most := b.most(Object)
	for n, more := 0, true; more; n++ {
		if most >= 0 && n > most {
			p.into, full = nil, true
		}
		start := p.i
		escaped, err := p.name(&seen)
		if err != nil {
			return full, err
		}
		end := p.i
		if t := p.into; t != nil {
			if t.nodes.n >= maxNodes {
				return full, p.fail("values")
			}
			flags := uint32(0)
			if escaped {
				flags = escapedFlag
			}
			at := t.nodes.add()
			*t.nodes.at(at) = node{uint32(start), uint32(end), at + 1 | flags}
		}
		if err = p.colon(); err != nil {
			return full, err
		}
		if err = p.value(b.member(p.s, start, end, escaped)); err != nil {
			return full, err
		}
		if more, err = p.more('}'); err != nil {
			return full, err
		}
	}
	return full, nil
}

// name reads a member's name, which must be new, and tells whether it has escapes.
func (p *parser) name(seen *names) (escaped bool, err error) {
	if p.kind() != String {
		return false, p.fail("syntax")
	}
	start := p.i
	if escaped, err = p.str(); err == nil && !seen.add(p.s, start, p.i, escaped) {
		err = p.fail("duplicate")
	}
	return escaped, err
}

func (p *parser) colon() error {
	p.space()
	if !p.next(':') {
		return p.fail("syntax")
	}
	p.space()
	return nil
}

// str reads a string at its quote, and tells whether it has escapes.
func (p *parser) str() (escaped bool, err error) {
	p.i++
	from := p.i
	var seen byte
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch {
		case c == '"':
			if seen >= utf8.RuneSelf && !utf8.ValidString(p.s[from:p.i-1]) {
				return false, p.fail("utf8")
			}
			return escaped, nil
		case c == '\\':
			escaped = true
			if _, err := p.escape(); err != nil {
				return false, err
			}
		case c < 0x20:
			return false, p.fail("syntax")
		}
		seen |= c
	}
	return false, p.fail("syntax")
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
