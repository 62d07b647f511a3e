package schema

import "slices"

// Program judges and projects bodies by one schema. It is immutable and safe for concurrent use.
type Program struct {
	root    *subschema
	options Options
	anchors map[string]map[string]*subschema
	dynamic bool
	waived  map[*subschema][]string // members not required in this direction, by the schema that requires them
	maskKey []byte

	plain       bool
	fields      []FieldRule
	permissions []string
	classes     []string
}

func newProgram(s *Set, root *subschema, o Options) *Program {
	p := &Program{root: root, options: o, anchors: s.anchors, dynamic: s.dynamic, maskKey: s.maskKey}
	reached := reach(root)
	p.waived = p.waive(reached)
	p.fields = listFields(root, reached)
	p.plain = !slices.ContainsFunc(reached, p.alters)
	for _, s := range reached {
		if s.rule != nil {
			p.permissions = append(p.permissions, s.rule.permission, s.rule.unmask)
			p.classes = append(p.classes, s.rule.class)
		}
	}
	p.permissions, p.classes = unique(p.permissions), unique(p.classes)
	return p
}

// Fields returns the field rules of the schema with the places where they apply, by place; at most 512.
func (p *Program) Fields() []FieldRule { return slices.Clone(p.fields) }

// Permissions returns, sorted, every permission that a field rule asks for.
func (p *Program) Permissions() []string { return slices.Clone(p.permissions) }

// Classes returns, sorted, every class that a field rule names.
func (p *Program) Classes() []string { return slices.Clone(p.classes) }

// Plain reports whether Project never changes a valid body, whoever the viewer is: it is enough to validate, and what
// needs no validation may be relayed.
func (p *Program) Plain() bool { return p.plain }

// unique sorts and drops what is empty or repeated.
func unique(list []string) []string {
	slices.Sort(list)
	return slices.DeleteFunc(slices.Compact(list), func(s string) bool { return s == "" })
}

// reach returns every subschema a body may be judged by and declared by.
func reach(root *subschema) []*subschema {
	seen := map[*subschema]bool{root: true}
	out := []*subschema{root}
	for i := 0; i < len(out); i++ {
		out[i].children(func(c *subschema, _ string) {
			if !seen[c] {
				seen[c] = true
				out = append(out, c)
			}
		})
	}
	return out
}

// alters reports whether a schema can make Project change a body.
func (p *Program) alters(s *subschema) bool {
	if p.options.Direction == Response && (s.writeOnly || s.rule != nil && s.rule.withholds()) {
		return true
	}
	if p.options.Undeclared != Drop {
		return false
	}
	declaring := s.object != nil && (len(s.object.properties) > 0 || s.object.patterns != nil)
	forbids := func(c *subschema) bool { return c != nil && c.never }
	opens := s.object != nil && s.object.additional != nil || s.otherMembers != nil
	return declaring && !opens || forbids(s.otherMembers) || s.object != nil && forbids(s.object.additional)
}

// waive finds the members that may not stand in this direction (readOnly in requests, writeOnly in responses) and the
// schemas of the same value that require them.
func (p *Program) waive(reached []*subschema) map[*subschema][]string {
	marked := func(s *subschema) bool {
		return p.options.Direction == Request && s.readOnly || p.options.Direction == Response && s.writeOnly
	}
	if !slices.ContainsFunc(reached, marked) {
		return nil
	}
	out := map[*subschema][]string{}
	for _, s := range reached {
		group := together(s)
		for _, requiring := range group {
			if requiring.object == nil {
				continue
			}
			for _, name := range requiring.object.required {
				if slices.ContainsFunc(group, func(g *subschema) bool {
					return g.object != nil && g.object.properties[name] != nil && slices.ContainsFunc(together(g.object.properties[name]), marked)
				}) && !slices.Contains(out[requiring], name) {
					out[requiring] = append(out[requiring], name)
				}
			}
		}
	}
	return out
}

// together returns a schema and all that may apply to the same value with it.
func together(s *subschema) []*subschema {
	out := []*subschema{s}
	for i := 0; i < len(out); i++ {
		out[i].sameValue(false, func(c *subschema) {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		})
	}
	return out
}

// Validate judges a body. It returns nil or a *Failure.
func (p *Program) Validate(body []byte) error {
	n, err := parse(body, p.options.MaxDepth)
	if err != nil {
		return failure(err)
	}
	_, err = p.judge(n, nil)
	return err
}

// judge finds whether a value follows the schema, and then what becomes of its parts. Without a viewer no field rule is
// asked.
func (p *Program) judge(n *node, v Viewer) (*walk, error) {
	e := &evaluation{anchors: p.anchors, waived: p.waived}
	m := mode{lenient: p.options.Undeclared == Drop}
	if p.dynamic {
		m.scope = new(scope)
	}
	if !e.eval(p.root, n, m, nil) {
		e.report = new(report)
		e.eval(p.root, n, m, nil)
		if len(e.report.violations) == 0 {
			return nil, fault("invalid", "is not acceptable")
		}
		return nil, &Failure{e.report.violations}
	}
	w := &walk{evaluation: e, program: p, viewer: v}
	w.value(n, []applied{{p.root, m}}, nil)
	if len(w.faults.violations) > 0 {
		return nil, &Failure{w.faults.violations}
	}
	return w, nil
}
