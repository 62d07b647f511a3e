// Package certtest makes authorities and certificates for tests, good ones and those that no peer should believe.
package certtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Change alters a certificate before it is signed.
type Change func(*x509.Certificate)

// Signed is a certificate with its key and what stands between it and its root.
type Signed struct {
	Cert   *x509.Certificate
	Key    crypto.Signer
	Chain  [][]byte // DER, its own first, the root left out
	issuer *Signed
}

// NewCA makes a root.
func NewCA(t testing.TB, name string, changes ...Change) *Signed {
	t.Helper()
	return sign(t, nil, append([]Change{authority(name)}, changes...))
}

// Intermediate makes an authority below another.
func (s *Signed) Intermediate(t testing.TB, name string, changes ...Change) *Signed {
	t.Helper()
	return sign(t, s, append([]Change{authority(name)}, changes...))
}

// Issue makes a certificate for servers and clients, valid for 90 days.
func (s *Signed) Issue(t testing.TB, changes ...Change) *Signed {
	t.Helper()
	return sign(t, s, append([]Change{leaf}, changes...))
}

// SelfSigned makes a certificate that only itself speaks for.
func SelfSigned(t testing.TB, changes ...Change) *Signed {
	t.Helper()
	return sign(t, nil, append([]Change{leaf}, changes...))
}

func authority(name string) Change {
	return func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	}
}

func leaf(c *x509.Certificate) {
	c.BasicConstraintsValid, c.KeyUsage = true, x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
}

// Hosts gives a certificate names and addresses.
func Hosts(hosts ...string) Change {
	return func(c *x509.Certificate) {
		for _, h := range hosts {
			if ip := net.ParseIP(h); ip != nil {
				c.IPAddresses = append(c.IPAddresses, ip)
			} else {
				c.DNSNames = append(c.DNSNames, h)
			}
		}
	}
}

// Valid gives a certificate its life.
func Valid(from, until time.Time) Change {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, until }
}

func sign(t testing.TB, by *Signed, changes []Change) *Signed {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 0, 90)}
	for _, change := range changes {
		change(c)
	}
	parent, parentKey := c, crypto.Signer(key)
	if by != nil {
		parent, parentKey = by.Cert, by.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s := &Signed{Cert: parsed, Key: key, Chain: [][]byte{der}, issuer: by}
	for up := by; up != nil && up.issuer != nil; up = up.issuer {
		s.Chain = append(s.Chain, up.Cert.Raw)
	}
	return s
}

// TLS is the certificate as crypto/tls shows it.
func (s *Signed) TLS() tls.Certificate {
	return tls.Certificate{Certificate: s.Chain, PrivateKey: s.Key, Leaf: s.Cert}
}

// Pool holds the certificate as the only root.
func (s *Signed) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(s.Cert)
	return p
}

// PEM is the certificate's chain.
func (s *Signed) PEM() []byte {
	var out []byte
	for _, der := range s.Chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return out
}

// Write puts NAME.pem and NAME-key.pem into a directory.
func (s *Signed) Write(t testing.TB, dir, name string) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(s.Key)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")
	for file, b := range map[string][]byte{cert: s.PEM(), key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
