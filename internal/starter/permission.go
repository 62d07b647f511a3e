package starter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/config"
	"github.com/portreeve/portreeve/internal/spec"
)

var acts = map[string]string{"GET": "read", "HEAD": "read", "OPTIONS": "read", "POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}

// operations proposes each operation's permission. Operations that are one on the wire, or one in the document (a path
// item that several paths refer to), get one.
func (p *Proposal) operations() {
	known := map[string]*Operation{}
	for _, op := range p.doc.Operations {
		o := &Operation{ID: op.ID, Method: op.Method, Path: op.Path, op: op, has: op.Ext.Permission}
		p.Operations = append(p.Operations, o)
		if op.Method == "TRACE" {
			o.remove = true
			continue
		}
		o.Public, o.anonymous = p.open(op)
		var why string
		o.Resource, why = resource(op)
		for _, key := range o.keys() {
			if o.first == nil {
				o.first = known[key]
			}
			known[key] = o
		}
		if first := o.first; first != nil {
			o.Resource, o.Permission, o.Why = first.Resource, first.Permission, "as "+quoted(first.ID)+", the same operation"
			continue
		}
		if o.has == "" && !o.Public && !o.anonymous {
			o.Permission, o.Why = o.Resource+":"+acts[op.Method], "guess: "+why+", and "+op.Method
		}
	}
}

// keys are what makes an operation the same as another: its request on the wire, and its place in the document.
func (o *Operation) keys() []string { return []string{o.Method + " " + o.Path, o.op.Pointer} }

// open reports whether the document lets anybody call the operation, with nothing to show or with the choice.
func (p *Proposal) open(op *spec.Operation) (public, anonymous bool) {
	list := op.Security
	if list == nil {
		list = p.doc.Security
	}
	if list == nil {
		return false, false
	}
	return len(*list) == 0, slices.ContainsFunc(*list, func(r spec.Requirement) bool { return len(r) == 0 })
}

// resource is what an operation is about: its first tag, or the first segment of its path that names something.
func resource(op *spec.Operation) (name, why string) {
	if len(op.Tags) > 0 {
		if s := slug(op.Tags[0]); s != "" {
			return unreserved(s), "from the tag " + quoted(op.Tags[0])
		}
	}
	for segment := range strings.SplitSeq(op.Path, "/") {
		if s := slug(segment); s != "" && !strings.Contains(segment, "{") && !isPrefix(s) {
			return unreserved(s), "from the path " + quoted(segment)
		}
	}
	return "api", "from nothing: neither tag nor path names a resource"
}

// isPrefix recognises segments that say which API, not what of it.
func isPrefix(s string) bool {
	return s == "api" || s == "apis" || s == "rest" || len(s) <= 3 && strings.HasPrefix(s, "v") && strings.Trim(s[1:], "0123456789") == ""
}

// unreserved keeps away from the gate's own permissions, portreeve:….
func unreserved(s string) string {
	if s == "portreeve" {
		return "portreeve-api"
	}
	return s
}

// roles spells out all that is asked for: admin has everything, readonly what reads.
func (p *Proposal) roles() {
	all, read := newGrants(), newGrants()
	for _, op := range p.Operations {
		if op.remove {
			continue
		}
		if perm := op.asked(); perm != "" && p.grantable(perm) {
			all.add(perm, op)
			if op.reads() {
				read.add(perm, op)
			}
		}
		for _, scope := range p.scopes(op.op) {
			if !p.grantable(scope) {
				continue
			}
			all.say(scope, "a scope the document asks for")
			if op.reads() {
				read.say(scope, "a scope the document asks for where it reads")
			}
		}
		if op.Object != nil && op.Object.Active {
			all.say(op.Object.Unless, "passes without owning the object")
		}
		if x := op.op.Ext.Object; x != nil && x.Unless != "" && p.grantable(x.Unless) {
			all.say(x.Unless, "passes without owning the object, as the document says")
		}
	}
	for _, f := range p.Fields {
		for _, perm := range []string{f.Permission, f.Unmask} {
			if f.Active && perm != "" {
				all.say(perm, "the field "+quoted(f.Name))
			}
		}
	}
	p.Roles = []Role{
		{"admin", "everything that this file and the overlay ask for, spelled out", all.list()},
		{"readonly", "what reads, without fields that need a permission of their own and without other people's objects", read.list()},
	}
}

// grantable reports whether a name of the document may stand in a role: as a permission of its own, not as a pattern of
// many, and not as one of the gate's.
func (p *Proposal) grantable(name string) bool {
	if config.Permission(name) && !strings.Contains(name, "*") && name != "portreeve" && !strings.HasPrefix(name, "portreeve:") {
		return true
	}
	decision := fmt.Sprintf("the document asks for %s, which is given to no role: only a credential with that scope passes", quoted(name))
	if !slices.Contains(p.Decisions, decision) {
		p.Decisions = append(p.Decisions, decision)
	}
	return false
}

// scopes are those that any alternative of an operation's security asks for.
func (p *Proposal) scopes(op *spec.Operation) []string {
	list := op.Security
	if list == nil {
		list = p.doc.Security
	}
	var out []string
	if list != nil {
		for _, r := range *list {
			for _, s := range r {
				out = append(out, s.Scopes...)
			}
		}
	}
	return out
}

// grants collects permissions in the order they are met.
type grants struct {
	order []string
	why   map[string]string
	count map[string]int
	first map[string]*Operation
}

func newGrants() *grants {
	return &grants{why: map[string]string{}, count: map[string]int{}, first: map[string]*Operation{}}
}

func (g *grants) add(perm string, op *Operation) {
	if g.count[perm]++; g.count[perm] == 1 {
		g.first[perm] = op
		g.say(perm, "")
	}
}

func (g *grants) say(perm, why string) {
	if _, there := g.why[perm]; !there {
		g.why[perm] = why
		g.order = append(g.order, perm)
	}
}

func (g *grants) list() []Grant {
	out := make([]Grant, 0, len(g.order))
	for _, perm := range g.order {
		why := g.why[perm]
		switch n := g.count[perm]; {
		case n > 1:
			why = fmt.Sprintf("%s and %d more", g.first[perm], n-1)
		case n == 1:
			why = g.first[perm].String()
		}
		out = append(out, Grant{perm, why})
	}
	return out
}
