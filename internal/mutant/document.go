package mutant

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/plan"
)

// document is the plan's document as it can be edited. Each $ref in it is local.
type document struct{ root any }

func readDocument(p *plan.Plan) (*document, error) {
	d := json.NewDecoder(bytes.NewReader(p.Document))
	d.UseNumber() // a float would lose what an integer says
	out := new(document)
	return out, d.Decode(&out.root)
}

func (d *document) raw() json.RawMessage {
	b, err := json.Marshal(d.root)
	if err != nil {
		panic("mutant: " + err.Error()) // it was read from JSON
	}
	return b
}

// at finds what a pointer leads to (RFC 6901), nil when there is nothing.
func (d *document) at(pointer string) any {
	v := d.root
	for _, name := range strings.Split(strings.TrimPrefix(pointer, "#"), "/")[1:] {
		name = strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")
		switch t := v.(type) {
		case map[string]any:
			v = t[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(t) {
				return nil
			}
			v = t[i]
		default:
			return nil
		}
	}
	return v
}

// each visits every schema that is reached from the given ones, once.
func (d *document) each(starts []string, visit func(schema map[string]any)) {
	d.walk(starts, func(_ string, schema map[string]any) { visit(schema) })
}

// walk is each, with the pointer by which a schema was found first.
func (d *document) walk(starts []string, visit func(pointer string, schema map[string]any)) {
	w := walker{d, map[string]bool{}, visit}
	for _, s := range starts {
		w.schema(strings.TrimPrefix(s, "#"), d.at(s))
	}
}

type walker struct {
	*document
	seen  map[string]bool
	visit func(pointer string, schema map[string]any)
}

// Keywords under which schemas stand: by name, in a list, and alone.
var (
	schemaMaps  = []string{"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"}
	schemaLists = []string{"allOf", "anyOf", "oneOf", "prefixItems"}
	schemaAlone = []string{"items", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "not", "if", "then", "else", "contains", "propertyNames"}
)

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func (w *walker) schema(pointer string, v any) {
	s, ok := v.(map[string]any)
	if !ok || w.seen[pointer] {
		return
	}
	w.seen[pointer] = true
	if ref, ok := s["$ref"].(string); ok {
		w.schema(strings.TrimPrefix(ref, "#"), w.at(ref))
	}
	w.visit(pointer, s)
	for _, k := range schemaMaps {
		m, _ := s[k].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(m)) {
			w.schema(pointer+"/"+k+"/"+pointerEscapes.Replace(name), m[name])
		}
	}
	for _, k := range schemaLists {
		items, _ := s[k].([]any)
		for i, item := range items {
			w.schema(pointer+"/"+k+"/"+strconv.Itoa(i), item)
		}
	}
	for _, k := range schemaAlone {
		w.schema(pointer+"/"+k, s[k])
	}
}
