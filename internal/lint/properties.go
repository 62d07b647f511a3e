package lint

import (
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/starter"
	"github.com/portreeve/portreeve/internal/tree"
)

func requestSchemaMissing(s *search) {
	for _, op := range s.Document.Operations {
		if op.Body == nil {
			continue
		}
		for _, m := range op.Body.Content {
			if !isJSON(m.Type) && m.Type != "application/x-www-form-urlencoded" {
				continue
			}
			s.look()
			if m.Schema == "" || says(s.Document, m.Schema) == nothing {
				s.find(found{at: m.At, pointer: m.Schema, op: op, key: m.Type}, "a request body of %s has no schema: whatever is sent is accepted", m.Type)
			}
		}
	}
}

func responseSchemaMissing(s *search) {
	for _, op := range s.Document.Operations {
		for _, r := range op.Responses {
			if r.Status == "" || r.Status[0] != '2' && r.Status != "default" {
				continue
			}
			for _, m := range r.Content {
				if !isJSON(m.Type) {
					continue
				}
				s.look()
				if m.Schema == "" || says(s.Document, m.Schema) == nothing {
					s.find(found{at: m.At, pointer: m.Schema, op: op, key: r.Status + " " + m.Type}, "the %s answer of %s has no schema: whatever the API returns leaves", r.Status, m.Type)
				}
			}
		}
	}
}

type saying uint8

const (
	something saying = iota
	nothing
)

// says reports whether a schema says anything: {} and true accept every value.
func says(d *spec.Document, pointer string) saying {
	w := &schemaWalk{d: d}
	n, _ := w.follow(d.Node(pointer), pointer)
	if n == nil || n.Kind == tree.Bool && n.Text == "true" {
		return nothing
	}
	for _, m := range n.Members {
		switch {
		case slices.Contains([]string{"title", "description", "example", "examples", "default", "deprecated", "externalDocs", "nullable"}, m.Name):
		case strings.HasPrefix(m.Name, "x-"):
		case m.Name == "type" && m.Value.Str() == "object" && n.Get("properties") == nil && n.Get("additionalProperties") == nil && n.Get("patternProperties") == nil && n.Get("allOf") == nil:
		default:
			return something
		}
	}
	if n.Kind == tree.Bool {
		return something
	}
	return nothing
}

// open reports whether a schema lets every further member in, by saying so.
func open(n *tree.Node) *tree.Node {
	for _, name := range []string{"additionalProperties", "unevaluatedProperties"} {
		x := n.Get(name)
		switch {
		case x == nil:
		case x.True(), x.Kind == tree.Object && len(x.Members) == 0:
			return x
		}
	}
	return nil
}

func schemaOpen(of func(*Subject) []*schema, what string) func(*search) {
	return func(s *search) {
		for _, x := range of(s.Subject) {
			if x.n.Get("properties") == nil { // a plain map is a way to say what it is
				continue
			}
			s.look()
			if o := open(x.n); o != nil {
				s.find(found{at: o.At, pointer: x.pointer, op: x.op}, "%s", what)
			}
		}
	}
}

// Names of what a caller should not choose: anywhere, and about an account.
var (
	privileged = []string{"is admin", "superuser", "is superuser", "is staff", "email verified", "is verified", "is approved", "balance", "owner id", "tenant id", "created by",
		"access level", "account type", "credit limit"}
	privilegedOfAccounts = []string{"role", "roles", "admin", "permission", "permissions", "privilege", "privileges", "verified", "approved", "plan", "credit", "credits", "group ids", "status verified"}
	accounts             = []string{"user", "users", "account", "accounts", "member", "members", "profile", "profiles", "me", "employee", "employees", "customer", "customers", "register", "signup",
		"registration", "person", "people"}
)

func writablePrivileged(s *search) {
	for _, r := range s.requests() {
		if r.name == "" || r.param != nil || r.is("object") || r.n.Get("properties") != nil {
			continue
		}
		s.look()
		about := has(lastSegment(r.op.Path), accounts...)
		if !(ends(r.name, privileged...) || about && ends(r.name, privilegedOfAccounts...)) || len(words(r.name)) > 3 {
			continue
		}
		if r.flag("readOnly") || r.extension("permission") != nil || r.n.Get("const") != nil || r.op.Ext.Permission != "" && r.op.Ext.MFA { // the last is an administrator's act
			continue
		}
		s.find(found{at: s.Document.At(r.at), pointer: r.at, op: r.op, key: r.name}, "callers may write %q of %s: a declared property is not yet an allowed one", r.name, orThe(r.within))
	}
}

func orThe(name string) string {
	if name == "" {
		return "the body"
	}
	return name
}

// classSeverity says how bad it is that a field of a class has none.
var classSeverity = map[string]finding.Severity{"personal": finding.Medium, "sensitive": finding.High, "cardholder": finding.High, "secret": finding.High}

func fieldUnclassified(s *search) {
	p, err := starter.Propose(s.Document, starter.Options{Document: "openapi.yaml"})
	if err != nil {
		return
	}
	leaves := map[string]*schema{}
	for _, a := range s.answers() {
		leaves[a.at] = a
		if a.name != "" {
			s.look()
		}
	}
	comes := map[string]*schema{}
	for _, r := range s.requests() {
		comes[r.at] = r
	}
	for _, f := range p.Fields {
		if !f.Active {
			continue
		}
		x := found{at: s.Document.At(f.Pointer), pointer: f.Pointer, severity: finding.Low, key: f.Name}
		switch a, r := leaves[f.Pointer], comes[f.Pointer]; {
		case a != nil && !a.flag("writeOnly"):
			x.severity, x.op = classSeverity[f.Class], a.op
		case a != nil:
			x.op = a.op
		case r != nil:
			s.look()
			x.op = r.op
		default:
			continue // a schema that no body uses
		}
		why := strings.TrimPrefix(f.Why, "guess: ")
		s.find(x, "%q looks %s and has no class (%s)", f.Name, f.Class, why)
	}
}

func sensitiveUnguarded(s *search) {
	for _, a := range s.answers() {
		class := a.extension("class").Str()
		if class != "sensitive" && class != "cardholder" && class != "personal" || a.flag("writeOnly") {
			continue
		}
		s.look()
		if a.extension("permission") != nil || a.extension("mask") != nil {
			continue
		}
		f := found{at: s.Document.At(a.at), pointer: a.at, op: a.op, key: a.name}
		if class == "personal" {
			s.find(f, "%q is personal, and leaves to whoever may call the operation: it has neither a permission nor a mask", a.name)
			continue
		}
		s.find(f, "%q is %s, and nobody ever gets it: it has neither a permission nor a mask", a.name, class)
	}
}

// inside are names of what an error should not tell.
var inside = []string{"stack", "stacktrace", "stack trace", "traceback", "trace", "exception", "exception class", "exception message", "sql", "query sql", "sql state", "debug", "debug info", "debug message", "inner exception", "innererror"}

func errorDetail(s *search) {
	w := &schemaWalk{d: s.Document, seen: map[*tree.Node]bool{}}
	for _, op := range s.Document.Operations {
		for _, r := range op.Responses {
			if r.Status == "" || r.Status[0] != '4' && r.Status[0] != '5' && r.Status != "default" {
				continue
			}
			for _, m := range r.Content {
				if m.Schema != "" {
					w.enter(&schema{at: m.Schema, op: op, status: r.Status})
				}
			}
		}
	}
	for _, x := range w.out {
		if x.name == "" {
			continue
		}
		s.look()
		name := strings.Join(words(x.name), " ")
		if slices.Contains(inside, name) && x.extension("class").Str() != "secret" {
			s.find(found{at: s.Document.At(x.at), pointer: x.at, op: x.op, key: x.name}, "an error tells %q: what the inside is made of", x.name)
		}
	}
}
