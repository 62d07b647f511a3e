package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/store"
)

var prefixes = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

// key is a key with every field set but those that end it.
func key(n int) *keys.APIKey {
	k := &keys.APIKey{ID: fmt.Sprintf("k%09d", n), Environment: keys.Live, PepperID: "pepper-1", Owner: "svc", Purpose: "nightly \"export\" – ü",
		Scopes: []string{"a:b", "c"}, Scoped: true, Roles: []string{"employee"},
		AllowIPs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
		Created:  start.Add(time.Duration(n) * time.Second), Expires: start.AddDate(0, 6, 0)}
	for i := range k.Hash {
		k.Hash[i] = byte(n + i)
	}
	return k
}

func keysRoundTrip(t *testing.T, db Database) {
	ctx, s := t.Context(), open(t, db)
	full := key(1)
	full.Disabled, full.Revoked, full.OverlapUntil, full.LastUsed = true, start.Add(time.Microsecond), start.Add(time.Hour), start.Add(time.Minute)
	bare := &keys.APIKey{ID: "k000000002", Environment: keys.Test, PepperID: "p", Owner: "o", Purpose: "p", Created: start, Expires: start.Add(time.Hour)}
	heir := key(3)
	heir.RotatedFrom = full.ID
	for _, k := range []*keys.APIKey{full, bare, heir} {
		must(t, s.CreateKey(ctx, k))
		same(t, "key", got(s.Key(ctx, k.ID))(t), k)
		same(t, "key read elsewhere", got(open(t, db).Key(ctx, k.ID))(t), k)
	}
}

func keysPaged(t *testing.T, db Database) {
	ctx, s := t.Context(), open(t, db)
	for n := range 7 {
		k := key(n)
		k.ID = fmt.Sprintf("k%09d", (n*5)%7) // ids are not in order of creation
		k.Created = start.Add(time.Duration(n/2) * time.Second)
		if n%2 == 1 {
			k.Owner = "other"
		}
		must(t, s.CreateKey(ctx, k))
	}
	all := got(s.Keys(ctx, keys.KeyFilter{}))(t)
	for i := 1; i < len(all); i++ {
		if a, b := all[i-1], all[i]; b.Created.Before(a.Created) || b.Created.Equal(a.Created) && b.ID <= a.ID {
			t.Fatalf("%s stands before %s", a.ID, b.ID)
		}
	}
	var paged []*keys.APIKey
	for f := (keys.KeyFilter{Limit: 3}); ; f.After = paged[len(paged)-1].ID {
		page := got(s.Keys(ctx, f))(t)
		if len(page) == 0 {
			break
		}
		paged = append(paged, page...)
	}
	same(t, "all pages", paged, all)
	if others := got(s.Keys(ctx, keys.KeyFilter{Owner: "other"}))(t); len(all) != 7 || len(others) != 3 {
		t.Fatalf("%d keys, %d of the other owner; want 7 and 3", len(all), len(others))
	}
}

func keysConflict(t *testing.T, db Database) {
	ctx, s := t.Context(), open(t, db)
	must(t, s.CreateKey(ctx, key(1)))
	wantErr(t, s.CreateKey(ctx, key(1)), store.ErrConflict)
	_, err := s.Key(ctx, "missing")
	wantErr(t, err, store.ErrNotFound)
	wantErr(t, s.RevokeKey(ctx, "missing", start), store.ErrNotFound)
	wantErr(t, s.SetKeyDisabled(ctx, "missing", true), store.ErrNotFound)
	must(t, s.TouchKeys(ctx, map[string]time.Time{"missing": start}))
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want one that is %v", err, want)
	}
}

func rotation(t *testing.T, db Database) {
	ctx, s := t.Context(), open(t, db)
	must(t, s.CreateKey(ctx, key(1)))
	heir := key(2)
	heir.RotatedFrom = key(1).ID
	ends := start.Add(time.Hour)
	must(t, s.RotateKey(ctx, heir, ends))
	same(t, "successor", got(s.Key(ctx, heir.ID))(t), heir)
	old := key(1)
	old.OverlapUntil = ends
	same(t, "rotated key", got(s.Key(ctx, old.ID))(t), old)

	second := key(3)
	second.RotatedFrom = old.ID
	wantErr(t, s.RotateKey(ctx, second, ends), store.ErrConflict)
	second.RotatedFrom = "missing"
	wantErr(t, s.RotateKey(ctx, second, ends), store.ErrNotFound)
	must(t, s.RevokeKey(ctx, heir.ID, start))
	second.RotatedFrom = heir.ID
	wantErr(t, s.RotateKey(ctx, second, ends), store.ErrConflict)
	if _, err := s.Key(ctx, second.ID); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("the successor of a rotation that failed exists: %v", err)
	}
}

func concurrentRotation(t *testing.T, db Database) {
	ctx := t.Context()
	handles := []Store{open(t, db), open(t, db)}
	must(t, handles[0].CreateKey(ctx, key(0)))
	var won atomic.Int32
	var wg sync.WaitGroup
	for n := 1; n <= 16; n++ {
		wg.Go(func() {
			heir := key(n)
			heir.RotatedFrom = key(0).ID
			switch err := handles[n%2].RotateKey(ctx, heir, start.Add(time.Hour)); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, store.ErrConflict):
				t.Errorf("losing rotation: %v", err)
			}
		})
	}
	wg.Wait()
	if all := got(handles[0].Keys(ctx, keys.KeyFilter{}))(t); won.Load() != 1 || len(all) != 2 {
		t.Fatalf("%d rotations succeeded, %d keys exist; want 1 and 2", won.Load(), len(all))
	}
}

func keyRevocation(t *testing.T, db Database) {
	ctx, s := t.Context(), open(t, db)
	must(t, s.CreateKey(ctx, key(1)))
	must(t, s.SetKeyDisabled(ctx, key(1).ID, true))
	must(t, s.RevokeKey(ctx, key(1).ID, start))
	must(t, s.RevokeKey(ctx, key(1).ID, start.Add(time.Hour)))
	must(t, s.SetKeyDisabled(ctx, key(1).ID, false))
	want := key(1)
	want.Revoked = start
	same(t, "revoked key", got(s.Key(ctx, want.ID))(t), want)
}

func lastUse(t *testing.T, db Database) {
	ctx, s := t.Context(), open(t, db)
	must(t, s.CreateKey(ctx, key(1)))
	before := got(s.Position(ctx))(t)
	for _, d := range []time.Duration{time.Minute, time.Second, 2 * time.Minute, 0} {
		must(t, s.TouchKeys(ctx, map[string]time.Time{key(1).ID: start.Add(d)}))
	}
	want := key(1)
	want.LastUsed = start.Add(2 * time.Minute)
	same(t, "used key", got(s.Key(ctx, want.ID))(t), want)
	same(t, "position after a use", got(s.Position(ctx))(t), before)
}

func cancelled(t *testing.T, db Database) {
	s := open(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, s.CreateKey(ctx, key(1)), context.Canceled)
	wantErr(t, s.CreateKey(ctx, key(1)), store.ErrUnavailable)
	_, err := s.Position(ctx)
	wantErr(t, err, store.ErrUnavailable)
	_, err = s.Key(t.Context(), key(1).ID)
	wantErr(t, err, store.ErrNotFound)
}
