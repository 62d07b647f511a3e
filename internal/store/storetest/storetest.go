// Package storetest is what every store must pass: rows come back as they went in, acts are atomic and conflict as
// promised, changes are told in the order they commit, to readers of any process.
package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/keys"
)

// Store is all interfaces a store implements.
type Store interface {
	keys.Store
	keys.DirectoryStore
	keys.Inventory
	Close() error
}

// Database is one empty database. Open gives one more handle to it, as another process would have; the test closes it.
type Database interface {
	Open(t testing.TB) Store
}

// Run tests a kind of store. fresh makes an empty database that vanishes with the test.
func Run(t *testing.T, fresh func(t testing.TB) Database) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, db Database)
	}{
		{"keys come back as they went in", keysRoundTrip},
		{"keys are listed in pages", keysPaged},
		{"keys conflict and are missed", keysConflict},
		{"a key has one successor", rotation},
		{"concurrent rotations give one successor", concurrentRotation},
		{"revoking a key is final", keyRevocation},
		{"last use goes forward only", lastUse},
		{"users come back as they went in", usersRoundTrip},
		{"users conflict and are missed", usersConflict},
		{"users are updated from the version read", usersUpdate},
		{"concurrent updates of a user all count", concurrentUpdates},
		{"revocations only widen", revocationsWiden},
		{"revocations are forgotten when asked", revocationsForgotten},
		{"the feed tells what changed", feedTells},
		{"the feed gives everything to strangers", feedWhole},
		{"the feed misses nothing under concurrent writers", feedComplete},
		{"failed acts change nothing", failedActs},
		{"rows are counted", inventory},
		{"a cancelled act fails", cancelled},
		{"who made an object stays its owner", owners},
		{"a revocation reaches another process within a second", revokedElsewhere},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, fresh(t)) })
	}
}

// start is when every test begins: to the microsecond, as stores keep it.
var start = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

// open returns a handle that is closed with the test.
func open(t testing.TB, db Database) Store {
	t.Helper()
	s := db.Open(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing store: %v", err)
		}
	})
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func got[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		must(t, err)
		return v
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, prefixes); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}
