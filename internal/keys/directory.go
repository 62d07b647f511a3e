package keys

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// DirectoryOptions are a Directory's bounds; zero values mean the defaults.
type DirectoryOptions struct {
	Poll      time.Duration    // how often the store is asked for changes: 250ms, at most 500ms
	Staleness time.Duration    // how long answers are given without a successful poll: 60s
	Flush     time.Duration    // how often uses of keys are written: 1m
	Now       func() time.Time // time.Now
}

const maxPoll = 500 * time.Millisecond

// DirectoryStore is what a Directory needs of a store.
type DirectoryStore interface {
	Feed
	Usage
}

// Directory is the gate's read model: all keys, users and revocations in memory. Look-ups take no lock and, apart from a
// key narrowed to its owner's roles, allocate nothing. They refuse until the first Refresh, and again when refreshing has
// failed for longer than the bound.
//
// Rows of one poll become visible one after another, within microseconds.
type Directory struct {
	store   DirectoryStore
	peppers *Peppers
	options DirectoryOptions

	model   atomic.Pointer[model]
	fresh   atomic.Pointer[time.Time] // start of the last successful refresh
	failure atomic.Pointer[error]     // of the last refresh; nil in it: none
	turn    chan struct{}             // held while refreshing
	at      Position                  // guarded by turn
	uses    uses
}

type model struct {
	keys    *table[string, *entry]
	users   *table[string, *User] // by subject
	revoked *table[revoked, *Revocation]
}

// entry is one key with its place for counting uses.
type entry struct {
	key *APIKey
	use *use
}

// revoked identifies a revocation.
type revoked struct {
	kind          RevocationKind
	issuer, value string
}

func newModel() *model {
	return &model{newTable[string, *entry](), newTable[string, *User](), newTable[revoked, *Revocation]()}
}

// NewDirectory returns a directory that knows nothing yet: call Refresh, then Run.
func NewDirectory(store DirectoryStore, peppers *Peppers, o DirectoryOptions) (*Directory, error) {
	if store == nil || peppers == nil {
		return nil, errors.New("a directory needs a store and peppers")
	}
	for _, d := range []struct {
		value  *time.Duration
		normal time.Duration
		max    time.Duration
		name   string
	}{
		{&o.Poll, 250 * time.Millisecond, maxPoll, "poll interval"},
		{&o.Staleness, time.Minute, 24 * time.Hour, "staleness"},
		{&o.Flush, time.Minute, time.Hour, "flush interval"},
	} {
		if *d.value == 0 {
			*d.value = d.normal
		}
		if *d.value < 0 || *d.value > d.max {
			return nil, fmt.Errorf("%s %v is not between 0 and %v", d.name, *d.value, d.max)
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	d := &Directory{store: store, peppers: peppers, options: o, turn: make(chan struct{}, 1)}
	d.model.Store(newModel())
	return d, nil
}

// Fresh returns ErrStale when answers are older than the bound.
func (d *Directory) Fresh(now time.Time) error {
	at := d.fresh.Load()
	if at == nil || now.Sub(*at) > d.options.Staleness {
		return ErrStale
	}
	return nil
}

// State returns when the directory last agreed with the store, zero for never, and why the last refresh failed.
func (d *Directory) State() (at time.Time, failure error) {
	if t := d.fresh.Load(); t != nil {
		at = *t
	}
	if e := d.failure.Load(); e != nil {
		failure = *e
	}
	return at, failure
}

// unknown is the hash that no key has: an id that does not exist costs what a wrong secret costs.
var unknown Digest

// Authenticate proves a key. Its error is a Refusal. The returned key is shared and must not be written to; where its
// owner is a user, it carries no role that the user does not hold now.
func (d *Directory) Authenticate(text string, from netip.Addr, now time.Time) (*APIKey, error) {
	p, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if err := d.Fresh(now); err != nil {
		return nil, err
	}
	m := d.model.Load()
	e, known := m.keys.get(p.ID)
	pepper, hash := d.peppers.current, &unknown
	if known {
		pepper, hash = e.key.PepperID, &e.key.Hash
	}
	sum, ok := d.peppers.sum(pepper, p)
	switch {
	case !ok:
		return nil, ErrPepper
	case !known:
		return nil, ErrUnknown
	case subtle.ConstantTimeCompare(sum[:], hash[:]) != 1:
		return nil, ErrWrongSecret
	}
	if err := e.key.admit(from, now); err != nil {
		return nil, err
	}
	k, err := m.held(e.key)
	if err != nil {
		return nil, err
	}
	d.uses.note(e.use, now)
	return k, nil
}

// held narrows a key to what its owner holds now, where the owner is a user: a person disabled or demoted does not live
// on in a key (CVE-2023-22492's class).
func (m *model) held(k *APIKey) (*APIKey, error) {
	u, ok := m.users.get(k.Owner)
	if !ok {
		return k, nil
	}
	if u.Disabled {
		return nil, ErrOwnerDisabled
	}
	for _, r := range k.Roles {
		if !slices.Contains(u.Roles, r) {
			narrow := *k
			narrow.Roles = slices.DeleteFunc(slices.Clone(k.Roles), func(r string) bool { return !slices.Contains(u.Roles, r) })
			return &narrow, nil
		}
	}
	return k, nil
}

// Revoked reports whether a token has been revoked by its jti or its subject. issuer is the issuer's id in the
// configuration. A stale directory calls every token revoked: ask Fresh first to tell 503 from 401.
func (d *Directory) Revoked(issuer, subject, jti string, issuedAt time.Time) bool {
	return d.covered(TokenID, issuer, jti, issuedAt) || d.covered(Subject, issuer, subject, issuedAt)
}

// RevokedKey reports whether tokens that the issuer's key signed at that time have been revoked. Staleness is as for
// Revoked.
func (d *Directory) RevokedKey(issuer, kid string, issuedAt time.Time) bool {
	return d.covered(SigningKey, issuer, kid, issuedAt)
}

func (d *Directory) covered(kind RevocationKind, issuer, value string, issuedAt time.Time) bool {
	if d.Fresh(d.options.Now()) != nil {
		return true
	}
	r, ok := d.model.Load().revoked.get(revoked{kind, issuer, value})
	return ok && r.covers(issuedAt)
}

// User returns the user as they are now; it is shared and must not be written to. It fails with ErrStale or
// ErrUserUnknown; a disabled user is returned, for the caller to refuse.
func (d *Directory) User(subject string) (*User, error) {
	if err := d.Fresh(d.options.Now()); err != nil {
		return nil, err
	}
	u, ok := d.model.Load().users.get(subject)
	if !ok {
		return nil, ErrUserUnknown
	}
	return u, nil
}

// Len returns how many keys, users and revocations are in memory.
func (d *Directory) Len() (keys, users, revocations int) {
	m := d.model.Load()
	m.keys.all(func(string, *entry) { keys++ })
	m.users.all(func(string, *User) { users++ })
	m.revoked.all(func(revoked, *Revocation) { revocations++ })
	return keys, users, revocations
}

// Refresh brings the directory up to the store's last commit. It waits for a refresh under way.
func (d *Directory) Refresh(ctx context.Context) error {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return fmt.Errorf("refreshing directory: %w", ctx.Err())
	}
	start := d.options.Now()
	err := d.refresh(ctx)
	if err != nil {
		err = fmt.Errorf("refreshing directory: %w", err)
	} else {
		d.fresh.Store(&start)
	}
	d.failure.Store(&err)
	return err
}

func (d *Directory) refresh(ctx context.Context) error {
	at, err := d.store.Position(ctx)
	if err != nil {
		return err
	}
	if at == d.at && at.Store != "" {
		return nil
	}
	c, err := d.store.Since(ctx, d.at)
	if err != nil {
		return err
	}
	d.apply(c)
	d.at = c.At
	return nil
}

// apply takes rows over. A whole reading replaces the model at once, so that nobody ever sees a part of it.
func (d *Directory) apply(c *Changes) {
	old := d.model.Load()
	m := old
	if c.Whole {
		m = newModel()
	}
	// Revocations and users first: no key is seen before what takes from it.
	ended := make(map[revoked]*Revocation, len(c.Revocations))
	for i := range c.Revocations {
		r := &c.Revocations[i]
		ended[revoked{r.Kind, r.Issuer, r.Value}] = r
	}
	m.revoked.change(ended, nil)
	users := make(map[string]*User, len(c.Users))
	for _, u := range c.Users {
		users[u.Subject] = u
	}
	m.users.change(users, nil)
	keys := make(map[string]*entry, len(c.Keys))
	for _, k := range c.Keys {
		e := &entry{key: k}
		if before, ok := old.keys.get(k.ID); ok {
			e.use = before.use
		} else {
			e.use = &use{id: k.ID}
		}
		keys[k.ID] = e
	}
	m.keys.change(keys, nil)
	d.model.Store(m)
}

// Run refreshes the directory and writes uses until ctx is done; then it writes the last ones. A failed poll is tried
// again at the next turn and shows in State; it ends nothing.
func (d *Directory) Run(ctx context.Context) {
	poll, flush := time.NewTicker(d.options.Poll), time.NewTicker(d.options.Flush)
	defer poll.Stop()
	defer flush.Stop()
	for {
		select {
		case <-poll.C:
			// A store that hangs must not hang the directory for ever; the bound decides about its answers anyway.
			turn, cancel := context.WithTimeout(ctx, d.options.Staleness)
			_ = d.Refresh(turn) // kept for State
			cancel()
		case <-flush.C:
			d.sweep(ctx)
			_ = d.Flush(ctx) // not written: written with the next
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			_ = d.Flush(last) // nobody is left to tell; at most a minute of last-used times is lost
			return
		}
	}
}

// sweep drops revocations that can cover no valid token any more.
func (d *Directory) sweep(ctx context.Context) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return
	}
	m, now := d.model.Load(), d.options.Now()
	var dead []revoked
	m.revoked.all(func(k revoked, r *Revocation) {
		if r.expired(now) {
			dead = append(dead, k)
		}
	})
	m.revoked.change(nil, dead)
}

// Flush writes when keys were used since the last Flush. What cannot be written is queued again.
func (d *Directory) Flush(ctx context.Context) error {
	used := d.uses.take()
	if len(used) == 0 {
		return nil
	}
	if err := d.store.TouchKeys(ctx, used); err != nil {
		d.requeue(used)
		return fmt.Errorf("writing last use of %d keys: %w", len(used), err)
	}
	return nil
}

func (d *Directory) requeue(used map[string]time.Time) {
	m := d.model.Load()
	for id := range used {
		if e, ok := m.keys.get(id); ok {
			d.uses.enqueue(e.use)
		}
	}
}
