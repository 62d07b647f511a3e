package compile

import (
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/schema"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

const formType = "application/x-www-form-urlencoded"

func isMultipart(mediaType string) bool { return strings.HasPrefix(mediaType, "multipart/") }

// parts says how the members of a form or of a multipart body are written: what the Encoding Object says, or else what
// OpenAPI gives a type by default (3.1 §4.8.15.1). judged is false where a member has a rule that could not be held
// against it.
func (b *builder) parts(op *spec.Operation, m spec.Media) (out []plan.Part, judged bool) {
	members := map[string][]string{} // pointers of the schemas that a member must follow, or may
	judged = b.members(m.Schema, members, map[string]bool{})
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	for _, e := range m.Encoding {
		if members[e.Name] == nil {
			b.fault(e.At, "declare it, or remove its encoding", "%s %s says how %q of %s is written, which its schema does not declare", op.Method, op.Path, e.Name, m.Type)
		}
	}
	slices.Sort(names)
	multipart := isMultipart(strings.ToLower(m.Type))
	for _, name := range names {
		part, ok := b.part(name, members[name], m, multipart)
		judged = judged && ok
		if part != nil {
			out = append(out, *part)
		}
	}
	return out, judged
}

// members gathers the properties that a schema declares for the body itself, through references and combinators. It
// returns false for a schema that is of no object.
func (b *builder) members(pointer string, into map[string][]string, seen map[string]bool) bool {
	n := b.d.Node(pointer)
	if n == nil || seen[pointer] {
		return true
	}
	seen[pointer] = true
	ok := n.Get("type") == nil || slices.Contains(typesOf(n), "object")
	for _, k := range n.Members {
		switch k.Name {
		case "$ref":
			if target, inside := strings.CutPrefix(k.Value.Str(), "#"); inside {
				ok = b.members(target, into, seen) && ok
			}
		case "properties":
			for _, p := range k.Value.Members {
				into[p.Name] = append(into[p.Name], pointer+"/properties/"+tree.Escape(p.Name))
			}
		case "allOf", "anyOf", "oneOf":
			for i := range k.Value.Items {
				ok = b.members(pointer+"/"+k.Name+"/"+strconv.Itoa(i), into, seen) && ok
			}
		}
	}
	return ok
}

// typesOf returns what the keyword type names.
func typesOf(n *tree.Node) []string {
	t := n.Get("type")
	if t == nil {
		return nil
	}
	if t.Kind != tree.Array {
		return []string{t.Str()}
	}
	var out []string
	for _, item := range t.Items {
		if item.Str() != "null" {
			out = append(out, item.Str())
		}
	}
	return out
}

// part returns the rule of one member; nil where there is nothing to say that its schema does not.
func (b *builder) part(name string, pointers []string, m spec.Media, multipart bool) (*plan.Part, bool) {
	out := plan.Part{Name: name, Most: -1}
	if i := slices.IndexFunc(m.Encoding, func(e spec.Encoding) bool { return e.Name == name }); i >= 0 {
		e := m.Encoding[i]
		out.Types, out.Source = e.Types, b.source(e.At)
		if !multipart && (e.Style != "" || e.Explode != nil) {
			out.Style, out.Explode = e.Style, e.Explode // then contentType says nothing (3.1 §4.8.15.1.2)
			return &out, true
		}
		if multipart {
			for _, h := range e.Headers {
				out.Headers = append(out.Headers, plan.Parameter{Name: h.Name, In: h.In, Style: h.Style, Explode: h.Explode, Required: h.Required,
					Schema: h.Schema, Content: h.Content, Source: b.source(h.At)})
			}
		}
	}
	judged := true
	for i, pointer := range pointers {
		kind, least, most, ok := b.written(pointer, out.Types, multipart)
		if i > 0 && kind != out.Kind {
			judged = false // one reading would hold for one schema, and another for the other
		}
		judged = judged && ok
		out.Kind, out.Least = kind, max(out.Least, least)
		if most >= 0 && (out.Most < 0 || most < out.Most) {
			out.Most = most
		}
	}
	if out.Kind == plan.PartNatural && len(out.Types) == 0 && len(out.Headers) == 0 {
		return nil, judged
	}
	return &out, judged
}

// written finds what the text of a member is. For bytes, which no schema describes, it returns the bounds of their
// length; judged is false where the schema says more of them.
func (b *builder) written(pointer string, types []string, multipart bool) (kind plan.PartKind, least, most int64, judged bool) {
	least, most = 0, -1
	var nodes []*tree.Node // the schema and what it refers to
	item := false
	for range 16 {
		n := b.d.Node(pointer)
		if n == nil {
			break
		}
		nodes = append(nodes, n)
		if ref, ok := strings.CutPrefix(n.Get("$ref").Str(), "#"); ok {
			pointer = ref
			continue
		}
		if !item && slices.Contains(typesOf(n), "array") && n.Get("items") != nil {
			pointer, nodes, item = pointer+"/items", nil, true
			continue
		}
		break
	}
	if !multipart || !bytesAlone(nodes, types) {
		if len(types) > 0 && slices.ContainsFunc(types, func(t string) bool { return !isJSON(t) }) == slices.ContainsFunc(types, isJSON) {
			return plan.PartText, least, most, false // JSON or not: which one is not known before it is read
		}
		switch {
		case len(types) == 0 && len(nodes) > 0 && objectAlone(nodes[len(nodes)-1]):
			return plan.PartJSON, least, most, true
		case len(types) == 0:
			return plan.PartNatural, least, most, true
		case isJSON(types[0]):
			return plan.PartJSON, least, most, true
		}
		return plan.PartText, least, most, true
	}
	judged = true
	for _, n := range nodes {
		for _, k := range n.Members {
			switch {
			case k.Name == "minLength":
				least = max(least, number(k.Value))
			case k.Name == "maxLength":
				if v := number(k.Value); most < 0 || v < most {
					most = v
				}
			case k.Name == "type", k.Name == "format", k.Name == "contentMediaType", k.Name == "contentEncoding", k.Name == "nullable", k.Name == "$ref",
				annotation(k.Name), strings.HasPrefix(k.Name, "x-"):
			default:
				judged = false
			}
		}
	}
	return plan.PartBytes, least, most, judged
}

func objectAlone(n *tree.Node) bool {
	t := typesOf(n)
	return len(t) == 1 && t[0] == "object" || len(t) == 0 && n.Get("properties") != nil
}

func number(n *tree.Node) int64 {
	v, err := strconv.ParseInt(n.Text, 10, 64)
	if err != nil {
		return 0
	}
	return v
}

// bytesAlone reports whether a member is bytes, and no text: format binary (3.0), contentMediaType or contentEncoding (3.1),
// no type and nothing else, or a media type that is neither JSON nor plain text.
func bytesAlone(nodes []*tree.Node, types []string) bool {
	if len(types) > 0 {
		return !slices.ContainsFunc(types, func(t string) bool { return isJSON(t) || t == "text/plain" })
	}
	for _, n := range nodes {
		if n.Get("format").Str() == "binary" || n.Get("contentMediaType") != nil || n.Get("contentEncoding") != nil {
			return true
		}
		for _, k := range n.Members {
			if k.Name != "$ref" && !annotation(k.Name) && !strings.HasPrefix(k.Name, "x-") {
				return false
			}
		}
	}
	return true
}

// plainBody finds what a body is that is neither JSON nor made of parts, where its schema says more of it than that it is
// text: text, or bytes of a length.
func (b *builder) plainBody(m spec.Media) (plan.PartKind, *plan.Length) {
	t := strings.ToLower(m.Type)
	_, stream := schema.StreamOf(t)
	if m.Schema == "" || b.anyText(m.Schema) || stream || isJSON(t) || t == formType || isMultipart(t) || strings.HasPrefix(t, "*/") || t == "application/*" {
		return plan.PartNatural, nil
	}
	n := b.d.Node(m.Schema)
	for range 16 {
		ref, ok := strings.CutPrefix(n.Get("$ref").Str(), "#")
		if !ok {
			break
		}
		n = b.d.Node(ref)
	}
	types := typesOf(n)
	if len(types) == 0 || slices.Contains(types, "object") || slices.Contains(types, "array") {
		return plan.PartNatural, nil
	}
	if strings.HasPrefix(t, "text/") && t != "text/html" && t != "text/xml" && t != "text/*" && !slices.ContainsFunc(types, func(s string) bool { return s != types[0] }) {
		return plan.PartText, nil
	}
	kind, least, most, judged := b.written(m.Schema, []string{t}, true)
	if kind != plan.PartBytes || !judged || types[0] != "string" {
		return plan.PartNatural, nil
	}
	return kind, &plan.Length{Least: least, Most: most}
}
