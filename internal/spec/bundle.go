package spec

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// sections are the places under components where a referenced object of another file can stand by a name.
var sections = map[string]string{
	"Schema": "schemas", "Response": "responses", "Parameter": "parameters", "Example": "examples", "Request Body": "requestBodies",
	"Header": "headers", "Security Scheme": "securitySchemes", "Link": "links", "Callback": "callbacks", "Path Item": "pathItems", "Media Type": "mediaTypes",
}

// maxInlined bounds how deep objects that can have no name stand in each other.
const maxInlined = 16

// bundler makes one tree of a document and the files it refers to. What OpenAPI lets be referred to moves under
// components, by a name of its own; anything else (a path item, an operation, a whole list) takes the reference's place.
// Every node keeps the place it was read at.
type bundler struct {
	*faults
	files   *files
	main    *file
	root    *tree.Node
	version version
	lifted  map[target]string // names under components
	names   map[string]map[string]bool
	parts   map[string][]tree.Member // to be added, by section
	queue   []job
	seen    map[*tree.Node]bool
	way     []target // being inlined
	odd     []tree.Position
	left    int // nodes that may still be added
	stopped bool
}

// target is what a reference leads to.
type target struct{ file, pointer, section string }

func (b *bundler) bundle() {
	b.lifted, b.names, b.parts, b.seen = map[target]string{}, map[string]map[string]bool{}, map[string][]tree.Member{}, map[*tree.Node]bool{}
	b.left = tree.MaxNodes
	b.components()
	b.queue = append(b.queue, job{b.root, "OpenAPI"})
	for len(b.queue) > 0 && !b.stopped {
		j := b.queue[0]
		b.queue = b.queue[1:]
		b.visit(j.n, one(j.kind))
	}
	b.attach()
	if len(b.odd) > 0 {
		b.warn(b.odd[0], "other readers may not resolve it", "a $ref stands where OpenAPI knows none; what it leads to was put there (%d times in the document)", len(b.odd))
	}
}

// components makes the names of the document known, before others are given. A component that is nothing but a
// reference to another file becomes what it refers to, so that it goes by the name its author gave it.
func (b *bundler) components() {
	all := b.root.Get("components")
	b.inlined(all, one("Components"))
	if all == nil || all.Kind != tree.Object {
		return
	}
	for _, m := range all.Members {
		f, ok := objects["Components"].fixed[m.Name]
		if !ok || f.form != dict {
			continue
		}
		b.inlined(m.Value, f)
		b.names[m.Name] = map[string]bool{}
		for _, c := range m.Value.Members {
			b.names[m.Name][c.Name] = true
		}
	}
	for _, m := range all.Members {
		if b.names[m.Name] == nil {
			continue
		}
		for _, c := range m.Value.Members {
			ref := c.Value.Get("$ref")
			if ref == nil || ref.Kind != tree.String || len(c.Value.Members) > 1 {
				continue
			}
			to, n, problem := b.resolve(ref)
			to.section = m.Name
			if _, known := b.lifted[to]; problem != "" || n == nil || known || to.file == b.main.path {
				continue
			}
			b.lifted[to] = c.Name
			*c.Value = *b.copy(n, ref)
		}
	}
}

// visit rewrites the references of a value, in place.
func (b *bundler) visit(n *tree.Node, f field) {
	if b.stopped || n == nil {
		return
	}
	before := len(b.way)
	defer func() { b.way = b.way[:before] }()
	switch f.form {
	case entity:
		b.entity(n, f)
	case list:
		b.inlined(n, f)
		for _, item := range n.Items {
			b.visit(item, *f.elem)
		}
	case dict:
		if f.elem.form == entity || f.elem.form == list {
			b.inlined(n, f)
		}
		for _, m := range n.Members {
			b.visit(m.Value, *f.elem)
		}
	case anything, reference:
	default:
		b.inlined(n, f)
	}
}

func (b *bundler) entity(n *tree.Node, f field) {
	if b.seen[n] {
		return
	}
	b.seen[n] = true
	if ref := n.Get("$ref"); ref != nil && ref.Kind == tree.String {
		switch {
		case f.of == "Schema":
			b.refer(ref, f.of)
		case f.referable(b.version) && (f.of != "Path Item" || b.version > v30): // 3.0 has no names for path items
			b.refer(ref, f.of)
			return
		case f.of == "Path Item" && b.local(ref):
			b.refer(ref, f.of)
			return
		default:
			b.inlined(n, f)
		}
	}
	o := shapeOf(f.of, b.version)
	for _, m := range n.Members {
		if member, ok := o.fixed[m.Name]; ok {
			b.visit(m.Value, member)
		} else if o.pattern != nil && !strings.HasPrefix(m.Name, "x-") {
			b.visit(m.Value, *o.pattern)
		}
	}
	if f.of == "Discriminator" {
		b.mapping(n.Get("mapping"))
	}
}

// local reports whether a reference stays inside the document's first file.
func (b *bundler) local(ref *tree.Node) bool {
	return strings.HasPrefix(ref.Text, "#") && b.files.named[ref.At.File] == b.main
}

// resolve finds what a reference leads to, as it stands in its file. A nil node without a problem is a fault of the file
// itself, which is said already.
func (b *bundler) resolve(ref *tree.Node) (target, *tree.Node, string) {
	from := b.files.named[ref.At.File]
	if from == nil {
		return target{}, nil, "stands in no file of the document"
	}
	where, fragment, _ := strings.Cut(ref.Text, "#")
	if self := b.root.Get("$self").Str(); self != "" && where == self {
		from, where = b.main, ""
	}
	p, problem := beside(from.path, where)
	if problem != "" {
		return target{}, nil, problem
	}
	f := b.files.open(p)
	switch {
	case f.err != nil:
		if e, ok := f.err.(*tree.Error); ok {
			b.put(&b.list, maxFaults, e)
			return target{}, nil, ""
		}
		return target{}, nil, f.err.Error()
	case f.refs == nil && fragment != "":
		return target{}, nil, "names a part of a file of text"
	case f.refs == nil:
		return target{file: p}, &tree.Node{Kind: tree.String, Text: f.text, At: tree.Position{File: f.name, Line: 1, Column: 1}}, ""
	}
	n, pointer, problem := f.refs.target("#" + fragment)
	return target{file: p, pointer: pointer}, n, problem
}

// refer makes a reference a local one: to a component, or to what the document has at the place.
func (b *bundler) refer(ref *tree.Node, kind string) {
	to, n, problem := b.resolve(ref)
	switch {
	case problem != "":
		b.unresolved(ref, problem)
	case n == nil:
	case to.file == b.main.path:
		if !strings.HasPrefix(ref.Text, "#") {
			ref.Text = "#" + fragmentOf(to.pointer)
		}
		b.queue = append(b.queue, job{n, kind})
	default:
		ref.Text = "#/components/" + sections[kind] + "/" + b.lift(to, n, ref, kind)
	}
}

func (b *bundler) unresolved(ref *tree.Node, problem string) {
	b.add(ref.At, "a reference is a path relative to the file it stands in, inside the folder of the document", "$ref %q %s", ref.Text, problem)
}

// lift gives a node of another file a name under components, once.
func (b *bundler) lift(to target, n, ref *tree.Node, kind string) string {
	to.section = sections[kind]
	if name, known := b.lifted[to]; known {
		return name
	}
	name := b.name(to)
	b.lifted[to] = name
	c := b.copy(n, ref)
	b.parts[to.section] = append(b.parts[to.section], tree.Member{Name: name, At: n.At, Value: c})
	b.queue = append(b.queue, job{c, kind})
	return name
}

var unnameable = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// name is a component's: the last part of the pointer, or the file's name; where that is taken, with the folders before
// it, and at last with a number.
func (b *bundler) name(to target) string {
	parts := strings.Split(strings.TrimSuffix(to.file, path.Ext(to.file)), "/")
	if to.pointer != "" {
		for token := range strings.SplitSeq(to.pointer[1:], "/") {
			parts = append(parts, strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~"))
		}
	}
	for i, p := range parts {
		parts[i] = unnameable.ReplaceAllString(p, "_")
	}
	taken := b.names[to.section]
	if taken == nil {
		taken = map[string]bool{}
		b.names[to.section] = taken
	}
	name := ""
	for i := len(parts) - 1; i >= 0; i-- {
		if name = strings.Join(parts[i:], "."); !taken[name] {
			break
		}
	}
	for i, full := 2, name; taken[name]; i++ {
		name = full + "." + strconv.Itoa(i)
	}
	taken[name] = true
	return name
}

// inlined puts what a reference leads to in its place, where there is one that no object of OpenAPI could be.
func (b *bundler) inlined(n *tree.Node, f field) {
	for n != nil && n.Kind == tree.Object {
		ref := n.Get("$ref")
		if ref == nil || ref.Kind != tree.String || b.local(ref) {
			return
		}
		if f.form != entity && len(n.Members) > 1 || slices.ContainsFunc(n.Members, func(m tree.Member) bool {
			return m.Name != "$ref" && (f.of != "Path Item" || m.Name != "summary" && m.Name != "description")
		}) {
			b.add(ref.At, "move them into what is referred to", "what fields beside $ref mean here is undefined in OpenAPI")
			return
		}
		to, found, problem := b.resolve(ref)
		circle := slices.Contains(b.way, to)
		switch {
		case problem == "" && found != nil && circle && f.of == "Path Item" && b.version > v30:
			ref.Text = "#/components/pathItems/" + b.lift(to, found, ref, f.of)
			return
		case problem == "" && (circle || len(b.way) >= maxInlined):
			problem = "leads in a circle"
		}
		if problem != "" {
			b.unresolved(ref, problem)
		}
		if problem != "" || found == nil {
			return
		}
		b.way = append(b.way, to)
		if f.of != "Path Item" {
			b.odd = append(b.odd, ref.At)
		}
		beside := n.Members
		*n = *b.copy(found, ref)
		for _, m := range beside { // the summary and the description of a path item's reference stand before its own
			if m.Name != "$ref" && n.Kind == tree.Object {
				n.Set(m.Name, m.Value)
			}
		}
	}
}

// mapping makes the references of a discriminator local. A value that is the name of a schema is no reference
// (OpenAPI 3.1 §4.8.25).
func (b *bundler) mapping(n *tree.Node) {
	if n == nil {
		return
	}
	for _, m := range n.Members {
		v := m.Value
		if v.Kind != tree.String || b.names["schemas"][v.Text] || b.local(v) {
			continue
		}
		if !strings.ContainsAny(v.Text, "/#") {
			if from := b.files.named[v.At.File]; from == nil || b.files.open(path.Join(path.Dir(from.path), v.Text)).err != nil {
				continue
			}
		}
		b.refer(v, "Schema")
	}
}

// copy takes a node out of its file. Files may refer to each other so that their copies would fill the memory.
func (b *bundler) copy(n, ref *tree.Node) *tree.Node {
	if b.left -= size(n); b.left < 0 && !b.stopped {
		b.stopped = true
		b.add(ref.At, "", "references make the document too large")
	}
	if b.stopped {
		return &tree.Node{At: n.At}
	}
	return n.Clone()
}

// attach puts what was lifted under components.
func (b *bundler) attach() {
	if len(b.parts) == 0 {
		return
	}
	all := b.root.Get("components")
	if all == nil {
		all = &tree.Node{Kind: tree.Object, At: b.root.At}
		b.root.Set("components", all)
	}
	for _, section := range slices.Sorted(maps.Keys(b.parts)) {
		s := all.Get(section)
		if s == nil {
			s = &tree.Node{Kind: tree.Object, At: all.At}
			all.Set(section, s)
		}
		s.Members = append(s.Members, b.parts[section]...)
	}
}

// fragmentOf writes a pointer as a fragment (RFC 6901 §6).
func fragmentOf(pointer string) string {
	var out strings.Builder
	for i := range len(pointer) {
		if c := pointer[i]; c > ' ' && c < 0x7f && !strings.ContainsRune("%#\"<>[]\\^`{|}", rune(c)) {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}
