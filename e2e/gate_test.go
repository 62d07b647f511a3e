package e2e

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// wireDocument is what the gates of raw requests obey.
const wireDocument = `openapi: 3.1.0
info: {title: Wire, version: "1"}
components:
  securitySchemes: {key: {type: apiKey, in: header, name: X-API-Key}}
security: [{key: []}]
paths:
  /public:
    get: {operationId: root, security: [], responses: {"204": {description: ok}}}
  /public/{x}:
    get:
      operationId: public
      security: []
      parameters:
        - {name: x, in: path, required: true, schema: {type: string}}
        - {name: q, in: query, schema: {type: string}}
        - {name: tags, in: query, explode: false, schema: {type: array, items: {type: string}}}
        - {name: X-Mode, in: header, schema: {type: string}}
        - {name: role, in: cookie, schema: {type: string}}
      responses: {"204": {description: ok, headers: {X-Echo: {schema: {type: string}}}}}
  /admin:
    get: {operationId: admin, responses: {"204": {description: ok}}}
  /admin/users:
    get: {operationId: users, responses: {"204": {description: ok}}}
    delete: {operationId: removeUsers, responses: {"204": {description: ok}}}
  /things/{id}:
    put:
      operationId: write
      security: []
      parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
      requestBody: {required: true, content: {application/json: {schema: {type: object, properties: {n: {type: integer}, role: {type: string}}}}}}
      responses: {"204": {description: ok}}
  /bytes:
    post:
      operationId: bytes
      security: []
      requestBody: {required: true, content: {application/octet-stream: {}}}
      responses: {"204": {description: ok}}
  /files/{name}.json:
    get:
      operationId: file
      security: []
      parameters: [{name: name, in: path, required: true, schema: {type: string}}]
      responses: {"204": {description: ok}}
  /tree/{path}:
    get:
      operationId: tree
      security: []
      parameters: [{name: path, in: path, required: true, schema: {type: string, pattern: "^[a-z]+(/[a-z]+)*$"}}]
      responses: {"204": {description: ok}}
  /matrix/{m}:
    get:
      operationId: matrix
      security: []
      parameters: [{name: m, in: path, required: true, style: matrix, schema: {type: integer}}]
      responses: {"204": {description: ok}}
`

// wireGate is a running gate before some API.
type wireGate struct {
	dir, public, admin string
	key                string // of user robot
	program            *process
	roots              *x509.CertPool
}

// openGate starts the binary. more is added to its configuration; with secure it speaks TLS.
func openGate(t *testing.T, document, upstream string, secure bool, more string) *wireGate {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	g := &wireGate{dir: t.TempDir(), public: freeAddress(t), admin: freeAddress(t)}
	scheme := "http"
	if secure {
		scheme, g.roots = "https", certify(t, g.dir)
		more += "tls: {cert: cert.pem, key: key.pem}\n"
	}
	write(t, filepath.Join(g.dir, "openapi.yaml"), document)
	write(t, filepath.Join(g.dir, "portreeve.yaml"), fmt.Sprintf(`version: 1
listen: %q
admin: {listen: %q}
url: "%s://api.test"
hosts: ["api.test:8443"]
document: openapi.yaml
upstream: {url: %q, timeout: 30s}
roles: {staff: []}
limits: {address: 1000000/1m, failures: 1000000/1m, principal: 1000000/1m}
%s`, g.public, g.admin, scheme, upstream, more))
	g.program = start(t, g.dir, bin, "serve", "--config", "portreeve.yaml")
	g.program.awaitAnswer(t, "http://"+g.admin+"/readyz", http.StatusOK)
	g.key = run(t, g.dir, "", "key", "create", "--owner", "robot", "--purpose", "test", "--role", "staff")
	return g
}

// certify makes a certificate for api.test in dir.
func certify(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"api.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

// dial connects from an address of the loopback, over TLS where the gate has it.
func (g *wireGate) dial(t *testing.T, from, protocol string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	c, err := d.Dial("tcp", g.public)
	if err != nil {
		t.Fatal(err)
	}
	if g.roots != nil {
		s := tls.Client(c, &tls.Config{RootCAs: g.roots, ServerName: "api.test", NextProtos: []string{protocol}})
		if err := s.Handshake(); err != nil {
			t.Fatal(err)
		}
		c = s
	}
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// wireEvent is what the ledger tells of one request.
type wireEvent struct {
	From, ID, Reason, Phase, Operation, Subject string
	Status                                      int
}

// events reads the whole ledger. It fails where a line is not one JSON object.
func (g *wireGate) events(t *testing.T) []wireEvent {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(g.dir, "data", "audit", "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no ledger: %v", err)
	}
	var out []wireEvent
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e struct {
				Class    int `json:"class_uid"`
				Metadata struct {
					UID string `json:"correlation_uid"`
				}
				Actor  struct{ User struct{ UID string } }
				API    struct{ Operation string }
				Source struct{ IP string }            `json:"src_endpoint"`
				Answer struct{ Code int }             `json:"http_response"`
				More   struct{ Phase, Reason string } `json:"unmapped"`
			}
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Fatalf("the ledger: %v: %s", err, lines.Bytes())
			}
			if e.Class == 6003 {
				out = append(out, wireEvent{e.Source.IP, e.Metadata.UID, e.More.Reason, e.More.Phase, e.API.Operation, e.Actor.User.UID, e.Answer.Code})
			}
		}
	}
	return out
}

// end stops the gate, so that all it had to say is written, and holds what must hold of its log.
func (g *wireGate) end(t *testing.T) {
	t.Helper()
	if err := g.program.stop(t); err != nil {
		t.Errorf("serve: %v", err)
	}
	said := g.program.said()
	for _, bad := range []string{"DATA RACE", "panic", g.key} {
		if strings.Contains(said, bad) {
			t.Errorf("the log has %q", bad)
		}
	}
	for line := range strings.Lines(said) {
		for _, c := range strings.TrimSuffix(line, "\n") {
			if c < 0x20 && c != '\t' || c == 0x7f {
				t.Errorf("a control character in the log: %q", line)
			}
		}
	}
}
