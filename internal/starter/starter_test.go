package starter

import (
	"crypto/rand"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
	"github.com/portreeve/portreeve/internal/vectors"
)

var today = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

// propose proposes for a document, and has the gate bind what was proposed.
func propose(t testing.TB, text string, o Options) (*Proposal, *plan.Plan) {
	t.Helper()
	d, err := spec.Parse("openapi.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return bindable(t, d, o)
}

func bindable(t testing.TB, d *spec.Document, o Options) (*Proposal, *plan.Plan) {
	t.Helper()
	if o.Document == "" {
		o.Document = "openapi.yaml"
	}
	p, err := Propose(d, o)
	if err != nil {
		t.Fatal(err)
	}
	made, err := p.Compile("", today)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, p.Configuration(), p.Overlay())
	}
	if _, err := deployment.Preview(made, rand.Reader); err != nil {
		t.Fatalf("%v\n%s", err, p.Overlay())
	}
	return p, made
}

func operation(t testing.TB, p *plan.Plan, method, path string) *plan.Operation {
	t.Helper()
	i := slices.IndexFunc(p.Operations, func(o *plan.Operation) bool { return o.Method == method && o.Path == path })
	if i < 0 {
		t.Fatalf("the plan has no %s %s", method, path)
	}
	return p.Operations[i]
}

func role(p *Proposal, name string) []string {
	var out []string
	for _, r := range p.Roles {
		if r.Name == name {
			for _, g := range r.Permissions {
				out = append(out, g.Permission)
			}
		}
	}
	return out
}

func field(t testing.TB, p *Proposal, pointer string) Field {
	t.Helper()
	i := slices.IndexFunc(p.Fields, func(f *Field) bool { return f.Pointer == pointer })
	if i < 0 {
		t.Fatalf("no field %s is proposed", pointer)
	}
	f := *p.Fields[i]
	return f
}

const shop = `openapi: 3.1.0
info: {title: Shop, version: "1"}
servers: [{url: "https://shop.example/v1"}]
components:
  schemas:
    Order:
      type: object
      properties: {id: {type: integer}, owner_id: {type: integer}, card_number: {type: string}, cvv: {type: string}, note: {type: string}}
    User:
      type: object
      properties:
        id: {type: integer}
        email: {type: string}
        emailVerified: {type: boolean}
        ssn: {type: string}
        salary: {type: object, properties: {amount: {type: number}}}
        passwordHash: {type: string}
        api_token: {type: string}
    Session: {type: object, properties: {access_token: {type: string}, token_type: {type: string, enum: [bearer]}, total_tokens: {type: integer}, output_tokens: {type: string}, connections_per_ip: {type: integer}}}
    Ticket: {type: object, properties: {id: {type: integer}, created_by: {type: string}, next_page_token: {type: string}}}
    Report: {type: object, properties: {id: {type: integer}, owner: {type: object, properties: {id: {type: string}}}}}
paths:
  /orders:
    get: {tags: [Orders], responses: {"200": {description: ok, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Order"}}}}}}}
    post: {tags: [Orders], requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}}, responses: {"201": {description: ok}}}
  /orders/{order_id}:
    parameters: [{name: order_id, in: path, required: true, schema: {type: integer}}]
    get: {tags: [Orders], responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}}}}
    delete: {tags: [Orders], responses: {"204": {description: gone}}}
  /users/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
    get: {responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/User"}}}}}}
    patch: {responses: {"204": {description: ok}}}
  /teams/{team_id}/users/{user_id}:
    parameters: [{name: team_id, in: path, required: true, schema: {type: integer}}, {name: user_id, in: path, required: true, schema: {type: integer}}]
    put: {responses: {"204": {description: ok}}}
  /login:
    post: {security: [], responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Session"}}}}}}
  /api/v2/tickets/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
    get: {responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Ticket"}}}}}}
  /reports/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
    get: {responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Report"}}}}}}
  /upload:
    get: {responses: {"200": {description: ok, content: {application/json: {schema: {type: object, properties: {upload_url: {type: string}, upload_token: {type: string}}}}}}}}
`

func TestPermissions(t *testing.T) {
	p, made := propose(t, shop, Options{})
	for _, c := range []struct{ method, path, want string }{
		{"GET", "/orders", "orders:read"}, {"POST", "/orders", "orders:create"}, {"DELETE", "/orders/{order_id}", "orders:delete"},
		{"PATCH", "/users/{id}", "users:update"}, {"GET", "/api/v2/tickets/{id}", "tickets:read"}, {"POST", "/login", ""},
	} {
		if got := operation(t, made, c.method, c.path).Authz.Permission; got != c.want {
			t.Errorf("%s %s asks for %q, not %q", c.method, c.path, got, c.want)
		}
	}
	for _, want := range []string{"orders:delete", "orders:read:any", "users:read:ssn", "users:read:salary", "orders:read:card-number"} {
		if !slices.Contains(role(p, "admin"), want) {
			t.Errorf("admin lacks %s: %v", want, role(p, "admin"))
		}
	}
	if diff := cmp.Diff([]string{"orders:read", "users:read", "tickets:read", "reports:read", "upload:read"}, role(p, "readonly")); diff != "" {
		t.Errorf("readonly (-want +got):\n%s", diff)
	}
}

func TestOwners(t *testing.T) {
	p, made := propose(t, shop, Options{})
	for _, c := range []struct {
		method, path string
		want         *plan.Object
	}{
		{"GET", "/orders/{order_id}", &plan.Object{Type: "Order", ID: "$request.path.order_id", Owner: "$response.body#/owner_id", From: plan.FromResponse, Claim: "sub", Issuer: "embedded", Unless: "orders:read:any", Access: plan.AccessDeny}},
		{"GET", "/users/{id}", &plan.Object{Type: "User", ID: "$request.path.id", Owner: "$request.path.id", From: plan.FromClaim, Claim: "sub", Issuer: "embedded", Unless: "users:read:any", Access: plan.AccessDeny}},
		{"PATCH", "/users/{id}", &plan.Object{Type: "User", ID: "$request.path.id", Owner: "$request.path.id", From: plan.FromClaim, Claim: "sub", Issuer: "embedded", Unless: "users:update:any", Access: plan.AccessDeny}},
		{"GET", "/reports/{id}", &plan.Object{Type: "Report", ID: "$request.path.id", Owner: "$response.body#/owner/id", From: plan.FromResponse, Claim: "sub", Issuer: "embedded", Unless: "reports:read:any", Access: plan.AccessDeny}},
		{"DELETE", "/orders/{order_id}", nil},            // it would be gone before its answer names the owner
		{"GET", "/api/v2/tickets/{id}", nil},             // who made it need not own it
		{"PUT", "/teams/{team_id}/users/{user_id}", nil}, // the team's business
	} {
		got := operation(t, made, c.method, c.path).Object
		if got != nil {
			got.Source = ""
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.method, c.path, diff)
		}
	}
	overlay := string(p.Overlay())
	for _, comment := range []string{`source: prefetch`, `# object: # unsure: "GET /orders/{order_id}" says whose it is`, `# object: # unsure: the answer has "created_by"`, `# object: # unsure: {user_id} names a user`} {
		if !strings.Contains(overlay, comment) {
			t.Errorf("the overlay lacks %q", comment)
		}
	}
	if list := strings.Join(p.Decisions, "\n"); !strings.Contains(list, "4 operations may belong to somebody") {
		t.Errorf("decisions:\n%s", list)
	}
}

func TestClasses(t *testing.T) {
	p, _ := propose(t, shop, Options{})
	schemas := "/components/schemas/"
	for pointer, want := range map[string]Field{
		"Order/properties/card_number":    {Class: "cardholder", Mask: "last4", Unmask: "orders:read:card-number", Active: true},
		"Order/properties/cvv":            {Class: "secret", Active: true},
		"User/properties/email":           {Class: "personal", Active: true},
		"User/properties/ssn":             {Class: "sensitive", Permission: "users:read:ssn", Active: true},
		"User/properties/salary":          {Class: "sensitive", Permission: "users:read:salary", Active: true},
		"User/properties/passwordHash":    {Class: "secret", Active: true},
		"User/properties/api_token":       {Class: "secret", Active: true},
		"Session/properties/access_token": {Class: "secret"},
	} {
		got := field(t, p, schemas+pointer)
		if got.Class != want.Class || got.Permission != want.Permission || got.Mask != want.Mask || got.Unmask != want.Unmask || got.Active != want.Active {
			t.Errorf("%s: %+v", pointer, got)
		}
	}
	upload := "/paths/~1upload/get/responses/200/content/application~1json/schema/properties/upload_token"
	if f := field(t, p, upload); f.Active {
		t.Errorf("what hands out a token would stop doing so: %+v", f)
	}
	for _, f := range p.Fields {
		for _, harmless := range []string{"emailVerified", "token_type", "total_tokens", "output_tokens", "connections_per_ip", "next_page_token", "note", "amount"} {
			if f.Name == harmless {
				t.Errorf("%s has the class %s", f.Pointer, f.Class)
			}
		}
	}
	if c := p.Counts(); c.Fields != 7 || c.FieldsCommented != 2 || c.Classes["secret"] != 3 || c.Public != 1 || c.Objects != 4 {
		t.Errorf("counts: %+v", c)
	}
}

func TestClassify(t *testing.T) {
	for name, want := range map[string]string{
		"email": "personal", "contactEmail": "personal", "Email-Address": "personal", "emailaddress": "personal", "phoneNumbers": "personal", "ip": "personal", "clientIP": "personal",
		"dateOfBirth": "personal", "firstName": "personal", "SSN": "sensitive", "socialSecurityNumber": "sensitive", "IBAN": "sensitive", "taxID": "sensitive",
		"pan": "cardholder", "creditCardNumber": "cardholder", "cardnumber": "cardholder", "CVV2": "secret", "client_secret": "secret", "apiKey": "secret", "refreshTokens": "secret", "userPassword": "secret",
		"passwordChangedAt": "", "email_subject": "", "zipper": "", "shipping": "", "company": "", "spanish": "", "expand": "", "script": "", "syncToken": "", "stop_token": "", "primary_key": "", "description": "", "token_id": "",
	} {
		got := ""
		if k := classify(name, ""); k != nil {
			got = k.class
		}
		if got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	if k := classify("number", "paymentCard"); k == nil || k.class != "cardholder" {
		t.Errorf("the number of a card is %v", k)
	}
}

// TestReferences30: OpenAPI 3.0 ignores what stands beside $ref; the rule must hold all the same.
func TestReferences30(t *testing.T) {
	_, made := propose(t, `openapi: 3.0.3
info: {title: T, version: "1"}
components:
  schemas:
    Number: {type: string, description: a number}
    Person: {type: object, required: [ssn], properties: {id: {type: integer}, ssn: {$ref: "#/components/schemas/Number"}, other: {$ref: "#/components/schemas/Number"}}}
paths:
  /persons: {get: {responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Person"}}}}}}}
`, Options{})
	var got struct {
		Components struct {
			Schemas struct {
				Person struct{ Properties map[string]any }
			}
		}
	}
	if err := json.Unmarshal(made.Document, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"id": map[string]any{"type": "integer"}, "other": map[string]any{"$ref": "#/components/schemas/Number"},
		"ssn": map[string]any{"allOf": []any{map[string]any{"$ref": "#/components/schemas/Number"}}, "x-portreeve": map[string]any{"class": "sensitive", "permission": "persons:read:ssn"}},
	}
	if diff := cmp.Diff(want, got.Components.Schemas.Person.Properties); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if op := operation(t, made, "GET", "/persons"); op.Record != plan.Sync {
		t.Error("reading a sensitive field is not recorded beforehand")
	}
}

const oneOperation = `
paths:
  /things: {get: {responses: {"204": {description: ok}}}}
`

func TestIdentity(t *testing.T) {
	head := "openapi: 3.0.3\ninfo: {title: T, version: \"1\"}\n"
	for name, c := range map[string]struct {
		document string
		want     []plan.Scheme
	}{
		"silent":                {"", []plan.Scheme{{Name: "api_key", Location: plan.InHeader, Param: "X-API-Key", Keys: true}, {Name: "bearer", Location: plan.InBearer, Issuers: []string{"embedded"}}}},
		"silent, with a scheme": {"components: {securitySchemes: {Own: {type: http, scheme: Bearer}}}", []plan.Scheme{{Name: "Own", Location: plan.InBearer, Issuers: []string{"embedded"}}}},
		"key":                   {"components: {securitySchemes: {K: {type: apiKey, in: cookie, name: k}}}\nsecurity: [{K: []}]", []plan.Scheme{{Name: "K", Location: plan.InCookie, Param: "k", Keys: true}}},
		"key in the query":      {"components: {securitySchemes: {K: {type: apiKey, in: query, name: k}}}\nsecurity: [{K: []}]", []plan.Scheme{{Name: "K", Location: plan.InHeader, Param: "X-API-Key", Keys: true}}},
		"basic":                 {"components: {securitySchemes: {B: {type: http, scheme: basic}}}\nsecurity: [{B: []}]", []plan.Scheme{{Name: "B", Location: plan.InBearer, Issuers: []string{"embedded"}}}},
		"oidc":                  {"components: {securitySchemes: {O: {type: openIdConnect, openIdConnectUrl: \"https://idp.example/x\"}}}\nsecurity: [{O: [a]}]", []plan.Scheme{{Name: "O", Location: plan.InBearer, Issuers: []string{"embedded"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			p, made := propose(t, head+c.document+oneOperation, Options{})
			for i := range made.Identity.Schemes {
				made.Identity.Schemes[i].Source = ""
			}
			if diff := cmp.Diff(c.want, made.Identity.Schemes); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, p.Configuration())
			}
			op := operation(t, made, "GET", "/things")
			if op.Security.Public || op.Security.Anonymous || op.Authz.Permission != "things:read" {
				t.Errorf("it is open: %+v", op)
			}
		})
	}
}

// TestOpen: nothing that the document leaves open is closed by accident, and the person is told.
func TestOpen(t *testing.T) {
	p, made := propose(t, `openapi: 3.0.3
info: {title: T, version: "1"}
security: [{bearer: []}]
paths:
  /news: {get: {security: [{}, {bearer: []}], responses: {"204": {description: ok}}}}
  /about: {get: {security: [], responses: {"204": {description: ok}}}}
  /echo: {trace: {responses: {"204": {description: ok}}}, get: {responses: {"204": {description: ok}}}}
  /known: {get: {x-portreeve: {permission: "old:read"}, responses: {"204": {description: ok}}}}
`, Options{})
	if op := operation(t, made, "GET", "/news"); op.Authz.Permission != "" || !op.Security.Anonymous {
		t.Errorf("/news: %+v", op)
	}
	if op := operation(t, made, "GET", "/about"); op.Authz.Permission != "" || !op.Security.Public {
		t.Errorf("/about: %+v", op)
	}
	if op := operation(t, made, "GET", "/known"); op.Authz.Permission != "old:read" {
		t.Errorf("/known: %+v", op)
	}
	if slices.ContainsFunc(made.Operations, func(o *plan.Operation) bool { return o.Method == "TRACE" }) {
		t.Error("TRACE is served")
	}
	if diff := cmp.Diff([]string{"echo:read", "old:read"}, role(p, "admin")); diff != "" {
		t.Errorf("admin (-want +got):\n%s", diff)
	}
	list := strings.Join(p.Decisions, "\n")
	for _, want := range []string{"are public in the document", "without a credential"} {
		if !strings.Contains(list, want) {
			t.Errorf("nobody is told that operations %s:\n%s", want, list)
		}
	}
}

// TestNothing: a document that says everything gets an overlay without actions, which the configuration leaves out.
func TestNothing(t *testing.T) {
	p, made := propose(t, "openapi: 3.0.3\ninfo: {title: T, version: \"1\"}\nsecurity: [{bearer: []}]\npaths: {/a: {get: {x-portreeve: {permission: a}, responses: {\"204\": {description: ok}}}}}\n", Options{})
	if strings.Contains(string(p.Configuration()), "\noverlays:") || operation(t, made, "GET", "/a").Authz.Permission != "a" {
		t.Errorf("%s", p.Configuration())
	}
	if _, err := tree.Parse("overlay", p.Overlay()); err != nil {
		t.Error(err)
	}
}

func TestUpstream(t *testing.T) {
	document := func(server string) string {
		return "openapi: 3.0.3\ninfo: {title: T, version: \"1\"}\nservers: [{url: " + scalar(server) + "}]" + oneOperation
	}
	for _, c := range []struct{ server, given, url, base string }{
		{"https://api.example.com/v1/", "", DefaultUpstream, "/v1"},
		{"/v3", "http://10.0.0.1:80", "http://10.0.0.1:80", "/v3"},
		{"https://api.example.com/v1", "http://10.0.0.1/other/", "http://10.0.0.1", "/other"},
		{"https://api.example.com/a%20b", "", DefaultUpstream, ""},
		{"https://{host}/x", "", DefaultUpstream, ""},
		{"/", "", DefaultUpstream, ""},
	} {
		_, made := propose(t, document(c.server), Options{Upstream: c.given})
		if made.Upstream.URL != c.url || made.Upstream.BasePath != c.base {
			t.Errorf("%q, %q: %q and %q", c.server, c.given, made.Upstream.URL, made.Upstream.BasePath)
		}
	}
	for _, bad := range []string{"10.0.0.1:80", "ftp://10.0.0.1", "http://u:hunter2@10.0.0.1", "http://10.0.0.1/a?b", "http://10.0.0.1/a%2fb", "http://%zz"} {
		d, err := spec.Parse("openapi.yaml", []byte(document("/")))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Propose(d, Options{Document: "openapi.yaml", Upstream: bad})
		if err == nil {
			t.Errorf("%q was accepted", bad)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}

// TestBox: a large document of somebody else's starts, and its inference finds something of everything.
func TestBox(t *testing.T) {
	d, err := Read(vectors.Path(t, filepath.Join("documents", "box.json")))
	if err != nil {
		t.Fatal(err)
	}
	p, made := bindable(t, d, Options{})
	c := p.Counts()
	t.Logf("%+v", c)
	if c.Operations < 290 || c.Permissions != c.Operations-c.Public || c.Objects == 0 || c.ObjectsCommented == 0 || c.Fields == 0 || c.Classes["personal"] == 0 || c.Classes["secret"] == 0 {
		t.Errorf("counts: %+v", c)
	}
	objects := 0
	for _, op := range made.Operations {
		if op.Own == "" && !op.Security.Public && op.Authz.Permission == "" {
			t.Errorf("%s %s asks for no permission", op.Method, op.Path)
		}
		if op.Object != nil {
			objects++
		}
	}
	if objects == 0 {
		t.Error("the plan has no object")
	}
	if f := field(t, p, "/components/schemas/AccessToken/properties/access_token"); f.Active {
		t.Errorf("the token endpoint would stop working: %+v", f)
	}
}

// TestFormless: what OpenAPI gives no form is taken out, wherever it stands, and nothing else is.
func TestFormless(t *testing.T) {
	const document = `openapi: 3.0.3
info: {title: T, version: '1'}
paths:
  /a:
    parameters: [{name: "it's", in: query, style: deepObject, schema: {type: array, items: {type: string}}}]
    get:
      parameters:
        - {name: page, in: query, schema: {type: integer}}
        - {name: filter, in: query, style: deepObject, explode: true, schema: {type: object, properties: {x: {type: string}}}}
        - {name: list, in: query, style: deepObject, explode: true, schema: {type: array, items: {type: string}}}
        - {$ref: '#/components/parameters/Odd'}
        - {name: last, in: query, style: pipeDelimited, explode: false, schema: {type: array, items: {type: string}}}
      responses: {default: {description: d}}
    post:
      parameters: [{$ref: '#/components/parameters/Odd'}]
      responses: {default: {description: d}}
components:
  parameters:
    Odd: {$ref: '#/components/parameters/Odder'}
    Odder: {name: odd, in: query, style: pipeDelimited, explode: true, schema: {type: array, items: {type: string}}}
`
	p, made := propose(t, document, Options{})
	var out []string
	for _, x := range p.Parameters {
		out = append(out, x.Name)
	}
	if diff := cmp.Diff([]string{"it's", "list", "odd", "odd"}, out); diff != "" {
		t.Error(diff)
	}
	var kept []string
	for _, prm := range operation(t, made, "GET", "/a").Request.Parameters {
		kept = append(kept, prm.Name)
	}
	if diff := cmp.Diff([]string{"page", "filter", "last"}, kept); diff != "" {
		t.Error(diff)
	}
	if !slices.ContainsFunc(p.Decisions, func(s string) bool { return strings.Contains(s, "OpenAPI gives no form") }) {
		t.Errorf("nobody is told: %v", p.Decisions)
	}
}
