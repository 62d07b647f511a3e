// Package upstream sends the canonical request to the API behind the gate and judges the head of its answer: a status
// and a media type the document does not declare never pass, and no 5xx does. It adds who is calling, takes away
// credentials and everything a client could say in the gate's name, and never retries an unsafe method.
package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/coding"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

// Name is the stage's name in the order.
const Name = "upstream"

var controls = []control.ID{"upstream.validate", "avail.fallback", "error.no-leak", "deploy.no-bypass"}

// Signer signs Portreeve-Assertion; its key is the gate's own.
type Signer interface {
	Sign(typ string, claims any) (string, error)
}

// Stage speaks to one plan's upstream.
type Stage struct {
	rule      plan.Upstream
	transport http.RoundTripper
	scheme    string
	host      string
	headers   http.Header     // set on every request
	withheld  map[string]bool // headers of clients that are not forwarded: credentials, and what the gate sets; canonical, '_' as '-'
	queryKeys map[string]bool
	forward   map[string]bool
	signer    Signer
	capacity  *Capacity

	rate        int64         // bytes a second that an answer must come with
	idle, quiet time.Duration // the grace of that; how long a stream of events may say nothing
}

// Config is what a Stage needs beside the plan.
type Config struct {
	Transport http.RoundTripper // nil for middleware
	Signer    Signer            // nil without assertions
	Capacity  *Capacity         // what earlier plans learned of this upstream
}

// New prepares the requests of a plan. It fetches the secrets of configured headers.
func New(p *plan.Plan, c Config) (*Stage, error) {
	s := &Stage{rule: p.Upstream, transport: c.Transport, signer: c.Signer, capacity: c.Capacity,
		rate: p.Server.Rate, idle: p.Server.Idle, quiet: p.Server.Quiet,
		headers: http.Header{}, queryKeys: map[string]bool{}, forward: map[string]bool{},
		withheld: map[string]bool{"Authorization": true, "Cookie": true, "Dpop": true}}
	var ok bool
	if s.scheme, s.host, ok = strings.Cut(p.Upstream.URL, "://"); !ok && p.Upstream.URL != "" {
		return nil, fmt.Errorf("%s: upstream URL %q has no scheme", p.Upstream.Source, p.Upstream.URL)
	}
	for _, h := range p.Upstream.Headers {
		value := h.Value
		if !h.Secret.IsZero() {
			b, err := h.Secret.Fetch()
			if err != nil {
				return nil, fmt.Errorf("%s: upstream header %s: %w", p.Upstream.Source, h.Name, err)
			}
			value = string(b)
		}
		s.headers.Set(h.Name, value)
		s.withheld[folded(h.Name)] = true
	}
	for _, name := range p.Upstream.Forward {
		s.forward[http.CanonicalHeaderKey(name)] = true
	}
	for _, sc := range p.Identity.Schemes {
		switch sc.Location {
		case plan.InHeader:
			s.withheld[folded(sc.Param)] = true
		case plan.InQuery:
			s.queryKeys[sc.Param] = true
		}
	}
	if p.Upstream.Assertion != nil && c.Signer == nil {
		return nil, errors.New("upstream assertions need a signing key")
	}
	return s, nil
}

// NewTransport returns the tuned standard transport: no proxy from the environment, no transparent decompression, every
// wait bounded.
func NewTransport(u *plan.Upstream) (*http.Transport, error) {
	secure, err := TLS(u)
	if err != nil {
		return nil, err
	}
	timeout := u.Timeout
	t := &http.Transport{
		Proxy:                  nil,
		DialContext:            (&net.Dialer{Timeout: min(timeout, 5*time.Second), KeepAlive: 30 * time.Second}).DialContext,
		MaxIdleConns:           1024,
		MaxIdleConnsPerHost:    1024,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    min(timeout, 5*time.Second),
		ResponseHeaderTimeout:  timeout,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		ReadBufferSize:         8 << 10,
		WriteBufferSize:        8 << 10,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	t.TLSClientConfig = secure
	return t, nil
}

// Capacity returns what the stage knows of how much the upstream bears.
func (s *Stage) Capacity() *Capacity { return s.capacity }

// Bind returns the operation's step: what heads of answers may pass.
func (s *Stage) Bind(op *plan.Operation) (exchange.Step, error) {
	if op.Own != "" {
		return exchange.Step{Stage: Name, Rule: "answered by the gate itself", Source: "built in", Head: s.headOwn}, nil
	}
	var statuses []string
	for _, a := range op.Answers {
		for _, m := range a.Media {
			statuses = append(statuses, fmt.Sprintf("%s %s (%s)", a.Status, m.Type, m.Delivery))
		}
		if len(a.Media) == 0 {
			statuses = append(statuses, a.Status)
		}
	}
	rule := "answers " + strings.Join(statuses, ", ") + s.bounds()
	if s.rule.URL != "" {
		rule = s.rule.URL + s.rule.BasePath + s.trust() + "; " + rule
	}
	c := s.call(op.Method + " " + op.Path)
	return exchange.Step{Stage: Name, Rule: rule, Source: op.Source, Controls: controls, Enter: c.enter, Head: c.head}, nil
}

// trust says how the upstream is known, and how it knows the gate.
func (s *Stage) trust() string {
	if s.scheme != "https" {
		return ""
	}
	says := ", its certificate verified by the system's roots"
	if s.rule.CA != "" {
		says = ", its certificate verified by " + filepath.Base(s.rule.CA)
	}
	if s.rule.Name != "" {
		says += " as " + s.rule.Name
	}
	if s.rule.Client.Cert != "" {
		says += ", a client certificate shown"
	}
	return says
}

// Answer sends the request and copies the answer into the sink. It implements exchange.Origin.
func (s *Stage) Answer(x *exchange.Exchange) exchange.Verdict {
	ctx, cancel := context.WithCancelCause(x.Request.Context())
	defer cancel(nil)
	timer := time.AfterFunc(s.rule.Timeout, func() { cancel(errTimeout) })
	defer timer.Stop()

	sent := &sentBody{timer: timer, wait: s.rule.Timeout}
	req, err := s.request(ctx, x, sent)
	if err != nil {
		return x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable,
			Retry: time.Second, Fine: "assertion", Cause: err})
	}
	resp, err := s.transport.RoundTrip(req)
	sent.release()
	if err != nil {
		return s.failed(x, ctx, sent, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 { // 101: nobody asked for another protocol
		return x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "upstream_protocol"})
	}
	h := x.Out.Header()
	fields := 0
	for name, values := range resp.Header {
		h[name] = values
		fields += len(values)
	}
	if fields > maxFields {
		return x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "upstream_header_count"})
	}
	delete(h, "Content-Length")
	x.Out.WriteHeader(resp.StatusCode)
	if x.Request.Method == http.MethodHead && x.Out.Delivery() == plan.Relay {
		return exchange.Pass
	}
	return s.copy(x, resp, timer, func(err error) exchange.Verdict { return s.failed(x, ctx, sent, err) })
}

// maxFields is how many header fields an answer may have; the transport bounds their bytes.
const maxFields = 256

// copy hands an answer's bytes to the sink. A stream may last, but neither stand still nor drip: each read has a deadline,
// and all together keep a pace. A stream of events is quiet by nature and has its own, longer wait.
func (s *Stage) copy(x *exchange.Exchange, resp *http.Response, timer *time.Timer, failed func(error) exchange.Verdict) exchange.Verdict {
	wait, pace, left := s.rule.Timeout, exchange.Pace{Rate: s.rate, Grace: max(s.idle, s.rule.Timeout)}, s.rule.MaxAnswer
	if events(resp.Header) {
		wait, pace.Rate, pace.Grace, left = max(s.quiet, s.rule.Timeout), 0, max(s.quiet, s.rule.Timeout), math.MaxInt64
	}
	if resp.ContentLength > left {
		return x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "answer_too_large"})
	}
	buf := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	for {
		paced := pace.Wait(0)
		if paced <= 0 {
			return x.Refuse(exchange.Refusal{Status: http.StatusGatewayTimeout, Reason: problem.Upstream, Fine: "upstream_slow", Cause: errSlow})
		}
		began := time.Now()
		timer.Reset(min(wait, paced))
		n, err := resp.Body.Read(buf[:])
		timer.Stop() // a slow client is not the upstream's fault; writes have their own deadline
		pace.Moved(n, time.Since(began))
		if left -= int64(n); left < 0 {
			return x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "answer_too_large"})
		}
		if n > 0 {
			if _, werr := x.Out.Write(buf[:n]); werr != nil {
				if errors.Is(werr, exchange.ErrRefused) {
					return exchange.Refused
				}
				return x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "client_gone", Cause: werr})
			}
			if resp.ContentLength < 0 {
				x.Out.Flush() // a stream: what came is for the client now
			}
		}
		if err == io.EOF {
			return exchange.Pass
		}
		if err != nil && pace.Wait(0) > 0 {
			return failed(err)
		}
	}
}

// events reports whether an answer is a stream of events (HTML Standard, "Server-sent events"; NDJSON, JSON text
// sequences, RFC 7464), without an end that is known.
func events(h http.Header) bool {
	if h.Get("Content-Length") != "" {
		return false
	}
	t, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	switch t {
	case "text/event-stream", "application/x-ndjson", "application/jsonl", "application/json-seq":
		return true
	}
	return false
}

// Ask asks the API beside the exchange's own request: with the caller's credentials where those are forwarded, with who is
// calling, and without what the caller's request says of versions, ranges and retries. It implements exchange.Asker.
func (s *Stage) Ask(x *exchange.Exchange, q exchange.Question) (exchange.Told, error) {
	ctx, cancel := context.WithTimeoutCause(x.Request.Context(), s.rule.Timeout, errTimeout)
	defer cancel()
	req, err := s.question(ctx, x, q)
	if err != nil {
		return exchange.Told{}, err
	}
	report, _ := s.capacity.Breaker.Allow()
	if report == nil {
		return exchange.Told{}, exchange.ErrBusy
	}
	if !s.capacity.Load.Admit(x.Principal.Authenticated()) {
		report(errNoAnswer)
		return exchange.Told{}, exchange.ErrBusy
	}
	defer s.capacity.Load.Done(s.capacity.Load.Of("asked before"), 0)
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		if err = unanswered(ctx, err); x.Request.Context().Err() != nil {
			report(errNoAnswer)
		} else {
			report(errFailed)
		}
		return exchange.Told{}, err
	}
	report(outcome(resp.StatusCode))
	defer resp.Body.Close()
	if resp.ContentLength > exchange.MaxHeld {
		return exchange.Told{}, exchange.ErrTooLarge
	}
	told := exchange.Told{Status: resp.StatusCode, Header: resp.Header}
	if told.Body, err = exchange.ReadHeld(x, resp.Body); err != nil {
		return exchange.Told{}, unanswered(ctx, err)
	}
	return told, nil
}

// unanswered is a transport's error as a step may know it.
func unanswered(ctx context.Context, err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, exchange.ErrTooLarge), errors.Is(err, exchange.ErrBudget):
		return err
	case context.Cause(ctx) == errTimeout, errors.As(err, &timeout) && timeout.Timeout():
		return exchange.ErrTooSlow
	}
	return loggable(err)
}

var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

var (
	errTimeout = errors.New("the upstream did not answer in time")
	errSlow    = errors.New("the upstream's answer came too slowly")
)

// failed turns a transport's error into a refusal: 504 when it was too slow, 502 otherwise. The cause stays here.
func (s *Stage) failed(x *exchange.Exchange, ctx context.Context, sent *sentBody, err error) exchange.Verdict {
	var timeout net.Error
	var tooLarge *http.MaxBytesError
	switch broken := sent.broken(); {
	case errors.As(broken, &tooLarge):
		return x.Refuse(exchange.Refusal{Status: http.StatusRequestEntityTooLarge, Reason: problem.InvalidRequest, Fine: "body_too_large", Hangup: true})
	case errors.Is(broken, exchange.ErrSlow):
		return x.Refuse(exchange.Refusal{Status: http.StatusRequestTimeout, Reason: problem.InvalidRequest, Fine: "body_slow",
			Detail: "the body came too slowly", Hangup: true})
	case broken != nil && (x.Request.Context().Err() == nil || errors.Is(broken, io.ErrUnexpectedEOF)):
		return x.Refuse(exchange.Refusal{Status: http.StatusBadRequest, Reason: problem.InvalidRequest, Fine: "body_broken",
			Detail: "the body did not arrive whole", Hangup: true, Cause: broken})
	case x.Request.Context().Err() != nil:
		return x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "client_gone", Cause: err})
	case context.Cause(ctx) == errTimeout, errors.As(err, &timeout) && timeout.Timeout():
		return x.Refuse(exchange.Refusal{Status: http.StatusGatewayTimeout, Reason: problem.Upstream, Fine: "upstream_timeout", Cause: errTimeout})
	}
	return x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: failure(err), Cause: loggable(err)})
}

var errMalformed = errors.New("the connection to the upstream broke, or its answer is not HTTP")

// loggable is a transport's error as the program's log may have it. What net/http says of a malformed answer repeats the
// answer's own bytes; what is not known to repeat none is not told.
func loggable(err error) error {
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &op):
		return op
	case errors.As(err, &certificate):
		return certificate
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	}
	return errMalformed
}

// head judges the status and the media type of an answer and fixes its delivery.
func (s *Stage) head(x *exchange.Exchange) exchange.Verdict {
	status := x.Out.Status()
	x.Answer, x.Media = nil, nil
	x.Out.Deliver(plan.Relay, nil) // what an observing step lets pass is copied
	if status >= 500 {
		if status != http.StatusServiceUnavailable && status != http.StatusGatewayTimeout {
			status = http.StatusBadGateway
		}
		x.Out.Deliver(plan.Empty, nil)
		return refuse(x, status, "upstream_error")
	}
	if status == http.StatusNotModified && !conditional(x.Request.Header) && x.Op.Object == nil { // whose step hides that there is one
		return refuse(x, status, "answer_unasked") // of whatever copy: nobody said which one the caller has
	}
	a := answer(x.Op.Answers, status)
	if a == nil {
		if status == http.StatusNotModified {
			x.Out.Deliver(plan.Empty, nil)
			return exchange.Pass
		}
		return refuse(x, status, "status_undeclared")
	}
	x.Answer = a
	undeclaredHeaders(x.Out.Judged(), a.Headers)
	if len(a.Media) == 0 || status == http.StatusNoContent || status == http.StatusNotModified {
		x.Out.Deliver(plan.Empty, nil)
		h := x.Out.Judged()
		delete(h, "Content-Type")
		return exchange.Pass
	}
	m, fine := media(a.Media, x.Out.Judged())
	if m == nil {
		return refuse(x, status, fine)
	}
	x.Media = m
	x.Out.Deliver(m.Delivery, nil)
	switch {
	case m.Delivery == plan.Relay:
		return exchange.Pass
	case status == http.StatusPartialContent: // what is judged is asked for whole
		return refuse(x, status, "answer_unasked")
	}
	return decode(x, status)
}

// conditional reports whether a request asks for an answer only if it has changed (RFC 9110 §13.1).
func conditional(h http.Header) bool {
	return h["If-None-Match"] != nil || h["If-Modified-Since"] != nil
}

// decode lets a body that is judged lose the coding that the API gave it, though it was asked for none. What is judged
// leaves without one.
func decode(x *exchange.Exchange, status int) exchange.Verdict {
	h := x.Out.Judged()
	encodings := h["Content-Encoding"]
	if len(encodings) == 0 {
		return exchange.Pass
	}
	encoding := strings.Join(encodings, ", ")
	delete(h, "Content-Encoding")
	if encoding == "" || strings.EqualFold(encoding, "identity") {
		return exchange.Pass
	}
	d, err := coding.New(encoding)
	if err != nil {
		return refuse(x, status, "answer_encoded")
	}
	if !x.Out.Decode(d) {
		return x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Retry: time.Second, Fine: "memory_budget", Firm: true})
	}
	return exchange.Pass
}

// undeclaredHeaders takes away what neither the document declares nor HTTP itself needs: a header can carry what a body may
// not. Connection stays for harden, which removes it with all that it names.
func undeclaredHeaders(h http.Header, declared []string) {
	for name := range h {
		switch name {
		case "Content-Type", "Content-Length", "Content-Language", "Content-Disposition", "Content-Encoding", "Content-Range", "Accept-Ranges",
			"Cache-Control", "Expires", "Age", "Date", "Etag", "Last-Modified", "Vary", "Location", "Link", "Retry-After", "Allow",
			"Www-Authenticate", "Accept-Patch", "Accept-Post", "Deprecation", "Sunset", "Connection":
		default:
			if !slices.Contains(declared, name) {
				delete(h, name)
			}
		}
	}
}

func (s *Stage) headOwn(x *exchange.Exchange) exchange.Verdict {
	x.Out.Deliver(plan.Relay, nil)
	return exchange.Pass
}

// refuse keeps a client error's status, for it is the client's to mend; everything else is the upstream's fault.
func refuse(x *exchange.Exchange, status int, fine access.Reason) exchange.Verdict {
	no := exchange.Refusal{Status: status, Reason: problem.Upstream, Fine: fine}
	switch {
	case status == http.StatusServiceUnavailable:
		no.Reason, no.Retry = problem.Unavailable, time.Second
	case status == http.StatusGatewayTimeout:
	case status == http.StatusUnauthorized:
		no.Reason = problem.Unauthenticated
	case status == http.StatusForbidden:
		no.Reason = problem.Forbidden
	case status == http.StatusNotFound || status == http.StatusGone:
		no.Reason = problem.NotFound
	case status == http.StatusTooManyRequests:
		no.Reason, no.Retry = problem.RateLimited, time.Second
	case status >= 400 && status < 500:
		no.Reason = problem.InvalidRequest
	default:
		no.Status = http.StatusBadGateway
	}
	return x.Refuse(no)
}

// answer finds the declared answer: the exact status, its class, then default (OpenAPI, Responses Object).
func answer(answers []plan.Answer, status int) *plan.Answer {
	var class, other *plan.Answer
	for i := range answers {
		a := &answers[i]
		switch {
		case len(a.Status) == 3 && a.Status[0] == byte('0'+status/100):
			if a.Status[1] == 'X' {
				class = a
			} else if a.Status[1] == byte('0'+status/10%10) && a.Status[2] == byte('0'+status%10) {
				return a
			}
		case a.Status == "default":
			other = a
		}
	}
	if class != nil {
		return class
	}
	return other
}

// media finds the declared media type of an answer, most specific first. A judged body must be plain UTF-8: another
// charset would be read differently by the gate and by the client (threat 44).
func media(declared []plan.Media, h http.Header) (*plan.Media, access.Reason) {
	values := h["Content-Type"]
	if len(values) != 1 {
		return nil, "type_missing"
	}
	t, params, err := mime.ParseMediaType(values[0])
	if err != nil {
		return nil, "type_malformed"
	}
	m := match(declared, t)
	switch {
	case m == nil:
		return nil, "type_undeclared"
	case executable(t) && !strings.EqualFold(m.Type, t):
		return nil, "type_executable"
	case m.Delivery == plan.Never, m.Delivery == plan.Hold && m.Kind == plan.PartNatural && strings.HasSuffix(m.Type, "/*") && !isJSON(t):
		return nil, "type_unjudgeable" // a range that is judged as JSON gives only that
	}
	if m.Delivery != plan.Relay {
		if cs, ok := params["charset"]; ok && !strings.EqualFold(cs, "utf-8") && !strings.EqualFold(cs, "us-ascii") {
			return nil, "type_charset"
		}
	}
	return m, ""
}

// executable reports whether a browser runs a program that a body of the type holds. Such a type is declared by its own
// name or not at all: who declares image/* thinks of pictures, not of SVG.
func executable(t string) bool {
	switch t {
	case "text/html", "text/xml", "application/xml", "text/xsl", "text/javascript", "application/javascript", "application/x-javascript",
		"text/ecmascript", "application/ecmascript", "text/vbscript", "text/css", "application/wasm", "application/pdf",
		"application/x-shockwave-flash", "application/java-archive", "application/hta", "text/x-component", "text/cache-manifest",
		"application/manifest+json", "message/rfc822", "multipart/related", "multipart/x-mixed-replace":
		return true
	}
	return strings.HasSuffix(t, "+xml")
}

func isJSON(t string) bool {
	return t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json")
}

func match(declared []plan.Media, t string) *plan.Media {
	major, _, _ := strings.Cut(t, "/")
	var ranged, any *plan.Media
	for i := range declared {
		switch d := strings.ToLower(declared[i].Type); {
		case d == t:
			return &declared[i]
		case d == major+"/*":
			ranged = &declared[i]
		case d == "*/*":
			any = &declared[i]
		}
	}
	if ranged != nil {
		return ranged
	}
	return any
}
