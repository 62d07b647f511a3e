package schema

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// pattern is an ECMA-262 pattern as RE2 runs it.
type pattern struct {
	source string
	*regexp.Regexp
}

func (p pattern) String() string { return p.source }

// compilePattern translates an ECMA-262 pattern to RE2, whose time is linear in the input (CVE-2019-11387's class).
// What RE2 cannot express, look-around and back-references, is an error.
func compilePattern(source string) (jsonschema.Regexp, error) {
	translated, err := translate(source)
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile(translated)
	if err != nil {
		return nil, fmt.Errorf("pattern %q cannot be enforced: %w", source, err)
	}
	return pattern{source, re}, nil
}

// translate rewrites what the two dialects spell differently: \d, \w and \s keep ECMA's meaning, \/ and other identity
// escapes lose their backslash, \uXXXX becomes \x{XXXX}, \cX its control character, (?<n>…) stays.
func translate(source string) (string, error) {
	var b strings.Builder
	inClass := false
	for i := 0; i < len(source); i++ {
		c := source[i]
		switch {
		case c == '\\' && i+1 < len(source):
			i++
			n, err := escapeSequence(&b, source, i, inClass)
			if err != nil {
				return "", err
			}
			i += n
			continue
		case c == '[' && !inClass:
			inClass = true
			if strings.HasPrefix(source[i:], "[^]") {
				b.WriteString(`[\s\S]`)
				i, inClass = i+2, false
				continue
			}
			if strings.HasPrefix(source[i:], "[]") {
				b.WriteString(`[^\x00-\x{10FFFF}]`)
				i, inClass = i+1, false
				continue
			}
		case c == '[' && inClass:
			b.WriteByte('\\')
		case c == ']':
			inClass = false
		case c == '$' && !inClass:
			b.WriteString(`\z`)
			continue
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

const ecmaSpace = `\t\n\v\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}`

// escapeSequence writes the escape whose letter stands at i and returns how many bytes beyond it were used.
func escapeSequence(b *strings.Builder, s string, i int, inClass bool) (int, error) {
	c := s[i]
	switch {
	case c == 's' || c == 'S':
		switch {
		case inClass && c == 's':
			b.WriteString(ecmaSpace)
		case inClass:
			b.WriteString(`\S`)
		case c == 's':
			b.WriteString("[" + ecmaSpace + "]")
		default:
			b.WriteString("[^" + ecmaSpace + "]")
		}
	case c == 'u' && i+1 < len(s) && s[i+1] == '{':
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			return 0, fmt.Errorf("pattern %q: unfinished \\u{", s)
		}
		b.WriteString(`\x` + s[i+1:i+end+1])
		return end, nil
	case c == 'u' && i+5 <= len(s):
		b.WriteString(`\x{` + s[i+1:i+5] + `}`)
		return 4, nil
	case c == 'c' && i+1 < len(s):
		fmt.Fprintf(b, `\x%02x`, s[i+1]&31)
		return 1, nil
	case c >= '1' && c <= '9' && !inClass, c == 'k':
		return 0, fmt.Errorf("pattern %q cannot be enforced: it refers back to a group", s)
	case c == '0':
		b.WriteString(`\x00`)
	case c == 'b' && inClass:
		b.WriteString(`\x08`)
	case strings.IndexByte(`dDwWbBtnrvfpPx`, c) >= 0:
		b.WriteByte('\\')
		b.WriteByte(c)
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		b.WriteByte(c) // an identity escape
	case c >= 0x80 || c == '/' || c == '_':
		b.WriteByte(c)
	default:
		b.WriteByte('\\')
		b.WriteByte(c)
	}
	return 0, nil
}
