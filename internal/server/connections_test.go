package server

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/ledger"
)

// soon waits until something holds; what never does is a failure, however busy the machine.
func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// api answers everything with a word.
func api(t *testing.T) *httptest.Server {
	a := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "ok")
	}))
	t.Cleanup(a.Close)
	return a
}

func dial(t *testing.T, s *running) net.Conn {
	t.Helper()
	_, address, _ := strings.Cut(s.URL(), "://")
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// ends reports whether the gate ends a connection without a word; it waits until it does or answers.
func ends(c net.Conn) bool {
	_, err := c.Read(make([]byte, 1))
	return err != nil && !os.IsTimeout(err)
}

// turnedAway reports whether one more connection is ended at once; on a fast machine it is before it is there.
func turnedAway(s *running) bool {
	_, address, _ := strings.Cut(s.URL(), "://")
	c, err := net.Dial("tcp", address)
	if err != nil {
		return errors.Is(err, syscall.ECONNRESET)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	return ends(c)
}

// asked sends one request and reads its answer, so that the connection is idle afterwards.
func asked(t *testing.T, c net.Conn) {
	t.Helper()
	io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != 200 {
		t.Fatalf("got %d", resp.StatusCode)
	}
}

func health(t *testing.T, s *running) deployment.Health {
	t.Helper()
	resp, err := http.Get(s.Admin() + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var h deployment.Health
	if err := json.NewDecoder(resp.Body).Decode(&h); err != nil {
		t.Fatal(err)
	}
	return h
}

// metric returns the value of a series, "portreeve_connections_open" or with its labels.
func metric(t *testing.T, s *running, series string) string {
	t.Helper()
	resp, err := http.Get(s.Admin() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), series+" "); ok {
			return rest
		}
	}
	return ""
}

func action(t *testing.T, s *running, name string) string {
	t.Helper()
	return metric(t, s, fmt.Sprintf("portreeve_guard_actions_total{action=%q}", name))
}

// events returns how many events of connections the ledger has with a reason, those that were only counted included.
func events(t *testing.T, s *running, reason string) (n int) {
	t.Helper()
	err := ledger.Read(s.plan.Audit.Dir, func(_ string, _ int, line []byte) error {
		var e struct {
			Class    int                 `json:"class_uid"`
			Count    int                 `json:"count"`
			Src      struct{ IP string } `json:"src_endpoint"`
			Unmapped struct{ Reason, Stage string }
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if e.Class == 4001 && e.Unmapped.Reason == reason && e.Unmapped.Stage == "guard" && e.Src.IP == "127.0.0.1" {
			n += max(1, e.Count)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// requestsOf returns how many requests the ledger has that were refused for a reason.
func requestsOf(t *testing.T, s *running, reason string) (n int) {
	t.Helper()
	err := ledger.Read(s.plan.Audit.Dir, func(_ string, _ int, line []byte) error {
		var e struct {
			Class    int `json:"class_uid"`
			Count    int `json:"count"`
			Unmapped struct{ Reason string }
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if e.Class == 6003 && e.Unmapped.Reason == reason {
			n += max(1, e.Count)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

//threat:27 more connections of one address than it may have → closed before a byte of them is read
func TestConnectionsOfOneAddress(t *testing.T) {
	s := start(t, api(t).URL, "limits: {connections: {address: 3, total: 100}}\n")
	var held []net.Conn
	for range 3 {
		c := dial(t, s)
		asked(t, c)
		held = append(held, c)
	}
	for range 25 {
		if !turnedAway(s) {
			t.Fatal("a fourth connection was taken")
		}
	}
	asked(t, held[0]) // those that are in stay in
	if c := health(t, s).Connections; c == nil || c.Open != 3 || c.PerAddress != 3 || c.Total != 100 {
		t.Errorf("health says %+v", c)
	}
	if got := action(t, s, "connections_address"); got != "25" {
		t.Errorf("the metric says %q", got)
	}
	// Ten of a second have an event of their own; the others are counted in one.
	soon(t, "25 refused connections in the ledger", func() bool { return events(t, s, "connections_address") == 25 })
	held[2].Close()
	soon(t, "a connection closed", func() bool { return health(t, s).Connections.Open == 2 })
	asked(t, dial(t, s))
}

func TestConnectionsOfAProxy(t *testing.T) {
	s := start(t, api(t).URL, "limits: {connections: {address: 2, total: 4}}\ntrusted_proxies: [127.0.0.0/8]\n")
	for range 4 {
		asked(t, dial(t, s))
	}
	if !turnedAway(s) {
		t.Fatal("a fifth connection was taken")
	}
	if got := action(t, s, "connections_total"); got != "1" {
		t.Errorf("the metric says %q", got)
	}
}

// Over the cap nothing of TLS is spoken: no byte comes back.
func TestConnectionsBeforeTLS(t *testing.T) {
	cert, key := certify(t, t.TempDir(), 1)
	s := start(t, api(t).URL, "limits: {connections: {address: 1, total: 4}}\ntls: {cert: "+cert+", key: "+key+"}\n")
	first := dial(t, s)
	if err := tls.Client(first, &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
		t.Fatal(err)
	}
	if !turnedAway(s) { // it would wait for a client that speaks first
		t.Error("a second connection was taken")
	}
}

// Whoever does nothing gives way: under pressure idle connections are closed, busy ones are not.
func TestIdleConnectionsGiveWay(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	a := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			close(entered)
			<-release
		}
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "ok")
	}))
	defer a.Close()
	s := start(t, a.URL, "limits: {connections: {address: 8, total: 8}}\n")
	busy := dial(t, s)
	io.WriteString(busy, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx")
	<-entered
	for i := range 7 {
		c := dial(t, s)
		if i%2 == 0 { // some have been answered, some have never asked
			asked(t, c)
		}
	}
	soon(t, "idle connections closed until there is room", func() bool { return health(t, s).Connections.Open <= 6 })
	asked(t, dial(t, s))
	close(release)
	if resp, err := http.ReadResponse(bufio.NewReader(busy), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("the busy connection got %v %v", resp, err)
	}
	soon(t, "events of idle connections", func() bool { return events(t, s, "connection_idle") > 0 })
}

// What net/http ends without a word has an event all the same.
//
//threat:26 stalled handshakes, heads and bodies → the end, and an event
func TestSilentEndsAreTold(t *testing.T) {
	cert, key := certify(t, t.TempDir(), 1)
	const second = "after an honest request: "
	for _, c := range []struct {
		reason, more, send string
	}{
		{"header_slow", "", "GET /slow HTTP/1.1\r\nHost: x\r\nX-A: "},
		{"header_slow", "", second + "GET /slow HTTP/1.1\r\nHost:"},
		{"handshake_slow", "tls: {cert: " + cert + ", key: " + key + "}\n", "\x16\x03\x01"},
		{"handshake_slow", "tls: {cert: " + cert + ", key: " + key + "}\n", ""},
		{"body_slow", "", "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"}, // refused before it is read
	} {
		s := start(t, api(t).URL, "timeouts: {header: 300ms, idle: 600ms}\n"+c.more)
		conn := dial(t, s)
		send, again := strings.CutPrefix(c.send, second)
		if again {
			asked(t, conn)
		}
		io.WriteString(conn, send)
		if _, err := io.Copy(io.Discard, conn); err != nil && os.IsTimeout(err) {
			t.Errorf("%s: the connection was not ended", c.reason)
		}
		soon(t, c.reason, func() bool { return events(t, s, c.reason) == 1 })
		if got := action(t, s, c.reason); got != "1" {
			t.Errorf("%s: the metric says %q", c.reason, got)
		}
	}
}

// An honest client that comes, asks and goes leaves no event.
func TestHonestConnectionsAreNotTold(t *testing.T) {
	s := start(t, api(t).URL, "timeouts: {header: 300ms, idle: 300ms}\n")
	c := dial(t, s)
	asked(t, c)
	asked(t, c)
	if !ends(c) { // after idle
		t.Error("the connection was not ended")
	}
	dial(t, s).Close()
	soon(t, "all closed", func() bool { return health(t, s).Connections.Open == 0 })
	resp, err := http.Get(s.Admin() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if l := lines.Text(); strings.HasPrefix(l, "portreeve_guard_actions_total{") && !strings.HasSuffix(l, " 0") {
			t.Error(l)
		}
	}
}
