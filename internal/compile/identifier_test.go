package compile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/spec"
)

const identifiersDocument = `
openapi: 3.1.0
info: {title: T, version: "1"}
security: [{bearer: []}]
paths:
  /towns/{town}/accounts/{account_id}/entries/{entryId}:
    parameters: [{name: town, in: path, required: true, schema: {type: string}}, {name: account_id, in: path, required: true, schema: {type: string}}, {name: entryId, in: path, required: true, schema: {type: string}}]
    post:
      operationId: one
      x-portreeve:
        exempt: [{id: $request.path.town, reason: towns are nobody's}]
        references: [{type: Account, id: "$request.body#/from/*/accountId", owner: "$request.body#/owner"}]
        object: {type: Entry, owner: "$request.body#/owner", within: [{id: $request.path.account_id, is: "$request.body#/account"}]}
      parameters: [{name: user_id, in: query, schema: {type: string}}, {name: paid, in: query, schema: {type: string}}, {name: trace, in: query, schema: {type: string, format: uuid}}, {name: kind_id, in: query, schema: {enum: [a, b]}}]
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Body"}}}}
      responses: {"204": {description: ok}}
  /open/{id}/{version}:
    get:
      operationId: two
      security: []
      parameters: [{name: id, in: path, required: true, schema: {type: string}}, {name: version, in: path, required: true, schema: {type: string}}]
      responses: {"204": {description: ok}}
components:
  securitySchemes: {bearer: {type: http, scheme: bearer}}
  schemas:
    Body:
      allOf:
        - type: object
          properties:
            owner: {type: string}
            account: {type: string}
            from: {type: array, items: {type: object, properties: {accountId: {type: string}, sum: {type: integer}}}}
        - type: object
          properties:
            memberIDs: {type: array, items: {type: integer}}
            shop: {type: object, properties: {id: {type: integer}, grid: {type: string}}}
            id: {type: string, readOnly: true}
            self: {$ref: "#/components/schemas/Body"}
`

// P3: every part of a request that looks like an object's id is bound, exempt or unbound.
func TestIdentifiers(t *testing.T) {
	name := filepath.Join(t.TempDir(), "openapi.yaml")
	if err := os.WriteFile(name, []byte(identifiersDocument), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := spec.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"one": `$request.path.town exempt, $request.path.account_id bound, $request.path.entryId bound, $request.query.user_id unbound, $request.query.trace unbound,` +
			` $request.body#/from/*/accountId bound, $request.body#/memberIDs/* unbound, $request.body#/shop/id unbound`,
		"two": `$request.path.id exempt`,
	}
	for _, op := range d.Operations {
		var got []string
		for _, id := range Identifiers(d, op) {
			if !strings.Contains(id.Expression, "/self/") { // the same again, further in
				got = append(got, id.Expression+" "+string(id.State))
			}
		}
		if text := strings.Join(got, ", "); text != want[op.ID] {
			t.Errorf("%s:\n%s\nwant\n%s", op.ID, text, want[op.ID])
		}
	}
	c := Coverage(&plan.Operation{Identifiers: Identifiers(d, d.Operations[1])})
	if c != (plan.Coverage{Exempt: 1}) {
		t.Errorf("counted %+v", c)
	}
}

func TestNamesOfIdentifiers(t *testing.T) {
	for name, want := range map[string]bool{"id": true, "ID": true, "user_id": true, "userId": true, "userID": true, "user-ids": true, "userIds": true, "uuid": true, "orderUuid": true, "guid": true, "userid": true,
		"paid": false, "grid": false, "Grid": false, "valid": false, "idea": false, "identity": false, "": false, "PAID": false, "x": false, "android": false} {
		if identifies(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
