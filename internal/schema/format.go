package schema

import (
	"encoding/base64"
	"net/netip"
	"strings"
)

// format is one asserted format. It says nothing of values of other kinds.
type format struct {
	name   string
	text   func(string) bool
	number func(decimal) bool
}

func (f *format) admits(t *tree, v ref) bool {
	switch kind := t.kind(v); {
	case kind == String && f.text != nil:
		return f.text(t.text(v))
	case kind == Number && f.number != nil:
		return f.number(decimalOf(t.text(v)))
	}
	return true
}

// formats are those asserted, of JSON Schema 2020-12 §7.3 and of the OpenAPI Format Registry. All others are annotations.
var formats = formatsByName(
	format{name: "date-time", text: isDateTime},
	format{name: "date", text: isDate},
	format{name: "time", text: isTime},
	format{name: "duration", text: isDuration},
	format{name: "email", text: isEmail},
	format{name: "idn-email", text: isIDNEmail},
	format{name: "hostname", text: isHostname},
	format{name: "idn-hostname", text: isIDNHostname},
	format{name: "ipv4", text: isIPv4},
	format{name: "ipv6", text: isIPv6},
	format{name: "uri", text: isURI},
	format{name: "uri-reference", text: isURIReference},
	format{name: "uri-template", text: isURITemplate},
	format{name: "iri", text: isIRI},
	format{name: "iri-reference", text: isIRIReference},
	format{name: "uuid", text: isUUID},
	format{name: "json-pointer", text: isJSONPointer},
	format{name: "relative-json-pointer", text: isRelativePointer},
	format{name: "regex", text: isPattern},
	format{name: "byte", text: isBase64},
	format{name: "int32", number: func(d decimal) bool { return d.fits(32) }},
	format{name: "int64", number: func(d decimal) bool { return d.fits(64) }},
)

func formatsByName(list ...format) map[string]*format {
	out := make(map[string]*format, len(list))
	for i := range list {
		out[list[i].name] = &list[i]
	}
	return out
}

// digitsAt reads a number of exactly width ASCII digits; -1 where there is none.
func digitsAt(s string, at, width int) int {
	if at+width > len(s) {
		return -1
	}
	n := 0
	for _, c := range []byte(s[at : at+width]) {
		if c-'0' > 9 {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// isDate: full-date of RFC 3339 §5.6.
func isDate(s string) bool {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return false
	}
	y, m, d := digitsAt(s, 0, 4), digitsAt(s, 5, 2), digitsAt(s, 8, 2)
	if y < 0 || m < 1 || m > 12 || d < 1 {
		return false
	}
	days := [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[m-1]
	if m == 2 && y%4 == 0 && (y%100 != 0 || y%400 == 0) {
		days = 29
	}
	return d <= days
}

// isTime: full-time of RFC 3339 §5.6. A leap second stands only at the end of a day of UTC.
func isTime(s string) bool {
	if len(s) < 9 || s[2] != ':' || s[5] != ':' {
		return false
	}
	h, m, sec := digitsAt(s, 0, 2), digitsAt(s, 3, 2), digitsAt(s, 6, 2)
	if h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60 {
		return false
	}
	rest := s[8:]
	if fraction, ok := strings.CutPrefix(rest, "."); ok {
		rest = strings.TrimLeft(fraction, "0123456789")
		if len(rest) == len(fraction) {
			return false
		}
	}
	offset := 0
	if rest != "Z" && rest != "z" {
		if len(rest) != 6 || rest[0] != '+' && rest[0] != '-' || rest[3] != ':' {
			return false
		}
		oh, om := digitsAt(rest, 1, 2), digitsAt(rest, 4, 2)
		if oh < 0 || oh > 23 || om < 0 || om > 59 {
			return false
		}
		if offset = oh*60 + om; rest[0] == '-' {
			offset = -offset
		}
	}
	const day = 24 * 60
	return sec < 60 || (h*60+m-offset+day)%day == day-1
}

// isDateTime: date-time of RFC 3339 §5.6.
func isDateTime(s string) bool {
	return len(s) > 11 && s[10]|0x20 == 't' && isDate(s[:10]) && isTime(s[11:])
}

func isHex(c byte) bool { return c-'0' < 10 || c|0x20 >= 'a' && c|0x20 <= 'f' }

// isUUID: RFC 9562 §4, of any version.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if !isHex(s[i]) {
			return false
		}
	}
	return true
}

// isIPv4: dotted-quad of RFC 2673 §3.2, without leading zeros, which some read as octal.
func isIPv4(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is4()
}

// isIPv6: RFC 4291 §2.2, without a zone.
func isIPv6(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is6() && a.Zone() == ""
}

// isJSONPointer: RFC 6901 §3.
func isJSONPointer(s string) bool {
	if s != "" && s[0] != '/' {
		return false
	}
	for i := strings.IndexByte(s, '~'); i >= 0; i = strings.IndexByte(s, '~') {
		if i+1 == len(s) || s[i+1] != '0' && s[i+1] != '1' {
			return false
		}
		s = s[i+2:]
	}
	return true
}

// isBase64: RFC 4648 §4, padded and without line breaks.
func isBase64(s string) bool {
	if strings.ContainsAny(s, "\r\n") { // which the decoder would skip
		return false
	}
	_, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil
}
