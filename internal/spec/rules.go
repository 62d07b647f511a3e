package spec

import (
	"slices"

	"github.com/portreeve/portreeve/internal/tree"
)

// rules judges what the grammar cannot say of an object.
func (w *walker) rules(n *tree.Node, kind string) {
	switch kind {
	case "Schema":
		if w.version == v30 && n.Get("$ref") != nil {
			w.besideReference(n)
		}
		w.schema(n)
	case "Path Item":
		if ref := n.Get("$ref"); ref != nil && slices.ContainsFunc(n.Members, func(m tree.Member) bool {
			return m.Name != "$ref" && m.Name != "summary" && m.Name != "description"
		}) {
			w.add(ref.At, "move them into the referenced path item", "what fields beside $ref of a path item mean is undefined in OpenAPI")
		}
	case "Security Scheme":
		w.scheme(n)
	case "Parameter":
		w.parameter(n)
	case "Header":
		w.shown(n, "the header")
		if s := n.Get("style"); s != nil && s.Text != "simple" {
			w.add(s.At, "a header has style simple", "style %q is not possible in a header", s.Text)
		}
	}
}

func (w *walker) scheme(n *tree.Node) {
	wants := map[string][]string{"apiKey": {"name", "in"}, "http": {"scheme"}, "oauth2": {"flows"}, "openIdConnect": {"openIdConnectUrl"}}
	kind := n.Get("type").Str()
	for _, name := range wants[kind] {
		if n.Get(name) == nil {
			w.add(n.At, "", "a security scheme of type %s lacks %q", kind, name)
		}
	}
	if kind == "mutualTLS" && w.version == v30 {
		w.add(n.Get("type").At, "", "type mutualTLS came with OpenAPI 3.1; the document says 3.0")
	}
	if name := n.Get("name"); kind == "apiKey" && name != nil && !isToken(name.Str()) {
		w.add(name.At, "", "%q is no name of a header, a cookie or a parameter", name.Text)
	}
}
