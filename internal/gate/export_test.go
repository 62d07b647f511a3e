package gate

import "net/http"

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
