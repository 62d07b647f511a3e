package schema

import (
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf16"
)

// pattern is an ECMA-262 pattern as RE2 runs it.
type pattern struct {
	source string
	size   int // instructions
	matcher
}

func (p pattern) String() string { return p.source }

// matcher is a compiled pattern.
type matcher interface{ MatchString(string) bool }

// compilePattern translates an ECMA-262 pattern (with its u flag, as JSON Schema wants it) to RE2, whose time is linear
// in the input (CVE-2019-11387's class). What RE2 cannot express is an error: look-around but at the edges, references back
// to a group, and counts beyond 1000 but of one class or at the end. The extensions (?i), (?s) and (?m) of other dialects are let pass.
func compilePattern(source string) (pattern, error) {
	re2, err := translatePattern(source)
	var re *regexp.Regexp
	if err == nil {
		re, err = regexp.Compile(re2)
	}
	if err == nil {
		return pattern{source, sizeOf(re2), re}, nil
	}
	for _, other := range [...]func(string) (matcher, int, bool){conjunctionOf, countedOf} {
		if m, size, ok := other(source); ok {
			return pattern{source, size, m}, nil
		}
	}
	return pattern{}, fmt.Errorf("pattern %q cannot be enforced: %w", source, err)
}

// sizeOf counts the instructions of a pattern that compiles.
func sizeOf(re2 string) int {
	tree, err := syntax.Parse(re2, syntax.Perl)
	if err != nil {
		return math.MaxInt32
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return math.MaxInt32
	}
	return len(program.Inst)
}

func translatePattern(source string) (re2 string, err error) {
	t := translator{source: source}
	err = t.run()
	return t.out.String(), err
}

// translator rewrites what the two dialects spell differently.
type translator struct {
	source  string
	i       int // behind what was read
	inClass bool
	out     strings.Builder
}

// What ECMA-262 means by \s, and by `.`: RE2's \s is ASCII's alone, and its dot stops at \n alone.
const (
	ecmaSpace    = `\t\n\v\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}`
	ecmaNotSpace = `\x00-\x08\x0e-\x1f!-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10ffff}`
	ecmaDot      = `[^\n\r\x{2028}\x{2029}]`
)

func (t *translator) run() error {
	dotAll := strings.Contains(t.source, "(?s") || strings.Contains(t.source, "(?is") // then the dot is what RE2's flag makes it
	for t.i < len(t.source) {
		c := t.source[t.i]
		t.i++
		switch {
		case c == '\\':
			if err := t.escape(); err != nil {
				return err
			}
			continue
		case c == '[' && t.inClass:
			t.out.WriteByte('\\') // an ordinary character there; RE2 knows [:alpha:]
		case c == '[':
			if t.class() {
				continue
			}
		case c == ']':
			t.inClass = false
		case c == '$' && !t.inClass && !strings.Contains(t.source, "(?m"):
			t.out.WriteString(`\z`) // Perl's $ is also before a final line break
			continue
		case c == '.' && !t.inClass && !dotAll:
			t.out.WriteString(ecmaDot)
			continue
		}
		t.out.WriteByte(c)
	}
	return nil
}

// class begins a class; [] matches nothing and [^] everything, which RE2 spells otherwise.
func (t *translator) class() (done bool) {
	rest := t.source[t.i:]
	switch {
	case strings.HasPrefix(rest, "]"):
		t.out.WriteString(`[^\x00-\x{10FFFF}]`)
		t.i++
		return true
	case strings.HasPrefix(rest, "^]"):
		t.out.WriteString(`[\x00-\x{10FFFF}]`)
		t.i += 2
		return true
	}
	t.inClass = true
	return false
}

// escape translates what stands behind a backslash.
func (t *translator) escape() error {
	if t.i == len(t.source) {
		return fmt.Errorf("it ends in a backslash")
	}
	c := t.source[t.i]
	t.i++
	switch {
	case c == 's':
		t.set(ecmaSpace)
	case c == 'S':
		t.set(ecmaNotSpace)
	case c == 'u':
		return t.unicode()
	case c == 'x':
		return t.hex(2)
	case c == 'c':
		return t.control()
	case c == 'k' || c >= '1' && c <= '9':
		return fmt.Errorf("it refers back to a group")
	case c == '0':
		t.out.WriteString(`\x00`)
	case c == 'b' && t.inClass:
		t.out.WriteString(`\x08`)
	case strings.IndexByte(`dDwWbBtnrvfpP`, c) >= 0:
		t.out.WriteByte('\\')
		t.out.WriteByte(c)
		if c == 'p' || c == 'P' {
			t.property()
		}
	case isAlnum(c) || c >= 0x80 || c == '/' || c == '_':
		t.out.WriteByte(c) // it stands for itself
	default:
		t.out.WriteByte('\\')
		t.out.WriteByte(c)
	}
	return nil
}

// set writes a set of characters, in a class or as one.
func (t *translator) set(chars string) {
	if !t.inClass {
		chars = "[" + chars + "]"
	}
	t.out.WriteString(chars)
}

// property shortens \p{Script=Greek} and \p{General_Category=L} to RE2's names.
func (t *translator) property() {
	rest := t.source[t.i:]
	for _, key := range [...]string{"Script=", "sc=", "Script_Extensions=", "scx=", "General_Category=", "gc="} {
		if name, ok := strings.CutPrefix(rest, "{"+key); ok {
			t.out.WriteByte('{')
			t.i += len(rest) - len(name)
			return
		}
	}
}

// unicode translates \uXXXX, a pair of surrogates written so, and \u{X}.
func (t *translator) unicode() error {
	if strings.HasPrefix(t.source[t.i:], "{") {
		end := strings.IndexByte(t.source[t.i:], '}')
		if end < 0 {
			return fmt.Errorf("\\u{ has no end")
		}
		return t.code(t.source[t.i+1:t.i+end], end+1)
	}
	first, ok := t.code16(t.i)
	if !ok {
		return fmt.Errorf("\\u wants four hexadecimal digits")
	}
	if utf16.IsSurrogate(first) && strings.HasPrefix(t.source[t.i+4:], `\u`) {
		if second, ok := t.code16(t.i + 6); ok && utf16.DecodeRune(first, second) != 0xFFFD {
			fmt.Fprintf(&t.out, `\x{%x}`, utf16.DecodeRune(first, second))
			t.i += 10
			return nil
		}
	}
	return t.code(t.source[t.i:t.i+4], 4)
}

func (t *translator) code16(at int) (rune, bool) {
	if at+4 > len(t.source) {
		return 0, false
	}
	n, err := strconv.ParseUint(t.source[at:at+4], 16, 32)
	return rune(n), err == nil
}

// hex translates \xXX.
func (t *translator) hex(width int) error {
	if t.i+width > len(t.source) {
		return fmt.Errorf("\\x wants two hexadecimal digits")
	}
	return t.code(t.source[t.i:t.i+width], width)
}

// code writes the character of a hexadecimal number and skips what it was read from.
func (t *translator) code(digits string, skip int) error {
	n, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || n > 0x10FFFF || n >= 0xD800 && n < 0xE000 {
		return fmt.Errorf("%q is no character", digits)
	}
	fmt.Fprintf(&t.out, `\x{%x}`, n)
	t.i += skip
	return nil
}

// control translates \cX.
func (t *translator) control() error {
	if t.i == len(t.source) || t.source[t.i]|0x20 < 'a' || t.source[t.i]|0x20 > 'z' {
		return fmt.Errorf("\\c wants a letter")
	}
	fmt.Fprintf(&t.out, `\x%02x`, t.source[t.i]&31)
	t.i++
	return nil
}
