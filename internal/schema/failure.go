package schema

import (
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	keyword "github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// maxViolations bounds what one failure reports.
const maxViolations = 20

// Violation is one fault: where (RFC 6901), a stable code, and a sentence that never repeats the value.
type Violation struct {
	Pointer, Code, Detail string
}

// Failure is a body that does not follow its schema.
type Failure struct{ Violations []Violation }

func (f *Failure) Error() string {
	parts := make([]string, len(f.Violations))
	for i, v := range f.Violations {
		parts[i] = v.Pointer + " " + v.Detail
	}
	return strings.Join(parts, "; ")
}

var syntaxDetails = map[string]string{
	"syntax": "is not valid JSON", "duplicate": "has a member twice", "utf8": "is not valid UTF-8",
	"surrogate": "has half of a surrogate pair", "depth": "is nested too deeply", "number": "has a number out of range",
}

// failure makes a Failure of a parser's or the engine's error.
func failure(err error) *Failure {
	var s *syntaxError
	if errors.As(err, &s) {
		return &Failure{[]Violation{{"", s.code, fmt.Sprintf("%s (at byte %d)", syntaxDetails[s.code], s.offset)}}}
	}
	var v *jsonschema.ValidationError
	if !errors.As(err, &v) {
		return &Failure{[]Violation{{"", "invalid", "is not acceptable"}}}
	}
	f := new(Failure)
	f.leaves(v)
	if len(f.Violations) == 0 {
		f.Violations = []Violation{{"", "invalid", "is not acceptable"}}
	}
	return f
}

// leaves collects the causes at the bottom of the engine's tree. Of alternatives only the fact is told: which one was
// meant cannot be known.
func (f *Failure) leaves(v *jsonschema.ValidationError) {
	switch v.ErrorKind.(type) {
	case *keyword.OneOf, *keyword.AnyOf, *keyword.Not:
	default:
		if len(v.Causes) > 0 {
			for _, c := range v.Causes {
				f.leaves(c)
			}
			return
		}
	}
	at := ""
	for _, token := range v.InstanceLocation {
		at += "/" + escapePointer(clip(token))
	}
	add := func(at, code, detail string) {
		if len(f.Violations) < maxViolations {
			f.Violations = append(f.Violations, Violation{at, code, detail})
		}
	}
	switch k := v.ErrorKind.(type) {
	case *keyword.Required:
		for _, name := range k.Missing {
			add(at+"/"+escapePointer(clip(name)), "required", "is required")
		}
	case *keyword.AdditionalProperties:
		for _, name := range k.Properties {
			add(at+"/"+escapePointer(clip(name)), "undeclared", "is not declared")
		}
	case *keyword.Type:
		add(at, "type", "must be "+strings.Join(k.Want, " or "))
	case *keyword.Enum:
		add(at, "enum", "is not one of the allowed values")
	case *keyword.Const:
		add(at, "const", "is not the required value")
	case *keyword.Format:
		add(at, "format", "must be a valid "+k.Want)
	case *keyword.Pattern:
		add(at, "pattern", "does not match the required pattern")
	case *keyword.MinLength:
		add(at, "min_length", fmt.Sprintf("must have at least %d characters", k.Want))
	case *keyword.MaxLength:
		add(at, "max_length", fmt.Sprintf("must have at most %d characters", k.Want))
	case *keyword.MinItems:
		add(at, "min_items", fmt.Sprintf("must have at least %d items", k.Want))
	case *keyword.MaxItems:
		add(at, "max_items", fmt.Sprintf("must have at most %d items", k.Want))
	case *keyword.UniqueItems:
		add(at, "unique_items", "must not have an item twice")
	case *keyword.MinProperties:
		add(at, "min_properties", fmt.Sprintf("must have at least %d members", k.Want))
	case *keyword.MaxProperties:
		add(at, "max_properties", fmt.Sprintf("must have at most %d members", k.Want))
	case *keyword.Minimum:
		add(at, "minimum", "must be at least "+k.Want.RatString())
	case *keyword.Maximum:
		add(at, "maximum", "must be at most "+k.Want.RatString())
	case *keyword.ExclusiveMinimum:
		add(at, "exclusive_minimum", "must be greater than "+k.Want.RatString())
	case *keyword.ExclusiveMaximum:
		add(at, "exclusive_maximum", "must be less than "+k.Want.RatString())
	case *keyword.MultipleOf:
		add(at, "multiple_of", "must be a multiple of "+k.Want.RatString())
	case *keyword.OneOf:
		add(at, "one_of", "must follow exactly one of the alternatives")
	case *keyword.AnyOf:
		add(at, "any_of", "must follow one of the alternatives")
	case *keyword.FalseSchema:
		add(at, "undeclared", "is not allowed")
	default:
		add(at, "invalid", "is not acceptable")
	}
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64]
	}
	return s
}
