package demo

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/jose"
	"github.com/portreeve/portreeve/internal/store/sqlite"
)

const (
	issuer   = "http://gate.example/.portreeve/oidc"
	audience = "http://gate.example"
)

// town issues and proves credentials as a deployment of the gate does.
type town struct {
	signer   *jose.Signer
	verifier *jose.Verifier
	keys     map[string]Person
}

func newTown(t testing.TB) *town {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := jose.NewSigner(key)
	set, err := jose.NewKeySet(s.Key())
	if err != nil {
		t.Fatal(err)
	}
	return &town{s, &jose.Verifier{Issuer: issuer, Audience: []string{audience}, Types: []string{"at+jwt"}, Required: []string{"jti"}, MaxLifetime: time.Hour, Keys: set}, map[string]Person{}}
}

func (w *town) Token(ctx context.Context, token string) (Caller, error) {
	c, err := w.verifier.Verify(ctx, token, time.Now())
	if err != nil {
		return Caller{}, err
	}
	for _, p := range People() {
		if p.Subject() == c.Subject {
			amr, _ := c.All["amr"].([]any)
			return Caller{c.Subject, []string{p.Role}, len(amr) > 1 && time.Since(c.AuthTime) < time.Hour}, nil
		}
	}
	return Caller{}, ErrUnproven
}

func (w *town) Key(_ context.Context, key string, _ netip.Addr) (Caller, error) {
	p, ok := w.keys[key]
	if !ok {
		return Caller{}, ErrUnproven
	}
	return Caller{p.Subject(), []string{p.Role}, false}, nil
}

func (w *town) Issue(_ context.Context, name string) (string, error) {
	for _, p := range People() {
		if p.Name == name {
			now := time.Now()
			return w.signer.Sign("at+jwt", map[string]any{"iss": issuer, "aud": audience, "sub": p.Subject(), "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
				"jti": rand.Text(), "amr": p.AMR, "auth_time": now.Unix()})
		}
	}
	return "", fmt.Errorf("nobody is called %s", name)
}

func (w *town) identities(t testing.TB) []Identity {
	t.Helper()
	var out []Identity
	for _, p := range People() {
		password, err := NewPassword(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		token, err := w.Issue(t.Context(), p.Name)
		if err != nil {
			t.Fatal(err)
		}
		key := rand.Text()
		w.keys[key] = p
		out = append(out, Identity{p.Name, p.Role, p.ID, password, token, key})
	}
	return out
}

func scratch(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sqlite.OpenScratch(t.Context(), filepath.Join(t.TempDir(), "api.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func (w *town) fixed(t testing.TB, ids []Identity, log *slog.Logger) http.Handler {
	t.Helper()
	db := scratch(t)
	if err := SeedFixed(t.Context(), db, ids); err != nil {
		t.Fatal(err)
	}
	h, err := Fixed(db, FixedOptions{Authority: w, Origin: "https://app.example.com", Contact: "mailto:security@example.com", Log: log, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (w *town) behind(t testing.TB, h http.Handler) http.Handler {
	t.Helper()
	b, err := Behind(h, Assertions{JWKS: w.signer.JWKS(), Issuer: audience, Audience: Audience, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every planted fault is there on Naked and not on Fixed, and every lawful use works on Fixed.
func TestNakedAgainstFixed(t *testing.T) {
	w := newTown(t)
	ids := w.identities(t)
	db := scratch(t)
	if err := SeedNaked(t.Context(), db, ids); err != nil {
		t.Fatal(err)
	}
	log := new(strings.Builder)
	fixed := w.fixed(t, ids, slog.New(slog.NewTextHandler(log, nil)))
	e := Endpoints{Naked: serve(t, Naked(db)), Guarded: serve(t, fixed), Around: serve(t, w.behind(t, fixed)), File: "demo.json", Identities: ids}
	forged, err := Forge(issuer, audience, w.signer.Sign, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	list := Demonstrations(forged)
	attacks := 0
	for _, r := range Run(t.Context(), e, list) {
		if !r.Lawful() {
			attacks++
		}
		if r.ID == "security-contact" {
			continue // Naked has none; it is the gate's to give, and Fixed's
		}
		if !r.Shown() {
			t.Errorf("%s: not shown on the naked side: %s", r.ID, describe(r.Naked))
		}
		if !r.Held() {
			t.Errorf("%s: not held by the fixed side: %s", r.ID, describe(r.Guarded))
		}
	}
	t.Logf("%d demonstrations, %d of them attacks", len(list), attacks)
	if attacks < 30 {
		t.Errorf("only %d attacks", attacks)
	}
	for _, id := range ids {
		for _, secret := range []string{id.Password, id.Token, id.APIKey} {
			if strings.Contains(log.String(), secret) {
				t.Errorf("the log holds a secret of %s", id.Name)
			}
		}
	}
	for _, want := range []string{"request refused", "login attempt", "protected data accessed"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

func describe(s Side) string {
	var b strings.Builder
	for i, a := range s.Answers {
		if i >= 3 {
			break
		}
		fmt.Fprintf(&b, "\n  %d %v %.300s %v", a.Status, a.Header, a.Body, a.Err)
	}
	return b.String()
}

var _ = io.Discard
