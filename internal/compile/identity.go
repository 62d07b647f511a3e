package compile

import (
	"maps"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/spec"
)

// Embedded is the id of the gate's own issuer, and Keys what says that API keys satisfy a scheme.
const (
	Embedded = "embedded"
	Keys     = "keys"
)

// Certificates is what says that a client's certificate satisfies a scheme, and the issuer of whom it proves.
const Certificates = "certificates"

func (b *builder) identity(p *plan.Plan) plan.Identity {
	c := b.c
	id := plan.Identity{Realm: realm(p)}
	if c.EmbeddedEnabled() {
		id.Embedded = &plan.Embedded{Issuer: b.base() + "/.portreeve/oidc", Audience: b.base(), Lifetime: c.Identity.Embedded.Lifetime}
	}
	for i, is := range c.Identity.Issuers {
		f := plan.Issuer{ID: is.ID, URL: is.Issuer, Audience: is.Audience, JWKS: is.JWKS, PublicKey: b.at(is.PublicKey), Secret: is.Secret, Algorithms: is.Algorithms,
			Required: is.Required, MaxLifetime: is.MaxLifetime, Leeway: is.Leeway, RolesClaim: is.Roles.Claim, ScopesClaim: is.ScopesClaim,
			Source: b.source(c.At("identity", "issuers"))}
		if f.Secret.File != "" {
			f.Secret.File = b.at(f.Secret.File)
		}
		for _, from := range slices.Sorted(maps.Keys(is.Roles.Map)) {
			to := is.Roles.Map[from]
			if _, known := c.Roles[to]; !known {
				b.fault(c.At("identity", "issuers"), "name it under roles", "identity.issuers[%d].roles.map leads to %q, which is no role", i, to)
			}
			f.RoleMap = append(f.RoleMap, plan.RoleMapping{From: from, To: to})
		}
		id.Issuers = append(id.Issuers, f)
	}
	for _, name := range slices.Sorted(maps.Keys(b.schemes)) {
		if s, ok := b.scheme(name, id); ok {
			id.Schemes = append(id.Schemes, s)
			if s.Certificates && id.Certificates == nil {
				id.Certificates = b.certificates(p)
			}
		}
	}
	return id
}

// certificates is the rule for clients' certificates, whose names are compared as their kind has it.
func (b *builder) certificates(p *plan.Plan) *plan.Certificates {
	c := b.c.Identity.Certificates
	out := &plan.Certificates{Subject: c.Subject, Roots: p.Server.TLS.ClientCA, Source: b.source(b.c.At("identity", "certificates"))}
	for _, name := range slices.Sorted(maps.Keys(c.Roles)) {
		for _, role := range c.Roles[name] {
			if _, known := b.c.Roles[role]; !known {
				b.fault(b.c.At("identity", "certificates", "roles"), "name it under roles", "identity.certificates.roles gives %q the role %q, which is no role", name, role)
			}
			from := name
			if c.Subject == "dns" {
				from = strings.ToLower(name) // RFC 4343
			}
			out.RoleMap = append(out.RoleMap, plan.RoleMapping{From: from, To: role})
		}
	}
	return out
}

func realm(p *plan.Plan) string {
	out := make([]rune, 0, len(p.Title))
	for _, r := range p.Title {
		if r >= ' ' && r < 0x7f && r != '"' && r != '\\' {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		return "api"
	}
	return string(out)
}

// scheme says where a scheme's credential travels and what satisfies it. One that nothing satisfies stops the start.
func (b *builder) scheme(name string, id plan.Identity) (plan.Scheme, bool) {
	s := plan.Scheme{Name: name, Source: "built in"}
	at := b.c.At("identity", "schemes", name)
	declared := b.declared(name)
	switch {
	case declared == nil && name == "bearer":
		s.Location = plan.InBearer
	case declared == nil && name == "api_key":
		s.Location, s.Param = plan.InHeader, "X-API-Key"
	case declared == nil:
		b.fault(at, "declare it in components.securitySchemes", "security scheme %q is not declared", name)
		return s, false
	default:
		at = declared.At
		s.Source = b.source(declared.At)
		switch {
		case declared.Type == "http" && declared.HTTP == "bearer", declared.Type == "oauth2", declared.Type == "openIdConnect":
			s.Location = plan.InBearer
		case declared.Type == "apiKey":
			s.Location, s.Param = plan.Location(declared.In), declared.Param
		case declared.Type == "mutualTLS":
			s.Location = plan.InTLS
			if b.c.TLS.ClientCA == "" {
				b.fault(at, "add tls: {client_ca: clients.pem}, the roots of clients' certificates", "security scheme %q asks for client certificates, and none are believed", name)
				return s, false
			}
		default:
			b.fault(at, "use http bearer, oauth2, openIdConnect, mutualTLS or apiKey", "security scheme %q (%s %s) cannot be enforced", name, declared.Type, declared.HTTP)
			return s, false
		}
	}
	mapped, said := b.c.Identity.Schemes[name]
	if !said {
		mapped = b.usual(s, id)
	}
	for _, m := range mapped {
		switch m {
		case Keys:
			s.Keys = true
		case Certificates:
			s.Certificates = true
		default:
			s.Issuers = append(s.Issuers, m)
		}
	}
	if s.Certificates != (s.Location == plan.InTLS) {
		b.fault(at, "mutualTLS is satisfied by certificates, everything else by something else", "security scheme %q is mapped to what cannot satisfy it", name)
		return s, false
	}
	if !s.Keys && !s.Certificates && len(s.Issuers) == 0 {
		b.fault(at, "map it under identity.schemes: a list of issuer ids, embedded, or keys", "security scheme %q is satisfied by nothing", name)
		return s, false
	}
	if s.Keys && s.Location == plan.InQuery {
		b.fault(at, "use a header", "security scheme %q carries keys in the query, where logs would keep them", name)
	}
	return s, true
}

func (b *builder) declared(name string) *spec.Scheme {
	for i := range b.d.Schemes {
		if b.d.Schemes[i].Name == name {
			return &b.d.Schemes[i]
		}
	}
	return nil
}

// usual is what satisfies a scheme the configuration does not map: keys an API key, the one issuer there is a bearer
// token. Several issuers are not guessed among.
func (b *builder) usual(s plan.Scheme, id plan.Identity) []string {
	switch {
	case s.Location == plan.InTLS:
		return []string{Certificates}
	case s.Location != plan.InBearer:
		return []string{Keys}
	case id.Embedded != nil && len(id.Issuers) == 0:
		return []string{Embedded}
	case id.Embedded == nil && len(id.Issuers) == 1:
		return []string{id.Issuers[0].ID}
	}
	return nil
}

// security resolves an operation's requirements: its own, the document's, the configuration's default.
func (b *builder) security(op *spec.Operation) plan.Security {
	out := plan.Security{}
	switch {
	case op.Security != nil:
		out.Source = b.source(op.SecurityAt)
		b.requirements(&out, *op.Security)
	case b.d.Security != nil:
		out.Source = b.source(b.d.At("/security"))
		b.requirements(&out, *b.d.Security)
	case len(b.c.DefaultSecurity) > 0:
		out.Source = b.source(b.c.At("default_security"))
		for _, r := range b.c.DefaultSecurity {
			var req spec.Requirement
			for _, s := range r {
				req = append(req, spec.SchemeScopes{Scheme: s.Scheme, Scopes: s.Scopes})
			}
			b.requirement(&out, req)
		}
	case b.c.File() == "": // serve --document: what is built in
		out.Source = "default"
		b.requirement(&out, spec.Requirement{{Scheme: "bearer"}})
		b.requirement(&out, spec.Requirement{{Scheme: "api_key"}})
	default:
		b.fault(op.At, "add security to it, to the document, or default_security to the configuration; public is what says security: []",
			"%s %s says nothing about security", op.Method, op.Path)
	}
	if len(out.Alternatives) == 0 && out.Anonymous {
		b.fault(op.At, "write security: [] if it is public", "%s %s allows nobody but anonymous callers", op.Method, op.Path)
	}
	return out
}

func (b *builder) requirements(out *plan.Security, list []spec.Requirement) {
	out.Public = len(list) == 0
	for _, r := range list {
		b.requirement(out, r)
	}
}

func (b *builder) requirement(out *plan.Security, r spec.Requirement) {
	if len(r) == 0 {
		out.Anonymous = true
		return
	}
	var req plan.Requirement
	for _, s := range r {
		b.schemes[s.Scheme] = true
		req = append(req, plan.SchemeScopes{Scheme: s.Scheme, Scopes: s.Scopes})
	}
	out.Alternatives = append(out.Alternatives, req)
}
