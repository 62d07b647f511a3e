package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// reader walks a document once.
type reader struct {
	faults faults
	doc    *Document
	root   *tree.Node
	ids    map[string]tree.Position
	seen   map[*tree.Node]bool
}

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

func (r *reader) document() {
	d, root := r.doc, r.root
	if root.Kind != tree.Object {
		r.faults.add(root.At, "", "the document is %s, not an object", root.Kind)
		return
	}
	version := root.Get("openapi")
	switch {
	case root.Get("swagger") != nil:
		r.faults.add(root.Get("swagger").At, "convert it to OpenAPI 3.0 or 3.1 first", "Swagger 2.0 is not read")
		return
	case version == nil || version.Kind != tree.String:
		r.faults.add(root.At, `write openapi: "3.1.0"`, "the document does not say which OpenAPI it follows")
		return
	}
	d.OpenAPI = version.Text
	if !slices.ContainsFunc([]string{"3.0.", "3.1.", "3.2."}, func(p string) bool { return strings.HasPrefix(d.OpenAPI, p) }) {
		r.faults.add(version.At, "3.0, 3.1 and 3.2 are read", "OpenAPI %q is not read", d.OpenAPI)
		return
	}
	r.known(root, "the document", "openapi", "info", "jsonSchemaDialect", "servers", "paths", "webhooks", "components", "security", "tags", "externalDocs", "$self")
	if info := root.Get("info"); info != nil {
		d.Title, d.APIVersion = info.Get("title").Str(), info.Get("version").Str()
	}
	if s := root.Get("servers"); s != nil {
		for _, item := range s.Items {
			d.Servers = append(d.Servers, item.Get("url").Str())
		}
	}
	r.seen = map[*tree.Node]bool{}
	r.components()
	d.Security = r.security(root.Get("security"))
	r.references(root, "")
	r.paths()
}

func (r *reader) components() {
	c := r.root.Get("components")
	if c == nil {
		return
	}
	r.known(c, "components", "schemas", "responses", "parameters", "examples", "requestBodies", "headers", "securitySchemes", "links", "callbacks", "pathItems", "mediaTypes")
	if s := c.Get("schemas"); s != nil {
		for _, m := range s.Members {
			r.schema(m.Value)
		}
	}
	s := c.Get("securitySchemes")
	if s == nil {
		return
	}
	for _, m := range s.Members {
		n := r.resolve(m.Value)
		if n == nil {
			continue
		}
		r.known(n, "a security scheme", "type", "description", "name", "in", "scheme", "bearerFormat", "flows", "openIdConnectUrl", "$ref", "deprecated", "oauth2MetadataUrl")
		r.doc.Schemes = append(r.doc.Schemes, Scheme{Name: m.Name, Type: n.Get("type").Str(), In: n.Get("in").Str(),
			Param: n.Get("name").Str(), HTTP: strings.ToLower(n.Get("scheme").Str()), At: m.At})
	}
}

// references holds that every $ref leads somewhere in this document. Samples of data are not searched.
func (r *reader) references(n *tree.Node, in string) {
	for _, m := range n.Members {
		if m.Name == "$ref" && m.Value.Kind == tree.String && in != "properties" {
			r.target(m.Value)
			continue
		}
		if m.Name == "example" || m.Name == "examples" || m.Name == "enum" || m.Name == "const" || m.Name == "default" && in != "responses" {
			if in != "properties" && in != "responses" {
				continue
			}
		}
		r.references(m.Value, m.Name)
	}
	for _, v := range n.Items {
		r.references(v, "")
	}
}

// target finds what a $ref leads to, nil after saying what is wrong.
func (r *reader) target(ref *tree.Node) *tree.Node {
	if !strings.HasPrefix(ref.Text, "#") {
		r.faults.add(ref.At, "bundle the document into one file first, e.g. npx @redocly/cli bundle", "$ref %q leads outside this file", ref.Text)
		return nil
	}
	if !strings.HasPrefix(ref.Text, "#/") && ref.Text != "#" {
		return nil // an anchor: the schema engine's affair
	}
	n := tree.At(r.root, unescapeFragment(ref.Text[1:]))
	if n == nil {
		r.faults.add(ref.At, "", "$ref %q leads nowhere", ref.Text)
	}
	return n
}

func unescapeFragment(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	for _, p := range [...][2]string{{"%7B", "{"}, {"%7D", "}"}, {"%7b", "{"}, {"%7d", "}"}, {"%20", " "}, {"%25", "%"}} {
		s = strings.ReplaceAll(s, p[0], p[1])
	}
	return s
}

// resolve follows references from one object to the one that is meant.
func (r *reader) resolve(n *tree.Node) *tree.Node {
	for range 32 {
		ref := n.Get("$ref")
		if ref == nil || ref.Kind != tree.String {
			return n
		}
		next := r.target(ref)
		if next == nil {
			return nil
		}
		n = next
	}
	r.faults.add(n.At, "", "references lead in a circle")
	return nil
}

// pointer returns where a child of an object stands, following a reference of the object itself.
func (r *reader) follow(n *tree.Node, at string) (*tree.Node, string) {
	for range 32 {
		ref := n.Get("$ref")
		if ref == nil || ref.Kind != tree.String {
			return n, at
		}
		next := r.target(ref)
		if next == nil {
			return nil, at
		}
		n, at = next, unescapeFragment(ref.Text[1:])
	}
	r.faults.add(n.At, "", "references lead in a circle")
	return nil, at
}

func (r *reader) security(n *tree.Node) *[]Requirement {
	if n == nil {
		return nil
	}
	list := []Requirement{}
	for _, item := range n.Items {
		req := Requirement{}
		for _, m := range item.Members {
			known := slices.ContainsFunc(r.doc.Schemes, func(s Scheme) bool { return s.Name == m.Name }) || m.Name == "bearer" || m.Name == "api_key"
			if !known {
				r.faults.add(m.At, "declare it in components.securitySchemes; bearer and api_key are built in", "security scheme %q is not declared", m.Name)
			}
			s := SchemeScopes{Scheme: m.Name}
			for _, scope := range m.Value.Items {
				s.Scopes = append(s.Scopes, scope.Text)
			}
			req = append(req, s)
		}
		list = append(list, req)
	}
	return &list
}

func (r *reader) paths() {
	paths := r.root.Get("paths")
	if paths == nil || len(paths.Members) == 0 {
		r.faults.add(r.root.At, "", "the document declares no paths")
		return
	}
	for _, m := range paths.Members {
		if strings.HasPrefix(m.Name, "x-") {
			continue
		}
		if !strings.HasPrefix(m.Name, "/") {
			r.faults.add(m.At, "", "path %q does not begin with /", m.Name)
			continue
		}
		item, at := r.follow(m.Value, "/paths/"+tree.Escape(m.Name))
		if item != nil {
			r.pathItem(m, item, at)
		}
	}
	r.collisions()
}

func (r *reader) pathItem(m tree.Member, item *tree.Node, at string) {
	r.known(item, "a path item", append([]string{"$ref", "summary", "description", "servers", "parameters", "query", "additionalOperations"}, methods...)...)
	template, fragment, _ := strings.Cut(m.Name, "#")
	shared := r.parameters(item.Get("parameters"), at+"/parameters")
	for _, method := range methods {
		n := item.Get(method)
		if n == nil {
			continue
		}
		op := &Operation{Method: strings.ToUpper(method), Path: template, Fragment: fragment, At: n.At}
		for _, im := range item.Members {
			if im.Name == method {
				op.At = im.At
			}
		}
		r.operation(op, n, at+"/"+method, shared)
		r.doc.Operations = append(r.doc.Operations, op)
	}
}

func (r *reader) operation(op *Operation, n *tree.Node, at string, shared []Parameter) {
	r.known(n, "an operation", "tags", "summary", "description", "externalDocs", "operationId", "parameters", "requestBody", "responses", "callbacks", "deprecated", "security", "servers")
	op.ID = n.Get("operationId").Str()
	if op.ID == "" {
		op.ID = op.Method + " " + op.Path
		if op.Fragment != "" {
			op.ID += "#" + op.Fragment
		}
	} else if first, twice := r.ids[op.ID]; twice {
		r.faults.add(n.Get("operationId").At, "", "operationId %q stands at %s too", op.ID, first)
	} else {
		r.ids[op.ID] = op.At
	}
	op.Summary, op.Deprecated = n.Get("summary").Str(), n.Get("deprecated").True()
	if tags := n.Get("tags"); tags != nil {
		for _, t := range tags.Items {
			op.Tags = append(op.Tags, t.Text)
		}
	}
	op.Parameters = merge(shared, r.parameters(n.Get("parameters"), at+"/parameters"))
	r.template(op)
	if b := n.Get("requestBody"); b != nil {
		op.Body = r.body(b, at+"/requestBody")
	}
	op.Responses = r.responses(n.Get("responses"), at+"/responses", op.At)
	if s := n.Get("security"); s != nil {
		op.Security, op.SecurityAt = r.security(s), s.At
	}
	if x := n.Get("x-portreeve"); x != nil {
		op.Extension, op.ExtensionAt = x, x.At
	}
}

// merge lets an operation's parameter replace the path's of the same name and place.
func merge(shared, own []Parameter) []Parameter {
	out := slices.Clone(shared)
	for _, p := range own {
		if i := slices.IndexFunc(out, func(s Parameter) bool { return s.Name == p.Name && s.In == p.In }); i >= 0 {
			out[i] = p
		} else {
			out = append(out, p)
		}
	}
	return out
}

func (r *reader) parameters(n *tree.Node, at string) []Parameter {
	if n == nil {
		return nil
	}
	var out []Parameter
	for i, item := range n.Items {
		p, where := r.follow(item, fmt.Sprintf("%s/%d", at, i))
		if p == nil {
			continue
		}
		r.known(p, "a parameter", "name", "in", "description", "required", "deprecated", "allowEmptyValue", "style", "explode", "allowReserved", "schema", "example", "examples", "content")
		v := Parameter{Name: p.Get("name").Str(), In: p.Get("in").Str(), Style: p.Get("style").Str(), Required: p.Get("required").True(),
			AllowReserved: p.Get("allowReserved").True(), AllowEmpty: p.Get("allowEmptyValue").True(), At: item.At}
		if e := p.Get("explode"); e != nil {
			b := e.True()
			v.Explode = &b
		}
		if !slices.Contains([]string{"path", "query", "header", "cookie"}, v.In) {
			r.faults.add(p.At, "path, query, header or cookie", "parameter %q stands in %q", v.Name, v.In)
		}
		if s := p.Get("schema"); s != nil {
			v.Schema = where + "/schema"
			r.schema(s)
		} else if c := p.Get("content"); c != nil && len(c.Members) == 1 {
			v.Content = c.Members[0].Name
			if c.Members[0].Value.Get("schema") != nil {
				v.Schema = where + "/content/" + tree.Escape(v.Content) + "/schema"
			}
		}
		if v.In == "header" && slices.Contains([]string{"accept", "content-type", "authorization"}, strings.ToLower(v.Name)) {
			continue // OpenAPI: such a parameter is to be ignored
		}
		out = append(out, v)
	}
	return out
}

// template holds that path parameters and template agree.
func (r *reader) template(op *Operation) {
	want := map[string]bool{}
	for rest := op.Path; ; {
		_, after, ok := strings.Cut(rest, "{")
		if !ok {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed || name == "" {
			r.faults.add(op.At, "", "path %q has an unmatched brace", op.Path)
			return
		}
		if want[name] {
			r.faults.add(op.At, "", "path %q names %q twice", op.Path, name)
		}
		want[name], rest = true, tail
	}
	for _, p := range op.Parameters {
		if p.In != "path" {
			continue
		}
		if !want[p.Name] {
			r.faults.add(p.At, "", "path parameter %q is not in the path %q", p.Name, op.Path)
		}
		delete(want, p.Name)
	}
	for name := range want {
		r.faults.add(op.At, "add it to parameters, with in: path", "path parameter %q of %s %s is not declared", name, op.Method, op.Path)
	}
}

func (r *reader) content(n *tree.Node, at string) []Media {
	if n == nil {
		return nil
	}
	var out []Media
	for _, m := range n.Members {
		v, where := r.follow(m.Value, at+"/"+tree.Escape(m.Name))
		if v == nil {
			continue
		}
		r.known(v, "a media type", "schema", "example", "examples", "encoding", "itemSchema", "prefixEncoding", "itemEncoding", "description")
		media := Media{Type: strings.ToLower(strings.TrimSpace(strings.SplitN(m.Name, ";", 2)[0])), At: m.At}
		for _, field := range []string{"schema", "itemSchema"} {
			if s := v.Get(field); s != nil {
				media.Schema = where + "/" + field
				r.schema(s)
			}
		}
		out = append(out, media)
	}
	return out
}

func (r *reader) body(n *tree.Node, at string) *Body {
	v, where := r.follow(n, at)
	if v == nil {
		return nil
	}
	r.known(v, "a request body", "description", "content", "required")
	return &Body{Required: v.Get("required").True(), Content: r.content(v.Get("content"), where+"/content"), At: n.At}
}

func (r *reader) responses(n *tree.Node, at string, op tree.Position) []Response {
	if n == nil || len(n.Members) == 0 {
		r.faults.add(op, "declare at least one", "the operation declares no responses")
		return nil
	}
	var out []Response
	for _, m := range n.Members {
		if strings.HasPrefix(m.Name, "x-") {
			continue
		}
		if !statusKey(m.Name) {
			r.faults.add(m.At, `a status like "200", a class like "4XX", or default`, "response %q is not a status", m.Name)
			continue
		}
		v, where := r.follow(m.Value, at+"/"+tree.Escape(m.Name))
		if v == nil {
			continue
		}
		r.known(v, "a response", "description", "headers", "content", "links", "summary")
		resp := Response{Status: strings.ToUpper(m.Name), Content: r.content(v.Get("content"), where+"/content"), At: m.At}
		if m.Name == "default" {
			resp.Status = "default"
		}
		if h := v.Get("headers"); h != nil {
			for _, hm := range h.Members {
				resp.Headers = append(resp.Headers, hm.Name)
			}
		}
		out = append(out, resp)
	}
	return out
}

func statusKey(s string) bool {
	if s == "default" {
		return true
	}
	if len(s) != 3 || s[0] < '1' || s[0] > '5' {
		return false
	}
	return s[1:] == "XX" || s[1:] == "xx" || s[1]-'0' < 10 && s[2]-'0' < 10
}

// collisions refuses templates that no request could tell apart.
func (r *reader) collisions() {
	first := map[string]*Operation{}
	for _, op := range r.doc.Operations {
		var shape strings.Builder
		for rest := op.Path; ; {
			before, after, ok := strings.Cut(rest, "{")
			shape.WriteString(before)
			if !ok {
				break
			}
			shape.WriteString("{}")
			_, rest, _ = strings.Cut(after, "}")
		}
		key := op.Method + " " + shape.String() + "#" + op.Fragment
		if o := first[key]; o != nil {
			r.faults.add(op.At, "", "%s %s and %s %s (%s) match the same requests", op.Method, op.Path, o.Method, o.Path, o.At)
		} else {
			first[key] = op
		}
	}
}
