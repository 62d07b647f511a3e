package gate_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/portreeve/portreeve/access"
)

const wrapDocument = `
openapi: 3.1.0
info: {title: Things, version: "1"}
paths:
  /things/{id}:
    get:
      operationId: thing
      security: [{bearer: []}]
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses:
        "200": {description: ok, content: {application/json: {schema: {type: object, properties: {id: {type: integer}}}}, text/plain: {}}}
    put:
      operationId: put
      security: [{bearer: []}]
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      requestBody: {content: {application/json: {schema: {type: object, properties: {a: {type: integer}}}}}}
      responses: {"204": {description: ok}}
`

func wrapped(t *testing.T, next http.HandlerFunc) *world {
	return newWorld(t, settings{document: wrapDocument, config: "version: 1\ndocument: openapi.yaml\n", people: "user alice subject=7", next: next})
}

const asAlice = " HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {{token alice}}\r\n"

//threat:43 a panic behind the gate → 500 without a word of it, and an event
func TestAPanicOfTheHandlerIsAProblemAndAnEvent(t *testing.T) {
	for name, next := range map[string]http.HandlerFunc{
		"at once": func(http.ResponseWriter, *http.Request) { panic("CANARY") },
		"within its answer": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"id":1,"CANARY":1`)
			panic(errors.New("CANARY"))
		},
		"as net/http aborts": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"id":1}`)
			panic(http.ErrAbortHandler)
		},
	} {
		w := wrapped(t, next)
		status, h, body := w.exchange("GET /things/1" + asAlice + "\r\n")
		if status != 500 || h.Get("Content-Type") != "application/problem+json" || !strings.Contains(body, `"reason":"unavailable"`) || strings.Contains(body, "CANARY") {
			t.Errorf("%s: %d %v %s", name, status, h, body)
		}
		if h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: an undressed head left: %v", name, h)
		}
		if e := w.events(); len(e) != 1 || e[0].String() != "request deny - panic 500" || e[0].field("subject") != "7" {
			t.Errorf("%s: events %v", name, e)
		}
	}
}

func TestAPanicAfterBytesHaveLeftCutsTheConnection(t *testing.T) {
	w := wrapped(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "half of it")
		w.(http.Flusher).Flush()
		panic("no more")
	})
	c := &client{world: w, title: "panic"}
	c.send([]string{"> GET /things/1", "> Authorization: Bearer {{token alice}}"})
	c.expect([]string{"< 200", "< cut"})
	c.close()
	if e := w.events(); len(e) != 1 || e[0].String() != "request deny - panic 200" {
		t.Errorf("events %v", e)
	}
}

// A handler gets a writer by which nothing passes the gate, and a request in its canonical form.
func TestWhatAHandlerIsGiven(t *testing.T) {
	w := wrapped(t, func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(http.Hijacker); ok {
			t.Error("it may hijack the connection")
		}
		if _, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
			t.Error("it may unwrap the writer")
		}
		if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
			t.Error("it may hijack by the controller")
		}
		if _, ok := w.(io.ReaderFrom); ok {
			t.Error("it may copy past the gate")
		}
		if _, ok := w.(http.Pusher); ok {
			t.Error("it may push")
		}
		p, ok := access.From(r.Context())
		if !ok || p.Subject != "7" || p.Kind != access.User || p.Scheme != "bearer" {
			t.Errorf("who calls: %+v %v", p, ok)
		}
		if r.Method == "HEAD" {
			t.Error("HEAD is not asked as GET")
		}
		if r.Method == "PUT" {
			if b, err := io.ReadAll(r.Body); err != nil || string(b) != `{"a":1}` || r.ContentLength != 7 {
				t.Errorf("body %q %d, %v", b, r.ContentLength, err)
			}
			w.WriteHeader(204)
			return
		}
		if r.RequestURI != "/things/~x" || r.URL.Path != "/things/~x" {
			t.Errorf("asked for %s, %s", r.RequestURI, r.URL.Path)
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "Portreeve") || strings.HasPrefix(name, "X-Forwarded") {
				t.Errorf("%s came through", name)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"id":1,"debug":true}`))
	})
	if status, _, body := w.exchange("GET /things/%7ex" + asAlice + "Portreeve-Subject: root\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"); status != 200 || body != `{"id":1}` {
		t.Errorf("GET: %d %s", status, body)
	}
	if status, h, _ := w.exchange("HEAD /things/~x" + asAlice + "\r\n"); status != 200 || h.Get("Content-Length") != "8" {
		t.Errorf("HEAD: %d %v", status, h)
	}
	if status, _, body := w.exchange("PUT /things/1" + asAlice + "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}"); status != 204 {
		t.Errorf("PUT: %d %s", status, body)
	}
}

// What a handler says after its head was judged, and what it writes after it returned, goes nowhere.
func TestLateWordsOfAHandlerGoNowhere(t *testing.T) {
	var late sync.WaitGroup
	release := make(chan struct{})
	w := wrapped(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/json")
		w.WriteHeader(200)
		h.Set("Content-Type", "text/html")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Server", "late/1")
		w.Write([]byte(`{"id":1}`))
		late.Go(func() {
			<-release
			for range 100 {
				if _, err := w.Write([]byte("late")); err == nil {
					t.Error("a write after the end was taken")
				}
				w.WriteHeader(500)
				w.(http.Flusher).Flush()
			}
		})
	})
	status, h, body := w.exchange("GET /things/1" + asAlice + "\r\n")
	w.settle()
	close(release)
	late.Wait()
	if status != 200 || body != `{"id":1}` || h.Get("Content-Type") != "application/json" || h.Get("Access-Control-Allow-Origin") != "" || h.Get("Server") != "" {
		t.Errorf("%d %v %s", status, h, body)
	}
}
