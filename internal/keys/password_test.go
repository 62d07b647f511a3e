package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

func hasher(t testing.TB, turns, queue int) *Hasher {
	t.Helper()
	h, err := newHasher(rand.Reader, turns, queue)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestPasswords(t *testing.T) {
	ctx, h := t.Context(), hasher(t, 2, 2)
	const password = "correct horse battery"
	one, err := h.Hash(ctx, password)
	if err != nil {
		t.Fatal(err)
	}
	two, err := h.Hash(ctx, password)
	if err != nil {
		t.Fatal(err)
	}
	if one == two || !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(one, "horse") {
		t.Errorf("hashes %s and %s", one, two)
	}
	for _, c := range []struct {
		encoded, password string
		want              bool
	}{
		{one, password, true},
		{two, password, true},
		{one, password + " ", false},
		{one, "", false},
		{"", "", false},
		{"", password, false},
		{strings.Replace(one, "m=19456", "m=7168", 1), password, false},
		{strings.Replace(one, "m=19456", "m=8", 1), password, false}, // a row that was weakened is nobody's
		{strings.Replace(one, "argon2id", "argon2i", 1), password, false},
		{one[:len(one)-1], password, false},
	} {
		if ok, err := h.Verify(ctx, c.encoded, c.password); ok != c.want || err != nil {
			t.Errorf("%q against %q: %v, %v", c.password, c.encoded, ok, err)
		}
	}
	// The same letters, typed on another keyboard.
	e, err := h.Hash(ctx, "caf\u00e9 caf\u00e9 caf\u00e9")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := h.Verify(ctx, e, "cafe\u0301 cafe\u0301 cafe\u0301"); !ok || err != nil {
		t.Errorf("decomposed letters: %v, %v", ok, err)
	}
}

func TestPasswordBounds(t *testing.T) {
	h := hasher(t, 1, 1)
	for _, bad := range []string{"", "elevenchars", strings.Repeat("x", 513), "twelve bytes\xff"} {
		var invalid *InvalidError
		if _, err := h.Hash(t.Context(), bad); !errors.As(err, &invalid) || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// As many as fit are hashed or wait; the others are turned away at once, and those that give up leave their place.
func TestHasherIsBounded(t *testing.T) {
	h := hasher(t, 1, 2)
	h.turns <- struct{}{} // somebody is hashing, for as long as this test wants
	h.inside.Add(1)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	gaveUp := make(chan error, 2)
	for range 2 {
		wg.Go(func() {
			_, err := h.Verify(ctx, "", "x")
			gaveUp <- err
		})
	}
	for h.inside.Load() < 3 {
		time.Sleep(time.Millisecond)
	}
	if _, err := h.Hash(t.Context(), "correct horse battery"); !errors.Is(err, ErrBusy) {
		t.Errorf("a full hasher: %v", err)
	}
	cancel()
	wg.Wait()
	for range 2 {
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("waiting ended with %v", err)
		}
	}
	h.leave()
	if n := h.inside.Load(); n != 0 {
		t.Errorf("%d are inside of an empty hasher", n)
	}
	if _, err := h.Hash(t.Context(), "correct horse battery"); err != nil {
		t.Error(err)
	}
	if _, err := new(Hasher).Verify(t.Context(), "", ""); !errors.Is(err, ErrBusy) {
		t.Errorf("the zero hasher: %v", err)
	}
}
