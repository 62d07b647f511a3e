package authz

import (
	"strings"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/plan"
)

// Grants answers which role has which permission. `*` stands for exactly one segment; a lone "*" for every permission
// but those of the gate itself (portreeve:…).
type Grants struct {
	roles map[string]*grant
}

type grant struct {
	exact    map[string]bool
	patterns [][]string
	all      bool
}

// NewGrants compiles roles.
func NewGrants(roles []plan.Role) *Grants {
	g := &Grants{roles: make(map[string]*grant, len(roles))}
	for _, r := range roles {
		role := &grant{exact: map[string]bool{}}
		for _, p := range r.Permissions {
			switch {
			case p == "*":
				role.all = true
			case strings.Contains(p, "*"):
				role.patterns = append(role.patterns, strings.Split(p, ":"))
			default:
				role.exact[p] = true
			}
		}
		g.roles[r.Name] = role
	}
	return g
}

// May reports whether one of the principal's roles grants the permission, and whether its credential, where that is
// limited to scopes, covers it: by the permission's own name or a prefix of its segments ("users:read" covers
// "users:read:email", for a scope names an act and the permission a part of it).
func (g *Grants) May(p *access.Principal, permission string) bool {
	if permission == "" {
		return false
	}
	if p.Scoped && !covered(p.Scopes, permission) {
		return false
	}
	for _, role := range p.Roles {
		if r := g.roles[role]; r != nil && r.has(permission) {
			return true
		}
	}
	return false
}

func covered(scopes []string, permission string) bool {
	for _, s := range scopes {
		if rest, ok := strings.CutPrefix(permission, s); ok && s != "" && (rest == "" || rest[0] == ':') {
			return true
		}
	}
	return false
}

func (r *grant) has(permission string) bool {
	if r.exact[permission] {
		return true
	}
	if r.all && permission != "portreeve" && !strings.HasPrefix(permission, "portreeve:") {
		return true
	}
	for _, pattern := range r.patterns {
		if fits(pattern, permission) {
			return true
		}
	}
	return false
}

// fits matches segment by segment, without allocating.
func fits(pattern []string, permission string) bool {
	for i, want := range pattern {
		seg, rest, more := strings.Cut(permission, ":")
		if want != "*" && want != seg || seg == "" {
			return false
		}
		if last := i == len(pattern)-1; last {
			return !more
		} else if !more {
			return false
		}
		permission = rest
	}
	return false
}
