package schema

import (
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

const (
	maxExponent = 400  // written; beyond any double either way
	maxDigits   = 1000 // of one number
	safeDigits  = 300  // before the point, exponent counted: surely within a double
)

func (p *parser) digits() bool {
	from := p.i
	for p.i < len(p.s) && p.s[p.i]-'0' < 10 {
		p.i++
	}
	return p.i > from
}

// number reads a number (RFC 8259 §6).
func (p *parser) number() error {
	start := p.i
	p.next('-')
	from := p.i
	if !p.digits() || p.s[from] == '0' && p.i-from > 1 {
		return p.fail("syntax")
	}
	magnitude := p.i - from
	if p.next('.') && !p.digits() {
		return p.fail("syntax")
	}
	if p.i < len(p.s) && p.s[p.i]|0x20 == 'e' {
		p.i++
		small := !p.next('+') && p.next('-')
		from := p.i
		if !p.digits() {
			return p.fail("syntax")
		}
		e, err := strconv.Atoi(p.s[from:p.i])
		if err != nil || e > maxExponent {
			return p.fail("number")
		}
		if !small {
			magnitude += e
		}
	}
	if p.i-start > maxDigits || magnitude > safeDigits && !isFinite(p.s[start:p.i]) {
		return p.fail("number")
	}
	return nil
}

// isFinite reports whether a number is one to readers that know only doubles: to them 1e400 is Infinity (RFC 7493 §2.2).
func isFinite(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

// decimal is a number as digits × 10^exponent, without zeros at either end. Zero has no digits.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

// decimalOf reads a number that is valid JSON.
func decimalOf(text string) decimal {
	var d decimal
	text, d.negative = strings.CutPrefix(text, "-")
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		d.exponent, _ = strconv.Atoi(text[i+1:]) // bounded by number
		text = text[:i]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	d.exponent -= len(fraction)
	all := strings.TrimLeft(whole+fraction, "0")
	d.digits = strings.TrimRight(all, "0")
	d.exponent += len(all) - len(d.digits)
	if d.digits == "" {
		return decimal{}
	}
	return d
}

// isInteger: 1.0 and 1e2 are integers (JSON Schema Validation §6.1.1).
func (d decimal) isInteger() bool { return d.exponent >= 0 }

func isInteger(text string) bool {
	if strings.IndexAny(text, "eE") >= 0 {
		return decimalOf(text).isInteger()
	}
	_, fraction, _ := strings.Cut(text, ".")
	return strings.Trim(fraction, "0") == ""
}

// fits reports whether an integer fits a signed word of so many bits.
func (d decimal) fits(bits int) bool {
	if d.digits == "" {
		return true
	}
	if !d.isInteger() || len(d.digits)+d.exponent > 19 {
		return false
	}
	text := d.digits + strings.Repeat("0", d.exponent)
	if d.negative {
		text = "-" + text
	}
	_, err := strconv.ParseInt(text, 10, bits)
	return err == nil
}

// append appends a form that is equal for equal numbers.
func (d decimal) append(dst []byte) []byte {
	if d.negative {
		dst = append(dst, '-')
	}
	dst = append(append(dst, d.digits...), 'e')
	return append(strconv.AppendInt(dst, int64(d.exponent), 10), ';')
}

// bound is a number of a schema, and its text for people.
type bound struct {
	decimal
	text string
}

func boundOf(text string) *bound { return &bound{decimalOf(text), text} }

// compare is exact, and takes no more than the digits written: 1e308 is not made 308 of them.
func (d decimal) compare(other decimal) int {
	switch {
	case d.sign() != other.sign():
		return d.sign() - other.sign()
	case d.negative:
		return other.magnitude(d)
	}
	return d.magnitude(other)
}

func (d decimal) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	}
	return 1
}

// magnitude compares without signs.
func (d decimal) magnitude(other decimal) int {
	if order := len(d.digits) + d.exponent - len(other.digits) - other.exponent; order != 0 {
		return order
	}
	return strings.Compare(d.digits, other.digits) // neither begins with a zero, nor ends with one
}

// isMultipleOf reports whether d is an integer times unit, which is not zero.
func (d decimal) isMultipleOf(unit decimal) bool {
	zeros := d.exponent - unit.exponent
	switch {
	case d.digits == "":
		return true
	case zeros < 0: // the unit's digits would end in zeros that d has not
		return false
	}
	divisor, err := strconv.ParseUint(unit.digits, 10, 64)
	if err != nil {
		whole, _ := new(big.Int).SetString(unit.digits, 10)
		n, _ := new(big.Int).SetString(d.digits+strings.Repeat("0", zeros), 10)
		return n.Mod(n, whole).Sign() == 0
	}
	rest := uint64(0)
	for i := range len(d.digits) {
		high, low := bits.Mul64(rest, 10)
		low, carry := bits.Add64(low, uint64(d.digits[i]-'0'), 0)
		rest = bits.Rem64(high+carry, low, divisor)
	}
	for power := uint64(10); zeros > 0 && rest != 0; zeros >>= 1 {
		if zeros&1 != 0 {
			rest = times(rest, power, divisor)
		}
		power = times(power, power, divisor)
	}
	return rest == 0
}

func times(a, b, modulus uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return bits.Rem64(high, low, modulus)
}
