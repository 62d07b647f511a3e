package management

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/problem"
	"github.com/portreeve/portreeve/internal/store"
)

// EventQuery asks the ledger. What is empty asks for nothing; all that is given must hold.
type EventQuery struct {
	ID         string    `json:"id,omitempty"`
	Subject    string    `json:"subject,omitempty"`
	Credential string    `json:"credential,omitempty"`
	Address    string    `json:"address,omitempty"`
	Operation  string    `json:"operation,omitempty"`
	Object     string    `json:"object,omitempty"`
	Decision   string    `json:"decision,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	Verb       string    `json:"verb,omitempty"`
	Class      string    `json:"class,omitempty"`
	Since      time.Time `json:"since,omitzero"`
	Until      time.Time `json:"until,omitzero"`
	Limit      int       `json:"limit,omitempty"` // the newest so many: 100, at most 10,000
}

// String tells what was asked, for the event that says so.
func (q EventQuery) String() string {
	b, err := json.Marshal(q)
	if err != nil {
		return "events"
	}
	return "events " + string(b)
}

// EventList is what was found, oldest first.
type EventList struct {
	Schema string            `json:"schema"` // "portreeve/events/v1"
	Events []json.RawMessage `json:"events"` // lines of the ledger
	More   bool              `json:"more"`   // there are older ones
}

// maxEvents bounds one answer.
const maxEvents = 10_000

func (h *handler) queryEvents(ctx context.Context, r *http.Request) (any, error) {
	q, err := read[EventQuery](r)
	if err != nil {
		return nil, err
	}
	if q.Limit < 0 || q.Limit > maxEvents {
		return nil, &keys.InvalidError{Field: "limit", Problem: fmt.Sprintf("must be between 1 and %d", maxEvents)}
	}
	out := EventList{Schema: "portreeve/events/v1", Events: []json.RawMessage{}}
	err = h.record(ctx, deployment.LogRead, q.String(), func() (keys.Act, error) {
		a, err := ledger.Find(ctx, h.state.Plan().Audit.Dir, ledger.Query{ID: q.ID, Subject: q.Subject, Credential: q.Credential, Address: q.Address, Operation: q.Operation,
			Object: q.Object, Decision: q.Decision, Reason: q.Reason, Verb: q.Verb, Class: q.Class, Since: q.Since, Until: q.Until, Limit: q.Limit})
		out.More = a.More
		for _, line := range a.Lines {
			out.Events = append(out.Events, line)
		}
		return keys.Act{}, err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Sealed is a checkpoint, and the key that judges it.
type Sealed struct {
	Schema     string `json:"schema"` // "portreeve/checkpoint/v1"
	Origin     string `json:"origin"`
	Size       uint64 `json:"size"`
	Checkpoint string `json:"checkpoint"` // signed note
	Key        string `json:"key"`        // note verifier key
}

func (h *handler) seal(ctx context.Context, _ *http.Request) (any, error) {
	c, err := h.state.Ledger.Seal(ctx)
	if err != nil {
		return nil, fmt.Errorf("making checkpoint: %w", err)
	}
	_, key, err := ledger.Verifier(h.state.Plan().Audit.Dir)
	if err != nil {
		return nil, err
	}
	return Sealed{"portreeve/checkpoint/v1", c.Origin, c.Size, string(c.Note), key}, nil
}

// ProofOf asks for the proof of an event: by the id of its exchange or act, or by its line.
type ProofOf struct {
	Event string `json:"event"`
}

// Proven is an event's proof (c2sp.org/tlog-proof).
type Proven struct {
	Schema string          `json:"schema"` // "portreeve/proof/v1"
	Line   uint64          `json:"line"`
	Lines  []uint64        `json:"lines"` // all of the exchange, the last of which is proven
	Event  json.RawMessage `json:"event"`
	Proof  string          `json:"proof"`
	Key    string          `json:"key"` // note verifier key
}

func (h *handler) prove(ctx context.Context, r *http.Request) (any, error) {
	q, err := read[ProofOf](r)
	if err != nil {
		return nil, err
	}
	dir := h.state.Plan().Audit.Dir
	out := Proven{Schema: "portreeve/proof/v1"}
	err = h.record(ctx, deployment.LogRead, "proof of "+q.Event, func() (keys.Act, error) {
		if out.Lines, err = linesOf(ctx, dir, q.Event); err != nil {
			return keys.Act{}, err
		}
		if len(out.Lines) == 0 {
			return keys.Act{}, fmt.Errorf("event %q: %w", q.Event, store.ErrNotFound)
		}
		if _, err := h.state.Ledger.Seal(ctx); err != nil {
			return keys.Act{}, fmt.Errorf("making checkpoint: %w", err)
		}
		out.Line = out.Lines[len(out.Lines)-1]
		p, err := ledger.Prove(dir, out.Line)
		if errors.Is(err, ledger.ErrNoLine) || errors.Is(err, ledger.ErrNotSealed) {
			return keys.Act{}, fmt.Errorf("event %q: %w", q.Event, store.ErrNotFound)
		}
		out.Event, out.Proof = p.Line, string(p.Marshal())
		return keys.Act{}, err
	})
	if err != nil {
		return nil, err
	}
	_, out.Key, err = ledger.Verifier(dir)
	return out, err
}

// linesOf finds the lines that an event's name stands for.
func linesOf(ctx context.Context, dir, event string) ([]uint64, error) {
	if n, err := strconv.ParseUint(strings.TrimPrefix(event, "#"), 10, 64); err == nil {
		return []uint64{n}, nil
	}
	a, err := ledger.Find(ctx, dir, ledger.Query{ID: event, Limit: 100})
	if err != nil {
		return nil, err
	}
	var out []uint64
	for _, line := range a.Lines {
		if n, ok := ledger.Number(line); ok {
			out = append(out, n)
		}
	}
	return out, nil
}

// TailOf asks for the newest lines, and, if it is to follow, for those that come.
type TailOf struct {
	Lines  int  `json:"lines"`
	Follow bool `json:"follow,omitempty"`
}

// tail streams lines as they are in the ledger.
func (h *handler) tail(w http.ResponseWriter, r *http.Request) {
	if actor(r.Context()) == "" {
		refuse(w, http.StatusForbidden, problem.Forbidden, "nobody knows who asks")
		return
	}
	q, err := read[TailOf](r)
	if err == nil && (q.Lines < 0 || q.Lines > maxEvents) {
		err = &keys.InvalidError{Field: "lines", Problem: fmt.Sprintf("must be between 0 and %d", maxEvents)}
	}
	if err != nil {
		fail(w, err)
		return
	}
	dir := h.state.Plan().Audit.Dir
	var a ledger.Answer
	err = h.record(r.Context(), deployment.LogRead, fmt.Sprintf("the newest %d events, following: %t", q.Lines, q.Follow), func() (keys.Act, error) {
		var err error
		a, err = ledger.Find(r.Context(), dir, ledger.Query{Limit: max(1, q.Lines)})
		return keys.Act{}, err
	})
	if err != nil {
		fail(w, err)
		return
	}
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{}) // where there is a deadline; each line has its own
	header(w, "application/jsonl")
	last := uint64(0)
	send := func(line []byte) error {
		_ = control.SetWriteDeadline(time.Now().Add(actTimeout))
		if _, err := w.Write(append(bytes.Clone(line), '\n')); err != nil {
			return err
		}
		_ = control.Flush()
		return nil
	}
	for _, line := range a.Lines {
		if n, ok := ledger.Number(line); ok {
			last = n
		}
		if q.Lines > 0 && send(line) != nil {
			return
		}
	}
	if q.Follow {
		_ = ledger.Follow(r.Context(), dir, last, send) // ends when the reader leaves
	}
}
