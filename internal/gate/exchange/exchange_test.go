package exchange

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

const secretBody = "THE-ORIGINS-OWN-BYTES"

type originFunc func(*Exchange) Verdict

func (f originFunc) Answer(x *Exchange) Verdict { return f(x) }

// serve runs one exchange over a real connection: what a recorder would hide (hang-ups, framing) counts here.
func serve(t testing.TB, steps []Step, origin Origin, budget *Budget) (status int, header http.Header, body string, cut bool) {
	t.Helper()
	op := &plan.Operation{ID: "test"}
	chain := NewChain(op, steps, len(steps)-1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &Exchange{ID: "00000000-0000-4000-8000-000000000000", Op: op, Chain: chain, Request: r}
		x.Open(w, budget)
		x.Run(0, origin)
	}))
	srv.Config.ErrorLog = nil
	srv.Start()
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		return 0, nil, "", true
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(b), err != nil
}

func deliver(d plan.Delivery) Step {
	return Step{Stage: "upstream", Head: func(x *Exchange) Verdict { x.Out.Deliver(d, nil); return Pass }}
}

func writes(s string) Origin {
	return originFunc(func(x *Exchange) Verdict {
		x.Out.Header().Set("Content-Type", "text/plain")
		x.Out.Header().Set("X-Origin", secretBody)
		x.Out.Write([]byte(s))
		return Pass
	})
}

func TestWhatEveryStepPassesIsDelivered(t *testing.T) {
	for _, d := range []plan.Delivery{plan.Hold, plan.Relay} {
		status, h, body, cut := serve(t, []Step{deliver(d)}, writes(secretBody), NewBudget(1<<20))
		if status != 200 || body != secretBody || cut || h.Get("X-Origin") != secretBody {
			t.Errorf("%s: got %d %q cut=%v", d, status, body, cut)
		}
	}
	if status, _, body, _ := serve(t, []Step{deliver(plan.Empty)}, writes(secretBody), nil); status != 200 || body != "" {
		t.Errorf("empty: got %d %q", status, body)
	}
}

//threat:39 a stage that forgets to answer → refused
func TestAForgottenVerdictRefuses(t *testing.T) {
	forgets := map[string]Step{
		"enter": {Stage: "s", Enter: func(*Exchange) Verdict { return Undecided }},
		"head":  {Stage: "s", Head: func(*Exchange) Verdict { return Undecided }},
		"part":  {Stage: "s", Part: func(_ *Exchange, _, p []byte) ([]byte, Verdict) { return p, Undecided }},
	}
	for name, step := range forgets {
		status, h, body, _ := serve(t, []Step{step, deliver(plan.Hold)}, writes(secretBody), NewBudget(1<<20))
		if status != 500 || strings.Contains(body, secretBody) || h.Get("X-Origin") != "" {
			t.Errorf("%s: got %d %q", name, status, body)
		}
	}
	if status, _, body, _ := serve(t, nil, writes(secretBody), nil); status != 500 || strings.Contains(body, secretBody) {
		t.Errorf("no step fixed a delivery: got %d %q", status, body)
	}
	if status, _, _, _ := serve(t, []Step{deliver(plan.Hold)}, originFunc(func(*Exchange) Verdict { return Undecided }), NewBudget(1)); status != 500 {
		t.Errorf("origin: got %d", status)
	}
}

func TestARefusalIsOneProblemDressedByAll(t *testing.T) {
	dress := Step{Stage: "harden", Dress: func(x *Exchange) { x.Out.Client().Set("X-Dressed", "yes") }}
	no := Step{Stage: "authz", Enter: func(x *Exchange) Verdict {
		return x.Refuse(Refusal{Status: 429, Reason: problem.RateLimited, Retry: 1500e6, Fine: "secret-cause", Cause: errors.New("secret-cause")})
	}}
	status, h, body, _ := serve(t, []Step{no, dress, deliver(plan.Hold)}, writes(secretBody), NewBudget(1<<20))
	var p map[string]any
	if err := json.Unmarshal([]byte(body), &p); err != nil || status != 429 || p["reason"] != "rate_limited" {
		t.Errorf("got %d %q", status, body)
	}
	if h.Get("X-Dressed") != "yes" || h.Get("Retry-After") != "2" || h.Get("Content-Type") != problem.ContentType {
		t.Errorf("header %v", h)
	}
	if strings.Contains(body, "secret-cause") {
		t.Errorf("the cause left: %q", body)
	}
}

func TestARefusedStreamIsCutOff(t *testing.T) {
	second := originFunc(func(x *Exchange) Verdict {
		x.Out.Write([]byte("first "))
		x.Out.Flush()
		return x.Refuse(Refusal{Status: 502, Reason: problem.Upstream})
	})
	if _, _, _, cut := serve(t, []Step{deliver(plan.Relay)}, second, nil); !cut {
		t.Error("an unfinished answer looked whole")
	}
}

func TestHoldingIsBounded(t *testing.T) {
	big := originFunc(func(x *Exchange) Verdict {
		for range 5 {
			if _, err := x.Out.Write(make([]byte, 1<<20)); err != nil {
				return Refused
			}
		}
		return Pass
	})
	if status, _, _, _ := serve(t, []Step{deliver(plan.Hold)}, big, NewBudget(64<<20)); status != 502 {
		t.Errorf("larger than one body may be: got %d", status)
	}
	b := NewBudget(2 << 20)
	if status, h, _, _ := serve(t, []Step{deliver(plan.Hold)}, big, b); status != 503 || h.Get("Retry-After") == "" {
		t.Errorf("larger than the budget: got %d", status)
	}
	if b.Left() != 2<<20 {
		t.Errorf("budget not given back: %d left", b.Left())
	}
}

func TestObservingLetsPassAndSays(t *testing.T) {
	var seen []Observation
	steps := []Step{
		{Stage: "validate", Observe: true, Until: time.Unix(1, 0), Enter: func(x *Exchange) Verdict { return x.Refuse(Refusal{Status: 400, Fine: "body"}) }},
		{Stage: "audit", Close: func(x *Exchange) { seen = x.Observed }},
		deliver(plan.Hold),
	}
	if status, _, body, _ := serve(t, steps, writes("fine"), NewBudget(1<<20)); status != 200 || body != "fine" {
		t.Errorf("got %d %q", status, body)
	}
	if len(seen) != 1 || seen[0].Fine != "body" {
		t.Errorf("observed %v", seen)
	}
	steps[0].Until = time.Time{}
	if status, _, _, _ := serve(t, steps, writes("fine"), NewBudget(1<<20)); status != 400 {
		t.Errorf("observing went on after its end: got %d", status)
	}
	steps[0].Until = time.Unix(1, 0)
	steps[0].Enter = func(x *Exchange) Verdict { return x.Refuse(Refusal{Status: 413, Firm: true}) }
	if status, _, _, _ := serve(t, steps, writes("fine"), NewBudget(1<<20)); status != 413 {
		t.Errorf("half a request was passed on: got %d", status)
	}
}

// What an origin says of its answer after it was judged goes nowhere: net/http's rule, and here a matter of safety.
func TestTheHeadIsJudgedOnce(t *testing.T) {
	for _, d := range []plan.Delivery{plan.Hold, plan.Relay, plan.Empty} {
		late := originFunc(func(x *Exchange) Verdict {
			h := x.Out.Header()
			h["X-List"] = []string{"judged"}
			x.Out.WriteHeader(200)
			h.Set("X-Late", secretBody)
			x.Out.Header().Set("Access-Control-Allow-Origin", "*")
			h["X-List"][0] = secretBody
			x.Out.WriteHeader(500)
			x.Out.Write([]byte("fine"))
			return Pass
		})
		status, h, _, _ := serve(t, []Step{deliver(d)}, late, NewBudget(1<<20))
		if status != 200 || h.Get("X-Late") != "" || h.Get("Access-Control-Allow-Origin") != "" || h.Get("X-List") != "judged" {
			t.Errorf("%s: got %d %v", d, status, h)
		}
	}
}

// A handler that recovers from the panic of a step does not get past that step.
//
//threat:43 a panic within a stage → refused
func TestAPanicIsNoVerdict(t *testing.T) {
	once := func() func() {
		first := true
		return func() {
			if first {
				first = false
				panic("once")
			}
		}
	}
	stubborn := originFunc(func(x *Exchange) Verdict {
		for range 3 {
			func() {
				defer func() { recover() }()
				x.Out.Write([]byte(secretBody))
			}()
		}
		return Pass
	})
	panics := once()
	head := Step{Stage: "s", Head: func(*Exchange) Verdict { panics(); return Pass }}
	if status, _, body, _ := serve(t, []Step{head, deliver(plan.Hold)}, stubborn, NewBudget(1<<20)); status != 500 || strings.Contains(body, secretBody) {
		t.Errorf("head: got %d %q", status, body)
	}
	panics = once()
	part := Step{Stage: "s", Part: func(_ *Exchange, _, p []byte) ([]byte, Verdict) { panics(); return p, Pass }}
	items := Step{Stage: "upstream", Head: func(x *Exchange) Verdict { x.Out.Deliver(plan.Items, whole{}); return Pass }}
	if status, _, body, _ := serve(t, []Step{part, items}, stubborn, NewBudget(1<<20)); status != 500 || strings.Contains(body, secretBody) {
		t.Errorf("part: got %d %q", status, body)
	}
}

// whole takes every write for an item.
type whole struct{}

func (whole) Split(p []byte, emit func([]byte) error) error { return emit(p) }
func (whole) End(func([]byte) error) error                  { return nil }
func (whole) Frame(dst, item []byte, first bool) []byte     { return append(dst, item...) }
func (whole) Tail(dst []byte, any bool) []byte              { return dst }

// Who writes between the last byte of an answer and the end of the exchange writes nothing.
func TestNothingFollowsTheEnd(t *testing.T) {
	for _, d := range []plan.Delivery{plan.Items, plan.Relay, plan.Hold} {
		step := Step{Stage: "upstream", Head: func(x *Exchange) Verdict { x.Out.Deliver(d, new(byLine)); return Pass }}
		client := &connection{t: t, header: http.Header{}}
		x := &Exchange{Op: &plan.Operation{}, Chain: NewChain(nil, []Step{step}, 0)}
		x.Open(client, NewBudget(1<<20))
		x.Out.ask()
		x.Out.Write([]byte("a\n"))
		x.Out.finish()
		whole := client.body.String()
		if _, err := x.Out.Write([]byte("late\n")); !errors.Is(err, ErrRefused) || client.body.String() != whole {
			t.Errorf("%s: got %v, %q after %q", d, err, client.body.String(), whole)
		}
		x.Out.close()
	}
}

func TestStreamsAreWithinTheBudget(t *testing.T) {
	hoarding := Step{Stage: "upstream", Head: func(x *Exchange) Verdict { x.Out.Deliver(plan.Items, never{}); return Pass }}
	b := NewBudget(1 << 20)
	long := originFunc(func(x *Exchange) Verdict {
		for range 64 {
			if _, err := x.Out.Write(make([]byte, 64<<10)); err != nil {
				return Refused
			}
		}
		return Pass
	})
	if status, _, _, _ := serve(t, []Step{hoarding}, long, b); status != 503 {
		t.Errorf("an item larger than the budget: got %d", status)
	}
	if b.Left() != 1<<20 {
		t.Errorf("budget not given back: %d left", b.Left())
	}
}

// never finds the end of an item.
type never struct{ whole }

func (never) Split([]byte, func([]byte) error) error { return nil }

func TestTheSinkHasNoBackDoor(t *testing.T) {
	var s any = new(Sink)
	if _, ok := s.(interface{ Unwrap() http.ResponseWriter }); ok {
		t.Error("Unwrap would let bytes past the chain")
	}
	if _, ok := s.(http.Hijacker); ok {
		t.Error("Hijack would let bytes past the chain")
	}
	if _, ok := s.(io.ReaderFrom); ok {
		t.Error("ReadFrom would let bytes past the chain")
	}
}

func TestWritesAfterTheEndGoNowhere(t *testing.T) {
	var kept *Sink
	origin := originFunc(func(x *Exchange) Verdict { kept = &x.Out; x.Out.Write([]byte("x")); return Pass })
	serve(t, []Step{deliver(plan.Hold)}, origin, NewBudget(1<<20))
	if _, err := kept.Write([]byte(secretBody)); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
}
