package attack

import (
	"fmt"
	"net/http"

	"github.com/portreeve/portreeve/internal/finding"
)

var userEnumeration = Attack{
	Rule: finding.Rule{ID: "user-enumeration", Title: "A failed sign-in tells which names exist", Severity: finding.Medium, CWE: []int{204, 203},
		OWASP2019: []string{"API2"}, OWASP2023: []string{"API2"}, Controls: ids("error.uniform-auth"),
		Why: "The attacker first collects names that exist, then guesses passwords for those alone.",
		Fix: "Give one answer, after the same work, whether the name or the password is wrong."},
	each: func(t *trial) result {
		op := t.op
		if !op.signIn {
			return skipped("nobody signs in here")
		}
		known := t.withPassword()
		if len(known) == 0 {
			return undecided("no identity has a password: which name exists is not known")
		}
		name := known[len(known)-1].Name
		tries := 2
		var first, proof []finding.Exchange
		differences := 0
		what := ""
		for range tries {
			stranger := t.gen.canary()[:max(3, min(12, len(name)))]
			a := t.send(t.signInCall(op, name))
			b := t.send(t.signInCall(op, stranger))
			if a.err != nil || b.err != nil {
				return undecided("a call was not answered")
			}
			if a.ok() {
				return undecided("a wrong password was taken")
			}
			switch {
			case a.status != b.status:
				what = fmt.Sprintf("status %d and %d", a.status, b.status)
			case a.plain(name) != b.plain(stranger):
				what = "the bodies differ"
			default:
				return passed()
			}
			differences++
			if first == nil {
				first = []finding.Exchange{t.proof("a name that exists", a), t.proof("one that does not", b)}
			}
		}
		if proof = first; differences == tries {
			return found("a name that exists and one that does not are told apart: "+what, proof...)
		}
		return passed()
	},
}

// signInCall is a sign-in with a wrong password.
func (t *trial) signInCall(op *operation, name string) *call {
	c := (&call{op: op, method: http.MethodPost, path: op.Path}).clone()
	return c.withBody(map[string]any{op.userKey: name, op.passwordKey: "wrong-" + t.gen.canary()})
}
