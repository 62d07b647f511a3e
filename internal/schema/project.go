package schema

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

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
	Fields          []string // where, as pointers with * for indexes and for names the body chose; each once, at most 32; not to be changed
}

// fate is what becomes of a value.
type fate uint8

const (
	kept     fate = iota
	withheld      // it leaves, with its name if it has one
	nulled        // null stands in its place
	masked
)

// Project judges a body and appends to dst what the viewer may see of it, as the package comment says. Order, names,
// spelling and white space of what stays are kept. A nil viewer may nothing. On error,
// a *Failure, nothing is returned: the body may not leave.
func (p *Program) Project(dst, body []byte, v Viewer) (out []byte, pr Projection, err error) {
	if v == nil {
		v = nobody{}
	}
	if out, did, ok := p.run(slices.Grow(dst, len(body)), body, v, true); ok {
		return out, did, nil
	}
	return p.projectByIndex(dst, body, v)
}

// projectByIndex is Project by the engine that explains.
func (p *Program) projectByIndex(dst, body []byte, v Viewer) (out []byte, pr Projection, err error) {
	w, err := p.judge(string(body), v)
	if err != nil {
		return nil, Projection{}, err
	}
	defer w.release()
	return emitter{&w.tree, body, p.maskKey}.emit(slices.Grow(dst, len(body)), 0), w.did, nil
}

// walk decides what becomes of every part of a valid body.
type walk struct {
	*evaluation
	viewer Viewer // nil: no field rule is asked
	faults report
	did    Projection
}

// push gives a schema to the next value.
func (w *walk) push(s *subschema, m mode) { w.by = append(w.by, applied{s, m}) }

// value takes a value with the schemas it was given, those behind base, and reports whether it or a part of it changes.
func (w *walk) value(v ref, base int) bool {
	from := len(w.follow)
	for _, a := range w.by[base:] {
		w.following(from, a.schema, v, a.mode)
	}
	w.by = w.by[:base]
	follow := w.follow[from:]
	n := w.tree.at(v)
	w.decide(v, n, follow)
	changed := false
	switch kind := w.tree.kind(v); {
	case n.fate() != kept:
		changed = true
		w.note(n.fate())
	case kind == Object && slices.ContainsFunc(follow, speaksOfMembers):
		changed = w.object(v, follow)
	case kind == Array && slices.ContainsFunc(follow, speaksOfItems):
		changed = w.array(v, follow)
	}
	if changed {
		n.set(changedFlag)
	}
	w.follow = w.follow[:from]
	return changed
}

func speaksOfMembers(a applied) bool {
	return a.schema.object != nil || a.schema.otherMembers != nil
}

func speaksOfItems(a applied) bool { return a.schema.array != nil || a.schema.otherItems != nil }

// decide asks every schema the value follows; the strictest wins.
func (w *walk) decide(v ref, n *node, follow []applied) {
	asksRules := w.viewer != nil && w.program.options.Direction == Response
	is := n.fate()
	for _, a := range follow {
		s := a.schema
		if w.program.options.Direction == Request && s.readOnly && v != 0 {
			w.faults.add(w.way, "read_only", "is read-only")
		}
		if w.program.options.Direction == Response && s.writeOnly {
			is = withheld
		}
		if s.rule == nil || !asksRules {
			continue
		}
		switch fate, mask := s.rule.judge(w.viewer); {
		case fate == withheld:
			is = withheld
		case mask != unmasked && is != withheld:
			if is == masked && n.mask() != mask {
				mask = maskFull // two masks together would show what each hides
			}
			is = masked
			n.maskedBy(mask)
		}
	}
	if is == withheld && v == 0 {
		is = nulled
	}
	n.becomes(is)
}

func (w *walk) note(f fate) {
	if f == masked {
		w.did.Masked++
	} else {
		w.did.Dropped++
	}
	if len(w.did.Fields) == maxFields {
		return
	}
	w.form = appendField(w.form[:0], w.way)
	if !slices.ContainsFunc(w.did.Fields, func(f string) bool { return f == string(w.form) }) {
		w.did.Fields = append(w.did.Fields, string(w.form))
	}
}

// enclosing are the schemas of a value that speak of its other members or items, each with all that value follows by it.
type enclosing struct {
	applied
	follow []applied
}

func (w *walk) enclosing(v ref, follow []applied, speaks func(*subschema) bool) []enclosing {
	var out []enclosing
	for _, a := range follow {
		if speaks(a.schema) {
			base := len(w.follow)
			w.following(base, a.schema, v, a.mode)
			out = append(out, enclosing{a, slices.Clone(w.follow[base:])})
			w.follow = w.follow[:base]
		}
	}
	return out
}

func (w *walk) object(v ref, follow []applied) (changed bool) {
	free := isFree(follow)
	others := w.enclosing(v, follow, func(s *subschema) bool { return s.otherMembers != nil })
	for i, end := v+1, w.tree.after(v); i < end; i = w.tree.after(i + 1) {
		name, base := w.tree.text(i), len(w.by)
		d := w.declaration(follow, others, name)
		w.enter(step{name: name, free: !d.named})
		switch {
		case !d.forbidden && (d.declared || free):
			changed = w.value(i+1, base) || changed
		case w.program.options.Undeclared == Refuse:
			w.faults.add(w.way, "undeclared", "is not declared")
		case w.program.options.Undeclared == Drop:
			w.tree.at(i + 1).becomes(withheld)
			changed = true
			w.note(withheld)
		}
		w.by = w.by[:base]
		w.leave()
	}
	return changed
}

// declaration is what the schemas of an object say of one member.
type declaration struct {
	declared  bool
	named     bool // by its very name
	forbidden bool // and let pass so far only to leave
}

// declaration gives a member the schemas that its object has for it.
func (w *walk) declaration(follow []applied, others []enclosing, name string) (d declaration) {
	var covering [4]*subschema
	for _, a := range follow {
		o := a.schema.object
		if o == nil {
			continue
		}
		by := w.covers(o, covering[:0], name)
		if len(by) == 0 && o.additional != nil {
			if o.additional.never {
				d.forbidden = true
				continue
			}
			by = append(by, o.additional)
		}
		for _, c := range by {
			w.push(c, a.mode)
			d.declared = true
		}
		d.named = d.named || o.properties[name] != nil
	}
	for _, a := range others {
		other := a.schema.otherMembers
		if w.declares(a.follow, a.schema, name) {
			continue
		}
		if other.never {
			d.forbidden = true
			continue
		}
		w.push(other, a.mode)
		d.declared = true
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

func (w *walk) array(v ref, follow []applied) (changed bool) {
	others := w.enclosing(v, follow, func(s *subschema) bool { return s.otherItems != nil })
	for i, k, end := v+1, 0, w.tree.after(v); i < end; i, k = w.tree.after(i), k+1 {
		base, tuple := len(w.by), false
		for _, a := range follow {
			r := a.schema.array
			if r == nil {
				continue
			}
			tuple = tuple || k < len(r.prefix)
			switch {
			case k < len(r.prefix):
				w.push(r.prefix[k], a.mode)
			case r.items != nil:
				w.push(r.items, a.mode)
			}
			if r.contains != nil && w.quietly(r.contains, i, a.mode) {
				w.push(r.contains, a.mode)
			}
		}
		for _, a := range others {
			if !w.takes(a.follow, a.schema, i, k) {
				w.push(a.schema.otherItems, a.mode)
			}
		}
		w.enter(step{index: k, isItem: true})
		changed = w.value(i, base) || changed
		w.leave()
		if item := w.tree.at(i); tuple && item.fate() == withheld {
			item.becomes(nulled)
		}
	}
	return changed
}

// emitter writes what is kept, out of the body's own bytes: of a value that loses a part all stays as it is written but
// what leaves, with the white space and the comma before it (behind it, where nothing before it stays).
type emitter struct {
	tree    *tree
	body    []byte
	maskKey []byte
}

func (e emitter) emit(dst []byte, v ref) []byte {
	t, n := e.tree, e.tree.at(v)
	switch kind := t.kind(v); {
	case n.fate() == nulled:
		return append(dst, "null"...)
	case n.fate() == masked:
		return appendMasked(dst, n.mask(), kind, t.text(v), e.maskKey)
	case !n.is(changedFlag):
		return append(dst, e.body[n.start:n.end]...)
	}
	members := t.kind(v) == Object
	last, stays := n.start, false // behind what was before
	for i, end := v+1, t.after(v); i < end; i = t.after(i) {
		part := t.at(i)
		start := part.start
		if members {
			i++
		}
		value := t.at(i)
		switch {
		case i == v+1 || members && i == v+2:
			dst = append(dst, e.body[last:start]...)
		case stays && value.fate() != withheld:
			dst = append(dst, e.body[last:start]...)
		}
		if last = value.end; value.fate() != withheld {
			dst = append(dst, e.body[start:value.start]...)
			dst = e.emit(dst, i)
			stays = true
		}
	}
	return append(dst, e.body[last:n.end]...)
}

func comma(dst []byte, first *bool) []byte {
	if *first {
		*first = false
		return dst
	}
	return append(dst, ',')
}

// fieldLists are the lists of fields that projections of a program named: mostly it is one of a few.
type fieldLists struct {
	known atomic.Pointer[map[uint64][]string] // by their hash
	mu    sync.Mutex
}

const maxFieldLists = 256

// of returns a list by its hash; nobody may change it.
func (l *fieldLists) of(hash uint64, make func() []string) []string {
	known := l.known.Load()
	if known != nil {
		if list := (*known)[hash]; list != nil {
			return list
		}
	}
	list := make()
	l.mu.Lock()
	defer l.mu.Unlock()
	next := map[uint64][]string{hash: list}
	if known = l.known.Load(); known != nil {
		if len(*known) >= maxFieldLists {
			return list
		}
		maps.Copy(next, *known)
	}
	l.known.Store(&next)
	return list
}
