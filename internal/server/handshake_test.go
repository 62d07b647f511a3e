package server

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/certificate/certtest"
	"github.com/portreeve/portreeve/internal/wire"
)

// Who agrees on the protocol of an authority's challenge (RFC 8737) is served nothing: HTTP/1.1 would be read by net/http
// alone. An authority offers nothing beside it; a client that does is shown the gate's own certificate.
func TestAChallengeIsNoWayAroundStrictFraming(t *testing.T) {
	root := certtest.NewCA(t, "servers")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{root.Issue(t, certtest.Hosts("127.0.0.1")).TLS()}, NextProtos: []string{"h2", "http/1.1", "acme-tls/1"}}
	h := shakeHands(l, config, 5*time.Second, wire.Limits{}, slog.New(slog.DiscardHandler))
	defer h.Close()
	kinds := make(chan string, 8)
	go func() {
		for {
			c, err := h.Accept()
			if err != nil {
				return
			}
			switch s := c.(type) {
			case *tls.Conn:
				kinds <- "as it is: " + s.ConnectionState().NegotiatedProtocol
			default:
				kinds <- "strictly read"
			}
			c.Close()
		}
	}()
	for _, x := range []struct {
		offers []string
		want   string
	}{
		{[]string{"acme-tls/1", "nothing"}, ""},
		{[]string{"acme-tls/1"}, ""},
		{[]string{"h2"}, "as it is: h2"},
		{[]string{"http/1.1"}, "strictly read"},
		{nil, "strictly read"},
	} {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: root.Pool(), NextProtos: x.offers})
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, c) // until the other side has done with it
		c.Close()
		got := ""
		select {
		case got = <-kinds:
		default:
		}
		if got != x.want {
			t.Errorf("%v is served %q, not %q", x.offers, got, x.want)
		}
	}
}
