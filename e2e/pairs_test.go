package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// seen is one request as a foreign server has read it.
type seen struct {
	Method, URI, ID string
	Status          int
}

// server is a foreign HTTP server that tells what it reads.
type server struct {
	address string
	log     string // file; "" for the program's own output
	*process
}

func (s *server) seen(t *testing.T) (all []seen) {
	t.Helper()
	text := s.said()
	if s.log != "" {
		b, err := os.ReadFile(s.log)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var one seen
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, one)
	}
	return all
}

// foreign starts nginx, haproxy or node: as an API that echoes what it was asked for, or before a gate.
func foreign(t *testing.T, kind, before string) *server {
	t.Helper()
	program, _, _ := strings.Cut(kind, " ")
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("SKIPPED: %s is not installed, so nobody looks with its parser", program)
	}
	s := &server{address: freeAddress(t)}
	dir := t.TempDir()
	switch program {
	case "node":
		script, err := filepath.Abs("testdata/upstream.js")
		if err != nil {
			t.Fatal(err)
		}
		mode := "strict"
		if strings.HasSuffix(kind, "lenient") {
			mode = "lenient"
		}
		s.process = start(t, dir, path, script, s.address, mode)
	case "nginx":
		s.log = filepath.Join(dir, "seen.log")
		id, role := "$http_portreeve_request_id", "add_header X-Echo $request_uri; return 204;"
		if before != "" {
			id, role = "$upstream_http_portreeve_request_id", "proxy_pass http://gate; proxy_http_version 1.1; proxy_set_header Connection \"\";\n"+
				"proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_request_buffering off;"
		} else {
			before = "127.0.0.1:1"
		}
		write(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(`daemon off; user root; pid %[1]s/pid; error_log %[1]s/error.log; worker_processes 1;
events {}
http {
  log_format seen escape=json '{"method":"$request_method","uri":"$request_uri","id":"%[3]s","status":$status}';
  access_log %[1]s/seen.log seen;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  underscores_in_headers on; merge_slashes off; large_client_header_buffers 4 128k;
  upstream gate { server %[5]s; keepalive 8; }
  server { listen %[2]s; location / { %[4]s } }
}
`, dir, s.address, id, role, before))
		s.process = start(t, dir, path, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", filepath.Join(dir, "error.log"))
	case "haproxy":
		role := `  http-request capture req.hdr(Portreeve-Request-Id) len 64
  http-request return status 204 hdr X-Echo "%[url]"
  log-format '{"method":"%HM","uri":"%HU","id":"%[capture.req.hdr(0)]","status":%ST}'
`
		if before != "" {
			role = `  option forwardfor
  declare capture response len 64
  http-response capture res.hdr(Portreeve-Request-Id) id 0
  log-format '{"id":"%[capture.res.hdr(0)]","status":%ST}'
  default_backend gate
backend gate
  http-reuse always
  server gate ` + before + "\n"
		}
		write(t, filepath.Join(dir, "haproxy.cfg"), `global
  log stdout len 65535 format raw local0
  tune.bufsize 131072
defaults
  mode http
  log global
  option dontlognull
  timeout client 60s
  timeout server 60s
  timeout connect 60s
  timeout http-request 3s
frontend public
  bind `+s.address+"\n"+role)
		s.process = start(t, dir, path, "-f", filepath.Join(dir, "haproxy.cfg"))
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", s.address); err == nil {
			c.Close()
			return s
		}
		select {
		case <-s.ended:
			t.Fatalf("%s ended: %v\n%s", kind, s.err, s.said())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not listen\n%s", kind, s.said())
		}
	}
}

// wireCases are the raw requests of TestWire.
func wireCases(t *testing.T) (cases []*wireCase) {
	t.Helper()
	files, err := filepath.Glob("testdata/wire/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, name := range files {
		cases = append(cases, readCases(t, name)...)
	}
	return cases
}

// throw sends a case from an address of its own and takes whatever comes back.
func (c *wireCase) throw(t *testing.T, i int, address, key string) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(i/200), byte(i%200+1))}}
	conn, err := d.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, strings.ReplaceAll(c.send, "$KEY", key)) // who hangs up early has refused
	if c.end {
		conn.(*net.TCPConn).CloseWrite()
	}
	in := bufio.NewReader(conn)
	for n := 0; n < len(c.want); {
		resp, err := http.ReadResponse(in, &http.Request{Method: strings.SplitN(c.send, " ", 2)[0]})
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Close {
			return
		}
		if resp.StatusCode != http.StatusContinue {
			n++
		}
	}
}

// users ask for something of their own over and over, each on a connection that stays, until stop is called; what comes
// back must be theirs.
func users(t *testing.T, address string) (asked func() int, stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := 0
	for _, name := range []string{"alice", "bob"} {
		wg.Go(func() {
			transport := &http.Transport{MaxConnsPerHost: 1}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: patience}
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				path := "/public/" + name + strconv.Itoa(i)
				req, err := http.NewRequest(http.MethodGet, "http://"+address+path, nil)
				if err != nil {
					t.Error(err)
					return
				}
				req.Host = "api.test"
				resp, err := client.Do(req)
				if err != nil {
					t.Errorf("%s: %v", path, err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if got := resp.Header.Get("X-Echo"); resp.StatusCode != http.StatusNoContent || got != path {
					t.Errorf("%s asked for %s and got %d %q", name, path, resp.StatusCode, got)
					return
				}
				mu.Lock()
				count++
				mu.Unlock()
				time.Sleep(5 * time.Millisecond) // each has an event, and a flood of them would be counted as lost
			}
		})
	}
	return func() int { mu.Lock(); defer mu.Unlock(); return count }, func() { close(done); wg.Wait() }
}

// whole are the cases of which nothing arrives in part: a server that answers before the end of a body sees no break.
func whole(cases []*wireCase) []*wireCase {
	return slices.DeleteFunc(slices.Clone(cases), func(c *wireCase) bool { return c.broken })
}

// TestPairs throws the raw requests of TestWire at a gate before nginx, HAProxy and Node, while two users go on asking for
// their own. Each of the three reads with its own parser and tells what it has read: it must be exactly the requests that
// the gate let pass, by number, by id, and by line; and no user gets another's answer.
//
//threat:3 the raw requests before nginx, HAProxy and Node → each reads the very path that was judged
//threat:23 three hundred raw requests before nginx, HAProxy, Node and Node at its most lenient → they read as many requests as the gate let pass, the same ones
//threat:25 the same, while two users ask for their own on connections that stay → no answer goes to another
func TestPairs(t *testing.T) {
	cases := whole(slices.DeleteFunc(wireCases(t), func(c *wireCase) bool { return c.proxy }))
	for _, kind := range []string{"nginx", "haproxy", "node", "node lenient"} {
		t.Run(kind, func(t *testing.T) {
			api := foreign(t, kind, "")
			g := openGate(t, wireDocument, "http://"+api.address, false, "")
			asked, stop := users(t, g.public)
			for i, c := range cases {
				c.throw(t, i, g.public, g.key)
			}
			stop()
			g.end(t)
			var want []string
			for _, c := range cases {
				for _, a := range c.arrive {
					want = append(want, strings.TrimSuffix(a.line, " HTTP/1.1"))
				}
			}
			passed, spoilt := map[string]bool{}, map[string]bool{}
			for _, e := range g.events(t) {
				switch {
				case e.Status == http.StatusNoContent:
					passed[e.ID] = true
				case e.Status == http.StatusBadGateway:
					spoilt[e.ID] = true // let pass, too: who answers before the end of a body may spoil the answer
				}
			}
			var got []string
			byUsers := 0
			for _, s := range api.seen(t) {
				if !passed[s.ID] && !spoilt[s.ID] {
					t.Fatalf("%s read what the gate did not let pass, or twice: %+v", kind, s)
				}
				delete(passed, s.ID)
				delete(spoilt, s.ID)
				if strings.HasPrefix(s.URI, "/public/alice") || strings.HasPrefix(s.URI, "/public/bob") {
					byUsers++
					continue
				}
				got = append(got, s.Method+" "+s.URI)
			}
			if len(passed) > 0 {
				t.Errorf("%d requests were let pass that %s has not read", len(passed), kind)
			}
			for _, w := range want {
				if i := slices.Index(got, w); i >= 0 {
					got = slices.Delete(got, i, i+1)
				} else {
					t.Errorf("%s has not read %s", kind, w)
				}
			}
			if len(got) > 0 {
				t.Errorf("%s read, too: %q", kind, got)
			}
			if byUsers != asked() || byUsers == 0 {
				t.Errorf("users asked %d times, %s read %d", asked(), kind, byUsers)
			}
			t.Attr("read", fmt.Sprintf("%d of %d raw, %d of users", len(want), len(cases), byUsers))
		})
	}
}

// TestFronts throws the same at nginx and HAProxy before a gate. What each hands on is what the gate judges, one event for
// one answer, whatever the front repairs or refuses itself; and users get their own.
//
//threat:23 the same behind nginx and HAProxy → one event of the gate for each answer of it that the front has passed on
func TestFronts(t *testing.T) {
	cases := slices.DeleteFunc(wireCases(t), func(c *wireCase) bool { return c.proxy })
	for _, kind := range []string{"nginx", "haproxy"} {
		t.Run(kind, func(t *testing.T) {
			api := foreign(t, "node", "")
			g := openGate(t, wireDocument, "http://"+api.address, false, "trusted_proxies: [127.0.0.1/32]\n")
			front := foreign(t, kind, g.public)
			_, stop := users(t, front.address)
			for i, c := range cases {
				c.throw(t, i, front.address, g.key)
			}
			stop()
			if err := front.stop(t); err != nil && kind == "nginx" {
				t.Errorf("%s: %v", kind, err)
			}
			g.end(t)
			told := map[string]int{}
			for _, e := range g.events(t) {
				if e.Phase != "intent" {
					told[e.ID] = e.Status
				}
			}
			passed := map[string]bool{}
			for _, s := range front.seen(t) {
				if s.ID == "" || s.ID == "-" {
					continue // the front's own refusal, or one whose client had gone
				}
				if status, ok := told[s.ID]; !ok || status != s.Status {
					t.Errorf("%s passed an answer on that the gate knows as %d: %+v", kind, status, s)
				}
				if passed[s.ID] {
					t.Errorf("%s passed one answer on twice: %+v", kind, s)
				}
				passed[s.ID] = true
			}
			broken := 0
			for _, s := range api.seen(t) {
				if s.URI == "HPE_INVALID_EOF_STATE" {
					broken++ // an upload that broke on its way: what comes of it ends with its connection
					continue
				}
				if told[s.ID] != http.StatusNoContent {
					t.Errorf("the API read what the gate knows as %d: %+v", told[s.ID], s)
				}
			}
			if broken > len(cases)-len(whole(cases)) {
				t.Errorf("%d requests broke off", broken)
			}
			if len(passed) < 50 {
				t.Errorf("only %d answers came through", len(passed))
			}
			t.Attr("passed", fmt.Sprintf("%d answers of %d events", len(passed), len(slices.Collect(maps.Keys(told)))))
		})
	}
}
