package keys_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/store"
	"github.com/portreeve/portreeve/internal/store/sqlite"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	home = netip.MustParseAddr("192.0.2.1")
)

// counted is a real store that counts what is asked of it, and can be away.
type counted struct {
	*sqlite.Store
	calls atomic.Int64
	away  atomic.Bool
}

func (c *counted) ask() error {
	c.calls.Add(1)
	if c.away.Load() {
		return store.ErrUnavailable
	}
	return nil
}

func (c *counted) Position(ctx context.Context) (keys.Position, error) {
	if err := c.ask(); err != nil {
		return keys.Position{}, err
	}
	return c.Store.Position(ctx)
}

func (c *counted) Since(ctx context.Context, p keys.Position) (*keys.Changes, error) {
	if err := c.ask(); err != nil {
		return nil, err
	}
	return c.Store.Since(ctx, p)
}

func (c *counted) TouchKeys(ctx context.Context, used map[string]time.Time) error {
	if err := c.ask(); err != nil {
		return err
	}
	return c.Store.TouchKeys(ctx, used)
}

// gate is a manager and a directory over one real store, under one clock.
type gate struct {
	*testing.T
	store     *counted
	manager   *keys.Manager
	directory *keys.Directory
	peppers   *keys.Peppers

	mu  sync.Mutex
	now time.Time
}

func (g *gate) clock() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

func (g *gate) pass(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now = g.now.Add(d)
}

func newGate(t *testing.T) *gate {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "portreeve.db"), sqlite.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	secret := make([]byte, 32)
	rand.Read(secret)
	g := &gate{T: t, store: &counted{Store: db}, now: noon}
	if g.peppers, err = keys.NewPeppers(secret); err != nil {
		t.Fatal(err)
	}
	hasher, err := keys.NewHasher(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if g.directory, err = keys.NewDirectory(g.store, g.peppers, keys.DirectoryOptions{Now: g.clock}); err != nil {
		t.Fatal(err)
	}
	if g.manager, err = keys.NewManager(g.store, g.peppers, hasher, keys.ManagerOptions{Now: g.clock, Directory: g.directory}); err != nil {
		t.Fatal(err)
	}
	if err := g.directory.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *gate) create(n keys.NewKey) keys.Issued {
	g.Helper()
	if n.Owner == "" {
		n.Owner = "svc"
	}
	n.Purpose = "test"
	if n.Expires.IsZero() {
		n.Expires = g.clock().Add(24 * time.Hour)
	}
	i, _, err := g.manager.CreateKey(g.Context(), n)
	if err != nil {
		g.Fatal(err)
	}
	return i
}

func (g *gate) user(name string, roles ...string) {
	g.Helper()
	if _, _, err := g.manager.AddUser(g.Context(), keys.NewUser{Name: name, Roles: roles}); err != nil {
		g.Fatal(err)
	}
}

// use authenticates a key.
func (g *gate) use(text string) (*keys.APIKey, error) {
	return g.directory.Authenticate(text, home, g.clock())
}

func (g *gate) want(text string, want error) {
	g.Helper()
	if _, err := g.use(text); !errors.Is(err, want) {
		g.Errorf("got %v, want %v", err, want)
	}
}

func (g *gate) do(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

func second[T any](_ T, err error) error { return err }

// A key that is malformed, mistyped or unknown, and one that is right, cost no query: all is in memory.
func TestAuthenticatingAsksNoStore(t *testing.T) {
	g := newGate(t)
	i := g.create(keys.NewKey{})
	stranger, err := keys.Generate(rand.Reader, keys.Live)
	g.do(err)
	calls := g.store.calls.Load()
	typo := i.Secret[:len(i.Secret)-1] + "0"
	if typo == i.Secret {
		typo = i.Secret[:len(i.Secret)-1] + "1"
	}
	g.want("", keys.ErrMalformed)
	g.want("Bearer "+i.Secret, keys.ErrMalformed)
	g.want(typo, keys.ErrChecksum)
	g.want(stranger, keys.ErrUnknown)
	g.want(i.Secret, nil)
	if n := g.store.calls.Load() - calls; n != 0 {
		t.Errorf("%d calls of the store", n)
	}
}

// What the store keeps proves nothing by itself, and a hash that was moved to another row proves nothing there.
//
//threat:33 a key's hash moved to another row, or under another pepper → proves nothing
func TestHashesAreBoundToTheirRow(t *testing.T) {
	g := newGate(t)
	a, b := g.create(keys.NewKey{}), g.create(keys.NewKey{})
	k, err := g.store.Key(t.Context(), a.Key.ID)
	g.do(err)
	row := *k
	row.ID = b.Key.ID
	// A second store, in which b's row carries a's hash: a's secret is not b's key, and b's own does not fit.
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "other.db"), sqlite.Options{Create: true})
	g.do(err)
	defer db.Close()
	g.do(db.CreateKey(t.Context(), &row))
	d, err := keys.NewDirectory(db, g.peppers, keys.DirectoryOptions{Now: g.clock})
	g.do(err)
	g.do(d.Refresh(t.Context()))
	if _, err := d.Authenticate(b.Secret, home, noon); !errors.Is(err, keys.ErrWrongSecret) {
		t.Errorf("a moved hash: %v", err)
	}
	if _, err := d.Authenticate(a.Secret, home, noon); !errors.Is(err, keys.ErrUnknown) {
		t.Errorf("a secret without its row: %v", err)
	}
	// And under another pepper the same row proves nothing.
	strange, err := keys.NewPeppers(make([]byte, 32))
	g.do(err)
	d, err = keys.NewDirectory(g.store, strange, keys.DirectoryOptions{Now: g.clock})
	g.do(err)
	g.do(d.Refresh(t.Context()))
	if _, err := d.Authenticate(a.Secret, home, noon); !errors.Is(err, keys.ErrPepper) {
		t.Errorf("another pepper: %v", err)
	}
}

//threat:36 keys that are revoked, expired, of a disabled user → refused
func TestHowAKeyEnds(t *testing.T) {
	g := newGate(t)
	ctx := t.Context()
	for name, c := range map[string]struct {
		end  func(id string) error
		want error
	}{
		"revoked":  {func(id string) error { return second(g.manager.RevokeKey(ctx, id)) }, keys.ErrRevoked},
		"disabled": {func(id string) error { return second(g.manager.DisableKey(ctx, id)) }, keys.ErrDisabled},
		"rotated without overlap": {func(id string) error {
			_, _, err := g.manager.RotateKey(ctx, id, 0)
			return err
		}, keys.ErrExpired},
	} {
		i := g.create(keys.NewKey{})
		g.want(i.Secret, nil)
		g.do(c.end(i.Key.ID))
		if _, err := g.use(i.Secret); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	i := g.create(keys.NewKey{Expires: noon.Add(time.Hour)})
	for g.now = noon; g.now.Before(noon.Add(time.Hour)); g.now = g.now.Add(10 * time.Minute) {
		g.do(g.directory.Refresh(ctx))
		g.want(i.Secret, nil)
	}
	g.do(g.directory.Refresh(ctx))
	g.want(i.Secret, keys.ErrExpired) // at the very moment
}

func TestRotation(t *testing.T) {
	g := newGate(t)
	ctx := t.Context()
	old := g.create(keys.NewKey{Scopes: []string{"a"}, Roles: []string{"r"}, AllowIPs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Expires: noon.Add(48 * time.Hour)})
	heir, act, err := g.manager.RotateKey(ctx, old.Key.ID, time.Hour)
	g.do(err)
	ignore := cmp.FilterPath(func(p cmp.Path) bool {
		return slices.Contains([]string{"ID", "Hash", "RotatedFrom"}, p.Last().String()[1:])
	}, cmp.Ignore())
	if d := cmp.Diff(old.Key, heir.Key, ignore, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Errorf("the successor has other rights:\n%s", d)
	}
	if heir.Key.RotatedFrom != old.Key.ID || act.Ends != noon.Add(time.Hour) || act.Target != heir.Key.ID {
		t.Errorf("%+v, %+v", heir.Key, act)
	}
	g.want(old.Secret, nil)
	g.want(heir.Secret, nil)
	g.pass(time.Hour)
	g.do(g.directory.Refresh(ctx))
	g.want(old.Secret, keys.ErrExpired)
	g.want(heir.Secret, nil)
	// The old key never outlives its own end for the overlap's sake.
	short := g.create(keys.NewKey{Expires: g.clock().Add(time.Hour)})
	if _, act, err = g.manager.RotateKey(ctx, short.Key.ID, 24*time.Hour); err != nil || !act.Ends.Equal(short.Key.Expires) {
		t.Errorf("%+v, %v", act, err)
	}
	// Of many at once one succeeds.
	busy := g.create(keys.NewKey{})
	var won, lost atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			switch _, _, err := g.manager.RotateKey(ctx, busy.Key.ID, time.Hour); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, store.ErrConflict):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 7 {
		t.Errorf("%d rotations succeeded, %d lost", won.Load(), lost.Load())
	}
}

//threat:42 keys with lists of addresses, from mapped ones → one address in whatever spelling
func TestAddressLists(t *testing.T) {
	g := newGate(t)
	i := g.create(keys.NewKey{AllowIPs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("::ffff:198.51.100.0/120"), netip.MustParsePrefix("2001:db8::/64")}})
	for from, want := range map[string]error{
		"192.0.2.255":         nil,
		"::ffff:192.0.2.1":    nil,
		"198.51.100.9":        nil,
		"2001:db8::9":         nil,
		"192.0.3.1":           keys.ErrAddress,
		"2001:db8:0:1::9":     keys.ErrAddress,
		"::ffff:203.0.113.1":  keys.ErrAddress,
		"::192.0.2.1":         keys.ErrAddress,
		"64:ff9b::c000:0201":  keys.ErrAddress,
		"2002:c000:0201::abc": keys.ErrAddress,
	} {
		if _, err := g.directory.Authenticate(i.Secret, netip.MustParseAddr(from), noon); !errors.Is(err, want) && err != want {
			t.Errorf("from %s: %v, want %v", from, err, want)
		}
	}
	if _, err := g.directory.Authenticate(i.Secret, netip.Addr{}, noon); !errors.Is(err, keys.ErrAddress) {
		t.Errorf("from nowhere: %v", err)
	}
}

// A key of a user has no more than the user has now (CVE-2023-22492's class).
func TestKeysFollowTheirOwner(t *testing.T) {
	g := newGate(t)
	ctx := t.Context()
	g.user("alice", "admin", "employee")
	i := g.create(keys.NewKey{Owner: "alice", Roles: []string{"admin", "employee"}})
	roles := func(want ...string) {
		t.Helper()
		k, err := g.use(i.Secret)
		if err != nil || !slices.Equal(k.Roles, want) {
			t.Errorf("%+v, %v; want roles %v", k, err, want)
		}
	}
	roles("admin", "employee")
	g.do(second(g.manager.SetRoles(ctx, "alice", []string{"employee"})))
	roles("employee")
	g.do(second(g.manager.DisableUser(ctx, "alice")))
	g.want(i.Secret, keys.ErrOwnerDisabled)
	g.do(second(g.manager.EnableUser(ctx, "alice")))
	roles("employee")
	var bad *keys.InvalidError
	if _, _, err := g.manager.CreateKey(ctx, keys.NewKey{Owner: "alice", Purpose: "x", Roles: []string{"admin"}, Expires: noon.Add(time.Hour)}); !errors.As(err, &bad) {
		t.Errorf("a key with more roles than its owner: %v", err)
	}
	// Nor does a rotation bring back what was taken.
	if _, _, err := g.manager.RotateKey(ctx, i.Key.ID, 0); !errors.As(err, &bad) {
		t.Errorf("a rotation brought back a role: %v", err)
	}
}

// A store that is away is borne for the bound, then nothing is believed; when it is back, all is well.
//
//threat:39 the store is away for longer than staleness → nobody is believed
func TestStaleness(t *testing.T) {
	g := newGate(t)
	ctx := t.Context()
	g.user("alice")
	i := g.create(keys.NewKey{})
	g.store.away.Store(true)
	if err := g.directory.Refresh(ctx); !errors.Is(err, store.ErrUnavailable) {
		t.Fatal(err)
	}
	g.pass(time.Minute)
	g.want(i.Secret, nil)
	if g.directory.Revoked("corp", "bob", "1", noon) {
		t.Error("within the bound a token is called revoked")
	}
	g.pass(time.Millisecond)
	g.want(i.Secret, keys.ErrStale)
	if !g.directory.Revoked("corp", "bob", "1", noon) || !g.directory.RevokedKey("corp", "k", noon) {
		t.Error("beyond the bound a token is believed")
	}
	if _, err := g.directory.User("alice"); !errors.Is(err, keys.ErrStale) {
		t.Errorf("beyond the bound a user is believed: %v", err)
	}
	if _, failure := g.directory.State(); !errors.Is(failure, store.ErrUnavailable) {
		t.Errorf("the state shows %v", failure)
	}
	g.store.away.Store(false)
	g.do(g.directory.Refresh(ctx))
	g.want(i.Secret, nil)

	blank, err := keys.NewDirectory(g.store, g.peppers, keys.DirectoryOptions{Now: g.clock})
	g.do(err)
	if _, err := blank.Authenticate(i.Secret, home, g.clock()); !errors.Is(err, keys.ErrStale) {
		t.Errorf("a directory that never read anything: %v", err)
	}
}

//threat:36 revoked tokens → refused, remembered ones too
func TestRevokedTokens(t *testing.T) {
	g := newGate(t)
	ctx := t.Context()
	at := g.clock()
	g.do(second(g.manager.RevokeToken(ctx, "embedded", "jti-1", at.Add(time.Hour))))
	g.do(second(g.manager.RevokeSubject(ctx, "embedded", "alice")))
	g.do(second(g.manager.RevokeSubject(ctx, "corp", "alice")))
	g.do(second(g.manager.RevokeSigningKey(ctx, "corp", "kid-1")))
	for _, c := range []struct {
		name                 string
		issuer, subject, jti string
		issued               time.Time
		want                 bool
	}{
		{"the token", "embedded", "bob", "jti-1", at, true},
		{"issued later, the same jti", "embedded", "bob", "jti-1", at.Add(time.Hour), true},
		{"another token", "embedded", "bob", "jti-2", at, false},
		{"another issuer's", "corp", "bob", "jti-1", at, false},
		{"the subject's, before", "embedded", "alice", "x", at.Add(-time.Second), true},
		{"the subject's, in the same second", "embedded", "alice", "x", at, true},
		{"the subject's, in the next", "embedded", "alice", "x", at.Add(time.Second), false},
		{"a foreign clock is ahead", "corp", "alice", "x", at.Add(time.Minute), true},
		{"no foreign clock is that far ahead", "corp", "alice", "x", at.Add(time.Minute + time.Second), false},
		{"a token that does not say when", "embedded", "alice", "x", time.Time{}, true},
	} {
		if got := g.directory.Revoked(c.issuer, c.subject, c.jti, c.issued); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if !g.directory.RevokedKey("corp", "kid-1", at.Add(24*time.Hour)) || g.directory.RevokedKey("embedded", "kid-1", at) {
		t.Error("a leaked key")
	}
}

// Whatever changes a user's rights or proof ends the tokens that were issued before.
//
//threat:36 a user's password, roles or state changed → tokens of before are refused
func TestWhatEndsAUsersTokens(t *testing.T) {
	g := newGate(t)
	ctx := t.Context()
	g.user("alice")
	for name, change := range map[string]func() error{
		"disable":  func() error { return second(g.manager.DisableUser(ctx, "alice")) },
		"roles":    func() error { return second(g.manager.SetRoles(ctx, "alice", []string{"x"})) },
		"password": func() error { return second(g.manager.SetPassword(ctx, "alice", "correct horse battery")) },
	} {
		g.pass(2 * time.Second)
		issued := g.clock()
		if g.directory.Revoked("embedded", "alice", "j", issued) {
			t.Fatalf("%s: revoked before", name)
		}
		g.do(change())
		if !g.directory.Revoked("embedded", "alice", "j", issued) {
			t.Errorf("%s: the token lives", name)
		}
	}
}

// Uses are written in batches, go forward only, and are not lost when the store is away.
func TestLastUse(t *testing.T) {
	g := newGate(t)
	ctx := t.Context()
	i := g.create(keys.NewKey{})
	stored := func() time.Time {
		t.Helper()
		k, err := g.manager.Key(ctx, i.Key.ID)
		g.do(err)
		return k.LastUsed
	}
	calls := g.store.calls.Load()
	g.want(i.Secret, nil)
	g.want(i.Secret+"x", keys.ErrMalformed)
	if g.store.calls.Load() != calls || !stored().IsZero() {
		t.Error("a use was written at once")
	}
	g.store.away.Store(true)
	if err := g.directory.Flush(ctx); !errors.Is(err, store.ErrUnavailable) {
		t.Fatal(err)
	}
	g.store.away.Store(false)
	g.do(g.directory.Flush(ctx))
	if got := stored(); !got.Equal(noon) {
		t.Errorf("last used %v", got)
	}
	calls = g.store.calls.Load()
	g.do(g.directory.Flush(ctx))
	if g.store.calls.Load() != calls {
		t.Error("nothing was used, yet something was written")
	}
	g.do(second(g.manager.RevokeKey(ctx, i.Key.ID)))
	g.pass(time.Minute)
	g.do(g.directory.Refresh(ctx))
	g.want(i.Secret, keys.ErrRevoked)
	g.do(g.directory.Flush(ctx))
	if got := stored(); !got.Equal(noon) {
		t.Errorf("a refused use was noted: %v", got)
	}
}

// Readers race with changes; the race detector watches, and no reader sees a key before its owner's end.
func TestReadersRaceWithChanges(t *testing.T) {
	g := newGate(t)
	ctx := t.Context()
	i := g.create(keys.NewKey{})
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			revoked := false
			for {
				_, err := g.use(i.Secret)
				switch {
				case errors.Is(err, keys.ErrRevoked):
					revoked = true
				case err != nil || revoked:
					t.Errorf("after revoked=%v: %v", revoked, err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 20 {
		g.create(keys.NewKey{})
	}
	g.do(second(g.manager.RevokeKey(ctx, i.Key.ID)))
	g.want(i.Secret, keys.ErrRevoked)
	close(done)
	wg.Wait()
}

func TestCreateKeyBounds(t *testing.T) {
	g := newGate(t)
	good := keys.NewKey{Owner: "svc", Purpose: "p", Expires: noon.AddDate(0, 12, 0)}
	if _, _, err := g.manager.CreateKey(t.Context(), good); err != nil {
		t.Errorf("twelve months: %v", err)
	}
	many := make([]string, 65)
	for i := range many {
		many[i] = string(rune('a'+i%26)) + strings.Repeat("x", i)
	}
	for name, change := range map[string]func(*keys.NewKey){
		"no owner":            func(n *keys.NewKey) { n.Owner = "" },
		"no purpose":          func(n *keys.NewKey) { n.Purpose = "" },
		"a purpose of spaces": func(n *keys.NewKey) { n.Purpose = "  " },
		"a line break":        func(n *keys.NewKey) { n.Purpose = "a\nb" },
		"a terminal escape":   func(n *keys.NewKey) { n.Owner = "a\x1b[2Jb" },
		"a bidi override":     func(n *keys.NewKey) { n.Owner = "a\u202eb" },
		"bad UTF-8":           func(n *keys.NewKey) { n.Owner = "a\xff" },
		"a long owner":        func(n *keys.NewKey) { n.Owner = strings.Repeat("x", 201) },
		"no end":              func(n *keys.NewKey) { n.Expires = time.Time{} },
		"an end that is past": func(n *keys.NewKey) { n.Expires = noon },
		"more than a year":    func(n *keys.NewKey) { n.Expires = noon.AddDate(0, 12, 0).Add(time.Second) },
		"an empty scope":      func(n *keys.NewKey) { n.Scopes = []string{""} },
		"a scope with quotes": func(n *keys.NewKey) { n.Scopes = []string{`a"b`} },
		"a scope twice":       func(n *keys.NewKey) { n.Scopes = []string{"a", "a"} },
		"too many roles":      func(n *keys.NewKey) { n.Roles = many },
		"an empty role":       func(n *keys.NewKey) { n.Roles = []string{""} },
		"no prefix":           func(n *keys.NewKey) { n.AllowIPs = []netip.Prefix{{}} },
		"bits beyond":         func(n *keys.NewKey) { n.AllowIPs = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")} },
		"another environment": func(n *keys.NewKey) { n.Environment = "prod" },
	} {
		n := good
		change(&n)
		var bad *keys.InvalidError
		if _, _, err := g.manager.CreateKey(t.Context(), n); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if ks, err := g.manager.Keys(t.Context(), keys.KeyFilter{}); err != nil || len(ks) != 1 {
		t.Errorf("%d keys, %v", len(ks), err)
	}
}

func TestVerifyPassword(t *testing.T) {
	g := newGate(t)
	ctx := t.Context()
	g.user("alice")
	for _, c := range []struct {
		name, password string
		want           error
	}{
		{"alice", "", keys.ErrWrongPassword}, // none is set
		{"nobody", "correct horse battery", keys.ErrUserUnknown},
	} {
		if _, err := g.manager.VerifyPassword(ctx, c.name, c.password); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	g.do(second(g.manager.SetPassword(ctx, "alice", "correct horse battery")))
	if u, err := g.manager.VerifyPassword(ctx, "alice", "correct horse battery"); err != nil || u.Subject != "alice" {
		t.Error(u, err)
	}
	if _, err := g.manager.VerifyPassword(ctx, "alice", "correct horse batterz"); !errors.Is(err, keys.ErrWrongPassword) {
		t.Error(err)
	}
	g.do(second(g.manager.DisableUser(ctx, "alice")))
	if _, err := g.manager.VerifyPassword(ctx, "alice", "correct horse battery"); !errors.Is(err, keys.ErrUserDisabled) {
		t.Error(err)
	}
	if _, err := g.manager.VerifyPassword(ctx, "alice", "wrong horse battery"); !errors.Is(err, keys.ErrWrongPassword) {
		t.Error("a disabled user is told apart without the password:", err)
	}
}
