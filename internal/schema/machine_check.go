package schema

import (
	"math/big"
	"math/bits"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// literals are the values of one enum or const, made ready.
type literals struct {
	null, yes, no bool
	texts         []string
	many          map[string]struct{} // the texts, where they are many
	numbers       map[string]struct{} // canonical forms
	holds         bool                // arrays or objects
}

// manyTexts is from how many on texts are looked up rather than compared.
const manyTexts = 8

func literalsOf(s *subschema) (out []*literals) {
	add := func(forms map[string]struct{}) {
		l := new(literals)
		for f := range forms {
			l.add(f)
		}
		if len(l.texts) > manyTexts {
			l.many = make(map[string]struct{}, len(l.texts))
			for _, t := range l.texts {
				l.many[t] = struct{}{}
			}
		}
		out = append(out, l)
	}
	if s.enum != nil {
		add(s.enum)
	}
	if s.constant != nil {
		add(map[string]struct{}{*s.constant: {}})
	}
	return out
}

// add takes a canonical form apart (tree.canonical).
func (l *literals) add(f string) {
	switch Kind(f[0] - '0') {
	case Null:
		l.null = true
	case Boolean:
		l.yes, l.no = l.yes || f[1:] == "true", l.no || f[1:] == "false"
	case Number:
		if l.numbers == nil {
			l.numbers = map[string]struct{}{}
		}
		l.numbers[f] = struct{}{}
	case String:
		_, text, _ := strings.Cut(f[1:], ":")
		l.texts = append(l.texts, text)
	default:
		l.holds = true
	}
}

// kinds are those of the values.
func (l *literals) kinds() (out types) {
	for kind, any := range map[Kind]bool{Null: l.null, Boolean: l.yes || l.no, Number: l.numbers != nil, String: l.texts != nil, Array: l.holds, Object: l.holds} {
		if any {
			out |= 1 << kind
		}
	}
	return out
}

func (l *literals) hasText(s []byte) bool {
	if l.many != nil {
		_, ok := l.many[string(s)]
		return ok
	}
	for _, t := range l.texts {
		if string(s) == t {
			return true
		}
	}
	return false
}

// textCheck is what is asked of a string.
type textCheck struct {
	least, most int // characters; most < 0: any number
	patterns    []textPattern
	formats     []textFormat
}

type textPattern struct {
	sequence *sequence // where the pattern is simple
	pattern  pattern
}

func textPatternOf(p pattern) (t textPattern) {
	t.pattern = p
	if _, ok := p.matcher.(*regexp.Regexp); ok {
		t.sequence = sequenceOf(p.source)
	}
	return t
}

type textFormat struct {
	quick func([]byte) bool // accepts most of what exact does, and nothing else; nil: nothing
	exact func(string) bool
}

func textOf(asserting []judged) *textCheck {
	c := &textCheck{most: -1}
	for _, g := range asserting {
		if r := g.schema.text; r != nil {
			c.least, c.most = max(c.least, r.least), tighter(c.most, r.most)
			if r.pattern.matcher != nil {
				c.patterns = append(c.patterns, textPatternOf(r.pattern))
			}
		}
		if f := g.schema.format; f != nil && f.text != nil {
			c.formats = append(c.formats, textFormat{quickFormats[f.name], f.text})
		}
	}
	if c.least == 0 && c.most < 0 && c.patterns == nil && c.formats == nil {
		return nil
	}
	return c
}

// admits judges a string, unescaped. ask tells that only the index can.
func (c *textCheck) admits(s []byte, ascii bool) (ok, ask bool) {
	if c.least > 0 || c.most >= 0 {
		n := len(s) // of UTF-8, a quarter of that at least, and that at most
		if !ascii && (n/utf8.UTFMax < c.least || c.most >= 0 && n > c.most) {
			n = utf8.RuneCount(s)
		}
		if n < c.least || c.most >= 0 && n > c.most {
			return false, false
		}
	}
	for i := range c.patterns {
		p := &c.patterns[i]
		if ok, ask := p.match(s); !ok {
			return false, ask
		}
	}
	for i := range c.formats {
		f := &c.formats[i]
		if (f.quick == nil || !f.quick(s)) && !f.exact(string(s)) {
			return false, false
		}
	}
	return true, false
}

// match tries the pattern. ask tells that only the index can, which counts what that takes.
func (p *textPattern) match(s []byte) (ok, ask bool) {
	switch {
	case p.sequence != nil:
		return p.sequence.match(s), false
	case p.pattern.size > bigPattern && len(s) > longText:
		return false, true
	}
	return matchBytes(p.pattern.matcher, s), false
}

// matchBytes runs a pattern without making a string, where it can.
func matchBytes(m matcher, s []byte) bool {
	if re, ok := m.(interface{ Match([]byte) bool }); ok {
		return re.Match(s)
	}
	return m.MatchString(string(s))
}

// numberCheck is what is asked of a number.
type numberCheck struct {
	whole   bool
	rules   []*numericRules
	formats []*format

	// The same for numbers of few digits, where quick.
	quick     bool
	bounds    []quickBound
	units     []scaled
	fits      int // bits of a signed word; 0: any
	lo, hi    int64
	wholeOnly bool // lo and hi say all there is to say of whole numbers
}

// scaled is a number of few digits: value / 10^scale.
type scaled struct {
	negative bool
	value    uint64
	scale    int
}

type quickBound struct {
	scaled
	above, inclusive bool // a number must stand above it, or below
}

// quickDigits is how many digits surely fit a word, and as a product of two such numbers two words.
const quickDigits = 18

var powers = func() (out [quickDigits + 1]uint64) {
	out[0] = 1
	for i := 1; i < len(out); i++ {
		out[i] = 10 * out[i-1]
	}
	return out
}()

func numberOf(asserting []judged, whole bool) *numberCheck {
	c := &numberCheck{whole: whole, quick: true, lo: -1 << 62, hi: 1 << 62, wholeOnly: true}
	for _, g := range asserting {
		if r := g.schema.numeric; r != nil {
			c.rules = append(c.rules, r)
			c.bound(r.minimum, true, true)
			c.bound(r.maximum, false, true)
			c.bound(r.above, true, false)
			c.bound(r.below, false, false)
			if r.multiple != nil {
				unit, ok := scaledOf(r.multiple.decimal)
				c.quick = c.quick && ok && unit.value > 0
				c.units = append(c.units, unit)
				c.wholeOnly = false
			}
		}
		if f := g.schema.format; f != nil && f.number != nil {
			c.formats = append(c.formats, f)
			switch f.name {
			case "int32":
				c.lo, c.hi, c.fits = max(c.lo, -1<<31), min(c.hi, 1<<31-1), 32
			case "int64": // all of few digits fit
				if c.fits == 0 {
					c.fits = 64
				}
			default:
				c.quick = false
			}
		}
	}
	if !whole && c.rules == nil && c.formats == nil {
		return nil
	}
	return c
}

func (c *numberCheck) bound(b *bound, above, inclusive bool) {
	if b == nil {
		return
	}
	s, ok := scaledOf(b.decimal)
	if !ok {
		c.quick = false
		return
	}
	c.bounds = append(c.bounds, quickBound{s, above, inclusive})
	// Of whole numbers the nearest whole bound says the same.
	r, _ := new(big.Rat).SetString(b.text)
	floor := new(big.Int).Div(r.Num(), r.Denom()).Int64() // Euclidean: the divisor is positive; within 18 digits
	isWhole := r.IsInt()
	switch {
	case above && isWhole && !inclusive, above && !isWhole:
		c.lo = max(c.lo, floor+1)
	case above:
		c.lo = max(c.lo, floor)
	case isWhole && !inclusive:
		c.hi = min(c.hi, floor-1)
	default:
		c.hi = min(c.hi, floor)
	}
}

// scaledOf is a decimal of few digits before and behind the point.
func scaledOf(d decimal) (scaled, bool) {
	if d.digits == "" {
		return scaled{}, true
	}
	scale := max(0, -d.exponent)
	if len(d.digits)+max(0, d.exponent) > quickDigits || scale > quickDigits {
		return scaled{}, false
	}
	n, err := strconv.ParseUint(d.digits, 10, 64)
	return scaled{d.negative, n * powers[max(0, d.exponent)], scale}, err == nil
}

// compare is exact.
func (s scaled) compare(t scaled) int {
	high, low := bits.Mul64(s.value, powers[t.scale])
	otherHigh, otherLow := bits.Mul64(t.value, powers[s.scale])
	order := 0
	switch {
	case s.value == 0 && t.value == 0:
		return 0
	case s.value == 0 && t.negative, !s.negative && s.value > 0 && (t.negative || t.value == 0):
		return 1
	case s.value == 0, s.negative && (!t.negative || t.value == 0):
		return -1
	case high != otherHigh:
		order = 1
		if high < otherHigh {
			order = -1
		}
	case low != otherLow:
		order = 1
		if low < otherLow {
			order = -1
		}
	}
	if s.negative {
		return -order
	}
	return order
}

// isMultipleOf: s.value × 10^unit.scale must be a multiple of unit.value × 10^s.scale.
func (s scaled) isMultipleOf(unit scaled) bool {
	if s.value == 0 {
		return true
	}
	for s.scale > 0 && s.value%10 == 0 {
		s.value, s.scale = s.value/10, s.scale-1
	}
	if s.scale > unit.scale {
		return false // the unit's digits end in none that s could have
	}
	high, low := bits.Mul64(s.value, powers[unit.scale-s.scale])
	return bits.Rem64(high, low, unit.value) == 0
}

// admitsFew judges a number of few digits; ok is false where that cannot be told so.
func (c *numberCheck) admitsFew(s scaled) (is, ok bool) {
	if !c.quick {
		return false, false
	}
	if s.scale > 0 && (c.whole || c.fits != 0) {
		if s.value%powers[s.scale] != 0 {
			return false, true
		}
		s.value, s.scale = s.value/powers[s.scale], 0
	}
	if s.scale == 0 {
		v := int64(s.value)
		if s.negative {
			v = -v
		}
		if v < c.lo || v > c.hi {
			return false, true
		}
		if c.wholeOnly {
			return true, true
		}
	}
	for _, b := range c.bounds {
		order := s.compare(b.scaled)
		if !b.above {
			order = -order
		}
		if order < 0 || order == 0 && !b.inclusive {
			return false, true
		}
	}
	for _, unit := range c.units {
		if !s.isMultipleOf(unit) {
			return false, true
		}
	}
	return true, true
}

// admits judges any number, as it is written.
func (c *numberCheck) admits(text string) bool {
	if c.whole && !isInteger(text) {
		return false
	}
	d := decimalOf(text)
	for _, r := range c.rules {
		if code, _, _ := r.fault(d); code != "" {
			return false
		}
	}
	for _, f := range c.formats {
		if !f.number(d) {
			return false
		}
	}
	return true
}
