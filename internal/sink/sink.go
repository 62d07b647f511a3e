// Package sink takes copies of the ledger elsewhere: into a file, to standard output, to a syslog server, an OpenTelemetry
// collector, a webhook, a bucket. Each sink has a durable cursor of its own into the ledger, so that one that is away for a
// day gets the day: every event in order, none lost, and none twice but those that were on their way when something broke
// (at least once). Checkpoints go along, so that whoever keeps a copy can find a ledger that was cut or rewritten.
//
// It reads the ledger's files and never writes them; it delays nobody.
package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/ledger"
)

// Record is one event on its way.
type Record struct {
	Seq  uint64
	Line []byte // as it stands in the ledger
}

// Batch is what is sent at once: records in order, without a gap.
type Batch struct {
	Origin  string // of the ledger
	Records []Record
}

// ID names a batch for who must know it again: the ledger's origin with the first and the last number.
func (b Batch) ID() string {
	return fmt.Sprintf("%s:%d-%d", b.Origin, b.Records[0].Seq, b.Records[len(b.Records)-1].Seq)
}

// Sender delivers batches. Send returns nil when the receiver has all of it; after an error the same batch comes again.
type Sender interface {
	Send(ctx context.Context, b Batch) error
	Close() error
}

// Bounds of a batch.
const (
	maxBatch      = 500
	maxBatchBytes = 1 << 20
	maxWait       = time.Second
)

// Options are a shipper's.
type Options struct {
	Name   string // of the sink in the configuration; its cursor's too
	Dir    string // the ledger's
	Sender Sender
	Log    *slog.Logger
	Retry  time.Duration // first wait after a failure, doubled up to a minute: 1 s
	Wait   time.Duration // how long an event waits for others: 1 s
}

// Shipper sends a ledger to one sink.
type Shipper struct {
	o    Options
	stop context.CancelFunc
	done chan struct{}

	mu     sync.Mutex
	status Status
}

// Status tells how far a sink is.
type Status struct {
	Name    string    `json:"name"`
	Sent    uint64    `json:"sent"` // number of the last line that the receiver has
	Failing bool      `json:"failing"`
	Since   time.Time `json:"since,omitzero"` // failing since
	Problem string    `json:"problem,omitempty"`
}

// ErrForeignCursor: the cursor was written beside another ledger, or this one was rewritten.
var ErrForeignCursor = errors.New("the sink has got lines that this ledger does not hold: the ledger was cut or begun anew; keep what the sink has, then remove the cursor to send everything again")

// Start begins to send what the sink has not got yet. A cursor that names a line the ledger does not hold is an error:
// nothing would show better that the ledger was cut.
func Start(o Options) (*Shipper, error) {
	if o.Retry <= 0 {
		o.Retry = time.Second
	}
	if o.Wait <= 0 {
		o.Wait = maxWait
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	at, err := readCursor(o.Dir, o.Name)
	if err != nil {
		return nil, fmt.Errorf("starting sink %s: %w", o.Name, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Shipper{o: o, stop: stop, done: make(chan struct{}), status: Status{Name: o.Name, Sent: at.seq}}
	go s.run(ctx, at)
	return s, nil
}

// Status returns how far the sink is.
func (s *Shipper) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Close ends the sending. What is not sent yet goes with the next start. Before it does, it waits, no longer than ctx, until
// the receiver has everything up to a line.
func (s *Shipper) Close(ctx context.Context, upTo uint64) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for st := s.Status(); st.Sent < upTo && !st.Failing; st = s.Status() {
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
		}
		break
	}
	s.stop()
	<-s.done
	return s.o.Sender.Close()
}

func (s *Shipper) run(ctx context.Context, at cursor) {
	defer close(s.done)
	records := make(chan Record)
	go func() {
		defer close(records)
		err := ledger.Follow(ctx, s.o.Dir, at.seq, func(line []byte) error {
			n, ok := ledger.Number(line)
			if !ok {
				return fmt.Errorf("line behind %d cannot be read", at.seq)
			}
			select {
			case records <- Record{n, bytes.Clone(line)}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if err != nil && ctx.Err() == nil {
			s.failed(err)
		}
	}()
	origin := ""
	for {
		b, open := s.gather(records)
		if len(b) > 0 {
			if origin == "" {
				if v, _, err := ledger.Verifier(s.o.Dir); err == nil {
					origin = v.Name()
				}
			}
			if !s.deliver(ctx, Batch{origin, b}) {
				return
			}
		}
		if !open {
			return
		}
	}
}

// gather waits for an event and takes those that come with it.
func (s *Shipper) gather(records <-chan Record) (b []Record, open bool) {
	r, open := <-records
	if !open {
		return nil, false
	}
	b, size := append(b, r), len(r.Line)
	wait := time.NewTimer(s.o.Wait)
	defer wait.Stop()
	for len(b) < maxBatch && size < maxBatchBytes {
		select {
		case r, open := <-records:
			if !open {
				return b, false
			}
			b, size = append(b, r), size+len(r.Line)
		case <-wait.C:
			return b, true
		}
	}
	return b, true
}

// deliver sends a batch until the receiver has it. It reports false when ctx ended before.
func (s *Shipper) deliver(ctx context.Context, b Batch) bool {
	for wait := s.o.Retry; ; wait = min(2*wait, time.Minute) {
		err := s.o.Sender.Send(ctx, b)
		if err == nil {
			last := b.Records[len(b.Records)-1]
			if err = (cursor{last.Seq, sum(last.Line)}).write(s.o.Dir, s.o.Name); err == nil {
				s.delivered(last.Seq)
				return true
			}
		}
		if ctx.Err() != nil {
			return false
		}
		s.failed(err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false
		}
	}
}

func (s *Shipper) delivered(seq uint64) {
	s.mu.Lock()
	was := s.status.Failing
	s.status.Sent, s.status.Failing, s.status.Since, s.status.Problem = seq, false, time.Time{}, ""
	s.mu.Unlock()
	if was {
		s.o.Log.Info("the sink takes events again", "sink", s.o.Name, "sent", seq)
	}
}

func (s *Shipper) failed(err error) {
	s.mu.Lock()
	first := !s.status.Failing
	if first {
		s.status.Failing, s.status.Since = true, time.Now()
	}
	s.status.Problem = err.Error()
	s.mu.Unlock()
	if first {
		s.o.Log.Warn("the sink takes no events; they wait in the ledger", "sink", s.o.Name, "cause", err.Error())
	}
}

// cursor is the last line a receiver has, with its hash.
type cursor struct {
	seq uint64
	sum string
}

func cursorName(dir, name string) string { return filepath.Join(dir, "cursors", name) }

func readCursor(dir, name string) (cursor, error) {
	b, err := os.ReadFile(cursorName(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return cursor{}, nil
	}
	if err != nil {
		return cursor{}, fmt.Errorf("reading cursor: %w", err)
	}
	number, hash, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil || len(hash) != 64 {
		return cursor{}, fmt.Errorf("%s is not a cursor: remove it to send everything again", cursorName(dir, name))
	}
	line, err := ledger.Line(dir, seq)
	if errors.Is(err, ledger.ErrNoLine) || err == nil && sum(line) != hash {
		return cursor{}, fmt.Errorf("cursor %s at line %d: %w", cursorName(dir, name), seq, ErrForeignCursor)
	}
	return cursor{seq, hash}, err
}

func (c cursor) write(dir, name string) error {
	file := cursorName(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("writing cursor: %w", err)
	}
	// Not made durable: a cursor that is behind sends a batch twice, which is promised to be possible.
	next := file + ".new"
	if err := os.WriteFile(next, fmt.Appendf(nil, "%d %s\n", c.seq, c.sum), 0o600); err != nil {
		return fmt.Errorf("writing cursor: %w", err)
	}
	if err := os.Rename(next, file); err != nil {
		return fmt.Errorf("writing cursor: %w", err)
	}
	return nil
}
