package gate

import (
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
)

// stage is one place on the request's way.
type stage struct {
	name string
	in   string // what it does to the request
	out  string // what it does to the answer
	bind func(*stages, *plan.Operation) (exchange.Step, error)

	before string // what the stage that answers asks before it, and before anything is intended
}

// order is the request's way, and the only place that says so. A request passes the stages from the top; the answer
// starts at upstream, goes back up to the client's side, and leaves through what stands below upstream.
// docs/life-of-a-request.md, the package documentation and explain show this very list; a test holds them equal.
var order = [...]stage{
	{"guard", "connection and address: rate per address, bad-credential rate", "",
		func(s *stages, op *plan.Operation) (exchange.Step, error) { return s.guard.Bind(op) }, ""},
	{"edge", "one canonical form of target, query and headers; host; sizes; the operation", "",
		func(s *stages, op *plan.Operation) (exchange.Step, error) { return s.edge.Bind(op) }, ""},
	{"cors", "preflights answered; foreign origins known", "CORS headers, on refusals too",
		func(s *stages, op *plan.Operation) (exchange.Step, error) { return s.cors.Bind(op) }, ""},
	{"authn", "API key or token becomes a principal", "a challenge on every 401",
		func(s *stages, op *plan.Operation) (exchange.Step, error) { return s.authn.Bind(op) }, ""},
	{"throttle", "rate per principal and operation", "RateLimit and RateLimit-Policy",
		func(s *stages, op *plan.Operation) (exchange.Step, error) { return s.throttle.Bind(op) }, ""},
	{"authz", "document scopes, permissions, roles, step-up", "",
		func(s *stages, op *plan.Operation) (exchange.Step, error) { return s.authz.Bind(op) }, ""},
	{"validate", "parameters, media type and body against the document", "",
		func(s *stages, op *plan.Operation) (exchange.Step, error) { return s.validate.Bind(op) }, ""},
	{"object", "ownership by the request's own ids", "ownership by the answer's own bytes",
		func(s *stages, op *plan.Operation) (exchange.Step, error) { return s.object.Bind(op) }, ""},
	{"upstream", "the canonical request to the API, or the next handler", "status and media type as declared",
		func(s *stages, op *plan.Operation) (exchange.Step, error) { return s.upstream.Bind(op) },
		"whether the API answers, and bears one more"},
	{"disclose", "", "the body against its schema; undeclared and unpermitted fields leave; masks",
		func(s *stages, op *plan.Operation) (exchange.Step, error) { return s.disclose.Bind(op) }, ""},
	{"harden", "", "security headers, no banners",
		func(s *stages, op *plan.Operation) (exchange.Step, error) { return s.harden.Bind(op) }, ""},
	{"audit", "an intent is durable before the upstream is called, for sync operations", "one event",
		func(s *stages, op *plan.Operation) (exchange.Step, error) { return s.audit.Bind(op) }, ""},
}

// prologue is how many stages come before an operation is known: guard and edge.
const prologue = 2

// origin is the place in the order at which the upstream, or the wrapped handler, answers.
const origin = 8
