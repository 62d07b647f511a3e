package gate_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// records is an API of versioned objects. What it does with If-Match, and between two calls, a test chooses.
type records struct {
	mu       sync.Mutex
	owner    map[string]string
	version  map[string]int
	writes   []string // "PUT 1 by 7 of 7": whose object it was when it was changed
	honours  bool
	weak     bool
	untagged bool
	behind   func(r *records, id string) // after a read was answered, as somebody beside the gate
	calls    atomic.Int64
}

func newRecords() *records {
	return &records{owner: map[string]string{"1": "7", "2": "8"}, version: map[string]int{"1": 1, "2": 1}, honours: true}
}

func (r *records) give(id, owner string) {
	r.owner[id], r.version[id] = owner, r.version[id]+1
}

func (r *records) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.calls.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	id := strings.TrimPrefix(q.URL.Path, "/records/")
	body, _ := io.ReadAll(q.Body)
	w.Header().Set("Content-Type", "application/json")
	if q.Method == http.MethodPost {
		id = fmt.Sprint(len(r.owner) + 1)
		r.give(id, "")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id":%s}`, id)
		return
	}
	owner, there := r.owner[id]
	if !there {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":"none"}`)
		return
	}
	tag := fmt.Sprintf(`"v%d"`, r.version[id])
	if q.Method == http.MethodGet {
		if !r.untagged {
			if r.weak {
				tag = "W/" + tag
			}
			w.Header().Set("ETag", tag)
		}
		fmt.Fprintf(w, `{"id":%s,"owner":"%s"}`, id, owner)
		if r.behind != nil {
			r.behind(r, id)
		}
		return
	}
	if m := q.Header.Get("If-Match"); m != "" && m != tag && r.honours {
		w.WriteHeader(http.StatusPreconditionFailed)
		io.WriteString(w, `{"error":"changed"}`)
		return
	}
	r.writes = append(r.writes, fmt.Sprintf("%s %s of %s %s", q.Method, id, owner, body))
	if q.Method == http.MethodDelete {
		delete(r.owner, id)
	} else {
		r.version[id]++
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *records) written() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.writes...)
}

const recordsDocument = `
openapi: 3.1.0
info: {title: Records, version: "1"}
security: [{bearer: []}]
paths:
  /records:
    post:
      operationId: make
      x-portreeve: {object: {type: Record, id: "$response.body#/id", source: ledger}}
      responses: {"201": {description: made, content: {application/json: {schema: {type: object, properties: {id: {type: integer}}}}}}}
  /records/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get:
      operationId: get
      x-portreeve: {object: {type: Record, owner: "$response.body#/owner"}}
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object, properties: {id: {type: integer}, owner: {type: string}}}}}}}
    put:
      operationId: put
      x-portreeve: {object: {type: Record, source: SOURCE}}
      requestBody: {content: {application/json: {schema: {type: object, properties: {text: {type: string}}}}}}
      responses:
        "204": {description: ok}
        "412": {description: changed, content: {application/json: {schema: {type: object, properties: {error: {type: string}}}}}}
    delete:
      operationId: remove
      x-portreeve: {object: {type: Record, DELETE}}
      responses:
        "204": {description: gone}
        "412": {description: changed, content: {application/json: {schema: {type: object, properties: {error: {type: string}}}}}}
`

func recordsWorld(t *testing.T, api http.Handler, source, remove, config string) *world {
	up := httptest.NewServer(api)
	t.Cleanup(up.Close)
	document := strings.NewReplacer("SOURCE", source, "DELETE", remove).Replace(recordsDocument)
	return newWorld(t, settings{document: document, config: "version: 1\ndocument: openapi.yaml\nupstream: {url: " + up.URL + ", timeout: 500ms}\n" + config,
		people: "user alice subject=7\nuser bob subject=8"})
}

func (w *world) change(method, path, who, body string) (int, string) {
	head := method + " " + path + " HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {{token " + who + "}}\r\n"
	if body != "" {
		head += fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	status, _, answer := w.exchange(head + "\r\n" + body)
	return status, answer
}

func (w *world) last(t *testing.T) event {
	t.Helper()
	all := w.events()
	if len(all) == 0 {
		t.Fatal("no event")
	}
	return all[len(all)-1]
}

func wants(t *testing.T, got int, want int, what string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d, not %d", what, got, want)
	}
}

// P2: a change is made to the very version that was judged.
func TestConditionalChangesMeetTheVersionThatWasJudged(t *testing.T) {
	api := newRecords()
	w := recordsWorld(t, api, "conditional", "source: conditional", "")
	status, _ := w.change("PUT", "/records/1", "alice", `{"text":"a"}`)
	wants(t, status, 204, "her own")
	if e := w.last(t); e.Unmapped.Source != "conditional" || e.Unmapped.Weak {
		t.Errorf("the event: %+v", e.Unmapped)
	}
	status, _ = w.change("PUT", "/records/2", "alice", `{"text":"a"}`)
	wants(t, status, 404, "his")
	// Between the look and the act it becomes somebody else's, always.
	api.mu.Lock()
	api.behind = func(r *records, id string) { r.give(id, "8") }
	api.mu.Unlock()
	status, _ = w.change("PUT", "/records/1", "alice", `{"text":"b"}`)
	wants(t, status, 412, "what changed hands")
	if got := api.written(); len(got) != 1 || got[0] != `PUT 1 of 7 {"text":"a"}` {
		t.Errorf("written: %v", got)
	}
}

// The same race without If-Match: what a prefetch lets through is exactly what changes hands in its window.
func TestPrefetchLetsThroughWhatChangesHandsInItsWindow(t *testing.T) {
	api := newRecords()
	w := recordsWorld(t, api, "prefetch", "source: prefetch", "")
	api.behind = func(r *records, id string) { r.give(id, "8") }
	status, _ := w.change("PUT", "/records/1", "alice", `{"text":"b"}`)
	wants(t, status, 204, "in the window")
	if got := api.written(); len(got) != 1 || !strings.HasPrefix(got[0], "PUT 1 of 8") {
		t.Errorf("written: %v", got)
	}
	if e := w.last(t); e.Unmapped.Source != "prefetch" || !e.Unmapped.Weak {
		t.Errorf("it is not called weak: %+v", e.Unmapped)
	}
	status, _ = w.change("PUT", "/records/1", "alice", `{"text":"c"}`)
	wants(t, status, 404, "afterwards")
}

// An API that takes a stale If-Match is found out by the first change, and nothing is promised for it any longer.
func TestAnAPIThatIgnoresIfMatchIsFoundOut(t *testing.T) {
	api := newRecords()
	api.honours = false
	w := recordsWorld(t, api, "conditional", "source: conditional", "")
	for range 2 {
		status, body := w.change("PUT", "/records/1", "alice", `{"text":"a"}`)
		wants(t, status, 502, "the condition is ignored")
		if strings.Contains(body, "If-Match") {
			t.Errorf("the client is told: %s", body)
		}
		if e := w.last(t); e.Unmapped.Reason != "precondition_ignored" {
			t.Errorf("reason %s", e.Unmapped.Reason)
		}
	}
	if got := api.written(); len(got) != 1 || !strings.HasPrefix(got[0], "PUT 1 of 7") { // the probe was the owner's own change
		t.Errorf("written: %v", got)
	}
}

func TestAVersionThatCannotBeAskedForIsRefused(t *testing.T) {
	for name, change := range map[string]func(*records){"a weak tag": func(r *records) { r.weak = true }, "no tag": func(r *records) { r.untagged = true }} {
		api := newRecords()
		change(api)
		w := recordsWorld(t, api, "conditional", "source: conditional", "")
		status, _ := w.change("DELETE", "/records/1", "alice", "")
		wants(t, status, 502, name)
		if e := w.last(t); e.Unmapped.Reason != "version_unknown" {
			t.Errorf("%s: %s", name, e.Unmapped.Reason)
		}
		if got := api.written(); len(got) != 0 {
			t.Errorf("%s: written %v", name, got)
		}
	}
}

// Two requests at once on one object, of which one takes it from the other: no change ever meets an object of another
// owner.
func TestTwoAtOnceOnOneObject(t *testing.T) {
	api := newRecords()
	w := recordsWorld(t, api, "conditional", "source: conditional", "")
	api.behind = func(r *records, id string) {
		if r.version[id]%3 == 0 {
			r.give(id, map[string]string{"7": "8", "8": "7"}[r.owner[id]])
		} else if len(r.writes)%2 == 0 {
			r.version[id]++
		}
	}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			who, me := "alice", "7"
			if i%2 == 1 {
				who, me = "bob", "8"
			}
			w.change("PUT", "/records/1", who, fmt.Sprintf(`{"text":"by %s"}`, me))
		})
	}
	wg.Wait()
	for _, line := range api.written() {
		var id, me, owner string
		fmt.Sscanf(line, "PUT %s of %s", &id, &owner)
		_, rest, _ := strings.Cut(line, "by ")
		if me, _, _ = strings.Cut(rest, `"`); me != owner {
			t.Errorf("a foreign write: %s", line)
		}
	}
}

// The ledger of owners learns from creations, outlives a restart, forgets what is gone.
func TestTheLedgerOfOwners(t *testing.T) {
	api := newRecords()
	w := recordsWorld(t, api, "ledger", "source: ledger", "")
	status, body := w.change("POST", "/records", "alice", "")
	wants(t, status, 201, "made: "+body)
	var made struct{ ID json.Number }
	if err := json.Unmarshal([]byte(body), &made); err != nil {
		t.Fatal(err)
	}
	path := "/records/" + made.ID.String()
	if e := w.last(t); e.field("object") != "Record:"+made.ID.String() || e.Unmapped.Source != "ledger" {
		t.Errorf("the event: %+v", e)
	}
	status, _ = w.change("PUT", path, "alice", `{"text":"a"}`)
	wants(t, status, 204, "her own")
	before := api.calls.Load()
	status, foreign := w.change("PUT", path, "bob", `{"text":"a"}`)
	wants(t, status, 404, "another's")
	status, absent := w.change("PUT", "/records/999", "bob", `{"text":"a"}`)
	wants(t, status, 404, "nobody's")
	status, _ = w.change("PUT", "/records/1", "alice", `{"text":"a"}`)
	wants(t, status, 404, "what was born elsewhere")
	if api.calls.Load() != before {
		t.Error("the API was asked")
	}
	if cutID(foreign) != cutID(absent) {
		t.Errorf("they differ:\n%s\n%s", foreign, absent)
	}
	// An API that gives one id twice takes nothing from its owner.
	api.mu.Lock()
	delete(api.owner, "2") // so that the next one made has an id that is taken
	api.mu.Unlock()
	status, _ = w.change("POST", "/records", "bob", "")
	wants(t, status, 502, "an id given twice")
	if e := w.last(t); e.Unmapped.Reason != "owner_conflict" {
		t.Errorf("reason %s", e.Unmapped.Reason)
	}
	status, _ = w.change("DELETE", path, "alice", "")
	wants(t, status, 204, "removed")
	status, _ = w.change("PUT", path, "alice", `{"text":"a"}`)
	wants(t, status, 404, "what is gone")
}

// cutID takes the request's own id out of a problem.
func cutID(body string) string {
	before, rest, _ := strings.Cut(body, `"instance":"`)
	_, after, _ := strings.Cut(rest, `"`)
	return before + after
}

// A decision point allows by a plain true in time and by nothing else.
func TestADecisionPoint(t *testing.T) {
	var answer atomic.Value
	var asked atomic.Value
	pdp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked.Store(r.Method + " " + r.URL.Path + " " + string(body))
		w.Header().Set("Content-Type", "application/json")
		switch a := answer.Load().(string); a {
		case "hang":
			<-r.Context().Done()
		case "500":
			w.WriteHeader(500)
			io.WriteString(w, `{"decision":true}`)
		case "text":
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, `{"decision":true}`)
		case "away":
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		default:
			io.WriteString(w, a)
		}
	}))
	defer pdp.Close()
	api := newRecords()
	w := recordsWorld(t, api, "pdp", "source: pdp", "decision_point: {url: "+pdp.URL+", timeout: 200ms}\n")
	for _, c := range []struct {
		answer string
		status int
		fine   string
	}{
		{`{"decision":true}`, 204, ""}, {`{"decision":true,"context":{"reason":"r"}}`, 204, ""},
		{`{"decision":false}`, 404, "not_permitted"}, {`{"decision":"true"}`, 503, "decision_point"}, {`{"decision":1}`, 503, "decision_point"}, {`{}`, 503, "decision_point"},
		{`{"decision":false,"decision":true}`, 503, "decision_point"}, {`true`, 503, "decision_point"}, {`{"decision":true`, 503, "decision_point"},
		{"hang", 503, "decision_point"}, {"500", 503, "decision_point"}, {"text", 503, "decision_point"}, {"away", 503, "decision_point"},
		{strings.Repeat(" ", 70<<10) + `{"decision":true}`, 503, "decision_point"},
	} {
		w.advance(2 * time.Second) // more than ten refusals a second are only counted
		answer.Store(c.answer)
		before := len(api.written())
		status, _ := w.change("PUT", "/records/1", "alice", `{"text":"a"}`)
		wants(t, status, c.status, c.answer[:min(40, len(c.answer))])
		if e := w.last(t); e.Unmapped.Reason != c.fine {
			t.Errorf("%.40s: reason %q", c.answer, e.Unmapped.Reason)
		}
		if wrote := len(api.written()) > before; wrote != (c.status == 204) {
			t.Errorf("%.40s: written %v", c.answer, wrote)
		}
	}
	want := `POST /access/v1/evaluation {"subject":{"type":"user","id":"7","properties":{"issuer":"embedded","roles":[]}},"action":{"name":"put","properties":{"method":"PUT"}},"resource":{"type":"Record","id":"1"},`
	if got := asked.Load().(string); !strings.HasPrefix(strings.Replace(got, `"roles":null`, `"roles":[]`, 1), want) {
		t.Errorf("asked %s", got)
	}
}

// What the API gives the caller as a list is the caller's; a list that cannot be read, is too large or does not come is
// nobody's.
func TestMembershipInTheCallersOwnList(t *testing.T) {
	var list atomic.Value
	var writes atomic.Int64
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method != http.MethodGet {
			writes.Add(1)
			w.WriteHeader(204)
			return
		}
		if !strings.Contains(r.Header.Get("Portreeve-Subject"), "7") {
			io.WriteString(w, `{"items":[]}`)
			return
		}
		switch l := list.Load().(string); l {
		case "hang":
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
		case "huge":
			io.WriteString(w, `{"items":[{"id":"1","x":"`+strings.Repeat("x", 5<<20)+`"}]}`)
		default:
			io.WriteString(w, l)
		}
	})
	up := httptest.NewServer(api)
	defer up.Close()
	w := newWorld(t, settings{people: "user alice subject=7\nuser bob subject=8", config: "version: 1\ndocument: openapi.yaml\nupstream: {url: " + up.URL + ", timeout: 500ms}\n", document: `
openapi: 3.1.0
info: {title: Lists, version: "1"}
security: [{bearer: []}]
paths:
  /mine:
    get:
      operationId: mine
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object}}}}}
  /things/{id}:
    delete:
      operationId: remove
      x-portreeve: {object: {type: Thing, source: list, read: mine, member: "$response.body#/items/*/id"}}
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {"204": {description: gone}}
`})
	for _, c := range []struct {
		list, who string
		status    int
	}{
		{`{"items":[{"id":"0"},{"id":"1"}]}`, "alice", 204}, {`{"items":[{"id":1}]}`, "alice", 204},
		{`{"items":[{"id":"1"}]}`, "bob", 404}, {`{"items":[]}`, "alice", 404}, {`{}`, "alice", 404}, {`{"items":{"id":"1"}}`, "alice", 404},
		{`{"items":[{"id":["1"]}]}`, "alice", 404}, {`{"items":[{"id":"1"}],"items":[]}`, "alice", 404}, {`<html>`, "alice", 404},
		{"hang", "alice", 504}, {"huge", "alice", 502},
	} {
		list.Store(c.list)
		before := writes.Load()
		status, _ := w.change("DELETE", "/things/1", c.who, "")
		wants(t, status, c.status, c.list)
		if wrote := writes.Load() > before; wrote != (c.status == 204) {
			t.Errorf("%s: written %v", c.list, wrote)
		}
	}
}

// What explain prints says by what it is decided, what of it is weak, and what is decided by nothing.
func TestExplainSaysByWhatItIsDecided(t *testing.T) {
	w := recordsWorld(t, newRecords(), "conditional", "source: prefetch", "")
	for path, want := range map[string]string{
		"GET /records/{id}":    "owner $response.body#/owner is the caller's subject, issuer embedded (source response)",
		"PUT /records/{id}":    "read by get and changed by If-Match (source conditional)",
		"DELETE /records/{id}": "(source prefetch), weak: it may change hands between the look and the act",
		"POST /records":        "the caller becomes its owner (source ledger)",
	} {
		method, template, _ := strings.Cut(path, " ")
		chain, err := w.d.Gate.Match(method, template)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range chain.Steps {
			if s.Stage == "object" && !strings.Contains(s.Rule, want) {
				t.Errorf("%s: %s", path, s.Rule)
			}
		}
	}
	w = newWorld(t, settings{document: wrapDocument, config: "version: 1\ndocument: openapi.yaml\n", next: http.NotFoundHandler()})
	chain, err := w.d.Gate.Match("GET", "/things/{id}")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range chain.Steps {
		if s.Stage == "object" && (!s.Absent || !strings.Contains(s.Rule, "unbound: $request.path.id")) {
			t.Errorf("unbound: %+v", s.Rule)
		}
	}
}

// The probe of a condition is the very change, its query too: where the API ignores the condition, dry_run must not be lost.
func TestAProbeOfAConditionIsTheSameRequest(t *testing.T) {
	var queries []string
	records := newRecords()
	records.honours = false
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			queries = append(queries, r.URL.RawQuery)
		}
		records.ServeHTTP(w, r)
	})
	up := httptest.NewServer(api)
	t.Cleanup(up.Close)
	document := strings.NewReplacer("SOURCE", "conditional", "{object: {type: Record, DELETE}}\n",
		"{object: {type: Record, source: conditional}}\n      parameters: [{name: dry_run, in: query, schema: {type: boolean}}]\n").Replace(recordsDocument)
	w := newWorld(t, settings{document: document, config: "version: 1\ndocument: openapi.yaml\nupstream: {url: " + up.URL + "}\n", people: "user alice subject=7"})
	status, _ := w.change("DELETE", "/records/1?dry_run=true", "alice", "")
	wants(t, status, 502, "the condition is ignored")
	if len(queries) != 1 || queries[0] != "dry_run=true" {
		t.Errorf("asked with %q", queries)
	}
}

// Who takes something off an object has not taken the object away.
func TestTheLedgerForgetsOnlyWhatIsGone(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, `{"id":5}`)
		case r.Method == http.MethodDelete && r.URL.Path != "/records/5/photo":
			w.WriteHeader(http.StatusNotFound) // there is no such tag
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(up.Close)
	document := strings.NewReplacer("SOURCE", "ledger", "DELETE", "source: ledger").Replace(recordsDocument) + `
  /records/{id}/photo:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    delete:
      operationId: unphoto
      x-portreeve: {object: {type: Record, id: $request.path.id, source: ledger}}
      responses: {"204": {description: gone}}
  /records/{id}/tags/{tag}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}, {name: tag, in: path, required: true, schema: {type: string}}]
    delete:
      operationId: untag
      x-portreeve: {object: {type: Record, id: $request.path.id, source: ledger}}
      responses: {"204": {description: gone}}
`
	w := newWorld(t, settings{document: document, config: "version: 1\ndocument: openapi.yaml\nupstream: {url: " + up.URL + "}\n", people: "user alice subject=7"})
	status, _ := w.change("POST", "/records", "alice", "")
	wants(t, status, 201, "made")
	status, _ = w.change("DELETE", "/records/5/photo", "alice", "")
	wants(t, status, 204, "its photo is gone")
	status, _ = w.change("DELETE", "/records/5/tags/none", "alice", "")
	wants(t, status, 404, "a tag that is not there")
	status, _ = w.change("PUT", "/records/5", "alice", `{"text":"a"}`)
	wants(t, status, 204, "it is still hers")
}
