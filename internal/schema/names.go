package schema

import (
	"hash/maphash"
	"strings"
)

// names finds a name given twice in one object. It keeps where names stand, not what they are: few are gone through, many
// are looked up in a table of places, whose order no caller can foresee (hash flooding, CVE-2011-4885's class).
type names struct {
	few     [16]uint32
	table   []uint32 // place + 1; 0 is free; a power of two long
	n       int
	escaped bool // some name has escapes: they are to be compared as they read
}

var seed = maphash.MakeSeed()

// add reports whether the name whose opening quote stands at a place is new.
func (s *names) add(text string, at, end int, escaped bool) bool {
	name := text[at+1 : end-1]
	if escaped {
		name, s.escaped = unescape(name), true
	}
	if s.table == nil {
		for _, other := range s.few[:s.n] {
			if s.same(text, other, name) {
				return false
			}
		}
		if s.n < len(s.few) {
			s.few[s.n] = uint32(at)
			s.n++
			return true
		}
	}
	if 4*(s.n+1) > 3*len(s.table) {
		s.grow(text)
	}
	slot := s.slot(text, name)
	if s.table[slot] != 0 {
		return false
	}
	s.table[slot] = uint32(at) + 1
	s.n++
	return true
}

// slot finds where a name stands in the table, or may.
func (s *names) slot(text, name string) int {
	mask := len(s.table) - 1
	i := int(maphash.String(seed, name)) & mask
	for s.table[i] != 0 && !s.same(text, s.table[i]-1, name) {
		i = (i + 1) & mask
	}
	return i
}

func (s *names) grow(text string) {
	old := s.table
	if old == nil {
		old = make([]uint32, len(s.few))
		for i, at := range s.few {
			old[i] = at + 1
		}
	}
	s.table = make([]uint32, max(64, 2*len(old)))
	for _, at := range old {
		if at != 0 {
			s.table[s.slot(text, nameAt(text, at-1))] = at
		}
	}
}

func (s *names) same(text string, at uint32, name string) bool {
	rest := text[at+1:]
	if s.escaped {
		return unescapesTo(rest[:closing(rest)], name)
	}
	return len(rest) > len(name) && rest[len(name)] == '"' && rest[:len(name)] == name
}

func nameAt(text string, at uint32) string {
	rest := text[at+1:]
	raw := rest[:closing(rest)]
	if strings.IndexByte(raw, '\\') >= 0 {
		return unescape(raw)
	}
	return raw
}

// closing finds the quote that ends a string that was read before.
func closing(rest string) int {
	i := 0
	for rest[i] != '"' {
		if rest[i] == '\\' {
			i++
		}
		i++
	}
	return i
}
