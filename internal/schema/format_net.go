package schema

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

func isAlnum(c byte) bool { return c-'0' < 10 || c|0x20 >= 'a' && c|0x20 <= 'z' }

// isHostname: RFC 1123 §2.1; labels of internationalised names must be well-formed (RFC 5891 §4.4).
func isHostname(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !isAlnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	if len(s) < 4 || s[2:4] != "--" {
		return true
	}
	if !strings.EqualFold(s[:2], "xn") {
		return false
	}
	u, err := idna.Registration.ToUnicode(strings.ToLower(s))
	return err == nil && inContext([]rune(u))
}

// labelRunes are the categories of which labels are made (RFC 5892 §2.1); to idna others are only unusual.
var labelRunes = []*unicode.RangeTable{unicode.Ll, unicode.Lu, unicode.Lo, unicode.Nd, unicode.Lm, unicode.Mn, unicode.Mc}

// labelExceptions are what else may stand in one, most of it in some contexts only (RFC 5892 §2.6).
const labelExceptions = "-\u00b7\u0375\u05f3\u05f4\u06fd\u06fe\u0f0b\u200c\u200d\u3007\u30fb"

// inContext applies the rules of RFC 5892 §2.6 and appendix A that look at neighbours, which idna leaves out.
func inContext(label []rune) bool {
	arabic, extended := false, false // their digits never stand together
	at := func(i int, scripts ...*unicode.RangeTable) bool {
		return i >= 0 && i < len(label) && unicode.In(label[i], scripts...)
	}
	for i, r := range label {
		ok := true
		switch r {
		case '\u0640', '\u07fa', '\u302e', '\u302f', '\u3031', '\u3032', '\u3033', '\u3034', '\u3035', '\u303b':
			ok = false
		case '\u0660', '\u0661', '\u0662', '\u0663', '\u0664', '\u0665', '\u0666', '\u0667', '\u0668', '\u0669':
			arabic = true
		case '\u06f0', '\u06f1', '\u06f2', '\u06f3', '\u06f4', '\u06f5', '\u06f6', '\u06f7', '\u06f8', '\u06f9':
			extended = true
		case '\u00b7': // MIDDLE DOT
			ok = i > 0 && i+1 < len(label) && label[i-1] == 'l' && label[i+1] == 'l'
		case '\u0375': // GREEK LOWER NUMERAL SIGN
			ok = at(i+1, unicode.Greek)
		case '\u05f3', '\u05f4': // HEBREW GERESH, GERSHAYIM
			ok = at(i-1, unicode.Hebrew)
		case '\u30fb': // KATAKANA MIDDLE DOT
			ok = slices.ContainsFunc(label, func(r rune) bool {
				return r != '\u30fb' && unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han)
			})
		}
		if !ok || arabic && extended || !unicode.In(r, labelRunes...) && !strings.ContainsRune(labelExceptions, r) {
			return false
		}
	}
	return true
}

// isEmail: a Mailbox of RFC 5321 §4.1.2.
func isEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || len(s) > 254 {
		return false
	}
	local, domain := s[:at], s[at+1:]
	if len(local) > 64 || !isDotAtom(local) && !isQuoted(local) {
		return false
	}
	return isHostname(domain) || isLiteral(domain)
}

// isLiteral: an address in brackets (RFC 5321 §4.1.3).
func isLiteral(domain string) bool {
	if len(domain) < 2 || domain[0] != '[' || domain[len(domain)-1] != ']' {
		return false
	}
	address := domain[1 : len(domain)-1]
	six, tagged := strings.CutPrefix(address, "IPv6:")
	return tagged && isIPv6(six) || !tagged && isIPv4(address)
}

func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for i := 0; i < len(atom); i++ {
			if !isAlnum(atom[i]) && strings.IndexByte("!#$%&'*+-/=?^_`{|}~", atom[i]) < 0 {
				return false
			}
		}
	}
	return true
}

func isQuoted(s string) bool {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return false
	}
	s = s[1 : len(s)-1]
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ' || c > '~' || c == '"':
			return false
		case c == '\\':
			if i++; i == len(s) || s[i] < ' ' || s[i] > '~' {
				return false
			}
		}
	}
	return true
}

// isURI: an absolute URI, with or without a fragment (RFC 3986 §3).
func isURI(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	return ok && isScheme(scheme) && isHierarchy(rest)
}

// isURIReference: RFC 3986 §4.1.
func isURIReference(s string) bool {
	if isURI(s) {
		return true
	}
	first, _, _ := strings.Cut(s, "/")
	first, _, _ = strings.Cut(first, "?")
	first, _, _ = strings.Cut(first, "#")
	return !strings.Contains(first, ":") && isHierarchy(s)
}

func isScheme(s string) bool {
	for i := 0; i < len(s); i++ {
		if letter := s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z'; !letter && (i == 0 || !isAlnum(s[i]) && strings.IndexByte("+-.", s[i]) < 0) {
			return false
		}
	}
	return s != ""
}

// isHierarchy checks what follows the scheme: authority, path, query, fragment.
func isHierarchy(s string) bool {
	s, fragment, _ := strings.Cut(s, "#")
	s, query, _ := strings.Cut(s, "?")
	if !consists(fragment, pathChars+"/?") || !consists(query, pathChars+"/?") {
		return false
	}
	rest, ok := strings.CutPrefix(s, "//")
	if !ok {
		return consists(s, pathChars+"/")
	}
	end := strings.IndexByte(rest, '/')
	if end < 0 {
		end = len(rest)
	}
	return isAuthority(rest[:end]) && consists(rest[end:], pathChars+"/")
}

const (
	subDelims = "!$&'()*+,;="
	pathChars = subDelims + ":@"
)

// consists reports whether a text has nothing but unreserved characters, escapes and some others (RFC 3986 §2).
func consists(s, others string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return false
			}
			i += 2
		case !isAlnum(c) && strings.IndexByte("-._~", c) < 0 && strings.IndexByte(others, c) < 0:
			return false
		}
	}
	return true
}

func isAuthority(s string) bool {
	if at := strings.IndexByte(s, '@'); at >= 0 {
		if !consists(s[:at], subDelims+":") {
			return false
		}
		s = s[at+1:]
	}
	if literal, ok := strings.CutPrefix(s, "["); ok {
		address, port, closed := strings.Cut(literal, "]")
		return closed && (isIPv6(address) || isFutureIP(address)) && (port == "" || port[0] == ':' && isPort(port[1:]))
	}
	host, port, _ := strings.Cut(s, ":")
	return consists(host, subDelims) && isPort(port)
}

func isPort(s string) bool { return strings.Trim(s, "0123456789") == "" }

// isFutureIP: IPvFuture of RFC 3986 §3.2.2.
func isFutureIP(s string) bool {
	version, address, ok := strings.Cut(s, ".")
	if !ok || len(version) < 2 || version[0]|0x20 != 'v' || address == "" || strings.Contains(address, "%") {
		return false
	}
	for i := 1; i < len(version); i++ {
		if !isHex(version[i]) {
			return false
		}
	}
	return consists(address, subDelims+":")
}
