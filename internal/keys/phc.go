package keys

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// phc is an argon2id hash in the PHC string format
// (https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md):
// $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>, base64 without padding.
type phc struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
	salt    []byte
	hash    []byte
}

var errPHC = errors.New("not an argon2id hash in PHC form")

// Bounds of what is read: a row written to by somebody else must neither weaken a hash nor stop the machine.
const (
	minMemory, maxMemory = 7 * 1024, 256 * 1024
	maxPasses            = 16
	maxThreads           = 16
	minSalt, maxSalt     = 16, 64
	minHash, maxHash     = 32, 64
)

func (p *phc) String() string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.passes, p.threads,
		enc.EncodeToString(p.salt), enc.EncodeToString(p.hash))
}

// parsePHC accepts exactly what String writes, within the bounds. The error shows nothing of the text.
func parsePHC(text string) (*phc, error) {
	parts := strings.Split(text, "$")
	if len(text) > 256 || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return nil, errPHC
	}
	costs := strings.Split(parts[3], ",")
	if len(costs) != 3 {
		return nil, errPHC
	}
	m, ok1 := cost(costs[0], "m=", minMemory, maxMemory)
	t, ok2 := cost(costs[1], "t=", 1, maxPasses)
	n, ok3 := cost(costs[2], "p=", 1, maxThreads)
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	hash, err2 := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if !ok1 || !ok2 || !ok3 || err1 != nil || err2 != nil {
		return nil, errPHC
	}
	if len(salt) < minSalt || len(salt) > maxSalt || len(hash) < minHash || len(hash) > maxHash {
		return nil, errPHC
	}
	p := &phc{m, t, uint8(n), salt, hash}
	if p.String() != text { // base64 skips line breaks, numbers may have signs and zeros
		return nil, errPHC
	}
	return p, nil
}

func cost(text, name string, low, high uint64) (uint32, bool) {
	digits, ok := strings.CutPrefix(text, name)
	v, err := strconv.ParseUint(digits, 10, 32)
	return uint32(v), ok && err == nil && low <= v && v <= high
}
