package keys

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// OWASP's first choice for argon2id: about 30 ms and 19 MiB each.
const (
	argonMemory  = 19 * 1024
	argonPasses  = 2
	argonThreads = 1
	argonSalt    = 16
	argonHash    = 32
)

// Bounds of a new password (NIST SP 800-63B-4 §3.1.1: length, nothing about its letters).
const (
	minPassword = 12  // characters
	maxPassword = 512 // bytes
)

// queued is how many may wait for a turn; more are turned away at once.
const queued = 32

// Hasher hashes passwords, a bounded number at a time: each costs 19 MiB, so an open door would be a way to stop the
// machine. The zero Hasher is always busy.
type Hasher struct {
	random io.Reader
	turns  chan struct{}
	inside atomic.Int64 // hashing or waiting
	most   int64
	dummy  *phc
}

// NewHasher returns a hasher for two passwords a core at a time, and 32 waiting. random must be crypto/rand's outside of
// tests.
func NewHasher(random io.Reader) (*Hasher, error) {
	return newHasher(random, 2*runtime.GOMAXPROCS(0), queued)
}

func newHasher(random io.Reader, turns, queue int) (*Hasher, error) {
	h := &Hasher{random: random, turns: make(chan struct{}, turns), most: int64(turns + queue)}
	// The hash that no password has need not be computed, only be of the same cost.
	noise := make([]byte, argonSalt+argonHash)
	if _, err := io.ReadFull(random, noise); err != nil {
		return nil, fmt.Errorf("generating salt: %w", err)
	}
	h.dummy = &phc{argonMemory, argonPasses, argonThreads, noise[:argonSalt], noise[argonSalt:]}
	return h, nil
}

// Hash returns the PHC string of a new password. It fails with ErrBusy, or with an *InvalidError when the password is too
// short or too long.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	switch {
	case !utf8.ValidString(password):
		return "", invalid("password", "is not valid UTF-8")
	case utf8.RuneCountInString(password) < minPassword:
		return "", invalid("password", "has fewer than %d characters", minPassword)
	case len(password) > maxPassword:
		return "", invalid("password", "has more than %d bytes", maxPassword)
	}
	p := phc{argonMemory, argonPasses, argonThreads, make([]byte, argonSalt), nil}
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	if _, err := io.ReadFull(h.random, p.salt); err != nil {
		return "", fmt.Errorf("generating salt: %w", err)
	}
	p.hash = derive(&p, password, argonHash)
	return p.String(), nil
}

// Verify reports whether the password is the hashed one. An empty or damaged hash costs as much as a good one and is
// nobody's: whether a user exists does not show in the time. The error is ErrBusy or the context's.
func (h *Hasher) Verify(ctx context.Context, encoded, password string) (bool, error) {
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	p, err := parsePHC(encoded)
	damaged := err != nil
	if damaged {
		p = h.dummy
	}
	if len(password) > maxPassword {
		password = ""
	}
	same := subtle.ConstantTimeCompare(derive(p, password, len(p.hash)), p.hash) == 1
	return same && !damaged, nil
}

// derive normalises first: the same letters typed on another keyboard are the same password (SP 800-63B-4 §3.1.1.2).
func derive(p *phc, password string, size int) []byte {
	return argon2.IDKey([]byte(norm.NFKC.String(password)), p.salt, p.passes, p.memory, p.threads, uint32(size))
}

func (h *Hasher) enter(ctx context.Context) error {
	if h.inside.Add(1) > h.most {
		h.inside.Add(-1)
		return ErrBusy
	}
	select {
	case h.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		h.inside.Add(-1)
		return fmt.Errorf("waiting to hash a password: %w", ctx.Err())
	}
}

func (h *Hasher) leave() {
	<-h.turns
	h.inside.Add(-1)
}
