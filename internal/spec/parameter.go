package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// styles are the ways a parameter may be written, by where it stands (OpenAPI 3.1 §4.8.12.3).
var styles = map[string][]string{
	"path": {"matrix", "label", "simple"}, "query": {"form", "spaceDelimited", "pipeDelimited", "deepObject"},
	"header": {"simple"}, "cookie": {"form", "cookie"},
}

// parameter judges a Parameter Object, used or not.
func (w *walker) parameter(n *tree.Node) {
	name, in := n.Get("name").Str(), n.Get("in").Str()
	what := fmt.Sprintf("parameter %q", name)
	if in == "querystring" && w.version < v32 {
		w.add(n.Get("in").At, "", `"in" cannot be "querystring" before OpenAPI 3.2`)
		return
	}
	if in == "querystring" && (n.Get("schema") != nil || n.Get("style") != nil || n.Get("explode") != nil) {
		w.add(n.At, "say content: {application/x-www-form-urlencoded: {schema: …}}", "%s is the whole query string, which content alone describes", what)
		return
	}
	if s := n.Get("style"); s.Str() == "cookie" && w.version < v32 {
		w.add(s.At, "", `"style" cannot be "cookie" before OpenAPI 3.2`)
		return
	}
	w.shown(n, what)
	if s := n.Get("style"); s != nil && styles[in] != nil && !slices.Contains(styles[in], s.Str()) {
		w.add(s.At, "one of "+strings.Join(styles[in], ", "), "style %q of %s is not possible in %s", s.Text, what, in)
	}
	if e := n.Get("allowEmptyValue"); e.True() && in != "query" {
		w.add(e.At, "", "allowEmptyValue of %s is for query parameters only", what)
	}
	switch required := n.Get("required"); {
	case in == "path" && !required.True():
		w.warn(n.At, "add required: true", "%s stands in the path and is required, though it does not say so", what)
	case name == "":
		w.add(n.At, "", "a parameter has an empty name")
	case in == "header" && !isToken(name):
		w.add(n.At, "", "%q is no name of a header", name)
	}
}

// shown judges what parameters and headers share: exactly one of schema and content says what they look like.
func (w *walker) shown(n *tree.Node, what string) {
	schema, content := n.Get("schema"), n.Get("content")
	switch {
	case schema == nil && content == nil:
		w.add(n.At, "add schema: {type: string}, or what it is", "%s has neither schema nor content", what)
	case schema != nil && content != nil:
		w.add(n.At, "", "%s has both schema and content", what)
	case content != nil && len(content.Members) != 1:
		w.add(content.At, "", "content of %s must have exactly one media type", what)
	}
}

// unsaid are the header parameters OpenAPI ignores: others decide about them.
var unsaid = []string{"accept", "content-type", "authorization"}

func (r *reader) parameters(n *tree.Node, at string) []Parameter {
	if n == nil {
		return nil
	}
	var out []Parameter
	first := map[string]bool{}
	for i, item := range n.Items {
		p, where, problem := r.refs.follow(item, fmt.Sprintf("%s/%d", at, i))
		if problem != "" {
			continue // the walker said so
		}
		v := r.parameter(p, where)
		v.At = item.At
		key := v.In + " " + v.wire()
		if first[key] {
			r.add(item.At, "", "%s parameter %q is declared twice", v.In, v.Name)
		}
		first[key] = true
		if v.In == "header" && slices.Contains(unsaid, v.wire()) {
			r.warn(item.At, "", "a header parameter %q is ignored, as OpenAPI says", v.Name)
			continue
		}
		out = append(out, v)
	}
	return out
}

// wire is the name as far as a server tells names apart.
func (p *Parameter) wire() string {
	if p.In == "header" {
		return strings.ToLower(p.Name)
	}
	return p.Name
}

func (r *reader) parameter(p *tree.Node, at string) Parameter {
	v := Parameter{Name: p.Get("name").Str(), In: p.Get("in").Str(), Style: p.Get("style").Str(), Required: p.Get("required").True() || p.Get("in").Str() == "path",
		AllowReserved: p.Get("allowReserved").True(), AllowEmpty: p.Get("allowEmptyValue").True(), Pointer: at}
	if e := p.Get("explode"); e != nil {
		b := e.True()
		v.Explode = &b
	}
	if s := p.Get("schema"); s != nil {
		v.Schema = r.refs.schema(s, at+"/schema", r.version)
	} else if c := p.Get("content").Members[0]; c.Name != "" {
		v.Content = mediaType(c.Name)
		m, where, _ := r.refs.follow(c.Value, at+"/content/"+tree.Escape(c.Name))
		if s := m.Get("schema"); s != nil {
			v.Schema = r.refs.schema(s, where+"/schema", r.version)
		}
	}
	return v
}

// merge lets an operation's parameter replace the path's of the same name and place.
func merge(shared, own []Parameter) []Parameter {
	out := slices.Clone(shared)
	for _, p := range own {
		if i := slices.IndexFunc(out, func(s Parameter) bool { return s.In == p.In && s.wire() == p.wire() }); i >= 0 {
			out[i] = p
		} else {
			out = append(out, p)
		}
	}
	return out
}
