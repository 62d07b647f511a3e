package management

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/keys"
)

func (h *handler) issueToken(ctx context.Context, r *http.Request) (any, error) {
	n, err := read[NewToken](r)
	if err != nil {
		return nil, err
	}
	if err := keys.CheckName(n.User); err != nil {
		return nil, err
	}
	const day = 24 * 60 * 60
	if n.LifetimeSeconds < 0 || n.LifetimeSeconds > day {
		return nil, &keys.InvalidError{Field: "lifetime", Problem: "is out of bounds"}
	}
	var t deployment.Token
	err = h.record(ctx, deployment.TokenIssued, n.User, func() (keys.Act, error) {
		for {
			var err error
			t, err = h.state.IssueToken(deployment.NewToken{User: n.User, Lifetime: time.Duration(n.LifetimeSeconds) * time.Second,
				Scopes: n.Scopes, Scoped: len(n.Scopes) > 0, AMR: n.AMR})
			// The user's tokens were just revoked, in this very second: the next one is a new start.
			if !errors.Is(err, deployment.ErrJustRevoked) {
				return keys.Act{Kind: deployment.TokenIssued, Target: t.ID, Subject: t.Subject, Scopes: n.Scopes, Expires: t.Expires}, err
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return keys.Act{}, err
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return Token{"portreeve/token/v1", t.ID, t.Text, t.Subject, t.Expires}, nil
}

func (h *handler) inspectToken(ctx context.Context, r *http.Request) (any, error) {
	n, err := read[Presented](r)
	if err != nil {
		return nil, err
	}
	i, err := h.state.InspectToken(ctx, n.Token)
	if err != nil {
		return nil, err
	}
	out := Inspection{Schema: "portreeve/token-inspection/v1", Accepted: i.Refusal == "", Reason: i.Refusal, Header: i.Header, Claims: i.Claims}
	if out.Accepted {
		out.Issuer, out.Subject, out.Roles = i.Principal.Issuer, i.Principal.Subject, i.Principal.Roles
	}
	return out, nil
}

// embedded is the id of our own issuer.
const embedded = "embedded"

func (h *handler) revokeTokens(ctx context.Context, r *http.Request) (any, error) {
	n, err := read[Revocation](r)
	if err != nil {
		return nil, err
	}
	if n.Issuer == "" {
		n.Issuer = embedded
	}
	if err := h.knownIssuer(n.Issuer); err != nil {
		return nil, err
	}
	m := h.state.Manager
	var revoke func() (keys.Act, error)
	switch keys.RevocationKind(n.Kind) {
	case keys.TokenID:
		var until time.Time // a foreign token's end is not ours to know
		if n.Issuer == embedded {
			until = h.state.Clock().Add(deployment.MaxTokenLifetime)
		}
		revoke = func() (keys.Act, error) { return m.RevokeToken(ctx, n.Issuer, n.Value, until) }
	case keys.Subject:
		revoke = func() (keys.Act, error) { return m.RevokeSubject(ctx, n.Issuer, n.Value) }
	case keys.SigningKey:
		revoke = func() (keys.Act, error) { return m.RevokeSigningKey(ctx, n.Issuer, n.Value) }
	default:
		return nil, &keys.InvalidError{Field: "kind", Problem: "must be jti, subject or key"}
	}
	out := Revocation{Schema: "portreeve/revocation/v1", Kind: n.Kind, Issuer: n.Issuer, Value: n.Value}
	if out.Warnings, err = h.doubts(ctx, n); err != nil {
		return nil, err
	}
	err = h.record(ctx, keys.TokensRevoked, n.Kind+" "+n.Value, func() (keys.Act, error) {
		act, err := revoke()
		out.Revoked = act.At
		return act, err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// knownIssuer refuses a revocation that could take nothing away because no such issuer is believed.
func (h *handler) knownIssuer(id string) error {
	p := h.state.Plan()
	if id == embedded || p.Hash == "" {
		return nil
	}
	for _, is := range p.Identity.Issuers {
		if is.ID == id {
			return nil
		}
	}
	return &keys.InvalidError{Field: "issuer", Problem: fmt.Sprintf("%q is not in the configuration", id)}
}

// doubts says where a revocation of our own tokens may not do what was meant. It is made all the same.
func (h *handler) doubts(ctx context.Context, n Revocation) ([]string, error) {
	if n.Issuer != embedded {
		return nil, nil
	}
	switch keys.RevocationKind(n.Kind) {
	case keys.SigningKey:
		if id := h.state.Signer.KeyID(); n.Value != id {
			return []string{fmt.Sprintf("this gate signs with the key %q, not with %q", id, n.Value)}, nil
		}
		return []string{"no token can be issued until another signing-key.pem stands in the data directory and the gate was restarted"}, nil
	case keys.Subject:
		users, err := h.state.Manager.Users(ctx)
		if err != nil {
			return nil, err
		}
		var named string
		for _, u := range users {
			if u.Subject == n.Value {
				return nil, nil
			}
			if u.Name == n.Value {
				named = fmt.Sprintf("; the subject of the user of that name is %q", u.Subject)
			}
		}
		return []string{fmt.Sprintf("no user has the subject %q%s", n.Value, named)}, nil
	}
	return nil, nil
}
