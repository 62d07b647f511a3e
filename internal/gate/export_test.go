package gate

import (
	"net/http"

	"github.com/portreeve/portreeve/internal/gate/exchange"
)

// Use makes a gate speak to its upstream by t.
func (g *Gate) Use(t http.RoundTripper) error {
	p := g.Plan()
	g.runtime.mu.Lock()
	for k := range g.runtime.transports {
		g.runtime.transports[k] = t
	}
	g.runtime.mu.Unlock()
	return g.Swap(p)
}

// ServeSeen serves a request, and shows the exchange as it stands when all stages have let it pass, before the upstream
// is asked.
func (g *Gate) ServeSeen(w http.ResponseWriter, r *http.Request, see func(*exchange.Exchange)) {
	b := g.now.Load()
	g.serve(w, r, b, new(exchange.Exchange), watched{b.stages.upstream, see})
}

type watched struct {
	exchange.Origin
	see func(*exchange.Exchange)
}

func (o watched) Answer(x *exchange.Exchange) exchange.Verdict {
	o.see(x)
	return o.Origin.Answer(x)
}
