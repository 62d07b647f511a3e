package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/store"
)

const keyColumns = `id, environment, hash, pepper, owner, purpose, scoped, scopes, roles, allow_ips, created, expires,
	disabled, revoked, rotated_from, overlap_until, last_used`

// CreateKey implements keys.KeyStore.
func (s *Store) CreateKey(ctx context.Context, k *keys.APIKey) error {
	return s.write(ctx, func(tx *sql.Tx, seq int64) error { return insertKey(ctx, tx, seq, k) })
}

func insertKey(ctx context.Context, tx *sql.Tx, seq int64, k *keys.APIKey) error {
	scopes, err1 := list(k.Scopes)
	roles, err2 := list(k.Roles)
	ips, err3 := list(k.AllowIPs)
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("encoding key: %w", err)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO api_key (seq, `+keyColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		seq, k.ID, string(k.Environment), k.Hash[:], k.PepperID, k.Owner, k.Purpose, k.Scoped, scopes, roles, ips, at(k.Created), at(k.Expires),
		k.Disabled, maybe(k.Revoked), sql.NullString{String: k.RotatedFrom, Valid: k.RotatedFrom != ""}, maybe(k.OverlapUntil), maybe(k.LastUsed))
	return err
}

// Key implements keys.KeyStore.
func (s *Store) Key(ctx context.Context, id string) (*keys.APIKey, error) {
	ks, err := readKeys(ctx, s.reader, `WHERE id = ?`, id)
	if err == nil && len(ks) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, translate(err)
	}
	return ks[0], nil
}

// Keys implements keys.KeyStore.
func (s *Store) Keys(ctx context.Context, f keys.KeyFilter) ([]*keys.APIKey, error) {
	limit := -1
	if f.Limit > 0 {
		limit = f.Limit
	}
	where, args := `WHERE true`, []any{}
	if f.Owner != "" {
		where, args = where+` AND owner = ?`, append(args, f.Owner)
	}
	if f.After != "" {
		where, args = where+` AND (created, id) > (SELECT created, id FROM api_key WHERE id = ?)`, append(args, f.After)
	}
	ks, err := readKeys(ctx, s.reader, where+` ORDER BY created, id LIMIT ?`, append(args, limit)...)
	return ks, translate(err)
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func readKeys(ctx context.Context, q querier, where string, args ...any) ([]*keys.APIKey, error) {
	rows, err := q.QueryContext(ctx, `SELECT `+keyColumns+` FROM api_key `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ks []*keys.APIKey
	for rows.Next() {
		k, err := scanKey(rows)
		if err != nil {
			return nil, err
		}
		ks = append(ks, k)
	}
	return ks, rows.Err()
}

func scanKey(rows *sql.Rows) (*keys.APIKey, error) {
	var (
		k                      keys.APIKey
		hash                   sql.RawBytes
		scopes, roles, ips     string
		from                   sql.NullString
		created, expires       int64
		revoked, overlap, used sql.NullInt64
	)
	err := rows.Scan(&k.ID, &k.Environment, &hash, &k.PepperID, &k.Owner, &k.Purpose, &k.Scoped, &scopes, &roles, &ips,
		&created, &expires, &k.Disabled, &revoked, &from, &overlap, &used)
	if err != nil {
		return nil, err
	}
	if len(hash) != len(k.Hash) {
		return nil, fmt.Errorf("%w: the hash of key %s has %d bytes", store.ErrCorrupt, k.ID, len(hash))
	}
	copy(k.Hash[:], hash)
	k.Created, k.Expires = moment(created), moment(expires)
	k.Revoked, k.OverlapUntil, k.LastUsed = maybeMoment(revoked), maybeMoment(overlap), maybeMoment(used)
	k.RotatedFrom = from.String
	if err := errors.Join(unlist(&k.Scopes, scopes), unlist(&k.Roles, roles), unlist(&k.AllowIPs, ips)); err != nil {
		return nil, fmt.Errorf("%w: key %s: %w", store.ErrCorrupt, k.ID, err)
	}
	return &k, nil
}

// RotateKey implements keys.KeyStore.
func (s *Store) RotateKey(ctx context.Context, successor *keys.APIKey, overlapUntil time.Time) error {
	return s.write(ctx, func(tx *sql.Tx, seq int64) error {
		var taken bool
		err := tx.QueryRowContext(ctx, `SELECT revoked IS NOT NULL OR overlap_until IS NOT NULL FROM api_key WHERE id = ?`,
			successor.RotatedFrom).Scan(&taken)
		if err != nil {
			return err
		}
		if taken {
			return fmt.Errorf("%w: key %s was rotated or revoked", store.ErrConflict, successor.RotatedFrom)
		}
		if err := insertKey(ctx, tx, seq, successor); err != nil {
			return err
		}
		return one(tx.ExecContext(ctx, `UPDATE api_key SET overlap_until = ?, seq = ? WHERE id = ?`, at(overlapUntil), seq, successor.RotatedFrom))
	})
}

// RevokeKey implements keys.KeyStore.
func (s *Store) RevokeKey(ctx context.Context, id string, when time.Time) error {
	return s.write(ctx, func(tx *sql.Tx, seq int64) error {
		return one(tx.ExecContext(ctx, `UPDATE api_key SET revoked = coalesce(revoked, ?), seq = ? WHERE id = ?`, at(when), seq, id))
	})
}

// SetKeyDisabled implements keys.KeyStore.
func (s *Store) SetKeyDisabled(ctx context.Context, id string, disabled bool) error {
	return s.write(ctx, func(tx *sql.Tx, seq int64) error {
		return one(tx.ExecContext(ctx, `UPDATE api_key SET disabled = ?, seq = ? WHERE id = ?`, disabled, seq, id))
	})
}

// TouchKeys implements keys.Usage. It is no change: no directory reads a row again because its key was used.
func (s *Store) TouchKeys(ctx context.Context, used map[string]time.Time) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return translate(err)
	}
	defer tx.Rollback()
	stmt, err := tx.PrepareContext(ctx, `UPDATE api_key SET last_used = ?1 WHERE id = ?2 AND (last_used IS NULL OR last_used < ?1)`)
	if err != nil {
		return translate(err)
	}
	defer stmt.Close()
	for id, when := range used {
		if _, err := stmt.ExecContext(ctx, at(when), id); err != nil {
			return translate(err)
		}
	}
	return translate(tx.Commit())
}
