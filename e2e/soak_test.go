package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const soakDocument = `openapi: 3.1.0
info: {title: Notes, version: "1"}
paths:
  /notes/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: integer, minimum: 1}}
    get:
      operationId: readNote
      security: [{bearer: ["notes:read"]}]
      responses:
        "200":
          description: one note
          content:
            application/json:
              schema: {type: object, properties: {id: {type: integer}, text: {type: string}}}
    put:
      operationId: writeNote
      security: [{bearer: ["notes:write"]}]
      requestBody:
        required: true
        content:
          application/json:
            schema: {type: object, required: [text], properties: {text: {type: string, maxLength: 100000}}}
      responses: {"204": {description: written}}
`

// deed is one thing a client does, and the statuses it may get; 0 is no answer at all.
type deed struct {
	name string
	want []int
	do   func(ctx context.Context) (int, error)
}

// TestSoak keeps a gate under mixed load, reloading it all the while: every answer is the one that belongs to its
// request, no event is lost, and when the clients have gone nothing of them is left. PORTREEVE_SOAK says for how long.
func TestSoak(t *testing.T) {
	duration := 3 * time.Second
	if v := os.Getenv("PORTREEVE_SOAK"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			t.Fatalf("PORTREEVE_SOAK: %v", err)
		}
		duration = d
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id": %s, "text": "a note", "secret": "not declared"}`, r.URL.Path[len("/notes/"):])
	}))
	defer api.Close()

	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir, public, admin := t.TempDir(), freeAddress(t), freeAddress(t)
	write(t, filepath.Join(dir, "openapi.yaml"), soakDocument)
	write(t, filepath.Join(dir, "portreeve.yaml"), fmt.Sprintf(`version: 1
listen: %q
admin: {listen: %q}
document: openapi.yaml
upstream: {url: %q}
roles: {writer: ["notes:read", "notes:write"], reader: ["notes:read"]}
limits: {address: 100000000/1m, failures: 100000000/1m, principal: 100000000/1m}
`, public, admin, api.URL))
	gate := start(t, dir, bin, "serve")
	gate.awaitAnswer(t, "http://"+admin+"/readyz", http.StatusOK)
	token := func(user string) string { return run(t, dir, "", "token", "issue", user) }
	run(t, dir, "", "user", "add", "wendy", "--role", "writer")
	run(t, dir, "", "user", "add", "rolf", "--role", "reader")

	var tokens struct {
		sync.RWMutex
		writer, reader string
	}
	renew := func() {
		w, r := token("wendy"), token("rolf")
		tokens.Lock()
		tokens.writer, tokens.reader = w, r
		tokens.Unlock()
	}
	renew()
	held := func(reader bool) string {
		tokens.RLock()
		defer tokens.RUnlock()
		if reader {
			return tokens.reader
		}
		return tokens.writer
	}

	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	client := &http.Client{Transport: transport, Timeout: patience}
	base := "http://" + public
	ask := func(method, path, token, body string) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) {
			req, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body))
			if err != nil {
				return 0, err
			}
			if body != "" {
				req.Header.Set("Content-Type", "application/json")
			}
			switch token {
			case "writer":
				req.Header.Set("Authorization", "Bearer "+held(false))
			case "reader":
				req.Header.Set("Authorization", "Bearer "+held(true))
			case "":
			default:
				req.Header.Set("Authorization", "Bearer "+token)
			}
			resp, err := client.Do(req)
			if err != nil {
				return 0, err
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if strings.Contains(string(got), "not declared") {
				return 0, errors.New("an undeclared field left")
			}
			return resp.StatusCode, err
		}
	}
	large := `{"text": "` + strings.Repeat("a", 90000) + `"}`
	deeds := []deed{
		{"read", []int{200}, ask("GET", "/notes/7", "reader", "")},
		{"write", []int{204}, ask("PUT", "/notes/7", "writer", `{"text": "hello"}`)},
		{"write much", []int{204}, ask("PUT", "/notes/7", "writer", large)},
		{"write without permission", []int{403}, ask("PUT", "/notes/7", "reader", `{"text": "hello"}`)},
		{"no credential", []int{401}, ask("GET", "/notes/7", "", "")},
		{"bad credential", []int{401}, ask("GET", "/notes/7", "eyJhbGciOiJub25lIn0.e30.", "")},
		{"bad parameter", []int{400}, ask("GET", "/notes/seven", "reader", "")},
		{"bad body", []int{400}, ask("PUT", "/notes/7", "writer", `{"text": 7}`)},
		{"unknown path", []int{404}, ask("GET", "/secrets", "reader", "")},
		{"unknown method", []int{405}, ask("DELETE", "/notes/7", "writer", "")},
		{"half a request", []int{0}, func(ctx context.Context) (int, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", public)
			if err != nil {
				return 0, err
			}
			fmt.Fprintf(c, "PUT /notes/7 HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"text\"", public, held(false))
			return 0, c.Close()
		}},
		{"gone before the answer", []int{0, 200}, func(ctx context.Context) (int, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", public)
			if err != nil {
				return 0, err
			}
			fmt.Fprintf(c, "GET /notes/7 HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", public, held(true))
			return 0, c.Close()
		}},
	}
	for _, d := range deeds { // everything once, so that what is made on first use is not taken for a leak
		if status, err := d.do(t.Context()); err != nil || !contains(d.want, status) {
			t.Fatalf("%s: %d, %v", d.name, status, err)
		}
	}
	transport.CloseIdleConnections()
	before := settled(t, admin, gauges{})

	var done [32]atomic.Int64
	end := time.Now().Add(duration)
	var workers sync.WaitGroup
	for worker := range 4 {
		workers.Go(func() {
			for i := worker; time.Now().Before(end); i++ {
				d := deeds[i%len(deeds)]
				status, err := d.do(t.Context())
				if err != nil || !contains(d.want, status) {
					t.Errorf("%s: status %d, %v", d.name, status, err)
					return
				}
				done[i%len(deeds)].Add(1)
				time.Sleep(2 * time.Millisecond) // leaves the machine to others; decides nothing
			}
		})
	}
	reloads := 0
	for last := time.Now(); time.Now().Before(end); reloads++ {
		run(t, dir, "", "reload")
		if time.Since(last) > 5*time.Minute {
			renew()
			last = time.Now()
		}
		time.Sleep(min(time.Until(end), max(500*time.Millisecond, duration/100)))
	}
	workers.Wait()
	transport.CloseIdleConnections()

	after := settled(t, admin, before)
	total := int64(0)
	for i, d := range deeds {
		n := done[i].Load()
		total += n
		if n == 0 {
			t.Errorf("%s was never done", d.name)
		}
	}
	t.Attr("soak", fmt.Sprintf("%d requests in %v over %d reloads; goroutines %v → %v, descriptors %v → %v, resident %v → %v MiB", total, duration, reloads,
		before.goroutines, after.goroutines, before.descriptors, after.descriptors, int(before.resident)>>20, int(after.resident)>>20))
	if after.goroutines > before.goroutines+moreGoroutines {
		t.Errorf("goroutines: %v before, %v after", before.goroutines, after.goroutines)
	}
	if after.descriptors > before.descriptors+moreDescriptors {
		t.Errorf("descriptors: %v before, %v after", before.descriptors, after.descriptors)
	}
	if after.resident > before.resident+300<<20 {
		t.Errorf("resident bytes: %v before, %v after", before.resident, after.resident)
	}
	if after.lost != 0 {
		t.Errorf("%v events were lost", after.lost)
	}
	if after.events < before.events+float64(done[0].Load()+2*done[1].Load()+2*done[2].Load()) {
		t.Errorf("%v events before, %v after: fewer than the reads, and the intents and outcomes of writes", before.events, after.events)
	}
	if err := gate.stop(t); err != nil {
		t.Errorf("serve: %v", err)
	}
	if said := gate.said(); strings.Contains(said, "DATA RACE") || strings.Contains(said, "panic") {
		t.Error(said)
	}
}

func contains(all []int, n int) bool {
	for _, v := range all {
		if v == n {
			return true
		}
	}
	return false
}

// gauges are what a gate tells of itself at /metrics.
type gauges struct {
	goroutines, descriptors, resident, lost, events float64
}

// A connection to the API may stay open, with its goroutines, and so may what Go itself keeps.
const moreGoroutines, moreDescriptors = 10, 5

// settled reads the gauges when they have come down to about what they were, or after a while of their not doing so.
func settled(t *testing.T, admin string, before gauges) gauges {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		g := read(t, admin)
		if before == (gauges{}) || g.goroutines <= before.goroutines+moreGoroutines && g.descriptors <= before.descriptors+moreDescriptors || time.Now().After(end) {
			return g
		}
	}
}

func read(t *testing.T, admin string) gauges {
	t.Helper()
	resp, err := (&http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var g gauges
	named := map[string]*float64{"go_goroutines": &g.goroutines, "process_open_fds": &g.descriptors, "process_resident_memory_bytes": &g.resident,
		"portreeve_ledger_lost_total": &g.lost, "portreeve_ledger_events_total": &g.events}
	found := 0
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if at := named[name]; at != nil {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			*at = v
			found++
		}
	}
	if found != len(named) {
		t.Fatalf("%d of %d metrics found", found, len(named))
	}
	return g
}
