package gate_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/klauspost/compress/zstd"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/gate/validate"
	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/screen"
	"github.com/portreeve/portreeve/internal/store/sqlite"
	"github.com/portreeve/portreeve/internal/wire"
)

// world is a gate with everything real around it: a compiled plan, a SQLite store, a ledger, a TCP upstream, a listener.
// Time alone is a test's to move.
type world struct {
	t    testing.TB
	dir  string
	d    *deployment.Deployment
	log  lockedBuffer
	addr string

	upstream *origin

	mu      sync.Mutex
	now     time.Time
	from    string
	keys    map[string]keys.Issued
	secrets []string
	read    int // events already judged

	inFlight atomic.Int64
}

var startOfTime = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

// screening compiles the rules once for all tests.
var screens sync.Map

func screening(paranoia int) (validate.Screener, error) {
	compile, _ := screens.LoadOrStore(paranoia, sync.OnceValues(func() (*screen.Screen, error) { return screen.New(paranoia) }))
	return compile.(func() (*screen.Screen, error))()
}

// settings are what a world is made of.
type settings struct {
	document, config string
	people           string // lines: "user NAME k=v…", "key NAME k=v…"
	answers          string // of the upstream
	wrap             bool   // the upstream is a handler behind Gate.Wrap
	next             http.Handler
}

func newWorld(t testing.TB, s settings) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), now: startOfTime, from: "192.0.2.1", keys: map[string]keys.Issued{}}
	w.upstream = newOrigin(t, s.answers)
	up := httptest.NewServer(w.upstream)
	t.Cleanup(up.Close)
	t.Setenv("PORTREEVE_TEST_SECRET", testSecret)
	w.secrets = append(w.secrets, testSecret)
	signers().write(t, w.dir)
	jwks := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write(signers().jwks) }))
	t.Cleanup(jwks.Close)
	w.file("openapi.yaml", s.document)
	config := strings.NewReplacer("$UPSTREAM", up.URL, "$JWKS", jwks.URL, "$DIR", w.dir).Replace(s.config)
	p, err := compile.LoadText("portreeve.yaml", []byte(config), w.dir, w.clock())
	if err != nil {
		t.Fatalf("compiling: %v", err)
	}
	w.d, err = deployment.Open(t.Context(), p, deployment.Options{Clock: w.clock, Who: "test", Screen: screening,
		Log: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Open: func(ctx context.Context, path string) (deployment.Store, error) {
			return sqlite.Open(ctx, path, sqlite.Options{Create: true})
		}})
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() { w.d.Close() })
	for line := range strings.Lines(s.people) {
		w.person(strings.Fields(line))
	}
	var h http.Handler = w.d.Gate
	switch {
	case s.next != nil:
		h = w.d.Gate.Wrap(s.next)
	case s.wrap:
		h = w.d.Gate.Wrap(w.upstream)
	}
	w.serve(h)
	return w
}

func (w *world) serve(h http.Handler) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.addr = l.Addr().String()
	srv := &http.Server{DisableGeneralOptionsHandler: true, ErrorLog: slog.NewLogLogger(slog.NewTextHandler(&w.log, nil), slog.LevelError),
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.inFlight.Add(1)
			defer w.inFlight.Add(-1)
			w.mu.Lock()
			r.RemoteAddr = net.JoinHostPort(w.from, "4711")
			w.mu.Unlock()
			h.ServeHTTP(rw, r)
		})}
	go srv.Serve(wire.Listener{Listener: l})
	w.t.Cleanup(func() { srv.Close() })
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// advance moves time; the directory agrees with its store at the new time.
func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	w.now = w.now.Add(d)
	w.mu.Unlock()
	w.refresh()
}

func (w *world) refresh() {
	if err := w.d.Directory.Refresh(w.t.Context()); err != nil {
		w.t.Fatalf("refreshing: %v", err)
	}
}

func (w *world) comeFrom(address string) {
	w.mu.Lock()
	w.from = address
	w.mu.Unlock()
}

func (w *world) file(name, text string) {
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// person makes a user or a key of a line.
func (w *world) person(f []string) {
	if len(f) == 0 {
		return
	}
	v := pairs(f[2:])
	switch f[0] {
	case "user":
		if _, _, err := w.d.Manager.AddUser(w.t.Context(), keys.NewUser{Name: f[1], Subject: v["subject"], Roles: list(v["roles"])}); err != nil {
			w.t.Fatal(err)
		}
	case "key":
		n := keys.NewKey{Owner: v["owner"], Purpose: "test", Roles: list(v["roles"]), Scopes: list(v["scopes"]), Expires: startOfTime.AddDate(0, 6, 0)}
		_, n.Scoped = v["scopes"]
		for _, ip := range list(v["ips"]) {
			n.AllowIPs = append(n.AllowIPs, netip.MustParsePrefix(ip))
		}
		k, _, err := w.d.Manager.CreateKey(w.t.Context(), n)
		if err != nil {
			w.t.Fatal(err)
		}
		w.keys[f[1]] = k
		w.secrets = append(w.secrets, k.Secret)
	default:
		w.t.Fatalf("who is %q", f)
	}
}

func pairs(fields []string) map[string]string {
	out := map[string]string{}
	for _, f := range fields {
		k, v, _ := strings.Cut(f, "=")
		out[k] = v
	}
	return out
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// expand replaces {{key NAME}}, {{token USER k=v…}} and {{jwt KEY k=v…}} by fresh credentials, which no event, log or
// output may repeat.
func (w *world) expand(s string) string {
	for {
		before, rest, ok := strings.Cut(s, "{{")
		if !ok {
			return s
		}
		what, after, ok := strings.Cut(rest, "}}")
		if !ok {
			w.t.Fatalf("unclosed {{ in %q", s)
		}
		f := strings.Fields(what)
		var text string
		switch f[0] {
		case "key":
			text = w.keys[f[1]].Secret
		case "token":
			v := pairs(f[2:])
			_, scoped := v["scope"]
			tok, err := w.d.IssueToken(deployment.NewToken{User: f[1], Scopes: list(v["scope"]), Scoped: scoped, AMR: list(v["amr"])})
			if err != nil {
				w.t.Fatal(err)
			}
			text = tok.Text
		case "jwt":
			text = signers().token(w.t, f[1], w.clock(), pairs(f[2:]))
		case "x": // {{x 300 a}}: 300 times a
			n, err := strconv.Atoi(f[1])
			if err != nil {
				w.t.Fatal(err)
			}
			text = strings.Repeat(f[2], n)
		default:
			w.t.Fatalf("what is {{%s}}", what)
		}
		if text == "" {
			w.t.Fatalf("{{%s}} is nothing", what)
		}
		if f[0] != "x" {
			w.mu.Lock()
			w.secrets = append(w.secrets, text)
			w.mu.Unlock()
		}
		s = before + text + after
	}
}

// deadline is how long what must happen may take; nothing is decided by it but that a test fails.
const deadline = 30 * time.Second

// eventually waits for what must happen.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// settle waits until no request is on its way and every event is in the ledger.
func (w *world) settle() {
	w.t.Helper()
	eventually(w.t, "all requests have ended", func() bool { return w.inFlight.Load() == 0 })
	_ = w.d.Announce(w.t.Context(), "barrier", "") // events are written in the order they came in
}

// event is a ledger's line as scripts see it.
type event struct {
	Class    int `json:"class_uid"`
	Metadata struct {
		UID string `json:"correlation_uid"`
	} `json:"metadata"`
	Actor struct {
		User struct {
			Type, UID, Domain string
			Credential        string `json:"credential_uid"`
		}
	}
	API struct {
		Operation string
	}
	Source struct {
		IP string
	} `json:"src_endpoint"`
	Response struct {
		Code int
	} `json:"http_response"`
	Resources []struct {
		Type, UID string
	}
	Authorizations []struct {
		Decision string
	}
	Count    int
	Unmapped struct {
		Phase, Stage, Reason, Record string
		Controls, Observed, Rules    []string
		Dropped                      int    `json:"fields_dropped"`
		Masked                       int    `json:"fields_masked"`
		Source                       string `json:"object_source"`
		Weak                         bool   `json:"object_weak"`
		Passed                       string `json:"object_passed"`
		Owner                        string `json:"object_owner_sha256"`
		Omitted                      int    `json:"elements_omitted"`
	}
}

// events returns the events of requests since it was last asked.
func (w *world) events() []event {
	w.t.Helper()
	w.settle()
	var all []event
	err := ledger.Read(filepath.Join(w.dir, "data", "audit"), func(_ string, _ int, line []byte) error {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("%w: %s", err, line)
		}
		if e.Class == 6003 {
			all = append(all, e)
		}
		return nil
	})
	if err != nil {
		w.t.Fatalf("reading the ledger: %v", err)
	}
	fresh := all[w.read:]
	w.read = len(all)
	return fresh
}

// field returns what a script may ask of an event.
func (e *event) field(name string) string {
	switch name {
	case "op":
		return e.API.Operation
	case "subject":
		return e.Actor.User.UID
	case "actor":
		return e.Actor.User.Type
	case "issuer":
		return e.Actor.User.Domain
	case "address":
		return e.Source.IP
	case "dropped":
		return strconv.Itoa(e.Unmapped.Dropped)
	case "masked":
		return strconv.Itoa(e.Unmapped.Masked)
	case "source":
		return e.Unmapped.Source
	case "weak":
		return strconv.FormatBool(e.Unmapped.Weak)
	case "passed":
		return e.Unmapped.Passed
	case "owner":
		return e.Unmapped.Owner
	case "omitted":
		return strconv.Itoa(e.Unmapped.Omitted)
	case "observed":
		return strings.Join(e.Unmapped.Observed, ",")
	case "rules":
		return strings.Join(e.Unmapped.Rules, ",")
	case "record":
		return e.Unmapped.Record
	case "object":
		var out []string
		for _, r := range e.Resources {
			out = append(out, r.Type+":"+r.UID)
		}
		return strings.Join(out, ",")
	}
	return "no field " + name
}

func (e *event) String() string {
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	code, decision := "-", "-"
	if e.Response.Code != 0 {
		code = strconv.Itoa(e.Response.Code)
	}
	if len(e.Authorizations) > 0 {
		decision = e.Authorizations[0].Decision
	}
	return strings.Join([]string{e.Unmapped.Phase, decision, dash(e.Unmapped.Stage), dash(e.Unmapped.Reason), code}, " ")
}

// keepsSecrets holds that no credential stands in anything that was written: ledger, log, metrics.
func (w *world) keepsSecrets(more ...string) {
	w.t.Helper()
	w.settle()
	written := map[string][]byte{"the log": w.log.bytes()}
	files, err := filepath.Glob(filepath.Join(w.dir, "data", "audit", "*"))
	if err != nil || len(files) == 0 {
		w.t.Fatalf("no ledger: %v", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			w.t.Fatal(err)
		}
		written["the ledger"] = append(written["the ledger"], b...)
	}
	families, err := w.d.Metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	written["the metrics"] = fmt.Append(nil, families)
	for where, b := range written {
		for _, s := range append(slices.Clone(w.secrets), more...) {
			if bytes.Contains(b, []byte(s)) {
				w.t.Errorf("%s repeats the secret %q", where, s)
			}
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

// origin is the API: it answers from a script and remembers what came.
type origin struct {
	t       testing.TB
	answers map[string]*http.Response
	bodies  map[string]string

	mu   sync.Mutex
	seen []arrival
}

type arrival struct {
	line   string // "GET /things?q=1"
	header http.Header
	body   string
	caller access.Principal
}

// newOrigin reads answers, divided by lines of "---": a request line, a status, headers, an empty line, a body. The
// status may be hang, drop (the connection), short (the body breaks off) or echo (the request's body).
func newOrigin(t testing.TB, text string) *origin {
	o := &origin{t: t, answers: map[string]*http.Response{}, bodies: map[string]string{}}
	for part := range strings.SplitSeq(text, "---\n") {
		head, body, _ := strings.Cut(part, "\n\n")
		lines := strings.Split(strings.Trim(head, "\n"), "\n")
		if len(lines) < 2 {
			continue
		}
		r := &http.Response{Status: lines[1], Header: http.Header{}}
		for _, l := range lines[2:] {
			name, value, ok := strings.Cut(l, ": ")
			if !ok {
				t.Fatalf("%q is no header", l)
			}
			r.Header.Add(name, value)
		}
		o.answers[lines[0]], o.bodies[lines[0]] = r, strings.TrimSuffix(body, "\n")
	}
	return o
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		body = append(body, "<broken>"...)
	}
	a := arrival{line: r.Method + " " + r.RequestURI, header: r.Header.Clone(), body: string(body)}
	a.header.Set("Host", r.Host)
	a.caller, _ = access.From(r.Context())
	o.mu.Lock()
	o.seen = append(o.seen, a)
	o.mu.Unlock()
	key := a.line
	if o.answers[key] == nil {
		key = r.Method + " " + r.URL.EscapedPath()
	}
	script := o.answers[key]
	if script == nil {
		w.Header().Set("X-Unknown", key)
		w.WriteHeader(http.StatusNotImplemented)
		return
	}
	for name, values := range script.Header {
		w.Header()[name] = values
	}
	text := o.bodies[key]
	switch script.Status {
	case "hang":
		<-r.Context().Done()
		return
	case "drop":
		panic(http.ErrAbortHandler)
	case "short":
		w.Header().Set("Content-Length", strconv.Itoa(len(text)+10))
		w.WriteHeader(200)
		io.WriteString(w, text)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	case "echo":
		w.WriteHeader(200)
		w.Write(body)
		return
	}
	status, err := strconv.Atoi(script.Status)
	if err != nil {
		o.t.Errorf("what is the status %q", script.Status)
	}
	if n, ok := strings.CutPrefix(text, "<bytes "); ok { // <bytes 5000000>: that many, in small writes
		size, err := strconv.Atoi(strings.TrimSuffix(n, ">"))
		if err != nil {
			o.t.Error(err)
		}
		w.WriteHeader(status)
		chunk := bytes.Repeat([]byte("x"), 4096)
		io.WriteString(w, `"`)
		for size > 0 {
			k := min(size, len(chunk))
			if _, err := w.Write(chunk[:k]); err != nil {
				return
			}
			size -= k
		}
		io.WriteString(w, `"`)
		return
	}
	w.WriteHeader(status)
	to, end := encoder(w, &text)
	for i, part := range strings.Split(text, "<flush>") {
		if i > 0 {
			if f, ok := to.(interface{ Flush() error }); ok {
				f.Flush()
			}
			w.(http.Flusher).Flush()
		}
		if _, err := io.WriteString(to, part); err != nil {
			return
		}
	}
	end()
}

// encoder returns where to write a body that begins with <gzip>, <deflate> or <zstd>: it leaves with that coding, whatever
// its header says. <swell N>, then, is JSON that is mostly nothing.
func encoder(w io.Writer, text *string) (io.Writer, func() error) {
	name, rest, ok := strings.Cut(strings.TrimPrefix(*text, "<"), ">")
	var to io.WriteCloser
	switch {
	case !ok:
		return w, func() error { return nil }
	case name == "gzip":
		to = gzip.NewWriter(w)
	case name == "deflate":
		to = zlib.NewWriter(w)
	case name == "zstd":
		to, _ = zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	default:
		return w, func() error { return nil }
	}
	if n, more, ok := strings.Cut(strings.TrimPrefix(rest, "<swell "), ">"); ok && len(n) < len(rest) && !strings.HasPrefix(n, "<") {
		if size, err := strconv.Atoi(n); err == nil {
			rest = strings.Repeat(" ", size) + more
		}
	}
	*text = rest
	return to, to.Close
}

func (o *origin) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.seen)
}

// arrivals returns what came since it was last asked.
func (o *origin) arrivals() []arrival {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.seen
	o.seen = nil
	return s
}

const testSecret = "fM1u9Zr7sQ2xVb4nWc8kTd5yHe3jLg6p" // 256 bits

// keyring signs foreign tokens, with go-jose as the other implementation.
type keyring struct {
	rsa  *rsa.PrivateKey
	ec   *ecdsa.PrivateKey
	ed   ed25519.PrivateKey
	evil *rsa.PrivateKey // its key is published nowhere
	jwks []byte
}

var signers = sync.OnceValue(func() *keyring {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	k := &keyring{}
	var err error
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.evil, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	_, k.ed, err = ed25519.GenerateKey(rand.Reader)
	must(err)
	k.jwks, err = json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: k.rsa.Public(), KeyID: "rs256", Algorithm: "RS256", Use: "sig"},
		{Key: k.ec.Public(), KeyID: "es256", Algorithm: "ES256", Use: "sig"},
		{Key: k.ed.Public(), KeyID: "eddsa", Algorithm: "EdDSA", Use: "sig"}}})
	must(err)
	return k
})

func (k *keyring) write(t testing.TB, dir string) {
	for name, key := range map[string]any{"rs256.pem": k.rsa.Public(), "es256.pem": k.ec.Public(), "eddsa.pem": k.ed.Public()} {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// token signs claims. iat, nbf, exp and auth_time are durations from now; exp is 10m. A value in [a,b] is a list. kid and
// typ go into the header.
func (k *keyring) token(t testing.TB, key string, now time.Time, v map[string]string) string {
	t.Helper()
	var signer any
	alg := jose.SignatureAlgorithm(strings.ToUpper(key))
	switch key {
	case "rs256":
		signer = k.rsa
	case "es256":
		signer = k.ec
	case "eddsa":
		signer, alg = k.ed, jose.EdDSA
	case "hs256":
		signer = []byte(testSecret)
	case "evil":
		signer, alg = k.evil, jose.RS256
	case "confused": // HS256 over the public key's PEM (threat 28)
		der, err := x509.MarshalPKIXPublicKey(k.rsa.Public())
		if err != nil {
			t.Fatal(err)
		}
		signer, alg = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), jose.HS256
	case "none":
	default:
		t.Fatalf("no key %q", key)
	}
	claims := map[string]any{"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix()}
	o := &jose.SignerOptions{}
	if key != "hs256" && key != "none" && key != "confused" {
		o.WithHeader("kid", key)
	}
	if key == "evil" || key == "confused" {
		o.WithHeader("kid", "rs256")
	}
	for name, value := range v {
		switch name {
		case "kid":
			o.WithHeader("kid", value)
		case "typ":
			o.WithHeader("typ", value)
		case "iat", "nbf", "exp", "auth_time":
			if value == "" {
				delete(claims, name)
				continue
			}
			d, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			claims[name] = now.Add(d).Unix()
		case "roles":
			claims["realm"] = map[string]any{"roles": list(value)}
		default:
			if strings.HasPrefix(value, "[") {
				claims[name] = list(strings.Trim(value, "[]"))
			} else {
				claims[name] = strings.ReplaceAll(value, ",", " ")
			}
		}
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	if key == "none" {
		b64 := func(s string) string { return strings.TrimRight(encodeURL(s), "=") }
		return b64(`{"alg":"none"}`) + "." + b64(string(payload)) + "."
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: signer}, o)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}
