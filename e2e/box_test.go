package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// foreigners are pinned, so that a new version of one is never what makes a run differ.
var foreigners = []string{"@stoplight/prism-cli@5.14.2", "ajv@8.20.0", "ajv-formats@3.0.1"}

// prismKey is what the mock's document asks for: prism refuses whoever shows no credential.
const prismKey = "Bearer of-the-upstream"

// upstream stands where the foreign API would be: its paths begin with /2.0, which prism's mock does not know. It keeps
// what arrived, and hands on to the mock.
type upstream struct {
	proxy *httputil.ReverseProxy

	mu      sync.Mutex
	arrived []string // method and path
	faults  []string
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/2.0/")
	u.mu.Lock()
	u.arrived = append(u.arrived, r.Method+" /"+rest)
	if !ok {
		u.faults = append(u.faults, "a path without the base path arrived: "+r.URL.EscapedPath())
	}
	if got := r.Header.Values("Authorization"); len(got) != 1 || got[0] != prismKey {
		u.faults = append(u.faults, fmt.Sprintf("%d Authorization headers arrived, or not the upstream's own", len(got)))
	}
	u.mu.Unlock()
	r.URL.RawPath = "/" + rest
	r.URL.Path, _ = url.PathUnescape("/" + rest)
	u.proxy.ServeHTTP(w, r)
}

func (u *upstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.arrived)
}

// judge is ajv, which says what follows the document's schemas.
type judge struct {
	in  io.Writer
	out *bufio.Scanner
}

func openJudge(t *testing.T, modules, document string) *judge {
	script, err := filepath.Abs("testdata/judge.js")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", script, document)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("judge.js: %v\n%s", err, &errs)
		}
	})
	return &judge{in, bufio.NewScanner(out)}
}

// fits says whether a JSON text follows one of the schemas, and else what is wrong by the last.
func (j *judge) fits(t *testing.T, text []byte, schemas ...string) (bool, string) {
	t.Helper()
	var errs string
	for _, at := range schemas {
		question, err := json.Marshal(map[string]any{"at": at, "value": json.RawMessage(text)})
		if err != nil {
			return false, "no JSON: " + err.Error()
		}
		if _, err := j.in.Write(append(question, '\n')); err != nil {
			t.Fatal(err)
		}
		if !j.out.Scan() {
			t.Fatalf("judge.js gave no answer: %v", j.out.Err())
		}
		var answer struct {
			Valid  bool
			Errors string
		}
		if err := json.Unmarshal(j.out.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		if answer.Valid {
			return true, ""
		}
		errs = answer.Errors
	}
	return false, errs
}

// box is a gate before prism's mock of a document that nobody here wrote.
type box struct {
	document openAPI
	wire     map[string][]operation // by method and path as they are on the wire
	judge    *judge
	upstream *upstream
	mock     string // prism's URL
	gate     string
	token    string
	client   *http.Client
}

func openBox(t *testing.T) *box {
	path := vectors(t, "documents/box.json")
	modules := npm(t, "prism", foreigners...)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := &box{upstream: &upstream{}, client: &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if err := json.Unmarshal(text, &b.document.root); err != nil {
		t.Fatal(err)
	}

	b.wire = map[string][]operation{}
	for _, o := range b.document.operations() {
		b.wire[o.onWire()] = append(b.wire[o.onWire()], o)
	}
	b.judge = openJudge(t, modules, path)

	mockAddress := freeAddress(t)
	host, port, err := net.SplitHostPort(mockAddress)
	if err != nil {
		t.Fatal(err)
	}
	b.mock = "http://" + mockAddress
	mock := start(t, t.TempDir(), filepath.Join(modules, ".bin", "prism"), "mock", "--host", host, "--port", port, path)
	mock.awaitAnswer(t, b.mock+"/")

	target, err := url.Parse(b.mock)
	if err != nil {
		t.Fatal(err)
	}
	b.upstream.proxy = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	api := httptest.NewServer(b.upstream)
	t.Cleanup(api.Close)

	dir, public, admin := t.TempDir(), freeAddress(t), freeAddress(t)
	write(t, filepath.Join(dir, "upstream.key"), prismKey)
	write(t, filepath.Join(dir, "portreeve.yaml"), fmt.Sprintf(`version: 1
listen: %q
admin: {listen: %q}
document: %q
upstream:
  url: %q
  base_path: /2.0
  headers: {Authorization: {file: upstream.key}}
identity:
  embedded: {enabled: true}
  schemes: {OAuth2Security: embedded}
roles: {user: ["box:use"]}
limits: {address: 100000/1m, principal: 100000/1m}
`, public, admin, path, api.URL))
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	gate := start(t, dir, bin, "serve", "--config", "portreeve.yaml")
	gate.awaitAnswer(t, "http://"+admin+"/readyz", http.StatusOK)
	t.Cleanup(func() {
		if err := gate.stop(t); err != nil {
			t.Errorf("serve: %v", err)
		}
		if strings.Contains(gate.said(), "DATA RACE") {
			t.Errorf("serve has a data race:\n%s", gate.said())
		}
	})
	b.gate = "http://" + public
	run(t, dir, "", "user", "add", "alice", "--role", "user")
	b.token = run(t, dir, "", "token", "issue", "alice")
	return b
}

// ask sends a call to a server and returns status and body.
func (b *box) ask(t *testing.T, c *call, base, authorization string) (int, []byte) {
	t.Helper()
	req, err := c.request(base)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, []byte("cut: " + err.Error())
	}
	return resp.StatusCode, body
}

// valid finds a call that others take for valid: prism the whole, ajv the body.
func (b *box) valid(t *testing.T, o operation) *call {
	for _, how := range []struct{ examples, optional bool }{{true, true}, {false, true}, {true, false}, {false, false}} {
		c, err := b.document.call(o, how.examples, how.optional)
		if err != nil {
			return nil
		}
		if status, _ := b.ask(t, c, b.mock, prismKey); status < 200 || status >= 400 {
			continue
		}
		if c.contentType == "" || c.form != nil || b.bodyFits(t, c, o) {
			return c
		}
	}
	return nil
}

// bodyFits reports whether a JSON body follows the schema of one of the operations.
func (b *box) bodyFits(t *testing.T, c *call, of ...operation) bool {
	text, err := json.Marshal(c.json)
	if err != nil {
		t.Fatal(err)
	}
	var schemas []string
	for _, o := range of {
		if content, ok := o.body["content"].(map[string]any); ok && content[c.contentType] != nil {
			schemas = append(schemas, o.pointer()+"/requestBody/content/"+escape(c.contentType)+"/schema")
		}
	}
	ok, _ := b.judge.fits(t, text, schemas...)
	return ok
}

// faulty reports whether others see the fault of a mutation too. What is undeclared is a fault by Portreeve's own rule:
// OpenAPI leaves it open. A body that another operation of the same request takes is no fault.
func (b *box) faulty(t *testing.T, m mutation) bool {
	if strings.HasPrefix(m.kind, "undeclared") {
		return true
	}
	if m.json != nil && strings.HasPrefix(m.what, "body ") {
		return !b.bodyFits(t, m.call, b.wire[m.onWire()]...)
	}
	status, _ := b.ask(t, m.call, b.mock, prismKey)
	return status >= 400
}

// judged is what ajv says of the mock's answer to a call; known is false where the document has no schema for it.
func (b *box) judged(t *testing.T, c *call) (fits, known bool, errs string) {
	status, body := b.ask(t, c, b.mock, prismKey)
	var schemas []string
	for _, o := range b.wire[c.onWire()] {
		if at := b.document.answerSchema(o, status); at != "" {
			schemas = append(schemas, at)
		}
	}
	if len(schemas) == 0 || len(body) == 0 {
		return false, false, ""
	}
	fits, errs = b.judge.fits(t, body, schemas...)
	return fits, true, errs
}

// tally counts what came out, by kind.
type tally map[string]int

func (n tally) String() string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, n[k]))
	}
	return strings.Join(parts, ", ")
}

// TestForeignDocument puts the gate before an API that only its document knows. For every operation of it, a call that
// others take for valid passes, each call with one thing wrong is refused without reaching the API, and an answer is
// withheld exactly where it breaks the document.
func TestForeignDocument(t *testing.T) {
	b := openBox(t)
	passed, withheld, refused, notTried, answers := 0, 0, tally{}, tally{}, tally{}
	for _, o := range b.document.operations() {
		if o.elsewhere {
			notTried["served elsewhere"]++
			continue
		}
		c := b.valid(t, o)
		if c == nil {
			notTried["no call that prism and ajv take"]++
			continue
		}
		before := b.upstream.count()
		status, body := b.ask(t, c, b.gate, "Bearer "+b.token)
		if b.upstream.count()-before != 1 {
			t.Errorf("%s %s: a valid call was refused with %d: %s", o.method, o.path, status, clip(body))
			continue
		}
		fits, known, errs := b.judged(t, c)
		switch {
		case known && !fits:
			// What the mock answers is an example of the document, and not every example follows it.
			if status != http.StatusBadGateway {
				t.Errorf("%s %s: an answer that breaks the document left with %d: %s", o.method, o.path, status, errs)
			}
			withheld++
		case status < 200 || status >= 400:
			t.Errorf("%s %s: a valid call with a valid answer got %d: %s", o.method, o.path, status, clip(body))
			continue
		}
		passed++
		answers[fmt.Sprint(status)]++

		if status, _ := b.ask(t, c, b.gate, ""); status != http.StatusUnauthorized {
			t.Errorf("%s %s: without a credential it got %d", o.method, o.path, status)
		}
		for _, m := range b.document.mutations(c) {
			if !b.faulty(t, m) { // another branch of the schema allows it
				notTried["faults that nobody sees"]++
				continue
			}
			before := b.upstream.count()
			status, body := b.ask(t, m.call, b.gate, "Bearer "+b.token)
			if n := b.upstream.count() - before; status != http.StatusBadRequest || n != 0 {
				t.Errorf("%s %s: %s (%s): got %d, and %d requests reached the API: %s", o.method, o.path, m.kind, m.what, status, n, clip(body))
				continue
			}
			if !bytes.Contains(body, []byte(`"reason":"invalid_request"`)) {
				t.Errorf("%s %s: %s: %s", o.method, o.path, m.kind, clip(body))
			}
			refused[m.kind]++
		}
	}
	for _, fault := range b.upstream.faults {
		t.Error(fault)
	}
	total := 0
	for _, n := range refused {
		total += n
	}
	t.Attr("passed", fmt.Sprintf("a valid call of each of %d operations (answers: %v; %d answers withheld, for the mock itself broke the document)", passed, answers, withheld))
	t.Attr("refused", fmt.Sprintf("%d invalid calls (%v)", total, refused))
	t.Attr("untried", notTried.String())
	if passed < 30 || total < 30 {
		t.Errorf("the sample is too small: %d operations, %d refusals", passed, total)
	}
	for _, kind := range []string{"wrong type", "missing required", "not in the enum", "undeclared parameter", "undeclared property"} {
		if refused[kind] == 0 {
			t.Errorf("no call with the fault %q was tried", kind)
		}
	}
}

func clip(b []byte) []byte { return b[:min(len(b), 300)] }
