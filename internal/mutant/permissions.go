package mutant

import (
	"strings"

	"slices"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/gate/object"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

// permissions makes the mutants of authz: what a caller may do.
func (l *list) permissions() {
	for _, op := range l.declared() {
		if op.Security.Public {
			continue
		}
		l.add(Mutant{Rule: "permission-dropped", At: nameOf(op), Controls: []control.ID{"authz.per-operation", "authz.function", "authz.least-privilege"},
			Does: "Every proven caller may call it.", change: on(op, func(op *plan.Operation) { op.Authz.Permission = "" })})
		l.add(Mutant{Rule: "scopes-dropped", At: nameOf(op), Controls: []control.ID{"authz.per-operation", "authz.function"},
			Does: "The scopes that the document names are not asked for.", change: on(op, func(op *plan.Operation) {
				for _, alternative := range op.Security.Alternatives {
					for i := range alternative {
						if len(alternative[i].Scopes) > 0 {
							alternative[i].Scopes = nil
						}
					}
				}
			})})
		l.add(Mutant{Rule: "step-up-dropped", At: nameOf(op), Controls: []control.ID{"authn.mfa-admin"},
			Does: "One factor is enough, whenever it was shown.", change: on(op, func(op *plan.Operation) { op.Authz.StepUp, op.Authz.MaxAge = false, 0 })})
		if op.Authz.StepUp {
			l.add(Mutant{Rule: "age-dropped", At: nameOf(op), Controls: []control.ID{"authn.mfa-admin"},
				Does: "A second factor counts however long ago it was shown.", change: on(op, func(op *plan.Operation) { op.Authz.MaxAge = 0 })})
		}
	}
	for i, role := range l.plan.Roles {
		l.add(Mutant{Rule: "role-may-all", At: role.Name, Controls: []control.ID{"authz.rbac", "authz.least-privilege", "authz.deny-default"},
			Does: "The role is granted every permission.", change: func(p *plan.Plan) { p.Roles[i].Permissions = []string{"*"} }})
	}
}

// objects makes the mutants of object: whose it is.
func (l *list) objects() {
	owned := []control.ID{"authz.object"}
	for _, op := range l.declared() {
		if op.Object == nil {
			continue
		}
		if op.Object.Access == plan.AccessFields {
			fields := []control.ID{"authz.object", "expose.field-permissions"}
			l.add(Mutant{Rule: "owner-anybody", At: nameOf(op), Controls: fields, Does: "Everybody is shown what the owner alone should see.",
				bend: plain(only(op, owns(func(bool) bool { return true })))})
			l.add(Mutant{Rule: "owner-inverted", At: nameOf(op), Controls: fields, Does: "Everybody but the owner is taken for the owner.",
				bend: plain(only(op, owns(func(is bool) bool { return !is })))})
			continue
		}
		l.add(Mutant{Rule: "object-dropped", At: nameOf(op), Controls: owned, Does: "Nobody asks whose the object is.",
			change: on(op, func(op *plan.Operation) { op.Object = nil })})
		if !ofElements(op.Object) {
			l.add(Mutant{Rule: "owner-inverted", At: nameOf(op), Controls: owned, Does: "Everybody but the owner is taken for the owner.",
				bend: plain(only(op, inverted(op.Object.Unless != "", op.Object.From == plan.FromResponse)))})
		}
		if op.Object.Unless != "" && op.Authz.Permission != "" {
			l.add(Mutant{Rule: "escape-widened", At: nameOf(op), Controls: []control.ID{"authz.object", "authz.least-privilege"},
				Does:   "The permission to call it at all passes for the permission to everybody's objects.",
				change: on(op, func(op *plan.Operation) { op.Object.Unless = op.Authz.Permission })})
		}
	}
}

// ofElements reports whether each element of a list is decided on by itself: who owns none gets an empty list.
func ofElements(o *plan.Object) bool {
	return o.From == plan.FromResponse && (strings.Contains(o.Owner, "/*/") || strings.HasSuffix(o.Owner, "/*"))
}

// owns changes what the object stage found out about the caller, where that decides on fields.
func owns(change func(bool) bool) func(*plan.Operation, []exchange.Step) {
	return step(object.Name, func(s *exchange.Step) {
		if then := s.Enter; then != nil {
			s.Enter = func(x *exchange.Exchange) exchange.Verdict {
				v := then(x)
				x.Owns = change(x.Owns)
				return v
			}
		}
		if then := s.Part; then != nil {
			s.Part = func(x *exchange.Exchange, dst, part []byte) ([]byte, exchange.Verdict) {
				x.Owns = false
				out, v := then(x, dst, part)
				x.Owns = change(x.Owns)
				return out, v
			}
		}
	})
}

var nobody = exchange.Refusal{Status: 404, Reason: problem.NotFound, Fine: "not_owner"}

// inverted takes everybody but the owner for the owner. Who may see everybody's objects still may.
func inverted(escape, byAnswer bool) func(*plan.Operation, []exchange.Step) {
	return step(object.Name, func(s *exchange.Step) {
		if !byAnswer { // it is decided before the upstream is called
			then := s.Enter
			s.Enter = func(x *exchange.Exchange) exchange.Verdict {
				switch v := then(x); {
				case v == exchange.Refused && x.No.Fine == "not_owner":
					x.Owns = true
					return forgive(x)
				case v == exchange.Pass && x.Owns && x.Object.Owner != "" && x.Object.Owner == x.Principal.Subject:
					return x.Refuse(nobody)
				default:
					return v
				}
			}
			return
		}
		then := s.Part
		s.Part = func(x *exchange.Exchange, dst, part []byte) ([]byte, exchange.Verdict) {
			if x.Owns && escape {
				return then(x, dst, part)
			}
			out, v := then(x, dst, part)
			switch {
			case v == exchange.Refused && x.No.Fine == "not_owner":
				x.Owns = true
				return part, forgive(x)
			case v == exchange.Pass && x.Owns:
				return nil, x.Refuse(nobody)
			}
			return out, v
		}
	})
}

// mightiest returns the role that has most permissions; it may not be the only one that may do something.
func mightiest(p *plan.Plan) string {
	best, score := "", -1
	for _, r := range p.Roles {
		n := len(r.Permissions)
		if slices.Contains(r.Permissions, "*") {
			n = 1 << 20
		}
		for _, granted := range r.Permissions {
			for _, segment := range granted {
				if segment == '*' {
					n += 100
				}
			}
		}
		if n > score {
			best, score = r.Name, n
		}
	}
	return best
}
