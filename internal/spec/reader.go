package spec

import (
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// reader makes a Document of a tree: first every object is held against the grammar, then what is left is known to be
// well formed and is read.
type reader struct {
	*faults
	doc     *Document
	root    *tree.Node
	refs    *references
	version version
	ids     map[string]tree.Position
}

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"}

func (r *reader) document() {
	if !r.readVersion() {
		return
	}
	w := &walker{faults: r.faults, version: r.version, refs: r.refs}
	r.numbers(r.root)
	w.document(r.root, "OpenAPI")
	w.dialect(r.root.Get("jsonSchemaDialect"))
	if len(r.list) > 0 {
		return
	}
	d, root := r.doc, r.root
	d.Patterns = w.unenforced
	if self := root.Get("$self"); self != nil && strings.Contains(self.Text, "#") {
		r.add(self.At, "", "$self has a fragment")
	}
	d.Title, d.APIVersion = textOf(root.Get("info").Get("title")), textOf(root.Get("info").Get("version"))
	d.Servers = servers(root.Get("servers"))
	d.Ext = readExtension(root.Get(extensionName))
	r.schemes(root.Get("components").Get("securitySchemes"))
	d.Security = r.security(root.Get("security"))
	r.tags(root.Get("tags"))
	r.paths(root.Get("paths"))
	r.collisions()
}

func (r *reader) readVersion() bool {
	root := r.root
	if root.Kind != tree.Object {
		r.add(root.At, "", "the document is %s, not an object", root.Kind)
		return false
	}
	if old := root.Get("swagger"); old != nil {
		r.add(old.At, "convert it to OpenAPI 3.0 or 3.1 first", "Swagger 2.0 is not read")
		return false
	}
	n := root.Get("openapi")
	if n == nil || n.Kind != tree.String {
		r.add(root.At, `write openapi: "3.1.0"`, "the document does not say which OpenAPI it follows")
		return false
	}
	r.doc.OpenAPI = n.Text
	if v, ok := versionOf(root); ok {
		r.version = v
		return true
	}
	r.add(n.At, "3.0, 3.1 and 3.2 are read", "OpenAPI %q is not read", n.Text)
	return false
}

// versionOf is the version a document says it follows, where that is one of those read.
func versionOf(root *tree.Node) (version, bool) {
	said := root.Get("openapi").Str()
	for v := v30; v <= v32; v++ {
		if strings.HasPrefix(said, v.String()+".") {
			return v, true
		}
	}
	return 0, false
}

// numbers refuses a number whose exact value would fill the memory of whoever computes with it.
func (r *reader) numbers(n *tree.Node) {
	const digits, exponent = 400, 400 // a double has 309
	if n.Kind == tree.Number {
		mantissa, e, _ := strings.Cut(strings.ToLower(n.Text), "e")
		e = strings.TrimLeft(strings.TrimLeft(e, "+-"), "0")
		if len(mantissa) > digits || len(e) > 3 || len(e) == 3 && e > "400" {
			r.add(n.At, "", "the number is beyond 1e%d", exponent)
		}
	}
	for _, m := range n.Members {
		r.numbers(m.Value)
	}
	for _, item := range n.Items {
		r.numbers(item)
	}
}

// textOf is what a string says, and what a number or boolean that lost its quotes would have said.
func textOf(n *tree.Node) string {
	if n == nil {
		return ""
	}
	return n.Text
}

// tags judges what nothing is judged by: whether a tag's parent exists (OpenAPI 3.2 §4.22).
func (r *reader) tags(n *tree.Node) {
	if n == nil {
		return
	}
	for _, tag := range n.Items {
		if p := tag.Get("parent"); p != nil && !slices.ContainsFunc(n.Items, func(t *tree.Node) bool { return t.Get("name").Str() == p.Str() }) {
			r.warn(p.At, "", "the parent %q of tag %q does not exist", p.Text, tag.Get("name").Str())
		}
	}
}

func servers(n *tree.Node) []string {
	if n == nil {
		return nil
	}
	var out []string
	for _, s := range n.Items {
		url := s.Get("url").Str()
		if vars := s.Get("variables"); vars != nil {
			for _, v := range vars.Members {
				url = strings.ReplaceAll(url, "{"+v.Name+"}", v.Value.Get("default").Str())
			}
		}
		out = append(out, url)
	}
	return out
}
