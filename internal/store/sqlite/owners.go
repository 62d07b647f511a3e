package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/portreeve/portreeve/internal/owner"
	"github.com/portreeve/portreeve/internal/store"
)

var _ owner.Book = (*Store)(nil)

// maxOwners bounds the ledger of owners, in objects: beyond it nothing is claimed, so that nothing is made that nobody
// would own.
var maxOwners int64 = 10_000_000

// Owner implements owner.Book.
func (s *Store) Owner(ctx context.Context, kind, id string) (o owner.Owner, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT issuer, subject FROM object_owner WHERE kind = ? AND id = ?`, kind, id).Scan(&o.Issuer, &o.Subject)
	return o, translate(err)
}

// Claim implements owner.Book.
func (s *Store) Claim(ctx context.Context, kind, id string, o owner.Owner, when time.Time) error {
	return s.write(ctx, func(tx *sql.Tx, _ int64) error {
		var n int64
		if err := tx.QueryRowContext(ctx, `SELECT n FROM object_owner_count`).Scan(&n); err != nil {
			return err
		}
		if n >= maxOwners {
			return fmt.Errorf("%w: the ledger of owners is full", store.ErrUnavailable)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO object_owner (kind, id, issuer, subject, created) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			kind, id, o.Issuer, o.Subject, at(when)); err != nil {
			return err
		}
		var is owner.Owner
		if err := tx.QueryRowContext(ctx, `SELECT issuer, subject FROM object_owner WHERE kind = ? AND id = ?`, kind, id).Scan(&is.Issuer, &is.Subject); err != nil {
			return err
		}
		if is != o {
			return fmt.Errorf("%w: it is somebody else's", store.ErrConflict)
		}
		return nil
	})
}

// Forget implements owner.Book.
func (s *Store) Forget(ctx context.Context, kind, id string) error {
	return s.write(ctx, func(tx *sql.Tx, _ int64) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM object_owner WHERE kind = ? AND id = ?`, kind, id)
		return err
	})
}
