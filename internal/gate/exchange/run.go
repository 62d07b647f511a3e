package exchange

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/portreeve/portreeve/internal/problem"
)

// Run takes the exchange through its life. prologue holds the steps that come before an operation is known (guard and
// edge); edge sets x.Op and x.Chain, whose remaining steps follow. origin answers what all of them passed.
//
// Run returns after every Close has run. It panics with http.ErrAbortHandler where bytes have left that must not look
// like a whole answer, so that the server cuts the connection.
func (x *Exchange) Run(prologue int, origin Origin) {
	defer x.end()
	x.origin = origin
	if !x.enter(x.Chain.Steps[:prologue]) || !x.enter(x.Chain.Steps[prologue:]) {
		return
	}
	x.Out.ask()
	switch origin.Answer(x) {
	case Pass:
		x.Out.finish()
	case Refused:
		x.Out.refuse()
	default:
		x.Out.fail(internalRefusal("undecided", errUndecided))
	}
}

// enter runs the request's side of the steps until one does not pass.
func (x *Exchange) enter(steps []Step) bool {
	for i := range steps {
		s := &steps[i]
		if s.Enter == nil {
			continue
		}
		switch s.Enter(x) {
		case Pass:
		case Refused:
			if !x.watched(s) {
				x.Decided = s
				return false
			}
		case Answered:
			x.Decided = s
			x.Out.answer()
			return false
		default:
			x.No = internalRefusal("undecided", fmt.Errorf("%s: %w", s.Stage, errUndecided))
			x.Decided = s
			return false
		}
	}
	return true
}

// watched turns the refusal of a step that only observes into an observation. Where nothing whole is left to pass on,
// and once the observing is over, it stays a refusal.
func (x *Exchange) watched(s *Step) bool {
	if !s.Observe || x.No.Firm || !x.Now.Before(s.Until) {
		return false
	}
	x.Observed = append(x.Observed, Observation{s.Stage, x.No.Fine})
	x.No = Refusal{}
	return true
}

// end is the one way out: it recovers, tells the client what is left to tell, and closes every step.
func (x *Exchange) end() {
	if p := recover(); p != nil {
		x.Out.fail(panicRefusal(p))
	}
	x.Out.close()
	if x.Passage.Settle != nil {
		x.Passage.Settle(x)
	}
	for _, s := range x.Chain.close {
		x.closeStep(s)
	}
	if x.abort {
		panic(http.ErrAbortHandler)
	}
}

// panicRefusal tells, for the log alone, what panicked and where.
func panicRefusal(p any) Refusal {
	return internalRefusal("panic", fmt.Errorf("%w: %v\n%s", errPanicked, p, debug.Stack()))
}

// closeStep runs one Close; a panic in it must not keep the others from running.
func (x *Exchange) closeStep(s *Step) {
	defer func() {
		if recover() != nil {
			x.abort = true
		}
	}()
	s.Close(x)
}

// dress lets the steps that dress every head do so. A panic there leaves no head that could be trusted.
func (x *Exchange) dress() (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			ok = false
			x.No = panicRefusal(p)
		}
	}()
	for _, s := range x.Chain.dress {
		s.Dress(x)
	}
	return true
}

// writeProblem sends the one body a refused client gets. h holds nothing of the origin.
func (x *Exchange) writeProblem(w http.ResponseWriter) {
	no := &x.No
	if no.Status < 400 || no.Status > 599 { // nobody refused and nobody allowed: the least is said
		*no = internalRefusal("undecided", errUndecided)
	}
	h := w.Header()
	clear(h)
	if !x.dress() {
		x.abort = true
		return
	}
	p := problem.Problem{Status: no.Status, Reason: no.Reason, Detail: no.Detail, Instance: x.ID, Errors: no.Errors}
	body := p.Append(make([]byte, 0, 512))
	h["Content-Type"] = []string{problem.ContentType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = []string{"no-store"}
	if no.Retry > 0 || no.Status == http.StatusTooManyRequests || no.Status == http.StatusServiceUnavailable {
		h["Retry-After"] = []string{strconv.FormatInt(max(1, int64((no.Retry+time.Second-1)/time.Second)), 10)}
	}
	if len(no.Challenge) > 0 {
		h["Www-Authenticate"] = slices.Clone(no.Challenge)
	}
	if no.Allow != "" {
		h["Allow"] = []string{no.Allow}
	}
	if no.Encoding != "" {
		h["Accept-Encoding"] = []string{no.Encoding}
	}
	if no.Hangup && x.Request.ProtoMajor < 2 { // of HTTP/2 one stream is spoilt, and others' requests may share the connection
		h["Connection"] = []string{"close"}
	}
	w.WriteHeader(no.Status)
	w.Write(body)
}
