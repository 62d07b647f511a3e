package starter

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// Upstream is where the API stands.
type Upstream struct {
	URL, URLWhy           string
	BasePath, BasePathWhy string
}

// Requirement is one alternative of default_security: a scheme.
type Requirement struct{ Scheme, Why string }

// Scheme says what satisfies a scheme of the document.
type Scheme struct {
	Name, By, Why string
	Discovery     string // openIdConnectUrl
	Change        []Set  // what the overlay must change so that the gate can enforce it
	ChangeWhy     string
}

// Set is one member the overlay sets.
type Set struct{ Name, Value string }

// UsageError is an option that cannot be used.
type UsageError struct{ Problem, Hint string }

func (e *UsageError) Error() string {
	if e.Hint == "" {
		return e.Problem
	}
	return e.Problem + "\n  hint: " + e.Hint
}

// BadInput marks it as the user's to mend.
func (e *UsageError) BadInput() bool { return true }

// upstream takes the address from the options, and the base path from there or from the document's first server.
func (p *Proposal) upstream() error {
	server := ""
	if len(p.doc.Servers) > 0 {
		server = p.doc.Servers[0]
	}
	u := &p.Upstream
	u.URL, u.URLWhy = DefaultUpstream, "a placeholder: put the address of your API here"
	if server != "" && server != "/" {
		u.URLWhy += "; the document's server is " + quoted(server)
	}
	if s, err := url.Parse(server); err == nil && plainPath(strings.TrimRight(s.EscapedPath(), "/")) {
		if u.BasePath = strings.TrimRight(s.EscapedPath(), "/"); u.BasePath != "" {
			u.BasePathWhy = "guess: the path of the document's server " + quoted(server)
		}
	} else if server != "" {
		p.decision("the document's server %s gives no base path: set upstream.base_path", quoted(server))
	}
	if p.options.Upstream == "" {
		return nil
	}
	given, err := url.Parse(p.options.Upstream)
	switch {
	case err != nil || given.Host == "" || given.Scheme != "http" && given.Scheme != "https" || given.RawQuery != "" || given.Fragment != "":
		return &UsageError{"--upstream is not the URL of an API", "write http://127.0.0.1:9000, or http://127.0.0.1:9000/v1"}
	case given.User != nil:
		return &UsageError{"--upstream carries a credential", "give it without; the configuration takes it under upstream.headers as {env: NAME}"}
	}
	path := strings.TrimRight(given.EscapedPath(), "/")
	if !plainPath(path) {
		return &UsageError{"the path of --upstream is not a plain path", "write http://127.0.0.1:9000/v1"}
	}
	u.URL, u.URLWhy = given.Scheme+"://"+given.Host, "as given"
	if path != "" {
		u.BasePath, u.BasePathWhy = path, "as given"
	}
	return nil
}

// plainPath reports whether upstream.base_path takes a path.
func plainPath(s string) bool {
	return s == "" || strings.HasPrefix(s, "/") && !strings.Contains(s, "//") && !strings.Contains(s, "..") &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/-._~", r))
		})
}

// security proposes default_security where the document is silent, and says what satisfies each scheme that is used.
func (p *Proposal) security() {
	used := map[string]bool{}
	silent := 0
	for _, o := range p.Operations {
		list := o.op.Security
		if list == nil {
			list = p.doc.Security
		}
		if o.remove {
			continue
		}
		if list == nil {
			silent++
			continue
		}
		for _, r := range *list {
			for _, s := range r {
				used[s.Scheme] = true
			}
		}
	}
	if silent > 0 {
		why := fmt.Sprintf("guess: %s of the document say nothing about security", plural(silent, "operation"))
		for _, s := range p.doc.Schemes {
			p.Default = append(p.Default, Requirement{s.Name, why + "; this scheme is declared there"})
		}
		if len(p.Default) == 0 {
			p.Default = []Requirement{{"bearer", why}, {"api_key", "or an API key in the header X-API-Key"}}
		}
		for _, r := range p.Default {
			used[r.Scheme] = true
		}
		p.decision("%s say nothing about security: default_security asks for a credential; security: [] in the document makes one public", plural(silent, "operation"))
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		p.Schemes = append(p.Schemes, p.scheme(name))
	}
}

// scheme maps a scheme to what the gate itself can satisfy.
func (p *Proposal) scheme(name string) Scheme {
	i := slices.IndexFunc(p.doc.Schemes, func(s spec.Scheme) bool { return s.Name == name })
	if i < 0 { // built in
		if name == "api_key" {
			return Scheme{Name: name, By: "keys", Why: "API keys: portreeve key create"}
		}
		return Scheme{Name: name, By: "embedded", Why: "tokens of the gate's own: portreeve token issue"}
	}
	d := p.doc.Schemes[i]
	s := Scheme{Name: name, By: "embedded", Why: fmt.Sprintf("guess: the document says %s; an issuer under identity.issuers takes its place", d.Type)}
	switch {
	case d.Type == "apiKey":
		s.By, s.Why = "keys", "guess: the document says apiKey, which API keys of the gate satisfy"
		if d.In == "query" {
			s.Change = []Set{{"in", "header"}, {"name", "X-API-Key"}}
			s.ChangeWhy = "a key in the query ends in every log on its way: callers of the gate send it in a header"
			p.decision("the scheme %s has its key in the query; through the gate it travels in the header X-API-Key", quoted(name))
		}
	case d.Type == "http" && d.HTTP == "bearer":
		s.Why = "guess: the document says http bearer; an issuer under identity.issuers takes its place"
	case d.Type == "openIdConnect":
		s.Discovery = p.doc.Node("/components/securitySchemes/" + tree.Escape(name)).Get("openIdConnectUrl").Str()
	case d.Type != "oauth2":
		s.Change = []Set{{"type", "http"}, {"scheme", "bearer"}}
		s.ChangeWhy = fmt.Sprintf("the gate cannot judge %s: callers of the gate send a bearer token", strings.TrimSpace(d.Type+" "+shown(d.HTTP)))
		p.decision("the scheme %s (%s) cannot be enforced; through the gate it is a bearer token", quoted(name), strings.TrimSpace(d.Type+" "+shown(d.HTTP)))
	}
	return s
}
