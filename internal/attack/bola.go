package attack

import (
	"fmt"
	"net/http"
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
	var got, kept []string
	var proofs []finding.Exchange
	asked, sure := 0, true
	roles := map[string]bool{}
	for _, p := range t.people {
		lawful := no
		if rule.Unless != "" {
			lawful = t.grants(p, rule.Unless)
		}
		if p.UserID == "" || lawful == yes || t.may(p, op) == no || p.Role != "" && roles[p.Role] {
			continue
		}
		s := t.another(known, p)
		if s == nil {
			continue
		}
		roles[p.Role] = true
		if s.read == nil && s.whose != nil {
			if a := t.send(s.call.by(as(s.whose))); t.served(op, a) && len(a.body) > 4 {
				s.read = a
			}
		}
		if s.read == nil {
			continue
		}
		asked++
		a := t.send(s.call.by(as(p)))
		switch {
		case t.served(op, a) && t.isOf(rule.Owner, s, a):
			got = append(got, p.Name)
			sure = sure && lawful == no
			proofs = append(proofs, t.proof(fmt.Sprintf("as %s, whose user id is %s: it is %s's", p.Name, p.UserID, s.owner), a))
		case a.hidden() || t.served(op, a):
			kept = append(kept, p.Name)
		}
	}
	switch {
	case asked == 0:
		return undecided("no identity with a user id can be asked for an object that is not its own")
	case len(got) > 0 && (sure || len(kept) == 0 && len(got) > 1):
		return found(strings.Join(got, ", ")+" read what is another's", proofs[:min(2, len(proofs))]...)
	case len(got) > 0 && len(kept) == 0:
		return undecided("whether %s may read everybody's (%s) is not known: give --config", got[0], rule.Unless)
	case len(got)+len(kept) < asked && len(kept) == 0:
		return undecided("the answers are neither success nor refusal")
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
	o := t.own(op.collection, maker, false)
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
		asked := 0
		for _, p := range t.people {
			lawful := no
			if rule.Unless != "" {
				lawful = t.grants(p, rule.Unless)
			}
			if p.UserID == "" || lawful != no || t.may(p, op) == no {
				continue
			}
			if asked++; asked > 2 {
				break
			}
			a := t.send(t.fresh(op).without(in, name).by(as(p)))
			if !t.served(op, a) {
				continue
			}
			for _, item := range list(a.json) {
				if v, there := item[name]; there && v != nil && text(v) != p.UserID {
					return found(fmt.Sprintf("without %s %s gets what is of %s", name, p.Name, text(v)), t.proof("as "+p.Name+", whose user id is "+p.UserID, a))
				}
			}
		}
		if asked == 0 {
			return undecided("no identity surely may not see everybody's: give --config")
		}
		return passed()
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
		asked := 0
		roles := map[string]bool{}
		last := passed()
		for _, p := range t.people {
			lawful := no
			if rule.Unless != "" {
				lawful = t.grants(p, rule.Unless)
			}
			if lawful != no || t.may(p, op) == no || p.Role != "" && roles[p.Role] {
				continue
			}
			roles[p.Role] = true
			asked++
			c := t.fresh(op)
			if c == nil {
				return undecided("there is no object of ours to try it on")
			}
			if c.object == nil || p.UserID != "" && text(c.object.id) == p.UserID || rule.Unless == "" && c.object.maker == p {
				continue
			}
			res := judgeWrite(t.write(c, as(p), "as "+p.Name+", who does not own it"), p.Name+" changes what is another's")
			if res.verdict != finding.Passed {
				return res
			}
			last = res
		}
		if asked == 0 {
			return undecided("no identity surely may not write everybody's: give --config and identities of other roles")
		}
		return last
	},
}

// writeMade judges by who made the object in this run.
func (t *trial) writeMade() result {
	op := t.op
	creator := t.creator(op.collection)
	if creator == nil {
		return withheld("nobody knows whose the objects are: the document does not say (x-portreeve.object), and none can be made")
	}
	if t.policy != nil && len(op.needs) > 0 && op.Ext.Permission != "" {
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
