package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/store"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// applicationID marks our files ("PTRV"), so that a store is never made inside somebody else's database.
const applicationID = 0x50545256

// migration is one step forward; there are none backward. A released step is never edited.
type migration struct {
	number int
	name   string
	sum    string
	script string
}

// migrations returns the embedded steps in order; they are numbered from 1 without a gap.
func migrations() ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var list []migration
	for i, name := range names {
		script, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		base := strings.TrimPrefix(name, "migrations/")
		digits, _, _ := strings.Cut(base, "_")
		if n, err := strconv.Atoi(digits); err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s is not number %d", base, i+1)
		}
		sum := sha256.Sum256(script)
		list = append(list, migration{i + 1, base, hex.EncodeToString(sum[:]), string(script)})
	}
	return list, nil
}

// migrate brings the database forward, all steps in one transaction: it has the old schema or the new one. Two processes
// may start at once; the second finds the work done.
func migrate(ctx context.Context, db *sql.DB) error {
	list, err := migrations()
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := claim(ctx, tx); err != nil {
		return err
	}
	done, err := verify(ctx, tx, list)
	if err != nil {
		return err
	}
	if done == len(list) {
		return nil
	}
	for _, m := range list[done:] {
		if _, err := tx.ExecContext(ctx, m.script); err != nil {
			return fmt.Errorf("applying migration %s: %w", m.name, err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO migration (number, name, sum) VALUES (?, ?, ?)`, m.number, m.name, m.sum); err != nil {
			return fmt.Errorf("noting migration %s: %w", m.name, err)
		}
	}
	return tx.Commit()
}

// claim marks an empty database as ours, and refuses one that is not.
func claim(ctx context.Context, tx *sql.Tx) error {
	var id, tables int64
	if err := tx.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id); err != nil {
		return err
	}
	if id == applicationID {
		return nil
	}
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return err
	}
	if id != 0 || tables != 0 {
		return fmt.Errorf("%w: the file is a SQLite database of another program", store.ErrCorrupt)
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d;
		CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, sum TEXT NOT NULL) STRICT`, applicationID))
	return err
}

// verify returns how many steps the database has taken, each of which must be the one we know.
func verify(ctx context.Context, tx *sql.Tx, list []migration) (int, error) {
	rows, err := tx.QueryContext(ctx, `SELECT number, name, sum FROM migration ORDER BY number`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	done := 0
	for ; rows.Next(); done++ {
		var m migration
		if err := rows.Scan(&m.number, &m.name, &m.sum); err != nil {
			return 0, err
		}
		if done >= len(list) {
			return 0, fmt.Errorf("%w: the database was written by a newer version (migration %s); there is no way back", store.ErrCorrupt, m.name)
		}
		if want := list[done]; m.number != want.number || m.sum != want.sum {
			return 0, fmt.Errorf("%w: migration %d of the database, %s, is not ours", store.ErrCorrupt, m.number, m.name)
		}
	}
	return done, rows.Err()
}
