package schema

import (
	"fmt"
	"slices"
	"strings"
)

// reader reads one schema, keyword by keyword, each as strictly as its metaschema would.
type reader struct {
	*lowering
	place
	tree    *tree
	s       *subschema
	keyword string // being read
	err     error  // the first

	object                     objectRules
	array                      arrayRules
	text                       textRules
	numeric                    numericRules
	aboveMinimum, belowMaximum bool // OpenAPI 3.0
	target                     *subschema

	form   []byte     // all that the schema asks, equal for equal ones
	shared bool       // it can stand for its equals
	alone  *subschema // what it refers to, where it asks nothing else
	asks   int        // keywords that ask something
	inner  bool       // it judges the same value as the schema it stands in
}

func (l *lowering) reader(s *subschema, p place, inPlace bool) *reader {
	r := new(reader)
	if n := len(l.spare); n > 0 {
		r, l.spare = l.spare[n-1], l.spare[:n-1]
	}
	*r = reader{lowering: l, place: p, tree: &p.source.tree, s: s, inner: inPlace, form: r.form[:0], shared: !p.source.named && l.set.foreign == nil,
		object: objectRules{most: -1}, array: arrayRules{leastSuch: 1, mostSuch: -1, most: -1}, text: textRules{most: -1}}
	return r
}

func (l *lowering) release(r *reader) { l.spare = append(l.spare, r) }

// fail keeps the first fault.
func (r *reader) fail(at ref, format string, args ...any) {
	if r.err == nil {
		r.err = r.source.fault(at, fmt.Sprintf(format, args...))
	}
}

func (r *reader) failed(err error) bool {
	if err != nil && r.err == nil {
		r.err = err
	}
	return err != nil
}

// all reads every keyword.
func (r *reader) all() {
	lone := r.set.dialect == OpenAPI30 && r.tree.member(r.at, "$ref") != 0 // its siblings are ignored (OpenAPI 3.0.3 §4.7.23.2), but no rule of ours
	for i, end := r.at+1, r.tree.after(r.at); i < end && r.err == nil; i = r.tree.after(i + 1) {
		r.keyword = r.tree.text(i)
		k, known := keywords[r.keyword]
		switch {
		case !known, lone && r.keyword != "$ref" && r.keyword != "x-portreeve":
			continue
		case k.in != 0 && k.in != r.set.dialect:
			if k.in == OpenAPI31 && !slices.Contains(harmless, r.keyword) {
				r.fail(i+1, "no valid schema: OpenAPI 3.0 has no keyword %q", r.keyword)
			}
			continue
		case k.of&r.omitted != 0:
			continue
		}
		r.asks++
		r.form = append(append(r.form, r.keyword...), 0)
		if k.holds == noSchema {
			r.form = append(append(r.form, r.tree.written(i+1)...), 0)
		}
		r.one(r.keyword, i+1)
	}
}

// finish brings what was read to the subschema.
func (r *reader) finish() {
	s := r.s
	if r.aboveMinimum { // in 3.0 the exclusive bounds are booleans that sharpen the others
		r.numeric.above, r.numeric.minimum = r.numeric.minimum, nil
	}
	if r.belowMaximum {
		r.numeric.below, r.numeric.maximum = r.numeric.maximum, nil
	}
	if r.numeric != (numericRules{}) {
		s.numeric = &numericRules{}
		*s.numeric = r.numeric
	}
	if t := r.text; t.least > 0 || t.most >= 0 || t.pattern.matcher != nil {
		s.text = &t
	}
	if r.target != nil {
		if len(s.allOf) == 0 && r.asks == 1 {
			r.alone = r.target
		}
		s.allOf = append(s.allOf, r.target) // a reference applies what it refers to
	}
	if s.test == nil {
		s.then, s.orElse = nil, nil
	}
	if len(r.object.required) > 0 && r.inner {
		r.shared = false // what is required depends on the schemas beside this one (readOnly)
	}
	slices.SortFunc(s.dependents, func(a, b dependent) int { return strings.Compare(a.name, b.name) })
	if o := r.object; len(o.properties) > 0 || o.patterns != nil || o.additional != nil || o.names != nil || len(o.required) > 0 ||
		o.dependencies != nil || o.least > 0 || o.most >= 0 {
		slices.SortFunc(o.patterns, func(a, b patternRule) int { return strings.Compare(a.pattern.source, b.pattern.source) })
		slices.SortFunc(o.dependencies, func(a, b dependency) int { return strings.Compare(a.name, b.name) })
		s.object = &o
	}
	if a := r.array; a.prefix != nil || a.items != nil || a.contains != nil || a.least > 0 || a.most >= 0 || a.unique {
		s.array = &a
	}
	s.inPlace = s.dynamic != nil
	s.sameValue(true, func(*subschema) { s.inPlace = true })
}

// Schemas in the schema.

func (r *reader) child(v ref, inPlace bool) *subschema {
	if !r.isSchema(v) {
		return &r.set.always
	}
	c, err := r.inline(place{r.resource, v}, inPlace)
	if r.failed(err) {
		return &r.set.always
	}
	r.identify(c)
	return c
}

// identify adds to the form which schema is meant.
func (r *reader) identify(c *subschema) {
	n := c.number << 1
	if c.never {
		n |= 1
	}
	r.form = append(r.form, byte(n), byte(n>>8), byte(n>>16), byte(n>>24), 0)
}

// schema is one for another value than the schema's own, inPlace one for the same.
func (r *reader) schema(v ref) *subschema  { return r.child(v, false) }
func (r *reader) inPlace(v ref) *subschema { return r.child(v, true) }

func (r *reader) schemas(v ref, inPlace bool) []*subschema {
	if !r.is(v, Array) {
		return nil
	}
	n := r.tree.items(v, -1)
	if n == 0 {
		r.fail(v, "no valid schema: it must hold a schema")
	}
	list := make([]*subschema, 0, n)
	for i, end := v+1, r.tree.after(v); i < end && r.err == nil; i = r.tree.after(i) {
		list = append(list, r.child(i, inPlace))
	}
	return list
}

// each calls f for the members of an object.
func (r *reader) each(v ref, f func(name string, nameAt, v ref)) {
	if !r.is(v, Object) {
		return
	}
	for i, end := v+1, r.tree.after(v); i < end && r.err == nil; i = r.tree.after(i + 1) {
		r.form = append(append(r.form, r.tree.written(i)...), 0)
		f(r.set.intern(r.tree.text(i)), i, i+1)
	}
}

func (r *reader) properties(v ref) {
	if r.is(v, Object) {
		n := r.tree.members(v, -1)
		r.object.properties, r.object.steps = make(map[string]*subschema, n), make([]string, 0, n)
	}
	r.each(v, func(name string, _, v ref) {
		r.object.properties[name] = r.schema(v)
		r.object.steps = append(r.object.steps, r.set.step(name))
	})
	slices.Sort(r.object.steps)
}

func (r *reader) patternProperties(v ref) {
	r.each(v, func(name string, at, v ref) {
		r.object.patterns = append(r.object.patterns, patternRule{r.pattern(at, name), r.schema(v)})
	})
}

func (r *reader) dependentSchemas(v ref) {
	r.each(v, func(name string, _, v ref) { r.s.dependents = append(r.s.dependents, dependent{name, r.inPlace(v)}) })
}

func (r *reader) dependentRequired(v ref) {
	r.each(v, func(name string, _, v ref) {
		r.object.dependencies = append(r.object.dependencies, dependency{name, r.names(v)})
		r.form = append(append(r.form, r.tree.written(v)...), 0)
	})
}

// dependencies is the older form of both.
func (r *reader) dependencies(v ref) {
	r.each(v, func(name string, _, v ref) {
		if r.tree.kind(v) != Array {
			r.s.dependents = append(r.s.dependents, dependent{name, r.inPlace(v)})
			return
		}
		r.object.dependencies = append(r.object.dependencies, dependency{name, r.names(v)})
		r.form = append(append(r.form, r.tree.written(v)...), 0)
	})
}

// References.

func (r *reader) reference(v ref) {
	text := r.string(v)
	if r.err != nil {
		return
	}
	p, _, err := r.set.resolve(r.resource, text)
	if err != nil {
		r.refuse(v, err)
		return
	}
	c, err := r.get(p)
	if r.failed(err) {
		return
	}
	r.target = c
}

// refuse tells what is wrong with a reference, at the reference.
func (r *reader) refuse(v ref, err error) { r.failed(compileError(r.source.pointer(v), err)) }

func (r *reader) dynamicReference(v ref) {
	text := r.string(v)
	if r.err != nil {
		return
	}
	p, anchor, err := r.set.resolve(r.resource, text)
	if err != nil {
		r.refuse(v, err)
		return
	}
	c, err := r.get(p)
	if r.failed(err) {
		return
	}
	r.s.dynamic = &dynamicRef{target: c}
	if at, is := p.dynamic[anchor]; is && anchor != "" && at == p.at {
		r.s.dynamic.anchor = anchor
	}
}

// anchor checks what search has found.
func (r *reader) anchor(v ref) {
	name := r.string(v)
	for i, c := range []byte(name) {
		if c != '_' && c|0x20-'a' > 25 && (i == 0 || c != '-' && c != '.' && c-'0' > 9) {
			r.fail(v, "no valid schema: %q is no possible anchor", name)
			return
		}
	}
	if name == "" {
		r.fail(v, "no valid schema: an anchor cannot be empty")
	}
}

// dialect: that of a resource was read with its names.
func (r *reader) dialect(v ref) {
	if text := r.string(v); r.at != r.root && !isDialect(text) {
		r.fail(v, "it is of another dialect than the document: %s", text)
	}
}

// Assertions.

var typeNames = map[string]types{"null": 1 << Null, "boolean": 1 << Boolean, "number": 1 << Number, "integer": integer,
	"string": 1 << String, "array": 1 << Array, "object": 1 << Object}

func (r *reader) types(v ref) {
	if r.tree.kind(v) != Array || r.set.dialect == OpenAPI30 {
		r.oneType(v)
		return
	}
	if r.tree.items(v, 1) == 0 {
		r.fail(v, "no valid schema: it must name a type")
	}
	for i, end := v+1, r.tree.after(v); i < end; i = r.tree.after(i) {
		r.oneType(i)
	}
}

func (r *reader) oneType(v ref) {
	name := r.string(v)
	t, known := typeNames[name]
	switch {
	case r.err != nil:
	case !known, name == "null" && r.set.dialect == OpenAPI30: // which says it by nullable
		r.fail(v, "no valid schema: %q is no type", name)
	case r.s.types&t != 0:
		r.fail(v, "no valid schema: %q stands twice", name)
	}
	r.s.types |= t
	r.s.wanted = r.set.intern(r.s.types.String())
}

func (r *reader) enum(v ref) {
	if !r.is(v, Array) {
		return
	}
	written := r.tree.written(v)
	e := r.set.enums[written]
	if e == nil {
		e = &enumeration{forms: map[string]struct{}{}}
		for i, end := v+1, r.tree.after(v); i < end; i = r.tree.after(i) {
			form, _ := r.tree.canonical(nil, i, -1)
			e.forms[string(form)] = struct{}{}
			e.longest = max(e.longest, len(form))
		}
		r.set.enums[written] = e
	}
	r.s.enum, r.s.longest = e.forms, max(r.s.longest, e.longest)
}

// enumeration is an enum that was read: many schemas say the same.
type enumeration struct {
	forms   map[string]struct{}
	longest int
}

func (r *reader) constant(v ref) {
	form, _ := r.tree.canonical(nil, v, -1)
	text := string(form)
	r.s.constant, r.s.longest = &text, max(r.s.longest, len(text))
}

func (r *reader) multipleOf(v ref) {
	if b := r.number(v); b != nil && b.sign() <= 0 {
		r.fail(v, "no valid schema: it must be greater than 0")
	} else {
		r.numeric.multiple = b
	}
}

// pattern compiles a pattern, each once.
func (r *reader) pattern(at ref, source string) pattern {
	if r.err != nil {
		return pattern{}
	}
	p, known := r.set.patterns[source]
	if !known {
		var err error
		if p, err = compilePattern(strings.Clone(source)); err != nil {
			if x := r.tree.member(r.at, "x-portreeve"); r.keyword != "pattern" || x == 0 || r.tree.member(x, unsafePattern) == 0 {
				r.fail(at, "%v", err)
			}
			return pattern{}
		}
		r.set.patterns[p.source] = p
	}
	return p
}

func (r *reader) format(v ref) {
	if name := r.string(v); !r.set.annotated {
		r.s.format = formats[name] // what is not there is an annotation
	}
}

func (r *reader) rule(v ref) {
	rule, err := readRule(r.tree.any(v))
	if err != nil {
		r.fail(r.at, "%v", err)
	}
	r.s.rule = rule
}
