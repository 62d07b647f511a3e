package lint

import (
	"net/url"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// silent reports whether neither document nor configuration says anything about security anywhere.
func (s *Subject) silent() bool {
	return s.Document.Security == nil && len(s.Config.DefaultSecurity) == 0 &&
		!slices.ContainsFunc(s.Document.Operations, func(op *spec.Operation) bool { return op.Security != nil })
}

func securityNowhere(s *search) {
	if len(s.Document.Operations) == 0 {
		return
	}
	s.look()
	if s.silent() {
		s.find(found{at: s.Document.At("/paths"), pointer: "/paths"}, "nothing says who may call any of the %d operations", len(s.Document.Operations))
	}
}

func securityMissing(want func(*spec.Operation) bool) func(*search) {
	return func(s *search) {
		if s.silent() {
			return // said once
		}
		for _, op := range s.Document.Operations {
			if !want(op) {
				continue
			}
			s.look()
			if s.security(op) == nil && len(s.Config.DefaultSecurity) == 0 {
				s.find(found{at: op.At, pointer: op.Pointer, op: op}, "the operation does not say who may call it")
			}
		}
	}
}

func writes(op *spec.Operation) bool { return !reads(op) }

func optional(list *[]spec.Requirement) bool {
	return list != nil && slices.ContainsFunc(*list, func(r spec.Requirement) bool { return len(r) == 0 })
}

func securityOptional(s *search) {
	inherited := 0
	for _, op := range s.Document.Operations {
		s.look()
		switch {
		case op.Security != nil && optional(op.Security):
			s.find(found{at: op.SecurityAt, pointer: op.Pointer + "/security", op: op}, "a credential may be shown, but need not: the requirement {} lets everybody in")
		case op.Security == nil && optional(s.Document.Security):
			inherited++
		}
	}
	if inherited > 0 {
		s.find(found{at: s.Document.At("/security"), pointer: "/security"}, "the requirement {} lets everybody into %d operations", inherited)
	}
}

func publicWithoutReason(s *search) {
	for _, op := range s.Document.Operations {
		if !s.public(op) {
			continue
		}
		s.look()
		if op.Ext.Public != nil {
			continue
		}
		f := found{at: op.At, pointer: op.Pointer, op: op}
		if op.Security != nil {
			f.at = op.SecurityAt
		}
		if reads(op) {
			f.severity = finding.Medium
		}
		s.find(f, "the operation is open to everybody, and nobody says why or who agreed")
	}
}

// used are the schemes some operation asks for, each with the first operation that does; nil stands for the document.
func (s *Subject) used() map[string]*spec.Operation {
	out := map[string]*spec.Operation{}
	add := func(list *[]spec.Requirement, op *spec.Operation) {
		if list == nil {
			return
		}
		for _, r := range *list {
			for _, x := range r {
				if _, met := out[x.Scheme]; !met {
					out[x.Scheme] = op
				}
			}
		}
	}
	add(s.Document.Security, nil)
	for _, op := range s.Document.Operations {
		add(op.Security, op)
	}
	return out
}

func (s *Subject) scheme(name string) *spec.Scheme {
	for i := range s.Document.Schemes {
		if s.Document.Schemes[i].Name == name {
			return &s.Document.Schemes[i]
		}
	}
	return nil
}

// schemeAt is where the fields of a scheme stand.
func schemeAt(name string) string { return "/components/securitySchemes/" + tree.Escape(name) }

func (s *Subject) schemeNode(name string) (*tree.Node, string) {
	w := &schemaWalk{d: s.Document}
	n := s.Document.Node(schemeAt(name))
	if n == nil {
		return nil, ""
	}
	return w.follow(n, schemeAt(name))
}

func schemeUndeclared(s *search) {
	used := s.used()
	for _, name := range sorted(used) {
		s.look()
		if s.scheme(name) != nil {
			continue
		}
		f := found{at: s.Document.At("/security"), pointer: "/security", op: used[name], key: name}
		if op := used[name]; op != nil {
			f.at, f.pointer = op.SecurityAt, op.Pointer+"/security"
		}
		s.find(f, "the scheme %q is built into the gate, but the document does not declare it: its other readers cannot know it", name)
	}
}

func schemeUnused(s *search) {
	used := s.used()
	for _, x := range s.Document.Schemes {
		s.look()
		if _, ok := used[x.Name]; !ok {
			s.find(found{at: x.At, pointer: schemeAt(x.Name), key: x.Name}, "the security scheme %q is declared, but no operation asks for it", x.Name)
		}
	}
}

// demanded calls f for every scheme of every requirement, with its place.
func (s *Subject) demanded(f func(x spec.SchemeScopes, op *spec.Operation, at tree.Position, pointer string)) {
	each := func(list *[]spec.Requirement, op *spec.Operation, at tree.Position, pointer string) {
		if list == nil {
			return
		}
		for _, r := range *list {
			for _, x := range r {
				f(x, op, at, pointer)
			}
		}
	}
	each(s.Document.Security, nil, s.Document.At("/security"), "/security")
	for _, op := range s.Document.Operations {
		each(op.Security, op, op.SecurityAt, op.Pointer+"/security")
	}
}

// scopes are what the flows of an OAuth 2.0 scheme define; nil where it has none to say.
func (s *Subject) scopes(name string) map[string]bool {
	n, _ := s.schemeNode(name)
	flows := n.Get("flows")
	if flows == nil {
		return nil
	}
	out := map[string]bool{}
	for _, flow := range flows.Members {
		if all := flow.Value.Get("scopes"); all != nil {
			for _, m := range all.Members {
				out[m.Name] = true
			}
		}
	}
	return out
}

func scopeUndefined(s *search) {
	met := map[string]bool{}
	s.demanded(func(x spec.SchemeScopes, op *spec.Operation, at tree.Position, pointer string) {
		scheme := s.scheme(x.Scheme)
		if scheme == nil || scheme.Type != "oauth2" {
			return
		}
		defined := s.scopes(x.Scheme)
		for _, scope := range x.Scopes {
			key := x.Scheme + " " + scope
			if met[key] {
				continue
			}
			met[key] = true
			s.look()
			if !defined[scope] {
				s.find(found{at: at, pointer: pointer, op: op, key: key}, "no flow of the scheme %q defines the scope %q", x.Scheme, scope)
			}
		}
	})
}

func scopeMisplaced(s *search) {
	if !s.Document.Is30() {
		return // OpenAPI 3.1 lets other schemes name roles there
	}
	s.demanded(func(x spec.SchemeScopes, op *spec.Operation, at tree.Position, pointer string) {
		scheme := s.scheme(x.Scheme)
		if scheme == nil || scheme.Type == "oauth2" || scheme.Type == "openIdConnect" {
			return
		}
		s.look()
		if len(x.Scopes) > 0 {
			s.find(found{at: at, pointer: pointer, op: op, key: x.Scheme}, "OpenAPI 3.0 gives scopes to oauth2 and openIdConnect only; those of %q are read by nobody else", x.Scheme)
		}
	})
}

// unscoped reports whether an alternative of what an operation asks for names no scope, and whether it is OAuth 2.0's.
func (s *Subject) unscoped(op *spec.Operation) (unscoped, oauth bool) {
	list := s.security(op)
	if list == nil {
		return len(s.Config.DefaultSecurity) > 0, false
	}
	for _, r := range *list {
		scoped, theirs := false, false
		for _, x := range r {
			scoped = scoped || len(x.Scopes) > 0
			if scheme := s.scheme(x.Scheme); scheme != nil && (scheme.Type == "oauth2" || scheme.Type == "openIdConnect") {
				theirs = true
			}
		}
		if len(r) > 0 && !scoped {
			unscoped, oauth = true, oauth || theirs
		}
	}
	return unscoped, oauth
}

// permitless finds operations that ask neither for a scope nor for a permission. Where none of them does, that is said once.
func permitless(oauth bool) func(*search) {
	return func(s *search) {
		var lacking []*spec.Operation
		total := 0
		for _, op := range s.Document.Operations {
			if s.public(op) {
				continue
			}
			unscoped, theirs := s.unscoped(op)
			if theirs != oauth {
				continue
			}
			total++
			s.look()
			if unscoped && op.Ext.Permission == "" {
				lacking = append(lacking, op)
			}
		}
		if total > 3 && len(lacking) == total {
			s.faulty = total - 1
			s.find(found{at: s.Document.At("/paths"), pointer: "/paths"}, "none of the %d protected operations asks for a scope or a permission: whoever has a credential may do everything", total)
			return
		}
		for _, op := range lacking {
			s.find(found{at: op.At, pointer: op.Pointer, op: op}, "the operation asks for a credential, but for no scope and no permission")
		}
	}
}

func schemeWeak(s *search) {
	used := s.used()
	for _, x := range s.Document.Schemes {
		if _, ok := used[x.Name]; !ok || x.Type != "http" {
			continue
		}
		s.look()
		if x.HTTP != "bearer" {
			s.find(found{at: x.At, pointer: schemeAt(x.Name), key: x.Name}, "the scheme %q is HTTP %s: the password itself, or what stands for it, travels with every request", x.Name, x.HTTP)
		}
	}
}

func apiKeyInURL(s *search) {
	used := s.used()
	for _, x := range s.Document.Schemes {
		if _, ok := used[x.Name]; !ok || x.Type != "apiKey" {
			continue
		}
		s.look()
		f := found{at: x.At, pointer: schemeAt(x.Name), key: x.Name}
		switch x.In {
		case "query":
			s.find(f, "the key of %q travels in the query, where logs, histories and referrers keep it", x.Name)
		case "cookie":
			f.severity = finding.Medium
			s.find(f, "the key of %q travels in a cookie, which browsers send along on requests that others make them send", x.Name)
		}
	}
}

// paging are words of tokens that open nothing.
var paging = []string{"page", "next", "previous", "prev", "continuation", "sync", "cursor", "pagination", "resume", "start", "marker"}

func credentialInURL(s *search) {
	for _, r := range s.requests() {
		if r.param == nil || r.param.In != "query" && r.param.In != "path" {
			continue
		}
		s.look()
		switch {
		case r.is("boolean") || r.is("integer") || r.closed():
		case r.n.Get("format").Str() == "password",
			ends(r.name, "password", "passwd", "secret", "token", "jwt", "api key", "apikey", "access key", "credential") && !has(r.name, paging...):
			s.find(found{at: r.param.At, pointer: r.param.Pointer, op: r.op, key: r.name}, "the %s parameter %q carries a credential, which logs, histories and referrers keep", r.param.In, r.name)
		}
	}
}

func oauthFlowObsolete(s *search) {
	for _, x := range s.Document.Schemes {
		n, pointer := s.schemeNode(x.Name)
		flows := n.Get("flows")
		if x.Type != "oauth2" || flows == nil {
			continue
		}
		for _, m := range flows.Members {
			s.look()
			at := found{at: m.At, pointer: pointer + "/flows/" + tree.Escape(m.Name), key: x.Name + " " + m.Name}
			switch m.Name {
			case "implicit":
				s.find(at, "the scheme %q offers the implicit flow, which puts tokens into URLs", x.Name)
			case "password":
				s.find(at, "the scheme %q offers the password grant, which hands users' passwords to clients", x.Name)
			}
		}
	}
}

func oauthURLPlaintext(s *search) {
	for _, x := range s.Document.Schemes {
		n, pointer := s.schemeNode(x.Name)
		judge := func(n *tree.Node, pointer string) {
			if n == nil {
				return
			}
			for _, m := range n.Members {
				if !strings.HasSuffix(m.Name, "Url") {
					continue
				}
				s.look()
				if u, err := url.Parse(m.Value.Str()); err == nil && u.Scheme == "http" && !loopback(u) {
					s.find(found{at: m.Value.At, pointer: pointer + "/" + m.Name, key: x.Name + " " + m.Name}, "%s of the scheme %q is plain http: codes and tokens can be read on the way", m.Name, x.Name)
				}
			}
		}
		judge(n, pointer)
		if flows := n.Get("flows"); flows != nil {
			for _, m := range flows.Members {
				judge(m.Value, pointer+"/flows/"+m.Name)
			}
		}
	}
}

// authorities are the hosts a scheme of the document sends its users to.
func authorities(n *tree.Node) map[string]bool {
	out := map[string]bool{}
	add := func(n *tree.Node) {
		for _, m := range n.Members {
			if u, err := url.Parse(m.Value.Str()); strings.HasSuffix(m.Name, "Url") && err == nil && u.Host != "" {
				out[u.Host] = true
			}
		}
	}
	if n == nil {
		return out
	}
	add(n)
	if flows := n.Get("flows"); flows != nil {
		for _, m := range flows.Members {
			add(m.Value)
		}
	}
	return out
}

func issuerUnconfigured(s *search) {
	ours, err := url.Parse(s.Configuration.URL)
	for _, x := range s.Document.Schemes {
		promised := s.Plan.Identity.Scheme(x.Name)
		if promised == nil || x.Type != "oauth2" && x.Type != "openIdConnect" {
			continue
		}
		s.look()
		n, _ := s.schemeNode(x.Name)
		hosts := authorities(n)
		if err == nil {
			delete(hosts, ours.Host)
		}
		if len(hosts) > 0 && slices.Equal(promised.Issuers, []string{"embedded"}) {
			s.find(found{at: x.At, pointer: schemeAt(x.Name), key: x.Name}, "the document sends users of %q to %s, but the gate believes only its own tokens: configure that issuer with its audience", x.Name, list(sorted(hosts)))
		}
	}
}

// lastWords are the last segment of a path that is not a variable.
func lastSegment(path string) string {
	segments := strings.Split(path, "/")
	for _, seg := range slices.Backward(segments) {
		if seg != "" && !strings.HasPrefix(seg, "{") {
			return seg
		}
	}
	return ""
}

func entrance(op *spec.Operation) bool {
	return op.Method == "POST" && ends(lastSegment(op.Path), "login", "log in", "signin", "sign in", "authenticate", "token", "otp", "forgot", "forgot password",
		"reset password", "password reset", "2fa", "mfa")
}

func revocationUndeclared(s *search) {
	var first *spec.Operation
	for _, op := range s.Document.Operations {
		last := lastSegment(op.Path)
		if has(last, "revoke", "revocation", "logout", "signout", "logoff") || ends(last, "log out", "sign out") || op.Method == "DELETE" && has(op.Path, "session", "sessions", "token", "tokens") {
			s.look()
			return
		}
		if first == nil && op.Method == "POST" && ends(last, "login", "log in", "signin", "sign in", "token", "authenticate") {
			first = op
		}
	}
	if first == nil {
		return
	}
	s.look()
	s.find(found{at: first.At, pointer: first.Pointer, op: first}, "the API hands out credentials here, and no operation takes one back")
}

func loginUnlimited(s *search) {
	for _, op := range s.Document.Operations {
		list := s.security(op)
		if !entrance(op) || list != nil && len(*list) > 0 && !optional(list) {
			continue
		}
		s.look()
		if _, limited := s.Config.Limits.Operations[op.ID]; !limited && op.Ext.Limit == "" {
			s.find(found{at: op.At, pointer: op.Pointer, op: op}, "credentials can be guessed here, and the operation has no limit of its own")
		}
	}
}

func requirementRedundant(s *search) {
	judge := func(requirements *[]spec.Requirement, f found) {
		if requirements == nil || len(*requirements) < 2 {
			return
		}
		s.look()
		for i, small := range *requirements {
			for j, large := range *requirements {
				if i == j || len(small) == 0 || !covers(large, small) || covers(small, large) && i > j {
					continue
				}
				s.find(f, "one alternative asks for everything another asks for, and more: it never decides anything")
				return
			}
		}
	}
	judge(s.Document.Security, found{at: s.Document.At("/security"), pointer: "/security"})
	for _, op := range s.Document.Operations {
		judge(op.Security, found{at: op.SecurityAt, pointer: op.Pointer + "/security", op: op})
	}
}

// covers reports whether whoever satisfies large satisfies small as well.
func covers(large, small spec.Requirement) bool {
	return !slices.ContainsFunc(small, func(x spec.SchemeScopes) bool {
		return !slices.ContainsFunc(large, func(y spec.SchemeScopes) bool {
			return x.Scheme == y.Scheme && !slices.ContainsFunc(x.Scopes, func(scope string) bool { return !slices.Contains(y.Scopes, scope) })
		})
	})
}

func serverPlaintext(s *search) {
	judge := func(pointer string) {
		n := s.Document.Node(pointer + "/servers")
		if n == nil {
			return
		}
		for i, server := range n.Items {
			s.look()
			text := server.Get("url")
			if u, err := url.Parse(text.Str()); err == nil && u.Scheme == "http" && !loopback(u) {
				s.find(found{at: text.At, pointer: pointer + "/servers/" + itoa(i) + "/url", key: u.Host}, "the API is offered over plain http at %s: credentials and data can be read and changed on the way", u.Host)
			}
		}
	}
	judge("")
	paths := map[string]bool{}
	for _, op := range s.Document.Operations {
		if item := op.Pointer[:strings.LastIndexByte(op.Pointer, '/')]; !paths[item] {
			paths[item] = true
			judge(item)
		}
		judge(op.Pointer)
	}
}
