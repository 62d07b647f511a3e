package gate_test

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The table follows the cases of web-platform-tests' fetch/api/cors and cors/: origins that look alike, preflights,
// credentials, exposed headers, errors, caches. browser below is the other side, after the Fetch standard.

const corsDocument = `openapi: 3.1.0
info: {title: Things, version: "1"}
security: []
paths:
  /things:
    get:
      operationId: list
      parameters: [{name: X-Trace, in: header, schema: {type: string}}]
      responses: {"200": {description: ok, headers: {X-Total: {schema: {type: string}}, X-Inside: {schema: {type: string}}}, content: {text/plain: {}}}}
    post:
      operationId: create
      requestBody: {content: {text/plain: {schema: {type: string}}, application/json: {schema: {type: object}}}}
      responses: {"200": {description: ok, content: {text/plain: {}}}}
    put: {operationId: put, responses: {"200": {description: ok, content: {text/plain: {}}}}}
    patch: {operationId: patch, responses: {"200": {description: ok, content: {text/plain: {}}}}}
  /private:
    get: {operationId: private, security: [{api_key: []}], responses: {"200": {description: ok, content: {text/plain: {}}}}}
  /broken:
    get: {operationId: broken, responses: {"200": {description: ok, content: {text/plain: {}}}}}
`

const corsAnswers = `GET /things
200
Content-Type: text/plain
X-Total: 3
X-Inside: 10.0.0.1
Access-Control-Allow-Origin: *
Access-Control-Expose-Headers: *
Access-Control-Allow-Private-Network: true
Timing-Allow-Origin: *

ok
---
POST /things
200
Content-Type: text/plain

ok
---
PUT /things
200
Content-Type: text/plain

ok
---
PATCH /things
200
Content-Type: text/plain

ok
---
GET /broken
500
`

// asked is one fetch() of a page.
type asked struct {
	origin      string
	method      string
	path        string
	headers     map[string]string
	body        string
	credentials bool // credentials: "include"
	private     bool // from a public to a private network (Private Network Access)
}

// seen is what the page gets.
type seen struct {
	blocked string // why it may not read; "" when it may
	status  int
	headers []string // names it may read beyond the safelisted, sorted
	sent    bool     // the request itself reached the gate
	maxAge  int
}

// browser is as much of a browser as CORS needs (Fetch standard §4.8 to §4.10).
func browser(t *testing.T, base string, q asked) seen {
	t.Helper()
	var s seen
	do := func(method string, h map[string]string, body string) *http.Response {
		r, err := http.NewRequest(method, base+q.path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "api.test"
		r.Header.Set("Origin", q.origin)
		for name, value := range h {
			r.Header.Set(name, value)
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp
	}
	check := func(resp *http.Response) bool { // §4.10, "CORS check"
		allow := resp.Header.Values("Access-Control-Allow-Origin")
		switch {
		case len(allow) == 0:
			s.blocked = "no Access-Control-Allow-Origin"
		case len(allow) > 1 || allow[0] != q.origin && (allow[0] != "*" || q.credentials):
			s.blocked = "Access-Control-Allow-Origin: " + strings.Join(allow, ", ")
		case q.credentials && strings.Join(resp.Header.Values("Access-Control-Allow-Credentials"), ",") != "true":
			s.blocked = "no credentials"
		}
		if !slices.Contains(tokens(resp.Header.Values("Vary"), true), "origin") {
			t.Errorf("%s %s from %s: no Vary: Origin; a shared cache would give the answer to others", q.method, q.path, q.origin)
		}
		return s.blocked == ""
	}
	var unsafe []string
	for name, value := range q.headers {
		switch lower := strings.ToLower(name); {
		case lower == "accept", lower == "accept-language", lower == "content-language":
		case lower == "content-type" && slices.Contains([]string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}, value):
		default:
			unsafe = append(unsafe, lower)
		}
	}
	slices.Sort(unsafe)
	simple := q.method == "GET" || q.method == "HEAD" || q.method == "POST"
	if !simple || len(unsafe) > 0 || q.private { // §4.8, "CORS-preflight fetch"
		h := map[string]string{"Access-Control-Request-Method": q.method, "Sec-Fetch-Mode": "cors"}
		if len(unsafe) > 0 {
			h["Access-Control-Request-Headers"] = strings.Join(unsafe, ",")
		}
		if q.private {
			h["Access-Control-Request-Private-Network"] = "true"
		}
		resp := do("OPTIONS", h, "")
		if !check(resp) {
			return s
		}
		if resp.StatusCode < 200 || resp.StatusCode > 299 {
			s.blocked = "preflight " + strconv.Itoa(resp.StatusCode)
			return s
		}
		if methods := tokens(resp.Header.Values("Access-Control-Allow-Methods"), false); !simple && !slices.Contains(methods, q.method) {
			s.blocked = "method"
			return s
		}
		names := tokens(resp.Header.Values("Access-Control-Allow-Headers"), true)
		for _, name := range unsafe {
			if !slices.Contains(names, name) {
				s.blocked = "header " + name
				return s
			}
		}
		if q.private && resp.Header.Get("Access-Control-Allow-Private-Network") != "true" {
			s.blocked = "private network"
			return s
		}
		s.maxAge, _ = strconv.Atoi(resp.Header.Get("Access-Control-Max-Age"))
	}
	resp := do(q.method, q.headers, q.body)
	s.sent = true
	if !check(resp) {
		return s
	}
	s.status = resp.StatusCode
	for _, name := range tokens(resp.Header.Values("Access-Control-Expose-Headers"), false) {
		if resp.Header.Get(name) != "" || name == "*" {
			s.headers = append(s.headers, name)
		}
	}
	slices.Sort(s.headers)
	return s
}

func tokens(lines []string, lower bool) []string {
	var out []string
	for _, l := range lines {
		for v := range strings.SplitSeq(l, ",") {
			if v = strings.TrimSpace(v); lower {
				v = strings.ToLower(v)
			}
			if v != "" {
				out = append(out, v)
			}
		}
	}
	return out
}

func TestCORSAsBrowsersSeeIt(t *testing.T) {
	const app, other = "https://app.test", "https://other.test:8443"
	with := func(credentials bool) string {
		w := newWorld(t, settings{document: corsDocument, answers: corsAnswers, people: "key svc owner=robot", config: `version: 1
document: openapi.yaml
url: "https://api.test"
upstream: {url: $UPSTREAM}
limits: {address: 100000/1m, principal: 100000/1m}
cors: {allow_origins: ["` + app + `", "` + other + `"], allow_credentials: ` + strconv.FormatBool(credentials) + `, max_age: 10m, expose: [X-Total]}
`})
		return "http://" + w.addr
	}
	open, closed := with(true), with(false)

	always := []string{"Portreeve-Request-Id", "RateLimit", "RateLimit-Policy"}
	total := append(slices.Clone(always), "X-Total")
	for _, c := range []struct {
		name  string
		q     asked
		want  seen
		plain bool // the gate without allow_credentials
	}{
		// cors/origin.htm: only the exact origin reads.
		{"the listed origin", asked{origin: app, method: "GET"}, seen{status: 200, headers: total, sent: true}, false},
		{"the second listed origin, with its port", asked{origin: other, method: "GET"}, seen{status: 200, headers: total, sent: true}, false},
		{"upper case", asked{origin: "https://APP.test", method: "GET"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"upper case in the scheme", asked{origin: "HTTPS://app.test", method: "GET"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"plain http", asked{origin: "http://app.test", method: "GET"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"the default port, written out", asked{origin: "https://app.test:443", method: "GET"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"another port", asked{origin: "https://app.test:8443", method: "GET"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"no port where one is listed", asked{origin: "https://other.test", method: "GET"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"a trailing slash", asked{origin: app + "/", method: "GET"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"a trailing dot", asked{origin: app + ".", method: "GET"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"a subdomain", asked{origin: "https://x.app.test", method: "GET"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"a suffix", asked{origin: "https://app.test.evil.test", method: "GET"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"a prefix", asked{origin: "https://evilapp.test", method: "GET"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"the null origin", asked{origin: "null", method: "GET"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"a star", asked{origin: "*", method: "GET"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"two origins in one line", asked{origin: app + " " + other, method: "GET"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"two origins with a comma", asked{origin: app + ", " + other, method: "GET"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},

		// cors-preflight*.any.js, cors-basic.
		{"a simple POST is sent without a preflight", asked{origin: app, method: "POST", headers: map[string]string{"Content-Type": "text/plain"}, body: "x"},
			seen{status: 200, headers: always, sent: true}, false},
		{"a simple POST of somebody else is served and not read", asked{origin: "https://evil.test", method: "POST", headers: map[string]string{"Content-Type": "text/plain"}, body: "x"},
			seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"JSON takes a preflight", asked{origin: app, method: "POST", headers: map[string]string{"Content-Type": "application/json"}, body: "{}"},
			seen{status: 200, headers: always, sent: true, maxAge: 600}, false},
		{"JSON of somebody else stops at the preflight", asked{origin: "https://evil.test", method: "POST", headers: map[string]string{"Content-Type": "application/json"}, body: "{}"},
			seen{blocked: "no Access-Control-Allow-Origin"}, false},
		{"a declared method", asked{origin: app, method: "PUT"}, seen{status: 200, headers: always, sent: true, maxAge: 600}, false},
		{"a declared method that fetch does not spell", asked{origin: app, method: "PATCH"}, seen{status: 200, headers: always, sent: true, maxAge: 600}, false},
		{"methods are told apart by case", asked{origin: app, method: "patch"}, seen{blocked: "preflight 405"}, false},
		{"an undeclared method", asked{origin: app, method: "DELETE"}, seen{blocked: "preflight 405"}, false},
		{"no star for methods", asked{origin: app, method: "SUPER"}, seen{blocked: "preflight 405"}, false},
		{"a declared header, in any case", asked{origin: app, method: "GET", headers: map[string]string{"x-TRACE": "1"}}, seen{status: 200, headers: total, sent: true, maxAge: 600}, false},
		{"an undeclared header", asked{origin: app, method: "GET", headers: map[string]string{"X-Debug": "1"}}, seen{blocked: "preflight 403"}, false},
		{"a header that begins like a declared one", asked{origin: app, method: "GET", headers: map[string]string{"X-Trace-Id": "1"}}, seen{blocked: "preflight 403"}, false},
		{"a header of the gate's own", asked{origin: app, method: "GET", headers: map[string]string{"Portreeve-Subject": "root"}}, seen{blocked: "preflight 403"}, false},
		{"Authorization is asked for by name (no star covers it)", asked{origin: app, method: "GET", path: "/private", headers: map[string]string{"Authorization": "Bearer x"}},
			seen{status: 401, headers: []string{"Portreeve-Request-Id", "WWW-Authenticate"}, sent: true, maxAge: 600}, false},

		// credentials
		{"credentials", asked{origin: app, method: "GET", credentials: true}, seen{status: 200, headers: total, sent: true}, false},
		{"credentials with a preflight", asked{origin: app, method: "PUT", credentials: true}, seen{status: 200, headers: always, sent: true, maxAge: 600}, false},
		{"credentials where they are not allowed", asked{origin: app, method: "GET", credentials: true}, seen{blocked: "no credentials", sent: true}, true},
		{"credentials where they are not allowed, with a preflight", asked{origin: app, method: "PUT", credentials: true}, seen{blocked: "no credentials"}, true},
		{"no credentials where they are not allowed", asked{origin: app, method: "GET"}, seen{status: 200, headers: total, sent: true}, true},
		{"credentials of somebody else", asked{origin: "https://evil.test", method: "GET", credentials: true}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},

		// errors are readable by whoever may read answers
		{"401", asked{origin: app, method: "GET", path: "/private"}, seen{status: 401, headers: []string{"Portreeve-Request-Id", "WWW-Authenticate"}, sent: true}, false},
		{"404", asked{origin: app, method: "GET", path: "/nothing"}, seen{status: 404, headers: []string{"Portreeve-Request-Id"}, sent: true}, false},
		{"415", asked{origin: app, method: "POST", headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, body: "a=1"}, seen{status: 415, headers: always, sent: true}, false},
		{"502", asked{origin: app, method: "GET", path: "/broken"}, seen{status: 502, headers: always, sent: true}, false},
		{"errors of others are not", asked{origin: "https://evil.test", method: "GET", path: "/private"}, seen{blocked: "no Access-Control-Allow-Origin", sent: true}, false},
		{"a preflight for what is not there", asked{origin: app, method: "PUT", path: "/nothing"}, seen{blocked: "preflight 404"}, false},

		{"no page reaches into a private network", asked{origin: app, method: "GET", private: true}, seen{blocked: "private network"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := open
			if c.plain {
				base = closed
			}
			if c.q.path == "" {
				c.q.path = "/things"
			}
			got := browser(t, base, c.q)
			if got.blocked != c.want.blocked || got.status != c.want.status || got.sent != c.want.sent || got.maxAge != c.want.maxAge || !slices.Equal(got.headers, c.want.headers) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}
