package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"
	"path/filepath"

	lite "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// OpenScratch opens a database whose statements are not trusted: what runs on it can change the database itself and
// nothing else. No connection of it can attach another file, so neither ATTACH nor VACUUM INTO, which attaches its
// target, writes one. The file is made when it is missing, readable by its owner alone.
func OpenScratch(ctx context.Context, path string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	if _, err := private(path, true); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: fmt.Sprintf(
		"mode=rw&_defensive=1&_busy_timeout=%d&_journal_mode=WAL&_synchronous=NORMAL&_foreign_keys=on&_txlock=immediate", busyTimeout.Milliseconds())}
	c, err := lite.NewConnector(dsn.String())
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	db := sql.OpenDB(confined{c})
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers)
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	return db, nil
}

// confined opens connections that can attach nothing. It does so before a connection is in any pool's hands: a pool
// replaces connections when it likes, and the replacement must be as tight as the first.
type confined struct{ driver.Connector }

func (c confined) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := confine(ctx, conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("limiting attached databases: %w", err)
	}
	return conn, nil
}

// confine sets the limit. The driver takes a connection of database/sql only, so it is lent one.
func confine(ctx context.Context, conn driver.Conn) error {
	db := sql.OpenDB(lent{conn})
	defer db.Close()
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := lite.Limit(c, lib.SQLITE_LIMIT_ATTACHED, 0); err != nil {
		return err
	}
	if now, err := lite.Limit(c, lib.SQLITE_LIMIT_ATTACHED, -1); err != nil || now != 0 {
		return fmt.Errorf("the limit is %d, not 0 (%w)", now, err)
	}
	return nil
}

// lent gives one open connection to a pool that must not close it.
type lent struct{ driver.Conn }

func (l lent) Connect(context.Context) (driver.Conn, error) { return l, nil }
func (l lent) Driver() driver.Driver                        { return nil }
func (l lent) Close() error                                 { return nil }
func (l lent) Unwrap() driver.Conn                          { return l.Conn }
