package attack

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/tree"
)

// success returns the schema by which an answer's members are judged; applies is false where there is nothing to judge.
func (r *run) success(a *answer) (schema *tree.Node, applies bool) {
	if !a.ok() || !a.hasJSON || a.cut {
		return nil, false
	}
	schema, declared := r.answerSchema(a.call.op, a.status, a.media)
	if !declared {
		schema = r.successSchema(a.call.op)
	}
	return schema, schema != nil
}

var undeclaredField = Attack{
	Rule: finding.Rule{ID: "undeclared-field", Title: "Answers hold fields that the document does not declare", Severity: finding.High, CWE: []int{213, 200},
		OWASP2019: []string{"API3"}, OWASP2023: []string{"API3"}, Controls: ids("expose.minimal-fields", "validate.response", "expose.classification"),
		Why: "What the store has beside what was meant to be shown goes to every caller: passwords, notes, internal numbers.",
		Fix: "Answer with the declared members only, named one by one; never with the whole row."},
	detect: func(r *run, a *answer) (bool, []string) {
		schema, applies := r.success(a)
		if !applies {
			return false, nil
		}
		var faults []string
		r.gen.members(schema, a.json, func(m member) {
			if len(m.known) == 0 && m.value != nil && !open(m.owner, m.name) && !slices.Contains(faults, m.pointer) {
				faults = append(faults, m.pointer)
			}
		})
		return true, faults
	},
}

// extension returns x-portreeve of what may describe a member.
func extension(known []*tree.Node) *tree.Node { return keyword(known, "x-portreeve") }

var forbiddenField = Attack{
	Rule: finding.Rule{ID: "forbidden-field", Title: "A role sees fields that it has no permission for", Severity: finding.High, CWE: []int{213, 863},
		OWASP2019: []string{"API3"}, OWASP2023: []string{"API3"}, Controls: ids("expose.field-permissions", "expose.minimal-fields"),
		Why: "Whoever may read a record at all reads its sensitive fields too.",
		Fix: "Decide field by field: leave out each one that the caller's permissions do not cover."},
	each: func(t *trial) result {
		op := t.op
		switch {
		case !t.annotated(op, "permission") && !t.annotated(op, "mask"):
			return skipped("the document gives its fields no permissions")
		case t.policy == nil:
			return withheld("no configuration says which role may see what (--config)")
		}
		if !t.again {
			t.look(op)
		}
		return t.detected()
	},
	detect: func(r *run, a *answer) (bool, []string) {
		schema, applies := r.success(a)
		p := a.call.as.who
		if !applies || r.policy == nil || p == nil || a.call.as.kind == nothing || p.Role == "" {
			return false, nil
		}
		var faults []string
		r.gen.members(schema, a.json, func(m member) {
			x := extension(m.known)
			permission := x.Get("permission").Str()
			if m.value == nil || permission == "" || r.grants(p, permission) != no {
				return
			}
			if x.Get("owner_may").True() && r.perhapsOwn(a, m.of, p) {
				return
			}
			if f := fmt.Sprintf("%s to %s (%s)", m.pointer, p.Role, permission); !slices.Contains(faults, f) {
				faults = append(faults, f)
			}
		})
		return true, faults
	},
}

// annotated reports whether a success of the operation has fields with that member of x-portreeve.
func (t *trial) annotated(op *operation, name string) bool {
	return t.describes(t.successSchema(op), func(n *tree.Node) bool { return n.Get("x-portreeve").Get(name) != nil }, 0)
}

func (t *trial) describes(n *tree.Node, is func(*tree.Node) bool, depth int) bool {
	if n == nil || depth > 6 {
		return false
	}
	for _, p := range t.gen.every(n) {
		if is(p) || t.describes(p.Get("items"), is, depth+1) {
			return true
		}
		if ps := p.Get("properties"); ps != nil {
			for _, m := range ps.Members {
				if t.describes(m.Value, is, depth+1) {
					return true
				}
			}
		}
	}
	return false
}

// look lets each role read another's object, or the list.
func (t *trial) look(op *operation) {
	if !op.safe() {
		return // what writes answer was seen already
	}
	roles := map[string]bool{}
	for _, p := range t.people {
		if roles[p.Role] || t.may(p, op) == no {
			continue
		}
		roles[p.Role] = true
		c := t.fresh(op).by(as(p))
		if o := op.Ext.Object; o != nil && o.Access == "fields" {
			if in, name, ok := requestExpression(o.Owner); ok {
				for _, other := range t.people {
					if other != p && other.UserID != "" {
						c = c.with(in, name, other.UserID)
						break
					}
				}
			}
		}
		t.send(c)
	}
}

// perhapsOwn reports whether an object may be the caller's own, of which owners see more.
func (r *run) perhapsOwn(a *answer, of map[string]any, p *person) bool {
	if p.UserID == "" {
		return true
	}
	if rule := a.call.op.Ext.Object; rule != nil {
		if in, name, ok := requestExpression(rule.Owner); ok {
			return text(a.call.params[paramKey(in, name)]) == p.UserID
		}
		if path, ok := strings.CutPrefix(rule.Owner, "$response.body#"); ok {
			v, there := pointer(a.json, path)
			return there && text(v) == p.UserID
		}
	}
	for _, name := range []string{r.itemParam(a.call.op.Path), "id", "user_id", "owner_id", "userId", "ownerId"} {
		if v, ok := of[name]; ok && text(v) == p.UserID {
			return true
		}
	}
	return false
}

var unmaskedField = Attack{
	Rule: finding.Rule{ID: "unmasked-field", Title: "A value leaves whole that the document says is masked", Severity: finding.High, CWE: []int{359, 200},
		OWASP2019: []string{"API3"}, OWASP2023: []string{"API3"}, Controls: ids("expose.masking", "data.pan-masked"),
		Why: "A whole card number or telephone number where its last digits would do.",
		Fix: "Mask on the server, by the caller's permission; of cards show no more than the last four digits (PCI DSS 3.4.1)."},
	detect: func(r *run, a *answer) (bool, []string) {
		schema, applies := r.success(a)
		p := a.call.as.who
		if !applies {
			return false, nil
		}
		seen := false
		var faults []string
		r.gen.members(schema, a.json, func(m member) {
			x := extension(m.known)
			value, isText := m.value.(string)
			if x.Get("mask") == nil || !isText || value == "" {
				return
			}
			if permission := x.Get("unmask").Str(); permission != "" && p != nil && r.grants(p, permission) != no {
				return
			}
			seen = true
			if !masked(value) && !slices.Contains(faults, m.pointer) {
				faults = append(faults, m.pointer)
			}
		})
		return seen, faults
	},
}

// masked reports whether most of a value is hidden: a masking character, and at most four letters or digits beside a domain.
func masked(v string) bool {
	local, _, _ := strings.Cut(v, "@")
	bare := strings.IndexFunc(local, func(c rune) bool { return strings.ContainsRune("*•×█…", c) }) < 0
	count := 0
	for _, c := range local {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			count++
		}
	}
	return count <= 4 && (!bare || count == 0)
}

var secretField = Attack{
	Rule: finding.Rule{ID: "secret-field", Title: "A field leaves that the document calls secret", Severity: finding.High, CWE: []int{200, 522},
		OWASP2019: []string{"API3"}, OWASP2023: []string{"API3"}, Controls: ids("expose.classification", "expose.minimal-fields"),
		Why: "Card codes, password hashes and home-made tokens reach clients that never need them.",
		Fix: "Never select secret fields for an answer; keep card codes nowhere at all (PCI DSS 3.3.1)."},
	detect: func(r *run, a *answer) (bool, []string) {
		schema, applies := r.success(a)
		if !applies {
			return false, nil
		}
		var faults []string
		declared := false
		r.gen.members(schema, a.json, func(m member) {
			declared = true
			if extension(m.known).Get("class").Str() == "secret" && m.value != nil && !slices.Contains(faults, m.pointer) {
				faults = append(faults, m.pointer)
			}
		})
		return declared, faults
	},
}
