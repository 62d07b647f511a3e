package demo

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

// Each judge can fail: with Naked in the guard's place no attack is held off, with Fixed in Naked's none does harm, and
// with nobody there nothing is held and nothing works.
func TestJudgesCanFail(t *testing.T) {
	w := newTown(t)
	ids := w.identities(t)
	forged, err := Forge(issuer, audience, w.signer.Sign, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	naked := func() string {
		db := scratch(t)
		if err := SeedNaked(t.Context(), db, ids); err != nil {
			t.Fatal(err)
		}
		return serve(t, Naked(db))
	}
	fixed := serve(t, w.fixed(t, ids, slog.New(slog.DiscardHandler)))
	unguarded := naked()
	e := Endpoints{Naked: fixed, Guarded: unguarded, Around: unguarded, Identities: ids}
	for _, r := range Run(t.Context(), e, Demonstrations(forged)) {
		if r.Lawful() {
			continue
		}
		if r.Held() {
			t.Errorf("%s: held where nothing guards: %s", r.ID, describe(r.Guarded))
		}
		if r.Shown() {
			t.Errorf("%s: does harm where there is no fault: %s", r.ID, describe(r.Naked))
		}
	}
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	rows := Run(t.Context(), Endpoints{Naked: unguarded, Guarded: dead.URL, Around: dead.URL, Identities: ids}, Demonstrations(forged))
	for _, r := range rows {
		if r.Held() {
			t.Errorf("%s: held by nobody", r.ID)
		}
	}
	if NewReport(rows).Held {
		t.Error("the report says that nobody holds everything")
	}
}

func TestPrint(t *testing.T) {
	w := newTown(t)
	ids := w.identities(t)
	secret := ids[0].Password
	body := `{"password":"` + secret + `","note":"` + "\x1b[31m" + strings.Repeat("wide ", 40) + `"}`
	answer := func(status int) Side {
		return Side{[]Answer{{Status: status, Body: body, Header: http.Header{}}}, []int{0}}
	}
	d := Demonstration{ID: "x", Controls: []string{"expose.minimal-fields", "authz.object"}, Title: "the title", Calls: []Call{{As: "alice", Path: "/api/users/1"}},
		Fault: has(0, "password"), Refused: []int{404}}
	rows := []Row{{d, answer(200), answer(200)}, {d, answer(200), answer(404)}}
	e := Endpoints{Naked: "http://127.0.0.1:1", Guarded: "http://127.0.0.1:2", File: "demo.json", Identities: ids}
	var b strings.Builder
	held, err := Print(&b, e, rows)
	if err != nil || held {
		t.Errorf("held %v, %v", held, err)
	}
	out := b.String()
	for _, want := range []string{"== expose.minimal-fields ", "# attack: the title (authz.object)", "HARM\n", "FAILED\n", "held\n", "NOT AS IT MUST BE: x (the title)",
		"2 attacks: 2 do harm to the naked side, 1 are held off", `$(jq -r '.identities[0].token' demo.json)`} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, secret) || strings.Contains(out, "\x1b") {
		t.Errorf("a secret or an escape sequence is in\n%s", out)
	}
	for line := range strings.SplitSeq(out, "\n") {
		if len([]rune(line)) > width {
			t.Errorf("%d columns: %s", len([]rune(line)), line)
		}
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	want := File{"g", "n", "a", "d", []Identity{{"alice", "employee", 1, "p", "t", "k"}}}
	if err := want.Write(dir); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, FileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	got, err := ReadFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The injection is real, and it stays inside.
func TestInjectionWritesNoFile(t *testing.T) {
	w := newTown(t)
	ids := w.identities(t)
	db := scratch(t)
	if err := SeedNaked(t.Context(), db, ids); err != nil {
		t.Fatal(err)
	}
	base := serve(t, Naked(db))
	target := filepath.Join(t.TempDir(), "owned.db")
	for _, statement := range []string{"ATTACH '" + target + "' AS o", "ATTACH '" + target + "' AS o; CREATE TABLE o.t (a)", "VACUUM INTO '" + target + "'"} {
		resp, err := http.Get(base + "/api/users/" + url.PathEscape("1; "+statement) + "/posts")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 500 || strings.HasPrefix(statement, "ATTACH") && !strings.Contains(string(b), "too many attached databases") {
			t.Errorf("%s: %d %.200s %v", statement, resp.StatusCode, b, err)
		}
		if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s wrote %s", statement, target)
		}
	}
}

// What Fixed keeps is not what it was given.
func TestFixedKeepsNoSecrets(t *testing.T) {
	w := newTown(t)
	ids := w.identities(t)
	db := scratch(t)
	if err := SeedFixed(t.Context(), db, ids); err != nil {
		t.Fatal(err)
	}
	h, err := Fixed(db, FixedOptions{Authority: w, Origin: "https://app.example.com", Contact: "mailto:s@example.com", Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	e := Endpoints{Guarded: serve(t, h), Identities: ids}
	pay := Call{As: "bob", Method: "POST", Path: "/api/payments", Body: `{"amount":1,"currency":"EUR","card_number":"4000056655665556","cvv":"9876"}`}
	if a := pay.send(t.Context(), newClient(nil), &e, e.Guarded); a.Status != 201 {
		t.Fatalf("%d %s %v", a.Status, a.Body, a.Err)
	}
	for _, query := range []string{`SELECT group_concat(coalesce(card_number, '') || coalesce(cvv, '')) FROM payments`, `SELECT group_concat(coalesce(password, '')) FROM users`} {
		var all string
		if err := db.QueryRow(query).Scan(&all); err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"4111111111111111", "737", "4000056655665556", "9876", ids[0].Password, ids[4].Password} {
			if strings.Contains(all, secret) {
				t.Errorf("%s holds %s", query, secret)
			}
		}
	}
}
