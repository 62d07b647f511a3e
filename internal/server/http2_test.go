package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/portreeve/portreeve/internal/gate/exchange"
)

// peer is a client that writes the frames it likes.
type peer struct {
	net.Conn
	*http2.Framer
	ended chan error // with the GOAWAY, or how the connection ended
	pings atomic.Int64
}

func newPeer(t *testing.T, s *running) *peer {
	t.Helper()
	_, address, _ := strings.Cut(s.URL(), "://")
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, http2.ClientPreface)
	p := &peer{Conn: c, Framer: http2.NewFramer(c, c), ended: make(chan error, 1)}
	p.WriteSettings()
	p.WriteSettingsAck()
	go func() {
		for {
			f, err := p.ReadFrame()
			if err != nil {
				p.ended <- err
				return
			}
			switch f := f.(type) {
			case *http2.GoAwayFrame:
				p.ended <- calmed{f.ErrCode}
				return
			case *http2.PingFrame:
				p.pings.Add(1)
			}
		}
	}()
	return p
}

type calmed struct{ code http2.ErrCode }

func (c calmed) Error() string { return "GOAWAY " + c.code.String() }

// fields encodes a header block.
func fields(method, path string, more ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	all := append([]string{":method", method, ":scheme", "https", ":authority", "x", ":path", path}, more...)
	for i := 0; i < len(all); i += 2 {
		e.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]})
	}
	return b.Bytes()
}

// trailers is a header block of one field, which is no pseudo-header.
var trailers = func() []byte {
	var b bytes.Buffer
	hpack.NewEncoder(&b).WriteField(hpack.HeaderField{Name: "x-end", Value: "1", Sensitive: true})
	return b.Bytes()
}()

func (p *peer) headers(id uint32, block []byte, end bool) error {
	return p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: end})
}

// floods are what one connection sends over and over; each must end it for its reason, having cost the gate little.
var floods = []struct {
	name, reason string
	send         func(p *peer, i int) error
}{
	{"rapid reset", "h2_resets", func(p *peer, i int) error {
		id := uint32(2*i + 1)
		return errors.Join(p.headers(id, fields("GET", "/slow"), true), p.WriteRSTStream(id, http2.ErrCodeCancel))
	}},
	{"rapid reset of requests that have trailers", "h2_resets", func(p *peer, i int) error {
		id := uint32(2*i + 1)
		return errors.Join(p.headers(id, fields("POST", "/slow"), false), p.headers(id, trailers, true), p.WriteRSTStream(id, http2.ErrCodeCancel))
	}},
	{"made you reset: window update of 0", "h2_resets", func(p *peer, i int) error {
		id := uint32(2*i + 1)
		return errors.Join(p.headers(id, fields("GET", "/slow"), true), p.WriteRawFrame(http2.FrameWindowUpdate, 0, id, []byte{0, 0, 0, 0}))
	}},
	{"made you reset: a window beyond 2³¹-1", "h2_resets", func(p *peer, i int) error {
		id := uint32(2*i + 1)
		return errors.Join(p.headers(id, fields("GET", "/slow"), true), p.WriteWindowUpdate(id, 1<<31-1))
	}},
	{"made you reset: DATA after the end", "h2_resets", func(p *peer, i int) error {
		id := uint32(2*i + 1)
		return errors.Join(p.headers(id, fields("GET", "/slow"), true), p.WriteData(id, true, []byte("x")))
	}},
	{"made you reset: a stream that depends on itself", "h2_resets", func(p *peer, i int) error {
		id := uint32(2*i + 1)
		return errors.Join(p.headers(id, fields("GET", "/slow"), true), p.WriteRawFrame(http2.FramePriority, 0, id, []byte{0, 0, byte(id >> 8), byte(id), 1}))
	}},
	{"PING", "h2_control", func(p *peer, i int) error { return p.WritePing(false, [8]byte{}) }},
	{"PING answers nobody asked for", "h2_control", func(p *peer, i int) error { return p.WritePing(true, [8]byte{}) }},
	{"SETTINGS", "h2_control", func(p *peer, i int) error {
		return p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i%100 + 1)})
	}},
	{"PRIORITY", "h2_control", func(p *peer, i int) error {
		return p.WritePriority(uint32(2*i+1), http2.PriorityParam{StreamDep: 0, Weight: 1})
	}},
	{"window updates", "h2_control", func(p *peer, i int) error { return p.WriteWindowUpdate(0, 1) }},
	{"empty DATA", "h2_control", func(p *peer, i int) error {
		if i == 0 {
			return p.headers(1, fields("POST", "/echo", "content-type", "text/plain"), false)
		}
		return p.WriteData(1, false, nil)
	}},
	{"DATA of padding alone", "h2_control", func(p *peer, i int) error {
		if i == 0 {
			return p.headers(1, fields("POST", "/echo", "content-type", "text/plain"), false)
		}
		return p.WriteDataPadded(1, false, nil, make([]byte, 10))
	}},
	{"frames nobody knows", "h2_control", func(p *peer, i int) error { return p.WriteRawFrame(0xbe, 0, 0, nil) }},
	{"CONTINUATION without end", "h2_continuation", func(p *peer, i int) error {
		if i == 0 {
			return p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields("GET", "/slow")})
		}
		return p.WriteContinuation(1, false, nil)
	}},
	{"CONTINUATION with much", "h2_protocol", func(p *peer, i int) error {
		if i == 0 {
			return p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields("GET", "/slow")})
		}
		return p.WriteContinuation(1, false, fields("GET", "/slow", "x-much", strings.Repeat("m", 8000)))
	}},
}

// TestFloods sends each until the connection ends; a good client is served beside each.
//
//threat:27 rapid reset, made-you-reset, CONTINUATION, PING, SETTINGS, PRIORITY, window updates, empty DATA without end → the connection ends with ENHANCE_YOUR_CALM; the API saw little of it, others are served
func TestFloods(t *testing.T) {
	var asked atomic.Int64
	a := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "ok")
	}))
	defer a.Close()
	cert, key := certify(t, t.TempDir(), 1)
	s := start(t, a.URL, "limits: {address: 1000000/1m, principal: 1000000/1m}\ntls: {cert: "+cert+", key: "+key+"}\n")
	good := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	defer good.CloseIdleConnections()
	for _, c := range floods {
		t.Run(c.name, func(t *testing.T) {
			asked.Store(0)
			told := events(t, s, c.reason)
			p := newPeer(t, s)
			n := 0
			for ; n < 1_000_000 && c.send(p, n) == nil; n++ {
			}
			err := <-p.ended
			var calm calmed
			switch {
			case errors.As(err, &calm) && calm.code != http2.ErrCodeEnhanceYourCalm && c.reason != "h2_protocol":
				t.Errorf("ended with %v", err)
			case n == 1_000_000:
				t.Error("it went on for ever")
			}
			soon(t, c.reason, func() bool { return events(t, s, c.reason) == told+1 })
			if n := asked.Load(); n > 600 {
				t.Errorf("the API was asked %d times", n)
			}
			resp, err := good.Get(s.URL() + "/slow") // everybody else is served
			if err != nil || resp.StatusCode != 200 {
				t.Errorf("a good client got %+v %v", resp, err)
			} else {
				resp.Body.Close()
			}
		})
	}
	good.CloseIdleConnections()
	soon(t, "no connection left", func() bool { return health(t, s).Connections.Open == 0 })
}

// A client that is told to be calm can read so, if it reads.
func TestCalm(t *testing.T) {
	cert, key := certify(t, t.TempDir(), 1)
	s := start(t, api(t).URL, "limits: {http2: {control: 20/10s}}\ntls: {cert: "+cert+", key: "+key+"}\n")
	p := newPeer(t, s)
	for range 30 {
		if p.WritePing(false, [8]byte{}) != nil {
			break
		}
	}
	var calm calmed
	if err := <-p.ended; !errors.As(err, &calm) || calm.code != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("ended with %v", err)
	}
}

// TestUnfinishedFrames: what is begun has to end, a header block and a frame, also beside a stream that is alive.
//
//threat:26 half a header block or half a frame of HTTP/2, beside a living stream → the connection ends
func TestUnfinishedFrames(t *testing.T) {
	a := httptest.NewServer(http.HandlerFunc(streaming))
	defer a.Close()
	cert, key := certify(t, t.TempDir(), 1)
	for _, c := range []struct {
		reason string
		send   func(p *peer)
	}{
		{"h2_header_slow", func(p *peer) {
			p.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: fields("GET", "/file"), EndStream: true})
		}},
		{"h2_header_slow", func(p *peer) { io.WriteString(p, "\x00\x00\x64\x01\x05\x00\x00\x00\x03\x82") }},
		{"h2_frame_slow", func(p *peer) { io.WriteString(p, "\x00\x10\x00\x00\x00\x00\x00\x00\x01body") }},
		{"h2_frame_slow", func(p *peer) { io.WriteString(p, "\x00\x00") }},
	} {
		s := serveDocument(t, streams, a.URL, "timeouts: {header: 300ms, rate: 64KiB}\ntls: {cert: "+cert+", key: "+key+"}\n")
		p := newPeer(t, s)
		p.headers(1, fields("GET", "/events", "x-n", "10", "x-every", "20ms"), true)
		c.send(p)
		<-p.ended
		soon(t, c.reason, func() bool { return events(t, s, c.reason) == 1 })
	}
}

// TestUnreadBodies: bodies that nobody reads are within the budget of all that is held.
//
//threat:27 windows of many HTTP/2 connections filled with bodies that nobody reads → within the one memory budget; what is over ends its connection
func TestUnreadBodies(t *testing.T) {
	const all = 1 << 20
	budget := exchange.NewBudget(all)
	now := time.Now()
	data := func(f *frames) string {
		return f.received(frameInfo{kind: frameData, stream: 1, length: 16 << 10}, now)
	}
	update := func(f *frames, stream, n uint32) {
		h := frameInfo{kind: frameWindowUpdate, stream: stream, length: 4}
		binary.BigEndian.PutUint32(h.first[:], n)
		f.sent(h, now)
	}
	var open []*frames
	for full := false; !full; {
		f := newFrames(tls.Server(discarded{}, nil), nil, frameRule{budget: budget})
		update(f, 0, uploadPerConnection-firstWindow) // the first raises the window and gives nothing back
		open = append(open, f)
		for range uploadPerConnection / (16 << 10) {
			if why := data(f); why != "" {
				full = true
				if why != "h2_unread" || budget.Left() >= 64<<10 {
					t.Fatalf("%s with %d bytes left", why, budget.Left())
				}
				break
			}
		}
	}
	if len(open) != 5 {
		t.Errorf("%d connections fill it", len(open))
	}
	update(open[0], 1, 100<<10) // a stream's own window is no memory
	if budget.Left() >= 64<<10 {
		t.Error("a stream's window update gave bytes back")
	}
	update(open[0], 0, 128<<10) // what was read is given back
	if left := budget.Left(); left < 128<<10 || left >= 192<<10 {
		t.Errorf("%d bytes left after 128 KiB were read", left)
	}
	for _, f := range open {
		f.Close()
		f.Close()
	}
	if budget.Left() != all {
		t.Errorf("%d bytes left in the end", budget.Left())
	}
}

// discarded is a connection to nowhere.
type discarded struct{ net.Conn }

func (discarded) Write(p []byte) (int, error)      { return len(p), nil }
func (discarded) SetWriteDeadline(time.Time) error { return nil }
func (discarded) Close() error                     { return nil }

// Honest clients of HTTP/2 come nowhere near: many streams, large bodies both ways, cancelled requests among them.
func TestHonestStreams(t *testing.T) {
	a := httptest.NewServer(http.HandlerFunc(streaming))
	defer a.Close()
	cert, key := certify(t, t.TempDir(), 1)
	s := serveDocument(t, streams, a.URL, "limits: {address: 1000000/1m}\nsizes: {body: 64MiB}\ntls: {cert: "+cert+", key: "+key+"}\n")
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	defer c.CloseIdleConnections()
	for range 2 {
		resp, err := c.Do(ask(t, s, "GET", "/file", nil, "X-N", "5000000"))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); n != 5_000_000 || err != nil {
			t.Fatal(n, err)
		}
		resp.Body.Close()
		resp, err = c.Do(ask(t, s, "PUT", "/file", io.LimitReader(zeros{}, 5_000_000), "Content-Type", "application/octet-stream"))
		if err != nil || resp.StatusCode != http.StatusNoContent {
			t.Fatal(resp, err)
		}
		resp.Body.Close()
	}
	for i := range 600 { // a third of them given up
		ctx, cancel := context.WithCancel(t.Context())
		r := ask(t, s, "GET", "/json", nil, "X-N", "10").WithContext(ctx)
		if i%3 == 0 {
			go cancel()
		}
		if resp, err := c.Do(r); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		} else if i%3 != 0 {
			t.Fatal(err)
		}
		cancel()
	}
	for _, a := range []string{"h2_resets", "h2_control", "h2_continuation", "h2_header_slow", "h2_frame_slow", "h2_unread", "client_slow", "body_slow"} {
		if got := action(t, s, a); got != "0" {
			t.Errorf("%s: %s", a, got)
		}
	}
	if n := runtime.NumGoroutine(); n > 500 {
		t.Errorf("%d goroutines", n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
