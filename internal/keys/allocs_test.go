//go:build !race

package keys_test

import (
	"crypto/rand"
	"testing"

	"github.com/portreeve/portreeve/internal/keys"
)

// The race detector makes pools forget at random, so this is counted without it.
func TestAuthenticatingAllocatesNothing(t *testing.T) {
	g := newGate(t)
	i := g.create(keys.NewKey{})
	stranger, err := keys.Generate(rand.Reader, keys.Live)
	g.do(err)
	for name, text := range map[string]string{"right": i.Secret, "unknown": stranger, "malformed": i.Secret + "x"} {
		if n := testing.AllocsPerRun(1000, func() { g.use(text) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
