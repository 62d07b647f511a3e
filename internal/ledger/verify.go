package ledger

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// Report is what Verify found.
type Report struct {
	Lines      uint64
	Pruned     uint64     // of them, those that retention removed; their hashes stand
	Unresolved []string   // ids of intents without an outcome: how those ended is unknown
	Checkpoint Checkpoint // the newest of the directory; zero: none yet
	Origin     string
	Key        string   // the verifier key
	Foreign    []uint64 // sizes of the checkpoints from elsewhere that hold
}

// Broken is the first place at which a ledger is not what was written.
type Broken struct {
	Segment string
	Line    int // in the segment; 0: the segment itself
	Problem string
}

func (b *Broken) Error() string {
	if b.Line == 0 {
		return b.Segment + ": " + b.Problem
	}
	return fmt.Sprintf("%s line %d: %s", b.Segment, b.Line, b.Problem)
}

// Tampered reports whether an error says that a ledger is not what was written, and not that it could not be read.
func Tampered(err error) bool {
	var b *Broken
	return errors.As(err, &b) || errors.Is(err, ErrCut) || errors.Is(err, ErrRewritten) || errors.Is(err, ErrNotOurs)
}

// tagged is what Verify asks of each line.
type tagged struct {
	Metadata struct {
		UID string `json:"correlation_uid"`
	} `json:"metadata"`
	Unmapped struct {
		Phase  Phase  `json:"phase"`
		Verb   string `json:"verb"`
		Target string `json:"target"`
	} `json:"unmapped"`
}

// pruneVerb is the event that says which lines retention removed; its target is the number of the last.
const pruneVerb = "ledger.prune"

// Verify reads a whole ledger and holds the numbers of its lines, the hash that each carries of the one before it, the
// tree, and the newest checkpoint. It finds changed, missing, inserted and reordered lines, with their place. That the end
// was cut off behind the newest checkpoint, or all of it rewritten by somebody who has the key, only checkpoints from
// elsewhere can show: since are such, in any order, and each must hold.
//
// The ledger may be written to meanwhile.
func Verify(dir string, since ...Checkpoint) (Report, error) {
	var rep Report
	v, key, err := Verifier(dir)
	if errors.Is(err, fs.ErrNotExist) {
		names, lerr := segments(dir)
		if lerr == nil && len(names) == 0 && len(since) == 0 {
			return rep, nil // nothing was ever written
		}
		return rep, errors.Join(lerr, &Broken{verifierFile, 0, "is missing: nothing says whose lines these are"})
	}
	if err != nil {
		return rep, err
	}
	rep.Origin, rep.Key = v.Name(), key
	own, found, err := Latest(dir, v)
	var unread *fs.PathError
	if errors.As(err, &unread) {
		return rep, err
	}
	if err != nil {
		return rep, &Broken{checkpointFile, 0, err.Error()}
	}
	heads := slices.Clone(since)
	if found {
		rep.Checkpoint = own
		heads = append(heads, own)
	}
	slices.SortStableFunc(heads, func(a, b Checkpoint) int { return int(int64(a.Size) - int64(b.Size)) })
	w := verifying{dir: dir, report: &rep, sealed: own.Size, heads: heads, open: map[string]bool{}}
	if err := w.checkHeads(); err != nil {
		return rep, err
	}
	if err := Read(dir, w.line); err != nil {
		return rep, err
	}
	for _, id := range w.order {
		if w.open[id] {
			rep.Unresolved = append(rep.Unresolved, id)
		}
	}
	if len(w.heads) > 0 {
		return rep, fmt.Errorf("%w: it ends with line %d, and line %d was signed", ErrCut, rep.Lines, w.heads[0].Size)
	}
	if rep.Pruned > 0 && w.pruned < rep.Pruned {
		return rep, fmt.Errorf("%w: lines 1 to %d are missing, and no event says that retention removed them", ErrCut, rep.Pruned)
	}
	for _, c := range since {
		rep.Foreign = append(rep.Foreign, c.Size)
	}
	return rep, nil
}

// verifying is a verification on its way.
type verifying struct {
	dir    string
	report *Report
	sealed uint64 // lines whose full tiles must stand on the disk
	heads  []Checkpoint
	tree   tree
	prev   [sha256.Size]byte
	open   map[string]bool
	order  []string
	pruned uint64
	err    error
}

func (w *verifying) line(segment string, n int, line []byte) error {
	broken := func(format string, args ...any) error { return &Broken{segment, n, fmt.Sprintf(format, args...)} }
	p, ok := placeOf(line)
	if !ok {
		return broken("is not a line of a ledger")
	}
	if w.report.Lines == 0 && p.seq > 1 {
		if err := w.skip(p.seq - 1); err != nil {
			return broken("is numbered %d where 1 belongs, and what was before it is not in the tree: %v", p.seq, err)
		}
		w.prev = p.prev // the line before it is gone; the tree holds this one
	}
	w.report.Lines++
	switch {
	case p.seq != w.report.Lines:
		return broken("is numbered %d where %d belongs", p.seq, w.report.Lines)
	case p.prev != w.prev:
		return broken("does not follow the line before it")
	}
	var t tagged
	if err := json.Unmarshal(line, &t); err != nil {
		return broken("is not JSON")
	}
	w.prev = sha256.Sum256(line)
	w.tree.add(tlog.RecordHash(line), w.tile)
	if w.err != nil {
		return broken("%v", w.err)
	}
	if err := w.checkHeads(); err != nil {
		return broken("%v", err)
	}
	switch {
	case t.Unmapped.Phase == Intent:
		w.open[t.Metadata.UID] = true
		w.order = append(w.order, t.Metadata.UID)
	case t.Unmapped.Phase == Outcome:
		delete(w.open, t.Metadata.UID)
	case t.Unmapped.Verb == pruneVerb:
		if last, err := strconv.ParseUint(t.Unmapped.Target, 10, 64); err == nil {
			w.pruned = max(w.pruned, last)
		}
	}
	return nil
}

// skip takes the hashes of lines that are gone from their tiles.
func (w *verifying) skip(lines uint64) error {
	for number := range lines / tileWidth {
		if err := w.leaves(number, tileWidth); err != nil {
			return err
		}
	}
	if rest := int(lines % tileWidth); rest > 0 {
		if err := w.leaves(lines/tileWidth, rest); err != nil {
			return err
		}
	}
	w.report.Lines, w.report.Pruned = lines, lines
	return nil
}

func (w *verifying) leaves(number uint64, width int) error {
	hashes, err := readTile(w.dir, 0, number, width)
	if err != nil {
		return err
	}
	for _, h := range hashes {
		w.tree.add(h, w.tile)
		if err := errors.Join(w.err, w.checkHeads()); err != nil {
			return err
		}
	}
	return nil
}

// tile compares a tile of the lines with the one on the disk.
func (w *verifying) tile(t tile) {
	if w.err != nil || w.tree.size > w.sealed {
		return // not written yet
	}
	stored, err := readTile(w.dir, t.level, t.number, tileWidth)
	switch {
	case err != nil:
		w.err = fmt.Errorf("the tree's tile %s: %w", t.path(), err)
	case !slices.Equal(stored, t.hashes):
		w.err = fmt.Errorf("the tree's tile %s is not made of these lines", t.path())
	}
}

// checkHeads compares the tree with the checkpoints of its size.
func (w *verifying) checkHeads() error {
	for len(w.heads) > 0 && w.heads[0].Size == w.tree.size {
		if w.heads[0].Root != w.tree.root() {
			return fmt.Errorf("%w: up to line %d it has another head", ErrRewritten, w.tree.size)
		}
		w.heads = w.heads[1:]
	}
	return nil
}
