package exchange

import (
	"errors"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

// MaxHeld bounds one held body, request's or answer's, in bytes.
const MaxHeld = 4 << 20

// ErrSlow is why a client is given up that uses up its grace; see Pace.
var ErrSlow = errors.New("the client was waited for too long")

// ErrRefused is what an origin gets that writes on after its answer was refused or is over.
var ErrRefused = errors.New("the answer was refused")

type sinkState uint8

const (
	barred   sinkState = iota // the request is not passed yet: whoever writes now is no origin
	waiting                   // no head yet
	holding                   // the whole body is collected
	cutting                   // item by item; the head may have left
	relaying                  // bytes are copied; the head has left
	swallow                   // bytes are dropped: the answer has no body
	ended                     // the origin returned, and all of its answer has left
	refused                   // the client got, or will get, a problem
	closed                    // over
)

// Framing cuts a streamed body into items and frames those that may leave.
type Framing interface {
	Split(p []byte, emit func(item []byte) error) error // feeds bytes, calls emit for each whole item
	End(emit func(item []byte) error) error             // the body is over; an unfinished one is an error
	Frame(dst, item []byte, first bool) []byte          // appends an item as it stands in the stream
	Tail(dst []byte, any bool) []byte                   // appends what closes the stream
}

// Decoding takes a content coding off a body, before anything of it is judged.
type Decoding interface {
	Write(p []byte, emit func([]byte) error) error // feeds bytes, calls emit with what they were
	End(emit func([]byte) error) error             // the body is over
	Memory() int64                                 // what it takes at most
	Close()
}

// Sink is the http.ResponseWriter an origin writes into. It has no Unwrap, Hijack or ReadFrom: those would let bytes
// past the chain. It may be used from several goroutines; after the exchange is over it refuses every write.
type Sink struct {
	x      *Exchange
	w      http.ResponseWriter
	budget *Budget

	mu      sync.Mutex
	state   sinkState
	header  http.Header // the origin's own
	judged  http.Header // what of it the steps see and change: a copy, for the origin may go on writing into its own
	status  int
	fixed   bool // a step fixed the delivery
	deliver plan.Delivery
	framing Framing
	coding  Decoding // nil: the body stands as it is
	pace    Pace
	armed   time.Time // the write deadline that stands
	sent    bool      // a head has left

	ending bool // what is written now is the last

	multiplexed bool
	items       int
	itemwise    bool // one item is judged
	omit        bool // and leaves no trace
	held        []byte
	spare       []byte // where a step may write
	frame       []byte
	pending     int64 // bytes of a stream since its last item
	taken       int64
	written     int64
}

// Open prepares an exchange for a request. It must be called once, before Run.
func (x *Exchange) Open(w http.ResponseWriter, b *Budget) {
	x.Out.x, x.Out.w, x.Out.budget = x, w, b
	x.Out.header = make(http.Header, 8)
	x.Out.judged = x.Out.header
}

// SetPace makes every write to the client keep a pace from then on; one without grace is none. multiplexed says that
// a deadline is a stream's and passes without a write too, as over HTTP/2.
func (s *Sink) SetPace(p Pace, multiplexed bool) { s.pace, s.multiplexed = p, multiplexed }

// Header returns the header an origin writes its answer's into. What it says after WriteHeader goes nowhere.
func (s *Sink) Header() http.Header { return s.header }

// Judged returns the answer's header as steps read and change it in Head; it is what leaves.
func (s *Sink) Judged() http.Header { return s.judged }

// Client returns the header that will leave; steps change it in Dress.
func (s *Sink) Client() http.Header { return s.w.Header() }

// Status returns the status that leaves, or the origin's as long as nothing left; 0 before there is any.
func (s *Sink) Status() int { return s.status }

// SetStatus changes the status in Head: the answer leaves with this one.
func (s *Sink) SetStatus(code int) { s.status = code }

// Written returns the body bytes that left.
func (s *Sink) Written() int64 { return s.written }

// Budget is what all exchanges hold bytes of; a step takes of it what judging a body needs beside the body.
func (s *Sink) Budget() *Budget { return s.budget }

// Deliver fixes how the body travels; a step calls it in Head. framing is needed for items alone. What is fixed may be
// fixed again, but never be loosened: that is no rule, and refuses.
func (s *Sink) Deliver(d plan.Delivery, framing Framing) {
	if s.fixed && strictness(d) < strictness(s.deliver) {
		s.deliver, s.framing = "", nil
		return
	}
	s.deliver, s.framing, s.fixed = d, framing, true
}

// Decode makes a body that is held, or cut into items, lose its coding first; a step calls it in Head. Without memory left
// for it the answer is refused.
func (s *Sink) Decode(d Decoding) bool {
	if !s.budget.Take(d.Memory()) {
		d.Close()
		return false
	}
	if s.coding != nil {
		s.undo()
	}
	s.coding = d
	return true
}

func (s *Sink) undo() {
	s.coding.Close()
	s.budget.Give(s.coding.Memory())
	s.coding = nil
}

// strictness orders deliveries by how much of a body may leave unjudged. What is no delivery is the strictest: it refuses.
func strictness(d plan.Delivery) int {
	switch d {
	case plan.Relay:
		return 0
	case plan.Items:
		return 1
	case plan.Hold:
		return 2
	case plan.Empty:
		return 3
	}
	return 4
}

// Delivery returns what Deliver fixed.
func (s *Sink) Delivery() plan.Delivery { return s.deliver }

// WriteHeader takes the origin's status and lets the chain judge it with the header. Informational statuses are dropped:
// nothing may leave before the answer is judged.
func (s *Sink) WriteHeader(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head(code)
}

func (s *Sink) head(code int) {
	if s.state != waiting || code < 200 {
		return
	}
	s.status, s.judged = code, s.header.Clone()
	s.state = refused // until every step has passed it: one that panics has not
	for _, step := range s.x.Chain.answer {
		if step.Head == nil {
			continue
		}
		if !s.passed(step, s.askHead(step)) {
			s.refuseLocked(step)
			return
		}
	}
	switch {
	case !s.fixed:
		s.x.No = internalRefusal("undecided", errNoRule)
		s.refuseLocked(nil)
	case s.deliver == plan.Hold:
		s.state = holding
	case s.deliver == plan.Items && s.framing != nil:
		s.state = cutting
	case s.deliver == plan.Relay:
		if s.sendHead(-1) {
			s.state = relaying
		}
	case s.deliver == plan.Empty:
		if s.sendHead(0) {
			s.state = swallow
		}
	default:
		s.x.No = internalRefusal("undecided", errNoRule)
		s.refuseLocked(nil)
	}
}

// passed reads a verdict on the answer; an undecided one refuses.
func (s *Sink) passed(step *Step, v Verdict) bool {
	switch v {
	case Pass:
		return true
	case Refused:
		return s.x.watched(step)
	case panicked:
		return false
	}
	s.x.No = internalRefusal("undecided", errUndecided)
	return false
}

// askHead and askPart ask one step. Its panic is caught here: an origin may write from any goroutine, where nobody else
// would, and the process would end.
func (s *Sink) askHead(step *Step) (v Verdict) {
	defer func() {
		if p := recover(); p != nil {
			s.x.No, v = panicRefusal(p), panicked
		}
	}()
	return step.Head(s.x)
}

func (s *Sink) askPart(step *Step, dst, part []byte) (out []byte, v Verdict) {
	defer func() {
		if p := recover(); p != nil {
			s.x.No, out, v = panicRefusal(p), nil, panicked
		}
	}()
	return step.Part(s.x, dst, part)
}

// Write takes bytes of the origin's body. It returns ErrRefused once the answer is refused or over.
func (s *Sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == waiting {
		s.head(http.StatusOK)
	}
	switch s.state {
	case holding, cutting:
		if s.coding != nil {
			return s.decode(p)
		}
		return s.take(p)
	case relaying:
		return s.send(p)
	case swallow:
		return len(p), nil
	}
	return 0, ErrRefused
}

// take takes bytes of a body without a coding.
func (s *Sink) take(p []byte) (int, error) {
	if s.state == holding {
		return s.hold(p)
	}
	return s.split(p)
}

func (s *Sink) decode(p []byte) (int, error) {
	if !s.decoded(s.coding.Write(p, s.plain)) {
		return 0, ErrRefused
	}
	return len(p), nil
}

func (s *Sink) plain(p []byte) error {
	_, err := s.take(p)
	return err
}

// decoded refuses an answer whose coding is not what it says.
func (s *Sink) decoded(err error) bool {
	if err == nil {
		return true
	}
	if s.x.No.Status == 0 {
		s.x.No = Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "answer_encoding", Cause: err}
	}
	s.refuseLocked(nil)
	return false
}

// WriteString is Write for strings.
func (s *Sink) WriteString(p string) (int, error) { return s.Write([]byte(p)) }

// Flush sends on what may leave by itself; a held body has nothing to flush.
func (s *Sink) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if (s.state == relaying || s.state == cutting) && s.sent {
		s.flush()
	}
}

// hold collects, within MaxHeld and the budget of all.
func (s *Sink) hold(p []byte) (int, error) {
	if len(s.held)+len(p) > MaxHeld {
		s.x.No = Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "answer_too_large"}
		s.refuseLocked(nil)
		return 0, ErrRefused
	}
	if !s.reserve(int64(len(s.held) + len(p))) {
		return 0, ErrRefused
	}
	s.held = append(s.held, p...)
	return len(p), nil
}

// reserve makes the exchange's share of the budget at least need bytes.
func (s *Sink) reserve(need int64) bool {
	if need <= s.taken {
		return true
	}
	grow := max(need-s.taken, 4096)
	if !s.budget.Take(grow) {
		s.x.No = Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Retry: time.Second, Fine: "memory_budget"}
		s.refuseLocked(nil)
		return false
	}
	s.taken += grow
	return true
}

// split feeds a stream to its framing. What may be held of an unfinished item is within the budget too.
func (s *Sink) split(p []byte) (int, error) {
	if !s.reserve(min(s.pending+int64(len(p)), MaxHeld)) {
		return 0, ErrRefused
	}
	s.pending += int64(len(p))
	s.state = refused // until the items have passed
	if err := s.framing.Split(p, s.item); err != nil {
		s.cut(err)
		return 0, ErrRefused
	}
	s.state = cutting
	return len(p), nil
}

// judge takes one whole body, or one item, through the chain. A Part returns its part as it was, or what it appended to
// dst; a later step then writes elsewhere, so that no step ever reads what another is writing.
func (s *Sink) judge(part []byte) ([]byte, bool) {
	dst := s.spare[:0]
	for _, step := range s.x.Chain.answer {
		if step.Part == nil {
			continue
		}
		out, v := s.askPart(step, dst, part)
		if v == Omit && s.itemwise {
			s.omit = true
			return nil, true
		}
		if !s.passed(step, v) {
			s.x.Decided = step
			return nil, false
		}
		if v != Pass {
			continue // it was only watched: the part goes on as it was
		}
		if len(out) > 0 && (len(part) == 0 || &out[0] != &part[0]) {
			s.spare, dst = out[:0], nil
		}
		part = out
	}
	return part, true
}

// item judges one item and sends it. An error stops the splitting.
func (s *Sink) item(item []byte) error {
	s.itemwise, s.omit = true, false
	out, ok := s.judge(item)
	if !ok {
		return ErrRefused
	}
	if s.omit {
		return nil
	}
	if !s.sent && !s.sendHead(-1) {
		return ErrRefused
	}
	s.frame = s.framing.Frame(s.frame[:0], out, s.items == 0)
	s.items++
	s.pending = 0
	_, err := s.send(s.frame)
	return err
}

// cut ends a stream whose next item may not leave: a problem if nothing left yet, else the connection is cut.
func (s *Sink) cut(err error) {
	if s.x.No.Status == 0 {
		s.x.No = Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "answer_framing", Cause: err}
	}
	s.refuseLocked(nil)
}

// finish sends what the origin's return completes.
func (s *Sink) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == waiting { // net/http's rule: a handler that writes nothing means 200
		s.head(http.StatusOK)
	}
	if s.coding != nil && (s.state == holding || s.state == cutting) && !s.decoded(s.coding.End(s.plain)) {
		return
	}
	state := s.state
	s.state = refused // until all of it has passed
	s.ending = true
	s.arm(time.Now(), sendable) // for what the server has yet to send
	switch state {
	case holding:
		out, ok := s.judge(s.held)
		if !ok {
			return
		}
		if !s.sendHead(len(out)) {
			return
		}
		if _, err := s.send(out); err == ErrRefused {
			return
		}
	case cutting:
		if err := s.framing.End(s.item); err != nil {
			s.cut(err)
			return
		}
		if !s.sent && !s.sendHead(-1) {
			return
		}
		if _, err := s.send(s.framing.Tail(nil, s.items > 0)); err == ErrRefused {
			return
		}
	case relaying, swallow:
	default:
		return
	}
	s.state = ended
}

// sendHead lets the judged head leave, if it can be dressed. n is the body's length, -1 when unknown.
func (s *Sink) sendHead(n int) bool {
	h := s.w.Header()
	clear(h)
	for k, v := range s.judged {
		h[k] = v
	}
	if n >= 0 && s.status != http.StatusNoContent && s.status != http.StatusNotModified {
		h["Content-Length"] = []string{strconv.Itoa(n)}
	}
	if h["Content-Type"] == nil {
		h["Content-Type"] = nil // net/http would guess one from the bytes
	}
	if !s.x.dress() {
		clear(h)
		s.x.abort = true
		return false
	}
	s.sent = true
	s.w.WriteHeader(s.status)
	return true
}

// sendable is how much is written with one deadline: little, so that a slow reader of much is known before its end.
const sendable = 64 << 10

func (s *Sink) send(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		part := p[:min(len(p), sendable)]
		var m int
		err = s.paced(len(part), func() (err error) {
			m, err = s.w.Write(part)
			return err
		})
		n, p = n+m, p[m:]
		s.written += int64(m)
	}
	s.disarm()
	return n, err
}

func (s *Sink) flush() {
	f, ok := s.w.(interface{ FlushError() error })
	if !ok {
		if f, ok := s.w.(http.Flusher); ok {
			f.Flush()
		}
		return
	}
	_ = s.paced(0, f.FlushError)
	s.disarm()
}

// paced does a write of n bytes within its time. A client that takes longer is given up: what left is cut off.
func (s *Sink) paced(n int, write func() error) error {
	if s.pace.Grace <= 0 {
		return write()
	}
	began := time.Now()
	if wait := s.pace.Wait(n); wait > 0 {
		s.arm(began, n)
		err := write()
		took := time.Since(began)
		s.pace.Moved(n, took)
		if err == nil || took < wait && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	s.x.No = Refusal{Status: http.StatusRequestTimeout, Reason: problem.InvalidRequest, Fine: "client_slow", Cause: ErrSlow}
	s.refuseLocked(nil)
	return ErrRefused
}

// arm sets the deadline of the next n bytes, unless one that is hardly earlier stands.
func (s *Sink) arm(now time.Time, n int) {
	if s.pace.Grace <= 0 {
		return
	}
	end := now.Add(s.pace.Wait(n))
	if early := end.Sub(s.armed); early >= 0 && early < s.pace.Grace/16 {
		return
	}
	s.armed = end
	_ = http.NewResponseController(s.w).SetWriteDeadline(end)
}

// disarm lets an answer that goes on be quiet.
func (s *Sink) disarm() {
	if s.multiplexed && !s.ending && !s.armed.IsZero() {
		s.armed = time.Time{}
		_ = http.NewResponseController(s.w).SetWriteDeadline(s.armed)
	}
}

// ask opens the sink for the origin.
func (s *Sink) ask() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == barred {
		s.state = waiting
	}
}

// answer sends the bodiless reply of a step that answered by itself.
func (s *Sink) answer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != barred || s.x.Reply.Status < 200 {
		return
	}
	s.status, s.judged = s.x.Reply.Status, nil
	s.state, s.ending = refused, true
	s.arm(time.Now(), sendable)
	if s.sendHead(0) {
		s.state = ended
	}
}

// fail refuses for a reason of the machinery; refuse, for the one a step or the origin gave.
func (s *Sink) fail(no Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.x.No = no
	s.refuseLocked(nil)
}

func (s *Sink) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuseLocked(nil)
}

// refuseLocked ends the answer: what is not sent yet becomes a problem in close; what left already is cut off.
func (s *Sink) refuseLocked(step *Step) {
	if step != nil {
		s.x.Decided = step
	}
	if s.sent {
		s.x.abort = true
	}
	if s.state != closed {
		s.state = refused
	}
}

// close is the end: the problem is written if the client got nothing, and the sink takes no more.
func (s *Sink) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == closed {
		return
	}
	if !s.sent && !s.x.abort {
		s.state, s.ending = refused, true
		s.arm(time.Now(), sendable)
		s.x.writeProblem(s.w)
		s.status = s.x.No.Status
		s.sent = true
	}
	s.state = closed
	if n := s.taken + s.x.Borrowed; n > 0 {
		s.budget.Give(n)
		s.taken, s.x.Borrowed = 0, 0
	}
	if s.coding != nil {
		s.undo()
	}
	s.held, s.spare, s.frame = nil, nil, nil
}

var _ interface {
	http.ResponseWriter
	http.Flusher
} = (*Sink)(nil)
