package attack

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
)

const (
	allowOrigin      = "Access-Control-Allow-Origin"
	allowCredentials = "Access-Control-Allow-Credentials"
)

// foreign are origins that must not be let in: a stranger's, and those that a careless comparison takes for a listed one.
func (t *trial) foreign() []string {
	out := []string{"https://" + t.gen.canary() + ".example", "null"}
	if t.policy == nil {
		return out
	}
	for _, o := range t.policy.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" {
			continue
		}
		out = append(out, o+".evil.example", u.Scheme+"://evil"+u.Host, u.Scheme+"://evil."+u.Host, strings.Replace(o, "https://", "http://", 1)+":8")
		break
	}
	return out
}

// letIn says how an answer lets an origin read, "" where it does not. What anybody may read, but not as somebody, is as it
// should be unless a configuration says who may.
func (t *trial) letIn(a *answer, origin string) string {
	credentials := a.header.Get(allowCredentials) == "true"
	switch got := a.header.Get(allowOrigin); {
	case got == origin && credentials:
		return "with the user's credentials"
	case got == origin:
		return "without credentials"
	case got == "*" && credentials:
		return "by * with credentials"
	case got == "*" && t.policy != nil:
		return "by *, which the configuration does not list"
	}
	return ""
}

var corsReflection = Attack{
	Rule: finding.Rule{ID: "cors-origin", Title: "A foreign site may read answers", Severity: finding.High, CWE: []int{942, 346},
		OWASP2019: []string{"API7"}, OWASP2023: []string{"API8"}, Controls: ids("cors.allowlist", "cors.credentials"),
		Why: "Any page that a user visits reads the API in the user's name.",
		Fix: "Compare Origin exactly with a list of full origins; never echo it, never allow null, never * with credentials."},
	each: func(t *trial) result {
		op := t.op
		if op.Method != http.MethodGet {
			return skipped("it is judged by cors-preflight")
		}
		base := t.fresh(op).by(credential{})
		origins := t.foreign()
		if t.originsTried > 0 && !t.again {
			origins = origins[:1] // all kinds of origins once, the plain stranger everywhere
		}
		t.originsTried++
		for _, origin := range origins {
			a := t.send(base.set("Origin", origin))
			if how := t.letIn(a, origin); how != "" {
				return found("the origin "+kindOf(origin)+" may read, "+how, t.proof("from "+origin, a))
			}
		}
		return passed()
	},
	merge: true,
}

// kindOf names an origin the same way from run to run.
func kindOf(origin string) string {
	if strings.HasPrefix(origin, "https://pt") && strings.HasSuffix(origin, ".example") {
		return "of a stranger"
	}
	return origin
}

var corsPreflight = Attack{
	Rule: finding.Rule{ID: "cors-preflight", Title: "A foreign site may send changes", Severity: finding.High, CWE: []int{942, 352},
		OWASP2019: []string{"API7"}, OWASP2023: []string{"API8"}, Controls: ids("cors.methods-headers", "cors.allowlist"),
		Why: "A page of another site is allowed to send PUT and DELETE with the user's credentials.",
		Fix: "Answer a preflight only for listed origins, and only with the methods and headers that the document declares."},
	each: func(t *trial) result {
		op := t.op
		if op.safe() {
			return skipped("it is judged by cors-origin")
		}
		origin := t.foreign()[0]
		c := (&call{op: op, method: http.MethodOptions, path: op.Path}).clone()
		for _, q := range op.Parameters {
			if q.In == "path" {
				v, ok := t.gen.value(t.gen.at(q.Schema))
				if !ok {
					v = "1"
				}
				c.params[paramKey("path", q.Name)] = v
			}
		}
		ask := func(origin, method, headers string) *answer {
			return t.send(c.set("Origin", origin).set("Access-Control-Request-Method", method).set("Access-Control-Request-Headers", headers))
		}
		a := ask(origin, op.Method, "authorization, content-type")
		how := t.letIn(a, origin)
		methods := a.header.Get("Access-Control-Allow-Methods")
		if how != "" && (op.Method == http.MethodPost || strings.Contains(methods, op.Method) || methods == "*") {
			return found("the origin of a stranger may send "+op.Method+", "+how, t.proof("a preflight from "+origin, a))
		}
		if t.policy == nil || len(t.policy.Origins) == 0 {
			return passed()
		}
		friend := t.policy.Origins[0]
		allows := func(a *answer, header, what string) bool {
			return a.ok() && a.header.Get(allowOrigin) == friend && slices.ContainsFunc(strings.Split(a.header.Get(header), ","), func(s string) bool {
				return strings.EqualFold(strings.TrimSpace(s), what) || strings.TrimSpace(s) == "*"
			})
		}
		for _, method := range []string{http.MethodPatch, http.MethodDelete, http.MethodPut} {
			if t.on(method, op.Path) != nil {
				continue
			}
			if a := ask(friend, method, "content-type"); allows(a, "Access-Control-Allow-Methods", method) {
				return found("a listed origin may send "+method+", which the document does not declare", t.proof("a preflight from "+friend, a))
			}
			break
		}
		name := "x-" + t.gen.canary()
		if a := ask(friend, op.Method, name); allows(a, "Access-Control-Allow-Headers", name) {
			return found("a listed origin may send headers that the document does not declare", t.proof("a preflight from "+friend, a))
		}
		return passed()
	},
	merge:     true,
	unreached: true,
}
