package attack

import "github.com/portreeve/portreeve/internal/finding"

var garbageCredential = Attack{
	Rule: finding.Rule{ID: "garbage-credential", Title: "A credential that nobody issued is believed", Severity: finding.Critical, CWE: []int{287, 1390},
		OWASP2019: []string{"API2"}, OWASP2023: []string{"API2"}, Controls: ids("authn.required", "authn.api-key"),
		Why: "It is enough to show something; what is shown is never verified.",
		Fix: "Verify each credential: the signature of a token, the record of an API key. Refuse what cannot be verified."},
	each: func(t *trial) result {
		op := t.op
		if op.public || op.optional {
			return skipped("the document asks for no credential")
		}
		if !op.safe() {
			return withheld("credentials are judged on operations that only read")
		}
		l := t.legs(op)
		switch {
		case l.none.err != nil:
			return undecided("a control call was not answered")
		case t.served(op, l.none):
			return withheld("it asks nobody for a credential: see missing-credential")
		case !l.none.hidden():
			return undecided("without a credential the answer is %d: neither success nor refusal", l.none.status)
		}
		if op.token {
			if res := t.believes(op, t.garbage(op), "a token that is no token"); res.verdict != finding.Passed {
				return res
			}
		}
		if op.key && (!op.token || t.keysTried < 2) { // a wrong key costs of the limit on wrong credentials
			t.keysTried++
			a := t.send(t.fresh(op).by(credential{kind: keyOnly, value: "garbage-" + t.gen.canary()}))
			return t.believes(op, a, "an API key that nobody made")
		}
		return passed()
	},
}

// believes judges a call that showed something false.
func (t *trial) believes(op *operation, a *answer, what string) result {
	l := t.legs(op)
	switch {
	case a.err != nil:
		return undecided("%v", a.err)
	case t.served(op, a):
		return found(what+" is believed", t.proof("without a credential", l.none), t.proof("with "+what, a)).at(op)
	case a.hidden():
		return passed().at(op)
	}
	return undecided("with %s the answer is %d: neither success nor refusal", what, a.status).at(op)
}
