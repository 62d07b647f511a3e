package mutant

import (
	"net/http"
	"strings"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate"
	"github.com/portreeve/portreeve/internal/gate/authn"
	"github.com/portreeve/portreeve/internal/gate/authz"
	"github.com/portreeve/portreeve/internal/gate/cors"
	"github.com/portreeve/portreeve/internal/gate/disclose"
	"github.com/portreeve/portreeve/internal/gate/edge"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/gate/object"
	"github.com/portreeve/portreeve/internal/gate/throttle"
	"github.com/portreeve/portreeve/internal/gate/upstream"
	"github.com/portreeve/portreeve/internal/gate/validate"
	"github.com/portreeve/portreeve/internal/plan"
)

// target makes the mutants of edge: what is asked for.
func (l *list) target() {
	l.add(Mutant{Rule: "unmatched-passed", Controls: []control.ID{"inventory.documented", "inventory.retired"}, Does: "What fits no path of the document is passed to the API.",
		bend: plain(passing("path_undeclared"))})
	l.add(Mutant{Rule: "method-undeclared-passed", Controls: []control.ID{"authz.function", "inventory.documented"}, Does: "A method that the document does not declare for a path is passed to the API.",
		bend: plain(passing("method_undeclared"))})
	l.add(Mutant{Rule: "hosts-unchecked", Controls: []control.ID{"validate.strict-schema"}, Does: "Requests for any host are served.",
		change: func(p *plan.Plan) { p.Edge.Hosts = nil }})
	l.add(Mutant{Rule: "target-unbounded", Controls: []control.ID{"limit.size"}, Does: "A target may be as long, and headers as many, as anybody likes.",
		change: func(p *plan.Plan) { p.Edge.MaxTarget, p.Edge.MaxHeaders = 1<<30, 1<<30 }})
	l.add(Mutant{Rule: "connection-options-unchecked", Controls: []control.ID{"validate.strict-schema"},
		Does: "Connection may name headers that are to be taken away.",
		bend: plain(entering(edge.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
			for _, line := range x.Request.Header["Connection"] {
				for name := range strings.SplitSeq(line, ",") {
					x.Request.Header.Del(strings.TrimSpace(name))
				}
			}
			x.Request.Header.Del("Connection")
			return then(x)
		}))})
	l.add(Mutant{Rule: "duplicates-unchecked", Controls: []control.ID{"validate.strict-schema"},
		Does: "Of a header that may stand once the last of several is taken.",
		bend: plain(entering(edge.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
			for name, values := range x.Request.Header {
				x.Request.Header[name] = values[len(values)-1:]
			}
			return then(x)
		}))})
}

// passing sends on what edge refuses for one reason. It then goes the way of unmatched requests, of which nothing is left.
func passing(fine access.Reason) gate.Bend {
	return func(op *plan.Operation, steps []exchange.Step) {
		entering(edge.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
			v := then(x)
			if v == exchange.Refused && x.No.Fine == fine && x.Request.Method != http.MethodOptions {
				return forgive(x)
			}
			return v
		})(op, steps)
		if op.Path != "" || op.Own != "" {
			return
		}
		for _, stage := range []string{cors.Name, authn.Name, throttle.Name, authz.Name, validate.Name, object.Name, disclose.Name} {
			dropped(stage)(op, steps)
		}
		heading(upstream.Name, func(x *exchange.Exchange, _ func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
			x.Out.Deliver(plan.Relay, nil)
			return exchange.Pass
		})(op, steps)
	}
}

// origins makes the mutants of cors: who may read from elsewhere.
func (l *list) origins() {
	own := l.plan.PublicURL
	allow := func(may func(origin string) bool, credentials bool) func(*exchange.Exchange) {
		return func(x *exchange.Exchange) {
			origin := x.Request.Header.Get("Origin")
			if origin == "" || origin == own || !may(origin) {
				return
			}
			h := x.Out.Client()
			h.Set("Access-Control-Allow-Origin", origin)
			if credentials {
				h.Set("Access-Control-Allow-Credentials", "true")
			}
		}
	}
	listed := l.plan.CORS.Origins
	l.add(Mutant{Rule: "origin-reflected", Controls: []control.ID{"cors.allowlist", "cors.credentials"}, Does: "Whatever origin asks may read, with credentials.",
		bend: plain(dressing(cors.Name, allow(func(string) bool { return true }, true)))})
	l.add(Mutant{Rule: "origin-wildcard", Controls: []control.ID{"cors.allowlist"}, Does: "Every origin may read, without credentials.",
		bend: plain(dressing(cors.Name, func(x *exchange.Exchange) {
			if x.Request.Header.Get("Origin") != "" {
				x.Out.Client().Set("Access-Control-Allow-Origin", "*")
				x.Out.Client().Del("Access-Control-Allow-Credentials")
			}
		}))})
	l.add(Mutant{Rule: "origin-null-allowed", Controls: []control.ID{"cors.allowlist"}, Does: `The origin "null", which any sandboxed page has, may read.`,
		bend: plain(dressing(cors.Name, allow(func(o string) bool { return o == "null" }, true)))})
	if len(listed) > 0 {
		l.add(Mutant{Rule: "origin-prefix-matched", Controls: []control.ID{"cors.allowlist"}, Does: "An origin that begins like a listed one may read.",
			bend: plain(dressing(cors.Name, allow(func(o string) bool { return strings.HasPrefix(o, listed[0]) }, true)))})
		_, host, _ := strings.Cut(listed[0], "://")
		l.add(Mutant{Rule: "origin-suffix-matched", Controls: []control.ID{"cors.allowlist"}, Does: "An origin that ends like a listed one may read.",
			bend: plain(dressing(cors.Name, allow(func(o string) bool { return strings.HasSuffix(o, host) }, true)))})
	}
	preflight := func(x *exchange.Exchange) bool {
		return x.Request.Method == http.MethodOptions && x.Request.Header.Get("Access-Control-Request-Method") != ""
	}
	l.add(Mutant{Rule: "preflight-allowed", Controls: []control.ID{"cors.allowlist", "cors.methods-headers"}, Does: "The preflight of any origin is answered with yes.",
		bend: plain(both(entering(cors.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
			if !preflight(x) {
				return then(x)
			}
			x.Reply.Status = http.StatusNoContent
			return exchange.Answered
		}), dressing(cors.Name, func(x *exchange.Exchange) {
			if preflight(x) {
				h := x.Out.Client()
				h.Set("Access-Control-Allow-Origin", x.Request.Header.Get("Origin"))
				h.Set("Access-Control-Allow-Methods", x.Request.Header.Get("Access-Control-Request-Method"))
				h.Set("Access-Control-Allow-Headers", x.Request.Header.Get("Access-Control-Request-Headers"))
				h.Set("Access-Control-Allow-Credentials", "true")
			}
		})))})
	if len(listed) == 0 {
		return
	}
	for _, what := range []struct{ rule, header, does string }{
		{"preflight-method-unchecked", "Access-Control-Request-Method", "A listed origin may send methods that the document does not declare."},
		{"preflight-header-unchecked", "Access-Control-Request-Headers", "A listed origin may send headers that the document does not declare."},
	} {
		answer := strings.Replace(what.header, "Request-Method", "Allow-Methods", 1)
		answer = strings.Replace(answer, "Request-Headers", "Allow-Headers", 1)
		l.add(Mutant{Rule: what.rule, Controls: []control.ID{"cors.methods-headers"}, Does: what.does,
			bend: plain(both(both(entering(edge.Name, anyMethod), entering(cors.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
				v := then(x)
				if v == exchange.Refused && (x.No.Fine == "cors_method" && strings.HasSuffix(answer, "Methods") || x.No.Fine == "cors_header" && strings.HasSuffix(answer, "Headers")) {
					x.No, x.Reply.Status = exchange.Refusal{}, http.StatusNoContent
					return exchange.Answered
				}
				return v
			})), dressing(cors.Name, func(x *exchange.Exchange) {
				if h := x.Out.Client(); preflight(x) && h.Get("Access-Control-Allow-Origin") != "" {
					h.Set(answer, x.Request.Header.Get(what.header))
				}
			})))})
	}
}

// anyMethod finds the operation of a preflight that asks for a method which its path does not have: any other of the path.
func anyMethod(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
	v := then(x)
	asked := x.Request.Header["Access-Control-Request-Method"]
	if v != exchange.Refused || x.No.Fine != "method_undeclared" || len(asked) == 0 {
		return v
	}
	defer func() { x.Request.Header["Access-Control-Request-Method"] = asked }()
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		x.No = exchange.Refusal{}
		x.Request.Header["Access-Control-Request-Method"] = []string{method}
		if v = then(x); v == exchange.Pass {
			return v
		}
	}
	return v
}
