package schema

import "slices"

// Viewer is whom a projection is for.
type Viewer interface {
	May(permission string) bool
	Owns() bool // the object is the viewer's own
}

// nobody may nothing.
type nobody struct{}

func (nobody) May(string) bool { return false }
func (nobody) Owns() bool      { return false }

// maxFields bounds Projection.Fields.
const maxFields = 32

// Projection says what a projection took away.
type Projection struct {
	Dropped, Masked int      // values
	Fields          []string // where, as pointers with * for indexes and for names the body chose; each once, at most 32
}

// fate is what becomes of a value.
type fate uint8

const (
	kept     fate = iota
	withheld      // it leaves, with its name if it has one
	nulled        // null stands in its place
	masked
)

// Project judges a body and appends to dst what the viewer may see of it, as the package comment says. Order, names and
// the spelling of values are kept; what loses a part is written without white space. A nil viewer may nothing. On error,
// a *Failure, nothing is returned: the body may not leave.
func (p *Program) Project(dst, body []byte, v Viewer) (out []byte, pr Projection, err error) {
	if v == nil {
		v = nobody{}
	}
	n, err := parse(body, p.options.MaxDepth)
	if err != nil {
		return nil, Projection{}, failure(err)
	}
	w, err := p.judge(n, v)
	if err != nil {
		return nil, Projection{}, err
	}
	return emitter{body, p.maskKey}.emit(dst, n), w.did, nil
}

// walk decides what becomes of every part of a valid body.
type walk struct {
	*evaluation
	program *Program
	viewer  Viewer // nil: no field rule is asked
	faults  report
	did     Projection
}

// value takes a value with the schemas it was given, and reports whether it or a part of it changes.
func (w *walk) value(n *node, by []applied, at *place) bool {
	var follow []applied
	for _, a := range by {
		follow = join(follow, w.following(a.schema, n, a.mode))
	}
	w.decide(n, follow, at)
	switch {
	case n.fate != kept:
		n.changed = true
		w.note(n.fate, at)
	case n.kind == Object:
		n.changed = w.object(n, follow, at)
	case n.kind == Array:
		n.changed = w.array(n, follow, at)
	}
	return n.changed
}

// decide asks every schema the value follows; the strictest wins.
func (w *walk) decide(n *node, follow []applied, at *place) {
	asksRules := w.viewer != nil && w.program.options.Direction == Response
	for _, a := range follow {
		s := a.schema
		if w.program.options.Direction == Request && s.readOnly && at != nil {
			w.faults.add(at, "read_only", "is read-only")
		}
		if w.program.options.Direction == Response && s.writeOnly {
			n.fate = withheld
		}
		if s.rule == nil || !asksRules {
			continue
		}
		switch fate, mask := s.rule.judge(w.viewer); {
		case fate == withheld:
			n.fate = withheld
		case mask != unmasked && n.fate != withheld:
			if n.fate == masked && n.mask != mask {
				mask = maskFull // two masks together would show what each hides
			}
			n.fate, n.mask = masked, mask
		}
	}
	if n.fate == withheld && at == nil {
		n.fate = nulled
	}
}

func (w *walk) note(f fate, at *place) {
	if f == masked {
		w.did.Masked++
	} else {
		w.did.Dropped++
	}
	if len(w.did.Fields) < maxFields {
		if field := at.field(); !slices.Contains(w.did.Fields, field) {
			w.did.Fields = append(w.did.Fields, field)
		}
	}
}

func (w *walk) object(n *node, follow []applied, at *place) (changed bool) {
	free := isFree(follow)
	for i := range n.members() {
		m := &n.members()[i]
		here := at.member(m.name)
		d := w.declaration(n, follow, m.name)
		here.free = !d.named
		if d.forbidden || !d.declared && !free {
			switch w.program.options.Undeclared {
			case Refuse:
				w.faults.add(here, "undeclared", "is not declared")
			case Drop:
				m.value.fate, changed = withheld, true
				w.note(withheld, here)
			}
			continue
		}
		if w.value(&m.value, d.by, here) {
			changed = true
		}
	}
	return changed
}

// declaration is what the schemas of an object say of one member.
type declaration struct {
	by        []applied // its own schemas
	declared  bool
	named     bool // by its very name
	forbidden bool // and let pass so far only to leave
}

func (w *walk) declaration(n *node, follow []applied, name string) (d declaration) {
	var covering [4]*subschema
	for _, a := range follow {
		o := a.schema.object
		if o == nil {
			continue
		}
		by := o.covers(covering[:0], name)
		if len(by) == 0 && o.additional != nil {
			if o.additional.never {
				d.forbidden = true
				continue
			}
			by = append(by, o.additional)
		}
		for _, c := range by {
			d.by, d.declared = append(d.by, applied{c, a.mode}), true
		}
		d.named = d.named || o.properties[name] != nil
	}
	for _, a := range follow {
		other := a.schema.otherMembers
		if other == nil || w.declares(w.following(a.schema, n, a.mode), a.schema, n, name) {
			continue
		}
		if other.never {
			d.forbidden = true
			continue
		}
		d.by, d.declared = append(d.by, applied{other, a.mode}), true
	}
	return d
}

// isFree: an object whose applied schemas name no property at all, and close nothing, is free-form.
func isFree(follow []applied) bool {
	return !slices.ContainsFunc(follow, func(a applied) bool {
		o := a.schema.object
		return a.schema.otherMembers != nil || o != nil && (len(o.properties) > 0 || o.patterns != nil || o.additional != nil)
	})
}

func (w *walk) array(n *node, follow []applied, at *place) (changed bool) {
	var by []applied
	for i := range n.items() {
		item := &n.items()[i]
		by = by[:0]
		tuple := false
		for _, a := range follow {
			if r := a.schema.array; r != nil {
				tuple = tuple || i < len(r.prefix)
				switch {
				case i < len(r.prefix):
					by = append(by, applied{r.prefix[i], a.mode})
				case r.items != nil:
					by = append(by, applied{r.items, a.mode})
				}
				if r.contains != nil && w.quietly(r.contains, item, a.mode) {
					by = append(by, applied{r.contains, a.mode})
				}
			}
			if other := a.schema.otherItems; other != nil && !w.takes(w.following(a.schema, n, a.mode), a.schema, n, i) {
				by = append(by, applied{other, a.mode})
			}
		}
		if w.value(item, by, at.item(i)) {
			changed = true
		}
		if item.fate == withheld && tuple {
			item.fate = nulled
		}
	}
	return changed
}

// emitter writes what is kept, out of the body's own bytes.
type emitter struct {
	body    []byte
	maskKey []byte
}

func (e emitter) emit(dst []byte, n *node) []byte {
	switch {
	case n.fate == nulled:
		return append(dst, "null"...)
	case n.fate == masked:
		return appendMasked(dst, n.mask, n, e.maskKey)
	case !n.changed:
		return append(dst, e.body[n.start:n.end]...)
	case n.kind == Array:
		dst = append(dst, '[')
		first := true
		for i := range n.items() {
			if item := &n.items()[i]; item.fate != withheld {
				dst = e.emit(comma(dst, &first), item)
			}
		}
		return append(dst, ']')
	}
	dst = append(dst, '{')
	first := true
	for i := range n.members() {
		if m := &n.members()[i]; m.value.fate != withheld {
			dst = append(comma(dst, &first), e.body[m.start:m.end]...)
			dst = e.emit(append(dst, ':'), &m.value)
		}
	}
	return append(dst, '}')
}

func comma(dst []byte, first *bool) []byte {
	if *first {
		*first = false
		return dst
	}
	return append(dst, ',')
}
