package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

const stormDocument = `openapi: 3.1.0
info: {title: Storm, version: "1"}
security: []
paths:
  /note:
    get: {operationId: read, responses: {"200": {description: ok, content: {application/json: {schema: {type: string}}}}}}
    post: {operationId: write, requestBody: {content: {application/json: {schema: {type: string}}}}, responses: {"204": {description: ok}}}
  /file:
    get: {operationId: download, responses: {"200": {description: ok, content: {application/octet-stream: {}}}}}
`

func storm(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	switch {
	case r.Method == http.MethodPost:
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Path == "/file":
		w.Header().Set("Content-Type", "application/octet-stream")
		part := make([]byte, 32<<10)
		for range 1600 {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	default:
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `"a note"`)
	}
}

// onslaught is something without an end that a client does to the gate, over and over until ctx is done. Each comes from
// an address of its own, and is paced: what is tried is the gate, not how fast this process can write.
type onslaught struct {
	name    string
	actions []string // of portreeve_guard_actions_total that tell of it, one of which must
	secure  bool     // HTTP/2 over TLS; else any bytes, over TLS too
	do      func(ctx context.Context, c net.Conn)
}

const manyConnections = "many connections"

// pause ends with ctx.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// gone waits until the gate has ended a connection.
func gone(ctx context.Context, c net.Conn) {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	io.Copy(io.Discard, c)
}

// frames sends frames at about a thousand a second until the connection is gone.
func frames(send func(f *http2.Framer, i int) error) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		go io.Copy(io.Discard, c)
		io.WriteString(c, http2.ClientPreface)
		f := http2.NewFramer(c, nil)
		f.WriteSettings()
		f.WriteSettingsAck()
		for i := 0; ctx.Err() == nil; i++ {
			if send(f, i) != nil {
				return
			}
			if i%20 == 19 && !pause(ctx, 20*time.Millisecond) {
				return
			}
		}
	}
}

var get = []byte{0x82, 0x87, 0x01, 8, 'a', 'p', 'i', '.', 't', 'e', 's', 't', 0x04, 5, '/', 'n', 'o', 't', 'e'} // GET https api.test /note (RFC 7541)

var onslaughts = []onslaught{
	{"slow headers", []string{"header_slow"}, false, func(ctx context.Context, c net.Conn) {
		io.WriteString(c, "GET /note HTTP/1.1\r\nHost: api.test\r\n")
		go gone(ctx, c)
		for pause(ctx, 100*time.Millisecond) {
			if _, err := io.WriteString(c, "X: y\r\n"); err != nil {
				return
			}
		}
	}},
	{"slow body", []string{"body_slow"}, false, func(ctx context.Context, c net.Conn) {
		io.WriteString(c, "POST /note HTTP/1.1\r\nHost: api.test\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n\"")
		go gone(ctx, c)
		for pause(ctx, 50*time.Millisecond) {
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
		}
	}},
	{"slow reader", []string{"client_slow"}, false, func(ctx context.Context, c net.Conn) {
		io.WriteString(c, "GET /file HTTP/1.1\r\nHost: api.test\r\n\r\n")
		b := make([]byte, 64)
		for pause(ctx, 50*time.Millisecond) {
			if _, err := c.Read(b); err != nil {
				return
			}
		}
	}},
	{"half a handshake", []string{"handshake_slow"}, false, nil},
	{manyConnections, []string{"connections_address"}, false, nil},
	{"rapid reset", []string{"h2_resets"}, true, frames(func(f *http2.Framer, i int) error {
		id := uint32(2*i + 1)
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: get, EndHeaders: true, EndStream: true}); err != nil {
			return err
		}
		return f.WriteRSTStream(id, http2.ErrCodeCancel)
	})},
	{"made you reset", []string{"h2_resets"}, true, frames(func(f *http2.Framer, i int) error {
		id := uint32(2*i + 1)
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: get, EndHeaders: true, EndStream: true}); err != nil {
			return err
		}
		return f.WriteRawFrame(http2.FrameWindowUpdate, 0, id, []byte{0, 0, 0, 0})
	})},
	{"PING", []string{"h2_control"}, true, frames(func(f *http2.Framer, i int) error { return f.WritePing(false, [8]byte{}) })},
	{"SETTINGS", []string{"h2_control"}, true, frames(func(f *http2.Framer, i int) error { return f.WriteSettings() })},
	{"CONTINUATION", []string{"h2_continuation", "h2_protocol"}, true, frames(func(f *http2.Framer, i int) error {
		if i == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: get})
		}
		return f.WriteContinuation(1, false, nil)
	})},
	{"half a header block", []string{"h2_header_slow"}, true, func(ctx context.Context, c net.Conn) {
		io.WriteString(c, http2.ClientPreface)
		f := http2.NewFramer(c, nil)
		f.WriteSettings()
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: get})
		gone(ctx, c)
	}},
}

// unleash runs an onslaught from an address until ctx is done.
func (o *onslaught) unleash(ctx context.Context, gate, from string) {
	dial := func() net.Conn {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: time.Second}).DialContext(ctx, "tcp", gate)
		if err != nil {
			return nil
		}
		c.(*net.TCPConn).SetReadBuffer(16 << 10)
		return c
	}
	var all sync.WaitGroup
	defer all.Wait()
	workers, rest := 2, 200*time.Millisecond // a handshake costs both sides, and this process does those of all
	switch o.name {
	case "half a handshake":
		workers = 20
	case manyConnections:
		workers, rest = 400, 100*time.Millisecond // more than limits.connections.address, though each is cut after a second
	}
	for range workers {
		all.Go(func() {
			for pause(ctx, rest+rand.N(3*rest)) {
				c := dial()
				if c == nil {
					continue
				}
				stop := context.AfterFunc(ctx, func() { c.Close() })
				switch {
				case o.do == nil:
					gone(ctx, c)
				default:
					protocol := "http/1.1"
					if o.secure {
						protocol = "h2"
					}
					s := tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
					if s.HandshakeContext(ctx) == nil {
						o.do(ctx, s)
					}
				}
				stop()
				c.Close()
			}
		})
	}
}

// visitor is a good client: it asks at a steady pace and counts what is answered rightly, and how long that took.
type visitor struct {
	client *http.Client
	url    string
	mu     sync.Mutex
	took   []time.Duration
	wrong  map[string]int
}

func (v *visitor) fail(how string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wrong[how]++
}

func newVisitor(g *wireGate) *visitor {
	t := &http.Transport{ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 8, TLSClientConfig: &tls.Config{RootCAs: g.roots, ServerName: "api.test"},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.1")}}).DialContext(ctx, "tcp", g.public)
		}}
	return &visitor{client: &http.Client{Transport: t, Timeout: patience}, url: "https://api.test", wrong: map[string]int{}}
}

// visit asks every so often until ctx is done, each time without waiting for the last.
func (v *visitor) visit(ctx context.Context, every time.Duration) {
	var asked sync.WaitGroup
	defer asked.Wait()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked.Go(func() {
			began := time.Now()
			var resp *http.Response
			var err error
			if i%4 == 0 {
				resp, err = v.client.Post(v.url+"/note", "application/json", strings.NewReader(`"`+strings.Repeat("n", 20_000)+`"`))
			} else {
				resp, err = v.client.Get(v.url + "/note")
			}
			switch {
			case ctx.Err() != nil: // the end of the test is nobody's fault
			case err != nil:
				v.fail(regexp.MustCompile(`[0-9]+`).ReplaceAllString(err.Error(), "N"))
			case resp.StatusCode != map[bool]int{true: 204, false: 200}[i%4 == 0] && resp.StatusCode != http.StatusServiceUnavailable:
				v.fail(resp.Status) // a machine that cannot keep up may say so, and nothing else
			}
			if err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			v.mu.Lock()
			v.took = append(v.took, time.Since(began))
			v.mu.Unlock()
		})
	}
}

// answered returns how many were within a second, and the 99th percentile.
func (v *visitor) answered() (in int, p99 time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	sort.Slice(v.took, func(i, j int) bool { return v.took[i] < v.took[j] })
	for _, d := range v.took {
		if d <= time.Second {
			in++
		}
	}
	if len(v.took) > 0 {
		p99 = v.took[len(v.took)*99/100]
	}
	return in, p99
}

func openStorm(t *testing.T) (*wireGate, *httptest.Server) {
	api := httptest.NewServer(http.HandlerFunc(storm))
	t.Cleanup(api.Close)
	return openGate(t, stormDocument, api.URL, true, "timeouts: {header: 1s, idle: 5s, rate: 64KiB}\n"), api
}

// TestStorm lets everything without an end loose on a gate at once, for three seconds or PORTREEVE_STORM: a good client is
// answered all the while, each onslaught is told of, and afterwards nothing of them is left.
//
//threat:26 eleven attacks at once, slow and flooding, beside a good client → it is answered; goroutines, descriptors and memory come back
func TestStorm(t *testing.T) {
	duration := 3 * time.Second
	if v := os.Getenv("PORTREEVE_STORM"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			t.Fatalf("PORTREEVE_STORM: %v", err)
		}
		duration = d
	}
	g, api := openStorm(t)
	warm := newVisitor(g)
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	warm.visit(ctx, 10*time.Millisecond)
	stop()
	warm.client.CloseIdleConnections()
	api.CloseClientConnections() // kept ones are no leak, and they would count
	before := settled(t, g.admin, gauges{})

	ctx, stop = context.WithCancel(t.Context())
	defer stop()
	var all sync.WaitGroup
	for i := range onslaughts {
		o := &onslaughts[i]
		if o.name == manyConnections {
			continue // so many goroutines and sockets of this process leave it no time for a good client
		}
		all.Go(func() { o.unleash(ctx, g.public, fmt.Sprintf("127.0.1.%d", i+1)) })
	}
	good := newVisitor(g)
	all.Go(func() { good.visit(ctx, 50*time.Millisecond) })
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) { // at least so long, and until each is told of
		took := time.Since(began)
		if took >= duration && (len(untold(actions(t, g.admin))) == 0 || took > duration+patience) {
			break
		}
	}
	stop()
	all.Wait()
	good.client.CloseIdleConnections()

	api.CloseClientConnections()
	after := settled(t, g.admin, before)
	if len(good.wrong) > 0 {
		t.Errorf("of %d requests of the good client: %v", len(good.took), good.wrong)
	}
	counts := actions(t, g.admin)
	if names := untold(counts); len(names) > 0 {
		t.Errorf("%v: no action of the guard: %v", names, counts)
	}
	if after.goroutines > before.goroutines+moreGoroutines {
		t.Errorf("goroutines: %v before, %v after", before.goroutines, after.goroutines)
	}
	if after.descriptors > before.descriptors+moreDescriptors {
		t.Errorf("descriptors: %v before, %v after", before.descriptors, after.descriptors)
	}
	if after.resident > before.resident+400<<20 {
		t.Errorf("resident bytes: %v before, %v after", before.resident, after.resident)
	}
	if after.lost != 0 {
		t.Errorf("%v events were lost", after.lost)
	}
	in, p99 := good.answered()
	t.Attr("storm", fmt.Sprintf("%v: good client %d of %d within a second, p99 %v; goroutines %v → %v, resident %d → %d MiB; %v", duration, in, len(good.took), p99,
		before.goroutines, after.goroutines, int(before.resident)>>20, int(after.resident)>>20, counts))
	g.end(t)
}

// untold are the onslaughts that no action tells of.
func untold(counts map[string]float64) (names []string) {
	for _, o := range onslaughts {
		n := 0.0
		for _, a := range o.actions {
			n += counts[a]
		}
		if n == 0 && o.name != manyConnections {
			names = append(names, o.name)
		}
	}
	return names
}

// actions reads what the guard did.
func actions(t *testing.T, admin string) map[string]float64 {
	t.Helper()
	resp, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, `portreeve_guard_actions_total{action="`); ok {
			name, value, _ := strings.Cut(rest, `"} `)
			if n, err := strconv.ParseFloat(value, 64); err == nil && n > 0 {
				out[name] = n
			}
		}
	}
	return out
}

// TestBeside measures what one attack takes from a good client: how many of its requests are answered within a second,
// alone and beside it. PORTREEVE_BESIDE says for how long each; without it nothing is measured.
func TestBeside(t *testing.T) {
	v := os.Getenv("PORTREEVE_BESIDE")
	if v == "" {
		t.Skip("a measurement: make bench runs it (PORTREEVE_BESIDE=3s)")
	}
	duration, err := time.ParseDuration(v)
	if err != nil {
		t.Fatalf("PORTREEVE_BESIDE: %v", err)
	}
	g, _ := openStorm(t)
	measure := func(o *onslaught, from string) (int, time.Duration) {
		ctx, stop := context.WithTimeout(t.Context(), duration)
		defer stop()
		var attack sync.WaitGroup
		if o != nil {
			attack.Go(func() { o.unleash(ctx, g.public, from) })
		}
		good := newVisitor(g)
		good.visit(ctx, 5*time.Millisecond)
		attack.Wait()
		good.client.CloseIdleConnections()
		return good.answered()
	}
	measure(nil, "")
	t.Logf("%-22s %8s %8s %6s %10s %10s", "attack", "alone", "beside", "kept", "p99 alone", "p99 beside")
	for i := range onslaughts {
		o := &onslaughts[i]
		alone, calm := measure(nil, "")
		beside, rough := measure(o, fmt.Sprintf("127.0.2.%d", i+1))
		kept := 100 * float64(beside) / float64(alone)
		t.Logf("%-22s %8d %8d %5.0f%% %10v %10v", o.name, alone, beside, kept, calm.Round(100*time.Microsecond), rough.Round(100*time.Microsecond))
		if kept < 90 {
			t.Errorf("%s: the good client kept %.0f%% of its rate", o.name, kept)
		}
	}
	t.Logf("the guard's actions: %v", actions(t, g.admin))
}
