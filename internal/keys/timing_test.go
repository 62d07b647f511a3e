package keys_test

import (
	"runtime"
	"testing"
)

// Whether there is a user of that name is told by no shorter way: as much is hashed for one that does not exist. Memory is
// what is counted, for argon2id's work is its memory, and no clock decides.
//
//threat:37 passwords for users that do not exist, have none, are disabled → each costs a whole hash, like a wrong one
func TestUnknownUsersCostAHash(t *testing.T) {
	g := newGate(t)
	g.user("alice")
	g.user("bob")
	g.user("carol")
	g.do(second(g.manager.SetPassword(t.Context(), "alice", "correct horse battery")))
	g.do(second(g.manager.SetPassword(t.Context(), "carol", "correct horse battery")))
	g.do(second(g.manager.DisableUser(t.Context(), "carol")))
	cost := func(name string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := g.manager.VerifyPassword(t.Context(), name, "wrong horse battery"); err == nil {
			t.Fatalf("%s: a wrong password is right", name)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	cost("alice") // what is made on first use
	known := cost("alice")
	if known < 1<<20 {
		t.Fatalf("a wrong password costs %d bytes: nothing is hashed", known)
	}
	for _, name := range []string{"nobody", "bob", "carol"} {
		if n := cost(name); n < known*9/10 || n > known*11/10 {
			t.Errorf("%s costs %d bytes, a user with a password %d", name, n, known)
		}
	}
}
