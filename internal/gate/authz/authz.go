// Package authz decides whether the proven caller may call the operation at all: the document's scopes, then the
// permission the operation asks for. It never looks at an object; that is the object stage's.
package authz

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

// Name is the stage's name in the order.
const Name = "authz"

var controls = []control.ID{"authz.per-operation", "authz.deny-default", "authz.rbac", "authz.function", "authz.least-privilege"}

// Stage holds one plan's roles.
type Stage struct {
	grants *Grants
	realm  string
}

// New compiles the roles of a plan.
func New(p *plan.Plan) *Stage {
	return &Stage{grants: NewGrants(p.Roles), realm: p.Identity.Realm}
}

// Bind returns the operation's step.
func (s *Stage) Bind(op *plan.Operation) (exchange.Step, error) {
	if op.Security.Public && op.Authz.Permission == "" {
		return exchange.Absent(Name, "public operation", op.Security.Source), nil
	}
	rule := "any proven caller"
	var scopes []string
	for _, alt := range op.Security.Alternatives {
		for _, sc := range alt {
			scopes = append(scopes, sc.Scopes...)
		}
	}
	slices.Sort(scopes)
	if scopes = slices.Compact(scopes); len(scopes) > 0 {
		rule = "scopes " + strings.Join(scopes, ", ")
	}
	if op.Authz.Permission != "" {
		rule += "; permission " + op.Authz.Permission
	}
	if op.Authz.StepUp {
		rule += "; more than one factor"
	}
	if op.Authz.MaxAge > 0 {
		rule += fmt.Sprintf("; proven at most %d s ago", op.Authz.MaxAge)
	}
	source := op.Authz.Source
	if source == "" {
		source = op.Security.Source
	}
	return exchange.Step{Stage: Name, Rule: rule, Source: source, Controls: controls, Enter: s.enter}, nil
}

// May reports whether a principal has a permission: its roles must grant it and, where the credential is limited to
// scopes, a scope must cover it too. A credential never gives more than its holder has.
func (s *Stage) May(p *access.Principal, permission string) bool { return s.grants.May(p, permission) }

func (s *Stage) enter(x *exchange.Exchange) exchange.Verdict {
	op := x.Op
	if !s.scopes(x) {
		return s.forbid(x, "scope", op)
	}
	if op.Authz.Permission != "" && !s.grants.May(&x.Principal, op.Authz.Permission) {
		if !x.Principal.Authenticated() {
			return s.unauthenticated(x)
		}
		return s.forbid(x, "permission", op)
	}
	if op.Authz.StepUp && !manyFactors(x.Principal.AMR) || op.Authz.MaxAge > 0 && !fresh(x, op.Authz.MaxAge) {
		return s.stepUp(x, op.Authz)
	}
	return exchange.Pass
}

// scopes reports whether one proven alternative of the document holds with its scopes. The caller is then who that one
// speaks for: a credential without the scope must not lend its permissions to one that has it.
func (s *Stage) scopes(x *exchange.Exchange) bool {
	sec := &x.Op.Security
	if sec.Public || sec.Anonymous && !x.Principal.Authenticated() {
		return true
	}
	for i, alt := range sec.Alternatives {
		if x.Satisfied&(1<<i) == 0 || !s.holds(x, alt) {
			continue
		}
		if x.Satisfied&(1<<i-1) != 0 { // an earlier one was proven, and lacks the scopes
			x.Principal = *x.Speaker(alt)
		}
		return true
	}
	return false
}

func (s *Stage) holds(x *exchange.Exchange, alt plan.Requirement) bool {
	for _, want := range alt {
		p := x.Proof(want.Scheme)
		if p == nil {
			return false
		}
		for _, scope := range want.Scopes {
			if !s.scope(p, scope) {
				return false
			}
		}
	}
	return true
}

// scope: a scoped credential must carry the scope; one without scopes needs the permission of that name.
func (s *Stage) scope(p *access.Principal, scope string) bool {
	if p.Scoped {
		return p.HasScope(scope)
	}
	return s.grants.May(p, scope)
}

// manyFactors: RFC 8176's mfa, or two different methods.
func manyFactors(amr []string) bool {
	return slices.Contains(amr, "mfa") || slices.ContainsFunc(amr, func(m string) bool { return m != amr[0] })
}

// ahead is how far a clock that proved somebody may be ahead of this one.
const ahead = time.Minute

// fresh: the person proved themselves within maxAge seconds, and not in the future.
func fresh(x *exchange.Exchange, maxAge int) bool {
	at := x.Principal.AuthTime
	return !at.IsZero() && x.Now.Sub(at).Seconds() <= float64(maxAge) && at.Sub(x.Now) <= ahead
}

func (s *Stage) forbid(x *exchange.Exchange, fine access.Reason, op *plan.Operation) exchange.Verdict {
	no := exchange.Refusal{Status: http.StatusForbidden, Reason: problem.Forbidden, Fine: fine}
	if fine == "scope" && x.Principal.Scoped {
		no.Challenge = []string{fmt.Sprintf(`Bearer realm="%s", error="insufficient_scope", scope="%s"`, s.realm, wanted(op))}
	}
	return x.Refuse(no)
}

func wanted(op *plan.Operation) string {
	for _, alt := range op.Security.Alternatives {
		for _, sc := range alt {
			if len(sc.Scopes) > 0 {
				return strings.Join(sc.Scopes, " ")
			}
		}
	}
	return ""
}

func (s *Stage) unauthenticated(x *exchange.Exchange) exchange.Verdict {
	return x.Refuse(exchange.Refusal{Status: http.StatusUnauthorized, Reason: problem.Unauthenticated, Fine: "credential_missing",
		Challenge: []string{fmt.Sprintf(`Bearer realm="%s"`, s.realm)}})
}

// stepUp asks for a stronger or fresher login (RFC 9470 §3).
func (s *Stage) stepUp(x *exchange.Exchange, rule plan.Authz) exchange.Verdict {
	detail, says := "this operation needs a recent login", "A recent login is needed"
	if rule.StepUp {
		detail, says = "this operation needs a recent login with a second factor", "A second factor is needed"
	}
	challenge := fmt.Sprintf(`Bearer realm="%s", error="insufficient_user_authentication", error_description="%s"`, s.realm, says)
	if rule.MaxAge > 0 {
		challenge += fmt.Sprintf(`, max_age="%d"`, rule.MaxAge)
	}
	return x.Refuse(exchange.Refusal{Status: http.StatusUnauthorized, Reason: problem.Unauthenticated, Fine: "step_up",
		Detail: detail, Challenge: []string{challenge}})
}
