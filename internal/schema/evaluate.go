package schema

import (
	"slices"
	"sync"
)

// mode is how a value is being judged: by way of which resources, and whether members that only `additionalProperties:
// false` forbids are let pass, because they leave afterwards (Drop).
type mode struct {
	scope   *scope
	lenient bool
}

// applied is a schema that a value follows, and in which mode it was judged.
type applied struct {
	schema *subschema
	mode   mode
}

// evaluation judges one body. With a report it tells every fault, else it stops at the first.
type evaluation struct {
	tree    tree
	program *Program
	report  *report
	way     []step // from the body to the value being judged
	memo    memo
	follow  []applied // a stack of what values follow
	by      []applied // a stack of what values were given
	form    []byte    // scratch
	table   []ref     // scratch

	effort    int  // spent on long texts and big patterns
	exhausted bool // more than may be spent: the body fails, whatever was found
	steps     int  // pairs judged, and items compared in vain
}

// evaluations are used again. Nothing of a body stays in one: its index says where values stood, not what they were.
var evaluations = sync.Pool{New: func() any { return new(evaluation) }}

// keptChunks bounds what one evaluation holds between two uses: enough for bodies of about 50 kB.
const keptChunks = 32

func (p *Program) evaluation() *evaluation {
	e := evaluations.Get().(*evaluation)
	e.program = p
	return e
}

// release gives back an evaluation, whose tree must not be used any more.
func (e *evaluation) release() {
	e.tree.nodes.reset(keptChunks)
	e.memo.reset(keptChunks)
	*e = evaluation{tree: tree{nodes: e.tree.nodes}, memo: e.memo,
		way: emptied(e.way), follow: emptied(e.follow), by: emptied(e.by), form: emptied(e.form), table: emptied(e.table)}
	evaluations.Put(e)
}

// emptied is a list for the next use: nothing of this one stays in it, and no large one stays.
func emptied[T any](list []T) []T {
	if list = list[:cap(list)]; len(list) > 1<<10 {
		return nil
	}
	clear(list)
	return list[:0]
}

// enter is the mode in which a schema itself is judged.
func (m mode) enter(s *subschema) mode {
	if s.resource != "" {
		m.scope = m.scope.enter(s.resource)
	}
	return m
}

// number tells the modes of one evaluation apart.
func (m mode) number() uint32 {
	n := uint32(0)
	if m.scope != nil {
		n = m.scope.number << 1
	}
	if m.lenient {
		n |= 1
	}
	return n
}

// stops reports whether a fault ends the judging: nobody wants to hear of more.
func (e *evaluation) stops() bool { return e.report == nil || e.report.full() }

// eval judges a value by a schema.
func (e *evaluation) eval(s *subschema, v ref, m mode) bool {
	e.steps++
	switch {
	case e.exhausted:
		return false
	case s.never:
		return e.fault("undeclared", "is not allowed")
	case s.nullable && e.tree.kind(v) == Null:
		return true
	case !s.types.admits(&e.tree, v):
		return e.fault("type", "must be ", s.wanted) // all else would only follow from it
	}
	m = m.enter(s)
	if !e.remembers(s, v) {
		return e.judge(s, v, m)
	}
	c := e.memo.of(s, v, m)
	switch now := c.state(v); {
	case now == holds:
		return true
	case now == told, now == fails && e.report == nil:
		return false
	}
	// While this runs the pair counts as failing: a schema that comes back to itself through a dynamic reference on the
	// same value would judge forever.
	c.set(v, fails)
	if e.report != nil {
		c.set(v, told)
	}
	if !e.judge(s, v, m) {
		return false
	}
	c.set(v, holds)
	return true
}

// weight is from how many bytes on a value without values in it is worth remembering.
const weight = 64

// remembers reports whether a pair is kept: where schemas never meet a value twice, and of small values, none is.
func (e *evaluation) remembers(s *subschema, v ref) bool {
	if !e.program.meets || s.number == 0 {
		return false
	}
	n := e.tree.at(v)
	return n.holdsAny(v) || n.size() >= weight || s.dynamic != nil
}

// judge is eval without memory.
func (e *evaluation) judge(s *subschema, v ref, m mode) bool {
	ok := e.assert(s, v, m)
	if s.inPlace && (ok || e.report != nil) {
		ok = e.combine(s, v, m) && ok
	}
	return ok && e.others(s, v, m)
}

// combine judges by all that applies to the same value.
func (e *evaluation) combine(s *subschema, v ref, m mode) bool {
	a := all{e, true}
	for _, c := range s.allOf {
		if a.and(e.eval(c, v, m)) {
			return false
		}
	}
	if s.dynamic != nil {
		if c := s.dynamic.resolve(m.scope, e.program.anchors); c != nil && a.and(e.eval(c, v, m)) {
			return false
		}
	}
	if len(s.anyOf) > 0 {
		if _, n := e.matching(s.anyOf, v, m, 1); n == 0 && a.and(e.tellAlternatives(s.anyOf, false, n, v, m)) {
			return false
		}
	}
	if len(s.oneOf) > 0 {
		if _, n := e.matching(s.oneOf, v, m, 2); n != 1 && a.and(e.tellAlternatives(s.oneOf, true, n, v, m)) {
			return false
		}
	}
	if s.not != nil && e.quietly(s.not, v, mode{scope: m.scope}) && a.and(e.fault("not", "is what it must not be")) {
		return false
	}
	if s.test != nil {
		c := s.orElse
		if e.quietly(s.test, v, m) {
			c = s.then
		}
		if c != nil && a.and(e.eval(c, v, m)) {
			return false
		}
	}
	for _, d := range s.dependents {
		if e.tree.member(v, d.name) != 0 && a.and(e.eval(d.schema, v, m)) {
			return false
		}
	}
	return a.ok
}

// quietly judges without telling.
func (e *evaluation) quietly(s *subschema, v ref, m mode) bool {
	report := e.report
	e.report = nil
	ok := e.eval(s, v, m)
	e.report = report
	return ok
}

// matching counts the alternatives a value follows, as far as enough, and tells in which mode: as it stands, or else those
// it follows without the members they forbid, where these leave.
func (e *evaluation) matching(alternatives []*subschema, v ref, m mode, enough int) (as mode, n int) {
	for _, lenient := range [...]bool{false, true} {
		if lenient && (!m.lenient || n > 0) {
			break
		}
		as = mode{m.scope, lenient}
		for _, c := range alternatives {
			if n < enough && e.quietly(c, v, as) {
				n++
			}
		}
	}
	return as, n
}

// following pushes every schema that a value follows by following one on the stack, once each above base: itself, what it
// refers to, all of allOf, the matching alternatives. It is to be asked of pairs that hold.
func (e *evaluation) following(base int, s *subschema, v ref, m mode) {
	m = m.enter(s)
	if slices.Contains(e.follow[base:], applied{s, m}) {
		return
	}
	e.follow = append(e.follow, applied{s, m})
	if !s.inPlace || s.nullable && e.tree.kind(v) == Null {
		return
	}
	for _, c := range s.allOf {
		e.following(base, c, v, m)
	}
	if s.dynamic != nil {
		if c := s.dynamic.resolve(m.scope, e.program.anchors); c != nil {
			e.following(base, c, v, m)
		}
	}
	for _, alternatives := range [...][]*subschema{s.anyOf, s.oneOf} {
		if len(alternatives) == 0 {
			continue
		}
		as, _ := e.matching(alternatives, v, m, 1)
		for _, c := range alternatives {
			if e.quietly(c, v, as) {
				e.following(base, c, v, as)
			}
		}
	}
	if s.test != nil {
		c := s.orElse
		if e.quietly(s.test, v, m) {
			e.following(base, s.test, v, m)
			c = s.then
		}
		if c != nil {
			e.following(base, c, v, m)
		}
	}
	for _, d := range s.dependents {
		if e.tree.member(v, d.name) != 0 {
			e.following(base, d.schema, v, m)
		}
	}
}

// others judges what is left by unevaluatedProperties and unevaluatedItems.
func (e *evaluation) others(s *subschema, v ref, m mode) bool {
	if s.otherMembers == nil && s.otherItems == nil {
		return true
	}
	kind := e.tree.kind(v)
	members := s.otherMembers != nil && kind == Object && !(s.otherMembers.never && m.lenient)
	if !members && !(s.otherItems != nil && kind == Array) {
		return true
	}
	base := len(e.follow)
	e.following(base, s, v, m)
	follow := e.follow[base:]
	defer func() { e.follow = e.follow[:base] }()
	a := all{e, true}
	if members {
		for i, end := v+1, e.tree.after(v); i < end; i = e.tree.after(i + 1) {
			name := e.tree.text(i)
			if !e.declares(follow, s, name) && a.and(e.evalMember(s.otherMembers, i, name, m)) {
				return false
			}
		}
		return a.ok
	}
	for i, k := v+1, 0; i < e.tree.after(v); i, k = e.tree.after(i), k+1 {
		if !e.takes(follow, s, i, k) && a.and(e.evalItem(s.otherItems, i, k, m)) {
			return false
		}
	}
	return a.ok
}

// declares reports whether any of the schemas declares a member. What except says of other members does not count.
func (e *evaluation) declares(follow []applied, except *subschema, name string) bool {
	for _, a := range follow {
		if o := a.schema.object; o != nil {
			if e.names(o, name) || o.additional != nil && !o.additional.never {
				return true
			}
		}
		if a.schema != except && a.schema.otherMembers != nil && !a.schema.otherMembers.never {
			return true // it holds, and so every member of the value passed it
		}
	}
	return false
}

func (e *evaluation) names(o *objectRules, name string) bool {
	return o.properties[name] != nil || slices.ContainsFunc(o.patterns, func(p patternRule) bool { return e.matches(p.pattern, name) })
}

// takes is declares for items.
func (e *evaluation) takes(follow []applied, except *subschema, item ref, k int) bool {
	for _, a := range follow {
		if r := a.schema.array; r != nil {
			if k < len(r.prefix) || r.items != nil || r.contains != nil && e.quietly(r.contains, item, a.mode) {
				return true
			}
		}
		if a.schema != except && a.schema.otherItems != nil {
			return true
		}
	}
	return false
}

// evalMember judges a member's value, evalItem an item.
func (e *evaluation) evalMember(s *subschema, nameAt ref, name string, m mode) bool {
	e.enter(step{name: name})
	ok := e.eval(s, nameAt+1, m)
	e.leave()
	return ok
}

func (e *evaluation) evalItem(s *subschema, item ref, k int, m mode) bool {
	e.enter(step{index: k, isItem: true})
	ok := e.eval(s, item, m)
	e.leave()
	return ok
}
