// Package assertion shows how an API written in Go refuses requests that did not come through the gate.
package assertion

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Require lets through only requests with a Portreeve-Assertion that the gate at the URL signed for this audience.
func Require(gate, audience string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := verify(gate, audience, r.Header.Get("Portreeve-Assertion")); err != nil {
			http.Error(w, "this API is reached through its gate only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func verify(gate, audience, text string) error {
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return err
	}
	keys, err := fetch(gate + "/.portreeve/oidc/jwks") // keep them for an hour, and fetch again for an unknown kid
	if err != nil {
		return err
	}
	var claims jwt.Claims
	if err := token.Claims(keys, &claims); err != nil {
		return err
	}
	return claims.Validate(jwt.Expected{Issuer: gate, AnyAudience: jwt.Audience{audience}, Time: time.Now()})
}

func fetch(url string) (*jose.JSONWebKeySet, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var keys jose.JSONWebKeySet
	return &keys, json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&keys)
}
