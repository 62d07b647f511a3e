package upstream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/certificate"
	"github.com/portreeve/portreeve/internal/plan"
)

// TLS returns how a plan's upstream is met: its certificate must hang on the roots of upstream.ca, or the system's, and
// stand for its host, or server_name; the gate shows upstream.client_cert where one is configured. There is no way to
// leave the certificate unverified.
func TLS(u *plan.Upstream) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Name}
	if u.CA != "" {
		roots, _, err := certificate.Pool("upstream.ca", u.CA)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", u.Source, err)
		}
		c.RootCAs = roots
	}
	if u.Client.Cert != "" {
		own, err := certificate.Load(certificate.Pair(u.Client), certificate.Client, time.Now())
		if err != nil {
			return nil, fmt.Errorf("%s: upstream: %w", u.Source, err)
		}
		// Shown whichever authorities the API names: what it makes of it is its own to say.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
	}
	return c, nil
}

// failure is the fine reason why no answer came: who the API is could not be verified, it would not have the gate, or it
// was not reached at all.
func failure(err error) access.Reason {
	var untrusted *tls.CertificateVerificationError
	var remote *net.OpError
	switch {
	case errors.As(err, &untrusted):
		return "upstream_certificate"
	case errors.As(err, &remote) && remote.Op == "remote error": // an alert of TLS
		return "upstream_handshake"
	}
	return "upstream_unreachable"
}
