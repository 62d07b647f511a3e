package schema

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// shape is what text of a parameter or form may stand for: the types a schema lets a value have, and the shapes of its
// items and members. It only steers how text is read; the schema judges.
type shape struct {
	types   types
	items   *shape
	members map[string]*shape
	other   *shape // of members without a name of their own
}

const maxShapeDepth = 4 // no style nests deeper

// shapeOf gathers the types through references and combinators.
func shapeOf(s *subschema, depth int) *shape {
	out := new(shape)
	if s == nil || depth > maxShapeDepth {
		return out
	}
	group := together(s)
	if out.types = s.types; out.types == 0 { // else the outermost word counts
		for _, c := range group {
			out.types |= c.types
		}
	}
	for _, c := range group {
		if c.array != nil && c.array.items != nil && out.items == nil {
			out.items = shapeOf(c.array.items, depth+1)
		}
		if c.object == nil {
			continue
		}
		for name, m := range c.object.properties {
			if out.members == nil {
				out.members = map[string]*shape{}
			}
			if out.members[name] == nil {
				out.members[name] = shapeOf(m, depth+1)
			}
		}
		if c.object.additional != nil && out.other == nil {
			out.other = shapeOf(c.object.additional, depth+1)
		}
	}
	return out
}

func (t *shape) has(k Kind) bool { return t != nil && t.types.has(k) }

func (t *shape) member(name string) *shape {
	if t == nil {
		return nil
	}
	if m := t.members[name]; m != nil {
		return m
	}
	return t.other
}

// decoder undoes one layer of percent-encoding; plus is a space in queries and forms (WHATWG URL §5.1). verbatim text has
// none.
type decoder struct{ plus, verbatim bool }

func (d decoder) text(raw string) (string, error) {
	out, err := url.PathUnescape(raw)
	switch {
	case d.verbatim:
		out, err = raw, nil
	case d.plus:
		out, err = url.QueryUnescape(raw)
	}
	if err != nil {
		return "", fault("escape", "has a bad escape")
	}
	if !utf8.ValidString(out) {
		return "", fault("utf8", "is not valid UTF-8")
	}
	return out, nil
}

// scalar appends one piece of text as the JSON value that the shape asks for. Where it may be a string it is one. Numbers
// count only in JSON's own spelling ("010" and "+5" are read differently by others), integers only as digits, booleans
// only as true and false; whatever else stays a string, and the schema says what it must be.
func (d decoder) scalar(dst []byte, raw string, t *shape) ([]byte, error) {
	s, err := d.text(raw)
	if err != nil {
		return nil, err
	}
	if t == nil || t.types == 0 || t.has(String) {
		return appendString(dst, s), nil
	}
	p := &parser{s: s}
	isNumber := p.kind() == Number && p.number() == nil && p.i == len(s)
	isDigits := isNumber && !strings.ContainsAny(s, ".eE")
	switch {
	case t.has(Number) && isNumber, t.types&integer != 0 && isDigits, t.has(Boolean) && (s == "true" || s == "false"):
		return append(dst, s...), nil
	}
	return appendString(dst, s), nil
}

// fields gathers the members of an object that stand as pairs.
type fields struct {
	decoder
	shape *shape
	list  []field
	index map[string]int   // of members by name
	kinds map[string]Field // of forms; nil: members are text
}

// field is one member: its value as JSON, or the items of its array.
type field struct {
	name    string
	value   []byte
	isArray bool
}

func newFields(d decoder, t *shape) *fields { return &fields{d, t, nil, map[string]int{}, nil} }

// put adds one pair; pairs of one name are the items of an array, where the member is one. It returns the member's index.
func (f *fields) put(name, value string) (int, error) {
	n, err := f.text(name)
	if err != nil {
		return 0, err
	}
	at, known := f.index[n]
	t := f.shape.member(n)
	list := t.has(Array)
	if known && !list {
		return 0, &Failure{[]Violation{{"/" + escapePointer(clip(n)), "duplicate", "is given more than once"}}}
	}
	if list {
		t = t.items
	}
	if !known {
		at = len(f.list)
		f.index[n] = at
		f.list = append(f.list, field{name: n, isArray: list})
	}
	m := &f.list[at]
	if known {
		m.value = append(m.value, ',')
	}
	m.value, err = f.piece(m.value, n, value, t)
	return at, err
}

// piece appends the value of one pair as JSON, by what its field is.
func (f *fields) piece(dst []byte, name, raw string, t *shape) ([]byte, error) {
	if f.kinds == nil {
		return f.scalar(dst, raw, t)
	}
	kind := f.kinds[name].Kind
	if kind == Natural && t.has(Object) && !t.has(String) {
		kind = JSON
	}
	var err error
	switch kind {
	case JSON:
		var text string
		if text, err = f.text(raw); err == nil {
			if err = Strict([]byte(text)); err == nil {
				return append(dst, text...), nil
			}
		}
	case Bytes:
		if dst, err = f.bytesOf(dst, raw, f.kinds[name].Bytes); err == nil {
			return dst, nil
		}
	default:
		if dst, err = f.scalar(dst, raw, t); err == nil {
			return dst, nil
		}
	}
	return nil, under(name, err)
}

// json is the member's value as a text.
func (m *field) json() []byte {
	if !m.isArray {
		return m.value
	}
	return append(append([]byte{'['}, m.value...), ']')
}

// json is the object as a text.
func (f *fields) json() string {
	out, first := []byte{'{'}, true
	for _, m := range f.list {
		out = append(appendString(comma(out, &first), m.name), ':')
		out = append(out, m.json()...)
	}
	return string(append(out, '}'))
}
