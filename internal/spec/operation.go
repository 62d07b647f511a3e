package spec

import (
	"net/http"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

func (r *reader) paths(n *tree.Node) {
	switch {
	case n == nil && r.version == v30: // later ones may consist of webhooks and components
		r.add(r.root.At, "", "the OpenAPI Object lacks \"paths\"")
		return
	case n == nil || len(n.Members) == 0:
		r.warn(r.root.At, "", "the document declares no paths: there is nothing to guard")
		return
	}
	r.ids = map[string]tree.Position{}
	for _, m := range n.Members {
		if !strings.HasPrefix(m.Name, "/") {
			continue
		}
		if item, at, problem := r.refs.follow(m.Value, "/paths/"+tree.Escape(m.Name)); problem == "" {
			r.pathItem(m, item, at)
		}
	}
}

func (r *reader) pathItem(m tree.Member, item *tree.Node, at string) {
	path, fragment, _ := strings.Cut(m.Name, "#")
	t, problem := parseTemplate(path)
	if problem != "" {
		r.add(m.At, "", "the path %q %s", m.Name, problem)
		return
	}
	shared := r.parameters(item.Get("parameters"), at+"/parameters")
	take := func(method, pointer string, f tree.Member) {
		op := &Operation{Method: method, Path: path, Fragment: fragment, Pointer: pointer, At: f.At}
		r.operation(op, f.Value, shared)
		r.pathParameters(op, t, m)
		r.doc.Operations = append(r.doc.Operations, op)
	}
	for _, f := range item.Members {
		switch {
		case slices.Contains(methods, f.Name):
			take(strings.ToUpper(f.Name), at+"/"+f.Name, f)
		case f.Name == "additionalOperations":
			for _, other := range f.Value.Members {
				if r.method(other) {
					take(other.Name, at+"/additionalOperations/"+tree.Escape(other.Name), other)
				}
			}
		}
	}
}

// method judges the name of an additional operation (OpenAPI 3.2 §4.9.1): methods are case-sensitive tokens.
func (r *reader) method(m tree.Member) bool {
	switch {
	case !isToken(m.Name):
		r.add(m.At, "", "%q is no method", m.Name)
	case slices.Contains(methods, strings.ToLower(m.Name)):
		r.add(m.At, "write it as "+strings.ToLower(m.Name)+" of the path item", "the method %s has a field of its own", strings.ToUpper(m.Name))
	case strings.EqualFold(m.Name, "CONNECT"):
		r.add(m.At, "", "CONNECT makes a tunnel, in which nothing can be judged")
	default:
		return true
	}
	return false
}

func (r *reader) operation(op *Operation, n *tree.Node, shared []Parameter) {
	r.name(op, n)
	op.Summary, op.Deprecated = textOf(n.Get("summary")), n.Get("deprecated").True()
	if tags := n.Get("tags"); tags != nil {
		for _, t := range tags.Items {
			op.Tags = append(op.Tags, t.Text)
		}
	}
	op.Parameters = merge(shared, r.parameters(n.Get("parameters"), op.Pointer+"/parameters"))
	r.queryString(op)
	for _, m := range n.Members {
		switch m.Name {
		case "requestBody":
			op.Body = r.body(m, op.Pointer+"/requestBody")
		case "security":
			op.Security, op.SecurityAt = r.security(m.Value), m.At
		case extensionName:
			op.Extension, op.ExtensionAt = m.Value, m.At
			op.Ext = readExtension(m.Value)
		}
	}
	op.Responses = r.responses(n.Get("responses"), op.Pointer+"/responses", op.At)
}

// queryString holds that a parameter that is the whole query string stands alone there (OpenAPI 3.2 §4.12).
func (r *reader) queryString(op *Operation) {
	whole, others := 0, 0
	for _, p := range op.Parameters {
		switch p.In {
		case "querystring":
			if whole++; whole > 1 {
				r.add(p.At, "", "%s %s has two parameters that are the whole query string", op.Method, op.Path)
			}
		case "query":
			others++
		}
	}
	if whole > 0 && others > 0 {
		r.add(op.At, "make them members of its schema", "%s %s has query parameters beside one that is the whole query string", op.Method, op.Path)
	}
}

// name gives an operation its id: operationId, or what it is on the wire.
func (r *reader) name(op *Operation, n *tree.Node) {
	op.ID = n.Get("operationId").Str()
	if op.ID == "" {
		op.ID = op.Method + " " + op.Path
		if op.Fragment != "" {
			op.ID += "#" + op.Fragment
		}
		return
	}
	if first, twice := r.ids[op.ID]; twice {
		r.add(n.Get("operationId").At, "", "operationId %q stands at %s too", op.ID, first)
		return
	}
	r.ids[op.ID] = op.At
}

// pathParameters holds that path parameters and template name the same.
func (r *reader) pathParameters(op *Operation, t template, path tree.Member) {
	for _, p := range op.Parameters {
		if p.In == "path" && !slices.Contains(t.names, p.Name) {
			r.add(p.At, "", "path parameter %q is not in the path %q", p.Name, path.Name)
		}
	}
	for _, name := range t.names {
		if !slices.ContainsFunc(op.Parameters, func(p Parameter) bool { return p.In == "path" && p.Name == name }) {
			r.add(op.At, "add it to parameters: {name: "+name+", in: path, required: true, schema: …}", "path parameter %q of %s %s is not declared", name, op.Method, op.Path)
		}
	}
}

func mediaType(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.ToLower(strings.TrimSpace(s))
}

func (r *reader) content(n *tree.Node, at string) []Media {
	if n == nil {
		return nil
	}
	var out []Media
	for _, m := range n.Members {
		media := Media{Type: mediaType(m.Name), At: m.At}
		v, where, problem := m.Value, at+"/"+tree.Escape(m.Name), ""
		if r.version >= v32 {
			if v, where, problem = r.refs.follow(v, where); problem != "" {
				continue // the walker said so
			}
		}
		if s := v.Get("schema"); s != nil {
			media.Schema = r.refs.schema(s, where+"/schema", r.version)
		}
		if r.version >= v32 {
			media.Schema = r.stream(media, v, where)
		}
		media.Encoding = r.encoding(v.Get("encoding"), where+"/encoding")
		out = append(out, media)
	}
	return out
}

func (r *reader) body(m tree.Member, at string) *Body {
	b, where, problem := r.refs.follow(m.Value, at)
	if problem != "" {
		return nil // the walker said so
	}
	return &Body{Required: b.Get("required").True(), Content: r.content(b.Get("content"), where+"/content"), At: m.At}
}

func (r *reader) responses(n *tree.Node, at string, op tree.Position) []Response {
	var out []Response
	if n != nil {
		for _, m := range n.Members {
			if isStatus(m.Name) {
				out = append(out, r.response(m, at+"/"+m.Name))
			}
		}
	}
	switch {
	case len(out) > 0:
	case r.version == v30:
		r.add(op, "declare at least one", "the operation declares no responses")
	default: // OpenAPI 3.1 made them optional
		r.warn(op, "declare at least one", "the operation declares no responses: every answer is undeclared")
	}
	return out
}

func (r *reader) response(m tree.Member, at string) Response {
	n, where, problem := r.refs.follow(m.Value, at)
	if problem != "" {
		return Response{} // the walker said so
	}
	out := Response{Status: m.Name, Content: r.content(n.Get("content"), where+"/content"), At: m.At}
	if h := n.Get("headers"); h != nil {
		for _, f := range h.Members {
			if !strings.EqualFold(f.Name, "Content-Type") { // OpenAPI ignores it: content says it
				out.Headers = append(out.Headers, http.CanonicalHeaderKey(f.Name))
			}
		}
	}
	return out
}
