package jose

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
)

// Signer signs in the gate's own name, with Ed25519.
type Signer struct {
	id  string
	key ed25519.PrivateKey
}

// NewSigner returns a signer; its key id is the key's own thumbprint (RFC 7638).
func NewSigner(key ed25519.PrivateKey) *Signer {
	x := base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	return &Signer{id: base64.RawURLEncoding.EncodeToString(sum[:])[:16], key: key}
}

// KeyID returns the kid that signatures carry.
func (s *Signer) KeyID() string { return s.id }

// Sign returns a compact JWS of the claims' JSON. typ is its explicit type (RFC 8725 §3.11).
func (s *Signer) Sign(typ string, claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encoding claims: %w", err)
	}
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"` + s.id + `","typ":"` + typ + `"}`))
	signed := head + "." + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(s.key, []byte(signed))), nil
}

// Key returns what verifies the signer's tokens.
func (s *Signer) Key() *Key {
	return &Key{ID: s.id, Algorithm: "EdDSA", public: s.key.Public().(ed25519.PublicKey)}
}

// JWKS returns the public key as a JWK Set (RFC 7517, RFC 8037).
func (s *Signer) JWKS() []byte {
	x := base64.RawURLEncoding.EncodeToString(s.key.Public().(ed25519.PublicKey))
	return []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","kid":"` + s.id + `","x":"` + x + `"}]}`)
}

// MarshalKey returns a private key as PKCS #8 in PEM.
func MarshalKey(key ed25519.PrivateKey) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic("jose: " + err.Error()) // every Ed25519 key can be marshalled
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// ParseKey reads a private Ed25519 key that MarshalKey wrote.
func ParseKey(b []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("no PKCS #8 private key found")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parsing private key: %w", err)
	}
	k, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("private key is %T; Ed25519 is needed", key)
	}
	return k, nil
}
