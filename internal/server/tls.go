package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portreeve/portreeve/internal/certificate"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/plan"
)

// secure is what the public listener shows, and asks, by TLS. A nil one speaks plain HTTP.
type secure struct {
	certs  *certificate.Keeper        // of files
	asker  Asker                      // or of an authority; nil: of files
	source source                     // the one of them
	conf   atomic.Pointer[tls.Config] // for connections from now on

	mu      sync.Mutex
	tickets [][32]byte // newest first
	told    map[string]time.Time
}

// suites are the ones of TLS 1.2 that have forward secrecy and authenticated encryption (RFC 9325 §4.2); those of TLS 1.3
// all have both.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// source is where certificates come from.
type source interface {
	Get(*tls.ClientHelloInfo) (*tls.Certificate, error)
	deployment.Certificates
}

// Asker is a source that asks an authority for certificates, and renews them.
type Asker interface {
	source
	Start(ctx context.Context, say func(verb, message string, why error)) error
	HTTP(next http.Handler) http.Handler // answers challenges that come by plain HTTP
	Close()
}

// Opener makes the Asker of a plan whose public listener is at an address.
type Opener func(p *plan.Plan, public net.Addr) (Asker, error)

// Option gives a server what its plan may need.
type Option func(*Server)

// WithACME lets a plan ask for certificates: pass acme.Open.
func WithACME(open Opener) Option { return func(s *Server) { s.acme = open } }

func newSecure(p *plan.Plan, open Opener, public net.Addr) (*secure, error) {
	if !p.Server.TLS.On() {
		return nil, nil
	}
	s := &secure{told: map[string]time.Time{}}
	var err error
	if s.certs, err = certificate.Open(pairs(p), time.Now); err != nil {
		return nil, fmt.Errorf("%s: tls: %w", p.Server.TLS.Source, err)
	}
	s.source = s.certs
	if p.Server.TLS.ACME != nil {
		if open == nil {
			return nil, fmt.Errorf("%s: tls.acme: this program does not ask for certificates", p.Server.TLS.Source)
		}
		if s.asker, err = open(p, public); err != nil {
			return nil, err
		}
		s.source = s.asker
	}
	s.rotate()
	return s, s.take(p)
}

func pairs(p *plan.Plan) []certificate.Pair {
	var out []certificate.Pair
	for _, c := range p.Server.TLS.Certificates {
		out = append(out, certificate.Pair(c))
	}
	return out
}

// config is what net/http is given: every connection gets what holds at its beginning.
func (s *secure) config() *tls.Config {
	if s == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"h2", "http/1.1"},
		GetCertificate:     s.source.Get, // net/http asks that there is one
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.conf.Load(), nil },
	}
}

// take makes connections from now on follow a plan's rule. Certificates are the keeper's.
func (s *secure) take(p *plan.Plan) error {
	rule := &p.Server.TLS
	c := &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: suites, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: s.source.Get}
	if s.asker != nil {
		c.NextProtos = append(c.NextProtos, "acme-tls/1") // by it an authority asks for proof of a name (RFC 8737)
	}
	if rule.Minimum == "tls1.3" {
		c.MinVersion = tls.VersionTLS13
	}
	if rule.ClientCA != "" {
		// Asked for, and proven to be the client's own; whose it is, the gate judges at each request, by the roots as they
		// are then: no handshake, and no session that goes on, lets anybody in (threat 41).
		roots, _, err := certificate.Pool("tls.client_ca", rule.ClientCA)
		if err != nil {
			return fmt.Errorf("%s: %w", rule.Source, err)
		}
		c.ClientAuth, c.ClientCAs = tls.RequestClientCert, roots
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.SetSessionTicketKeys(s.tickets)
	s.conf.Store(c)
	return nil
}

// Session tickets are sealed by keys that live for a day: ticketTurn is how long one is used, ticketKeys how many are
// still understood. Who learns a key reads the sessions of that day at most.
const (
	ticketTurn = 8 * time.Hour
	ticketKeys = 3
)

// rotate begins a new key of session tickets and forgets the oldest.
func (s *secure) rotate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var key [32]byte
	rand.Read(key[:])
	s.tickets = append([][32]byte{key}, s.tickets...)
	s.tickets = s.tickets[:min(len(s.tickets), ticketKeys)]
	if c := s.conf.Load(); c != nil {
		c.SetSessionTicketKeys(s.tickets)
	}
}

// Check reports whether a plan's certificates could be shown.
func (s *Server) Check(p *plan.Plan) error {
	if s.secure == nil {
		return nil
	}
	if err := s.secure.certs.Check(pairs(p)); err != nil {
		return fmt.Errorf("%s: tls: %w", p.Server.TLS.Source, err)
	}
	if ca := p.Server.TLS.ClientCA; ca != "" {
		if _, _, err := certificate.Pool("tls.client_ca", ca); err != nil {
			return fmt.Errorf("%s: %w", p.Server.TLS.Source, err)
		}
	}
	return nil
}

// Take makes connections from now on follow a plan, which was checked.
func (s *Server) Take(p *plan.Plan) error {
	if s.secure == nil {
		return nil
	}
	if err := s.secure.certs.Replace(pairs(p)); err != nil {
		return err
	}
	return s.secure.take(p)
}

// watch looks at the files of certificates until ctx is done.
func (s *Server) watch(ctx context.Context, d *deployment.Deployment) {
	look, turn := time.NewTicker(s.every), time.NewTicker(ticketTurn)
	defer look.Stop()
	defer turn.Stop()
	for {
		s.look(ctx, d)
		select {
		case <-look.C:
		case <-turn.C:
			if s.secure != nil {
				s.secure.rotate()
			}
		case <-ctx.Done():
			return
		}
	}
}

// look takes renewed files over, and says what is not as it should be.
func (s *Server) look(ctx context.Context, d *deployment.Deployment) {
	d.Look(ctx)
	if s.secure == nil {
		return
	}
	switch changed, err := s.secure.certs.Look(); {
	case err != nil:
		d.Alert(ctx, "certificate.refused", "renewed files cannot be used; the old certificate stays", err)
	case changed:
		_ = s.secure.take(d.Gate.Plan()) // its roots of clients were read before
		for _, c := range s.secure.certs.States() {
			d.Note(ctx, "certificate.renewed", c.Name+" until "+c.Until.Format(time.RFC3339))
		}
	}
	now := d.Clock()
	for _, c := range s.secure.source.States() {
		s.secure.remind(c, now, func(verb, message string) { d.Alert(ctx, verb, message, nil) })
	}
}

// asked tells what came of asking an authority.
func (s *Server) asked(d *deployment.Deployment, verb, message string, why error) {
	if why != nil {
		d.Alert(context.Background(), verb, message, why)
		return
	}
	d.Note(context.Background(), verb, message)
}

// refusing serves the listener of plain HTTP: nothing but refusals, and an authority's challenges.
func (s *Server) refusing(d *deployment.Deployment) *http.Server {
	h := d.Gate.Plaintext()
	if s.secure != nil && s.secure.asker != nil {
		h = s.secure.asker.HTTP(h)
	}
	rule := s.plan.Server
	return &http.Server{Handler: requests(h), ConnContext: attach, ConnState: state, ReadHeaderTimeout: rule.Header, ReadTimeout: rule.Header, WriteTimeout: rule.Header,
		IdleTimeout: rule.Header, MaxHeaderBytes: s.plan.Edge.MaxHeaderBytes, DisableGeneralOptionsHandler: true,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
}

// Plain is where plain HTTP is refused, "" where it is not listened for.
func (s *Server) Plain() string {
	if s.refuser == nil {
		return ""
	}
	return "http://" + s.refuser.Addr().String()
}

// remind says once a day that a certificate ends.
func (s *secure) remind(c certificate.State, now time.Time, say func(verb, message string)) {
	if c.Word != certificate.Expiring && c.Word != certificate.Expired {
		return
	}
	s.mu.Lock()
	key := c.Name + c.Until.String()
	last, said := s.told[key]
	due := !said || now.Sub(last) >= 24*time.Hour
	if due {
		s.told[key] = now
	}
	s.mu.Unlock()
	if !due {
		return
	}
	if c.Word == certificate.Expired {
		say("certificate.expired", c.Name+" since "+c.Until.Format(time.RFC3339))
		return
	}
	say("certificate.expiring", c.Name+" on "+c.Until.Format(time.RFC3339))
}
