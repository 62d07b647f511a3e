package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"

	jwk "github.com/go-jose/go-jose/v4"
)

// Algorithms that can be verified. "none" is not among them and cannot be added.
var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"}

// Key verifies signatures of exactly one algorithm.
type Key struct {
	ID        string
	Algorithm string
	public    any // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or []byte
}

// KeySet is an immutable set of keys of ONE issuer. Sets are never merged: a key is trusted for its issuer alone.
type KeySet struct {
	keys       []*Key
	generation uint64
}

// Generation names the set's content: two sets with the same keys share it, and a memory of verified tokens belongs to
// one generation.
func (s *KeySet) Generation() uint64 {
	if s == nil {
		return 0
	}
	return s.generation
}

// Len returns how many keys the set holds.
func (s *KeySet) Len() int { return len(s.keys) }

// candidates returns the keys of its algorithm that a header may mean: those of its kid, and those that have no id, for a
// PEM file has none; all where it names none.
func (s *KeySet) candidates(h header) []*Key {
	var out []*Key
	for _, k := range s.keys {
		if (h.kid == "" || k.ID == "" || k.ID == h.kid) && sameAlgorithm(k.Algorithm, h.alg) {
			out = append(out, k)
		}
	}
	return out
}

// has reports whether some key has the id, or none of them has any.
func (s *KeySet) has(kid string) bool {
	named := func(k *Key) bool { return k.ID != "" }
	return kid == "" || slices.ContainsFunc(s.keys, func(k *Key) bool { return k.ID == kid }) || !slices.ContainsFunc(s.keys, named)
}

// sameAlgorithm compares a key's algorithm with a header's. Ed25519 is the fully-specified name of EdDSA (RFC 9864).
func sameAlgorithm(key, token string) bool {
	return key == token || key == "EdDSA" && token == "Ed25519"
}

// NewKeySet returns a set of keys. No two may share an id.
func NewKeySet(keys ...*Key) (*KeySet, error) {
	h := sha256.New()
	seen := map[string]bool{}
	for _, k := range keys {
		if k.ID != "" && seen[k.ID] {
			return nil, fmt.Errorf("two keys have the id %q", k.ID)
		}
		seen[k.ID] = true
		if symmetric(k) != symmetric(keys[0]) {
			return nil, errors.New("secret and public keys stand in one set") // confusing one for the other is the oldest JWT attack
		}
		fmt.Fprintf(h, "%q %q %v\n", k.ID, k.Algorithm, k.public)
	}
	return &KeySet{keys: slices.Clone(keys), generation: binary.BigEndian.Uint64(h.Sum(nil))}, nil
}

func symmetric(k *Key) bool {
	_, secret := k.public.([]byte)
	return secret
}

// Bounds of a foreign key set.
const (
	maxKeys = 64
	maxJWKS = 256 << 10
)

// Skipped is a key of a set that was not admitted, and why.
type Skipped struct {
	ID     string
	Reason string
}

// ParseJWKS reads a JWK Set (RFC 7517). Keys that are too weak, private where that is wrong, not for signatures, or of
// an algorithm outside allowed (all, when empty) are skipped; a set without any usable key is an error.
func ParseJWKS(b []byte, allowed ...string) (*KeySet, []Skipped, error) {
	if len(b) > maxJWKS {
		return nil, nil, fmt.Errorf("JWK set is larger than %d bytes", maxJWKS)
	}
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, nil, errors.New("JWK set is not valid JSON")
	}
	if len(raw.Keys) > maxKeys {
		return nil, nil, fmt.Errorf("JWK set holds more than %d keys", maxKeys)
	}
	var keys []*Key
	var skipped []Skipped
	for _, r := range raw.Keys {
		k, id, err := parseJWK(r, allowed)
		if err != nil {
			skipped = append(skipped, Skipped{id, err.Error()})
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, skipped, errors.New("JWK set holds no usable signature key")
	}
	set, err := NewKeySet(keys...)
	return set, skipped, err
}

func parseJWK(raw []byte, allowed []string) (*Key, string, error) {
	members, ok := object(raw)
	if !ok {
		return nil, "", errors.New("not a strict JSON object")
	}
	id, _ := members["kid"].(string)
	if use, present := members["use"]; present && use != "sig" {
		return nil, id, errors.New("not for signatures")
	}
	if ops, present := members["key_ops"]; present {
		list, isList := ops.([]any)
		if !isList || !slices.Contains(list, any("verify")) {
			return nil, id, errors.New("not for verifying")
		}
	}
	var j jwk.JSONWebKey
	if err := j.UnmarshalJSON(raw); err != nil {
		return nil, id, errors.New("malformed")
	}
	public := j.Key
	if _, secret := public.([]byte); !secret {
		public = j.Public().Key
	}
	k, err := newKey(id, j.Algorithm, public, allowed)
	return k, id, err
}

// newKey admits a key and pins its one algorithm.
func newKey(id, alg string, public any, allowed []string) (*Key, error) {
	fits, err := strength(public)
	if err != nil {
		return nil, err
	}
	if alg == "Ed25519" {
		alg = "EdDSA"
	}
	if alg == "" {
		alg = fits[0]
		for _, a := range allowed {
			if slices.Contains(fits, a) {
				alg = a
				break
			}
		}
	}
	if !slices.Contains(fits, alg) {
		return nil, fmt.Errorf("algorithm %q is not one of this key's: %v", alg, fits)
	}
	if len(allowed) > 0 && !slices.Contains(allowed, alg) {
		return nil, fmt.Errorf("algorithm %q is not allowed", alg)
	}
	if secret, ok := public.([]byte); ok {
		if need := map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}[alg]; len(secret) < need {
			return nil, fmt.Errorf("HMAC key is shorter than %s's hash", alg) // RFC 7518 §3.2
		}
	}
	return &Key{ID: id, Algorithm: alg, public: public}, nil
}

// strength returns the algorithms a key can serve, and refuses keys too weak to believe (RFC 8725 §3.5).
func strength(public any) ([]string, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return nil, fmt.Errorf("RSA key of %d bits; at least 2048 are needed", k.N.BitLen())
		}
		if k.N.BitLen() > 8192 || k.E < 3 || k.E&1 == 0 {
			return nil, errors.New("RSA key out of bounds")
		}
		if roca(k.N) {
			return nil, errors.New("RSA key made by a broken generator (CVE-2017-15361)")
		}
		return algorithms[:6], nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return []string{"ES256"}, nil
		case elliptic.P384():
			return []string{"ES384"}, nil
		case elliptic.P521():
			return []string{"ES512"}, nil
		}
		return nil, errors.New("unknown curve")
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return nil, errors.New("malformed Ed25519 key")
		}
		return []string{"EdDSA"}, nil
	case []byte:
		if len(k) < 32 {
			return nil, errors.New("HMAC key of fewer than 256 bits")
		}
		return []string{"HS256", "HS384", "HS512"}, nil
	}
	return nil, errors.New("unknown kind of key")
}

// roca recognises moduli of the generator of CVE-2017-15361: modulo each of these primes they are a power of 65537. A
// sound key passes one test by chance now and then, and all of them practically never.
func roca(n *big.Int) bool {
	for _, p := range [...]int64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157, 163, 167} {
		rest := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		power, found := int64(1), false
		for range p {
			if power == rest {
				found = true
				break
			}
			power = power * 65537 % p
		}
		if !found {
			return false
		}
	}
	return true
}

// ParsePEM reads one public key or certificate. allowed picks among the algorithms the key can serve.
func ParsePEM(b []byte, allowed ...string) (*Key, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("no PEM block found")
	}
	var public any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			public = c.PublicKey
		}
	default:
		return nil, fmt.Errorf("PEM block is a %q; a public key is needed", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("parsing public key: %w", err)
	}
	return newKey("", "", public, allowed)
}

// NewSecret returns an HMAC key. It is for issuers that share a secret with the gate; prefer public keys.
func NewSecret(id string, secret []byte, allowed ...string) (*Key, error) {
	return newKey(id, "", slices.Clone(secret), allowed)
}
