package server

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/certificate"
	"github.com/portreeve/portreeve/internal/certificate/certtest"
	"github.com/portreeve/portreeve/internal/ledger"
)

// deadline bounds waiting for what must come; nothing is decided by how fast it does.
const deadline = 30 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// happened returns the verbs and messages of what is in the ledger beside requests.
func (r *running) happened(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	err := ledger.Read(r.plan.Audit.Dir, func(_ string, _ int, line []byte) error {
		var e struct {
			Class    int `json:"class_uid"`
			Message  string
			Unmapped struct{ Verb string }
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if e.Class != 6003 {
			fmt.Fprintf(&out, "%d %s: %s\n", e.Class, e.Unmapped.Verb, e.Message)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func (r *running) address() string { return strings.TrimPrefix(r.URL(), "https://") }

// get asks the admin listener.
func (r *running) get(t *testing.T, path string) string {
	t.Helper()
	resp, err := http.Get(r.Admin() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func serial(t *testing.T, address string, c *tls.Config) (string, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", address, c)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

// Certificates are taken over from their files by the running gate; what cannot be used changes nothing, and both are
// told: in the ledger, by /health and by a metric.
func TestCertificatesAreRenewed(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewCA(t, "root")
	old := ca.Issue(t, certtest.Hosts("127.0.0.1", "api.example.com"))
	cert, key := old.Write(t, dir, "server")
	s := start(t, "http://127.0.0.1:1", "tls: {cert: "+cert+", key: "+key+"}\n")
	trust := &tls.Config{RootCAs: ca.Pool()}
	if n, err := serial(t, s.address(), trust); err != nil || n != old.Cert.SerialNumber.String() {
		t.Fatal(n, err)
	}
	if h := s.get(t, "/health"); !strings.Contains(h, `"state": "ok"`) || !strings.Contains(h, `"name": "api.example.com"`) {
		t.Error(h)
	}

	// A key that is not its own.
	if err := os.WriteFile(key, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the broken key is told", func() bool {
		return strings.Contains(s.happened(t), "2004 certificate.refused: renewed files cannot be used; the old certificate stays")
	})
	if n, err := serial(t, s.address(), trust); err != nil || n != old.Cert.SerialNumber.String() {
		t.Error("the old certificate does not stay", n, err)
	}
	if h := s.get(t, "/health"); !strings.Contains(h, `"status": "degraded"`) && !strings.Contains(h, `"status": "unavailable"`) {
		t.Error(h)
	}
	if m := s.get(t, "/metrics"); !strings.Contains(m, "portreeve_certificate_refused 1") {
		t.Error("no metric")
	}

	renewed := ca.Issue(t, certtest.Hosts("127.0.0.1", "api.example.com"))
	renewed.Write(t, dir, "server")
	eventually(t, "the renewed one is shown", func() bool {
		n, err := serial(t, s.address(), trust)
		return err == nil && n == renewed.Cert.SerialNumber.String()
	})
	eventually(t, "it is told", func() bool {
		return strings.Contains(s.happened(t), "6002 certificate.renewed: api.example.com until ")
	})
	if m := s.get(t, "/metrics"); !strings.Contains(m, "portreeve_certificate_refused 0") || !strings.Contains(m, fmt.Sprintf(`portreeve_certificate_not_after_seconds{name="api.example.com"} %g`, float64(renewed.Cert.NotAfter.Unix()))) {
		t.Error("the metrics are not the renewed one's")
	}
	if n := strings.Count(s.happened(t), "certificate.refused"); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// What ends within two weeks is told at once, and once a day.
func TestExpiryIsTold(t *testing.T) {
	dir := t.TempDir()
	cert, key := certtest.NewCA(t, "root").Issue(t, certtest.Hosts("127.0.0.1"), certtest.Valid(time.Now().AddDate(0, 0, -77), time.Now().AddDate(0, 0, 13))).Write(t, dir, "server")
	s := start(t, "http://127.0.0.1:1", "tls: {cert: "+cert+", key: "+key+"}\n")
	eventually(t, "the end is told", func() bool { return strings.Contains(s.happened(t), "2004 certificate.expiring: 127.0.0.1 on ") })
	if h := s.get(t, "/health"); !strings.Contains(h, `"state": "expiring"`) || strings.Contains(h, `"status": "ok"`) {
		t.Error(h)
	}
	time.Sleep(10 * s.every)
	if n := strings.Count(s.happened(t), "certificate.expiring"); n != 1 {
		t.Errorf("told %d times", n)
	}
	c := certificate.State{Name: "a", Word: certificate.Expired, Until: time.Now()}
	told := 0
	say := func(verb, _ string) {
		if verb != "certificate.expired" {
			t.Error(verb)
		}
		told++
	}
	for _, hours := range []time.Duration{0, 1, 23, 24, 47, 48} {
		s.secure.remind(c, time.Now().Add(hours*time.Hour), say)
	}
	if told != 3 {
		t.Errorf("an end was told %d times in two days", told)
	}
}

// The name a client asks for chooses among several certificates.
func TestSeveralCertificates(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewCA(t, "root")
	var more []string
	for _, host := range []string{"a.example.com", "b.example.com"} {
		cert, key := ca.Issue(t, certtest.Hosts(host)).Write(t, dir, host)
		more = append(more, "{cert: "+cert+", key: "+key+"}")
	}
	s := start(t, "http://127.0.0.1:1", "tls: {certificates: ["+strings.Join(more, ", ")+"]}\n")
	for host, ok := range map[string]bool{"a.example.com": true, "b.example.com": true, "c.example.com": false} {
		if _, err := serial(t, s.address(), &tls.Config{RootCAs: ca.Pool(), ServerName: host}); (err == nil) != ok {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// What a client may speak: no version before the configured one, and no suite without forward secrecy and authenticated
// encryption.
func TestVersionsAndSuites(t *testing.T) {
	cert, key := certtest.NewCA(t, "root").Issue(t, certtest.Hosts("127.0.0.1")).Write(t, t.TempDir(), "server")
	strict := start(t, "http://127.0.0.1:1", "tls: {cert: "+cert+", key: "+key+", minimum: tls1.3}\n")
	usual := start(t, "http://127.0.0.1:1", "tls: {cert: "+cert+", key: "+key+"}\n")
	speaks := func(s *running, c *tls.Config) bool {
		c.InsecureSkipVerify = true
		_, err := serial(t, s.address(), c)
		return err == nil
	}
	if speaks(strict, &tls.Config{MaxVersion: tls.VersionTLS12}) || !speaks(strict, &tls.Config{}) || !speaks(usual, &tls.Config{MaxVersion: tls.VersionTLS12}) {
		t.Error("minimum is not what decides")
	}
	good := map[uint16]bool{}
	for _, id := range suites {
		good[id] = true
	}
	tried := 0
	for _, c := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if c.SupportedVersions[0] == tls.VersionTLS13 {
			continue
		}
		tried++
		want := good[c.ID] && strings.Contains(c.Name, "ECDSA") // the certificate's key is one of ECDSA
		if got := speaks(usual, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{c.ID}}); got != want {
			t.Errorf("%s: spoken %t", c.Name, got)
		}
	}
	if tried < 20 {
		t.Errorf("%d suites tried", tried)
	}
}

// A session goes on for a day at most: the keys that seal tickets are turned.
func TestTicketsEnd(t *testing.T) {
	ca := certtest.NewCA(t, "root")
	cert, key := ca.Issue(t, certtest.Hosts("127.0.0.1")).Write(t, t.TempDir(), "server")
	s := start(t, "http://127.0.0.1:1", "tls: {cert: "+cert+", key: "+key+"}\n")
	c := &tls.Config{RootCAs: ca.Pool(), ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	resumed := func() bool {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}
		resp, err := client.Get(s.URL() + "/.portreeve/health")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		return resp.TLS.DidResume
	}
	if resumed() || !resumed() {
		t.Fatal("sessions do not go on")
	}
	s.secure.rotate()
	if !resumed() {
		t.Error("a session ended with the first turn of the key")
	}
	for range ticketKeys {
		s.secure.rotate()
	}
	if resumed() {
		t.Error("a session went on whose key is forgotten")
	}
}

// A listener does not begin with what would fail at the first handshake.
//
//threat:39 certificates and keys that are missing, foreign, open to others → no start
func TestListenRefuses(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewCA(t, "root")
	cert, key := ca.Issue(t, certtest.Hosts("127.0.0.1")).Write(t, dir, "server")
	s := start(t, "http://127.0.0.1:1", "tls: {cert: "+cert+", key: "+key+"}\n")
	p := *s.plan
	p.Server.Listen, p.Server.Admin = "127.0.0.1:0", "127.0.0.1:0"
	if err := os.Chmod(key, 0o604); err != nil {
		t.Fatal(err)
	}
	var bad *certificate.Error
	if _, err := Listen(&p, s.log); !errors.As(err, &bad) || !strings.Contains(err.Error(), "may be used by everybody") {
		t.Error(err)
	}
	os.Chmod(key, 0o600)
	p.Server.TLS.ClientCA = filepath.Join(dir, "none.pem")
	if _, err := Listen(&p, s.log); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
