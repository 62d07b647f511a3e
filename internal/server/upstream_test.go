package server

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/certificate/certtest"
)

// secureAPI answers over TLS and counts what it was asked.
func secureAPI(t *testing.T, conf *tls.Config) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "text/plain")
		if len(r.TLS.PeerCertificates) > 0 {
			io.WriteString(w, "seen "+r.TLS.PeerCertificates[0].Subject.CommonName)
		}
	}))
	s.TLS, s.Config.ErrorLog = conf, log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL, asked
}

func (r *running) slow(t *testing.T) (int, string) {
	t.Helper()
	resp, err := http.Get(r.URL() + "/slow")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// An API whose certificate does not hold is never asked: 502, with the reason in the event, and /health says so.
//
//threat:39 an API whose certificate does not hold → never asked: 502
func TestUpstreamIsVerified(t *testing.T) {
	ca := certtest.NewCA(t, "api")
	bounded := ca.Intermediate(t, "bounded", func(x *x509.Certificate) {
		x.PermittedDNSDomainsCritical, x.PermittedDNSDomains = true, []string{"internal"}
	})
	for name, c := range map[string]struct {
		cert   *certtest.Signed
		extra  string
		reason string
	}{
		"good":                      {ca.Issue(t, certtest.Hosts("127.0.0.1")), "", ""},
		"good by its name":          {ca.Issue(t, certtest.Hosts("api.internal")), ", server_name: api.internal", ""},
		"another host":              {ca.Issue(t, certtest.Hosts("127.0.0.2", "localhost")), "", "upstream_certificate"},
		"the host and another name": {ca.Issue(t, certtest.Hosts("127.0.0.1")), ", server_name: api.internal", "upstream_certificate"},
		"a wildcard too far":        {ca.Issue(t, certtest.Hosts("*.internal")), ", server_name: a.b.internal", "upstream_certificate"},
		"expired":                   {ca.Issue(t, certtest.Hosts("127.0.0.1"), certtest.Valid(time.Now().AddDate(0, -2, 0), time.Now().Add(-time.Minute))), "", "upstream_certificate"},
		"not yet valid":             {ca.Issue(t, certtest.Hosts("127.0.0.1"), certtest.Valid(time.Now().Add(time.Hour), time.Now().AddDate(0, 1, 0))), "", "upstream_certificate"},
		"self-signed":               {certtest.SelfSigned(t, certtest.Hosts("127.0.0.1")), "", "upstream_certificate"},
		"of another root":           {certtest.NewCA(t, "api").Issue(t, certtest.Hosts("127.0.0.1")), "", "upstream_certificate"},
		"a client's":                {ca.Issue(t, certtest.Hosts("127.0.0.1"), func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), "", "upstream_certificate"},
		"beyond its constraints":    {bounded.Issue(t, certtest.Hosts("api.example.com")), ", server_name: api.example.com", "upstream_certificate"},
		"within its constraints":    {bounded.Issue(t, certtest.Hosts("api.internal")), ", server_name: api.internal", ""},
		"a common name alone":       {ca.Issue(t, func(x *x509.Certificate) { x.Subject.CommonName = "127.0.0.1" }), "", "upstream_certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			url, asked := secureAPI(t, &tls.Config{Certificates: []tls.Certificate{c.cert.TLS()}})
			roots, _ := ca.Write(t, t.TempDir(), "api")
			s := start(t, url+", ca: "+roots+c.extra, "")
			status, body := s.slow(t)
			health := s.get(t, "/health")
			if c.reason == "" {
				if status != 200 || asked.Load() != 1 || !strings.Contains(health, `"upstream": "ok"`) {
					t.Errorf("%d %s, asked %d times, %s", status, body, asked.Load(), health)
				}
				return
			}
			if status != 502 || asked.Load() != 0 || strings.Contains(body, "certificate") || !strings.Contains(health, `"upstream": "untrusted"`) {
				t.Errorf("%d %s, asked %d times, %s", status, body, asked.Load(), health)
			}
			eventually(t, "the event has its reason", func() bool { return slices.Contains(s.reasons(t), c.reason) })
		})
	}
	t.Run("no roots but the system's", func(t *testing.T) {
		url, asked := secureAPI(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, certtest.Hosts("127.0.0.1")).TLS()}})
		if status, _ := start(t, url, "").slow(t); status != 502 || asked.Load() != 0 {
			t.Errorf("%d, asked %d times", status, asked.Load())
		}
	})
	t.Run("old TLS", func(t *testing.T) {
		url, asked := secureAPI(t, &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10, Certificates: []tls.Certificate{ca.Issue(t, certtest.Hosts("127.0.0.1")).TLS()}})
		roots, _ := ca.Write(t, t.TempDir(), "api")
		if status, _ := start(t, url+", ca: "+roots, "").slow(t); status != 502 || asked.Load() != 0 {
			t.Errorf("%d, asked %d times", status, asked.Load())
		}
	})
}

// The gate is known to the API by its own certificate; roots, and that certificate, are taken over from their files while
// requests go on, and what cannot be used changes nothing.
func TestUpstreamFilesAreRenewed(t *testing.T) {
	old, next, gates := certtest.NewCA(t, "old"), certtest.NewCA(t, "next"), certtest.NewCA(t, "gates")
	hosts := certtest.Hosts("127.0.0.1")
	shown := new(atomic.Pointer[tls.Certificate])
	show := func(c *certtest.Signed) {
		own := c.TLS()
		shown.Store(&own)
	}
	show(old.Issue(t, hosts))
	url, asked := secureAPI(t, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: gates.Pool(), Certificates: []tls.Certificate{*shown.Load()}}, nil
	},
	})
	dir := t.TempDir()
	roots, _ := old.Write(t, dir, "api")
	named := func(name string) certtest.Change { return func(x *x509.Certificate) { x.Subject.CommonName = name } }
	cert, key := gates.Issue(t, named("first")).Write(t, dir, "gate")
	extra := ", ca: " + roots + ", client_cert: " + cert + ", client_key: " + key
	s := start(t, url+extra, "")
	if status, body := s.slow(t); status != 200 || body != "seen first" {
		t.Fatal(status, body)
	}

	if err := os.WriteFile(filepath.Join(dir, "gate-key.pem"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the broken key is told", func() bool { return strings.Contains(s.happened(t), "2004 trust.refused") })
	if status, body := s.slow(t); status != 200 || body != "seen first" {
		t.Error("the old one does not stay:", status, body)
	}
	gates.Issue(t, named("second")).Write(t, dir, "gate")
	eventually(t, "the renewed client certificate is shown", func() bool { _, body := s.slow(t); return body == "seen second" })

	// The roots change hands: connections that hang on the old ones are not used again.
	if err := os.WriteFile(roots, next.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the old API is not believed any more", func() bool { status, _ := s.slow(t); return status == 502 })
	before := asked.Load()
	show(next.Issue(t, hosts))
	if status, _ := s.slow(t); status != 200 || asked.Load() != before+1 {
		t.Error(status)
	}

	// An API that does not know the gate's root does not answer, and nothing else is tried.
	stranger, strangerKey := certtest.NewCA(t, "strangers").Issue(t, named("stranger")).Write(t, t.TempDir(), "stranger")
	other := start(t, url+", ca: "+roots+", client_cert: "+stranger+", client_key: "+strangerKey, "")
	if status, _ := other.slow(t); status != 502 {
		t.Error(status)
	}
	// Whether its alert is read, or the connection is found closed before, is for the race to say.
	eventually(t, "the event has its reason", func() bool {
		r := other.reasons(t)
		return slices.Contains(r, "upstream_handshake") || slices.Contains(r, "upstream_unreachable")
	})
}
