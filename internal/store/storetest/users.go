package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/store"
)

func user(name string) *keys.User {
	return &keys.User{Name: name, Subject: "subject of " + name, PasswordHash: "$argon2id$…", Roles: []string{"admin", "employee"},
		Created: start, Changed: start.Add(time.Second), PasswordChanged: start.Add(2 * time.Second), Version: 1}
}

func usersRoundTrip(t *testing.T, db Database) {
	ctx, s := t.Context(), open(t, db)
	bare := &keys.User{Name: "a", Subject: "1", Created: start, Changed: start, Version: 1}
	full := user("b")
	full.Disabled = true
	for _, u := range []*keys.User{full, bare} {
		must(t, s.CreateUser(ctx, u))
		same(t, "user", got(s.User(ctx, u.Name))(t), u)
		same(t, "user by subject", got(s.UserBySubject(ctx, u.Subject))(t), u)
	}
	same(t, "users", got(s.Users(ctx))(t), []*keys.User{bare, full})
}

func usersConflict(t *testing.T, db Database) {
	ctx, s := t.Context(), open(t, db)
	must(t, s.CreateUser(ctx, user("a")))
	twin := user("a")
	twin.Subject = "another"
	wantErr(t, s.CreateUser(ctx, twin), store.ErrConflict)
	twin = user("b")
	twin.Subject = user("a").Subject
	wantErr(t, s.CreateUser(ctx, twin), store.ErrConflict)
	_, err := s.User(ctx, "b")
	wantErr(t, err, store.ErrNotFound)
	_, err = s.UserBySubject(ctx, "a")
	wantErr(t, err, store.ErrNotFound)
	wantErr(t, s.UpdateUser(ctx, user("b")), store.ErrNotFound)
}

func usersUpdate(t *testing.T, db Database) {
	ctx, s := t.Context(), open(t, db)
	must(t, s.CreateUser(ctx, user("a")))
	u := user("a")
	u.PasswordHash, u.Roles, u.Disabled = "other", []string{"readonly"}, true
	u.Changed, u.PasswordChanged = start.Add(time.Hour), start.Add(time.Hour)
	must(t, s.UpdateUser(ctx, u, revocation(keys.Subject, u.Subject)))
	want := *u
	want.Version = 2
	same(t, "updated user", got(s.User(ctx, "a"))(t), &want)

	wantErr(t, s.UpdateUser(ctx, u, revocation(keys.TokenID, "never written")), store.ErrConflict)
	same(t, "user after a conflict", got(s.User(ctx, "a"))(t), &want)
	same(t, "revocations", got(s.Revocations(ctx))(t), []keys.Revocation{revocation(keys.Subject, u.Subject)})
}

func concurrentUpdates(t *testing.T, db Database) {
	ctx := t.Context()
	handles := []Store{open(t, db), open(t, db)}
	must(t, handles[0].CreateUser(ctx, user("a")))
	const writers = 8
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			for s := handles[n%2]; ; {
				u, err := s.User(ctx, "a")
				if err == nil {
					u.Roles = append(u.Roles, fmt.Sprint("role", n))
					err = s.UpdateUser(ctx, u)
				}
				if err == nil {
					return
				}
				if !errors.Is(err, store.ErrConflict) {
					t.Errorf("updating: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if u := got(handles[0].User(ctx, "a"))(t); len(u.Roles) != 2+writers || u.Version != 1+writers {
		t.Fatalf("version %d with %d roles; want %d with %d", u.Version, len(u.Roles), 1+writers, 2+writers)
	}
}

func revocation(kind keys.RevocationKind, value string) keys.Revocation {
	return keys.Revocation{Kind: kind, Issuer: "corp", Value: value, Cutoff: start, Until: start.Add(time.Hour), Created: start}
}

func revocationsWiden(t *testing.T, db Database) {
	ctx, s := t.Context(), open(t, db)
	r := revocation(keys.Subject, "a")
	for _, step := range []struct{ cutoff, until, wantCutoff, wantUntil time.Time }{
		{start, start.Add(time.Hour), start, start.Add(time.Hour)},
		{start.Add(-time.Hour), start, start, start.Add(time.Hour)},
		{start.Add(time.Minute), start, start.Add(time.Minute), start.Add(time.Hour)},
		{start, time.Time{}, start.Add(time.Minute), time.Time{}},
		{time.Time{}, start, time.Time{}, time.Time{}},
		{start.Add(99 * time.Hour), start.Add(99 * time.Hour), time.Time{}, time.Time{}},
	} {
		r.Cutoff, r.Until = step.cutoff, step.until
		must(t, s.Revoke(ctx, r, start.Add(-time.Hour)))
		want := r
		want.Cutoff, want.Until = step.wantCutoff, step.wantUntil
		same(t, "revocations", got(s.Revocations(ctx))(t), []keys.Revocation{want})
	}
	// The same value means another thing of another kind or issuer.
	other := revocation(keys.TokenID, "a")
	foreign := revocation(keys.Subject, "a")
	foreign.Issuer = "embedded"
	must(t, s.Revoke(ctx, other, start))
	must(t, s.Revoke(ctx, foreign, start))
	if n := len(got(s.Revocations(ctx))(t)); n != 3 {
		t.Fatalf("%d revocations, want 3", n)
	}
}

func revocationsForgotten(t *testing.T, db Database) {
	ctx, s := t.Context(), open(t, db)
	old, kept, forever := revocation(keys.TokenID, "old"), revocation(keys.TokenID, "kept"), revocation(keys.TokenID, "forever")
	kept.Until, forever.Until = start.Add(2*time.Hour), time.Time{}
	for _, r := range []keys.Revocation{old, kept, forever} {
		must(t, s.Revoke(ctx, r, start))
	}
	last := revocation(keys.TokenID, "last")
	must(t, s.Revoke(ctx, last, start.Add(90*time.Minute)))
	same(t, "revocations", got(s.Revocations(ctx))(t), []keys.Revocation{forever, kept, last})
}
