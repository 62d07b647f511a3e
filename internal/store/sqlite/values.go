package sqlite

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"time"
)

// never stands for "no end": it is later than every time.
const never = math.MaxInt64

// at is a time that must be set.
func at(t time.Time) int64 { return t.UnixMicro() }

// maybe is a time that may be zero: NULL.
func maybe(t time.Time) sql.NullInt64 { return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()} }

// latest is a time whose zero means later than all others.
func latest(t time.Time) int64 {
	if t.IsZero() {
		return never
	}
	return t.UnixMicro()
}

func moment(v int64) time.Time { return time.UnixMicro(v).UTC() }

func maybeMoment(v sql.NullInt64) time.Time {
	if !v.Valid {
		return time.Time{}
	}
	return moment(v.Int64)
}

func latestMoment(v int64) time.Time {
	if v == never {
		return time.Time{}
	}
	return moment(v)
}

// list writes strings as JSON; nil and empty are the same.
func list[T string | netip.Prefix](items []T) (string, error) {
	if len(items) == 0 {
		return "[]", nil
	}
	b, err := json.Marshal(items)
	return string(b), err
}

// unlist fills a field from JSON that list wrote.
func unlist[T string | netip.Prefix](field *[]T, text string) error {
	if text == "[]" { // most are; a million rows are read at the start
		return nil
	}
	if err := json.Unmarshal([]byte(text), field); err != nil {
		return fmt.Errorf("decoding list: %w", err)
	}
	return nil
}
