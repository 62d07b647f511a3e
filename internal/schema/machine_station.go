package schema

import (
	"sync/atomic"
)

// station is all that is asked of one value, and what becomes of it.
type station struct {
	premise premise

	kinds   types // that may stand there, without integer; 0: none
	special bool  // enter is to be asked first
	marked  bool  // fate is to be asked
	beyond  bool  // only the index can judge it

	null     *target // what is asked of null, where that is less
	ask      *choice // what is still to be found out, before the rest is known
	nots     []*target
	literals []*literals
	text     *textCheck
	number   *numberCheck
	object   *objectStation
	array    *arrayStation

	readOnly bool // it may not stand there
	withheld bool // it leaves, whoever the viewer is
	rules    []stationRule
}

// target is a station that is made when it is first wanted.
type target struct {
	premise premise
	node    atomic.Pointer[station]
}

// of returns the target's node; nil where the machine is full.
func (t *target) of(m *machine) *station {
	if n := t.node.Load(); n != nil {
		return n
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.station(t.premise)
	t.node.Store(n)
	return n
}

func targetOf(s *subschema, lenient bool) *target {
	return &target{premise: premise{given: []judged{{s, lenient}}}}
}

// stationRule is a field rule with its permissions by number.
type stationRule struct {
	*rule
	permission, unmask int // -1: none
}

// choice is a question whose answer tells what more applies to a value.
type choice struct {
	kind         choiceKind
	lenient      bool // what is let pass where nothing holds strictly
	alternatives []alternative
	edges        edges
}

type choiceKind uint8

const (
	anyOf  choiceKind = iota + 1 // the answer is a mask of those that hold, shifted by one, and whether leniently
	oneOf                        // the one that holds, likewise
	ifThen                       // whether it holds
)

type alternative struct {
	strict, lenient *target
	safe            bool // what it takes strictly it takes leniently too, and alike
}

// how is what becomes of a member by what is declared.
type how uint8

const (
	stays   how = iota
	ignored     // it stays, and nobody asks what is in it
	dropped
	refused
)

// member is one that the schemas of an object know by name.
type member struct {
	name   string
	quoted string        // as it stands in most bodies; "" where it needs escapes
	next   atomic.Uint32 // the member that was last seen behind it, + 1
	id     uint32        // of its place in Projection.Fields
	how    how
	target target
}

// objectStation is what is asked of an object.
type objectStation struct {
	members     []member
	first       atomic.Uint32 // the member that was last seen first, + 1
	table       []uint32      // of members + 1, by hash
	required    []uint64      // a mask of members, one word for 64
	least, most int
	dependent   []dependence
	names       []*target     // of the names themselves
	patterns    []textPattern // of other members
	other       how           // of other members, where there are no patterns
	rest        target        // likewise
	others      edges         // by the mask of the patterns that match
}

// dependence: where the member stands, all of the mask must.
type dependence struct {
	member   int
	required []uint64
}

// arrayStation is what is asked of an array.
type arrayStation struct {
	least, most int
	unique      bool
	prefix      int // items with a place of their own
	contains    []containsCheck
	each        target // of the items behind prefix, where there is no contains
	items       edges  // of all others, by place and by the mask of what contains matches
}

type containsCheck struct {
	target      *target
	least, most int
}
