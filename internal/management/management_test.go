package management

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/store/sqlite"
)

func openSQLite(ctx context.Context, path string) (deployment.Store, error) {
	return sqlite.Open(ctx, path, sqlite.Options{Create: true})
}

func newState(t *testing.T, dir string) *deployment.State {
	t.Helper()
	p := &plan.Plan{Hash: "0123456789abcdef", Staleness: time.Minute, Roles: []plan.Role{{Name: "employee"}}}
	p.Server.Data, p.Server.Store.SQLite, p.Audit.Dir = dir, filepath.Join(dir, "portreeve.db"), filepath.Join(dir, "audit")
	p.Identity.Embedded = &plan.Embedded{Issuer: "https://api.example.com/.portreeve/oidc", Audience: "https://api.example.com", Lifetime: time.Hour}
	p.Identity.Issuers = []plan.Issuer{{ID: "corp", URL: "https://idp.example.com", Audience: []string{"x"}}}
	s, err := deployment.OpenState(t.Context(), p, deployment.Options{Open: openSQLite, Who: "a test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func dataDir(t *testing.T) string { return filepath.Join(t.TempDir(), "data") }

// clients are both ways to the one handler.
func clients(t *testing.T, test func(t *testing.T, s *deployment.State, c *Client)) {
	t.Run("in process", func(t *testing.T) {
		s := newState(t, dataDir(t))
		test(t, s, InProcess(s))
	})
	t.Run("by the socket", func(t *testing.T) {
		s := newState(t, dataDir(t))
		srv, err := Start(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
		})
		c, err := Dial(t.Context(), s.Plan().Server.Data)
		if err != nil {
			t.Fatal(err)
		}
		test(t, s, c)
	})
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantStatus(t *testing.T, err error, status int) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Status != status {
		t.Errorf("got %v, want status %d", err, status)
	}
	if e != nil && e.BadInput() != (status == http.StatusUnprocessableEntity) {
		t.Errorf("%v is the user's to mend: %v", err, e.BadInput())
	}
}

func soon() time.Time { return time.Now().Add(time.Hour) }

func TestKeys(t *testing.T) {
	clients(t, func(t *testing.T, s *deployment.State, c *Client) {
		ctx := t.Context()
		if l := must(c.Keys(ctx, ""))(t); l.Schema != "portreeve/keys/v1" || l.Keys == nil || len(l.Keys) != 0 {
			t.Errorf("an empty list: %+v", l)
		}
		k := must(c.CreateKey(ctx, NewKey{Owner: "svc", Purpose: "p", Roles: []string{"employee", "emploee"}, Scopes: []string{"a"},
			AllowIPs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Expires: soon()}))(t)
		if _, err := s.Directory.Authenticate(k.Secret, netip.MustParseAddr("192.0.2.1"), time.Now()); err != nil {
			t.Errorf("a new key: %v", err)
		}
		if k.Schema != "portreeve/key/v1" || !strings.HasPrefix(k.Secret, k.Prefix+"_") || k.Status != "active" || !k.Scoped || len(k.Warnings) != 1 || !strings.Contains(k.Warnings[0], `"emploee"`) {
			t.Errorf("a new key: %#v %+v", k, k.Warnings)
		}
		if out := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); strings.Contains(out, k.Secret) {
			t.Error("printing shows the secret")
		}
		heir := must(c.RotateKey(ctx, k.ID, time.Hour))(t)
		if heir.RotatedFrom != k.ID || heir.PreviousEnds.IsZero() || heir.Secret == k.Secret || heir.Secret == "" {
			t.Errorf("%+v", heir)
		}
		_, err := c.RotateKey(ctx, k.ID, 0)
		wantStatus(t, err, http.StatusConflict)
		gone := must(c.RevokeKey(ctx, heir.ID))(t)
		if gone.Status != "revoked" || gone.Secret != "" || gone.Revoked.IsZero() {
			t.Errorf("%+v", gone)
		}
		if _, err := s.Directory.Authenticate(heir.Secret, netip.MustParseAddr("192.0.2.1"), time.Now()); !errors.Is(err, keys.ErrRevoked) {
			t.Errorf("a revoked key, at once: %v", err)
		}
		for _, k := range must(c.Keys(ctx, "svc"))(t).Keys {
			if k.Secret != "" || k.Status != map[bool]string{true: "revoked", false: "overlap"}[k.ID == heir.ID] {
				t.Errorf("listed: %+v", k)
			}
			if k.ID != heir.ID && k.LastUsed.IsZero() {
				t.Error("the last use is not told")
			}
		}
		_, err = c.RevokeKey(ctx, "0000000000")
		wantStatus(t, err, http.StatusNotFound)
		for _, id := range []string{"", "..", "a/b", k.Secret, "%2e", "0123456789\n"} {
			_, err := c.RotateKey(ctx, id, 0)
			var bad interface{ BadInput() bool }
			if !errors.As(err, &bad) || !bad.BadInput() {
				t.Errorf("%q: %v", id, err)
			}
			if id == k.Secret && strings.Contains(err.Error(), id) {
				t.Errorf("the error repeats the key: %v", err)
			}
		}
		_, err = c.CreateKey(ctx, NewKey{Owner: "svc", Purpose: "p", Expires: time.Now().AddDate(0, 13, 0)})
		wantStatus(t, err, http.StatusUnprocessableEntity)
	})
}

// A list of more than a page comes whole and in order.
func TestKeyPages(t *testing.T) {
	s := newState(t, dataDir(t))
	const n = page + 3
	var want []string
	for range n {
		i, _, err := s.Manager.CreateKey(t.Context(), keys.NewKey{Owner: "svc", Purpose: "p", Expires: soon()})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, i.Key.ID)
	}
	l := must(InProcess(s).Keys(t.Context(), ""))(t)
	var got []string
	for _, k := range l.Keys {
		got = append(got, k.ID)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || l.More {
		t.Errorf("%d keys of %d", len(got), n)
	}
}

const password = "correct horse battery"

func TestUsers(t *testing.T) {
	clients(t, func(t *testing.T, s *deployment.State, c *Client) {
		ctx := t.Context()
		u := must(c.AddUser(ctx, NewUser{Name: "alice", Subject: "1001", Roles: []string{"employee"}, Password: password}))(t)
		if u.Schema != "portreeve/user/v1" || u.Subject != "1001" || !u.HasPassword || u.Disabled || u.Warnings != nil {
			t.Errorf("%+v", u)
		}
		if _, err := s.Manager.VerifyPassword(ctx, "alice", password); err != nil {
			t.Error(err)
		}
		if u := must(c.DisableUser(ctx, "alice"))(t); !u.Disabled {
			t.Errorf("%+v", u)
		}
		if u := must(c.EnableUser(ctx, "alice"))(t); u.Disabled {
			t.Errorf("%+v", u)
		}
		must(c.SetPassword(ctx, "alice", "another horse battery"))(t)
		if _, err := s.Manager.VerifyPassword(ctx, "alice", password); !errors.Is(err, keys.ErrWrongPassword) {
			t.Error(err)
		}
		must(c.AddUser(ctx, NewUser{Name: "bob@example.com"}))(t)
		if l := must(c.Users(ctx))(t); len(l.Users) != 2 || l.Users[1].HasPassword || l.Users[1].Subject != "bob@example.com" {
			t.Errorf("%+v", l)
		}
		must(c.DisableUser(ctx, "bob@example.com"))(t)
		_, err := c.AddUser(ctx, NewUser{Name: "alice"})
		wantStatus(t, err, http.StatusConflict)
		_, err = c.SetPassword(ctx, "alice", "short pony")
		wantStatus(t, err, http.StatusUnprocessableEntity)
		if strings.Contains(err.Error(), "pony") {
			t.Errorf("the error repeats the password: %v", err)
		}
		_, err = c.DisableUser(ctx, "nobody")
		wantStatus(t, err, http.StatusNotFound)
		_, err = c.AddUser(ctx, NewUser{Name: "Eve\n"})
		wantStatus(t, err, http.StatusUnprocessableEntity)
	})
}

func TestTokens(t *testing.T) {
	clients(t, func(t *testing.T, s *deployment.State, c *Client) {
		ctx := t.Context()
		must(c.AddUser(ctx, NewUser{Name: "alice", Subject: "1001", Roles: []string{"employee"}}))(t)
		tok := must(c.IssueToken(ctx, NewToken{User: "alice", LifetimeSeconds: 60, Scopes: []string{"a"}, AMR: []string{"pwd"}}))(t)
		if out := fmt.Sprintf("%v %+v %#v", tok, tok, tok); strings.Contains(out, tok.Token) {
			t.Error("printing shows the token")
		}
		if d := time.Until(tok.Expires); tok.Subject != "1001" || d > time.Minute || d < 50*time.Second {
			t.Errorf("%+v expires %v", tok, tok.Expires)
		}
		accepted := func(want string) {
			t.Helper()
			i := must(c.InspectToken(ctx, tok.Token))(t)
			if i.Reason != want || i.Accepted != (want == "") || i.Accepted && (i.Subject != "1001" || i.Issuer != "embedded" || !slices.Equal(i.Roles, []string{"employee"})) {
				t.Errorf("%+v, want %q", i, want)
			}
			if b, _ := json.Marshal(i); bytes.Contains(b, []byte(tok.Token[strings.LastIndexByte(tok.Token, '.')+1:])) {
				t.Error("the signature is told")
			}
		}
		accepted("")
		r := must(c.RevokeTokens(ctx, Revocation{Kind: "jti", Value: tok.ID}))(t)
		if r.Schema != "portreeve/revocation/v1" || r.Issuer != "embedded" || r.Warnings != nil || r.Revoked.IsZero() {
			t.Errorf("%+v", r)
		}
		accepted("token_revoked")
		// Revoked and issued in one second: the new one is believed.
		must(c.RevokeTokens(ctx, Revocation{Kind: "subject", Value: "1001"}))(t)
		tok = must(c.IssueToken(ctx, NewToken{User: "alice"}))(t)
		accepted("")

		for _, c := range []struct {
			r    Revocation
			want string
		}{
			{Revocation{Kind: "subject", Value: "alice"}, `the subject of the user of that name is "1001"`},
			{Revocation{Kind: "subject", Value: "nobody"}, `no user has the subject "nobody"`},
			{Revocation{Kind: "key", Value: "x"}, "this gate signs with the key"},
			{Revocation{Kind: "jti", Value: "x", Issuer: "corp"}, ""},
		} {
			r := must(InProcess(s).RevokeTokens(ctx, c.r))(t)
			if got := strings.Join(r.Warnings, ""); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
				t.Errorf("%+v: warned %q", c.r, got)
			}
		}
		for _, bad := range []Revocation{{Kind: "jti"}, {Kind: "all", Value: "x"}, {Kind: "jti", Value: "x", Issuer: "nobody"}, {Kind: "jti", Value: "a\nb"}} {
			_, err := c.RevokeTokens(ctx, bad)
			wantStatus(t, err, http.StatusUnprocessableEntity)
		}
		_, err := c.IssueToken(ctx, NewToken{User: "alice", LifetimeSeconds: 1 << 60})
		wantStatus(t, err, http.StatusUnprocessableEntity)
		_, err = c.IssueToken(ctx, NewToken{User: "nobody"})
		wantStatus(t, err, http.StatusNotFound)
		_, err = c.InspectToken(ctx, "not.a.token")
		wantStatus(t, err, http.StatusUnprocessableEntity)
		_, err = c.Reload(ctx)
		wantStatus(t, err, http.StatusServiceUnavailable)

		must(c.RevokeTokens(ctx, Revocation{Kind: "key", Value: s.Signer.KeyID()}))(t)
		accepted("token_revoked")
	})
}

func TestReload(t *testing.T) {
	dir := dataDir(t)
	s := newState(t, dir)
	var answer error
	srv, err := Start(s, func(context.Context) error { return answer })
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	c := must(Dial(t.Context(), dir))(t)
	if r := must(c.Reload(t.Context()))(t); r.Plan != s.Plan().Hash {
		t.Errorf("%+v", r)
	}
	answer = &keys.InvalidError{Field: "portreeve.yaml:3", Problem: "is wrong"}
	_, err = c.Reload(t.Context())
	wantStatus(t, err, http.StatusUnprocessableEntity)
	answer = errors.New("listen changed: restart to take that over")
	_, err = c.Reload(t.Context())
	wantStatus(t, err, http.StatusInternalServerError)
	if !strings.Contains(err.Error(), "restart") {
		t.Error(err)
	}
	if got := acts(t, dir, "reload"); !slices.Equal(got, []string{"intent", "outcome done", "intent", "outcome refused", "intent", "outcome failed"}) {
		t.Errorf("recorded %q", got)
	}
}

// acts are what the ledger tells of a verb; all must be of this process's user.
func acts(t *testing.T, dir, verb string) (out []string) {
	t.Helper()
	err := ledger.Read(filepath.Join(dir, "audit"), func(_ string, _ int, line []byte) error {
		var e struct {
			Message  string
			Unmapped struct{ Verb, Phase string }
			Actor    struct{ User struct{ UID string } }
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if e.Unmapped.Verb != verb {
			return nil
		}
		if want := uid(os.Getuid()); e.Actor.User.UID != want {
			t.Errorf("the actor is %q, not %q", e.Actor.User.UID, want)
		}
		message, _, _ := strings.Cut(e.Message, ";")
		out = append(out, strings.TrimSpace(e.Unmapped.Phase+" "+message))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Every way of writing a request wrongly is refused, changes nothing, and repeats nothing of what it held.
//
//threat:47 management requests with unknown members, other types and methods → refused
func TestRequestsAreReadStrictly(t *testing.T) {
	dir := dataDir(t)
	s := newState(t, dir)
	h := New(s, nil)
	ask := func(ctx context.Context, method, path, contentType, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body)).WithContext(ctx)
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	ctx := WithActor(t.Context(), "uid:7")
	const good = `{"name":"alice","password":"canary horse battery"}`
	for name, c := range map[string]struct {
		ctx                             context.Context
		method, path, contentType, body string
		want                            int
	}{
		"nobody asks":       {t.Context(), "POST", "/v1/users", "application/json", good, 403},
		"nobody lists":      {t.Context(), "GET", "/v1/users", "", "", 403},
		"no content type":   {ctx, "POST", "/v1/users", "", good, 422},
		"a form":            {ctx, "POST", "/v1/users", "application/x-www-form-urlencoded", good, 422},
		"plain text":        {ctx, "POST", "/v1/users", "text/plain", good, 422},
		"no body":           {ctx, "POST", "/v1/users", "application/json", "", 422},
		"an unknown member": {ctx, "POST", "/v1/users", "application/json", `{"name":"alice","canary":"canary horse"}`, 422},
		"another type":      {ctx, "POST", "/v1/users", "application/json", `{"name":["canary horse"]}`, 422},
		"a second value":    {ctx, "POST", "/v1/users", "application/json", good + good, 422},
		"half a value":      {ctx, "POST", "/v1/users", "application/json", good[:len(good)-1], 422},
		"a list":            {ctx, "POST", "/v1/users", "application/json", "[" + good + "]", 422},
		"too much":          {ctx, "POST", "/v1/users", "application/json", good + strings.Repeat(" ", maxBody), 422},
		"a bad limit":       {ctx, "GET", "/v1/keys?limit=0", "", "", 422},
		"a huge limit":      {ctx, "GET", "/v1/keys?limit=100000", "", "", 422},
		"another method":    {ctx, "DELETE", "/v1/users/alice", "", "", 404},
		"another path":      {ctx, "GET", "/", "", "", 404},
		"no id":             {ctx, "POST", "/v1/keys/canary%2f..%2fx/revoke", "", "", 422},
		"a whole key":       {ctx, "POST", "/v1/keys/ptr_live_0123456789_canary/revoke", "", "", 422},
		"no name":           {ctx, "POST", "/v1/users/%0a/disable", "", "", 422},
	} {
		w := ask(c.ctx, c.method, c.path, c.contentType, c.body)
		if w.Code != c.want || strings.Contains(w.Body.String(), "canary") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if us, err := s.Manager.Users(t.Context()); err != nil || len(us) != 0 {
		t.Errorf("%d users, %v", len(us), err)
	}
	// An act that has begun does not end with its caller.
	gone, leave := context.WithCancel(ctx)
	leave()
	if w := ask(gone, "POST", "/v1/users", "application/json; charset=utf-8", good); w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("a caller that left: %d %s", w.Code, w.Body)
	}
	if us, err := s.Manager.Users(t.Context()); err != nil || len(us) != 1 {
		t.Errorf("%d users, %v", len(us), err)
	}
}

// No secret that was told or taken is in any file of the data directory, whole or in part.
func TestNoSecretIsKept(t *testing.T) {
	dir := dataDir(t)
	s := newState(t, dir)
	ctx, c := t.Context(), InProcess(s)
	must(c.AddUser(ctx, NewUser{Name: "alice", Password: password}))(t)
	k := must(c.CreateKey(ctx, NewKey{Owner: "alice", Purpose: "p", Expires: soon()}))(t)
	heir := must(c.RotateKey(ctx, k.ID, 0))(t)
	tok := must(c.IssueToken(ctx, NewToken{User: "alice"}))(t)
	must(c.InspectToken(ctx, tok.Token))(t)
	must(c.SetPassword(ctx, "alice", "another horse battery"))(t)
	c.InspectToken(ctx, tok.Token+"x")
	c.RevokeTokens(ctx, Revocation{Kind: tok.Token, Value: tok.Token})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	canaries := []string{"horse", tok.Token[strings.LastIndexByte(tok.Token, '.')+1:][:20], strings.Split(k.Secret, "_")[3][:20], strings.Split(heir.Secret, "_")[3][:20]}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		for _, secret := range canaries {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds %q", path, secret)
			}
		}
		if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("%d files, %v", files, err)
	}
}
