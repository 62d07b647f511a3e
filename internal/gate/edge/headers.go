package edge

import (
	"net/http"
	"strings"
)

// singletons may stand once in a request; a second one is read differently by different parsers (threat 17).
var singletons = [...]string{"Authorization", "Content-Length", "Content-Type", "Cookie", "Content-Encoding", "Expect", "Host",
	"If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Origin", "Range", "Referer", "User-Agent",
	"Access-Control-Request-Method", "Access-Control-Request-Headers", "Dpop"}

// removed are the headers by which a client could speak in the gate's or a proxy's name, or make an upstream see
// another request than the one judged. The names are matched case-insensitively with '_' read as '-' (threats 12–16).
func removed(name string) bool {
	var buf [64]byte
	if len(name) > len(buf) {
		return hasPrefixFold(name, "portreeve-") || hasPrefixFold(name, "x-forwarded-")
	}
	n := buf[:len(name)]
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '_':
			c = '-'
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		}
		n[i] = c
	}
	switch string(n) {
	case "forwarded", "x-real-ip", "x-original-url", "x-rewrite-url", "x-original-uri", "x-original-host", "x-host",
		"x-http-method-override", "x-http-method", "x-method-override", "true-client-ip", "x-client-ip", "x-cluster-client-ip",
		"cf-connecting-ip", "fastly-client-ip", "client-cert", "client-cert-chain", "proxy", "x-envoy-original-path":
		return true
	}
	return strings.HasPrefix(string(n), "portreeve-") || strings.HasPrefix(string(n), "x-forwarded-")
}

func hasPrefixFold(s, lower string) bool {
	return len(s) >= len(lower) && strings.EqualFold(strings.ReplaceAll(s[:len(lower)], "_", "-"), lower)
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
		if strings.IndexByte(name, '_') >= 0 && singletonAlias(name) {
			return "header_alias" // X_Auth and X-Auth are one variable to a CGI-style upstream (threat 14)
		}
	}
	return ""
}

func singletonAlias(name string) bool {
	canonical := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
	for _, s := range singletons {
		if canonical == s {
			return true
		}
	}
	return false
}

func clean(h http.Header) {
	for name := range h {
		if removed(name) {
			delete(h, name)
		}
	}
}
