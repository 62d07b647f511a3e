package demo

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	if err := WriteCertificate(dir, now); err != nil {
		t.Fatal(err)
	}
	roots, err := ReadRoots(dir)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, CertificateName), filepath.Join(dir, KeyName))
	if err != nil {
		t.Fatal(err)
	}
	leaf := pair.Leaf
	if key, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("the key is %T", leaf.PublicKey)
	}
	for _, c := range []struct {
		name string
		at   time.Time
		ok   bool
	}{
		{"127.0.0.1", now, true}, {"localhost", now, true}, {"::1", now, true},
		{"127.0.0.1", now.Add(23 * time.Hour), true}, {"127.0.0.1", now.Add(25 * time.Hour), false},
		{"127.0.0.2", now, false}, {"gate.example", now, false},
	} {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: c.name, CurrentTime: c.at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		if (err == nil) != c.ok {
			t.Errorf("%s at %s: %v", c.name, c.at.Sub(now), err)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "127.0.0.1", Roots: x509.NewCertPool()}); err == nil {
		t.Error("believed without its CA")
	}
	ca := readCertificate(t, filepath.Join(dir, CAName))
	if !ca.IsCA || !ca.MaxPathLenZero || ca.KeyUsage != x509.KeyUsageCertSign || !ca.PermittedDNSDomainsCritical ||
		!slices.Equal(ca.PermittedDNSDomains, []string{"localhost"}) || len(ca.PermittedIPRanges) != 2 {
		t.Errorf("the CA may sign more than it should: %+v", ca)
	}

	// One private key is there, the certificate's, and nobody else may read it.
	keys := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		b, err := os.ReadFile(path)
		keys += bytes.Count(b, []byte("-----BEGIN PRIVATE KEY-----"))
		return err
	})
	if err != nil || keys != 1 {
		t.Errorf("%d private keys, %v", keys, err)
	}

	// A second one has another CA: what trusted the first does not trust it.
	if err := WriteCertificate(dir, now); err != nil {
		t.Fatal(err)
	}
	if _, err := readCertificate(t, filepath.Join(dir, CertificateName)).Verify(x509.VerifyOptions{Roots: roots, DNSName: "127.0.0.1"}); err == nil {
		t.Error("two starts share a CA")
	}

	if err := os.WriteFile(filepath.Join(dir, CAName), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRoots(dir); err == nil {
		t.Error("an empty CA was read")
	}
	if _, err := ReadRoots(t.TempDir()); err == nil {
		t.Error("an absent CA was read")
	}
}

func readCertificate(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		t.Fatalf("%s holds no PEM", path)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The API behind the gate believes the gate's keys only from whom the CA vouches for, and only whole.
func TestFetchJWKS(t *testing.T) {
	answer := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/.portreeve/oidc/jwks" {
				t.Errorf("asked for %s", r.URL.Path)
			}
			w.WriteHeader(status)
			w.Write([]byte(body))
		})
	}
	dir := t.TempDir()
	if err := WriteCertificate(dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	roots, err := ReadRoots(dir)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, CertificateName), filepath.Join(dir, KeyName))
	if err != nil {
		t.Fatal(err)
	}
	encrypted := func(h http.Handler, pair tls.Certificate) string {
		s := httptest.NewUnstartedServer(h)
		s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.URL
	}
	other := t.TempDir()
	if err := WriteCertificate(other, time.Now()); err != nil {
		t.Fatal(err)
	}
	stranger, err := tls.LoadX509KeyPair(filepath.Join(other, CertificateName), filepath.Join(other, KeyName))
	if err != nil {
		t.Fatal(err)
	}
	const set = `{"keys":[]}`
	for _, c := range []struct {
		name, url string
		ok        bool
	}{
		{"the gate", encrypted(answer(200, set), pair), true},
		{"plain", serve(t, answer(200, set)), true},
		{"a stranger", encrypted(answer(200, set), stranger), false},
		{"unavailable", serve(t, answer(503, set)), false},
		{"endless", serve(t, answer(200, strings.Repeat(" ", maxJWKS+1))), false},
		{"nobody", "http://" + closedAddress(t), false},
	} {
		got, err := FetchJWKS(t.Context(), c.url, roots)
		if (err == nil) != c.ok || c.ok && string(got) != set {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestOverTLS(t *testing.T) {
	base := Demonstrations(Forged{})
	list := OverTLS(base)
	if len(list) <= len(base) {
		t.Fatal("nothing more is shown over TLS")
	}
	e := Endpoints{Naked: "http://127.0.0.1:2", Guarded: "https://127.0.0.1:1", CA: "/a town/ca.pem", File: "demo.json", Identities: []Identity{{Name: "alice"}}}
	seen := map[string]bool{}
	for _, d := range list {
		if seen[d.ID] {
			t.Errorf("%s is there twice", d.ID)
		}
		seen[d.ID] = true
	}
	c := Call{As: "alice", Path: "/x"}
	if got, want := c.Curl(&e, e.base(&c, true)), `curl -si --cacert '/a town/ca.pem' -H "Authorization: Bearer $(jq -r '.identities[0].token' demo.json)" https://127.0.0.1:1/x`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := c.Curl(&e, e.base(&c, false)); strings.Contains(got, "cacert") {
		t.Errorf("the naked side: %s", got)
	}
	c.Clear = true
	if got := e.base(&c, true); got != "http://127.0.0.1:1" {
		t.Errorf("in the clear: %s", got)
	}
}
