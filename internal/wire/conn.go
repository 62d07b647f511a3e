package wire

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// Limits bound what is kept of a head that is not whole yet.
type Limits struct {
	HeadBytes int           // of a whole head; 0: 64 KiB
	HeadTime  time.Duration // from a head's first byte to its last; 0: the server's deadlines alone
}

// Conn is a connection whose Read gives only what is well framed. One goroutine reads at a time, as with every
// connection that net/http serves.
type Conn struct {
	net.Conn
	limits Limits

	head  head
	held  []byte // of a head that is not whole
	ready []byte // judged, and not yet read
	no    []byte // what stands for a bad head, once all before it has been read
	body  bodyKind
	left  int64 // of a body with a length
	parts chunks

	mu       sync.Mutex
	deadline time.Time // as the server set it
	late     time.Time // when the head must be whole; zero: there is none under way
}

type bodyKind uint8

const (
	noBody bodyKind = iota // at a head
	sizedBody
	chunkedBody
	over // a fault was found: nothing more is read
)

// New returns c, strictly read. It has ConnectionState where c has.
func New(c net.Conn, l Limits) net.Conn {
	if l.HeadBytes == 0 {
		l.HeadBytes = 64 << 10
	}
	w := &Conn{Conn: c, limits: l}
	if s, ok := c.(interface{ ConnectionState() tls.ConnectionState }); ok {
		return &secure{w, s.ConnectionState}
	}
	return w
}

// secure is a Conn over TLS, as net/http recognises one.
type secure struct {
	*Conn
	state func() tls.ConnectionState
}

func (s *secure) ConnectionState() tls.ConnectionState { return s.state() }

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	for len(p) > 0 {
		switch {
		case len(c.ready) > 0:
			n := copy(p, c.ready)
			if c.ready = c.ready[n:]; len(c.ready) == 0 {
				c.ready = nil // an idle connection holds no memory
			}
			return n, nil
		case c.no != nil:
			c.ready, c.no = c.no, nil
		case c.body == over:
			return 0, c.discard()
		case len(c.held) > 0:
			if err := c.more(); err != nil {
				return 0, err
			}
		default:
			n, err := c.Conn.Read(p)
			n = c.pass(p[:n])
			if n > 0 {
				return n, nil // err comes again
			}
			if err != nil && c.no == nil && len(c.held) == 0 {
				return 0, err
			}
		}
	}
	return 0, nil
}

// pass judges fresh bytes and returns how many may be read now. The rest is held, or was refused.
func (c *Conn) pass(b []byte) int {
	for n := 0; ; {
		switch {
		case c.body == over || n == len(b):
			return n
		case c.body == noBody:
			end, fault := c.head.read(b[n:], c.limits.HeadBytes)
			switch {
			case fault != "":
				c.refuse(fault)
				return n
			case end == 0:
				c.held = append(make([]byte, 0, max(1<<10, 2*len(b[n:]))), b[n:]...)
				return n
			}
			n += end
			c.begin()
		default:
			n += c.follow(b[n:])
		}
	}
}

// more reads more of the head that is held.
func (c *Conn) more() error {
	if len(c.held) == cap(c.held) {
		c.held = append(c.held, 0)[:len(c.held)]
	}
	c.hurry()
	n, err := c.Conn.Read(c.held[len(c.held):cap(c.held)])
	c.held = c.held[:len(c.held)+n]
	if n == 0 {
		return err
	}
	end, fault := c.head.read(c.held, c.limits.HeadBytes)
	switch {
	case fault != "":
		c.held = nil
		c.refuse(fault)
	case end > 0:
		b := c.held
		c.held = nil
		c.begin()
		n := end + c.pass(b[end:])
		c.ready = b[:n:n]
	default:
		return nil
	}
	c.calm()
	return nil
}

// begin is at the first byte after a good head.
func (c *Conn) begin() {
	switch {
	case c.head.coded:
		c.body, c.parts = chunkedBody, chunks{}
	case c.head.length > 0:
		c.body, c.left = sizedBody, c.head.length
	}
	c.head = head{host: c.head.host[:0]}
}

// follow returns how much of b belongs to the body.
func (c *Conn) follow(b []byte) int {
	if c.body == sizedBody {
		n := int(min(int64(len(b)), c.left))
		if c.left -= int64(n); c.left == 0 {
			c.body = noBody
		}
		return n
	}
	n, end, fault := c.parts.read(b)
	switch {
	case end:
		c.body, c.parts = noBody, chunks{}
	case fault:
		c.body, c.no = over, badChunk
	}
	return n
}

// badChunk is what net/http takes for a malformed chunk wherever in a chunked body it stands. An error of reading would
// say that the client has left.
var badChunk = []byte("\x00\n\r\n\r\n")

// refuse puts a request that names the fault in the place of the bad one.
func (c *Conn) refuse(f Fault) {
	c.body = over
	c.no = []byte("GET / HTTP/1.1\r\nHost: malformed\r\n" + Header + ": " + string(f) + "\r\nConnection: close\r\n\r\n")
}

// discard reads on until the server hangs up: an end of the stream would look like a client that left, and bytes that
// nobody read make the system reset the connection before the refusal has arrived.
func (c *Conn) discard() error {
	var b [512]byte
	for {
		if _, err := c.Conn.Read(b[:]); err != nil {
			return err
		}
	}
}

// hurry gives a head that has begun its deadline. The server's own begins with the first byte that it reads, and it reads
// none before the head is whole.
func (c *Conn) hurry() {
	if c.limits.HeadTime <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.late.IsZero() {
		c.late = time.Now().Add(c.limits.HeadTime)
	}
	c.apply()
}

// calm gives the server's deadline back.
func (c *Conn) calm() {
	if c.limits.HeadTime <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = time.Time{}
	c.apply()
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.apply()
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.Conn.SetWriteDeadline(t); err != nil {
		return err
	}
	return c.SetReadDeadline(t)
}

// apply sets the earlier of the two deadlines.
func (c *Conn) apply() error {
	d := c.deadline
	if !c.late.IsZero() && (d.IsZero() || c.late.Before(d)) {
		d = c.late
	}
	return c.Conn.SetReadDeadline(d)
}

// CloseWrite lets a refusal arrive before the connection ends: net/http waits a moment after it, where it can.
func (c *Conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return c.Conn.Close()
}

// NetConn is the connection below, as tls.Conn has it.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Listener gives strictly read connections.
type Listener struct {
	net.Listener
	Limits Limits
}

// Accept implements net.Listener.
func (l Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return New(c, l.Limits), nil
}
