package config

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/secret"
	"github.com/portreeve/portreeve/internal/tree"
)

// judge holds what single keys cannot say.
func (d *decoder) judge(c *Config, now time.Time) {
	if c.Version != 1 {
		d.fault(c.At("version"), "write version: 1", "version %d is not read", c.Version)
	}
	d.listeners(c)
	d.upstream(c)
	d.decisionPoint(c)
	d.issuers(c)
	d.sinks(c)
	d.roles(c)
	d.cors(c)
	d.observe(c, now)
	d.endless(c)
	if c.Debug && c.Environment != "development" {
		d.fault(c.At("debug"), "set environment: development, or remove debug", "debug is refused in production")
	}
	for _, s := range []struct {
		path string
		r    *Reasoned
	}{{"unsafe_plaintext", c.UnsafePlaintext}, {"unsafe_endless", c.UnsafeEndless}} {
		if s.r != nil && strings.TrimSpace(s.r.Reason) == "" {
			d.fault(c.At(s.path), "say why", "%s needs a reason", s.path)
		}
	}
	if e := c.Identity.Embedded.Lifetime; e > time.Hour {
		d.fault(c.At("identity", "embedded", "lifetime"), "at most 1h", "identity.embedded.lifetime is too long")
	}
	if c.Help.Contact != "" && !strings.HasPrefix(c.Help.Contact, "mailto:") && !strings.HasPrefix(c.Help.Contact, "https://") {
		d.fault(c.At("help", "contact"), "mailto:security@example.com", "help.contact is not a mailto: or https: address")
	}
}

// Loopback reports whether an address to listen on is reachable from this machine alone.
func Loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func (d *decoder) listeners(c *Config) {
	for path, listen := range map[string]string{"listen": c.Listen, "admin.listen": c.Admin.Listen} {
		if _, _, err := net.SplitHostPort(listen); err != nil {
			d.fault(c.At(strings.Split(path, ".")...), "write 127.0.0.1:8080 or :8443", "%s is not an address with a port", path)
		}
	}
	d.tls(c)
	if !Loopback(c.Listen) {
		if c.URL == "" {
			d.fault(c.At("listen"), "add url: https://api.example.com", "url is compulsory where the listener is not on loopback")
		}
		if !c.TLS.On() && c.UnsafePlaintext == nil {
			d.fault(c.At("listen"), "add tls: {cert, key} or tls: {acme: {…}}, or unsafe_plaintext: {reason: ...} behind a proxy that ends TLS", "plain HTTP is served on loopback only")
		}
	}
	if !Loopback(c.Admin.Listen) {
		d.fault(c.At("admin", "listen"), "use 127.0.0.1 and a tunnel", "the admin listener is not on loopback")
	}
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			d.fault(c.At("url"), "write https://api.example.com", "url is not a scheme and a host")
		}
	}
}

func (d *decoder) tls(c *Config) {
	t := &c.TLS
	if (t.Cert == "") != (t.Key == "") {
		d.fault(c.At("tls"), "give both", "tls needs cert and key")
	}
	if t.ACME != nil && (t.Cert != "" || len(t.Certificates) > 0) {
		d.fault(c.At("tls", "acme"), "remove one of them", "tls has certificates of its own and asks for others by acme")
	}
	if t.ClientCA != "" && !t.On() {
		d.fault(c.At("tls", "client_ca"), "add cert and key", "tls.client_ca judges certificates of clients, and the listener does not speak TLS")
	}
	if p := c.Plain.Listen; p != "" {
		_, _, err := net.SplitHostPort(p)
		switch {
		case err != nil:
			d.fault(c.At("plain", "listen"), "write :80", "plain.listen is not an address with a port")
		case !t.On():
			d.fault(c.At("plain"), "add tls: {cert, key}, or remove plain", "plain refuses what does not come by TLS, and the public listener does not speak it")
		}
	}
	if t.ACME != nil {
		d.acme(c, t.ACME)
	}
}

func (d *decoder) acme(c *Config, a *ACME) {
	at := func(key string) tree.Position { return c.At("tls", "acme", key) }
	if u, err := url.Parse(a.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
		d.fault(at("directory"), "write https://…", "tls.acme.directory is not an https URL")
	}
	if a.Email != "" && (!strings.Contains(a.Email, "@") || strings.ContainsAny(a.Email, " :,")) {
		d.fault(at("email"), "write ops@example.com", "tls.acme.email is not an address")
	}
	if len(a.Domains) == 0 && c.URL == "" {
		d.fault(c.At("tls", "acme"), "add domains: [api.example.com], or url", "tls.acme asks for no name")
	}
	for _, name := range a.Domains {
		if name == "" || strings.ContainsAny(name, "/:* ") || net.ParseIP(name) == nil && !strings.Contains(name, ".") {
			d.fault(at("domains"), "write api.example.com; a wildcard needs DNS, which is not changed from here", "tls.acme.domains: %q is not a name that can be proven", name)
		}
	}
}

func (d *decoder) upstream(c *Config) {
	if c.Upstream.URL != "" {
		u, err := url.Parse(c.Upstream.URL)
		switch {
		case err == nil && u.User != nil:
			d.fault(c.At("upstream", "url"), "use upstream.headers with {env: NAME}", "upstream.url carries a credential")
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
			d.fault(c.At("upstream", "url"), "write http://127.0.0.1:9000; a path belongs in base_path", "upstream.url is not a scheme and a host")
		}
	}
	if p := c.Upstream.BasePath; p != "" && (!strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/") || strings.ContainsAny(p, "?#%;\\") || strings.Contains(p, "//") || strings.Contains(p, "..")) {
		d.fault(c.At("upstream", "base_path"), "write /v1", "upstream.base_path is not a plain path")
	}
	for name, h := range c.Upstream.Headers {
		if h.Secret.IsZero() && credential(name) {
			d.fault(c.At("upstream", "headers", name), "write {env: NAME} or {file: PATH}", "upstream.headers.%s: a secret must not stand in the configuration", name)
		}
		if strings.ContainsAny(name, " \t\r\n:") || strings.ContainsAny(h.Value, "\r\n") {
			d.fault(c.At("upstream", "headers", name), "", "upstream.headers.%s is not a header", name)
		}
	}
	u := &c.Upstream
	if (u.Cert == "") != (u.Key == "") {
		d.fault(c.At("upstream"), "give both", "upstream needs client_cert and client_key")
	}
	for key, value := range map[string]string{"ca": u.CA, "client_cert": u.Cert, "server_name": u.Name} {
		if value != "" && strings.HasPrefix(u.URL, "http://") {
			d.fault(c.At("upstream", key), "write https:// in upstream.url", "upstream.%s is for TLS, and upstream.url is plain http", key)
		}
	}
	if u.Name != "" && (strings.ContainsAny(u.Name, "/:* ") || strings.HasSuffix(u.Name, ".")) {
		d.fault(c.At("upstream", "server_name"), "write api.internal", "upstream.server_name is not a host")
	}
	b := c.Upstream.Breaker
	switch {
	case b.Ratio < 1 || b.Ratio > 100:
		d.fault(c.At("upstream", "breaker", "ratio"), "write 50", "upstream.breaker.ratio is not a percentage from 1 to 100")
	case b.Requests < 1 || b.Requests > 1e6:
		d.fault(c.At("upstream", "breaker", "requests"), "write 20", "upstream.breaker.requests is not between 1 and 1000000")
	case b.Window < 100*time.Millisecond || b.Open < 100*time.Millisecond:
		d.fault(c.At("upstream", "breaker"), "write window: 10s, open: 5s", "upstream.breaker: window and open are at least 100ms")
	}
	if n := c.Upstream.Concurrency; n.Min < 1 || n.Max < n.Min || n.Max > 1e6 {
		d.fault(c.At("upstream", "concurrency"), "write min: 16, max: 1024", "upstream.concurrency: min is at least 1 and at most max")
	}
	if a := c.Upstream.Assertion; a != nil && a.Lifetime > time.Minute {
		d.fault(c.At("upstream", "assertion", "lifetime"), "at most 1m", "upstream.assertion.lifetime is too long")
	}
}

func (d *decoder) decisionPoint(c *Config) {
	p := c.DecisionPoint
	if p.URL == "" {
		if c.Has("decision_point") {
			d.fault(c.At("decision_point"), "url: https://pdp.example.com", "decision_point has no url")
		}
		return
	}
	u, err := url.Parse(p.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		d.fault(c.At("decision_point", "url"), "write https://pdp.example.com", "decision_point.url is no plain http URL")
	case u.Scheme == "http" && u.Hostname() != "localhost" && !Loopback(net.JoinHostPort(u.Hostname(), "1")):
		d.fault(c.At("decision_point", "url"), "use https", "decision_point.url leaves this machine without TLS")
	}
	if p.Timeout > 10*time.Second {
		d.fault(c.At("decision_point", "timeout"), "at most 10s", "decision_point.timeout is too long: each request waits so long")
	}
}

// credential recognises header names that carry secrets.
func credential(name string) bool {
	n := strings.ToLower(name)
	for _, word := range []string{"authorization", "cookie", "api-key", "apikey", "token", "secret", "password", "credential"} {
		if strings.Contains(n, word) {
			return true
		}
	}
	return false
}

func (d *decoder) issuers(c *Config) {
	ids := map[string]bool{"keys": true, "embedded": true, "certificates": true}
	for i, is := range c.Identity.Issuers {
		at := c.At("identity", "issuers")
		if ids[is.ID] {
			d.fault(at, "", "identity.issuers[%d].id %q is taken", i, is.ID)
		}
		ids[is.ID] = true
		sources := 0
		for _, given := range []bool{is.JWKS != "", is.PublicKey != "", !is.Secret.IsZero()} {
			if given {
				sources++
			}
		}
		if sources != 1 {
			d.fault(at, "give one of jwks_url, public_key_file, secret", "identity.issuers[%d] needs exactly one source of keys", i)
		}
		if len(is.Audience) == 0 || slices.Contains(is.Audience, "") {
			d.fault(at, "a token for another API must not open this one", "identity.issuers[%d].audience is empty", i)
		}
		for _, o := range c.Identity.Issuers[:i] {
			if o.Issuer == is.Issuer {
				d.fault(at, "", "identity.issuers[%d].issuer stands twice", i)
			}
		}
	}
	for scheme, list := range c.Identity.Schemes {
		for _, id := range list {
			if !ids[id] || id == "embedded" && !c.EmbeddedEnabled() {
				d.fault(c.At("identity", "schemes", scheme), "use keys, certificates, embedded or an id of identity.issuers", "identity.schemes.%s names %q, which is not configured", scheme, id)
			}
		}
		for _, alone := range []string{"keys", "certificates"} {
			if slices.Contains(list, alone) && len(list) > 1 {
				d.fault(c.At("identity", "schemes", scheme), "", "identity.schemes.%s: %s stands alone", scheme, alone)
			}
		}
	}
}

func (d *decoder) roles(c *Config) {
	for role, perms := range c.Roles {
		for _, p := range perms {
			if !Permission(p) {
				d.fault(c.At("roles", role), "users:read; * stands for exactly one segment", "roles.%s: %q is not a permission", role, p)
			}
		}
	}
}

// Permission reports whether p is segments joined by colons.
func Permission(p string) bool {
	for seg := range strings.SplitSeq(p, ":") {
		if seg == "" || seg != "*" && strings.ContainsAny(seg, "* \t\"',") {
			return false
		}
	}
	return true
}

func (d *decoder) cors(c *Config) {
	for _, domain := range c.Cookies.Domains {
		if domain != strings.ToLower(domain) || strings.HasPrefix(domain, ".") || !strings.Contains(domain, ".") || strings.ContainsAny(domain, "/:* ") {
			d.fault(c.At("cookies", "domains"), "write example.com", "cookies.domains: %q is not a domain", domain)
		}
	}
	if s := c.Screen; s.Paranoia < 1 || s.Paranoia > 4 || s.Threshold < 1 || s.Threshold > 100 {
		d.fault(c.At("screen"), "write paranoia: 1, threshold: 5", "screen: paranoia is 1 to 4, threshold 1 to 100")
	}
	if c.CORS.MaxAge > 2*time.Hour {
		d.fault(c.At("cors", "max_age"), "at most 2h, which is what browsers keep", "cors.max_age is too long")
	}
	for _, o := range c.CORS.AllowOrigins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || o != u.Scheme+"://"+strings.ToLower(u.Host) || strings.Contains(o, "*") {
			d.fault(c.At("cors", "allow_origins"), "list exact origins, https://app.example.com", "cors.allow_origins: %q is not an origin", o)
		}
	}
}

var observable = []string{"validate", "disclose", "screen"}

const maxObserve = 30 * 24 * time.Hour

func (d *decoder) observe(c *Config, now time.Time) {
	o := c.UnsafeObserve
	if o == nil {
		return
	}
	for _, s := range o.Steps {
		if !slices.Contains(observable, s) {
			d.fault(c.At("unsafe_observe", "steps"), "one of "+strings.Join(observable, ", "), "unsafe_observe.steps cannot name %q", s)
		}
	}
	if strings.TrimSpace(o.Reason) == "" {
		d.fault(c.At("unsafe_observe", "reason"), "say why", "unsafe_observe needs a reason")
	}
	end, err := time.Parse(time.DateOnly, o.Until)
	switch {
	case err != nil:
		d.fault(c.At("unsafe_observe", "until"), "write 2026-12-31", "unsafe_observe.until is not a date")
	case end.After(now.Add(maxObserve)):
		d.fault(c.At("unsafe_observe", "until"), "", "unsafe_observe.until is more than 30 days ahead")
	}
	o.End = end.Add(24 * time.Hour)
}

// endless holds the caps on connections: none is no cap, and a cap of nothing serves nobody.
func (d *decoder) endless(c *Config) {
	l := &c.Limits
	for _, n := range []struct {
		name string
		n    int
		most int
	}{{"connections.address", l.Connections.Address, 1 << 20}, {"connections.total", l.Connections.Total, 1 << 20}, {"http2.streams", l.HTTP2.Streams, 1000}} {
		if n.n < 1 || n.n > n.most {
			section, key, _ := strings.Cut(n.name, ".")
			d.fault(c.At("limits", section, key), "unsafe_endless switches all of them off", "limits.%s must be between 1 and %d", n.name, n.most)
		}
	}
	for key, r := range map[string]Limit{"resets": l.HTTP2.Resets, "control": l.HTTP2.Control} {
		if r.Rate != 0 {
			d.fault(c.At("limits", "http2", key), "write 200/10s", "limits.http2.%s is not of the form N/W", key)
		}
	}
}

// Switch is one protection switched off.
type Switch struct {
	Name, Reason string
	Until        time.Time
	At           tree.Position
}

// Unsafe lists every switch-off.
func (c *Config) Unsafe() []Switch {
	var out []Switch
	if s := c.UnsafePlaintext; s != nil {
		out = append(out, Switch{Name: "unsafe_plaintext", Reason: s.Reason, At: c.At("unsafe_plaintext")})
	}
	if s := c.UnsafeEndless; s != nil {
		out = append(out, Switch{Name: "unsafe_endless", Reason: s.Reason, At: c.At("unsafe_endless")})
	}
	if s := c.UnsafeObserve; s != nil {
		out = append(out, Switch{Name: "unsafe_observe", Reason: s.Reason, Until: s.End, At: c.At("unsafe_observe")})
	}
	return out
}

// Secrets lists every source of a secret, sorted by where it stands.
func (c *Config) Secrets() map[string]secret.Ref {
	out := map[string]secret.Ref{}
	for name, h := range c.Upstream.Headers {
		if !h.Secret.IsZero() {
			out["upstream.headers."+name] = h.Secret
		}
	}
	for _, is := range c.Identity.Issuers {
		if !is.Secret.IsZero() {
			out["identity.issuers."+is.ID+".secret"] = is.Secret
		}
	}
	return out
}
