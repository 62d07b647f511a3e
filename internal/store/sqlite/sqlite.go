// Package sqlite keeps API keys, users and revocations in one SQLite file: the store of a single machine. Every act is one
// transaction, on disk when the method returns (WAL, synchronous=FULL).
//
// It decides nothing about what it keeps, and it is the only package that links SQLite.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	driver "modernc.org/sqlite"

	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/store"
)

// busyTimeout is how long a writer waits for another process's transaction.
const busyTimeout = 5 * time.Second

// readers bounds the connections that read; a reader never waits for the writer.
const readers = 4

// Store is one database. It is safe for concurrent use, also by several processes.
type Store struct {
	path   string
	file   fs.FileInfo // what path named when it was opened
	writer *sql.DB     // one connection: writers of this process queue here, not in SQLite
	reader *sql.DB
}

var (
	_ keys.Store          = (*Store)(nil)
	_ keys.DirectoryStore = (*Store)(nil)
	_ keys.Inventory      = (*Store)(nil)
)

// Options say how to open a database.
type Options struct {
	Create bool // make the file when it is missing; its folder must exist
}

// Open opens a database and brings its schema up to date. A missing file is an error that wraps fs.ErrNotExist unless
// Create is set; a file that others may read is refused; one that is damaged, foreign, or written by a newer version
// fails with store.ErrCorrupt.
func Open(ctx context.Context, path string, o Options) (_ *Store, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("opening store %s: %w", path, err)
		}
	}()
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	file, err := private(path, o.Create)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, file: file}
	if s.writer, err = pool(path, 1, "_txlock=immediate"); err != nil {
		return nil, err
	}
	if s.reader, err = pool(path, readers, "_query_only=on"); err != nil {
		s.writer.Close()
		return nil, err
	}
	if err := migrate(ctx, s.writer); err != nil {
		s.Close()
		return nil, translate(err)
	}
	return s, nil
}

// private makes sure that the file is there and is its owner's alone. SQLite gives its -wal and -shm files the same mode.
//
// A symbolic link is not followed: the owner's own file is meant.
//
// The file itself is never opened here: closing it would drop the POSIX locks that another Store of this process holds on
// it (https://www.sqlite.org/howtocorrupt.html §2.2).
func private(path string, create bool) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err := makeEmpty(path); err != nil {
			return nil, fmt.Errorf("making the file: %w", err)
		}
		info, err = os.Lstat(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fs.ErrNotExist
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Mode().Perm()&^0o600 != 0:
		return nil, fmt.Errorf("the file has mode %04o, wider than 0600: use chmod 600", info.Mode().Perm())
	}
	return info, nil
}

// makeEmpty makes an empty file of mode 0600, unless another process is faster.
func makeEmpty(path string) error {
	dir := filepath.Dir(path)
	draft, err := os.CreateTemp(dir, ".new-*.db")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	if err := draft.Close(); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// pool opens connections. mode=rw: none of them ever makes the file, so a database that vanished is not replaced by an
// empty one that knows no revocation.
func pool(path string, size int, extra string) (*sql.DB, error) {
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: fmt.Sprintf(
		"mode=rw&_defensive=1&_dqs=0&_error_rc=1&_busy_timeout=%d&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on&%s",
		busyTimeout.Milliseconds(), extra)}
	c, err := driver.NewConnector(dsn.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}

// Close closes the database. The last one to close it folds the write-ahead log into the file.
func (s *Store) Close() error { return errors.Join(s.reader.Close(), s.writer.Close()) }

// write runs one act in a transaction that holds the write lock from its start. The act gets the number of the change.
func (s *Store) write(ctx context.Context, act func(tx *sql.Tx, seq int64) error) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return translate(err)
	}
	defer tx.Rollback()
	var seq int64
	if err := tx.QueryRowContext(ctx, `UPDATE store SET seq = seq + 1 RETURNING seq`).Scan(&seq); err != nil {
		return translate(err)
	}
	if err := act(tx, seq); err != nil {
		return translate(err)
	}
	return translate(tx.Commit())
}

// one turns the result of changing one row into ErrNotFound when there was none.
func one(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		err = store.ErrNotFound
	}
	return err
}
