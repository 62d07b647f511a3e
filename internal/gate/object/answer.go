package object

import (
	"net/http"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
	"github.com/portreeve/portreeve/internal/schema"
)

// head makes the API's own 404 and a denial the same answer, and lets nothing bodiless pass that should have named its
// owner.
func (r *rule) head(x *exchange.Exchange) exchange.Verdict {
	status := x.Out.Status()
	if r.From == plan.FromLedger {
		if v := r.remember(x, status); v != exchange.Pass {
			return v
		}
	}
	if status == http.StatusNotFound {
		return r.deny(x, "not_found")
	}
	if r.From != plan.FromResponse || x.Owns || status >= 400 {
		return exchange.Pass
	}
	d := x.Out.Delivery()
	switch {
	case r.filter != nil && (d == plan.Hold || d == plan.Items && x.Media != nil):
		uncounted(x.Out.Judged())
	case r.filter == nil && d == plan.Hold, r.Access == plan.AccessFields:
	default:
		return r.deny(x, "owner_unknown")
	}
	return exchange.Pass
}

// uncounted takes away the headers that say how many elements there are: they count those that leave. Links to further
// pages stay.
func uncounted(h http.Header) {
	for name := range h {
		lower := strings.ToLower(name)
		if strings.Contains(lower, "total") || strings.Contains(lower, "count") || lower == "content-range" || lower == "x-pagination" {
			delete(h, name)
		}
	}
}

// part decides on the body that would leave, or on one element of it. Refusals of the API itself name no owner: they
// pass, judged by their schema.
func (r *rule) part(x *exchange.Exchange, dst, part []byte) ([]byte, exchange.Verdict) {
	status := x.Out.Status()
	if status >= 400 {
		return part, exchange.Pass
	}
	switch {
	case r.From == plan.FromLedger:
		return part, r.record(x, part)
	case r.From != plan.FromResponse:
		return part, r.after(x, part)
	case x.Judged.By != "":
		return part, exchange.Pass
	case r.filter != nil && x.Out.Delivery() == plan.Items:
		return r.element(x, part)
	case r.filter != nil:
		return r.list(x, dst, part)
	}
	return part, r.single(x, part)
}

// single decides on one object. A missing or odd owner denies.
func (r *rule) single(x *exchange.Exchange, part []byte) exchange.Verdict {
	v, _ := schema.Lookup(part, r.owner.name)
	mine := r.isMine(x, v)
	if r.makes() { // the answer alone names the object
		x.Object.ID, _ = r.id.made(nil, part)
	}
	switch {
	case mine && r.contained(x, part):
		x.Owns = true
		return exchange.Pass
	case r.Access == plan.AccessFields:
		return exchange.Pass
	case x.Object.Owner == "":
		return r.deny(x, "owner_unknown")
	case mine:
		return r.deny(x, "not_contained")
	}
	return r.deny(x, "not_owner")
}

// isMine reports whether what an object names as its owner is the caller.
func (r *rule) isMine(x *exchange.Exchange, v schema.Value) bool {
	text, ok := v.Text()
	if !ok {
		return false
	}
	r.note(x, text)
	me, known := r.mine(&x.Principal)
	return known && text == me
}

// list takes out of a whole answer the elements that are not the caller's.
func (r *rule) list(x *exchange.Exchange, dst, part []byte) ([]byte, exchange.Verdict) {
	// The elements that stay are gathered beside the body.
	if need := int64(len(part)); !x.Out.Budget().Take(2 * need) {
		return nil, x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Retry: time.Second, Fine: "memory_budget"})
	} else {
		defer x.Out.Budget().Give(2 * need)
	}
	me, known := r.mine(&x.Principal)
	out, _, gone, err := r.filter.Run(dst, part, func(v schema.Value) bool {
		text, ok := v.Text()
		return ok && known && text == me
	})
	if err != nil {
		return nil, x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "list_unreadable", Cause: err})
	}
	x.Judged.Omitted = gone
	return out, exchange.Pass
}

// element decides on one element of a stream.
func (r *rule) element(x *exchange.Exchange, part []byte) ([]byte, exchange.Verdict) {
	_, pointer, _ := strings.Cut(r.owner.name, "/*")
	v, _ := schema.Lookup(part, pointer)
	if r.Access == plan.AccessFields {
		x.Owns = r.isMine(x, v)
		return part, exchange.Pass
	}
	if text, ok := v.Text(); ok {
		if me, known := r.mine(&x.Principal); known && text == me {
			return part, exchange.Pass
		}
	}
	x.Judged.Omitted++
	return nil, exchange.Omit
}
