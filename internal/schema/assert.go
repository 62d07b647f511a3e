package schema

import (
	"strconv"
	"unicode/utf8"
)

// assert judges a value by what one schema says itself, members and items included.
func (e *evaluation) assert(s *subschema, v ref, m mode) bool {
	ok := e.assertValue(s, v)
	if !ok && e.stops() {
		return false
	}
	also := true
	switch e.tree.kind(v) {
	case Object:
		also = s.object == nil || e.assertObject(s, v, m)
	case Array:
		also = s.array == nil || e.assertArray(s.array, v, m)
	case String:
		also = s.text == nil || e.assertText(s.text, e.tree.text(v))
	case Number:
		also = s.numeric == nil || e.assertNumber(s.numeric, e.tree.text(v))
	}
	return ok && also
}

func (e *evaluation) assertValue(s *subschema, v ref) bool {
	if s.enum != nil || s.constant != nil {
		form, whole := e.tree.canonical(e.form[:0], v, s.longest)
		e.form = form
		if s.constant != nil && (!whole || *s.constant != string(form)) {
			return e.fault("const", "is not the required value")
		}
		if _, listed := s.enum[string(form)]; s.enum != nil && (!whole || !listed) {
			return e.fault("enum", "is not one of the allowed values")
		}
	}
	if f := s.format; f != nil && !f.admits(&e.tree, v) {
		return e.fault("format", "must be a valid ", f.name)
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
	return !a.ok && a.e.stops()
}

// least and most judge a count, which need not go beyond one too many.
func (e *evaluation) least(bound, n int, code, what string) bool {
	return n >= bound || e.report != nil && e.fault(code, "must have at least ", count(bound, what))
}

func (e *evaluation) most(bound, n int, code, what string) bool {
	return bound < 0 || n <= bound || e.report != nil && e.fault(code, "must have at most ", count(bound, what))
}

func (e *evaluation) assertObject(s *subschema, v ref, m mode) bool {
	o := s.object
	a := all{e, true}
	if o.least > 0 || o.most >= 0 {
		n := e.tree.members(v, max(o.least, o.most))
		if a.and(e.least(o.least, n, "min_properties", "member") && e.most(o.most, n, "max_properties", "member")) {
			return false
		}
	}
	for _, name := range o.required {
		if e.tree.member(v, name) == 0 && !e.waives(s, name) && a.and(e.faultAt(name, "required", "is required")) {
			return false
		}
	}
	for _, d := range o.dependencies {
		if e.tree.member(v, d.name) == 0 {
			continue
		}
		for _, name := range d.required {
			if e.tree.member(v, name) == 0 && a.and(e.faultAt(name, "dependent_required", "is required beside another member")) {
				return false
			}
		}
	}
	if len(o.properties) == 0 && o.patterns == nil && o.additional == nil && o.names == nil {
		return a.ok
	}
	var covering [4]*subschema
	for i, end := v+1, e.tree.after(v); i < end; i = e.tree.after(i + 1) {
		name := e.tree.text(i)
		if o.names != nil && !e.quietly(o.names, i, mode{scope: m.scope}) && a.and(e.faultAt(name, "property_names", "is not a possible name")) {
			return false
		}
		by := e.covers(o, covering[:0], name)
		if len(by) == 0 && o.additional != nil && !(o.additional.never && m.lenient) {
			by = append(by, o.additional)
		}
		for _, c := range by {
			if a.and(c.never && e.faultAt(name, "undeclared", "is not declared") || !c.never && e.evalMember(c, i, name, m)) {
				return false
			}
		}
	}
	return a.ok
}

// covers returns the schemas an object gives a member by name or pattern, appended to dst.
func (e *evaluation) covers(o *objectRules, dst []*subschema, name string) []*subschema {
	if c := o.properties[name]; c != nil {
		dst = append(dst, c)
	}
	for i := range o.patterns {
		if e.matches(o.patterns[i].pattern, name) {
			dst = append(dst, o.patterns[i].schema)
		}
	}
	return dst
}

// waives: what may not stand in this direction is not required either.
func (e *evaluation) waives(s *subschema, name string) bool {
	for _, w := range e.program.waived[s] {
		if w == name {
			return true
		}
	}
	return false
}

func (e *evaluation) assertArray(r *arrayRules, v ref, m mode) bool {
	a := all{e, true}
	if r.least > 0 || r.most >= 0 {
		n := e.tree.items(v, max(r.least, r.most))
		if a.and(e.least(r.least, n, "min_items", "item") && e.most(r.most, n, "max_items", "item")) {
			return false
		}
	}
	if r.unique && e.repeats(v) && a.and(e.fault("unique_items", "must not have an item twice")) {
		return false
	}
	end := e.tree.after(v)
	if r.items != nil || r.prefix != nil {
		for i, k := v+1, 0; i < end; i, k = e.tree.after(i), k+1 {
			c := r.items
			if k < len(r.prefix) {
				c = r.prefix[k]
			}
			if c == nil {
				break
			}
			if a.and(e.evalItem(c, i, k, m)) {
				return false
			}
		}
	}
	if r.contains == nil {
		return a.ok
	}
	such := 0
	for i := v + 1; i < end; i = e.tree.after(i) {
		if e.quietly(r.contains, i, m) {
			such++
		}
	}
	if such < r.leastSuch {
		a.and(e.fault("contains", "must have more items of a certain kind"))
	}
	if r.mostSuch >= 0 && such > r.mostSuch {
		a.and(e.fault("contains", "must have fewer items of a certain kind"))
	}
	return a.ok
}

func (e *evaluation) assertText(r *textRules, s string) bool {
	if r.least > 0 || r.most >= 0 {
		length := utf8.RuneCountInString(s)
		if !e.least(r.least, length, "min_length", "character") || !e.most(r.most, length, "max_length", "character") {
			return false // no pattern is tried on what is too long
		}
	}
	return r.pattern.matcher == nil || e.matches(r.pattern, s) || e.fault("pattern", "does not match the required pattern")
}

const (
	longText   = 256     // bytes: shorter ones cost little whatever the pattern is
	bigPattern = 64      // instructions: smaller ones cost little whatever the text is
	maxEffort  = 1 << 26 // bytes × instructions of one body, about a second
)

// matches runs a pattern. RE2 takes the length of the text times that of the pattern at worst, and a pattern with counts
// is long.
func (e *evaluation) matches(p pattern, s string) bool {
	if p.size > bigPattern && len(s) > longText {
		if e.effort += p.size * len(s); e.effort > maxEffort {
			e.exhausted = true
			return false
		}
	}
	return p.MatchString(s)
}

func (e *evaluation) assertNumber(r *numericRules, text string) bool {
	code, detail, of := r.fault(decimalOf(text))
	return code == "" || e.fault(code, detail, of)
}

// fault tells what of the rules a number does not follow: a code, and what it must be of which number. Without one it
// follows all.
func (r *numericRules) fault(d decimal) (code, detail, of string) {
	switch {
	case r.minimum != nil && d.compare(r.minimum.decimal) < 0:
		return "minimum", "must be at least ", r.minimum.text
	case r.maximum != nil && d.compare(r.maximum.decimal) > 0:
		return "maximum", "must be at most ", r.maximum.text
	case r.above != nil && d.compare(r.above.decimal) <= 0:
		return "exclusive_minimum", "must be greater than ", r.above.text
	case r.below != nil && d.compare(r.below.decimal) >= 0:
		return "exclusive_maximum", "must be less than ", r.below.text
	case r.multiple != nil && !d.isMultipleOf(r.multiple.decimal):
		return "multiple_of", "must be a multiple of ", r.multiple.text
	}
	return "", "", ""
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
