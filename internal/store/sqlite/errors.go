package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/portreeve/portreeve/internal/store"
)

// translate gives an error of SQLite its meaning for the caller. Errors that have one already stay.
func translate(err error) error {
	var e *driver.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	case !errors.As(err, &e):
		return err
	}
	switch e.Code() {
	case lib.SQLITE_CONSTRAINT_UNIQUE, lib.SQLITE_CONSTRAINT_PRIMARYKEY, lib.SQLITE_CONSTRAINT_ROWID:
		return fmt.Errorf("%w: %w", store.ErrConflict, err)
	case lib.SQLITE_CONSTRAINT_FOREIGNKEY:
		return fmt.Errorf("%w: %w", store.ErrNotFound, err)
	}
	switch e.Code() & 0xff { // the primary code
	case lib.SQLITE_CORRUPT:
		return fmt.Errorf("%w: the database is damaged; restore it from a backup: %w", store.ErrCorrupt, err)
	case lib.SQLITE_NOTADB:
		return fmt.Errorf("%w: the file is not a SQLite database: %w", store.ErrCorrupt, err)
	case lib.SQLITE_READONLY, lib.SQLITE_PERM, lib.SQLITE_AUTH:
		return fmt.Errorf("%w: the database cannot be written to: %w", store.ErrUnavailable, err)
	case lib.SQLITE_FULL:
		return fmt.Errorf("%w: the disk is full: %w", store.ErrUnavailable, err)
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return fmt.Errorf("%w: another process holds the database: %w", store.ErrUnavailable, err)
	case lib.SQLITE_CANTOPEN, lib.SQLITE_IOERR, lib.SQLITE_NOMEM, lib.SQLITE_INTERRUPT, lib.SQLITE_PROTOCOL:
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}
