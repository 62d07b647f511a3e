package jose

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	oracle "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

var (
	now    = time.Unix(1_800_000_000, 0)
	secret = []byte("0123456789abcdef0123456789abcdef")
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// hs256 signs any header and payload text, however wrong.
func hs256(t testing.TB, head, payload string) string {
	t.Helper()
	k, err := NewSecret("", secret)
	if err != nil {
		t.Fatal(err)
	}
	signed := b64(head) + "." + b64(payload)
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac(k, signed))
}

const goodClaims = `"iss":"https://idp","aud":"api","sub":"u1","iat":1799999990,"exp":1800000300`

func hsVerifier(t testing.TB) *Verifier {
	t.Helper()
	return secretVerifier(t, "")
}

func secretVerifier(t testing.TB, id string) *Verifier {
	t.Helper()
	k, err := NewSecret(id, secret)
	if err != nil {
		t.Fatal(err)
	}
	set, err := NewKeySet(k)
	if err != nil {
		t.Fatal(err)
	}
	return &Verifier{Issuer: "https://idp", Audience: []string{"api"}, Keys: set, MaxLifetime: time.Hour, Leeway: time.Minute}
}

// What libraries were measured to accept, and more: each row must be refused for its own reason.
//
//threat:28 alg none, nOnE, hs256, twice, of another key → refused
//threat:29 forty corrupted tokens → each refused, for its own reason
//threat:30 a megabyte of dots, deep JSON, zip, headers with keys or URLs → refused before anything is decoded or fetched
//threat:35 claims twice, in another case, of another kind, behind a null → refused
func TestHostileTokens(t *testing.T) {
	good := hs256(t, `{"alg":"HS256"}`, `{`+goodClaims+`}`)
	head, payload, sig := cut(good)
	hs := `{"alg":"HS256"}`
	claims := func(s string) string { return hs256(t, hs, `{`+s+`}`) }
	for name, c := range map[string]struct {
		token string
		want  Reason
	}{
		"duplicate alg":              {hs256(t, `{"alg":"none","alg":"HS256"}`, `{`+goodClaims+`}`), Malformed},
		"case-variant header":        {hs256(t, `{"ALG":"none","alg":"HS256"}`, `{`+goodClaims+`}`), Malformed},
		"duplicate claim":            {claims(goodClaims + `,"sub":"admin"`), Malformed},
		"unknown crit":               {hs256(t, `{"alg":"HS256","crit":["x"],"x":1}`, `{`+goodClaims+`}`), Malformed},
		"empty crit":                 {hs256(t, `{"alg":"HS256","crit":[]}`, `{`+goodClaims+`}`), Malformed},
		"crit not a list":            {hs256(t, `{"alg":"HS256","crit":"b64"}`, `{`+goodClaims+`}`), Malformed},
		"b64 false":                  {hs256(t, `{"alg":"HS256","b64":false}`, `{`+goodClaims+`}`), Malformed},
		"embedded jwk":               {hs256(t, `{"alg":"HS256","jwk":{}}`, `{`+goodClaims+`}`), Malformed},
		"jku":                        {hs256(t, `{"alg":"HS256","jku":"https://evil"}`, `{`+goodClaims+`}`), Malformed},
		"x5u":                        {hs256(t, `{"alg":"HS256","x5u":"https://evil"}`, `{`+goodClaims+`}`), Malformed},
		"zip":                        {hs256(t, `{"alg":"HS256","zip":"DEF"}`, `{`+goodClaims+`}`), Malformed},
		"kid a number":               {hs256(t, `{"alg":"HS256","kid":1}`, `{`+goodClaims+`}`), Malformed},
		"newline in signature":       {good[:len(good)-4] + "\n" + good[len(good)-4:], Malformed},
		"line break in payload":      {head + "." + payload[:4] + "\r\n" + payload[4:] + "." + sig, Malformed},
		"padding":                    {good + "=", Malformed},
		"leading space":              {" " + good, Malformed},
		"three dots":                 {good + ".", Malformed},
		"no signature":               {head + "." + payload + ".", Malformed},
		"a megabyte of dots":         {strings.Repeat(".", 1<<20), Malformed},
		"trailing JSON":              {hs256(t, hs, `{`+goodClaims+`} {}`), Malformed},
		"not an object":              {hs256(t, hs, `[]`), Malformed},
		"deep":                       {claims(goodClaims + `,"x":` + strings.Repeat("[", 500) + strings.Repeat("]", 500)), Malformed},
		"invalid UTF-8":              {claims(goodClaims + ",\"x\":\"\xff\""), Malformed},
		"alg none":                   {b64(`{"alg":"none"}`) + "." + payload + "." + sig, Algorithm},
		"alg nOnE":                   {b64(`{"alg":"nOnE"}`) + "." + payload + "." + sig, Algorithm},
		"alg hs256":                  {hs256(t, `{"alg":"hs256"}`, `{`+goodClaims+`}`), Algorithm},
		"another algorithm":          {b64(`{"alg":"HS512"}`) + "." + payload + "." + sig, Algorithm},
		"another type":               {hs256(t, `{"alg":"HS256","typ":"secevent+jwt"}`, `{`+goodClaims+`}`), Type},
		"an ID token's type":         {hs256(t, `{"alg":"HS256","typ":"dpop+jwt"}`, `{`+goodClaims+`}`), Type},
		"signature of another token": {head + "." + b64(`{"sub":"admin"}`) + "." + sig, Signature},
		"no exp":                     {claims(`"iss":"https://idp","aud":"api","sub":"u1","iat":1799999990`), Incomplete},
		"exp null":                   {claims(`"iss":"https://idp","aud":"api","sub":"u1","iat":1799999990,"exp":null`), Incomplete},
		"exp a string":               {claims(`"iss":"https://idp","aud":"api","sub":"u1","iat":1799999990,"exp":"1800000300"`), Incomplete},
		"exp 1e300":                  {claims(`"iss":"https://idp","aud":"api","sub":"u1","iat":1799999990,"exp":1e300`), Incomplete},
		"no iat":                     {claims(`"iss":"https://idp","aud":"api","sub":"u1","exp":1800000300`), Incomplete},
		"no sub":                     {claims(`"iss":"https://idp","aud":"api","iat":1799999990,"exp":1800000300`), Incomplete},
		"Sub is not sub":             {claims(`"iss":"https://idp","aud":"api","Sub":"admin","iat":1799999990,"exp":1800000300`), Incomplete},
		"no iss":                     {claims(`"aud":"api","sub":"u1","iat":1799999990,"exp":1800000300`), Issuer},
		"another iss":                {claims(`"iss":"https://idp/","aud":"api","sub":"u1","iat":1799999990,"exp":1800000300`), Issuer},
		"no aud":                     {claims(`"iss":"https://idp","sub":"u1","iat":1799999990,"exp":1800000300`), Audience},
		"another aud":                {claims(`"iss":"https://idp","aud":["x","y"],"sub":"u1","iat":1799999990,"exp":1800000300`), Audience},
		"aud of mixed kinds":         {claims(`"iss":"https://idp","aud":["api",1],"sub":"u1","iat":1799999990,"exp":1800000300`), Audience},
		"expired":                    {claims(`"iss":"https://idp","aud":"api","sub":"u1","iat":1799990000,"exp":1799990300`), Expired},
		"not yet":                    {claims(goodClaims + `,"nbf":1800000200`), NotYet},
		"issued in the future":       {claims(`"iss":"https://idp","aud":"api","sub":"u1","iat":1800000200,"exp":1800000300`), NotYet},
		"lives too long":             {claims(`"iss":"https://idp","aud":"api","sub":"u1","iat":1799999990,"exp":1900000000`), Lifetime},
	} {
		v := hsVerifier(t)
		_, err := v.Verify(context.Background(), c.token, now)
		var e *Error
		if !errors.As(err, &e) || e.Reason != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	if _, err := hsVerifier(t).Verify(context.Background(), good, now); err != nil {
		t.Fatalf("the good one: %v", err)
	}
}

// A key of a file has no id, and its issuer's tokens have: the id chooses among keys that have one, and opens nothing.
func TestKeysWithoutID(t *testing.T) {
	named := hs256(t, `{"alg":"HS256","kid":"../../dev/null"}`, `{`+goodClaims+`}`)
	if _, err := secretVerifier(t, "").Verify(context.Background(), named, now); err != nil {
		t.Errorf("the only key there is: %v", err)
	}
	var e *Error
	if _, err := secretVerifier(t, "k1").Verify(context.Background(), named, now); !errors.As(err, &e) || e.Reason != KeyUnknown {
		t.Errorf("a key of another id: got %v", err)
	}
}

func cut(token string) (string, string, string) {
	p := strings.Split(token, ".")
	return p[0], p[1], p[2]
}

func mac(k *Key, signed string) []byte {
	h := hmac.New(sha256.New, k.public.([]byte))
	h.Write([]byte(signed))
	return h.Sum(nil)
}

//threat:34 a verifier without issuer or audience → believes nobody
func TestASetWithoutIssuerOrAudienceBelievesNobody(t *testing.T) {
	token := hs256(t, `{"alg":"HS256"}`, `{`+goodClaims+`}`)
	for _, v := range []*Verifier{{Audience: []string{"api"}}, {Issuer: "https://idp"}} {
		v.Keys = hsVerifier(t).Keys
		if _, err := v.Verify(context.Background(), token, now); err == nil {
			t.Error("believed")
		}
	}
}

// go-jose signs with every algorithm; what it signs is believed, and no single changed byte of it is.
//
//threat:29 any one byte of a good token changed → refused
func TestAgreesWithGoJose(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	p521, _ := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	long := []byte(strings.Repeat("k", 64))
	for alg, key := range map[oracle.SignatureAlgorithm]any{oracle.RS256: rsaKey, oracle.RS384: rsaKey, oracle.RS512: rsaKey, oracle.PS256: rsaKey,
		oracle.PS384: rsaKey, oracle.PS512: rsaKey, oracle.EdDSA: edKey, oracle.ES256: p256, oracle.ES384: p384, oracle.ES512: p521,
		oracle.HS256: long, oracle.HS384: long, oracle.HS512: long} {
		signer, err := oracle.NewSigner(oracle.SigningKey{Algorithm: alg, Key: oracle.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := jwt.Signed(signer).Claims(map[string]any{"iss": "https://idp", "aud": "api", "sub": "u1", "iat": now.Unix(), "exp": now.Unix() + 60}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		jwk := oracle.JSONWebKey{Key: key, KeyID: "k1", Algorithm: string(alg), Use: "sig"}
		if _, symmetric := key.([]byte); !symmetric {
			jwk = jwk.Public()
		}
		doc, err := json.Marshal(oracle.JSONWebKeySet{Keys: []oracle.JSONWebKey{jwk}})
		if err != nil {
			t.Fatal(err)
		}
		set, skipped, err := ParseJWKS(doc)
		if err != nil {
			t.Fatalf("%s: %v %v", alg, err, skipped)
		}
		v := &Verifier{Issuer: "https://idp", Audience: []string{"api"}, Keys: set}
		c, err := v.Verify(context.Background(), token, now)
		if err != nil || c.Subject != "u1" {
			t.Errorf("%s: %v", alg, err)
		}
		for i := 0; i < len(token); i += 7 {
			b := []byte(token)
			b[i] = "AB"[b[i]&1]
			if string(b) != token {
				if _, err := v.Verify(context.Background(), string(b), now); err == nil {
					t.Errorf("%s: believed with byte %d changed", alg, i)
				}
			}
		}
	}
}

// Threat 28: HS256 signed with the text of the public key.
//
//threat:28 HS256 with the text of the public key as secret → refused: the key says its algorithm
func TestThePublicKeyIsNoSecret(t *testing.T) {
	rsaKey, _ := rsa.GenerateKey(rand.Reader, 2048)
	doc, _ := json.Marshal(oracle.JSONWebKeySet{Keys: []oracle.JSONWebKey{{Key: rsaKey.Public(), KeyID: "k1", Algorithm: "RS256"}}})
	set, _, err := ParseJWKS(doc)
	if err != nil {
		t.Fatal(err)
	}
	signer, _ := oracle.NewSigner(oracle.SigningKey{Algorithm: oracle.HS256, Key: oracle.JSONWebKey{Key: doc, KeyID: "k1"}}, nil)
	token, _ := jwt.Signed(signer).Claims(map[string]any{"iss": "https://idp", "aud": "api", "sub": "admin", "iat": now.Unix(), "exp": now.Unix() + 60}).Serialize()
	_, err = (&Verifier{Issuer: "https://idp", Audience: []string{"api"}, Keys: set}).Verify(context.Background(), token, now)
	var e *Error
	if !errors.As(err, &e) || e.Reason != Algorithm {
		t.Errorf("got %v", err)
	}
}

//threat:31 a token that was verified and remembered, after its end and after its key is withdrawn → refused
//threat:33 what is remembered of a token → its claims alone, by the hash of the whole token
func TestWhatIsRememberedStillExpires(t *testing.T) {
	v := hsVerifier(t)
	token := hs256(t, `{"alg":"HS256"}`, `{`+goodClaims+`}`)
	first, err := v.Verify(context.Background(), token, now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := v.Verify(context.Background(), token, now.Add(time.Second))
	if err != nil || again != first {
		t.Errorf("not remembered: %v", err)
	}
	if _, err := v.Verify(context.Background(), token, now.Add(time.Hour)); err == nil {
		t.Error("believed after it expired")
	}
	other, _ := NewSecret("", []byte(strings.Repeat("x", 32)))
	set, _ := NewKeySet(other)
	v.Keys = set
	if _, err := v.Verify(context.Background(), token, now); err == nil {
		t.Error("believed after its key was withdrawn (threat 31)")
	}
	if n := testing.AllocsPerRun(100, func() { v.Keys = set; v.memory.find([32]byte{}, 0) }); n > 0 {
		t.Errorf("%v allocations to remember", n)
	}
}

func TestARememberedTokenAllocatesNothing(t *testing.T) {
	v := hsVerifier(t)
	token := hs256(t, `{"alg":"HS256"}`, `{`+goodClaims+`}`)
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() { v.Verify(ctx, token, now) }); n > 1 {
		t.Errorf("%v allocations, want at most 1", n)
	}
}

// Threat 32: tokens with made-up key ids cost the issuer one fetch an interval, and good tokens pass all the while.
//
//threat:32 2,000 tokens with made-up key ids → one fetch, and good tokens pass all the while
func TestUnknownKeysDoNotHammerTheIssuer(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	s := NewSigner(key)
	var fetches, broken atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetches.Add(1)
		if broken.Load() == 1 {
			http.Error(w, "away", 500)
			return
		}
		w.Write(s.JWKS())
	}))
	defer srv.Close()
	var mu sync.Mutex
	clock := now
	at := func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	forward := func(d time.Duration) { mu.Lock(); clock = clock.Add(d); mu.Unlock() }
	remote, err := NewRemote(srv.URL, nil, false, at)
	if err != nil {
		t.Fatal(err)
	}
	v := &Verifier{Issuer: "https://idp", Audience: []string{"api"}, Keys: remote}
	good, _ := s.Sign("at+jwt", map[string]any{"iss": "https://idp", "aud": "api", "sub": "u1", "iat": now.Unix(), "exp": now.Unix() + 3600*5})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 250 {
				bad := b64(fmt.Sprintf(`{"alg":"EdDSA","kid":"%d-%d"}`, g, i)) + "." + b64(`{}`) + "." + b64("x")
				if _, err := v.Verify(context.Background(), bad, now); err == nil {
					t.Error("believed")
				}
				if _, err := v.Verify(context.Background(), good, now); err != nil {
					t.Errorf("a good token suffered: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n := fetches.Load(); n > 1 {
		t.Errorf("%d fetches in one interval", n)
	}
	broken.Store(1)
	forward(10 * time.Minute)
	if _, err := v.Verify(context.Background(), good, now); err != nil {
		t.Errorf("the last good set does not serve while the issuer is away: %v", err)
	}
	forward(2 * time.Hour)
	_, err = v.Verify(context.Background(), good, now)
	var e *Error
	if !errors.As(err, &e) || !e.Unavailable() {
		t.Errorf("a stale set is believed: %v", err)
	}
}

//threat:46 key sets behind redirects, of 300 KiB, at other schemes → refused
func TestRemoteRefusesOddPlaces(t *testing.T) {
	for _, u := range []string{"http://example.com/jwks", "ftp://127.0.0.1/x", "not a url", "file:///etc/passwd"} {
		if _, err := NewRemote(u, nil, false, time.Now); err == nil {
			t.Errorf("%s was accepted", u)
		}
	}
	hop := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	defer hop.Close()
	r, err := NewRemote(hop.URL, nil, false, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Keys(context.Background(), ""); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("redirect: %v", err)
	}
	big := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 300<<10)) }))
	defer big.Close()
	r, _ = NewRemote(big.URL, nil, false, time.Now)
	if _, err := r.Keys(context.Background(), ""); err == nil {
		t.Error("300 KiB of keys were read")
	}
}

func TestSignerRoundTrip(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	again, err := ParseKey(MarshalKey(key))
	if err != nil || !again.Equal(key) {
		t.Fatal(err)
	}
	s := NewSigner(key)
	set, _, err := ParseJWKS(s.JWKS())
	if err != nil || set.Len() != 1 {
		t.Fatal(err)
	}
}

func FuzzVerify(f *testing.F) {
	v := hsVerifier(f)
	f.Add(hs256(f, `{"alg":"HS256"}`, `{`+goodClaims+`}`))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		c, err := v.Verify(context.Background(), token, now)
		if (c == nil) == (err == nil) {
			t.Errorf("neither or both: %v %v", c, err)
		}
		if iss, ok := PeekIssuer(token); err == nil && (!ok || iss != c.Issuer) {
			t.Errorf("peeked %q", iss)
		}
	})
}

func FuzzParseJWKS(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if set, _, err := ParseJWKS(b); err == nil && set.Len() == 0 {
			t.Error("an empty set was accepted")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	s := NewSigner(key)
	set, _ := NewKeySet(s.Key())
	token, _ := s.Sign("at+jwt", map[string]any{"iss": "https://idp", "aud": "api", "sub": "u1", "iat": now.Unix(), "exp": now.Unix() + 3600})
	b.Run("EdDSA/cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v := &Verifier{Issuer: "https://idp", Audience: []string{"api"}, Keys: set}
			if _, err := v.Verify(context.Background(), token, now); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("EdDSA/remembered", func(b *testing.B) {
		v := &Verifier{Issuer: "https://idp", Audience: []string{"api"}, Keys: set}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(context.Background(), token, now); err != nil {
				b.Fatal(err)
			}
		}
	})
}
