package spec

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/portreeve/portreeve/internal/tree"
)

// query is the part of JSONPath (RFC 9535) that overlays use: names, wildcards, indexes, lists of these, descent, and
// filters of existence and equality. Slices, functions and order are refused, never ignored.
type query []segment

type segment struct {
	deep      bool // ..
	selectors []selector
}

type selector struct {
	kind   selectorKind
	name   string
	index  int
	filter filter
}

type selectorKind uint8

const (
	byName selectorKind = iota
	byIndex
	wildcard
	byFilter
)

// filter decides whether a child is selected: one of the five below.
type filter any

type (
	all     []filter // &&
	some    []filter // ||
	negated struct{ of filter }
	exists  struct{ of operand }
	equal   struct{ a, b operand }
)

// operand is a literal, or a query from the child (@) or the document ($).
type operand struct {
	literal  *tree.Node
	absolute bool
	path     query
}

const (
	maxQuery   = 4 << 10 // bytes
	maxNesting = 32      // of filters
)

type queryParser struct {
	s     string
	i     int
	depth int
}

var errQuery = errors.New("unexpected end")

func parseQuery(s string) (query, error) {
	if len(s) > maxQuery {
		return nil, fmt.Errorf("longer than %d bytes", maxQuery)
	}
	p := &queryParser{s: s}
	if !p.take("$") {
		return nil, errors.New("does not begin with $")
	}
	q, err := p.segments()
	if err == nil && p.i < len(s) {
		err = p.unexpected()
	}
	return q, err
}

func (p *queryParser) rest() string { return p.s[p.i:] }

func (p *queryParser) take(s string) bool {
	if strings.HasPrefix(p.rest(), s) {
		p.i += len(s)
		return true
	}
	return false
}

func (p *queryParser) space() { p.i += len(p.rest()) - len(strings.TrimLeft(p.rest(), " \t\r\n")) }

func (p *queryParser) unexpected() error {
	if p.i >= len(p.s) {
		return errQuery
	}
	return fmt.Errorf("%q is not understood", p.rest())
}

func (p *queryParser) segments() (query, error) {
	var q query
	for {
		var s segment
		var err error
		switch {
		case p.take(".."):
			s.deep = true
			if strings.HasPrefix(p.rest(), "[") {
				s.selectors, err = p.bracketed()
			} else {
				s.selectors, err = p.shorthand()
			}
		case p.take("."):
			s.selectors, err = p.shorthand()
		case strings.HasPrefix(p.rest(), "["):
			s.selectors, err = p.bracketed()
		default:
			return q, nil
		}
		if err != nil {
			return nil, err
		}
		q = append(q, s)
	}
}

// shorthand is .name or .*; a dash is let into names, as the examples of Overlay 1.0 have it.
func (p *queryParser) shorthand() ([]selector, error) {
	if p.take("*") {
		return []selector{{kind: wildcard}}, nil
	}
	start := p.i
	for p.i < len(p.s) {
		c, size := utf8.DecodeRuneInString(p.rest())
		if !unicode.IsLetter(c) && c != '_' && !(p.i > start && (c == '-' || unicode.IsDigit(c))) {
			break
		}
		p.i += size
	}
	if p.i == start {
		return nil, p.unexpected()
	}
	return []selector{{kind: byName, name: p.s[start:p.i]}}, nil
}

func (p *queryParser) bracketed() ([]selector, error) {
	p.i++ // [
	var out []selector
	for {
		p.space()
		s, err := p.selector()
		if err != nil {
			return nil, err
		}
		out = append(out, s)
		p.space()
		switch {
		case p.take("]"):
			return out, nil
		case !p.take(","):
			return nil, p.unexpected()
		}
	}
}

func (p *queryParser) selector() (selector, error) {
	if p.i >= len(p.s) {
		return selector{}, errQuery
	}
	switch c := p.s[p.i]; {
	case c == '*':
		p.i++
		return selector{kind: wildcard}, nil
	case c == '?':
		p.i++
		f, err := p.or()
		return selector{kind: byFilter, filter: f}, err
	case c == '\'' || c == '"':
		name, err := p.quoted()
		return selector{kind: byName, name: name}, err
	}
	start := p.i
	p.take("-")
	for p.i < len(p.s) && p.s[p.i]-'0' < 10 {
		p.i++
	}
	n, err := strconv.Atoi(p.s[start:p.i])
	if err != nil || strconv.Itoa(n) != p.s[start:p.i] {
		p.i = start
		return selector{}, p.unexpected()
	}
	return selector{kind: byIndex, index: n}, nil
}

// quoted reads a string literal (RFC 9535 §2.3.1.1); of escapes, those of the quote, the backslash and the slash.
func (p *queryParser) quoted() (string, error) {
	quote := p.s[p.i]
	p.i++
	var b strings.Builder
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch c {
		case quote:
			return b.String(), nil
		case '\\':
			if p.i >= len(p.s) || !strings.ContainsRune(`'"\/`, rune(p.s[p.i])) {
				return "", fmt.Errorf("the escape %q is not understood", p.s[p.i-1:])
			}
			c = p.s[p.i]
			p.i++
		}
		b.WriteByte(c)
	}
	return "", errQuery
}
