// Package forge makes tokens that must not be believed (RFC 7519, RFC 8725), by hand: a library that signs correctly
// cannot. It is an attacker's tool and verifies nothing but guesses of a secret.
package forge

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"strings"
)

var base64url = base64.RawURLEncoding

// Token is a compact JWS taken apart; its signature is not looked at.
type Token struct {
	Header, Claims map[string]any
	signed         string // the first two parts, as they stand
	Signature      string // the third
}

// ErrForm is something that is no compact JWS of a JSON object.
var ErrForm = errors.New("it is no signed token")

// Parse takes a token apart.
func Parse(token string) (*Token, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, ErrForm
	}
	t := &Token{signed: parts[0] + "." + parts[1], Signature: parts[2]}
	for i, to := range []*map[string]any{&t.Header, &t.Claims} {
		b, err := base64url.DecodeString(parts[i])
		if err != nil {
			return nil, ErrForm
		}
		d := json.NewDecoder(strings.NewReader(string(b)))
		d.UseNumber()
		if err := d.Decode(to); err != nil || *to == nil {
			return nil, ErrForm
		}
	}
	return t, nil
}

// Algorithm returns the token's alg.
func (t *Token) Algorithm() string {
	s, _ := t.Header["alg"].(string)
	return s
}

// With returns claims with some changed; nil takes one away.
func With(claims, change map[string]any) map[string]any {
	out := maps.Clone(claims)
	for name, v := range change {
		if v == nil {
			delete(out, name)
		} else {
			out[name] = v
		}
	}
	return out
}

// signing returns the text that a signature covers.
func signing(header, claims map[string]any) (string, error) {
	h, err := json.Marshal(header)
	if err != nil {
		return "", fmt.Errorf("encoding the header: %w", err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encoding the claims: %w", err)
	}
	return base64url.EncodeToString(h) + "." + base64url.EncodeToString(c), nil
}

// None returns a token without a signature; alg is how "none" is spelt.
func None(header, claims map[string]any, alg string) (string, error) {
	s, err := signing(With(header, map[string]any{"alg": alg}), claims)
	return s + ".", err
}

// Unsigned returns the token with nothing behind its last dot, its alg as it was.
func (t *Token) Unsigned() string { return t.signed + "." }

// Spoilt returns the token with a signature of the right length that fits nothing.
func (t *Token) Spoilt() string {
	b, err := base64url.DecodeString(t.Signature)
	if err != nil || len(b) == 0 {
		b = make([]byte, 64)
	}
	for i := range b {
		b[i] = byte(i*37 + 11)
	}
	return t.signed + "." + base64url.EncodeToString(b)
}

var hashes = map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}

// HMAC returns a token signed with a secret. alg is HS256, HS384 or HS512.
func HMAC(header, claims map[string]any, alg string, secret []byte) (string, error) {
	h, ok := hashes[alg]
	if !ok {
		return "", fmt.Errorf("signing with %q: it is no HMAC", alg)
	}
	s, err := signing(With(header, map[string]any{"alg": alg}), claims)
	if err != nil {
		return "", err
	}
	m := hmac.New(h, secret)
	io.WriteString(m, s)
	return s + "." + base64url.EncodeToString(m.Sum(nil)), nil
}

// Crack looks for the secret of an HMAC token among words, offline. It reports false where none fits, and for tokens of
// another kind.
func (t *Token) Crack(words []string) (string, bool) {
	h, ok := hashes[t.Algorithm()]
	want, err := base64url.DecodeString(t.Signature)
	if !ok || err != nil || len(want) == 0 {
		return "", false
	}
	for _, word := range words {
		m := hmac.New(h, []byte(word))
		io.WriteString(m, t.signed)
		if hmac.Equal(m.Sum(nil), want) {
			return word, true
		}
	}
	return "", false
}

// Stranger holds keys that nobody trusts.
type Stranger struct {
	rsa *rsa.PrivateKey
	ec  map[string]*ecdsa.PrivateKey
	ed  ed25519.PrivateKey
}

// NewStranger makes the keys, but for the RSA key, which takes long and is made when it is needed.
func NewStranger() (*Stranger, error) {
	s := &Stranger{ec: map[string]*ecdsa.PrivateKey{}}
	var err error
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		if s.ec[alg], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			return nil, fmt.Errorf("making a key: %w", err)
		}
	}
	if _, s.ed, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return s, nil
}

// Sign returns a token of one of the stranger's keys, by any algorithm of RFC 7518 §3.1 or RFC 8037.
func (s *Stranger) Sign(header, claims map[string]any, alg string) (string, error) {
	if strings.HasPrefix(alg, "HS") {
		return HMAC(header, claims, alg, []byte("a secret that only the attacker knows, of 40 bytes"))
	}
	text, err := signing(With(header, map[string]any{"alg": alg}), claims)
	if err != nil {
		return "", err
	}
	if s.rsa == nil && (strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")) {
		if s.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return "", fmt.Errorf("making a key: %w", err)
		}
	}
	var sig []byte
	switch alg {
	case "EdDSA", "Ed25519":
		sig = ed25519.Sign(s.ed, []byte(text))
	case "ES256", "ES384", "ES512":
		sig, err = s.ecdsa(text, alg)
	case "RS256", "RS384", "RS512":
		h, sum := digest(text, alg)
		sig, err = rsa.SignPKCS1v15(rand.Reader, s.rsa, h, sum)
	case "PS256", "PS384", "PS512":
		h, sum := digest(text, alg)
		sig, err = rsa.SignPSS(rand.Reader, s.rsa, h, sum, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	default:
		err = fmt.Errorf("the algorithm %q is not known", alg)
	}
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return text + "." + base64url.EncodeToString(sig), nil
}

func digest(text, alg string) (crypto.Hash, []byte) {
	h := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[2:]]
	w := h.New()
	io.WriteString(w, text)
	return h, w.Sum(nil)
}

// ecdsa signs in the fixed-length form of RFC 7518 §3.4.
func (s *Stranger) ecdsa(text, alg string) ([]byte, error) {
	key := s.ec[alg]
	_, sum := digest(text, alg)
	x, y, err := ecdsa.Sign(rand.Reader, key, sum)
	if err != nil {
		return nil, err
	}
	n := (key.Curve.Params().BitSize + 7) / 8
	sig := make([]byte, 2*n)
	x.FillBytes(sig[:n])
	y.FillBytes(sig[n:])
	return sig, nil
}
