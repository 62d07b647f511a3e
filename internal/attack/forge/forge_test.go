package forge

import (
	"crypto/hmac"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

var (
	header = map[string]any{"typ": "JWT", "kid": "k1"}
	claims = map[string]any{"sub": "7", "role": "user"}
)

// A correct library verifies what the stranger signs with the stranger's keys: so a refusal is for the key alone.
func TestStrangerSignsCorrectly(t *testing.T) {
	s, err := NewStranger()
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		token, err := s.Sign(header, claims, alg)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		var key any
		switch alg[:2] {
		case "RS", "PS":
			key = &s.rsa.PublicKey
		case "ES":
			key = &s.ec[alg].PublicKey
		default:
			key = s.ed.Public()
		}
		var got map[string]any
		if err := parsed.Claims(key, &got); err != nil || got["sub"] != "7" || parsed.Headers[0].KeyID != "k1" {
			t.Errorf("%s: %v, %v", alg, err, got)
		}
	}
	if _, err := s.Sign(header, claims, "XX1"); err == nil {
		t.Error("an unknown algorithm was signed with")
	}
}

func TestCrack(t *testing.T) {
	for _, c := range []struct {
		secret string
		found  bool
	}{{"secret", true}, {"your-256-bit-secret", true}, {"", true}, {"Hq7!2mVb9$kLz0", false}} {
		for _, alg := range []string{"HS256", "HS384", "HS512"} {
			token, err := HMAC(header, claims, alg, []byte(c.secret))
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := Parse(token)
			if err != nil {
				t.Fatal(err)
			}
			word, ok := parsed.Crack(Words())
			if ok != c.found || ok && word != c.secret {
				t.Errorf("%s with %q: found %q, %v", alg, c.secret, word, ok)
			}
		}
	}
	s, err := NewStranger()
	if err != nil {
		t.Fatal(err)
	}
	token, _ := s.Sign(header, claims, "ES256")
	parsed, err := Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := parsed.Crack(Words()); ok {
		t.Error("a token of a key pair was cracked")
	}
}

func TestForms(t *testing.T) {
	token, err := HMAC(header, claims, "HS256", []byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	none, err := None(parsed.Header, parsed.Claims, "nOnE")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := Parse(none); err != nil || p.Algorithm() != "nOnE" || p.Signature != "" || p.Claims["sub"] != "7" {
		t.Errorf("none: %v, %+v", err, p)
	}
	first := token[:strings.LastIndexByte(token, '.')+1]
	if parsed.Unsigned() != first {
		t.Errorf("unsigned: %q", parsed.Unsigned())
	}
	spoilt := parsed.Spoilt()
	if !strings.HasPrefix(spoilt, first) || len(spoilt) != len(token) || hmac.Equal([]byte(spoilt), []byte(token)) {
		t.Errorf("spoilt: %q of %q", spoilt, token)
	}
	for _, bad := range []string{"", "a.b", "a.b.c", "e30.e30", "e30.W10.x", "!.!.!"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q was parsed", bad)
		}
	}
	if c := With(claims, map[string]any{"sub": nil, "exp": 1}); c["sub"] != nil || c["exp"] != 1 || claims["sub"] != "7" {
		t.Errorf("with: %v, and the original %v", c, claims)
	}
}
