package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// openAPI is a document, read no further than a generator of requests needs. It knows nothing of how Portreeve reads
// one.
type openAPI struct{ root map[string]any }

// operation is one operation of the document.
type operation struct {
	method, path string
	parameters   []map[string]any
	body         map[string]any
	elsewhere    bool // it has servers of its own
}

func (d openAPI) resolve(v any) map[string]any {
	m, _ := v.(map[string]any)
	for range 32 {
		ref, ok := m["$ref"].(string)
		if !ok {
			return m
		}
		var at any = d.root
		for token := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
			at, _ = at.(map[string]any)[token]
		}
		m, _ = at.(map[string]any)
	}
	return nil
}

// operations lists what the document declares, in the order of paths and methods.
func (d openAPI) operations() []operation {
	var all []operation
	paths := d.root["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := d.resolve(paths[path])
		for _, method := range []string{"get", "put", "post", "delete", "options", "patch"} {
			op, ok := item[method].(map[string]any)
			if !ok {
				continue
			}
			o := operation{method: strings.ToUpper(method), path: path, body: d.resolve(op["requestBody"]), elsewhere: op["servers"] != nil || item["servers"] != nil}
			own, _ := op["parameters"].([]any)
			shared, _ := item["parameters"].([]any)
			for _, p := range append(slices.Clone(own), shared...) {
				p := d.resolve(p)
				if !slices.ContainsFunc(o.parameters, func(q map[string]any) bool { return q["name"] == p["name"] && q["in"] == p["in"] }) {
					o.parameters = append(o.parameters, p)
				}
			}
			all = append(all, o)
		}
	}
	return all
}

// value makes a value of a schema: the least that it asks for. With examples, an example of the schema is preferred.
func (d openAPI) value(schema any, examples bool, depth int) any {
	s := d.resolve(schema)
	if examples && s["example"] != nil {
		return s["example"]
	}
	if e, ok := s["enum"].([]any); ok && len(e) > 0 {
		return e[0]
	}
	if all, ok := s["allOf"].([]any); ok {
		var merged any
		whole := d.object(s, examples, depth)
		for _, part := range all {
			merged = d.value(part, examples, depth)
			if m, ok := merged.(map[string]any); ok {
				maps.Copy(whole, m)
			}
		}
		if len(whole) > 0 {
			merged = whole
		}
		return merged
	}
	for _, word := range []string{"oneOf", "anyOf"} {
		if some, ok := s[word].([]any); ok && len(some) > 0 {
			return d.value(some[0], examples, depth)
		}
	}
	switch s["type"] {
	case "integer", "number":
		if n, ok := s["minimum"].(float64); ok {
			return n
		}
		return 1.0
	case "boolean":
		return true
	case "array":
		items := []any{}
		least, _ := s["minItems"].(float64)
		for i := 0; i < max(1, int(least)) && depth > 0; i++ {
			items = append(items, d.value(s["items"], examples, depth-1))
		}
		return items
	case "string":
		return text(s)
	}
	return d.object(s, examples, depth)
}

// object makes the properties that a schema requires by its own words.
func (d openAPI) object(s map[string]any, examples bool, depth int) map[string]any {
	o := map[string]any{}
	properties, _ := d.properties(s)
	for _, name := range required(s) {
		if depth > 0 {
			o[name] = d.value(properties[name], examples, depth-1)
		}
	}
	return o
}

// declared takes out of an example what its schema does not declare: an example may say more than the document promises.
func (d openAPI) declared(schema, v any) any {
	s := d.resolve(schema)
	switch v := v.(type) {
	case map[string]any:
		properties, _ := d.properties(s)
		if d.open(s) || s["oneOf"] != nil || s["anyOf"] != nil {
			return v
		}
		out := map[string]any{}
		for name, value := range v {
			if p, ok := properties[name]; ok {
				out[name] = d.declared(p, value)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = d.declared(s["items"], v[i])
		}
		return out
	}
	return v
}

// open reports whether a schema itself speaks of further properties, and allows them.
func (d openAPI) open(schema any) bool {
	s := d.resolve(schema)
	if more, ok := s["additionalProperties"]; ok {
		return more != false
	}
	parts, _ := s["allOf"].([]any)
	return slices.ContainsFunc(parts, func(p any) bool { return d.open(p) })
}

func required(s map[string]any) []string {
	var names []string
	list, _ := s["required"].([]any)
	for _, n := range list {
		names = append(names, n.(string))
	}
	return names
}

func text(s map[string]any) string {
	switch s["format"] {
	case "date-time":
		return "2024-05-17T09:30:00Z"
	case "date":
		return "2024-05-17"
	case "email":
		return "someone@example.com"
	case "url", "uri":
		return "https://example.com/a"
	case "uuid":
		return "3f2c9f0e-8f4b-4c53-9d2e-0d6b8e1b7a10"
	case "byte":
		return "cGxhaW4="
	case "digest":
		return "sha=fpRyg5eVQletdZqEKaFlqwBXJzM="
	}
	least, _ := s["minLength"].(float64)
	return strings.Repeat("a", max(5, int(least)))
}

// call is one request, taken apart so that one thing of it can be changed.
type call struct {
	operation
	pathValues  map[string]string
	query       url.Values
	header      http.Header
	contentType string
	json        any // a JSON body
	form        url.Values
}

// call makes a valid request. optional adds the optional query parameters that have a simple type.
func (d openAPI) call(o operation, examples, optional bool) (*call, error) {
	c := &call{operation: o, pathValues: map[string]string{}, query: url.Values{}, header: http.Header{}}
	for _, p := range o.parameters {
		name, in := p["name"].(string), p["in"].(string)
		schema := d.resolve(p["schema"])
		must, _ := p["required"].(bool)
		simple := schema["type"] == "integer" || schema["type"] == "boolean" || schema["enum"] != nil
		if !must && !(optional && in == "query" && simple) {
			continue
		}
		v := p["example"]
		if !examples || v == nil {
			v = d.value(schema, examples, 4)
		}
		switch in {
		case "path":
			c.pathValues[name] = scalar(v)
		case "query":
			if list, ok := v.([]any); ok {
				var parts []string
				for _, item := range list {
					parts = append(parts, scalar(item))
				}
				if explode, set := p["explode"].(bool); set && !explode {
					c.query.Set(name, strings.Join(parts, ","))
				} else {
					c.query[name] = parts
				}
			} else {
				c.query.Set(name, scalar(v))
			}
		case "header":
			c.header.Set(name, scalar(v))
		default:
			return nil, fmt.Errorf("a parameter in %s", in)
		}
	}
	if o.body == nil {
		return c, nil
	}
	content := o.body["content"].(map[string]any)
	for _, t := range []string{"application/json", "application/json-patch+json", "application/x-www-form-urlencoded"} {
		media, ok := content[t].(map[string]any)
		if !ok {
			continue
		}
		v := media["example"]
		if !examples || v == nil {
			v = d.value(media["schema"], examples, 6)
		}
		v = d.declared(media["schema"], v)
		c.contentType = t
		if t != "application/x-www-form-urlencoded" {
			c.json = v
			return c, nil
		}
		c.form = url.Values{}
		m, _ := v.(map[string]any)
		for name, value := range m {
			c.form.Set(name, scalar(value))
		}
		return c, nil
	}
	return nil, fmt.Errorf("no body that this generator can make")
}

// pointer leads to an operation in the document.
func (o operation) pointer() string {
	return "#/paths/" + escape(o.path) + "/" + strings.ToLower(o.method)
}

// onWire names what a server can tell apart: a path that differs from another after '#' alone is the same request.
func (o operation) onWire() string {
	path, _, _ := strings.Cut(o.path, "#")
	return o.method + " " + path
}

func escape(token string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(token) }

// answerSchema leads to the schema of a JSON answer, "" where the document has none.
func (d openAPI) answerSchema(o operation, status int) string {
	responses, _ := d.resolve(d.resolve(d.root["paths"].(map[string]any)[o.path])[strings.ToLower(o.method)])["responses"].(map[string]any)
	for _, key := range []string{fmt.Sprint(status), fmt.Sprintf("%dXX", status/100), "default"} {
		raw, ok := responses[key].(map[string]any)
		if !ok {
			continue
		}
		at := o.pointer() + "/responses/" + key
		if ref, ok := raw["$ref"].(string); ok {
			at = ref
		}
		content, _ := d.resolve(raw)["content"].(map[string]any)
		if media, ok := content["application/json"].(map[string]any); !ok || media["schema"] == nil {
			return ""
		}
		return at + "/content/application~1json/schema"
	}
	return ""
}

func scalar(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // v was read from JSON
	}
	return string(b)
}

func (c *call) clone() *call {
	n := *c
	n.pathValues, n.query, n.header, n.form = maps.Clone(c.pathValues), url.Values(http.Header(c.query).Clone()), c.header.Clone(), url.Values(http.Header(c.form).Clone())
	if c.json != nil {
		b, err := json.Marshal(c.json)
		if err != nil {
			panic(err)
		}
		n.json = nil
		if err := json.Unmarshal(b, &n.json); err != nil {
			panic(err)
		}
	}
	return &n
}

// request is the call for a server at base.
func (c *call) request(base string) (*http.Request, error) {
	path := c.path
	for name, v := range c.pathValues {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(v))
	}
	path, _, _ = strings.Cut(path, "#")
	target := base + path
	if len(c.query) > 0 {
		target += "?" + c.query.Encode()
	}
	var body []byte
	switch {
	case c.contentType == "application/x-www-form-urlencoded":
		body = []byte(c.form.Encode())
	case c.contentType != "":
		var err error
		if body, err = json.Marshal(c.json); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequest(c.method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = c.header.Clone()
	if c.contentType != "" {
		req.Header.Set("Content-Type", c.contentType)
	}
	return req, nil
}

// mutation is a call with exactly one thing wrong.
type mutation struct {
	kind, what string
	*call
}

// mutations makes one call of each kind of fault that the operation's rules allow to be made.
func (d openAPI) mutations(valid *call) []mutation {
	var all []mutation
	add := func(kind, what string, change func(*call)) {
		if slices.ContainsFunc(all, func(m mutation) bool { return m.kind == kind }) {
			return
		}
		c := valid.clone()
		change(c)
		all = append(all, mutation{kind, what, c})
	}
	for _, p := range valid.parameters {
		name, in := p["name"].(string), p["in"].(string)
		schema := d.resolve(p["schema"])
		must, _ := p["required"].(bool)
		if must && in == "query" {
			add("missing required", "query "+name, func(c *call) { c.query.Del(name) })
		}
		if must && in == "header" {
			add("missing required", "header "+name, func(c *call) { c.header.Del(name) })
		}
		set := func(v string) func(*call) {
			return func(c *call) {
				if in == "query" {
					c.query.Set(name, v)
				} else {
					c.pathValues[name] = v
				}
			}
		}
		if in != "query" && in != "path" {
			continue
		}
		switch {
		case schema["enum"] != nil:
			add("not in the enum", in+" "+name, set("no-such-value"))
		case schema["type"] == "integer", schema["type"] == "boolean":
			add("wrong type", in+" "+name, set("no-such-type"))
		}
	}
	if o, ok := valid.json.(map[string]any); ok {
		media := valid.body["content"].(map[string]any)[valid.contentType].(map[string]any)
		properties, musts := d.properties(media["schema"])
		for _, name := range slices.Sorted(maps.Keys(o)) {
			s := d.resolve(properties[name])
			if s == nil {
				continue
			}
			if slices.Contains(musts, name) {
				add("missing required", "body "+name, func(c *call) { delete(c.json.(map[string]any), name) })
			}
			set := func(v any) func(*call) { return func(c *call) { c.json.(map[string]any)[name] = v } }
			switch {
			case s["enum"] != nil:
				add("not in the enum", "body "+name, set("no-such-value"))
			case s["type"] == "string":
				add("wrong type", "body "+name, set(map[string]any{"no": "string"}))
			case s["type"] != nil:
				add("wrong type", "body "+name, set("no-such-type"))
			}
		}
		if !d.open(media["schema"]) {
			add("undeclared property", "body portreeve_e2e", func(c *call) { c.json.(map[string]any)["portreeve_e2e"] = "x" })
		}
	}
	if must, _ := valid.body["required"].(bool); must && valid.contentType != "" {
		add("missing required", "the body", func(c *call) { c.contentType, c.json, c.form = "", nil, nil })
	}
	add("undeclared parameter", "query portreeve_e2e", func(c *call) { c.query.Set("portreeve_e2e", "x") })
	return all
}

// properties merges what a schema and its allOf say of an object's properties.
func (d openAPI) properties(schema any) (map[string]any, []string) {
	s := d.resolve(schema)
	all := map[string]any{}
	if p, ok := s["properties"].(map[string]any); ok {
		maps.Copy(all, p)
	}
	musts := required(s)
	parts, _ := s["allOf"].([]any)
	for _, part := range parts {
		p, m := d.properties(part)
		maps.Copy(all, p)
		musts = append(musts, m...)
	}
	return all, musts
}
