package spec

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/tree"
)

var (
	positionType = reflect.TypeFor[tree.Position]()
	nodeType     = reflect.TypeFor[*tree.Node]()
)

func itoa(i int) string { return strconv.Itoa(i) }

// fmtDoc is a document with so many operations.
func fmtDoc(operations int) string {
	var b strings.Builder
	b.WriteString("openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths:\n")
	for i := range operations {
		b.WriteString("  /p" + itoa(i) + ": {get: {responses: {default: {description: d}}}}\n")
	}
	return b.String()
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

const whole = `openapi: 3.0.3
info: {title: Whole, version: "2"}
servers: [{url: "https://{region}.example.com/v1", variables: {region: {default: eu, enum: [eu, us]}}}]
x-portreeve: {undeclared: {request: drop}, body_limit: 4096}
paths:
  /files/{id}.{ext}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: integer}}
      - {name: page, in: query, schema: {type: integer}}
    post:
      tags: [a, b]
      deprecated: true
      parameters:
        - $ref: '#/components/parameters/Ext'
        - {name: page, in: query, style: form, explode: false, content: {application/json: {schema: {$ref: '#/components/schemas/Page'}}}}
      requestBody: {$ref: '#/components/requestBodies/Alias'}
      security: []
      x-portreeve:
        permission: files:create
        limit: {rate: 5/s, burst: 20}
        object: {type: File, id: $request.path.id, owner: $response.body#/owner_id, access: fields, unless: files:read:any}
        public: {reason: a demo, approver: me}
        record: sync
        undeclared: {response: block}
        body_limit: 1024
        delivery: hold
        mfa: true
        max_age: 15m
      responses:
        "201": {description: made, headers: {x-trace-id: {schema: {type: string}}, Content-Type: {schema: {type: string}}}}
        default: {$ref: '#/components/responses/Bad'}
  /files/{id}.{ext}#list:
    $ref: '#/x-shared/list'
x-shared:
  list:
    post:
      parameters: [{$ref: '#/components/parameters/Ext'}, {name: id, in: path, required: true, schema: {}}]
      responses: {2XX: {description: d}}
components:
  parameters:
    Ext: {name: ext, in: path, required: true, schema: {$ref: '#/components/schemas/Alias'}}
  requestBodies:
    Alias: {$ref: '#/components/requestBodies/Real'}
    Real: {required: true, content: {"Application/JSON; charset=utf-8": {schema: {$ref: '#/components/schemas/Page'}}, text/*: {}}}
  responses:
    Bad: {description: bad, content: {application/problem+json: {schema: {type: object}}}}
  schemas:
    Page: {type: integer}
    Alias: {$ref: '#/components/schemas/Page'}
`

func TestWholeOperation(t *testing.T) {
	d, err := Parse("w.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	no := false
	want := []*Operation{{
		ID: "POST /files/{id}.{ext}", Method: "POST", Path: "/files/{id}.{ext}", Pointer: "/paths/~1files~1{id}.{ext}/post",
		Tags: []string{"a", "b"}, Deprecated: true,
		Parameters: []Parameter{
			{Name: "id", In: "path", Required: true, Schema: "/paths/~1files~1{id}.{ext}/parameters/0/schema", Pointer: "/paths/~1files~1{id}.{ext}/parameters/0"},
			{Name: "page", In: "query", Style: "form", Explode: &no, Content: "application/json", Schema: "/components/schemas/Page", Pointer: "/paths/~1files~1{id}.{ext}/post/parameters/1"},
			{Name: "ext", In: "path", Required: true, Schema: "/components/schemas/Page", Pointer: "/components/parameters/Ext"},
		},
		Body:      &Body{Required: true, Content: []Media{{Type: "application/json", Schema: "/components/schemas/Page"}, {Type: "text/*"}}},
		Responses: []Response{{Status: "201", Headers: []string{"X-Trace-Id"}}, {Status: "default", Content: []Media{{Type: "application/problem+json", Schema: "/components/responses/Bad/content/application~1problem+json/schema"}}}},
		Security:  &[]Requirement{},
		Ext: Extension{Permission: "files:create", Limit: "5/s burst 20", Public: &Public{"a demo", "me"}, Record: "sync", Undeclared: Undeclared{Response: "block"},
			BodyLimit: 1024, Delivery: "hold", MFA: true, MaxAge: 15 * time.Minute,
			Object: &Object{Type: "File", ID: "$request.path.id", Owner: "$response.body#/owner_id", Access: "fields", Unless: "files:read:any"}},
	}, {
		ID: "POST /files/{id}.{ext}#list", Method: "POST", Path: "/files/{id}.{ext}", Fragment: "list", Pointer: "/x-shared/list/post",
		Parameters: []Parameter{
			{Name: "ext", In: "path", Required: true, Schema: "/components/schemas/Page", Pointer: "/components/parameters/Ext"},
			{Name: "id", In: "path", Required: true, Schema: "/x-shared/list/post/parameters/1/schema", Pointer: "/x-shared/list/post/parameters/1"},
		},
		Responses: []Response{{Status: "2XX"}},
	}}
	if diff := cmp.Diff(want, d.Operations, unplaced); diff != "" {
		t.Error(diff)
	}
	if len(d.Servers) != 1 || d.Servers[0] != "https://eu.example.com/v1" || d.Ext.BodyLimit != 4096 || d.Ext.Undeclared.Request != "drop" {
		t.Errorf("servers %v, extension %+v", d.Servers, d.Ext)
	}
	for pointer, line := range map[string]int{
		"/paths/~1files~1{id}.{ext}/post": 10, "/paths/~1files~1{id}.{ext}/post/security/nothing": 17, "/components/schemas/Page/type": 48, "": 1,
	} {
		if at := d.At(pointer); at.Line != line {
			t.Errorf("%q stands at %v, want line %d", pointer, at, line)
		}
	}
}

// unplaced leaves positions and the raw extension out of a comparison.
var unplaced = cmp.Options{
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().Type() == positionType || p.Last().Type() == nodeType }, cmp.Ignore()),
}

func TestAlternativesMustAgree(t *testing.T) {
	text := strings.ReplaceAll(strings.Replace(whole, "/files/{id}.{ext}#list", "/files/{x}.{ext}#list", 1), "{name: id, in: path, required: true, schema: {}}", "{name: x, in: path, required: true, schema: {}}")
	if _, err := Parse("w.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "match the same requests") {
		t.Errorf("got %v", err)
	}
}

func TestSchemaPointerKeepsWhatStandsBesideARef(t *testing.T) {
	text := strings.Replace(whole, "openapi: 3.0.3", "openapi: 3.1.0", 1)
	text = strings.Replace(text, "Alias: {$ref: '#/components/schemas/Page'}", "Alias: {$ref: '#/components/schemas/Page', x-portreeve: {class: secret}}", 1)
	d, err := Parse("w.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Operations[0].Parameters[2].Schema; got != "/components/schemas/Alias" {
		t.Errorf("the schema is %s: the class would be lost", got)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	doc, over := filepath.Join(dir, "api.yaml"), filepath.Join(dir, "o.yaml")
	for name, text := range map[string]string{doc: whole, over: "overlay: 1.0.0\ninfo: {title: o, version: '1'}\nactions: [{target: $.info, update: {title: New}}]\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Load(doc, over)
	if err != nil || d.Title != "New" {
		t.Fatalf("%v: %v", d, err)
	}
	if at := d.At("/info/title"); at.File != over || at.Line != 3 {
		t.Errorf("the title stands at %v", at)
	}
	for _, missing := range [][]string{{filepath.Join(dir, "none")}, {doc, filepath.Join(dir, "none")}, {dir}} {
		if _, err := Load(missing[0], missing[1:]...); err == nil || !strings.Contains(err.Error(), missing[len(missing)-1]+": reading the ") {
			t.Errorf("%v: %v", missing, err)
		}
	}
}

// A chain of references as long as a file permits costs time in proportion, and no deep stack.
func TestLongChains(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"openapi":"3.1.0","info":{"title":"T","version":"1"},"paths":{"/a":{"get":{"responses":{"default":{"description":"d"}}}}},"components":{"schemas":{"S0":{}`)
	for i := range 50_000 {
		b.WriteString(`,"S` + itoa(i+1) + `":{"$ref":"#/components/schemas/S` + itoa(i) + `"}`)
	}
	b.WriteString("}}}")
	if _, err := Parse("chain.json", []byte(b.String())); err != nil {
		t.Error(err)
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"$", "$.a['b'][0]..c", "$..*", "$[?@.a=='b' && !(@['c'] != 1 || @.d)]", "$.a[-1, 'b', *]", "$..[?count(@.*) > 1 && length(@) < 9]", "$[?search(@.a, 'x.*') || value(@..b) == $.c]", "$[::-2]"} {
		f.Add(s)
	}
	root, err := tree.Parse("w.yaml", []byte(whole))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := parseQuery(s)
		if err != nil {
			return
		}
		found, err := q.find(root)
		if err != nil {
			return
		}
		seen := map[*tree.Node]bool{}
		for _, m := range found {
			if seen[m.n] {
				t.Fatalf("%q selects a node twice", s)
			}
			seen[m.n] = true
		}
	})
}
