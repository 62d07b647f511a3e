package schema

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// spelling is how a string is written.
type spelling struct{ escaped, wide bool } // wide: not all of it is ASCII

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// text reads a string at its quote, as strictly as parser.str; end is 0 where it is none.
func (w *walker) text(i int) (end int, is spelling) {
	b := w.b
	i++
	from, wide := i, uint64(0)
	for {
		// Eight bytes at a time, up to one that is a quote, a backslash or a control character: of such a word the
		// lowest bit found is right.
		for len(b)-i >= 8 {
			word := binary.LittleEndian.Uint64(b[i:])
			quote, escape := word^'"'*ones, word^'\\'*ones
			found := ((quote-ones)&^quote | (escape-ones)&^escape | (word-' '*ones)&^word) & tops
			if found != 0 {
				n := bits.TrailingZeros64(found) &^ 7
				wide |= word & (1<<n - 1)
				i += n >> 3
				break
			}
			wide |= word
			i += 8
		}
		if i >= len(b) {
			return 0, is
		}
		switch c := b[i]; {
		case c == '"':
			if is.wide = wide&tops != 0; is.wide && !utf8.Valid(b[from:i]) {
				return 0, is
			}
			if i-from > countedText {
				w.work -= i - from
			}
			return i + 1, is
		case c == '\\':
			if i = escapeAt(b, i); i == 0 {
				return 0, is
			}
			is.escaped = true
		case c < ' ':
			return 0, is
		default: // of the last few bytes
			wide |= uint64(c)
			i++
		}
	}
}

// escapeAt returns the place behind an escape, 0 where it is none; a surrogate must come with its other half.
func escapeAt(b []byte, i int) int {
	if len(b)-i < 2 {
		return 0
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
	default:
		return 0
	}
	r := hexAt(b, i+2)
	switch {
	case r < 0 || r >= 0xDC00 && r < 0xE000:
		return 0
	case r < 0xD800 || r >= 0xE000:
		return i + 6
	}
	if len(b)-i < 12 || b[i+6] != '\\' || b[i+7] != 'u' {
		return 0
	}
	if low := hexAt(b, i+8); low < 0xDC00 || low >= 0xE000 {
		return 0
	}
	return i + 12
}

// hexAt reads four hexadecimal digits; < 0 where there are none.
func hexAt(b []byte, i int) rune {
	if len(b)-i < 4 {
		return -1
	}
	r := rune(0)
	for _, c := range b[i : i+4] {
		switch {
		case c-'0' < 10:
			r = r<<4 | rune(c-'0')
		case chars[c]&hexChar != 0:
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

// unescaped undoes the escapes of a string that was read. It is good until the stack is cut below it.
func (w *walker) unescaped(raw []byte) []byte {
	at := len(w.spelled)
	out := w.spelled
	for i := 0; i < len(raw); {
		c := raw[i]
		if c != '\\' {
			out = append(out, c)
			i++
			continue
		}
		c = raw[i+1]
		i += 2
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hexAt(raw, i)
			if i += 4; r >= 0xD800 && r < 0xDC00 {
				r = (r-0xD800)<<10 + hexAt(raw, i+2) - 0xDC00 + 0x10000
				i += 6
			}
			out = utf8.AppendRune(out, r)
			continue
		}
		out = append(out, c)
	}
	w.spelled = out
	return out[at:]
}

// name reads a member's name that was not guessed: the index of the member, or -1 and it is new. end is 0 where it cannot
// stand there.
func (w *walker) name(o *objectStation, names *nameSet, i int) (index, end int) {
	if i >= len(w.b) || w.b[i] != '"' {
		return -1, 0
	}
	end, is := w.text(i)
	if end == 0 {
		return -1, 0
	}
	name, at := w.b[i+1:end-1], len(w.spelled)
	if is.escaped {
		name = w.unescaped(name)
	}
	index = o.index(name)
	if index < 0 && !w.isNew(names, i, name, is.escaped) {
		end = 0
	}
	w.spelled = w.spelled[:at]
	return index, end
}

// number takes a number.
func (w *walker) number(n *station, start int) (end int, ok bool) {
	b, i := w.b, start
	var s scaled
	if b[i] == '-' {
		s.negative = true
		i++
	}
	from := i
	for ; i < len(b) && b[i]-'0' < 10; i++ {
		s.value = s.value*10 + uint64(b[i]-'0')
	}
	digits := i - from
	if digits == 0 || b[from] == '0' && digits > 1 {
		return 0, false
	}
	if i < len(b) && b[i] == '.' {
		i++
		point := i
		for ; i < len(b) && b[i]-'0' < 10; i++ {
			s.value = s.value*10 + uint64(b[i]-'0')
		}
		if s.scale = i - point; s.scale == 0 {
			return 0, false
		}
		digits += s.scale
	}
	if digits > quickDigits || i < len(b) && b[i]|0x20 == 'e' {
		return w.anyNumber(n, start, i)
	}
	if n.number != nil {
		is, ok := n.number.admitsFew(s)
		if !ok {
			return w.anyNumber(n, start, i)
		}
		if !is {
			return 0, false
		}
	}
	if n.literals != nil && !w.isNumber(n, b[start:i]) {
		return 0, false
	}
	return i, true
}

// anyNumber takes a number of many digits, with an exponent, or that is compared with such: by the index's own means.
func (w *walker) anyNumber(n *station, start, i int) (end int, ok bool) {
	b := w.b
	for i < len(b) && (b[i]-'0' < 10 || b[i] == '.' || b[i]|0x20 == 'e' || b[i] == '+' || b[i] == '-') {
		i++
	}
	p := parser{s: string(b[start:min(i, start+maxDigits+1)])}
	if p.number() != nil || p.i != i-start {
		return 0, false
	}
	if n.number != nil && !n.number.admits(p.s) || n.literals != nil && !w.isNumber(n, b[start:i]) {
		return 0, false
	}
	return i, true
}

// isNumber asks each enum and const.
func (w *walker) isNumber(n *station, text []byte) bool {
	for _, l := range n.literals {
		if l.numbers == nil {
			return false
		}
		w.scratch = decimalOf(string(text)).append(append(w.scratch[:0], '0'+byte(Number)))
		if _, ok := l.numbers[string(w.scratch)]; !ok {
			return false
		}
	}
	return true
}

// isLiteral asks each enum and const for an array or object. It leaves those that list any to the index.
func (w *walker) isLiteral(n *station) bool {
	for _, l := range n.literals {
		if !l.holds {
			return false
		}
	}
	return w.give()
}
