package schema

import (
	"slices"
)

// station returns the station of a premise. It is nil where the machine is full, and is to be called with the machine locked.
func (m *machine) station(f premise) *station {
	f, key := m.normal(f)
	if n := m.stations[key]; n != nil {
		return n
	}
	if m.weight > maxWeight {
		return nil
	}
	n := m.build(f)
	m.stations[key] = n
	m.weight += 1 + len(f.given) + len(f.answers)
	if n.object != nil {
		m.weight += len(n.object.members)
	}
	return n
}

// expansion finds what a value follows by what it was given and what was answered.
type expansion struct {
	premise
	follow []judged
	found  map[group]uint64
	asked  *group // the first that is not answered
	nulls  bool   // of null less would follow
}

// group is one set of alternatives of a schema.
type group struct {
	judged
	keyword string
	index   int
}

func expand(f premise) *expansion {
	x := &expansion{premise: f, found: map[group]uint64{}}
	for _, g := range f.given {
		x.visit(g)
	}
	return x
}

// below is what a value follows by following one of its schemas (evaluation.following).
func (x *expansion) below(g judged) []judged {
	y := &expansion{premise: premise{null: x.null}, found: x.found}
	y.visit(g)
	return y.follow
}

func (x *expansion) answer(g group) (found uint64, ok bool) {
	if found, ok = x.found[g]; ok || x.asked != nil {
		return found, ok
	}
	if len(x.answers) == 0 {
		x.asked = &g
		return 0, false
	}
	found, x.answers = x.answers[0], x.answers[1:]
	x.found[g] = found
	return found, true
}

func (x *expansion) visit(g judged) {
	if slices.Contains(x.follow, g) {
		return
	}
	x.follow = append(x.follow, g)
	s := g.schema
	if s.nullable {
		if x.nulls = true; x.null {
			return
		}
	}
	for _, c := range s.allOf {
		x.visit(judged{c, g.lenient})
	}
	if len(s.anyOf) > 0 {
		if found, ok := x.answer(group{g, "anyOf", 0}); ok {
			for i, c := range s.anyOf {
				if found>>(i+1)&1 != 0 {
					x.visit(judged{c, found&1 != 0})
				}
			}
		}
	}
	if len(s.oneOf) > 0 {
		if found, ok := x.answer(group{g, "oneOf", 0}); ok {
			x.visit(judged{s.oneOf[found>>1], found&1 != 0})
		}
	}
	if s.test != nil {
		if found, ok := x.answer(group{g, "if", 0}); ok {
			c := s.orElse
			if found != 0 {
				x.visit(judged{s.test, g.lenient})
				c = s.then
			}
			if c != nil {
				x.visit(judged{c, g.lenient})
			}
		}
	}
	for i, d := range s.dependents {
		if found, ok := x.answer(group{g, "dependentSchemas", i}); ok && found != 0 {
			x.visit(judged{d.schema, g.lenient})
		}
	}
}

// maxAlternatives is how many of anyOf a mask has room for.
const maxAlternatives = 62

// choice makes the question of a group.
func (m *machine) choice(g *group) *choice {
	s := g.schema
	test := func(c *subschema, lenient bool) *choice {
		return &choice{kind: ifThen, alternatives: []alternative{{strict: targetOf(c, lenient)}}}
	}
	switch g.keyword {
	case "anyOf":
		return &choice{kind: anyOf, lenient: g.lenient, alternatives: alternativesOf(s.anyOf)}
	case "oneOf":
		return &choice{kind: oneOf, lenient: g.lenient, alternatives: alternativesOf(s.oneOf)}
	case "if":
		return test(s.test, g.lenient)
	}
	return test(m.present(s.dependents[g.index].name), false)
}

func alternativesOf(list []*subschema) []alternative {
	out := make([]alternative, len(list))
	for i, c := range list {
		out[i] = alternative{targetOf(c, false), targetOf(c, true), c.leads&branching == 0}
	}
	return out
}

// present is a schema of objects that have a member.
func (m *machine) present(name string) *subschema {
	s := m.presence[name]
	if s == nil {
		s = &subschema{types: 1 << Object, object: &objectRules{required: []string{name}, most: -1}}
		m.presence[name] = s
	}
	return s
}

const everyKind types = 1<<Null | 1<<Boolean | 1<<Number | 1<<String | 1<<Array | 1<<Object

func (m *machine) build(f premise) *station {
	x := expand(f)
	n := &station{premise: f, kinds: everyKind}
	whole := false
	var asserting []judged
	for _, g := range x.follow {
		s := g.schema
		n.beyond = n.beyond || s.dynamic != nil || len(s.anyOf) > maxAlternatives
		m.mark(n, s)
		if f.null && s.nullable {
			continue // of which nothing more is asked
		}
		asserting = append(asserting, g)
		switch {
		case s.never:
			n.kinds = 0
		case s.types != 0:
			kinds := s.types &^ integer
			if s.types&integer != 0 && !kinds.has(Number) {
				kinds |= 1 << Number
				whole = true
			}
			n.kinds &= kinds
		}
	}
	if !f.null && (x.nulls || x.asked != nil && m.dialect == OpenAPI30) {
		n.null = &target{premise: premise{given: f.given, null: true}}
	}
	if x.asked != nil {
		n.ask = m.choice(x.asked)
	}
	if n.special = n.beyond || n.null != nil || n.ask != nil; n.beyond || n.ask != nil {
		return n // no value is judged by it
	}
	for _, g := range asserting {
		s := g.schema
		if s.not != nil {
			n.nots = append(n.nots, targetOf(s.not, false))
		}
		for _, l := range literalsOf(s) {
			n.literals = append(n.literals, l)
			n.kinds &= l.kinds()
		}
	}
	n.text, n.number = textOf(asserting), numberOf(asserting, whole)
	if n.kinds.has(Object) {
		n.object = m.object(x, asserting)
		n.beyond = len(n.object.patterns) > maxPatterns
	}
	if n.kinds.has(Array) {
		n.array = m.array(x, asserting)
		n.beyond = n.beyond || len(n.array.contains) > maxContains
	}
	n.special = n.special || n.beyond
	return n
}

// mark notes what a schema says of who may see the value.
func (m *machine) mark(n *station, s *subschema) {
	switch {
	case m.direction == Request:
		n.readOnly = n.readOnly || s.readOnly
	default:
		n.withheld = n.withheld || s.writeOnly
		if s.rule != nil && s.rule.withholds() && !slices.ContainsFunc(n.rules, func(r stationRule) bool { return r.rule == s.rule }) {
			n.rules = append(n.rules, stationRule{s.rule, m.number(s.rule.permission), m.number(s.rule.unmask)})
		}
	}
	n.marked = n.readOnly || n.withheld || len(n.rules) > 0
}

// number is the number of a permission.
func (m *machine) number(permission string) int {
	if permission == "" {
		return -1
	}
	n, known := m.permissions[permission]
	if !known {
		n = len(m.permissions)
		m.permissions[permission] = n
	}
	return n
}

// anyName is the number, in a way, of an index and of a name that the body chose.
const anyName = 0

// fieldName is the number, in a way, of a member's name.
func (m *machine) fieldName(name string) uint32 {
	name = escapePointer(clip(name))
	id := m.names[name]
	if id == 0 {
		list := *m.fields.Load()
		id = uint32(len(list))
		m.names[name] = id
		list = append(list, name) // who reads the shorter list never looks behind its end
		m.fields.Store(&list)
	}
	return id
}

// pointer is where a way leads (appendField).
func (m *machine) pointer(way []uint32) string {
	names := *m.fields.Load()
	var out []byte
	for _, id := range way {
		out = append(append(out, '/'), names[id]...)
	}
	return string(out)
}

func (m *machine) object(x *expansion, asserting []judged) *objectStation {
	o := &objectStation{most: -1}
	known := map[string]int{}
	var names []string
	know := func(name string) int {
		i, ok := known[name]
		if !ok {
			i = len(names)
			known[name] = i
			names = append(names, name)
		}
		return i
	}
	sources := map[string]bool{}
	for _, g := range asserting {
		r := g.schema.object
		if r == nil {
			continue
		}
		o.least, o.most = max(o.least, r.least), tighter(o.most, r.most)
		for name := range r.properties {
			know(name)
		}
		for _, name := range r.required {
			if !slices.Contains(m.waived[g.schema], name) {
				o.required = set(o.required, know(name))
			}
		}
		for _, d := range r.dependencies {
			dependent := dependence{member: know(d.name)}
			for _, name := range d.required {
				dependent.required = set(dependent.required, know(name))
			}
			o.dependent = append(o.dependent, dependent)
		}
		for _, p := range r.patterns {
			if !sources[p.pattern.source] {
				sources[p.pattern.source] = true
				o.patterns = append(o.patterns, textPatternOf(p.pattern))
			}
		}
		if r.names != nil {
			o.names = append(o.names, targetOf(r.names, false))
		}
	}
	o.members = make([]member, len(names))
	for i, name := range names {
		k := &o.members[i]
		f := m.memberOf(x, &name, func(p pattern) bool { return p.MatchString(name) })
		k.name, k.spelled, k.how, k.target.premise = name, spelledNameOf(name), f.how, f.premise
		if f.named {
			k.id = m.fieldName(name)
		}
	}
	o.tabulate()
	o.odd = o.names != nil || o.patterns != nil
	f := m.memberOf(x, nil, func(pattern) bool { return false })
	o.other, o.rest.premise = f.how, f.premise
	return o
}

// found is what an object says of one member.
type found struct {
	premise premise
	how     how
	named   bool // by a schema that declares it
}

// byPatterns is the edge of other members that match the patterns of a mask.
func (m *machine) byPatterns(n *station, mask uint64) *edge {
	return n.object.others.add(m, mask, func() (to *station, is how) {
		f := m.memberOf(expand(n.premise), nil, func(p pattern) bool {
			i := slices.IndexFunc(n.object.patterns, func(t textPattern) bool { return t.pattern.source == p.source })
			return mask>>i&1 != 0
		})
		return m.station(f.premise), f.how
	})
}

// byPlace is the station of items at a place, by what contains they match.
func (m *machine) byPlace(n *station, place int, mask uint64) *edge {
	return n.array.items.add(m, uint64(place)<<32|mask, func() (*station, how) { return m.station(m.itemOf(expand(n.premise), place, mask)), stays })
}

// byAnswer is the station of a value of which one thing more is known.
func (m *machine) byAnswer(n *station, answer uint64) *edge {
	return n.ask.edges.add(m, answer, func() (*station, how) {
		f := n.premise
		f.answers = append(slices.Clip(f.answers), answer)
		return m.station(f), stays
	})
}

// memberOf is walk.declaration: what the schemas of an object say of a member, by its name, where that is known, and by
// the patterns it matches.
func (m *machine) memberOf(x *expansion, name *string, matches func(pattern) bool) (out found) {
	forbidden, isDeclared := false, false
	give := func(g judged, list ...*subschema) {
		for _, c := range list {
			out.premise.given = append(out.premise.given, judged{c, g.lenient})
		}
	}
	property := func(o *objectRules) *subschema {
		if name == nil {
			return nil
		}
		return o.properties[*name]
	}
	covers := func(o *objectRules) (by []*subschema) {
		if c := property(o); c != nil {
			by = append(by, c)
		}
		for _, p := range o.patterns {
			if matches(p.pattern) {
				by = append(by, p.schema)
			}
		}
		return by
	}
	for _, g := range x.follow {
		o := g.schema.object
		if o == nil {
			continue
		}
		by := covers(o)
		if len(by) == 0 && o.additional != nil {
			if o.additional.never && g.lenient {
				forbidden = true
				continue
			}
			by = append(by, o.additional)
		}
		give(g, by...)
		isDeclared = isDeclared || len(by) > 0
		out.named = out.named || property(o) != nil
	}
	for _, g := range x.follow {
		other := g.schema.otherMembers
		if other == nil || slices.ContainsFunc(x.below(g), func(a judged) bool {
			if o := a.schema.object; o != nil && (len(covers(o)) > 0 || o.additional != nil && !o.additional.never) {
				return true
			}
			return a.schema != g.schema && a.schema.otherMembers != nil && !a.schema.otherMembers.never
		}) {
			continue
		}
		if other.never && g.lenient {
			forbidden = true
			continue
		}
		give(g, other)
		isDeclared = true
	}
	switch {
	case !forbidden && isDeclared:
		out.how = stays
	case !forbidden && x.isFree():
		out.how = ignored
	case m.undeclared == Refuse:
		out.how = refused
	case m.undeclared == Drop:
		out.how = dropped
	default:
		out.how = ignored
	}
	return out
}

// isFree: an object whose schemas name no property at all, and close nothing, is free-form.
func (x *expansion) isFree() bool {
	return !slices.ContainsFunc(x.follow, func(g judged) bool {
		o := g.schema.object
		return g.schema.otherMembers != nil || o != nil && (len(o.properties) > 0 || o.patterns != nil || o.additional != nil)
	})
}

// set sets a bit of a mask.
func set(mask []uint64, i int) []uint64 {
	for len(mask) <= i>>6 {
		mask = append(mask, 0)
	}
	mask[i>>6] |= 1 << (i & 63)
	return mask
}

// How many of contains, and of patterns, a mask has room for.
const (
	maxContains = 31
	maxPatterns = 62
)

func (m *machine) array(x *expansion, asserting []judged) *arrayStation {
	a := &arrayStation{most: -1}
	for _, g := range asserting {
		r := g.schema.array
		if r == nil {
			continue
		}
		a.least, a.most = max(a.least, r.least), tighter(a.most, r.most)
		a.unique = a.unique || r.unique
		a.prefix = max(a.prefix, len(r.prefix))
		if r.contains != nil {
			a.contains = append(a.contains, containsCheck{targetOf(r.contains, g.lenient), r.leastSuch, r.mostSuch})
		}
	}
	a.each.premise = m.itemOf(x, a.prefix, 0)
	return a
}

// itemOf is what the schemas of an array say of the item at a place, by what contains it matches.
func (m *machine) itemOf(x *expansion, place int, matches uint64) premise {
	var out premise
	such := map[judged]bool{} // whether the item is what contains wants
	for _, g := range x.follow {
		r := g.schema.array
		if r == nil || x.null && g.schema.nullable {
			continue
		}
		switch {
		case place < len(r.prefix):
			out.given = append(out.given, judged{r.prefix[place], g.lenient})
		case r.items != nil:
			out.given = append(out.given, judged{r.items, g.lenient})
		}
		if r.contains != nil {
			if such[g] = matches&1 != 0; such[g] {
				out.given = append(out.given, judged{r.contains, g.lenient})
			}
			matches >>= 1
		}
	}
	for _, g := range x.follow {
		other := g.schema.otherItems
		if other != nil && !slices.ContainsFunc(x.below(g), func(a judged) bool {
			if r := a.schema.array; r != nil && (place < len(r.prefix) || r.items != nil || such[a]) {
				return true
			}
			return a.schema != g.schema && a.schema.otherItems != nil
		}) {
			out.given = append(out.given, judged{other, g.lenient})
		}
	}
	return out
}

// tabulate makes the table of an object's members.
func (o *objectStation) tabulate() {
	if len(o.members) == 0 {
		return
	}
	size := 4
	for size < 2*len(o.members) {
		size *= 2
	}
	o.table = make([]uint32, size)
	for i := range o.members {
		at := hashName(o.members[i].name)
		for o.table[at&uint32(size-1)] != 0 {
			at++
		}
		o.table[at&uint32(size-1)] = uint32(i) + 1
	}
}

// index finds a member by name; < 0 where there is none.
func (o *objectStation) index(name []byte) int {
	if len(o.table) == 0 {
		return -1
	}
	mask := uint32(len(o.table) - 1)
	for at := hashName(name); ; at++ {
		i := int(o.table[at&mask]) - 1
		if i < 0 || o.members[i].name == string(name) {
			return i
		}
	}
}

// hashName is quick. That it can be foreseen does no harm: the table holds the document's names alone, and at most half
// of it is taken.
func hashName[T string | []byte](name T) uint32 {
	n := len(name)
	h := uint32(n) * 0x9e3779b1
	if n > 0 {
		h ^= uint32(name[0])*0x85ebca6b ^ uint32(name[n-1])*0xc2b2ae35 ^ uint32(name[n>>1])*0x27d4eb2f
	}
	return h ^ h>>15
}
