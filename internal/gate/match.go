package gate

import (
	"net/http"
	"net/url"

	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
)

// Match returns the chain that a request of this method and path would take, found by the very edge that serves; that of
// unmatched requests where no operation fits. path may be an operation's template as well, "/orders/{id}".
func (g *Gate) Match(method, path string) (*exchange.Chain, error) {
	b := g.now.Load()
	for _, op := range b.plan.Operations {
		if op.Method == method && op.Path == path {
			return b.chain(op), nil
		}
	}
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return nil, err
	}
	r := &http.Request{Method: method, URL: u, RequestURI: path, Host: host(b.plan), Header: http.Header{}}
	x := &exchange.Exchange{Plan: b.plan, Chain: b.unmatched, Op: b.plan.Unmatched, Request: r}
	b.unmatched.Steps[prologue-1].Enter(x)
	return x.Chain, nil
}

// host is one that the plan serves.
func host(p *plan.Plan) string {
	if len(p.Edge.Hosts) > 0 {
		return p.Edge.Hosts[0]
	}
	return "localhost"
}
