package spec

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/tree"
)

// head begins a document whose operation follows.
const head = "openapi: %s\ninfo: {title: T, version: '1'}\npaths:\n"

// TestHostile holds what must never load, with the line that is to blame. Each is a way to make one reader of the
// document see another API than the next reader does, or to make a misspelt protection protect nothing.
func TestHostile(t *testing.T) {
	op := func(version, fields string) string {
		return fmt.Sprintf(head, version) + "  /a:\n    get:\n      responses: {default: {description: d}}\n" + fields
	}
	for name, c := range map[string]struct {
		text, want string
		line       int
	}{
		"security twice, JSON":  {`{"openapi":"3.0.0","info":{"title":"T","version":"1"},"paths":{"/a":{"get":{"responses":{},` + "\n" + `"security":[{"k":[]}],"security":[]}}}}`, "stands twice", 2},
		"security is null":      {op("3.1.0", "      security: null\n"), `"security" must be a list, not null`, 7},
		"security is empty":     {op("3.1.0", "      security: {}\n"), `"security" must be a list, not an object`, 7},
		"security is text":      {op("3.1.0", "      security: [bearer]\n"), "a string stands where a Security Requirement Object is wanted", 7},
		"scopes are text":       {op("3.1.0", "      security: [{bearer: read}]\n"), `must be a list, not a string`, 7},
		"scope is a number":     {op("3.1.0", "      security: [{bearer: [1]}]\n"), `must be a string, not a number`, 7},
		"Security":              {op("3.1.0", "      Security: [{bearer: []}]\n"), `did you mean "security"?`, 7},
		"requird":               {op("3.1.0", "components: {schemas: {A: {requird: [a]}}}\n"), `did you mean "required"?`, 7},
		"nullable in 3.0":       {op("3.0.0", "components: {schemas: {A: {nulable: true}}}\n"), `did you mean "nullable"?`, 7},
		"2020-12 in 3.0":        {op("3.0.0", "components: {schemas: {A: {const: 1}}}\n"), `no keyword "const"`, 7},
		"webhooks in 3.0":       {op("3.0.0", "webhooks: {}\n"), "came with OpenAPI 3.1", 7},
		"type list in 3.0":      {op("3.0.0", "components: {schemas: {A: {type: [string, 'null']}}}\n"), `"type" must be a string`, 7},
		"type null unquoted":    {op("3.1.0", "components: {schemas: {A: {type: [string, null]}}}\n"), "type is not one of", 7},
		"maxLength text":        {op("3.1.0", "components: {schemas: {A: {maxLength: '5'}}}\n"), `must be a number, not a string`, 7},
		"maxLength negative":    {op("3.1.0", "components: {schemas: {A: {maxLength: -5}}}\n"), `must be a whole number`, 7},
		"readOnly text":         {op("3.1.0", "components: {schemas: {A: {readOnly: 'true'}}}\n"), `must be a boolean`, 7},
		"huge exponent":         {`{"openapi":"3.1.0","info":{},"paths":{},` + "\n" + `"components":{"schemas":{"A":{"maximum":1e999999999}}}}`, "beyond 1e400", 2},
		"$id":                   {op("3.1.0", "components: {schemas: {A: {$id: 'http://x/'}}}\n"), "$id changes", 7},
		"draft 7":               {op("3.1.0", "jsonSchemaDialect: 'http://json-schema.org/draft-07/schema#'\n"), "dialect", 7},
		"file":                  {op("3.1.0", "components: {schemas: {A: {$ref: 'file:///etc/passwd'}}}\n"), "leads outside this file", 7},
		"parent folder":         {op("3.1.0", "components: {schemas: {A: {$ref: '../../x.yaml'}}}\n"), "bundle", 7},
		"network":               {op("3.1.0", "components: {schemas: {A: {$ref: 'http://127.0.0.1/'}}}\n"), "leads outside this file", 7},
		"anchor":                {op("3.1.0", "components: {schemas: {A: {$ref: '#B'}}}\n"), "anchor", 7},
		"itself":                {op("3.1.0", "components: {schemas: {A: {$ref: '#/components/schemas/A'}}}\n"), "circle", 7},
		"itself by two":         {op("3.1.0", "components: {schemas: {A: {$ref: '#/components/schemas/B'}, B: {allOf: [{$ref: '#/components/schemas/A'}]}}}\n"), "circle", 7},
		"response circle":       {op("3.1.0", "components: {responses: {A: {$ref: '#/components/responses/B'}, B: {$ref: '#/components/responses/A'}}}\n"), "circle", 7},
		"wrong kind":            {op("3.1.0", "      parameters: [{$ref: '#/components/schemas/A'}]\ncomponents: {schemas: {A: {type: string}}}\n"), "Object", 8},
		"empty fragment":        {op("3.1.0", "      parameters: [{$ref: '#'}]\n"), "is referred to as a Parameter Object", 1},
		"x-portreve":            {op("3.1.0", "      x-portreve: {permission: a}\n"), `did you mean "x-portreeve"?`, 7},
		"X-Portreeve":           {op("3.1.0", "      X-Portreeve: {permission: a}\n"), "protects nothing", 7},
		"x-portreeve-limit":     {op("3.1.0", "      x-portreeve-limit: 1/1m\n"), "protects nothing", 7},
		"in a wrong place":      {op("3.1.0", "    x-portreeve: {permission: a}\n"), "means nothing in a Path Item Object", 7},
		"misspelt permission":   {op("3.1.0", "      x-portreeve: {permision: a}\n"), `did you mean "permission"?`, 7},
		"permission wildcard":   {op("3.1.0", "      x-portreeve: {permission: 'a:*'}\n"), "cannot be", 7},
		"limit":                 {op("3.1.0", "      x-portreeve: {limit: 10 per minute}\n"), `limit cannot be`, 7},
		"rate without burst":    {op("3.1.0", "      x-portreeve: {limit: {rate: 5/s}}\n"), `lacks "burst"`, 7},
		"public, no reason":     {op("3.1.0", "      x-portreeve: {public: {approver: me}}\n"), `lacks "reason"`, 7},
		"owner expression":      {op("3.1.0", "      x-portreeve: {object: {type: A, owner: owner_id}}\n"), "run-time expression", 7},
		"record":                {op("3.1.0", "      x-portreeve: {record: none}\n"), "one of sync, async", 7},
		"class":                 {op("3.1.0", "components: {schemas: {A: {properties: {s: {x-portreeve: {class: secrt}}}}}}\n"), "class cannot be", 7},
		"class in a body":       {op("3.1.0", "      requestBody: {content: {a/b: {schema: {items: {x-portreeve: {clas: secret}}}}}}\n"), `did you mean "class"?`, 7},
		"unmask without mask":   {op("3.1.0", "components: {schemas: {A: {x-portreeve: {unmask: a}}}}\n"), "shows the value to everybody", 7},
		"beside $ref in 3.0":    {op("3.0.0", "components: {schemas: {B: {}, A: {$ref: '#/components/schemas/B', x-portreeve: {class: secret}}}}\n"), "is ignored in OpenAPI 3.0", 7},
		"beside path $ref":      {op("3.1.0", "  /b: {$ref: '#/paths/~1a', get: {responses: {default: {description: d}}}}\n"), "undefined in OpenAPI", 7},
		"schemeless":            {op("3.1.0", "      security: [{basic: []}]\n"), "not declared", 7},
		"apiKey without name":   {op("3.1.0", "components: {securitySchemes: {k: {type: apiKey, in: header}}}\n"), `lacks "name"`, 7},
		"scheme type":           {op("3.1.0", "components: {securitySchemes: {k: {type: apikey, in: header, name: X}}}\n"), `"type" cannot be "apikey"`, 7},
		"in body":               {op("3.1.0", "      parameters: [{name: a, in: body, schema: {}}]\n"), `"in" cannot be "body"`, 7},
		"parameter twice":       {op("3.1.0", "      parameters: [{name: X-A, in: header, schema: {}}, {name: x-a, in: header, schema: {}}]\n"), "declared twice", 7},
		"no schema":             {op("3.1.0", "      parameters: [{name: a, in: query}]\n"), "neither schema nor content", 7},
		"style":                 {op("3.1.0", "      parameters: [{name: a, in: query, style: simple, schema: {}}]\n"), "not possible in query", 7},
		"media type":            {op("3.1.0", "      requestBody: {content: {json: {}}}\n"), "no media type", 7},
		"query in the path":     {op("3.1.0", "  /b?x=1: {get: {responses: {default: {description: d}}}}\n"), "contains a query", 7},
		"dot segment":           {op("3.1.0", "  /b/../c: {get: {responses: {default: {description: d}}}}\n"), "dot segment", 7},
		"itemSchema, no stream": {op("3.2.0", "      requestBody: {content: {a/b: {itemSchema: {}}}}\n"), "not judged one by one", 7},
		"query in 3.1":          {op("3.1.0", "    query: {responses: {default: {description: d}}}\n"), "came with OpenAPI 3.2", 7},
		"lower-case class":      {fmt.Sprintf(head, "3.1.0") + "  /a:\n    get:\n      responses: {4xx: {description: d}}\n", "is no status", 6},
		"status number":         {op("3.1.0", "  /b: {get: {responses: {0200: {description: d}}}}\n"), "is no status", 7},
		"no responses in 3.0":   {fmt.Sprintf(head, "3.0.0") + "  /a:\n    get: {responses: {}}\n", "declares no responses", 5},
		"no paths in 3.0":       {"openapi: 3.0.0\ninfo: {title: T, version: '1'}\n", `lacks "paths"`, 1},
		"lying tag":             {op("3.1.0", "x-a: !!bool foo\n"), "cannot be written as JSON", 1},
		"version unquoted":      {op("3.1", ""), "does not say which OpenAPI", 1},
		"list":                  {"[]", "not an object", 1},
	} {
		_, err := Parse("f", []byte(c.text))
		var e *tree.Error
		switch {
		case err == nil:
			t.Errorf("%s: loads", name)
		case !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		case !errors.As(err, &e) || e.At.Line != c.line:
			t.Errorf("%s: stands on line %d, want %d: %v", name, e.At.Line, c.line, err)
		}
	}
}

func TestFaultsAreCollected(t *testing.T) {
	text := fmt.Sprintf(head, "3.1.0")
	for i := range 30 {
		text += fmt.Sprintf("  /p%d: {get: {responsez: {}}}\n", i)
	}
	_, err := Parse("f", []byte(text))
	var all Errors
	if !errors.As(err, &all) || len(all) != maxFaults || !all.BadInput() || len(all.Unwrap()) != maxFaults {
		t.Errorf("got %v", err)
	}
}

// TestUgly holds what the specification permits, or what is wrong in nothing that is judged: it loads with a warning.
func TestUgly(t *testing.T) {
	d, err := Parse("f", []byte(`openapi: 3.0.3
info: {title: T, version: 1.0}
paths:
  x-note: {}
  /a:
    get:
      parameters: [{name: Authorization, in: header, schema: {type: string}}]
      responses: {200: {}}
components:
  schemas:
    A: {$ref: '#/components/schemas/B', nullable: true, description: fine}
    B: {type: object, properties: {"$ref": {type: string}, default: {type: string}, enum: {type: string}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range d.Warnings {
		got = append(got, w.At.String()+" "+w.Problem)
	}
	want := []string{
		`f:2 "version" should be a string, not a number`,
		`f:8 the Response Object lacks "description"`,
		`f:11 "nullable" beside $ref is ignored`,
		`f:7 a header parameter "Authorization" is ignored, as OpenAPI says`,
	}
	if diff := cmp.Diff(want, got, cmp.Transformer("sort", sorted)); diff != "" {
		t.Error(diff)
	}
	if len(d.Operations[0].Parameters) != 0 || d.APIVersion != "1.0" {
		t.Errorf("%+v", d.Operations[0])
	}
}
