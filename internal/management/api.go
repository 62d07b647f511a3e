package management

import (
	"encoding/json"
	"net/netip"
	"time"
)

// NewKey asks for an API key.
type NewKey struct {
	Environment string         `json:"environment,omitempty"` // "live" (default) or "test"
	Owner       string         `json:"owner"`
	Purpose     string         `json:"purpose"`
	Scopes      []string       `json:"scopes,omitempty"`
	Roles       []string       `json:"roles,omitempty"`
	AllowIPs    []netip.Prefix `json:"allow_ips,omitempty"`
	Expires     time.Time      `json:"expires"`
}

// Rotation asks for a key's successor.
type Rotation struct {
	OverlapSeconds int64 `json:"overlap_seconds"` // how long the old key is still accepted; 0 ends it at once
}

// Key is an API key. Secret is its text, told once when it is made.
type Key struct {
	Schema       string         `json:"schema,omitempty"` // "portreeve/key/v1"
	ID           string         `json:"id"`
	Prefix       string         `json:"prefix"` // what may be shown of the text
	Secret       string         `json:"secret,omitempty"`
	Status       string         `json:"status"` // active, overlap (a successor exists), expired, disabled, revoked
	Environment  string         `json:"environment"`
	Owner        string         `json:"owner"`
	Purpose      string         `json:"purpose"`
	Scoped       bool           `json:"scoped"` // scopes limit the key
	Scopes       []string       `json:"scopes"`
	Roles        []string       `json:"roles"`
	AllowIPs     []netip.Prefix `json:"allow_ips"` // none: from anywhere
	Created      time.Time      `json:"created"`
	Expires      time.Time      `json:"expires"`
	Ends         time.Time      `json:"ends"` // when it stops being accepted, revocation aside
	Revoked      time.Time      `json:"revoked,omitzero"`
	RotatedFrom  string         `json:"rotated_from,omitempty"`
	PreviousEnds time.Time      `json:"previous_ends,omitzero"` // of the key that this one replaces
	LastUsed     time.Time      `json:"last_used,omitzero"`
	Warnings     []string       `json:"warnings,omitempty"`
}

// String keeps the secret out of logs.
func (k Key) String() string { return k.Prefix }

// GoString keeps the secret out of %#v.
func (k Key) GoString() string { return k.Prefix }

// KeyList is a page of keys by time of creation.
type KeyList struct {
	Schema string `json:"schema"` // "portreeve/keys/v1"
	Keys   []Key  `json:"keys"`
	More   bool   `json:"more"` // there may be keys behind the last
}

// NewUser asks for a user.
type NewUser struct {
	Name     string   `json:"name"`
	Subject  string   `json:"subject,omitempty"` // the name when empty
	Roles    []string `json:"roles,omitempty"`
	Password string   `json:"password,omitempty"` // none: no password is right
}

// NewPassword is a user's new password.
type NewPassword struct {
	Password string `json:"password"`
}

// User is a user; nothing of the password is in it.
type User struct {
	Schema          string    `json:"schema,omitempty"` // "portreeve/user/v1"
	Name            string    `json:"name"`
	Subject         string    `json:"subject"`
	Roles           []string  `json:"roles"`
	Disabled        bool      `json:"disabled"`
	HasPassword     bool      `json:"has_password"`
	Created         time.Time `json:"created"`
	Changed         time.Time `json:"changed"`
	PasswordChanged time.Time `json:"password_changed,omitzero"`
	Warnings        []string  `json:"warnings,omitempty"`
}

// UserList is all users by name.
type UserList struct {
	Schema string `json:"schema"` // "portreeve/users/v1"
	Users  []User `json:"users"`
}

// NewToken asks for an access token of a user.
type NewToken struct {
	User            string   `json:"user"`
	LifetimeSeconds int64    `json:"lifetime_seconds,omitempty"` // 0: the configuration's
	Scopes          []string `json:"scopes,omitempty"`
	AMR             []string `json:"amr,omitempty"`
}

// Token is an issued token, told once.
type Token struct {
	Schema  string    `json:"schema"` // "portreeve/token/v1"
	ID      string    `json:"id"`     // jti
	Token   string    `json:"token"`
	Subject string    `json:"subject"`
	Expires time.Time `json:"expires"`
}

// String keeps the secret out of logs.
func (t Token) String() string { return "token " + t.ID }

// GoString keeps the secret out of %#v.
func (t Token) GoString() string { return t.String() }

// Presented is a token to look at.
type Presented struct {
	Token string `json:"token"`
}

// Inspection is what a token says and whether the gate would believe it now. The signature is not in it.
type Inspection struct {
	Schema   string          `json:"schema"` // "portreeve/token-inspection/v1"
	Accepted bool            `json:"accepted"`
	Reason   string          `json:"reason,omitempty"`  // why not
	Issuer   string          `json:"issuer,omitempty"`  // id in the configuration, where accepted
	Subject  string          `json:"subject,omitempty"` // where accepted
	Roles    []string        `json:"roles,omitempty"`   // as they are now, where accepted
	Header   json.RawMessage `json:"header"`
	Claims   json.RawMessage `json:"claims"` // as the token says them; proven only where it is accepted
}

// Revocation ends tokens before they expire.
type Revocation struct {
	Schema   string    `json:"schema,omitempty"` // "portreeve/revocation/v1"
	Kind     string    `json:"kind"`             // "jti", "subject" (all until now), "key" (all a key ever signs, by kid)
	Issuer   string    `json:"issuer,omitempty"` // id in the configuration; "embedded" when empty
	Value    string    `json:"value"`
	Revoked  time.Time `json:"revoked,omitzero"`
	Warnings []string  `json:"warnings,omitempty"`
}
