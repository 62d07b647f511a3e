package gate

import (
	"fmt"

	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
)

// bound is one plan with everything made of it: what a request meets.
type bound struct {
	plan      *plan.Plan
	stages    *stages
	chains    []*exchange.Chain // by Operation.Index
	unmatched *exchange.Chain
	plain     *exchange.Chain // of requests that came without TLS beside it
	own       ownHandlers
}

// bind makes every chain of a plan. A rule that cannot be bound is an error: the gate does not start without it.
func bind(p *plan.Plan, r *Runtime, bend Bend) (*bound, error) {
	b := &bound{plan: p, chains: make([]*exchange.Chain, len(p.Operations))}
	var err error
	if b.stages, err = newStages(p, r, b.chain); err != nil {
		return nil, err
	}
	b.stages.bend = bend
	for _, op := range p.Operations {
		if b.chains[op.Index], err = b.stages.chain(op); err != nil {
			return nil, err
		}
	}
	if b.unmatched, err = b.stages.chain(p.Unmatched); err != nil {
		return nil, err
	}
	if b.plain, err = b.stages.plain(); err != nil {
		return nil, err
	}
	b.own = newOwnHandlers(p, r)
	b.stages.schemas.Seal()
	b.stages.schemas = nil
	return b, nil
}

// chain returns the chain of one of the plan's operations.
func (b *bound) chain(op *plan.Operation) *exchange.Chain {
	if op == b.plan.Unmatched {
		return b.unmatched
	}
	return b.chains[op.Index]
}

// chain binds every stage to one operation: exactly one step each, in the order.
func (s *stages) chain(op *plan.Operation) (*exchange.Chain, error) {
	steps := make([]exchange.Step, 0, len(order))
	for _, st := range order {
		step, err := st.bind(s, op)
		if err != nil {
			return nil, fmt.Errorf("binding %s to %s %s: %w", st.name, op.Method, op.Path, err)
		}
		if step.Stage != st.name {
			return nil, fmt.Errorf("binding %s to %s %s: the step calls itself %q", st.name, op.Method, op.Path, step.Stage)
		}
		step.Observe, step.Until = observes(op, st.name), s.observe
		steps = append(steps, step)
	}
	if s.bend != nil {
		s.bend(op, steps)
	}
	return exchange.NewChain(op, steps, origin), nil
}

func observes(op *plan.Operation, stage string) bool {
	for _, name := range op.Observe {
		if name == stage {
			return true
		}
	}
	return false
}
