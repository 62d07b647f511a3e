package schema

import (
	"strconv"
	"unicode/utf8"
)

// assert judges a value by what one schema says itself, members and items included.
func (e *evaluation) assert(s *subschema, n *node, m mode, at *place) bool {
	if !s.types.admits(n) {
		return e.fault(at, "type", "must be "+s.types.String()) // all else would only follow from it
	}
	ok := e.assertValue(s, n, at)
	if !ok && e.report == nil {
		return false
	}
	also := true
	switch n.kind {
	case Object:
		also = s.object == nil || e.assertObject(s, n, m, at)
	case Array:
		also = s.array == nil || e.assertArray(s.array, n, m, at)
	case String:
		also = s.text == nil || e.assertText(s.text, n.text, at)
	case Number:
		also = s.numeric == nil || e.assertNumber(s.numeric, n.text, at)
	}
	return ok && also
}

func (e *evaluation) assertValue(s *subschema, n *node, at *place) bool {
	if s.enum != nil || s.constant != nil {
		form := canonical(nil, n)
		if s.constant != nil && *s.constant != string(form) {
			return e.fault(at, "const", "is not the required value")
		}
		if _, listed := s.enum[string(form)]; s.enum != nil && !listed {
			return e.fault(at, "enum", "is not one of the allowed values")
		}
	}
	if f := s.format; f != nil && !f.admits(n) {
		return e.fault(at, "format", "must be a valid "+f.name)
	}
	return true
}

// all collects faults: it says to go on only while a report wants more.
type all struct {
	e  *evaluation
	ok bool
}

// and takes one finding and reports whether to stop.
func (a *all) and(ok bool) (stop bool) {
	a.ok = a.ok && ok
	return !a.ok && a.e.report == nil
}

func (e *evaluation) assertObject(s *subschema, n *node, m mode, at *place) bool {
	o, members := s.object, n.members()
	a := all{e, true}
	if len(members) < o.least && a.and(e.fault(at, "min_properties", "must have at least "+count(o.least, "member"))) ||
		o.most >= 0 && len(members) > o.most && a.and(e.fault(at, "max_properties", "must have at most "+count(o.most, "member"))) {
		return false
	}
	for _, name := range o.required {
		if n.member(name) == nil && !e.waives(s, name) && a.and(e.fault(at.member(name), "required", "is required")) {
			return false
		}
	}
	for _, d := range o.dependencies {
		if n.member(d.name) == nil {
			continue
		}
		for _, name := range d.required {
			if n.member(name) == nil && a.and(e.fault(at.member(name), "dependent_required", "is required beside another member")) {
				return false
			}
		}
	}
	var covering [4]*subschema
	for i := range members {
		member := &members[i]
		here := at.member(member.name)
		if o.names != nil && !e.quietly(o.names, &node{kind: String, text: member.name}, mode{scope: m.scope}) &&
			a.and(e.fault(here, "property_names", "is not a possible name")) {
			return false
		}
		by := o.covers(covering[:0], member.name)
		if len(by) == 0 && o.additional != nil && !(o.additional.never && m.lenient) {
			by = append(by, o.additional)
		}
		for _, c := range by {
			if a.and(c.never && e.fault(here, "undeclared", "is not declared") || !c.never && e.eval(c, &member.value, m, here)) {
				return false
			}
		}
	}
	return a.ok
}

// waives: what may not stand in this direction is not required either.
func (e *evaluation) waives(s *subschema, name string) bool {
	for _, w := range e.waived[s] {
		if w == name {
			return true
		}
	}
	return false
}

func (e *evaluation) assertArray(r *arrayRules, n *node, m mode, at *place) bool {
	items := n.items()
	a := all{e, true}
	if len(items) < r.least && a.and(e.fault(at, "min_items", "must have at least "+count(r.least, "item"))) ||
		r.most >= 0 && len(items) > r.most && a.and(e.fault(at, "max_items", "must have at most "+count(r.most, "item"))) {
		return false
	}
	if r.unique && len(items) > 1 && repeated(items) && a.and(e.fault(at, "unique_items", "must not have an item twice")) {
		return false
	}
	for i := range items {
		c := r.items
		if i < len(r.prefix) {
			c = r.prefix[i]
		}
		if c != nil && a.and(e.eval(c, &items[i], m, at.item(i))) {
			return false
		}
	}
	if r.contains == nil {
		return a.ok
	}
	such := 0
	for i := range items {
		if e.quietly(r.contains, &items[i], m) {
			such++
		}
	}
	if such < r.leastSuch {
		a.and(e.fault(at, "contains", "must have more items of a certain kind"))
	}
	if r.mostSuch >= 0 && such > r.mostSuch {
		a.and(e.fault(at, "contains", "must have fewer items of a certain kind"))
	}
	return a.ok
}

func (e *evaluation) assertText(r *textRules, s string, at *place) bool {
	a := all{e, true}
	length := utf8.RuneCountInString(s)
	if length < r.least && a.and(e.fault(at, "min_length", "must have at least "+count(r.least, "character"))) ||
		r.most >= 0 && length > r.most && a.and(e.fault(at, "max_length", "must have at most "+count(r.most, "character"))) {
		return false
	}
	if r.pattern != nil && !r.pattern.MatchString(s) {
		a.and(e.fault(at, "pattern", "does not match the required pattern"))
	}
	return a.ok
}

func (e *evaluation) assertNumber(r *numericRules, text string, at *place) bool {
	v := rational(text)
	switch {
	case r.minimum != nil && v.Cmp(r.minimum) < 0:
		return e.fault(at, "minimum", "must be at least "+decimalText(r.minimum))
	case r.maximum != nil && v.Cmp(r.maximum) > 0:
		return e.fault(at, "maximum", "must be at most "+decimalText(r.maximum))
	case r.above != nil && v.Cmp(r.above) <= 0:
		return e.fault(at, "exclusive_minimum", "must be greater than "+decimalText(r.above))
	case r.below != nil && v.Cmp(r.below) >= 0:
		return e.fault(at, "exclusive_maximum", "must be less than "+decimalText(r.below))
	case r.multiple != nil && !v.Quo(v, r.multiple).IsInt():
		return e.fault(at, "multiple_of", "must be a multiple of "+decimalText(r.multiple))
	}
	return true
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
