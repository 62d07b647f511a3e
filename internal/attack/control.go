package attack

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
)

// legs are the controls of an operation: what a valid call, one without a credential and one with garbage get. Without
// them an attack that is answered proves nothing.
type legs struct {
	valid, none, garbage *answer
}

const garbageToken = "garbage.garbage.garbage"

// legs makes the control calls, once for each operation that only reads.
func (t *trial) legs(op *operation) *legs {
	if op.control == nil || t.again {
		c := t.fresh(op)
		l := &legs{valid: op.baseline}
		if t.again {
			l.valid = t.send(c)
		}
		l.none = t.send(c.by(credential{}))
		op.control = l
	}
	return op.control
}

// garbage makes the garbage leg, which costs one wrong credential.
func (t *trial) garbage(op *operation) *answer {
	l := t.legs(op)
	if l.garbage == nil || t.again {
		l.garbage = t.send(t.fresh(op).by(t.garbageFor(op)))
	}
	return l.garbage
}

func (t *trial) garbageFor(op *operation) credential {
	if op.token {
		return credential{kind: tokenOnly, value: garbageToken}
	}
	return credential{kind: keyOnly, value: "garbage-" + t.gen.canary()}
}

// served reports whether an answer is the operation's own success, and not something said to everybody.
func (t *trial) served(op *operation, a *answer) bool { return a.ok() && t.unlike(op, a) == "" }

// attempt is a write with what its maker saw before and after.
type write struct {
	answer  *answer
	changed knowledge
	proof   []finding.Exchange
}

// tryWrite makes a write with a credential and asks, as who made the object, whether anything came of it: a status alone
// proves neither.
func (t *trial) tryWrite(op *operation, cr credential, note string) write {
	c := t.fresh(op)
	if c == nil {
		return write{answer: &answer{call: t.bare(op, nil), err: fmt.Errorf("there is no object of ours to try it on")}}
	}
	return t.write(c, cr, note)
}

func (t *trial) write(c *call, cr credential, note string) write {
	op := c.op
	if op.creates() {
		return t.create(c, cr, note)
	}
	read := t.item(http.MethodGet, op.collection)
	if c.object == nil || read == nil || !read.reached {
		a := t.send(c.by(cr))
		w := write{answer: a, proof: []finding.Exchange{t.proof(note, a)}}
		if a.refused() {
			w.changed = no
		}
		return w
	}
	reader := c.object.maker
	if t.may(reader, read) == no {
		reader = read.caller
	}
	if list := t.callers(read); op.Method == http.MethodDelete && len(list) > 0 && t.policy != nil && read.Ext.Object == nil {
		reader = list[0] // whether it is there at all anybody sees; who made it has enough to do
	}
	look := t.bare(read, reader)
	for k, v := range c.params {
		look.params[k] = v
	}
	look.params[paramKey("path", read.itemParam)] = c.object.id
	before := t.send(look)
	a := t.send(c.by(cr))
	after := t.send(look)
	w := write{answer: a, proof: []finding.Exchange{t.proof("before: "+whose(look.as)+" reads it", before), t.proof(note, a), t.proof("after: "+whose(look.as)+" reads it again", after)}}
	switch {
	case before.err != nil || after.err != nil || !before.ok():
	case op.Method == http.MethodDelete:
		switch {
		case after.status == http.StatusNotFound || after.status == http.StatusGone:
			w.changed, c.object.gone = yes, true
		case after.ok():
			w.changed = no
		}
	case after.ok():
		w.changed = no
		if before.plain() != after.plain() && showsAny(after, before, words(c.body)) {
			w.changed = yes
		}
	}
	return w
}

func whose(cr credential) string {
	if cr.who == nil {
		return "nobody"
	}
	return cr.who.Name
}

// create is write for what makes a new object.
func (t *trial) create(c *call, cr credential, note string) write {
	op := c.op
	a := t.send(c.by(cr))
	w := write{answer: a, proof: []finding.Exchange{t.proof(note, a)}}
	if !a.ok() {
		if a.refused() {
			w.changed = no
		}
		return w
	}
	o := t.keep(op, cr.who, a)
	read := t.item(http.MethodGet, op.Path)
	if o == nil || read == nil || !read.reached {
		if showsAny(a, nil, words(c.body)) && a.status == http.StatusCreated {
			w.changed = yes
		}
		return w
	}
	for _, reader := range t.callers(read)[:min(3, len(t.callers(read)))] {
		look := t.bare(read, reader)
		for k, v := range o.parents {
			look.params[k] = v
		}
		look.params[paramKey("path", read.itemParam)] = o.id
		seen := t.run.send(look)
		if seen.ok() {
			w.changed = yes
			w.proof = append(w.proof, t.proof("and it is there: "+whose(look.as)+" reads it", seen))
			return w
		}
	}
	if showsAny(a, nil, words(c.body)) && a.status == http.StatusCreated {
		w.changed = yes
	}
	return w
}

// words are the values of a body that nobody else writes.
func words(v any) []string {
	var out []string
	switch t := v.(type) {
	case string:
		if len(t) >= 6 {
			out = append(out, t)
		}
	case map[string]any:
		for _, inner := range t {
			out = append(out, words(inner)...)
		}
	case []any:
		for _, inner := range t {
			out = append(out, words(inner)...)
		}
	}
	slices.Sort(out)
	return out
}

// showsAny reports whether an answer holds one of the words and another does not.
func showsAny(a, not *answer, list []string) bool {
	return slices.ContainsFunc(list, func(w string) bool { return a.shows(w) && (not == nil || !not.shows(w)) })
}

// specimens are objects of an operation whose owner is known by the rule in the document.
func (t *trial) specimens(op *operation) []*specimen {
	rule := op.Ext.Object
	if op.searched || rule == nil || rule.Owner == "" {
		return op.found
	}
	op.searched = true
	base := t.fresh(op)
	if base == nil {
		return nil
	}
	base.as = credential{}
	if in, name, ok := requestExpression(rule.Owner); ok {
		for _, p := range t.people {
			if p.UserID != "" {
				op.found = append(op.found, &specimen{call: base.with(in, name, p.UserID), owner: p.UserID, whose: p})
			}
		}
		return op.found
	}
	path, ok := strings.CutPrefix(rule.Owner, "$response.body#")
	in, name, byID := requestExpression(rule.ID)
	if !ok || !byID {
		return nil
	}
	q := op.parameter(in, name)
	if q == nil {
		return nil
	}
	prefix, _, _ := strings.Cut(op.Path, "/{"+name+"}")
	candidates := slices.Concat(t.pool[prefix], t.guesses(q))
	for _, o := range t.made {
		if o.collection == prefix && !o.gone {
			candidates = append(candidates, o.id)
		}
	}
	var tried []string
	owners := map[string]int{}
	for _, id := range candidates {
		if slices.Contains(tried, text(id)) || len(tried) >= 12 || len(owners) >= 3 {
			continue
		}
		tried = append(tried, text(id))
		c := base.with(in, name, id)
		for _, p := range t.readers(op) {
			a := t.run.send(c.by(as(p)))
			if !t.served(op, a) {
				continue
			}
			v, there := pointer(a.json, path)
			if !there || v == nil {
				break
			}
			s := &specimen{call: c, owner: text(v), read: a}
			for _, o := range t.people {
				if o.UserID == s.owner {
					s.whose = o
				}
			}
			if owners[s.owner]++; owners[s.owner] == 1 {
				op.found = append(op.found, s)
			}
			break
		}
	}
	return op.found
}

// readers are who may read any object of an operation, or, if nobody surely may, everybody in turn.
func (t *trial) readers(op *operation) []*person {
	var all, others []*person
	for _, p := range t.callers(op) {
		if p == nil {
			continue
		}
		if op.Ext.Object.Unless != "" && t.grants(p, op.Ext.Object.Unless) == yes {
			all = append(all, p)
		} else {
			others = append(others, p)
		}
	}
	if len(all) > 0 {
		return all[:1]
	}
	return others
}

// requestExpression reads "$request.path.id".
func requestExpression(s string) (in, name string, ok bool) {
	rest, ok := strings.CutPrefix(s, "$request.")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ".")
}
