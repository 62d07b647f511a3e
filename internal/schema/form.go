package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Field says how one member of a form is written, where its schema alone does not say it (OpenAPI's Encoding Object).
type Field struct {
	Name    string
	Kind    FieldKind
	Style   string // of application/x-www-form-urlencoded alone; "" none
	Explode *bool  // nil: the style's default
	Bytes   Length // of Kind Bytes
}

// FieldKind is what a field's text is.
type FieldKind uint8

const (
	Natural FieldKind = iota // JSON where the schema wants objects, else text
	Text                     // of strings, numbers and booleans
	JSON                     // one JSON text
	Bytes                    // anything; of its schema only the length is asserted, in bytes
)

// Length bounds bytes; most < 0 is no bound.
type Length struct{ Least, Most int64 }

// Form judges bodies that are made of named pieces of text, as the object they encode: application/x-www-form-urlencoded
// and multipart. It is immutable and safe for concurrent use.
type Form struct {
	program *Program
	shape   *shape
	fields  map[string]Field
	styled  []*Parameter // members that are written in a style of their own
	no      []string     // members for which OpenAPI has no form: they are refused
	open    bool         // members may have names that the schema does not list
}

// maxFormFields bounds the pairs of a form.
const maxFormFields = 1000

// Form prepares a form whose members the program judges. A member whose style OpenAPI gives no form to, as an array in
// style deepObject, is refused wherever it stands: it would be read by guessing. The error is a *CompileError.
func (p *Program) Form(fields ...Field) (*Form, error) {
	f := &Form{program: p, shape: shapeOf(p.root, 0), fields: map[string]Field{}}
	for _, s := range together(p.root) {
		f.open = f.open || s.otherMembers != nil && !s.otherMembers.never ||
			s.object != nil && (len(s.object.patterns) > 0 || s.object.additional != nil && !s.object.additional.never)
	}
	for _, field := range fields {
		f.fields[field.Name] = field
		if field.Style == "" && field.Explode == nil {
			continue
		}
		member := &Parameter{config: ParameterConfig{Name: field.Name, In: "query", Style: field.Style, Explode: field.Explode},
			decoder: decoder{plus: true}, shape: f.shape.member(field.Name)}
		if member.takeStyle() != nil {
			f.no = append(f.no, field.Name)
			continue
		}
		f.styled = append(f.styled, member)
	}
	return f, nil
}

// Piece is one piece of a form, in its order.
type Piece struct {
	Name, Value string
}

// Judged is what a form's judging found.
type Judged struct {
	Kept    []bool            // by piece; nil keeps all
	Values  map[string][]byte // of members whose JSON lost some of its own: a new text each, or one for each piece
	Dropped int
}

// Validate judges an application/x-www-form-urlencoded body; fields of one name are the items of an array, where the
// schema has one. It returns nil or a *Failure. What is undeclared is refused under Drop too, because the body is not
// rewritten: see Project.
func (f *Form) Validate(body []byte) error {
	pairs, err := splitForm(string(body))
	if err != nil {
		return err
	}
	judged, err := f.judge(pairs, decoder{plus: true})
	if err == nil && judged.Dropped > 0 {
		err = fault("undeclared", "has a field that is not declared")
	}
	return err
}

// Project judges such a body and appends to dst what is declared of it, each field as it was written.
func (f *Form) Project(dst, body []byte) ([]byte, Projection, error) {
	pairs, err := splitForm(string(body))
	if err != nil {
		return nil, Projection{}, err
	}
	judged, err := f.judge(pairs, decoder{plus: true})
	if err != nil {
		return nil, Projection{}, err
	}
	first, seen := true, map[string]int{}
	for i, pair := range pairs {
		if judged.Kept != nil && !judged.Kept[i] {
			continue
		}
		if !first {
			dst = append(dst, '&')
		}
		first = false
		value := pair.Value
		if name, err := url.QueryUnescape(pair.Name); err == nil && judged.Values[name] != nil {
			value = url.QueryEscape(string(piece(judged.Values[name], seen[name], f.shape.member(name).has(Array))))
			seen[name]++
		}
		dst = append(append(append(dst, pair.Name...), '='), value...)
	}
	return dst, Projection{Dropped: judged.Dropped}, nil
}

// Judge judges pieces as they are, nothing in them being encoded.
func (f *Form) Judge(pieces []Piece) (Judged, error) {
	if len(pieces) > maxFormFields {
		return Judged{}, fault("max_properties", "has too many fields")
	}
	return f.judge(pieces, decoder{verbatim: true})
}

// NewText returns the text of the nth piece of a name, where judging has changed it.
func (j *Judged) NewText(name string, nth int, isArray bool) ([]byte, bool) {
	v := j.Values[name]
	if v == nil {
		return nil, false
	}
	return piece(v, nth, isArray), true
}

// Declares reports whether the schema may have a member of that name.
func (f *Form) Declares(name string) bool { return f.open || f.shape.members[name] != nil }

// IsArray reports whether pieces of a name are the items of an array.
func (f *Form) IsArray(name string) bool { return f.shape.member(name).has(Array) }

func piece(value []byte, nth int, isArray bool) []byte {
	if !isArray {
		return value
	}
	var items []json.RawMessage
	if json.Unmarshal(value, &items) != nil || nth >= len(items) {
		return value
	}
	return items[nth]
}

func splitForm(body string) ([]Piece, error) {
	if body == "" {
		return nil, nil
	}
	if strings.Count(body, "&") >= maxFormFields {
		return nil, fault("max_properties", "has too many fields")
	}
	if strings.Contains(body, ";") {
		return nil, fault("separator", "has a ';' that is not escaped: some readers part fields there, and some drop the field")
	}
	out := make([]Piece, 0, 1+strings.Count(body, "&"))
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			return nil, fault("separator", "has an empty field")
		}
		name, value, _ := strings.Cut(pair, "=")
		out = append(out, Piece{name, value})
	}
	return out, nil
}

// judge gathers the pieces to one JSON text, has it judged, and finds what of them stays.
func (f *Form) judge(pieces []Piece, d decoder) (Judged, error) {
	g := newFields(d, f.shape)
	g.kinds = f.fields
	member := make([]string, len(pieces)) // of each piece
	written := map[*Parameter][]string{}
	var order []*Parameter
	for i, p := range pieces {
		name, err := d.text(p.Name)
		if err != nil {
			return Judged{}, err
		}
		member[i] = name
		if base, _, _ := strings.Cut(name, "["); slices.Contains(f.no, base) {
			return Judged{}, under(base, fault("style", "has no form that OpenAPI describes"))
		}
		if owner := f.owner(name); owner != nil {
			if written[owner] == nil {
				order = append(order, owner)
			}
			raw := p.Value
			if owner.Exploded() {
				raw = p.Name + "=" + p.Value
			}
			written[owner] = append(written[owner], raw)
			member[i] = owner.Name()
			continue
		}
		if slices.ContainsFunc(f.styled, func(p *Parameter) bool { return p.Name() == name }) {
			return Judged{}, under(name, fault("undeclared", "is not written so: its members are fields of their own"))
		}
		if _, err := g.put(p.Name, p.Value); err != nil {
			return Judged{}, err
		}
	}
	for _, owner := range order {
		text, err := owner.read(written[owner])
		if err != nil {
			return Judged{}, under(owner.Name(), err)
		}
		if _, twice := g.index[owner.Name()]; twice {
			return Judged{}, under(owner.Name(), fault("duplicate", "is given more than once"))
		}
		g.index[owner.Name()] = len(g.list)
		g.list = append(g.list, field{name: owner.Name(), value: []byte(text)})
	}
	text := g.json()
	if f.program.options.Undeclared != Drop {
		return Judged{}, f.program.Validate([]byte(text))
	}
	out, did, err := f.program.Project(nil, []byte(text), nil)
	if err != nil || did.Dropped == 0 {
		return Judged{}, err
	}
	return f.left(g, member, out, did.Dropped)
}

// left compares what was judged with what is left of it.
func (f *Form) left(g *fields, member []string, out []byte, dropped int) (Judged, error) {
	j := Judged{Kept: make([]bool, len(member)), Values: map[string][]byte{}, Dropped: dropped}
	var rest map[string]json.RawMessage
	if err := json.Unmarshal(out, &rest); err != nil {
		return Judged{}, fault("invalid", "is not acceptable")
	}
	for i, name := range member {
		_, j.Kept[i] = rest[name]
	}
	for i := range g.list {
		m := &g.list[i]
		value, kept := rest[m.name]
		if !kept || string(value) == string(m.json()) {
			continue
		}
		if slices.ContainsFunc(f.styled, func(p *Parameter) bool { return p.Name() == m.name }) {
			return Judged{}, under(m.name, fault("undeclared", "has a member that is not declared"))
		}
		j.Values[m.name] = value
	}
	return j, nil
}

// owner returns the styled member that a name belongs to, nil where none does.
func (f *Form) owner(name string) *Parameter {
	for _, p := range f.styled {
		if p.Owns(name) {
			return p
		}
	}
	return nil
}

// under puts what is wrong with a member below its name.
func under(name string, err error) error {
	var f *Failure
	if !errors.As(err, &f) {
		return err
	}
	out := &Failure{slices.Clone(f.Violations)}
	for i := range out.Violations {
		out.Violations[i].Pointer = "/" + escapePointer(clip(name)) + out.Violations[i].Pointer
	}
	return out
}

// ValidateForm is Validate of a form whose schema says all of its fields.
func (p *Program) ValidateForm(body []byte) error {
	f, err := p.Form()
	if err != nil {
		return err
	}
	return f.Validate(body)
}

// ProjectForm is Project of a form whose schema says all of its fields.
func (p *Program) ProjectForm(dst, body []byte) ([]byte, Projection, error) {
	f, err := p.Form()
	if err != nil {
		return nil, Projection{}, err
	}
	return f.Project(dst, body)
}

// bytesOf appends what stands for bytes in a JSON text: a string as long as the schema asks at least. How long they are
// was judged before.
func (f *fields) bytesOf(dst []byte, value string, is Length) ([]byte, error) {
	switch n := int64(len(value)); {
	case is.Most >= 0 && n > is.Most:
		return nil, fault("max_length", fmt.Sprintf("must be at most %d bytes long", is.Most))
	case n < is.Least:
		return nil, fault("min_length", fmt.Sprintf("must be at least %d bytes long", is.Least))
	}
	return strconv.AppendQuote(dst, strings.Repeat("x", int(is.Least))), nil
}

// Text judges text as the one value it is: a string, a number or a boolean, as the schema has it. It returns what the
// viewer may see of it.
func (p *Program) Text(text []byte, v Viewer) ([]byte, Projection, error) {
	value, err := decoder{verbatim: true}.scalar(nil, string(text), shapeOf(p.root, 0))
	if err != nil {
		return nil, Projection{}, err
	}
	out, did, err := p.Project(nil, value, v)
	if err != nil {
		return nil, did, err
	}
	if string(out) == string(value) {
		return text, did, nil
	}
	var masked string
	if json.Unmarshal(out, &masked) != nil {
		return nil, did, fault("invalid", "is not acceptable")
	}
	return []byte(masked), did, nil
}
