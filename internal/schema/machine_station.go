package schema

import (
	"encoding/binary"
	"strings"
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
	node    atomic.Pointer[station]
	premise premise
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
	spelled spelledName
	next    atomic.Uint32 // the member that was last seen behind it, + 1
	id      uint32        // of its place in Projection.Fields
	how     how
	target  target
	name    string
}

// spelledName is a name as it stands, with its quotes, in most bodies: its first eight bytes and its last, which overlap in
// a short one, to be compared as words.
type spelledName struct {
	first, mask, last uint64
	length            int // with the quotes; 0 where the name needs escapes
	whole             string
}

func spelledNameOf(name string) (n spelledName) {
	if strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' }) >= 0 {
		return n
	}
	n.whole = `"` + name + `"`
	n.length = len(n.whole)
	var head [8]byte
	copy(head[:], n.whole)
	n.first, n.mask = binary.LittleEndian.Uint64(head[:]), ^uint64(0)
	if n.length < 8 {
		n.mask = 1<<(8*n.length) - 1
	} else {
		n.last = binary.LittleEndian.Uint64([]byte(n.whole[n.length-8:]))
	}
	return n
}

// stands reports whether the name stands at a place.
func (n *spelledName) stands(b []byte, i int) bool {
	rest := b[i:]
	if len(rest) < 8 || n.length >= len(rest) || binary.LittleEndian.Uint64(rest)&n.mask != n.first || n.length == 0 {
		return false
	}
	if n.length <= 8 {
		return true
	}
	return binary.LittleEndian.Uint64(rest[n.length-8:]) == n.last && (n.length <= 16 || string(rest[:n.length]) == n.whole)
}

// objectStation is what is asked of an object.
type objectStation struct {
	members     []member
	first       atomic.Uint32 // the member that was last seen first, + 1
	table       []uint32      // of members + 1, by hash
	odd         bool          // there are names or patterns
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
