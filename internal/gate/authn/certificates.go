package authn

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/certificate"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
)

// CertificatesIssuer is the issuer of principals that a client's certificate proves.
const CertificatesIssuer = "certificates"

// Fine reasons of certificates.
var (
	errAuthority   = errors.New("certificate_authority")   // no root that is believed speaks for it
	errExpired     = errors.New("certificate_expired")     // it, or one above it
	errConstraints = errors.New("certificate_constraints") // an authority above it may not speak for it, or not for this use
	errCertificate = errors.New("certificate_invalid")
	errNamed       = errors.New("certificate_name") // it has no name of the configured kind, or several
	errWithdrawn   = errors.New("certificate_revoked")
	errBinding     = errors.New("token_binding") // a token is bound to what the caller has not shown
)

// Certificates proves clients by their certificates. The handshake has shown that the client holds the key; everything
// else is judged here, at each request and by the clock of that request, so that neither a session that goes on nor a
// connection that stays open outlives a certificate or the roots it hangs on (CVE-2025-68121, CVE-2025-23419).
type Certificates struct {
	rule      plan.Certificates
	roots     *x509.CertPool
	directory Directory // nil: nothing can be revoked here

	known sync.Map // *x509.Certificate of a connection → *proven
	size  atomic.Int64
}

// proven is a certificate whose chain holds within these times.
type proven struct {
	principal   access.Principal
	from, until time.Time
	issued      time.Time // when the certificate itself begins
}

// maxKnown bounds how many connections' certificates are remembered; maxChain how many a client may show.
const (
	maxKnown = 4096
	maxChain = 10
)

// NewCertificates reads the roots.
func NewCertificates(rule plan.Certificates, d Directory) (*Certificates, error) {
	roots, _, err := certificate.Pool("tls.client_ca", rule.Roots)
	if err != nil {
		return nil, err
	}
	return &Certificates{rule: rule, roots: roots, directory: d}, nil
}

// Client implements Clients. A connection has one certificate for all of its requests, so that its chain is built once;
// its times and its revocation are looked at each time.
func (c *Certificates) Client(x *exchange.Exchange) (access.Principal, error) {
	chain := x.Request.TLS.PeerCertificates
	p, err := c.prove(chain, x.Now)
	if err != nil {
		return access.Principal{}, err
	}
	if c.directory != nil {
		if err := c.directory.Fresh(x.Now); err != nil {
			return access.Principal{}, err
		}
		if c.directory.Revoked(CertificatesIssuer, p.principal.Subject, p.principal.Credential, p.issued) {
			return access.Principal{}, errWithdrawn
		}
	}
	return p.principal, nil
}

func (c *Certificates) prove(chain []*x509.Certificate, now time.Time) (*proven, error) {
	if v, ok := c.known.Load(chain[0]); ok {
		if p := v.(*proven); !now.Before(p.from) && !now.After(p.until) {
			return p, nil
		}
	}
	p, err := c.verify(chain, now)
	if err != nil {
		return nil, err
	}
	if c.size.Add(1) > maxKnown {
		c.known.Clear()
		c.size.Store(1)
	}
	c.known.Store(chain[0], p)
	return p, nil
}

// verify builds a chain from what the client showed to a root that is believed (RFC 5280 §6).
func (c *Certificates) verify(shown []*x509.Certificate, now time.Time) (*proven, error) {
	if len(shown) > maxChain {
		return nil, errCertificate
	}
	leaf := shown[0]
	between := x509.NewCertPool()
	for _, i := range shown[1:] {
		between.AddCert(i)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: c.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return nil, reason(err)
	}
	name, ok := subject(leaf, c.rule.Subject)
	if !ok {
		return nil, errNamed
	}
	p := &proven{issued: leaf.NotBefore, from: leaf.NotBefore, until: leaf.NotAfter}
	p.principal = access.Principal{Kind: access.Service, Issuer: CertificatesIssuer, Subject: name, Credential: Thumbprint(leaf)}
	for _, link := range chains[0] {
		if link.NotBefore.After(p.from) {
			p.from = link.NotBefore
		}
		if link.NotAfter.Before(p.until) {
			p.until = link.NotAfter
		}
	}
	for _, m := range c.rule.RoleMap {
		if m.From == name && !slices.Contains(p.principal.Roles, m.To) {
			p.principal.Roles = append(p.principal.Roles, m.To)
		}
	}
	return p, nil
}

func reason(err error) error {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return errExpired
	case errors.As(err, &invalid):
		return errConstraints
	case errors.As(err, &unknown):
		return errAuthority
	}
	return errCertificate
}

// subject is the one name of a kind that a certificate has. A wildcard is nobody's name, and of several names none is
// the caller's more than another.
func subject(c *x509.Certificate, kind string) (string, bool) {
	var all []string
	switch kind {
	case "dns":
		for _, n := range c.DNSNames {
			all = append(all, strings.ToLower(n)) // RFC 4343
		}
	case "uri":
		for _, u := range c.URIs {
			all = append(all, u.String())
		}
	case "email":
		for _, m := range c.EmailAddresses {
			local, domain, _ := strings.Cut(m, "@")
			all = append(all, local+"@"+strings.ToLower(domain))
		}
	case "common_name":
		all = append(all, c.Subject.CommonName)
	case "subject":
		all = append(all, c.Subject.String())
	}
	if len(all) != 1 || all[0] == "" || len(all[0]) > 256 {
		return "", false
	}
	for _, r := range all[0] {
		if r < ' ' || r == 0x7f || r == '*' && kind != "subject" {
			return "", false
		}
	}
	return all[0], true
}

// Thumbprint is a certificate's x5t#S256 (RFC 8705 §3.1): by it a certificate is named in events, and revoked.
func Thumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// bound holds a token that its issuer bound to a key against what the caller has shown (RFC 7800 §3.1): a certificate
// (RFC 8705 §3) is compared, and whatever else there may be is refused, for it would be taken for a plain bearer token.
func bound(claims map[string]any, state *tls.ConnectionState) error {
	v, ok := claims["cnf"]
	if !ok {
		return nil
	}
	cnf, ok := v.(map[string]any)
	if !ok || len(cnf) != 1 {
		return errBinding
	}
	want, ok := cnf["x5t#S256"].(string)
	if !ok || state == nil || len(state.PeerCertificates) == 0 {
		return errBinding
	}
	if subtle.ConstantTimeCompare([]byte(want), []byte(Thumbprint(state.PeerCertificates[0]))) != 1 {
		return errBinding
	}
	return nil
}
