package object

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
	"github.com/portreeve/portreeve/internal/schema"
)

// question is an operation of the document that is asked before, its path taken apart.
type question struct {
	literal []string     // what stands before each variable, and behind the last
	values  []expression // nowhere: the object's id
}

func newQuestion(r *plan.Read) (*question, error) {
	if r == nil {
		return nil, errors.New("there is no operation to ask before")
	}
	q, rest := &question{}, r.Path
	for _, p := range r.Params {
		before, after, ok := strings.Cut(rest, "{"+p.Name+"}")
		if !ok {
			return nil, fmt.Errorf("%s has no {%s}", r.Path, p.Name)
		}
		var e expression
		if p.Value != "" {
			var err error
			if e, err = parseExpression(p.Value); err != nil || !e.ofRequest() {
				return nil, fmt.Errorf("{%s} of %s cannot be %q", p.Name, r.Path, p.Value)
			}
		}
		q.literal, q.values, rest = append(q.literal, before), append(q.values, e), after
	}
	q.literal = append(q.literal, rest)
	if strings.ContainsAny(rest, "{}") {
		return nil, fmt.Errorf("something of %s is left open", r.Path)
	}
	return q, nil
}

// path fills the variables. ok is false for what is no one segment: it would ask for something else.
func (q *question) path(x *exchange.Exchange, id string) (string, bool) {
	var b strings.Builder
	for i, e := range q.values {
		v, ok := id, true
		if e.where != nowhere {
			v, ok = e.one(x)
		}
		if !ok || !segment(v) {
			return "", false
		}
		b.WriteString(q.literal[i])
		b.WriteString(url.PathEscape(v))
	}
	b.WriteString(q.literal[len(q.values)])
	return b.String(), true
}

// ask reads what the API says before it is asked to act. Pass means that the body is whole, strict JSON of an object that
// is there.
func (r *rule) ask(x *exchange.Exchange, id string) (exchange.Told, exchange.Verdict) {
	path, ok := r.read.path(x, id)
	if !ok {
		return exchange.Told{}, r.deny(x, "id_malformed")
	}
	told, err := x.Ask(exchange.Question{Method: http.MethodGet, Path: path})
	switch {
	case errors.Is(err, exchange.ErrTooSlow):
		return told, x.Refuse(exchange.Refusal{Status: http.StatusGatewayTimeout, Reason: problem.Upstream, Fine: "read_timeout", Cause: err})
	case errors.Is(err, exchange.ErrBusy):
		return told, x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Retry: time.Second, Fine: "read_shed"})
	case errors.Is(err, exchange.ErrBudget):
		return told, x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Retry: time.Second, Fine: "memory_budget"})
	case err != nil:
		return told, x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "read_failed", Cause: err})
	case told.Status >= 500:
		return told, x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "read_failed", Cause: fmt.Errorf("reading before: status %d", told.Status)})
	case told.Status == http.StatusNotFound || told.Status == http.StatusGone:
		return told, r.deny(x, "not_found")
	case told.Status != http.StatusOK:
		return told, r.deny(x, "owner_unknown")
	case !plainJSON(told.Header) || schema.Strict(told.Body) != nil:
		return told, r.deny(x, "owner_unknown")
	}
	return told, exchange.Pass
}

// plainJSON reports whether a body says of itself that it is JSON which everybody reads alike.
func plainJSON(h http.Header) bool {
	values := h.Values("Content-Type")
	if len(values) != 1 {
		return false
	}
	t, params, err := mime.ParseMediaType(values[0])
	if err != nil || t != "application/json" && t != "text/json" && !strings.HasSuffix(t, "+json") {
		return false
	}
	cs, coded := params["charset"], h.Get("Content-Encoding")
	return (cs == "" || strings.EqualFold(cs, "utf-8") || strings.EqualFold(cs, "us-ascii")) && (coded == "" || strings.EqualFold(coded, "identity"))
}

// byReading decides on the object as it is before the change, and on what the change would make its owner.
func (r *rule) byReading(x *exchange.Exchange, id string) exchange.Verdict {
	told, v := r.ask(x, id)
	if v != exchange.Pass {
		return v
	}
	owner, _ := schema.Lookup(told.Body, r.owner.name)
	mine := r.isMine(x, owner)
	switch {
	case x.Object.Owner == "":
		return r.deny(x, "owner_unknown")
	case !mine:
		return r.deny(x, "not_owner")
	case !r.contained(x, nil) || !r.contained(x, told.Body):
		return r.deny(x, "not_contained")
	case r.From == plan.FromConditional || r.isAbout():
		if !r.keepsOwner(x) {
			return r.deny(x, "owner_changes")
		}
	}
	if r.From != plan.FromConditional {
		return exchange.Pass
	}
	tag, ok := strong(told.Header)
	if !ok { // without it the change could meet another version than the one judged
		return x.Refuse(exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "version_unknown"})
	}
	x.Request.Header["If-Match"] = []string{tag}
	return exchange.Pass
}

// isAbout reports whether the rule is the operation's own, not a reference's.
func (r *rule) isAbout() bool {
	return r.op.Object != nil && r.op.Object.Owner == r.Owner && r.op.Object.ID == r.ID
}

// strong returns the entity tag by which a version can be asked for; weak ones do not compare (RFC 9110 §8.8.3.2).
func strong(h http.Header) (string, bool) {
	values := h.Values("Etag")
	if len(values) != 1 {
		return "", false
	}
	tag := values[0]
	if len(tag) < 2 || len(tag) > maxID || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return "", false
	}
	return tag, !strings.ContainsFunc(tag[1:len(tag)-1], func(c rune) bool { return c <= 0x20 || c == '"' || c == 0x7f })
}

// byList: the object is in the list that the API gives this caller. Only what is on the first page is known to be.
func (r *rule) byList(x *exchange.Exchange, id string) exchange.Verdict {
	if !segment(id) {
		return r.deny(x, "id_malformed")
	}
	told, v := r.ask(x, id)
	if v != exchange.Pass {
		return v
	}
	found := false
	read := schema.Every(told.Body, r.member, func(v schema.Value) {
		text, ok := v.Text()
		found = found || ok && text == id
	})
	if !read || !found {
		return r.deny(x, "not_listed")
	}
	return exchange.Pass
}

// after looks at what the API says it has made of the object: bytes of what is not the caller's do not leave, though the
// change is made.
func (r *rule) after(x *exchange.Exchange, part []byte) exchange.Verdict {
	if x.Judged.By != "" || x.Out.Delivery() != plan.Hold {
		return exchange.Pass
	}
	v, found := schema.Lookup(part, r.owner.name)
	if !found {
		return exchange.Pass
	}
	if text, ok := v.Text(); ok {
		if me, known := r.mine(&x.Principal); known && text == me {
			return exchange.Pass
		}
	}
	return r.deny(x, "owner_changed")
}
