package schema

// bounds are what a schema alone says of how much a value may hold: a value that breaks them fails, whatever else is said
// of it. With them a large body is read to its end, and refused, without an index of what cannot be valid anyhow.
type bounds struct {
	noObject, noArray string // what it must be instead
	items, members    int    // at most; < 0: any number
	prefix            int    // items before those of each
	each              *bounds
	named             map[string]*bounds
	other             *bounds // members without a name of their own
}

// smallBody is up to how many bytes a body is kept whole, whatever it breaks, so that all of its faults can be told.
const smallBody = 16 << 10

// bounding makes the bounds of each schema once; they refer to each other in circles as schemas do.
type bounding map[*subschema]*bounds

func (all bounding) of(s *subschema) *bounds {
	if s == nil || s.never {
		return nil
	}
	if b := all[s]; b != nil {
		return b
	}
	b := &bounds{items: -1, members: -1}
	all[s] = b
	for _, c := range asserting(s) {
		if c.types != 0 && !c.types.has(Object) && b.noObject == "" {
			b.noObject = c.wanted
		}
		if c.types != 0 && !c.types.has(Array) && b.noArray == "" {
			b.noArray = c.wanted
		}
		if a := c.array; a != nil {
			b.items = tighter(b.items, a.most)
			if a.items != nil && b.each == nil {
				b.prefix, b.each = len(a.prefix), all.of(a.items)
			}
		}
		if o := c.object; o != nil {
			b.members = tighter(b.members, o.most)
			for name, m := range o.properties {
				if b.named[name] == nil {
					if b.named == nil {
						b.named = map[string]*bounds{}
					}
					b.named[name] = all.of(m)
				}
			}
			if o.additional != nil && o.patterns == nil && b.other == nil { // its own names are among the named
				b.other = all.of(o.additional)
			}
		}
	}
	return b
}

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

// refuses tells what a value must be instead where none of its kind is valid.
func (b *bounds) refuses(k Kind) (wanted string) {
	switch {
	case b == nil:
		return ""
	case k == Object:
		return b.noObject
	}
	return b.noArray
}

func (b *bounds) item(i int) *bounds {
	if b == nil || i < b.prefix {
		return nil
	}
	return b.each
}

// member: what additionalProperties says counts only where no schema beside it names the member.
func (b *bounds) member(text string, at, end int, escaped bool) *bounds {
	if b == nil || escaped {
		return nil
	}
	if m, named := b.named[text[at+1:end-1]]; named {
		return m
	}
	return b.other
}

// most is how many items or members a value of a kind may have; < 0: any number.
func (b *bounds) most(k Kind) int {
	if k == Object {
		return b.members
	}
	return b.items
}

// fullOf reports whether so many items or members are already one more than allowed.
func (b *bounds) fullOf(k Kind, n int) bool {
	return b != nil && b.most(k) >= 0 && n > b.most(k)
}

// tellCut tells where a body breaks its bounds.
func (e *evaluation) tellCut(b *bounds, v ref) {
	t := &e.tree
	kind, end := t.kind(v), t.after(v)
	if b == nil || e.report.full() || kind != Object && kind != Array {
		return
	}
	if t.at(v).is(cutFlag) {
		switch {
		case b.refuses(kind) != "":
			e.fault("type", "must be ", b.refuses(kind))
			return
		case kind == Object:
			e.fault("max_properties", "must have at most ", count(b.members, "member"))
		default:
			e.fault("max_items", "must have at most ", count(b.items, "item"))
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
