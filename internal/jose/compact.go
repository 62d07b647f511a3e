package jose

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxToken bounds a token before anything of it is parsed (threat 30).
const maxToken = 16 << 10

// header is what a JOSE header may say here.
type header struct {
	alg, kid, typ string
}

// segments cuts a compact JWS. Only the base64url alphabet and exactly two dots are let through, so that a token has
// one spelling (Go's decoder alone would skip line breaks).
func segments(token string) (head, payload, signature string, ok bool) {
	if len(token) > maxToken {
		return "", "", "", false
	}
	dots := 0
	for i := 0; i < len(token); i++ {
		c := token[i]
		switch {
		case c == '.':
			dots++
		case c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_':
		default:
			return "", "", "", false
		}
	}
	if dots != 2 {
		return "", "", "", false
	}
	head, rest, _ := strings.Cut(token, ".")
	payload, signature, _ = strings.Cut(rest, ".")
	return head, payload, signature, head != "" && signature != ""
}

var encoding = base64.RawURLEncoding.Strict()

// parseHeader reads a header strictly. Parameters that would let the token choose its key, skip a check or be understood
// by others differently are refused: crit and b64 (RFC 7515 §4.1.11), zip, enc, embedded and remote keys, other
// spellings of the known names.
func parseHeader(seg string) (header, bool) {
	var h header
	raw, err := encoding.DecodeString(seg)
	if err != nil {
		return h, false
	}
	members, ok := object(raw)
	if !ok {
		return h, false
	}
	for name, value := range members {
		lower := strings.ToLower(name)
		switch lower {
		case "alg", "kid", "typ":
			s, isString := value.(string)
			if !isString || name != lower {
				return h, false
			}
			switch name {
			case "alg":
				h.alg = s
			case "kid":
				h.kid = s
			case "typ":
				h.typ = s
			}
		case "crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c", "epk", "p2c", "p2s":
			return h, false
		}
	}
	return h, h.alg != ""
}

const maxDepth = 256

// object decodes one JSON object: no duplicate names, valid UTF-8, nothing behind it, bounded nesting. Numbers
// become float64.
func object(raw []byte) (map[string]any, bool) {
	if depth(raw) > maxDepth {
		return nil, false
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m, jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false)); err != nil || m == nil {
		return nil, false
	}
	return m, true
}

// depth is an upper bound of a JSON text's nesting: brackets in strings only raise it.
func depth(raw []byte) int {
	return bytes.Count(raw, []byte{'{'}) + bytes.Count(raw, []byte{'['})
}
