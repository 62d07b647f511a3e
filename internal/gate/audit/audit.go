// Package audit tells the ledger what happened: before the upstream is called, for operations that must not happen
// unrecorded, and afterwards for every one. An event holds who, what, the decision and its reason; never a credential, a
// body or a raw path.
package audit

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

// Name is the stage's name in the order.
const Name = "audit"

var controls = []control.ID{"log.auth-attempts", "log.authz-decisions", "log.sensitive-access", "log.no-secrets", "log.integrity"}

// Ledger keeps events.
type Ledger interface {
	Append(context.Context, *ledger.Event) error // returns when the event is durable
	Enqueue(*ledger.Event) bool
}

// Stage records the exchanges of one plan.
type Stage struct {
	plan      string
	ledger    Ledger
	metrics   *Metrics
	summaries *Summaries
	clock     func() time.Time
	log       *slog.Logger
}

// New returns the stage of a plan.
func New(p *plan.Plan, l Ledger, m *Metrics, s *Summaries, clock func() time.Time, log *slog.Logger) *Stage {
	return &Stage{p.Hash, l, m, s, clock, log}
}

// rule is one operation's.
type rule struct {
	*Stage
	op     *plan.Operation
	series *series
}

// Bind returns the operation's step.
func (s *Stage) Bind(op *plan.Operation) (exchange.Step, error) {
	r := &rule{s, op, s.metrics.of(op)}
	step := exchange.Step{Stage: Name, Rule: "one event", Source: op.Source, Controls: controls, Close: r.close}
	if op.Record == plan.Sync && op.Own == "" {
		step.Rule = "sync: an intent is durable before the upstream is called, the outcome follows"
		step.Enter = r.intend
	}
	return step, nil
}

// intend makes the intent durable; without it the upstream is not called.
func (r *rule) intend(x *exchange.Exchange) exchange.Verdict {
	e := r.event(x)
	e.Phase, e.Allowed = ledger.Intent, true
	err := r.ledger.Append(x.Request.Context(), e)
	if err == nil {
		x.Intent = true
		return exchange.Pass
	}
	// Where the client left while waiting, the intent may be written yet: its outcome must follow.
	x.Intent = !errors.Is(err, ledger.ErrUnavailable)
	return x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Retry: 5 * time.Second,
		Fine: "ledger_unavailable", Cause: err})
}

// close records how the exchange ended.
func (r *rule) close(x *exchange.Exchange) {
	r.metrics.inFlight.Dec()
	took := r.clock().Sub(x.Now)
	e := r.event(x)
	e.Phase, e.Latency, e.Status = ledger.Whole, took, x.Out.Status()
	e.Allowed, e.Dropped, e.Masked, e.Rules = x.Allowed(), x.Dropped, x.Masked, x.Screened
	if x.Intent {
		e.Phase = ledger.Outcome
	}
	for _, o := range x.Observed {
		e.Observed = append(e.Observed, o.Stage+": "+string(o.Fine))
		r.series.observed.WithLabelValues(r.series.name, o.Stage).Inc()
	}
	r.series.dropped.Add(float64(x.Dropped))
	r.series.masked.Add(float64(x.Masked))
	if x.Decided != nil && !e.Allowed {
		e.Stage = x.Decided.Stage
		e.Controls = names(x.Decided.Controls)
	}
	if e.Allowed {
		r.series.allow(took)
		r.ledger.Enqueue(e)
		return
	}
	r.series.refuse(x.No.Reason, took)
	r.metrics.refused(string(x.No.Fine))
	e.Reason = string(x.No.Fine)
	r.explain(x)
	if x.Intent {
		r.ledger.Enqueue(e) // an intent's outcome is never only counted
		return
	}
	r.summaries.Refused(e, x.Peer)
}

// explain tells the program's own log why the gate or the upstream failed; a client's fault is the ledger's alone.
func (r *rule) explain(x *exchange.Exchange) {
	if x.No.Status >= 500 && x.No.Cause != nil && x.No.Fine != "client_gone" { // it may go as often as it likes
		r.log.Warn("request failed", "id", x.ID, "operation", r.op.ID, "status", x.No.Status, "reason", string(x.No.Fine), "cause", x.No.Cause.Error())
	}
}

func names(ids []control.ID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out
}

// event holds what is known of an exchange at any time.
func (r *rule) event(x *exchange.Exchange) *ledger.Event {
	p := &x.Principal
	e := &ledger.Event{Kind: ledger.Request, Time: r.clock(), ID: x.ID, Operation: r.op.ID, Method: method(x.Request.Method), Path: r.op.Path,
		Agent: x.Request.Header.Get("User-Agent"), Subject: p.Subject, Actor: kind(p), Issuer: p.Issuer, Credential: p.Credential,
		Roles: p.Roles, Record: string(r.op.Record), Plan: r.plan, ObjectType: x.Object.Type, ObjectID: x.Object.ID}
	if j := &x.Judged; j.Source != "" {
		e.Source, e.Weak, e.Passed, e.Omitted = string(j.Source), j.Weak, j.By, j.Omitted
		if j.Attribute != ([32]byte{}) {
			e.Attribute = hex.EncodeToString(j.Attribute[:])
		}
	}
	if x.Peer.IsValid() {
		e.Address = x.Peer.String()
	}
	return e
}

func kind(p *access.Principal) string {
	switch p.Kind {
	case access.User:
		return "user"
	case access.Service:
		return "service"
	}
	return "anonymous"
}

// method keeps what a client may invent out of the event.
func method(m string) string {
	if slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}, m) {
		return m
	}
	return "other"
}
