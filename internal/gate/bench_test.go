package gate_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/portreeve/portreeve/internal/gate"
	"github.com/portreeve/portreeve/internal/gate/audit"
	"github.com/portreeve/portreeve/internal/ledger"
)

// A user with an owner, a permission and a masked field: every stage of the chain has something to do.
const benchDocument = `
openapi: 3.1.0
info: {title: Users, version: "1"}
security: [{bearer: ["users:read"]}, {api_key: ["users:read"]}]
paths:
  /users/{id}:
    get:
      operationId: user
      x-portreeve: {permission: "users:read", object: {type: User, owner: $request.path.id, access: fields}}
      parameters:
        - {name: id, in: path, required: true, schema: {type: integer, minimum: 1}}
        - {name: limit, in: query, schema: {type: integer, maximum: 100}}
      responses:
        "200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/User"}}}}
components:
  schemas:
    User:
      type: object
      required: [id, name]
      properties:
        id: {type: integer}
        name: {type: string, maxLength: 100}
        email: {type: string, x-portreeve: {permission: "users:read:email", owner_may: true}}
        phone: {type: string, x-portreeve: {class: personal, mask: last4, unmask: "users:read:phone"}}
        ssn: {type: string, x-portreeve: {class: personal, permission: "users:read:ssn"}}
        notes: {type: array, items: {type: object, properties: {at: {type: string}, text: {type: string}}}}
`

const benchConfig = `
version: 1
document: openapi.yaml
upstream: {url: $UPSTREAM}
roles: {staff: ["users:read"]}
limits: {address: 1000000000/1m, principal: 1000000000/1m}
cors: {allow_origins: ["https://app.test"]}
`

var benchBody = func() string {
	s := `{"id":7,"name":"Alice Example","email":"alice@example.test","phone":"+49 170 1234567","ssn":"123-45-6789","debug":true,"notes":[`
	for i := 0; len(s) < 940; i++ {
		if i > 0 {
			s += ","
		}
		s += `{"at":"2026-11-02T10:00:00Z","text":"a note of some length"}`
	}
	return s + "]}"
}()

// spooled is a ledger that writes events nowhere: the chain alone is measured, encoding included.
type spooled struct {
	mu sync.Mutex
	b  []byte
}

func (s *spooled) Enqueue(e *ledger.Event) bool {
	s.mu.Lock()
	s.b = e.Encode(s.b[:0])
	s.mu.Unlock()
	return true
}

func (s *spooled) Append(_ context.Context, e *ledger.Event) error {
	s.Enqueue(e)
	return nil
}

// inMemory answers with one body, without a network.
type inMemory struct{ body string }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: int64(len(m.body)),
		Header: http.Header{"Content-Type": {"application/json"}, "Date": {"Mon, 02 Nov 2026 10:00:00 GMT"}}, Body: io.NopCloser(strings.NewReader(m.body))}, nil
}

func (m inMemory) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = []string{"application/json"}
	io.WriteString(w, m.body)
}

// discard is a client that takes everything and keeps the last status.
type discard struct {
	header http.Header
	status int
	bytes  int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(s int)   { d.status = s }
func (d *discard) Write(p []byte) (int, error) {
	d.bytes += len(p)
	return len(p), nil
}

// chain returns a function that serves one request, and holds once that it does what it should.
func chain(t testing.TB, how, credential string) func() {
	w := newWorld(t, settings{document: benchDocument, config: benchConfig, people: "user alice subject=7 roles=staff\nkey alice owner=7 roles=staff scopes=users:read"})
	rt, err := gate.NewRuntime(gate.Lent{Ledger: new(spooled), Metrics: audit.NewMetrics(prometheus.NewRegistry()), Clock: w.clock, Directory: w.d.Directory, Signer: w.d.Signer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rt.Close)
	g, err := gate.New(w.d.Gate.Plan(), rt)
	if err != nil {
		t.Fatal(err)
	}
	var h http.Handler = g
	if how == "wrap" {
		h = g.Wrap(inMemory{benchBody})
	} else if err := g.Use(inMemory{benchBody}); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest("GET", "http://api.test/users/7?limit=5", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.RequestURI, r.RemoteAddr = "/users/7?limit=5", "192.0.2.1:4711"
	r.Header = http.Header{"User-Agent": {"bench/1"}, "Accept": {"application/json"}, "Accept-Encoding": {"gzip"}}
	if credential == "jwt" {
		r.Header["Authorization"] = []string{w.expand("Bearer {{token alice}}")}
	} else {
		r.Header["X-Api-Key"] = []string{w.expand("{{key alice}}")}
	}
	c := &discard{header: http.Header{}}
	serve := func() {
		c.bytes, c.status = 0, 0
		clear(c.header)
		h.ServeHTTP(c, r)
	}
	serve()
	want := len(`,"ssn":"123-45-6789","debug":true`) + len("+49 170 1234567") - len("****4567")
	if got := len(benchBody) - c.bytes; c.status != 200 || got != want {
		t.Fatalf("got %d and %d bytes less, want %d", c.status, got, want)
	}
	return serve
}

var chains = []struct {
	how, credential string
	ceiling         float64 // allocations of one exchange
}{
	{"proxy", "jwt", 100},
	{"proxy", "key", 90},
	{"wrap", "jwt", 76},
	{"wrap", "key", 62},
}

// BenchmarkChain is the chain alone: no network, no disk, one held answer of 1 kB that loses two fields and has one
// masked.
func BenchmarkChain(b *testing.B) {
	for _, c := range chains {
		b.Run(c.how+"/"+c.credential, func(b *testing.B) {
			serve := chain(b, c.how, c.credential)
			b.ReportAllocs()
			b.SetBytes(int64(len(benchBody)))
			for b.Loop() {
				serve()
			}
		})
	}
}

// Allocations of an exchange stay below a ceiling: what raises it is a change to be thought about.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates by itself")
	}
	for _, c := range chains {
		got := testing.AllocsPerRun(500, chain(t, c.how, c.credential))
		t.Logf("%s %s: %v", c.how, c.credential, got)
		if got > c.ceiling {
			t.Errorf("%s %s: %v allocations, at most %v", c.how, c.credential, got, c.ceiling)
		}
	}
}
