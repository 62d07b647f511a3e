// Package compile makes a plan of a document and a configuration: the one place where both are known. What cannot be
// promised — a scheme nothing satisfies, a rule for an operation that does not exist — is an error with its place.
package compile

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/config"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/secret"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// Load reads a configuration with its document and overlays and makes their plan. Relative paths are the
// configuration's own.
func Load(path string, now time.Time) (*plan.Plan, error) {
	c, err := config.Load(path, now)
	if err != nil {
		return nil, err
	}
	return fromFiles(c, filepath.Dir(path))
}

// LoadText is Load for a configuration that is held in memory; relative paths are of dir.
func LoadText(name string, text []byte, dir string, now time.Time) (*plan.Plan, error) {
	c, err := config.Parse(name, text, now)
	if err != nil {
		return nil, err
	}
	return fromFiles(c, dir)
}

// Simple is the plan of a document and an upstream alone. Changes are made to the configuration before it is compiled.
func Simple(document, upstream string, change func(listen, admin, data *string)) (*plan.Plan, error) {
	c := config.Default(document, upstream)
	if change != nil {
		change(&c.Listen, &c.Admin.Listen, &c.Data)
	}
	return fromFiles(c, ".")
}

func fromFiles(c *config.Config, dir string) (*plan.Plan, error) {
	at := func(p string) string {
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(dir, p)
	}
	overlays := make([]string, len(c.Overlays))
	for i, o := range c.Overlays {
		overlays[i] = at(o)
	}
	d, err := spec.Load(at(c.Document), overlays...)
	if err != nil {
		return nil, err
	}
	return Compile(c, d, at)
}

// Compile makes the plan. at turns the configuration's relative paths into usable ones.
func Compile(c *config.Config, d *spec.Document, at func(string) string) (*plan.Plan, error) {
	b := &builder{c: c, d: d, at: at}
	p := b.plan()
	if len(b.faults) > 0 {
		if len(b.faults) == 1 {
			return nil, b.faults[0]
		}
		return nil, b.faults
	}
	p.Hash = p.Sum()
	return p, nil
}

// builder makes one plan.
type builder struct {
	c        *config.Config
	d        *spec.Document
	at       func(string) string
	schemes  map[string]bool // used by some operation
	used     map[string]bool // limits.operations that met their operation
	screened []string        // operations that could be
	faults   spec.Errors
}

func (b *builder) fault(at tree.Position, hint, format string, args ...any) {
	if len(b.faults) < 20 {
		b.faults = append(b.faults, &tree.Error{At: at, Problem: fmt.Sprintf(format, args...), Hint: hint})
	}
}

// source is a place as explain shows it: a file of the document by its path below the document's folder, any other by
// its name. A default says so.
func (b *builder) source(at tree.Position) plan.Source {
	if at.Line == 0 {
		return "default"
	}
	if below, err := filepath.Rel(filepath.Dir(b.d.File), at.File); err == nil && filepath.IsLocal(below) {
		at.File = filepath.ToSlash(below)
	} else {
		at.File = filepath.Base(at.File)
	}
	return plan.Source(at.String())
}

func (b *builder) plan() *plan.Plan {
	c, d := b.c, b.d
	b.schemes, b.used = map[string]bool{}, map[string]bool{}
	p := &plan.Plan{Title: d.Title, Version: d.APIVersion, Environment: c.Environment, DocumentAt: c.Document, Dialect: "3.1", Configured: c.File(),
		PublicURL: strings.TrimRight(c.URL, "/"), Document: json.RawMessage(d.JSON), Staleness: c.Staleness}
	if d.Is30() {
		p.Dialect = "3.0"
	}
	p.Server = b.server()
	p.Edge = plan.Edge{Hosts: b.hosts(), TrustedProxies: c.TrustedProxies, MaxHeaderBytes: int(c.Sizes.Header), MaxHeaders: c.Sizes.Headers, MaxTarget: int(c.Sizes.Target)}
	p.CORS = plan.CORS{Origins: c.CORS.AllowOrigins, Credentials: c.CORS.AllowCredentials, MaxAge: c.CORS.MaxAge, Expose: c.CORS.Expose, Source: b.source(c.At("cors"))}
	p.Guard = plan.Guard{Address: b.limit("address", c.Limits.Address, "limits", "address"), Failures: b.limit("failures", c.Limits.Failures, "limits", "failures"), Connections: b.connections()}
	p.Upstream = b.upstream()
	if d := c.DecisionPoint; d.URL != "" {
		p.DecisionPoint = &plan.DecisionPoint{URL: strings.TrimRight(d.URL, "/"), Timeout: d.Timeout, Token: d.Token, Source: b.source(c.At("decision_point"))}
		if d.Token.File != "" {
			p.DecisionPoint.Token.File = b.at(d.Token.File)
		}
	}
	p.Cookies = plan.Cookies(c.Cookies)
	p.Screen = plan.Screen{Paranoia: c.Screen.Paranoia, Threshold: c.Screen.Threshold, MaxBytes: int64(c.Screen.MaxBytes), Source: b.source(c.At("screen"))}
	p.Audit = plan.Audit{Dir: b.at(c.Audit.Dir), Queue: c.Audit.Queue}
	if c.Audit.Dir == "" {
		p.Audit.Dir = filepath.Join(p.Server.Data, "audit")
	}
	p.Audit.Sinks = b.sinks()
	if c.Help.Contact != "" {
		p.Help = plan.Help{Contact: []string{c.Help.Contact}, Policy: c.Help.Policy, Encryption: c.Help.Encryption}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Roles)) {
		p.Roles = append(p.Roles, plan.Role{Name: name, Permissions: c.Roles[name]})
	}
	for _, s := range c.Unsafe() {
		p.Unsafe = append(p.Unsafe, plan.Switch{Name: s.Name, Reason: s.Reason, Until: s.Until, Source: b.source(s.At)})
	}
	for _, op := range b.d.Operations {
		if op.Ext.Unjudged != "" {
			p.Unsafe = append(p.Unsafe, plan.Switch{Name: "unsafe_unjudged", Reason: op.Ext.Unjudged, Source: b.source(op.Ext.UnjudgedAt)})
		}
	}
	for _, u := range b.d.Patterns {
		p.Unsafe = append(p.Unsafe, plan.Switch{Name: "unsafe_pattern", Reason: u.Reason, Source: b.source(u.At)})
	}
	b.operations(p)
	p.Identity = b.identity(p)
	for _, op := range p.Operations {
		b.ownerIssuers(p, op)
		if len(op.Limits) > maxLimits {
			b.fault(tree.Position{File: b.d.File}, "remove some", "%s %s has %d limits; at most %d are decided at once", op.Method, op.Path, len(op.Limits), maxLimits)
		}
	}
	p.Coverage = Coverage(p.Operations...)
	b.own(p)
	b.schemas(p)
	for i, op := range p.Operations {
		op.Index = i
	}
	p.Unmatched = &plan.Operation{Index: -1, ID: "unmatched", Security: plan.Security{Public: true, Source: "built in"}, Record: plan.Async, Source: "built in"}
	for _, name := range c.Screen.Operations {
		if !slices.Contains(b.screened, name) {
			b.fault(c.At("screen", "operations"), "use the operationId of the document", "screen.operations names %q, which is no operation", name)
		}
	}
	for name := range c.Limits.Operations {
		if !b.used[name] {
			b.fault(c.At("limits", "operations", name), "use the operationId of the document", "limits.operations names %q, which is no operation", name)
		}
	}
	return p
}

// maxLimits is how many limits of one operation the meter decides at once.
const maxLimits = 8

func (b *builder) server() plan.Server {
	c := b.c
	s := plan.Server{Listen: c.Listen, Admin: c.Admin.Listen, Data: b.at(c.Data), TLS: b.tls(), Plain: c.Plain.Listen, Header: c.Timeouts.Header,
		Idle: c.Timeouts.Idle, Rate: int64(c.Timeouts.Rate), Quiet: c.Timeouts.Quiet, Drain: c.Timeouts.Drain, Held: int64(c.Sizes.Held), Debug: c.Debug}
	if c.UnsafeEndless != nil {
		s.Rate = 0
	}
	s.Store.SQLite = b.at(c.Store.SQLite)
	if s.Store.SQLite == "" {
		s.Store.SQLite = filepath.Join(s.Data, "portreeve.db")
	}
	return s
}

func (b *builder) tls() plan.TLS {
	c := &b.c.TLS
	out := plan.TLS{Minimum: c.Minimum, ClientCA: b.at(c.ClientCA), Source: b.source(b.c.At("tls"))}
	if c.Cert != "" {
		out.Certificates = append(out.Certificates, plan.KeyPair{Cert: b.at(c.Cert), Key: b.at(c.Key)})
	}
	for _, p := range c.Certificates {
		out.Certificates = append(out.Certificates, plan.KeyPair{Cert: b.at(p.Cert), Key: b.at(p.Key)})
	}
	if a := c.ACME; a != nil {
		out.ACME = &plan.ACME{Directory: a.Directory, Email: a.Email, Domains: a.Domains, CA: b.at(a.CA)}
		if u, err := url.Parse(b.c.URL); err == nil && len(a.Domains) == 0 {
			out.ACME.Domains = []string{u.Hostname()}
		}
	}
	return out
}

// hosts are what Host may say: url's and the listed ones, with and without the default port.
func (b *builder) hosts() []string {
	var out []string
	add := func(h string) {
		if h = strings.ToLower(h); h != "" && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	if u, err := url.Parse(b.c.URL); err == nil && u.Host != "" {
		add(u.Host)
		if u.Port() == "" {
			add(u.Host + ":" + map[string]string{"https": "443", "http": "80"}[u.Scheme])
		}
	}
	for _, h := range b.c.Hosts {
		add(h)
	}
	return out
}

// base is the URL by which the gate calls itself.
func (b *builder) base() string {
	if u := strings.TrimRight(b.c.URL, "/"); u != "" {
		return u
	}
	if b.c.TLS.On() {
		return "https://" + b.c.Listen
	}
	return "http://" + b.c.Listen
}

func (b *builder) limit(name string, l config.Limit, path ...string) plan.Limit {
	at := b.source(b.c.At(path...))
	return plan.Limit{Name: name, Text: l.Text, Count: l.Count, Window: l.Window, Rate: l.Rate, Burst: l.Burst, Source: at}
}

// connections are the caps of the public listener. What HTTP/2 itself needs, a number of streams, stays with all others
// switched off.
func (b *builder) connections() plan.Connections {
	c := b.c
	out := plan.Connections{Streams: c.Limits.HTTP2.Streams, Source: b.source(c.At("limits", "connections"))}
	if c.UnsafeEndless != nil {
		out.Source = b.source(c.At("unsafe_endless"))
		return out
	}
	out.Address, out.Total = c.Limits.Connections.Address, c.Limits.Connections.Total
	out.Resets = b.limit("resets", c.Limits.HTTP2.Resets, "limits", "http2", "resets")
	out.Control = b.limit("control", c.Limits.HTTP2.Control, "limits", "http2", "control")
	return out
}

func (b *builder) sinks() []plan.Sink {
	out := []plan.Sink{}
	for _, s := range b.c.Audit.Sinks {
		kind, where, _ := s.Target()
		if kind == "file" {
			where = b.at(where)
		}
		t := plan.Sink{Name: s.Name, Kind: kind, Where: where, Format: s.Format, CA: b.at(s.CA), Client: plan.KeyPair{Cert: b.at(s.Cert), Key: b.at(s.Key)}, Headers: b.headers(s.Headers),
			Secret: b.ref(s.Secret), Region: s.Region, Access: b.ref(s.Access), Private: b.ref(s.Private), Source: b.source(b.c.At("audit", "sinks"))}
		out = append(out, t)
	}
	return out
}

// ref places a secret's file beside the configuration.
func (b *builder) ref(r secret.Ref) secret.Ref {
	if r.File != "" {
		r.File = b.at(r.File)
	}
	return r
}

func (b *builder) headers(given map[string]config.Header) []plan.Header {
	var out []plan.Header
	for _, name := range slices.Sorted(maps.Keys(given)) {
		h := given[name]
		out = append(out, plan.Header{Name: name, Value: h.Value, Secret: b.ref(h.Secret)})
	}
	return out
}

func (b *builder) upstream() plan.Upstream {
	u := b.c.Upstream
	out := plan.Upstream{URL: strings.TrimRight(u.URL, "/"), BasePath: u.BasePath, Timeout: u.Timeout, Forward: u.Forward, CA: b.at(u.CA), Client: plan.KeyPair{Cert: b.at(u.Cert), Key: b.at(u.Key)}, Name: u.Name, MaxAnswer: int64(b.c.Sizes.Answer), Source: b.source(b.c.At("upstream")),
		Breaker: plan.Breaker(u.Breaker), Concurrency: plan.Concurrency(u.Concurrency)}
	out.Headers = b.headers(u.Headers)
	if a := u.Assertion; a != nil {
		out.Assertion = &plan.Assertion{Issuer: b.base(), Audience: a.Audience, Lifetime: a.Lifetime}
	}
	return out
}
