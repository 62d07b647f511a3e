package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// segments lists the files of a ledger in order.
func segments(dir string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "[0-9][0-9][0-9][0-9][0-9][0-9].jsonl"))
	slices.Sort(names)
	return names, err
}

// recover takes a ledger up where it was left: the newest checkpoint says what must be there, the lines behind it are
// read anew, and what follows the last whole line is cut off. What was sealed is not read, except for the segment that the
// checkpoint ends in.
func (l *Ledger) recover() (Recovery, error) {
	var rec Recovery
	names, err := segments(l.dir)
	if err != nil {
		return rec, err
	}
	if n := len(names); n > 0 {
		last, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(names[n-1]), ".jsonl"))
		if err != nil {
			return rec, err
		}
		l.next = last
	}
	l.next++
	if names, err = l.dropEmpty(names); err != nil {
		return rec, err
	}
	if l.signer, err = loadSigner(l.dir, len(names) == 0, l.opts.Random); err != nil {
		return rec, err
	}
	c, err := l.resume()
	if err != nil {
		return rec, err
	}
	l.stats.Checkpoint = c
	from, err := holding(names, c.Size+1)
	if err != nil {
		return rec, err
	}
	for i := from; i < len(names); i++ {
		end, whole, err := l.replay(names[i], i == from)
		if err != nil {
			return rec, err
		}
		if !whole {
			if i < len(names)-1 {
				return rec, &Broken{filepath.Base(names[i]), 0, "ends within a line"}
			}
			info, err := os.Stat(names[i])
			if err != nil {
				return rec, err
			}
			rec.Dropped = info.Size() - end
			if err := os.Truncate(names[i], end); err != nil {
				return rec, err
			}
		}
	}
	rec.Lines = l.seq
	if l.seq < c.Size {
		return rec, fmt.Errorf("%w: it ends with line %d, and line %d was signed", ErrCut, l.seq, c.Size)
	}
	if len(names) > 0 {
		return rec, l.continueSegment(names[len(names)-1])
	}
	return rec, nil
}

// ErrCut: lines that a checkpoint vouches for are not there.
var ErrCut = errors.New("the ledger was cut")

// ErrRewritten: the ledger is another than the one that was signed.
var ErrRewritten = errors.New("the ledger is not the one that was signed")

// resume loads the tree of the newest checkpoint.
func (l *Ledger) resume() (Checkpoint, error) {
	_, public, err := Verifier(l.dir)
	if err != nil {
		return Checkpoint{}, err
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		return Checkpoint{}, err
	}
	if v.Name() != l.signer.Name() || v.KeyHash() != l.signer.KeyHash() {
		return Checkpoint{}, fmt.Errorf("%s and %s are not one pair", signerFile, verifierFile)
	}
	c, found, err := Latest(l.dir, v)
	if err != nil || !found {
		return c, err
	}
	if l.tree, err = loadTree(l.dir, c.Size); err != nil {
		return c, fmt.Errorf("reading the tree of %d lines: %w", c.Size, err)
	}
	if l.tree.root() != c.Root {
		return c, fmt.Errorf("%w: its tree of %d lines has another head", ErrRewritten, c.Size)
	}
	return c, nil
}

// dropEmpty removes a last segment in which nothing was written.
func (l *Ledger) dropEmpty(names []string) ([]string, error) {
	for len(names) > 0 {
		info, err := os.Stat(names[len(names)-1])
		if err != nil {
			return nil, err
		}
		if info.Size() > 0 {
			break
		}
		if err := os.Remove(names[len(names)-1]); err != nil {
			return nil, err
		}
		names = names[:len(names)-1]
		l.next--
	}
	return names, nil
}

// holding finds the last segment that begins with a line up to seq.
func holding(names []string, seq uint64) (int, error) {
	for i := len(names) - 1; i > 0; i-- {
		first, err := firstLine(names[i])
		if err != nil {
			return 0, err
		}
		if len(first) == 0 {
			continue
		}
		if p, ok := placeOf(first); !ok || p.seq <= seq {
			return i, nil // a torn first line is looked at where it stands
		}
	}
	return 0, nil
}

// firstLine reads a segment's first line, without its break.
func firstLine(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, maxLine+256)
	n, err := io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	line, _, _ := bytes.Cut(b[:n], []byte("\n"))
	return line, nil
}

// replay reads a segment's lines, and puts those into the tree that are not in it. end is where its last whole line ends;
// whole says that nothing follows.
func (l *Ledger) replay(name string, first bool) (end int64, whole bool, err error) {
	sealed := l.tree.size
	err = readSegment(name, func(_ string, number int, line []byte) error {
		end += int64(len(line)) + 1
		p, ok := placeOf(line)
		switch {
		case !ok:
			return &Broken{filepath.Base(name), number, "is not a line of a ledger"}
		case first && number == 1:
			if p.seq > sealed+1 || p.seq == 0 || p.seq == 1 && p.prev != l.prev {
				return &Broken{filepath.Base(name), number, fmt.Sprintf("is numbered %d where at most %d belongs", p.seq, sealed+1)}
			}
		case p.seq != l.seq+1:
			return &Broken{filepath.Base(name), number, fmt.Sprintf("is numbered %d where %d belongs", p.seq, l.seq+1)}
		case p.prev != l.prev:
			return &Broken{filepath.Base(name), number, "does not follow the line before it"}
		}
		l.seq, l.prev = p.seq, sha256.Sum256(line)
		if l.seq > l.tree.size {
			l.tree.add(tlog.RecordHash(line), func(f tile) { l.full = append(l.full, f) })
		}
		return nil
	})
	if err != nil {
		return end, false, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return end, false, err
	}
	return end, info.Size() == end, nil
}

// continueSegment goes on in the last segment while it has room and the day is the same.
func (l *Ledger) continueSegment(name string) error {
	first, err := firstLine(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	day := TimeOf(first).UTC().Format(time.DateOnly)
	if info.Size() == 0 || info.Size() >= l.opts.Segment || day != l.opts.Now().UTC().Format(time.DateOnly) {
		return nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	l.file, l.size, l.day = f, info.Size(), day
	return nil
}

// place is what a line says of its own place.
type place struct {
	seq  uint64
	prev [sha256.Size]byte
}

// placeOf reads the end of a line, which add wrote.
func placeOf(line []byte) (place, bool) {
	var p place
	i := bytes.LastIndex(line, []byte(`,"ledger":{"seq":`))
	if i < 0 {
		return p, false
	}
	number, rest, found := bytes.Cut(line[i+len(`,"ledger":{"seq":`):], []byte(`,"prev":"`))
	if !found || len(rest) != 2*sha256.Size+len(`"}}`) || string(rest[2*sha256.Size:]) != `"}}` {
		return p, false
	}
	seq, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		return p, false
	}
	p.seq = seq
	_, err = hex.Decode(p.prev[:], rest[:2*sha256.Size])
	return p, err == nil
}

// Number is a line's number, from 1.
func Number(line []byte) (uint64, bool) {
	p, ok := placeOf(line)
	return p.seq, ok
}

// TimeOf reads a line's time; zero where it says none.
func TimeOf(line []byte) time.Time {
	_, rest, found := bytes.Cut(line, []byte(`,"time":`))
	if !found {
		return time.Time{}
	}
	digits := rest[:len(rest)-len(bytes.TrimLeft(rest, "0123456789"))]
	ms, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
