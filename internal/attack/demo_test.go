package attack

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/demo"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/store/sqlite"
)

// town issues and proves the credentials of the demonstration.
type town struct {
	public  ed25519.PublicKey
	private ed25519.PrivateKey
	keys    map[string]demo.Person
}

const (
	townIssuer   = "http://town.example"
	townAudience = "town-api"
)

func newTown(t *testing.T) *town {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &town{public, private, map[string]demo.Person{}}
}

func (w *town) sign(claims map[string]any) (string, error) {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: w.private}, (&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		return "", err
	}
	return jwt.Signed(s).Claims(claims).Serialize()
}

func (w *town) claims(p demo.Person) map[string]any {
	now := time.Now()
	return map[string]any{"iss": townIssuer, "aud": townAudience, "sub": p.Subject(), "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": rand.Text(), "amr": p.AMR, "auth_time": now.Unix()}
}

func (w *town) Token(_ context.Context, token string) (demo.Caller, error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return demo.Caller{}, demo.ErrUnproven
	}
	var c struct {
		jwt.Claims
		AMR []string `json:"amr"`
	}
	if parsed.Claims(w.public, &c) != nil || c.Expiry == nil || c.Validate(jwt.Expected{Issuer: townIssuer, AnyAudience: jwt.Audience{townAudience}, Time: time.Now()}) != nil {
		return demo.Caller{}, demo.ErrUnproven
	}
	for _, p := range demo.People() {
		if p.Subject() == c.Subject {
			return demo.Caller{Subject: c.Subject, Roles: []string{p.Role}, Strong: len(c.AMR) > 1}, nil
		}
	}
	return demo.Caller{}, demo.ErrUnproven
}

func (w *town) Key(_ context.Context, key string, _ netip.Addr) (demo.Caller, error) {
	p, ok := w.keys[key]
	if !ok {
		return demo.Caller{}, demo.ErrUnproven
	}
	return demo.Caller{Subject: p.Subject(), Roles: []string{p.Role}}, nil
}

func (w *town) Issue(_ context.Context, name string) (string, error) {
	for _, p := range demo.People() {
		if p.Name == name {
			return w.sign(w.claims(p))
		}
	}
	return "", errors.New("nobody has that name")
}

// file writes demo.json and reads it as the command would.
func (w *town) file(t *testing.T, dir string) ([]demo.Identity, *People) {
	var out []demo.Identity
	for _, p := range demo.People() {
		password, err := demo.NewPassword(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		token, err := w.sign(w.claims(p))
		if err != nil {
			t.Fatal(err)
		}
		key := rand.Text()
		w.keys[key] = p
		out = append(out, demo.Identity{Name: p.Name, Role: p.Role, UserID: p.ID, Password: password, Token: token, APIKey: key})
	}
	if err := (demo.File{Identities: out}).Write(dir); err != nil {
		t.Fatal(err)
	}
	people, err := ReadPeople(filepath.Join(dir, demo.FileName))
	if err != nil {
		t.Fatal(err)
	}
	dave := w.claims(demo.People()[3])
	dave["iat"], dave["exp"] = time.Now().Add(-25*time.Hour).Unix(), time.Now().Add(-24*time.Hour).Unix()
	expired, err := w.sign(dave)
	if err != nil {
		t.Fatal(err)
	}
	dave = w.claims(demo.People()[3])
	dave["aud"] = "another-api"
	foreign, err := w.sign(dave)
	if err != nil {
		t.Fatal(err)
	}
	people.Tokens = Tokens{Expired: []string{expired}, Foreign: []string{foreign}}
	return out, people
}

func database(t *testing.T) *sql.DB {
	db, err := sqlite.OpenScratch(t.Context(), filepath.Join(t.TempDir(), "api.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// townPromise is the demonstration's document with its configuration.
func townPromise(t *testing.T, dir string) *Promise {
	path, err := demo.Settings{URL: "http://127.0.0.1:8080", Hosts: []string{}, Listen: "127.0.0.1:8080", Admin: "127.0.0.1:9443", Upstream: "http://127.0.0.1:9000"}.WriteFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Load("", path, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// planted are the controls of which the naked API lacks something, by the demonstration's own table.
func planted(t *testing.T) []control.ID {
	f, err := demo.Forge(townIssuer, townAudience, func(string, any) (string, error) { return "a.b.c", nil }, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	all := map[control.ID]bool{}
	for _, d := range demo.Demonstrations(f) {
		for _, c := range d.Controls {
			if !d.Lawful() {
				all[control.ID(c)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func controlsOf(r *finding.Report) map[control.ID][]string {
	out := map[control.ID][]string{}
	for _, f := range r.Findings {
		for _, c := range r.Rule(f.Rule).Controls {
			out[c] = append(out[c], f.Rule+" "+f.Operation)
		}
	}
	return out
}

// Every fault that the demonstration plants is found on the naked API.
func TestNakedDemo(t *testing.T) {
	dir := t.TempDir()
	w := newTown(t)
	ids, people := w.file(t, dir)
	db := database(t)
	if err := demo.SeedNaked(t.Context(), db, ids); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(demo.Naked(db))
	defer s.Close()
	r, err := Run(t.Context(), Options{Target: s.URL, Promise: townPromise(t, dir), People: people, Budget: 3 * time.Minute, Seed: 1, Direct: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	show(t, r)
	hit := controlsOf(r)
	for _, c := range planted(t) {
		if hit[c] == nil {
			t.Errorf("nothing was found about %s", c)
		}
	}
	noSecrets(t, r, ids)
}

// The same API written well has none.
func TestFixedDemo(t *testing.T) {
	dir := t.TempDir()
	w := newTown(t)
	ids, people := w.file(t, dir)
	db := database(t)
	if err := demo.SeedFixed(t.Context(), db, ids); err != nil {
		t.Fatal(err)
	}
	var ahead atomic.Int64 // the API's clock runs while the attack would wait
	api, err := demo.Fixed(db, demo.FixedOptions{Authority: w, Origin: "https://app.example.com", Contact: "mailto:a@example.com", Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(api)
	defer s.Close()
	r, err := Run(t.Context(), Options{Target: s.URL, Promise: townPromise(t, dir), People: people, Budget: 5 * time.Minute, Seed: 1, pause: func(d time.Duration) { ahead.Add(int64(d)) }})
	if err != nil {
		t.Fatal(err)
	}
	show(t, r)
	if len(r.Findings) > 0 {
		t.Errorf("%d findings on an API without faults", len(r.Findings))
	}
	if why := Undecided(r); why != "" {
		t.Errorf("undecided: %s", why)
	}
	noSecrets(t, r, ids)
}

func noSecrets(t *testing.T, r *finding.Report, ids []demo.Identity) {
	t.Helper()
	text := fmt.Sprintf("%+v", r)
	for _, id := range ids {
		for _, secret := range []string{id.Password, id.Token, id.APIKey, id.Token[strings.LastIndexByte(id.Token, '.')+1:]} {
			if strings.Contains(text, secret) {
				t.Errorf("the report holds a secret of %s", id.Name)
			}
		}
	}
}

func show(t *testing.T, r *finding.Report) {
	t.Helper()
	t.Logf("%s; %d findings; passed %d, inconclusive %d, skipped %d; reached %d of %d, not: %v", r.Ended.Sub(r.Started).Round(time.Millisecond), len(r.Findings),
		r.Count(finding.Passed), r.Count(finding.Inconclusive), r.Count(finding.Skipped), len(r.Coverage.Reached), r.Coverage.Declared, r.Coverage.NotReached)
	for _, f := range r.Findings {
		t.Logf("%s", strings.TrimSpace(fmt.Sprintf("%-8s %-22s %s  %s", f.Severity, f.Rule, f.Operation, f.Message)))
		if os.Getenv("SHOW") != "" {
			for _, p := range f.Proof {
				t.Logf("   %s\n%s\n%d %s\n%s", p.Note, p.Request, p.Status, p.Answer, p.Curl)
			}
		}
	}
	open := slices.SortedFunc(slices.Values(r.Outcomes), func(a, b finding.Outcome) int { return cmp.Compare(a.Rule, b.Rule) })
	for _, o := range open {
		if os.Getenv("RULE") == o.Rule {
			t.Logf("== %s %s %s: %s", o.Rule, o.Operation, o.Verdict, o.Reason)
		}
		if o.Verdict == finding.Inconclusive {
			t.Logf("?? %s %s: %s", o.Rule, o.Operation, o.Reason)
		}
	}
}
