package schema

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// mask is how a value is hidden.
type mask uint8

const (
	unmasked  mask = iota
	maskLast4      // ****1111
	maskEmail      // a***@example.com
	maskHash       // a pseudonym: 16 hexadecimal digits of HMAC-SHA-256, equal for equal values
	maskFull       // ****
)

var masks = map[string]mask{"last4": maskLast4, "email": maskEmail, "hash": maskHash, "full": maskFull}

const hidden = "****"

// appendMasked appends a value's mask as a JSON string. A value that its mask does not fit, null and what holds others
// included, is hidden whole.
func appendMasked(dst []byte, m mask, kind Kind, s string, key []byte) []byte {
	if kind != String && kind != Number {
		return appendString(dst, hidden)
	}
	switch m {
	case maskLast4:
		if r := []rune(s); len(r) >= 8 { // of a shorter value four characters would be most
			return appendString(dst, hidden+string(r[len(r)-4:]))
		}
	case maskEmail:
		if at := strings.LastIndexByte(s, '@'); at > 0 {
			_, size := utf8.DecodeRuneInString(s)
			if size == at {
				size = 0 // the first letter is all there is
			}
			return appendString(dst, s[:size]+"***"+s[at:])
		}
	case maskHash:
		// Keyed: telephone numbers and the like are few enough to try all.
		h := hmac.New(sha256.New, key)
		h.Write([]byte(s))
		return appendString(dst, hex.EncodeToString(h.Sum(nil)[:8]))
	}
	return appendString(dst, hidden)
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
