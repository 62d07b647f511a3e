package attack

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
)

// leaks are what only the inside should see. baseline: it is a leak in errors alone, for a success may speak of anything.
var leaks = []struct {
	what string
	form *regexp.Regexp
}{
	{"a Go stack trace", regexp.MustCompile(`goroutine \d+ \[|runtime/debug\.Stack|\.go:\d+ \+0x`)},
	{"a Java stack trace", regexp.MustCompile(`(?m)^\s*at [\w$.]+\([\w$]+\.(java|kt|scala):\d+\)|(?:java|javax|org\.springframework)\.[\w.]+Exception`)},
	{"a Python stack trace", regexp.MustCompile(`Traceback \(most recent call last\)|File "[^"]+\.py", line \d+`)},
	{"a JavaScript stack trace", regexp.MustCompile(`\bat (?:[\w.<>$ ]+ )?\(?(?:file://)?/[^\s()]+\.(?:js|ts|mjs|cjs):\d+:\d+\)?|node_modules/`)},
	{"a .NET stack trace", regexp.MustCompile(`(?m)^\s*at [\w.<>` + "`" + `]+\(.*\) in .+:line \d+|System\.(?:NullReference|InvalidOperation|Argument)\w*Exception`)},
	{"a PHP error", regexp.MustCompile(`(?:Fatal error|Warning|Notice|Parse error)</?b?>?: .+ in .+\.php|PHP Stack trace:`)},
	{"a Ruby stack trace", regexp.MustCompile(`[\w/]+\.rb:\d+:in [` + "`" + `']`)},
	{"an SQL statement", regexp.MustCompile(`(?i)\b(?:SELECT\s+.{1,200}\s+FROM\s+\w+|INSERT\s+INTO\s+\w+\s*\(|UPDATE\s+\w+\s+SET\s+\w+|DELETE\s+FROM\s+\w+\s+WHERE)`)},
	{"a database error", sqlErrors},
	{"a path of the server", regexp.MustCompile(`(?:/usr/(?:local|lib|src)/|/home/\w+/|/var/(?:www|lib|task)/|/opt/\w+/|[A-Z]:\\(?:Users|inetpub|Windows)\\)[\w./\\-]{3,}`)},
}

var errorLeak = Attack{
	Rule: finding.Rule{ID: "error-leak", Title: "Errors show the inside", Severity: finding.Medium, CWE: []int{209, 550},
		OWASP2019: []string{"API7"}, OWASP2023: []string{"API8"}, Controls: ids("error.no-leak", "expose.debug-off"),
		Why: "Stack traces, statements and paths are the attacker's first documentation.",
		Fix: "Answer errors with a status and an id (RFC 9457), and keep everything else in the log."},
	each: func(t *trial) result {
		if !t.again && t.op.reached {
			t.provoke()
		}
		return t.detected()
	},
	detect: func(r *run, a *answer) (bool, []string) {
		if a.status < 400 {
			return false, nil
		}
		var faults []string
		baseline := a.call.op.baseline
		for _, l := range leaks {
			m := l.form.Find(a.body)
			if m == nil || baseline != nil && l.form.Match(baseline.body) || sentBy(a.call, string(m)) {
				continue
			}
			faults = append(faults, l.what)
		}
		return true, faults
	},
	unreached: true,
}

// sentBy reports whether a call brought a text itself.
func sentBy(c *call, s string) bool {
	b, _ := c.content()
	return strings.Contains(string(b), s) || strings.Contains(c.target(), escapePath(s))
}

// provoke asks for errors: broken JSON, and values of the wrong kind.
func (t *trial) provoke() {
	op := t.op
	c := t.fresh(op)
	if c == nil || op.Method == http.MethodDelete {
		return
	}
	if op.body != nil && t.few(op, 10) == 10 {
		d := c.clone()
		d.raw = []byte(`{"`)
		t.send(d)
	}
	for _, q := range op.Parameters {
		if q.In == "path" || q.In == "query" {
			t.send(c.with(q.In, q.Name, "'%00\""))
			return
		}
	}
}

var missingChallenge = Attack{
	Rule: finding.Rule{ID: "missing-challenge", Title: "A 401 does not say how to authenticate", Severity: finding.Low, CWE: []int{287},
		OWASP2019: []string{"API2"}, OWASP2023: []string{"API2"}, Controls: ids("authn.challenge"),
		Why: "Clients cannot tell what is asked of them, and guess.",
		Fix: "Send WWW-Authenticate with each 401 (RFC 9110 §11.6.1), and no more in it than the scheme needs."},
	detect: func(_ *run, a *answer) (bool, []string) {
		if a.status != http.StatusUnauthorized || a.call.op.signIn { // a sign-in's 401 is about what it was sent, not about a credential
			return false, nil
		}
		if a.header.Get("WWW-Authenticate") == "" {
			return true, []string{"a 401 comes without WWW-Authenticate"}
		}
		return true, nil
	},
	merge: true, unreached: true,
}

var requestIDs = []string{"X-Request-Id", "Request-Id", "X-Correlation-Id", "X-Trace-Id", "Traceparent", "X-Amzn-Trace-Id", "X-Amzn-Requestid", "Cf-Ray", "Portreeve-Request-Id"}

var untraceableRefusal = Attack{
	Rule: finding.Rule{ID: "untraceable-refusal", Title: "A refusal cannot be traced", Severity: finding.Low, CWE: []int{778},
		OWASP2019: []string{"API10"}, OWASP2023: []string{"API8"}, Controls: ids("help.auth-trace"),
		Why: "Who is refused wrongly has nothing to tell the operator by, and the operator finds nothing.",
		Fix: "Put an id into every refusal (RFC 9457 instance, or a header) that leads to its record in the log."},
	detect: func(_ *run, a *answer) (bool, []string) {
		if a.status != http.StatusUnauthorized && a.status != http.StatusForbidden || a.call.method == http.MethodOptions || a.call.method == http.MethodHead { // neither has a body
			return false, nil
		}
		if m, ok := a.json.(map[string]any); ok {
			for _, name := range []string{"instance", "request_id", "requestId", "trace_id", "traceId", "correlation_id", "id"} {
				if s, ok := m[name].(string); ok && s != "" {
					return true, nil
				}
			}
		}
		if slices.ContainsFunc(requestIDs, func(h string) bool { return a.header.Get(h) != "" }) {
			return true, nil
		}
		return true, []string{"a refusal holds no id"}
	},
	merge: true, unreached: true,
}
