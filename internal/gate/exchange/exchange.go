package exchange

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

// Exchange is one request and its answer on their way.
type Exchange struct {
	ID      string          // gate: UUID, the request's name everywhere
	Now     time.Time       // gate: when it began
	Plan    *plan.Plan      // gate: the one plan this exchange sees
	Chain   *Chain          // gate: the prologue's at first, then the operation's
	Op      *plan.Operation // edge; "unmatched" is an operation too
	Request *http.Request   // edge: canonical from here on
	Peer    netip.Addr      // guard: after trusted_proxies
	Path    []Param         // edge: path parameters, still percent-encoded as in the canonical form
	Query   []Param         // edge: query pairs, percent-encoded canonically, in order
	Foreign bool            // cors: the request comes from an origin that is not ours

	Principal access.Principal // authn; authz where only another of the proven alternatives has the scopes
	Proofs    []Proof          // authn: each scheme that was proven
	Satisfied uint64           // authn: bit i set when alternative i of Op.Security is proven (scopes are authz's)

	Quota Quota // throttle: what the tightest limit leaves

	Body     []byte // validate: the request's body where it had to be held
	Borrowed int64  // validate: bytes taken from the budget for it; given back at the end

	Screened []string // validate: rules of the screening that matched

	Passage Passage // upstream: what it holds of the upstream's capacity

	Answer *plan.Answer // upstream: the declared answer that the origin's status meets
	Media  *plan.Media  // upstream: and its media type

	Object access.Object // object
	Owns   bool          // object: the caller owns the object, or may act as if
	Judged Judged        // object: by what

	Dropped int // disclose: fields that left
	Masked  int // disclose

	No       Refusal       // whoever refuses
	Decided  *Step         // the step that refused or answered
	Reply    Reply         // whoever answers by itself
	Observed []Observation // refusals that were let pass
	Intent   bool          // audit: an intent was recorded

	Out Sink

	origin Origin
	abort  bool
}

// Judged is by what it was decided whose an object is.
type Judged struct {
	Source    plan.ObjectSource
	Weak      bool     // some of it may have changed hands between the look and the act
	By        string   // the permission that passes without ownership, where the caller has it
	Attribute [32]byte // SHA-256 of the owner that was read; zero: none was
	Omitted   int      // elements of a list that left
}

// Param is one name and value of a path or query, percent-encoded in the canonical form.
type Param struct{ Name, Value string }

// Quota is what RateLimit tells the client; the zero value says nothing.
type Quota struct {
	Policy string // the RateLimit-Policy field's value
	State  string // the RateLimit field's value
}

// Proof is one credential that held.
type Proof struct {
	Scheme    string
	Principal access.Principal
}

// Passage is an exchange's call of the upstream, from before it is made until the head of its answer.
type Passage struct {
	Settle  func(*Exchange) // called when the exchange is over; nil: nothing is held
	Report  func(error)     // tells the breaker how it ended; nil: it was told
	Began   time.Time       // monotonic
	Counted bool            // takes a place among the calls at once
	Upload  bool            // the body is sent on at the client's pace
}

// Reply is the bodiless answer of a step that answers by itself.
type Reply struct {
	Status int
}

// Observation is a refusal that unsafe_observe let pass.
type Observation struct {
	Stage string
	Fine  access.Reason
}

// Refusal is why an exchange stops. It is a value, never an error string: Status, Reason, Detail and Errors go to the
// client, Fine and Cause to the event.
type Refusal struct {
	Status    int
	Reason    problem.Reason
	Detail    string
	Errors    []problem.Violation
	Retry     time.Duration // Retry-After, rounded up to whole seconds
	Challenge []string      // WWW-Authenticate
	Allow     string        // Allow, with 405
	Encoding  string        // Accept-Encoding, with 415 (RFC 9110 §12.5.3)
	Hangup    bool          // close the connection afterwards
	Firm      bool          // not to be let pass by unsafe_observe: what would be passed on is not whole
	Fine      access.Reason
	Cause     error
}

// Refuse records the refusal and returns Refused, so that a step ends with `return x.Refuse(…)`.
func (x *Exchange) Refuse(r Refusal) Verdict {
	x.No = r
	return Refused
}

// PathParam returns the path parameter of that name, percent-encoded.
func (x *Exchange) PathParam(name string) (string, bool) {
	for i := range x.Path {
		if x.Path[i].Name == name {
			return x.Path[i].Value, true
		}
	}
	return "", false
}

// Proof returns what was proven for a scheme, nil when nothing was.
func (x *Exchange) Proof(scheme string) *access.Principal {
	for i := range x.Proofs {
		if x.Proofs[i].Scheme == scheme {
			return &x.Proofs[i].Principal
		}
	}
	return nil
}

// Speaker returns for whom a requirement that is proven whole speaks: the first person among its credentials, or the
// first of them where they name none; nil when one is missing. The empty requirement means all that was proven.
func (x *Exchange) Speaker(of plan.Requirement) *access.Principal {
	var chosen *access.Principal
	consider := func(p *access.Principal) {
		if chosen == nil || chosen.Kind != access.User && p.Kind == access.User {
			chosen = p
		}
	}
	if len(of) == 0 {
		for i := range x.Proofs {
			consider(&x.Proofs[i].Principal)
		}
		return chosen
	}
	for _, want := range of {
		p := x.Proof(want.Scheme)
		if p == nil {
			return nil
		}
		consider(p)
	}
	return chosen
}

// Allowed reports whether the exchange was let through, as far as it has come.
func (x *Exchange) Allowed() bool { return x.No.Status == 0 }

// Refusals that no stage speaks but the machinery does.
var (
	errUndecided = errors.New("a step gave no verdict")
	errPanicked  = errors.New("a step or the origin panicked")
	errNoRule    = errors.New("no step fixed a delivery for the answer")
)

func internalRefusal(fine access.Reason, cause error) Refusal {
	return Refusal{Status: http.StatusInternalServerError, Reason: problem.Unavailable, Fine: fine, Cause: cause}
}
