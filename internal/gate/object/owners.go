package object

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/owner"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
	"github.com/portreeve/portreeve/internal/store"
)

// byLedger: who made it through the gate owns it.
func (r *rule) byLedger(x *exchange.Exchange, id string) exchange.Verdict {
	if !segment(id) {
		return r.deny(x, "id_malformed")
	}
	made, err := r.owners.Owner(x.Request.Context(), r.Type, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return r.deny(x, "owner_unknown")
	case err != nil:
		return x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Retry: 5 * time.Second, Fine: "owners_unavailable", Cause: err})
	}
	r.note(x, made.Subject)
	if p := &x.Principal; !p.Authenticated() || made != (owner.Owner{Issuer: p.Issuer, Subject: p.Subject}) {
		return r.deny(x, "not_owner")
	}
	return exchange.Pass
}

// remember keeps the ledger of owners with what the API did.
func (r *rule) remember(x *exchange.Exchange, status int) exchange.Verdict {
	switch {
	case r.makes() && status >= 200 && status < 300 && r.id.where == inAnswerHeader:
		return r.record(x, nil)
	case r.makes() && status >= 200 && status < 300 && r.id.where == inAnswer && !held(x):
		return x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "made_unnamed"})
	case r.op.Method == http.MethodDelete && r.removes() && (status >= 200 && status < 300 || status == http.StatusNotFound || status == http.StatusGone):
		// What stays in the ledger when this fails gives nobody anything: the object is gone.
		_ = r.owners.Forget(context.WithoutCancel(x.Request.Context()), r.Type, x.Object.ID)
	}
	return exchange.Pass
}

// removes reports whether a DELETE takes away the object itself: of /records/{id} it does, of /records/{id}/photo it does
// not, whether that is there or not.
func (r *rule) removes() bool {
	return r.id.ofRequest() && (r.id.where != inPath || strings.HasSuffix(r.op.Path, "{"+r.id.name+"}"))
}

func held(x *exchange.Exchange) bool { return x.Media != nil && x.Out.Delivery() == plan.Hold }

// record notes who made the object before its answer leaves. Where that cannot be, the object is there and nobody's.
func (r *rule) record(x *exchange.Exchange, body []byte) exchange.Verdict {
	id, ok := r.id.made(x.Out.Judged(), body)
	if !ok {
		return x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "made_unnamed"})
	}
	x.Object.ID = id
	p := &x.Principal
	r.note(x, p.Subject)
	err := r.owners.Claim(context.WithoutCancel(x.Request.Context()), r.Type, id, owner.Owner{Issuer: p.Issuer, Subject: p.Subject}, x.Now)
	switch {
	case errors.Is(err, store.ErrConflict):
		return x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "owner_conflict", Cause: err})
	case err != nil:
		return x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Retry: 5 * time.Second, Fine: "owners_unavailable", Cause: err})
	}
	return exchange.Pass
}
