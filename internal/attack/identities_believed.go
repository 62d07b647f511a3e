package attack

import (
	"net/http"

	"github.com/portreeve/portreeve/internal/finding"
)

var singleFactor = Attack{
	Rule: finding.Rule{ID: "single-factor", Title: "One factor is enough where the document asks for more", Severity: finding.High, CWE: []int{308, 287},
		OWASP2019: []string{"API2"}, OWASP2023: []string{"API2"}, Controls: ids("authn.mfa-admin"),
		Why: "A key that leaks from a script does what only an administrator with a second factor may.",
		Fix: "Demand proof of a second factor in the token (amr, acr, auth_time; RFC 9470), and refuse credentials that cannot carry it."},
	each: func(t *trial) result {
		op := t.op
		if !op.Ext.MFA {
			return skipped("the document asks for no second factor (x-portreeve.mfa)")
		}
		if res := t.provenLongAgo(op); res.verdict == finding.Failed || res.verdict == finding.Inconclusive || !op.key {
			return res
		}
		for _, p := range t.callers(op) {
			if p == nil || p.APIKey == "" || p != op.caller {
				continue
			}
			key := credential{who: p, kind: keyOnly}
			if op.safe() {
				a := t.send(t.fresh(op).by(key))
				return t.believes(op, a, p.Name+"'s API key alone")
			}
			return judgeWrite(t.tryWrite(op, key, "with "+p.Name+"'s API key alone"), p.Name+"'s API key alone is enough")
		}
		return undecided("no identity that may call it has a token and an API key")
	},
}

// provenLongAgo tries tokens whose two factors were shown before the document's max_age.
func (t *trial) provenLongAgo(op *operation) result {
	switch tokens := t.tokensGiven().Stale; {
	case !op.token || op.Ext.MaxAge == 0:
		return skipped("it takes no API keys, and the document does not say how fresh a proof must be (x-portreeve.max_age)")
	case len(tokens) == 0:
		return withheld("no token of somebody who proved two factors long ago was given (tokens: {stale: […]} in the identities file)")
	}
	for _, token := range t.tokensGiven().Stale {
		const what = "a token of somebody who proved two factors long ago"
		cr := credential{kind: tokenOnly, value: token, label: "‹" + what + "›", shell: "$TOKEN"}
		var res result
		if op.safe() {
			res = t.believes(op, t.send(t.fresh(op).by(cr)), what)
		} else {
			res = judgeWrite(t.tryWrite(op, cr, "with "+what), what+" is enough")
		}
		if res.verdict != finding.Passed {
			return res
		}
	}
	return passed()
}

var identityHeader = Attack{
	Rule: finding.Rule{ID: "identity-header", Title: "A header says who is calling, and is believed", Severity: finding.Critical, CWE: []int{290, 348},
		OWASP2019: []string{"API2"}, OWASP2023: []string{"API2"}, Controls: ids("authn.stateless", "deploy.no-bypass"),
		Why: "A header that a gateway should set is set by the caller, who is then whomever he likes.",
		Fix: "Remove such headers from every request at the edge, and let the API accept them only with a proof of where they come from."},
	once: func(t *trial) result {
		pairs := 0
		for _, op := range t.ops {
			if !op.reached || !op.safe() || op.public || op.collection != "" || pairs == 3 {
				continue
			}
			var who []*person
			for _, p := range t.callers(op) {
				if p != nil && p.UserID != "" {
					who = append(who, p)
				}
			}
			if len(who) < 2 {
				continue
			}
			mine, other := who[0], who[1]
			c := t.fresh(op)
			for i := range op.Parameters {
				if q := &op.Parameters[i]; t.ownsBy(op, q) && !q.Required {
					c = c.without(q.In, q.Name)
				}
			}
			own := t.send(c.by(as(mine)))
			theirs := t.send(c.by(as(other)))
			if !t.served(op, own) || !t.served(op, theirs) || own.plain() == theirs.plain() {
				continue
			}
			pairs++
			f := c.by(as(mine))
			for name, value := range map[string]string{"Portreeve-Subject": `"` + other.UserID + `"`, "X-User-Id": other.UserID, "X-User": other.UserID, "X-Auth-User": other.UserID,
				"X-Forwarded-User": other.UserID, "X-Remote-User": other.UserID, "Remote-User": other.UserID, "X-Authenticated-User": other.UserID, "X-Consumer-Custom-Id": other.UserID} {
				f = f.set(name, value)
			}
			a := t.send(f)
			if t.served(op, a) && a.plain() == theirs.plain() {
				return found(mine.Name+" gets what is "+other.Name+"'s by naming "+other.Name+" in a header",
					t.proof(mine.Name+" asks", own), t.proof(other.Name+" asks", theirs), t.proof(mine.Name+" asks and says in a header to be "+other.Name, a)).at(op)
			}
			return passed().at(op)
		}
		return withheld("no operation answers two identities differently without being asked to")
	},
}

var bypass = Attack{
	Rule: finding.Rule{ID: "gate-bypass", Title: "The API behind the gate answers whoever calls it directly", Severity: finding.Critical, CWE: []int{288, 923},
		OWASP2019: []string{"API7"}, OWASP2023: []string{"API8"}, Controls: ids("deploy.no-bypass"),
		Why: "Who reaches the API's own address goes around every check of the gate.",
		Fix: "Let the API listen where only the gate is, and refuse requests without the gate's signed assertion."},
	once: func(t *trial) result {
		if t.Direct == "" {
			return withheld("the address of the API behind the gate was not given (--direct)")
		}
		tried := 0
		for _, op := range t.ops {
			if !op.reached || !op.safe() || op.public || tried == 3 {
				continue
			}
			tried++
			c := t.fresh(op).by(credential{})
			c.base = t.Direct
			if op.caller != nil && op.caller.UserID != "" {
				c = c.set("Portreeve-Subject", `"`+op.caller.UserID+`"`)
			}
			a := t.run.send(c)
			if t.served(op, a) {
				return found("called directly, it answers without any credential", t.proof("straight to "+t.Direct, a)).at(op)
			}
			if a.err == nil && a.status == http.StatusTooManyRequests {
				return undecided("the API behind the gate limits requests")
			}
		}
		if tried == 0 {
			return undecided("no operation that only reads was reached")
		}
		return passed()
	},
}
