package spec

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/vectors"
)

const good = `openapi: 3.1.0
info: {title: T, version: "1"}
security: [{bearer: []}]
paths:
  /a/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: integer}}
    get:
      operationId: getA
      security: [{key: [a:read]}, {}]
      parameters: [{$ref: '#/components/parameters/Page'}]
      responses:
        "200": {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/A'}}}}
        4XX: {$ref: '#/components/responses/Bad'}
components:
  parameters:
    Page: {name: page, in: query, schema: {type: integer}}
  responses:
    Bad: {description: bad, content: {application/json: {schema: {type: object}}}}
  schemas:
    A: {type: object, properties: {id: {type: integer}, ssn: {type: string, x-portreeve: {class: sensitive}}}}
  securitySchemes:
    key: {type: apiKey, in: header, name: X-Key}
`

func TestParse(t *testing.T) {
	d, err := Parse("a.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	op := d.Operations[0]
	if op.ID != "getA" || op.Method != "GET" || len(op.Parameters) != 2 || op.Parameters[1].Schema != "/components/parameters/Page/schema" {
		t.Errorf("%+v", op)
	}
	if len(op.Responses) != 2 || op.Responses[1].Status != "4XX" || op.Responses[1].Content[0].Schema != "/components/responses/Bad/content/application~1json/schema" {
		t.Errorf("%+v", op.Responses)
	}
	if len(*op.Security) != 2 || len((*op.Security)[1]) != 0 || (*op.Security)[0][0].Scopes[0] != "a:read" {
		t.Errorf("%+v", op.Security)
	}
	if op.At.Line != 8 {
		t.Errorf("the operation stands at %v", op.At)
	}
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"misspelt field":      {"operationId", "operationid", `a.yaml:9: the Operation Object has no field "operationid"`},
		"case":                {"      security:", "      Security:", `has no field "Security"`},
		"misspelt keyword":    {"A: {type: object,", "A: {type: object, requird: [id],", `did you mean "required"?`},
		"nowhere":             {"'#/components/schemas/A'", "'#/components/schemas/B'", "leads nowhere"},
		"outside":             {"'#/components/schemas/A'", "'other.yaml#/A'", "leads outside"},
		"over the network":    {"'#/components/schemas/A'", "'http://127.0.0.1/x'", "leads outside"},
		"circle":              {"Bad: {description: bad, content: {application/json: {schema: {type: object}}}}", "Bad: {$ref: '#/components/responses/Bad'}", "in a circle"},
		"unknown scheme":      {"{key: [a:read]}", "{kee: []}", `security scheme "kee" is not declared`},
		"undeclared in path":  {"name: id, in: path", "name: ix, in: path", `path parameter "ix" is not in the path`},
		"bad status":          {"4XX:", "6XX:", "is no status"},
		"extension misspelt":  {"{class: sensitive}", "{clas: sensitive}", `did you mean "class"?`},
		"extension kind":      {"{class: sensitive}", "{class: 1}", "must be a string, not a number"},
		"swagger":             {"openapi: 3.1.0", "swagger: '2.0'", "Swagger 2.0"},
		"future":              {"openapi: 3.1.0", "openapi: 4.0.0", "is not read"},
		"relative path":       {"/a/{id}:", "a/{id}:", "does not begin with /"},
		"brace":               {"/a/{id}:", "/a/{id:", "unmatched brace"},
		"equal templates":     {"components:\n  parameters:", "  /a/{x}:\n    get: {parameters: [{name: x, in: path, required: true, schema: {}}], responses: {default: {description: x}}}\ncomponents:\n  parameters:", "match the same requests"},
		"duplicate operation": {"components:\n  parameters:", "  /b:\n    get: {operationId: getA, responses: {default: {description: x}}}\ncomponents:\n  parameters:", "stands at a.yaml:8 too"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := Parse("a.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestOverlay(t *testing.T) {
	over := Overlay{"o.yaml", []byte(`overlay: 1.0.0
info: {title: o, version: "1"}
actions:
  - target: $.paths['/a/{id}'].get
    update: {x-portreeve: {permission: "a:read"}}
  - target: $..ssn
    update: {x-portreeve: {permission: "a:ssn"}}
  - target: $.components.responses.Bad.content
    remove: true
`)}
	d, err := Parse("a.yaml", []byte(good), over)
	if err != nil {
		t.Fatal(err)
	}
	op := d.Operations[0]
	if op.Extension.Get("permission").Str() != "a:read" || op.ExtensionAt.File != "o.yaml" || len(op.Responses[1].Content) != 0 ||
		!strings.Contains(string(d.JSON), `"x-portreeve":{"class":"sensitive","permission":"a:ssn"}`) {
		t.Errorf("%s", d.JSON)
	}
	for _, bad := range []string{"$.paths['/nothing']", "paths", "$.paths[?(@.x)]", "$.a b"} {
		o := Overlay{"o.yaml", []byte("overlay: 1.0.0\nactions: [{target: \"" + bad + "\", remove: true}]\n")}
		if _, err := Parse("a.yaml", []byte(good), o); err == nil || !strings.Contains(err.Error(), "o.yaml") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestBox(t *testing.T) {
	b, err := os.ReadFile(vectors.Path(t, "documents/box.json"))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	d, err := Parse("box.json", b)
	if err != nil {
		t.Fatal(err)
	}
	fragments := 0
	for _, op := range d.Operations {
		if op.Fragment != "" {
			fragments++
		}
	}
	t.Logf("%d operations, %d of them behind '#', %d warnings, %v", len(d.Operations), fragments, len(d.Warnings), time.Since(began))
	if len(d.Operations) < 250 || fragments == 0 {
		t.Error("operations are missing")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(whole))
	f.Add([]byte(`{"openapi":"3.1.0","info":{},"paths":{"/a":{"get":{"responses":{"default":{"$ref":"#/components/responses/r"}}}}},"components":{"responses":{"r":{}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse("f", b)
		if err != nil {
			return
		}
		again, err := Parse("again", d.JSON)
		if err != nil {
			t.Fatalf("%q became %q: %v", b, d.JSON, err)
		}
		if diff := cmp.Diff(d.Operations, again.Operations, unplaced); diff != "" {
			t.Fatalf("%q: %s", b, diff)
		}
		if string(again.JSON) != string(d.JSON) {
			t.Fatalf("%q became %q became %q", b, d.JSON, again.JSON)
		}
	})
}
