// Package problem writes what a refused client is told: one RFC 9457 body, coarse on purpose. The fine reason and the
// cause go to the event; they never pass through here.
package problem

import (
	"strconv"
	"unicode/utf8"
)

// ContentType is the media type of every refusal (RFC 9457 §3).
const ContentType = "application/problem+json"

// Reason is the coarse, closed set of reasons a client may learn.
type Reason uint8

const (
	Unavailable     Reason = iota // the zero value says the least
	Unauthenticated               // 401
	Forbidden                     // 403
	NotFound                      // 404
	InvalidRequest                // 400, 405, 413, 414, 415, 421, 431
	RateLimited                   // 429
	Upstream                      // 502, 504
)

var reasons = [...]struct{ name, title string }{
	Unavailable:     {"unavailable", "The service cannot answer now"},
	Unauthenticated: {"unauthenticated", "Valid credentials are needed"},
	Forbidden:       {"forbidden", "This is not permitted"},
	NotFound:        {"not_found", "There is no such resource"},
	InvalidRequest:  {"invalid_request", "The request is not acceptable"},
	RateLimited:     {"rate_limited", "Too many requests"},
	Upstream:        {"upstream", "The API did not give an acceptable answer"},
}

// String returns the reason as it stands in the body, "rate_limited".
func (r Reason) String() string { return reasons[r].name }

// Violation is one fault of a request against the document: where and what, never the value.
type Violation struct {
	Pointer string // RFC 6901 into the body, or "#/query/limit"
	Code    string // "required", "type", "undeclared", …
	Detail  string
}

// Problem is one refusal as the client sees it.
type Problem struct {
	Status   int
	Reason   Reason
	Detail   string // one sentence or ""
	Instance string // the request's id, a bare UUID; "" where it has none
	Errors   []Violation
}

// Append appends the JSON body to dst.
func (p *Problem) Append(dst []byte) []byte {
	r := reasons[p.Reason]
	dst = append(dst, `{"type":"urn:portreeve:problem:`...)
	dst = append(dst, r.name...)
	dst = append(dst, `","title":"`...)
	dst = append(dst, r.title...)
	dst = append(dst, `","status":`...)
	dst = strconv.AppendInt(dst, int64(p.Status), 10)
	if p.Detail != "" {
		dst = append(dst, `,"detail":`...)
		dst = appendString(dst, p.Detail)
	}
	if p.Instance != "" {
		dst = append(dst, `,"instance":"urn:uuid:`...)
		dst = append(dst, p.Instance...)
		dst = append(dst, '"')
	}
	dst = append(dst, `,"reason":"`...)
	dst = append(dst, r.name...)
	dst = append(dst, '"')
	if len(p.Errors) > 0 {
		dst = append(dst, `,"errors":[`...)
		for i, v := range p.Errors {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"pointer":`...)
			dst = appendString(dst, v.Pointer)
			dst = append(dst, `,"code":`...)
			dst = appendString(dst, v.Code)
			dst = append(dst, `,"detail":`...)
			dst = appendString(dst, v.Detail)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

const hex = "0123456789abcdef"

// appendString appends s as a JSON string. Markup characters are escaped too: a body that is sniffed as HTML in spite
// of its media type must not come alive.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == '"' || c == '\\':
				dst = append(dst, '\\', c)
			case c < 0x20 || c == 0x7f || c == '<' || c == '>' || c == '&':
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			default:
				dst = append(dst, c)
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, `\ufffd`...)
		case r == '\u2028' || r == '\u2029':
			dst = append(dst, '\\', 'u', '2', '0', '2', hex[r&15])
		default:
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return append(dst, '"')
}
