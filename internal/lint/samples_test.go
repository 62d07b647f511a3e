package lint

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"time"
)

// certificateUntil is a certificate of a year whose key nobody has.
func certificateUntil(end time.Time) string {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: end.AddDate(-1, 0, 0), NotAfter: end, DNSNames: []string{"api.example.com"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, public, private)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// edit changes one of the base files: a text that stands there exactly once is replaced.
type edit struct{ file, old, new string }

func doc(old, new string) edit       { return edit{"openapi.yaml", old, new} }
func conf(old, new string) edit      { return edit{"portreeve.yaml", old, new} }
func file(name, content string) edit { return edit{name, "", content} } // a new one

// sample is the base with a weakness, and the base with the nearest thing that is none.
type sample struct {
	bad, good []edit
	also      []string // rules that rightly speak of the bad one as well
	times     int      // findings of the rule in the bad one; 0: one
	simple    bool     // the document alone, without a configuration
}

const (
	schemes = "    bearer: {type: http, scheme: bearer}\n"
	general = "security:\n  - bearer: []\npaths:"
	listing = "operationId: listOrders\n"
	create  = "operationId: createOrder\n"
	note    = "        note: {type: string, example: fragile}\n"
	count   = "        count: {type: integer, minimum: 1, maximum: 100}\n"
	item    = `        item: {type: string, maxLength: 40, pattern: "^[A-Z]+-[0-9]+$"}`
)

// oauth is a scheme whose tokens the gate itself gives out.
func oauth(flows string) string {
	return schemes + "    oauth: {type: oauth2, flows: {" + flows + "}}\n"
}

const codeFlow = `authorizationCode: {authorizationUrl: "https://api.example.com/a", tokenUrl: "https://api.example.com/t", scopes: {"orders:list": look}}`

// drawn is put together here, so that no file of this project holds what looks like a secret.
func drawn(prefix string, n int) string {
	const from = "h7Kd2mQx9RvT4bWc8NpZ3sLf6GyJ5aEu1tHkPiXoMqBnCrVwDgSz"
	return prefix + (from + from + from)[:n]
}

var samples = map[string]sample{
	"security-nowhere": {simple: true,
		bad:  []edit{doc(general, "paths:"), doc("      security: []\n", ""), doc("public: {reason: nobody has a token yet, approver: API team}, ", "")},
		good: nil, also: []string{"scheme-unused"}},
	"security-missing-write": {times: 4, bad: []edit{doc(general, "paths:"), doc(listing, listing+"      security: [{bearer: []}]\n"), doc("operationId: getOrder\n", "operationId: getOrder\n      security: [{bearer: []}]\n")},
		good: []edit{doc(general, "paths:"), conf("version: 1\n", "version: 1\ndefault_security: [{bearer: []}]\n"), doc(listing, listing+"      security: [{bearer: []}]\n")}},
	"security-missing-read": {bad: []edit{doc(general, "paths:"), doc("operationId: getOrder\n", "operationId: getOrder\n      security: [{bearer: []}]\n")},
		good: []edit{doc(general, "paths:"), conf("version: 1\n", "version: 1\ndefault_security: [{bearer: []}]\n"), doc(listing, listing+"      security: [{bearer: []}]\n")},
		also: []string{"security-missing-write"}},
	"security-optional": {bad: []edit{doc(listing, listing+"      security: [{bearer: []}, {}]\n")},
		good: []edit{doc(listing, listing+"      security: [{bearer: []}]\n")}},
	"public-without-reason": {bad: []edit{doc("public: {reason: nobody has a token yet, approver: API team}, ", "")}},
	"scheme-undeclared": {bad: []edit{doc(listing, listing+"      security: [{bearer: []}, {api_key: []}]\n")},
		good: []edit{doc(listing, listing+"      security: [{bearer: []}, {api_key: []}]\n"), doc(schemes, schemes+"    api_key: {type: apiKey, in: header, name: X-API-Key}\n")}},
	"scheme-unused": {bad: []edit{doc(schemes, schemes+"    key: {type: apiKey, in: header, name: X-Key}\n")},
		good: []edit{doc(schemes, schemes+"    key: {type: apiKey, in: header, name: X-Key}\n"), doc(listing, listing+"      security: [{bearer: []}, {key: []}]\n")}},
	"scope-undefined": {bad: []edit{doc(schemes, oauth(codeFlow)), doc(listing, listing+"      security: [{oauth: [\"orders:lst\"]}]\n")},
		good: []edit{doc(schemes, oauth(codeFlow)), doc(listing, listing+"      security: [{oauth: [\"orders:list\"]}]\n")}},
	"scope-misplaced": {bad: []edit{doc("openapi: 3.1.0", "openapi: 3.0.3"), doc(listing, listing+"      security: [{bearer: [\"orders:list\"]}]\n")},
		good: []edit{doc(listing, listing+"      security: [{bearer: [\"orders:list\"]}]\n")}},
	"oauth-without-scope": {bad: []edit{doc(schemes, oauth(codeFlow)), doc(listing, listing+"      security: [{oauth: []}]\n"), doc("      x-portreeve: {permission: \"orders:list\"}\n", "")},
		good: []edit{doc(schemes, oauth(codeFlow)), doc(listing, listing+"      security: [{oauth: [\"orders:list\"]}]\n"), doc("      x-portreeve: {permission: \"orders:list\"}\n", "")}},
	"scheme-weak": {bad: []edit{doc(schemes, schemes+"    basic: {type: http, scheme: basic}\n"), doc(listing, listing+"      security: [{basic: []}]\n")},
		good: []edit{doc(schemes, schemes+"    jwt: {type: http, scheme: bearer, bearerFormat: JWT}\n"), doc(listing, listing+"      security: [{jwt: []}]\n")}},
	"api-key-in-url": {bad: []edit{doc(schemes, schemes+"    key: {type: apiKey, in: query, name: key}\n"), doc(listing, listing+"      security: [{key: []}]\n")},
		good: []edit{doc(schemes, schemes+"    key: {type: apiKey, in: header, name: X-Key}\n"), doc(listing, listing+"      security: [{key: []}]\n")}},
	"credential-in-url": {bad: []edit{doc("      parameters:\n        - {name: limit", "      parameters:\n        - {name: access_token, in: query, schema: {type: string, maxLength: 500}}\n        - {name: limit")},
		good: []edit{doc("      parameters:\n        - {name: limit", "      parameters:\n        - {name: next_page_token, in: query, schema: {type: string, maxLength: 500}}\n        - {name: limit")}},
	"oauth-flow-obsolete": {bad: []edit{doc(schemes, oauth(`password: {tokenUrl: "https://api.example.com/t", scopes: {"orders:list": look}}`)), doc(listing, listing+"      security: [{oauth: [\"orders:list\"]}]\n")},
		good: []edit{doc(schemes, oauth(`clientCredentials: {tokenUrl: "https://api.example.com/t", scopes: {"orders:list": look}}`)), doc(listing, listing+"      security: [{oauth: [\"orders:list\"]}]\n")}},
	"oauth-url-plaintext": {bad: []edit{doc(schemes, oauth(`clientCredentials: {tokenUrl: "http://api.example.com/t", scopes: {"orders:list": look}}`)), doc(listing, listing+"      security: [{oauth: [\"orders:list\"]}]\n")},
		good: []edit{doc(schemes, oauth(`clientCredentials: {tokenUrl: "https://api.example.com/t", scopes: {"orders:list": look}}`)), doc(listing, listing+"      security: [{oauth: [\"orders:list\"]}]\n")}},
	"issuer-unconfigured": {bad: []edit{doc(schemes, oauth(`clientCredentials: {tokenUrl: "https://idp.example.org/t", scopes: {"orders:list": look}}`)), doc(listing, listing+"      security: [{oauth: [\"orders:list\"]}]\n")},
		good: []edit{doc(schemes, oauth(`clientCredentials: {tokenUrl: "https://idp.example.org/t", scopes: {"orders:list": look}}`)), doc(listing, listing+"      security: [{oauth: [\"orders:list\"]}]\n"),
			conf("version: 1\n", "version: 1\nidentity:\n  issuers: [{id: idp, issuer: \"https://idp.example.org\", audience: [orders], jwks_url: \"https://idp.example.org/keys\"}]\n  schemes: {oauth: [idp], bearer: [idp]}\n")}},
	"revocation-undeclared": {bad: []edit{doc("  /logout:", "  /ping:"), doc("operationId: logout", "operationId: ping")}},
	"login-unlimited": {bad: []edit{doc(", limit: 5/1m}", "}")},
		good: []edit{doc(", limit: 5/1m}", "}"), conf("version: 1\n", "version: 1\nlimits: {operations: {login: 5/1m}}\n")}},
	"requirement-redundant": {bad: []edit{doc(schemes, schemes+"    key: {type: apiKey, in: header, name: X-Key}\n"), doc(listing, listing+"      security: [{bearer: []}, {bearer: [], key: []}]\n")},
		good: []edit{doc(schemes, schemes+"    key: {type: apiKey, in: header, name: X-Key}\n"), doc(listing, listing+"      security: [{bearer: [], key: []}]\n")}},
	"permission-missing": {bad: []edit{doc("      x-portreeve: {permission: \"orders:list\"}\n", "")},
		good: []edit{doc("      x-portreeve: {permission: \"orders:list\"}\n", "      security: [{bearer: [\"orders:list\"]}]\n")}},
	"permission-shared": {bad: []edit{doc(`{permission: "orders:create"}`, `{permission: "orders:list"}`)},
		good: []edit{doc(`{permission: "users:create"}`, `{permission: "orders:create"}`)}},
	"permission-ungranted": {bad: []edit{doc(`{permission: "stock:set", mfa: true}`, `{permission: "stock:sett", mfa: true}`)},
		good: []edit{doc(`{permission: "stock:set", mfa: true}`, `{permission: "orders:set", mfa: true}`)}},
	"role-wildcard": {bad: []edit{conf(`"users:create", "stock:set"`, `"users:create", "stock:set", "*"`)},
		good: []edit{conf(`"users:create", "stock:set"`, `"users:*", "stock:*"`)}},
	"admin-without-mfa": {bad: []edit{doc(", mfa: true}", "}")},
		good: []edit{doc(", mfa: true}", "}"), doc("  /admin/stock:", "  /stock:")}},
	"url-input": {bad: []edit{doc(count, count+"        webhook_url: {type: string, format: uri, maxLength: 200}\n")},
		good: []edit{doc(count, count+"        webhook_url: {type: string, format: uri, maxLength: 200, pattern: \"^https://hooks\\\\.example\\\\.com/\"}\n")}},
	"object-unbound": {bad: []edit{doc("\n        object: {type: Order, owner: $response.body#/owner_id, unless: \"orders:read:any\"}", "")},
		good: []edit{doc("owner: $response.body#/owner_id, unless: \"orders:read:any\"}", "owner: $response.body#/owner_id, access: fields}")}},
	"object-weak": {bad: []edit{doc("owner: $response.body#/owner_id, unless: \"orders:read:any\"}", "owner: $response.body#/owner_id, unless: \"orders:read:any\", source: prefetch, read: getOrder}")},
		good: []edit{doc("owner: $response.body#/owner_id, unless: \"orders:read:any\"}", "owner: $response.body#/owner_id, unless: \"orders:read:any\", source: response}")}},
	"id-sequential": {bad: []edit{doc("\n        object: {type: Order, owner: $response.body#/owner_id, unless: \"orders:read:any\"}", ""), doc("schema: {type: string, format: uuid}}", "schema: {type: integer, minimum: 1}}")},
		good: []edit{doc("schema: {type: string, format: uuid}}", "schema: {type: integer, minimum: 1}}")}, also: []string{"object-unbound"}},
	"field-unclassified": {bad: []edit{doc(note, note+"        phone: {type: string}\n")},
		good: []edit{doc(note, note+"        phone: {type: string, x-portreeve: {class: personal, mask: last4, unmask: \"orders:read:phone\"}}\n")}},
	"sensitive-unguarded": {bad: []edit{doc(`{class: sensitive, permission: "orders:read:ssn"}`, `{class: sensitive}`)},
		good: []edit{doc(`{class: sensitive, permission: "orders:read:ssn"}`, `{class: sensitive, mask: full}`)}},
	"writable-privileged": {bad: []edit{doc("        name: {type: string, maxLength: 100}\n      responses:", "        name: {type: string, maxLength: 100}\n                role: {type: string, enum: [user, admin]}\n      responses:")},
		good: []edit{doc("        name: {type: string, maxLength: 100}\n      responses:", "        name: {type: string, maxLength: 100}\n                role: {type: string, enum: [user, admin], readOnly: true}\n      responses:")}},
	"request-schema-missing": {bad: []edit{doc("            schema: {$ref: \"#/components/schemas/NewOrder\"}", "            schema: {}")},
		good: []edit{doc("            schema: {$ref: \"#/components/schemas/NewOrder\"}", "            schema: {type: object, properties: {item: {type: string, maxLength: 5}}}")}},
	"response-schema-missing": {bad: []edit{doc("              schema: {type: array, items: {$ref: \"#/components/schemas/Order\"}}", "              schema: {type: object}")},
		good: []edit{doc("              schema: {type: array, items: {$ref: \"#/components/schemas/Order\"}}", "              schema: {type: object, properties: {total: {type: integer}}}")}},
	"request-open": {bad: []edit{doc("    NewOrder:\n      type: object\n", "    NewOrder:\n      type: object\n      additionalProperties: true\n")},
		good: []edit{doc("    NewOrder:\n      type: object\n", "    NewOrder:\n      type: object\n      additionalProperties: {type: string, maxLength: 5}\n")}},
	"response-open": {bad: []edit{doc("    Order:\n      type: object\n", "    Order:\n      type: object\n      unevaluatedProperties: true\n")},
		good: []edit{doc("    Order:\n      type: object\n", "    Order:\n      type: object\n      unevaluatedProperties: false\n")}},
	"error-detail": {bad: []edit{doc("        code: {type: string}", "        code: {type: string}\n        stackTrace: {type: string}")},
		good: []edit{doc("        code: {type: string}", "        code: {type: string}\n        trace_id: {type: string}")}},
	"operation-unlimited": {bad: []edit{doc("  /admin/stock:", "  /admin/export:")},
		good: []edit{doc("  /admin/stock:", "  /admin/export:"), doc("mfa: true}", "mfa: true, limit: 1/1h}")}},
	"page-unbounded": {bad: []edit{doc("{type: integer, minimum: 1, maximum: 100}}", "{type: integer, minimum: 1}}")}, also: []string{"number-unbounded"}},
	"pattern-catastrophic": {bad: []edit{doc(`pattern: "^[A-Z]+-[0-9]+$"`, `pattern: "^([A-Z]+)*-[0-9]+$"`)},
		good: []edit{doc(`pattern: "^[A-Z]+-[0-9]+$"`, `pattern: "^([A-Z]+-)*[0-9]+$"`)}},
	"string-unbounded": {bad: []edit{doc(item, "        item: {type: string}")}, good: []edit{doc(item, "        item: {type: string, format: uuid}")}},
	"array-unbounded":  {bad: []edit{doc("maxItems: 10, ", "")}},
	"number-unbounded": {bad: []edit{doc(count, "        count: {type: integer, minimum: 1}\n")}, good: []edit{doc(count, "        count: {type: integer, enum: [1, 2]}\n")}},
	"server-plaintext": {bad: []edit{doc(`servers: [{url: "https://api.example.com"}]`, `servers: [{url: "http://api.example.com"}]`)},
		good: []edit{doc(`servers: [{url: "https://api.example.com"}]`, `servers: [{url: "http://localhost:8080"}]`)}},
	"unsafe-observe":  {bad: []edit{conf("version: 1\n", "version: 1\nunsafe_observe: {steps: [validate], reason: adopting it, until: \"2026-11-20\"}\n")}},
	"unsafe-pattern":  {bad: []edit{doc(item, `        item: {type: string, maxLength: 40, pattern: "^a(?=b)c", x-portreeve: {unsafe_pattern: {reason: it came so}}}`)}},
	"unsafe-unjudged": {bad: []edit{doc(`x-portreeve: {permission: "orders:list"}`, `x-portreeve: {permission: "orders:list", unsafe_unjudged: {reason: an old client}}`)}},
	"unsafe-endless":  {bad: []edit{conf("version: 1\n", "version: 1\nunsafe_endless: {reason: the load balancer does it}\n")}},
	"connections-unshared": {bad: []edit{conf("version: 1\n", "version: 1\nlimits: {connections: {address: 5000, total: 6000}}\n")},
		good: []edit{conf("version: 1\n", "version: 1\nlimits: {connections: {address: 1000, total: 50000}}\n")}},
	"timeouts-endless": {bad: []edit{conf("version: 1\n", "version: 1\ntimeouts: {rate: 10}\n")},
		good: []edit{conf("version: 1\n", "version: 1\ntimeouts: {rate: 4KiB, header: 5s, idle: 30s}\n")}},
	"certificate-unusable": {bad: []edit{conf("version: 1\n", "version: 1\ntls: {cert: openapi.yaml, key: openapi.yaml}\n")},
		good: []edit{conf("version: 1\n", "version: 1\ntls: {cert: c.pem, key: k.pem, client_ca: clients.pem}\n"), file("clients.pem", certificateUntil(now.AddDate(5, 0, 0)))}},
	"certificate-expiring": {bad: []edit{conf("version: 1\n", "version: 1\ntls: {cert: c.pem, key: k.pem}\n"), file("c.pem", certificateUntil(now.AddDate(0, 0, 13)))},
		good: []edit{conf("version: 1\n", "version: 1\ntls: {cert: c.pem, key: k.pem}\n"), file("c.pem", certificateUntil(now.AddDate(0, 0, 15)))}},
	"unsafe-plaintext": {bad: []edit{conf("version: 1\n", "version: 1\nlisten: \":8080\"\nunsafe_plaintext: {reason: a proxy ends TLS}\n")},
		good: []edit{conf("version: 1\n", "version: 1\nlisten: \":8443\"\ntls: {cert: c.pem, key: k.pem}\n")}},
	"undeclared-ignored": {bad: []edit{conf("version: 1\n", "version: 1\nundeclared: {request: ignore}\n")},
		good: []edit{conf("version: 1\n", "version: 1\nundeclared: {request: drop}\n")}},
	"undeclared-passed": {bad: []edit{doc(`x-portreeve: {permission: "orders:list"}`, `x-portreeve: {permission: "orders:list", undeclared: {response: pass}}`)},
		good: []edit{doc(`x-portreeve: {permission: "orders:list"}`, `x-portreeve: {permission: "orders:list", undeclared: {response: block}}`)}},
	"cors-plaintext-origin": {bad: []edit{conf(`allow_origins: ["https://app.example.com"]`, `allow_origins: ["http://app.example.com"]`)},
		good: []edit{conf(`allow_origins: ["https://app.example.com"]`, `allow_origins: ["http://localhost:3000"]`), conf("version: 1\n", "version: 1\nenvironment: development\n")}},
	"upstream-plaintext": {bad: []edit{conf(`{url: "http://127.0.0.1:9000"}`, `{url: "http://orders.internal:9000", assertion: {audience: orders}}`)},
		good: []edit{conf(`{url: "http://127.0.0.1:9000"}`, `{url: "https://orders.internal", assertion: {audience: orders}}`)}},
	"upstream-unassured": {bad: []edit{conf(`{url: "http://127.0.0.1:9000"}`, `{url: "https://orders.internal"}`)},
		good: []edit{conf(`{url: "http://127.0.0.1:9000"}`, `{url: "https://orders.internal", assertion: {audience: orders}}`)}},
	"token-lenient": {bad: []edit{conf("version: 1\n", "version: 1\nidentity:\n  issuers: [{id: idp, issuer: \"https://idp.example.org\", audience: [orders], jwks_url: \"https://idp.example.org/keys\", max_lifetime: 7d}]\n")},
		good: []edit{conf("version: 1\n", "version: 1\nidentity:\n  issuers: [{id: idp, issuer: \"https://idp.example.org\", audience: [orders], jwks_url: \"https://idp.example.org/keys\"}]\n")}},
	"debug-on":        {bad: []edit{conf("version: 1\n", "version: 1\nenvironment: development\ndebug: true\n")}, good: []edit{conf("version: 1\n", "version: 1\nenvironment: development\n")}},
	"contact-missing": {bad: []edit{conf("help: {contact: \"mailto:security@example.com\"}\n", "")}},
	"document-warning": {bad: []edit{doc("          description: The order.\n          content:\n            application/json:\n              schema: {$ref: \"#/components/schemas/Order\"}\n  /login", "          description: The order.\n          content:\n            application/json:\n              schema: {$ref: \"#/components/schemas/Order\", colour: red}\n  /login")},
		good: []edit{doc("          description: The order.\n          content:\n            application/json:\n              schema: {$ref: \"#/components/schemas/Order\"}\n  /login", "          description: The order.\n          content:\n            application/json:\n              schema: {$ref: \"#/components/schemas/Order\", x-colour: red}\n  /login")}},
	"operation-unnamed": {bad: []edit{doc("      operationId: listOrders\n", "")}},
	"deprecated-without-end": {bad: []edit{doc(listing, listing+"      deprecated: true\n")},
		good: []edit{doc(listing, listing+"      deprecated: true\n"), doc("          description: Some orders.\n", "          description: Some orders.\n          headers: {Sunset: {schema: {type: string}}}\n")}},
	"secret-in-document": {bad: []edit{doc("example: fragile", "example: "+drawn("ghp_", 36))}, good: []edit{doc("example: fragile", "example: ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")}},
	"secret-in-configuration": {bad: []edit{conf("version: 1\n", "version: 1 # "+drawn("glpat-", 20)+"\n")},
		good: []edit{conf("version: 1\n", "version: 1 # token: glpat-…\n")}},
	"secret-in-source": {bad: []edit{file("app.py", "API_KEY = \"sk-"+"1234567890abcdef1234567890abcdef\"\n")},
		good: []edit{file("app.py", "API_KEY = os.getenv(\"EXTERNAL_API_KEY\")\n")}},
	"personal-example": {bad: []edit{doc("example: fragile", `example: "4929 1234 5678 9015"`)}, good: []edit{doc("example: fragile", `example: "4111 1111 1111 1111"`)}},
	"plan-refused": {bad: []edit{doc(`{permission: "orders:list"}`, `{permission: "orders:list", delivery: relay}`)},
		good: []edit{doc(`{permission: "orders:list"}`, `{permission: "orders:list", delivery: hold}`)}},
}
