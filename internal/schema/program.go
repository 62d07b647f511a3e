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
	meets   bool // a schema may meet a value by more than one way

	machine    *machine
	start      *target // of the machine; nil where only the index can judge
	fieldLists fieldLists

	plain       bool
	permissions []string
	classes     []string
}

func newProgram(s *Set, root *subschema, o Options) *Program {
	p := &Program{root: root, options: o, anchors: s.anchors, dynamic: s.dynamic, maskKey: s.maskKey}
	p.meets = s.dynamic || root.leads&forking != 0
	p.waived = p.waive()
	p.plain = !(o.Direction == Response && root.leads&withholding != 0 || o.Undeclared == Drop && root.leads&dropping != 0)
	if root.leads&wandering == 0 {
		p.machine, p.start = s.machineFor(o, p.waived), targetOf(root, o.Undeclared == Drop)
	}
	for _, s := range reach(root, ruled) {
		if s.rule != nil {
			p.permissions = append(p.permissions, s.rule.permission, s.rule.unmask)
			p.classes = append(p.classes, s.rule.class)
		}
	}
	p.permissions, p.classes = unique(p.permissions), unique(p.classes)
	return p
}

// Fields returns the field rules of the schema with the places where they apply, by place; at most 512.
func (p *Program) Fields() []FieldRule { return listFields(p.root) }

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

// reach returns every subschema a body may be judged by and declared by, as far as it leads to one of some traits.
func reach(root *subschema, to traits) []*subschema {
	if root.leads&to == 0 {
		return nil
	}
	seen := map[*subschema]bool{root: true}
	out := []*subschema{root}
	for i := 0; i < len(out); i++ {
		out[i].children(func(c *subschema, _ string) {
			if c.leads&to != 0 && !seen[c] {
				seen[c] = true
				out = append(out, c)
			}
		})
	}
	return out
}

// waive finds the members that may not stand in this direction (readOnly in requests, writeOnly in responses) and the
// schemas of the same value that require them.
func (p *Program) waive() map[*subschema][]string {
	mark := onceWritten
	if p.options.Direction == Request {
		mark = onceRead
	}
	if p.root.leads&mark == 0 {
		return nil
	}
	marked := func(s *subschema) bool { return mark == onceRead && s.readOnly || mark == onceWritten && s.writeOnly }
	out := map[*subschema][]string{}
	for _, s := range reach(p.root, mark) {
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
	if _, _, ok := p.run(nil, body, nil, false); ok {
		return nil
	}
	w, err := p.judge(string(body), nil)
	if err == nil {
		w.release()
	}
	return err
}

// judge finds whether a text follows the schema, and then what becomes of its parts. Without a viewer no field rule is
// asked. The walk is to be released.
func (p *Program) judge(text string, v Viewer) (*walk, error) {
	w := &walk{evaluation: p.evaluation(), viewer: v}
	err := w.body(text)
	if err != nil {
		w.release()
		return nil, err
	}
	return w, nil
}

func (w *walk) body(text string) error {
	p := w.program
	var b bounds
	if len(text) > smallBody {
		b.schema = p.root
	}
	if err := parse(&w.tree, text, p.options.MaxDepth, p.options.MaxValues, b); err != nil {
		return failure(err)
	}
	if w.tree.cut {
		w.report = new(report)
		w.tellCut(b, 0)
		return &Failure{w.report.violations}
	}
	if p.meets {
		w.memo.begin(w.tree.nodes.n)
	}
	m := mode{lenient: p.options.Undeclared == Drop}
	if p.dynamic {
		m.scope = &scope{made: new(uint32)}
	}
	if !w.eval(p.root, 0, m) && !w.exhausted {
		w.report = new(report)
		w.eval(p.root, 0, m)
		if len(w.report.violations) == 0 && !w.exhausted {
			return fault("invalid", "is not acceptable")
		}
	}
	if w.report == nil && !w.exhausted {
		w.push(p.root, m)
		w.value(0, 0)
	}
	switch {
	case w.exhausted:
		return fault("work", "would take too much work to judge")
	case w.report != nil:
		return &Failure{w.report.violations}
	case len(w.faults.violations) > 0:
		return &Failure{w.faults.violations}
	}
	return nil
}

// MemoryPerByte is how many bytes of memory are taken at most for each byte of a body, all of them counted that are
// allocated until the body is judged (8, a copy of the body among them) and projected.
const MemoryPerByte = 10

// Memory returns what judging and projecting a body of so many bytes takes at most, for a budget to charge.
func Memory(body int) int { return MemoryPerByte*body + 32<<10 }
