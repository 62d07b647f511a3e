package gate_test

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/store/sqlite"
)

// Every operation of every script has each stage once, in one order; an absent one says why, and does nothing.
func TestEveryOperationHasOneStepOfEveryStage(t *testing.T) {
	want := []string{"guard", "edge", "cors", "authn", "throttle", "authz", "validate", "object", "upstream", "disclose", "harden", "audit"}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range files {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		part := map[string]string{}
		for _, f := range a.Files {
			part[f.Name] = string(f.Data)
		}
		w := newWorld(t, settings{document: part["openapi.yaml"], config: part["portreeve.yaml"]})
		chains := w.d.Gate.Chains()
		if n := len(w.d.Gate.Plan().Operations) + 1; len(chains) != n {
			t.Errorf("%s: %d chains for %d operations", name, len(chains), n)
		}
		for _, c := range chains {
			var got []string
			for _, s := range c.Steps {
				got = append(got, s.Stage)
				if s.Rule == "" || s.Source == "" {
					t.Errorf("%s: %s: %s tells no rule (%q) or no source (%q)", name, c.Op.ID, s.Stage, s.Rule, s.Source)
				}
				if s.Absent && (s.Enter != nil || s.Head != nil || s.Part != nil || s.Dress != nil || s.Close != nil) {
					t.Errorf("%s: %s: %s is absent and acts", name, c.Op.ID, s.Stage)
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s: %s: %s", name, c.Op.ID, d)
			}
		}
	}
}

// HSTS is said over TLS and only there (RFC 6797 §7.2), on refusals too.
func TestStrictTransportSecurity(t *testing.T) {
	w := newWorld(t, settings{document: oneOperation, config: plainConfig, people: "key svc owner=robot", answers: "GET /things\n204\nStrict-Transport-Security: max-age=1\n"})
	srv := httptest.NewTLSServer(w.d.Gate)
	defer srv.Close()
	for _, key := range []string{w.expand("{{key svc}}"), "wrong"} {
		req, err := http.NewRequest("GET", srv.URL+"/things", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-API-Key", key)
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Values("Strict-Transport-Security"); !slices.Equal(got, []string{"max-age=31536000; includeSubDomains"}) {
			t.Errorf("%d over TLS: %q", resp.StatusCode, got)
		}
	}
	if seen := w.upstream.arrivals(); len(seen) != 1 || seen[0].header.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("what arrived: %v", seen)
	}
}

// Portreeve-Assertion is what go-jose believes, by the key set the gate itself serves.
func TestAssertionsHoldElsewhere(t *testing.T) {
	w := newWorld(t, settings{document: oneOperation, config: `
version: 1
document: openapi.yaml
url: "http://api.test"
upstream: {url: $UPSTREAM, base_path: /v1, assertion: {audience: "things-api", lifetime: 30s}}
roles: {staff: []}
`, people: "key svc owner=robot roles=staff", answers: "GET /v1/things\n204\n---\nPOST /v1/things\n204\n"})
	status, _, body := w.exchange("GET /.portreeve/oidc/jwks HTTP/1.1\r\nHost: api.test\r\n\r\n")
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(body), &set); status != 200 || err != nil || len(set.Keys) == 0 {
		t.Fatalf("key set: %d %s %v", status, body, err)
	}
	ids := map[string]bool{}
	for _, method := range []string{"GET", "GET", "HEAD", "POST"} {
		w.exchange(method + " /things HTTP/1.1\r\nHost: api.test\r\nX-API-Key: {{key svc}}\r\nContent-Length: 0\r\nPortreeve-Assertion: forged\r\n\r\n")
		seen := w.upstream.arrivals()
		if len(seen) != 1 {
			t.Fatalf("%d arrived", len(seen))
		}
		tok, err := jwt.ParseSigned(seen[0].header.Get("Portreeve-Assertion"), []jose.SignatureAlgorithm{jose.EdDSA})
		if err != nil {
			t.Fatalf("%v: %v", seen[0].header, err)
		}
		var c jwt.Claims
		var more struct {
			Roles     []string `json:"roles"`
			Htm       string   `json:"htm"`
			Htu       string   `json:"htu"`
			RequestID string   `json:"request_id"`
		}
		if err := tok.Claims(set, &c, &more); err != nil {
			t.Fatal(err)
		}
		if err := c.ValidateWithLeeway(jwt.Expected{Issuer: "http://api.test", AnyAudience: []string{"things-api"}, Subject: "robot", Time: w.clock()}, 0); err != nil {
			t.Error(err)
		}
		if tok.Headers[0].ExtraHeaders["typ"] != "portreeve-assertion+jwt" || c.Expiry.Time().Sub(w.clock()) > 30*time.Second {
			t.Errorf("type %v, expires %v", tok.Headers[0].ExtraHeaders["typ"], c.Expiry.Time())
		}
		sent, target, _ := strings.Cut(seen[0].line, " ")
		if more.Htm != sent || more.Htu != target || more.RequestID != seen[0].header.Get("Portreeve-Request-Id") || !slices.Equal(more.Roles, []string{"staff"}) {
			t.Errorf("it is about %+v, and %s arrived", more, seen[0].line)
		}
		if ids[c.ID] {
			t.Error("an id is used twice")
		}
		ids[c.ID] = true
	}
	// One of our own tokens is no assertion, and an assertion opens nothing.
	w.exchange("GET /things HTTP/1.1\r\nHost: api.test\r\nX-API-Key: {{key svc}}\r\n\r\n")
	assertion := w.upstream.arrivals()[0].header.Get("Portreeve-Assertion")
	if status, _, _ := w.exchange("GET /things HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer " + assertion + "\r\n\r\n"); status != 401 {
		t.Errorf("an assertion opened an operation: %d", status)
	}
}

// A reload changes the plan whole, resets no count, and keeps the old plan where the new one cannot be bound.
func TestReload(t *testing.T) {
	const limited = plainConfig + "limits: {operations: {list: 3/1m}}\n"
	w := newWorld(t, settings{document: oneOperation, config: limited, people: "key svc owner=robot", answers: "GET /things\n204\n"})
	get := func() int {
		status, _, _ := w.exchange("GET /things HTTP/1.1\r\nHost: a\r\nX-API-Key: {{key svc}}\r\n\r\n")
		return status
	}
	get()
	get()
	config := strings.Replace(limited, "$UPSTREAM", w.d.Gate.Plan().Upstream.URL, 1)
	p, err := compile.LoadText("portreeve.yaml", []byte(config+"help: {contact: \"mailto:a@b.test\"}\n"), w.dir, w.clock())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.d.Reload(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if status, _, body := w.exchange("GET /.well-known/security.txt HTTP/1.1\r\nHost: a\r\n\r\n"); status != 200 || !strings.Contains(body, "Contact: mailto:a@b.test\n") {
		t.Errorf("the new plan: %d %s", status, body)
	}
	if a, b := get(), get(); a != 204 || b != 429 {
		t.Errorf("the third and fourth after a reload: %d %d", a, b)
	}
	// The key of an issuer that is not there: nothing is taken over.
	bad, err := compile.LoadText("portreeve.yaml", []byte(config+"identity: {embedded: {enabled: true}, issuers: [{id: x, issuer: \"https://x.test\", audience: [a], public_key_file: rs256.pem}]}\n"), w.dir, w.clock())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(w.dir, "rs256.pem")); err != nil {
		t.Fatal(err)
	}
	if err := w.d.Reload(t.Context(), bad); err == nil {
		t.Error("a plan that cannot be bound was taken over")
	}
	if w.d.Gate.Plan().Hash != p.Hash {
		t.Error("the old plan was given up")
	}
	w.advance(time.Minute)
	if status := get(); status != 204 {
		t.Errorf("after a refused reload: %d", status)
	}
}

// What another process revokes in the store is refused here within a second: the running gate looks by itself.
//
//threat:36 a key revoked by another process → refused within a second
func TestRevocationElsewhere(t *testing.T) {
	w := newWorld(t, settings{document: oneOperation, config: plainConfig, people: "key svc owner=robot", answers: "GET /things\n204\n"})
	get := func() int {
		status, _, _ := w.exchange("GET /things HTTP/1.1\r\nHost: a\r\nX-API-Key: {{key svc}}\r\n\r\n")
		return status
	}
	if status := get(); status != 204 {
		t.Fatalf("before: %d", status)
	}
	dir := w.d.Gate.Plan().Server.Data
	db, err := sqlite.Open(t.Context(), w.d.Gate.Plan().Server.Store.SQLite, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	material, err := keys.LoadMaterial(t.Context(), dir, db, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hasher, err := keys.NewHasher(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := keys.NewManager(db, material.Peppers, hasher, keys.ManagerOptions{Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.RevokeKey(t.Context(), w.keys["svc"].Key.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the key is refused", func() bool { return get() == 401 })
}

// Clients that ask for another protocol version are answered, and nothing else happens to them.
func TestHTTP10(t *testing.T) {
	w := newWorld(t, settings{document: oneOperation, config: plainConfig, people: "key svc owner=robot", answers: "GET /things\n204\n"})
	if status, _, _ := w.exchange("GET /things HTTP/1.0\r\nX-API-Key: {{key svc}}\r\n\r\n"); status != 204 {
		t.Errorf("got %d", status)
	}
}
