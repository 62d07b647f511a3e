package lint

import (
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

func roleWildcard(s *search) {
	for _, role := range sorted(s.Config.Roles) {
		s.look()
		for _, p := range s.Config.Roles[role] {
			if p == "*" {
				s.find(found{at: s.Config.At("roles", role), key: role}, "the role %q may do everything, today's operations and all that are added later", role)
			}
		}
	}
}

// searching are words of operations that change nothing although their method is POST.
var searching = []string{"search", "query", "find", "filter", "lookup", "list", "export", "report", "preview", "validate", "check", "count"}

func permissionShared(s *search) {
	reading := map[string]*spec.Operation{}
	for _, op := range s.Document.Operations {
		if p := op.Ext.Permission; p != "" && reads(op) && reading[p] == nil {
			reading[p] = op
		}
	}
	for _, op := range s.Document.Operations {
		if op.Ext.Permission == "" || reads(op) || op.Method == "POST" && has(op.Path+" "+op.ID, searching...) {
			continue
		}
		s.look()
		if first := reading[op.Ext.Permission]; first != nil {
			s.find(found{at: op.Ext.At, pointer: op.Pointer + "/x-portreeve", op: op}, "the permission %q opens this and %s: whoever may read may change", op.Ext.Permission, named(first))
		}
	}
}

// grants reports whether a role's permission covers the one that is asked for: * is one segment, a lone * is all but the
// gate's own.
func grants(has, asked string) bool {
	if has == "*" {
		return !strings.HasPrefix(asked, "portreeve:")
	}
	h, a := strings.Split(has, ":"), strings.Split(asked, ":")
	if len(h) != len(a) {
		return false
	}
	for i := range h {
		if h[i] != a[i] && h[i] != "*" {
			return false
		}
	}
	return true
}

func permissionUngranted(s *search) {
	met := map[string]bool{}
	ask := func(permission string, f found) {
		if permission == "" || met[permission] {
			return
		}
		met[permission] = true
		s.look()
		for _, role := range s.Config.Roles {
			for _, p := range role {
				if grants(p, permission) {
					return
				}
			}
		}
		f.key = permission
		s.find(f, "no role grants the permission %q: only scopes of foreign tokens could open this", permission)
	}
	if len(s.Config.Roles) == 0 {
		return
	}
	for _, op := range s.Document.Operations {
		f := found{at: op.Ext.At, pointer: op.Pointer + "/x-portreeve", op: op}
		ask(op.Ext.Permission, f)
		if o := op.Ext.Object; o != nil {
			f.severity = finding.Low
			ask(o.Unless, f)
		}
	}
	for _, a := range s.answers() {
		for _, name := range []string{"permission", "unmask"} {
			if x := a.extension(name); x != nil {
				ask(x.Str(), found{at: x.At, pointer: a.at})
			}
		}
	}
}

func adminWithoutMFA(s *search) {
	words := []string{"admin", "admins", "administration", "superuser", "root", "backoffice"}
	for _, op := range s.Document.Operations {
		tagged := false
		for _, t := range op.Tags {
			tagged = tagged || has(t, words...)
		}
		if s.public(op) || !has(withoutVariables(op.Path), words...) && !(tagged && writes(op)) {
			continue
		}
		s.look()
		if !op.Ext.MFA {
			f := found{at: op.At, pointer: op.Pointer, op: op}
			if reads(op) {
				f.severity = finding.Medium
			}
			s.find(f, "an administrative operation is open to one factor: a stolen password or key is enough")
		}
	}
}

func withoutVariables(path string) string {
	var out []string
	for seg := range strings.SplitSeq(path, "/") {
		if !strings.HasPrefix(seg, "{") {
			out = append(out, seg)
		}
	}
	return strings.Join(out, "/")
}

func urlInput(s *search) {
	for _, r := range s.requests() {
		if r.name == "" || r.flag("readOnly") || r.closed() || !(r.is("string") || len(r.types()) == 0) || r.n.Get("pattern") != nil {
			continue
		}
		if r.param != nil && r.param.In == "header" {
			continue
		}
		format := r.n.Get("format").Str()
		url := format == "uri" || format == "url" || ends(r.name, "url", "uri", "webhook", "callback")
		if !url {
			continue
		}
		s.look()
		if !has(r.name, "webhook", "callback", "notify", "notification", "fetch", "proxy", "import", "source", "download", "image", "avatar", "target", "endpoint", "forward") && !ends(r.name, "address url") {
			continue
		}
		s.find(found{at: atOf(s, r), pointer: r.at, op: r.op, key: r.name}, "the API takes an address in %q that it may call: any address is accepted, those of the inside too", r.name)
	}
}

func atOf(s *search, r *schema) tree.Position {
	if r.param != nil {
		return r.param.At
	}
	return s.Document.At(r.at)
}
