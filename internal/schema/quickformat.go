package schema

// quickFormats accept, without making a string, most of what the formats of their names do, and nothing else.
var quickFormats = map[string]func([]byte) bool{
	"date-time": quickDateTime,
	"date":      quickDate,
	"uuid":      quickUUID,
	"email":     quickEmail,
	"hostname":  quickHostname,
	"ipv4":      quickIPv4,
	"uri":       quickURI,
}

// Kinds of characters, by bits.
const (
	digitChar = 1 << iota
	hexChar
	letterChar
	atomChar // RFC 5322 §3.2.3, without letters and digits
	pathChar // RFC 3986 §3.3 pchar and "/", without letters, digits and "%"
)

var chars = func() (out [256]uint8) {
	for c := '0'; c <= '9'; c++ {
		out[c] |= digitChar | hexChar
	}
	for c := 'a'; c <= 'z'; c++ {
		out[c] |= letterChar
		out[c-'a'+'A'] |= letterChar
	}
	for c := 'a'; c <= 'f'; c++ {
		out[c] |= hexChar
		out[c-'a'+'A'] |= hexChar
	}
	for _, c := range "!#$%&'*+-/=?^_`{|}~" {
		out[c] |= atomChar
	}
	for _, c := range "-._~!$&'()*+,;=:@/" {
		out[c] |= pathChar
	}
	return out
}()

// two reads two digits; 100 or more where there are none.
func two(b []byte, at int) int {
	tens, ones := b[at]-'0', b[at+1]-'0'
	if tens > 9 || ones > 9 {
		return 100
	}
	return int(tens)*10 + int(ones)
}

// quickDate knows the days that every month has.
func quickDate(b []byte) bool {
	if len(b) != 10 || b[4] != '-' || b[7] != '-' || two(b, 0) > 99 || two(b, 2) > 99 {
		return false
	}
	month, day := two(b, 5), two(b, 8)
	return month >= 1 && month <= 12 && day >= 1 && day <= 28
}

// quickDateTime knows UTC, without leap seconds.
func quickDateTime(b []byte) bool {
	if len(b) < 20 || !quickDate(b[:10]) || b[10] != 'T' || b[13] != ':' || b[16] != ':' || two(b, 11) > 23 || two(b, 14) > 59 || two(b, 17) > 59 ||
		b[len(b)-1] != 'Z' {
		return false
	}
	if len(b) == 20 {
		return true
	}
	if b[19] != '.' || len(b) == 21 {
		return false
	}
	for _, c := range b[20 : len(b)-1] {
		if c-'0' > 9 {
			return false
		}
	}
	return true
}

func quickUUID(b []byte) bool {
	if len(b) != 36 || b[8] != '-' || b[13] != '-' || b[18] != '-' || b[23] != '-' {
		return false
	}
	and := uint8(hexChar)
	for _, part := range [...][]byte{b[:8], b[9:13], b[14:18], b[19:23], b[24:36]} {
		for _, c := range part {
			and &= chars[c]
		}
	}
	return and != 0
}

// quickHostname knows labels without "--".
func quickHostname(b []byte) bool {
	if len(b) > 253 {
		return false
	}
	label := 0 // where it began
	for i := 0; i <= len(b); i++ {
		if i < len(b) && b[i] != '.' {
			if chars[b[i]]&(letterChar|digitChar) == 0 && (b[i] != '-' || i == label || b[i-1] == '-') {
				return false
			}
			continue
		}
		if i == label || i-label > 63 || b[i-1] == '-' {
			return false
		}
		label = i + 1
	}
	return true
}

// quickEmail knows a dot-atom at a hostname.
func quickEmail(b []byte) bool {
	for i, c := range b {
		switch {
		case c == '@':
			return i > 0 && i <= 64 && b[i-1] != '.' && len(b) <= 254 && quickHostname(b[i+1:])
		case c == '.':
			if i == 0 || b[i-1] == '.' {
				return false
			}
		case chars[c]&(letterChar|digitChar|atomChar) == 0:
			return false
		}
	}
	return false
}

func quickIPv4(b []byte) bool {
	parts, n, digits := 1, 0, 0
	for _, c := range b {
		switch {
		case c == '.':
			if digits == 0 {
				return false
			}
			parts, n, digits = parts+1, 0, 0
		case c-'0' > 9, digits > 0 && n == 0:
			return false
		default:
			n, digits = n*10+int(c-'0'), digits+1
			if n > 255 {
				return false
			}
		}
	}
	return parts == 4 && digits > 0
}

// quickURI knows http and https with a hostname, a path and a query.
func quickURI(b []byte) bool {
	switch {
	case len(b) > 8 && string(b[:8]) == "https://":
		b = b[8:]
	case len(b) > 7 && string(b[:7]) == "http://":
		b = b[7:]
	default:
		return false
	}
	end := 0
	for end < len(b) && b[end] != '/' {
		end++
	}
	if !quickHostname(b[:end]) {
		return false
	}
	query := false
	for _, c := range b[end:] {
		if chars[c]&(letterChar|digitChar|pathChar) == 0 {
			if c != '?' || query {
				return false
			}
			query = true
		}
	}
	return true
}
