// Package object decides on the objects an operation touches: whether they are the caller's. It decides before the
// upstream is called where the request itself names the owner (source claim), where the object can be read before
// (conditional, prefetch, list), where the gate saw who made it (ledger) and where a decision point knows (pdp); and on
// the very bytes that would be delivered where only the answer names the owner (response), element by element in lists,
// so that nothing can change in between. Who may not have the object is told exactly what is told when there is none.
//
// It promises nothing of what an API does with a request that was let through; docs/object-access.md has the list.
package object

import (
	"crypto/sha256"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/owner"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
	"github.com/portreeve/portreeve/internal/schema"
)

// Name is the stage's name in the order.
const Name = "object"

var controls = []control.ID{"authz.object"}

// Judge answers whether a principal has a permission; authz gives it.
type Judge interface {
	May(p *access.Principal, permission string) bool
}

// Stage binds ownership rules.
type Stage struct {
	judge  Judge
	owners owner.Book
	point  *decisionPoint
}

// New returns the stage of a plan; judge decides on the permissions that pass without ownership, owners remembers who made
// what (nil: nobody does, and nothing that needs it can be bound).
func New(p *plan.Plan, judge Judge, owners owner.Book) (*Stage, error) {
	s := &Stage{judge: judge, owners: owners}
	if p.DecisionPoint != nil {
		var err error
		if s.point, err = newDecisionPoint(p.DecisionPoint); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// rule is one ownership, its expressions taken apart.
type rule struct {
	plan.Object
	*Stage
	op     *plan.Operation
	id     expression
	owner  expression
	claim  []string // the principal's side: a path into its claims; nil means its subject
	within []containment
	read   *question
	member string
	filter *schema.Filter // of lists
	proof  *proof         // of If-Match
}

// containment holds what the object, or the request once more, says of what it is part of against the request.
type containment struct{ id, is expression }

// bound is what one operation has: the objects it refers to, and the one it is about.
type bound struct {
	references []*rule
	main       *rule
}

// Bind returns the operation's step.
func (s *Stage) Bind(op *plan.Operation) (exchange.Step, error) {
	if op.Object == nil && len(op.References) == 0 {
		return exchange.Absent(Name, absent(op), op.Source), nil
	}
	b := &bound{}
	step := exchange.Step{Stage: Name, Source: op.Source, Controls: controls, Enter: b.enter}
	var rules []string
	if op.Object != nil {
		r, err := s.rule(op, op.Object)
		if err != nil {
			return exchange.Step{}, fmt.Errorf("%s: %w", op.Object.Source, err)
		}
		b.main, step.Source, step.Head = r, op.Object.Source, r.head
		if r.judgesAnswer() {
			step.Part = r.part
		}
		rules = append(rules, r.describe())
	} else {
		step.Source = op.References[0].Source
	}
	for i := range op.References {
		r, err := s.rule(op, &op.References[i])
		if err != nil {
			return exchange.Step{}, fmt.Errorf("%s: %w", op.References[i].Source, err)
		}
		if r.id.where == nowhere || !r.id.ofRequest() || r.From == plan.FromResponse {
			return exchange.Step{}, fmt.Errorf("%s: what is referred to must be named by the request, and decided before", op.References[i].Source)
		}
		b.references = append(b.references, r)
		rules = append(rules, "refers to "+r.describe())
	}
	if n := unbound(op); n != "" {
		rules = append(rules, "unbound: "+n)
	}
	step.Rule = strings.Join(rules, "; ")
	return step, nil
}

// absent says why there is nothing to decide, and what that leaves open.
func absent(op *plan.Operation) string {
	if n := unbound(op); n != "" {
		return "no object is declared; unbound: " + n
	}
	return "no object is declared"
}

func unbound(op *plan.Operation) string {
	var out []string
	for _, id := range op.Identifiers {
		if id.State == plan.Unbound {
			out = append(out, id.Expression)
		}
	}
	return strings.Join(out, ", ")
}

func (s *Stage) rule(op *plan.Operation, o *plan.Object) (*rule, error) {
	r := &rule{Object: *o, Stage: s, op: op}
	for _, e := range []struct {
		to   *expression
		text string
		name string
	}{{&r.id, o.ID, "id"}, {&r.owner, o.Owner, "owner"}} {
		if e.text == "" {
			continue
		}
		var err error
		if *e.to, err = parseExpression(e.text); err != nil {
			return nil, fmt.Errorf("object %s: %w", e.name, err)
		}
	}
	for _, w := range o.Within {
		id, err := parseExpression(w.ID)
		if err != nil {
			return nil, fmt.Errorf("within: %w", err)
		}
		is, err := parseExpression(w.Is)
		if err != nil {
			return nil, fmt.Errorf("within: %w", err)
		}
		r.within = append(r.within, containment{id, is})
	}
	if o.Claim != "" && o.Claim != "sub" {
		for token := range strings.SplitSeq(strings.TrimPrefix(o.Claim, "/"), "/") {
			r.claim = append(r.claim, strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")) // RFC 6901 §4
		}
	}
	return r, r.source()
}

// source makes what the rule decides by; a rule that could not decide stops the start.
func (r *rule) source() error {
	safe := r.op.Method == http.MethodGet || r.op.Method == http.MethodHead || r.op.Method == "QUERY"
	switch r.From {
	case plan.FromClaim:
		if !r.owner.ofRequest() {
			return fmt.Errorf("source claim cannot read the owner from the response")
		}
	case plan.FromResponse:
		switch {
		case r.owner.where != inAnswer:
			return fmt.Errorf("source response needs owner: $response.body#/…")
		case !safe && r.Access == plan.AccessDeny:
			return fmt.Errorf("%s changes the object before its answer names the owner; use source claim, conditional or prefetch", r.op.Method)
		case r.owner.starred():
			var ok bool
			if r.filter, ok = schema.NewFilter(r.owner.name, r.Totals); !ok {
				return fmt.Errorf("owner %s must have one *", r.Owner)
			}
		}
	case plan.FromConditional, plan.FromPrefetch, plan.FromList:
		var err error
		if r.read, err = newQuestion(r.Read); err != nil {
			return err
		}
		if r.From == plan.FromList {
			m, err := parseExpression(r.Member)
			if err != nil || m.where != inAnswer || !m.starred() {
				return fmt.Errorf("source list needs member: $response.body#/*/id")
			}
			r.member = m.name
		} else if r.owner.where != inAnswer || r.owner.starred() {
			return fmt.Errorf("source %s needs owner: $response.body#/…", r.From)
		}
		if r.From == plan.FromConditional {
			r.proof = newProof()
		}
	case plan.FromLedger:
		if r.owners == nil {
			return fmt.Errorf("source ledger needs a store")
		}
	case plan.FromPDP:
		if r.point == nil {
			return fmt.Errorf("source pdp needs a decision point")
		}
	default:
		return fmt.Errorf("unknown object source %q", r.From)
	}
	return nil
}

func (r *rule) describe() string {
	claim := "subject"
	if r.claim != nil {
		claim = "claim " + r.Claim
	}
	text := r.Type
	if r.ID != "" {
		text += " " + r.ID
	}
	whose := fmt.Sprintf("owner %s is the caller's %s, issuer %s", r.Owner, claim, r.Issuer)
	switch r.From {
	case plan.FromResponse:
		if r.filter != nil {
			whose = "elements whose " + whose + ", and no others"
		}
	case plan.FromConditional:
		whose += ", read by " + r.Read.Operation + " and changed by If-Match"
	case plan.FromPrefetch:
		whose += ", read by " + r.Read.Operation
	case plan.FromList:
		whose = "it is in the caller's own " + r.Read.Operation + ", first page"
	case plan.FromLedger:
		whose = "the caller made it through the gate"
		if r.makes() {
			whose = "the caller becomes its owner"
		}
	case plan.FromPDP:
		whose = "the decision point says so"
	}
	text += ": " + whose + " (source " + string(r.From) + ")"
	if r.From.Weak() {
		text += ", weak: it may change hands between the look and the act"
	}
	for _, w := range r.Within {
		text += "; " + w.Is + " is " + w.ID
	}
	for _, t := range r.Totals {
		text += "; " + t + " counts what is left"
	}
	if r.Unless != "" {
		text += "; or permission " + r.Unless
	}
	if r.Access == plan.AccessFields {
		text += "; everybody may, ownership widens the fields"
	}
	return text
}

// makes reports whether the operation makes the object: only its answer can name it.
func (r *rule) makes() bool { return r.id.where == inAnswer || r.id.where == inAnswerHeader }

// judgesAnswer reports whether the answer's body has a say.
func (r *rule) judgesAnswer() bool {
	switch r.From {
	case plan.FromResponse, plan.FromConditional, plan.FromPrefetch:
		return true
	case plan.FromLedger:
		return r.id.where == inAnswer
	}
	return false
}

// mine returns what the caller's owned objects carry as owner.
func (r *rule) mine(p *access.Principal) (string, bool) {
	if !p.Authenticated() || p.Issuer != r.Issuer {
		return "", false
	}
	if r.claim == nil {
		return p.Subject, p.Subject != ""
	}
	var v any = p.Claims
	for _, key := range r.claim {
		m, ok := v.(map[string]any)
		if !ok {
			return "", false
		}
		v = m[key]
	}
	switch v := v.(type) {
	case string:
		return v, v != ""
	case float64:
		if v != math.Trunc(v) || math.Abs(v) > 1<<53-1 {
			return "", false // beyond this two ids are one float (RFC 7493 §2.2)
		}
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}

// passes reports whether the caller needs no ownership.
func (r *rule) passes(x *exchange.Exchange) bool {
	if r.Unless == "" || !r.judge.May(&x.Principal, r.Unless) {
		return false
	}
	x.Judged.By = r.Unless
	return true
}

// enter decides, before the upstream is called, on everything that can be.
func (b *bound) enter(x *exchange.Exchange) exchange.Verdict {
	for _, r := range b.references {
		if v := r.refer(x); v != exchange.Pass {
			return v
		}
	}
	if b.main == nil {
		return exchange.Pass
	}
	return b.main.enter(x)
}

// refer decides on every object the request names in one place: all must pass.
func (r *rule) refer(x *exchange.Exchange) exchange.Verdict {
	x.Object, x.Judged = access.Object{Type: r.Type}, exchange.Judged{Source: r.From, Weak: x.Judged.Weak || r.From.Weak()}
	if r.passes(x) {
		return exchange.Pass
	}
	ids, ok := r.id.all(x)
	if !ok {
		return r.deny(x, "id_malformed")
	}
	for _, id := range ids {
		x.Object.ID = id
		if v := r.before(x, id); v != exchange.Pass {
			return v
		}
	}
	return exchange.Pass
}

// enter decides on the object that the operation is about.
func (r *rule) enter(x *exchange.Exchange) exchange.Verdict {
	id, _ := r.id.one(x)
	x.Object, x.Judged = access.Object{Type: r.Type, ID: id}, exchange.Judged{Source: r.From, Weak: x.Judged.Weak || r.From.Weak()}
	if r.passes(x) {
		x.Owns = true
		return exchange.Pass
	}
	switch {
	case r.From == plan.FromResponse:
		if !r.contained(x, nil) {
			return r.deny(x, "not_contained")
		}
		return exchange.Pass // the answer decides
	case r.From == plan.FromLedger && r.makes():
		if !x.Principal.Authenticated() {
			return r.deny(x, "nobody")
		}
		x.Owns = true
		return exchange.Pass
	}
	v := r.before(x, id)
	if v == exchange.Pass {
		x.Owns = true
		return r.prove(x)
	}
	if r.Access == plan.AccessFields && r.From == plan.FromClaim {
		x.No = exchange.Refusal{}
		return exchange.Pass
	}
	return v
}

// before decides on one object by what is known before the upstream is called.
func (r *rule) before(x *exchange.Exchange, id string) exchange.Verdict {
	switch r.From {
	case plan.FromClaim:
		return r.byClaim(x)
	case plan.FromLedger:
		return r.byLedger(x, id)
	case plan.FromPDP:
		return r.byPoint(x, id)
	case plan.FromList:
		return r.byList(x, id)
	case plan.FromConditional, plan.FromPrefetch:
		return r.byReading(x, id)
	}
	return exchange.Undecided
}

// byClaim: the request itself names the owner. Where it may name several, all must be the caller.
func (r *rule) byClaim(x *exchange.Exchange) exchange.Verdict {
	if !r.contained(x, nil) {
		return r.deny(x, "not_contained")
	}
	me, known := r.mine(&x.Principal)
	if !r.owner.starred() {
		owner, ok := r.owner.one(x)
		r.note(x, owner)
		if !ok || !known || owner != me {
			return r.deny(x, "not_owner")
		}
		return exchange.Pass
	}
	owners, ok := r.owner.all(x)
	for _, owner := range owners {
		r.note(x, owner)
		ok = ok && known && owner == me
	}
	if !ok {
		return r.deny(x, "not_owner")
	}
	return exchange.Pass
}

// note keeps the owner that was read.
func (r *rule) note(x *exchange.Exchange, owner string) {
	x.Object.Owner = owner
	if owner != "" {
		x.Judged.Attribute = sha256.Sum256([]byte(owner))
	}
}

// contained reports whether all that the request, or the object, says of what the object is part of is the same. body is
// the object's, nil while there is none: then only what the request says is asked. A body that does not name it twice
// names no other.
func (r *rule) contained(x *exchange.Exchange, body []byte) bool {
	for _, c := range r.within {
		id, ok := c.id.one(x)
		switch {
		case c.is.where == inAnswer && body == nil:
			continue
		case c.is.where == inAnswer:
			v, _ := schema.Lookup(body, c.is.name)
			is, named := identifier(v)
			if !ok || !named || is != id {
				return false
			}
		case body == nil:
			all, read := c.is.all(x)
			for _, is := range all {
				read = read && ok && is == id
			}
			if !read {
				return false
			}
		}
	}
	return true
}

// deny tells what is told when there is no such object.
func (r *rule) deny(x *exchange.Exchange, fine access.Reason) exchange.Verdict {
	return x.Refuse(exchange.Refusal{Status: http.StatusNotFound, Reason: problem.NotFound, Fine: fine})
}
