package ledger

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Proof shows that a line stands in a ledger: whoever has the ledger's verifier key needs nothing else to believe it, no
// file of the ledger and no code of ours (c2sp.org/tlog-proof).
type Proof struct {
	Line       []byte // the event, as it stands in the ledger
	Index      uint64 // of the line, from 0
	Hashes     []tlog.Hash
	Checkpoint Checkpoint
}

const proofHeader = "c2sp.org/tlog-proof@v1\n"

// ErrNotSealed: the line is younger than the newest checkpoint.
var ErrNotSealed = errors.New("no checkpoint covers the line yet")

// Prove makes the proof of a line, numbered from 1, by the newest checkpoint.
func Prove(dir string, number uint64) (Proof, error) {
	v, _, err := Verifier(dir)
	if err != nil {
		return Proof{}, err
	}
	c, _, err := Latest(dir, v)
	if err != nil {
		return Proof{}, err
	}
	if number == 0 || number > c.Size {
		return Proof{}, fmt.Errorf("line %d: %w", number, ErrNotSealed)
	}
	line, err := Line(dir, number)
	if err != nil {
		return Proof{}, err
	}
	hashes, err := tlog.ProveRecord(int64(c.Size), int64(number-1), &tiles{dir: dir, size: c.Size})
	if err != nil {
		return Proof{}, fmt.Errorf("proving line %d: %w", number, err)
	}
	p := Proof{line, number - 1, hashes, c}
	if err := p.check(); err != nil {
		return Proof{}, fmt.Errorf("line %d: %w", number, err)
	}
	return p, nil
}

func (p Proof) check() error {
	if tlog.CheckRecord(p.Hashes, int64(p.Checkpoint.Size), p.Checkpoint.Root, int64(p.Index), tlog.RecordHash(p.Line)) != nil {
		return fmt.Errorf("%w: the line is not in the tree of its checkpoint", ErrRewritten)
	}
	return nil
}

// Marshal writes the proof with the line as its extra data.
func (p Proof) Marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%sextra %s\nindex %d\n", proofHeader, base64.StdEncoding.EncodeToString(p.Line), p.Index)
	for _, h := range p.Hashes {
		fmt.Fprintf(&b, "%s\n", base64.StdEncoding.EncodeToString(h[:]))
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint.Note)
	return b.Bytes()
}

// ReadProof reads a proof and believes it only if everything in it holds.
func ReadProof(b []byte, v note.Verifier) (Proof, error) {
	bad := func(what string) (Proof, error) { return Proof{}, fmt.Errorf("is not a proof of an event: %s", what) }
	head, signed, found := strings.Cut(string(b), "\n\n")
	rest, ok := strings.CutPrefix(head, proofHeader)
	if !found || !ok {
		return bad("it does not begin with " + strings.TrimSpace(proofHeader))
	}
	lines := strings.Split(rest, "\n")
	if len(lines) < 2 {
		return bad("it has no index")
	}
	extra, ok := strings.CutPrefix(lines[0], "extra ")
	if !ok {
		return bad("it carries no event")
	}
	var p Proof
	var err error
	if p.Line, err = base64.StdEncoding.Strict().DecodeString(extra); err != nil {
		return bad("its event is not base64")
	}
	index, ok := strings.CutPrefix(lines[1], "index ")
	if p.Index, err = strconv.ParseUint(index, 10, 63); !ok || err != nil || strconv.FormatUint(p.Index, 10) != index {
		return bad("its index is no number")
	}
	for _, l := range lines[2:] {
		h, err := base64.StdEncoding.Strict().DecodeString(l)
		if err != nil || len(h) != tlog.HashSize || len(p.Hashes) > 64 {
			return bad("its hashes cannot be read")
		}
		p.Hashes = append(p.Hashes, tlog.Hash(h))
	}
	if p.Checkpoint, err = ReadCheckpoint([]byte(signed), v); err != nil {
		return Proof{}, fmt.Errorf("the proof's checkpoint %w", err)
	}
	if p.Index >= p.Checkpoint.Size {
		return bad("its index lies beyond its checkpoint")
	}
	return p, p.check()
}

var errFound = errors.New("found")

// ErrNoLine: the ledger has no such line.
var ErrNoLine = errors.New("is not in the ledger")

// Line returns a copy of a line, numbered from 1.
func Line(dir string, number uint64) ([]byte, error) {
	names, err := segments(dir)
	if err != nil {
		return nil, fmt.Errorf("reading ledger: %w", err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("line %d %w", number, ErrNoLine)
	}
	at, err := holding(names, number)
	if err != nil {
		return nil, fmt.Errorf("reading ledger: %w", err)
	}
	var out []byte
	err = readSegment(names[at], func(_ string, _ int, line []byte) error {
		if p, ok := placeOf(line); ok && p.seq == number {
			out = bytes.Clone(line)
			return errFound
		}
		return nil
	})
	if errors.Is(err, errFound) {
		return out, nil
	}
	if err == nil {
		err = ErrNoLine
	}
	return nil, fmt.Errorf("line %d %w", number, err)
}
