package deployment

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/gate/authn"
	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/store"
)

// Record does an act of management so that it cannot happen unrecorded: an intent is durable first, then do runs, then
// its outcome follows. actor is who asks, "uid:1000".
func (s *State) Record(ctx context.Context, actor, verb, target string, do func() (keys.Act, error)) error {
	e := &ledger.Event{Kind: ledger.Act, Phase: ledger.Intent, Time: s.Clock(), ID: rand.Text(), Verb: verb, Target: target, Actor: "operator", Subject: actor, Plan: s.Plan().Hash}
	if err := s.Ledger.Append(ctx, e); err != nil {
		return fmt.Errorf("recording %s: %w", verb, err)
	}
	act, err := do()
	e.Phase, e.Time, e.Allowed = ledger.Outcome, s.Clock(), err == nil
	var bad interface{ BadInput() bool }
	switch {
	case err == nil:
		e.Message = "done" + details(act)
	case errors.As(err, &bad) && bad.BadInput(), errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrConflict):
		e.Message = "refused"
	default:
		e.Message = "failed"
	}
	if act.Target != "" {
		e.Target, e.Roles = act.Target, act.Roles
	}
	// The context may have ended meanwhile; what was done is recorded all the same.
	if lerr := s.Ledger.Append(context.WithoutCancel(ctx), e); lerr != nil {
		if err != nil {
			return errors.Join(err, fmt.Errorf("recording the outcome of %s: %w", verb, lerr))
		}
		return fmt.Errorf("%s of %q was done, but its outcome is not recorded: %w", verb, e.Target, lerr)
	}
	return err
}

// details is what an event tells of an act beside its target and roles.
func details(a keys.Act) string {
	var b strings.Builder
	add := func(name, value string) {
		if value != "" {
			b.WriteString("; " + name + " " + value)
		}
	}
	date := func(name string, t time.Time) {
		if !t.IsZero() {
			add(name, t.UTC().Format(time.RFC3339))
		}
	}
	date("expires", a.Expires)
	date("previous ends", a.Ends)
	add("previous", a.From)
	add("subject", a.Subject)
	add("scopes", strings.Join(a.Scopes, " ")) // last: an event has room for so much, and scopes may be many
	return b.String()
}

// Announce records a start, a stop or a reload.
func (s *State) Announce(ctx context.Context, verb, message string) error {
	return s.Ledger.Append(ctx, &ledger.Event{Kind: ledger.Lifecycle, Time: s.Clock(), Verb: verb, Message: message, Plan: s.Plan().Hash})
}

// TokenIssued is an issued token, as an act.
const TokenIssued keys.ActKind = "token.issue"

// LogRead is a look into the ledger, as an act (PCI DSS 10.2.1.3).
const LogRead keys.ActKind = "audit.read"

// MaxTokenLifetime bounds the tokens of the embedded issuer, whatever the configuration says.
const MaxTokenLifetime = time.Hour

// ErrJustRevoked: the user's tokens were revoked within this second, and a token counts whole ones. The next is a new
// start.
var ErrJustRevoked = errors.New("the user's tokens were revoked within this second")

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
	if most := min(e.Lifetime, MaxTokenLifetime); n.Lifetime < time.Second || n.Lifetime > most {
		return Token{}, &keys.InvalidError{Field: "lifetime", Problem: fmt.Sprintf("must be between 1s and %v", most)}
	}
	if err := errors.Join(keys.CheckScopes("scope", n.Scopes), keys.CheckScopes("amr", n.AMR)); err != nil {
		return Token{}, err
	}
	u, err := s.Manager.User(context.Background(), n.User)
	if err != nil {
		return Token{}, fmt.Errorf("issuing token: %w", err)
	}
	if u.Disabled {
		return Token{}, &keys.InvalidError{Field: "user", Problem: n.User + " is disabled"}
	}
	now := s.Clock()
	if err := s.Directory.Fresh(now); err != nil { // it calls everything revoked then
		return Token{}, fmt.Errorf("issuing token: %w", err)
	}
	switch issued := time.Unix(now.Unix(), 0); {
	case s.Directory.RevokedKey(authn.EmbeddedIssuer, s.Signer.KeyID(), issued):
		return Token{}, &keys.InvalidError{Field: "signing key", Problem: fmt.Sprintf("%q is revoked: put another into %s and restart", s.Signer.KeyID(), keys.SigningKeyFile)}
	case s.Directory.Revoked(authn.EmbeddedIssuer, u.Subject, "", issued):
		return Token{}, ErrJustRevoked
	}
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
