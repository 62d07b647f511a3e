package deployment

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/ledger"
)

// Record does an act of management so that it cannot happen unrecorded: an intent is durable first, then do runs, then
// its outcome follows. actor is who asks, "uid:1000".
func (s *State) Record(ctx context.Context, actor, verb, target string, do func() (keys.Act, error)) error {
	e := &ledger.Event{Kind: ledger.Act, Phase: ledger.Intent, Time: s.Clock(), ID: rand.Text(), Verb: verb, Target: target, Actor: "operator", Subject: actor, Plan: s.Plan().Hash}
	if err := s.Ledger.Append(ctx, e); err != nil {
		return fmt.Errorf("recording %s: %w", verb, err)
	}
	act, err := do()
	e.Phase, e.Time, e.Message = ledger.Outcome, s.Clock(), "done"
	if act.Target != "" {
		e.Target, e.Roles = act.Target, act.Roles
	}
	if err != nil {
		e.Message = "refused"
	}
	// The context may have ended meanwhile; what was done is recorded all the same.
	if lerr := s.Ledger.Append(context.WithoutCancel(ctx), e); lerr != nil {
		return errors.Join(err, fmt.Errorf("%s was done, but its outcome is not recorded: %w", verb, lerr))
	}
	return err
}

// Announce records a start, a stop or a reload.
func (s *State) Announce(ctx context.Context, verb, message string) error {
	return s.Ledger.Append(ctx, &ledger.Event{Kind: ledger.Lifecycle, Time: s.Clock(), Verb: verb, Message: message, Plan: s.Plan().Hash})
}

// NewToken asks for a token of a user.
type NewToken struct {
	User     string        // name
	Lifetime time.Duration // at most, and by default, the plan's
	Scopes   []string
	Scoped   bool
	AMR      []string // how the user was proven to whoever asks (RFC 8176)
}

// Token is an issued token.
type Token struct {
	Text    string
	ID      string
	Subject string
	Expires time.Time
}

// claims are those of RFC 9068.
type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience string   `json:"aud"`
	IssuedAt int64    `json:"iat"`
	Expires  int64    `json:"exp"`
	ID       string   `json:"jti"`
	Client   string   `json:"client_id"`
	Scope    *string  `json:"scope,omitempty"`
	AuthTime int64    `json:"auth_time,omitempty"`
	AMR      []string `json:"amr,omitempty"`
}

// IssueToken signs an access token for a user who exists and is enabled (RFC 9068). Roles are not in it: the gate takes
// them from the user as they are when the token is used.
func (s *State) IssueToken(n NewToken) (Token, error) {
	e := s.Plan().Identity.Embedded
	if e == nil || s.Signer == nil {
		return Token{}, &keys.InvalidError{Field: "identity.embedded", Problem: "is not enabled: this gate issues no tokens"}
	}
	if n.Lifetime == 0 {
		n.Lifetime = e.Lifetime
	}
	if n.Lifetime < time.Second || n.Lifetime > e.Lifetime {
		return Token{}, &keys.InvalidError{Field: "lifetime", Problem: fmt.Sprintf("must be between 1s and %v", e.Lifetime)}
	}
	u, err := s.user(n.User)
	if err != nil {
		return Token{}, err
	}
	now := s.Clock()
	c := claims{Issuer: e.Issuer, Subject: u.Subject, Audience: e.Audience, IssuedAt: now.Unix(), Expires: now.Add(n.Lifetime).Unix(), ID: rand.Text(), Client: "portreeve", AMR: n.AMR}
	if len(n.AMR) > 0 {
		c.AuthTime = now.Unix()
	}
	if n.Scoped {
		scope := strings.Join(n.Scopes, " ")
		c.Scope = &scope
	}
	text, err := s.Signer.Sign("at+jwt", c)
	if err != nil {
		return Token{}, fmt.Errorf("signing token: %w", err)
	}
	return Token{text, c.ID, c.Subject, time.Unix(c.Expires, 0)}, nil
}

func (s *State) user(name string) (*keys.User, error) {
	users, err := s.Manager.Users(context.Background())
	if err != nil {
		return nil, err
	}
	for _, u := range users {
		if u.Name != name {
			continue
		}
		if u.Disabled {
			return nil, &keys.InvalidError{Field: "user", Problem: name + " is disabled"}
		}
		return u, nil
	}
	return nil, &keys.InvalidError{Field: "user", Problem: name + " does not exist"}
}
