package assertion_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/portreeve/portreeve"
	"github.com/portreeve/portreeve/docs/examples/assertion"
	"github.com/portreeve/portreeve/sqlite"
)

const document = `openapi: 3.1.0
info: {title: Hello, version: "1"}
paths:
  /hello:
    get:
      security: []
      responses:
        "200":
          description: A greeting.
          content: {application/json: {schema: {type: object, properties: {message: {type: string}}}}}
`

// gate starts a gate in front of an API and returns its URL.
func gate(t *testing.T, listener net.Listener, api string) string {
	t.Helper()
	dir := t.TempDir()
	url := "http://" + listener.Addr().String()
	config := "version: 1\ndocument: openapi.yaml\nurl: " + url + "\nupstream: {url: " + api + ", assertion: {audience: hello-api}}\n"
	for name, text := range map[string]string{"openapi.yaml": document, "portreeve.yaml": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g, err := portreeve.Load(filepath.Join(dir, "portreeve.yaml"), portreeve.WithStore(sqlite.Open))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: g}
	go s.Serve(listener)
	t.Cleanup(func() {
		s.Close()
		g.Close()
	})
	return url
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// judge sends requests through the gate and around it: none, garbage, and one signed by somebody else.
func judge(t *testing.T, gateURL, api string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := jwt.Signed(signer).Claims(jwt.Claims{Issuer: gateURL, Audience: jwt.Audience{"hello-api"}, IssuedAt: jwt.NewNumericDate(time.Now()),
		Expiry: jwt.NewNumericDate(time.Now().Add(time.Minute))}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, url, header string
		want              int
	}{
		{"through the gate", gateURL, "", 200},
		{"through the gate with a forged one, which it replaces", gateURL, forged, 200},
		{"around it", api, "", 403},
		{"around it with garbage", api, "x.y.z", 403},
		{"around it with a forged one", api, forged, 403},
	} {
		r, err := http.NewRequest("GET", c.url+"/hello", nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.header != "" {
			r.Header.Set("Portreeve-Assertion", c.header)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s: %d %s", c.name, resp.StatusCode, b)
		}
	}
}

func TestGo(t *testing.T) {
	l := listen(t)
	api := httptest.NewServer(assertion.Require("http://"+l.Addr().String(), "hello-api", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"message": "hello"}`)
	})))
	defer api.Close()
	judge(t, gate(t, l, api.URL), api.URL)
}

// An assertion for another API of the same gate opens nothing.
func TestGoOtherAudience(t *testing.T) {
	l := listen(t)
	api := httptest.NewServer(assertion.Require("http://"+l.Addr().String(), "another-api", http.NotFoundHandler()))
	defer api.Close()
	resp, err := http.Get(gate(t, l, api.URL) + "/hello")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("got %d", resp.StatusCode)
	}
}

func TestPython(t *testing.T) {
	python := ""
	for _, p := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(p, "-c", "import jwt, cryptography").Run() == nil {
			python = p
			break
		}
	}
	if python == "" {
		t.Skip("SKIPPED: no python3 with PyJWT and cryptography: apt-get install python3-jwt python3-cryptography")
	}
	l, free := listen(t), listen(t)
	api := free.Addr().String()
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	cmd := exec.Command(python, "assertion.py", "http://"+l.Addr().String(), "hello-api", fmt.Sprint(port))
	cmd.Stderr = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", api); err == nil {
			c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal("the Python API did not start")
		}
	}
	judge(t, gate(t, l, "http://"+api), "http://"+api)
}

// docs/upstream.md shows these very files.
func TestDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../upstream.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"assertion.go", "assertion.py"} {
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(doc), strings.TrimSpace(string(code))) {
			t.Errorf("docs/upstream.md does not show %s as it is", name)
		}
	}
}
