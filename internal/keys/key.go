package keys

import (
	"net/netip"
	"slices"
	"time"
)

// maxLifetimeMonths bounds how far in the future a key may expire.
const maxLifetimeMonths = 12

// APIKey is one key as it is stored; the secret itself is not in it. Values handed out by a Directory are shared and must
// not be written to.
type APIKey struct {
	ID          string // public, 10 digits of base 62
	Environment Environment
	Hash        Digest // HMAC-SHA-256 of the key's text, checksum excluded, under the pepper
	PepperID    string

	Owner   string // subject of the user or name of the service it stands for
	Purpose string

	// Scopes limit the key where Scoped is set: a scoped key without scopes may do nothing that needs one.
	Scopes []string
	Scoped bool
	Roles  []string

	AllowIPs []netip.Prefix // where it may be used from; empty: anywhere

	Created      time.Time
	Expires      time.Time // compulsory
	Disabled     bool      // can be enabled again
	Revoked      time.Time // final; zero: not revoked
	RotatedFrom  string    // id of the key this one replaces
	OverlapUntil time.Time // set when a successor exists: this key ends here, or at Expires if that is earlier
	LastUsed     time.Time // written in batches, about a minute late
}

// Prefix returns what may be shown of the key's text, "ptr_live_0123456789".
func (k *APIKey) Prefix() string { return "ptr_" + string(k.Environment) + "_" + k.ID }

// Ends returns when the key stops being accepted, revocation aside.
func (k *APIKey) Ends() time.Time {
	if !k.OverlapUntil.IsZero() && k.OverlapUntil.Before(k.Expires) {
		return k.OverlapUntil
	}
	return k.Expires
}

// admit decides about a key whose secret was right. The zero key is refused: it expired long ago.
func (k *APIKey) admit(from netip.Addr, now time.Time) error {
	switch {
	case !k.Revoked.IsZero():
		return ErrRevoked
	case k.Disabled:
		return ErrDisabled
	case !now.Before(k.Ends()):
		return ErrExpired
	case !k.allows(from):
		return ErrAddress
	}
	return nil
}

func (k *APIKey) allows(from netip.Addr) bool {
	if len(k.AllowIPs) == 0 {
		return true
	}
	from = from.Unmap()
	return slices.ContainsFunc(k.AllowIPs, func(p netip.Prefix) bool { return p.Contains(from) })
}
