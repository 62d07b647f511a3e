package schema

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxViolations = 20 // of one failure
	maxEcho       = 64 // bytes of a body's own names in a pointer, each
)

// Violation is one fault.
//
// Code is stable: syntax, duplicate, utf8, surrogate, depth, number, size, values (of the JSON itself); type, enum, const,
// format, pattern, min_length, max_length, minimum, maximum, exclusive_minimum, exclusive_maximum, multiple_of, required,
// dependent_required, min_properties, max_properties, property_names, min_items, max_items, unique_items, contains,
// any_of, one_of, not (of its schema); undeclared, read_only (of what may stand there); work (judging would take too much of it); style,
// escape (of a parameter or form).
type Violation struct {
	Pointer string // RFC 6901, into the body; names of the body are cut to 64 bytes
	Code    string
	Detail  string // for the client: what is wrong. It never repeats a value.
}

// Failure is a body, parameter or form that does not follow its schema; at least one violation, at most 20.
type Failure struct{ Violations []Violation }

func (f *Failure) Error() string {
	parts := make([]string, len(f.Violations))
	for i, v := range f.Violations {
		parts[i] = strings.TrimSpace(v.Pointer + " " + v.Detail)
	}
	return strings.Join(parts, "; ")
}

func fault(code, detail string) *Failure { return &Failure{[]Violation{{"", code, detail}}} }

var syntaxDetails = map[string]string{
	"syntax": "is not valid JSON", "duplicate": "has a member twice", "utf8": "is not valid UTF-8", "size": "is too large",
	"surrogate": "has half of a surrogate pair", "depth": "is nested too deeply", "number": "has a number out of range",
	"values": "has too many values",
}

// failure makes a Failure of a parser's error.
func failure(err error) *Failure {
	var s *syntaxError
	if !errors.As(err, &s) {
		return fault("syntax", syntaxDetails["syntax"])
	}
	return fault(s.code, fmt.Sprintf("%s (at byte %d)", syntaxDetails[s.code], s.offset))
}

// step leads from a value to one in it.
type step struct {
	name   string
	index  int // of an item, where isItem
	isItem bool
	free   bool // the name is the body's own choice
}

// enter and leave keep the way to the value being judged.
func (e *evaluation) enter(s step) { e.way = append(e.way, s) }
func (e *evaluation) leave()       { e.way = e.way[:len(e.way)-1] }

// pointer is where a way leads, as a JSON pointer.
func pointer(way []step) string {
	var out strings.Builder
	for _, s := range way {
		out.WriteByte('/')
		if s.isItem {
			out.WriteString(strconv.Itoa(s.index))
		} else {
			out.WriteString(escapePointer(clip(s.name)))
		}
	}
	return out.String()
}

// appendField appends where a way leads as the document knows it, without anything of the body.
func appendField(dst []byte, way []step) []byte {
	for _, s := range way {
		dst = append(dst, '/')
		if s.isItem || s.free {
			dst = append(dst, '*')
		} else {
			dst = append(dst, escapePointer(clip(s.name))...)
		}
	}
	return dst
}

// clip cuts a text of the body to what a report may repeat, between two characters.
func clip(s string) string {
	if len(s) <= maxEcho {
		return s
	}
	end := maxEcho
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// report collects the faults of a body that is known to fail.
type report struct{ violations []Violation }

func (r *report) full() bool { return len(r.violations) == maxViolations }

func (r *report) add(way []step, code, detail string) {
	if r.full() {
		return
	}
	if v := (Violation{pointer(way), code, detail}); !slices.Contains(r.violations, v) {
		r.violations = append(r.violations, v)
	}
}

// fault tells a fault of the value being judged where that is wanted. It is always false, for returning.
func (e *evaluation) fault(code string, detail ...string) bool {
	if e.report != nil {
		e.report.add(e.way, code, strings.Join(detail, ""))
	}
	return false
}

// faultAt is fault for a member, there or not.
func (e *evaluation) faultAt(name, code, detail string) bool {
	e.enter(step{name: name})
	e.fault(code, detail)
	e.leave()
	return false
}

// tellAlternatives tells what is wrong where none of the alternatives, or more than one, is followed. Where the value's
// type leaves a single one its own faults are told; else which one was meant cannot be known.
func (e *evaluation) tellAlternatives(alternatives []*subschema, one bool, matching int, v ref, m mode) bool {
	if e.report == nil {
		return false
	}
	if matching > 1 {
		return e.fault("one_of", "must follow exactly one of the alternatives, and follows several")
	}
	var meant []*subschema
	for _, c := range alternatives {
		if c.types.admits(&e.tree, v) {
			meant = append(meant, c)
		}
	}
	if len(meant) == 1 && !e.eval(meant[0], v, m) {
		return false
	}
	if one {
		return e.fault("one_of", "must follow one of the alternatives")
	}
	return e.fault("any_of", "must follow one of the alternatives")
}

// String names types for people.
func (t types) String() string {
	var out []string
	for _, k := range [...]struct {
		t    types
		name string
	}{{1 << Object, "object"}, {1 << Array, "array"}, {1 << String, "string"}, {1 << Number, "number"}, {integer, "integer"}, {1 << Boolean, "boolean"}, {1 << Null, "null"}} {
		if t&k.t != 0 {
			out = append(out, k.name)
		}
	}
	return strings.Join(out, " or ")
}
