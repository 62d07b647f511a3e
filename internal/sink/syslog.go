package sink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"
)

// Syslog sends events to a syslog server over TLS (RFC 5425), as RFC 5424 messages of the facility "log audit", framed by
// octet counting. The protocol has no acknowledgement: what was written to a connection may never have been read. So each
// batch has a connection of its own, and counts as sent when the server, told that nothing more comes, has closed its side
// in order, which it does when it has read everything. What it had read and not kept when it was killed stays lost; the
// numbers of the events show the gap.
type Syslog struct {
	address string
	tls     *tls.Config // nil: plain, for a server on this machine
	format  Format
	host    string
}

// NewSyslog returns a sink to a syslog server.
func NewSyslog(address string, t *tls.Config, f Format) *Syslog {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "-"
	}
	return &Syslog{address: address, tls: t, format: f, host: host}
}

// sendTimeout bounds one delivery.
const sendTimeout = 30 * time.Second

// Send implements Sender.
func (s *Syslog) Send(ctx context.Context, b Batch) error {
	var out []byte
	for _, r := range b.Records {
		m, err := s.message(r)
		if err != nil {
			return err
		}
		out = append(strconv.AppendInt(out, int64(len(m)), 10), ' ')
		out = append(out, m...)
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return fmt.Errorf("reaching syslog server %s: %w", s.address, err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err = conn.SetDeadline(deadline); err == nil {
		_, err = conn.Write(out)
	}
	if err == nil {
		err = conn.(interface{ CloseWrite() error }).CloseWrite()
	}
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(conn, 1<<10))
	}
	// A server that answers the end of TLS with the end of the connection has read everything as well.
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("sending to syslog server %s: %w", s.address, err)
	}
	return nil
}

func (s *Syslog) dial(ctx context.Context) (net.Conn, error) {
	d := &net.Dialer{Timeout: 10 * time.Second}
	if s.tls == nil {
		return d.DialContext(ctx, "tcp", s.address)
	}
	return (&tls.Dialer{NetDialer: d, Config: s.tls}).DialContext(ctx, "tcp", s.address)
}

// message writes one RFC 5424 message. The number in the ledger is structured data, by which a receiver finds what came
// twice.
func (s *Syslog) message(r Record) ([]byte, error) {
	text, err := s.format.Encode(r.Line)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", r.Seq, err)
	}
	at := timeOf(r.Line).UTC().Format("2006-01-02T15:04:05.000Z")
	const audit, notice = 13, 5
	m := fmt.Appendf(nil, "<%d>1 %s %s portreeve %d event [ledger@32473 seq=\"%d\"] ", audit*8+notice, at, s.host, os.Getpid(), r.Seq)
	return append(m, text...), nil
}

// Close implements Sender.
func (s *Syslog) Close() error { return nil }
