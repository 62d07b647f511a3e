package attack

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/tree"
)

var massAssignment = Attack{
	Rule: finding.Rule{ID: "mass-assignment", Title: "A client sets fields that are not its to set", Severity: finding.High, CWE: []int{915},
		OWASP2019: []string{"API6"}, OWASP2023: []string{"API3"}, Controls: ids("validate.write-properties"),
		Why: "A member added to an ordinary request is written to the store: a role, an owner, a salary.",
		Fix: "Copy only the members that the request's schema declares; refuse the rest (additionalProperties: false)."},
	each: func(t *trial) result {
		op := t.op
		if op.safe() || op.body == nil || op.signIn {
			return skipped("it takes no JSON to keep")
		}
		if op.Method == http.MethodDelete {
			return skipped("it keeps nothing")
		}
		declared, rest := t.unwritable(op)
		for _, group := range [][]property{declared, rest} {
			res, taken := t.assign(group)
			for i := 0; !taken && i < min(3, len(group)) && len(group) > 1; i++ { // together they were refused: one by one
				if res.verdict != "" {
					break
				}
				res, _ = t.assign(group[i : i+1])
			}
			if res.verdict != "" {
				return res
			}
		}
		return passed()
	},
}

// assign sends members beside the declared ones. taken says that the request was not refused.
func (t *trial) assign(group []property) (res result, taken bool) {
	if len(group) == 0 {
		return result{}, true
	}
	c := t.fresh(t.op)
	if c == nil {
		return undecided("there is no object of ours to try it on"), false
	}
	if _, ok := c.body.(map[string]any); !ok {
		return skipped("its body is no object"), false
	}
	plain := c
	values := map[string]any{}
	for _, p := range group {
		values[p.name] = t.mark(p.schema)
		c = c.member(p.name, values[p.name])
	}
	a := t.send(c)
	if !a.ok() {
		return result{}, false
	}
	seen, proof, known := t.readBack(c, a)
	var kept []string
	for _, p := range group {
		if holds(seen, p.name, values[p.name]) && !(values[p.name] == true && t.anyway(plain, p.name)) {
			kept = append(kept, p.name)
		}
	}
	switch {
	case len(kept) == 0:
		return result{}, true
	case known:
		return found("the client sets "+strings.Join(kept, ", ")+", and it is kept", proof...), true
	}
	return undecided("%s came back in the answer, and whether it is kept cannot be read", strings.Join(kept, ", ")), true
}

// anyway reports whether a member is true without anybody asking.
func (t *trial) anyway(c *call, name string) bool {
	if c.op.creates() {
		c = t.fresh(c.op)
	}
	if c == nil {
		return true
	}
	a := t.send(c.member(name, false))
	seen, _, _ := t.readBack(c, a)
	return !a.ok() || holds(seen, name, true)
}

// unwritable are members that an object has and a client may not write: first those that answers or readOnly declare, then
// those that APIs like to have.
func (t *trial) unwritable(op *operation) (declared, rest []property) {
	request := properties(t.gen.every(t.gen.at(op.body.Schema)))
	has := func(list []property, name string) bool {
		return slices.ContainsFunc(list, func(p property) bool { return p.name == name })
	}
	scalar := func(n *tree.Node) bool {
		k := kind(t.gen.choice(n))
		return k == "string" || k == "integer" || k == "number" || k == "boolean"
	}
	for _, p := range request {
		if keyword(t.gen.choice(p.schema), "readOnly").True() && scalar(p.schema) && p.name != "id" {
			declared = append(declared, p)
		}
	}
	for _, p := range properties(t.gen.every(t.successSchema(op))) {
		if !has(request, p.name) && !has(declared, p.name) && scalar(p.schema) && p.name != "id" && p.name != op.itemParam {
			declared = append(declared, p)
		}
	}
	for _, name := range []string{"role", "is_admin", "isAdmin", "admin", "verified", "balance", "owner_id", "user_id"} {
		if !has(request, name) && !has(declared, name) {
			rest = append(rest, property{name: name, schema: privileged(name)})
		}
	}
	return declared, rest
}

func privileged(name string) *tree.Node {
	t := "string"
	switch name {
	case "is_admin", "isAdmin", "admin", "verified":
		t = "boolean"
	case "balance", "owner_id", "user_id":
		t = "integer"
	}
	return &tree.Node{Kind: tree.Object, Members: []tree.Member{{Name: "type", Value: &tree.Node{Kind: tree.String, Text: t}}}}
}

// mark is a value that is nowhere by chance; of a boolean there is none.
func (t *trial) mark(schema *tree.Node) any {
	switch kind(t.gen.choice(schema)) {
	case "integer", "number":
		return json.Number(strconv.Itoa(7_000_000 + t.gen.rng.IntN(900_000)))
	case "boolean":
		return true
	}
	return t.gen.canary()
}

// readBack reads what a write left, as somebody who may. known is false where only the write's own answer tells.
func (t *trial) readBack(c *call, a *answer) (seen any, proof []finding.Exchange, known bool) {
	collection := c.op.collection
	id := any(nil)
	parents := map[string]any{}
	if c.op.creates() {
		collection = c.op.Path
		if o := t.keep(c.op, c.as.who, a); o != nil {
			id, parents = o.id, o.parents
		}
	} else if c.op.itemParam != "" {
		id = c.params[paramKey("path", c.op.itemParam)]
		parents = c.params
	}
	proof = []finding.Exchange{t.proof("the write", a)}
	read := t.item(http.MethodGet, collection)
	if read == nil || id == nil || !read.reached {
		return a.json, proof, false
	}
	readers := []*person{c.as.who}
	if read.Ext.Object != nil {
		readers = append(readers, t.readers(read)...) // it may be another's by now
	}
	readers = append(readers, t.callers(read)...)
	for _, p := range readers[:min(4, len(readers))] {
		look := t.bare(read, p)
		for k, v := range parents {
			look.params[k] = v
		}
		look.params[paramKey("path", read.itemParam)] = id
		if l := t.run.send(look); l.ok() {
			return l.json, append(proof, t.proof("read back", l)), true
		}
	}
	return a.json, proof, false
}

// holds reports whether a value has a member of that name and value, at any depth.
func holds(v any, name string, want any) bool {
	switch t := v.(type) {
	case map[string]any:
		if got, ok := t[name]; ok && equal(got, want) {
			return true
		}
		for _, inner := range t {
			if holds(inner, name, want) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(t, func(inner any) bool { return holds(inner, name, want) })
	}
	return false
}
