package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
)

// collector takes OTLP over HTTP and reads it with the OpenTelemetry collector's own decoder.
type collector struct {
	t       *testing.T
	address string
	server  *http.Server

	mu  sync.Mutex
	seq []uint64
	bad []string
}

func (c *collector) start() {
	c.t.Helper()
	l, err := net.Listen("tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.address = l.Addr().String()
	c.server = &http.Server{Handler: c}
	go c.server.Serve(l)
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	q := plogotlp.NewExportRequest()
	if err == nil {
		err = q.UnmarshalJSON(body)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || r.URL.Path != "/v1/logs" || r.Header.Get("X-Tenant") != "gate" {
		c.bad = append(c.bad, fmt.Sprint(r.URL.Path, r.Header, err))
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, resource := range q.Logs().ResourceLogs().All() {
		if name, _ := resource.Resource().Attributes().Get("service.name"); name.Str() != "portreeve" {
			c.bad = append(c.bad, "service.name "+name.AsString())
		}
		for _, scope := range resource.ScopeLogs().All() {
			for _, record := range scope.LogRecords().All() {
				var e struct {
					Time   int64
					Ledger struct{ Seq uint64 }
				}
				seq, _ := record.Attributes().Get("portreeve.ledger.seq")
				if err := json.Unmarshal([]byte(record.Body().Str()), &e); err != nil || e.Ledger.Seq != uint64(seq.Int()) || record.Timestamp().AsTime().UnixMilli() != e.Time || record.SeverityNumber() == 0 {
					c.bad = append(c.bad, record.Body().AsString())
				}
				c.seq = append(c.seq, e.Ledger.Seq)
			}
		}
	}
}

func (c *collector) has(seq uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seq) > 0 && c.seq[len(c.seq)-1] >= seq
}

// An OpenTelemetry collector that goes away and comes back gets every event of the gate, in order; so it does when the gate
// is killed meanwhile.
func TestCollector(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"pong": true}`)
	}))
	defer api.Close()
	c := &collector{t: t, address: "127.0.0.1:0"}
	c.start()
	dir, listen, admin := t.TempDir(), freeAddress(t), freeAddress(t)
	write(t, filepath.Join(dir, "openapi.yaml"), `openapi: 3.1.0
info: {title: Ping, version: "1"}
paths:
  /ping:
    get:
      security: []
      responses: {"200": {description: Pong., content: {application/json: {schema: {type: object, properties: {pong: {type: boolean}}}}}}}
`)
	write(t, filepath.Join(dir, "portreeve.yaml"), fmt.Sprintf(`version: 1
document: openapi.yaml
listen: %q
admin: {listen: %q}
upstream: {url: %q}
audit: {sinks: [{name: collector, otlp: "http://%s", headers: {X-Tenant: gate}}]}
`, listen, admin, api.URL, c.address))
	ask := func(n int) {
		t.Helper()
		for range n {
			resp, err := http.Get("http://" + listen + "/ping")
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatal(resp, err)
			}
			resp.Body.Close()
		}
	}
	await := func(seq uint64) {
		t.Helper()
		for end := time.Now().Add(patience); !c.has(seq); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("line %d did not come", seq)
			}
		}
	}
	gate := start(t, dir, path, "serve")
	gate.awaitAnswer(t, "http://"+admin+"/readyz", http.StatusOK)
	ask(20)
	await(21) // the start is the first
	c.server.Close()
	ask(20)
	gate.Process.Kill()
	<-gate.ended
	c.start()
	gate = start(t, dir, path, "serve")
	gate.awaitAnswer(t, "http://"+admin+"/readyz", http.StatusOK)
	ask(20)
	if err := gate.stop(t); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.bad) > 0 {
		t.Fatalf("not what a collector takes: %q", c.bad)
	}
	next, twice := uint64(1), 0
	for _, seq := range c.seq {
		switch {
		case seq == next:
			next++
		case seq < next:
			twice++
		default:
			t.Fatalf("line %d came where %d belongs", seq, next)
		}
	}
	// Of those requests only that nobody was told of may be missing: events of GET are written together, after the answer.
	if next < 42 {
		t.Errorf("the collector has %d lines", next-1)
	}
	t.Logf("%d lines, %d of them twice", next-1, twice)
}
