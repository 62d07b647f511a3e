package authn

import (
	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
)

// Sent reports whether a request carries any credential, and whose it is where it holds. It decides nothing: it is for
// requests that are refused whatever they carry.
func (s *Stage) Sent(x *exchange.Exchange) (access.Principal, bool) {
	r := &rule{Stage: s}
	h := x.Request.Header
	sent := len(h["Authorization"]) > 0 || len(h["Cookie"]) > 0 || len(h["Proxy-Authorization"]) > 0
	for i := range s.identity.Schemes {
		sc := &s.identity.Schemes[i]
		text, found := present(x, sc)
		if found == absent || sc.Location == plan.InTLS {
			continue
		}
		sent = true
		if found != shown || sc.Keys && s.keys == nil || !sc.Keys && s.tokens == nil {
			continue
		}
		if p, err := r.prove(x, sc, text); err == nil {
			p.Scheme = sc.Name
			return p, true
		}
	}
	if sent {
		s.failed(x)
	}
	return access.Principal{}, sent
}
