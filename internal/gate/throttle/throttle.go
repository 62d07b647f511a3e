// Package throttle limits how often one principal, or one address while nobody is proven, may call an operation. All
// limits of a request are decided at once; a refused request is debited nowhere.
package throttle

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/meter"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

// Name is the stage's name in the order.
const Name = "throttle"

var controls = []control.ID{"limit.global", "limit.endpoint", "limit.retry-after", "limit.algorithm", "limit.client-identity"}

// Stage counts for one plan; the counts themselves belong to the meter and outlive it.
type Stage struct{ meter *meter.Meter }

// New returns the stage.
func New(m *meter.Meter) *Stage { return &Stage{m} }

// rule is one operation's limits.
type rule struct {
	meter  *meter.Meter
	rules  []*meter.Rule
	ops    []string // what beside the principal a limit's key names: the operation, or nothing
	policy string
}

// Bind returns the operation's step.
func (s *Stage) Bind(op *plan.Operation) (exchange.Step, error) {
	if len(op.Limits) == 0 {
		return exchange.Absent(Name, "no limit beside the address's", op.Source), nil
	}
	r := &rule{meter: s.meter}
	var texts []string
	var policy []byte
	for i, l := range op.Limits {
		m, err := meter.NewRule(l.Name, l.Count, l.Window, l.Rate, l.Burst)
		if err != nil {
			return exchange.Step{}, fmt.Errorf("%s: %w", l.Source, err)
		}
		if i > 0 {
			policy = append(policy, ", "...)
		}
		policy = m.AppendPolicy(policy)
		r.rules = append(r.rules, m)
		of := ""
		if l.Name != "principal" {
			of = op.ID
		}
		r.ops = append(r.ops, of)
		texts = append(texts, l.Text+" ("+l.Name+")")
	}
	r.policy = string(policy)
	return exchange.Step{Stage: Name, Rule: strings.Join(texts, ", ") + " per principal", Source: op.Limits[len(op.Limits)-1].Source,
		Controls: controls, Enter: r.enter, Dress: dress}, nil
}

const maxLimits = 8

func (r *rule) enter(x *exchange.Exchange) exchange.Verdict {
	// Each proven caller is counted, whomever the request will speak for in the end: else a second credential would pay
	// for the first.
	for i := range x.Proofs {
		if p := &x.Proofs[i].Principal; p.Issuer != x.Principal.Issuer || p.Subject != x.Principal.Subject {
			if v := r.take(x, p); v != exchange.Pass {
				return v
			}
		}
	}
	return r.take(x, &x.Principal)
}

// take counts the request against one caller.
func (r *rule) take(x *exchange.Exchange, p *access.Principal) exchange.Verdict {
	var room [maxLimits]meter.Demand
	kind, issuer, who := "principal", p.Issuer, p.Subject
	if !p.Authenticated() {
		kind, who = "address", meter.Address(x.Peer).String()
	}
	demands := room[:0]
	for i, m := range r.rules {
		demands = append(demands, meter.Demand{Rule: m, Key: r.meter.Key(m, kind, issuer, who, r.ops[i]), Cost: 1})
	}
	d := r.meter.Take(x.Now, demands)
	x.Quota.Policy = r.policy
	x.Quota.State = string(r.rules[d.Index].AppendState(nil, d))
	if d.Allowed {
		return exchange.Pass
	}
	return x.Refuse(exchange.Refusal{Status: http.StatusTooManyRequests, Reason: problem.RateLimited, Retry: d.RetryAfter, Fine: "rate_principal",
		Detail: "the limit of this operation is used up"})
}

// dress tells what is left; redirects carry nothing, for a client would stall on them (draft §6).
func dress(x *exchange.Exchange) {
	if status := x.Out.Status(); x.Quota.Policy == "" || x.Allowed() && status >= 300 && status < 400 {
		return
	}
	h := x.Out.Client()
	h["Ratelimit-Policy"] = []string{x.Quota.Policy}
	h["Ratelimit"] = []string{x.Quota.State}
}
