package authn

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/jose"
	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/plan"
)

// Directory is what tokens are held against on every request: who exists, and what was revoked.
type Directory interface {
	Fresh(now time.Time) error
	Revoked(issuer, subject, jti string, issuedAt time.Time) bool
	RevokedKey(issuer, kid string, issuedAt time.Time) bool
	User(subject string) (*keys.User, error)
}

// Issuers proves tokens. What a token says is believed only of the issuer whose keys proved it.
type Issuers struct {
	directory Directory // nil: nothing can be revoked here
	issuers   []issuer
}

type issuer struct {
	id       string
	url      string
	verifier *jose.Verifier
	rule     *plan.Issuer // nil: our own
}

// NewIssuers returns a prover that believes nobody yet.
func NewIssuers(d Directory) *Issuers { return &Issuers{directory: d} }

// Fine reasons of tokens, beside jose's.
var (
	errIssuer  = errors.New("token_issuer")
	errRevoked = errors.New("token_revoked")
	errUser    = errors.New("token_user_disabled")
)

// Embedded believes our own tokens.
func (t *Issuers) Embedded(e plan.Embedded, s *jose.Signer) error {
	set, err := jose.NewKeySet(s.Key())
	if err != nil {
		return fmt.Errorf("embedded issuer: %w", err)
	}
	t.issuers = append(t.issuers, issuer{EmbeddedIssuer, e.Issuer, &jose.Verifier{Issuer: e.Issuer, Audience: []string{e.Audience},
		Types: []string{"at+jwt"}, Required: []string{"jti"}, MaxLifetime: e.Lifetime, Keys: set}, nil})
	return nil
}

// Foreign believes the tokens of another issuer.
func (t *Issuers) Foreign(is plan.Issuer, v *jose.Verifier) {
	t.issuers = append(t.issuers, issuer{is.ID, is.URL, v, &is})
}

// NewVerifier returns what proves a foreign issuer's tokens, with the keys its rule names.
func NewVerifier(is plan.Issuer, now func() time.Time) (*jose.Verifier, error) {
	v := &jose.Verifier{Issuer: is.URL, Audience: is.Audience, Algorithms: is.Algorithms, Types: is.Types, Required: is.Required,
		MaxLifetime: is.MaxLifetime, Leeway: is.Leeway}
	switch {
	case is.JWKS != "":
		r, err := jose.NewRemote(is.JWKS, is.Algorithms, true, now)
		if err != nil {
			return nil, err
		}
		v.Keys = r
		return v, nil
	case is.PublicKey != "":
		pem, err := os.ReadFile(is.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("reading public key: %w", err)
		}
		k, err := jose.ParsePEM(pem, is.Algorithms...)
		if err != nil {
			return nil, fmt.Errorf("reading public key %s: %w", is.PublicKey, err)
		}
		v.Keys, err = jose.NewKeySet(k)
		return v, err
	case !is.Secret.IsZero():
		secret, err := is.Secret.Fetch()
		if err != nil {
			return nil, err
		}
		k, err := jose.NewSecret("", secret, is.Algorithms...)
		if err != nil {
			return nil, err
		}
		v.Keys, err = jose.NewKeySet(k)
		return v, err
	}
	return nil, errors.New("names no keys")
}

// Token implements Tokens.
func (t *Issuers) Token(x *exchange.Exchange, among []string, text string) (access.Principal, error) {
	claimed, ok := jose.PeekIssuer(text)
	if !ok {
		return access.Principal{}, errMalformed
	}
	for i := range t.issuers {
		is := &t.issuers[i]
		if is.url != claimed || !slices.Contains(among, is.id) {
			continue
		}
		c, err := is.verifier.Verify(x.Request.Context(), text, x.Now)
		if err != nil {
			return access.Principal{}, err
		}
		if err := bound(c.All, x.Request.TLS); err != nil {
			return access.Principal{}, err
		}
		if err := t.standing(is.id, c, x.Now); err != nil {
			return access.Principal{}, err
		}
		if is.rule == nil {
			return t.own(c)
		}
		return is.foreign(c), nil
	}
	return access.Principal{}, errIssuer
}

// standing holds a proven token against the revocations as they are now.
func (t *Issuers) standing(id string, c *jose.Claims, now time.Time) error {
	if t.directory == nil {
		return nil
	}
	if err := t.directory.Fresh(now); err != nil {
		return err
	}
	if t.directory.Revoked(id, c.Subject, c.ID, c.IssuedAt) || t.directory.RevokedKey(id, c.KeyID, c.IssuedAt) {
		return errRevoked
	}
	return nil
}

// own makes the principal of one of our tokens. Roles are the user's as they are now, never the token's.
func (t *Issuers) own(c *jose.Claims) (access.Principal, error) {
	u, err := t.directory.User(c.Subject)
	if err != nil {
		return access.Principal{}, err
	}
	if u.Disabled {
		return access.Principal{}, errUser
	}
	p := principal(c, "/scope")
	p.Kind, p.Issuer, p.Roles = access.User, EmbeddedIssuer, u.Roles
	return p, nil
}

func (is *issuer) foreign(c *jose.Claims) access.Principal {
	p := principal(c, is.rule.ScopesClaim)
	p.Kind, p.Issuer = access.User, is.id
	if client, ok := c.All["client_id"].(string); ok && client == c.Subject {
		p.Kind = access.Service // RFC 9068 §5: the subject is the client itself
	}
	if is.rule.RolesClaim == "" {
		return p
	}
	for _, name := range words(claim(c.All, is.rule.RolesClaim)) {
		for _, m := range is.rule.RoleMap {
			if m.From == name && !slices.Contains(p.Roles, m.To) {
				p.Roles = append(p.Roles, m.To)
			}
		}
	}
	return p
}

// principal takes over what every token may say. A scope claim limits the token, an empty one to nothing.
func principal(c *jose.Claims, scopes string) access.Principal {
	p := access.Principal{Subject: c.Subject, Credential: c.ID, AuthTime: c.AuthTime, Claims: c.All}
	if v := claim(c.All, scopes); v != nil {
		p.Scoped, p.Scopes = true, words(v)
	}
	p.AMR = words(c.All["amr"])
	return p
}

// claim follows a JSON pointer into the claims.
func claim(all map[string]any, pointer string) any {
	var v any = all
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")]
	}
	return v
}

// words reads a list of strings, or a string of words.
func words(v any) []string {
	switch v := v.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}
