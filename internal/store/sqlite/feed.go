package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/store"
)

// Position implements keys.Feed. A file that was removed or replaced under us fails: our connections would go on reading
// the old one, which sees no revocation any more.
func (s *Store) Position(ctx context.Context) (keys.Position, error) {
	info, err := os.Lstat(s.path)
	if err != nil {
		return keys.Position{}, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	if !os.SameFile(info, s.file) {
		return keys.Position{}, fmt.Errorf("%w: %s was replaced by another file; restart to use it", store.ErrUnavailable, s.path)
	}
	p, err := position(ctx, s.reader)
	return p, translate(err)
}

func position(ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) (p keys.Position, err error) {
	err = q.QueryRowContext(ctx, `SELECT identity, seq FROM store`).Scan(&p.Store, &p.Seq)
	return p, err
}

// Since implements keys.Feed.
func (s *Store) Since(ctx context.Context, p keys.Position) (*keys.Changes, error) {
	c, err := s.since(ctx, p)
	return c, translate(err)
}

func (s *Store) since(ctx context.Context, p keys.Position) (_ *keys.Changes, err error) {
	tx, err := s.reader.BeginTx(ctx, nil) // its snapshot begins with the first query
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	c := &keys.Changes{}
	if c.At, err = position(ctx, tx); err != nil {
		return nil, err
	}
	from := p.Seq
	if p.Store != c.At.Store || p.Seq > c.At.Seq {
		c.Whole, from = true, -1
	}
	if c.Keys, err = readKeys(ctx, tx, `WHERE seq > ?`, from); err != nil {
		return nil, err
	}
	if c.Users, err = readUsers(ctx, tx, `WHERE seq > ?`, from); err != nil {
		return nil, err
	}
	if c.Revocations, err = readRevocations(ctx, tx, `WHERE seq > ?`, from); err != nil {
		return nil, err
	}
	return c, nil
}

// Empty implements keys.Inventory.
func (s *Store) Empty(ctx context.Context) (empty bool, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT NOT EXISTS (SELECT 1 FROM api_key)
		AND NOT EXISTS (SELECT 1 FROM person) AND NOT EXISTS (SELECT 1 FROM revocation)`).Scan(&empty)
	return empty, translate(err)
}

// PeppersInUse implements keys.Inventory.
func (s *Store) PeppersInUse(ctx context.Context) ([]string, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT DISTINCT pepper FROM api_key WHERE revoked IS NULL ORDER BY pepper`)
	if err != nil {
		return nil, translate(err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, translate(err)
		}
		ids = append(ids, id)
	}
	return ids, translate(rows.Err())
}
