package spec

import (
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

func (r *reader) schemes(n *tree.Node) {
	if n == nil {
		return
	}
	for _, m := range n.Members {
		s, _, _ := r.refs.follow(m.Value, "")
		r.doc.Schemes = append(r.doc.Schemes, Scheme{Name: m.Name, Type: s.Get("type").Str(), In: s.Get("in").Str(),
			Param: s.Get("name").Str(), HTTP: strings.ToLower(s.Get("scheme").Str()), At: m.At})
	}
}

// builtIn are the schemes every configuration has (see identity.schemes there).
var builtIn = []string{"bearer", "api_key"}

// security reads a list of requirements: nil where there is none, empty where nothing is asked for.
func (r *reader) security(n *tree.Node) *[]Requirement {
	if n == nil {
		return nil
	}
	list := []Requirement{}
	for _, item := range n.Items {
		req := Requirement{}
		for _, m := range item.Members {
			known := slices.ContainsFunc(r.doc.Schemes, func(s Scheme) bool { return s.Name == m.Name })
			if !known && !slices.Contains(builtIn, m.Name) {
				r.add(m.At, "declare it in components.securitySchemes; bearer and api_key are built in", "security scheme %q is not declared", m.Name)
			}
			s := SchemeScopes{Scheme: m.Name}
			for _, scope := range m.Value.Items {
				s.Scopes = append(s.Scopes, scope.Text)
			}
			req = append(req, s)
		}
		list = append(list, req)
	}
	return &list
}
