package attack

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/spec"
)

// slot is a place in a call where text goes.
type slot struct {
	name  string
	value string // of the valid call
	put   func(*call, string) *call
	text  bool // a string, not a number
}

// slots are the places of an operation that take text or numbers.
func (t *trial) slots(base *call) []slot {
	op := base.op
	var out []slot
	for i := range op.Parameters {
		q := &op.Parameters[i]
		if q.In == "cookie" || q.In == "header" {
			continue
		}
		v, there := base.params[paramKey(q.In, q.Name)]
		if !there {
			continue
		}
		k := kind(t.gen.choice(t.gen.at(q.Schema)))
		if k == "boolean" || k == "array" || k == "object" {
			continue
		}
		out = append(out, slot{q.Name, text(v), put(q), k == "string" || k == ""})
	}
	object, _ := base.body.(map[string]any)
	if op.body != nil && object != nil {
		for _, p := range properties(t.gen.choice(t.gen.at(op.body.Schema))) {
			if s, ok := object[p.name].(string); ok {
				out = append(out, slot{p.name, s, func(c *call, v string) *call { return c.member(p.name, v) }, true})
			}
		}
	}
	return out
}

func put(q *spec.Parameter) func(*call, string) *call {
	return func(c *call, v string) *call { return c.with(q.In, q.Name, v) }
}

// sqlErrors are what databases say of a broken statement.
var sqlErrors = regexp.MustCompile(`(?i)(SQL syntax.{0,40}MySQL|You have an error in your SQL syntax|MariaDB server version|PostgreSQL.{0,20}ERROR|unterminated quoted string|syntax error at or near|pq: |SQLSTATE[\[ (]|PG::SyntaxError|org\.postgresql|ORA-\d{5}|quoted string not properly terminated|Unclosed quotation mark|Microsoft (OLE DB|SQL Server)|ODBC .{0,20}Driver|SQLite3?::|sqlite3?\.(Operational)?Error|SQLITE_ERROR|SQL logic error|unrecognized token: |near "[^"]{0,40}": syntax error|incomplete input \(1\)|System\.Data\.SqlClient|com\.mysql\.|java\.sql\.SQL|SequelizeDatabaseError|ActiveRecord::StatementInvalid|sqlalchemy\.exc)`)

var sqlInjection = Attack{
	Rule: finding.Rule{ID: "sql-injection", Title: "A parameter becomes part of an SQL statement", Severity: finding.Critical, CWE: []int{89},
		OWASP2019: []string{"API8"}, OWASP2023: []string{"API8"}, Controls: ids("inject.parameterised"),
		Why: "The caller writes the statement: reads every table, and on many databases changes them.",
		Fix: "Use parameters (placeholders) for every value in a statement, and refuse what is not of the declared type."},
	each: func(t *trial) result {
		op := t.op
		if !op.safe() && !op.creates() && !op.signIn {
			return withheld("it would change an object with each try")
		}
		base := t.telling(op)
		if base == nil {
			return undecided("there is no object of ours to try it on")
		}
		slots := t.slots(base)
		if len(slots) == 0 {
			return skipped("it takes no text and no numbers")
		}
		tries := 0
		for _, s := range slots {
			if tries >= t.few(op, 40) {
				break
			}
			tries++
			if res := t.inject(base, s); res.verdict != finding.Passed {
				return res
			}
		}
		return passed()
	},
}

// telling is a valid call whose answer is not an empty list, so that a change can be seen.
func (t *trial) telling(op *operation) *call {
	c := t.fresh(op)
	if c == nil || !op.safe() || !op.reached || len(list(op.baseline.json)) > 0 || typeOf(op.baseline.json) != "array" || op.Ext.Object != nil {
		return c
	}
	for i := range op.Parameters {
		q := &op.Parameters[i]
		if _, there := c.params[paramKey(q.In, q.Name)]; !there || q.In != "path" {
			continue
		}
		prefix, _, _ := strings.Cut(op.Path, "/{"+q.Name+"}")
		for j, id := range t.pool[prefix] {
			if j == 3 {
				break
			}
			d := c.with(q.In, q.Name, id)
			if a := t.send(d); t.served(op, a) && len(list(a.json)) > 0 {
				return d
			}
		}
	}
	return c
}

// inject tries one slot: by error, and by a pair of conditions of which one is true.
func (t *trial) inject(base *call, s slot) result {
	next := func(v string) *call {
		c := base
		if !t.op.safe() {
			if f := t.fresh(t.op); f != nil {
				c = f
			}
		}
		if c.as.who != nil && t.op.Ext.Object == nil && c.object == nil {
			for _, p := range t.callers(t.op) {
				if p != nil && t.may(p, t.op) == yes {
					c = c.by(as(p))
					break
				}
			}
		}
		return s.put(c, v)
	}
	quoted := t.send(next(s.value + "'"))
	if what := sqlErrors.FindString(string(quoted.body)); what != "" && quoted.err == nil {
		harmless := t.send(next(s.value + "x"))
		if !sqlErrors.Match(harmless.body) || string(harmless.body) != string(quoted.body) {
			proof := []finding.Exchange{t.proof("with a quotation mark", quoted)}
			if !sqlErrors.Match(harmless.body) {
				proof = append(proof, t.proof("with a letter instead", harmless))
				return found(fmt.Sprintf("a quotation mark in %s breaks the statement: %q", s.name, excerpt(what, 60)), proof...)
			}
		}
	}
	if !t.op.safe() {
		return passed() // a pair of conditions needs an answer that depends on them
	}
	n := 1000 + t.gen.rng.IntN(9000)
	for _, pair := range pairs(s, n) {
		yesCall, noCall := next(pair[0]), next(pair[1])
		noCall.as = yesCall.as
		plain := s.put(yesCall, s.value)
		truth := t.send(yesCall)
		if !truth.ok() {
			continue
		}
		reference := t.send(plain)
		falsehood := t.send(noCall)
		if !reference.ok() || falsehood.err != nil {
			continue
		}
		plainly := func(a *answer) string { return a.plain(pair[0], pair[1], s.value) }
		same, other := plainly(truth) == plainly(reference), plainly(falsehood) != plainly(truth)
		if strings.HasPrefix(pair[2], "or") {
			// A list grows by a condition that always holds, and is as it was by one that never does.
			same, other = plainly(falsehood) == plainly(reference), len(plainly(truth)) > len(plainly(reference))
		}
		if same && other {
			return found(fmt.Sprintf("a condition in %s is evaluated: a true one and a false one answer differently", s.name),
				t.proof("as it should be", reference), t.proof("with a condition that holds", truth), t.proof("with one that does not", falsehood))
		}
	}
	return passed()
}

// pairs are values with a true and a false condition behind them.
func pairs(s slot, n int) [][3]string {
	t, f := fmt.Sprintf("%d=%d", n, n), fmt.Sprintf("%d=%d", n, n+1)
	q := func(a, b int) string { return fmt.Sprintf("'%d'='%d", a, b) }
	if !s.text {
		return [][3]string{{s.value + " AND " + t, s.value + " AND " + f, "and"}, {s.value + " OR " + t, s.value + " OR " + f, "or"}}
	}
	return [][3]string{
		{s.value + "' AND " + q(n, n), s.value + "' AND " + q(n, n+1), "and"},
		{s.value + "' OR " + q(n, n), s.value + "' OR " + q(n, n+1), "or"},
		{s.value + "%' AND '%" + fmt.Sprint(n) + "%'='%" + fmt.Sprint(n), s.value + "%' AND '%" + fmt.Sprint(n) + "%'='%" + fmt.Sprint(n+1), "and"},
	}
}

var reflectedXSS = Attack{
	Rule: finding.Rule{ID: "reflected-xss", Title: "Input comes back as markup", Severity: finding.High, CWE: []int{79, 116},
		OWASP2019: []string{"API8"}, OWASP2023: []string{"API8"}, Controls: ids("inject.output-encoding"),
		Why: "A link to the API runs the attacker's script in the victim's browser, in the API's name.",
		Fix: "Answer with data (application/json, nosniff), never with markup made of input; encode what must be in a page."},
	each: func(t *trial) result {
		op := t.op
		if !op.safe() && !op.signIn && !op.creates() {
			return withheld("it would change an object with each try")
		}
		base := t.fresh(op)
		if base == nil {
			return undecided("there is no object of ours to try it on")
		}
		tries := 0
		for _, s := range t.slots(base) {
			if !s.text || tries >= t.few(op, 10) {
				continue
			}
			tries++
			mark := t.gen.canary()
			payload := `<` + mark + ` a="'">`
			c := base
			if !op.safe() {
				if c = t.fresh(op); c == nil {
					break
				}
			}
			a := t.send(s.put(c, payload).set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"))
			if a.shows(payload) && executable(a) {
				return found(fmt.Sprintf("%s comes back unencoded in an answer of type %q", s.name, a.header.Get("Content-Type")), t.proof("with an element in "+s.name, a))
			}
		}
		if tries == 0 {
			return skipped("it takes no text")
		}
		return passed()
	},
}

// executable reports whether a browser would run what an answer holds.
func executable(a *answer) bool {
	switch a.media {
	case "text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml":
		return true
	case "":
		return !strings.EqualFold(a.header.Get("X-Content-Type-Options"), "nosniff") && len(a.body) > 0
	}
	return false
}
