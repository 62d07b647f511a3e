package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/store"
)

// ActKind names what a Manager did.
type ActKind string

const (
	KeyCreated      ActKind = "key.create"
	KeyRotated      ActKind = "key.rotate"
	KeyRevoked      ActKind = "key.revoke"
	KeyDisabled     ActKind = "key.disable"
	KeyEnabled      ActKind = "key.enable"
	UserAdded       ActKind = "user.add"
	UserDisabled    ActKind = "user.disable"
	UserEnabled     ActKind = "user.enable"
	RolesChanged    ActKind = "user.roles"
	PasswordChanged ActKind = "user.passwd"
	TokensRevoked   ActKind = "token.revoke"
)

// Act is what was done, for the caller's event. It holds no secret. Fields that say nothing about the act are zero.
type Act struct {
	Kind    ActKind
	At      time.Time
	Target  string // id of the key, name of the user, value of the revocation
	Subject string // owner of the key, subject of the user, issuer of the revocation
	From    string // id of the key that was rotated
	Roles   []string
	Scopes  []string
	Expires time.Time // of the key
	Ends    time.Time // of the key that was rotated
}

// ManagerOptions are what a Manager works with; zero values mean the defaults.
type ManagerOptions struct {
	Issuer string           // id of the issuer whose subjects are the store's users: "embedded"
	Now    func() time.Time // time.Now
	Random io.Reader        // crypto/rand.Reader

	// Directory is the read model of this process; it is refreshed after every act, so that what an act took away is gone
	// when the act returns. nil where no gate runs.
	Directory interface {
		Refresh(context.Context) error
	}
}

// Manager makes and ends credentials. It is safe for concurrent use.
type Manager struct {
	store   Store
	peppers *Peppers
	hasher  *Hasher
	options ManagerOptions
}

// NewManager returns a manager of the store's rows.
func NewManager(s Store, peppers *Peppers, hasher *Hasher, o ManagerOptions) (*Manager, error) {
	if s == nil || peppers == nil || hasher == nil {
		return nil, errors.New("a manager needs a store, peppers and a hasher")
	}
	if o.Issuer == "" {
		o.Issuer = "embedded"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	return &Manager{s, peppers, hasher, o}, nil
}

func (m *Manager) now() time.Time { return m.options.Now().UTC().Truncate(time.Microsecond) }

// changed refreshes this process's read model. The act is done and durable whether or not that succeeds: the directory
// tries again by itself, and refuses when it cannot.
func (m *Manager) changed(ctx context.Context) {
	if m.options.Directory != nil {
		_ = m.options.Directory.Refresh(ctx)
	}
}

// NewKey is a request for a key.
type NewKey struct {
	Environment Environment // Live when empty
	Owner       string      // compulsory
	Purpose     string      // compulsory
	Scopes      []string
	Scoped      bool
	Roles       []string
	AllowIPs    []netip.Prefix
	Expires     time.Time // compulsory, within twelve months
}

// Issued is a new key with its text, which is shown once and cannot be had again.
type Issued struct {
	Key    *APIKey
	Secret string
}

// String keeps the secret out of logs.
func (i Issued) String() string { return i.Key.Prefix() }

// GoString keeps the secret out of %#v.
func (i Issued) GoString() string { return i.String() }

// CreateKey makes a key. It fails with an *InvalidError or a store's error.
func (m *Manager) CreateKey(ctx context.Context, n NewKey) (Issued, Act, error) {
	now := m.now()
	if n.Environment == "" {
		n.Environment = Live
	}
	k := &APIKey{Environment: n.Environment, Owner: n.Owner, Purpose: n.Purpose, Scoped: n.Scoped || len(n.Scopes) > 0,
		Scopes: slices.Clone(n.Scopes), Roles: slices.Clone(n.Roles), Created: now, Expires: n.Expires.UTC().Truncate(time.Microsecond)}
	for _, p := range n.AllowIPs {
		k.AllowIPs = append(k.AllowIPs, plain(p))
	}
	if err := checkKey(k, now); err != nil {
		return Issued{}, Act{}, err
	}
	if err := m.checkOwner(ctx, k); err != nil {
		return Issued{}, Act{}, err
	}
	text, err := m.seal(k)
	if err == nil {
		err = m.store.CreateKey(ctx, k)
	}
	if err != nil {
		return Issued{}, Act{}, fmt.Errorf("creating key: %w", err)
	}
	m.changed(ctx)
	return Issued{k, text}, m.act(KeyCreated, now, k), nil
}

// seal gives a key its id and its hash, and returns its text.
func (m *Manager) seal(k *APIKey) (string, error) {
	text, err := Generate(m.options.Random, k.Environment)
	if err != nil {
		return "", err
	}
	p, err := Parse(text)
	if err != nil {
		return "", err
	}
	k.ID, k.PepperID = p.ID, m.peppers.Current()
	hash, ok := m.peppers.sum(k.PepperID, p)
	if !ok {
		return "", ErrPepper
	}
	k.Hash = hash
	return text, nil
}

func (m *Manager) act(kind ActKind, at time.Time, k *APIKey) Act {
	return Act{Kind: kind, At: at, Target: k.ID, Subject: k.Owner, From: k.RotatedFrom, Roles: k.Roles, Scopes: k.Scopes, Expires: k.Expires}
}

// checkOwner refuses a key for a disabled user, or with roles the user lacks. An owner who is no user is a service.
func (m *Manager) checkOwner(ctx context.Context, k *APIKey) error {
	u, err := m.store.UserBySubject(ctx, k.Owner)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking up owner: %w", err)
	}
	if u.Disabled {
		return invalid("owner", "%q is a disabled user", k.Owner)
	}
	for _, r := range k.Roles {
		if !slices.Contains(u.Roles, r) {
			return invalid("roles", "%q is not held by the owner", r)
		}
	}
	return nil
}

// RotateKey makes a successor with the same rights and the same lifetime, starting now. The old key lives for the overlap
// and never beyond its own expiry; an overlap of zero ends it at once. Of concurrent rotations of one key one succeeds,
// the others fail with store.ErrConflict.
func (m *Manager) RotateKey(ctx context.Context, id string, overlap time.Duration) (Issued, Act, error) {
	if overlap < 0 {
		return Issued{}, Act{}, invalid("overlap", "must not be negative")
	}
	now := m.now()
	old, err := m.store.Key(ctx, id)
	if err != nil {
		return Issued{}, Act{}, fmt.Errorf("rotating key %s: %w", id, err)
	}
	switch {
	case !old.Revoked.IsZero():
		return Issued{}, Act{}, invalid("key", "%s is revoked: create a new one", id)
	case old.Disabled:
		return Issued{}, Act{}, invalid("key", "%s is disabled: enable it first", id)
	case !now.Before(old.Ends()):
		return Issued{}, Act{}, invalid("key", "%s has expired: create a new one", id)
	}
	k := &APIKey{Environment: old.Environment, Owner: old.Owner, Purpose: old.Purpose, Scopes: old.Scopes, Scoped: old.Scoped,
		Roles: old.Roles, AllowIPs: old.AllowIPs, Created: now, Expires: now.Add(old.Expires.Sub(old.Created)), RotatedFrom: id}
	if latest := now.AddDate(0, maxLifetimeMonths, 0); k.Expires.After(latest) {
		k.Expires = latest
	}
	if err := m.checkOwner(ctx, k); err != nil {
		return Issued{}, Act{}, err
	}
	ends := now.Add(overlap)
	if ends.After(old.Expires) {
		ends = old.Expires
	}
	text, err := m.seal(k)
	if err == nil {
		err = m.store.RotateKey(ctx, k, ends)
	}
	if err != nil {
		return Issued{}, Act{}, fmt.Errorf("rotating key %s: %w", id, err)
	}
	m.changed(ctx)
	a := m.act(KeyRotated, now, k)
	a.Ends = ends
	return Issued{k, text}, a, nil
}

// RevokeKey ends a key for good. Revoking again is no error and keeps the first time.
func (m *Manager) RevokeKey(ctx context.Context, id string) (Act, error) {
	return m.keyAct(ctx, KeyRevoked, "revoking", id, func(at time.Time) error { return m.store.RevokeKey(ctx, id, at) })
}

// DisableKey switches a key off until EnableKey.
func (m *Manager) DisableKey(ctx context.Context, id string) (Act, error) {
	return m.keyAct(ctx, KeyDisabled, "disabling", id, func(time.Time) error { return m.store.SetKeyDisabled(ctx, id, true) })
}

// EnableKey undoes DisableKey; it revives no revoked or expired key.
func (m *Manager) EnableKey(ctx context.Context, id string) (Act, error) {
	return m.keyAct(ctx, KeyEnabled, "enabling", id, func(time.Time) error { return m.store.SetKeyDisabled(ctx, id, false) })
}

func (m *Manager) keyAct(ctx context.Context, kind ActKind, gerund, id string, change func(time.Time) error) (Act, error) {
	now := m.now()
	k, err := m.store.Key(ctx, id)
	if err == nil {
		err = change(now)
	}
	if err != nil {
		return Act{}, fmt.Errorf("%s key %s: %w", gerund, id, err)
	}
	m.changed(ctx)
	return Act{Kind: kind, At: now, Target: id, Subject: k.Owner}, nil
}

// Key returns one key; store.ErrNotFound.
func (m *Manager) Key(ctx context.Context, id string) (*APIKey, error) {
	k, err := m.store.Key(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("looking up key %s: %w", id, err)
	}
	return k, nil
}

// Keys lists keys by time of creation.
func (m *Manager) Keys(ctx context.Context, f KeyFilter) ([]*APIKey, error) {
	ks, err := m.store.Keys(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("listing keys: %w", err)
	}
	return ks, nil
}
