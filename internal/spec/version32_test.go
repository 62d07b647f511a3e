package spec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const doc32 = `openapi: 3.2.0
$self: https://example.com/api/openapi.yaml
info: {title: T, version: '1'}
tags: [{name: all, summary: All, kind: nav}, {name: some, parent: all}]
servers: [{url: /, name: here}]
paths:
  /find:
    query:
      operationId: find
      requestBody: {required: true, content: {application/json: {schema: {type: object}}}}
      responses: {'200': {content: {application/jsonl: {$ref: '#/components/mediaTypes/Lines'}}}}
    additionalOperations:
      COPY: {operationId: copy, responses: {'204': {summary: done}}}
  /events:
    get:
      responses:
        '200':
          description: d
          content:
            text/event-stream:
              itemSchema: {$ref: '#/components/schemas/Event'}
            application/x-ndjson:
              schema: {type: array, items: {$ref: '#/components/schemas/Thing'}}
components:
  mediaTypes:
    Lines: {itemSchema: {$ref: '#/components/schemas/Thing'}}
  schemas:
    Thing: {type: object, properties: {n: {type: integer}}}
    Event:
      type: object
      required: [data]
      properties:
        event: {type: string}
        id: {type: string}
        data: {type: string, contentMediaType: application/json, contentSchema: {$ref: '#/components/schemas/Thing'}}
  securitySchemes:
    o: {type: oauth2, deprecated: true, oauth2MetadataUrl: 'https://a/.well-known/x', flows: {deviceAuthorization: {deviceAuthorizationUrl: 'https://a/d', tokenUrl: 'https://a/t', scopes: {}}}}
`

// TestVersion32: what OpenAPI 3.2 added is read where the gate can enforce it.
func TestVersion32(t *testing.T) {
	d, err := Parse("d", []byte(doc32))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Warnings) > 0 {
		t.Errorf("%v", d.Warnings)
	}
	var got []string
	for _, op := range d.Operations {
		got = append(got, fmt.Sprintf("%s %s %s", op.ID, op.Method, op.Pointer))
		for _, r := range op.Responses {
			for _, m := range r.Content {
				got = append(got, "  "+r.Status+" "+m.Type+" "+m.Schema)
			}
		}
	}
	if diff := cmp.Diff([]string{
		"find QUERY /paths/~1find/query", "  200 application/jsonl /components/schemas/Thing",
		"copy COPY /paths/~1find/additionalOperations/COPY",
		"GET /events GET /paths/~1events/get", "  200 text/event-stream /components/schemas/Thing", "  200 application/x-ndjson /components/schemas/Thing",
	}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestBefore32: what OpenAPI 3.2 brought is no older document's.
func TestBefore32(t *testing.T) {
	for name, c := range map[string]struct{ parameter, want string }{
		"query string": {"{name: q, in: querystring, content: {application/json: {}}}", "before OpenAPI 3.2"},
		"cookie style": {"{name: q, in: cookie, style: cookie, schema: {}}", "before OpenAPI 3.2"},
	} {
		text := "openapi: 3.1.1\ninfo: {title: T, version: '1'}\npaths: {/: {get: {parameters: [" + c.parameter + "], responses: {'204': {description: d}}}}}\n"
		if _, err := Parse("d", []byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// TestRefuse32: what the gate could not enforce stops the start, with the reason.
func TestRefuse32(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"not in 3.1":             {"openapi: 3.2.0", "openapi: 3.1.0", "came with OpenAPI 3.2"},
		"whole query by schema":  {"      operationId: find\n", "      operationId: find\n      parameters: [{name: q, in: querystring, schema: {}}]\n", "which content alone describes"},
		"two whole queries":      {"      operationId: find\n", "      operationId: find\n      parameters: [{name: q, in: querystring, content: {a/json: {}}}, {name: r, in: querystring, content: {a/json: {}}}]\n", "two parameters that are the whole query"},
		"a query beside it":      {"      operationId: find\n", "      operationId: find\n      parameters: [{name: q, in: querystring, content: {a/json: {}}}, {name: r, in: query, schema: {}}]\n", "beside one that is the whole query"},
		"cookie style elsewhere": {"      operationId: find\n", "      operationId: find\n      parameters: [{name: q, in: query, style: cookie, schema: {}}]\n", `style "cookie" of parameter "q" is not possible`},
		"positional parts":       {"{schema: {type: object}}", "{schema: {type: object}, prefixEncoding: []}", `nothing here would enforce "prefixEncoding"`},
		"items of one JSON":      {"{application/json: {schema: {type: object}}}", "{application/json: {itemSchema: {type: object}}}", "are not judged one by one"},
		"a sequence of parts":    {"text/event-stream:", "multipart/mixed:", "are not judged one by one"},
		"the whole and items":    {"Lines: {itemSchema:", "Lines: {schema: {type: array}, itemSchema:", "only when the stream has ended"},
		"more than an array":     {"{type: array, items:", "{type: array, maxItems: 3, items:", "all items of application/x-ndjson at once"},
		"no array":               {"schema: {type: array, items: {$ref: '#/components/schemas/Thing'}}", "schema: {$ref: '#/components/schemas/Thing'}", "all items of application/x-ndjson at once"},
		"event by name":          {"event: {type: string}", "event: {const: ping}", `enforce "const" of "event"`},
		"events by oneOf":        {"      required: [data]\n", "      oneOf: []\n", `enforce "oneOf" of an event`},
		"text events":            {", contentMediaType: application/json, contentSchema: {$ref: '#/components/schemas/Thing'}", "", "is not JSON with a contentSchema"},
		"events without data":    {"data: {type: string, content", "other: {type: string, content", "nothing of its data"},
		"method of the field":    {"      COPY:", "      POST:", "has a field of its own"},
		"method in lower case":   {"      COPY:", "      get:", "has a field of its own"},
		"no token":               {"      COPY:", "      'CO PY':", "is no method"},
		"tunnel":                 {"      COPY:", "      CONNECT:", "makes a tunnel"},
		"fragment of $self":      {"openapi.yaml\n", "openapi.yaml#a\n", "$self has a fragment"},
		"requirement by URL":     {"      operationId: find\n", "      operationId: find\n      security: [{'#/components/securitySchemes/o': []}]\n", "is not declared"},
		"misspelt in an item":    {"Thing: {type: object, prop", "Thing: {type: object, requird: [], prop", `did you mean "required"?`},
		"media type in circles":  {"Lines: {itemSchema: {$ref: '#/components/schemas/Thing'}}", "Lines: {$ref: '#/components/mediaTypes/Lines'}", "in a circle"},
	} {
		text := strings.Replace(doc32, c.old, c.new, 1)
		if text == doc32 {
			t.Fatalf("%s: nothing to replace", name)
		}
		if _, err := Parse("d", []byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
