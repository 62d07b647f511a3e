package attack

import (
	"context"
	"errors"
	"fmt"
	"io"
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

	"github.com/portreeve/portreeve/internal/finding"
)

// What a target does to keep a run from judging it ends in a clear word that nothing was decided: never in a clean report,
// never in a crash, and never in more than a few calls for nothing.
func TestHostileTargets(t *testing.T) {
	page := strings.Repeat("<html><body>Welcome</body></html>", 20)
	for _, c := range []struct {
		name     string
		handler  http.HandlerFunc
		want     string // in why it is undecided
		requests int64
	}{
		{"it hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "could be reached", 20},
		{"it hangs after the head", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "could be reached", 20},
		{"it answers a gigabyte", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `[{"id":"`)
			block := strings.Repeat("a", 1<<16)
			for range 1 << 14 {
				if _, err := io.WriteString(w, block); err != nil {
					return
				}
			}
		}, "could be reached", 120},
		{"it drops connections", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				conn.Close()
			}
		}, "could be reached", 20},
		{"it breaks off answers", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			io.WriteString(w, "{")
		}, "could be reached", 20},
		{"it limits everything", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}, "could be reached", 120},
		{"it is another API", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"hello":"world"}`)
		}, "could be reached", 120},
		{"it is a web site", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, page+r.URL.Path)
		}, "could be reached", 120},
		{"it knows nothing", http.NotFound, "could be reached", 160},
		{"it is always broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "could be reached", 160},
		{"it sends everybody elsewhere", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://192.0.2.1/", 302) }, "could be reached", 160},
		{"it answers nonsense", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, "\x00\xff{{{[")
		}, "could be reached", 160},
	} {
		t.Run(c.name, func(t *testing.T) {
			var requests atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				c.handler(w, r)
			}))
			defer server.Close()
			defer server.CloseClientConnections()
			o := start(t, "", false)
			o.Target, o.Direct, o.Patience = server.URL, "", 300*time.Millisecond
			r, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if why := Undecided(r); !strings.Contains(why, c.want) {
				t.Errorf("undecided: %q", why)
			}
			for _, f := range r.Findings {
				if r.Rule(f.Rule).Severity > finding.Low && f.Rule != errorLeak.ID {
					t.Errorf("found %s: %s", f.Rule, f.Message)
				}
			}
			if n := requests.Load(); n > c.requests {
				t.Errorf("%d calls were made for nothing", n)
			}
			everyOutcome(t, r)
		})
	}
	t.Run("nobody is there", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		o := start(t, "", false)
		o.Target, o.Direct = server.URL, ""
		r, err := Run(t.Context(), o)
		if err != nil || Undecided(r) == "" || len(r.Findings) > 0 {
			t.Errorf("%v, %q, %v", err, Undecided(r), r.Findings)
		}
	})
}

// everyOutcome holds that each attack says something of each operation, or of the target, with its reason.
func everyOutcome(t *testing.T, r *finding.Report) {
	t.Helper()
	of := map[string]int{}
	for _, o := range r.Outcomes {
		of[o.Rule]++
		if (o.Verdict == finding.Inconclusive || o.Verdict == finding.Skipped) && o.Reason == "" {
			t.Errorf("%s on %s is %s without a reason", o.Rule, o.Operation, o.Verdict)
		}
	}
	for _, a := range Attacks {
		want := r.Coverage.Declared
		if a.once != nil {
			want = 1
		}
		if of[a.ID] != want {
			t.Errorf("%s has %d outcomes, not %d", a.ID, of[a.ID], want)
		}
	}
}

// A target that limits requests for a moment is waited for, as it asks.
func TestBacksOff(t *testing.T) {
	o := start(t, "", false)
	var mu sync.Mutex
	seen := map[string]bool{}
	limited := 0
	inner := o.Target
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		first := !seen[r.URL.Path]
		seen[r.URL.Path] = true
		if first {
			limited++
		}
		mu.Unlock()
		if first {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		req, err := http.NewRequest(r.Method, inner+r.URL.RequestURI(), r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header = r.Header.Clone()
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	}))
	defer proxy.Close()
	o.Target = proxy.URL
	o.Only = []string{missingCredential.ID, bolaRead.ID, negativeInput.ID}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if limited < 10 || len(r.Coverage.NotReached) > 0 || len(r.Findings) > 0 || r.Count(finding.Inconclusive) > 0 {
		show(t, r)
		t.Errorf("limited %d times, and not whole after that", limited)
	}
}

// A run that is ended early still says what it found, and that it is not all.
func TestEndsEarly(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(o *Options, cancel context.CancelFunc)
		want string
	}{
		{"signal", func(o *Options, cancel context.CancelFunc) {
			o.Progress = func(done, _ int, _ string) {
				if done > 30 {
					cancel()
				}
			}
		}, "signal"},
		{"budget", func(o *Options, _ context.CancelFunc) { o.Budget, o.Rate = 300*time.Millisecond, 20 }, "budget"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := start(t, "missing-credential", false)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c.end(&o, cancel)
			r, err := Run(ctx, o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Interrupted != c.want || r.Count(finding.Inconclusive) == 0 || Undecided(r) == "" {
				t.Errorf("interrupted %q, %d inconclusive, %q", r.Interrupted, r.Count(finding.Inconclusive), Undecided(r))
			}
			if c.want == "signal" && len(r.Findings) == 0 {
				t.Error("what was found before is lost")
			}
			everyOutcome(t, r)
		})
	}
}

// The same seed makes the same choices.
func TestSeed(t *testing.T) {
	calls := func(seed int64) string {
		o := start(t, "", false)
		inner := o.Target
		var b strings.Builder
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(&b, "%s %s %s\n", r.Method, r.URL.RequestURI(), body)
			req, _ := http.NewRequest(r.Method, inner+r.URL.RequestURI(), strings.NewReader(string(body)))
			req.Header = r.Header.Clone()
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			for name, values := range resp.Header {
				w.Header()[name] = values
			}
			w.WriteHeader(resp.StatusCode)
			io.Copy(w, resp.Body)
		}))
		defer proxy.Close()
		o.Target, o.Seed = proxy.URL, seed
		if _, err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	one, same, other := calls(11), calls(11), calls(12)
	if one != same {
		a, b := strings.Split(one, "\n"), strings.Split(same, "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("call %d differs:\n%s\n%s", i, a[i], b[i])
			}
		}
		t.Fatalf("%d and %d calls", len(a), len(b))
	}
	if one == other || strings.Count(one, "\n") < 200 {
		t.Errorf("%d calls, and another seed makes the same: %v", strings.Count(one, "\n"), one == other)
	}
}

// Nothing that the run did not make is changed without leave, and what it made is gone at the end.
func TestLeavesNothing(t *testing.T) {
	for _, b := range []bend{"", "missing-credential", "bola-write", "negative-input"} {
		o := start(t, b, false)
		inner := o.Target
		made := map[string]bool{}
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			req, _ := http.NewRequest(r.Method, inner+r.URL.RequestURI(), r.Body)
			req.Header = r.Header.Clone()
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			id, isItem := strings.CutPrefix(r.URL.Path, "/notes/")
			switch {
			case r.Method == "POST" && r.URL.Path == "/notes" && resp.StatusCode == 201:
				_, rest, _ := strings.Cut(string(body), `"id":`)
				made[rest[:strings.IndexAny(rest, ",}")]] = true
			case isItem && r.Method == "DELETE" && resp.StatusCode == 204:
				delete(made, id)
			case isItem && (r.Method == "PUT" || r.Method == "DELETE") && !made[id] && resp.StatusCode < 300:
				t.Errorf("%q: %s %s changed what was not the run's", b, r.Method, r.URL.Path)
			}
			for name, values := range resp.Header {
				w.Header()[name] = values
			}
			w.WriteHeader(resp.StatusCode)
			w.Write(body)
		}))
		o.Target = proxy.URL
		o.Skip = []string{principalLimit.ID} // or nobody could clean up
		if _, err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		proxy.Close()
		if len(made) > 0 {
			t.Errorf("%q: %d notes are left behind: %v", b, len(made), made)
		}
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		target string
		allow  []string
		want   string
		ok     bool
	}{
		{"http://127.0.0.1:8080", nil, "http://127.0.0.1:8080", true},
		{"http://localhost/v1/", nil, "http://localhost/v1", true},
		{"http://[::1]:9/", nil, "http://[::1]:9", true},
		{"https://api.example.com/v1", []string{"api.example.com"}, "https://api.example.com/v1", true},
		{"https://api.example.com/v1", nil, "", false},
		{"https://api.example.com/v1", []string{"example.com"}, "", false},
		{"http://127.0.0.1.example.com", nil, "", false},
		{"http://user:pw@127.0.0.1/", nil, "", false},
		{"ftp://127.0.0.1/", nil, "", false},
		{"http://127.0.0.1/?a=b", nil, "", false},
		{"127.0.0.1:8080", nil, "", false},
		{"", nil, "", false},
	} {
		got, err := checkTarget(c.target, c.allow)
		if (err == nil) != c.ok || got != c.want {
			t.Errorf("%q with %v: %q, %v", c.target, c.allow, got, err)
		}
		if err != nil && !errors.Is(err, ErrOptions) {
			t.Errorf("%q: %v is no error of options", c.target, err)
		}
	}
	if _, err := Run(t.Context(), Options{Target: "http://127.0.0.1", Only: []string{"no-such"}, Promise: start(t, "", false).Promise}); !errors.Is(err, ErrOptions) {
		t.Errorf("an unknown attack: %v", err)
	}
}

func TestReadPeople(t *testing.T) {
	dir := t.TempDir()
	write := func(text string, mode os.FileMode) string {
		p := filepath.Join(dir, strconv.Itoa(len(text))+".yaml")
		if err := os.WriteFile(p, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	t.Setenv("SAMPLE_TOKEN", "tok-1")
	p, err := ReadPeople(write(`
identities:
  - {name: alice, role: user, user_id: 7, token: {env: SAMPLE_TOKEN}}
  - name: bob
    login: {path: /login, body: {user: bob, password: {env: SAMPLE_TOKEN}, n: 1}, token: /access/token}
tokens: {expired: [{env: SAMPLE_TOKEN}]}
`, 0o644))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := p.Identities[0], p.Identities[1]; a.Token != "tok-1" || a.UserID != "7" || b.Login.Method != "POST" || b.Login.Body["password"] != "tok-1" || p.Tokens.Expired[0] != "tok-1" {
		t.Errorf("read %+v", p)
	}
	p, err = ReadPeople(write(`- {name: alice, token: here-it-stands}`, 0o644))
	if err != nil || len(p.Warnings) != 1 || strings.Contains(p.Warnings[0], "here-it-stands") {
		t.Errorf("a secret for all to read: %v, %v", err, p)
	}
	p, err = ReadPeople(write(`- {name: alice, token: here-it-stands-too}`, 0o600))
	if err != nil || len(p.Warnings) != 0 {
		t.Errorf("a secret for its owner: %v, %v", err, p)
	}
	for _, bad := range []string{`{}`, `identities: 3`, `identities: [3]`, `identities: [{name: a}]`, `identities: [{token: x}]`, `identities: [{name: a, token: x}, {name: a, token: y}]`, `identities: [{name: a, tokn: x}]`, `identities: [{name: a, token: {env: SAMPLE_NONE}}]`,
		`identities: [{name: a, token: {file: /none, env: X}}]`, `identities: [{name: a, login: {path: x, token: /t}}]`, `identities: [{name: a, login: {path: /x, token: t}}]`, `identities: [{name: a, login: {paht: /x, token: /t}}]`,
		`identities: [{name: a, token: x}]` + "\n" + `tokens: {old: [x]}`, `identities: [{name: a, token: [x]}]`} {
		_, err := ReadPeople(write(bad, 0o600))
		var placed interface{ BadInput() bool }
		if !errors.As(err, &placed) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := ReadPeople(filepath.Join(dir, "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		value string
		try   int
		wait  time.Duration
		said  bool
	}{{"5", 1, 5*time.Second + 50*time.Millisecond, true}, {"0", 1, 50 * time.Millisecond, true}, {now.Add(time.Minute).Format(http.TimeFormat), 1, time.Minute + 50*time.Millisecond, true},
		{"", 1, time.Second, false}, {"", 3, 4 * time.Second, false}, {"soon", 2, 2 * time.Second, false}, {"-1", 1, time.Second, false}, {"99999999999", 1, time.Second, false}} {
		h := http.Header{"Retry-After": {c.value}}
		if wait, said := retryAfter(h, now, c.try); wait != c.wait || said != c.said {
			t.Errorf("%q, try %d: %s, %v", c.value, c.try, wait, said)
		}
	}
}
