package lint

import (
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/spec"
)

// variables are the whole segments of a path that are one variable.
func variables(path string) []string {
	var out []string
	for seg := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(seg, "{"); ok && strings.HasSuffix(name, "}") {
			out = append(out, strings.TrimSuffix(name, "}"))
		}
	}
	return out
}

// names of variables that choose how something is said, not which.
var manners = []string{"version", "lang", "language", "locale", "format", "region", "currency", "country", "unit", "year", "month", "day", "date", "extension"}

// ids are the schemas of an operation's parameters that name an object: variables of the path, and those of the query that
// name a person.
func (s *search) ids(op *spec.Operation) []*schema {
	var out []*schema
	vars := variables(op.Path)
	w := &schemaWalk{d: s.Document}
	for i := range op.Parameters {
		p := &op.Parameters[i]
		inPath := p.In == "path" && slices.Contains(vars, p.Name) && !has(p.Name, manners...)
		inQuery := p.In == "query" && ends(p.Name, "user id", "owner id", "account id", "customer id", "userid", "accountid", "ownerid", "customerid")
		if !inPath && !inQuery {
			continue
		}
		x := &schema{at: p.Schema, name: p.Name, op: op, param: p}
		if p.Schema == "" || s.Document.Node(p.Schema) == nil {
			continue
		}
		x.own = s.Document.Node(p.Schema)
		x.n, x.pointer = w.follow(x.own, p.Schema)
		if !x.closed() {
			out = append(out, x)
		}
	}
	return out
}

// unbound are the identifiers of an operation's path and query that no rule holds, as the plan counts them. Those of its
// body are counted there alone: what a body names need not be somebody's.
func unbound(s *search, op *spec.Operation) []string {
	var out []string
	for _, id := range compile.Identifiers(s.Document, op) {
		if id.State == plan.Unbound && !strings.HasPrefix(id.Expression, "$request.body") {
			out = append(out, id.Expression)
		}
	}
	return out
}

func objectUnbound(s *search) {
	for _, op := range s.Document.Operations {
		if s.public(op) {
			continue // open to everybody, and reported as that
		}
		ids := s.ids(op)
		if len(ids) == 0 {
			continue
		}
		s.look()
		open := unbound(s, op)
		f := found{at: op.At, pointer: op.Pointer, op: op}
		if op.Ext.Object != nil || len(op.Ext.References) > 0 {
			if len(open) > 0 { // some of what it names is held, the rest is not
				f.severity, f.key = finding.Medium, strings.Join(open, " ")
				s.find(f, "%s looks like the id of an object, and nothing holds it against the caller: name it under references, within or exempt", strings.Join(open, ", "))
			}
			continue
		}
		if len(open) == 0 {
			continue // exempt, with a reason
		}
		id := ids[len(ids)-1].name
		if i := slices.IndexFunc(ids, func(x *schema) bool { return x.param.In == "path" }); i < 0 {
			f.severity = finding.Medium
			s.find(f, "%q chooses whose objects are meant, and nothing says that it must be the caller's", id)
			continue
		}
		switch {
		case op.Ext.MFA && op.Ext.Permission != "": // for administrators, each act proven anew
			f.severity = finding.Low
			s.find(f, "%q names an object, and nothing says whose it is: whoever has %q, with two factors, reaches every one", id, op.Ext.Permission)
		case op.Ext.Permission != "":
			f.severity = finding.Medium
			s.find(f, "%q names an object, and nothing says whose it is: whoever has %q reaches every one", id, op.Ext.Permission)
		default:
			s.find(f, "%q names an object, and nothing says whose it is: every caller reaches every one", id)
		}
	}
}

func idSequential(s *search) {
	for _, op := range s.Document.Operations {
		for _, id := range s.ids(op) {
			s.look()
			if id.is("integer") && op.Ext.Object == nil && !s.public(op) {
				s.find(found{at: id.param.At, pointer: id.param.Pointer, op: op, key: id.name}, "%q is a whole number that can be counted up, and no ownership rule stands behind it", id.name)
			}
		}
	}
}

// objectWeak names operations that are decided by a look before the act.
func objectWeak(s *search) {
	for _, op := range s.Document.Operations {
		for _, o := range append(slices.Clone(op.Ext.References), op.Ext.Object) {
			if o == nil || o.Source == "" {
				continue
			}
			s.look()
			if plan.ObjectSource(o.Source).Weak() {
				s.find(found{at: o.At, pointer: op.Pointer, op: op, key: o.Type}, "whose the %s is, is read before and acted upon afterwards (source %s): it may change hands in between", o.Type, o.Source)
			}
		}
	}
}

// Identifiers counts what of the document's requests looks like an object's id.
func (s *Subject) Identifiers() (c plan.Coverage) {
	if s.Document == nil {
		return c
	}
	for _, op := range s.Document.Operations {
		for _, id := range compile.Identifiers(s.Document, op) {
			switch id.State {
			case plan.Bound:
				c.Bound++
			case plan.Exempt:
				c.Exempt++
			default:
				c.Unbound++
			}
		}
	}
	return c
}
