package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/portreeve/portreeve/internal/owner"
	"github.com/portreeve/portreeve/internal/store"
)

// owners tests the ledger of owners of a store that keeps one.
func owners(t *testing.T, db Database) {
	opened := db.Open(t)
	defer opened.Close()
	s, ok := opened.(owner.Book)
	if !ok {
		t.Skip("this store keeps no ledger of owners")
	}
	alice, bob := owner.Owner{Issuer: "embedded", Subject: "7"}, owner.Owner{Issuer: "embedded", Subject: "8"}
	is := func(s owner.Book, kind, id string, want owner.Owner, wantErr error) {
		t.Helper()
		if got, err := s.Owner(t.Context(), kind, id); got != want || !errors.Is(err, wantErr) {
			t.Errorf("%s %s: %v, %v; want %v, %v", kind, id, got, err, want, wantErr)
		}
	}
	is(s, "Report", "1", owner.Owner{}, store.ErrNotFound)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	must(s.Claim(t.Context(), "Report", "1", alice, start))
	must(s.Claim(t.Context(), "Report", "1", alice, start)) // once more is no other claim
	is(s, "Report", "1", alice, nil)
	is(s, "Payment", "1", owner.Owner{}, store.ErrNotFound)
	for _, other := range []owner.Owner{bob, {Issuer: "corp", Subject: "7"}} {
		if err := s.Claim(t.Context(), "Report", "1", other, start); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%v takes it: %v", other, err)
		}
	}
	again := db.Open(t) // another process, or this one after a restart
	is(again.(owner.Book), "Report", "1", alice, nil)
	again.Close()
	must(s.Forget(t.Context(), "Report", "1"))
	must(s.Forget(t.Context(), "Report", "1"))
	is(s, "Report", "1", owner.Owner{}, store.ErrNotFound)
	must(s.Claim(t.Context(), "Report", "1", bob, start))
	is(s, "Report", "1", bob, nil)

	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if s.Claim(t.Context(), "Report", "2", owner.Owner{Issuer: "embedded", Subject: string(rune('a' + i))}, start) == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d own one report", won.Load())
	}
}
