package schema

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// machine is a Set's schemas made ready to run over the bytes of a body: a graph of stations, each for what applies to one
// value. Which schemas apply to a value hangs on the way to it and, where there are alternatives, on the value itself;
// every combination that is met becomes one station, made when it is first met and then kept. Programs of equal options, and
// equal waivers, share a machine.
type machine struct {
	dialect    Dialect
	direction  Direction
	undeclared Undeclared
	waived     map[*subschema][]string
	monotone   bool                     // what a value follows strictly it follows leniently, and alike: no schema tests what it does not ask
	fields     atomic.Pointer[[]string] // the names by number

	mu          sync.Mutex // of all that follows, and of making stations
	stations    map[string]*station
	weight      int // of the stations, in members and schemas
	ids         map[*subschema]uint32
	names       map[string]uint32 // of members, as Projection.Fields has them
	permissions map[string]int
	presence    map[string]*subschema
}

// maxWeight bounds a machine, because bodies choose what it is made of: about 100 MB at worst. Beyond it the index
// judges.
const maxWeight = 1 << 20

type machineKey struct {
	direction  Direction
	undeclared Undeclared
	waived     string
}

// machineFor returns the machine of programs of such options and waivers. It is to be called with the Set locked.
func (s *Set) machineFor(o Options, waived map[*subschema][]string) *machine {
	key := machineKey{o.Direction, o.Undeclared, waiverKey(waived)}
	if s.machines == nil {
		s.machines = map[machineKey]*machine{}
	}
	m := s.machines[key]
	if m == nil {
		m = newMachine(s.dialect, o, waived)
		s.machines[key] = m
	}
	return m
}

func newMachine(d Dialect, o Options, waived map[*subschema][]string) *machine {
	m := &machine{dialect: d, direction: o.Direction, undeclared: o.Undeclared, waived: waived, stations: map[string]*station{},
		ids: map[*subschema]uint32{}, names: map[string]uint32{}, permissions: map[string]int{}, presence: map[string]*subschema{}}
	m.fields.Store(&[]string{"*"})
	return m
}

func waiverKey(waived map[*subschema][]string) string {
	var parts []string
	for s, names := range waived {
		for _, name := range names {
			parts = append(parts, fmt.Sprintf("%d %d %d %q", s.number, s.source, s.at, name))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "\n")
}

// judged is a schema that a value is judged by, strictly or letting pass what leaves (mode.lenient).
type judged struct {
	schema  *subschema
	lenient bool
}

// premise is what a station is made of: what its value was given, and what was found of the alternatives among it, in the
// order in which they are met. Of null less applies (OpenAPI 3.0's nullable).
type premise struct {
	given   []judged
	answers []uint64
	null    bool
}

// normal sorts what was given, without repeats and without what says nothing, and returns a name for the premise. It is to
// be called with the machine locked.
func (m *machine) normal(f premise) (premise, string) {
	given := make([]judged, 0, len(f.given))
	for _, g := range f.given {
		if !g.schema.isTrue() && !slices.Contains(given, g) {
			given = append(given, g)
		}
	}
	slices.SortFunc(given, func(a, b judged) int { return int(m.order(a)) - int(m.order(b)) })
	f.given = given
	key := make([]byte, 0, 4*len(given)+8*len(f.answers)+5)
	for _, g := range given {
		key = binary.BigEndian.AppendUint32(key, m.order(g))
	}
	key = binary.BigEndian.AppendUint32(key, 0)
	for _, a := range f.answers {
		key = binary.BigEndian.AppendUint64(key, a)
	}
	if f.null {
		key = append(key, 1)
	}
	return f, string(key)
}

// order is a number of a schema and mode, not zero.
func (m *machine) order(g judged) uint32 {
	id := m.ids[g.schema]
	if id == 0 {
		id = uint32(len(m.ids)) + 1
		m.ids[g.schema] = id
	}
	if id <<= 1; g.lenient {
		id |= 1
	}
	return id
}

// isTrue reports whether a schema says nothing at all.
func (s *subschema) isTrue() bool {
	return !s.never && s.types == 0 && s.enum == nil && s.constant == nil && s.format == nil && !s.readOnly && !s.writeOnly && s.rule == nil &&
		!s.inPlace && s.otherMembers == nil && s.otherItems == nil && s.object == nil && s.array == nil && s.text == nil && s.numeric == nil
}

// edges lead from a station to others by what was found of a value. They are few.
type edges struct {
	list atomic.Pointer[[]*edge]
}

type edge struct {
	found uint64
	to    *station
	how   how
}

// maxEdges bounds them: a body that chooses more combinations is judged by the index.
const maxEdges = 64

func (e *edges) get(found uint64) *edge {
	if list := e.list.Load(); list != nil {
		for _, e := range *list {
			if e.found == found {
				return e
			}
		}
	}
	return nil
}

// add makes an edge unless there is one, or there are too many: then it returns nil.
func (e *edges) add(m *machine, found uint64, make func() (*station, how)) *edge {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := e.get(found); known != nil {
		return known
	}
	var list []*edge
	if old := e.list.Load(); old != nil {
		list = *old
	}
	if len(list) >= maxEdges {
		return nil
	}
	to, how := make()
	if to == nil {
		return nil
	}
	made := &edge{found, to, how}
	list = append(slices.Clip(list), made)
	e.list.Store(&list)
	return made
}
