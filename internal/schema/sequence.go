package schema

import (
	"regexp/syntax"
	"unicode/utf8"
)

// sequence is a simple pattern: from the beginning of a text on, classes of characters one behind the other, so many of
// each. It matches what the regular expression matches, and much faster.
type sequence struct {
	classes []class
	toEnd   bool
}

// class is some characters of a sequence, at least min and, where max is not negative, at most max.
type class struct {
	ascii    [2]uint64
	beyond   bool // and all characters that are not ASCII; else none
	min, max int
}

// maxClasses bounds a sequence; counts are written out where what is counted is more than a class.
const maxClasses = 64

// sequenceOf returns the sequence of an ECMA-262 pattern, nil where it has none.
func sequenceOf(source string) *sequence {
	re2, err := translatePattern(source)
	if err != nil {
		return nil
	}
	tree, err := syntax.Parse(re2, syntax.Perl)
	if err != nil {
		return nil
	}
	parts := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	if len(parts) == 0 || parts[0].Op != syntax.OpBeginText {
		return nil
	}
	s := new(sequence)
	parts = parts[1:]
	if n := len(parts); n > 0 && parts[n-1].Op == syntax.OpEndText {
		s.toEnd, parts = true, parts[:n-1]
	}
	for _, p := range parts {
		if !s.add(p) {
			return nil
		}
	}
	if !s.isExact() {
		return nil
	}
	return s
}

// add appends what a part of a pattern matches.
func (s *sequence) add(p *syntax.Regexp) bool {
	if len(s.classes) > maxClasses {
		return false
	}
	switch p.Op {
	case syntax.OpEmptyMatch:
		return true
	case syntax.OpLiteral:
		for _, r := range p.Rune {
			c, ok := classOf([]rune{r, r})
			if !ok || p.Flags&syntax.FoldCase != 0 {
				return false
			}
			s.classes = append(s.classes, c)
		}
		return true
	case syntax.OpCharClass:
		c, ok := classOf(p.Rune)
		s.classes = append(s.classes, c)
		return ok
	case syntax.OpCapture:
		return s.add(p.Sub[0])
	case syntax.OpConcat:
		for _, sub := range p.Sub {
			if !s.add(sub) {
				return false
			}
		}
		return true
	case syntax.OpStar:
		return s.repeat(p.Sub[0], 0, -1)
	case syntax.OpPlus:
		return s.repeat(p.Sub[0], 1, -1)
	case syntax.OpQuest:
		return s.repeat(p.Sub[0], 0, 1)
	case syntax.OpRepeat:
		return s.repeat(p.Sub[0], p.Min, p.Max)
	}
	return false
}

func (s *sequence) repeat(p *syntax.Regexp, min, max int) bool {
	at := len(s.classes)
	if !s.add(p) {
		return false
	}
	if len(s.classes) == at+1 && s.classes[at].min == 1 && s.classes[at].max == 1 {
		s.classes[at].min, s.classes[at].max = min, max
		return true
	}
	if min != max || min == 0 {
		return false
	}
	for range min - 1 {
		if !s.add(p) {
			return false
		}
	}
	return true
}

// classOf makes a class of ranges of characters.
func classOf(ranges []rune) (c class, ok bool) {
	c.min, c.max = 1, 1
	for i := 0; i < len(ranges); i += 2 {
		low, high := ranges[i], ranges[i+1]
		if high >= utf8.RuneSelf {
			if low > utf8.RuneSelf || high != utf8.MaxRune {
				return c, false
			}
			c.beyond, high = true, utf8.RuneSelf-1
		}
		for r := low; r <= high; r++ {
			c.ascii[r>>6] |= 1 << (r & 63)
		}
	}
	return c, true
}

// isExact reports whether taking as many characters of each class as there are is never wrong: what may follow a class
// of varying count has none of its characters.
func (s *sequence) isExact() bool {
	for i, c := range s.classes {
		if c.min == c.max {
			continue
		}
		for _, next := range s.classes[i+1:] {
			if c.ascii[0]&next.ascii[0] != 0 || c.ascii[1]&next.ascii[1] != 0 || c.beyond && next.beyond {
				return false
			}
			if next.min > 0 {
				break
			}
		}
	}
	return true
}

// match judges valid UTF-8.
func (s *sequence) match(text []byte) bool {
	i := 0
	for k := range s.classes {
		c := &s.classes[k]
		n := 0
		for i < len(text) && n != c.max {
			b := text[i]
			if b < utf8.RuneSelf {
				if c.ascii[b>>6&1]>>(b&63)&1 == 0 {
					break
				}
				i++
			} else {
				if !c.beyond {
					break
				}
				_, size := utf8.DecodeRune(text[i:])
				i += size
			}
			n++
		}
		if n < c.min {
			return false
		}
	}
	return i == len(text) || !s.toEnd
}
