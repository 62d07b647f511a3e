package spec

import (
	"maps"
	"mime"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// walker holds every object of a document against the grammar, those that references lead to as well, each once.
type walker struct {
	*faults
	version version
	refs    *references
	seen    map[*tree.Node]string // as which object it was read
	need    map[string][]string   // by kind
	queue   []job                 // what references lead to, so that a long chain needs no deep stack
	schemas []*tree.Node

	unenforced []Unenforced
}

type job struct {
	n    *tree.Node
	kind string
}

func (w *walker) document(root *tree.Node, kind string) {
	w.seen, w.need = map[*tree.Node]string{}, map[string][]string{}
	w.queue = []job{{root, kind}}
	for len(w.queue) > 0 {
		j := w.queue[len(w.queue)-1]
		w.queue = w.queue[:len(w.queue)-1]
		w.entity(j.n, j.kind)
	}
	w.loops()
}

// shapeOf is the shape of an object; that of schemas depends on the version.
func shapeOf(kind string, v version) object {
	switch {
	case kind != "Schema":
		return objects[kind]
	case v == v30:
		return schema30
	}
	return schema31
}

// entity judges one object of the specification.
func (w *walker) entity(n *tree.Node, kind string) {
	if as, again := w.seen[n]; again {
		if as != kind {
			w.add(n.At, "", "the %s Object is referred to as a %s Object", as, kind)
		}
		return
	}
	w.seen[n] = kind
	if n.Kind == tree.Bool && kind == "Schema" && w.version > v30 {
		return
	}
	switch {
	case n.Kind == tree.Object:
	case kind == "Example": // nothing is judged by it
		w.warn(n.At, "", "%s stands where an Example Object is wanted", n.Kind)
		return
	default:
		w.add(n.At, "", "%s stands where a %s Object is wanted", n.Kind, kind)
		return
	}
	o := shapeOf(kind, w.version)
	for _, m := range n.Members {
		w.member(m, kind, o)
	}
	for _, name := range w.needed(kind, o) {
		switch {
		case n.Get(name) != nil:
		case o.fixed[name].must:
			w.add(n.At, "", "the %s Object lacks %q", kind, name)
		default:
			w.warn(n.At, "", "the %s Object lacks %q", kind, name)
		}
	}
	w.rules(n, kind)
}

// needed are the fields whose absence is worth a word.
func (w *walker) needed(kind string, o object) []string {
	names, known := w.need[kind]
	if !known {
		for name, f := range o.fixed {
			if f.must || f.should && (kind != "Response" || w.version < v32) { // its description became optional
				names = append(names, name)
			}
		}
		slices.Sort(names)
		w.need[kind] = names
	}
	return names
}

func (w *walker) member(m tree.Member, kind string, o object) {
	if f, ok := o.fixed[m.Name]; ok {
		switch {
		case f.unread && w.version >= f.since:
			w.add(m.At, "describe it as OpenAPI 3.1 would", "nothing here would enforce %q of OpenAPI 3.2", m.Name)
		case f.since > w.version:
			w.add(m.At, "", "%q came with OpenAPI %s; the document says %s", m.Name, f.since, w.version)
		case f.form == reference:
			w.refer(m.Value, kind)
		default:
			w.value(m.Value, m.Name, f)
		}
		return
	}
	switch {
	case !o.closed && strings.HasPrefix(strings.ToLower(m.Name), "x-"):
		w.extension(m, kind)
	case o.pattern != nil:
		w.patterned(m, kind, *o.pattern)
	case kind == "Schema":
		w.unknownKeyword(m, o)
	default:
		w.add(m.At, didYouMean(nearest(m.Name, o.fixed)), "the %s Object has no field %q", kind, m.Name)
	}
}

// patterned judges a field whose name is the user's, within a pattern.
func (w *walker) patterned(m tree.Member, kind string, f field) {
	switch {
	case kind == "Paths" && !strings.HasPrefix(m.Name, "/"):
		w.add(m.At, "", "the path %q does not begin with /", m.Name)
		return
	case kind == "Responses" && !isStatus(m.Name):
		w.add(m.At, `a status like "200", a class like "4XX", or default`, "the response %q is no status", m.Name)
		return
	}
	w.value(m.Value, m.Name, f)
}

func isStatus(s string) bool {
	return s == "default" || len(s) == 3 && s[0] >= '1' && s[0] <= '5' && (s[1:] == "XX" || s[1]-'0' < 10 && s[2]-'0' < 10)
}

// value judges one value; name is the field it stands in.
func (w *walker) value(n *tree.Node, name string, f field) {
	want := func(kinds ...tree.Kind) bool {
		if slices.Contains(kinds, n.Kind) {
			return true
		}
		w.add(n.At, "", "%q must be %s, not %s", name, kinds[0], n.Kind)
		return false
	}
	switch f.form {
	case text:
		if want(tree.String) && f.values != nil && !slices.Contains(f.values, n.Text) {
			w.add(n.At, "one of "+strings.Join(f.values, ", "), "%q cannot be %q", name, n.Text)
		}
	case prose:
		if n.Kind < tree.String {
			w.warn(n.At, "put it in quotes, or remove it", "%q should be a string, not %s", name, n.Kind)
			return
		}
		want(tree.String)
	case flag:
		want(tree.Bool)
	case number:
		want(tree.Number)
	case count:
		if want(tree.Number) && !isCount(n.Text) {
			w.add(n.At, "", "%q must be a whole number, 0 or more", name)
		}
	case entity:
		w.one(n, f)
	case list:
		if want(tree.Array) {
			for _, item := range n.Items {
				w.value(item, name, *f.elem)
			}
		}
	case dict:
		if want(tree.Object) {
			w.entries(n, name, *f.elem)
		}
	}
}

func isCount(s string) bool {
	s = strings.TrimSuffix(s, ".0") // a whole number all the same, JSON Schema 2020-12 §4.2.3
	_, err := strconv.ParseUint(s, 10, 63)
	return err == nil
}

func (w *walker) entries(n *tree.Node, name string, f field) {
	for _, m := range n.Members {
		switch {
		case f.of == "Media Type" && name != "mediaTypes":
			if t, _, err := mime.ParseMediaType(m.Name); err != nil || !strings.Contains(t, "/") {
				w.add(m.At, "", "%q is no media type", m.Name)
			}
		case f.of == "Header" && !isToken(m.Name):
			w.add(m.At, "", "%q is no name of a header", m.Name)
		}
		w.value(m.Value, name+"/"+m.Name, f)
	}
}

// one judges an object or the reference that stands for it.
func (w *walker) one(n *tree.Node, f field) {
	switch {
	case f.orFlag && n.Kind == tree.Bool:
	case f.referable(w.version) && n.Get("$ref") != nil:
		w.besides(n, f.of)
		w.jump(n.Get("$ref"), f.of)
	default:
		w.entity(n, f.of)
	}
}

// besides judges what stands beside $ref in a Reference Object (OpenAPI 3.1 §4.8.23): it is ignored.
func (w *walker) besides(n *tree.Node, kind string) {
	for _, m := range n.Members {
		switch {
		case m.Name == "$ref" || m.Name == "summary" || m.Name == "description":
		case strings.HasPrefix(strings.ToLower(m.Name), "x-"):
			w.extension(m, "Reference")
		default:
			w.warn(m.At, "", "%q beside $ref of a %s is ignored", m.Name, kind)
		}
	}
}

// jump follows a Reference Object to what it stands for and has that judged later.
func (w *walker) jump(ref *tree.Node, kind string) {
	if ref.Kind != tree.String {
		w.add(ref.At, "", "$ref must be a string, not %s", ref.Kind)
		return
	}
	n, _, problem := w.refs.target(ref.Text)
	if problem == "" {
		n, _, problem = w.refs.follow(n, "")
	}
	if problem != "" {
		w.unresolved(ref, problem)
		return
	}
	w.queue = append(w.queue, job{n, kind})
}

// refer judges $ref as a field of its own: of a schema and of a path item.
func (w *walker) refer(ref *tree.Node, kind string) {
	if ref.Kind != tree.String {
		w.add(ref.At, "", "$ref must be a string, not %s", ref.Kind)
		return
	}
	n, _, problem := w.refs.target(ref.Text)
	if problem == "" && kind == "Path Item" {
		n, _, problem = w.refs.follow(n, "")
	}
	if problem != "" {
		w.unresolved(ref, problem)
		return
	}
	w.queue = append(w.queue, job{n, kind})
}

func (w *walker) unresolved(ref *tree.Node, problem string) {
	hint := ""
	if !strings.HasPrefix(ref.Text, "#") {
		hint = "bundle the document into one file first, for instance: npx @redocly/cli bundle openapi.yaml -o bundled.yaml"
	}
	w.add(ref.At, hint, "$ref %q %s", ref.Text, problem)
}

// nearest is the field within two edits of a word; of a short word nothing is near.
func nearest(word string, fields map[string]field) string {
	names := slices.Sorted(maps.Keys(fields))
	for _, n := range names {
		if strings.EqualFold(strings.ReplaceAll(word, "_", ""), n) {
			return n
		}
	}
	if len(word) < 4 {
		return ""
	}
	near := tree.Nearest(word, names)
	if len(near) < 4 {
		return ""
	}
	return near
}

func isToken(s string) bool { // RFC 9110 §5.6.2
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.ContainsRune("!#$%&'*+-.^_`|~", c))
	})
}
