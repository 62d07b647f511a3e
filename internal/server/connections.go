package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/meter"
	"github.com/portreeve/portreeve/internal/plan"
)

// Waiting costs whoever waits nothing, and the gate a descriptor and memory; so connections are counted before a byte of
// them is read, of each address and in all. What is over a cap is closed at once, before any handshake: accepting never
// waits for anybody.
//
// An address is an IPv4 address or the /64 of an IPv6 one, since a customer has one of those. A trusted proxy brings
// the connections of many, so it counts in the total alone; its own clients are told apart by requests, not by
// connections.

// pressure is where idle connections begin to be given up for new ones: when more than three of four are taken. The
// fuller, the shorter one may be idle.
const pressure = 4

// sweepEvery is how often idle connections are looked at under pressure, and leastIdle what each of them is left.
const (
	sweepEvery = 250 * time.Millisecond
	leastIdle  = time.Second
)

// reserved are descriptors for everything that is no connection to the public listener or the upstream: store, ledger,
// probes, administrators.
const reserved = 128

// connections are those to the public listener.
type connections struct {
	perAddress, total int // 0: no cap
	trusted           []netip.Prefix
	header, idle      time.Duration
	cut               func(from netip.Addr, verb, reason string) // nil: nobody is told

	open   atomic.Int64
	shards [16]shard
}

// shard holds some of them: of one address all.
type shard struct {
	mu    sync.Mutex
	count map[netip.Prefix]int
	all   map[*conn]struct{}
}

// newConnections are a plan's. descriptors is how many files the process may open, 0 where that is not known.
func newConnections(p *plan.Plan, descriptors uint64) *connections {
	c := p.Guard.Connections
	t := &connections{perAddress: c.Address, total: c.Total, trusted: p.Edge.TrustedProxies, header: p.Server.Header, idle: p.Server.Idle}
	if c.Total > 0 && descriptors > 0 {
		// Each may need another to the upstream.
		t.total = min(c.Total, max(16, (int(min(descriptors, 1<<30))-reserved)/2))
	}
	for i := range t.shards {
		t.shards[i].count, t.shards[i].all = map[netip.Prefix]int{}, map[*conn]struct{}{}
	}
	return t
}

func (t *connections) shard(k netip.Prefix) *shard {
	b := k.Addr().As16()
	h := uint32(2166136261) // FNV-1a; evenness matters, secrecy does not: a shard is a lock, not a limit
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return &t.shards[h%uint32(len(t.shards))]
}

// admit takes a connection in, or says why not.
func (t *connections) admit(nc net.Conn) (*conn, string) {
	c := &conn{Conn: nc, of: t}
	c.quiet.Store(time.Now().UnixNano())
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		c.from = a.AddrPort().Addr().Unmap().WithZone("")
	}
	c.key = meter.Address(c.from)
	c.counted = t.perAddress > 0 && c.from.IsValid() && !slices.ContainsFunc(t.trusted, func(p netip.Prefix) bool { return p.Contains(c.from) })
	if n := t.open.Add(1); t.total > 0 && n > int64(t.total) {
		t.open.Add(-1)
		return c, "connections_total"
	}
	sh := t.shard(c.key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if c.counted {
		if sh.count[c.key] >= t.perAddress {
			t.open.Add(-1)
			return c, "connections_address"
		}
		sh.count[c.key]++
	}
	sh.all[c] = struct{}{}
	return c, ""
}

func (t *connections) release(c *conn) {
	t.open.Add(-1)
	sh := t.shard(c.key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.all, c)
	if !c.counted {
		return
	}
	if sh.count[c.key]--; sh.count[c.key] <= 0 {
		delete(sh.count, c.key)
	}
}

func (t *connections) tell(from netip.Addr, verb, reason string) {
	if t.cut != nil {
		t.cut(from, verb, reason)
	}
}

// patience is how long a connection may be idle now, 0 where nothing presses.
func (t *connections) patience() time.Duration {
	left := int64(t.total) - t.open.Load()
	free := int64(t.total) / pressure
	if t.total == 0 || left >= free {
		return 0
	}
	return max(leastIdle, time.Duration(float64(t.idle)*float64(max(left, 0))/float64(max(free, 1))))
}

// sweep closes what is idle for too long under pressure.
func (t *connections) sweep(now time.Time) {
	wait := t.patience()
	if wait == 0 {
		return
	}
	before := now.Add(-wait).UnixNano()
	var tired []*conn
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		for c := range sh.all {
			if q := c.quiet.Load(); q != 0 && q < before {
				tired = append(tired, c)
			}
		}
		sh.mu.Unlock()
	}
	for _, c := range tired {
		c.end("connection_idle")
	}
}

// watch sweeps until ctx is done.
func (t *connections) watch(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			t.sweep(now)
		case <-ctx.Done():
			return
		}
	}
}

// listen counts what a listener accepts. Only what is admitted is handed on.
func (t *connections) listen(l net.Listener) net.Listener { return &counted{l, t} }

type counted struct {
	net.Listener
	of *connections
}

func (l *counted) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c, why := l.of.admit(nc)
		if why == "" {
			return c, nil
		}
		if tcp, ok := nc.(*net.TCPConn); ok {
			tcp.SetLinger(0) // a reset: a flood leaves nothing waiting in the kernel either
		}
		nc.Close()
		l.of.tell(c.from, ledger.Refuse, why)
	}
}

// conn is one connection, below TLS.
type conn struct {
	net.Conn
	of      *connections
	from    netip.Addr
	key     netip.Prefix
	counted bool
	secure  *tls.Conn // what runs over it; nil: plain

	quiet    atomic.Int64 // since when nothing is asked for, in Unix nanoseconds; 0: something is
	requests atomic.Int32 // that are being served
	fresh    atomic.Int64 // bytes since the last request began or ended
	expired  atomic.Bool  // the last read ended because it took too long
	woken    atomic.Bool  // the read deadline is no wait
	rest     atomic.Bool  // what is read is the rest of a request that is answered
	frames   atomic.Bool  // HTTP/2: its own guard says why it ends
	told     atomic.Bool
	closed   atomic.Bool
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.fresh.Add(int64(n))
	}
	if err != nil {
		c.expired.Store(errors.Is(err, os.ErrDeadlineExceeded) && c.requests.Load() == 0 && !c.woken.Load())
	}
	return n, err
}

// SetReadDeadline tells waiting for too long from being woken: a deadline long past is how net/http stops its own read.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.woken.Store(!t.IsZero() && t.Year() < 2000)
	return c.Conn.SetReadDeadline(t)
}

// CloseWrite is what net/http closes with, to let a last answer arrive.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	if c.closed.CompareAndSwap(false, true) {
		c.of.release(c)
		if why := c.why(); why != "" {
			c.say(why)
		}
	}
	return err
}

// end closes a connection for a reason.
func (c *conn) end(reason string) {
	if !c.closed.Load() {
		c.say(reason)
	}
	c.Conn.Close() // whoever serves it notices, and closes it in turn
}

// say tells once why a connection ends: the first reason is the cause of the others.
func (c *conn) say(reason string) {
	if c.told.CompareAndSwap(false, true) {
		c.of.tell(c.from, ledger.Cut, reason)
	}
}

// why is the reason for which net/http closed a connection without a word: what it says of headers it says to nobody.
func (c *conn) why() string {
	switch {
	case c.frames.Load():
		return ""
	case c.expired.Load() && c.secure != nil && !c.secure.ConnectionState().HandshakeComplete:
		return "handshake_slow"
	case c.expired.Load() && c.rest.Load():
		return "body_slow"
	case c.expired.Load() && c.fresh.Load() > 0:
		return "header_slow"
	}
	return ""
}

type connKey struct{}

// attach puts a connection where requests find it.
func attach(ctx context.Context, nc net.Conn) context.Context {
	c := under(nc)
	if c == nil {
		return ctx
	}
	if secure, ok := nc.(*tls.Conn); ok {
		c.secure = secure
	}
	return context.WithValue(ctx, connKey{}, c)
}

// under finds the connection below what runs over it.
func under(nc net.Conn) *conn {
	for nc != nil {
		if c, ok := nc.(*conn); ok {
			return c
		}
		over, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		nc = over.NetConn()
	}
	return nil
}

// state follows what net/http does with a connection.
func state(nc net.Conn, s http.ConnState) {
	c := under(nc)
	if c == nil {
		return
	}
	switch s {
	case http.StateActive:
		c.quiet.Store(0)
	case http.StateIdle:
		c.rest.Store(false)
		c.fresh.Store(0)
		c.quiet.Store(time.Now().UnixNano())
	}
}

// requests tells each request's connection that it is served.
func requests(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connKey{}).(*conn)
		if !ok {
			h.ServeHTTP(w, r)
			return
		}
		c.requests.Add(1)
		c.fresh.Store(0)
		defer func() {
			c.rest.Store(true)
			c.fresh.Store(0)
			c.requests.Add(-1)
		}()
		h.ServeHTTP(w, r)
	})
}

// health is what /health and the metrics say.
func (t *connections) health() deployment.Connections {
	return deployment.Connections{Open: int(t.open.Load()), PerAddress: t.perAddress, Total: t.total}
}
