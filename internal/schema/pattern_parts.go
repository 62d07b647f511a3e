package schema

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What RE2 cannot run as one expression can often be run as several, or by counting. Every such form here matches exactly
// what ECMA-262 says; where that is not sure there is none.

// conjunction is patterns that must all match, and others that must not.
type conjunction struct{ must, mustNot []*regexp.Regexp }

func (c *conjunction) MatchString(s string) bool {
	for _, re := range c.must {
		if !re.MatchString(s) {
			return false
		}
	}
	for _, re := range c.mustNot {
		if re.MatchString(s) {
			return false
		}
	}
	return true
}

// conjunctionOf takes apart a pattern whose look-around stands at its edges: lookaheads behind ^, lookbehinds before $.
// There they look at what every other part looks at, the text from its beginning or up to its end.
func conjunctionOf(source string) (matcher, int, bool) {
	rest, anchored := strings.CutPrefix(source, "^")
	groups, ok := topGroups(source)
	if !anchored || !ok || strings.Contains(source, "(?i") || strings.Contains(source, "(?s") || strings.Contains(source, "(?m") {
		return nil, 0, false
	}
	c, size := new(conjunction), 0
	add := func(list *[]*regexp.Regexp, part string) bool {
		re2, err := translatePattern(part)
		if err != nil {
			return false
		}
		re, err := regexp.Compile(re2)
		if err != nil {
			return false
		}
		*list, size = append(*list, re), size+sizeOf(re2)
		return true
	}
	looks := func(group string, positive, negative, before, behind string) (is, fine bool) {
		if inner, ok := strings.CutPrefix(group, positive); ok {
			return true, add(&c.must, before+inner+behind)
		}
		if inner, ok := strings.CutPrefix(group, negative); ok {
			return true, add(&c.mustNot, before+inner+behind)
		}
		return false, true
	}
	begin, end := 1, len(source)
	for len(groups) > 0 && groups[0].from == begin {
		g := groups[0]
		is, fine := looks(source[g.from:g.to], "(?=", "(?!", "^(?:", "")
		if !fine {
			return nil, 0, false
		}
		if !is {
			break
		}
		begin, groups = g.to, groups[1:]
	}
	if closed := strings.HasSuffix(rest, "$") && !strings.HasSuffix(rest, `\$`); closed {
		for n := len(groups); n > 0 && groups[n-1].to == end-1; n = len(groups) {
			g := groups[n-1]
			is, fine := looks(source[g.from:g.to], "(?<=", "(?<!", "(?:", "$")
			if !fine {
				return nil, 0, false
			}
			if !is {
				break
			}
			source, end, groups = source[:g.from]+"$", g.from+1, groups[:n-1]
		}
	}
	if len(c.must)+len(c.mustNot) == 0 || !add(&c.must, "^"+source[begin:]) {
		return nil, 0, false
	}
	return c, size, true
}

type span struct{ from, to int }

// topGroups finds the groups of a pattern that stand in no other. It finds none in a pattern of alternatives.
func topGroups(source string) (groups []span, ok bool) {
	depth, inClass := 0, false
	for i := 0; i < len(source); i++ {
		switch c := source[i]; {
		case c == '\\':
			i++
		case inClass:
			inClass = c != ']'
		case c == '[':
			inClass = true
		case c == '(':
			if depth++; depth == 1 {
				groups = append(groups, span{from: i})
			}
		case c == ')':
			if depth--; depth < 0 {
				return nil, false
			}
			if depth == 0 {
				groups[len(groups)-1].to = i + 1
			}
		case c == '|' && depth == 0:
			return nil, false
		}
	}
	return groups, depth == 0 && !inClass
}

// counted is a text of so many characters of one class, however many these are.
type counted struct {
	only        *regexp.Regexp
	least, most int // most < 0: any number
}

func (c *counted) MatchString(s string) bool {
	n := utf8.RuneCountInString(s)
	return n >= c.least && (c.most < 0 || n <= c.most) && c.only.MatchString(s)
}

var lastCount = regexp.MustCompile(`^(.*)\{([0-9]{1,9})(,([0-9]{0,9}))?\}(\$?)$`)

// countedOf reads a pattern that ends in a count too large for RE2: one class from beginning to end, or anything else
// that may go on behind the count, so that its upper bound says nothing.
func countedOf(source string) (matcher, int, bool) {
	m := lastCount.FindStringSubmatch(source)
	if m == nil {
		return nil, 0, false
	}
	head := translator{source: m[1]}
	if head.run() != nil || head.inClass || strings.HasSuffix(m[1], `\`) {
		return nil, 0, false
	}
	least, _ := strconv.Atoi(m[2])
	most := least
	switch {
	case m[3] == ",":
		most = -1
	case m[3] != "":
		most, _ = strconv.Atoi(m[4])
	}
	if most >= 0 && most < least {
		return nil, 0, false
	}
	if m[5] == "" {
		re2 := head.out.String() + fmt.Sprintf("{%d}", least)
		re, err := regexp.Compile(re2)
		return re, sizeOf(re2), err == nil
	}
	re2 := head.out.String() + `*\z`
	tree, err := syntax.Parse(re2, syntax.Perl)
	if err != nil || tree.Op != syntax.OpConcat || len(tree.Sub) != 3 || tree.Sub[0].Op != syntax.OpBeginText || tree.Sub[1].Op != syntax.OpStar || tree.Sub[2].Op != syntax.OpEndText {
		return nil, 0, false
	}
	switch one := tree.Sub[1].Sub[0]; {
	case one.Op == syntax.OpCharClass, one.Op == syntax.OpAnyChar, one.Op == syntax.OpLiteral && len(one.Rune) == 1:
	default:
		return nil, 0, false
	}
	only, err := regexp.Compile(re2)
	return &counted{only, least, most}, sizeOf(re2), err == nil
}
