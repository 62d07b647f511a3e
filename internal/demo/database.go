package demo

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"

	"github.com/portreeve/portreeve/internal/keys"
)

// tables are the API's. password holds whatever the API that runs on them keeps there.
const tables = `
CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, email TEXT, ssn TEXT, salary INTEGER, address TEXT, phone TEXT,
  age INTEGER, role TEXT NOT NULL DEFAULT 'employee', password TEXT);
CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE reports (id INTEGER PRIMARY KEY, owner_id INTEGER NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL, internal_notes TEXT);
CREATE TABLE payments (
  id INTEGER PRIMARY KEY AUTOINCREMENT, owner_id INTEGER, amount INTEGER, currency TEXT, card_number TEXT, cvv TEXT, description TEXT);
CREATE TABLE data (user_id INTEGER NOT NULL, item TEXT NOT NULL);

INSERT INTO users (id, name, email, ssn, salary, address, phone, age, role) VALUES
  (1, 'alice', 'alice@example.com', '900-11-0001', 61000, '1 Quay Street', '+1-202-555-0101', 34, 'employee'),
  (2, 'bob',   'bob@example.com',   '900-11-0002', 58000, '2 Mill Lane',   '+1-202-555-0102', 41, 'employee'),
  (3, 'carol', 'carol@example.com', '900-11-0003', 83000, '3 High Street', '+1-202-555-0103', 45, 'manager'),
  (4, 'dave',  'dave@example.com',  '900-11-0004', 99000, '4 Castle Hill', '+1-202-555-0104', 50, 'admin'),
  (5, 'erin',  'erin@example.com',  '900-11-0005', 47000, '5 Church Row',  '+1-202-555-0105', 29, 'readonly'),
  (6, 'frank', 'frank@example.com', '900-11-0006', 52000, '6 Ferry Road',  '+1-202-555-0106', 38, 'employee'),
  (7, 'grace', 'grace@example.com', '900-11-0007', 53000, '7 Well Street', '+1-202-555-0107', 36, 'employee'),
  (8, 'heidi', 'heidi@example.com', '900-11-0008', 54000, '8 West Gate',   '+1-202-555-0108', 31, 'employee');
INSERT INTO posts (id, user_id, title, body) VALUES
  (1, 1, 'Harbour dues', 'The new rates are out.'), (2, 1, 'Lost and found', 'One oar, left at the gate.'), (3, 2, 'Mill repairs', 'Closed until Tuesday.');
INSERT INTO reports (id, owner_id, title, body, internal_notes) VALUES
  (1, 1, 'Tolls in spring', 'Up by a tenth.', 'the auditor was not told'), (2, 2, 'Grain in autumn', 'Down by a third.', 'weigh again, quietly'),
  (3, 3, 'Wages', 'As agreed.', 'see the other book'), (4, 5, 'Visitors', 'Forty a day.', 'counted by eye');
INSERT INTO payments (id, owner_id, amount, currency, card_number, cvv, description) VALUES
  (1, 1, 1250, 'EUR', '4111111111111111', '737', 'rope'), (2, 2, 990, 'EUR', '5555555555554444', '123', 'flour'), (3, 1, 4200, 'EUR', '4012888888881881', '901', 'sail cloth');
INSERT INTO data (user_id, item) VALUES (1, 'alice: berth 12'), (2, 'bob: mill key'), (3, 'carol: ledger of wages'), (4, 'dave: seal of the town'), (5, 'erin: visitors'' book');
`

// SeedNaked fills an empty database for Naked. FAULT: passwords and card numbers are kept as they are.
func SeedNaked(ctx context.Context, db *sql.DB, identities []Identity) error {
	return seed(ctx, db, identities, func(_ context.Context, password string) (string, error) { return password, nil }, ``)
}

// SeedFixed fills an empty database for Fixed: passwords as argon2id, of cards the last four digits.
func SeedFixed(ctx context.Context, db *sql.DB, identities []Identity) error {
	h, err := keys.NewHasher(rand.Reader)
	if err != nil {
		return err
	}
	return seed(ctx, db, identities, h.Hash, `UPDATE payments SET card_number = '****' || substr(card_number, -4), cvv = NULL`)
}

func seed(ctx context.Context, db *sql.DB, identities []Identity, keep func(ctx context.Context, password string) (string, error), then string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("seeding: %w", err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, tables+then); err != nil {
		return fmt.Errorf("seeding: %w", err)
	}
	for _, p := range identities {
		kept, err := keep(ctx, p.Password)
		if err != nil {
			return fmt.Errorf("seeding the password of %s: %w", p.Name, err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE users SET password = ? WHERE id = ?`, kept, p.UserID); err != nil {
			return fmt.Errorf("seeding: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("seeding: %w", err)
	}
	return nil
}
