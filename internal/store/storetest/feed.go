package storetest

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/store"
)

func feedTells(t *testing.T, db Database) {
	ctx, s, reader := t.Context(), open(t, db), open(t, db)
	last := got(reader.Since(ctx, keys.Position{}))(t)
	if !last.Whole || last.At.Store == "" || len(last.Keys)+len(last.Users)+len(last.Revocations) != 0 {
		t.Fatalf("first reading of an empty store: %+v", last)
	}
	heir := key(2)
	heir.RotatedFrom = key(1).ID
	for _, step := range []struct {
		name                     string
		act                      func() error
		keys, users, revocations int
	}{
		{"create key", func() error { return s.CreateKey(ctx, key(1)) }, 1, 0, 0},
		{"rotate key", func() error { return s.RotateKey(ctx, heir, start.Add(time.Hour)) }, 2, 0, 0},
		{"revoke key", func() error { return s.RevokeKey(ctx, key(1).ID, start) }, 1, 0, 0},
		{"disable key", func() error { return s.SetKeyDisabled(ctx, heir.ID, true) }, 1, 0, 0},
		{"create user", func() error { return s.CreateUser(ctx, user("a")) }, 0, 1, 0},
		{"update user", func() error { return s.UpdateUser(ctx, user("a"), revocation(keys.Subject, "x")) }, 0, 1, 1},
		{"revoke", func() error { return s.Revoke(ctx, revocation(keys.TokenID, "y"), start) }, 0, 0, 1},
		{"widen", func() error { return s.Revoke(ctx, revocation(keys.TokenID, "y"), start) }, 0, 0, 1},
		{"touch", func() error { return s.TouchKeys(ctx, map[string]time.Time{heir.ID: start}) }, 0, 0, 0},
	} {
		must(t, step.act())
		at := got(reader.Position(ctx))(t)
		c := got(reader.Since(ctx, last.At))(t)
		if c.At != at || c.Whole || len(c.Keys) != step.keys || len(c.Users) != step.users || len(c.Revocations) != step.revocations {
			t.Fatalf("%s: %d keys, %d users, %d revocations at %v (whole: %v); want %d, %d, %d at %v", step.name,
				len(c.Keys), len(c.Users), len(c.Revocations), c.At, c.Whole, step.keys, step.users, step.revocations, at)
		}
		if changed := c.At != last.At; changed != (step.name != "touch") {
			t.Fatalf("%s: position went from %v to %v", step.name, last.At, c.At)
		}
		for _, k := range c.Keys {
			same(t, step.name, k, got(s.Key(ctx, k.ID))(t))
		}
		last = c
	}
}

func feedWhole(t *testing.T, db Database) {
	ctx, s := t.Context(), open(t, db)
	must(t, s.CreateKey(ctx, key(1)))
	must(t, s.CreateUser(ctx, user("a")))
	must(t, s.Revoke(ctx, revocation(keys.TokenID, "x"), start))
	at := got(s.Position(ctx))(t)
	for name, p := range map[string]keys.Position{
		"beginning":     {},
		"another store": {Store: "another", Seq: at.Seq},
		"the future":    {Store: at.Store, Seq: at.Seq + 1},
	} {
		c := got(s.Since(ctx, p))(t)
		if !c.Whole || c.At != at || len(c.Keys) != 1 || len(c.Users) != 1 || len(c.Revocations) != 1 {
			t.Errorf("since %s: %+v", name, c)
		}
	}
}

// feedComplete holds that numbers commit in order: a reader at position n has seen all changes up to n.
func feedComplete(t *testing.T, db Database) {
	ctx := t.Context()
	reader := open(t, db)
	const writers, each = 4, 15
	var wg sync.WaitGroup
	for w := range writers {
		s := open(t, db)
		wg.Go(func() {
			for n := range each {
				if err := s.CreateKey(ctx, key(w*each+n)); err != nil {
					t.Errorf("creating: %v", err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	seen := make(map[string]int)
	var at keys.Position
	for over := false; !over; {
		select {
		case <-done:
			over = true // and read once more
		default:
		}
		c := got(reader.Since(ctx, at))(t)
		if c.Whole != (at.Store == "") {
			t.Fatalf("whole reading since %v", at)
		}
		for _, k := range c.Keys {
			seen[k.ID]++
		}
		at = c.At
	}
	for n := range writers * each {
		if seen[key(n).ID] != 1 {
			t.Errorf("key %d was told %d times", n, seen[key(n).ID])
		}
	}
}

func failedActs(t *testing.T, db Database) {
	ctx, s := t.Context(), open(t, db)
	must(t, s.CreateKey(ctx, key(1)))
	before := got(s.Since(ctx, keys.Position{}))(t)
	wantErr(t, s.CreateKey(ctx, key(1)), store.ErrConflict)
	wantErr(t, s.RevokeKey(ctx, "missing", start), store.ErrNotFound)
	wantErr(t, s.UpdateUser(ctx, user("missing"), revocation(keys.TokenID, "x")), store.ErrNotFound)
	same(t, "everything after failed acts", got(s.Since(ctx, keys.Position{}))(t), before)
}

func inventory(t *testing.T, db Database) {
	ctx := t.Context()
	s := open(t, db)
	if !got(s.Empty(ctx))(t) {
		t.Fatal("a new store is not empty")
	}
	must(t, s.Revoke(ctx, revocation(keys.TokenID, "x"), start))
	if got(s.Empty(ctx))(t) {
		t.Fatal("a store with a revocation is empty")
	}
	for n, pepper := range []string{"p2", "p1", "p2", "p3"} {
		k := key(n)
		k.PepperID = pepper
		must(t, s.CreateKey(ctx, k))
	}
	must(t, s.RevokeKey(ctx, key(3).ID, start))
	same(t, "peppers of unrevoked keys", got(s.PeppersInUse(ctx))(t), []string{"p1", "p2"})
}

// revokedElsewhere is the promise itself: one process revokes, the gate of another refuses within a second.
func revokedElsewhere(t *testing.T, db Database) {
	ctx := t.Context()
	peppers := got(keys.NewPeppers(bytes.Repeat([]byte{7}, 32)))(t)
	hasher := got(keys.NewHasher(bytes.NewReader(make([]byte, 1024))))(t)
	manager := got(keys.NewManager(open(t, db), peppers, hasher, keys.ManagerOptions{}))(t)
	issued, _, err := manager.CreateKey(ctx, keys.NewKey{Owner: "svc", Purpose: "test", Expires: time.Now().Add(time.Hour)})
	must(t, err)

	directory := got(keys.NewDirectory(open(t, db), peppers, keys.DirectoryOptions{}))(t)
	must(t, directory.Refresh(ctx))
	ctx, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() { directory.Run(ctx); close(stopped) }()
	defer func() { stop(); <-stopped }()
	use := func() error {
		_, err := directory.Authenticate(issued.Secret, netip.MustParseAddr("192.0.2.1"), time.Now())
		return err
	}
	must(t, use())
	issuedAt := time.Now()
	_, err = manager.RevokeKey(ctx, issued.Key.ID)
	must(t, err)
	_, err = manager.RevokeSubject(ctx, "corp", "alice")
	must(t, err)
	for revoked := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if errors.Is(use(), keys.ErrRevoked) && directory.Revoked("corp", "alice", "jti", issuedAt) {
			t.Logf("seen after %v", time.Since(revoked).Round(time.Millisecond))
			return
		}
		if time.Since(revoked) > time.Second {
			t.Fatal("not seen within a second")
		}
	}
}
