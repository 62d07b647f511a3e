package deployment_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/jose"
	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/store"
	"github.com/portreeve/portreeve/internal/store/sqlite"
)

// TestMain stands in for the process that is killed in the middle of an act.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DEPLOYMENT_TEST_KILLED"); dir != "" {
		s, err := deployment.OpenState(context.Background(), testPlan(dir), deployment.Options{Open: open})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.Record(context.Background(), "uid:7", "key.create", "owner svc", func() (keys.Act, error) {
			_, act, err := s.Manager.CreateKey(context.Background(), newKey())
			if err == nil {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
			return act, err
		}))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func open(ctx context.Context, path string) (deployment.Store, error) {
	return sqlite.Open(ctx, path, sqlite.Options{Create: true})
}

func newKey() keys.NewKey {
	return keys.NewKey{Owner: "svc", Purpose: "test", Expires: time.Now().Add(time.Hour)}
}

func testPlan(dir string) *plan.Plan {
	p := &plan.Plan{Hash: "0123456789abcdef", Staleness: time.Minute}
	p.Server.Data, p.Server.Store.SQLite, p.Audit.Dir = dir, filepath.Join(dir, "portreeve.db"), filepath.Join(dir, "audit")
	p.Identity.Embedded = &plan.Embedded{Issuer: "https://api.example.com/.portreeve/oidc", Audience: "https://api.example.com", Lifetime: 30 * time.Minute}
	return p
}

func newState(t *testing.T, p *plan.Plan, clock func() time.Time) *deployment.State {
	t.Helper()
	s, err := deployment.OpenState(t.Context(), p, deployment.Options{Open: open, Clock: clock, Who: "a test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func dataDir(t *testing.T) string { return filepath.Join(t.TempDir(), "data") }

// events are the ledger's acts, as "phase verb target: message".
func events(t *testing.T, dir string) (lines []string) {
	t.Helper()
	err := ledger.Read(filepath.Join(dir, "audit"), func(_ string, _ int, line []byte) error {
		var e struct {
			Status   int    `json:"status_id"`
			Message  string `json:"message"`
			Unmapped struct{ Verb, Phase, Target string }
			Actor    struct{ User struct{ UID string } }
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		message, _, _ := strings.Cut(e.Message, ";")
		lines = append(lines, fmt.Sprintf("%s %s %s %s %d %s", e.Actor.User.UID, e.Unmapped.Phase, e.Unmapped.Verb, e.Unmapped.Target, e.Status, message))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestRecord(t *testing.T) {
	dir := dataDir(t)
	s := newState(t, testPlan(dir), nil)
	for _, end := range []error{nil, &keys.InvalidError{Field: "x", Problem: "y"}, fmt.Errorf("x: %w", store.ErrNotFound), store.ErrConflict, store.ErrUnavailable} {
		err := s.Record(t.Context(), "uid:7", "verb", "before", func() (keys.Act, error) {
			if end != nil {
				return keys.Act{}, end
			}
			if n := len(events(t, dir)); n != 1 {
				t.Errorf("%d events are durable when the act begins", n)
			}
			return keys.Act{Target: "after"}, nil
		})
		if !errors.Is(err, end) {
			t.Errorf("got %v, want %v", err, end)
		}
	}
	want := []string{
		"uid:7 intent verb before 0 ", "uid:7 outcome verb after 1 done",
		"uid:7 intent verb before 0 ", "uid:7 outcome verb before 2 refused",
		"uid:7 intent verb before 0 ", "uid:7 outcome verb before 2 refused",
		"uid:7 intent verb before 0 ", "uid:7 outcome verb before 2 refused",
		"uid:7 intent verb before 0 ", "uid:7 outcome verb before 2 failed",
	}
	if got := events(t, dir); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// What cannot be recorded does not happen; what happened unrecorded is said.
func TestNoActWithoutItsIntent(t *testing.T) {
	s := newState(t, testPlan(dataDir(t)), nil)
	err := s.Record(t.Context(), "uid:7", "key.create", "", func() (keys.Act, error) {
		if err := s.Ledger.Close(); err != nil {
			t.Fatal(err)
		}
		_, act, err := s.Manager.CreateKey(t.Context(), newKey())
		return act, err
	})
	if !errors.Is(err, ledger.ErrUnavailable) || !strings.Contains(err.Error(), "was done, but its outcome is not recorded") {
		t.Errorf("an outcome that is not recorded: %v", err)
	}
	done := false
	err = s.Record(t.Context(), "uid:7", "key.create", "", func() (keys.Act, error) {
		done = true
		return keys.Act{}, nil
	})
	if !errors.Is(err, ledger.ErrUnavailable) || done {
		t.Errorf("the act happened: %v, %v", done, err)
	}
}

// A process that is killed between an act and its outcome leaves an intent: how it ended is unknown, and the ledger says
// so. The directory is free at once.
func TestKilledInAnAct(t *testing.T) {
	dir := dataDir(t)
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "DEPLOYMENT_TEST_KILLED="+dir)
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child was not killed: %v\n%s", err, out)
	}
	s := newState(t, testPlan(dir), nil)
	if ks, err := s.Manager.Keys(t.Context(), keys.KeyFilter{}); err != nil || len(ks) != 1 {
		t.Errorf("%d keys, %v", len(ks), err)
	}
	if err := s.Record(t.Context(), "uid:7", "key.list", "", func() (keys.Act, error) { return keys.Act{}, nil }); err != nil {
		t.Fatal(err)
	}
	rep, err := ledger.Verify(filepath.Join(dir, "audit"))
	if err != nil || rep.Lines != 3 || len(rep.Unresolved) != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
}

func TestOpenStateIsWholeOrNothing(t *testing.T) {
	dir := dataDir(t)
	s := newState(t, testPlan(dir), nil)
	var locked *keys.LockedError
	if _, err := deployment.OpenState(t.Context(), testPlan(dir), deployment.Options{Open: open}); !errors.As(err, &locked) || !strings.Contains(err.Error(), "(a test)") {
		t.Errorf("a second owner: %v", err)
	}
	if _, _, err := s.Manager.CreateKey(t.Context(), newKey()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	pepper := filepath.Join(dir, keys.PeppersFile)
	kept, err := os.ReadFile(pepper)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ spoil, mend func() error }{
		"a lost pepper":      {func() error { return os.Remove(pepper) }, func() error { return os.WriteFile(pepper, kept, 0o600) }},
		"a shared directory": {func() error { return os.Chmod(dir, 0o777) }, func() error { return os.Chmod(dir, 0o700) }},
		"a readable store": {func() error { return os.Chmod(filepath.Join(dir, "portreeve.db"), 0o644) },
			func() error { return os.Chmod(filepath.Join(dir, "portreeve.db"), 0o600) }},
		"a ledger that is a file": {func() error {
			return errors.Join(os.Rename(filepath.Join(dir, "audit"), filepath.Join(dir, "kept")), os.WriteFile(filepath.Join(dir, "audit"), nil, 0o600))
		}, func() error {
			return errors.Join(os.Remove(filepath.Join(dir, "audit")), os.Rename(filepath.Join(dir, "kept"), filepath.Join(dir, "audit")))
		}},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		if s, err := deployment.OpenState(t.Context(), testPlan(dir), deployment.Options{Open: open}); err == nil {
			s.Close()
			t.Errorf("%s: opened", name)
		}
		if err := c.mend(); err != nil {
			t.Fatal(err)
		}
		s, err := deployment.OpenState(t.Context(), testPlan(dir), deployment.Options{Open: open})
		if err != nil { // the failed one still holds the lock, or made something
			t.Fatalf("after %s: %v", name, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// clock is a time that tests turn.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func withAlice(t *testing.T, p *plan.Plan) (*deployment.State, *clock) {
	t.Helper()
	c := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 500e6, time.UTC)}
	s := newState(t, p, c.Now)
	if _, _, err := s.Manager.AddUser(t.Context(), keys.NewUser{Name: "alice", Subject: "1001", Roles: []string{"employee"}}); err != nil {
		t.Fatal(err)
	}
	return s, c
}

func TestIssueToken(t *testing.T) {
	s, c := withAlice(t, testPlan(dataDir(t)))
	tok, err := s.IssueToken(deployment.NewToken{User: "alice", Scopes: []string{"a", "b"}, Scoped: true, AMR: []string{"pwd", "otp"}})
	if err != nil {
		t.Fatal(err)
	}
	i, err := s.InspectToken(t.Context(), tok.Text)
	if err != nil || i.Refusal != "" {
		t.Fatalf("%+v, %v", i, err)
	}
	var claims struct {
		Iss, Sub, Aud, Jti, Scope string
		Iat, Exp                  int64
		AuthTime                  int64    `json:"auth_time"`
		Client                    string   `json:"client_id"`
		AMR                       []string `json:"amr"`
		Roles                     any      `json:"roles"`
	}
	if err := json.Unmarshal(i.Claims, &claims); err != nil {
		t.Fatal(err)
	}
	now := c.Now().Unix()
	if claims.Iss != s.Plan().Identity.Embedded.Issuer || claims.Sub != "1001" || claims.Aud != s.Plan().Identity.Embedded.Audience || claims.Jti != tok.ID ||
		claims.Scope != "a b" || claims.Iat != now || claims.Exp != now+1800 || claims.AuthTime != now || claims.Client == "" || len(claims.AMR) != 2 || claims.Roles != nil {
		t.Errorf("claims %s", i.Claims)
	}
	if !slices.Equal(i.Principal.Roles, []string{"employee"}) || i.Principal.Subject != "1001" || !strings.Contains(string(i.Header), `"typ":"at+jwt"`) {
		t.Errorf("%+v %s", i.Principal, i.Header)
	}
	other, err := s.IssueToken(deployment.NewToken{User: "alice"})
	if err != nil || other.ID == tok.ID {
		t.Errorf("two tokens share a jti: %v", err)
	}
	var bad *keys.InvalidError
	for name, n := range map[string]deployment.NewToken{
		"too long":     {User: "alice", Lifetime: 30*time.Minute + time.Second},
		"negative":     {User: "alice", Lifetime: -time.Second},
		"no time":      {User: "alice", Lifetime: time.Millisecond},
		"bad scope":    {User: "alice", Scopes: []string{"a b"}, Scoped: true},
		"bad amr":      {User: "alice", AMR: []string{"\"pwd\""}},
		"an amr twice": {User: "alice", AMR: []string{"pwd", "pwd"}},
	} {
		if _, err := s.IssueToken(n); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.IssueToken(deployment.NewToken{User: "nobody"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
	p := testPlan(dataDir(t))
	p.Identity.Embedded = nil
	none, _ := withAlice(t, p)
	if _, err := none.IssueToken(deployment.NewToken{User: "alice"}); !errors.As(err, &bad) {
		t.Errorf("a gate that issues none: %v", err)
	}
	// However long the configuration allows: an hour.
	p = testPlan(dataDir(t))
	p.Identity.Embedded.Lifetime = 48 * time.Hour
	long, _ := withAlice(t, p)
	if _, err := long.IssueToken(deployment.NewToken{User: "alice", Lifetime: 2 * time.Hour}); !errors.As(err, &bad) {
		t.Errorf("two hours: %v", err)
	}
}

// No token is issued that the gate would not believe.
func TestIssueTokenAfterRevocations(t *testing.T) {
	s, c := withAlice(t, testPlan(dataDir(t)))
	ctx := t.Context()
	issue := func() error {
		_, err := s.IssueToken(deployment.NewToken{User: "alice"})
		return err
	}
	if _, err := s.Manager.RevokeSubject(ctx, "embedded", "1001"); err != nil {
		t.Fatal(err)
	}
	if err := issue(); !errors.Is(err, deployment.ErrJustRevoked) {
		t.Errorf("within the second: %v", err)
	}
	c.pass(500 * time.Millisecond)
	if err := issue(); err != nil {
		t.Errorf("in the next: %v", err)
	}
	var bad *keys.InvalidError
	if _, err := s.Manager.DisableUser(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	c.pass(2 * time.Second)
	if err := issue(); !errors.As(err, &bad) {
		t.Errorf("a disabled user: %v", err)
	}
	if _, err := s.Manager.EnableUser(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Manager.RevokeSigningKey(ctx, "embedded", s.Signer.KeyID()); err != nil {
		t.Fatal(err)
	}
	if err := issue(); !errors.As(err, &bad) || !strings.Contains(err.Error(), keys.SigningKeyFile) {
		t.Errorf("a revoked key: %v", err)
	}
}

func TestInspectToken(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	p := testPlan(dataDir(t))
	file := filepath.Join(t.TempDir(), "corp.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Identity.Issuers = []plan.Issuer{{ID: "corp", URL: "https://idp.example.com", Audience: []string{"orders"}, PublicKey: file, MaxLifetime: time.Hour,
		RolesClaim: "/roles", RoleMap: []plan.RoleMapping{{From: "staff", To: "employee"}}, ScopesClaim: "/scope"}}
	s, c := withAlice(t, p)
	own, err := s.IssueToken(deployment.NewToken{User: "alice", Lifetime: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	now := c.Now().Unix()
	corp := func(key ed25519.PrivateKey, change func(map[string]any)) string {
		claims := map[string]any{"iss": "https://idp.example.com", "sub": "u-1", "aud": "orders", "iat": now, "exp": now + 60, "roles": []string{"staff", "other"}}
		if change != nil {
			change(claims)
		}
		text, err := jose.NewSigner(key).Sign("JWT", claims)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cut := strings.LastIndexByte(own.Text, '.')
	// The last digit of an Ed25519 signature carries two bits that must be zero; the first is all signature.
	first := "A"
	if own.Text[cut+1] == 'A' {
		first = "B"
	}
	for name, step := range map[string]struct{ token, want string }{
		"ours":               {own.Text, ""},
		"ours, bent":         {own.Text[:cut+1] + first + own.Text[cut+2:], "token_signature"},
		"a foreign one":      {corp(private, nil), ""},
		"another key's":      {corp(stranger, nil), "token_signature"},
		"another audience's": {corp(private, func(m map[string]any) { m["aud"] = "x" }), "token_audience"},
		"expired":            {corp(private, func(m map[string]any) { m["iat"], m["exp"] = now-120, now-60 }), "token_expired"},
		"nobody's":           {corp(private, func(m map[string]any) { m["iss"] = "https://evil.example" }), "token_issuer"},
	} {
		i, err := s.InspectToken(t.Context(), step.token)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// A key without an id is any key of its issuer: another one shows as a signature that does not fit, or as unknown.
		if i.Refusal != step.want && !(step.want == "token_signature" && i.Refusal == "token_key_unknown") {
			t.Errorf("%s: %q, want %q", name, i.Refusal, step.want)
		}
		signature := step.token[strings.LastIndexByte(step.token, '.')+1:]
		if all := string(i.Header) + string(i.Claims) + fmt.Sprint(i.Principal); strings.Contains(all, signature) {
			t.Errorf("%s: the signature is shown", name)
		}
	}
	if _, err := s.Manager.RevokeToken(t.Context(), "embedded", own.ID, c.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if i, err := s.InspectToken(t.Context(), own.Text); err != nil || i.Refusal != "token_revoked" {
		t.Errorf("revoked: %+v, %v", i, err)
	}
	// A hostile text is shown harmlessly.
	evil := corp(private, func(m map[string]any) { m["sub"] = "\x1b[2J\u009b\u202e\U000e0001<b>ü" })
	i, err := s.InspectToken(t.Context(), evil)
	if err != nil {
		t.Fatal(err)
	}
	var back map[string]any
	if json.Unmarshal(i.Claims, &back) != nil || back["sub"] != "\x1b[2J\u009b\u202e\U000e0001<b>ü" || bytes.ContainsFunc(i.Claims, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("shown as %s", i.Claims)
	}
	var bad *keys.InvalidError
	for _, text := range []string{"", "a", "a.b", "a.b.c", "e30.e30", "e30.W10.x", "e30.bnVsbA.x", "e30.fw.x", strings.Repeat("a", 1<<15) + "..", "e30.e30.x.y"} {
		if _, err := s.InspectToken(t.Context(), text); !errors.As(err, &bad) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}
