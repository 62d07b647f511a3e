package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// bounds are the keywords both dialects write alike.
var bounds = map[string]field{
	"title": plain(prose), "description": plain(prose), "multipleOf": plain(number), "maximum": plain(number), "minimum": plain(number),
	"maxLength": plain(count), "minLength": plain(count), "pattern": plain(text), "maxItems": plain(count), "minItems": plain(count),
	"uniqueItems": plain(flag), "maxProperties": plain(count), "minProperties": plain(count), "required": listOf(plain(text)),
	"enum": listOf(plain(anything)), "default": plain(anything), "format": plain(text), "readOnly": plain(flag), "writeOnly": plain(flag),
	"deprecated": plain(flag), "example": plain(anything), "discriminator": one("Discriminator"), "xml": one("XML"),
	"externalDocs": one("External Documentation"), "$ref": plain(reference),
	"allOf": listOf(one("Schema")), "oneOf": listOf(one("Schema")), "anyOf": listOf(one("Schema")), "not": one("Schema"),
	"items": one("Schema"), "properties": dictOf(one("Schema")), "additionalProperties": {form: entity, of: "Schema", orFlag: true},
}

// schema30 is the dialect of OpenAPI 3.0 (§4.7.24): keywords it does not list do not exist.
var schema30 = object{fixed: merged(bounds, map[string]field{
	"type":     oneOf("array", "boolean", "integer", "number", "object", "string"),
	"nullable": plain(flag), "exclusiveMaximum": plain(flag), "exclusiveMinimum": plain(flag),
})}

// schema31 is JSON Schema 2020-12 with OpenAPI's base vocabulary; unknown keywords are annotations there.
var schema31 = object{fixed: merged(bounds, map[string]field{
	"type":             plain(anything), // see typeKeyword
	"exclusiveMaximum": plain(number), "exclusiveMinimum": plain(number), "const": plain(anything), "examples": plain(anything),
	"$id": plain(text), "$schema": plain(text), "$anchor": plain(text), "$dynamicRef": plain(text), "$dynamicAnchor": plain(text),
	"$vocabulary": plain(anything), "$comment": plain(text), "$defs": dictOf(one("Schema")), "definitions": dictOf(one("Schema")),
	"if": one("Schema"), "then": one("Schema"), "else": one("Schema"), "prefixItems": listOf(one("Schema")), "contains": one("Schema"),
	"maxContains": plain(count), "minContains": plain(count), "unevaluatedItems": one("Schema"), "unevaluatedProperties": one("Schema"),
	"patternProperties": dictOf(one("Schema")), "propertyNames": one("Schema"), "dependentSchemas": dictOf(one("Schema")),
	"dependentRequired": dictOf(listOf(plain(text))), "contentEncoding": plain(text), "contentMediaType": plain(text), "contentSchema": one("Schema"),
})}

var types31 = []string{"array", "boolean", "integer", "null", "number", "object", "string"}

// dialects are the values of $schema and jsonSchemaDialect that say what is read here anyway.
var dialects = []string{
	"https://json-schema.org/draft/2020-12/schema", "https://spec.openapis.org/oas/3.1/dialect/base",
	"https://spec.openapis.org/oas/3.1/dialect/2024-10-25", "https://spec.openapis.org/oas/3.1/dialect/2024-11-10",
	"https://spec.openapis.org/oas/3.2/dialect/2025-09-17",
}

func (w *walker) dialect(n *tree.Node) {
	if n != nil && !slices.Contains(dialects, strings.TrimSuffix(n.Text, "#")) {
		w.add(n.At, "schemas are read as JSON Schema 2020-12", "the schema dialect %q is not read", n.Text)
	}
}

// schema judges what the grammar cannot say of a Schema Object.
func (w *walker) schema(n *tree.Node) {
	w.schemas = append(w.schemas, n)
	if w.version == v30 {
		return
	}
	w.typeKeyword(n.Get("type"))
	w.dialect(n.Get("$schema"))
	if id := n.Get("$id"); id != nil {
		w.add(id.At, "remove it: references inside one file need none", "$id changes where every $ref below it leads, and parsers disagree about it")
	}
}

func (w *walker) typeKeyword(n *tree.Node) {
	switch {
	case n == nil:
	case n.Kind == tree.Array && len(n.Items) > 0:
		for _, t := range n.Items {
			w.oneType(t)
		}
	default:
		w.oneType(n)
	}
}

func (w *walker) oneType(n *tree.Node) {
	if n.Kind != tree.String || !slices.Contains(types31, n.Text) {
		w.add(n.At, "one of "+strings.Join(types31, ", ")+"; null with quotes", "type is not one of JSON Schema's")
	}
}

// unknownKeyword is a misspelt keyword, which would assert nothing, or an annotation somebody else understands.
func (w *walker) unknownKeyword(m tree.Member, o object) {
	near := nearest(m.Name, o.fixed)
	switch {
	case w.version == v30:
		w.add(m.At, didYouMean(near), "a Schema Object of OpenAPI 3.0 has no keyword %q", m.Name)
	case near != "":
		w.add(m.At, didYouMean(near)+" A misspelt keyword asserts nothing; begin its name with x- if it is your own", "a schema has no keyword %q", m.Name)
	default:
		w.warn(m.At, "begin its name with x- if it is your own", "the schema keyword %q is not known and asserts nothing", m.Name)
	}
}

// besideReference judges the siblings of $ref where OpenAPI 3.0 ignores them.
func (w *walker) besideReference(n *tree.Node) {
	for _, m := range n.Members {
		switch {
		case m.Name == "x-portreeve":
			w.add(m.At, "put both into allOf: [{$ref: …}], with x-portreeve beside allOf", "x-portreeve beside $ref is ignored in OpenAPI 3.0")
		case strings.HasPrefix(m.Name, "x-") || slices.Contains([]string{"$ref", "title", "summary", "description", "example", "examples", "deprecated"}, m.Name):
		default:
			w.warn(m.At, "put $ref into allOf to keep it", "%q beside $ref is ignored", m.Name)
		}
	}
}

// inPlace are the schemas that judge the same value as a schema does.
func (w *walker) inPlace(n *tree.Node) []*tree.Node {
	var out []*tree.Node
	if ref := n.Get("$ref"); ref != nil && ref.Kind == tree.String {
		if t, _, problem := w.refs.target(ref.Text); problem == "" {
			out = append(out, t)
		}
		if w.version == v30 {
			return out
		}
	}
	for _, m := range n.Members {
		switch m.Name {
		case "allOf", "anyOf", "oneOf":
			out = append(out, m.Value.Items...)
		case "not", "if", "then", "else":
			out = append(out, m.Value)
		case "dependentSchemas":
			for _, d := range m.Value.Members {
				out = append(out, d.Value)
			}
		}
	}
	return out
}

// loops refuses schemas that judge a value by judging it: no validator ever comes to an end.
func (w *walker) loops() {
	const open, done = 1, 2
	state := map[*tree.Node]uint8{}
	type frame struct {
		n    *tree.Node
		rest []*tree.Node
	}
	for _, start := range w.schemas {
		if state[start] != 0 {
			continue
		}
		state[start] = open
		stack := []frame{{start, w.inPlace(start)}}
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if len(top.rest) == 0 {
				state[top.n] = done
				stack = stack[:len(stack)-1]
				continue
			}
			next := top.rest[0]
			top.rest = top.rest[1:]
			switch state[next] {
			case 0:
				state[next] = open
				stack = append(stack, frame{next, w.inPlace(next)})
			case open:
				w.add(next.At, "a schema may contain itself only below a property or an item", "the schema refers to itself in a circle")
			}
		}
	}
}

func didYouMean(near string) string {
	if near == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", near)
}
