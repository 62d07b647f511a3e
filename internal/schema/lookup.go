package schema

import (
	"math"
	"strconv"
	"strings"
)

// Value is what Lookup found.
type Value struct {
	Kind Kind
	Raw  []byte // as it stands in the body
}

// Text returns a string unescaped and a number as written, for comparing identifiers; ok is false for everything else.
// Numbers are not normalised: 7 and 7.0 are different texts.
func (v Value) Text() (text string, ok bool) {
	switch v.Kind {
	case Number:
		return string(v.Raw), true
	case String:
		p := &parser{s: string(v.Raw)}
		escaped, err := p.str()
		if err != nil {
			return "", false
		}
		if text = p.s[1 : p.i-1]; escaped {
			text = unescape(text)
		}
		return text, true
	}
	return "", false
}

// Lookup finds the value at a JSON pointer (RFC 6901), without building a tree. It finds nothing in a body that is no
// strict JSON as a whole, because another parser could find another value there; nor in one nested deeper than
// DefaultDepth.
func Lookup(body []byte, pointer string) (v Value, ok bool) {
	path := []string{}
	if pointer != "" {
		if pointer[0] != '/' {
			return Value{}, false
		}
		for _, token := range strings.Split(pointer[1:], "/") {
			path = append(path, unescapePointer(token))
		}
	}
	s := scan{parser: parser{s: string(body), max: DefaultDepth}}
	if s.body(path) != nil || s.found == 0 {
		return Value{}, false
	}
	return Value{s.found, body[s.start:s.stop]}, true
}

// Strict reports, as a *Failure, whether a body is one strict JSON value, no deeper than DefaultDepth.
func Strict(body []byte) error {
	if _, _, ok := anything.run(nil, body, nil, false); ok {
		return nil
	}
	s := scan{parser: parser{s: string(body), max: DefaultDepth}}
	if err := s.body(nil); err != nil {
		return failure(err)
	}
	return nil
}

// anything is the program that takes every value.
var anything = &Program{options: Options{MaxDepth: DefaultDepth, MaxValues: maxNodes}, machine: newMachine(OpenAPI31, Options{}, nil), start: new(target)}

// scan reads like parser, and remembers one value at most.
type scan struct {
	parser
	found       Kind
	start, stop int
	filter      *filtering // nil: the value wanted is no array to be filtered
}

func (s *scan) body(path []string) error {
	if len(s.s) > math.MaxInt32 {
		return s.fail("size")
	}
	s.space()
	if err := s.skip(path); err != nil {
		return err
	}
	return s.end()
}

// skip reads one value. path leads from it to the value wanted; nil when that one is not here.
func (s *scan) skip(path []string) error {
	kind, start := s.kind(), s.i
	var err error
	switch kind {
	case Object:
		err = s.object(path)
	case Array:
		if f := s.filter; f != nil && path != nil && len(path) == 0 {
			s.filter = nil // what follows is read for what each element names
			err = f.elements(s)
			s.found, s.start, s.stop = Array, start, s.i
			return err
		}
		err = s.array(path)
	case String:
		_, err = s.str()
	case Number:
		err = s.number()
	default:
		err = s.word()
	}
	if path != nil && len(path) == 0 {
		s.found, s.start, s.stop = kind, start, s.i
	}
	return err
}

// below returns the rest of a path behind one token.
func below(path []string, token string) []string {
	if len(path) == 0 || path[0] != token {
		return nil
	}
	return path[1:]
}

func (s *scan) object(path []string) error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.next('}') {
		s.depth--
		return nil
	}
	var seen names
	for more := true; more; {
		start := s.i
		escaped, err := s.name(&seen)
		if err != nil {
			return err
		}
		name := s.s[start+1 : s.i-1]
		if escaped && len(path) > 0 {
			name = unescape(name)
		}
		if err = s.colon(); err != nil {
			return err
		}
		if err = s.skip(below(path, name)); err != nil {
			return err
		}
		if more, err = s.more('}'); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) array(path []string) error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.next(']') {
		s.depth--
		return nil
	}
	for i, more := 0, true; more; i++ {
		var rest []string
		if len(path) > 0 { // else no index is wanted: spare its text
			rest = below(path, strconv.Itoa(i))
		}
		err := s.skip(rest)
		if err != nil {
			return err
		}
		if more, err = s.more(']'); err != nil {
			return err
		}
	}
	return nil
}

func unescapePointer(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~")
}

func escapePointer(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "~", "~0"), "/", "~1")
}
