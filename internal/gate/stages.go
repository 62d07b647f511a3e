package gate

import (
	"fmt"
	"time"

	"github.com/portreeve/portreeve/internal/gate/audit"
	"github.com/portreeve/portreeve/internal/gate/authn"
	"github.com/portreeve/portreeve/internal/gate/authz"
	"github.com/portreeve/portreeve/internal/gate/cors"
	"github.com/portreeve/portreeve/internal/gate/disclose"
	"github.com/portreeve/portreeve/internal/gate/edge"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/gate/guard"
	"github.com/portreeve/portreeve/internal/gate/harden"
	"github.com/portreeve/portreeve/internal/gate/object"
	"github.com/portreeve/portreeve/internal/gate/throttle"
	"github.com/portreeve/portreeve/internal/gate/upstream"
	"github.com/portreeve/portreeve/internal/gate/validate"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/schema"
)

// stages are the twelve of one plan.
type stages struct {
	guard    *guard.Stage
	edge     *edge.Stage
	cors     *cors.Stage
	authn    *authn.Stage
	throttle *throttle.Stage
	authz    *authz.Stage
	validate *validate.Stage
	object   *object.Stage
	upstream *upstream.Stage
	disclose *disclose.Stage
	harden   *harden.Stage
	audit    *audit.Stage

	schemas *schema.Set // until every step is bound
	observe time.Time   // when unsafe_observe ends
	bend    Bend        // of a gate with a fault on purpose
}

// newStages makes the stages of a plan with what the runtime lends them.
func newStages(p *plan.Plan, r *Runtime, chains func(*plan.Operation) *exchange.Chain) (*stages, error) {
	set, err := schema.NewSet(p.Document, dialect(p))
	if err != nil {
		return nil, fmt.Errorf("reading schemas: %w", err)
	}
	tokens, err := r.tokens(p)
	if err != nil {
		return nil, err
	}
	clients, err := r.clients(p)
	if err != nil {
		return nil, err
	}
	transport, err := r.transport(p)
	if err != nil {
		return nil, err
	}
	s := &stages{schemas: set, cors: cors.New(p), throttle: throttle.New(r.Meter), authz: authz.New(p), harden: harden.New(p), validate: validate.New(p, set, r.Budget)}
	s.disclose = disclose.New(set, s.authz)
	if s.object, err = object.New(p, s.authz, r.Owners); err != nil {
		return nil, err
	}
	if p.Screens() {
		engine, err := r.screener(p.Screen.Paranoia)
		if err != nil {
			return nil, err
		}
		s.validate.Screen(p, engine, r.screening, watching(p))
	}
	s.audit = audit.New(p, r.Ledger, r.Metrics, r.summaries, r.Clock, r.Log)
	if s.guard, err = guard.New(p, r.Meter); err != nil {
		return nil, err
	}
	if s.edge, err = edge.New(p, chains); err != nil {
		return nil, err
	}
	if s.upstream, err = upstream.New(p, upstream.Config{Transport: transport, Signer: r.assertions(), Capacity: r.capacity(p)}); err != nil {
		return nil, err
	}
	s.authn = authn.New(p, r.keys(), tokens, clients, s.guard.Failed)
	s.observe = watching(p)
	return s, nil
}

// watching is until when unsafe_observe lets pass.
func watching(p *plan.Plan) time.Time {
	for _, u := range p.Unsafe {
		if u.Name == "unsafe_observe" {
			return u.Until
		}
	}
	return time.Time{}
}

func dialect(p *plan.Plan) schema.Dialect {
	if p.Dialect == "3.0" {
		return schema.OpenAPI30
	}
	return schema.OpenAPI31
}
