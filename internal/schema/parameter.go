package schema

import (
	"fmt"
	"strings"
)

// ParameterConfig is a Parameter Object (OpenAPI 3.1 §4.8.12).
type ParameterConfig struct {
	Name          string
	In            string // path, query, header, cookie or querystring
	Style         string // "": the location's default
	Explode       *bool  // nil: the style's default
	Required      bool
	AllowReserved bool // only how clients write values; here they are read all the same
	AllowEmpty    bool // a query parameter may stand without a value
	SchemaPointer string
	Content       string     // media type, for parameters with content instead of a style
	Undeclared    Undeclared // members of objects; Drop refuses too, because a parameter is never rewritten
}

// Parameter judges one parameter as it stands on the wire. It is immutable and safe for concurrent use.
type Parameter struct {
	config  ParameterConfig
	style   style
	explode bool
	program *Program // nil: any value
	form    *Form    // where the whole query string is one
	shape   *shape
	decoder decoder
}

// style is how arrays and objects are written (OpenAPI 3.1 §4.8.12.3, RFC 6570).
type style struct {
	in, name  string
	prefix    string // before a value
	separator string // between the pieces of a value
	exploded  string // between them where exploded; "": pairs of their own, or not possible
}

var styles = []style{
	{"path", "simple", "", ",", ","},
	{"path", "label", ".", ",", "."},
	{"path", "matrix", ";", ",", ";"},
	{"header", "simple", "", ",", ","},
	{"query", "form", "", ",", ""},
	{"query", "spaceDelimited", "", "%20", ""},
	{"query", "pipeDelimited", "", "%7C", ""},
	{"query", "deepObject", "", "", ""},
	{"cookie", "form", "", ",", ""},
	{"cookie", "cookie", "", ",", ""}, // OpenAPI 3.2: as it stands, nothing is decoded
	{"querystring", "", "", "", ""},   // OpenAPI 3.2: content alone says how it is written
}

// CompileParameter prepares a parameter's rule. The error is a *CompileError.
func (s *Set) CompileParameter(c ParameterConfig) (*Parameter, error) {
	p := &Parameter{config: c, decoder: decoder{plus: c.In == "query", verbatim: c.Style == "cookie"}}
	if c.SchemaPointer != "" {
		if c.Undeclared == Drop {
			c.Undeclared = Refuse
		}
		var err error
		if p.program, err = s.Compile(c.SchemaPointer, Options{Direction: Request, Undeclared: c.Undeclared}); err != nil {
			return nil, err
		}
		p.shape = shapeOf(p.program.root, 0)
		if c.In == "querystring" && c.Content == formType {
			if p.form, err = p.program.Form(); err != nil {
				return nil, err
			}
		}
	}
	return p, p.takeStyle()
}

// takeStyle finds how the parameter is written, from what its configuration and its schema say.
func (p *Parameter) takeStyle() error {
	c := &p.config
	name := c.Style
	if name == "" {
		name = map[string]string{"path": "simple", "header": "simple", "query": "form", "cookie": "form"}[c.In]
	}
	for _, known := range styles {
		if known.in == c.In && known.name == name {
			p.style = known
		}
	}
	if p.style.in == "" {
		return &CompileError{c.SchemaPointer, fmt.Sprintf("style %q is not possible in %q", name, c.In)}
	}
	p.explode = name == "form" || name == "deepObject" || name == "cookie"
	if c.Explode != nil && name != "deepObject" { // which the keyword says nothing about
		p.explode = *c.Explode
	}
	return p.possible()
}

// possible refuses what no table of OpenAPI gives a form to: it would be read by guessing.
func (p *Parameter) possible() error {
	object, array := p.shape.has(Object), p.shape.has(Array)
	problem := ""
	switch {
	case p.config.In == "querystring" && p.config.Content != formType && !isJSON(p.config.Content):
		problem = "a query string is judged as " + formType + " or application/json"
	case p.config.In == "querystring" && p.config.Content == formType && p.program == nil:
		problem = "a query string that is a form needs a schema"
	case p.config.Content != "":
	case p.style.name == "deepObject" && !object:
		problem = "style deepObject is for objects"
	case p.explode && strings.HasSuffix(p.style.name, "Delimited"):
		problem = "style " + p.style.name + " cannot be exploded"
	case strings.HasSuffix(p.style.name, "Delimited") && !object && !array:
		problem = "style " + p.style.name + " is for arrays and objects"
	case p.style.in == "cookie" && p.style.name == "form" && p.explode && object:
		problem = "an exploded object of style form cannot stand in a cookie; say explode: false, or style: cookie in OpenAPI 3.2"
	}
	if problem != "" {
		return &CompileError{p.config.SchemaPointer, problem}
	}
	return nil
}

// Name returns the parameter's name.
func (p *Parameter) Name() string { return p.config.Name }

// Exploded reports whether the members of the parameter, an object, stand as query pairs or cookies of their own. Check
// then wants whole pairs, "name=value", of every name the parameter owns.
func (p *Parameter) Exploded() bool {
	return p.repeats() && p.config.Content == "" && p.shape.has(Object)
}

// repeats reports whether the pieces of a value are pairs of their own.
func (p *Parameter) repeats() bool {
	return p.explode && (p.config.In == "query" || p.style.name == "cookie")
}

// Owns reports whether a query name, percent-decoded, or the name of a cookie belongs to the parameter.
func (p *Parameter) Owns(queryName string) bool {
	if !p.Exploded() {
		return queryName == p.config.Name
	}
	if p.style.name == "deepObject" {
		_, ok := p.inner(queryName)
		return ok
	}
	_, ok := p.shape.members[queryName]
	return ok
}

// inner returns the member in a deepObject's name: "x[member]".
func (p *Parameter) inner(queryName string) (string, bool) {
	rest, opened := strings.CutPrefix(queryName, p.config.Name+"[")
	inner, closed := strings.CutSuffix(rest, "]")
	return inner, opened && closed && !strings.ContainsAny(inner, "[]")
}

// Check judges the raw, still percent-encoded values the parameter has on the wire: one, or none, or several where a
// query name or header field was repeated; whole pairs where Exploded; the whole query string. Header values, which do not travel encoded, are
// to be given with each % as %25. It returns nil or a *Failure, whose pointers lead into the parameter's value.
func (p *Parameter) Check(raw []string) error {
	if len(raw) == 0 {
		if p.config.Required {
			return fault("required", "is required")
		}
		return nil
	}
	if len(raw) == 1 && raw[0] == "" && p.config.AllowEmpty && p.config.In == "query" {
		return nil
	}
	if p.form != nil {
		return p.form.Validate([]byte(raw[0]))
	}
	text, err := p.read(raw)
	if err != nil || p.program == nil {
		return err
	}
	return p.program.Validate([]byte(text))
}

// read brings text to a value, in JSON.
func (p *Parameter) read(raw []string) (string, error) {
	if p.config.Content != "" {
		return p.content(raw)
	}
	if p.Exploded() {
		return p.pairs(raw)
	}
	list := p.shape.has(Array)
	if len(raw) > 1 {
		switch {
		case list && p.repeats():
		case list && p.config.In == "header": // RFC 9110 §5.3: lines of one field are one list
			raw = []string{strings.Join(raw, ",")}
		default:
			return "", fault("duplicate", "is given more than once")
		}
	}
	switch {
	case list:
		return p.list(raw)
	case p.shape.has(Object):
		return p.object(raw[0])
	}
	text, err := p.unprefixed(raw[0])
	if err != nil {
		return "", err
	}
	if p.style.name == "matrix" {
		if text, err = p.ofMatrix(text); err != nil {
			return "", err
		}
	}
	value, err := p.decoder.scalar(nil, text, p.shape)
	return string(value), err
}

func (p *Parameter) content(raw []string) (string, error) {
	if len(raw) > 1 {
		return "", fault("duplicate", "is given more than once")
	}
	text, err := p.decoder.text(raw[0])
	if err != nil {
		return "", err
	}
	if !isJSON(p.config.Content) {
		return string(appendString(nil, text)), nil
	}
	return text, Strict([]byte(text))
}

// unprefixed takes off what label and matrix put before every value.
func (p *Parameter) unprefixed(text string) (string, error) {
	rest, ok := strings.CutPrefix(text, p.style.prefix)
	if !ok {
		return "", fault("style", fmt.Sprintf("must begin with %q", p.style.prefix))
	}
	return rest, nil
}

// ofMatrix takes off "name=", which matrix puts before every value; an empty one is the name alone.
func (p *Parameter) ofMatrix(text string) (string, error) {
	name, value, _ := strings.Cut(text, "=")
	if d, err := p.decoder.text(name); err != nil || d != p.config.Name {
		return "", fault("style", "must name the parameter")
	}
	return value, nil
}

// pieces splits before anything is decoded: an escaped separator is data (RFC 6570 §3.2.1).
func (p *Parameter) pieces(text string) ([]string, error) {
	text, err := p.unprefixed(text)
	if err != nil {
		return nil, err
	}
	separator := p.style.separator
	switch {
	case p.explode && p.style.exploded != "":
		separator = p.style.exploded
	case p.style.name == "matrix":
		if text, err = p.ofMatrix(text); err != nil {
			return nil, err
		}
	case p.style.name == "spaceDelimited":
		text = strings.ReplaceAll(text, "+", "%20")
	case p.style.name == "pipeDelimited":
		text = strings.NewReplacer("|", "%7C", "%7c", "%7C").Replace(text)
	}
	out := strings.Split(text, separator)
	if p.config.In == "header" {
		for i := range out {
			out[i] = strings.Trim(out[i], " \t")
		}
	}
	return out, nil
}

func (p *Parameter) list(raw []string) (string, error) {
	out, first := []byte{'['}, true
	pieces := raw
	if !p.repeats() {
		var err error
		if pieces, err = p.pieces(raw[0]); err != nil {
			return "", err
		}
	}
	for _, piece := range pieces {
		var err error
		if p.explode && p.style.name == "matrix" {
			if piece, err = p.ofMatrix(piece); err != nil {
				return "", err
			}
		}
		if out, err = p.decoder.scalar(comma(out, &first), piece, p.shape.items); err != nil {
			return "", err
		}
	}
	return string(append(out, ']')), nil
}

// object reads "a,1,b,2", or "a=1,b=2" where exploded.
func (p *Parameter) object(text string) (string, error) {
	pieces, err := p.pieces(text)
	if err != nil {
		return "", err
	}
	f := newFields(p.decoder, p.shape)
	if !p.explode && len(pieces)%2 != 0 {
		return "", fault("style", "must be a list of names and values")
	}
	for i := 0; i < len(pieces); i++ {
		name, value, ok := strings.Cut(pieces[i], "=")
		if !p.explode {
			name, value, ok = pieces[i], pieces[i+1], true
			i++
		}
		if !ok {
			return "", fault("style", "must be a list of name=value")
		}
		if _, err := f.put(name, value); err != nil {
			return "", err
		}
	}
	return f.json(), nil
}

// pairs reads whole query pairs: exploded form and deepObject.
func (p *Parameter) pairs(raw []string) (string, error) {
	f := newFields(p.decoder, p.shape)
	for _, pair := range raw {
		name, value, _ := strings.Cut(pair, "=")
		if p.style.name == "deepObject" {
			decoded, err := p.decoder.text(name)
			if err != nil {
				return "", err
			}
			inner, ok := p.inner(decoded)
			if !ok {
				return "", fault("style", "must be of the form name[member]=value")
			}
			name = strings.ReplaceAll(inner, "%", "%25")
			name = strings.ReplaceAll(name, "+", "%2B") // put decodes once more
		}
		if _, err := f.put(name, value); err != nil {
			return "", err
		}
	}
	return f.json(), nil
}

const formType = "application/x-www-form-urlencoded"

func isJSON(mediaType string) bool {
	return mediaType == "application/json" || mediaType == "text/json" || strings.HasSuffix(mediaType, "+json")
}
