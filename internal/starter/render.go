package starter

import (
	"fmt"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// page is a YAML file in the making.
type page struct{ strings.Builder }

func (p *page) line(indent int, format string, args ...any) {
	p.WriteString(strings.Repeat("  ", indent))
	fmt.Fprintf(p, format, args...)
	p.WriteByte('\n')
}

// said is a line with the reason for it.
func (p *page) said(indent int, why, format string, args ...any) {
	if why != "" {
		format += " # %s"
		args = append(args, why)
	}
	p.line(indent, format, args...)
}

func (p *page) blank() { p.WriteByte('\n') }

// indented writes lines further in.
func (p *page) indented(indent int, text string) {
	for l := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		p.line(indent, "%s", l)
	}
}

// commented writes lines as comments.
func (p *page) commented(indent int, text string) {
	for l := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		p.line(indent, "# %s", l)
	}
}

// Configuration returns portreeve.yaml.
func (p *Proposal) Configuration() []byte {
	var w page
	w.line(0, "# A starter for %s. What is marked as a guess was inferred from the document: read it before you rely on it.", quoted(p.Title))
	w.line(0, "version: 1")
	w.blank()
	w.line(0, `# url: "https://api.example.com" # the public URL; compulsory before listen leaves this machine, and with it tls`)
	w.line(0, "# environment: development # allows debug; production is what holds without it")
	w.line(0, `listen: "127.0.0.1:8080"`)
	w.line(0, `admin: {listen: "127.0.0.1:9443"} # probes, health, metrics`)
	w.line(0, `data: "./data" # keys, users, the ledger`)
	w.blank()
	w.line(0, "document: %s", scalar(p.options.Document))
	if p.annotates() {
		w.line(0, "overlays: [%s] # permissions, owners and classes", scalar(OverlayName))
	} else {
		w.line(0, "# overlays: [%s] # nothing was inferred: bring it in with its first action", scalar(OverlayName))
	}
	w.blank()
	w.line(0, "upstream:")
	w.said(1, p.Upstream.URLWhy, "url: %s", scalar(p.Upstream.URL))
	if p.Upstream.BasePath != "" {
		w.said(1, p.Upstream.BasePathWhy, "base_path: %s", scalar(p.Upstream.BasePath))
	}
	w.line(1, "# headers: {authorization: {env: UPSTREAM_AUTHORIZATION}} # what the API itself wants to see, if it does")
	w.blank()
	if p.Default != nil {
		w.line(0, "default_security: # any one of these")
		for _, r := range p.Default {
			w.said(1, r.Why, "- %s: []", scalar(r.Scheme))
		}
		w.blank()
	}
	p.identity(&w)
	w.line(0, "roles:")
	for _, r := range p.Roles {
		if len(r.Permissions) == 0 {
			w.said(1, r.Why, "%s: []", r.Name)
			continue
		}
		w.said(1, r.Why, "%s:", r.Name)
		for _, g := range r.Permissions {
			w.said(2, g.Why, "- %s", scalar(g.Permission))
		}
	}
	w.blank()
	w.line(0, "# limits: {address: 3000/1m, failures: 30/1m, principal: 1000/1m} # what holds without them; limits.operations adds some by operationId")
	w.line(0, "# undeclared: {request: refuse, response: drop} # what holds without it: only what the document declares goes in and out")
	w.line(0, `# help: {contact: "mailto:security@example.com"} # whom to tell about a weakness`)
	return []byte(w.String())
}

func (p *Proposal) identity(w *page) {
	if len(p.Schemes) == 0 {
		return
	}
	w.line(0, "identity:")
	w.line(1, "embedded: {enabled: true} # the gate's own tokens and users; say false once issuers take over")
	issuer := "https://idp.example.com"
	for _, s := range p.Schemes {
		if s.Discovery != "" {
			w.line(1, "# the document's identity provider describes itself at %s", quoted(s.Discovery))
		}
	}
	w.line(1, "# issuers: [{id: corp, issuer: %s, audience: [api], jwks_url: %s}] # your identity provider", scalar(issuer), scalar(issuer+"/jwks"))
	w.line(1, "schemes:")
	for _, s := range p.Schemes {
		by := s.By
		if by == "embedded" {
			by = "[embedded]"
		}
		w.said(2, s.Why, "%s: %s", scalar(s.Name), by)
	}
	w.blank()
}

// annotates reports whether the overlay has an action.
func (p *Proposal) annotates() bool {
	for _, o := range p.Operations {
		if o.remove || o.first == nil && (o.Permission != "" || o.Object != nil && o.Object.Active) {
			return true
		}
	}
	if len(p.Parameters) > 0 {
		return true
	}
	for _, s := range p.Schemes {
		if s.Change != nil {
			return true
		}
	}
	for _, f := range p.Fields {
		if f.Active {
			return true
		}
	}
	return false
}

// Overlay returns security.overlay.yaml.
func (p *Proposal) Overlay() []byte {
	var w page
	w.line(0, "# What the document does not say of itself: who may do what, whose an object is, which fields are whose business.")
	w.line(0, "# Every line with a reason is a guess; what is commented out was too unsure to be a rule.")
	w.line(0, `overlay: "1.0.0"`)
	w.line(0, "info: {title: %s, version: \"1\"}", scalar("Security of "+p.Title))
	if !p.annotates() {
		w.line(0, "actions: []")
	} else {
		w.line(0, "actions:")
	}
	for _, s := range p.Schemes {
		if s.Change == nil {
			continue
		}
		w.line(1, "# %s", s.ChangeWhy)
		w.line(1, "- target: %s", scalar(p.path("/components/securitySchemes/"+tree.Escape(s.Name))))
		w.line(2, "update:")
		for _, set := range s.Change {
			w.line(3, "%s: %s", set.Name, scalar(set.Value))
		}
	}
	done := map[string]bool{}
	for _, o := range p.Operations {
		if !done[o.op.Pointer] {
			done[o.op.Pointer] = true
			p.renderOperation(&w, o)
		}
	}
	p.renderParameters(&w)
	if len(p.Fields) > 0 {
		w.blank()
		w.line(1, "# Fields. personal is only a mark: add permission, or mask: email, last4 or full with unmask, to hide one.")
	}
	for _, f := range p.Fields {
		p.renderField(&w, f)
	}
	return []byte(w.String())
}

func (p *Proposal) renderOperation(w *page, o *Operation) {
	target := scalar(p.path(o.op.Pointer))
	action := func(w *page, at int, rules ...string) {
		w.line(at, "- target: %s", target)
		w.line(at+1, "update:")
		w.line(at+2, "x-portreeve:")
		for _, rule := range rules {
			w.indented(at+3, rule)
		}
	}
	var permission, object, proposal page
	if o.Permission != "" {
		permission.said(0, o.Why, "permission: %s", scalar(o.Permission))
	}
	if x := o.Object; x != nil {
		object.said(0, x.Why, "object:")
		object.line(1, "type: %s", scalar(x.Type))
		if x.ID != "" {
			object.line(1, "id: %s", scalar(x.ID))
		}
		object.line(1, "owner: %s", scalar(x.Owner))
		if x.Source != "" {
			object.line(1, "source: %s", x.Source)
		}
		object.said(1, "who has this permission needs not own it", "unless: %s", scalar(x.Unless))
	}
	switch {
	case o.remove:
		w.line(1, "# %s: TRACE is never served", o)
		w.line(1, "- target: %s", target)
		w.line(2, "remove: true")
	case o.Object != nil && o.Object.Active:
		action(w, 1, permission.String(), object.String())
	case o.Permission != "":
		action(w, 1, permission.String())
		if o.Object != nil {
			w.commented(4, object.String())
		}
	case o.Object != nil:
		action(&proposal, 0, object.String())
		w.commented(1, proposal.String())
	case o.Public && o.op.Ext.Public == nil:
		w.line(1, "# %s is public in the document. Say why, and who agreed:", o)
		action(&proposal, 0, `public: {reason: "", approver: ""}`)
		w.commented(1, proposal.String())
	}
}

func (p *Proposal) renderField(w *page, f *Field) {
	var rule page
	rule.said(0, f.Why, "class: %s", f.Class)
	for _, s := range []Set{{"permission", f.Permission}, {"mask", f.Mask}, {"unmask", f.Unmask}} {
		if s.Value != "" {
			rule.line(0, "%s: %s", s.Name, scalar(s.Value))
		}
	}
	var action page
	target := func(pointer string) { action.line(0, "- target: %s", scalar(p.path(pointer))) }
	at := 3
	if f.wrap {
		cut := strings.LastIndexByte(f.Pointer, '/')
		action.line(0, "# OpenAPI 3.0 ignores what stands beside $ref, so that the reference moves into allOf.")
		target(f.Pointer)
		action.line(1, "remove: true")
		target(f.Pointer[:cut])
		action.line(1, "update:")
		action.line(2, "%s:", scalar(f.Name))
		action.line(3, "allOf: [{$ref: %s}]", scalar(f.ref))
		action.line(3, "x-portreeve:")
		at = 4
	} else {
		target(f.Pointer)
		action.line(1, "update:")
		action.line(2, "x-portreeve:")
	}
	action.indented(at, rule.String())
	if f.Active {
		w.indented(1, action.String())
	} else {
		w.commented(1, action.String())
	}
}

// path is a JSON pointer as the query an overlay's target is (RFC 9535): dots where names are plain, brackets where they
// are not.
func (p *Proposal) path(pointer string) string {
	var b strings.Builder
	b.WriteByte('$')
	n := p.doc.Node("")
	for _, token := range strings.Split(pointer, "/")[1:] {
		name := unescape(token)
		switch {
		case n != nil && n.Kind == tree.Array:
			b.WriteString("[" + name + "]")
		case plainName(name):
			b.WriteString("." + name)
		default:
			b.WriteString("[" + literal(name) + "]")
		}
		n = tree.At(n, "/"+token)
	}
	return b.String()
}

// literal is a string of a query.
func literal(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range s {
		switch {
		case r == '\\' || r == '\'':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r < ' ': // never raw, RFC 9535 §2.3.1.1
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

func plainName(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		if !letter && (i == 0 || !(r >= '0' && r <= '9')) {
			return false
		}
	}
	return s != ""
}
