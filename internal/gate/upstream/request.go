package upstream

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portreeve/portreeve/internal/gate/exchange"
)

// request builds what the upstream sees: the canonical request, less everything hop-by-hop, less credentials, plus who
// is calling.
func (s *Stage) request(ctx context.Context, x *exchange.Exchange, sent *sentBody) (*http.Request, error) {
	in := x.Request
	method := in.Method
	if method == http.MethodHead {
		method = http.MethodGet // the body is judged even when only its head is asked for
	}
	u := &url.URL{Scheme: s.scheme, Host: s.host, Path: s.rule.BasePath + in.URL.Path, RawPath: s.rule.BasePath + in.URL.RawPath,
		RawQuery: s.query(x)}
	out := (&http.Request{Method: method, URL: u, Host: s.host, Header: make(http.Header, len(in.Header)+12),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	s.copyHeaders(out.Header, in.Header)
	if err := s.identify(out, x); err != nil {
		return nil, err
	}
	for name, values := range s.headers {
		out.Header[name] = values
	}
	switch {
	case x.Body != nil:
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(x.Body)), int64(len(x.Body))
	case in.Body == nil || in.Body == http.NoBody || in.ContentLength == 0:
		out.Body = http.NoBody
		if !safe(method) && (in.Header["Idempotency-Key"] != nil || in.Header["X-Idempotency-Key"] != nil) {
			out.Body = io.NopCloser(eof{}) // with http.NoBody the transport would retry a request that carries one of these
		}
	default:
		sent.ReadCloser = in.Body
		out.Body, out.ContentLength = sent, in.ContentLength
	}
	return out, nil
}

// question builds a request beside the exchange's own.
func (s *Stage) question(ctx context.Context, x *exchange.Exchange, q exchange.Question) (*http.Request, error) {
	path, err := url.PathUnescape(q.Path)
	if err != nil {
		return nil, fmt.Errorf("asking for a path: %w", err)
	}
	out := (&http.Request{Method: q.Method, Host: s.host, Header: make(http.Header, len(x.Request.Header)+12), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL: &url.URL{Scheme: s.scheme, Host: s.host, Path: s.rule.BasePath + path, RawPath: s.rule.BasePath + q.Path}}).WithContext(ctx)
	if q.Query {
		out.URL.RawQuery = s.query(x)
	}
	s.copyHeaders(out.Header, x.Request.Header)
	exchange.Neutral(out.Header, q)
	if err := s.identify(out, x); err != nil {
		return nil, err
	}
	for name, values := range s.headers {
		out.Header[name] = values
	}
	out.Body = http.NoBody
	if q.Body != nil {
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(q.Body)), int64(len(q.Body))
	}
	return out, nil
}

// sentBody is the client's body while it is sent on; it remembers that it broke, which is the client's fault and not the
// upstream's.
//
// While the client is waited for, the upstream is not: the client keeps a pace of its own, and a large body may take its
// time.
type sentBody struct {
	io.ReadCloser
	err atomic.Pointer[error]

	mu    sync.Mutex
	timer *time.Timer // the upstream's; nil once the answer has begun
	wait  time.Duration
}

func (b *sentBody) Read(p []byte) (int, error) {
	b.hold(true)
	n, err := b.ReadCloser.Read(p)
	b.hold(false)
	if err != nil && err != io.EOF {
		b.err.Store(&err)
	}
	return n, err
}

// hold stops the upstream's timer, or starts it anew.
func (b *sentBody) hold(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.timer == nil:
	case on:
		b.timer.Stop()
	default:
		b.timer.Reset(b.wait)
	}
}

// release leaves the timer to whoever reads the answer; the body may go on being sent beside it.
func (b *sentBody) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timer = nil
}

func (b *sentBody) broken() error {
	if e := b.err.Load(); e != nil {
		return *e
	}
	return nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// query is the canonical query less credentials.
func (s *Stage) query(x *exchange.Exchange) string {
	if len(s.queryKeys) == 0 {
		return x.Request.URL.RawQuery
	}
	var kept []string
	for pair := range strings.SplitSeq(x.Request.URL.RawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if n, err := url.QueryUnescape(name); err != nil || s.queryKeys[n] || pair == "" {
			continue
		}
		kept = append(kept, pair)
	}
	return strings.Join(kept, "&")
}

// hop are the headers that speak of one connection (RFC 9110 §7.6.1), or ask the upstream for what the gate decides.
func hop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Http2-Settings", "Expect", "Accept-Encoding", "Accept-Charset", "Content-Length", "Host":
		return true
	}
	return false
}

func (s *Stage) copyHeaders(dst, src http.Header) {
	named := map[string]bool(nil)
	for _, line := range src["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if named == nil {
				named = map[string]bool{}
			}
			named[http.CanonicalHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	for name, values := range src {
		if hop(name) || named[name] || !s.forward[name] && s.ours(name) {
			continue
		}
		dst[name] = values
	}
	dst["Accept-Encoding"] = []string{"identity"}
	if dst["User-Agent"] == nil {
		dst["User-Agent"] = nil // the transport would add Go's own
	}
}

// ours reports whether a client's header is a credential, or one that the gate sets itself; it compares as a CGI-style
// upstream would: whatever is no letter or digit is '-' (threats 14 and 15).
func (s *Stage) ours(name string) bool { return s.withheld[folded(name)] }

func folded(name string) string {
	for i := 0; i < len(name); i++ {
		if c := name[i]; c-'0' > 9 && c|0x20-'a' > 25 && c != '-' {
			n := []byte(name)
			for ; i < len(n); i++ {
				if c := n[i]; c-'0' > 9 && c|0x20-'a' > 25 {
					n[i] = '-'
				}
			}
			return http.CanonicalHeaderKey(string(n))
		}
	}
	return http.CanonicalHeaderKey(name)
}

// identify says who is calling, in RFC 9651 structured fields. The names were removed from the request at the edge.
func (s *Stage) identify(out *http.Request, x *exchange.Exchange) error {
	h, p := out.Header, &x.Principal
	if p.Authenticated() {
		h["Portreeve-Subject"] = []string{structuredString(p.Subject)}
		h["Portreeve-Roles"] = []string{structuredList(p.Roles)}
		if p.Scoped {
			h["Portreeve-Scopes"] = []string{structuredList(p.Scopes)}
		}
	}
	h["Portreeve-Request-Id"] = []string{x.ID}
	h["X-Forwarded-For"] = []string{x.Peer.String()}
	h["X-Forwarded-Host"] = []string{x.Request.Host}
	h["X-Forwarded-Proto"] = []string{proto(x)}
	if s.rule.Assertion == nil {
		return nil
	}
	token, err := s.assertion(out, x)
	if err != nil {
		return fmt.Errorf("signing assertion: %w", err)
	}
	h["Portreeve-Assertion"] = []string{token}
	return nil
}

func proto(x *exchange.Exchange) string {
	if x.Request.TLS != nil {
		return "https"
	}
	return "http"
}

// assertion names the caller, the operation and the gate, for a minute at most: an upstream that demands it cannot be
// reached around the gate.
func (s *Stage) assertion(out *http.Request, x *exchange.Exchange) (string, error) {
	now, lifetime := x.Now.Unix(), max(1, int64(s.rule.Assertion.Lifetime/time.Second))
	return s.signer.Sign("portreeve-assertion+jwt", map[string]any{
		"iss": s.rule.Assertion.Issuer, "aud": s.rule.Assertion.Audience, "sub": x.Principal.Subject,
		"iat": now, "exp": now + lifetime, "jti": rand.Text(),
		"roles": x.Principal.Roles, "htm": out.Method, "htu": out.URL.RawPath, "request_id": x.ID,
	})
}

// structuredString is an RFC 9651 String; what it cannot hold is percent-encoded as a Display String (§3.3.8).
func structuredString(s string) string {
	ascii := true
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e {
			ascii = false
			break
		}
	}
	var b strings.Builder
	if ascii {
		b.WriteByte('"')
		for i := 0; i < len(s); i++ {
			if s[i] == '"' || s[i] == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i])
		}
		b.WriteByte('"')
		return b.String()
	}
	b.WriteString(`%"`)
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '%' || c == '"' {
			fmt.Fprintf(&b, "%%%02x", c)
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func structuredList(items []string) string {
	parts := make([]string, len(items))
	for i, s := range items {
		parts[i] = structuredString(s)
	}
	return strings.Join(parts, ", ")
}
