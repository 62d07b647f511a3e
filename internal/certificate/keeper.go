package certificate

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Keeper shows a listener's certificates and takes renewed files over. Its methods may be called at once.
type Keeper struct {
	clock func() time.Time
	shown atomic.Pointer[shown]

	mu      sync.Mutex
	suspect [sha256.Size]byte // files that could not be used when they were last seen
	told    bool              // and that was said
}

// shown is one reading of all files.
type shown struct {
	pairs []Pair
	certs []*tls.Certificate
	sum   [sha256.Size]byte
}

// ErrNone: a listener without a certificate can show none.
var ErrNone = errors.New("no certificate is at hand for this name")

// Open reads all pairs, or says why one cannot be used.
func Open(pairs []Pair, clock func() time.Time) (*Keeper, error) {
	k := &Keeper{clock: clock}
	return k, k.Replace(pairs)
}

// Replace reads other pairs in the place of those that are shown; on an error these stay.
func (k *Keeper) Replace(pairs []Pair) error {
	s, err := k.read(pairs)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.shown.Store(s)
	k.told = false
	return nil
}

// Check reads pairs as Replace would, and changes nothing.
func (k *Keeper) Check(pairs []Pair) error {
	_, err := k.read(pairs)
	return err
}

func (k *Keeper) read(pairs []Pair) (*shown, error) {
	s := &shown{pairs: pairs, sum: sum(pairs)}
	for _, p := range pairs {
		c, err := Load(p, Server, k.clock())
		if err != nil {
			return nil, err
		}
		s.certs = append(s.certs, c)
	}
	return s, nil
}

// Look takes renewed files over. changed reports that they were; an error, that they were not, and that the old ones
// stay. It is told once, and only when the files were found so twice: who renews writes two files, one after the other.
func (k *Keeper) Look() (changed bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.shown.Load()
	seen := sum(now.pairs)
	if seen == now.sum {
		return false, nil
	}
	next, err := k.read(now.pairs)
	if err == nil {
		k.shown.Store(next)
		k.told = false
		return true, nil
	}
	if seen != k.suspect {
		k.suspect, k.told = seen, false
		return false, nil
	}
	if k.told {
		return false, nil
	}
	k.told = true
	return false, err
}

// Failing reports whether files are there that cannot be used.
func (k *Keeper) Failing() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.told
}

// Get implements tls.Config.GetCertificate: the first certificate that stands for the name the client asks for (SNI) and
// that it can verify; the first of all where none does, so that it is the client who says what is wrong.
func (k *Keeper) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s := k.shown.Load()
	if len(s.certs) == 0 {
		return nil, ErrNone
	}
	if len(s.certs) > 1 {
		for _, c := range s.certs {
			if hello.SupportsCertificate(c) == nil {
				return c, nil
			}
		}
	}
	return s.certs[0], nil
}

// States tells how each certificate stands.
func (k *Keeper) States() []State {
	s := k.shown.Load()
	out := make([]State, len(s.certs))
	for i, c := range s.certs {
		out[i] = StateOf(c.Leaf, k.clock())
	}
	return out
}

// sum is over the bytes of all files, each by itself: what a clock of the file system says is not asked.
func sum(pairs []Pair) [sha256.Size]byte {
	files := make([]string, 0, 2*len(pairs))
	for _, p := range pairs {
		files = append(files, p.Cert, p.Key)
	}
	return Sum(files...)
}

// Sum is over the content of files. One that cannot be read counts as such.
func Sum(files ...string) [sha256.Size]byte {
	h := sha256.New()
	for _, f := range files {
		one := sha256.Sum256([]byte("absent"))
		if f != "" {
			if b, err := os.ReadFile(f); err == nil {
				one = sha256.Sum256(b)
				clear(b)
			}
		}
		h.Write(one[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}
