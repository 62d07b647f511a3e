package schema

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// isPattern: a pattern of ECMA-262 §22.2.1 with its u flag, no longer than maxPattern. It is read, not made ready to run,
// and need not be one that RE2 could run.
func isPattern(s string) bool {
	if len(s) > maxPattern {
		return false
	}
	p := &patternReader{s: s}
	if !p.disjunction(0) || p.i != len(s) || p.highest > p.groups {
		return false
	}
	return !slices.ContainsFunc(p.meant, func(n string) bool { return !slices.Contains(p.names, n) })
}

const (
	maxPattern      = 4096
	maxPatternDepth = 256
)

// patternReader reads a pattern for its syntax alone. Each method reads one production and tells whether it stands there.
type patternReader struct {
	s       string
	i       int
	groups  int
	highest int      // group that is referred to by number
	names   []string // of groups
	meant   []string // by references
}

func (p *patternReader) next(text string) bool {
	if strings.HasPrefix(p.s[p.i:], text) {
		p.i += len(text)
		return true
	}
	return false
}

func (p *patternReader) peek() byte {
	if p.i == len(p.s) {
		return 0
	}
	return p.s[p.i]
}

func (p *patternReader) disjunction(depth int) bool {
	if depth > maxPatternDepth {
		return false
	}
	for {
		for p.i < len(p.s) && p.peek() != '|' && p.peek() != ')' {
			if !p.term(depth) {
				return false
			}
		}
		if !p.next("|") {
			return true
		}
	}
}

func (p *patternReader) term(depth int) bool {
	switch {
	case p.next("^"), p.next("$"), p.next(`\b`), p.next(`\B`):
		return true
	case p.next("(?="), p.next("(?!"), p.next("(?<="), p.next("(?<!"):
		return p.disjunction(depth+1) && p.next(")")
	case p.next("(?:"):
		return p.disjunction(depth+1) && p.next(")") && p.quantifier()
	case p.next("(?<"):
		name, ok := p.name()
		if !ok || slices.Contains(p.names, name) {
			return false
		}
		p.names, p.groups = append(p.names, name), p.groups+1
		return p.disjunction(depth+1) && p.next(")") && p.quantifier()
	case p.next("(?"):
		return false
	case p.next("("):
		p.groups++
		return p.disjunction(depth+1) && p.next(")") && p.quantifier()
	case p.next("["):
		return p.class() && p.quantifier()
	case p.next(`\`):
		return p.atomEscape() && p.quantifier()
	case strings.IndexByte("*+?{}])", p.peek()) >= 0:
		return false
	}
	_, size := utf8.DecodeRuneInString(p.s[p.i:])
	p.i += size
	return p.quantifier()
}

func (p *patternReader) digits() (n int, ok bool) {
	from := p.i
	for p.i < len(p.s) && p.s[p.i]-'0' < 10 {
		n = min(n*10+int(p.s[p.i]-'0'), 1<<30)
		p.i++
	}
	return n, p.i > from
}

// quantifier reads one if one stands there.
func (p *patternReader) quantifier() bool {
	switch {
	case p.next("*"), p.next("+"), p.next("?"):
	case p.next("{"):
		least, ok := p.digits()
		if !ok {
			return false
		}
		if p.next(",") {
			if most, bounded := p.digits(); bounded && most < least {
				return false
			}
		}
		if !p.next("}") {
			return false
		}
	default:
		return true
	}
	p.next("?")
	return true
}

// name reads the name of a group, and what ends it.
func (p *patternReader) name() (string, bool) {
	end := strings.IndexByte(p.s[p.i:], '>')
	if end <= 0 {
		return "", false
	}
	name := p.s[p.i : p.i+end]
	for i, c := range []byte(name) {
		if !isAlnum(c) && c != '_' && c != '$' && c < utf8.RuneSelf || i == 0 && c-'0' < 10 {
			return "", false
		}
	}
	p.i += end + 1
	return name, true
}

func (p *patternReader) atomEscape() bool {
	switch c := p.peek(); {
	case c >= '1' && c <= '9':
		n, _ := p.digits()
		p.highest = max(p.highest, n)
		return true
	case p.next("k<"):
		name, ok := p.name()
		p.meant = append(p.meant, name)
		return ok
	}
	return p.charEscape()
}

// charEscape reads what stands behind a backslash in a class or outside.
func (p *patternReader) charEscape() bool {
	c := p.peek()
	p.i++
	switch {
	case c == 0:
		return false
	case strings.IndexByte("dDsSwWfnrtv", c) >= 0, strings.IndexByte(`^$\.*+?()[]{}|/`, c) >= 0:
		return true
	case c == '0':
		return p.peek()-'0' > 9
	case c == 'c':
		letter := p.peek()|0x20 >= 'a' && p.peek()|0x20 <= 'z'
		p.i++
		return letter
	case c == 'x':
		return p.hex(2)
	case c == 'u' && p.next("{"):
		end := strings.IndexByte(p.s[p.i:], '}')
		digits := strings.TrimLeft(p.s[p.i:p.i+max(end, 0)], "0")
		if end < 1 || len(digits) > 6 || !p.hex(end) || len(digits) == 6 && digits[:2] != "10" {
			return false
		}
		return p.next("}")
	case c == 'u':
		return p.hex(4)
	case c == 'p' || c == 'P':
		end := strings.IndexByte(p.s[p.i:], '}')
		if !p.next("{") || end < 2 {
			return false
		}
		for _, c := range []byte(p.s[p.i : p.i+end-1]) {
			if !isAlnum(c) && c != '_' && c != '=' {
				return false
			}
		}
		p.i += end
		return true
	}
	return false
}

func (p *patternReader) hex(n int) bool {
	if p.i+n > len(p.s) {
		return false
	}
	for _, c := range []byte(p.s[p.i : p.i+n]) {
		if !isHex(c) {
			return false
		}
	}
	p.i += n
	return true
}

// class reads a class behind its bracket. A range has one character at each end, in order.
func (p *patternReader) class() bool {
	p.next("^")
	for {
		if p.next("]") {
			return true
		}
		low, ok := p.classAtom()
		if !ok {
			return false
		}
		if p.peek() != '-' || p.i+1 < len(p.s) && p.s[p.i+1] == ']' {
			continue
		}
		p.i++
		high, ok := p.classAtom()
		if !ok || low == classSet || high == classSet || low >= 0 && high >= 0 && low > high {
			return false
		}
	}
}

const (
	classSet     = -1 // more than one character, like \d
	classUnknown = -2 // one, written as an escape
)

func (p *patternReader) classAtom() (rune, bool) {
	if p.i == len(p.s) {
		return 0, false
	}
	if !p.next(`\`) {
		r, size := utf8.DecodeRuneInString(p.s[p.i:])
		p.i += size
		return r, true
	}
	switch c := p.peek(); {
	case c == 'b' || c == '-':
		p.i++
		return classUnknown, true
	case strings.IndexByte("dDsSwWpP", c) >= 0:
		return classSet, p.charEscape()
	}
	return classUnknown, p.charEscape()
}
