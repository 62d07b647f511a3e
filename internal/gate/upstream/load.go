package upstream

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portreeve/portreeve/internal/plan"
)

// Load admits as many calls at once as the API answers without growing slow. The limit is found, not configured: where
// answers come in their usual time it grows, where they take more than twice of it, it shrinks to a share of what was
// on its way (a gradient, as in TCP Vegas and Netflix's concurrency-limits). Each operation has a usual time of its own,
// so that another mix of slow and quick operations is no sign of overload.
//
// A gate that knows nothing yet refuses nothing: it begins at the most it may admit, and learns what is usual from the
// first answers.
//
// A call is counted until the head of its answer: how fast a client takes the rest is no matter of the API's.
type Load struct {
	rule plan.Concurrency

	limit    atomic.Int64
	inFlight atomic.Int64
	peak     atomic.Int64 // of the window
	shed     atomic.Uint64
	refused  atomic.Int64 // of the window
	ends     atomic.Int64 // of the window, Unix nanoseconds

	mu    sync.Mutex // of the window's end
	paces map[string]*Pace
}

// Pace is how quickly one operation is answered.
type Pace struct {
	sum, count atomic.Int64 // of the window; nanoseconds, calls
	usual      float64      // nanoseconds
}

const (
	loadWindow  = int64(time.Second)
	loadSamples = 10                            // a window with fewer calls goes on
	tolerance   = 2.0                           // times the usual: more is a queue
	quick       = float64(5 * time.Millisecond) // what is quicker is never called slow against something quicker yet
	patience    = 0.02                          // how much of a slower pace becomes usual in a window
	stubborn    = patience / 10                 // the same while calls are refused: else overload would become usual
	anonymous   = 3                             // quarters of the limit that callers nobody knows may fill
)

// NewLoad returns a Load that knows nothing yet.
func NewLoad(rule plan.Concurrency) *Load {
	l := &Load{rule: rule, paces: map[string]*Pace{}}
	l.limit.Store(int64(rule.Max))
	l.ends.Store(time.Now().UnixNano() + loadWindow)
	return l
}

// Of returns the pace of an operation; it outlives plans.
func (l *Load) Of(operation string) *Pace {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.paces[operation]
	if p == nil {
		p = new(Pace)
		l.paces[operation] = p
	}
	return p
}

// Admit takes one place, if there is one. The last quarter is for callers that are known.
func (l *Load) Admit(known bool) bool {
	n, most := l.inFlight.Add(1), l.limit.Load()
	if !known {
		most = max(1, most*anonymous/4)
	}
	if n > most {
		l.inFlight.Add(-1)
		l.shed.Add(1)
		l.refused.Add(1)
		return false
	}
	for {
		peak := l.peak.Load()
		if n <= peak || l.peak.CompareAndSwap(peak, n) {
			return true
		}
	}
}

// Done gives the place back. took is what the answer's head took; 0 where that says nothing of the API.
func (l *Load) Done(p *Pace, took time.Duration) {
	l.inFlight.Add(-1)
	if took > 0 {
		p.sum.Add(int64(took))
		p.count.Add(1)
	}
	now := time.Now().UnixNano()
	if ends := l.ends.Load(); now >= ends && l.ends.CompareAndSwap(ends, now+loadWindow) {
		l.adjust()
	}
}

// Limit, InFlight and Shed are how many calls may be on their way, how many are, and how many were refused so far.
func (l *Load) Limit() int64    { return l.limit.Load() }
func (l *Load) InFlight() int64 { return l.inFlight.Load() }
func (l *Load) Shed() uint64    { return l.shed.Load() }

// adjust ends a window: the limit follows how the pace of all operations compares with what is usual.
func (l *Load) adjust() {
	l.mu.Lock()
	defer l.mu.Unlock()
	calls := int64(0)
	for _, p := range l.paces {
		calls += p.count.Load()
	}
	if calls < loadSamples {
		return
	}
	refused, peak := l.refused.Swap(0), l.peak.Swap(l.inFlight.Load())
	drift := patience
	if refused > 0 {
		drift = stubborn
	}
	var slowness float64
	for _, p := range l.paces {
		n := p.count.Swap(0)
		sum := p.sum.Swap(0)
		if n == 0 {
			continue
		}
		slowness += p.slowness(float64(sum)/float64(n), drift) * float64(n)
	}
	slowness /= float64(calls)
	limit := float64(l.limit.Load())
	switch {
	case slowness > tolerance:
		limit = math.Min(limit, math.Max(float64(peak), 1)) * math.Max(0.5, tolerance/slowness)
	case refused > 0 || float64(peak)*2 >= limit:
		limit += math.Sqrt(limit)
	}
	l.limit.Store(int64(math.Max(float64(l.rule.Min), math.Min(limit, float64(l.rule.Max)))))
}

// slowness is a window's pace against the usual one, which learns from it: at once what is quicker, slowly what is slower.
func (p *Pace) slowness(mean, drift float64) float64 {
	if p.usual == 0 {
		p.usual = mean
	}
	s := mean / math.Max(p.usual, quick)
	if mean < p.usual {
		drift = 0.3
	}
	p.usual += (mean - p.usual) * drift
	return s
}
