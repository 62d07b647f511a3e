package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func openScratch(t *testing.T) (*sql.DB, string) {
	t.Helper()
	dir := t.TempDir()
	db, err := OpenScratch(t.Context(), filepath.Join(dir, "scratch.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.Exec(`CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x')`); err != nil {
		t.Fatal(err)
	}
	return db, dir
}

// every way SQL knows to write another file.
var writers = []string{
	`ATTACH '%' AS other`,
	`ATTACH 'file:%?mode=rwc' AS other`,
	`ATTACH '%' AS other; CREATE TABLE other.t (a); INSERT INTO other.t VALUES ('owned')`,
	`VACUUM INTO '%'`,
	`SELECT 1; ATTACH '%' AS other`,
	`SELECT 1; VACUUM main INTO '%'`,
	`SELECT writefile('%', 'owned')`,
	`SELECT load_extension('%')`,
}

func TestScratchWritesNoOtherFile(t *testing.T) {
	db, dir := openScratch(t)
	// More connections than one, and fresh ones too: each must be confined.
	var held []*sql.Conn
	for range readers {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	db.SetMaxOpenConns(readers + 1)
	fresh, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held = append(held, fresh)
	for _, statement := range writers {
		for _, c := range held {
			target := filepath.Join(dir, "owned")
			if _, err := c.ExecContext(t.Context(), strings.ReplaceAll(statement, "%", target)); err == nil {
				t.Errorf("%s succeeded", statement)
			}
			if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s made a file", statement)
			}
		}
	}
	for _, c := range held {
		c.Close()
	}
}

func TestScratchReplacedConnectionIsConfined(t *testing.T) {
	db, dir := openScratch(t)
	db.SetMaxIdleConns(0) // no connection is used twice
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := db.ExecContext(ctx, `INSERT INTO t VALUES ('y')`); err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := db.Exec(`ATTACH '` + filepath.Join(dir, "owned") + `' AS other`); err == nil {
			t.Fatal("a replaced connection attaches")
		}
	}
}

func TestScratchWorks(t *testing.T) {
	db, dir := openScratch(t)
	var n int
	if err := db.QueryRow(`SELECT count(*) FROM t`).Scan(&n); err != nil || n != 1 {
		t.Fatalf("%d rows, %v", n, err)
	}
	info, err := os.Stat(filepath.Join(dir, "scratch.db"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
}

// The limit must be what stops them: without it the same statements write.
func TestWritersWriteWhereNothingConfines(t *testing.T) {
	dir := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, "open.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for i, statement := range writers[:6] {
		target := filepath.Join(dir, "owned"+string(rune('0'+i)))
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.ExecContext(t.Context(), strings.ReplaceAll(statement, "%", target)); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
		c.ExecContext(t.Context(), `DETACH other`)
		c.Close()
	}
}
