package schema

// memo keeps what was found of schemas and values, so that no pair is judged twice: alternatives that lead to the same
// schemas would else double the work with every level of a body. Values that are cheap to judge again are not kept.
type memo struct {
	heads []uint32 // of each 32 values: a cell + 1
	cells arena[cell]
}

// cell is what was found of 32 neighbouring values by one schema in one mode: two bits each.
type cell struct {
	schema, mode uint32
	next         uint32 // another cell of the same values, + 1
	low, high    uint32
}

type state uint8

const (
	unknown state = iota
	holds
	fails
	told // it fails, and its faults are in the report
)

const (
	cellBits = 5
	cellMask = 1<<cellBits - 1
)

// begin makes room for a tree of so many nodes.
func (m *memo) begin(nodes uint32) {
	n := int(nodes>>cellBits) + 1
	if cap(m.heads) < n {
		m.heads = make([]uint32, n)
	}
	m.heads = m.heads[:n]
	clear(m.heads)
}

func (m *memo) reset(keep int) {
	m.cells.reset(keep)
	if cap(m.heads) > keep*chunkSize {
		m.heads = nil
	}
}

// of returns the cell of a pair.
func (m *memo) of(s *subschema, v ref, in mode) *cell {
	head := &m.heads[v>>cellBits]
	number := in.number()
	for i := *head; i != 0; {
		c := m.cells.at(i - 1)
		if c.schema == s.number && c.mode == number {
			return c
		}
		i = c.next
	}
	i := m.cells.add()
	c := m.cells.at(i)
	*c = cell{schema: s.number, mode: number, next: *head}
	*head = i + 1
	return c
}

func (c *cell) state(v ref) state {
	k := v & cellMask
	return state(c.low>>k&1 | c.high>>k&1<<1)
}

func (c *cell) set(v ref, s state) {
	k := v & cellMask
	c.low = c.low&^(1<<k) | uint32(s)&1<<k
	c.high = c.high&^(1<<k) | uint32(s)>>1<<k
}
