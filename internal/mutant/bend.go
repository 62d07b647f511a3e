package mutant

import (
	"github.com/portreeve/portreeve/internal/gate"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
)

// step bends the steps of one stage. An absent step stays absent: there is nothing in it to be bent.
func step(stage string, bend func(*exchange.Step)) gate.Bend {
	return func(_ *plan.Operation, steps []exchange.Step) {
		for i := range steps {
			if steps[i].Stage == stage && !steps[i].Absent {
				bend(&steps[i])
			}
		}
	}
}

// only keeps a bend to one operation.
func only(op *plan.Operation, b gate.Bend) gate.Bend {
	method, path := op.Method, op.Path
	return func(op *plan.Operation, steps []exchange.Step) {
		if op.Method == method && op.Path == path {
			b(op, steps)
		}
	}
}

// both applies two bends.
func both(a, b gate.Bend) gate.Bend {
	return func(op *plan.Operation, steps []exchange.Step) {
		a(op, steps)
		b(op, steps)
	}
}

// entering replaces the request's side of a stage; then is the side that was there.
func entering(stage string, bend func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict) gate.Bend {
	return step(stage, func(s *exchange.Step) {
		then := s.Enter
		if then == nil {
			then = pass
		}
		s.Enter = func(x *exchange.Exchange) exchange.Verdict { return bend(x, then) }
	})
}

// heading replaces what a stage makes of an answer's head.
func heading(stage string, bend func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict) gate.Bend {
	return step(stage, func(s *exchange.Step) {
		then := s.Head
		if then == nil {
			then = pass
		}
		s.Head = func(x *exchange.Exchange) exchange.Verdict { return bend(x, then) }
	})
}

// dressing runs after a stage has dressed a head.
func dressing(stage string, after func(*exchange.Exchange)) gate.Bend {
	return step(stage, func(s *exchange.Step) {
		first := s.Dress
		s.Dress = func(x *exchange.Exchange) {
			if first != nil {
				first(x)
			}
			after(x)
		}
	})
}

func pass(*exchange.Exchange) exchange.Verdict { return exchange.Pass }

// dropped takes a step out, and leaves its place.
func dropped(stage string) gate.Bend {
	return step(stage, func(s *exchange.Step) {
		*s = exchange.Absent(stage, "dropped by a mutant", s.Source)
	})
}

// forgive lets a refusal pass.
func forgive(x *exchange.Exchange) exchange.Verdict {
	x.No = exchange.Refusal{}
	return exchange.Pass
}

// plain makes a bend that needs no arms.
func plain(b gate.Bend) func(arms) gate.Bend { return func(arms) gate.Bend { return b } }
