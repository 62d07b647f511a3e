package edge

import (
	"net/http"
	"slices"
	"strings"
)

// singletons may stand once in a request; a second one is read differently by different parsers (threat 17).
var singletons = [...]string{"Authorization", "Content-Length", "Content-Type", "Cookie", "Content-Encoding", "Expect", "Host",
	"Content-Range", "Date", "From", "Idempotency-Key", "Max-Forwards", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User",
	"If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Origin", "Range", "Referer", "User-Agent",
	"Access-Control-Request-Method", "Access-Control-Request-Headers", "Dpop"}

// framing are headers that a proxy's connection has to itself.
var framing = [...]string{"Connection", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// removed are the headers by which a client could speak in the gate's or a proxy's name, or make an upstream see
// another request than the one judged. The names are matched in any case, with whatever is no letter or digit read as '-':
// so do CGI and all that keeps headers as variables (threats 12–16).
func removed(name string) bool {
	var buf [64]byte
	n := buf[:min(len(name), len(buf))] // no name below is longer
	for i := range n {
		c := name[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c-'0' > 9 && c-'a' > 25:
			c = '-'
		}
		n[i] = c
	}
	if len(name) > len(buf) {
		return ours(string(n))
	}
	switch string(n) {
	case "forwarded", "x-real-ip", "x-original-url", "x-rewrite-url", "x-original-uri", "x-original-host", "x-host",
		"x-http-method-override", "x-http-method", "x-method-override", "true-client-ip", "x-client-ip", "x-cluster-client-ip",
		"cf-connecting-ip", "fastly-client-ip", "client-cert", "client-cert-chain", "proxy", "x-envoy-original-path":
		return true
	}
	return ours(string(n))
}

func ours(folded string) bool {
	return strings.HasPrefix(folded, "portreeve-") || strings.HasPrefix(folded, "x-forwarded-")
}

// judgeHeaders refuses what two parsers could read differently. It returns a fine reason, "" when all is well.
func judgeHeaders(h http.Header, maximum int) string {
	n := 0
	for _, values := range h {
		n += len(values)
	}
	if n > maximum {
		return "header_count"
	}
	for _, name := range singletons {
		if len(h[name]) > 1 {
			return "header_duplicate"
		}
	}
	for _, line := range h["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			switch strings.ToLower(strings.Trim(option, " \t")) {
			case "", "close", "keep-alive", "te", "upgrade", "http2-settings":
			default:
				return "header_connection" // it would take away a header that has been judged (threat 12)
			}
		}
	}
	for name := range h {
		if odd(name) && aliased(name) {
			return "header_alias" // X_Auth and X-Auth are one variable to a CGI-style upstream (threat 14)
		}
	}
	return ""
}

// odd reports a character that is neither letter, digit nor '-'.
func odd(name string) bool {
	for i := 0; i < len(name); i++ {
		if c := name[i]; c-'0' > 9 && c|0x20-'a' > 25 && c != '-' {
			return true
		}
	}
	return false
}

// aliased reports whether an odd name is, to some upstream, one that may stand once only or that frames the message.
func aliased(name string) bool {
	n := []byte(name)
	for i, c := range n {
		if c-'0' > 9 && c|0x20-'a' > 25 {
			n[i] = '-'
		}
	}
	canonical := http.CanonicalHeaderKey(string(n))
	return slices.Contains(singletons[:], canonical) || slices.Contains(framing[:], canonical)
}

func clean(h http.Header) {
	for name := range h {
		if removed(name) {
			delete(h, name)
		}
	}
}
