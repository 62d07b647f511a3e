// Package acme asks an authority for the public listener's certificates and renews them (RFC 8555), by TLS-ALPN-01 on that
// listener (RFC 8737) and, where plain HTTP is refused on one of its own, by HTTP-01 there. What it keeps, account and
// certificates, lies in the data directory for its owner alone.
//
// It gives certificates for the configured names and no others, and judges no client.
package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/portreeve/portreeve/internal/certificate"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/server"
)

// Folder is where accounts and certificates are kept, in the data directory.
const Folder = "acme"

// Every is how often it is looked whether a certificate is due: when a third of its life is left.
const Every = 10 * time.Minute

// Asker implements server.Asker.
type Asker struct {
	domains []string
	cache   *certmagic.Cache
	config  *certmagic.Config
	issuer  *certmagic.ACMEIssuer

	mu     sync.Mutex
	failed map[string]bool // names that could not be asked for last time
	say    func(verb, message string, why error)
}

// Open prepares to ask, for a plan whose public listener is at an address. Nobody is asked before Start.
func Open(p *plan.Plan, public net.Addr) (server.Asker, error) { return open(p, public, Every) }

func open(p *plan.Plan, public net.Addr, every time.Duration) (*Asker, error) {
	rule := p.Server.TLS.ACME
	host, port, err := split(public.String())
	if err != nil {
		return nil, err
	}
	quiet := zap.NewNop() // what happens is told by events
	a := &Asker{domains: rule.Domains, failed: map[string]bool{}}
	a.cache = certmagic.NewCache(certmagic.CacheOptions{Logger: quiet, RenewCheckInterval: every,
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.config, nil }})
	a.config = certmagic.New(a.cache, certmagic.Config{Logger: quiet, OnEvent: a.event, Storage: &certmagic.FileStorage{Path: filepath.Join(p.Server.Data, Folder)}})
	template := certmagic.ACMEIssuer{CA: rule.Directory, Email: rule.Email, Agreed: true, Logger: quiet, ListenHost: host, AltTLSALPNPort: port,
		DisableHTTPChallenge: p.Server.Plain == ""}
	if p.Server.Plain != "" {
		if _, template.AltHTTPPort, err = split(p.Server.Plain); err != nil {
			return nil, err
		}
	}
	if rule.CA != "" {
		if template.TrustedRoots, _, err = certificate.Pool("tls.acme.ca", rule.CA); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Server.TLS.Source, err)
		}
	}
	a.issuer = certmagic.NewACMEIssuer(a.config, template)
	a.config.Issuers = []certmagic.Issuer{a.issuer}
	return a, nil
}

func split(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil {
		return "", 0, fmt.Errorf("reading address %s: %w", address, err)
	}
	return host, port, nil
}

// Start shows what was kept from earlier runs, asks for what is missing or due, and goes on doing so until ctx is done.
// say is told what comes of it. A directory that is away stops nothing: it is asked again, and the old certificate is
// shown meanwhile.
func (a *Asker) Start(ctx context.Context, say func(verb, message string, why error)) error {
	a.mu.Lock()
	a.say = say
	a.mu.Unlock()
	if err := a.config.ManageAsync(ctx, a.domains); err != nil {
		return fmt.Errorf("asking for certificates: %w", err)
	}
	return nil
}

// Close ends the renewing.
func (a *Asker) Close() { a.cache.Stop() }

// Get implements tls.Config.GetCertificate; a challenge of the authority is answered by it too.
func (a *Asker) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello.ServerName == "" && len(a.domains) > 0 { // an address was called: the first name's is shown
		named := *hello
		named.ServerName = a.domains[0]
		hello = &named
	}
	return a.config.GetCertificate(hello)
}

// HTTP answers challenges that come by plain HTTP and gives everything else to next.
func (a *Asker) HTTP(next http.Handler) http.Handler { return a.issuer.HTTPChallengeHandler(next) }

// States tells how the certificate of each name stands.
func (a *Asker) States() []certificate.State {
	out := make([]certificate.State, 0, len(a.domains))
	for _, name := range a.domains {
		s := certificate.State{Name: name, Names: []string{name}, Word: certificate.Missing}
		for _, c := range a.cache.AllMatchingCertificates(name) {
			if c.Leaf != nil && c.Leaf.NotAfter.After(s.Until) {
				s = certificate.StateOf(c.Leaf, time.Now())
				s.Name = name
			}
		}
		out = append(out, s)
	}
	return out
}

// Failing reports whether a name could not be asked for.
func (a *Asker) Failing() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.failed) > 0
}

// event hears of each attempt. It must not refuse: that would end it.
func (a *Asker) event(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	a.mu.Lock()
	say, again := a.say, a.failed[name]
	switch event {
	case "cert_obtained":
		delete(a.failed, name)
	case "cert_failed":
		a.failed[name] = true
	}
	a.mu.Unlock()
	if say == nil {
		return nil
	}
	switch {
	case event == "cert_obtained":
		say("certificate.obtained", name, nil)
	case event == "cert_failed" && !again: // once, until it succeeds
		why, _ := data["error"].(error)
		if why == nil {
			why = errors.New("the authority gave none")
		}
		say("certificate.failed", name+" cannot be had; what is there goes on, and it is tried again", why)
	}
	return nil
}
