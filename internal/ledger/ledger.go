package ledger

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"
)

// Options are a ledger's bounds; zero values mean the defaults.
type Options struct {
	Queue   int              // lines that may wait to be written: 8192
	Segment int64            // bytes of a segment: 64 MiB
	Seal    time.Duration    // a checkpoint is signed at least this often while lines come: 10 s
	Now     func() time.Time // time.Now
	Random  io.Reader        // for the key of a new ledger: crypto/rand
}

// sealLines is after how many lines a checkpoint is signed at the latest.
const sealLines = 8192

// ErrUnavailable is what a line gets that cannot be made durable now: the disk is full or broken, or the ledger closed.
var ErrUnavailable = errors.New("the ledger cannot be written")

// maxLine bounds one event.
const maxLine = 64 << 10

// Recovery says what opening found.
type Recovery struct {
	Lines   uint64 // whole lines of all segments
	Dropped int64  // bytes of a last line that was never finished
}

// Ledger is the one writer of a directory.
type Ledger struct {
	dir  string
	lock *os.File
	opts Options

	in   chan entry
	done chan struct{}
	stop sync.Once

	mu    sync.Mutex
	stats Stats
	gone  bool

	// The writer's own:
	file *os.File
	size int64
	day  string
	next int // number of the next segment
	seq  uint64
	prev [sha256.Size]byte
	buf  []byte
	ends []int // of the lines in buf
	tree tree
	full []tile   // that no checkpoint covers yet
	left []string // segments that are full and have no index yet

	signer  note.Signer
	sealing chan sealing
}

// entry is an event to write, a checkpoint to make, or, empty, the end.
type entry struct {
	line []byte
	done chan error // nil: nobody waits
	seal chan error
}

// sealing asks for a checkpoint of a tree.
type sealing struct {
	tree tree
	full []tile
	left []string
	done chan error // nil: nobody waits
}

// Stats are a ledger's counts.
type Stats struct {
	Appended uint64
	Lost     uint64 // asynchronous lines the queue had no room for, or the disk
	Queued   int
	Failed   bool // the last write failed
	LastErr  error

	Checkpoint Checkpoint // the newest
	Sealed     time.Time  // when it was signed; zero: not by this process
	SealErr    error      // why the last one could not be made
}

// Open makes this process the owner of a directory, made if need be. It fails when another process owns it, and when the
// ledger is not what its newest checkpoint says: then lines are missing or changed, and nothing is added to it. A last line
// that was never finished is cut off, and an event says so: nobody was told that it was durable.
func Open(dir string, o Options) (*Ledger, Recovery, error) {
	if o.Queue <= 0 {
		o.Queue = 8192
	}
	if o.Segment <= 0 {
		o.Segment = 64 << 20
	}
	if o.Seal <= 0 {
		o.Seal = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, Recovery{}, fmt.Errorf("opening ledger: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, Recovery{}, fmt.Errorf("opening ledger: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, Recovery{}, fmt.Errorf("opening ledger %s: another process owns it", dir)
	}
	l := &Ledger{dir: dir, lock: lock, opts: o, in: make(chan entry, o.Queue), done: make(chan struct{}), sealing: make(chan sealing)}
	rec, err := l.recover()
	if err != nil {
		lock.Close()
		return nil, rec, fmt.Errorf("opening ledger %s: %w", dir, err)
	}
	go l.run()
	if rec.Dropped > 0 {
		l.Enqueue(&Event{Kind: Lifecycle, Time: o.Now(), Verb: "ledger.recover", Message: fmt.Sprintf("%d bytes of a line that was never finished were cut off", rec.Dropped)})
	}
	return l, rec, nil
}

// Append returns when the event is durable, or with ErrUnavailable. A cancelled context ends the waiting, not the
// writing.
func (l *Ledger) Append(ctx context.Context, e *Event) error {
	done := make(chan error, 1)
	l.mu.Lock()
	gone := l.gone
	l.mu.Unlock()
	if gone {
		return ErrUnavailable
	}
	select {
	case l.in <- entry{line: e.Encode(nil), done: done}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		select {
		case err := <-done:
			return err
		default:
			return ErrUnavailable
		}
	}
}

// Enqueue hands an event over without waiting. It reports false where there is no room; the loss is counted, and told
// in an event of its own.
func (l *Ledger) Enqueue(e *Event) bool {
	l.mu.Lock()
	gone := l.gone
	l.mu.Unlock()
	if !gone {
		select {
		case l.in <- entry{line: e.Encode(nil)}:
			return true
		default:
		}
	}
	l.mu.Lock()
	l.stats.Lost++
	l.mu.Unlock()
	return false
}

// Seal signs a checkpoint of all that was appended before, and returns it once it is durable.
func (l *Ledger) Seal(ctx context.Context) (Checkpoint, error) {
	done := make(chan error, 1)
	l.mu.Lock()
	gone := l.gone
	l.mu.Unlock()
	if gone {
		return Checkpoint{}, ErrUnavailable
	}
	select {
	case l.in <- entry{seal: done}:
	case <-ctx.Done():
		return Checkpoint{}, ctx.Err()
	}
	select {
	case err := <-done:
		return l.Stats().Checkpoint, err
	case <-ctx.Done():
		return Checkpoint{}, ctx.Err()
	case <-l.done:
		return Checkpoint{}, ErrUnavailable
	}
}

// Stats returns the counts as they are now.
func (l *Ledger) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Queued = len(l.in)
	return s
}

// Close writes what is queued and gives the directory up.
func (l *Ledger) Close() error {
	l.stop.Do(func() {
		l.mu.Lock()
		l.gone = true
		l.mu.Unlock()
		l.in <- entry{} // the end mark
		<-l.done
	})
	return l.lock.Close()
}

// maxGroup bounds how many bytes one commit takes.
const maxGroup = 256 << 10

// run is the one writer: it takes what has come, writes it, makes it durable once for all, and tells who waits.
func (l *Ledger) run() {
	defer close(l.done)
	sealer := make(chan struct{})
	go func() {
		defer close(sealer)
		l.runSealer()
	}()
	tick := time.NewTicker(l.opts.Seal)
	defer tick.Stop()
	var waiting, seals []chan error
	told := uint64(0) // losses already told
	sealed := l.Stats().Checkpoint.Size
	for open := true; open; {
		var e entry
		select {
		case e = <-l.in:
		case <-tick.C:
			if l.tree.size > sealed && l.offer() {
				sealed = l.tree.size
			}
			continue
		}
		l.buf, l.ends, waiting, seals = l.buf[:0], l.ends[:0], waiting[:0], seals[:0]
		lines, unawaited := 0, 0
		seq, prev := l.seq, l.prev
		for {
			switch {
			case e.seal != nil:
				seals = append(seals, e.seal)
			case e.line == nil:
				open = false
			default:
				l.add(e.line)
				lines++
				if e.done != nil {
					waiting = append(waiting, e.done)
				} else {
					unawaited++
				}
			}
			if !open || len(l.buf) >= maxGroup || len(l.in) == 0 {
				break
			}
			e = <-l.in
		}
		l.mu.Lock()
		lost := l.stats.Lost
		l.mu.Unlock()
		if lost > told {
			l.add((&Event{Kind: Alert, Time: l.opts.Now(), Message: fmt.Sprintf("%d events were lost: the queue was full, or nothing could be written", lost-told)}).Encode(nil))
		}
		err := l.commit()
		if err != nil {
			l.seq, l.prev = seq, prev
		} else {
			told = lost
			l.grow()
		}
		l.mu.Lock()
		if err != nil {
			l.stats.Lost += uint64(unawaited)
		} else {
			l.stats.Appended += uint64(lines)
		}
		l.stats.Failed, l.stats.LastErr = err != nil, err
		l.mu.Unlock()
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		for _, w := range waiting {
			w <- err
		}
		if l.tree.size >= sealed+sealLines && l.offer() {
			sealed = l.tree.size
		}
		for _, w := range seals {
			l.sealing <- sealing{l.tree.clone(), l.full, l.left, w}
			l.full, l.left, sealed = nil, nil, l.tree.size
		}
	}
	if l.file != nil {
		l.file.Close()
	}
	if l.tree.size > sealed || len(l.full) > 0 || l.Stats().SealErr != nil {
		l.sealing <- sealing{l.tree, l.full, l.left, nil}
	}
	close(l.sealing)
	<-sealer
}

// grow puts the lines of a written group into the tree.
func (l *Ledger) grow() {
	start := 0
	for _, end := range l.ends {
		l.tree.add(tlog.RecordHash(l.buf[start:end]), func(f tile) { l.full = append(l.full, f) })
		start = end + 1 // behind the line break
	}
}

// offer asks for a checkpoint, unless one is being made.
func (l *Ledger) offer() bool {
	select {
	case l.sealing <- sealing{l.tree.clone(), l.full, l.left, nil}:
		l.full, l.left = nil, nil
		return true
	default:
		return false
	}
}

// runSealer makes the checkpoints beside the writer, so that no line waits for one.
func (l *Ledger) runSealer() {
	var kept []tile // full tiles that are not written yet
	for s := range l.sealing {
		kept = append(kept, s.full...)
		c, err := l.seal(s.tree, kept)
		if err == nil {
			kept = nil
		}
		l.mu.Lock()
		l.stats.SealErr = err
		if err == nil {
			l.stats.Checkpoint, l.stats.Sealed = c, l.opts.Now()
		}
		l.mu.Unlock()
		if s.done != nil {
			s.done <- err
		}
		for _, name := range s.left {
			_ = buildIndex(name) // questions are answered without it, slower
		}
	}
}

// add gives a line its number and the hash of the one before it.
func (l *Ledger) add(line []byte) {
	if len(line) > maxLine {
		line = (&Event{Kind: Alert, Time: l.opts.Now(), Message: "an event was larger than 64 KiB and is not kept"}).Encode(nil)
	}
	start := len(l.buf)
	l.seq++
	l.buf = append(l.buf, line[:len(line)-1]...) // less its closing brace
	l.buf = append(l.buf, `,"ledger":{"seq":`...)
	l.buf = strconv.AppendUint(l.buf, l.seq, 10)
	l.buf = append(l.buf, `,"prev":"`...)
	l.buf = hex.AppendEncode(l.buf, l.prev[:])
	l.buf = append(l.buf, `"}}`...)
	l.prev = sha256.Sum256(l.buf[start:])
	l.ends = append(l.ends, len(l.buf))
	l.buf = append(l.buf, '\n')
}

// commit writes a group and makes it durable. After a failure nothing of the group stays in the file.
func (l *Ledger) commit() error {
	if len(l.buf) == 0 {
		return nil
	}
	if err := l.segment(); err != nil {
		return err
	}
	_, err := l.file.Write(l.buf)
	if err == nil {
		err = unix.Fdatasync(int(l.file.Fd()))
	}
	if err != nil {
		// What a failed fdatasync left is unknown: the file is cut back and a new segment begun next time.
		cut := l.file.Truncate(l.size)
		closed := l.file.Close()
		l.file = nil
		if l.size == 0 {
			l.next--
		}
		return errors.Join(err, cut, closed)
	}
	l.size += int64(len(l.buf))
	return nil
}

// segment opens the file to write to: the last one while it has room and the day is the same, else a new one.
func (l *Ledger) segment() error {
	day := l.opts.Now().UTC().Format(time.DateOnly)
	if l.file != nil && l.size < l.opts.Segment && l.day == day {
		return nil
	}
	if l.file != nil {
		l.left = append(l.left, l.file.Name())
		l.file.Close()
		l.file = nil
	}
	name := filepath.Join(l.dir, fmt.Sprintf("%06d.jsonl", l.next))
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	if err := syncDir(l.dir); err != nil {
		f.Close()
		return err
	}
	l.file, l.size, l.day = f, info.Size(), day
	l.next++
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
