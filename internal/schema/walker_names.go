package schema

import "hash/maphash"

// nameSets are the names, in the objects a walker is in, that no schema knows: one that stands twice is to be found. They
// keep where names stand, not what they are. Few are gone through; many are looked up in a table, in an order that no
// caller can foresee (hash flooding, CVE-2011-4885's class). The plain items of arrays that want no item twice are kept
// alike.
type nameSets struct {
	few    []uint32   // a stack of places, of sets one in the other
	tables [][]uint32 // a stack of tables of places + 1
}

// nameSet is one of the sets.
type nameSet struct {
	base  int // of few
	table int // of tables, + 1; 0: none yet
	n     int
	items bool // and not names
}

const (
	fewNames  = 16
	isEscaped = 1 << 31 // marks the place of a name with escapes
)

// mark and reset drop all sets that came after.
func (s *nameSets) mark() [2]int { return [2]int{len(s.few), len(s.tables)} }

func (s *nameSets) reset(to [2]int) { s.few, s.tables = s.few[:to[0]], s.tables[:to[1]] }

func (s *nameSets) drop(set *nameSet) {
	s.few = s.few[:set.base]
	if set.table > 0 {
		s.tables = s.tables[:set.table-1]
	}
}

// emptied keeps for the next use what is small: it says where names stood, not what they were.
func (s *nameSets) emptied() nameSets {
	if cap(s.tables) == 0 && cap(s.few) <= keptPlaces {
		return nameSets{few: s.few[:0]}
	}
	out := nameSets{few: s.few[:0], tables: s.tables[:0]}
	for _, t := range s.tables[:cap(s.tables)] {
		if len(out.tables) == keptTables || len(t) > keptPlaces {
			break
		}
		out.tables = append(out.tables, t)
	}
	clear(out.tables[len(out.tables):cap(out.tables)])
	out.tables = out.tables[:0]
	return out
}

const (
	keptTables = 4
	keptPlaces = 4 << 10
)

// isNew adds a name or plain item that begins at a place and reads so, unless it is there already.
func (w *walker) isNew(set *nameSet, at int, text []byte, escaped bool) bool {
	place := uint32(at)
	if escaped {
		place |= isEscaped
	}
	s := &w.known
	if set.table == 0 {
		for _, other := range s.few[set.base:] {
			if w.reads(set, other, text) {
				return false
			}
		}
		if set.n < fewNames {
			set.n++
			s.few = append(s.few, place)
			return true
		}
		w.grow(set)
	} else if 4*(set.n+1) > 3*len(s.tables[set.table-1]) {
		w.grow(set)
	}
	table := s.tables[set.table-1]
	mask := uint64(len(table) - 1)
	i := maphash.Bytes(seed, text) & mask
	for ; table[i] != 0; i = (i + 1) & mask {
		if w.reads(set, table[i]-1, text) {
			return false
		}
	}
	table[i] = place + 1
	set.n++
	return true
}

// grow makes a set's table, or one twice as large.
func (w *walker) grow(set *nameSet) {
	s := &w.known
	old := s.few[set.base:]
	shift := uint32(0)
	size := 4 * fewNames
	var table []uint32
	if set.table == 0 {
		if set.table = len(s.tables) + 1; set.table <= cap(s.tables) {
			s.tables = s.tables[:set.table]
			table = s.tables[set.table-1]
		} else {
			s.tables = append(s.tables, nil)
		}
	} else {
		old, shift = s.tables[set.table-1], 1
		size = 2 * len(old)
	}
	if cap(table) < size {
		table = make([]uint32, size)
	}
	table = table[:size]
	clear(table)
	mask := uint64(size - 1)
	for _, place := range old {
		if place -= shift; shift == 1 && place == ^uint32(0) {
			continue
		}
		stack := len(w.spelled)
		i := maphash.Bytes(seed, w.textAt(set, place)) & mask
		w.spelled = w.spelled[:stack]
		for table[i] != 0 {
			i = (i + 1) & mask
		}
		table[i] = place + 1
	}
	s.tables[set.table-1] = table
}

// textAt is what was added at a place.
func (w *walker) textAt(set *nameSet, place uint32) []byte {
	at := int(place &^ isEscaped)
	switch {
	case w.b[at] != '"': // a number or word
		end := at
		for end < len(w.b) && (chars[w.b[end]]&(digitChar|letterChar) != 0 || w.b[end] == '-') {
			end++
		}
		return w.b[at:end]
	case set.items: // quotes and all
		end := at + 1
		for w.b[end] != '"' {
			end++
		}
		return w.b[at : end+1]
	}
	end := at + 1
	for w.b[end] != '"' {
		if w.b[end] == '\\' {
			end++
		}
		end++
	}
	if place&isEscaped != 0 {
		return w.unescaped(w.b[at+1 : end])
	}
	return w.b[at+1 : end]
}

// reads reports whether what was added at a place reads so.
func (w *walker) reads(set *nameSet, place uint32, text []byte) bool {
	if place&isEscaped != 0 {
		stack := len(w.spelled)
		is := string(w.textAt(set, place)) == string(text)
		w.spelled = w.spelled[:stack]
		return is
	}
	at := int(place)
	if !set.items {
		at++
	}
	end := at + len(text)
	if end >= len(w.b) || string(w.b[at:end]) != string(text) {
		return false
	}
	if set.items { // a word is none of another's beginning, and a string ends with its quote
		return w.b[at] == '"' || w.b[end]-'0' >= 10
	}
	return w.b[end] == '"'
}

// isPlain reports whether an item equals another such one only where its bytes do: a word, a whole number without
// exponent, a string without escapes.
func (w *walker) isPlain(start, end int) bool {
	item := w.b[start:end]
	switch {
	case item[0] == '[' || item[0] == '{':
		return false
	case item[0] == '"':
		for _, c := range item {
			if c == '\\' {
				return false
			}
		}
		return true
	case item[0]|0x20 >= 'a': // a word
		return true
	}
	for _, c := range item {
		if c == '.' || c|0x20 == 'e' {
			return false
		}
	}
	return string(item) != "-0"
}

// maxIndexed bounds an array that is indexed by itself, to find whether it holds an item twice.
const maxIndexed = 4 << 10

// repeats reports whether an array that was read holds an item twice, of whatever kind.
func (w *walker) repeats(start, end int) bool {
	if end-start > maxIndexed {
		return !w.give()
	}
	w.work -= workPerValue * (end - start)
	e := evaluations.Get().(*evaluation)
	defer e.release()
	return parse(&e.tree, string(w.b[start:end]), w.max, maxNodes, bounds{}) != nil || e.repeats(0)
}
