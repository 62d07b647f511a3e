package schema

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// isIDNHostname: a name of RFC 5890 §2.3.2.3, as U-labels or A-labels. The full stops of other scripts separate labels
// too (RFC 3490 §3.1).
func isIDNHostname(s string) bool {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\u3002' || r == '\uff0e' || r == '\uff61':
			return '.'
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, s)
	for label := range strings.SplitSeq(s, ".") {
		if isASCII(label) {
			if !isLabel(label) {
				return false
			}
		} else if !inContext([]rune(label)) {
			return false
		}
	}
	name, err := idna.Registration.ToASCII(s) // as a whole: one label from right to left binds all (RFC 5893 §2)
	return err == nil && isHostname(name)
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// isIDNEmail: a Mailbox of RFC 6531 §3.3.
func isIDNEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || len(s) > 254 || !utf8.ValidString(s) {
		return false
	}
	// To the rules of ASCII every other character is a letter.
	letters := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= utf8.RuneSelf {
				return 'a'
			}
			return r
		}, s)
	}
	local, domain := letters(s[:at]), s[at+1:]
	if len(s[:at]) > 64 || !isDotAtom(local) && !isQuoted(local) {
		return false
	}
	// Labels of a domain are as they are written: what a mail server makes of them is its own.
	return isHostname(domain) || isLiteral(domain) || !isASCII(domain) && !strings.Contains(domain, "..") && isHostname(letters(domain))
}

// isIRI: RFC 3987 §2.2, with or without a fragment.
func isIRI(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !isScheme(scheme) {
		return false
	}
	plain, ok := mapped(rest)
	return ok && isHierarchy(plain)
}

// isIRIReference: an IRI or relative to one.
func isIRIReference(s string) bool {
	if isIRI(s) {
		return true
	}
	plain, ok := mapped(s)
	return ok && !isURI(plain) && isURIReference(plain)
}

// mapped puts an escape for every character beyond ASCII, where it may stand (RFC 3987 §3.1): what is left is a URI if
// the whole was an IRI.
func mapped(s string) (uri string, ok bool) {
	if isASCII(s) {
		return s, true
	}
	var out strings.Builder
	query, fragment := false, false
	for _, r := range s {
		switch {
		case r == '#':
			fragment = true
		case r == '?' && !fragment:
			query = true
		}
		switch {
		case r < utf8.RuneSelf:
			out.WriteByte(byte(r))
		case isUCS(r), isPrivate(r) && query && !fragment:
			out.WriteString("%80")
		default:
			return "", false
		}
	}
	return out.String(), true
}

// isUCS: ucschar of RFC 3987 §2.2.
func isUCS(r rune) bool {
	switch {
	case r < 0x10000:
		return r >= 0xA0 && r <= 0xD7FF || r >= 0xF900 && r <= 0xFDCF || r >= 0xFDF0 && r <= 0xFFEF
	case r >= 0xE0000:
		return r >= 0xE1000 && r <= 0xEFFFD
	}
	return r&0xFFFF <= 0xFFFD
}

// isPrivate: iprivate of RFC 3987 §2.2.
func isPrivate(r rune) bool {
	return r >= 0xE000 && r <= 0xF8FF || r >= 0xF0000 && r&0xFFFF <= 0xFFFD
}
