// Package object decides on the object an operation touches: whether it is the caller's. It decides before the upstream
// is called where the request itself names the owner (source claim), and on the very bytes that would be delivered
// where only the answer does (source response), so that nothing can change in between. Who may not have the object is
// told exactly what is told when there is none.
package object

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/exchange"
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
type Stage struct{ judge Judge }

// New returns the stage; judge decides on the permissions that pass without ownership.
func New(judge Judge) *Stage { return &Stage{judge} }

// rule is one operation's ownership, its expressions taken apart.
type rule struct {
	plan.Object
	judge   Judge
	id      expression
	owner   expression
	claim   []string // the principal's side: a path into its claims; nil means its subject
	pointer string
}

// Bind returns the operation's step.
func (s *Stage) Bind(op *plan.Operation) (exchange.Step, error) {
	if op.Object == nil {
		return exchange.Absent(Name, "no object is declared", op.Source), nil
	}
	r := &rule{Object: *op.Object, judge: s.judge}
	var err error
	if r.id, err = parseExpression(op.Object.ID); err != nil {
		return exchange.Step{}, fmt.Errorf("%s: object id: %w", op.Object.Source, err)
	}
	if r.owner, err = parseExpression(op.Object.Owner); err != nil {
		return exchange.Step{}, fmt.Errorf("%s: object owner: %w", op.Object.Source, err)
	}
	if op.Object.Claim != "" && op.Object.Claim != "sub" {
		for _, token := range strings.Split(strings.TrimPrefix(op.Object.Claim, "/"), "/") {
			r.claim = append(r.claim, strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")) // RFC 6901 §4
		}
	}
	step := exchange.Step{Stage: Name, Rule: r.describe(), Source: op.Object.Source, Controls: controls, Head: r.head}
	switch op.Object.From {
	case plan.FromClaim:
		if r.owner.where == inResponse {
			return exchange.Step{}, fmt.Errorf("%s: source claim cannot read the owner from the response", op.Object.Source)
		}
		step.Enter = r.fromRequest
	case plan.FromResponse:
		if r.owner.where != inResponse {
			return exchange.Step{}, fmt.Errorf("%s: source response needs owner: $response.body#/…", op.Object.Source)
		}
		if op.Method != http.MethodGet && op.Object.Access == plan.AccessDeny {
			return exchange.Step{}, fmt.Errorf("%s: %s changes the object before its answer names the owner; use source claim", op.Object.Source, op.Method)
		}
		r.pointer = r.owner.name
		step.Enter, step.Part = r.begin, r.fromResponse
	default:
		return exchange.Step{}, fmt.Errorf("%s: unknown object source %q", op.Object.Source, op.Object.From)
	}
	return step, nil
}

func (r *rule) describe() string {
	claim := "subject"
	if r.claim != nil {
		claim = "claim " + r.Claim
	}
	text := fmt.Sprintf("%s %s: owner %s is the caller's %s, issuer %s (source %s)", r.Type, r.ID, r.Owner, claim, r.Issuer, r.From)
	if r.Unless != "" {
		text += "; or permission " + r.Unless
	}
	if r.Access == plan.AccessFields {
		text += "; everybody may, ownership widens the fields"
	}
	return text
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
	return r.Unless != "" && r.judge.May(&x.Principal, r.Unless)
}

func (r *rule) name(x *exchange.Exchange) {
	id, _ := r.id.request(x)
	x.Object = access.Object{Type: r.Type, ID: id}
}

// fromRequest decides before the upstream is called.
func (r *rule) fromRequest(x *exchange.Exchange) exchange.Verdict {
	r.name(x)
	owner, ok := r.owner.request(x)
	x.Object.Owner = owner
	if me, known := r.mine(&x.Principal); ok && known && owner == me {
		x.Owns = true
		return exchange.Pass
	}
	if r.passes(x) {
		x.Owns = true
		return exchange.Pass
	}
	if r.Access == plan.AccessFields {
		return exchange.Pass
	}
	return r.deny(x, "not_owner")
}

func (r *rule) begin(x *exchange.Exchange) exchange.Verdict {
	r.name(x)
	x.Owns = r.passes(x)
	return exchange.Pass
}

// head makes the API's own 404 and a denial the same answer, and lets nothing bodiless pass that should have named its
// owner.
func (r *rule) head(x *exchange.Exchange) exchange.Verdict {
	status := x.Out.Status()
	if status == http.StatusNotFound {
		return r.deny(x, "not_found")
	}
	if r.From == plan.FromResponse && r.Access == plan.AccessDeny && !x.Owns && status < 400 && x.Out.Delivery() != plan.Hold {
		return r.deny(x, "owner_unknown")
	}
	return exchange.Pass
}

// fromResponse decides on the body that would leave. A missing or odd owner denies. Refusals of the API itself name
// none: they pass, judged by their schema.
func (r *rule) fromResponse(x *exchange.Exchange, dst, part []byte) ([]byte, exchange.Verdict) {
	if x.Owns || x.Out.Status() >= 400 {
		return part, exchange.Pass
	}
	owner, ok := schema.Lookup(part, r.pointer)
	if ok {
		if text, scalar := owner.Text(); scalar {
			x.Object.Owner = text
			if me, known := r.mine(&x.Principal); known && text == me {
				x.Owns = true
				return part, exchange.Pass
			}
		}
	}
	if r.Access == plan.AccessFields {
		return part, exchange.Pass
	}
	if x.Object.Owner == "" {
		return nil, r.deny(x, "owner_unknown")
	}
	return nil, r.deny(x, "not_owner")
}

func (r *rule) deny(x *exchange.Exchange, fine access.Reason) exchange.Verdict {
	return x.Refuse(exchange.Refusal{Status: http.StatusNotFound, Reason: problem.NotFound, Fine: fine})
}

type place uint8

const (
	inPath place = iota
	inQuery
	inHeader
	inResponse
)

// expression is an OpenAPI runtime expression (OpenAPI 3.1 §4.8.20.3) as far as ownership needs it.
type expression struct {
	where place
	name  string // parameter name, or JSON pointer into the body
}

func parseExpression(s string) (expression, error) {
	for prefix, where := range map[string]place{"$request.path.": inPath, "$request.query.": inQuery, "$request.header.": inHeader} {
		if name, ok := strings.CutPrefix(s, prefix); ok && name != "" {
			return expression{where, name}, nil
		}
	}
	if pointer, ok := strings.CutPrefix(s, "$response.body#"); ok && strings.HasPrefix(pointer, "/") {
		return expression{inResponse, pointer}, nil
	}
	return expression{}, fmt.Errorf("expression %q is not one of $request.path.NAME, $request.query.NAME, $request.header.NAME, $response.body#/POINTER", s)
}

// request evaluates the expression on the request, decoded.
func (e expression) request(x *exchange.Exchange) (string, bool) {
	switch e.where {
	case inPath:
		v, ok := x.PathParam(e.name)
		if !ok {
			return "", false
		}
		d, err := url.PathUnescape(v)
		return d, err == nil
	case inQuery:
		found, n := "", 0
		for _, q := range x.Query {
			if name, err := url.QueryUnescape(q.Name); err == nil && name == e.name {
				d, err := url.QueryUnescape(q.Value)
				if err != nil {
					return "", false
				}
				found, n = d, n+1
			}
		}
		return found, n == 1
	case inHeader:
		v := x.Request.Header.Values(e.name)
		if len(v) != 1 {
			return "", false
		}
		return v[0], true
	}
	return "", false
}
