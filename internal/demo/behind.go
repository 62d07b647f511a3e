package demo

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Caller is who a request was proven to come from.
type Caller struct {
	Subject string
	Roles   []string
	Strong  bool // proven lately by more than one factor
}

// ErrUnproven is a credential that is not believed.
var ErrUnproven = errors.New("the credential is not believed")

type callerKey struct{}

// AssertionHeader carries the gate's word on who is calling.
const AssertionHeader = "Portreeve-Assertion"

const assertionType = "portreeve-assertion+jwt"

// Assertions says whose word is taken.
type Assertions struct {
	JWKS     []byte // of the gate: GET /.portreeve/oidc/jwks
	Issuer   string // the gate's URL
	Audience string
	Now      func() time.Time
}

type assertion struct {
	jwt.Claims
	Roles  []string `json:"roles"`
	Method string   `json:"htm"`
	Path   string   `json:"htu"`
}

const maxJWKS = 64 << 10

// FetchJWKS asks the gate for its public keys, as an API behind it does when it starts. Of an https gate it believes the
// given roots alone.
func FetchJWKS(ctx context.Context, gate string, roots *x509.CertPool) ([]byte, error) {
	client := newClient(roots)
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, gate+"/.portreeve/oidc/jwks", nil)
	if err != nil {
		return nil, fmt.Errorf("fetching the gate's keys: %w", err)
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("fetching the gate's keys: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("fetching the gate's keys: %w", err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("fetching the gate's keys: it answered %d", resp.StatusCode)
	case len(b) > maxJWKS:
		return nil, errors.New("fetching the gate's keys: the answer is too long")
	}
	return b, nil
}

// Behind lets nothing through that does not come by way of the gate: each request needs an assertion that the gate
// signed for this very method and path within the last minute. The caller it names is the handler's, and the address
// the gate saw becomes the request's.
func Behind(next http.Handler, a Assertions) (http.Handler, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(a.JWKS, &set); err != nil {
		return nil, fmt.Errorf("reading the gate's keys: %w", err)
	}
	if len(set.Keys) == 0 || a.Issuer == "" || a.Audience == "" {
		return nil, errors.New("assertions need keys, an issuer and an audience")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, err := a.verify(set, r)
		if err != nil {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.WriteHeader(http.StatusForbidden)
			w.Write([]byte("only the gate may call here\n"))
			return
		}
		if claims.Subject != "" {
			r = r.WithContext(context.WithValue(r.Context(), callerKey{}, Caller{claims.Subject, claims.Roles, true})) // the gate asked for the second factor
		}
		r = r.Clone(r.Context())
		r.RemoteAddr = net.JoinHostPort(r.Header.Get("X-Forwarded-For"), "0")
		next.ServeHTTP(w, r)
	}), nil
}

func (a Assertions) verify(set jose.JSONWebKeySet, r *http.Request) (*assertion, error) {
	shown := r.Header.Values(AssertionHeader)
	if len(shown) != 1 {
		return nil, ErrUnproven
	}
	token, err := jwt.ParseSigned(shown[0], []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, err
	}
	if len(token.Headers) != 1 || token.Headers[0].ExtraHeaders[jose.HeaderType] != assertionType {
		return nil, ErrUnproven // another token of the same key is no assertion (RFC 8725 §3.11)
	}
	keys := set.Key(token.Headers[0].KeyID)
	if len(keys) != 1 {
		return nil, ErrUnproven
	}
	claims := new(assertion)
	if err := token.Claims(keys[0].Key, claims); err != nil {
		return nil, err
	}
	if claims.Expiry == nil || claims.IssuedAt == nil || claims.Expiry.Time().Sub(claims.IssuedAt.Time()) > time.Minute+time.Second {
		return nil, ErrUnproven
	}
	if err := claims.ValidateWithLeeway(jwt.Expected{Issuer: a.Issuer, AnyAudience: jwt.Audience{a.Audience}, Time: a.Now()}, 5*time.Second); err != nil {
		return nil, err
	}
	// The gate asks GET where it was asked HEAD.
	methods := []string{r.Method}
	if r.Method == http.MethodGet {
		methods = append(methods, http.MethodHead)
	}
	if !slices.Contains(methods, claims.Method) || claims.Path != r.URL.EscapedPath() {
		return nil, ErrUnproven
	}
	return claims, nil
}
