package schema

// bounds are what a schema alone says of how much a value may hold: what any value that breaks them fails by, whatever
// else is said of it. With them a body is read to its end, and judged, without an index of what cannot be valid anyhow.
type bounds struct {
	noObject, noArray bool
	items, members    int // at most; < 0: any number
	prefix            int // items before those of each
	each              *bounds
	named             map[string]*bounds
	other             *bounds // members without a name of their own
}

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
		if c.types != 0 {
			b.noObject, b.noArray = b.noObject || !c.types.has(Object), b.noArray || !c.types.has(Array)
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
				if b.named[name] == nil && !m.never {
					if b.named == nil {
						b.named = map[string]*bounds{}
					}
					b.named[name] = all.of(m)
				}
			}
			if o.additional != nil && o.patterns == nil && b.other == nil && len(o.properties) == 0 {
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

// refuses reports whether no value of a kind is valid.
func (b *bounds) refuses(k Kind) bool {
	return b != nil && (k == Object && b.noObject || k == Array && b.noArray)
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

// fullOf reports whether so many items or members are already one more than allowed.
func (b *bounds) fullOf(k Kind, n int) bool {
	if b == nil {
		return false
	}
	most := b.items
	if k == Object {
		most = b.members
	}
	return most >= 0 && n > most
}
