package attack

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
)

var bflaRole = Attack{
	Rule: finding.Rule{ID: "bfla-role", Title: "A role does what it has no permission for", Severity: finding.Critical, CWE: []int{285, 863},
		OWASP2019: []string{"API5"}, OWASP2023: []string{"API5"}, Controls: ids("authz.function", "authz.rbac", "authz.per-operation", "authz.least-privilege", "authz.deny-default"),
		Why: "Any ordinary user who knows the path does what only administrators should.",
		Fix: "Check the permission of every operation on the server, by default refusing; hiding it from a menu protects nothing."},
	each: func(t *trial) result {
		op := t.op
		switch {
		case op.public || op.optional:
			return skipped("it is for everybody")
		case t.policy == nil:
			return withheld("no configuration says what roles may do (--config)")
		}
		asked := 0
		roles := map[string]bool{}
		var got []string
		var proof []finding.Exchange
		doubt := result{}
		for _, p := range t.people {
			if t.may(p, op) != no || roles[p.Role] {
				continue
			}
			roles[p.Role] = true
			asked++
			note := fmt.Sprintf("as %s (%s), who may not", p.Name, p.Role)
			var res result
			if op.safe() {
				a := t.send(t.freshAs(op, p))
				switch {
				case t.served(op, a):
					res = found("", t.proof(note, a))
				case a.hidden():
					res = passed()
				default:
					res = undecided("as %s the answer is %d: neither success nor refusal", p.Name, a.status)
				}
			} else {
				res = judgeWrite(t.tryWrite(op, as(p), note), "")
			}
			switch res.verdict {
			case finding.Failed:
				got = append(got, p.Role)
				if proof == nil {
					proof = res.proof
				}
			case finding.Inconclusive:
				doubt = res
			}
		}
		switch {
		case asked == 0:
			return skipped("every identity may call it")
		case len(got) > 0:
			return found("it works for "+strings.Join(got, ", ")+", who lack "+strings.Join(op.needs[0], ", "), proof...)
		case doubt.verdict != "":
			return doubt
		}
		return passed()
	},
}

var bflaVerb = Attack{
	Rule: finding.Rule{ID: "bfla-verb", Title: "A method works that the document does not declare", Severity: finding.High, CWE: []int{650, 285},
		OWASP2019: []string{"API5", "API9"}, OWASP2023: []string{"API5", "API9"}, Controls: ids("authz.function", "inventory.documented", "authz.deny-default"),
		Why: "What nobody declared nobody protects: a forgotten DELETE, or a method hidden in a header.",
		Fix: "Answer 405 to every method that the document does not declare, and ignore headers that name another method."},
	each: func(t *trial) result {
		op := t.op
		for _, o := range t.ops {
			if o.Path == op.Path && o != op {
				if slices.Index(t.ops, o) < slices.Index(t.ops, op) && o.reached {
					return skipped("the path is tried with %s", o.name)
				}
			}
		}
		base := t.fresh(op)
		if base == nil {
			return undecided("there is no object of ours to try it on")
		}
		read := base.clone()
		read.body, read.raw = nil, nil
		for _, method := range []string{http.MethodGet, http.MethodTrace} {
			if t.on(method, op.Path) != nil {
				continue
			}
			c := read.clone()
			c.method = method
			a := t.run.send(c)
			if a.ok() && !t.soft404(a) && len(a.body) > 0 {
				return found(method+" works and is not declared", t.proof(method, a))
			}
		}
		if op.collection == "" || t.creator(op.collection) == nil {
			return passedBecause("only methods that change nothing were tried")
		}
		for _, method := range []string{http.MethodDelete, http.MethodPut, http.MethodPatch} {
			if t.on(method, op.Path) != nil {
				continue
			}
			o := t.own(op.collection, op.caller, false)
			if o == nil || o.maker == nil {
				break
			}
			hidden := read.by(as(o.maker))
			hidden.params[paramKey("path", op.itemParam)] = o.id
			hidden.object = o
			for _, override := range []bool{false, true} {
				c := hidden.clone()
				c.method = method
				if override {
					if method != http.MethodDelete {
						continue
					}
					c.method = http.MethodPost
					c = c.set("X-HTTP-Method-Override", method).set("X-HTTP-Method", method).set("X-Method-Override", method)
				}
				if method != http.MethodDelete {
					c.body = o.sent
				}
				a := t.run.send(c)
				if !a.ok() || t.soft404(a) {
					continue
				}
				if method != http.MethodDelete {
					return found(method+" works and is not declared", t.proof(method, a))
				}
				if look := t.item(http.MethodGet, op.collection); look != nil && look.reached {
					l := t.bare(look, o.maker)
					l.params[paramKey("path", look.itemParam)] = o.id
					if gone := t.send(l); gone.status == http.StatusNotFound || gone.status == http.StatusGone {
						o.gone = true
						return found("DELETE works and is not declared", t.proof("DELETE", a), t.proof("it is gone", gone))
					}
				}
			}
		}
		return passed()
	},
}
