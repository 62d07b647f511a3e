package object

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

// proof is whether the API honours If-Match for an operation. What it declares is not believed: the first change that a
// caller may make is sent with a tag that no version has, and only an API that refuses it (412, RFC 9110 §15.5.13) gets
// the change itself. One that makes it all the same has made a change that was judged a moment before, as a prefetch's
// is; from then on the operation is refused, for the promise does not hold.
type proof struct {
	until   atomic.Int64 // proven until then, Unix nanoseconds
	refuted atomic.Bool
	turn    chan struct{} // held while it is tried
}

func newProof() *proof { return &proof{turn: make(chan struct{}, 1)} }

// patience is how long a request waits while another one tries it.
const patience = 2 * time.Second

// proofLasts is how long an API that honoured If-Match is believed to go on doing so.
const proofLasts = time.Hour

// staleTag is a tag that no version has.
const staleTag = `"portreeve-no-such-version"`

// prove lets a conditional change pass only where the API is known to honour its condition.
func (r *rule) prove(x *exchange.Exchange) exchange.Verdict {
	if r.From != plan.FromConditional {
		return exchange.Pass
	}
	if r.proof.refuted.Load() {
		return r.unconditional(x)
	}
	if x.Now.UnixNano() < r.proof.until.Load() {
		return exchange.Pass
	}
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case r.proof.turn <- struct{}{}:
		defer func() { <-r.proof.turn }()
	case <-wait.C:
		return x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Retry: time.Second, Fine: "precondition_unproven"})
	case <-x.Request.Context().Done():
		return x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Retry: time.Second, Fine: "client_gone"})
	}
	switch {
	case r.proof.refuted.Load():
		return r.unconditional(x)
	case x.Now.UnixNano() < r.proof.until.Load():
		return exchange.Pass
	}
	path := x.Request.URL.EscapedPath()
	body := x.Body
	if body == nil && !bodiless(x.Request) {
		return x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Fine: "precondition_unproven"})
	}
	// The query is part of the change: without its dry_run, say, it would be another.
	told, err := x.Ask(exchange.Question{Method: x.Request.Method, Path: path, Query: true, Body: body, Header: http.Header{"If-Match": {staleTag}}})
	switch {
	case err != nil:
		return x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "precondition_unproven", Cause: err})
	case told.Status == http.StatusPreconditionFailed:
		r.proof.until.Store(x.Now.Add(proofLasts).UnixNano())
		return exchange.Pass
	case told.Status >= 500:
		return x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "precondition_unproven", Cause: fmt.Errorf("a stale If-Match: status %d", told.Status)})
	case told.Status >= 400: // it refuses the change for another reason, and would the next time
		return x.Refuse(exchange.Refusal{Status: told.Status, Reason: problem.InvalidRequest, Fine: "precondition_unproven"})
	}
	r.proof.refuted.Store(true)
	return r.unconditional(x)
}

func (r *rule) unconditional(x *exchange.Exchange) exchange.Verdict {
	return x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "precondition_ignored",
		Cause: fmt.Errorf("%s %s: the API makes a change whose If-Match names no version; declare source: prefetch, which promises less", r.op.Method, r.op.Path)})
}
