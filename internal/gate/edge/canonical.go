package edge

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/portreeve/portreeve/internal/gate/exchange"
)

// Refusals of a target, as fine reasons. The client is told less.
var (
	errEscape    = errors.New("target_bad_escape")
	errSeparator = errors.New("target_encoded_separator")
	errControl   = errors.New("target_control_character")
	errDots      = errors.New("target_dot_segment")
	errEmpty     = errors.New("target_empty_segment")
	errDouble    = errors.New("target_double_encoding")
	errUTF8      = errors.New("target_not_utf8")
	errChar      = errors.New("target_forbidden_character")
	errForm      = errors.New("target_form")
	errTooMany   = errors.New("target_too_many_parts")
)

const (
	maxSegments = 64
	maxPairs    = 256
)

// segment is one path segment: escaped as it is sent on, decoded as literals are compared.
type segment struct {
	escaped, decoded string
	slash            bool // there is an escaped one within: match decides whether a parameter may hold it
}

const (
	unreserved = 1 << iota // RFC 3986 §2.3: never needs an escape, so an escaped one is decoded
	subDelim               // RFC 3986 §2.2 plus ':' and '@': may stand raw in a segment, means itself when escaped
	queryChar              // may stand raw in a query beside the above: '/', '?'
	tolerated              // illegal but common in queries ('[', ']', '|', …): escaped in the canonical form
	semicolon              // ';': may stand raw in a segment, where match allows it
)

var class = func() (t [256]uint8) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-32] = unreserved, unreserved
	}
	for _, c := range "0123456789-._~" {
		t[c] = unreserved
	}
	for _, c := range "!$&'()*+,=:@" {
		t[c] = subDelim
	}
	for _, c := range "/?" {
		t[c] = queryChar
	}
	for _, c := range "[]|{}\"<>^`" {
		t[c] = tolerated
	}
	t[';'] = semicolon
	return t
}()

// canonicalPath splits an escaped path into canonical segments. It refuses empty segments (but one trailing slash),
// dot segments, encoded backslashes, controls, double encodings, bad escapes and invalid UTF-8. Encoded slashes it marks.
func canonicalPath(path string, dst []segment) ([]segment, error) {
	if path == "" || path[0] != '/' {
		return nil, errForm
	}
	rest := path[1:]
	for {
		raw, after, more := strings.Cut(rest, "/")
		if raw == "" && (more || len(dst) > 0 && rest != "") {
			return nil, errEmpty
		}
		if len(dst) == maxSegments {
			return nil, errTooMany
		}
		seg, err := canonicalSegment(raw)
		if err != nil {
			return nil, err
		}
		dst = append(dst, seg)
		if !more {
			return dst, nil
		}
		rest = after
	}
}

func canonicalSegment(raw string) (segment, error) {
	plain := true
	for i := 0; i < len(raw); i++ {
		if class[raw[i]]&(unreserved|subDelim|semicolon) == 0 {
			plain = false
			break
		}
	}
	seg := segment{escaped: raw, decoded: raw}
	if !plain {
		escaped := make([]byte, 0, len(raw)+8)
		decoded := make([]byte, 0, len(raw))
		for i := 0; i < len(raw); i++ {
			c := raw[i]
			if c != '%' {
				if class[c]&(unreserved|subDelim|semicolon) == 0 {
					return seg, forbidden(c)
				}
				escaped, decoded = append(escaped, c), append(decoded, c)
				continue
			}
			d, err := unescape(raw, i)
			if err != nil {
				return seg, err
			}
			if d == '\\' {
				return seg, errSeparator
			}
			seg.slash = seg.slash || d == '/'
			escaped, decoded = appendEscape(escaped, d), append(decoded, d)
			i += 2
		}
		if !utf8.Valid(decoded) {
			return seg, errUTF8
		}
		if escapes(decoded) {
			return seg, errDouble
		}
		seg.escaped, seg.decoded = string(escaped), string(decoded)
	}
	if seg.slash { // to an upstream that decodes first these are segments, too
		for piece := range strings.SplitSeq(seg.decoded, "/") {
			if piece == "" || dots(piece) {
				return seg, errSeparator
			}
		}
	}
	if dots(seg.decoded) {
		return seg, errDots
	}
	return seg, nil
}

func dots(decoded string) bool { return decoded == "." || decoded == ".." }

// escapes reports whether decoded bytes would decode once more: an upstream that decodes twice would read another path.
func escapes(decoded []byte) bool {
	for i := 0; i+3 <= len(decoded); i++ {
		if decoded[i] == '%' && isHex(decoded[i+1]) && isHex(decoded[i+2]) {
			return true
		}
	}
	return false
}

// forbidden names the fault of a raw byte that may not stand in a path.
func forbidden(c byte) error {
	switch {
	case c < 0x20 || c == 0x7f:
		return errControl
	case c == '\\':
		return errSeparator
	case c >= utf8.RuneSelf:
		return errUTF8
	}
	return errChar
}

// unescape decodes the escape at i. Control characters are refused wherever they stand (threat 20).
func unescape(s string, i int) (byte, error) {
	if i+3 > len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
		return 0, errEscape
	}
	d := unhex(s[i+1])<<4 | unhex(s[i+2])
	if d < 0x20 || d == 0x7f {
		return 0, errControl
	}
	return d, nil
}

const upperHex = "0123456789ABCDEF"

// appendEscape appends a decoded byte: itself when unreserved, else its escape in upper case (RFC 3986 §6.2.2).
func appendEscape(dst []byte, d byte) []byte {
	if class[d] == unreserved {
		return append(dst, d)
	}
	return append(dst, '%', upperHex[d>>4], upperHex[d&15])
}

func isHex(c byte) bool {
	return c-'0' < 10 || c-'a' < 6 || c-'A' < 6
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

// canonicalQuery splits a raw query into canonical pairs, in order. Empty pairs, ';', bad escapes and controls are
// refused: Go's own parser drops them silently and an upstream may not (CVE-2022-2880's class).
func canonicalQuery(raw string, dst []exchange.Param) ([]exchange.Param, error) {
	for rest, more := raw, raw != ""; more; {
		var pair string
		pair, rest, more = strings.Cut(rest, "&")
		if pair == "" {
			return nil, errEmpty
		}
		if len(dst) == maxPairs {
			return nil, errTooMany
		}
		name, value, _ := strings.Cut(pair, "=")
		n, err := canonicalPart(name)
		if err != nil {
			return nil, err
		}
		v, err := canonicalPart(value)
		if err != nil {
			return nil, err
		}
		dst = append(dst, exchange.Param{Name: n, Value: v})
	}
	return dst, nil
}

// canonicalPart brings a query name or value to its canonical escapes. '+' stays as it is: whether it is a space is the
// parameter's affair.
func canonicalPart(raw string) (string, error) {
	plain := true
	for i := 0; i < len(raw); i++ {
		if class[raw[i]]&(unreserved|subDelim|queryChar) == 0 {
			plain = false
			break
		}
	}
	if plain {
		return raw, nil
	}
	out := make([]byte, 0, len(raw)+8)
	decoded := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '%':
			d, err := unescapeQuery(raw, i)
			if err != nil {
				return "", err
			}
			out, decoded = appendEscape(out, d), append(decoded, d)
			i += 2
		case class[c]&(unreserved|subDelim|queryChar) != 0:
			out, decoded = append(out, c), append(decoded, c)
		case class[c] == tolerated:
			out, decoded = append(out, '%', upperHex[c>>4], upperHex[c&15]), append(decoded, c)
		default:
			return "", forbidden(c)
		}
	}
	if !utf8.Valid(decoded) {
		return "", errUTF8
	}
	return string(out), nil
}

// unescapeQuery is unescape, but lets the line breaks of free text pass: a parameter's schema judges them.
func unescapeQuery(s string, i int) (byte, error) {
	d, err := unescape(s, i)
	if err == errControl {
		if d := unhex(s[i+1])<<4 | unhex(s[i+2]); d == '\n' || d == '\r' || d == '\t' {
			return d, nil
		}
	}
	return d, err
}
