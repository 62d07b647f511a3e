package jose

import (
	"context"
	"crypto/sha256"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// Reason is why a token was not believed. It is for the event; a client learns none of it.
type Reason string

const (
	Malformed   Reason = "token_malformed"
	Algorithm   Reason = "token_algorithm"
	Type        Reason = "token_type"
	KeyUnknown  Reason = "token_key_unknown"
	Signature   Reason = "token_signature"
	Issuer      Reason = "token_issuer"
	Audience    Reason = "token_audience"
	Expired     Reason = "token_expired"
	NotYet      Reason = "token_not_yet_valid"
	Lifetime    Reason = "token_lifetime"
	Incomplete  Reason = "token_claims"
	Unavailable Reason = "token_keys_unavailable" // says nothing of the token: its issuer's keys cannot be had
)

// Error is a token that was not believed.
type Error struct{ Reason Reason }

func (e *Error) Error() string { return string(e.Reason) }

// Unavailable reports whether the token could not be judged at all.
func (e *Error) Unavailable() bool { return e.Reason == Unavailable }

func refuse(r Reason) (*Claims, error) { return nil, &Error{r} }

// Claims are what a token proves. They are shared and must not be written to.
type Claims struct {
	Issuer, Subject, ID string
	Audience            []string
	IssuedAt, NotBefore time.Time
	Expires, AuthTime   time.Time
	KeyID, Type         string
	All                 map[string]any
}

// KeySource gives the keys of one issuer. kid is a hint that a new key may have to be fetched.
type KeySource interface {
	Keys(ctx context.Context, kid string) (*KeySet, error)
}

// Keys of a fixed set.
func (s *KeySet) Keys(context.Context, string) (*KeySet, error) { return s, nil }

// Verifier believes tokens of one issuer. Issuer and Audience are compulsory (RFC 8725 §3.8, 3.9).
type Verifier struct {
	Issuer      string
	Audience    []string      // the token must name one of these
	Algorithms  []string      // allowed, beyond what the keys themselves fix; empty: those of the keys
	Types       []string      // accepted typ, lower case without "application/"; empty: at+jwt, jwt and none
	Required    []string      // claims beyond sub, iat, exp, iss, aud
	MaxLifetime time.Duration // exp - iat
	Leeway      time.Duration
	Keys        KeySource

	memory memory
}

// Verify proves a token, or returns an *Error. What was proven once is remembered by the token's hash until it expires
// or the issuer's keys change.
func (v *Verifier) Verify(ctx context.Context, token string, now time.Time) (*Claims, error) {
	head, payload, signature, ok := segments(token)
	if !ok || v.Issuer == "" || len(v.Audience) == 0 {
		return refuse(Malformed)
	}
	sum := sha256.Sum256([]byte(token))
	set, err := v.Keys.Keys(ctx, "")
	if err == nil {
		if c := v.memory.find(sum, set.Generation()); c != nil {
			if reason := v.times(c, now); reason != "" {
				return refuse(reason)
			}
			return c, nil
		}
	}
	h, ok := parseHeader(head)
	raw, err := encoding.DecodeString(payload) // before the signature: it is over the one spelling there is
	if !ok || err != nil {
		return refuse(Malformed)
	}
	if !slices.Contains(algorithms, h.alg) && h.alg != "Ed25519" || len(v.Algorithms) > 0 && !slices.Contains(v.Algorithms, h.alg) {
		return refuse(Algorithm)
	}
	if !v.typed(h.typ) {
		return refuse(Type)
	}
	if set, err = v.Keys.Keys(ctx, h.kid); err != nil {
		return refuse(Unavailable)
	}
	if reason := v.signature(set, h, token[:len(head)+1+len(payload)], signature); reason != "" {
		return refuse(reason)
	}
	c, reason := v.claims(h, raw)
	if reason == "" {
		reason = v.times(c, now)
	}
	if reason != "" {
		return refuse(reason)
	}
	v.memory.keep(sum, set.Generation(), c, now)
	return c, nil
}

func (v *Verifier) signature(set *KeySet, h header, signed, signature string) Reason {
	keys := set.candidates(h)
	if len(keys) == 0 {
		if set.has(h.kid) {
			return Algorithm // the key decides the algorithm (CVE-2026-39999's class)
		}
		return KeyUnknown
	}
	raw, err := encoding.DecodeString(signature)
	if err != nil {
		return Malformed
	}
	for _, k := range keys {
		if k.verify([]byte(signed), raw) {
			return ""
		}
	}
	return Signature
}

func (v *Verifier) typed(typ string) bool {
	t := strings.TrimPrefix(strings.ToLower(typ), "application/")
	if len(v.Types) == 0 {
		return t == "" || t == "jwt" || t == "at+jwt"
	}
	return slices.Contains(v.Types, t)
}

func (v *Verifier) claims(h header, raw []byte) (*Claims, Reason) {
	all, ok := object(raw)
	if !ok {
		return nil, Malformed
	}
	c := &Claims{All: all, KeyID: h.kid, Type: h.typ}
	var sound bool
	if c.Issuer, sound = all["iss"].(string); !sound || c.Issuer != v.Issuer {
		return nil, Issuer
	}
	if c.Audience, sound = audience(all["aud"]); !sound || !meets(c.Audience, v.Audience) {
		return nil, Audience
	}
	if c.Subject, sound = all["sub"].(string); !sound || c.Subject == "" {
		return nil, Incomplete
	}
	if c.IssuedAt, sound = date(all["iat"]); !sound {
		return nil, Incomplete
	}
	if c.Expires, sound = date(all["exp"]); !sound {
		return nil, Incomplete
	}
	for name, to := range map[string]*time.Time{"nbf": &c.NotBefore, "auth_time": &c.AuthTime} {
		if value, present := all[name]; present {
			if *to, sound = date(value); !sound {
				return nil, Incomplete
			}
		}
	}
	if value, present := all["jti"]; present {
		if c.ID, sound = value.(string); !sound {
			return nil, Incomplete
		}
	}
	for _, name := range v.Required {
		if all[name] == nil {
			return nil, Incomplete
		}
	}
	return c, ""
}

// times judges what changes while a token is remembered.
func (v *Verifier) times(c *Claims, now time.Time) Reason {
	switch {
	case !now.Before(c.Expires.Add(v.Leeway)):
		return Expired
	case now.Add(v.Leeway).Before(c.NotBefore), now.Add(v.Leeway).Before(c.IssuedAt):
		return NotYet
	case v.MaxLifetime > 0 && c.Expires.Sub(c.IssuedAt) > v.MaxLifetime, c.Expires.Before(c.IssuedAt):
		return Lifetime
	}
	return ""
}

// date reads a NumericDate (RFC 7519 §2) between 1970 and 9999; 1e300 is no date.
func date(v any) (time.Time, bool) {
	f, ok := v.(float64)
	if !ok || math.IsNaN(f) || f < 0 || f > 253402300799 {
		return time.Time{}, false
	}
	whole, frac := math.Modf(f)
	return time.Unix(int64(whole), int64(frac*1e9)), true
}

// audience is a string or an array of strings (RFC 7519 §4.1.3).
func audience(v any) ([]string, bool) {
	switch v := v.(type) {
	case string:
		return []string{v}, v != ""
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, false
			}
			out = append(out, s)
		}
		return out, len(out) > 0
	}
	return nil, false
}

func meets(have, want []string) bool {
	return slices.ContainsFunc(have, func(a string) bool { return slices.Contains(want, a) })
}

// PeekIssuer returns the iss a token claims, unproven: it chooses the verifier and is good for nothing else.
func PeekIssuer(token string) (string, bool) {
	_, payload, _, ok := segments(token)
	if !ok {
		return "", false
	}
	raw, err := encoding.DecodeString(payload)
	if err != nil {
		return "", false
	}
	all, ok := object(raw)
	if !ok {
		return "", false
	}
	iss, ok := all["iss"].(string)
	return iss, ok
}

// memory remembers proven tokens by their hash: facts, never decisions.
type memory struct {
	shard [64]struct {
		mu   sync.RWMutex
		seen map[[32]byte]remembered
	}
}

type remembered struct {
	claims     *Claims
	generation uint64
}

// remember at most this many tokens a shard.
const memoryShard = 1024

func (m *memory) find(sum [32]byte, generation uint64) *Claims {
	s := &m.shard[sum[0]%64]
	s.mu.RLock()
	r, ok := s.seen[sum]
	s.mu.RUnlock()
	if !ok || r.generation != generation {
		return nil
	}
	return r.claims
}

func (m *memory) keep(sum [32]byte, generation uint64, c *Claims, now time.Time) {
	s := &m.shard[sum[0]%64]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = make(map[[32]byte]remembered)
	}
	if len(s.seen) >= memoryShard {
		for k, r := range s.seen {
			if r.generation != generation || !now.Before(r.claims.Expires) {
				delete(s.seen, k)
			}
		}
	}
	for k := range s.seen { // still full of live ones: any may go, it is proven anew when it comes back
		if len(s.seen) < memoryShard {
			break
		}
		delete(s.seen, k)
	}
	s.seen[sum] = remembered{c, generation}
}
