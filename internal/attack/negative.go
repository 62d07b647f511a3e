package attack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
)

const (
	maxViolations   = 24
	tightViolations = 3 // of an operation that is limited to a few calls
	tightLimit      = 20
)

// few is how many tries the limits leave that are known.
func (r *run) few(op *operation, most int) int {
	switch {
	case op.limit.set() && op.limit.Count <= tightLimit:
		return min(most, tightViolations)
	case r.told.set() && r.told.Count <= 10*maxViolations, r.policy != nil && r.policy.Principal.set() && r.policy.Principal.Count <= 10*maxViolations:
		return min(most, maxViolations/2)
	}
	return most
}

var negativeInput = Attack{
	Rule: finding.Rule{ID: "negative-input", Title: "Input is accepted that the document forbids", Severity: finding.Medium, CWE: []int{20, 1287},
		OWASP2019: []string{"API8"}, OWASP2023: []string{"API8"}, Controls: ids("validate.request", "validate.strict-schema"),
		Why: "What no check refuses reaches the code behind it: negative amounts, unknown roles, values of another type.",
		Fix: "Validate every parameter and body against the document's schema before anything is done with it."},
	each: func(t *trial) result {
		op := t.op
		if op.Method == http.MethodDelete {
			return withheld("parameters of a DELETE are not tried: each try would need an object")
		}
		base := t.fresh(op)
		if base == nil {
			return undecided("there is no object of ours to try it on")
		}
		var lists [][]variant
		for i := range op.Parameters {
			q := &op.Parameters[i]
			if q.Content != "" || q.In == "cookie" {
				continue
			}
			schema := t.gen.at(q.Schema)
			valid, there := base.params[paramKey(q.In, q.Name)]
			if !there {
				if valid, there = t.gen.value(schema); !there {
					continue
				}
			}
			var list []variant
			for _, v := range t.gen.violations(schema, valid, false) {
				if value := text(v.value); !(q.In == "path" && (value == "" || strings.Trim(value, ".") == "")) && !(q.In == "header" && value == "") {
					list = append(list, variant{q.Name + " " + v.what, func(c *call) *call { return c.with(q.In, q.Name, v.value) }})
				}
			}
			if q.Required && q.In == "query" {
				list = append(list, variant{q.Name + " is missing", func(c *call) *call { return c.without(q.In, q.Name) }})
			}
			lists = append(lists, list)
		}
		if op.body != nil && base.body != nil {
			var list []variant
			for _, v := range t.gen.violations(t.gen.at(op.body.Schema), base.body, true) {
				list = append(list, variant{v.what, func(c *call) *call { return c.withBody(v.value) }})
			}
			lists = append(lists, list)
		}
		return t.variants(interleaved(lists), t.few(op, maxViolations))
	},
}

// variant is one change of a valid call.
type variant struct {
	what   string
	change func(*call) *call
}

func interleaved(lists [][]variant) []variant {
	var out []variant
	for i, more := 0, true; more; i++ {
		more = false
		for _, list := range lists {
			if i < len(list) {
				out, more = append(out, list[i]), true
			}
		}
	}
	return out
}

// variants tries changes that must be refused.
func (t *trial) variants(list []variant, most int) result {
	op := t.op
	if len(list) == 0 {
		return skipped("the document's schemas allow everything")
	}
	var taken []string
	var proof []finding.Exchange
	for i, v := range list {
		if i == most {
			break
		}
		c := t.turn(op)
		if c == nil {
			return undecided("there is no object of ours to try it on")
		}
		a := t.send(v.change(c))
		if !a.ok() || t.soft404(a) {
			continue
		}
		if taken = append(taken, v.what); len(proof) < 2 {
			proof = append(proof, t.proof(v.what, a))
		}
	}
	if len(taken) == 0 {
		return passed()
	}
	shown := strings.Join(taken[:min(6, len(taken))], "; ")
	if n := len(taken) - 6; n > 0 {
		shown += fmt.Sprintf("; and %d more", n)
	}
	return found("accepted: "+shown, proof...)
}

// turn is fresh, but shared out among all who may call the operation, so that nobody's limit is used up.
func (t *trial) turn(op *operation) *call {
	c := t.fresh(op)
	if c == nil || c.as.who == nil || c.object != nil {
		return c
	}
	everybodys := func(p *person) bool { // whose objects they are must not decide
		o := op.Ext.Object
		return o == nil || o.Unless != "" && t.grants(p, o.Unless) == yes
	}
	for _, p := range t.callers(op) {
		if p != nil && t.may(p, op) == yes && everybodys(p) {
			return c.by(as(p))
		}
	}
	return c
}

var undeclaredParameter = Attack{
	Rule: finding.Rule{ID: "undeclared-parameter", Title: "A parameter is accepted that the document does not declare", Severity: finding.Low, CWE: []int{20, 235},
		OWASP2019: []string{"API8"}, OWASP2023: []string{"API8"}, Controls: ids("validate.request"),
		Why: "Hidden switches of the code behind, debug or admin, can be found by guessing.",
		Fix: "Refuse requests with query parameters that the document does not declare."},
	each: func(t *trial) result {
		op := t.op
		refuses := t.policy != nil && t.policy.Refuses
		for _, u := range []string{t.doc.Ext.Undeclared.Request, op.Ext.Undeclared.Request} {
			if u != "" {
				refuses = u == "refuse"
			}
		}
		switch {
		case !refuses:
			return withheld("neither document nor configuration refuses what is not declared")
		case !op.safe() && !op.creates() && (op.collection == "" || t.creator(op.collection) == nil):
			return withheld("it would change what this run did not make")
		}
		return t.variants([]variant{{"an undeclared query parameter", func(c *call) *call {
			d := c.clone()
			d.extra.Set(t.gen.canary(), "1")
			return d
		}}}, 1)
	},
	merge: true,
}

var ambiguousBody = Attack{
	Rule: finding.Rule{ID: "ambiguous-body", Title: "A body is accepted that two parsers read differently", Severity: finding.Medium, CWE: []int{436, 1286},
		OWASP2019: []string{"API8"}, OWASP2023: []string{"API8"}, Controls: ids("validate.strict-schema", "validate.request"),
		Why: "One component checks the first of two members of one name, the next uses the second; a form on another site sends text/plain.",
		Fix: "Refuse bodies of a type that is not declared, names that stand twice, and anything behind the first value (RFC 8259 §4)."},
	each: func(t *trial) result {
		op := t.op
		if op.body == nil || op.safe() {
			return skipped("it takes no JSON")
		}
		if op.Method == http.MethodDelete {
			return withheld("each try would need an object")
		}
		twice := func(c *call) *call {
			b, _ := c.content()
			object, ok := c.body.(map[string]any)
			if !ok || len(object) == 0 {
				return nil
			}
			name, value := lastMember(object)
			d := c.clone()
			d.raw = append(bytes.TrimSuffix(bytes.Clone(b), []byte("}")), fmt.Sprintf(",%s:%s}", name, value)...)
			return d
		}
		list := []variant{
			{"a member twice", twice},
			{"a second value behind the first", func(c *call) *call {
				b, _ := c.content()
				d := c.clone()
				d.raw = append(bytes.Clone(b), " {}"...)
				return d
			}},
		}
		declared := false
		for _, m := range op.Body.Content {
			declared = declared || m.Type == "text/plain" || m.Type == "*/*" || m.Type == "text/*"
		}
		if !declared {
			list = append(list, variant{"a body of type text/plain", func(c *call) *call {
				d := c.clone()
				d.media = "text/plain"
				return d
			}})
		}
		if base := t.fresh(op); base == nil || twice(base) == nil {
			list = list[1:]
		}
		return t.variants(list, t.few(op, 3))
	},
}

func lastMember(object map[string]any) (name, value string) {
	for k := range object {
		name = max(name, k)
	}
	n, _ := json.Marshal(name)
	v, _ := json.Marshal(object[name])
	return string(n), string(v)
}

// padding is far more than a body needs whose strings are all bounded.
const padding = 4 << 20

// padded sends a body that follows the schema and is huge all the same: between its values stand spaces. Once is enough.
func (t *trial) padded(op *operation) result {
	if t.bodyPadded && !t.again {
		return passed()
	}
	t.bodyPadded = true
	c := t.fresh(op)
	if c == nil {
		return undecided("there is no object of ours to try it on")
	}
	b, _ := c.content()
	c.raw = append(bytes.Clone(b), bytes.Repeat([]byte(" "), padding)...)
	a := t.run.send(c)
	t.silence = 0
	switch {
	case a.err == errLimited || a.err == errOver:
		return undecided("%v", a.err)
	case a.ok() && !t.soft404(a):
		return found(fmt.Sprintf("a body of %d MiB is taken: a small one, and spaces", padding>>20), t.proof("a small body and spaces", a))
	}
	return passed()
}

// oversize is far beyond what a document bounds, and less than maxAnswer: an answer that repeats it can still be read.
const oversize = 300_000

var oversizedBody = Attack{
	Rule: finding.Rule{ID: "oversized-body", Title: "A huge body is accepted where the document allows a few bytes", Severity: finding.Medium, CWE: []int{770, 400},
		OWASP2019: []string{"API4"}, OWASP2023: []string{"API4"}, Controls: ids("limit.size"),
		Why: "A few callers fill memory and disks with what nobody checks the size of.",
		Fix: "Bound the size of every body before it is read, and of each string by maxLength."},
	each: func(t *trial) result {
		op := t.op
		if op.body == nil || op.Method == http.MethodDelete || t.few(op, 10) < 10 && !op.creates() {
			return withheld("it takes no JSON, or only a few calls in a minute")
		}
		schema := t.gen.at(op.body.Schema)
		for _, p := range properties(t.gen.choice(schema)) {
			parts := t.gen.choice(p.schema)
			most, limited := bound(parts, "maxLength", less)
			if kind(parts) != "string" || !limited && keyword(parts, "pattern") == nil || most > 100_000 {
				continue
			}
			c := t.fresh(op)
			if c == nil {
				return undecided("there is no object of ours to try it on")
			}
			c = c.member(p.name, t.gen.canary()+strings.Repeat("a", oversize))
			if ok, _ := t.gen.allows(schema, c.body); ok {
				continue
			}
			a := t.run.send(c) // a connection that is closed is a refusal too
			if a.ok() && !t.soft404(a) {
				made := c.object
				if op.creates() {
					made = t.keep(op, c.as.who, a)
				}
				t.remove(made) // lists that hold it are too large to be judged
				return found(p.name+" takes 300 000 letters", t.proof("300 000 letters", a))
			}
			t.silence = 0
			if a.err == errLimited || a.err == errOver {
				return undecided("%v", a.err)
			}
			return t.padded(op)
		}
		return skipped("the document bounds no string of its body")
	},
}
