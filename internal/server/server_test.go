package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/store/sqlite"
)

const document = `openapi: 3.1.0
info: {title: T, version: "1"}
paths:
  /slow:
    get:
      security: []
      responses: {"200": {description: ok, content: {text/plain: {schema: {type: string}}}}}
  /echo:
    post:
      security: []
      requestBody: {content: {text/plain: {schema: {type: string}}}}
      responses: {"200": {description: ok, content: {text/plain: {schema: {type: string}}}}}
  /json:
    post:
      security: []
      requestBody: {content: {application/json: {schema: {type: string}}}}
      responses: {"200": {description: ok, content: {application/json: {schema: {type: string}}}}}
`

// certify writes a certificate for 127.0.0.1 and returns its serial number.
func certify(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pk}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// running is a served deployment.
type running struct {
	*Server
	d    *deployment.Deployment
	plan *plan.Plan
	stop context.CancelFunc
	done chan error
}

func start(t *testing.T, upstream, more string) *running {
	t.Helper()
	return serveDocument(t, document, upstream, more)
}

// serveDocument is start for another document. more may say upstream by itself, with $UPSTREAM.
func serveDocument(t *testing.T, document, upstream, more string) *running {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "openapi.yaml"), []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	config := "version: 1\ndocument: openapi.yaml\nlisten: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\n" + strings.ReplaceAll(more, "$UPSTREAM", upstream)
	if !strings.Contains(more, "upstream:") {
		config += "upstream: {url: " + upstream + "}\n"
	}
	p, err := compile.LoadText("portreeve.yaml", []byte(config), dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Listen(p, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.every = 20 * time.Millisecond
	d, err := deployment.Open(t.Context(), p, deployment.Options{Open: func(ctx context.Context, path string) (deployment.Store, error) {
		return sqlite.Open(ctx, path, sqlite.Options{Create: true})
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{s, d, p, stop, make(chan error, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := s.Serve(ctx, d, "test")
		r.done <- errors.Join(err, d.Close())
	}()
	t.Cleanup(func() {
		stop()
		<-ended // its directory goes next
	})
	return r
}

func TestTLS(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, r.Header.Get("X-Forwarded-Proto"))
	}))
	defer api.Close()
	dir := t.TempDir()
	cert, key := certify(t, dir, 1)
	s := start(t, api.URL, "tls: {cert: "+cert+", key: "+key+"}\n")
	roots := x509.NewCertPool()
	pemBytes, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(pemBytes)
	address := strings.TrimPrefix(s.URL(), "https://")

	for _, c := range []struct {
		name string
		conf *tls.Config
		ok   bool
	}{
		{"TLS 1.3", &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, true},
		{"TLS 1.2", &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12}, true},
		{"TLS 1.1", &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
	} {
		conn, err := tls.Dial("tcp", address, c.conf)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil {
			conn.Close()
		}
	}

	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: protocol == "HTTP/2.0"}
		resp, err := (&http.Client{Transport: tr}).Get(s.URL() + "/slow")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		tr.CloseIdleConnections()
		if err != nil || resp.StatusCode != 200 || resp.Proto != protocol || string(b) != "https" || resp.Header.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s: got %s %d %q %v, HSTS %q", protocol, resp.Proto, resp.StatusCode, b, err, resp.Header.Get("Strict-Transport-Security"))
		}
	}

	// A reload takes a new certificate over for connections made from then on; one that cannot be read is refused and the
	// old one stays.
	if err := os.WriteFile(key, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s.Check(s.plan) == nil || s.Take(s.plan) == nil {
		t.Error("a broken key was read")
	}
	certify(t, dir, 2)
	if err := errors.Join(s.Check(s.plan), s.Take(s.plan)); err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if n := conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); n != 2 {
		t.Errorf("serial %d after the reload", n)
	}
}

// A stop takes no new request, says so to the prober, and lets the one on its way end.
func TestDrain(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "done")
	}))
	defer api.Close()
	s := start(t, api.URL, "")
	got := make(chan string, 1)
	go func() {
		resp, err := http.Get(s.URL() + "/slow")
		if err != nil {
			got <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			b = []byte(err.Error())
		}
		got <- string(b)
	}()
	<-entered
	s.stop()
	for said := ""; !strings.Contains(said, "draining"); time.Sleep(5 * time.Millisecond) {
		resp, err := http.Get(s.Admin() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		said = string(b)
	}
	close(release)
	if text := <-got; text != "done" {
		t.Errorf("the request on its way got %q", text)
	}
	if err := <-s.done; err != nil {
		t.Errorf("serve ended with %v", err)
	}
	if _, err := http.Get(s.URL() + "/slow"); err == nil {
		t.Error("a new connection was taken after the stop")
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := &plan.Plan{Server: plan.Server{Listen: "127.0.0.1:0", Admin: l.Addr().String()}}
	_, err = Listen(p, slog.New(slog.DiscardHandler))
	var e *ListenError
	if !errors.As(err, &e) || e.Key != "admin.listen" || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
}

// A client that sends nothing more of its body is not waited for longer than timeouts.idle.
//
//threat:26 a body that stands still → 400 or the end after timeouts.idle
func TestStalledBody(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/plain")
	}))
	defer api.Close()
	s := start(t, api.URL, "timeouts: {idle: 200ms}\n")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nabc")
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	b, err := io.ReadAll(conn) // the gate ends the connection by itself
	if err != nil {
		t.Fatalf("the connection was not ended: %v", err)
	}
	if strings.HasPrefix(string(b), "HTTP/1.1 200") {
		t.Errorf("half a body was answered with %q", b)
	}
}

// Nor is one whose request was refused before its body was read.
func TestStalledBodyOfRefused(t *testing.T) {
	s := start(t, "http://127.0.0.1:1", "timeouts: {idle: 200ms}\n")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("the connection was not ended: %v", err)
	}
	if !strings.HasPrefix(string(b), "HTTP/1.1 404") {
		t.Errorf("got %q", b)
	}
}

// A client that sends a byte now and then is not waited for either: a body must come with a minimum rate on the whole.
//
//threat:26 a byte of body now and then → the end, for a body must come with a minimum rate
func TestDrippingBody(t *testing.T) {
	s := start(t, "http://127.0.0.1:1", "timeouts: {idle: 200ms}\n")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\n\r\n")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		io.Copy(io.Discard, conn)
	}()
	for end := time.Now().Add(30 * time.Second); ; {
		select {
		case <-ended:
			return
		case <-time.After(50 * time.Millisecond):
			if time.Now().After(end) {
				t.Fatal("the connection was not ended")
			}
			conn.Write([]byte("x"))
		}
	}
}

// Announced bodies take nothing from the memory of others; sent ones do.
//
//threat:27 many large bodies that are announced and not sent → they take no memory from others
func TestAnnouncedBodiesTakeNothing(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `"ok"`)
	}))
	defer api.Close()
	s := start(t, api.URL, "sizes: {held: 8MiB}\n")
	for range 20 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{")
	}
	for range 20 { // the announcing ones arrive at some time between
		resp, err := http.Post(s.URL()+"/json", "application/json", strings.NewReader(`"`+strings.Repeat("a", 400_000)+`"`))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatalf("got %d %s", resp.StatusCode, b)
		}
	}
}
