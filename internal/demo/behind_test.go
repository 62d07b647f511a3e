package demo

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/jose"
)

func TestBehind(t *testing.T) {
	w := newTown(t)
	now := time.Unix(1_800_000_000, 0)
	h, err := Behind(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(callerKey{}).(Caller)
		json.NewEncoder(rw).Encode(map[string]any{"caller": c, "address": r.RemoteAddr})
	}), Assertions{JWKS: w.signer.JWKS(), Issuer: audience, Audience: Audience, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	claims := func(change map[string]any) map[string]any {
		c := map[string]any{"iss": audience, "aud": Audience, "sub": "2", "iat": now.Unix(), "exp": now.Unix() + 31, "roles": []string{"employee"}, "htm": "GET", "htu": "/api/a%20b"}
		maps.Copy(c, change)
		maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
		return c
	}
	const typ = "portreeve-assertion+jwt"
	sign := func(s *jose.Signer, typ string, c map[string]any) string {
		t.Helper()
		text, err := s.Sign(typ, c)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	good := sign(w.signer, typ, claims(nil))
	ask := func(assertions ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/api/a%20b", nil)
		r.Header["Portreeve-Assertion"] = assertions
		r.Header.Set("X-Forwarded-For", "192.0.2.7")
		out := httptest.NewRecorder()
		h.ServeHTTP(out, r)
		return out
	}
	if out := ask(good); out.Code != 200 || out.Body.String() != `{"address":"192.0.2.7:0","caller":{"Subject":"2","Roles":["employee"],"Strong":true}}`+"\n" {
		t.Fatalf("a good assertion: %d %s", out.Code, out.Body)
	}
	if out := ask(sign(w.signer, typ, claims(map[string]any{"sub": "", "roles": nil}))); out.Code != 200 || out.Body.String() != `{"address":"192.0.2.7:0","caller":{"Subject":"","Roles":null,"Strong":false}}`+"\n" {
		t.Errorf("of nobody: %d %s", out.Code, out.Body)
	}
	if out := ask(sign(w.signer, typ, claims(map[string]any{"htm": "HEAD"}))); out.Code != 200 {
		t.Errorf("of a HEAD: %d", out.Code)
	}
	none := base64url.EncodeToString([]byte(`{"alg":"none","typ":"` + typ + `"}`))
	body, _ := json.Marshal(claims(nil))
	for name, bad := range map[string][]string{
		"none":              nil,
		"two":               {good, good},
		"garbage":           {"a.b.c"},
		"alg none":          {none + "." + base64url.EncodeToString(body) + "."},
		"spoilt":            {cut(good)},
		"a stranger's":      {sign(jose.NewSigner(stranger), typ, claims(nil))},
		"an access token":   {sign(w.signer, "at+jwt", claims(nil))},
		"for another API":   {sign(w.signer, typ, claims(map[string]any{"aud": "other"}))},
		"of another gate":   {sign(w.signer, typ, claims(map[string]any{"iss": "http://other.example"}))},
		"for another path":  {sign(w.signer, typ, claims(map[string]any{"htu": "/api/a/b"}))},
		"for another act":   {sign(w.signer, typ, claims(map[string]any{"htm": "DELETE"}))},
		"ended":             {sign(w.signer, typ, claims(map[string]any{"iat": now.Unix() - 60, "exp": now.Unix() - 30}))},
		"of tomorrow":       {sign(w.signer, typ, claims(map[string]any{"iat": now.Unix() + 3600, "exp": now.Unix() + 3630}))},
		"without an end":    {sign(w.signer, typ, claims(map[string]any{"exp": nil}))},
		"for a day":         {sign(w.signer, typ, claims(map[string]any{"exp": now.Unix() + 86400}))},
		"without a start":   {sign(w.signer, typ, claims(map[string]any{"iat": nil}))},
		"without audience":  {sign(w.signer, typ, claims(map[string]any{"aud": nil}))},
		"without an issuer": {sign(w.signer, typ, claims(map[string]any{"iss": nil}))},
	} {
		if out := ask(bad...); out.Code != 403 {
			t.Errorf("%s: %d %s", name, out.Code, out.Body)
		}
	}
	for _, a := range []Assertions{{JWKS: []byte(`{"keys":[]}`), Issuer: "i", Audience: "a"}, {JWKS: w.signer.JWKS(), Audience: "a"}, {JWKS: w.signer.JWKS(), Issuer: "i"}, {JWKS: []byte(`x`), Issuer: "i", Audience: "a"}} {
		if _, err := Behind(h, a); err == nil {
			t.Errorf("%+v is enough", a)
		}
	}
}
