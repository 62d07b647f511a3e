// Package server gives a deployment its two listeners: the public one, on which the gate is all there is, and the
// administrator's, with probes, health and metrics. It opens them before anything else is touched, serves until it is
// told to stop, and lets requests on their way end.
//
// It judges no request; that is the gate's.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/wire"
)

// Server is a plan's listeners, taken but not yet served.
type Server struct {
	public, admin net.Listener
	plan          *plan.Plan
	connections   *connections  // of the public listener
	secure        *secure       // nil: plain HTTP
	refuser       net.Listener  // of plain HTTP beside TLS; nil: none
	acme          Opener        // nil: certificates cannot be asked for
	every         time.Duration // between two looks at the files of certificates
	log           *slog.Logger
}

// ListenError says which listener could not be opened.
type ListenError struct {
	Key     string // of the configuration: "listen", "admin.listen"
	Address string
	Err     error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("%s: cannot listen on %s: %v", e.Key, e.Address, errors.Unwrap(e.Err))
}

func (e *ListenError) Unwrap() error { return e.Err }

// Listen opens both listeners of a plan, or none. Nobody is answered before Serve.
func Listen(p *plan.Plan, log *slog.Logger, options ...Option) (_ *Server, err error) {
	s := &Server{plan: p, log: log, every: 10 * time.Second, connections: newConnections(p, descriptors())}
	if n := p.Guard.Connections.Total; n > s.connections.total {
		log.Warn("this process may not open so many files: fewer connections are taken", "limits.connections.total", n, "taken", s.connections.total)
	}
	for _, set := range options {
		set(s)
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.public, err = net.Listen("tcp", p.Server.Listen); err != nil {
		return nil, &ListenError{"listen", p.Server.Listen, err}
	}
	if s.admin, err = net.Listen("tcp", p.Server.Admin); err != nil {
		return nil, &ListenError{"admin.listen", p.Server.Admin, err}
	}
	if s.secure, err = newSecure(p, s.acme, s.public.Addr()); err != nil {
		return nil, err
	}
	if p.Server.Plain == "" {
		return s, nil
	}
	if s.refuser, err = net.Listen("tcp", p.Server.Plain); err != nil {
		return nil, &ListenError{"plain.listen", p.Server.Plain, err}
	}
	return s, nil
}

// Close gives the listeners back that Serve did not take.
func (s *Server) Close() {
	for _, l := range []net.Listener{s.public, s.admin, s.refuser} {
		if l != nil {
			l.Close()
		}
	}
}

// URL is where the public listener is reached on this machine, Admin where the administrator's is.
func (s *Server) URL() string {
	if s.secure != nil {
		return "https://" + s.public.Addr().String()
	}
	return "http://" + s.public.Addr().String()
}

// Admin is the administrator's URL.
func (s *Server) Admin() string { return "http://" + s.admin.Addr().String() }

// Serve answers requests until ctx is done, then takes no new ones and waits for those on their way, at most the plan's
// drain time. It returns early only when a listener fails.
func (s *Server) Serve(ctx context.Context, d *deployment.Deployment, version string) error {
	public := s.publicServer(d.Gate)
	if s.secure != nil {
		if err := s.multiplex(public, d.Budget()); err != nil {
			return err
		}
	}
	s.connections.cut = d.Cut
	d.Watch(s.connections.health)
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	defer unwatch()
	go s.connections.watch(watching)
	listener := s.connections.listen(s.public)
	admin := s.adminServer(Admin(d, version, s.admin.Addr().String()))
	failed := make(chan error, 4)
	if s.secure != nil {
		d.Show(s.secure.source)
	}
	var refuser *http.Server
	if s.refuser != nil {
		refuser = s.refusing(d)
		go func() {
			failed <- refuser.Serve(wire.Listener{Listener: s.connections.listen(s.refuser), Limits: s.framing()})
		}()
	}
	if s.secure != nil && s.secure.asker != nil {
		defer s.secure.asker.Close()
		if err := s.secure.asker.Start(watching, func(verb, message string, why error) { s.asked(d, verb, message, why) }); err != nil {
			return err
		}
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watch(watching, d)
	}()
	defer func() {
		unwatch()
		<-watched
	}()
	go func() {
		if s.secure != nil {
			failed <- public.Serve(shakeHands(listener, public.TLSConfig, s.plan.Server.Header, s.framing(), s.log))
			return
		}
		failed <- public.Serve(wire.Listener{Listener: listener, Limits: s.framing()})
	}()
	go func() { failed <- admin.Serve(s.admin) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	d.Drain()
	if err == nil {
		s.log.Info("stopping: requests on their way may end; a second signal does not wait for them", "drain", s.plan.Server.Drain.String())
	}
	drain, stop := context.WithTimeout(context.WithoutCancel(ctx), s.plan.Server.Drain)
	defer stop()
	if e := public.Shutdown(drain); e != nil {
		s.log.Warn("requests were still on their way when the drain time ended", "drain", s.plan.Server.Drain.String())
		public.Close()
	}
	if refuser != nil {
		refuser.Close()
	}
	// The probes say "draining" to the end: the administrator's listener goes last.
	if e := admin.Shutdown(drain); e != nil {
		admin.Close()
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// framing bounds heads as net/http bounds those that it reads itself.
func (s *Server) framing() wire.Limits {
	return wire.Limits{HeadBytes: s.plan.Edge.MaxHeaderBytes, HeadTime: s.plan.Server.Header}
}

// publicServer is net/http's server with every wait and size bounded. Bodies have rolling deadlines of the gate's own.
func (s *Server) publicServer(h http.Handler) *http.Server {
	rule := s.plan.Server
	return &http.Server{
		Handler:                      requests(h),
		ConnContext:                  attach,
		ConnState:                    state,
		ReadHeaderTimeout:            rule.Header,
		IdleTimeout:                  rule.Idle,
		MaxHeaderBytes:               s.plan.Edge.MaxHeaderBytes,
		DisableGeneralOptionsHandler: true, // OPTIONS * is the edge's to refuse
		ErrorLog:                     slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		TLSConfig:                    s.secure.config(),
	}
}

func (s *Server) adminServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
}
