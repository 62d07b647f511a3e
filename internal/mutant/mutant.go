// Package mutant asks whether the attacks would notice. For each control that a plan enforces it makes gates in which
// that control is missing or bent: a mutant is the plan with one rule changed, or a chain with one step dropped or
// replaced. Each is served on a loopback port of its own, in front of a real API, and attacked. A mutant that is found
// is killed; one that is not shows what the attacks do not see.
//
// A mutant never guards anything: it has a data directory, keys, users and tokens of its own, which are removed with
// it, and nothing but the command line can make one.
package mutant

import (
	"encoding/json"
	"fmt"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate"
	"github.com/portreeve/portreeve/internal/jose"
	"github.com/portreeve/portreeve/internal/plan"
)

// Mutant is one fault on purpose.
type Mutant struct {
	ID       string       `json:"id"`   // "permission-dropped GET /api/users"; the same from run to run
	Rule     string       `json:"rule"` // "permission-dropped"
	At       string       `json:"at"`   // what is bent: an operation, a field, a role; "" for the whole plan
	Controls []control.ID `json:"controls"`
	Does     string       `json:"does"` // one sentence

	counts bool                 // it is about how often: limits are as they stand, and only attacks on limits are made
	change func(*plan.Plan)     // of a copy; nil: the plan stays
	bend   func(arms) gate.Bend // nil: the chains stay
}

// arms are what a bent chain may need: the gate's own key and names, and credentials that hold.
type arms struct {
	plan   *plan.Plan
	signer *jose.Signer
	key    string // an API key of the mightiest role
	idle   string // the subject of a user who is disabled
	active string // and of one who is not
}

// list collects the mutants of one plan.
type list struct {
	plan *plan.Plan
	all  []Mutant
	err  error
}

// Of returns the mutants of a plan, stage by stage in the order of the gate. A change that leaves the plan as it is makes
// none.
func Of(p *plan.Plan) ([]Mutant, error) {
	l := &list{plan: p}
	l.counting()
	l.target()
	l.origins()
	l.credentials()
	l.tokens()
	l.permissions()
	l.requests()
	l.objects()
	l.answers()
	l.fields()
	l.heads()
	l.records()
	return l.all, l.err
}

// add takes a mutant in, if there is anything in the plan for it to change.
func (l *list) add(m Mutant) {
	if m.ID = m.Rule; m.At != "" {
		m.ID += " " + m.At
	}
	if m.change != nil {
		changed, err := altered(l.plan, m.change)
		if err != nil {
			l.err = fmt.Errorf("making the mutant %s: %w", m.ID, err)
			return
		}
		if m.bend == nil && changed.Sum() == l.plan.Sum() {
			return
		}
	}
	l.all = append(l.all, m)
}

// declared are the operations of the document.
func (l *list) declared() []*plan.Operation {
	var out []*plan.Operation
	for _, op := range l.plan.Operations {
		if op.Own == "" {
			out = append(out, op)
		}
	}
	return out
}

func nameOf(op *plan.Operation) string { return op.Method + " " + op.Path }

// on applies a change to one operation of the copy.
func on(op *plan.Operation, change func(*plan.Operation)) func(*plan.Plan) {
	i := op.Index
	return func(p *plan.Plan) { change(p.Operations[i]) }
}

// everywhere applies a change to every operation of the document.
func everywhere(change func(*plan.Operation)) func(*plan.Plan) {
	return func(p *plan.Plan) {
		for _, op := range p.Operations {
			if op.Own == "" {
				change(op)
			}
		}
	}
}

// copied returns a plan that shares nothing with the given one. Plans are data, so their encoding holds all of them.
func copied(p *plan.Plan) (*plan.Plan, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("copying the plan: %w", err)
	}
	out := new(plan.Plan)
	if err := json.Unmarshal(b, out); err != nil {
		return nil, fmt.Errorf("copying the plan: %w", err)
	}
	out.Hash = out.Sum()
	return out, nil
}

// altered returns a changed copy, sealed anew.
func altered(p *plan.Plan, change func(*plan.Plan)) (*plan.Plan, error) {
	out, err := copied(p)
	if err != nil {
		return nil, err
	}
	change(out)
	out.Hash = out.Sum()
	return out, nil
}
