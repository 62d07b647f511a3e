package wire

import "bytes"

// head judges a request's head line by line, as the lines come in. The zero value is at the first byte of a head.
type head struct {
	at     int // where the line that is judged next begins
	lines  int // judged so far
	minor  byte
	hosts  int
	host   []byte // of the field
	target []byte // in absolute form, its authority
	length int64  // of the body
	sized  bool   // there is a Content-Length
	coded  bool   // there is Transfer-Encoding: chunked
}

// read judges the lines that b, all bytes of the head so far, has whole. end is where the head ends, 0 before that has
// come.
func (h *head) read(b []byte, most int) (end int, fault Fault) {
	if h.lines == 0 && h.at == 0 && len(b) > 0 && !token[b[0]] {
		if b[0] == '\r' || b[0] == '\n' {
			return 0, EmptyLine
		}
		return 0, RequestLine // TLS on a plain connection, say: no line end might ever come
	}
	for {
		n := bytes.IndexByte(b[h.at:], '\n')
		if n < 0 {
			if len(b) > most {
				return 0, HeadSize
			}
			return 0, ""
		}
		line := b[h.at : h.at+n]
		h.at += n + 1
		if h.at > most {
			return 0, HeadSize
		}
		if n == 0 || line[n-1] != '\r' {
			return 0, BareLF
		}
		line = line[:n-1]
		switch {
		case h.lines == 0:
			fault = h.requestLine(line)
		case len(line) == 0:
			return h.at, h.whole()
		default:
			fault = h.field(line)
		}
		if fault != "" {
			return 0, fault
		}
		h.lines++
	}
}

func (h *head) requestLine(line []byte) Fault {
	for _, c := range line {
		if c < 0x20 || c == 0x7f {
			return Control
		}
	}
	method, rest, ok := bytes.Cut(line, space)
	if !ok || !isToken(method) {
		return RequestLine
	}
	target, version, ok := bytes.Cut(rest, space)
	if !ok || len(target) == 0 {
		return RequestLine
	}
	if len(version) != 8 || !bytes.HasPrefix(version, slash1) || version[7] != '0' && version[7] != '1' {
		if isVersion(version) {
			return Version
		}
		return RequestLine
	}
	h.minor = version[7]
	switch {
	case target[0] == '/':
		return escapes(target)
	case string(method) == "CONNECT", string(target) == "*":
		return ""
	}
	return h.absolute(target)
}

// escapes refuses a path with half an escape, which net/http refuses without a word.
func escapes(target []byte) Fault {
	for i := 0; i < len(target) && target[i] != '?'; i++ {
		if target[i] != '%' {
			continue
		}
		if i+2 >= len(target) {
			return Target
		}
		_, high := unhex(target[i+1])
		_, low := unhex(target[i+2])
		if !high || !low {
			return Target
		}
		i += 2
	}
	return ""
}

// absolute reads scheme://authority/path; its authority must be Host's, too.
func (h *head) absolute(target []byte) Fault {
	name, rest, ok := bytes.Cut(target, scheme)
	if !ok || !isToken(name) {
		return Target
	}
	i := bytes.IndexAny(rest, "/?#")
	switch {
	case i < 0:
		i = len(rest)
	case rest[i] == '#':
		return Target
	}
	if i == 0 || !plainHost(rest[:i]) {
		return Host
	}
	h.target = append(h.target[:0], rest[:i]...) // the bytes may move before the head is whole
	return escapes(rest[i:])
}

// plainHost reports whether a host has only what names, addresses and ports have. Whose it is, the edge judges.
func plainHost(host []byte) bool {
	for _, c := range host {
		if c-'0' > 9 && c|0x20-'a' > 25 && c != '.' && c != '-' && c != '_' && c != ':' && c != '[' && c != ']' {
			return false
		}
	}
	return true
}

var space, slash1, scheme = []byte(" "), []byte("HTTP/1."), []byte("://")

// isVersion reports whether v is HTTP/ and two digits (RFC 9112 §2.3).
func isVersion(v []byte) bool {
	return len(v) == 8 && string(v[:5]) == "HTTP/" && v[5]-'0' < 10 && v[6] == '.' && v[7]-'0' < 10
}

func (h *head) field(line []byte) Fault {
	if line[0] == ' ' || line[0] == '\t' {
		return Fold
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !isToken(line[:colon]) {
		return FieldName
	}
	name, value := line[:colon], line[colon+1:]
	for _, c := range value {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return Control
		}
	}
	value = bytes.Trim(value, " \t")
	switch {
	case is(name, "host"):
		if h.hosts++; !plainHost(value) {
			return Host
		}
		h.host = append(h.host[:0], value...)
	case is(name, "content-length"):
		return h.contentLength(value)
	case is(name, "transfer-encoding"):
		if h.coded {
			return CodingTwice
		}
		if !is(value, "chunked") {
			return Coding
		}
		h.coded = true
	case is(name, "expect"):
		if !is(value, "100-continue") {
			return Expectation
		}
	}
	return ""
}

// contentLength reads digits, and nothing that some parser takes for digits: no sign, no 0x, no list, no leading zero.
func (h *head) contentLength(v []byte) Fault {
	if h.sized {
		return LengthTwice
	}
	if len(v) == 0 || len(v) > 18 || len(v) > 1 && v[0] == '0' {
		return Length
	}
	for _, c := range v {
		if c-'0' > 9 {
			return Length
		}
		h.length = h.length*10 + int64(c-'0')
	}
	h.sized = true
	return ""
}

// whole judges what only a whole head shows.
func (h *head) whole() Fault {
	switch {
	case h.coded && h.sized:
		return Both
	case h.coded && h.minor == '0':
		return CodingVersion
	case h.hosts > 1, h.hosts == 0 && h.minor == '1', h.target != nil && h.hosts == 1 && !bytes.EqualFold(h.target, h.host):
		return Host
	}
	return ""
}

// is compares with a lower-case ASCII text, letters in any case.
func is(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// token holds RFC 9110's tchar (§5.6.2).
var token = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-32] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

func isToken(b []byte) bool {
	for _, c := range b {
		if !token[c] {
			return false
		}
	}
	return len(b) > 0
}
