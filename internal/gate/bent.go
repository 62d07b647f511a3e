package gate

import (
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
)

// Bend changes the steps of one operation in place, before they become its chain. It may neither add nor move any.
type Bend func(op *plan.Operation, steps []exchange.Step)

// NewBent is New with a fault on purpose: every chain is bent before it runs. Such a gate shows whether an attack finds
// the fault, and guards nothing. Only internal/mutant may call this; a test of the house holds it.
func NewBent(p *plan.Plan, r *Runtime, bend Bend) (*Gate, error) {
	b, err := bind(p, r, bend)
	if err != nil {
		return nil, err
	}
	g := &Gate{runtime: r}
	g.now.Store(b)
	return g, nil
}
