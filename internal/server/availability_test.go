package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/ledger"
)

// quiet takes the limits away that a test with many requests of one address would meet.
const quiet = "limits: {address: 1000000/1m, principal: 1000000/1m}\n"

// text is an API that says ok, and counts.
func text(calls *atomic.Int64, before func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if before != nil {
			before()
		}
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "ok")
	})
}

// Hundreds of requests are on their way while the plan is changed again and again: each is answered, each once.
func TestReloadUnderLoad(t *testing.T) {
	const clients, reloads = 200, 6
	var calls atomic.Int64
	api := httptest.NewServer(text(&calls, func() { time.Sleep(time.Millisecond) }))
	defer api.Close()
	limits := strings.Replace(quiet, "{", "{connections: {address: 1000}, ", 1)
	s := start(t, api.URL, limits)
	tr := &http.Transport{MaxIdleConnsPerHost: clients}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}

	var stop atomic.Bool
	var answered atomic.Int64
	failures := make(chan string, clients)
	var wait sync.WaitGroup
	for i := range clients {
		wait.Go(func() {
			for !stop.Load() {
				var resp *http.Response
				var err error
				if i%2 == 0 {
					resp, err = client.Get(s.URL() + "/slow")
				} else { // a change is never sent again by anybody
					resp, err = client.Post(s.URL()+"/echo", "text/plain", strings.NewReader("hello"))
				}
				if err != nil {
					failures <- err.Error()
					return
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || string(b) != "ok" {
					failures <- fmt.Sprintf("%d %q %v", resp.StatusCode, b, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "openapi.yaml"), []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range reloads {
		until := answered.Load() + clients // all of them have gone on since the last
		for end := time.Now().Add(30 * time.Second); answered.Load() < until && len(failures) == 0 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		next := *s.plan // what only a start can change stays
		config := fmt.Sprintf("version: 1\ndocument: openapi.yaml\nupstream: {url: %q}\ncors: {allow_origins: [\"https://app%d.test\"]}\n", api.URL, i) + limits
		p, err := compile.LoadText("portreeve.yaml", []byte(config), dir, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		p.Server, p.Audit, p.Edge = next.Server, next.Audit, next.Edge
		if err := s.d.Reload(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if got := s.d.Gate.Plan().CORS.Origins; got[0] != fmt.Sprintf("https://app%d.test", i) {
			t.Fatalf("after reload %d the plan says %v", i, got)
		}
	}
	stop.Store(true)
	wait.Wait()
	close(failures)
	for f := range failures {
		t.Error(f)
	}
	if answered.Load() < clients*reloads || calls.Load() != answered.Load() {
		t.Errorf("%d answered, %d reached the API", answered.Load(), calls.Load())
	}
	t.Logf("%d requests over %d reloads, 0 failed", answered.Load(), reloads)
}

// health asks the administrator's listener.
func (r *running) health(t *testing.T) (status int, h struct {
	Status, Upstream string
	Calls            struct {
		Breaker string
		Limit   int
	}
}) {
	t.Helper()
	resp, err := http.Get(r.Admin() + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&h); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, h
}

// ask returns the status and the Retry-After of one request.
func (r *running) ask(t *testing.T) (int, string) {
	t.Helper()
	resp, err := http.Get(r.URL() + "/slow")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header.Get("Retry-After")
}

func awaited(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// An API dies and comes back: the gate says so everywhere, stops asking, and serves again by itself.
func TestDeadUpstreamComesBack(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	var calls atomic.Int64
	api := &http.Server{Handler: text(&calls, nil)}
	go api.Serve(l)
	s := start(t, "http://"+address+", breaker: {requests: 5, open: 300ms}", quiet)
	if code, _ := s.ask(t); code != 200 {
		t.Fatalf("got %d", code)
	}
	api.Close()
	awaited(t, "the breaker is open", func() bool {
		code, retry := s.ask(t)
		if code != 502 && code != 503 || code == 503 && retry == "" {
			t.Fatalf("a dead upstream gives %d, Retry-After %q", code, retry)
		}
		_, h := s.health(t)
		return h.Calls.Breaker == "open"
	})
	if code, h := s.health(t); code != 503 || h.Status != "unavailable" {
		t.Errorf("health is %d %+v", code, h)
	}
	if resp, err := http.Get(s.Admin() + "/readyz"); err != nil || resp.StatusCode != 503 {
		t.Errorf("readyz: %v %v", resp, err)
	}
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	back := &http.Server{Handler: text(&calls, nil)}
	go back.Serve(l)
	defer back.Close()
	awaited(t, "the API is served again", func() bool { code, _ := s.ask(t); return code == 200 })
	awaited(t, "all is well", func() bool { code, h := s.health(t); return code == 200 && h.Calls.Breaker == "closed" })

	var told []string
	awaited(t, "the ledger tells it", func() bool {
		told = nil
		err := ledger.Read(s.plan.Audit.Dir, func(_ string, _ int, line []byte) error {
			var e struct {
				Class    int `json:"class_uid"`
				Message  string
				Unmapped struct{ Verb string }
			}
			if err := json.Unmarshal(line, &e); err == nil && e.Unmapped.Verb == "upstream.breaker" {
				told = append(told, fmt.Sprint(e.Class, " ", e.Message))
			}
			return nil
		})
		return err == nil && strings.Contains(strings.Join(told, "\n"), "from half-open to closed")
	})
	if !strings.HasPrefix(told[0], "2004 from closed to open: ") {
		t.Errorf("the ledger tells %q", told)
	}
	resp, err := http.Get(s.Admin() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || strings.Contains(string(b), "portreeve_upstream_breaker_opened_total 0\n") || !strings.Contains(string(b), "portreeve_upstream_breaker_open 0\n") {
		t.Errorf("the metrics: %v\n%s", err, b)
	}
}

// A slow API is not asked by more and more who wait: after enough waited in vain the others are refused at once.
func TestSlowUpstream(t *testing.T) {
	var calls atomic.Int64
	hang := make(chan struct{})
	api := httptest.NewServer(text(&calls, func() { <-hang }))
	defer api.Close()
	defer close(hang)
	s := start(t, api.URL+", timeout: 200ms, breaker: {requests: 10, open: 10m}", quiet)
	var wait sync.WaitGroup
	var late, refused atomic.Int64
	for range 40 {
		wait.Go(func() {
			for range 5 {
				switch code, _ := s.ask(t); code {
				case 504:
					late.Add(1)
				case 503:
					refused.Add(1)
				default:
					t.Errorf("got %d", code)
				}
			}
		})
	}
	wait.Wait()
	// Forty were on their way when the first gave up; nobody after them is kept waiting.
	if late.Load() < 10 || late.Load() > 80 || refused.Load() < 100 || calls.Load() != late.Load() {
		t.Errorf("%d waited in vain, %d were refused, %d reached the API", late.Load(), refused.Load(), calls.Load())
	}
	before := calls.Load()
	if code, retry := s.ask(t); code != 503 || retry == "" || calls.Load() != before {
		t.Errorf("got %d, Retry-After %q", code, retry)
	}
}

// An API that works on few requests at once is pressed by many clients: the gate's own endpoints, and the
// administrator's, answer all the while, and what is admitted is answered.
func TestShedding(t *testing.T) {
	var calls atomic.Int64
	hang := make(chan struct{})
	api := httptest.NewServer(text(&calls, func() { <-hang }))
	defer api.Close()
	s := start(t, api.URL+", concurrency: {min: 8, max: 8}", quiet)
	var wait sync.WaitGroup
	var answered, shed atomic.Int64
	for range 60 {
		wait.Go(func() {
			switch code, retry := s.ask(t); {
			case code == 200:
				answered.Add(1)
			case code == 503 && retry != "":
				shed.Add(1)
			default:
				t.Errorf("got %d, Retry-After %q", code, retry)
			}
		})
	}
	awaited(t, "all places are taken and the others refused", func() bool { return calls.Load() == 6 && shed.Load() == 54 })
	for _, url := range []string{s.URL() + "/.portreeve/health", s.Admin() + "/livez", s.Admin() + "/readyz"} {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%s: %d under load", url, resp.StatusCode)
		}
	}
	close(hang)
	wait.Wait()
	if answered.Load() != 6 {
		t.Errorf("%d answered", answered.Load())
	}
	if code, _ := s.ask(t); code != 200 {
		t.Errorf("got %d afterwards", code)
	}
}
