package schema

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// ParameterConfig is a Parameter Object (OpenAPI 3.1 §4.8.12).
type ParameterConfig struct {
	Name, In, Style                     string
	Explode                             *bool
	Required, AllowReserved, AllowEmpty bool
	SchemaPointer                       string
	Content                             string // media type, for parameters with content
}

// Parameter judges the values of one parameter as they stand on the wire.
type Parameter struct {
	ParameterConfig
	explode bool
	schema  *jsonschema.Schema
	types   types
}

// types are the primitive types a schema lets a value have, and the shapes of its items and members.
type types struct {
	set     map[string]bool // empty: any
	items   *types
	members map[string]*types
	other   *types // members without a name of their own
}

// CompileParameter prepares a parameter's rule.
func (s *Set) CompileParameter(c ParameterConfig) (*Parameter, error) {
	p := &Parameter{ParameterConfig: c}
	if p.Style == "" {
		p.Style = map[string]string{"query": "form", "cookie": "form"}[c.In]
		if p.Style == "" {
			p.Style = "simple"
		}
	}
	p.explode = p.Style == "form" || p.Style == "deepObject"
	if c.Explode != nil {
		p.explode = *c.Explode
	}
	switch c.In + " " + p.Style {
	case "path simple", "path label", "query form", "query spaceDelimited", "query pipeDelimited", "query deepObject", "header simple", "cookie form":
	default:
		return nil, &CompileError{c.SchemaPointer, fmt.Sprintf("style %q is not possible in %s here", p.Style, c.In)}
	}
	if c.SchemaPointer == "" {
		return p, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if p.schema, err = s.compile(Request, c.SchemaPointer); err != nil {
		return nil, err
	}
	p.types = typesOf(p.schema, 0)
	return p, nil
}

// typesOf gathers the types through refs and combinators. It only steers how text is read: the schema judges.
func typesOf(s *jsonschema.Schema, depth int) types {
	t := types{set: map[string]bool{}}
	if s == nil || depth > 12 {
		return t
	}
	for _, c := range spread([]*jsonschema.Schema{s}) {
		if c.Types != nil {
			for _, name := range c.Types.ToStrings() {
				t.set[name] = true
			}
		}
		if c.Items2020 != nil && t.items == nil {
			items := typesOf(c.Items2020, depth+1)
			t.items = &items
		}
		for name, child := range c.Properties {
			if t.members == nil {
				t.members = map[string]*types{}
			}
			m := typesOf(child, depth+1)
			t.members[name] = &m
		}
		if a, ok := c.AdditionalProperties.(*jsonschema.Schema); ok {
			other := typesOf(a, depth+1)
			t.other = &other
		}
	}
	return t
}

// Name returns the parameter's name.
func (p *Parameter) Name() string { return p.ParameterConfig.Name }

// Exploded reports whether Check wants whole pairs, "name=value": the members of an object stand as pairs of their own.
func (p *Parameter) Exploded() bool {
	return p.In == "query" && p.Content == "" && p.types.set["object"] && (p.Style == "form" && p.explode || p.Style == "deepObject")
}

// Owns reports whether a decoded query name belongs to the parameter.
func (p *Parameter) Owns(name string) bool {
	if !p.Exploded() {
		return name == p.ParameterConfig.Name
	}
	if p.Style == "deepObject" {
		rest, ok := strings.CutPrefix(name, p.ParameterConfig.Name+"[")
		return ok && strings.HasSuffix(rest, "]") && !strings.ContainsAny(rest[:len(rest)-1], "[]")
	}
	_, ok := p.types.members[name]
	return ok
}

func fault(code, detail string) error { return &Failure{[]Violation{{"", code, detail}}} }

// Check judges the raw, still percent-encoded values the parameter has on the wire. It returns nil or a *Failure.
func (p *Parameter) Check(raw []string) error {
	if len(raw) == 0 {
		if p.Required {
			return fault("required", "is required")
		}
		return nil
	}
	if len(raw) == 1 && raw[0] == "" && p.AllowEmpty && p.In == "query" {
		return nil
	}
	v, err := p.decode(raw)
	if err != nil {
		return err
	}
	if p.schema == nil {
		return nil
	}
	if err := p.schema.Validate(v); err != nil {
		return failure(err)
	}
	return nil
}

func (p *Parameter) decode(raw []string) (any, error) {
	if p.Content != "" {
		return p.content(raw)
	}
	if p.Exploded() {
		return p.pairs(raw)
	}
	list := p.types.set["array"]
	if len(raw) > 1 && !(list && p.explode && p.Style == "form") {
		if p.In == "header" && list {
			raw = []string{strings.Join(raw, ",")}
		} else {
			return nil, fault("duplicate", "is given more than once")
		}
	}
	switch {
	case list:
		return p.list(raw)
	case p.types.set["object"]:
		return p.object(raw[0])
	}
	text := raw[0]
	if p.Style == "label" {
		var ok bool
		if text, ok = strings.CutPrefix(text, "."); !ok {
			return nil, fault("style", "must begin with a dot")
		}
	}
	return p.scalar(text, &p.types)
}

func (p *Parameter) content(raw []string) (any, error) {
	if len(raw) > 1 {
		return nil, fault("duplicate", "is given more than once")
	}
	text, err := p.unescape(raw[0])
	if err != nil {
		return nil, err
	}
	if p.Content != "application/json" && !strings.HasSuffix(p.Content, "+json") {
		return text, nil
	}
	n, err := parse([]byte(text))
	if err != nil {
		return nil, failure(err)
	}
	return n.value(), nil
}

// list splits before it decodes: an escaped separator is data (RFC 6570 §3.2.1).
func (p *Parameter) list(raw []string) (any, error) {
	parts := raw
	if !(p.explode && p.Style == "form") {
		text := raw[0]
		sep := ","
		switch p.Style {
		case "spaceDelimited":
			sep, text = "%20", strings.ReplaceAll(text, "+", "%20")
		case "pipeDelimited":
			sep = "%7C"
			text = strings.ReplaceAll(text, "|", sep)
		case "label":
			var ok bool
			if text, ok = strings.CutPrefix(text, "."); !ok {
				return nil, fault("style", "must begin with a dot")
			}
			if p.explode {
				sep = "."
			}
		}
		parts = strings.Split(text, sep)
		if p.In == "header" {
			for i := range parts {
				parts[i] = strings.Trim(parts[i], " \t")
			}
		}
	}
	out := make([]any, len(parts))
	for i, part := range parts {
		v, err := p.scalar(part, p.types.items)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// object reads "a,1,b,2", or "a=1,b=2" where exploded.
func (p *Parameter) object(text string) (any, error) {
	sep := ","
	if p.Style == "label" {
		var ok bool
		if text, ok = strings.CutPrefix(text, "."); !ok {
			return nil, fault("style", "must begin with a dot")
		}
		if p.explode {
			sep = "."
		}
	}
	parts := strings.Split(text, sep)
	out := map[string]any{}
	put := func(name, value string) error {
		n, err := p.unescape(name)
		if err != nil {
			return err
		}
		if _, twice := out[n]; twice {
			return fault("duplicate", "has a member twice")
		}
		v, err := p.scalar(value, p.types.member(n))
		out[n] = v
		return err
	}
	if p.explode {
		for _, part := range parts {
			name, value, ok := strings.Cut(part, "=")
			if !ok {
				return nil, fault("style", "must be a list of name=value")
			}
			if err := put(name, value); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	if len(parts)%2 != 0 {
		return nil, fault("style", "must be a list of names and values")
	}
	for i := 0; i < len(parts); i += 2 {
		if err := put(parts[i], parts[i+1]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// pairs reads whole query pairs: exploded form and deepObject.
func (p *Parameter) pairs(raw []string) (any, error) {
	out := map[string]any{}
	for _, pair := range raw {
		name, value, _ := strings.Cut(pair, "=")
		n, err := p.unescape(name)
		if err != nil {
			return nil, err
		}
		if p.Style == "deepObject" {
			n = strings.TrimSuffix(strings.TrimPrefix(n, p.ParameterConfig.Name+"["), "]")
		}
		t := p.types.member(n)
		v, err := p.scalar(value, t)
		if err != nil {
			return nil, err
		}
		if t != nil && t.set["array"] {
			if v, err = p.scalar(value, t.items); err != nil {
				return nil, err
			}
			list, _ := out[n].([]any)
			out[n] = append(list, v)
			continue
		}
		if _, twice := out[n]; twice {
			return nil, fault("duplicate", "has a member twice")
		}
		out[n] = v
	}
	return out, nil
}

func (t *types) member(name string) *types {
	if m := t.members[name]; m != nil {
		return m
	}
	return t.other
}

func (p *Parameter) unescape(s string) (string, error) {
	var out string
	var err error
	if p.In == "query" || p.In == "form" {
		out, err = url.QueryUnescape(s)
	} else {
		out, err = url.PathUnescape(s)
	}
	if err != nil {
		return "", fault("escape", "has a bad escape")
	}
	return out, nil
}

// scalar reads text as the type asks: integers and numbers only in JSON's own spelling ("010" and "+5" are read
// differently by others), booleans only true and false. Where text may be a string it is one.
func (p *Parameter) scalar(raw string, t *types) (any, error) {
	s, err := p.unescape(raw)
	if err != nil {
		return nil, err
	}
	if t == nil || len(t.set) == 0 || t.set["string"] {
		return s, nil
	}
	switch {
	case t.set["integer"] && !t.set["number"] && strictNumber(s) && !strings.ContainsAny(s, ".eE"), t.set["number"] && strictNumber(s):
		return json.Number(s), nil
	case t.set["boolean"] && (s == "true" || s == "false"):
		return s == "true", nil
	}
	return s, nil // the schema will say what it must be
}

func strictNumber(s string) bool {
	p := &parser{b: []byte(s)}
	return len(s) > 0 && len(s) < 400 && p.number() == nil && p.i == len(s)
}

// ValidateForm judges an application/x-www-form-urlencoded body as the object it encodes. It returns nil or a *Failure.
func (p *Program) ValidateForm(body []byte) error {
	t := typesOf(p.root, 0)
	out := map[string]any{}
	reader := &Parameter{ParameterConfig: ParameterConfig{In: "form"}}
	if len(body) > 0 {
		pairs := strings.Split(string(body), "&")
		if len(pairs) > 1000 {
			return fault("max_properties", "has too many fields")
		}
		for _, pair := range pairs {
			name, value, _ := strings.Cut(pair, "=")
			n, err := reader.unescape(name)
			if err != nil {
				return err
			}
			mt := t.member(n)
			if mt != nil && mt.set["array"] {
				v, err := reader.scalar(value, mt.items)
				if err != nil {
					return err
				}
				list, _ := out[n].([]any)
				out[n] = append(list, v)
				continue
			}
			if _, twice := out[n]; twice {
				return fault("duplicate", "has a field twice")
			}
			if out[n], err = reader.scalar(value, mt); err != nil {
				return err
			}
			if _, declared := memberSchemas(spread([]*jsonschema.Schema{p.root}), n); !declared && p.options.Undeclared == Refuse {
				return &Failure{[]Violation{{"/" + escapePointer(clip(n)), "undeclared", "is not declared"}}}
			}
		}
	}
	if err := p.root.Validate(out); err != nil {
		return failure(err)
	}
	return nil
}
