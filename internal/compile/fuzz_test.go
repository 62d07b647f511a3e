package compile

import (
	"errors"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/schema"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// FuzzDocument: whatever a document says, reading it ends in errors that have a line, or in a document whose every schema
// the engine compiles, or refuses at a place that the document has.
func FuzzDocument(f *testing.F) {
	head := func(version, schemas string) []byte {
		return []byte("openapi: " + version + "\ninfo: {title: T, version: '1'}\npaths:\n  /a: {get: {security: [], responses: {default: {description: d, content: {application/json: {schema: {$ref: '#/components/schemas/A'}}}}}}}\ncomponents:\n  schemas:\n" + schemas)
	}
	f.Add(head("3.1.0", "    A: {type: [string, 'null'], pattern: '^(?=a)', x-portreeve: {class: personal, mask: last4}}\n"))
	f.Add(head("3.0.3", "    A: {type: object, nullable: true, properties: {a: {$ref: '#/components/schemas/A'}, b: {minimum: 1, exclusiveMinimum: true}}, additionalProperties: false}\n"))
	f.Add(head("3.1.0", "    A: {$dynamicRef: '#m', $defs: {x: {$dynamicAnchor: m, items: {$dynamicRef: '#m'}}}, if: {const: 1}, then: {enum: [1.0, {a: []}]}}\n"))
	f.Add(head("3.2.0", "    A: {allOf: [{$ref: '#/components/schemas/B'}], unevaluatedProperties: false}\n    B: {patternProperties: {'^x': true}, dependentSchemas: {a: {oneOf: [{required: [b]}, false]}}}\n"))
	f.Add([]byte(`{"openapi":"3.1.0","info":{"title":"T","version":"1"},"paths":{},"components":{"schemas":{"a/b~c%":{"$ref":"#/components/schemas/a~1b~0c%25/items"}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return
		}
		d, err := spec.Parse("f", text)
		if err != nil {
			var e *tree.Error
			if !errors.As(err, &e) || e.At.Line == 0 {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		dialect := schema.OpenAPI31
		if d.Is30() {
			dialect = schema.OpenAPI30
		}
		set, err := schema.NewSet(d.JSON, dialect)
		if err != nil {
			t.Fatalf("the document is read and not its JSON: %v\n%s", err, d.JSON)
		}
		schemas := d.Node("/components/schemas")
		if schemas == nil {
			return
		}
		for _, m := range schemas.Members {
			pointer := "/components/schemas/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(m.Name)
			err := set.Check(pointer)
			var fault *schema.CompileError
			if err == nil {
				continue
			}
			if !errors.As(err, &fault) || d.Node(fault.Pointer) == nil {
				t.Fatalf("%s is refused without a place: %v\n%s", pointer, err, d.JSON)
			}
			if again := set.Check(pointer); again == nil || again.Error() != err.Error() {
				t.Fatalf("%s is refused as %v, and then as %v", pointer, err, again)
			}
		}
	})
}
