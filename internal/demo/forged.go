package demo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"
)

// Forged are tokens that must not be believed, all in the admin's name.
type Forged struct {
	None     string // alg: none
	Secret   string // HS256 with a secret that everybody knows
	Foreign  string // ES256 with a key of somebody else
	Expired  string // the right key's, but of yesterday
	Audience string // the right key's, but for another API
}

// Forge makes them. issuer, audience and own, which signs with the issuer's own key, are the gate's.
func Forge(issuer, audience string, own func(typ string, claims any) (string, error), now time.Time) (Forged, error) {
	claims := func(change map[string]any) map[string]any {
		c := map[string]any{"iss": issuer, "aud": audience, "sub": "4", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": rand.Text(), "roles": []string{"admin"}}
		for name, v := range change {
			c[name] = v
		}
		return c
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Forged{}, fmt.Errorf("making a stranger's key: %w", err)
	}
	var f Forged
	for _, t := range []struct {
		to     *string
		alg    string
		claims map[string]any
	}{
		{&f.None, "none", claims(nil)},
		{&f.Secret, "HS256", claims(nil)},
		{&f.Foreign, "ES256", claims(nil)},
	} {
		if *t.to, err = forge(t.alg, t.claims, key); err != nil {
			return Forged{}, err
		}
	}
	if f.Expired, err = own("at+jwt", claims(map[string]any{"iat": now.Add(-25 * time.Hour).Unix(), "exp": now.Add(-24 * time.Hour).Unix()})); err != nil {
		return Forged{}, fmt.Errorf("signing: %w", err)
	}
	if f.Audience, err = own("at+jwt", claims(map[string]any{"aud": "https://other.example"})); err != nil {
		return Forged{}, fmt.Errorf("signing: %w", err)
	}
	return f, nil
}

func forge(alg string, claims map[string]any, key *ecdsa.PrivateKey) (string, error) {
	body, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encoding claims: %w", err)
	}
	text := base64url.EncodeToString([]byte(`{"alg":"`+alg+`","typ":"at+jwt"}`)) + "." + base64url.EncodeToString(body)
	switch alg {
	case "HS256":
		return text + "." + sign(text), nil
	case "ES256":
		sum := sha256.Sum256([]byte(text))
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			return "", fmt.Errorf("signing: %w", err)
		}
		var raw [64]byte
		r.FillBytes(raw[:32])
		s.FillBytes(raw[32:])
		return text + "." + base64url.EncodeToString(raw[:]), nil
	}
	return text + ".", nil
}
