package audit

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/meter"
)

// Refusals of one kind beyond this many in a second are counted, not told one by one: nobody fills the disk by being
// refused.
const toldPerSecond = 10

// summaryKinds bounds how many kinds are told apart at once; beyond it all others are one kind.
const summaryKinds = 1 << 14

// Summaries counts refusals by who was refused what and why. Every refusal is in the ledger: as its own event, or in
// the count of one.
type Summaries struct {
	ledger Ledger

	mu    sync.Mutex
	kinds map[refusals]*tally
}

type refusals struct{ who, operation, reason string }

type tally struct {
	second int64
	told   int
	beyond int
	last   ledger.Event // a model of those beyond
	idle   bool         // nothing came since the last sweep
}

// NewSummaries returns an empty count.
func NewSummaries(l Ledger) *Summaries { return &Summaries{ledger: l, kinds: map[refusals]*tally{}} }

// Refused records one refusal. from is where it came from: who is nobody is told apart by the network that can be had
// as one, for a /64 has addresses without end.
func (s *Summaries) Refused(e *ledger.Event, from netip.Addr) {
	if s.tell(e, from) {
		s.ledger.Enqueue(e)
	}
}

func (s *Summaries) tell(e *ledger.Event, from netip.Addr) bool {
	k := refusals{e.Issuer + "\x00" + e.Subject, e.Operation, e.Reason}
	if e.Subject == "" {
		k.who = meter.Address(from).String()
	}
	second := e.Time.Unix()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.kinds[k]
	if t == nil {
		if len(s.kinds) >= summaryKinds {
			k = refusals{reason: "other"}
			t = s.kinds[k]
		}
		if t == nil {
			t = &tally{second: second}
			s.kinds[k] = t
		}
	}
	t.idle = false
	if t.second != second {
		s.flush(t)
		t.second, t.told = second, 0
	}
	if t.told < toldPerSecond {
		t.told++
		return true
	}
	t.beyond++
	t.last = *e
	return false
}

// flush writes what was only counted.
func (s *Summaries) flush(t *tally) {
	if t.beyond == 0 {
		return
	}
	e := t.last
	e.Phase, e.Count, e.ID = ledger.Summary, t.beyond, ""
	s.ledger.Enqueue(&e)
	t.beyond = 0
}

// Run writes counts within two seconds of the refusals until ctx is done, and then the last ones.
func (s *Summaries) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.sweep()
		case <-ctx.Done():
			s.sweep()
			return
		}
	}
}

// sweep writes every count and forgets the kinds of which nothing came since the sweep before.
func (s *Summaries) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, t := range s.kinds {
		if t.idle {
			delete(s.kinds, k)
			continue
		}
		s.flush(t)
		t.idle = true
	}
}
