package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/wire"
)

// handshakes is a listener whose connections have shaken hands. net/http would do that itself, but only for a *tls.Conn,
// which it then reads HTTP/1.1 from as generously as from any other. So the hands are shaken here, of each connection by
// itself: what has agreed on HTTP/1.1 is strictly read, what has agreed on HTTP/2 goes on as it is.
type handshakes struct {
	net.Listener
	config *tls.Config
	wait   time.Duration // for one handshake
	limits wire.Limits
	log    *slog.Logger

	ready  chan net.Conn
	failed chan error
	closed chan struct{}
	close  func()
}

// shakeHands starts to accept.
func shakeHands(l net.Listener, config *tls.Config, wait time.Duration, limits wire.Limits, log *slog.Logger) *handshakes {
	h := &handshakes{Listener: l, config: config, wait: wait, limits: limits, log: log,
		ready: make(chan net.Conn), failed: make(chan error), closed: make(chan struct{})}
	h.close = sync.OnceFunc(func() { close(h.closed) })
	go h.run()
	return h
}

func (h *handshakes) run() {
	for {
		c, err := h.Listener.Accept()
		if err == nil {
			go h.shake(c)
			continue
		}
		select {
		case h.failed <- err: // the server waits a little where it is worth it
		case <-h.closed:
			return
		}
	}
}

// Accept implements net.Listener.
func (h *handshakes) Accept() (net.Conn, error) {
	select {
	case c := <-h.ready:
		return c, nil
	case err := <-h.failed:
		return nil, err
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handshakes) Close() error {
	h.close()
	return h.Listener.Close()
}

func (h *handshakes) shake(raw net.Conn) {
	defer func() {
		if p := recover(); p != nil { // as net/http has it: one connection is no reason to end
			h.log.Error("panic in a TLS handshake", "panic", fmt.Sprint(p))
			raw.Close()
		}
	}()
	secure := tls.Server(raw, h.config)
	if c := under(raw); c != nil {
		c.secure = secure
	}
	if h.wait > 0 {
		raw.SetDeadline(time.Now().Add(h.wait))
	}
	if err := secure.Handshake(); err != nil {
		var record tls.RecordHeaderError
		if errors.As(err, &record) && record.Conn != nil && plainHTTP(record.RecordHeader) {
			io.WriteString(record.Conn, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nThis is an HTTPS port.\n")
		}
		h.log.Debug("TLS handshake", "peer", raw.RemoteAddr().String(), "error", err.Error())
		raw.Close()
		return
	}
	raw.SetDeadline(time.Time{})
	var c net.Conn = secure
	switch secure.ConnectionState().NegotiatedProtocol {
	case "h2":
	case "", "http/1.1":
		c = wire.New(secure, h.limits)
	default: // an authority's challenge, answered by the handshake (RFC 8737 §3): net/http would go on with HTTP/1.1, read generously
		c.Close()
		return
	}
	select {
	case h.ready <- c:
	case <-h.closed:
		c.Close()
	}
}

// plainHTTP reports whether what should begin a TLS record begins a request.
func plainHTTP(b [5]byte) bool {
	switch string(b[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PATCH", "DELET":
		return true
	}
	return false
}
