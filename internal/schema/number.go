package schema

import (
	"math/big"
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

func (d decimal) String() string {
	sign := ""
	if d.negative {
		sign = "-"
	}
	return sign + d.digits + "e" + strconv.Itoa(d.exponent)
}

// rational returns a number exactly; bounds are compared so.
func rational(text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		panic("schema: not a number: " + text) // a programming error: number let it pass
	}
	return r
}

// decimalText writes a bound for people: exactly where a decimal can, else as a fraction.
func decimalText(r *big.Rat) string {
	if n, exact := r.FloatPrec(); exact {
		return r.FloatString(n)
	}
	return r.RatString()
}
