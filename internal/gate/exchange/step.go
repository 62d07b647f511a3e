package exchange

import (
	"errors"
	"net/http"
	"time"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/plan"
)

// Verdict is what a step says of an exchange.
type Verdict uint8

const (
	Undecided Verdict = iota // the zero value refuses: a step that forgets to answer never allows
	Pass                     // go on
	Refused                  // stop; Exchange.No says why
	Answered                 // stop; the step answered by itself (a preflight): Exchange.Reply says what
	Omit                     // of an item of a stream: it leaves no trace; of anything else it is no verdict, and refuses

	panicked Verdict = 255 // stop; Exchange.No says how
)

// Step is one stage bound, at load, to one operation's rule. explain prints these very values. Nil functions cost
// nothing.
type Step struct {
	Stage    string      // "throttle"
	Rule     string      // "10/1m per principal"
	Source   plan.Source // "openapi.yaml:41"
	Absent   bool        // the stage has nothing to do here, and Rule says why
	Observe  bool        // refusals are recorded and let pass (unsafe_observe), until Until
	Until    time.Time
	Controls []control.ID

	Enter func(*Exchange) Verdict                               // the request, forward
	Head  func(*Exchange) Verdict                               // the answer's status and header
	Part  func(x *Exchange, dst, part []byte) ([]byte, Verdict) // the answer's body: whole (hold) or one item
	Dress func(*Exchange)                                       // just before any head leaves, a problem's too
	Close func(*Exchange)                                       // always: after refusal and panic too
}

// Absent is the step of a stage that has no rule for an operation; reason says why.
func Absent(stage, reason string, source plan.Source) Step {
	return Step{Stage: stage, Rule: reason, Source: source, Absent: true}
}

// Chain is an operation's steps in the gate's order, with the ways through them worked out once.
type Chain struct {
	Op    *plan.Operation
	Steps []Step // in the gate's order

	enter  []*Step // forward
	answer []*Step // the way of the answer: from the origin back to the client, then the way out
	dress  []*Step
	close  []*Step
}

// NewChain returns the chain of these steps. origin is the index of the stage at which the origin answers: steps up to
// it meet the answer nearest first (upstream, object, …), for they judged the request; those after it stand on the way
// out and meet the answer in their order (disclose, harden, audit). An ownership is so decided on the bytes as the
// origin sent them, before fields leave.
func NewChain(op *plan.Operation, steps []Step, origin int) *Chain {
	c := &Chain{Op: op, Steps: steps}
	for i := range steps {
		s := &steps[i]
		if s.Enter != nil {
			c.enter = append(c.enter, s)
		}
		if s.Dress != nil {
			c.dress = append(c.dress, s)
		}
		if s.Close != nil {
			c.close = append(c.close, s)
		}
	}
	way := func(i int) {
		if s := &steps[i]; s.Head != nil || s.Part != nil {
			c.answer = append(c.answer, s)
		}
	}
	for i := min(origin, len(steps)-1); i >= 0; i-- {
		way(i)
	}
	for i := origin + 1; i < len(steps); i++ {
		way(i)
	}
	return c
}

// Origin is what answers a request that every step passed: the upstream, or a wrapped handler. It writes the answer
// into x.Out. A verdict other than Pass refuses.
type Origin interface {
	Answer(*Exchange) Verdict
}

// Asker is an origin that answers questions of steps, beside the exchange's own request.
type Asker interface {
	Ask(*Exchange, Question) (Told, error)
}

// Question is a request that a step sends the origin in the caller's name.
type Question struct {
	Method string
	Path   string      // percent-encoded in the canonical form
	Query  bool        // with the exchange's own query, too
	Header http.Header // set beside what the caller's own request would carry; nil: none
	Body   []byte      // with it goes the exchange's own Content-Type
}

// Told is the origin's answer to a question: whole, and no larger than MaxHeld.
type Told struct {
	Status int
	Header http.Header
	Body   []byte
}

// What becomes of questions.
var (
	ErrNoAsker  = errors.New("the origin answers no questions")
	ErrTooLarge = errors.New("the answer to a question is larger than may be held")
	ErrBudget   = errors.New("no memory left for the answer to a question")
	ErrBusy     = errors.New("the origin takes no questions now")
	ErrTooSlow  = errors.New("the answer to a question did not come in time")
)

// Ask asks the origin. What the answer takes of memory counts until the exchange is over.
func (x *Exchange) Ask(q Question) (Told, error) {
	a, ok := x.origin.(Asker)
	if !ok {
		return Told{}, ErrNoAsker
	}
	return a.Ask(x, q)
}

// Borrow takes bytes of the memory that all exchanges share, until this one is over.
func (x *Exchange) Borrow(n int64) bool {
	if !x.Out.budget.Take(n) {
		return false
	}
	x.Borrowed += n
	return true
}
