package attack

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
)

var bolaRead = Attack{
	Rule: finding.Rule{ID: "bola-read", Title: "A caller reads an object that is another's", Severity: finding.High, CWE: []int{639, 284},
		OWASP2019: []string{"API1"}, OWASP2023: []string{"API1"}, Controls: ids("authz.object", "authz.least-privilege"),
		Why: "By changing an id in the request, any customer reads every other customer's data.",
		Fix: "Compare the object's owner with the caller on every access, and answer 404 to everybody else."},
	each: func(t *trial) result {
		op := t.op
		rule := op.Ext.Object
		switch {
		case !op.safe():
			return skipped("it does not read: see bola-write")
		case rule != nil && rule.Owner != "" && rule.Access == "fields":
			return skipped("the document lets everybody read it; ownership only shows more fields")
		case rule != nil && rule.Owner != "":
			return t.readOthers()
		case op.collection == "":
			return withheld("it names no single object, and the document no owner (x-portreeve.object)")
		case op.public:
			return skipped("it is public")
		}
		return t.readMade()
	},
}

// readOthers judges by the document's own rule of whose an object is.
func (t *trial) readOthers() result {
	op, rule := t.op, t.op.Ext.Object
	_, _, chosen := requestExpression(rule.ID)
	if _, _, byRequest := requestExpression(rule.Owner); !chosen && !byRequest {
		return skipped("the caller cannot choose the object")
	}
	known := t.specimens(op)
	if len(known) == 0 {
		return undecided("no object of a known owner was found")
	}
	var w weighing
	for _, p := range t.strangers(op) {
		s := t.another(known, p)
		if p.UserID == "" || s == nil {
			continue
		}
		if s.read == nil && s.whose != nil {
			if a := t.send(s.call.by(as(s.whose))); t.served(op, a) && len(a.body) > 4 {
				s.read = a
			}
		}
		if s.read == nil {
			continue
		}
		a := t.send(s.call.by(as(p)))
		switch {
		case t.served(op, a) && t.isOf(rule.Owner, s, a):
			w.add(true, p, t.lawful(p, op), t.proof(fmt.Sprintf("as %s, whose user id is %s: it is %s's", p.Name, p.UserID, s.owner), a))
		case a.hidden() || t.served(op, a):
			w.add(false, p, t.lawful(p, op))
		}
	}
	return w.result(rule.Unless, "%s read what is another's")
}

// lawful reports whether somebody may go at everybody's objects.
func (t *trial) lawful(p *person, op *operation) knowledge {
	if op.Ext.Object.Unless == "" {
		return no
	}
	return t.grants(p, op.Ext.Object.Unless)
}

// strangers are who may call an operation on their own objects and perhaps not on others', one of each role. None of them is
// an owner.
func (t *trial) strangers(op *operation, owners ...*person) []*person {
	var out []*person
	roles := map[string]bool{}
	for _, p := range t.people {
		if slices.Contains(owners, p) || t.lawful(p, op) == yes || t.may(p, op) == no || p.Role != "" && roles[p.Role] {
			continue
		}
		roles[p.Role] = true
		out = append(out, p)
	}
	return out
}

// weighing holds who got at an object that is another's, and who did not. Where nobody says who may, the difference tells:
// if some are kept out, whoever got in was meant to.
type weighing struct {
	got, kept []string
	sure      bool // somebody got it who surely may not
	proof     []finding.Exchange
}

func (w *weighing) add(got bool, p *person, lawful knowledge, proof ...finding.Exchange) {
	if !got {
		w.kept = append(w.kept, p.Name)
		return
	}
	w.got = append(w.got, p.Name)
	w.sure = w.sure || lawful == no
	w.proof = append(w.proof, proof...)
}

// result speaks; %s of the message are who got it.
func (w *weighing) result(unless, message string) result {
	switch {
	case len(w.got)+len(w.kept) == 0:
		return undecided("no identity with a user id can be asked for an object that is not its own")
	case w.sure, len(w.kept) == 0 && len(w.got) > 1:
		return found(fmt.Sprintf(message, strings.Join(w.got, ", ")), w.proof[:min(3, len(w.proof))]...)
	case len(w.got) > 0 && len(w.kept) == 0:
		return undecided("whether %s may (%s) is not known: give --config", w.got[0], unless)
	case len(w.got) > 0:
		return passedBecause("%s may and %s may not, it seems; --config would tell", strings.Join(w.got, ", "), strings.Join(w.kept, ", "))
	}
	return passed()
}

// another returns an object that is not p's, one of our own people's if there is one.
func (t *trial) another(known []*specimen, p *person) *specimen {
	var found *specimen
	for _, s := range known {
		if s.owner == p.UserID {
			continue
		}
		if s.whose != nil {
			return s
		}
		found = s
	}
	return found
}

// isOf reports whether an answer shows the specimen itself.
func (t *trial) isOf(owner string, s *specimen, a *answer) bool {
	if path, ok := strings.CutPrefix(owner, "$response.body#"); ok {
		v, there := pointer(a.json, path)
		return there && text(v) == s.owner
	}
	items := list(a.json)
	return a.plain() == s.read.plain() && (len(items) > 0 || typeOf(a.json) == "object")
}

// readMade judges by who made the object in this run.
func (t *trial) readMade() result {
	op := t.op
	creator := t.creator(op.collection)
	if creator == nil {
		return withheld("nobody knows whose the objects are: the document does not say (x-portreeve.object), and none can be made")
	}
	maker, other, why := t.pair(creator, op)
	if maker == nil {
		return undecided("%s", why)
	}
	o := t.own(op.collection, maker, true)
	if o == nil || o.maker != maker {
		return undecided("%s could not make an object", maker.Name)
	}
	c := t.bare(op, maker)
	for k, v := range o.parents {
		c.params[k] = v
	}
	c.params[paramKey("path", op.itemParam)] = o.id
	valid := t.send(c)
	none := t.send(c.by(credential{}))
	switch {
	case !t.served(op, valid) || !showsAny(valid, nil, words(o.sent)):
		return undecided("%s does not get back what it made", maker.Name)
	case t.served(op, none):
		return withheld("everybody may read it without a credential: see missing-credential")
	}
	a := t.send(c.by(as(other)))
	switch {
	case t.served(op, a) && showsAny(a, nil, words(o.sent)):
		if all := t.on(http.MethodGet, op.collection); all != nil && all.reached {
			if l := t.send(t.fresh(all).by(as(other))); showsAny(l, nil, words(o.sent)) {
				return undecided("the collection shows it to %s too: say whose objects are with x-portreeve.object", other.Name)
			}
		}
		return found(fmt.Sprintf("%s reads what %s made", other.Name, maker.Name), t.proof("as "+maker.Name+", who made it", valid), t.proof("without a credential", none), t.proof("as "+other.Name, a))
	case a.hidden(), t.served(op, a):
		return passed()
	}
	return undecided("as %s the answer is %d: neither success nor refusal", other.Name, a.status)
}

// pair returns two identities of one role, of whom the first may make objects and the second may call the operation.
func (t *trial) pair(creator, op *operation) (maker, other *person, why string) {
	for _, m := range t.callers(creator) {
		for _, o := range t.people {
			if m != nil && o != m && o.Role == m.Role && t.may(o, op) != no {
				return m, o, ""
			}
		}
	}
	return nil, nil, "it takes two identities of one role, of whom one may make objects"
}

var bolaList = Attack{
	Rule: finding.Rule{ID: "bola-list", Title: "A list shows objects that are others'", Severity: finding.High, CWE: []int{639, 200},
		OWASP2019: []string{"API1"}, OWASP2023: []string{"API1"}, Controls: ids("authz.object"),
		Why: "Without the filter that the caller was expected to send, the list is everybody's.",
		Fix: "Take the filter from who is calling, not from the request; refuse a list that the caller may not see whole."},
	each: func(t *trial) result {
		op, rule := t.op, t.op.Ext.Object
		if !op.safe() || rule == nil || rule.Owner == "" {
			return skipped("the document names no owner in the request (x-portreeve.object)")
		}
		in, name, ok := requestExpression(rule.Owner)
		q := op.parameter(in, name)
		if !ok || q == nil || q.Required || in == "path" {
			return skipped("the owner is not an optional parameter")
		}
		var w weighing
		for _, p := range t.strangers(op) {
			if len(w.got) > 1 && w.sure {
				break
			}
			a := t.send(t.fresh(op).without(in, name).by(as(p)))
			other := ""
			for _, item := range list(a.json) {
				if v := text(item[name]); other == "" && v != "" && v != p.UserID {
					other = v
				}
			}
			switch {
			case t.served(op, a) && other != "":
				w.add(true, p, t.lawful(p, op), t.proof(fmt.Sprintf("as %s, whose user id is %s, without %s: some is of %s", p.Name, p.UserID, name, other), a))
			case a.hidden() || t.served(op, a):
				w.add(false, p, t.lawful(p, op))
			}
		}
		return w.result(rule.Unless, "without "+name+" %s read what is another's")
	},
}

var bolaWrite = Attack{
	Rule: finding.Rule{ID: "bola-write", Title: "A caller changes an object that is another's", Severity: finding.Critical, CWE: []int{639, 284},
		OWASP2019: []string{"API1"}, OWASP2023: []string{"API1"}, Controls: ids("authz.object"),
		Why: "By changing an id in the request, any customer changes or removes what is another's.",
		Fix: "Compare the object's owner with the caller before it is changed, and answer 404 to everybody else."},
	each: func(t *trial) result {
		op, rule := t.op, t.op.Ext.Object
		switch {
		case op.safe() || op.collection == "":
			return skipped("it changes no single object")
		case op.public:
			return skipped("it is public")
		}
		if rule == nil || rule.Owner == "" {
			return t.writeMade()
		}
		var w weighing
		mine := t.fresh(op)
		if mine == nil || mine.object == nil {
			return undecided("there is no object of ours to try it on")
		}
		for _, p := range t.strangers(op, mine.object.maker) {
			c := t.fresh(op)
			_, _, byID := requestExpression(rule.Owner) // the object's id is its owner's
			if c == nil || c.object == nil || byID && text(c.object.id) == p.UserID || c.object.maker == p {
				continue
			}
			tried := t.write(c, as(p), "as "+p.Name+", who does not own it")
			switch res := judgeWrite(tried, ""); res.verdict {
			case finding.Failed:
				w.add(true, p, t.lawful(p, op), res.proof...)
			case finding.Passed:
				w.add(false, p, t.lawful(p, op))
			}
		}
		return w.result(rule.Unless, "%s change what is another's")
	},
}

// writeMade judges by who made the object in this run.
func (t *trial) writeMade() result {
	op := t.op
	creator := t.creator(op.collection)
	if creator == nil {
		return withheld("nobody knows whose the objects are: the document does not say (x-portreeve.object), and none can be made")
	}
	if op.Ext.Permission != "" {
		return skipped("a permission decides about it, and the document names no owner: see bfla-role")
	}
	maker, other, why := t.pair(creator, op)
	if maker == nil {
		return undecided("%s", why)
	}
	if o := t.own(op.collection, maker, true); o == nil || o.maker != maker {
		return undecided("%s could not make an object", maker.Name)
	}
	c := t.fresh(op)
	if c == nil || c.object == nil || c.object.maker == other {
		return undecided("there is no object of %s to try it on", maker.Name)
	}
	none := t.write(c, credential{}, "without a credential")
	if none.changed == yes {
		return withheld("everybody may change it without a credential: see missing-credential")
	}
	return judgeWrite(t.write(c, as(other), fmt.Sprintf("as %s, while %s made it", other.Name, c.object.maker.Name)), fmt.Sprintf("%s changes what %s made", other.Name, c.object.maker.Name))
}
