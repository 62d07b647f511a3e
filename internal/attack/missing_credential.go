package attack

import (
	"net/http"

	"github.com/portreeve/portreeve/internal/finding"
)

var missingCredential = Attack{
	Rule: finding.Rule{ID: "missing-credential", Title: "An operation answers callers without a credential", Severity: finding.Critical, CWE: []int{306, 862},
		OWASP2019: []string{"API2"}, OWASP2023: []string{"API2"}, Controls: ids("authn.required", "authn.stateless", "authz.deny-default"),
		Why: "Whoever finds the address reads or changes what the document keeps for known callers.",
		Fix: "Demand the credential that the document names before anything else is done with the request, by default for every operation."},
	each: func(t *trial) result {
		op := t.op
		switch {
		case op.silent:
			return skipped("neither document nor configuration asks for a credential")
		case op.public:
			return skipped("the document says that anybody may call it")
		case op.optional:
			return skipped("the document makes the credential optional")
		}
		if !op.safe() {
			w := t.tryWrite(op, credential{}, "the same call without a credential")
			return judgeWrite(w, "the call succeeds without any credential")
		}
		l := t.legs(op)
		switch {
		case l.none.err != nil || l.valid.err != nil:
			return undecided("a control call was not answered")
		case t.served(op, l.none) && l.valid.ok():
			return found("the call succeeds without any credential", t.proof("with a valid credential", l.valid), t.proof("without one", l.none))
		case l.none.hidden():
			return t.headAlone(op)
		}
		return undecided("without a credential the answer is %d: neither success nor refusal", l.none.status)
	},
}

// headAlone asks for the head of what is refused with GET: a guard that knows GET alone lets the code behind run.
func (t *trial) headAlone(op *operation) result {
	if op.Method != http.MethodGet || t.on(http.MethodHead, op.Path) != nil {
		return passed()
	}
	c := t.fresh(op).by(credential{})
	c.method = http.MethodHead
	a := t.run.send(c)
	if !a.ok() {
		return passed()
	}
	nowhere := t.run.send(&call{method: http.MethodHead, path: "/" + t.gen.canary()})
	if nowhere.err != nil || nowhere.ok() {
		return passed() // it says so to anything
	}
	return found("HEAD succeeds without any credential, where GET is refused", t.proof("GET without a credential", t.legs(op).none), t.proof("HEAD without a credential", a))
}

// judgeWrite turns a write that should have been refused into a result.
func judgeWrite(w write, message string) result {
	switch {
	case w.answer.err != nil:
		return undecided("%v", w.answer.err)
	case w.changed == yes:
		return found(message, w.proof...)
	case w.answer.hidden():
		return passed()
	case w.answer.ok() && w.changed == no:
		return passedBecause("it answers %d and changes nothing", w.answer.status)
	case w.answer.ok():
		return undecided("it answers %d, and whether anything came of it cannot be read", w.answer.status)
	}
	return undecided("the answer is %d: neither success nor refusal", w.answer.status)
}
