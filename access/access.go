// Package access is Portreeve's vocabulary: who is calling (Principal), what they call (Operation), on what
// (Object), and what was decided and why (Decision, Reason). A handler behind the gate reads it with From.
//
// The package is a leaf: it imports nothing of Portreeve and decides nothing.
package access

import (
	"context"
	"slices"
	"time"
)

// Kind says what sort of party a principal is.
type Kind uint8

const (
	Anonymous Kind = iota // nobody has been proven; the zero value trusts nobody
	User                  // a person, known by a token
	Service               // a program, known by an API key or a client's own token
)

// String returns "anonymous", "user" or "service".
func (k Kind) String() string {
	switch k {
	case User:
		return "user"
	case Service:
		return "service"
	}
	return "anonymous"
}

// Principal is the proven caller. It is a value: slices in it are shared and must not be written to.
type Principal struct {
	Kind    Kind
	Subject string // the token's sub, or the API key's owner; "" when anonymous
	Issuer  string // id of the configured issuer, "keys" for API keys

	Scheme     string // the document's security scheme that was satisfied, "bearer"
	Credential string // what can be revoked: the token's jti or the key's public id; never a secret

	Roles []string
	// Scopes are the credential's own limits (OAuth scope, an API key's scopes). Scoped says whether it has any
	// at all: a scoped credential with no scopes may do nothing that needs one.
	Scopes []string
	Scoped bool

	AuthTime time.Time // when the person last proved themselves (OIDC auth_time); zero when unknown
	AMR      []string  // how (RFC 8176), "pwd", "otp"

	Claims map[string]any // verified claims, decoded JSON; nil for API keys
}

// Authenticated reports whether anybody has been proven.
func (p *Principal) Authenticated() bool { return p.Kind != Anonymous }

// HasRole reports whether the principal holds the role.
func (p *Principal) HasRole(role string) bool { return slices.Contains(p.Roles, role) }

// HasScope reports whether the credential itself carries the scope.
func (p *Principal) HasScope(scope string) bool { return p.Scoped && slices.Contains(p.Scopes, scope) }

// Operation names one operation of the document.
type Operation struct {
	ID     string // operationId, or "GET /orders/{id}" where the document has none
	Method string
	Path   string // the document's template
}

// Object is the thing an operation reads or changes.
type Object struct {
	Type  string
	ID    string
	Owner string // subject of the owner, "" when unknown
}

// Reason is the fine-grained cause of a decision. It goes to the event, never to the client.
type Reason string

// Decision is what was decided about one exchange, with its reason as data.
type Decision struct {
	Allowed bool
	Stage   string // the stage that decided: "authn", "object"
	Reason  Reason
}

type principalKey struct{}

// With returns a context that carries the principal. The gate calls it; a handler needs only From.
func With(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From returns the principal the gate proved for this request. ok is false outside the gate; an anonymous
// caller of a public operation is ok with Kind Anonymous.
func From(ctx context.Context) (p Principal, ok bool) {
	if q, found := ctx.Value(principalKey{}).(*Principal); found {
		return *q, true
	}
	return Principal{}, false
}
