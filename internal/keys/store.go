package keys

import (
	"context"
	"time"
)

// Store is all a Manager needs. Implementations pass storetest.Run. Their errors wrap those of package store:
// ErrNotFound, ErrConflict, ErrUnavailable, ErrCorrupt. Times are kept to the microsecond. Every act is one transaction,
// durable when the method returns.
type Store interface {
	KeyStore
	UserStore
	RevocationStore
}

// KeyStore keeps API keys. None is ever removed.
type KeyStore interface {
	// CreateKey adds a key; ErrConflict when its id exists.
	CreateKey(ctx context.Context, k *APIKey) error
	// Key returns one key; ErrNotFound.
	Key(ctx context.Context, id string) (*APIKey, error)
	// Keys lists keys by time of creation.
	Keys(ctx context.Context, f KeyFilter) ([]*APIKey, error)
	// RotateKey adds the successor and sets the end of the key named by its RotatedFrom, at once; ErrConflict when that
	// key has a successor already or is revoked, ErrNotFound.
	RotateKey(ctx context.Context, successor *APIKey, overlapUntil time.Time) error
	// RevokeKey revokes a key; the first time stays when it was already. ErrNotFound.
	RevokeKey(ctx context.Context, id string, at time.Time) error
	// SetKeyDisabled switches a key off or on; ErrNotFound.
	SetKeyDisabled(ctx context.Context, id string, disabled bool) error
}

// KeyFilter selects keys.
type KeyFilter struct {
	Owner string // "": all
	After string // id of the last key of the previous page
	Limit int    // 0: no limit
}

// UserStore keeps users. None is ever removed.
type UserStore interface {
	// CreateUser adds a user at version 1; ErrConflict when the name or the subject exists.
	CreateUser(ctx context.Context, u *User) error
	// User returns the user of that name; ErrNotFound.
	User(ctx context.Context, name string) (*User, error)
	// UserBySubject returns the user of that subject; ErrNotFound.
	UserBySubject(ctx context.Context, subject string) (*User, error)
	// Users lists users by name.
	Users(ctx context.Context) ([]*User, error)
	// UpdateUser replaces a user who is still at u.Version, and adds the revocations, at once. The name, the subject and
	// the time of creation stay. ErrConflict when the user has moved on, ErrNotFound.
	UpdateUser(ctx context.Context, u *User, revoke ...Revocation) error
}

// RevocationStore keeps revocations.
type RevocationStore interface {
	// Revoke adds a revocation or widens the one of the same kind, issuer and value: the later cutoff and the later end
	// win, zero being the latest. Revocations that ended before forget are removed.
	Revoke(ctx context.Context, r Revocation, forget time.Time) error
	// Revocations lists them all, oldest first.
	Revocations(ctx context.Context) ([]Revocation, error)
}

// Feed tells what changed. It is what a Directory polls.
type Feed interface {
	// Position returns the position of the last committed change. It is cheap.
	Position(ctx context.Context) (Position, error)
	// Since returns the state of everything that changed after p, as one consistent reading. A p of another store, or
	// ahead of this one (a backup came back), gives everything.
	Since(ctx context.Context, p Position) (*Changes, error)
}

// Position is a point in a store's history. The zero value lies before everything.
type Position struct {
	Store string // identity of the store, made once
	Seq   int64  // changes are numbered in the order they commit
}

// Changes are rows as they stand at a position. LastUsed is not a change.
type Changes struct {
	At          Position
	Whole       bool // these are all rows; what is not here does not exist
	Keys        []*APIKey
	Users       []*User
	Revocations []Revocation
}

// Usage is written by the Directory.
type Usage interface {
	// TouchKeys notes when keys were last used; an earlier time than the stored one changes nothing, nor does an unknown id.
	TouchKeys(ctx context.Context, used map[string]time.Time) error
}

// Inventory tells what rows depend on, for LoadMaterial.
type Inventory interface {
	// Empty reports whether the store holds no key, no user and no revocation.
	Empty(ctx context.Context) (bool, error)
	// PeppersInUse returns the ids of the peppers that unrevoked keys were hashed under.
	PeppersInUse(ctx context.Context) ([]string, error)
}
