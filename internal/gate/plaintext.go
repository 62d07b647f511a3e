package gate

import (
	"net/http"
	"net/url"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/edge"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

// exposed is what a credential is that travelled in the clear.
const exposed = "credential_exposed"

// plaintext is the one operation of the listener that refuses plain HTTP.
var plaintext = &plan.Operation{Index: -1, ID: "plaintext", Security: plan.Security{Public: true, Source: "built in"}, Record: plan.Async, Source: "built in"}

// plain is the chain of a request that came without TLS: it is counted, refused and recorded.
func (s *stages) plain() (*exchange.Chain, error) {
	guard, err := s.guard.Bind(plaintext)
	if err != nil {
		return nil, err
	}
	harden, err := s.harden.Bind(plaintext)
	if err != nil {
		return nil, err
	}
	record, err := s.audit.Bind(plaintext)
	if err != nil {
		return nil, err
	}
	refuse := exchange.Step{Stage: edge.Name, Rule: "plain HTTP is refused", Source: "built in", Controls: []control.ID{"tls.https-only"}, Enter: s.refusePlain}
	return exchange.NewChain(plaintext, []exchange.Step{guard, refuse, harden, record}, prologue), nil
}

// refusePlain refuses, and names the credential that was sent so that it can be revoked: whoever was on the way has it.
func (s *stages) refusePlain(x *exchange.Exchange) exchange.Verdict {
	no := exchange.Refusal{Status: http.StatusForbidden, Reason: problem.Forbidden, Fine: "plaintext", Detail: "this API is served over https alone", Hangup: true}
	if pairs, err := url.ParseQuery(x.Request.URL.RawQuery); err == nil {
		for name, values := range pairs {
			for _, v := range values {
				x.Query = append(x.Query, exchange.Param{Name: name, Value: v})
			}
		}
	}
	if p, sent := s.authn.Sent(x); sent {
		no.Fine, x.Principal = exposed, p
	}
	return x.Refuse(no)
}

// Plaintext refuses every request with 403, for a listener of plain HTTP beside the gate's own.
func (g *Gate) Plaintext() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := g.now.Load()
		g.serve(w, r, b, &exchange.Exchange{Chain: b.plain, Op: plaintext}, refuser{})
	})
}

// refuser answers nothing.
type refuser struct{}

func (refuser) Answer(*exchange.Exchange) exchange.Verdict { return exchange.Undecided }
