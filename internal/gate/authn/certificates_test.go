package authn

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/portreeve/portreeve/internal/certificate/certtest"
)

// A token that its issuer bound to a key proves nobody without it (RFC 8705 §3, RFC 7800 §3.1).
func TestBoundTokens(t *testing.T) {
	ca := certtest.NewCA(t, "root")
	own, other := ca.Issue(t).Cert, ca.Issue(t).Cert
	shows := func(c ...*x509.Certificate) *tls.ConnectionState { return &tls.ConnectionState{PeerCertificates: c} }
	to := func(v any) map[string]any { return map[string]any{"sub": "1", "cnf": v} }
	for name, c := range map[string]struct {
		claims map[string]any
		state  *tls.ConnectionState
		ok     bool
	}{
		"unbound":                     {map[string]any{"sub": "1"}, nil, true},
		"unbound, a certificate":      {map[string]any{"sub": "1"}, shows(own), true},
		"its certificate":             {to(map[string]any{"x5t#S256": Thumbprint(own)}), shows(own), true},
		"another certificate":         {to(map[string]any{"x5t#S256": Thumbprint(own)}), shows(other), false},
		"its certificate comes later": {to(map[string]any{"x5t#S256": Thumbprint(own)}), shows(other, own), false},
		"no certificate":              {to(map[string]any{"x5t#S256": Thumbprint(own)}), shows(), false},
		"no TLS":                      {to(map[string]any{"x5t#S256": Thumbprint(own)}), nil, false},
		"an empty thumbprint":         {to(map[string]any{"x5t#S256": ""}), shows(own), false},
		"bound to a DPoP key":         {to(map[string]any{"jkt": "x"}), shows(own), false},
		"bound to both":               {to(map[string]any{"x5t#S256": Thumbprint(own), "jkt": "x"}), shows(own), false},
		"bound to nothing":            {to(map[string]any{}), shows(own), false},
		"not an object":               {to("x"), shows(own), false},
	} {
		if err := bound(c.claims, c.state); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
