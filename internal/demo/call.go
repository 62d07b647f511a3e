package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Call is one request, the same for both sides.
type Call struct {
	As    string // whose credential is shown; "": nobody's
	Key   bool   // the API key, not the token
	Cut   bool   // the token, with its signature replaced
	Token string // a token that nobody issued

	Method string // GET
	Path   string // with the query, percent-encoded
	Header []string
	Body   string // JSON, unless a header says otherwise; its @ stands for Fill letters
	Fill   int
	Login  string // the body is this person's name and password
	Times  int    // 1
	Around bool   // not through the gate, but straight to the API behind it
	Clear  bool   // plain HTTP, where the side speaks TLS
}

// Endpoints are the two sides, with who calls them.
type Endpoints struct {
	Naked, Guarded string // URLs
	Around         string // the API behind the gate, which should not answer anybody else
	File           string // path of demo.json
	CA             string // path of the CA of a guarded side that speaks TLS
	Roots          *x509.CertPool
	Identities     []Identity
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   string // at most maxAnswer bytes
	Err    error
}

const maxAnswer = 1 << 20

func (a Answer) ok() bool { return a.Err == nil && a.Status/100 == 2 }

func (c *Call) method() string {
	if c.Method == "" {
		return http.MethodGet
	}
	return c.Method
}

func (c *Call) times() int { return max(1, c.Times) }

// cutSignature is what stands for the last letters of a signature.
const cutSignature = "AAAAAAAAAAAA"

func cut(token string) string {
	return token[:max(0, len(token)-len(cutSignature))] + cutSignature
}

// credential returns the header that proves the caller, "" for nobody.
func (c *Call) credential(e *Endpoints) (string, error) {
	if c.Token != "" {
		return "Authorization: Bearer " + c.Token, nil
	}
	if c.As == "" {
		return "", nil
	}
	i, err := e.person(c.As)
	switch {
	case err != nil:
		return "", err
	case c.Key:
		return "X-API-Key: " + e.Identities[i].APIKey, nil
	case c.Cut:
		return "Authorization: Bearer " + cut(e.Identities[i].Token), nil
	}
	return "Authorization: Bearer " + e.Identities[i].Token, nil
}

func (c *Call) hasHeader(name string) bool {
	return slices.ContainsFunc(c.Header, func(h string) bool {
		n, _, _ := strings.Cut(h, ":")
		return strings.EqualFold(n, name)
	})
}

func (c *Call) headers() []string {
	if c.Body == "" && c.Login == "" || c.hasHeader("Content-Type") {
		return c.Header
	}
	return append([]string{"Content-Type: application/json"}, c.Header...)
}

// text returns the body.
func (c *Call) text(e *Endpoints) (string, error) {
	if c.Login == "" {
		return strings.Replace(c.Body, "@", strings.Repeat("a", c.Fill), min(1, c.Fill)), nil
	}
	i, err := e.person(c.Login)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(map[string]string{"username": e.Identities[i].Name, "password": e.Identities[i].Password})
	return string(b), err
}

// person returns the index of an identity.
func (e *Endpoints) person(name string) (int, error) {
	i := slices.IndexFunc(e.Identities, func(i Identity) bool { return i.Name == name })
	if i < 0 {
		return 0, fmt.Errorf("nobody is called %s", name)
	}
	return i, nil
}

// send makes the request once.
func (c *Call) send(ctx context.Context, client *http.Client, e *Endpoints, base string) Answer {
	text, err := c.text(e)
	if err != nil {
		return Answer{Err: err}
	}
	r, err := http.NewRequestWithContext(ctx, c.method(), base+c.Path, strings.NewReader(text))
	if err != nil {
		return Answer{Err: fmt.Errorf("making request: %w", err)}
	}
	credential, err := c.credential(e)
	if err != nil {
		return Answer{Err: err}
	}
	for _, h := range append(c.headers(), credential) {
		if name, value, ok := strings.Cut(h, ": "); ok {
			r.Header.Set(name, value)
		}
	}
	resp, err := client.Do(r)
	if err != nil {
		return Answer{Err: fmt.Errorf("asking: %w", err)}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil && len(b) == 0 {
		return Answer{Err: fmt.Errorf("reading the answer: %w", err)}
	}
	io.Copy(io.Discard, io.LimitReader(resp.Body, 8*maxAnswer))
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(bytes.ToValidUTF8(b, []byte("?")))}
}

// newClient follows no redirect and knows no proxy: what is shown is what the two sides said.
// It believes the given roots alone, and speaks HTTP/2 with whom it can, as curl does.
func newClient(roots *x509.CertPool) *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 4,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// base returns where a call goes on one side.
func (e *Endpoints) base(c *Call, guarded bool) string {
	switch {
	case !guarded:
		return e.Naked
	case c.Around:
		return e.Around
	case c.Clear:
		return strings.Replace(e.Guarded, "https://", "http://", 1)
	}
	return e.Guarded
}

// Curl returns the call as a command line to paste. No credential is in it: the shell takes it from demo.json.
func (c *Call) Curl(e *Endpoints, base string) string {
	parts := []string{"curl -si"}
	if strings.HasPrefix(base, "https://") {
		parts = append(parts, "--cacert "+shell(e.CA))
	}
	if m := c.method(); m != http.MethodGet && (m != http.MethodPost || c.Body == "" && c.Login == "") {
		parts = append(parts, "-X "+m)
	}
	if h := c.curlCredential(e); h != "" {
		parts = append(parts, "-H "+h)
	}
	for _, h := range c.headers() {
		parts = append(parts, "-H "+shell(h))
	}
	before := ""
	switch {
	case c.Login != "":
		i, _ := e.person(c.Login)
		before = fmt.Sprintf("jq '.identities[%d] | {username: .name, password}' %s | ", i, shell(e.File))
		parts = append(parts, "-d @-")
	case c.Fill > 0:
		head, tail, _ := strings.Cut(c.Body, "@")
		before = fmt.Sprintf("{ printf %%s %s; head -c %d /dev/zero | tr '\\0' a; printf %%s %s; } | ", shell(head), c.Fill, shell(tail))
		parts = append(parts, "--data-binary @-")
	case c.Body != "":
		parts = append(parts, "-d "+shell(c.Body))
	}
	line := before + strings.Join(append(parts, shell(base+c.Path)), " ")
	if n := c.times(); n > 1 {
		return fmt.Sprintf("for i in $(seq %d); do %s; done", n, line)
	}
	return line
}

// curlCredential returns the credential's header for a shell.
func (c *Call) curlCredential(e *Endpoints) string {
	if c.Token != "" {
		return shell("Authorization: Bearer " + c.Token)
	}
	i, err := e.person(c.As)
	if err != nil {
		return ""
	}
	field := func(name string) string {
		return fmt.Sprintf("$(jq -r '.identities[%d].%s' %s)", i, name, shell(e.File))
	}
	switch {
	case c.Key:
		return `"X-API-Key: ` + field("api_key") + `"`
	case c.Cut:
		return fmt.Sprintf(`"Authorization: Bearer $(jq -r '.identities[%d].token' %s | sed 's/.\{%d\}$/%s/')"`, i, shell(e.File), len(cutSignature), cutSignature)
	}
	return `"Authorization: Bearer ` + field("token") + `"`
}

// shell quotes a word for a POSIX shell, only where it must be.
func shell(s string) string {
	plain := strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:=%+,", r))
	}) < 0
	if plain && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
