package config

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/portreeve/portreeve/internal/tree"
)

var update = flag.Bool("update", false, "write the generated files")

var today = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

const whole = `version: 1
url: "https://api.example.com"
environment: production
listen: ":8443"
admin: {listen: "127.0.0.1:9443"}
document: openapi.yaml
overlays: [security.overlay.yaml]
upstream: {url: "http://127.0.0.1:9000", timeout: 10s, base_path: "", headers: {x-tenant: "a", authorization: {env: UPSTREAM}}, forward: []}
tls: {cert: cert.pem, key: key.pem}
default_security: [{bearer: []}, {api_key: []}]
identity:
  embedded: {enabled: true}
  issuers:
    - id: corp
      issuer: "https://idp.example.com"
      audience: [orders-api]
      jwks_url: "https://idp.example.com/jwks"
      roles: {claim: /realm_access/roles, map: {staff: employee}}
  schemes: {bearer: [corp], api_key: keys}
roles: {admin: ["users:*", "users:*:*"], manager: ["users:read", "reports:*"], employee: ["users:read"], readonly: ["users:read"]}
limits: {address: 3000/1m, failures: 30/1m, principal: 1000/1m, operations: {expensiveOperation: {rate: 5/s, burst: 20}}}
cors: {allow_origins: ["https://app.example.com"], allow_credentials: true, max_age: 10m}
undeclared: {request: refuse, response: drop}
audit: {dir: ./data/audit}
store: {sqlite: ./data/portreeve.db}
staleness: 60s
trusted_proxies: [10.0.0.0/8]
sizes: {body: 2MiB}
help: {contact: "mailto:security@example.com"}
unsafe_observe: {steps: [validate], reason: "adopting", until: 2026-12-20}
`

func TestWhole(t *testing.T) {
	c, err := Parse("portreeve.yaml", []byte(whole), today)
	if err != nil {
		t.Fatal(err)
	}
	if c.Limits.Operations["expensiveOperation"].Burst != 20 || c.Limits.Principal.Window != time.Minute || c.Identity.Schemes["api_key"][0] != "keys" ||
		c.Sizes.Body != 2<<20 || c.Sizes.Header != 32<<10 || c.Identity.Issuers[0].MaxLifetime != time.Hour || len(c.Unsafe()) != 1 {
		t.Errorf("%+v", c)
	}
	if at := c.At("limits", "operations", "expensiveOperation"); at.Line != 21 || at.File != "portreeve.yaml" {
		t.Errorf("at %v", at)
	}
}

func TestDefault(t *testing.T) {
	c := Default("openapi.yaml", "http://127.0.0.1:9000")
	if c.Listen != "127.0.0.1:8080" || c.Admin.Listen != "127.0.0.1:9443" || c.Limits.Failures.Count != 30 || c.Undeclared.Response != "drop" || !c.EmbeddedEnabled() || c.Timeouts.Idle != time.Minute {
		t.Errorf("%+v", c)
	}
}

// Each replaces one thing in a good configuration and says what must be reported, and where.
func TestFaults(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"limits: {address", "limts: {address", `portreeve.yaml:21: unknown key "limts"` + "\n  hint: did you mean \"limits\"?"},
		{"staleness: 60s", "staleness: 60s\nstaleness: 61s", "stands twice"},
		{"version: 1", "version: 2", "version 2 is not read"},
		{"version: 1\n", "", "version is missing"},
		{"authorization: {env: UPSTREAM}", "authorization: Bearer-abc", "upstream.headers.authorization: a secret must not stand in the configuration"},
		{"authorization: {env: UPSTREAM}", "authorization: {env: A, file: B}", "exactly one source"},
		{"http://127.0.0.1:9000", "http://u:p@127.0.0.1:9000", "carries a credential"},
		{"http://127.0.0.1:9000", "127.0.0.1:9000", "not a scheme and a host"},
		{"timeout: 10s", "timeout: 10", "upstream.timeout is not a duration"},
		{"timeout: 10s", "timeout: 10s, breaker: {ratio: 101}", "not a percentage"},
		{"timeout: 10s", "timeout: 10s, breaker: {requests: 0}", "upstream.breaker.requests"},
		{"timeout: 10s", "timeout: 10s, breaker: {open: 1ms}", "at least 100ms"},
		{"timeout: 10s", "timeout: 10s, concurrency: {min: 9, max: 8}", "min is at least 1 and at most max"},
		{"version: 1\n", "version: 1\ncookies: {domains: [.example.com]}\n", "is not a domain"},
		{"max_age: 10m", "max_age: 24h", "cors.max_age is too long"},
		{"environment: production", "environment: prod", `environment cannot be "prod"`},
		{"environment: production", "environment: production\ndebug: true", "debug is refused in production"},
		{"tls: {cert: cert.pem, key: key.pem}", "", "plain HTTP is served on loopback only"},
		{"tls: {cert: cert.pem, key: key.pem}", "unsafe_plaintext: {reason: \" \"}", "unsafe_plaintext needs a reason"},
		{"tls: {cert: cert.pem, key: key.pem}", "tls: {cert: cert.pem}", "tls needs cert and key"},
		{"url: \"https://api.example.com\"", "", "url is compulsory"},
		{"admin: {listen: \"127.0.0.1:9443\"}", "admin: {listen: \":9443\"}", "admin listener is not on loopback"},
		{"jwks_url: \"https://idp.example.com/jwks\"", "", "exactly one source of keys"},
		{"audience: [orders-api]", "audience: []", "audience is empty"},
		{"schemes: {bearer: [corp]", "schemes: {bearer: [korp]", `names "korp"`},
		{"id: corp", "id: keys", "is taken"},
		{"\"users:*\"", "\"users:**\"", "is not a permission"},
		{"https://app.example.com", "*", "is not an origin"},
		{"https://app.example.com", "null", "is not an origin"},
		{"https://app.example.com", "https://app.example.com/", "is not an origin"},
		{"address: 3000/1m", "address: 3000", "is not a limit"},
		{"address: 3000/1m", "address: 0/1m", "is not a limit"},
		{"rate: 5/s, burst: 20", "rate: 5/s", "burst is missing"},
		{"steps: [validate]", "steps: [authn]", `cannot name "authn"`},
		{"until: 2026-12-20", "until: 2027-12-20", "more than 30 days"},
		{"10.0.0.0/8", "ten", "not an address"},
		{"contact: \"mailto:security@example.com\"", "contact: security@example.com", "help.contact"},
		{"request: refuse", "request: allow", `cannot be "allow"`},
		{"body: 2MiB", "body: 2 bytes", "sizes.body is not a size"},
		{"allow_credentials: true", "allow_credentials: \"yes\"", "not a boolean"},
	} {
		text := strings.Replace(whole, c.old, c.new, 1)
		if text == whole {
			t.Fatalf("%q: nothing was changed", c.old)
		}
		_, err := Parse("portreeve.yaml", []byte(text), today)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.new, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "Bearer-abc") {
			t.Errorf("the error repeats the secret: %v", err)
		}
	}
}

// docs/config.md and docs/config.schema.json are generated; run with -update to write them.
func TestReferenceIsCurrent(t *testing.T) {
	for name, want := range map[string][]byte{"config.md": Reference(), "config.schema.json": Schema()} {
		path := filepath.Join("..", "..", "docs", name)
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale (%v); run: go test ./internal/config -update", path, err)
		}
	}
}

func TestThePublishedSchemaAgrees(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:config", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem:config")
	if err != nil {
		t.Fatal(err)
	}
	judge := func(text string) error {
		n, err := tree.Parse("f", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(n.AppendJSON(nil)))
		if err != nil {
			t.Fatal(err)
		}
		return s.Validate(v)
	}
	if err := judge(whole); err != nil {
		t.Errorf("the schema refuses what Parse takes: %v", err)
	}
	for _, change := range [][2]string{{"limits: {address", "limts: {address"}, {"timeout: 10s", "timeout: 10"}, {"version: 1\n", ""}, {"environment: production", "environment: prod"}} {
		if judge(strings.Replace(whole, change[0], change[1], 1)) == nil {
			t.Errorf("the schema takes %q", change[1])
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := Parse("f", b, today); err == nil && c.Version != 1 {
			t.Error("accepted without a version")
		}
	})
}
