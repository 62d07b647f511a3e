package authn

import (
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/keys"
)

// Issuer names of principals that are this deployment's own.
const (
	EmbeddedIssuer = "embedded" // users, by token or by a key they own
	KeysIssuer     = "keys"     // services, by key
)

// APIKeys proves keys against the directory.
type APIKeys struct{ Directory *keys.Directory }

// Key implements Keys. A key that a user owns speaks for that user; any other for the service it names.
func (a APIKeys) Key(text string, from netip.Addr, now time.Time) (access.Principal, error) {
	k, err := a.Directory.Authenticate(text, from, now)
	if err != nil {
		return access.Principal{}, err
	}
	p := access.Principal{Kind: access.Service, Issuer: KeysIssuer, Subject: k.Owner, Credential: k.ID, Roles: k.Roles, Scopes: k.Scopes, Scoped: k.Scoped}
	switch _, err := a.Directory.User(k.Owner); err {
	case nil:
		p.Kind, p.Issuer = access.User, EmbeddedIssuer
	case keys.ErrUserUnknown:
	default:
		return access.Principal{}, err
	}
	return p, nil
}
