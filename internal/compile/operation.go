package compile

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/config"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/schema"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// operations makes the document's. Paths that differ only after '#' are alternatives of one operation on the wire.
func (b *builder) operations(p *plan.Plan) {
	wire := map[string]*plan.Operation{}
	for _, op := range b.d.Operations {
		if op.Method == http.MethodTrace {
			b.fault(op.At, "remove it", "TRACE is never served")
			continue
		}
		made := b.operation(op)
		key := op.Method + " " + op.Path
		first := wire[key]
		if first == nil {
			wire[key] = made
			p.Operations = append(p.Operations, made)
			continue
		}
		b.join(first, made, op)
	}
}

func (b *builder) operation(op *spec.Operation) *plan.Operation {
	out := &plan.Operation{ID: op.ID, Method: op.Method, Path: op.Path, Source: b.source(op.At), Security: b.security(op)}
	x := &op.Ext
	out.Limits = b.limits(op)
	out.Authz = plan.Authz{Permission: x.Permission, StepUp: x.MFA, MaxAge: int(x.MaxAge.Seconds()), Source: b.source(x.At)}
	if out.Authz.StepUp && out.Authz.MaxAge == 0 {
		out.Authz.MaxAge = 900
	}
	if (x.MFA || x.MaxAge > 0) && (out.Security.Public || out.Security.Anonymous) {
		b.fault(x.At, "ask for a credential, or remove mfa and max_age", "%s %s asks callers to prove themselves anew, but lets anonymous ones pass", op.Method, op.Path)
	}
	undeclared := plan.Undeclared(first(x.Undeclared.Request, b.d.Ext.Undeclared.Request, b.c.Undeclared.Request))
	out.Request = plan.Request{MaxBody: int64(b.c.Sizes.Body), Undeclared: undeclared, Source: out.Source}
	if x.BodyLimit > 0 {
		out.Request.MaxBody = x.BodyLimit
	} else if b.d.Ext.BodyLimit > 0 {
		out.Request.MaxBody = b.d.Ext.BodyLimit
	}
	for _, prm := range op.Parameters {
		out.Request.Parameters = append(out.Request.Parameters, plan.Parameter{Name: prm.Name, In: prm.In, Style: prm.Style, Explode: prm.Explode, Required: prm.Required,
			AllowReserved: prm.AllowReserved, AllowEmpty: prm.AllowEmpty, Slash: prm.In == "path" && b.slash(b.d.Node(prm.Schema), 0), Schema: prm.Schema, Content: prm.Content,
			Source: b.source(prm.At)})
	}
	if op.Body != nil {
		body := &plan.Body{Required: op.Body.Required, Source: b.source(op.Body.At)}
		for _, m := range op.Body.Content {
			body.Media = append(body.Media, b.accepted(op, m))
		}
		out.Request.Body = body
	}
	out.Answers = b.answers(op)
	b.objects(op, out)
	out.Record = b.record(op, out)
	out.Screen = op.Ext.Screen || slices.Contains(b.c.Screen.Operations, op.ID)
	b.screened = append(b.screened, op.ID)
	if o := b.c.UnsafeObserve; o != nil {
		out.Observe = o.Steps
	}
	return out
}

// slash reports whether a schema speaks of slashes: a value, pattern or format with one. Where none does, an encoded slash
// is an attack on whoever decodes the path first; where one does, the schema judges it like any other character.
func (b *builder) slash(n *tree.Node, depth int) bool {
	if n == nil || depth > 16 {
		return false
	}
	if ref := n.Get("$ref").Str(); strings.HasPrefix(ref, "#/") && b.slash(b.d.Node(ref[1:]), depth+1) {
		return true
	}
	if strings.Contains(n.Get("pattern").Str(), "/") || strings.Contains(n.Get("const").Str(), "/") {
		return true
	}
	switch n.Get("format").Str() {
	case "uri", "uri-reference", "iri", "iri-reference", "uri-template", "json-pointer":
		return true
	}
	if values := n.Get("enum"); values != nil && slices.ContainsFunc(values.Items, func(v *tree.Node) bool { return strings.Contains(v.Str(), "/") }) {
		return true
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		if list := n.Get(keyword); list != nil && slices.ContainsFunc(list.Items, func(s *tree.Node) bool { return b.slash(s, depth+1) }) {
			return true
		}
	}
	return b.slash(n.Get("items"), depth+1)
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func pointers(p string) []string {
	if p == "" {
		return nil
	}
	return []string{p}
}

// limits: what everybody has, then what the configuration and the document add for the operation.
func (b *builder) limits(op *spec.Operation) []plan.Limit {
	var out []plan.Limit
	if b.c.Limits.Principal.Text != "" {
		out = append(out, b.limit("principal", b.c.Limits.Principal, "limits", "principal"))
	}
	if l, ok := b.c.Limits.Operations[op.ID]; ok {
		b.used[op.ID] = true
		out = append(out, b.limit("operation", l, "limits", "operations", op.ID))
	}
	if op.Ext.Limit != "" {
		l, err := documentLimit(op.Ext.Limit)
		if err != nil {
			b.fault(op.Ext.At, "write 10/1m", "x-portreeve.limit: %v", err)
			return out
		}
		out = append(out, plan.Limit{Name: "document", Text: l.Text, Count: l.Count, Window: l.Window, Rate: l.Rate, Burst: l.Burst, Source: b.source(op.Ext.At)})
	}
	return out
}

// documentLimit reads the text form the document's reader keeps, "10/1m" or "5/s burst 20".
func documentLimit(text string) (config.Limit, error) {
	if rate, burst, ok := strings.Cut(text, " burst "); ok {
		return config.ReadLimit(&tree.Node{Kind: tree.Object, Members: []tree.Member{
			{Name: "rate", Value: &tree.Node{Kind: tree.String, Text: rate}}, {Name: "burst", Value: &tree.Node{Kind: tree.Number, Text: burst}}}})
	}
	return config.ReadLimit(&tree.Node{Kind: tree.String, Text: text})
}

var responsePolicy = map[string]plan.Undeclared{"drop": plan.Drop, "block": plan.Refuse, "pass": plan.Ignore}

func (b *builder) answers(op *spec.Operation) []plan.Answer {
	var out []plan.Answer
	undeclared := responsePolicy[first(op.Ext.Undeclared.Response, b.d.Ext.Undeclared.Response, b.c.Undeclared.Response)]
	for _, r := range op.Responses {
		a := plan.Answer{Status: r.Status, Undeclared: undeclared, Source: b.source(r.At)}
		for _, h := range r.Headers {
			a.Headers = append(a.Headers, http.CanonicalHeaderKey(h))
		}
		for _, m := range r.Content {
			media := plan.Media{Type: m.Type, Schemas: pointers(m.Schema), Delivery: b.delivery(op, r.Status, m)}
			if media.Delivery == plan.Hold {
				media.Kind, media.Bytes = b.plainBody(m)
			}
			if media.Delivery == plan.Items && isJSON(m.Type) {
				media.Schemas = pointers(b.items(op, m))
			}
			a.Media = append(a.Media, media)
		}
		out = append(out, a)
	}
	return out
}

// delivery: a body with a rule is held until it is judged, or judged item by item; one without is copied. What an
// operation says of its delivery is about its success: refusals are never streams.
func (b *builder) delivery(op *spec.Operation, status string, m spec.Media) plan.Delivery {
	_, stream := schema.StreamOf(m.Type)
	kind, _ := b.plainBody(m)
	judged := m.Schema != "" && (stream || b.judgeable(m) || kind != plan.PartNatural)
	if m.Schema != "" && !judged && !b.anyText(m.Schema) {
		return b.unjudged(op, m)
	}
	switch {
	case op.Ext.Delivery == "items" && kind != plan.PartNatural:
		b.fault(op.Ext.At, "remove delivery: items", "%s %s has no items in %s", op.Method, op.Path, m.Type)
	case op.Ext.Delivery == "relay" && judged:
		b.fault(op.Ext.At, "remove delivery, or the schema", "%s %s cannot relay a body that has a schema", op.Method, op.Path)
	case op.Ext.Delivery != "" && judged && status[0] == '2':
		return plan.Delivery(op.Ext.Delivery)
	case judged && stream:
		return plan.Items
	case judged:
		return plan.Hold
	}
	return plan.Relay
}

// items returns the pointer of the one schema that every element of an array follows: elements that are judged one by
// one cannot be held against a rule for the whole array.
func (b *builder) items(op *spec.Operation, m spec.Media) string {
	pointer := m.Schema
	for range 16 {
		n := b.d.Node(pointer)
		if ref := n.Get("$ref").Str(); strings.HasPrefix(ref, "#/") {
			for _, member := range n.Members {
				if member.Name != "$ref" && !annotation(member.Name) {
					b.fault(op.Ext.At, "remove "+member.Name+", or delivery: items", "%s %s judges each element by itself and cannot hold the array against %s", op.Method, op.Path, member.Name)
					return ""
				}
			}
			pointer = ref[1:]
			continue
		}
		if n.Get("type").Str() != "array" || n.Get("items") == nil {
			break
		}
		for _, member := range n.Members {
			if member.Name != "type" && member.Name != "items" && !annotation(member.Name) {
				b.fault(op.Ext.At, "remove "+member.Name+", or delivery: items", "%s %s judges each element by itself and cannot hold the array against %s", op.Method, op.Path, member.Name)
				return ""
			}
		}
		return pointer + "/items"
	}
	b.fault(op.Ext.At, "type: array with items, nothing beside", "%s %s delivers items, but its schema is not a plain array", op.Method, op.Path)
	return ""
}

// annotation reports keywords that say nothing about a value.
func annotation(keyword string) bool {
	switch keyword {
	case "title", "description", "example", "examples", "default", "deprecated", "externalDocs", "$comment", "xml":
		return true
	}
	return false
}

// judgeable reports whether bodies of a media type can be held against a schema: JSON, forms, and ranges that JSON is in
// (the gate then takes nothing but JSON).
func (b *builder) judgeable(m spec.Media) bool {
	t := strings.ToLower(m.Type)
	if t == "*/*" || t == "application/*" {
		return !b.anyText(m.Schema)
	}
	return isJSON(t)
}

// anyText reports whether a schema says no more than that there are bytes or text.
func (b *builder) anyText(pointer string) bool {
	for range 16 {
		n := b.d.Node(pointer)
		if n == nil {
			return false
		}
		next := ""
		for _, member := range n.Members {
			switch {
			case member.Name == "$ref" && strings.HasPrefix(member.Value.Str(), "#/"):
				next = member.Value.Str()[1:]
			case member.Name == "type" && member.Value.Str() == "string", member.Name == "format" && member.Value.Str() == "binary",
				member.Name == "contentMediaType", member.Name == "contentEncoding", annotation(member.Name):
			default:
				return false
			}
		}
		if next == "" {
			return true
		}
		pointer = next
	}
	return false
}

// unjudged: a schema that nothing holds the body against protects nothing, so bodies of the type are refused, unless the
// document takes that on itself. Protected fields never leave so.
func (b *builder) unjudged(op *spec.Operation, m spec.Media) plan.Delivery {
	if op.Ext.Unjudged == "" {
		return plan.Never
	}
	if b.ruled(b.d.Node(m.Schema), map[*tree.Node]bool{}) {
		b.fault(op.Ext.UnjudgedAt, "declare the answer as JSON alone", "%s %s has fields with rules in %s, where nothing can keep them back", op.Method, op.Path, m.Type)
	}
	return plan.Relay
}

// ruled reports whether a schema reaches an x-portreeve that says something of its value.
func (b *builder) ruled(n *tree.Node, seen map[*tree.Node]bool) bool {
	return b.reaches(n, seen, func(x *tree.Node) bool {
		return slices.ContainsFunc(x.Members, func(m tree.Member) bool { return m.Name != "unsafe_pattern" })
	})
}

// accepted is the rule of a request's bodies of one media type.
func (b *builder) accepted(op *spec.Operation, m spec.Media) plan.Media {
	out := plan.Media{Type: m.Type, Schemas: pointers(m.Schema)}
	judged := true
	if t := strings.ToLower(m.Type); t == formType || isMultipart(t) {
		out.Parts, judged = b.parts(op, m)
	}
	if out.Delivery = b.acceptance(op, m); out.Delivery == plan.Hold && !judged {
		out.Delivery = plan.Never
	}
	if kind, length := b.plainBody(m); kind != plan.PartNatural && out.Delivery != plan.Hold {
		out.Kind, out.Bytes, out.Delivery = kind, length, plan.Hold
		if kind == plan.PartBytes {
			out.Delivery = plan.Relay // within its bounds
		}
	}
	if op.Ext.Unjudged != "" && isMultipart(strings.ToLower(m.Type)) {
		out.Delivery = plan.Relay
	}
	return out
}

// acceptance is how a request's body of a media type is taken: judged (hold), as it is (relay), or never.
func (b *builder) acceptance(op *spec.Operation, m spec.Media) plan.Delivery {
	t := strings.ToLower(m.Type)
	switch {
	case isMultipart(t):
		return plan.Hold
	case m.Schema == "" || b.anyText(m.Schema):
		if isJSON(t) || t == formType {
			return plan.Hold // strictly read, whatever is said of it
		}
		return plan.Relay
	case b.judgeable(m) || t == formType:
		return plan.Hold
	}
	if op.Ext.Unjudged == "" {
		return plan.Never
	}
	return plan.Relay
}

func isJSON(t string) bool {
	return t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json")
}

// record: what changes something or touches sensitive fields is recorded before it happens. A document may ask for more,
// never for less.
func (b *builder) record(op *spec.Operation, out *plan.Operation) plan.Record {
	natural := plan.Async
	if op.Method != http.MethodGet && op.Method != http.MethodHead && op.Method != http.MethodOptions && op.Method != "QUERY" || b.disclosesSensitive(out) {
		natural = plan.Sync
	}
	switch op.Ext.Record {
	case "sync":
		return plan.Sync
	case "async":
		if natural == plan.Sync {
			b.fault(op.Ext.At, "remove record: async", "%s %s changes something or shows sensitive fields: it is recorded before it happens", op.Method, op.Path)
		}
	}
	return natural
}

// disclosesSensitive reports whether an answer has a sensitive or cardholder field.
func (b *builder) disclosesSensitive(out *plan.Operation) bool {
	for _, a := range out.Answers {
		for _, m := range a.Media {
			for _, pointer := range m.Schemas {
				if b.sensitive(b.d.Node(pointer), map[*tree.Node]bool{}) {
					return true
				}
			}
		}
	}
	return false
}

func (b *builder) sensitive(n *tree.Node, seen map[*tree.Node]bool) bool {
	return b.reaches(n, seen, func(x *tree.Node) bool {
		class := x.Get("class").Str()
		return class == "sensitive" || class == "cardholder"
	})
}

// reaches reports whether a schema, or one it refers to, has an x-portreeve of which is says yes.
func (b *builder) reaches(n *tree.Node, seen map[*tree.Node]bool, is func(x *tree.Node) bool) bool {
	if n == nil || seen[n] {
		return false
	}
	seen[n] = true
	if ref := n.Get("$ref"); ref.Str() != "" && strings.HasPrefix(ref.Text, "#/") && b.reaches(b.d.Node(ref.Text[1:]), seen, is) {
		return true
	}
	if x := n.Get("x-portreeve"); x != nil && is(x) {
		return true
	}
	for _, m := range n.Members {
		if m.Name != "example" && m.Name != "examples" && m.Name != "default" && b.reaches(m.Value, seen, is) {
			return true
		}
	}
	for _, v := range n.Items {
		if b.reaches(v, seen, is) {
			return true
		}
	}
	return false
}

// join makes a further alternative part of one wire operation: a body or an answer may follow either schema, a
// parameter is required only where both require it. What guards them must be the same.
func (b *builder) join(into, other *plan.Operation, op *spec.Operation) {
	if !same(into.Security, other.Security) || !same(into.Authz, other.Authz) || !same(into.Object, other.Object) || !same(into.References, other.References) ||
		into.Request.Undeclared != other.Request.Undeclared || into.Request.MaxBody != other.Request.MaxBody {
		b.fault(op.At, "give both the same security and x-portreeve", "%s %s#%s is the same request as %s, but is guarded differently", op.Method, op.Path, op.Fragment, into.ID)
		return
	}
	into.ID += "|" + other.ID
	for _, p := range other.Request.Parameters {
		i := slices.IndexFunc(into.Request.Parameters, func(q plan.Parameter) bool { return q.Name == p.Name && q.In == p.In })
		switch {
		case i < 0:
			p.Required = p.Required && p.In == "path"
			into.Request.Parameters = append(into.Request.Parameters, p)
		case !p.Required:
			into.Request.Parameters[i].Required = false
		}
	}
	for i := range into.Request.Parameters {
		q := &into.Request.Parameters[i]
		if q.In != "path" && !slices.ContainsFunc(other.Request.Parameters, func(p plan.Parameter) bool { return p.Name == q.Name && p.In == q.In }) {
			q.Required = false
		}
	}
	switch {
	case into.Request.Body == nil:
		into.Request.Body = other.Request.Body
		if into.Request.Body != nil {
			into.Request.Body.Required = false
		}
	case other.Request.Body == nil:
		into.Request.Body.Required = false
	default:
		into.Request.Body.Required = into.Request.Body.Required && other.Request.Body.Required
		into.Request.Body.Media = joinMedia(into.Request.Body.Media, other.Request.Body.Media)
	}
	for _, a := range other.Answers {
		if i := slices.IndexFunc(into.Answers, func(o plan.Answer) bool { return o.Status == a.Status }); i >= 0 {
			b.alike(op, into.Answers[i], a)
			into.Answers[i].Media = joinMedia(into.Answers[i].Media, a.Media)
		} else {
			into.Answers = append(into.Answers, a)
		}
	}
	if other.Record == plan.Sync {
		into.Record = plan.Sync
	}
	for _, l := range other.Limits {
		if !slices.ContainsFunc(into.Limits, func(o plan.Limit) bool { return o.Name == l.Name && o.Text == l.Text }) {
			into.Limits = append(into.Limits, l)
		}
	}
}

// alike faults answers of alternatives that would weaken each other: the gate cannot know which one the API meant.
func (b *builder) alike(op *spec.Operation, one, other plan.Answer) {
	differ := one.Undeclared != other.Undeclared
	for _, m := range one.Media {
		for _, n := range other.Media {
			if m.Type != n.Type || same(m.Schemas, n.Schemas) {
				continue
			}
			differ = differ || m.Delivery != n.Delivery || len(m.Schemas) == 0 || len(n.Schemas) == 0
		}
	}
	if differ {
		b.fault(op.At, "declare one answer, with oneOf in its schema", "%s %s#%s answers %s otherwise than its alternative: with no schema, or another rule for what is undeclared", op.Method, op.Path, op.Fragment, other.Status)
	}
}

func joinMedia(into, other []plan.Media) []plan.Media {
	for _, m := range other {
		i := slices.IndexFunc(into, func(o plan.Media) bool { return o.Type == m.Type })
		if i < 0 {
			into = append(into, m)
			continue
		}
		for _, s := range m.Schemas {
			if !slices.Contains(into[i].Schemas, s) {
				into[i].Schemas = append(into[i].Schemas, s)
			}
		}
		if !same(into[i].Parts, m.Parts) {
			into[i].Delivery = plan.Never // two ways to read one body
		}
	}
	return into
}

// same compares by content, places aside.
func same(a, b any) bool {
	x, err := json.Marshal(a)
	if err != nil {
		return false
	}
	y, err := json.Marshal(b)
	return err == nil && placeless(x) == placeless(y)
}

func placeless(b []byte) string {
	var v any
	if json.Unmarshal(b, &v) != nil {
		return string(b)
	}
	if m, ok := v.(map[string]any); ok {
		delete(m, "source")
	}
	return fmt.Sprint(v)
}

// own adds the gate's own endpoints; a document that has one of them stops the start.
func (b *builder) own(p *plan.Plan) {
	add := func(name, path string) {
		for _, op := range p.Operations {
			if op.Path == path {
				b.fault(tree.Position{File: b.d.File}, "rename it", "the document declares %s, which is the gate's own", path)
			}
		}
		p.Operations = append(p.Operations, &plan.Operation{ID: "portreeve." + name, Method: http.MethodGet, Path: path, Own: name, Source: "built in",
			Security: plan.Security{Public: true, Source: "built in"}, Record: plan.Async,
			Request: plan.Request{Undeclared: plan.Refuse}})
	}
	add("health", "/.portreeve/health")
	if len(p.Help.Contact) > 0 {
		add("security.txt", "/.well-known/security.txt")
	}
	if p.PublicURL != "" {
		add("oauth-protected-resource", "/.well-known/oauth-protected-resource")
	}
	if p.Identity.Embedded != nil || p.Upstream.Assertion != nil {
		add("jwks", "/.portreeve/oidc/jwks")
	}
}
