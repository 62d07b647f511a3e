package mutant

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/gate/throttle"
	"github.com/portreeve/portreeve/internal/plan"
)

// counting makes the mutants of guard and throttle: how often.
func (l *list) counting() {
	guard := []struct {
		name     string
		controls []control.ID
		at       func(*plan.Plan) *plan.Limit
	}{
		{"address", []control.ID{"limit.global", "limit.client-identity"}, func(p *plan.Plan) *plan.Limit { return &p.Guard.Address }},
		{"failures", []control.ID{"authn.bruteforce"}, func(p *plan.Plan) *plan.Limit { return &p.Guard.Failures }},
	}
	for _, g := range guard {
		l.add(Mutant{Rule: "limit-dropped", At: g.name, Controls: g.controls, Does: "The limit per address is not counted.", counts: true,
			change: func(p *plan.Plan) { *g.at(p) = plan.Limit{} }})
		l.add(Mutant{Rule: "limit-tenfold", At: g.name, Controls: g.controls, Does: "The limit per address is ten times what it should be.", counts: true,
			change: func(p *plan.Plan) { tenfold(g.at(p)) }})
	}
	l.add(Mutant{Rule: "proxies-trusted", Controls: []control.ID{"limit.client-identity"}, counts: true,
		Does: "Everybody is believed about whom they forward for, so that a caller chooses the address it is counted under.",
		change: func(p *plan.Plan) {
			p.Edge.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
		}})

	common := map[string]int{} // limits that stand on more than one operation
	for _, op := range l.declared() {
		for _, limit := range op.Limits {
			common[limit.Name]++
		}
	}
	for _, op := range l.declared() {
		for _, limit := range op.Limits {
			n := common[limit.Name]
			if n == 0 {
				continue
			}
			name, where, controls := limit.Name, nameOf(op), []control.ID{"limit.endpoint"}
			reach := func(change func(*plan.Operation)) func(*plan.Plan) { return on(op, change) }
			if limit.Name == "principal" {
				common[limit.Name] = 0 // one rule, wherever it stands
				where, controls, reach = "principal", []control.ID{"limit.global"}, everywhere
			}
			l.add(Mutant{Rule: "limit-dropped", At: where, Controls: controls, Does: "The limit of " + limit.Text + " is not counted.", counts: true,
				change: reach(func(op *plan.Operation) {
					var kept []plan.Limit
					for _, o := range op.Limits {
						if o.Name != name {
							kept = append(kept, o)
						}
					}
					op.Limits = kept
				})})
			l.add(Mutant{Rule: "limit-tenfold", At: where, Controls: controls, Does: "The limit of " + limit.Text + " is ten times what it should be.", counts: true,
				change: reach(func(op *plan.Operation) {
					for i := range op.Limits {
						if op.Limits[i].Name == name {
							tenfold(&op.Limits[i])
						}
					}
				})})
		}
	}
	if len(common) == 0 {
		return
	}
	l.add(Mutant{Rule: "every-second-call-counted", Controls: []control.ID{"limit.algorithm", "limit.global"}, counts: true,
		Does: "Of a caller's calls only every second one is counted.",
		bend: plain(step(throttle.Name, func(s *exchange.Step) {
			then, odd := s.Enter, map[string]bool{}
			var mu sync.Mutex
			s.Enter = func(x *exchange.Exchange) exchange.Verdict {
				mu.Lock()
				odd[x.Principal.Subject] = !odd[x.Principal.Subject]
				uncounted := odd[x.Principal.Subject]
				mu.Unlock()
				if uncounted {
					return exchange.Pass
				}
				return then(x)
			}
		}))})
	l.add(Mutant{Rule: "counted-by-credential", Controls: []control.ID{"limit.client-identity"}, counts: true,
		Does: "Each credential is counted by itself, so that a caller with two has twice the limit.",
		bend: plain(entering(throttle.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
			subject, proofs := x.Principal.Subject, x.Proofs
			defer func() { x.Principal.Subject, x.Proofs = subject, proofs }()
			x.Principal.Subject, x.Proofs = subject+"|"+x.Principal.Scheme, nil
			return then(x)
		}))})
	l.add(Mutant{Rule: "retry-after-wrong", Controls: []control.ID{"limit.retry-after"}, counts: true,
		Does: "Who is limited is told to come back in a month.",
		bend: plain(entering(throttle.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
			v := then(x)
			if v == exchange.Refused {
				x.No.Retry = 30 * 24 * time.Hour
			}
			return v
		}))})
}

func tenfold(l *plan.Limit) {
	if !l.Set() {
		return
	}
	l.Count, l.Rate, l.Burst = 10*l.Count, 10*l.Rate, 10*l.Burst
	l.Text = fmt.Sprintf("ten times %s", l.Text)
}
