package keys

import (
	"fmt"
	"hash/crc32"
	"io"
)

// Environment tells keys of a live deployment from keys for tests, to people and to secret scanners.
type Environment string

const (
	Live Environment = "live"
	Test Environment = "test"
)

// The text of a key is ptr_<live|test>_<id><_><secret><checksum>, digits of base 62 throughout. The underscore cannot
// occur inside a part, and a double click selects the whole.
const (
	alphabet    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	idLen       = 10 // 59 bits: public, names the key
	secretLen   = 43 // 256 bits
	checksumLen = 6  // CRC-32 (IEEE) of all that stands before it
	idAt        = len("ptr_live_")
	secretAt    = idAt + idLen + 1
	checksumAt  = secretAt + secretLen
	textLen     = checksumAt + checksumLen
)

// Pattern returns a regular expression (RE2, also valid for gitleaks, trufflehog and GitHub custom patterns) that finds
// keys in text. A hit is a key with certainty when Parse accepts it.
func Pattern() string { return `\bptr_(?:live|test)_[0-9A-Za-z]{10}_[0-9A-Za-z]{49}\b` }

// Parsed is a well-formed key whose checksum holds. It contains the secret; printing it shows only the public part.
type Parsed struct {
	Environment Environment
	ID          string // public
	signed      string // all but the checksum: what is hashed at rest
}

// String returns the public part, "ptr_live_0123456789".
func (p Parsed) String() string {
	if p.signed == "" {
		return "ptr_"
	}
	return p.signed[:secretAt-1]
}

// GoString keeps the secret out of %#v.
func (p Parsed) GoString() string { return p.String() }

// Generate returns the text of a new key. random must be crypto/rand's outside of tests.
func Generate(random io.Reader, env Environment) (string, error) {
	if env != Live && env != Test {
		return "", invalid("environment", "must be live or test, not %q", env)
	}
	b := make([]byte, 0, textLen)
	b = append(b, "ptr_"...)
	b = append(b, env...)
	b = append(b, '_')
	b, err := appendDigits(b, random, idLen)
	if err == nil {
		b, err = appendDigits(append(b, '_'), random, secretLen)
	}
	if err != nil {
		return "", fmt.Errorf("generating key: %w", err)
	}
	sum := checksum(b)
	return string(append(b, sum[:]...)), nil
}

// appendDigits appends n uniformly random digits: a byte that would favour some digits is drawn again.
func appendDigits(b []byte, random io.Reader, n int) ([]byte, error) {
	const fair = 256 / len(alphabet) * len(alphabet)
	var buf [64]byte
	for {
		if _, err := io.ReadFull(random, buf[:]); err != nil {
			return nil, err
		}
		for _, c := range buf {
			if n == 0 {
				return b, nil
			}
			if int(c) < fair {
				b = append(b, alphabet[int(c)%len(alphabet)])
				n--
			}
		}
	}
}

func checksum[T []byte | string](text T) (digits [checksumLen]byte) {
	sum := ^uint32(0)
	for i := range len(text) { // crc32.ChecksumIEEE would want a copy of a string
		sum = crc32.IEEETable[byte(sum)^text[i]] ^ sum>>8
	}
	sum = ^sum
	for i := checksumLen - 1; i >= 0; i-- {
		digits[i] = alphabet[sum%uint32(len(alphabet))]
		sum /= uint32(len(alphabet))
	}
	return digits
}

// Parse reads the text of a key. It fails with ErrMalformed or ErrChecksum and allocates nothing, so noise costs less than
// a look-up.
func Parse(text string) (Parsed, error) {
	if len(text) != textLen || text[:4] != "ptr_" || text[idAt-1] != '_' || text[secretAt-1] != '_' {
		return Parsed{}, ErrMalformed
	}
	env := Environment(text[4 : idAt-1])
	if env != Live && env != Test {
		return Parsed{}, ErrMalformed
	}
	if !digits(text[idAt:secretAt-1]) || !digits(text[secretAt:]) {
		return Parsed{}, ErrMalformed
	}
	// The checksum protects against mistakes, not against forgers: no constant time is needed.
	if sum := checksum(text[:checksumAt]); string(sum[:]) != text[checksumAt:] {
		return Parsed{}, ErrChecksum
	}
	return Parsed{env, text[idAt : secretAt-1], text[:checksumAt]}, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
