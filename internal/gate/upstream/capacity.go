package upstream

import (
	"fmt"
	"net/http"
	"time"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

// Capacity is what is known of how much an upstream bears. It outlives plans.
type Capacity struct {
	Breaker *Breaker
	Load    *Load
}

// NewCapacity returns the capacity of a plan's upstream, of which nothing is known yet.
func NewCapacity(rule *plan.Upstream, changed func(Change)) *Capacity {
	return &Capacity{NewBreaker(rule.Breaker, changed), NewLoad(rule.Concurrency)}
}

// call is the stage bound to one operation.
type call struct {
	*Stage
	pace *Pace
	over func(*exchange.Exchange)
}

func (s *Stage) call(of string) *call {
	c := &call{Stage: s, pace: s.capacity.Load.Of(of)}
	c.over = c.end
	return c
}

// enter lets a request go up while the upstream is there and bears it. It stands before the audit step: what is refused
// here was never intended.
func (c *call) enter(x *exchange.Exchange) exchange.Verdict {
	report, retry := c.capacity.Breaker.Allow()
	if report == nil {
		return unavailable(x, "upstream_breaker", retry)
	}
	upload := x.Body == nil && x.Request.ContentLength != 0 && x.Request.Body != nil && x.Request.Body != http.NoBody
	if upload && c.capacity.Breaker.Trying() {
		// Everybody waits for the one call that is tried: it must not be one that its client may draw out.
		report(errNoAnswer)
		return unavailable(x, "upstream_breaker", time.Second)
	}
	if !c.capacity.Load.Admit(x.Principal.Authenticated()) {
		report(errNoAnswer)
		return unavailable(x, "overload", time.Duration(1+c.capacity.Load.Shed()%3)*time.Second) // not all of them at once again
	}
	x.Passage = exchange.Passage{Settle: c.over, Report: report, Began: time.Now(), Counted: true}
	if upload {
		// A body that is sent on as it comes takes as long as the client likes: it must neither fill the places that all
		// share nor make the API look slow.
		c.capacity.Load.Done(c.pace, 0)
		x.Passage.Counted, x.Passage.Upload = false, true
	}
	return exchange.Pass
}

func unavailable(x *exchange.Exchange, fine access.Reason, retry time.Duration) exchange.Verdict {
	return x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Fine: fine, Retry: retry})
}

// head settles what the call said of the upstream, and judges the answer.
func (c *call) head(x *exchange.Exchange) exchange.Verdict {
	c.settle(x, outcome(x.Out.Status()))
	return c.Stage.head(x)
}

// end settles calls that had no answer.
func (c *call) end(x *exchange.Exchange) {
	err := errNoAnswer
	switch x.No.Fine {
	case "upstream_timeout":
		if !x.Passage.Upload {
			err = errFailed
		}
	case "upstream_unreachable":
		err = errFailed
	}
	c.settle(x, err)
}

// settle reports a call once. Failures that come at once say nothing of how quick the API is.
func (c *call) settle(x *exchange.Exchange, err error) {
	p := &x.Passage
	if p.Report != nil {
		p.Report(err)
		p.Report = nil
	}
	if p.Counted {
		p.Counted = false
		took := time.Since(p.Began)
		if err == errNoAnswer || err != nil && x.No.Fine != "upstream_timeout" {
			took = 0
		}
		c.capacity.Load.Done(c.pace, took)
	}
}

// bounds says in explain what is borne.
func (s *Stage) bounds() string {
	b, c := s.rule.Breaker, s.rule.Concurrency
	return fmt.Sprintf("; breaker at %d %% of %d calls in %v, for %v; %d to %d calls at once", b.Ratio, b.Requests, b.Window, b.Open, c.Min, c.Max)
}
