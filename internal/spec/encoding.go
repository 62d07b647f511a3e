package spec

import (
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// Encoding is an Encoding Object: how one property of a form, or of a body of several parts, is written.
type Encoding struct {
	Name    string   // of the property
	Types   []string // contentType: media types and ranges; nil where nothing is said
	Style   string
	Explode *bool
	Headers []Parameter // of the part; in: header
	At      tree.Position
}

// encoding reads what OpenAPI 3.1 §4.8.15 says of properties. Of forms style and explode count, of parts contentType and
// headers.
func (r *reader) encoding(n *tree.Node, at string) []Encoding {
	if n == nil {
		return nil
	}
	var out []Encoding
	for _, m := range n.Members {
		e := Encoding{Name: m.Name, Style: m.Value.Get("style").Str(), At: m.At}
		if x := m.Value.Get("explode"); x != nil {
			b := x.True()
			e.Explode = &b
		}
		for t := range strings.SplitSeq(m.Value.Get("contentType").Str(), ",") {
			if t = mediaType(t); t != "" {
				e.Types = append(e.Types, t)
			}
		}
		if h := m.Value.Get("headers"); h != nil {
			for _, f := range h.Members {
				p, where, problem := r.refs.follow(f.Value, at+"/"+tree.Escape(m.Name)+"/headers/"+tree.Escape(f.Name))
				if problem != "" || strings.EqualFold(f.Name, "Content-Type") || strings.EqualFold(f.Name, "Content-Disposition") {
					continue // the walker said so; the others are said elsewhere (§4.8.15.1)
				}
				v := r.parameter(p, where)
				v.Name, v.In, v.At = f.Name, "header", f.At
				e.Headers = append(e.Headers, v)
			}
		}
		out = append(out, e)
	}
	return out
}
