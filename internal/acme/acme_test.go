package acme

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/portreeve/portreeve/internal/certificate/certtest"
	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/server"
)

const (
	name     = "api.example.com"
	deadline = 60 * time.Second
)

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// pebbleProgram builds Let's Encrypt's test authority, which the end-to-end module keeps as a tool.
var pebbleProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pebble")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "pebble")
	b, err := exec.Command("go", "build", "-C", filepath.Join("..", "..", "e2e"), "-o", file, "github.com/letsencrypt/pebble/v2/cmd/pebble").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, b)
	}
	return file, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if file, err := pebbleProgram(); err == nil {
		os.RemoveAll(filepath.Dir(file))
	}
	os.Exit(code)
}

// names answers every question for an address with this machine's, over TCP, as pebble asks.
func names(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answer(c)
		}
	}()
	return l.Addr().String()
}

// answer serves one connection; messages have their length before them (RFC 1035 §4.2.2).
func answer(c net.Conn) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		buf := make([]byte, binary.BigEndian.Uint16(size[:]))
		var m dnsmessage.Message
		if _, err := io.ReadFull(c, buf); err != nil || m.Unpack(buf) != nil || len(m.Questions) != 1 {
			return
		}
		m.Response, m.Authoritative, m.Additionals = true, true, nil
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
		}
		b, err := m.Pack()
		if err != nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
			return
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// authority is a pebble to be: where it will be, and by what it is trusted.
type authority struct {
	t                  *testing.T
	dir                string
	address, admin, ca string
	roots              *x509.CertPool
	stop               func()
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	if _, err := pebbleProgram(); err != nil {
		t.Skipf("SKIPPED: pebble cannot be built (it comes through the module proxy): %v", err)
	}
	a := &authority{t: t, dir: t.TempDir(), address: freePort(t), admin: freePort(t)}
	ca := certtest.NewCA(t, "pebble's own")
	a.ca, _ = ca.Write(t, a.dir, "ca")
	a.roots = ca.Pool()
	ca.Issue(t, certtest.Hosts("127.0.0.1")).Write(t, a.dir, "pebble")
	return a
}

// start runs it. It looks for proof at these ports, and its certificates live for so long.
func (a *authority) start(tlsPort, httpPort int, life time.Duration) {
	a.t.Helper()
	conf := map[string]any{"pebble": map[string]any{"listenAddress": a.address, "managementListenAddress": a.admin, "certificate": filepath.Join(a.dir, "pebble.pem"),
		"privateKey": filepath.Join(a.dir, "pebble-key.pem"), "httpPort": httpPort, "tlsPort": tlsPort, "keyAlgorithm": "ecdsa", "retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "short", "validityPeriod": int(life.Seconds())}}}}
	b, err := json.Marshal(conf)
	if err != nil {
		a.t.Fatal(err)
	}
	file := filepath.Join(a.dir, "pebble.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		a.t.Fatal(err)
	}
	program, err := pebbleProgram()
	if err != nil {
		a.t.Fatal(err)
	}
	cmd := exec.Command(program, "-config", file, "-dnsserver", names(a.t))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=20")
	out, err := cmd.StdoutPipe()
	if err != nil {
		a.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	var mu sync.Mutex
	var said []string
	go func() {
		for in := bufio.NewScanner(out); in.Scan(); {
			mu.Lock()
			said = append(said, in.Text())
			mu.Unlock()
		}
	}()
	a.stop = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	a.t.Cleanup(func() {
		a.stop()
		if a.t.Failed() {
			mu.Lock()
			defer mu.Unlock()
			a.t.Log(strings.Join(said, "\n"))
		}
	})
	eventually(a.t, "pebble answers", func() bool { _, err := a.fetch("https://" + a.address + "/dir"); return err == nil })
}

func (a *authority) fetch(url string) ([]byte, error) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.roots}, DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// issued is what its certificates hang on.
func (a *authority) issued() *x509.CertPool {
	a.t.Helper()
	b, err := a.fetch("https://" + a.admin + "/roots/0")
	if err != nil {
		a.t.Fatal(err)
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(b) {
		a.t.Fatal("pebble shows no root")
	}
	return p
}

const document = `openapi: 3.1.0
info: {title: T, version: "1"}
security: []
paths:
  /ping: {get: {responses: {"200": {description: ok}}}}
`

// gate is a gate that asks for its certificate.
type gate struct {
	*server.Server
	t    *testing.T
	plan *plan.Plan
	port int
}

func newGate(t *testing.T, a *authority, more string) (_ *gate, serve func()) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "openapi.yaml"), []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "version: 1\ndocument: openapi.yaml\nlisten: 127.0.0.1:0\nurl: https://" + name + "\nhosts: [\"" + name + "\"]\nadmin: {listen: 127.0.0.1:0}\n" +
		"upstream: {url: http://127.0.0.1:1}\nidentity: {embedded: {enabled: false}}\ntls: {acme: {directory: \"https://" + a.address + "/dir\", email: ops@example.com, ca: " + a.ca + "}}\n" + more
	p, err := compile.LoadText("portreeve.yaml", []byte(text), dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	g := &gate{t: t, plan: p}
	g.Server, err = server.Listen(p, log, server.WithACME(func(p *plan.Plan, at net.Addr) (server.Asker, error) {
		g.port = at.(*net.TCPAddr).Port
		return open(p, at, 500*time.Millisecond)
	}))
	if err != nil {
		t.Fatal(err)
	}
	return g, func() {
		d, err := deployment.Open(t.Context(), p, deployment.Options{Log: log})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- errors.Join(g.Serve(ctx, d, "test"), d.Close()) }()
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// shown returns the serial number of the certificate that clients see, and what they make of it.
func (g *gate) shown(roots *x509.CertPool) (string, error) {
	c, err := tls.Dial("tcp", strings.TrimPrefix(g.URL(), "https://"), &tls.Config{RootCAs: roots, ServerName: name})
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

func (g *gate) happened() string {
	var out strings.Builder
	_ = ledger.Read(g.plan.Audit.Dir, func(_ string, _ int, line []byte) error {
		out.Write(line)
		out.WriteByte('\n')
		return nil
	})
	return out.String()
}

func (g *gate) health() string {
	resp, err := http.Get(g.Admin() + "/health")
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(b)
}

// A certificate is asked for by TLS-ALPN-01 on the gate's own listener, renewed before it ends, and stays when the
// authority is gone.
func TestAskedRenewedAndAlone(t *testing.T) {
	a := newAuthority(t)
	g, serve := newGate(t, a, "")
	a.start(g.port, 1, 15*time.Second)
	serve()
	if h := g.health(); !strings.Contains(h, `"state": "missing"`) && !strings.Contains(h, `"state": "ok"`) {
		t.Error(h)
	}
	roots := a.issued()
	first := ""
	eventually(t, "a certificate is shown", func() bool {
		n, err := g.shown(roots)
		first = n
		return err == nil
	})
	if h := g.health(); !strings.Contains(h, `"name": "`+name+`"`) {
		t.Error(h)
	}
	eventually(t, "it is told", func() bool { return strings.Contains(g.happened(), `"certificate.obtained"`) })
	kept := 0
	err := filepath.WalkDir(filepath.Join(g.plan.Server.Data, Folder), func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil // a lock that has gone
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s may be read by others: %v", p, info.Mode())
		}
		if strings.HasSuffix(p, ".key") {
			kept++
		}
		return nil
	})
	if err != nil || kept < 2 { // of the account, of the certificate
		t.Errorf("%d keys are kept, %v", kept, err)
	}

	second := ""
	eventually(t, "it is renewed", func() bool {
		n, err := g.shown(roots)
		second = n
		return err == nil && n != first
	})
	a.stop()
	eventually(t, "the failure is told", func() bool { return strings.Contains(g.happened(), `"certificate.failed"`) })
	if n, err := g.shown(nil); err == nil {
		t.Errorf("who does not trust pebble sees %s", n)
	}
	n, err := g.shown(roots)
	var expired x509.CertificateInvalidError
	if err != nil && !(errors.As(err, &expired) && expired.Reason == x509.Expired) || err == nil && n < "0" {
		t.Errorf("the old certificate is not shown: %v", err)
	}
	if h := g.health(); strings.Contains(h, `"status": "ok"`) {
		t.Error(h)
	}
	if strings.Contains(g.happened(), "PRIVATE KEY") || second == "" {
		t.Error("the ledger holds a key")
	}
}

// The listener that refuses plain HTTP answers challenges, and those alone.
func TestAskedByHTTP(t *testing.T) {
	a := newAuthority(t)
	plain := freePort(t)
	g, serve := newGate(t, a, "plain: {listen: \""+plain+"\"}\n")
	at, err := net.ResolveTCPAddr("tcp", plain)
	if err != nil {
		t.Fatal(err)
	}
	a.start(1, at.Port, time.Hour) // nobody is at the port for TLS
	serve()
	roots := a.issued()
	eventually(t, "a certificate is shown", func() bool { _, err := g.shown(roots); return err == nil })
	for _, path := range []string{"/ping", "/.well-known/acme-challenge/unknown"} {
		resp, err := http.Get("http://" + plain + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// An authority that was never there stops nothing: the gate serves, says so, and has no certificate to show.
func TestNobodyToAsk(t *testing.T) {
	a := &authority{t: t, dir: t.TempDir(), address: freePort(t)}
	a.ca, _ = certtest.NewCA(t, "nobody").Write(t, a.dir, "ca")
	g, serve := newGate(t, a, "")
	serve()
	eventually(t, "the failure is told", func() bool { return strings.Contains(g.happened(), `"certificate.failed"`) })
	if h := g.health(); !strings.Contains(h, `"state": "missing"`) || strings.Contains(h, `"status": "ok"`) {
		t.Error(h)
	}
	if _, err := g.shown(nil); err == nil {
		t.Error("a certificate is shown that nobody gave")
	}
}
