package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"sync"
)

// Digest is what the store keeps of a key.
type Digest [sha256.Size]byte

const pepperLen = 32

// Peppers are the secrets under which keys are hashed: one current, any number retired, which still prove the keys made
// under them. They never stand in the store, so that the store alone proves no key.
type Peppers struct {
	current string
	macs    map[string]*mac
}

// NewPeppers returns a set whose first pepper is the current one. Each has 32 bytes.
func NewPeppers(secrets ...[]byte) (*Peppers, error) {
	if len(secrets) == 0 {
		return nil, errors.New("no pepper given")
	}
	p := &Peppers{macs: make(map[string]*mac)}
	for i, s := range secrets {
		if len(s) != pepperLen {
			return nil, fmt.Errorf("pepper %d has %d bytes, not %d", i+1, len(s), pepperLen)
		}
		id := pepperID(s)
		if p.macs[id] != nil {
			return nil, fmt.Errorf("pepper %d stands there twice", i+1)
		}
		p.macs[id] = newMAC(s)
		if i == 0 {
			p.current = id
		}
	}
	return p, nil
}

// ParsePeppers reads one pepper a line, in base64; the first is the current one. Errors show no line.
func ParsePeppers(text []byte) (*Peppers, error) {
	var secrets [][]byte
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		b, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(b) != pepperLen {
			return nil, fmt.Errorf("line %d is not %d bytes in base64", i+1, pepperLen)
		}
		secrets = append(secrets, b)
	}
	return NewPeppers(secrets...)
}

// generatePepper returns the text of a new pepper file.
func generatePepper(random io.Reader) ([]byte, error) {
	var b [pepperLen]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nil, fmt.Errorf("generating pepper: %w", err)
	}
	return []byte(base64.StdEncoding.EncodeToString(b[:]) + "\n"), nil
}

// pepperID derives a pepper's public name from itself: the wrong file is noticed as a missing pepper, at the start.
func pepperID(secret []byte) string {
	sum := sha256.Sum256(append([]byte("portreeve pepper id\x00"), secret...))
	return hex.EncodeToString(sum[:8])
}

// Current returns the id of the pepper that new keys are hashed under.
func (p *Peppers) Current() string { return p.current }

// Has reports whether the pepper is in the set.
func (p *Peppers) Has(id string) bool { return p.macs[id] != nil }

// sum hashes a key under the named pepper; ok is false when the set lacks it. The whole text is hashed, id and
// environment included: a hash moved to another row proves nothing.
func (p *Peppers) sum(id string, k Parsed) (d Digest, ok bool) {
	m := p.macs[id]
	if m == nil {
		return d, false
	}
	return m.sum(k.signed), true
}

// mac is HMAC-SHA-256 under one pepper, its states pooled: hashing a key allocates nothing.
type mac struct{ pool sync.Pool }

type macState struct {
	hash hash.Hash
	in   [checksumAt]byte
	out  Digest
}

func newMAC(secret []byte) *mac {
	secret = append([]byte(nil), secret...)
	return &mac{sync.Pool{New: func() any { return &macState{hash: hmac.New(sha256.New, secret)} }}}
}

func (m *mac) sum(text string) Digest {
	s := m.pool.Get().(*macState)
	s.hash.Reset()
	s.hash.Write(s.in[:copy(s.in[:], text)])
	s.hash.Sum(s.out[:0])
	d := s.out
	clear(s.in[:])
	clear(s.out[:])
	m.pool.Put(s)
	return d
}
