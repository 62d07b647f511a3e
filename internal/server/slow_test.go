package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

const streams = `openapi: 3.1.0
info: {title: T, version: "1"}
security: []
paths:
  /file:
    get: {responses: {"200": {description: ok, content: {application/octet-stream: {}}}}}
    put: {requestBody: {content: {application/octet-stream: {}}}, responses: {"204": {description: ok}}}
  /json:
    get: {responses: {"200": {description: ok, content: {application/json: {schema: {type: string}}}}}}
    put: {requestBody: {content: {application/json: {schema: {type: string}}}}, responses: {"204": {description: ok}}}
  /events:
    get: {responses: {"200": {description: ok, content: {text/event-stream: {}}}}}
`

// streaming is an API of bodies of any size: ?n= bytes, or events of that size at the pace ?every= until the client goes.
func streaming(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.Header.Get("X-N"))
	every, _ := time.ParseDuration(r.Header.Get("X-Every"))
	switch {
	case r.Method == http.MethodPut:
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Path == "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			if _, err := fmt.Fprintf(w, "data: %s\n\n", strings.Repeat("e", n)); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-time.After(every):
			case <-r.Context().Done():
			}
		}
	case r.URL.Path == "/json":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `"%s"`, strings.Repeat("j", n))
	default:
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(n))
		for part := bytes.Repeat([]byte("f"), 32<<10); n > 0; n -= len(part) {
			part = part[:min(n, len(part))]
			if _, err := w.Write(part); err != nil {
				return
			}
			if every > 0 {
				w.(http.Flusher).Flush()
				time.Sleep(every)
			}
		}
	}
}

// both runs a test over HTTP/1.1 on a plain connection and over HTTP/2.
func both(t *testing.T, more string, f func(t *testing.T, s *running, c *http.Client)) {
	t.Parallel() // they wait most of the time
	a := httptest.NewServer(http.HandlerFunc(streaming))
	t.Cleanup(a.Close)
	cert, key := certify(t, t.TempDir(), 1)
	for _, v := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(v, func(t *testing.T) {
			var s *running
			dial := func() (net.Conn, error) {
				_, address, _ := strings.Cut(s.URL(), "://")
				c, err := net.Dial("tcp", address)
				if err == nil {
					c.(*net.TCPConn).SetReadBuffer(16 << 10) // what a slow reader does not read does not fit in here
				}
				return c, err
			}
			if v == "HTTP/1.1" {
				s = serveDocument(t, streams, a.URL, more)
				tr := &http.Transport{Dial: func(string, string) (net.Conn, error) { return dial() }}
				t.Cleanup(tr.CloseIdleConnections)
				f(t, s, &http.Client{Transport: tr})
				return
			}
			s = serveDocument(t, streams, a.URL, more+"tls: {cert: "+cert+", key: "+key+"}\n")
			tr := &http.Transport{
				ForceAttemptHTTP2: true,
				HTTP2:             &http.HTTP2Config{MaxReceiveBufferPerConnection: 64 << 10, MaxReceiveBufferPerStream: 64 << 10},
				DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
					raw, err := dial()
					if err != nil {
						return nil, err
					}
					secure := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
					return secure, secure.Handshake()
				},
			}
			t.Cleanup(tr.CloseIdleConnections)
			f(t, s, &http.Client{Transport: tr})
		})
	}
}

func ask(t *testing.T, s *running, method, path string, body io.Reader, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// TestSlowReaders: whoever does not read is given up, whatever was asked for: a copied file, a held answer, a stream of
// events.
//
//threat:26 a client that reads nothing of a file, a held answer or a stream of events, HTTP/1.1 and HTTP/2 → given up when its grace is used up
func TestSlowReaders(t *testing.T) {
	both(t, "timeouts: {idle: 300ms, rate: 64KiB}\n", func(t *testing.T, s *running, c *http.Client) {
		for _, what := range []struct{ path, n string }{{"/file", "50000000"}, {"/json", "4000000"}, {"/events", "1000000"}} {
			before := requestsOf(t, s, "client_slow")
			resp, err := c.Do(ask(t, s, "GET", what.path, nil, "X-N", what.n, "X-Every", "1ms"))
			if err != nil {
				t.Fatal(err)
			}
			soon(t, what.path+": given up", func() bool { return requestsOf(t, s, "client_slow") == before+1 })
			resp.Body.Close()
			c.CloseIdleConnections()
		}
		if got := action(t, s, "client_slow"); got != "3" {
			t.Errorf("the metric says %q", got)
		}
		soon(t, "nothing on its way", func() bool { return metric(t, s, "portreeve_requests_in_flight") == "0" })
	})
}

// Slow is not stalled: a download that takes many times the grace passes while it keeps the rate, and a stream of events
// may be quiet for longer than the grace.
func TestHonestSlowClients(t *testing.T) {
	both(t, "timeouts: {idle: 1500ms, rate: 1KiB}\nupstream: {url: $UPSTREAM, timeout: 1600ms}\n", func(t *testing.T, s *running, c *http.Client) {
		resp, err := c.Do(ask(t, s, "GET", "/events", nil, "X-N", "10", "X-Every", "2s"))
		if err != nil {
			t.Fatal(err)
		}
		events := bufio.NewScanner(resp.Body)
		for n := 0; n < 4; n++ { // an event and an empty line each
			if !events.Scan() {
				t.Fatalf("the stream ended after %d lines: %v", n, events.Err())
			}
		}
		resp.Body.Close()

		resp, err = c.Do(ask(t, s, "GET", "/file", nil, "X-N", "240000"))
		if err != nil {
			t.Fatal(err)
		}
		buf, n := make([]byte, 5_000), 0
		for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			m, err := io.ReadFull(resp.Body, buf)
			if n += m; err == io.EOF || err == io.ErrUnexpectedEOF {
				break
			}
			if err != nil {
				t.Fatalf("cut after %d bytes in %v: %v", n, time.Since(began), err)
			}
		}
		if n != 240_000 {
			t.Errorf("%d bytes", n)
		}
		resp.Body.Close()

		resp, err = c.Do(ask(t, s, "PUT", "/file", &dripping{left: 50, part: 1000, every: 50 * time.Millisecond}, "Content-Type", "application/octet-stream"))
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusNoContent {
			t.Errorf("a slow upload got %d", resp.StatusCode)
		}
		resp.Body.Close()
	})
}

// dripping is a body that comes in parts.
type dripping struct {
	left, part int
	every      time.Duration
}

func (d *dripping) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(d.every)
	d.left--
	n := min(d.part, len(p))
	clear(p[:n])
	return n, nil
}

// TestSlowBodies: a body that does not keep the rate is a 408 of its own stream or connection, held or copied.
//
//threat:26 a body that comes byte by byte, held or copied, HTTP/1.1 and HTTP/2 → 408 when its grace is used up
func TestSlowBodies(t *testing.T) {
	both(t, "timeouts: {idle: 300ms, rate: 64KiB}\n", func(t *testing.T, s *running, c *http.Client) {
		for _, what := range []struct{ path, media string }{{"/file", "application/octet-stream"}, {"/json", "application/json"}} {
			before := requestsOf(t, s, "body_slow")
			resp, err := c.Do(ask(t, s, "PUT", what.path, &dripping{left: 1 << 20, part: 1, every: 10 * time.Millisecond}, "Content-Type", what.media))
			if err == nil {
				if resp.StatusCode != http.StatusRequestTimeout {
					t.Errorf("%s: got %d", what.path, resp.StatusCode)
				}
				resp.Body.Close()
			}
			soon(t, what.path+": given up", func() bool { return requestsOf(t, s, "body_slow") == before+1 })
		}
	})
}

// TestSlowAndEndlessUpstream: an answer that drips is the upstream's fault, and one without end is cut.
//
//threat:46 an answer of the API that drips, or has no end → cut, at the rate and the size that are configured
func TestSlowAndEndlessUpstream(t *testing.T) {
	a := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		for r.Context().Err() == nil {
			n, every := 32<<10, time.Duration(0)
			if r.Header.Get("X-Every") != "" {
				n, every = 1, 20*time.Millisecond
			}
			if _, err := w.Write(make([]byte, n)); err != nil {
				panic(http.ErrAbortHandler)
			}
			w.(http.Flusher).Flush()
			time.Sleep(every)
		}
	}))
	defer a.Close()
	s := serveDocument(t, streams, a.URL, "timeouts: {idle: 300ms, rate: 64KiB}\nsizes: {answer: 5MiB}\nupstream: {url: $UPSTREAM, timeout: 250ms}\n")
	for _, c := range []struct{ every, reason string }{{"20ms", "upstream_slow"}, {"", "answer_too_large"}} {
		resp, err := http.DefaultClient.Do(ask(t, s, "GET", "/file", nil, "X-Every", c.every))
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err == nil || n > 6<<20 {
			t.Errorf("%s: %d bytes, %v", c.reason, n, err)
		}
		soon(t, c.reason, func() bool { return requestsOf(t, s, c.reason) == 1 })
	}
}
