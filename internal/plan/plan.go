// Package plan is what a document and a configuration promise together: immutable data that serve obeys, attack tries
// to break, check audits and prove reports on.
//
// It is data only: no I/O, no functions, no secrets (only where they come from). Two equal plans have equal hashes.
package plan

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/secret"
)

// Plan is the whole promise. It is never changed after compile.Seal.
type Plan struct {
	Hash string `json:"-"` // hex SHA-256 over the rest; see Sum

	Title       string          `json:"title"`
	Version     string          `json:"version"`     // the API's own version, info.version
	Environment string          `json:"environment"` // "production" or "development"
	DocumentAt  string          `json:"document_at"` // the document's path as configured
	Dialect     string          `json:"dialect"`     // "3.0" or "3.1": how schemas are read
	Configured  string          `json:"configured"`  // the configuration's path, "" for flags only
	PublicURL   string          `json:"public_url"`  // without a trailing slash; "" on loopback without url
	Document    json.RawMessage `json:"document"`    // the effective document, every $ref local; schema pointers lead into it

	Operations []*Operation `json:"operations"` // the document's, then Portreeve's own (Own != "")
	Unmatched  *Operation   `json:"unmatched"`  // what a request gets that fits none of them

	Server        Server         `json:"server"`
	Edge          Edge           `json:"edge"`
	CORS          CORS           `json:"cors"`
	Identity      Identity       `json:"identity"`
	Roles         []Role         `json:"roles"` // sorted by name
	Guard         Guard          `json:"guard"`
	Upstream      Upstream       `json:"upstream"`
	Cookies       Cookies        `json:"cookies"`
	Screen        Screen         `json:"screen"`
	DecisionPoint *DecisionPoint `json:"decision_point,omitempty"` // nil: none
	Coverage      Coverage       `json:"coverage"`                 // of what looks like an object's id
	Audit         Audit          `json:"audit"`
	Help          Help           `json:"help"`

	Staleness time.Duration `json:"staleness"` // bound for keys, users, roles, revocations while a store is away
	Unsafe    []Switch      `json:"unsafe"`    // every protection that was switched off
}

// Source is where a rule was written, "openapi.yaml:41"; a default says so.
type Source string

// Server says where the gate listens.
type Server struct {
	Listen string        `json:"listen"`
	Admin  string        `json:"admin"`
	Data   string        `json:"data"` // data directory
	Store  Store         `json:"store"`
	TLS    TLS           `json:"tls"`
	Plain  string        `json:"plain"`          // address on which plain HTTP is refused; "" for none
	Header time.Duration `json:"header_timeout"` // to receive a whole header
	Idle   time.Duration `json:"idle_timeout"`   // between requests, and between two reads or writes of one
	Rate   int64         `json:"rate"`           // bytes a second that bodies and answers must move with; 0: any
	Quiet  time.Duration `json:"quiet_timeout"`  // how long an event stream of the API may say nothing
	Drain  time.Duration `json:"drain_timeout"`  // for requests in flight at shutdown
	Held   int64         `json:"held_bytes"`     // one budget for all bytes held in memory
	Debug  bool          `json:"debug"`
}

// TLS is how the public listener speaks it; the zero value is plain HTTP.
type TLS struct {
	Certificates []KeyPair `json:"certificates"` // chosen by the name a client asks for; the first for who asks for none
	ACME         *ACME     `json:"acme"`         // or they are asked for
	Minimum      string    `json:"minimum"`      // "tls1.2" or "tls1.3"
	ClientCA     string    `json:"client_ca"`    // PEM file of the roots of clients' certificates; "": none is asked for
	Source       Source    `json:"source"`
}

// On reports whether the listener speaks TLS itself.
func (t *TLS) On() bool { return len(t.Certificates) > 0 || t.ACME != nil }

// KeyPair names the PEM files of a certificate's chain and of its private key.
type KeyPair struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

// ACME is where certificates are asked for (RFC 8555).
type ACME struct {
	Directory string   `json:"directory"`
	Email     string   `json:"email"`
	Domains   []string `json:"domains"`
	CA        string   `json:"ca"` // PEM file of roots by which the directory itself is trusted; "": the system's
}

// Store names the state's home.
type Store struct {
	SQLite   string     `json:"sqlite"`
	Postgres secret.Ref `json:"postgres"`
}

// Edge bounds what is read from a connection.
type Edge struct {
	Hosts          []string       `json:"hosts"` // lower case, host[:port]; empty: any (loopback only)
	TrustedProxies []netip.Prefix `json:"trusted_proxies"`
	MaxHeaderBytes int            `json:"max_header_bytes"`
	MaxHeaders     int            `json:"max_headers"`
	MaxTarget      int            `json:"max_target"` // bytes of path and query
}

// CORS is the allow-list of foreign origins (Fetch standard, "CORS protocol").
type CORS struct {
	Origins     []string      `json:"origins"`
	Credentials bool          `json:"credentials"`
	MaxAge      time.Duration `json:"max_age"`
	Expose      []string      `json:"expose"`
	Source      Source        `json:"source"`
}

// Guard holds what is counted before anybody is known.
type Guard struct {
	Address  Limit `json:"address"`  // requests of one address
	Failures Limit `json:"failures"` // bad credentials of one address

	Connections Connections `json:"connections"`
}

// Connections bounds what is open at the public listener at once, and what one connection may ask for. A zero is no
// bound: unsafe_endless was said.
type Connections struct {
	Address int    `json:"address"` // of one IPv4 address or IPv6 /64
	Total   int    `json:"total"`
	Streams int    `json:"streams"` // HTTP/2 streams of one connection
	Resets  Limit  `json:"resets"`  // of HTTP/2 streams, by either side, of one connection
	Control Limit  `json:"control"` // HTTP/2 frames that carry nothing, of one connection
	Source  Source `json:"source"`
}

// Limit is one rate. Text is its configured form, "100/1h" or "5/s burst 20"; "" means none.
type Limit struct {
	Name   string        `json:"name"` // the RateLimit field's policy name
	Text   string        `json:"text"`
	Count  int           `json:"count"`
	Window time.Duration `json:"window"`
	Rate   float64       `json:"rate"` // per second, for GCRA
	Burst  int           `json:"burst"`
	Source Source        `json:"source"`
}

// Set reports whether the limit limits anything.
func (l Limit) Set() bool { return l.Text != "" }

// Role is a named set of permissions.
type Role struct {
	Name        string   `json:"name"`
	Permissions []string `json:"permissions"` // `*` is exactly one segment; a lone "*" is all but portreeve:
}

// Upstream is the API behind the gate.
type Upstream struct {
	URL       string        `json:"url"` // scheme and host; "" for middleware
	BasePath  string        `json:"base_path"`
	Timeout   time.Duration `json:"timeout"`
	Headers   []Header      `json:"headers"`     // set on every request, sorted by name
	Forward   []string      `json:"forward"`     // credentials passed on, canonical header names
	CA        string        `json:"ca"`          // PEM file of roots, trusted instead of the system's
	Client    KeyPair       `json:"client"`      // the certificate by which the gate is known there
	Name      string        `json:"server_name"` // that its certificate must stand for; "": URL's host
	MaxAnswer int64         `json:"max_answer"`  // bytes of an answer that is copied; what is judged has its own bound
	Assertion *Assertion    `json:"assertion"`
	Source    Source        `json:"source"`

	Breaker     Breaker     `json:"breaker"`
	Concurrency Concurrency `json:"concurrency"`
}

// Breaker says when the upstream is left alone.
type Breaker struct {
	Ratio    int           `json:"ratio"`    // percent of calls that failed,
	Requests int           `json:"requests"` // of at least so many
	Window   time.Duration `json:"window"`   // within this
	Open     time.Duration `json:"open"`     // for how long
}

// Concurrency bounds how many calls may be on their way to the upstream at once; how many are is found out.
type Concurrency struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// DecisionPoint answers for objects of source pdp (AuthZEN Authorization API 1.0 §5).
type DecisionPoint struct {
	URL     string        `json:"url"`
	Timeout time.Duration `json:"timeout"`
	Token   secret.Ref    `json:"token"`
	Source  Source        `json:"source"`
}

// Header is one header set on requests to the upstream; its value is plain or a secret.
type Header struct {
	Name   string     `json:"name"`
	Value  string     `json:"value,omitempty"`
	Secret secret.Ref `json:"secret"`
}

// Cookies is what cookies of the API's may be like where the document declares Set-Cookie.
type Cookies struct {
	SameSite string   `json:"same_site"` // at least: "strict", "lax", "none"
	Scripts  []string `json:"scripts"`   // names of those without HttpOnly
	Domains  []string `json:"domains"`   // that one may be set for, lower case
}

// Screen is how free text is judged where an operation asks for it.
type Screen struct {
	Paranoia  int    `json:"paranoia"`  // OWASP CRS's level, 1 to 4
	Threshold int    `json:"threshold"` // the anomaly score from which a request is refused
	MaxBytes  int64  `json:"max_bytes"` // of free text in one request
	Source    Source `json:"source"`
}

// Assertion asks for Portreeve-Assertion, a short-lived signed JWT by which the upstream knows the gate.
type Assertion struct {
	Issuer   string        `json:"issuer"` // its iss: the public URL, or where the gate listens on loopback
	Audience string        `json:"audience"`
	Lifetime time.Duration `json:"lifetime"`
}

// Audit is the ledger's place and bounds.
type Audit struct {
	Dir   string `json:"dir"`
	Queue int    `json:"queue"` // events an async writer may wait with
	Sinks []Sink `json:"sinks"`
}

// Sink is a receiver of the ledger's events.
type Sink struct {
	Name    string     `json:"name"`
	Kind    string     `json:"kind"`  // file, stdout, syslog, otlp, webhook, s3
	Where   string     `json:"where"` // path or URL
	Format  string     `json:"format"`
	CA      string     `json:"ca"`
	Client  KeyPair    `json:"client"`
	Headers []Header   `json:"headers"`
	Secret  secret.Ref `json:"secret"`
	Region  string     `json:"region"`
	Access  secret.Ref `json:"access_key"`
	Private secret.Ref `json:"secret_key"`
	Source  Source     `json:"source"`
}

// Help is whom to tell about a weakness (RFC 9116).
type Help struct {
	Contact    []string `json:"contact"`
	Policy     string   `json:"policy"`
	Encryption string   `json:"encryption"`
}

// Switch is one protection switched off, with the reason its owner gave.
type Switch struct {
	Name   string    `json:"name"` // "unsafe_observe"
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"`
	Source Source    `json:"source"`
}
