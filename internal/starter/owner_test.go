package starter

import (
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/plan"
)

const changing = `
openapi: 3.1.0
info: {title: Notes, version: "1"}
paths:
  /notes:
    get: {operationId: list, tags: [Notes], responses: {"200": {description: ok, content: {application/json: {schema: {type: object, properties: {total: {type: integer}, notes: {type: array, items: {$ref: "#/components/schemas/Note"}}}}}}}}}
  /shared:
    get: {operationId: shared, tags: [Notes], responses: {"200": {description: ok, content: {application/json: {schema: {type: array, items: {type: object, properties: {id: {type: integer}, created_by: {type: integer}}}}}}}}}
  /notes/{note_id}:
    parameters: [{name: note_id, in: path, required: true, schema: {type: integer}}]
    get: {operationId: get, tags: [Notes], responses: {"200": {description: ok, headers: {ETag: {schema: {type: string}}}, content: {application/json: {schema: {$ref: "#/components/schemas/Note"}}}}}}
    put:
      operationId: put
      tags: [Notes]
      requestBody: {content: {application/json: {schema: {type: object, properties: {text: {type: string}}}}}}
      responses: {"204": {description: ok}, "412": {description: changed meanwhile}}
    delete: {operationId: delete, tags: [Notes], responses: {"204": {description: gone}}}
components:
  schemas:
    Note: {type: object, required: [id, owner_id], properties: {id: {type: integer}, owner_id: {type: integer}, text: {type: string}}}
`

func TestOwnersOfListsAndChanges(t *testing.T) {
	p, made := propose(t, changing, Options{})
	for _, c := range []struct {
		method, path string
		from         plan.ObjectSource
		owner        string
	}{
		{"GET", "/notes", plan.FromResponse, "$response.body#/notes/*/owner_id"},
		{"GET", "/shared", "", ""},
		{"GET", "/notes/{note_id}", plan.FromResponse, "$response.body#/owner_id"},
		{"PUT", "/notes/{note_id}", plan.FromConditional, "$response.body#/owner_id"},
		{"DELETE", "/notes/{note_id}", "", ""}, // only as a comment: it would be weak
	} {
		o := operation(t, made, c.method, c.path).Object
		if o == nil {
			o = &plan.Object{}
		}
		if o.From != c.from || o.Owner != c.owner {
			t.Errorf("%s %s: %q %q; want %q %q", c.method, c.path, o.From, o.Owner, c.from, c.owner)
		}
	}
	if o := operation(t, made, "GET", "/notes").Object; o != nil && strings.Join(o.Totals, " ") != "/total" {
		t.Errorf("totals %v", o.Totals)
	}
	if c := made.Coverage; c != (plan.Coverage{Bound: 2, Unbound: 1}) {
		t.Errorf("coverage %+v", c)
	}
	if overlay := string(p.Overlay()); !strings.Contains(overlay, "# source: prefetch") && !strings.Contains(overlay, "#   source: prefetch") {
		t.Errorf("the weak one is not a comment:\n%s", overlay)
	}
}
