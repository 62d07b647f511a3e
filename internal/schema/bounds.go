package schema

// bounds are what a schema alone says of how much a value may hold: a value that breaks them fails, whatever else is said
// of it. With them a large body is read to its end, and refused, without an index of what cannot be valid anyhow. The zero
// value knows none.
type bounds struct{ schema *subschema }

// smallBody is up to how many bytes a body is kept whole, whatever it breaks, so that all of its faults can be told.
const smallBody = 16 << 10

// asserting returns a schema and all that every value of it must follow too.
func asserting(s *subschema) []*subschema {
	out := []*subschema{s}
	for i := 0; i < len(out); i++ {
		out = append(out, out[i].allOf...)
		if len(out) > 64 {
			break // bounds may say less
		}
	}
	return out
}

func tighter(a, b int) int {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// all calls f for the schemas a value must follow, until it has found what is looked for.
func (b bounds) all(f func(s *subschema) (found bool)) {
	switch s := b.schema; {
	case s == nil || s.never:
	case s.group == nil:
		f(s)
	default:
		for _, c := range s.group {
			if f(c) {
				return
			}
		}
	}
}

// refuses tells what a value must be instead where none of its kind is valid.
func (b bounds) refuses(k Kind) (wanted string) {
	b.all(func(s *subschema) bool {
		if s.types != 0 && !s.types.has(k) {
			wanted = s.wanted
		}
		return wanted != ""
	})
	return wanted
}

func (b bounds) item(i int) (of bounds) {
	b.all(func(s *subschema) bool {
		a := s.array
		if a == nil || a.items == nil {
			return false
		}
		if i >= len(a.prefix) {
			of.schema = a.items
		}
		return true
	})
	return of
}

// member: what additionalProperties says counts only where no schema beside it names the member.
func (b bounds) member(text string, at, end int, escaped bool) (of bounds) {
	if escaped {
		return of
	}
	var other *subschema
	b.all(func(s *subschema) bool {
		o := s.object
		if o == nil {
			return false
		}
		if other == nil && o.patterns == nil {
			other = o.additional
		}
		of.schema = o.properties[text[at+1:end-1]]
		return of.schema != nil
	})
	if of.schema == nil {
		of.schema = other
	}
	return of
}

// most is how many items or members a value of a kind may have; < 0: any number.
func (b bounds) most(k Kind) int {
	n := -1
	b.all(func(s *subschema) bool {
		switch {
		case k == Object && s.object != nil:
			n = tighter(n, s.object.most)
		case k == Array && s.array != nil:
			n = tighter(n, s.array.most)
		}
		return false
	})
	return n
}

// tellCut tells where a body breaks its bounds.
func (e *evaluation) tellCut(b bounds, v ref) {
	t := &e.tree
	kind, end := t.kind(v), t.after(v)
	if b.schema == nil || e.report.full() || kind != Object && kind != Array {
		return
	}
	if t.at(v).is(cutFlag) {
		switch {
		case b.refuses(kind) != "":
			e.fault("type", "must be ", b.refuses(kind))
			return
		case kind == Object:
			e.fault("max_properties", "must have at most ", count(b.most(Object), "member"))
		default:
			e.fault("max_items", "must have at most ", count(b.most(Array), "item"))
		}
	}
	if kind == Array {
		for i, k := v+1, 0; i < end; i, k = t.after(i), k+1 {
			e.enter(step{index: k, isItem: true})
			e.tellCut(b.item(k), i)
			e.leave()
		}
		return
	}
	for i := v + 1; i < end; i = t.after(i + 1) {
		n := t.at(i)
		e.enter(step{name: t.text(i)})
		e.tellCut(b.member(t.s, int(n.start), int(n.end), n.is(escapedFlag)), i+1)
		e.leave()
	}
}
