package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/net/http2"

	"github.com/portreeve/portreeve/internal/gate/exchange"
)

// What one connection's client may send of bodies before somebody reads them. It is held in memory for nobody's good when
// the request is refused, so it is little; what is unread of all connections is within the budget of held bytes.
const (
	uploadPerConnection = 256 << 10
	uploadPerStream     = 128 << 10
)

// multiplex makes a server speak HTTP/2 over TLS, each connection with its frames counted. The implementation is
// golang.org/x/net/http2, the one that net/http bundles: only there a connection can be given that is not TLS itself.
func (s *Server) multiplex(srv *http.Server, budget *exchange.Budget) error {
	rule, caps := s.plan.Server, s.plan.Guard.Connections
	h2 := &http2.Server{
		MaxConcurrentStreams:         uint32(max(1, caps.Streams)),
		MaxReadFrameSize:             maxFrame,
		MaxUploadBufferPerConnection: uploadPerConnection,
		MaxUploadBufferPerStream:     uploadPerStream,
		IdleTimeout:                  rule.Idle,
		ReadIdleTimeout:              rule.Idle, // then a PING: dead peers are noticed where a stream is quiet
		PingTimeout:                  15 * time.Second,
	}
	if err := http2.ConfigureServer(srv, h2); err != nil {
		return fmt.Errorf("configuring HTTP/2: %w", err)
	}
	frame := frameRule{headerTime: rule.Header, pace: exchange.Pace{Rate: rule.Rate, Grace: rule.Idle}, budget: budget,
		resets: newWindow(caps.Resets.Count, caps.Resets.Window), control: newWindow(caps.Control.Count, caps.Control.Window)}
	if caps.Total > 0 {
		frame.headerBytes = 2 * s.plan.Edge.MaxHeaderBytes // the server answers 431 to what is a little too large
	}
	srv.TLSNextProto[http2.NextProtoTLS] = func(hs *http.Server, c *tls.Conn, h http.Handler) {
		ctx := context.Background()
		if b, ok := h.(interface{ BaseContext() context.Context }); ok {
			ctx = b.BaseContext()
		}
		h2.ServeConn(newFrames(c, under(c), frame), &http2.ServeConnOpts{Context: ctx, Handler: h, BaseConfig: hs})
	}
	return nil
}
