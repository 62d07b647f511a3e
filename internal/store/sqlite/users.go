package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/store"
)

const userColumns = `subject, name, password_hash, roles, disabled, created, changed, password_changed, version`

// CreateUser implements keys.UserStore.
func (s *Store) CreateUser(ctx context.Context, u *keys.User) error {
	roles, err := list(u.Roles)
	if err != nil {
		return fmt.Errorf("encoding user: %w", err)
	}
	return s.write(ctx, func(tx *sql.Tx, seq int64) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO person (seq, `+userColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`,
			seq, u.Subject, u.Name, u.PasswordHash, roles, u.Disabled, at(u.Created), at(u.Changed), maybe(u.PasswordChanged))
		return err
	})
}

// User implements keys.UserStore.
func (s *Store) User(ctx context.Context, name string) (*keys.User, error) {
	return s.user(ctx, `WHERE name = ?`, name)
}

// UserBySubject implements keys.UserStore.
func (s *Store) UserBySubject(ctx context.Context, subject string) (*keys.User, error) {
	return s.user(ctx, `WHERE subject = ?`, subject)
}

func (s *Store) user(ctx context.Context, where, value string) (*keys.User, error) {
	us, err := readUsers(ctx, s.reader, where, value)
	if err == nil && len(us) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, translate(err)
	}
	return us[0], nil
}

// Users implements keys.UserStore.
func (s *Store) Users(ctx context.Context) ([]*keys.User, error) {
	us, err := readUsers(ctx, s.reader, `ORDER BY name`)
	return us, translate(err)
}

func readUsers(ctx context.Context, q querier, where string, args ...any) ([]*keys.User, error) {
	rows, err := q.QueryContext(ctx, `SELECT `+userColumns+` FROM person `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var us []*keys.User
	for rows.Next() {
		var (
			u                keys.User
			roles            string
			created, changed int64
			password         sql.NullInt64
		)
		if err := rows.Scan(&u.Subject, &u.Name, &u.PasswordHash, &roles, &u.Disabled, &created, &changed, &password, &u.Version); err != nil {
			return nil, err
		}
		u.Created, u.Changed, u.PasswordChanged = moment(created), moment(changed), maybeMoment(password)
		if err := unlist(&u.Roles, roles); err != nil {
			return nil, fmt.Errorf("%w: user %q: %w", store.ErrCorrupt, u.Name, err)
		}
		us = append(us, &u)
	}
	return us, rows.Err()
}

// UpdateUser implements keys.UserStore.
func (s *Store) UpdateUser(ctx context.Context, u *keys.User, revoke ...keys.Revocation) error {
	roles, err := list(u.Roles)
	if err != nil {
		return fmt.Errorf("encoding user: %w", err)
	}
	return s.write(ctx, func(tx *sql.Tx, seq int64) error {
		var version int64
		if err := tx.QueryRowContext(ctx, `SELECT version FROM person WHERE subject = ?`, u.Subject).Scan(&version); err != nil {
			return err
		}
		if version != u.Version {
			return fmt.Errorf("%w: user %q is at version %d, not %d", store.ErrConflict, u.Name, version, u.Version)
		}
		_, err := tx.ExecContext(ctx, `UPDATE person SET seq = ?, password_hash = ?, roles = ?, disabled = ?, changed = ?,
			password_changed = ?, version = version + 1 WHERE subject = ?`,
			seq, u.PasswordHash, roles, u.Disabled, at(u.Changed), maybe(u.PasswordChanged), u.Subject)
		if err != nil {
			return err
		}
		for _, r := range revoke {
			if err := widen(ctx, tx, seq, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// Revoke implements keys.RevocationStore.
func (s *Store) Revoke(ctx context.Context, r keys.Revocation, forget time.Time) error {
	return s.write(ctx, func(tx *sql.Tx, seq int64) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM revocation WHERE until < ?`, at(forget)); err != nil {
			return err
		}
		return widen(ctx, tx, seq, r)
	})
}

func widen(ctx context.Context, tx *sql.Tx, seq int64, r keys.Revocation) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO revocation (kind, issuer, value, seq, cutoff, until, created) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, issuer, value) DO UPDATE SET
			seq = excluded.seq, cutoff = max(cutoff, excluded.cutoff), until = max(until, excluded.until)`,
		string(r.Kind), r.Issuer, r.Value, seq, latest(r.Cutoff), latest(r.Until), at(r.Created))
	return err
}

// Revocations implements keys.RevocationStore.
func (s *Store) Revocations(ctx context.Context) ([]keys.Revocation, error) {
	rs, err := readRevocations(ctx, s.reader, `ORDER BY created, kind, issuer, value`)
	return rs, translate(err)
}

func readRevocations(ctx context.Context, q querier, where string, args ...any) ([]keys.Revocation, error) {
	rows, err := q.QueryContext(ctx, `SELECT kind, issuer, value, cutoff, until, created FROM revocation `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var rs []keys.Revocation
	for rows.Next() {
		var r keys.Revocation
		var cutoff, until, created int64
		if err := rows.Scan(&r.Kind, &r.Issuer, &r.Value, &cutoff, &until, &created); err != nil {
			return nil, err
		}
		r.Cutoff, r.Until, r.Created = latestMoment(cutoff), latestMoment(until), moment(created)
		rs = append(rs, r)
	}
	return rs, rows.Err()
}
