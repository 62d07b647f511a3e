package keys

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
)

// Files of the material in the data directory.
const (
	SigningKeyFile = "signing-key.pem" // Ed25519, PKCS #8 in PEM
	PeppersFile    = "peppers"         // one a line, base64 of 32 bytes; the first is current, the others are retired
)

// ErrMaterialMissing: rows exist whose signing key or pepper does not. Making new ones would silently end every token or
// key, so there is no start without the old ones.
var ErrMaterialMissing = errors.New("key material is missing")

// Material are the secrets of a data directory.
type Material struct {
	Peppers *Peppers
	signing ed25519.PrivateKey
}

// Signer returns the key that signs the gate's own tokens.
func (m *Material) Signer() crypto.Signer { return m.signing }

// SigningKey returns the same key by its type.
func (m *Material) SigningKey() ed25519.PrivateKey { return m.signing }

// KeyID returns the signing key's kid: the first 16 characters of its thumbprint (RFC 7638, RFC 8037 §2).
func (m *Material) KeyID() string {
	x := base64.RawURLEncoding.EncodeToString(m.signing.Public().(ed25519.PublicKey))
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:16]
}

// String keeps the secrets out of logs.
func (m *Material) String() string { return "material " + m.KeyID() }

// GoString keeps the secrets out of %#v.
func (m *Material) GoString() string { return m.String() }

// LoadMaterial reads the material of a data directory. On the first start, and only with an empty store, it makes what is
// missing: durably, before anything is signed or hashed with it. With rows it fails with ErrMaterialMissing; a file that
// others may read is an error. The caller holds the directory's Lock. random must be crypto/rand's outside of tests.
func LoadMaterial(ctx context.Context, dir string, rows Inventory, random io.Reader) (*Material, error) {
	if err := privateDir(dir); err != nil {
		return nil, err
	}
	key, err := loadOrMake(ctx, filepath.Join(dir, SigningKeyFile), rows, func() ([]byte, error) { return generateSigningKey(random) })
	if err != nil {
		return nil, err
	}
	text, err := loadOrMake(ctx, filepath.Join(dir, PeppersFile), rows, func() ([]byte, error) { return generatePepper(random) })
	if err != nil {
		return nil, err
	}
	m, err := ParseMaterial(key, text)
	if err != nil {
		return nil, fmt.Errorf("reading key material in %s: %w", dir, err)
	}
	if err := m.covers(ctx, rows); err != nil {
		return nil, err
	}
	return m, nil
}

// ParseMaterial reads material that is given, not made: the texts of a signing key and of peppers as in the files.
func ParseMaterial(signingKey, peppers []byte) (*Material, error) {
	key, err := parseSigningKey(signingKey)
	if err != nil {
		return nil, fmt.Errorf("reading signing key: %w", err)
	}
	p, err := ParsePeppers(peppers)
	if err != nil {
		return nil, fmt.Errorf("reading peppers: %w", err)
	}
	return &Material{p, key}, nil
}

// covers fails when a key in the store was hashed under a pepper that is not here.
func (m *Material) covers(ctx context.Context, rows Inventory) error {
	used, err := rows.PeppersInUse(ctx)
	if err != nil {
		return fmt.Errorf("asking which peppers are in use: %w", err)
	}
	for _, id := range used {
		if !m.Peppers.Has(id) {
			return fmt.Errorf("%w: keys in the store need the pepper %s, which %s lacks; restore the file from a backup", ErrMaterialMissing, id, PeppersFile)
		}
	}
	return nil
}

func loadOrMake(ctx context.Context, path string, rows Inventory, generate func() ([]byte, error)) ([]byte, error) {
	b, err := readPrivate(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	empty, err := rows.Empty(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking whether the store is empty: %w", err)
	}
	if !empty {
		return nil, fmt.Errorf("%w: %s does not exist, but the store holds rows that depend on it; restore the file from a backup", ErrMaterialMissing, path)
	}
	if b, err = generate(); err != nil {
		return nil, err
	}
	return b, writePrivate(path, b)
}

func generateSigningKey(random io.Reader) ([]byte, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("generating signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return nil, fmt.Errorf("generating signing key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func parseSigningKey(text []byte) (ed25519.PrivateKey, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("not one PKCS #8 private key in PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a %T, not an Ed25519 key", parsed)
	}
	return key, nil
}
