package upstream

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/portreeve/portreeve/internal/plan"
)

// Change is one change of a breaker's state.
type Change struct {
	From, To         string // "closed", "open", "half-open"
	Failed, Answered uint32 // of the calls in the window that made it open
}

// Breaker stops calling an upstream that does not answer: of the calls within a window, once enough of them failed, all
// are refused at once for a while; then one is let through, and its answer decides. What a caller did never counts: a
// 4xx is an answer, and a client that left or sent half a body says nothing of the upstream.
type Breaker struct {
	two   *gobreaker.TwoStepCircuitBreaker[struct{}]
	rule  plan.Breaker
	until atomic.Int64 // Unix nanoseconds at which an open breaker tries again
	trips atomic.Uint64
}

// buckets is into how many parts the window is divided, so that it rolls.
const buckets = 10

// NewBreaker returns a closed breaker. changed is told of every change; it must not block, and never asks the breaker.
func NewBreaker(rule plan.Breaker, changed func(Change)) *Breaker {
	b := &Breaker{rule: rule}
	var seen Change
	b.two = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1, Interval: rule.Window, BucketPeriod: max(rule.Window/buckets, time.Millisecond), Timeout: rule.Open,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			seen.Failed, seen.Answered = c.TotalFailures, c.TotalFailures+c.TotalSuccesses
			return seen.Answered >= uint32(rule.Requests) && uint64(seen.Failed)*100 >= uint64(seen.Answered)*uint64(rule.Ratio)
		},
		OnStateChange: func(_ string, from, to gobreaker.State) {
			c := Change{From: from.String(), To: to.String()}
			if to == gobreaker.StateOpen {
				b.until.Store(time.Now().Add(rule.Open).UnixNano())
				b.trips.Add(1)
				if from == gobreaker.StateClosed {
					c.Failed, c.Answered = seen.Failed, seen.Answered
				}
			}
			changed(c)
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNoAnswer) },
	})
	return b
}

var (
	errFailed   = errors.New("the upstream failed")
	errNoAnswer = errors.New("the call says nothing of the upstream")
)

// Allow returns what the outcome of the call must be reported to, or how long to wait where there must be no call.
func (b *Breaker) Allow() (report func(error), retry time.Duration) {
	report, err := b.two.Allow()
	if err == nil {
		return report, 0
	}
	return nil, max(time.Until(time.Unix(0, b.until.Load())), time.Second)
}

// State is "closed", "open" or "half-open".
func (b *Breaker) State() string { return b.two.State().String() }

// Trying reports whether one call is let through, whose answer decides.
func (b *Breaker) Trying() bool { return b.two.State() == gobreaker.StateHalfOpen }

// Trips is how often it opened.
func (b *Breaker) Trips() uint64 { return b.trips.Load() }

// outcome is what an answer's status says of the upstream: that it, or a proxy before it, cannot serve. A 500 is the
// fault of one operation, which must not take the others away.
func outcome(status int) error {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return errFailed
	}
	return nil
}
