// Package config reads portreeve.yaml, strictly: an unknown or repeated key, a literal secret, a switch-off without a
// reason are errors with their line. It says what the owner wants; what follows from that, with a document, is the
// plan's.
package config

import (
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/secret"
	"github.com/portreeve/portreeve/internal/tree"
)

// Config is a whole configuration. Field tags are the source of docs/config.md and of the published JSON Schema: key is
// the YAML name, doc one line for people, default what stands where the key does not.
type Config struct {
	Version         int                 `key:"version" doc:"Version of this format; always 1." required:"true"`
	URL             string              `key:"url" doc:"Public URL of the API: base of the embedded issuer, default audience, same origin. A request for another host gets 421. Compulsory off loopback."`
	Hosts           []string            `key:"hosts" doc:"Further hosts that are served beside url's."`
	Environment     string              `key:"environment" doc:"development allows debug; production refuses it." default:"production" enum:"production,development"`
	Listen          string              `key:"listen" doc:"Address of the public listener." default:"127.0.0.1:8080"`
	Admin           Admin               `key:"admin" doc:"The admin listener: probes, health, metrics."`
	Document        string              `key:"document" doc:"The OpenAPI document, 3.0 or 3.1, YAML or JSON." required:"true"`
	Overlays        []string            `key:"overlays" doc:"OpenAPI Overlay 1.0 files, applied in order: annotate documents you do not own."`
	Upstream        Upstream            `key:"upstream" doc:"The API behind the gate."`
	TLS             TLS                 `key:"tls" doc:"Certificates of the public listener. Their files are looked at every ten seconds and taken over when they were renewed."`
	Plain           Plain               `key:"plain" doc:"A listener that refuses plain HTTP beside TLS, and records credentials that were sent to it."`
	DefaultSecurity []Requirement       `key:"default_security" doc:"Security of operations that say nothing, in OpenAPI's form; bearer and api_key are built in."`
	Identity        Identity            `key:"identity" doc:"Whom the gate believes."`
	DecisionPoint   DecisionPoint       `key:"decision_point" doc:"A policy decision point that objects of source pdp are asked of (AuthZEN 1.0)."`
	Roles           map[string][]string `key:"roles" doc:"Permissions of each role. * is exactly one segment; a lone * is all but portreeve:."`
	Limits          Limits              `key:"limits" doc:"Rates. N/W is never more than N in any W; {rate, burst} is GCRA."`
	CORS            CORS                `key:"cors" doc:"Foreign origins that may read answers."`
	Cookies         Cookies             `key:"cookies" doc:"What cookies of the API may be like, where the document declares Set-Cookie among the headers of an answer. Others are taken away."`
	Screen          Screen              `key:"screen" doc:"Free text judged by the OWASP Core Rule Set, where an operation asks for it here or with x-portreeve.screen: true."`
	Undeclared      Undeclared          `key:"undeclared" doc:"What happens to what the document does not declare."`
	Audit           Audit               `key:"audit" doc:"The ledger of events."`
	Data            string              `key:"data" doc:"Data directory: store, key material, ledger, admin socket." default:"./data"`
	Store           Store               `key:"store" doc:"Where keys, users and revocations live; SQLite in the data directory by default."`
	Staleness       time.Duration       `key:"staleness" doc:"How old keys, users, roles and revocations may be while the store is away; beyond it requests are refused." default:"60s"`
	TrustedProxies  []netip.Prefix      `key:"trusted_proxies" doc:"Addresses whose X-Forwarded-For is believed, read from the right."`
	Sizes           Sizes               `key:"sizes" doc:"Bounds of what is read and held."`
	Timeouts        Timeouts            `key:"timeouts" doc:"How long the gate waits for clients."`
	Help            Help                `key:"help" doc:"Whom to tell about a weakness; served as /.well-known/security.txt (RFC 9116)."`
	Debug           bool                `key:"debug" doc:"More words in the program's own log. Refused in production."`
	UnsafePlaintext *Reasoned           `key:"unsafe_plaintext" doc:"Plain HTTP off loopback."`
	UnsafeEndless   *Reasoned           `key:"unsafe_endless" doc:"No caps on connections, no minimum rate, no budget for HTTP/2 frames: for a gate behind something that does all that."`
	UnsafeObserve   *Observe            `key:"unsafe_observe" doc:"Stages that only record what they would refuse; never authn, authz, object; at most 30 days."`

	file string
	root *tree.Node
}

// Admin is the admin listener.
type Admin struct {
	Listen string `key:"listen" doc:"Address of the admin listener; loopback only." default:"127.0.0.1:9443"`
}

// Upstream is the API behind the gate.
type Upstream struct {
	URL       string            `key:"url" doc:"Scheme and host, http://127.0.0.1:9000."`
	BasePath  string            `key:"base_path" doc:"Put before every path."`
	Timeout   time.Duration     `key:"timeout" doc:"To the first byte, and between two." default:"10s"`
	Headers   map[string]Header `key:"headers" doc:"Set on every request; a secret value comes as {env: NAME} or {file: PATH}."`
	Forward   []string          `key:"forward" doc:"Credentials that are passed on: authorization, cookie."`
	CA        string            `key:"ca" doc:"PEM file of roots trusted instead of the system's. The certificate is always verified."`
	Cert      string            `key:"client_cert" doc:"PEM file of the certificate chain by which the API knows the gate."`
	Key       string            `key:"client_key" doc:"PEM file of its private key."`
	Name      string            `key:"server_name" doc:"Name the API's certificate must stand for, where it is not the host of url."`
	Assertion *Assertion        `key:"assertion" doc:"Send Portreeve-Assertion, a signed JWT by which the API refuses traffic that bypassed the gate."`

	Breaker     Breaker     `key:"breaker" doc:"When the API is left alone because it does not answer: 503 with Retry-After, at once."`
	Concurrency Concurrency `key:"concurrency" doc:"How many requests may be with the API at once. The gate finds out how many it answers without growing slow, and refuses the others: 503 with Retry-After."`
}

// Breaker is the circuit breaker.
type Breaker struct {
	Ratio    int           `key:"ratio" doc:"Percent of requests that failed: no connection, no answer in time, 502, 503 or 504." default:"50"`
	Requests int           `key:"requests" doc:"Of at least so many." default:"20"`
	Window   time.Duration `key:"window" doc:"Within this time." default:"10s"`
	Open     time.Duration `key:"open" doc:"How long it is left alone before one request tries again." default:"5s"`
}

// Concurrency bounds what is found out.
type Concurrency struct {
	Min int `key:"min" doc:"Never fewer." default:"16"`
	Max int `key:"max" doc:"Never more." default:"1024"`
}

// Header is a header's value: plain, or a secret's source.
type Header struct {
	Value  string
	Secret secret.Ref
}

// Assertion is Portreeve-Assertion's content.
type Assertion struct {
	Audience string        `key:"audience" doc:"Its aud; the upstream must demand it." required:"true"`
	Lifetime time.Duration `key:"lifetime" doc:"At most a minute." default:"30s"`
}

// TLS is the listener's certificates.
type TLS struct {
	Cert         string    `key:"cert" doc:"PEM file of the certificate chain, the server's own first."`
	Key          string    `key:"key" doc:"PEM file of the private key; nobody but its owner and group may use it."`
	Certificates []KeyPair `key:"certificates" doc:"Further pairs: a client is shown the first that stands for the name it asks for (SNI)."`
	ACME         *ACME     `key:"acme" doc:"Ask an authority for certificates instead, and renew them (RFC 8555). Who configures it agrees to its terms of service."`
	Minimum      string    `key:"minimum" doc:"Oldest version of TLS that is spoken." default:"tls1.2" enum:"tls1.2,tls1.3"`
	ClientCA     string    `key:"client_ca" doc:"PEM file of the roots of clients' certificates; clients are then asked for one. Which operations need it is the document's to say, by a mutualTLS scheme."`
}

// On reports whether the listener speaks TLS.
func (t *TLS) On() bool { return t.Cert != "" || len(t.Certificates) > 0 || t.ACME != nil }

// KeyPair is a certificate with its key.
type KeyPair struct {
	Cert string `key:"cert" doc:"PEM file of the certificate chain, the server's own first." required:"true"`
	Key  string `key:"key" doc:"PEM file of the private key." required:"true"`
}

// ACME is an authority that gives certificates to who proves a name.
type ACME struct {
	Directory string   `key:"directory" doc:"URL of the authority's directory." default:"https://acme-v02.api.letsencrypt.org/directory"`
	Email     string   `key:"email" doc:"Whom the authority may write to about certificates."`
	Domains   []string `key:"domains" doc:"Names to ask for; the host of url where none are said."`
	CA        string   `key:"ca" doc:"PEM file of roots by which the directory itself is trusted, for an authority of one's own."`
}

// Plain is the listener of plain HTTP.
type Plain struct {
	Listen string `key:"listen" doc:"Its address, :80. Every request is refused with 403; what proves a name to an ACME authority is answered."`
}

// Requirement is one alternative of default_security.
type Requirement []SchemeScopes

// SchemeScopes is one scheme with its scopes.
type SchemeScopes struct {
	Scheme string
	Scopes []string
}

// Identity is whom the gate believes.
type Identity struct {
	Embedded     Embedded            `key:"embedded" doc:"The gate's own tokens."`
	Issuers      []Issuer            `key:"issuers" doc:"Foreign issuers."`
	Certificates ClientCertificates  `key:"certificates" doc:"For whom clients' certificates speak, which satisfy mutualTLS schemes; tls.client_ca says which are believed."`
	Schemes      map[string][]string `key:"schemes" doc:"Which issuers satisfy which security scheme of the document: a list of ids, keys for API keys, or certificates."`
}

// ClientCertificates turns a client's certificate into a caller.
type ClientCertificates struct {
	Subject string              `key:"subject" doc:"Which of its names is the caller's: the one DNS name, URI or e-mail address among the alternative names, the common name, or the whole subject (RFC 4514). A certificate with none of that kind, or several, proves nobody." default:"dns" enum:"dns,uri,email,common_name,subject"`
	Roles   map[string][]string `key:"roles" doc:"Roles of a caller, by that name: {billing.internal: [employee]}."`
}

// Embedded is the gate's own issuer.
type Embedded struct {
	Enabled  *bool         `key:"enabled" doc:"true only while no issuers are configured, unless said."`
	Lifetime time.Duration `key:"lifetime" doc:"Of its tokens; at most 1h." default:"1h"`
}

// Issuer is a foreign issuer of tokens.
type Issuer struct {
	ID          string        `key:"id" doc:"Its name in this configuration." required:"true"`
	Issuer      string        `key:"issuer" doc:"The exact iss of its tokens." required:"true"`
	Audience    []string      `key:"audience" doc:"Its tokens must name one of these." required:"true"`
	JWKS        string        `key:"jwks_url" doc:"Where its keys are; https off loopback."`
	PublicKey   string        `key:"public_key_file" doc:"Or its one public key, as PEM."`
	Secret      secret.Ref    `key:"secret" doc:"Or a shared secret of at least 256 bits."`
	Algorithms  []string      `key:"algorithms" doc:"Allowed, beyond what the keys fix."`
	MaxLifetime time.Duration `key:"max_lifetime" doc:"exp - iat." default:"1h"`
	Leeway      time.Duration `key:"leeway" doc:"For clocks." default:"60s"`
	Roles       RoleClaim     `key:"roles" doc:"Where roles stand and which of ours they become."`
	ScopesClaim string        `key:"scopes_claim" doc:"JSON pointer of the scopes." default:"/scope"`
	Required    []string      `key:"required_claims" doc:"Claims beyond sub, iat, exp, iss, aud."`
}

// RoleClaim maps foreign roles.
type RoleClaim struct {
	Claim string            `key:"claim" doc:"JSON pointer of a string or a list of strings."`
	Map   map[string]string `key:"map" doc:"Foreign role to ours; unmapped ones are dropped."`
}

// DecisionPoint is an AuthZEN 1.0 policy decision point.
type DecisionPoint struct {
	URL     string        `key:"url" doc:"Its base; /access/v1/evaluation is asked. https off loopback."`
	Timeout time.Duration `key:"timeout" doc:"Without an answer by then, access is denied." default:"1s"`
	Token   secret.Ref    `key:"token" doc:"Bearer token it wants to see: {env: NAME} or {file: PATH}."`
}

// Limits are rates.
type Limits struct {
	Address     Limit            `key:"address" doc:"Requests of one address (IPv6 by /64)." default:"3000/1m"`
	Failures    Limit            `key:"failures" doc:"Bad credentials of one address." default:"30/1m"`
	Principal   Limit            `key:"principal" doc:"Requests of one principal, or address while anonymous." default:"1000/1m"`
	Operations  map[string]Limit `key:"operations" doc:"Further limits by operationId."`
	Connections Connections      `key:"connections" doc:"Connections to the public listener that may be open at once."`
	HTTP2       HTTP2            `key:"http2" doc:"What one HTTP/2 connection may ask for."`
}

// Connections are caps on what is open at once.
type Connections struct {
	Address int `key:"address" doc:"Of one address (IPv6 by /64); trusted_proxies count in the total alone." default:"200"`
	Total   int `key:"total" doc:"Of all; less where the process may not open so many files." default:"10000"`
}

// HTTP2 bounds one HTTP/2 connection. Its limits are of the form N/W.
type HTTP2 struct {
	Streams int   `key:"streams" doc:"Streams at once." default:"100"`
	Resets  Limit `key:"resets" doc:"Streams reset, by either side; more end the connection when they are more than half of those opened." default:"200/10s"`
	Control Limit `key:"control" doc:"Frames that carry nothing: PING, SETTINGS, PRIORITY, empty DATA, window updates beyond what was sent." default:"1000/10s"`
}

// Limit is one rate.
type Limit struct {
	Text   string
	Count  int
	Window time.Duration
	Rate   float64
	Burst  int
}

// CORS is the allow-list of origins.
type CORS struct {
	AllowOrigins     []string      `key:"allow_origins" doc:"Exact origins, https://app.example.com; * and null are errors."`
	AllowCredentials bool          `key:"allow_credentials" doc:"Let browsers send cookies and credentials."`
	MaxAge           time.Duration `key:"max_age" doc:"How long a preflight's answer holds." default:"10m"`
	Expose           []string      `key:"expose" doc:"Further response headers that scripts may read."`
}

// Cookies is the rule for Set-Cookie; all of it goes beyond what the API says only in strictness.
type Cookies struct {
	SameSite string   `key:"same_site" doc:"At least this SameSite." default:"strict" enum:"strict,lax,none"`
	Scripts  []string `key:"scripts" doc:"Names of cookies that scripts may read; all others are HttpOnly."`
	Domains  []string `key:"domains" doc:"Domains that a cookie may be for, example.com; without one it is for the host alone."`
}

// Screen is how free text is judged: strings whose schema bounds them by no enum, narrow format or anchored pattern.
type Screen struct {
	Operations []string `key:"operations" doc:"operationIds of what is screened, beside those that the document names."`
	Paranoia   int      `key:"paranoia" doc:"The rule set's level, 1 (few false alarms) to 4 (few misses)." default:"1"`
	Threshold  int      `key:"threshold" doc:"The anomaly score from which a request is refused; a critical rule scores 5." default:"5"`
	MaxBytes   Bytes    `key:"max_bytes" doc:"Free text of one request; more is refused. A KiB takes a processor some 10 ms." default:"8KiB"`
}

// Undeclared is what happens to what the document does not declare.
type Undeclared struct {
	Request  string `key:"request" doc:"Members and parameters of requests." default:"refuse" enum:"refuse,drop,ignore"`
	Response string `key:"response" doc:"Members of answers." default:"drop" enum:"drop,block,pass"`
}

// Audit is the ledger.
type Audit struct {
	Dir   string `key:"dir" doc:"Where its files are; audit in the data directory by default."`
	Queue int    `key:"queue" doc:"Events that may wait to be written; beyond it they are counted as lost." default:"8192"`
	Sinks []Sink `key:"sinks" doc:"Where copies of the events go. Each sink gets all of them, in order, however long it was away."`
}

// Sink is a receiver of events: exactly one of file, stdout, syslog, otlp, webhook and s3.
type Sink struct {
	Name    string            `key:"name" doc:"Its name; its place in the ledger is kept by it." required:"true"`
	File    string            `key:"file" doc:"Append to a file, on another machine's disk for example."`
	Stdout  bool              `key:"stdout" doc:"Write to standard output."`
	Syslog  string            `key:"syslog" doc:"tls://HOST:PORT of a syslog server (RFC 5425); tcp:// on loopback."`
	OTLP    string            `key:"otlp" doc:"URL of an OpenTelemetry collector, OTLP over HTTP; https off loopback."`
	Webhook string            `key:"webhook" doc:"URL that takes JSON lines, signed as Standard Webhooks says; https off loopback."`
	S3      string            `key:"s3" doc:"URL of a bucket and a prefix, path-style: https://s3.eu-central-1.amazonaws.com/audit/gate."`
	Format  string            `key:"format" doc:"How an event is written; what is to be verified again stays ocsf." default:"ocsf" enum:"ocsf,ecs,cef"`
	CA      string            `key:"ca" doc:"PEM file of roots trusted instead of the system's."`
	Cert    string            `key:"cert" doc:"PEM file of the certificate by which the gate is known there."`
	Key     string            `key:"key" doc:"PEM file of its key."`
	Headers map[string]Header `key:"headers" doc:"Sent along by otlp; a secret value comes as {env: NAME} or {file: PATH}."`
	Secret  secret.Ref        `key:"secret" doc:"Signs a webhook's batches; at least 24 bytes."`
	Region  string            `key:"region" doc:"Of the bucket." default:"us-east-1"`
	Access  secret.Ref        `key:"access_key" doc:"Id of the bucket's key."`
	Private secret.Ref        `key:"secret_key" doc:"And its secret."`
}

// Target is the sink's kind and where it is.
func (s *Sink) Target() (kind, where string, given int) {
	for _, k := range []struct{ kind, where string }{{"file", s.File}, {"syslog", s.Syslog}, {"otlp", s.OTLP}, {"webhook", s.Webhook}, {"s3", s.S3}} {
		if k.where != "" {
			kind, where = k.kind, k.where
			given++
		}
	}
	if s.Stdout {
		kind = "stdout"
		given++
	}
	return kind, where, given
}

// Store is the state's home: exactly one.
type Store struct {
	SQLite string `key:"sqlite" doc:"A file; portreeve.db in the data directory by default."`
}

// Sizes bound memory.
type Sizes struct {
	Body    Bytes `key:"body" doc:"A request's body, unless the operation says otherwise." default:"1MiB"`
	Held    Bytes `key:"held" doc:"All bodies held at once." default:"256MiB"`
	Header  Bytes `key:"header" doc:"A request's header." default:"32KiB"`
	Headers int   `key:"headers" doc:"Header fields of a request." default:"100"`
	Answer  Bytes `key:"answer" doc:"An answer that is copied unjudged; streams of events have no end. What is judged is held: at most 4MiB." default:"1GiB"`
	Target  Bytes `key:"target" doc:"Path and query." default:"8KiB"`
}

// Timeouts bound waiting.
type Timeouts struct {
	Header time.Duration `key:"header" doc:"For a whole request header." default:"10s"`
	Idle   time.Duration `key:"idle" doc:"Between requests, and between two reads or writes of one." default:"60s"`
	Rate   Bytes         `key:"rate" doc:"Bytes a second that bodies and answers must move with; who is slower uses up idle and is cut off." default:"1KiB"`
	Quiet  time.Duration `key:"quiet" doc:"How long an event stream of the API may say nothing." default:"5m"`
	Drain  time.Duration `key:"drain" doc:"For requests on their way at shutdown." default:"15s"`
}

// Help is RFC 9116's content.
type Help struct {
	Contact    string `key:"contact" doc:"mailto: or https: address."`
	Policy     string `key:"policy" doc:"URL of the disclosure policy."`
	Encryption string `key:"encryption" doc:"URL of a key."`
}

// Reasoned is a switch-off; it has no default.
type Reasoned struct {
	Reason string `key:"reason" doc:"Why; shown by check and prove." required:"true"`
}

// Observe is unsafe_observe.
type Observe struct {
	Steps  []string `key:"steps" doc:"validate, disclose, screen." required:"true"`
	Reason string   `key:"reason" doc:"Why; shown by check and prove." required:"true"`
	Until  string   `key:"until" doc:"A date, 2026-12-31; at most 30 days ahead." required:"true"`

	End time.Time
}

// Bytes is a size: 1024, 64KiB, 1MiB.
type Bytes int64

// At returns where a key stands, "limits.operations.login"; the file where it does not.
func (c *Config) At(path ...string) tree.Position {
	n := c.root
	at := tree.Position{File: c.file}
	for _, name := range path {
		if n == nil {
			return at
		}
		next := n.Get(name)
		for _, m := range n.Members {
			if m.Name == name {
				at = m.At
			}
		}
		n = next
	}
	return at
}

// Has reports whether a key was written.
func (c *Config) Has(path ...string) bool {
	n := c.root
	for _, name := range path {
		if n = n.Get(name); n == nil {
			return false
		}
	}
	return n != nil
}

// File returns the configuration's path, "" for Default.
func (c *Config) File() string { return c.file }

// EmbeddedEnabled applies the rule of identity.embedded.enabled.
func (c *Config) EmbeddedEnabled() bool {
	if e := c.Identity.Embedded.Enabled; e != nil {
		return *e
	}
	return len(c.Identity.Issuers) == 0
}
