package keys

import "time"

// User is a person who may sign in here. Users are disabled, never deleted: a subject always means the same person.
type User struct {
	Name         string // what one signs in with
	Subject      string // what tokens and owners name, stable
	PasswordHash string // argon2id in PHC form; "" proves no password
	Roles        []string
	Disabled     bool

	Created         time.Time
	Changed         time.Time // any change
	PasswordChanged time.Time

	Version int64 // counts changes; an update names the version it was made from
}

// RevocationKind says what a revocation's value names.
type RevocationKind string

const (
	TokenID    RevocationKind = "jti"     // one token
	Subject    RevocationKind = "subject" // all tokens of a subject, issued before the cutoff
	SigningKey RevocationKind = "key"     // all tokens a key (kid) signed, issued before the cutoff
)

// Revocation ends tokens before they expire. It is identified by its first three fields; a second one for the same only
// ever widens the first.
type Revocation struct {
	Kind   RevocationKind
	Issuer string // the issuer's id in the configuration, "embedded" for our own
	Value  string

	// Cutoff: tokens issued before it are refused. Zero refuses all, whenever issued. Unused for TokenID.
	Cutoff time.Time
	// Until: when no token it covers can be valid any more and it may be forgotten. Zero: never.
	Until   time.Time
	Created time.Time
}

// covers reports whether a token issued then is revoked; a token that does not say when is.
func (r *Revocation) covers(issuedAt time.Time) bool {
	return r.Kind == TokenID || r.Cutoff.IsZero() || issuedAt.Before(r.Cutoff)
}

// expired reports whether the revocation may be forgotten. The margin of a day keeps a clock that jumped from freeing a
// token.
func (r *Revocation) expired(now time.Time) bool {
	return !r.Until.IsZero() && r.Until.Before(forgetBefore(now))
}

func forgetBefore(now time.Time) time.Time { return now.Add(-24 * time.Hour) }
