package attack

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/finding"
)

// answer is what came back of a call.
type answer struct {
	call    *call
	status  int
	header  http.Header
	body    []byte
	media   string
	cut     bool // there was more than is read
	json    any
	hasJSON bool
	err     error // there is no answer, or none that can be judged
}

func (a *answer) ok() bool { return a.err == nil && a.status/100 == 2 }

// denied reports whether the caller was refused for who they are.
func (a *answer) denied() bool {
	return a.err == nil && (a.status == http.StatusUnauthorized || a.status == http.StatusForbidden || a.status/100 == 3)
}

// hidden is denied, or told that there is no such thing.
func (a *answer) hidden() bool { return a.denied() || a.err == nil && a.status == http.StatusNotFound }

// refused reports whether the request was turned down, whatever for.
func (a *answer) refused() bool {
	return a.err == nil && a.status/100 == 4 && a.status != http.StatusTooManyRequests || a.denied()
}

const (
	maxAnswer   = 1 << 20
	patience    = 10 * time.Second // for one answer
	maxWait     = 90 * time.Second // for a limit to pass
	givingUp    = 6                // calls in a row without any answer
	maxAttempts = 4
)

var (
	errLimited = errors.New("the target's rate limit does not pass in time")
	errGone    = errors.New("the target does not answer any more")
	errOver    = errors.New("the run was ended")
)

func newTransport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{Proxy: nil, TLSClientConfig: &tls.Config{RootCAs: roots}, DisableCompression: true, MaxIdleConnsPerHost: 4, MaxResponseHeaderBytes: 256 << 10, ResponseHeaderTimeout: patience}
}

// send makes a call. It waits for the run's rate and for limits of the target, signs in again where a token has run out,
// and never returns nil.
func (r *run) send(c *call) *answer {
	a := r.attempts(c)
	a.call = c
	r.quota(a)
	r.observe(a)
	if c.op != nil && c.op.creates() && c.base == "" && a.ok() {
		r.keep(c.op, c.as.who, a) // whatever was made is removed at the end
	}
	return a
}

var policyItem = regexp.MustCompile(`;\s*q=(\d+)(?:;[^,]*)?;\s*w=(\d+)`)

// quota learns how much a caller may ask for, where the target says so (RateLimit-Policy): what is asked is then cut to it.
func (r *run) quota(a *answer) {
	if a.err != nil || a.call.as.who == nil || r.told.set() {
		return
	}
	for _, m := range policyItem.FindAllStringSubmatch(strings.Join(a.header.Values("RateLimit-Policy"), ","), -1) {
		count, _ := strconv.Atoi(m[1])
		window, _ := strconv.Atoi(m[2])
		if l := (Limit{count, time.Duration(window) * time.Second}); l.Window > r.told.Window {
			r.told = l
		}
	}
}

func (r *run) attempts(c *call) *answer {
	if p := c.as.who; p != nil && time.Now().Before(p.until) && !c.once {
		return &answer{err: errLimited}
	}
	renewed := false
	for try := 1; ; try++ {
		if r.ctx.Err() != nil {
			return &answer{err: errOver}
		}
		if r.silence >= givingUp {
			return &answer{err: errGone}
		}
		a := r.exchange(c)
		switch {
		case a.err != nil:
			return a
		case a.status == http.StatusTooManyRequests && !c.once:
			wait, ok := retryAfter(a.header, time.Now(), try)
			left := time.Until(r.deadline)
			if try == maxAttempts || wait > maxWait || wait > left {
				if p := c.as.who; p != nil && ok {
					p.until = time.Now().Add(wait)
				}
				return &answer{status: a.status, header: a.header, err: errLimited}
			}
			r.waited(wait)
			if !r.sleep(wait) {
				return &answer{err: errOver}
			}
		case a.status == http.StatusUnauthorized && c.as.kind == usual && c.as.who.Login != nil && !renewed:
			renewed = true
			if r.signIn(c.as.who) != nil {
				return a
			}
		default:
			return a
		}
	}
}

func (r *run) sleep(d time.Duration) bool {
	if r.pause != nil {
		r.pause(d)
		return r.ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.ctx.Done():
		return false
	}
}

// retryAfter reads when to come back (RFC 9110 §10.2.3); without it the wait grows from try to try.
func retryAfter(h http.Header, now time.Time, try int) (wait time.Duration, said bool) {
	v := h.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n >= 0 && n < 1<<30 {
		return time.Duration(n)*time.Second + 50*time.Millisecond, true
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now)) + 50*time.Millisecond, true
	}
	return time.Second << (try - 1), false
}

// exchange makes one request and reads its answer, bounded in time and size.
func (r *run) exchange(c *call) *answer {
	if !r.pace() {
		return &answer{err: errOver}
	}
	target := c.target()
	creds := r.credentials(c)
	for _, s := range creds {
		if s.query {
			target = joinQuery(target, s.name+"="+url.QueryEscape(s.value))
		}
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.patience)
	defer cancel()
	var body io.Reader
	if b, _ := c.content(); b != nil {
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, r.baseOf(c)+target, body)
	if err != nil {
		return &answer{err: fmt.Errorf("making the request: %w", err)}
	}
	req.Header = c.headers()
	req.Header["User-Agent"] = []string{"portreeve-attack"}
	for _, s := range creds {
		if s.header {
			req.Header.Set(s.name, s.value)
		}
	}
	if c.as.who != nil {
		c.as.who.used++
	}
	r.requests++
	resp, err := r.client.Do(req)
	if err != nil {
		if r.ctx.Err() != nil {
			return &answer{err: errOver}
		}
		r.silence++
		return &answer{err: transportError(err)}
	}
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode, header: resp.Header}
	a.media, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if a.cut = len(a.body) > maxAnswer; a.cut {
		a.body = a.body[:maxAnswer]
	}
	if err != nil {
		if r.ctx.Err() != nil {
			return &answer{err: errOver}
		}
		r.silence++
		return &answer{status: a.status, header: a.header, err: errors.New("the answer breaks off")}
	}
	r.silence = 0
	if !a.cut && len(bytes.TrimSpace(a.body)) > 0 && (isJSON(a.media) || a.media == "") {
		d := json.NewDecoder(bytes.NewReader(a.body))
		d.UseNumber()
		a.hasJSON = d.Decode(&a.json) == nil
	}
	return a
}

// transportError says what went wrong without the URL, which may hold a key.
func transportError(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return errors.New("no answer in time")
		}
		err = u.Err
	}
	return fmt.Errorf("no answer: %w", err)
}

// pace keeps the run's own rate.
func (r *run) pace() bool {
	if r.interval > 0 {
		now := time.Now()
		if r.next.After(now) && !r.sleep(r.next.Sub(now)) {
			return false
		}
		if now = time.Now(); r.next.Before(now) {
			r.next = now
		}
		r.next = r.next.Add(r.interval)
	}
	return r.ctx.Err() == nil
}

var (
	uuidText  = regexp.MustCompile(`[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`)
	stampText = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[0-9.:Z+-]*`)
	jwtForm   = regexp.MustCompile(`(eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,})\.[A-Za-z0-9_-]{16,}`)
)

// plain is a body without what differs from answer to answer, and without the words that were sent.
func (a *answer) plain(sent ...string) string {
	s := string(a.body)
	for _, word := range sent {
		if word == "" {
			continue
		}
		forms := []string{word, html.EscapeString(word), url.QueryEscape(word), url.PathEscape(word)}
		if e, err := json.Marshal(word); err == nil {
			forms = append(forms, strings.Trim(string(e), `"`))
		}
		for _, form := range forms {
			s = strings.ReplaceAll(s, form, "‹sent›")
		}
	}
	s = uuidText.ReplaceAllString(s, "‹uuid›")
	s = stampText.ReplaceAllString(s, "‹time›")
	return jwtForm.ReplaceAllString(s, "‹token›")
}

// shows reports whether a value stands in the answer.
func (a *answer) shows(word string) bool { return word != "" && bytes.Contains(a.body, []byte(word)) }

// proof is an exchange for a report.
func (r *run) proof(note string, a *answer) finding.Exchange {
	red := redactor{r.people}
	var b strings.Builder
	for _, name := range []string{"Content-Type", "Location", "Retry-After", "WWW-Authenticate", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Server", "X-Powered-By"} {
		if v := a.header.Get(name); v != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	if len(a.body) > 0 {
		fmt.Fprintf(&b, "\n%s", excerpt(string(a.body), 1500))
	}
	return finding.Exchange{Note: note, Request: red.text(r.request(a.call)), Status: a.status, Answer: red.text(b.String()), Curl: red.text(r.curl(a.call))}
}

// signIn makes an identity's login request.
func (r *run) signIn(p *person) error {
	c := &call{method: p.Login.Method, path: p.Login.Path, header: http.Header{}}
	if p.Login.Body != nil {
		c.body = p.Login.Body
	}
	a := r.attempts(c)
	if a.err != nil {
		return a.err
	}
	token, _ := pointer(a.json, p.Login.Token)
	if !a.ok() || text(token) == "" {
		return fmt.Errorf("signing in as %s: status %d, no token at %s", p.Name, a.status, p.Login.Token)
	}
	p.token = text(token)
	return nil
}

// pointer finds a value (RFC 6901).
func pointer(v any, path string) (any, bool) {
	if path == "" {
		return v, true
	}
	for _, token := range strings.Split(path, "/")[1:] {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch t := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = t[token]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(t) {
				return nil, false
			}
			v = t[i]
		default:
			return nil, false
		}
	}
	return v, true
}
