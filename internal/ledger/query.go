package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// Query asks for events. What is empty asks for nothing; all that is given must hold. Times are those that the events
// carry.
type Query struct {
	ID         string // of the exchange, or of the act
	Subject    string // who
	Credential string // jti or key id
	Address    string
	Operation  string // operationId
	Object     string // id of the object, or target of an act
	Decision   string // "permit", "deny", "observe"
	Reason     string // fine
	Verb       string // of an act: "key.create"
	Class      string // OCSF class name: "API Activity"
	Since      time.Time
	Until      time.Time // not itself
	Limit      int       // the newest so many: 100
}

// wants lists the fields a query names.
func (q *Query) wants() map[field]string {
	all := map[field]string{fieldID: q.ID, fieldSubject: q.Subject, fieldCredential: q.Credential, fieldAddress: q.Address, fieldOperation: q.Operation,
		fieldObject: q.Object, fieldDecision: q.Decision, fieldReason: q.Reason, fieldVerb: q.Verb, fieldClass: q.Class}
	for f, v := range all {
		if v == "" {
			delete(all, f)
		}
	}
	return all
}

// Answer is what a query found, oldest first.
type Answer struct {
	Lines [][]byte
	More  bool // there are older ones
}

// Find answers a query from the newest line backwards. Full segments are asked by their index, where there is one.
func Find(ctx context.Context, dir string, q Query) (Answer, error) {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	names, err := segments(dir)
	if err != nil {
		return Answer{}, fmt.Errorf("reading ledger: %w", err)
	}
	s := &search{query: q, wants: q.wants(), limit: q.Limit + 1}
	for i := len(names) - 1; i >= 0 && len(s.found) < s.limit; i-- {
		if err := ctx.Err(); err != nil {
			return Answer{}, err
		}
		err := errNoIndex
		if i < len(names)-1 {
			err = s.indexed(names[i])
		}
		if errors.Is(err, errNoIndex) || errors.Is(err, os.ErrNotExist) {
			err = s.scan(names[i])
		}
		if err != nil {
			return Answer{}, fmt.Errorf("reading ledger: %w", err)
		}
	}
	a := Answer{Lines: s.found, More: len(s.found) > q.Limit}
	if a.More {
		a.Lines = a.Lines[:q.Limit]
	}
	slices.Reverse(a.Lines)
	return a, nil
}

// search is a query on its way. found is newest first.
type search struct {
	query Query
	wants map[field]string
	limit int
	found [][]byte
}

// matches reports whether a line is what is asked for.
func (s *search) matches(line []byte) bool {
	var v view
	if json.Unmarshal(line, &v) != nil || !s.inTime(v.Time) {
		return false
	}
	for f, want := range s.wants {
		if v.field(f) != want {
			return false
		}
	}
	return true
}

func (s *search) inTime(ms int64) bool {
	q := &s.query
	return (q.Since.IsZero() || ms >= q.Since.UnixMilli()) && (q.Until.IsZero() || ms < q.Until.UnixMilli())
}

// indexed asks a segment's index which lines may match, and those lines.
func (s *search) indexed(segment string) error {
	x, err := openIndex(segment)
	if err != nil {
		return err
	}
	defer x.close()
	q := &s.query
	if !q.Since.IsZero() && x.last < q.Since.UnixMilli() || !q.Until.IsZero() && x.first >= q.Until.UnixMilli() {
		return nil
	}
	hashes := map[field]uint32{}
	columns := map[field][]byte{}
	for f, want := range s.wants {
		if columns[f], err = x.of(f); err != nil {
			return errNoIndex
		}
		hashes[f] = shortHash(want)
	}
	offsets, err := x.offsets()
	if err != nil {
		return errNoIndex
	}
	var times []byte
	if !s.inTime(x.first) || !s.inTime(x.last) {
		if times, err = x.times(); err != nil {
			return errNoIndex
		}
	}
	file, err := os.Open(segment)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
candidates:
	for i := x.lines - 1; i >= 0 && len(s.found) < s.limit; i-- {
		for f, c := range columns {
			if binary.LittleEndian.Uint32(c[4*i:]) != hashes[f] {
				continue candidates
			}
		}
		if times != nil && !s.inTime(int64(binary.LittleEndian.Uint64(times[8*i:]))) {
			continue
		}
		start, end := int64(binary.LittleEndian.Uint32(offsets[4*i:])), info.Size()
		if i+1 < x.lines {
			end = int64(binary.LittleEndian.Uint32(offsets[4*i+4:]))
		}
		if end-start < 1 || end-start > maxLine+256 {
			return errNoIndex
		}
		line := make([]byte, end-start-1)
		if _, err := file.ReadAt(line, start); err != nil {
			return errNoIndex
		}
		if s.matches(line) {
			s.found = append(s.found, line)
		}
	}
	return nil
}

// scan reads every line of a segment.
func (s *search) scan(segment string) error {
	var needles [][]byte // that every line asked for has
	for _, want := range s.wants {
		if b := (&writer{}).str(want).b; len(want) <= maxText {
			needles = append(needles, b)
		}
	}
	var found [][]byte
	err := readSegment(segment, func(_ string, _ int, line []byte) error {
		for _, n := range needles {
			if !bytes.Contains(line, n) {
				return nil
			}
		}
		if s.matches(line) {
			found = append(found, bytes.Clone(line))
		}
		if len(found) > 2*s.limit {
			found = append(found[:0], found[len(found)-s.limit:]...)
		}
		return nil
	})
	for _, line := range slices.Backward(found) {
		if len(s.found) < s.limit {
			s.found = append(s.found, line)
		}
	}
	return err
}

// Follow calls f with every line behind a number, as they become durable, until ctx ends.
func Follow(ctx context.Context, dir string, after uint64, f func(line []byte) error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var name string
	var at int64
	for {
		names, err := segments(dir)
		if err != nil {
			return fmt.Errorf("following ledger: %w", err)
		}
		from := slices.Index(names, name)
		if from < 0 {
			if from, err = holding(names, after+1); err != nil {
				return fmt.Errorf("following ledger: %w", err)
			}
			at = 0
		}
		for i := from; i < len(names); i++ {
			if names[i] != name {
				name, at = names[i], 0
			}
			if at, err = followSegment(name, at, func(line []byte) error {
				if p, ok := placeOf(line); ok && p.seq > after {
					after = p.seq
					return f(line)
				}
				return nil
			}); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// followSegment reads the whole lines of a segment from an offset, and returns where they end.
func followSegment(name string, at int64, f func([]byte) error) (int64, error) {
	file, err := os.Open(name)
	if err != nil {
		return at, fmt.Errorf("following ledger: %w", err)
	}
	defer file.Close()
	if _, err := file.Seek(at, 0); err != nil {
		return at, fmt.Errorf("following ledger: %w", err)
	}
	err = readLines(file, func(_ int, line []byte) error {
		at += int64(len(line)) + 1
		return f(line)
	})
	return at, err
}
