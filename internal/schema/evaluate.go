package schema

import "slices"

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

// outcome is what was found of one schema and one value. It is kept, so that no pair is judged twice: alternatives that
// lead to the same schemas would else double the work with every level of a body.
type outcome struct {
	by     applied
	state  state
	told   bool // its faults are in the report
	follow []applied
}

type state uint8

const (
	unknown state = iota
	holds
	fails
)

// evaluation judges one body. With a report it tells every fault, else it stops at the first.
type evaluation struct {
	anchors map[string]map[string]*subschema
	waived  map[*subschema][]string
	report  *report
}

// enter is the mode in which a schema itself is judged.
func (m mode) enter(s *subschema) mode {
	if s.resource != "" {
		m.scope = m.scope.enter(s.resource)
	}
	return m
}

// eval judges a value by a schema.
func (e *evaluation) eval(s *subschema, n *node, m mode, at *place) bool {
	switch {
	case s.never:
		return e.fault(at, "undeclared", "is not allowed")
	case s.nullable && n.kind == Null:
		return true
	}
	m = m.enter(s)
	if !s.inPlace {
		return e.assert(s, n, m, at) && e.others(s, n, m, at)
	}
	i := n.outcome(s, m)
	o := &n.in.outcomes[i]
	switch {
	case o.state == holds:
		return true
	case o.state == fails && (e.report == nil || o.told):
		return false
	}
	o.told = e.report != nil
	// While this runs the pair counts as failing: a schema that comes back to itself through a dynamic reference on the
	// same value would judge forever.
	n.in.outcomes[i].state = fails
	follow, ok := e.combine(s, n, m, at)
	o = &n.in.outcomes[i] // others may have been added
	o.follow = follow
	if ok && e.others(s, n, m, at) {
		n.in.outcomes[i].state = holds
		return true
	}
	return false
}

// outcome finds, or makes, the place where a pair's outcome is kept.
func (n *node) outcome(s *subschema, m mode) int {
	if n.in == nil {
		n.in = new(inside)
	}
	for i := range n.in.outcomes {
		if o := &n.in.outcomes[i]; o.by.schema == s && o.by.mode == m {
			return i
		}
	}
	n.in.outcomes = append(n.in.outcomes, outcome{by: applied{s, m}})
	return len(n.in.outcomes) - 1
}

// following returns every schema that a value follows by following one: itself, what it refers to, all of allOf, the
// matching alternatives. It is to be asked of pairs that hold.
func (e *evaluation) following(s *subschema, n *node, m mode) []applied {
	m = m.enter(s)
	if s.inPlace && n.in != nil && !(s.nullable && n.kind == Null) {
		if i := n.outcome(s, m); n.in.outcomes[i].follow != nil {
			return n.in.outcomes[i].follow
		}
	}
	return []applied{{s, m}}
}

// combine judges by the schema's own assertions and by all that applies to the same value.
func (e *evaluation) combine(s *subschema, n *node, m mode, at *place) (follow []applied, ok bool) {
	follow = []applied{{s, m}}
	ok = e.assert(s, n, m, at)
	and := func(c *subschema, m mode) {
		if (ok || e.report != nil) && c != nil {
			if e.eval(c, n, m, at) {
				follow = join(follow, e.following(c, n, m))
			} else {
				ok = false
			}
		}
	}
	for _, c := range s.allOf {
		and(c, m)
	}
	if s.dynamic != nil {
		and(s.dynamic.resolve(m.scope, e.anchors), m)
	}
	for _, alternatives := range [...]struct {
		of  []*subschema
		one bool
	}{{s.anyOf, false}, {s.oneOf, true}} {
		if len(alternatives.of) == 0 || !ok && e.report == nil {
			continue
		}
		matching := e.matching(alternatives.of, n, m)
		for _, a := range matching {
			follow = join(follow, e.following(a.schema, n, a.mode))
		}
		if len(matching) == 0 || alternatives.one && len(matching) > 1 {
			ok = e.tellAlternatives(alternatives.of, alternatives.one, len(matching), n, m, at)
		}
	}
	if s.not != nil && (ok || e.report != nil) && e.quietly(s.not, n, mode{scope: m.scope}) {
		ok = e.fault(at, "not", "is what it must not be")
	}
	if s.test != nil {
		if e.quietly(s.test, n, m) {
			follow = join(follow, e.following(s.test, n, m))
			and(s.then, m)
		} else {
			and(s.orElse, m)
		}
	}
	for _, d := range s.dependents {
		if n.member(d.name) != nil {
			and(d.schema, m)
		}
	}
	return follow, ok
}

func join(dst, more []applied) []applied {
	for _, a := range more {
		if !slices.Contains(dst, a) {
			dst = append(dst, a)
		}
	}
	return dst
}

// quietly judges without telling.
func (e *evaluation) quietly(s *subschema, n *node, m mode) bool {
	report := e.report
	e.report = nil
	defer func() { e.report = report }()
	return e.eval(s, n, m, nil)
}

// matching returns the alternatives a value follows: as it stands, or else those it follows without the members they
// forbid, where these leave.
func (e *evaluation) matching(alternatives []*subschema, n *node, m mode) []applied {
	var out []applied
	for _, lenient := range [...]bool{false, true} {
		if lenient && (!m.lenient || len(out) > 0) {
			break
		}
		for _, c := range alternatives {
			as := mode{m.scope, lenient}
			if e.quietly(c, n, as) {
				out = append(out, applied{c, as})
			}
		}
	}
	return out
}

// others judges what is left by unevaluatedProperties and unevaluatedItems.
func (e *evaluation) others(s *subschema, n *node, m mode, at *place) bool {
	ok := true
	if other := s.otherMembers; other != nil && n.kind == Object && !(other.never && m.lenient) {
		follow := e.following(s, n, m)
		for i := range n.members() {
			member := &n.members()[i]
			if e.declares(follow, s, n, member.name) {
				continue
			}
			if !e.eval(other, &member.value, m, at.member(member.name)) {
				if ok = false; e.report == nil {
					return false
				}
			}
		}
	}
	if other := s.otherItems; other != nil && n.kind == Array {
		follow := e.following(s, n, m)
		for i := range n.items() {
			if e.takes(follow, s, n, i) {
				continue
			}
			if !e.eval(other, &n.items()[i], m, at.item(i)) {
				if ok = false; e.report == nil {
					return false
				}
			}
		}
	}
	return ok
}

// declares reports whether any of the schemas declares a member. What except says of other members does not count.
func (e *evaluation) declares(follow []applied, except *subschema, n *node, name string) bool {
	for _, a := range follow {
		if o := a.schema.object; o != nil {
			if o.declares(name) || o.additional != nil && !o.additional.never {
				return true
			}
		}
		if a.schema != except && a.schema.otherMembers != nil && !a.schema.otherMembers.never {
			return true // it holds, and so every member of the value passed it
		}
	}
	return false
}

func (o *objectRules) declares(name string) bool {
	if o.properties[name] != nil {
		return true
	}
	return slices.ContainsFunc(o.patterns, func(p patternRule) bool { return p.pattern.MatchString(name) })
}

// takes is declares for items.
func (e *evaluation) takes(follow []applied, except *subschema, n *node, i int) bool {
	for _, a := range follow {
		if r := a.schema.array; r != nil {
			if i < len(r.prefix) || r.items != nil || r.contains != nil && e.quietly(r.contains, &n.items()[i], a.mode) {
				return true
			}
		}
		if a.schema != except && a.schema.otherItems != nil {
			return true
		}
	}
	return false
}
