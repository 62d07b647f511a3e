package spec

import (
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// keywords of JSON Schema 2020-12 and of both OpenAPI dialects.
var keywords = []string{"$ref", "$id", "$schema", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary", "$comment", "$defs",
	"definitions", "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern",
	"maxItems", "minItems", "uniqueItems", "maxContains", "minContains", "contains", "items", "prefixItems", "additionalItems", "unevaluatedItems", "maxProperties", "minProperties", "required",
	"dependentRequired", "dependentSchemas", "dependencies", "properties", "patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames",
	"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "format", "contentEncoding", "contentMediaType", "contentSchema", "title", "description",
	"default", "deprecated", "readOnly", "writeOnly", "examples", "example", "nullable", "discriminator", "xml", "externalDocs"}

// extension is what x-portreeve may say on a property.
var extension = map[string]tree.Kind{"class": tree.String, "permission": tree.String, "mask": tree.String, "unmask": tree.String, "owner_may": tree.Bool}

// schema walks one schema for what its engine would silently ignore: a misspelt keyword asserts nothing.
func (r *reader) schema(n *tree.Node) {
	if n == nil || n.Kind != tree.Object || r.seen[n] {
		return
	}
	r.seen[n] = true
	for _, m := range n.Members {
		switch m.Name {
		case "properties", "patternProperties", "dependentSchemas", "$defs", "definitions":
			for _, p := range m.Value.Members {
				r.schema(p.Value)
			}
		case "items", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "contains", "propertyNames", "not", "if", "then", "else", "additionalItems", "contentSchema":
			r.schema(m.Value)
		case "allOf", "anyOf", "oneOf", "prefixItems":
			for _, s := range m.Value.Items {
				r.schema(s)
			}
		case "x-portreeve":
			r.propertyExtension(m.Value)
		default:
			r.keyword(m)
		}
	}
}

func (r *reader) keyword(m tree.Member) {
	if strings.HasPrefix(m.Name, "x-") || slices.Contains(keywords, m.Name) {
		return
	}
	if near := tree.Nearest(m.Name, keywords); near != "" {
		r.faults.add(m.At, "did you mean \""+near+"\"? a misspelt keyword asserts nothing", "a schema has no keyword %q", m.Name)
		return
	}
	r.doc.Warnings = append(r.doc.Warnings, &tree.Error{At: m.At, Problem: "schema keyword \"" + m.Name + "\" is not known and asserts nothing"})
}

func (r *reader) propertyExtension(n *tree.Node) {
	if n.Kind != tree.Object {
		r.faults.add(n.At, "", "x-portreeve is %s, not an object", n.Kind)
		return
	}
	names := make([]string, 0, len(extension))
	for name := range extension {
		names = append(names, name)
	}
	for _, m := range n.Members {
		kind, known := extension[m.Name]
		switch {
		case !known:
			hint := ""
			if near := tree.Nearest(m.Name, names); near != "" {
				hint = "did you mean \"" + near + "\"?"
			}
			r.faults.add(m.At, hint, "x-portreeve of a property has no field %q", m.Name)
		case m.Value.Kind != kind:
			r.faults.add(m.Value.At, "", "x-portreeve.%s is %s, not %s", m.Name, m.Value.Kind, kind)
		}
	}
}
