package server

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portreeve/portreeve/internal/gate/exchange"
)

// HTTP/2 lets a client ask for work by frames that cost it nothing: a stream opened and reset at once (rapid reset,
// CVE-2023-44487), or reset by the server for a small fault (MadeYouReset, CVE-2025-8671), header blocks without an end
// (CVE-2023-45288), and PING, SETTINGS, PRIORITY or empty DATA that want an answer or a place in a queue (CVE-2019-9511 to
// 9518). The server behind bounds how many streams and queued answers there are at once, and none of these in time. So
// the headers of frames are read here, between TLS and it, in both directions: what happens too often, or stands
// unfinished for too long, ends the connection with GOAWAY, ENHANCE_YOUR_CALM (RFC 9113 §7), before the server has seen
// the read that brought it.
//
// Nothing here judges a request or decodes a header: that is done once, by the server.

// Frame types and flags that mean something here (RFC 9113 §6).
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameReset        = 0x3
	frameGoAway       = 0x7
	frameWindowUpdate = 0x8
	frameContinuation = 0x9

	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8

	frameHead = 9
	maxFrame  = 16 << 10 // of what the server takes
	preface   = 24       // bytes before a client's first frame

	noError          = 0x0
	enhanceYourCalm  = 0xb
	firstWindow      = 65535 // of a connection (RFC 9113 §6.9.2)
	maxContinuations = 64    // frames of one header block
	maxCredit        = 1 << 14
)

// frameRule is what one connection may do.
type frameRule struct {
	resets, control window // what neither bounds has a most of 0
	headerBytes     int    // of a header block as it comes
	headerTime      time.Duration
	pace            exchange.Pace    // of what the client reads
	budget          *exchange.Budget // of the bytes of bodies that nobody has read yet
}

// frames is an HTTP/2 connection over TLS. One goroutine reads and one at a time writes, as the server does.
type frames struct {
	*tls.Conn
	below *conn
	rule  frameRule

	in      follower
	block   bool      // a header block has begun and not ended
	blocked int       // bytes of it
	parts   int       // CONTINUATION frames of it
	since   time.Time // when what is unfinished began: a frame or a header block
	armed   bool      // a read deadline stands

	writing sync.Mutex // held while a write is on its way
	out     follower
	until   time.Time // the write deadline that stands

	mu       sync.Mutex
	opened   window
	lastID   uint32 // highest stream of the client's
	lastOut  uint32 // stream that the server reset last
	credit   int    // window updates that what was sent explains
	granted  bool   // the server's first update, which raises the window, has gone
	unread   int64  // bytes of bodies that came and were not yet taken
	borrowed int64  // of the budget

	calmed atomic.Bool
	once   sync.Once
}

var errCalm = errors.New("the connection asked for too much")

func newFrames(c *tls.Conn, below *conn, r frameRule) *frames {
	f := &frames{Conn: c, below: below, rule: r, in: follower{skip: preface}, since: time.Now()}
	f.opened = window{slot: r.resets.slot}
	if below != nil {
		below.frames.Store(true)
	}
	return f
}

// Read implements net.Conn.
func (f *frames) Read(p []byte) (int, error) {
	if f.calmed.Load() {
		return 0, errCalm
	}
	f.hurry()
	n, err := f.Conn.Read(p)
	if n > 0 {
		now, began := time.Now(), f.in.within() || f.block
		if why := f.in.feed(p[:n], func(h frameInfo) string { return f.received(h, now) }); why != "" {
			f.calm(why)
			return 0, errCalm
		}
		if !began {
			f.since = now
		}
	}
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) && f.armed {
		f.calm(map[bool]string{true: "h2_header_slow", false: "h2_frame_slow"}[f.block || f.in.kind() == frameHeaders])
	}
	return n, err
}

// hurry gives what has begun a time to end, and takes it back where nothing has: a connection may be idle between frames.
func (f *frames) hurry() {
	switch unfinished := f.in.within() || f.block; {
	case unfinished && f.rule.headerTime > 0:
		f.armed = true
		end := f.since.Add(f.rule.headerTime)
		if r := f.rule.pace.Rate; !f.block && r > 0 { // a whole frame of a slow honest client
			end = end.Add(time.Duration(maxFrame) * time.Second / time.Duration(r))
		}
		_ = f.Conn.SetReadDeadline(end)
	case f.armed:
		f.armed = false
		_ = f.Conn.SetReadDeadline(time.Time{})
	}
}

// received judges a frame of the client's, whose payload may still be on its way. It returns why the connection ends.
func (f *frames) received(h frameInfo, now time.Time) string {
	if h.kind != frameContinuation || !f.block {
		f.since = now
	}
	switch h.kind {
	case frameData:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.unread += int64(h.length)
		switch {
		case !f.borrow():
			return "h2_unread"
		case h.empty() && h.flags&flagEndStream == 0:
			return f.control(now)
		}
	case frameHeaders:
		f.block, f.parts, f.blocked = h.flags&flagEndHeaders == 0, 0, h.length
		f.mu.Lock()
		defer f.mu.Unlock()
		if h.stream > f.lastID { // else it is a stream's trailers: they open none
			f.lastID = h.stream
			f.opened.add(now)
		}
		return f.header()
	case frameContinuation:
		f.block = h.flags&flagEndHeaders == 0
		f.parts++
		f.blocked += h.length
		return f.header()
	case frameReset:
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.reset(now)
	case frameGoAway:
	case frameWindowUpdate:
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.credit > 0 {
			f.credit--
			return ""
		}
		return f.control(now)
	default: // SETTINGS, PING, PRIORITY, and what this side does not know
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.control(now)
	}
	return ""
}

func (f *frames) header() string {
	if f.parts > maxContinuations || f.rule.headerBytes > 0 && f.blocked > f.rule.headerBytes {
		return "h2_continuation"
	}
	return ""
}

func (f *frames) control(now time.Time) string {
	if f.rule.control.add(now) {
		return ""
	}
	return "h2_control"
}

// reset counts a stream that was given up, by whichever side. A client that shares its connection among many may give up
// many and is let be while most of what it asks for is waited for.
func (f *frames) reset(now time.Time) string {
	if f.rule.resets.add(now) || 2*f.rule.resets.total() <= f.opened.total() {
		return ""
	}
	return "h2_resets"
}

// borrow keeps the bytes of bodies that nobody takes within the budget of all that is held in memory: the window of each
// connection bounds them, and there may be many connections.
func (f *frames) borrow() bool {
	const step = 64 << 10
	switch more := f.unread - f.borrowed; {
	case f.rule.budget == nil:
	case more > 0:
		more = (more + step - 1) / step * step
		if !f.rule.budget.Take(more) {
			return false
		}
		f.borrowed += more
	case -more >= 2*step, f.unread <= 0:
		back := f.borrowed - (max(0, f.unread)+step-1)/step*step
		f.rule.budget.Give(back)
		f.borrowed -= back
	}
	return true
}

// sent looks at a frame of the server's.
func (f *frames) sent(h frameInfo, now time.Time) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch h.kind {
	case frameData:
		f.credit = min(maxCredit, f.credit+2+h.length>>10)
	case frameReset:
		// Of a stream that is reset the rest still comes, and each frame of it is answered so: that is one reset.
		if h.word() != noError && h.stream != f.lastOut {
			f.lastOut = h.stream
			return f.reset(now)
		}
	case frameGoAway:
		switch code := binary.BigEndian.Uint32(h.first[4:]); {
		case code == enhanceYourCalm: // streams reset before they were begun fill its queue
			f.say("h2_resets")
		case code != noError:
			f.say("h2_protocol")
		}
	case frameWindowUpdate:
		if h.stream != 0 {
			break
		}
		if !f.granted {
			f.granted = true
			break
		}
		f.unread -= int64(h.word())
		f.borrow()
	}
	return ""
}

// Write implements net.Conn. A client that reads nothing, or drips, is given up; see exchange.Pace.
func (f *frames) Write(p []byte) (int, error) {
	if f.calmed.Load() {
		return 0, errCalm
	}
	f.writing.Lock()
	defer f.writing.Unlock()
	began := time.Now()
	why := f.out.feed(p, func(h frameInfo) string { return f.sent(h, began) })
	n, err := f.paced(p, began)
	if why != "" {
		go f.calm(why) // it waits for this write to end
	}
	return n, err
}

func (f *frames) paced(p []byte, began time.Time) (int, error) {
	pace := &f.rule.pace
	if pace.Grace <= 0 {
		return f.Conn.Write(p)
	}
	wait := pace.Wait(len(p))
	if early := began.Add(wait).Sub(f.until); early < 0 || early > pace.Grace/16 {
		f.until = began.Add(wait)
		_ = f.Conn.SetWriteDeadline(f.until)
	}
	n, err := f.Conn.Write(p)
	pace.Moved(n, time.Since(began))
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		f.say("client_slow")
	}
	return n, err
}

func (f *frames) say(why string) {
	if f.below != nil {
		f.below.say(why)
	}
}

// calm ends the connection. The last frame goes out where it would not fall into another, and a write that is on its way
// is waited for a little.
func (f *frames) calm(why string) {
	f.once.Do(func() {
		f.say(why)
		f.calmed.Store(true)
		for end := time.Now().Add(lingering); ; time.Sleep(lingering / 100) {
			if f.writing.TryLock() {
				break
			}
			if time.Now().After(end) {
				return
			}
		}
		defer f.writing.Unlock()
		if !f.out.within() {
			f.mu.Lock()
			last := f.lastID
			f.mu.Unlock()
			_ = f.Conn.SetWriteDeadline(time.Now().Add(lingering))
			_, _ = f.Conn.Write(goAway(last, enhanceYourCalm))
		}
		_ = f.Conn.SetReadDeadline(time.Unix(1, 0)) // wakes the reader, where another goroutine found the reason
	})
}

func goAway(last, code uint32) []byte {
	b := []byte{0, 0, 8, frameGoAway, 0, 0, 0, 0, 0}
	b = binary.BigEndian.AppendUint32(b, last)
	return binary.BigEndian.AppendUint32(b, code)
}

// lingering bounds what is read of a client that was told to be calm: bytes that nobody reads make the system reset the
// connection before the last frame has arrived.
const (
	lingering     = 200 * time.Millisecond
	lingeredBytes = 64 << 10
)

// Close implements net.Conn.
func (f *frames) Close() error {
	if f.calmed.Load() && f.below != nil {
		f.once.Do(func() {}) // until the last frame has gone
		_ = f.Conn.CloseWrite()
		_ = f.below.SetReadDeadline(time.Now().Add(lingering))
		var b [4 << 10]byte
		for left := lingeredBytes; left > 0; {
			n, err := f.below.Read(b[:])
			if left -= n; err != nil {
				break
			}
		}
	}
	f.mu.Lock()
	if f.rule.budget != nil {
		f.rule.budget.Give(f.borrowed)
		f.borrowed, f.rule.budget = 0, nil
	}
	f.mu.Unlock()
	return f.Conn.Close()
}

// follower finds the frames in a stream of bytes that comes in any pieces. It keeps a frame's header and the eight bytes
// after it.
type follower struct {
	skip int // bytes before the next frame's header
	head [frameHead + 8]byte
	n    int
}

type frameInfo struct {
	kind, flags byte
	stream      uint32
	length      int
	first       [8]byte // of the payload, as many as it has
}

// word is the payload of RST_STREAM and WINDOW_UPDATE.
func (h *frameInfo) word() uint32 { return binary.BigEndian.Uint32(h.first[:]) }

// empty reports whether DATA carries nothing but padding.
func (h *frameInfo) empty() bool {
	if h.flags&flagPadded == 0 {
		return h.length == 0
	}
	return h.length <= 1+int(h.first[0])
}

// within reports whether a frame has begun and not ended.
func (f *follower) within() bool { return f.n > 0 || f.skip > 0 }

// kind is that of the frame whose payload is coming; of one whose header is, nobody knows.
func (f *follower) kind() byte {
	if f.skip == 0 && f.n < frameHead {
		return 0xff
	}
	return f.head[3]
}

// feed calls see for each frame as soon as its header has come, with the first eight bytes of its payload. It stops where
// see says why.
func (f *follower) feed(b []byte, see func(frameInfo) string) string {
	for len(b) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(b))
			f.skip, b = f.skip-n, b[n:]
			continue
		}
		if f.n < frameHead {
			n := copy(f.head[f.n:frameHead], b)
			f.n, b = f.n+n, b[n:]
			if f.n < frameHead {
				return ""
			}
		}
		length := int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2])
		need := min(8, length)
		n := copy(f.head[f.n:frameHead+need], b)
		f.n, b = f.n+n, b[n:]
		if f.n < frameHead+need {
			return ""
		}
		h := frameInfo{kind: f.head[3], flags: f.head[4], stream: binary.BigEndian.Uint32(f.head[5:]) & (1<<31 - 1), length: length}
		copy(h.first[:], f.head[frameHead:frameHead+need])
		f.n, f.skip = 0, length-need
		if why := see(h); why != "" {
			return why
		}
	}
	return ""
}

// window counts what may happen at most so often in any time: in eighths of it, and of the present and the eight before.
// A most of 0 is no bound.
type window struct {
	most   int
	slot   time.Duration // an eighth
	counts [9]uint32
	at     int64 // the present slot
}

func newWindow(most int, in time.Duration) window { return window{most: most, slot: max(in/8, 1)} }

// add counts once and reports whether that is within the bound.
func (w *window) add(now time.Time) bool {
	if w.slot <= 0 {
		return true
	}
	at := now.UnixNano() / int64(w.slot)
	for ; w.at < at; w.at++ {
		if at-w.at > int64(len(w.counts)) {
			w.at = at - int64(len(w.counts))
		}
		w.counts[(w.at+1)%int64(len(w.counts))] = 0
	}
	w.counts[w.at%int64(len(w.counts))]++
	return w.most <= 0 || w.total() <= w.most
}

func (w *window) total() (n int) {
	for _, c := range w.counts {
		n += int(c)
	}
	return n
}
