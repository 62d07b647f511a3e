package certificate_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/certificate"
	"github.com/portreeve/portreeve/internal/certificate/certtest"
)

func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Each row bends a good pair and says what its owner must be told.
func TestLoad(t *testing.T) {
	ca := certtest.NewCA(t, "root")
	now := time.Now()
	for name, c := range map[string]struct {
		change certtest.Change
		bend   func(t *testing.T, cert, key string)
		want   string
	}{
		"good":          {},
		"wildcard":      {change: func(c *x509.Certificate) { c.DNSNames = []string{"*.example.com"} }},
		"expired":       {change: certtest.Valid(now.AddDate(0, -2, 0), now.Add(-time.Minute)), want: "expired on "},
		"not yet valid": {change: certtest.Valid(now.Add(time.Hour), now.AddDate(0, 1, 0)), want: "is valid only from "},
		"a client's":    {change: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, want: "is not made for servers"},
		"no name":       {change: func(c *x509.Certificate) { c.DNSNames = nil }, want: "names no host"},
		"another's key": {bend: func(t *testing.T, _, key string) {
			_, other := ca.Issue(t, certtest.Hosts("x.example")).Write(t, t.TempDir(), "x")
			b, err := os.ReadFile(other)
			if err != nil {
				t.Fatal(err)
			}
			write(t, key, b)
		}, want: "does not belong to the first certificate of "},
		"the root first": {bend: func(t *testing.T, cert, _ string) { write(t, cert, ca.PEM()) }, want: "does not belong to the first certificate"},
		"key for all": {bend: func(t *testing.T, _, key string) {
			if err := os.Chmod(key, 0o644); err != nil {
				t.Fatal(err)
			}
		}, want: "may be used by everybody on this machine (mode 0644)\nhint: chmod 600"},
		"no key":   {bend: func(t *testing.T, _, key string) { write(t, key, []byte("no key")) }, want: "holds no key in PEM form"},
		"no file":  {bend: func(t *testing.T, cert, _ string) { os.Remove(cert) }, want: "no such file"},
		"a folder": {bend: func(t *testing.T, cert, _ string) { os.Remove(cert); os.Mkdir(cert, 0o700) }, want: "is no file"},
		"a key as a certificate": {bend: func(t *testing.T, cert, key string) {
			b, err := os.ReadFile(key)
			if err != nil {
				t.Fatal(err)
			}
			write(t, cert, b)
		}, want: "holds no certificate"},
		"encrypted": {bend: func(t *testing.T, _, key string) {
			write(t, key, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}))
		}, want: "is encrypted"},
		"broken": {bend: func(t *testing.T, cert, _ string) {
			write(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
		}, want: "cannot be used"},
		"a giant": {bend: func(t *testing.T, cert, _ string) { write(t, cert, make([]byte, 2<<20)) }, want: "is larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			change := c.change
			if change == nil {
				change = func(*x509.Certificate) {}
			}
			cert, key := ca.Issue(t, certtest.Hosts("api.example.com"), change).Write(t, t.TempDir(), "server")
			if c.bend != nil {
				c.bend(t, cert, key)
			}
			_, err := certificate.Load(certificate.Pair{Cert: cert, Key: key}, certificate.Server, now)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var bad *certificate.Error
			if !errors.As(err, &bad) || !bad.BadInput() || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "PRIVATE KEY-----") {
				t.Error("the error repeats the key")
			}
		})
	}
}

// A key that nobody trusts any more is not shown.
func TestWeakKey(t *testing.T) {
	k, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := certtest.NewCA(t, "root")
	good := root.Issue(t, certtest.Hosts("a.example.com"))
	der, err := x509.CreateCertificate(rand.Reader, good.Cert, root.Cert, &k.PublicKey, root.Key)
	if err != nil {
		t.Fatal(err)
	}
	weak := &certtest.Signed{Key: k, Chain: [][]byte{der}}
	cert, key := weak.Write(t, t.TempDir(), "weak")
	if _, err := certificate.Load(certificate.Pair{Cert: cert, Key: key}, certificate.Server, time.Now()); err == nil || !strings.Contains(err.Error(), "224 bits") {
		t.Error(err)
	}
}

func TestPool(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewCA(t, "root")
	file, key := ca.Write(t, dir, "ca")
	if _, all, err := certificate.Pool("tls.client_ca", file); err != nil || len(all) != 1 {
		t.Error(all, err)
	}
	for name, text := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":  {nil, "holds no certificate"},
		"broken": {append(ca.PEM(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})...), "certificate 2 cannot be read"},
	} {
		write(t, file, text.b)
		if _, _, err := certificate.Pool("tls.client_ca", file); err == nil || !strings.Contains(err.Error(), text.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := certificate.Pool("tls.client_ca", key); err == nil || !strings.Contains(err.Error(), "holds a private key") {
		t.Error(err)
	}
	if _, _, err := certificate.Pool("tls.client_ca", filepath.Join(dir, "none.pem")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// What is renewed is taken over; what cannot be used is said once, when it was seen twice, and changes nothing.
func TestKeeperLooks(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewCA(t, "root")
	cert, key := ca.Issue(t, certtest.Hosts("api.example.com")).Write(t, dir, "server")
	k, err := certificate.Open([]certificate.Pair{{Cert: cert, Key: key}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		c, err := k.Get(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.SerialNumber.String()
	}
	look := func(changed, failed bool) {
		t.Helper()
		if c, err := k.Look(); c != changed || (err != nil) != failed {
			t.Errorf("changed %t, %v", c, err)
		}
	}
	look(false, false)
	first := shown()

	// Half of a renewal: the certificate is new, the key is not.
	other := ca.Issue(t, certtest.Hosts("api.example.com"))
	write(t, cert, other.PEM())
	look(false, false)
	if k.Failing() {
		t.Error("half a renewal is said to fail at once")
	}
	look(false, true)
	look(false, false)
	if shown() != first || !k.Failing() {
		t.Errorf("shown %s, failing %t", shown(), k.Failing())
	}
	// Whole.
	other.Write(t, dir, "server")
	look(true, false)
	if shown() == first || k.Failing() {
		t.Error("the renewed one is not shown")
	}
	look(false, false)
	// Files that are gone change nothing either.
	second := shown()
	os.Remove(cert)
	look(false, false)
	look(false, true)
	if shown() != second {
		t.Error("a certificate went with its file")
	}
}

// The name that a client asks for chooses; where none stands for it, the first is shown and the client judges.
func TestKeeperChooses(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewCA(t, "root")
	var pairs []certificate.Pair
	for _, host := range []string{"first.example.com", "api.example.com", "*.wild.example.com"} {
		cert, key := ca.Issue(t, certtest.Hosts(host)).Write(t, dir, strings.Trim(host, "*."))
		pairs = append(pairs, certificate.Pair{Cert: cert, Key: key})
	}
	k, err := certificate.Open(pairs, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[string]string{
		"first.example.com": "first.example.com", "api.example.com": "api.example.com", "API.example.COM": "api.example.com",
		"a.wild.example.com": "*.wild.example.com", "a.b.wild.example.com": "first.example.com", "wild.example.com": "first.example.com",
		"": "first.example.com", "other.example": "first.example.com",
	} {
		c, err := k.Get(&tls.ClientHelloInfo{ServerName: asked, SupportedVersions: []uint16{tls.VersionTLS13}, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
			SupportedCurves: []tls.CurveID{tls.CurveP256}, CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256}})
		if err != nil || c.Leaf.DNSNames[0] != want {
			t.Errorf("%q: shown %v, %v, want %s", asked, c.Leaf.DNSNames, err, want)
		}
	}
}

func TestState(t *testing.T) {
	ca := certtest.NewCA(t, "root")
	now := time.Now()
	day := 24 * time.Hour
	for _, c := range []struct {
		life, left time.Duration
		want       certificate.Word
	}{
		{90 * day, 60 * day, certificate.Good}, {90 * day, 14*day + time.Hour, certificate.Good}, {90 * day, 14*day - time.Hour, certificate.Expiring},
		{90 * day, -time.Second, certificate.Expired}, {365 * day, 15 * day, certificate.Good}, {365 * day, 13 * day, certificate.Expiring},
		{day, 9 * time.Hour, certificate.Good}, {day, 7 * time.Hour, certificate.Expiring}, {6 * day, 3 * day, certificate.Good},
	} {
		until := now.Add(c.left)
		leaf := ca.Issue(t, certtest.Hosts("a.example.com", "127.0.0.1"), certtest.Valid(until.Add(-c.life), until)).Cert
		s := certificate.StateOf(leaf, now)
		if s.Word != c.want || s.Name != "a.example.com" || len(s.Names) != 2 {
			t.Errorf("%v of %v left: %+v, want %s", c.left, c.life, s, c.want)
		}
	}
}
