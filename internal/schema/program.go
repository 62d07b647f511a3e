package schema

import (
	"fmt"
	"slices"
	"sort"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Program judges and projects bodies by one schema. It is immutable and safe for concurrent use.
type Program struct {
	set     *Set
	root    *jsonschema.Schema
	options Options
	rules   map[*jsonschema.Schema]*rule // of the schemas that carry x-portreeve
	fields  []FieldRule
}

// rule is a property's x-portreeve.
type rule struct {
	class, permission, mask, unmask string
	ownerMay                        bool
}

// FieldRule is a rule with its place in the schema, for people.
type FieldRule struct {
	Pointer, Class, Permission, Mask, Unmask string
	OwnerMay                                 bool
}

// Fields returns the field rules of the schema, by pointer.
func (p *Program) Fields() []FieldRule { return p.fields }

// Viewer is whom a projection is for.
type Viewer interface {
	May(permission string) bool
	Owns() bool // the object is the viewer's own
}

// Projection says what left.
type Projection struct {
	Dropped, Masked int
}

// collect finds every x-portreeve that can apply below a schema.
func (p *Program) collect(sch *jsonschema.Schema, at string, seen []*jsonschema.Schema) error {
	if sch == nil || slices.Contains(seen, sch) || len(seen) > 64 {
		return nil
	}
	if _, done := p.rules[sch]; done {
		return nil
	}
	seen = append(seen, sch)
	r, err := p.readRule(sch)
	if err != nil {
		return err
	}
	p.rules[sch] = r
	if r != nil {
		p.fields = append(p.fields, FieldRule{at, r.class, r.permission, r.mask, r.unmask, r.ownerMay})
	}
	names := make([]string, 0, len(sch.Properties))
	for name := range sch.Properties {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := p.collect(sch.Properties[name], at+"/"+escapePointer(name), seen); err != nil {
			return err
		}
	}
	for _, child := range inPlace(sch) {
		if err := p.collect(child, at, seen); err != nil {
			return err
		}
	}
	for _, child := range below(sch) {
		if err := p.collect(child, at+"/*", seen); err != nil {
			return err
		}
	}
	return nil
}

// inPlace are the subschemas that may apply to the same value.
func inPlace(s *jsonschema.Schema) []*jsonschema.Schema {
	out := slices.Concat(s.AllOf, s.AnyOf, s.OneOf, []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.If, s.Then, s.Else})
	if s.DynamicRef != nil {
		out = append(out, s.DynamicRef.Ref)
	}
	for _, d := range s.DependentSchemas {
		out = append(out, d)
	}
	return slices.DeleteFunc(out, func(c *jsonschema.Schema) bool { return c == nil })
}

// below are the subschemas of members and items without a name.
func below(s *jsonschema.Schema) []*jsonschema.Schema {
	out := append([]*jsonschema.Schema{s.Items2020, s.UnevaluatedItems, s.UnevaluatedProperties}, s.PrefixItems...)
	if a, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		out = append(out, a)
	}
	for _, c := range s.PatternProperties {
		out = append(out, c)
	}
	return slices.DeleteFunc(out, func(c *jsonschema.Schema) bool { return c == nil })
}

func (p *Program) readRule(sch *jsonschema.Schema) (*rule, error) {
	raw := p.set.side[p.options.Direction].at(sch.Location)
	x, ok := raw["x-portreeve"].(map[string]any)
	if !ok {
		return nil, nil
	}
	text := func(name string) string { s, _ := x[name].(string); return s }
	r := &rule{class: text("class"), permission: text("permission"), mask: text("mask"), unmask: text("unmask"), ownerMay: x["owner_may"] == true}
	switch r.mask {
	case "", "last4", "email", "full":
	default:
		return nil, fmt.Errorf("x-portreeve.mask %q is not one of last4, email, full", r.mask)
	}
	switch r.class {
	case "", "public", "internal", "personal", "sensitive", "cardholder", "secret":
	default:
		return nil, fmt.Errorf("x-portreeve.class %q is not one of public, internal, personal, sensitive, cardholder, secret", r.class)
	}
	return r, nil
}

// Validate judges a body. It returns nil or a *Failure.
func (p *Program) Validate(body []byte) error {
	n, err := parse(body)
	if err != nil {
		return failure(err)
	}
	return p.judge(n)
}

// judge walks the tree for what is undeclared, then validates what is left.
func (p *Program) judge(n *node) error {
	w := &walk{program: p}
	w.visit(n, []*jsonschema.Schema{p.root}, "")
	if len(w.violations) > 0 {
		return &Failure{w.violations}
	}
	if err := p.root.Validate(n.value()); err != nil {
		return failure(err)
	}
	return nil
}

// Project judges a body and appends to dst what the viewer may see of it: undeclared members leave (where the options
// say so), members without permission leave, masks are laid. The body's own order and spelling are kept. Required
// members that leave are not missed: the body is judged before them.
func (p *Program) Project(dst, body []byte, v Viewer) ([]byte, Projection, error) {
	n, err := parse(body)
	if err != nil {
		return nil, Projection{}, failure(err)
	}
	w := &walk{program: p, viewer: v}
	w.visit(n, []*jsonschema.Schema{p.root}, "")
	if len(w.violations) > 0 {
		return nil, Projection{}, &Failure{w.violations}
	}
	if err := p.root.Validate(n.value()); err != nil {
		return nil, Projection{}, failure(err)
	}
	e := emitter{body: body}
	out := e.emit(dst, n)
	return out, e.did, nil
}

// walk decides what becomes of every member.
type walk struct {
	program    *Program
	viewer     Viewer // nil: nothing is withheld
	violations []Violation
}

func (w *walk) violate(at, code, detail string) {
	if len(w.violations) < maxViolations {
		w.violations = append(w.violations, Violation{at, code, detail})
	}
}

// visit takes a value with the schemas that apply to it.
func (w *walk) visit(n *node, schemas []*jsonschema.Schema, at string) {
	if n.kind != objectKind && n.kind != array {
		return
	}
	applied := w.expand(n, schemas)
	if n.kind == array {
		for i, item := range n.items {
			var child []*jsonschema.Schema
			for _, s := range applied {
				child = append(child, itemSchemas(s, i)...)
			}
			w.visit(item, child, at+"/"+fmt.Sprint(i))
		}
		return
	}
	open := open(applied)
	for i := range n.members {
		m := &n.members[i]
		here := at + "/" + escapePointer(m.name)
		child, declared := memberSchemas(applied, m.name)
		if !declared && !open {
			w.stray(m, here)
			continue
		}
		w.judgeMember(m, child, here)
		if m.fate == kept {
			w.visit(m.value, child, here)
		}
	}
}

// stray is a member nothing declares.
func (w *walk) stray(m *member, at string) {
	switch w.program.options.Undeclared {
	case Refuse:
		w.violate(at, "undeclared", "is not declared")
	case Drop:
		m.fate = undeclared
	}
}

// judgeMember asks every rule that applies to a member; the strictest wins.
func (w *walk) judgeMember(m *member, schemas []*jsonschema.Schema, at string) {
	for _, s := range spread(schemas) {
		switch {
		case w.program.options.Direction == Request && s.ReadOnly:
			w.violate(at, "read_only", "is read-only")
		case w.program.options.Direction == Response && s.WriteOnly:
			m.fate = withheld
		}
		r := w.program.rules[s]
		if r == nil || w.viewer == nil || w.program.options.Direction == Request {
			continue
		}
		w.apply(m, r)
	}
}

func (w *walk) apply(m *member, r *rule) {
	owns := r.ownerMay && w.viewer.Owns()
	switch {
	case r.class == "secret":
		m.fate = withheld
	case r.permission != "" && !owns && !w.viewer.May(r.permission):
		m.fate = withheld
	case r.mask != "":
		if m.fate == kept && !owns && (r.unmask == "" || !w.viewer.May(r.unmask)) {
			m.fate, m.mask = masked, r.mask
		}
	case r.permission == "" && r.class == "sensitive" && !owns:
		m.fate = withheld // sensitive without a permission: nobody was given it
	}
}

// spread follows what applies in place without asking the value: refs and allOf.
func spread(schemas []*jsonschema.Schema) []*jsonschema.Schema {
	var out []*jsonschema.Schema
	var add func(s *jsonschema.Schema)
	add = func(s *jsonschema.Schema) {
		if s == nil || slices.Contains(out, s) {
			return
		}
		out = append(out, s)
		for _, c := range inPlace(s) { // conservative: a rule in a branch that may apply is asked too
			add(c)
		}
	}
	for _, s := range schemas {
		add(s)
	}
	return out
}

// expand returns every schema that applies to the value: through refs, allOf, the branches it follows, if/then/else.
func (w *walk) expand(n *node, schemas []*jsonschema.Schema) []*jsonschema.Schema {
	var out []*jsonschema.Schema
	var value any
	known := false
	valueOf := func() any {
		if !known {
			value, known = n.value(), true
		}
		return value
	}
	var add func(s *jsonschema.Schema)
	add = func(s *jsonschema.Schema) {
		if s == nil || slices.Contains(out, s) {
			return
		}
		out = append(out, s)
		add(s.Ref)
		add(s.RecursiveRef)
		if s.DynamicRef != nil {
			add(s.DynamicRef.Ref)
		}
		for _, c := range s.AllOf {
			add(c)
		}
		for _, c := range branches(n, valueOf, s.OneOf) {
			add(c)
		}
		for _, c := range branches(n, valueOf, s.AnyOf) {
			add(c)
		}
		if s.If != nil {
			if s.If.Validate(valueOf()) == nil {
				add(s.If)
				add(s.Then)
			} else {
				add(s.Else)
			}
		}
		for name, c := range s.DependentSchemas {
			if n.member(name) != nil {
				add(c)
			}
		}
	}
	for _, s := range schemas {
		add(s)
	}
	return out
}

func (n *node) member(name string) *member {
	for i := range n.members {
		if n.members[i].name == name {
			return &n.members[i]
		}
	}
	return nil
}

// branches returns those the value follows. Where it follows none as it is, those it follows without the members they
// do not name are taken: the rest is undeclared.
func branches(n *node, value func() any, all []*jsonschema.Schema) []*jsonschema.Schema {
	var out []*jsonschema.Schema
	for _, s := range all {
		if s.Validate(value()) == nil {
			out = append(out, s)
		}
	}
	if len(out) > 0 || n.kind != objectKind {
		return out
	}
	full, _ := value().(map[string]any)
	for _, s := range all {
		trimmed := make(map[string]any, len(full))
		for name, v := range full {
			if _, declared := memberSchemas(spread([]*jsonschema.Schema{s}), name); declared {
				trimmed[name] = v
			}
		}
		if s.Validate(trimmed) == nil {
			out = append(out, s)
		}
	}
	return out
}

// memberSchemas returns the schemas of a member and whether any declares it. additionalProperties speaks only of names
// its own schema does not have.
func memberSchemas(applied []*jsonschema.Schema, name string) (schemas []*jsonschema.Schema, declared bool) {
	for _, s := range applied {
		own := false
		if c, ok := s.Properties[name]; ok {
			schemas, declared, own = append(schemas, c), true, true
		}
		for re, c := range s.PatternProperties {
			if re.MatchString(name) {
				schemas, declared, own = append(schemas, c), true, true
			}
		}
		if own {
			continue
		}
		switch a := s.AdditionalProperties.(type) {
		case bool:
			declared = declared || a
		case *jsonschema.Schema:
			if a.Bool == nil || *a.Bool {
				schemas, declared = append(schemas, a), true
			}
		}
	}
	if declared {
		return schemas, true
	}
	for _, s := range applied {
		if u := s.UnevaluatedProperties; u != nil && (u.Bool == nil || *u.Bool) {
			return append(schemas, u), true
		}
	}
	return schemas, false
}

// open: an object whose applied schemas name no property at all and close nothing is free-form.
func open(applied []*jsonschema.Schema) bool {
	for _, s := range applied {
		if len(s.Properties) > 0 || len(s.PatternProperties) > 0 || s.AdditionalProperties != nil || s.UnevaluatedProperties != nil ||
			s.Bool != nil && !*s.Bool {
			return false
		}
	}
	return true
}

// itemSchemas returns the schemas of the i-th item.
func itemSchemas(s *jsonschema.Schema, i int) []*jsonschema.Schema {
	switch {
	case i < len(s.PrefixItems):
		return s.PrefixItems[i : i+1]
	case s.Items2020 != nil:
		return []*jsonschema.Schema{s.Items2020}
	case s.UnevaluatedItems != nil:
		return []*jsonschema.Schema{s.UnevaluatedItems}
	}
	return nil
}

// emitter writes what is kept, token by token from the body.
type emitter struct {
	body []byte
	did  Projection
}

func (e *emitter) emit(dst []byte, n *node) []byte {
	switch n.kind {
	case array:
		dst = append(dst, '[')
		for i, item := range n.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = e.emit(dst, item)
		}
		return append(dst, ']')
	case objectKind:
		dst = append(dst, '{')
		first := true
		for i := range n.members {
			m := &n.members[i]
			if m.fate == undeclared || m.fate == withheld {
				e.did.Dropped++
				continue
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = appendString(dst, m.name)
			dst = append(dst, ':')
			if m.fate == masked {
				e.did.Masked++
				dst = appendMasked(dst, m.mask, m.value)
				continue
			}
			dst = e.emit(dst, m.value)
		}
		return append(dst, '}')
	}
	return append(dst, e.body[n.start:n.end]...)
}
