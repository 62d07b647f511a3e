package schema

import (
	"strconv"
	"strings"
)

// translation brings schemas of OpenAPI 3.0 (a dialect of its own, near draft 4) to JSON Schema 2020-12, in place. It
// visits what is a schema and nothing else, so that samples of data and properties called like keywords stay as they
// are. Of the dialect's own keywords, nullable is left to the judge.
type translation struct {
	doc  any
	seen map[string]bool
}

// visit translates the schema at a pointer and every one it leads to.
func (t *translation) visit(pointer string) {
	m, ok := lookup(t.doc, pointer).(map[string]any)
	if !ok || t.seen[pointer] {
		return // what is no schema at all is the compiler's to tell
	}
	t.seen[pointer] = true
	if ref, ok := m["$ref"].(string); ok {
		for name := range m {
			if name != "$ref" && name != "x-portreeve" { // siblings are ignored (OpenAPI 3.0.3 §4.7.23.2), but no rule of ours
				delete(m, name)
			}
		}
		if target, local := strings.CutPrefix(ref, "#"); local {
			_, target = located("#" + target)
			t.visit(target)
		}
		return
	}
	exclusive(m, "minimum", "exclusiveMinimum")
	exclusive(m, "maximum", "exclusiveMaximum")
	for _, keyword := range [...]string{"items", "additionalProperties", "not"} {
		t.visit(pointer + "/" + keyword)
	}
	for _, keyword := range [...]string{"allOf", "anyOf", "oneOf"} {
		list, _ := m[keyword].([]any)
		for i := range list {
			t.visit(pointer + "/" + keyword + "/" + strconv.Itoa(i))
		}
	}
	properties, _ := m["properties"].(map[string]any)
	for name := range properties {
		t.visit(pointer + "/properties/" + escapePointer(name))
	}
}

// exclusive: in 3.0 the exclusive bounds are booleans that sharpen the others.
func exclusive(m map[string]any, bound, keyword string) {
	sharp, isBool := m[keyword].(bool)
	if !isBool {
		return
	}
	delete(m, keyword)
	if v, ok := m[bound]; ok && sharp {
		m[keyword] = v
		delete(m, bound)
	}
}
