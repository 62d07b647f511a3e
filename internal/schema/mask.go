package schema

import (
	"strings"
	"unicode/utf8"
)

// appendMasked appends a value's mask as a JSON string. A value that has no such mask is hidden whole.
func appendMasked(dst []byte, mask string, n *node) []byte {
	s := n.text
	if n.kind != text && n.kind != number {
		return append(dst, `"****"`...)
	}
	switch mask {
	case "last4":
		if r := []rune(s); len(r) > 4 {
			return appendString(dst, "****"+string(r[len(r)-4:]))
		}
	case "email":
		if at := strings.LastIndexByte(s, '@'); at > 0 {
			_, size := utf8.DecodeRuneInString(s)
			return appendString(dst, s[:size]+"***"+s[at:])
		}
	}
	return append(dst, `"****"`...)
}

const hexDigits = "0123456789abcdef"

// appendString appends a valid UTF-8 string as JSON.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
