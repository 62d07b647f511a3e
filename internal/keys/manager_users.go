package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/store"
)

// NewUser is a request for a user.
type NewUser struct {
	Name     string   // compulsory: lower-case letters, digits and ._@+-
	Subject  string   // what tokens call the user; the name when empty
	Password string   // may be empty: then no password is right
	Roles    []string // every key and token of the user is narrowed to these
}

// AddUser makes a user. It fails with an *InvalidError, ErrBusy or a store's error.
func (m *Manager) AddUser(ctx context.Context, n NewUser) (*User, Act, error) {
	now := m.now()
	if n.Subject == "" {
		n.Subject = n.Name
	}
	u := &User{Name: n.Name, Subject: n.Subject, Roles: slices.Clone(n.Roles), Created: now, Changed: now, Version: 1}
	if err := checkUser(u); err != nil {
		return nil, Act{}, err
	}
	if n.Password != "" {
		hash, err := m.hasher.Hash(ctx, n.Password)
		if err != nil {
			return nil, Act{}, fmt.Errorf("adding user %q: %w", n.Name, err)
		}
		u.PasswordHash, u.PasswordChanged = hash, now
	}
	if err := m.store.CreateUser(ctx, u); err != nil {
		if errors.Is(err, store.ErrConflict) {
			err = fmt.Errorf("%w: a user has that name or subject already", store.ErrConflict)
		}
		return nil, Act{}, fmt.Errorf("adding user %q: %w", n.Name, err)
	}
	m.changed(ctx)
	return u, userAct(UserAdded, u), nil
}

func userAct(kind ActKind, u *User) Act {
	return Act{Kind: kind, At: u.Changed, Target: u.Name, Subject: u.Subject, Roles: u.Roles}
}

// User returns the user of that name; store.ErrNotFound.
func (m *Manager) User(ctx context.Context, name string) (*User, error) {
	u, err := m.store.User(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("looking up user %q: %w", name, err)
	}
	return u, nil
}

// Users lists all users by name.
func (m *Manager) Users(ctx context.Context) ([]*User, error) {
	us, err := m.store.Users(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing users: %w", err)
	}
	return us, nil
}

// DisableUser ends the user's tokens and stops their keys, with one commit. Enabling brings back the keys, not the tokens.
func (m *Manager) DisableUser(ctx context.Context, name string) (Act, error) {
	return m.userAct(ctx, UserDisabled, "disabling", name, true, func(u *User) { u.Disabled = true })
}

// EnableUser undoes DisableUser.
func (m *Manager) EnableUser(ctx context.Context, name string) (Act, error) {
	return m.userAct(ctx, UserEnabled, "enabling", name, false, func(u *User) { u.Disabled = false })
}

// SetRoles replaces the user's roles. Tokens issued before end, for they may carry the old ones.
func (m *Manager) SetRoles(ctx context.Context, name string, roles []string) (Act, error) {
	if err := checkRoles(roles); err != nil {
		return Act{}, err
	}
	return m.userAct(ctx, RolesChanged, "changing roles of", name, true, func(u *User) { u.Roles = slices.Clone(roles) })
}

// SetPassword replaces the user's password and ends all tokens issued before.
func (m *Manager) SetPassword(ctx context.Context, name, password string) (Act, error) {
	hash, err := m.hasher.Hash(ctx, password)
	if err != nil {
		return Act{}, fmt.Errorf("changing password of user %q: %w", name, err)
	}
	return m.userAct(ctx, PasswordChanged, "changing password of", name, true, func(u *User) {
		u.PasswordHash, u.PasswordChanged = hash, u.Changed
	})
}

// attempts bounds how often a change is made again because another one came between reading and writing.
const attempts = 8

func (m *Manager) userAct(ctx context.Context, kind ActKind, gerund, name string, endTokens bool, change func(*User)) (Act, error) {
	for try := 1; ; try++ {
		u, err := m.store.User(ctx, name)
		if err != nil {
			return Act{}, fmt.Errorf("%s user %q: %w", gerund, name, err)
		}
		u.Changed = m.now()
		change(u)
		var revoke []Revocation
		if endTokens {
			revoke = append(revoke, m.all(Subject, m.options.Issuer, u.Subject, u.Changed))
		}
		err = m.store.UpdateUser(ctx, u, revoke...)
		if errors.Is(err, store.ErrConflict) && try < attempts {
			continue
		}
		if err != nil {
			return Act{}, fmt.Errorf("%s user %q: %w", gerund, name, err)
		}
		m.changed(ctx)
		return userAct(kind, u), nil
	}
}

// VerifyPassword returns the user whose name and password these are. It fails with ErrUserUnknown, ErrWrongPassword or
// ErrUserDisabled, all after the same work, with ErrBusy, or with a store's error.
func (m *Manager) VerifyPassword(ctx context.Context, name, password string) (*User, error) {
	u, err := m.store.User(ctx, name)
	known := err == nil
	if !known {
		if !errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("looking up user: %w", err)
		}
		u = &User{}
	}
	ok, err := m.hasher.Verify(ctx, u.PasswordHash, password)
	switch {
	case err != nil:
		return nil, err
	case !known:
		return nil, ErrUserUnknown
	case !ok:
		return nil, ErrWrongPassword
	case u.Disabled:
		return nil, ErrUserDisabled
	}
	return u, nil
}

// foreignSkew is how far a foreign issuer's clock may be ahead and its tokens still be believed: their iat may lie that
// far in our future.
const foreignSkew = time.Minute

// all returns the revocation of everything issued until now. iat counts whole seconds: the cutoff is the end of the
// current one, and a token issued later in it is refused with those before.
func (m *Manager) all(kind RevocationKind, issuer, value string, now time.Time) Revocation {
	cutoff := now.Truncate(time.Second).Add(time.Second)
	if issuer != m.options.Issuer {
		cutoff = cutoff.Add(foreignSkew)
	}
	return Revocation{Kind: kind, Issuer: issuer, Value: value, Cutoff: cutoff, Created: now}
}

// RevokeToken ends one token by its jti. expires is the token's exp, after which the revocation may be forgotten; zero
// keeps it for ever. issuer is the issuer's id in the configuration, "embedded" for our own.
func (m *Manager) RevokeToken(ctx context.Context, issuer, jti string, expires time.Time) (Act, error) {
	return m.revoke(ctx, Revocation{Kind: TokenID, Issuer: issuer, Value: jti, Until: expires.UTC(), Created: m.now()})
}

// RevokeSubject ends all tokens of a subject issued until now; of a foreign issuer, also those of the next minute.
func (m *Manager) RevokeSubject(ctx context.Context, issuer, subject string) (Act, error) {
	return m.revoke(ctx, m.all(Subject, issuer, subject, m.now()))
}

// RevokeSigningKey ends every token the key ever signs: the key has leaked, so what it says of a time proves nothing.
func (m *Manager) RevokeSigningKey(ctx context.Context, issuer, kid string) (Act, error) {
	return m.revoke(ctx, Revocation{Kind: SigningKey, Issuer: issuer, Value: kid, Created: m.now()})
}

func (m *Manager) revoke(ctx context.Context, r Revocation) (Act, error) {
	for _, t := range []struct{ field, value string }{{"issuer", r.Issuer}, {string(r.Kind), r.Value}} {
		if err := checkText(t.field, t.value, 512); err != nil {
			return Act{}, err
		}
	}
	r.Until = r.Until.Truncate(time.Microsecond)
	if err := m.store.Revoke(ctx, r, forgetBefore(r.Created)); err != nil {
		return Act{}, fmt.Errorf("revoking %s %q of %q: %w", r.Kind, r.Value, r.Issuer, err)
	}
	m.changed(ctx)
	return Act{Kind: TokensRevoked, At: r.Created, Target: r.Value, Subject: r.Issuer}, nil
}

// Revocations lists all revocations, oldest first.
func (m *Manager) Revocations(ctx context.Context) ([]Revocation, error) {
	rs, err := m.store.Revocations(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing revocations: %w", err)
	}
	return rs, nil
}
