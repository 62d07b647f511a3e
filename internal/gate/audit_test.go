package gate_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const oneOperation = `
openapi: 3.1.0
info: {title: Things, version: "1"}
paths:
  /things:
    get: {operationId: list, security: [{api_key: []}], responses: {"204": {description: ok}}}
    post: {operationId: create, security: [{api_key: []}], responses: {"204": {description: ok}}}
`

const plainConfig = `
version: 1
document: openapi.yaml
upstream: {url: $UPSTREAM}
`

// When the ledger cannot be written, what must be recorded first does not happen; what need not be goes on.
//
//threat:39 a ledger that cannot be written → what must be recorded does not happen
func TestNothingUnrecordedHappens(t *testing.T) {
	for _, wrap := range []bool{false, true} {
		w := newWorld(t, settings{document: oneOperation, config: plainConfig, people: "key svc owner=robot", wrap: wrap,
			answers: "GET /things\n204\n---\nPOST /things\n204\n"})
		post := "POST /things HTTP/1.1\r\nHost: a\r\nX-API-Key: {{key svc}}\r\nContent-Length: 0\r\n\r\n"
		if status, _, _ := w.exchange(post); status != 204 {
			t.Fatalf("with a ledger: %d", status)
		}
		if err := w.d.Ledger.Close(); err != nil {
			t.Fatal(err)
		}
		w.upstream.arrivals()
		status, h, body := w.exchange(post)
		if status != 503 || h.Get("Retry-After") != "5" || !strings.Contains(body, `"reason":"unavailable"`) {
			t.Errorf("without: %d %v %s", status, h, body)
		}
		if seen := w.upstream.arrivals(); len(seen) > 0 {
			t.Errorf("the API was called unrecorded: %v", seen)
		}
		if status, _, _ := w.exchange(strings.Replace(post, "POST", "GET", 1)); status != 204 {
			t.Errorf("reading: %d", status)
		}
	}
}

// exchange sends raw bytes over a new connection and reads one answer.
func (w *world) exchange(raw string) (int, http.Header, string) {
	w.t.Helper()
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(deadline))
	if _, err := io.WriteString(c, w.expand(raw)); err != nil {
		w.t.Fatal(err)
	}
	method, _, _ := strings.Cut(raw, " ")
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// Refusals beyond ten a second are counted: none is lost, and nobody fills the disk by being refused.
//
//threat:21 a flood of refusals → counted in few events; none is lost and nobody fills the disk
func TestRefusalsBeyondTenASecondAreCounted(t *testing.T) {
	w := newWorld(t, settings{document: oneOperation, config: plainConfig})
	// Addresses of one /64 are one caller here too.
	for i := range 50 {
		w.comeFrom(fmt.Sprintf("2001:db8::%x", i+1))
		if status, _, _ := w.exchange("GET /things HTTP/1.1\r\nHost: a\r\n\r\n"); status != 401 {
			t.Fatalf("got %d", status)
		}
	}
	w.comeFrom("192.0.2.1")
	w.exchange("GET /things HTTP/1.1\r\nHost: a\r\n\r\n")
	told, counted, others := 0, 0, 0
	eventually(t, "all refusals are told or counted", func() bool {
		for _, e := range w.events() {
			switch {
			case e.Source.IP == "192.0.2.1":
				others++
			case e.Unmapped.Phase == "summary":
				counted += e.Count
				if e.Unmapped.Reason != "credential_missing" || e.API.Operation != "list" || e.Count == 0 {
					t.Errorf("a summary says %+v", e)
				}
			default:
				told++
			}
		}
		return told+counted == 50
	})
	if told != 10 || others != 1 {
		t.Errorf("told %d, counted %d, of another address %d", told, counted, others)
	}
}

// Secrets that are sent in every place a request has, and those that the API answers with, stand in no event, no log, no
// metric, and in no refusal.
//
//threat:19 keys, tokens, cookies and secrets of the configuration, in good requests and bad → no log, ledger, metric or refusal repeats one
func TestSecretsAreNowhere(t *testing.T) {
	document := `
openapi: 3.1.0
info: {title: Things, version: "1"}
paths:
  /things/{id}:
    post:
      operationId: create
      security: [{bearer: []}, {api_key: []}]
      parameters: [{name: id, in: path, required: true, schema: {type: string, maxLength: 40}}, {name: q, in: query, schema: {type: string}}, {name: X-H, in: header, schema: {type: string}}]
      requestBody: {content: {application/json: {schema: {type: object, properties: {a: {type: string}, n: {type: integer}}}}, application/x-www-form-urlencoded: {schema: {type: object, properties: {a: {type: string}}}}}}
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object, required: [id], properties: {id: {type: integer}}}}}}}
`
	w := newWorld(t, settings{document: document, config: plainConfig, people: "key svc owner=robot\nuser alice", answers: `POST /things/good
200
Content-Type: application/json

{"id":1,"secret":"CANARY-answer-undeclared"}
---
POST /things/bad
200
Content-Type: application/json

{"id":"CANARY-answer-bad","CANARY-answer-name":1}
---
POST /things/crash
500
X-Debug: CANARY-answer-header
Content-Type: text/plain

CANARY-answer-crash
---
POST /things/broken
200
Content-Type: application/json

{"id":CANARY-answer-broken
`})
	body := func(s string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(s), s) }
	head := "Host: CANARY-host\r\nCookie: session=CANARY-cookie\r\nX-Other: CANARY-header\r\nX-H: CANARY-declared-header\r\nReferer: http://CANARY-referer/\r\n" +
		"X-Forwarded-For: CANARY-forwarded\r\nPortreeve-Subject: CANARY-subject\r\nOrigin: https://CANARY-origin\r\n"
	key, json := "X-API-Key: {{key svc}}\r\n", "Content-Type: application/json\r\n"
	for _, raw := range []string{
		"POST /things/good?q=CANARY-query HTTP/1.1\r\n" + head + key + json + body(`{"a":"CANARY-body"}`),
		"POST /things/bad HTTP/1.1\r\n" + head + key + json + body(`{"a":"CANARY-body"}`),
		"POST /things/crash HTTP/1.1\r\n" + head + key + json + body(`{"a":"CANARY-body"}`),
		"POST /things/broken HTTP/1.1\r\n" + head + key + json + body(`{"a":"CANARY-body"}`),
		"POST /things/good?CANARY-query=1&q=CANARY-query HTTP/1.1\r\n" + head + key + json + body(`{"CANARY-body-name":"CANARY-body","n":"CANARY-body"}`),
		"POST /things/good HTTP/1.1\r\n" + head + key + json + body(`{"a":"CANARY-body`),
		"POST /things/good HTTP/1.1\r\n" + head + key + "Content-Type: application/x-www-form-urlencoded\r\n" + body("a=CANARY-form&b=CANARY-form"),
		"POST /things/good HTTP/1.1\r\n" + head + key + "Content-Type: text/CANARY-type\r\n" + body("CANARY-body"),
		"POST /things/CANARY-path-that-is-much-longer-than-any-id-may-be HTTP/1.1\r\n" + head + key + json + body("{}"),
		"POST /things/good HTTP/1.1\r\n" + head + "Authorization: Bearer CANARY-token\r\n" + json + body("{}"),
		"POST /things/good HTTP/1.1\r\n" + head + "Authorization: Bearer {{token alice}}CANARY-token\r\n" + json + body("{}"),
		"POST /things/good HTTP/1.1\r\n" + head + "Authorization: Basic CANARY-basic\r\n" + json + body("{}"),
		"POST /things/good HTTP/1.1\r\n" + head + "X-API-Key: ptr_live_CANARY-key\r\n" + json + body("{}"),
		"POST /CANARY-path/unknown HTTP/1.1\r\n" + head + json + body("{}"),
		"GET /CANARY-path/%zz HTTP/1.1\r\n" + head + "\r\n",
		"CANARYMETHOD /things/good HTTP/1.1\r\n" + head + "\r\n",
	} {
		_, h, answer := w.exchange(raw)
		for _, word := range []string{"CANARY-body\"", "CANARY-answer", "CANARY-token", "CANARY-key", "CANARY-cookie", "CANARY-header", "CANARY-host", "CANARY-form", "CANARY-declared"} {
			if strings.Contains(answer, word) || strings.Contains(fmt.Sprint(h), word) {
				t.Errorf("%.40q: the answer repeats %s: %v %s", raw, word, h, answer)
			}
		}
	}
	if n := len(w.events()); n < 16 {
		t.Fatalf("only %d events", n)
	}
	w.keepsSecrets("CANARY")
}

// An upstream that does not speak HTTP says nothing into the gate's log.
func TestWhatIsNotHTTPIsNotRepeated(t *testing.T) {
	for _, answer := range []string{"HTTP/1.1 CANARY what\r\n\r\n", "CANARY\r\n\r\n", "HTTP/1.1 200 OK\r\nX-CANARY CANARY\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: CANARY\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: CANARY\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\nCANARY\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: CANARY\r\n\r\nCANARY"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					io.WriteString(c, answer)
				}
				c.Close()
			}
		}()
		w := newWorld(t, settings{document: strings.Replace(oneOperation, `"204": {description: ok}`, `"200": {description: ok, content: {text/plain: {}}}`, 1),
			config: strings.Replace(plainConfig, "$UPSTREAM", "http://"+l.Addr().String(), 1), people: "key svc owner=robot"})
		status := w.rawStatus("GET /things HTTP/1.1\r\nHost: a\r\nX-API-Key: {{key svc}}\r\n\r\n")
		if status != 502 && status != 0 {
			t.Errorf("%q: got %d", answer, status)
		}
		w.keepsSecrets("CANARY")
		if !strings.Contains(string(w.log.bytes()), "request failed") && status == 502 && !strings.Contains(answer, "101") {
			t.Errorf("%q: the log does not say that it failed", answer)
		}
		l.Close()
	}
}

// rawStatus is exchange where the answer may break off; 0 when nothing came.
func (w *world) rawStatus(raw string) int {
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(deadline))
	io.WriteString(c, w.expand(raw))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}
