package starter

import (
	"net/http"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// Names of what says whose an object is. sure ones are rules; the others only comments: who made a thing need not own
// it, and an account may be a company's.
var (
	sure   = []string{"owner id", "owner", "owned by", "owner user id", "user id"}
	unsure = []string{"account id", "created by", "creator id", "creator", "author id", "author", "customer id", "customer", "user", "client id", "member id", "employee id", "patient id", "assignee id", "subject id", "profile id"}
	people = []string{"user", "person", "member", "customer", "account", "employee", "profile", "client", "patient", "subscriber"}
)

// owners proposes whose the objects are. Operations that are the same get one rule.
func (p *Proposal) owners() {
	for _, o := range p.Operations {
		if o.first != nil {
			o.Object = p.alike(o)
			continue
		}
		if o.remove || o.Public || o.anonymous || o.asked() == "" || o.op.Ext.Object != nil {
			continue
		}
		if o.Object = p.pathOwner(o); o.Object == nil {
			o.Object = p.answerOwner(o)
		}
		if o.Object == nil {
			o.Object = p.listOwner(o)
		}
		if o.Object == nil {
			o.Object = p.changeOwner(o)
		}
		if o.Object != nil {
			o.Object.Unless = o.asked() + ":any"
			if o.Object.Active && o.has != "" { // who wrote the permission thought about the operation
				o.Object.Active, o.Object.Why = false, "unsure: "+strings.TrimPrefix(o.Object.Why, "guess: ")+", but x-portreeve is there and names no object"
			}
		}
	}
}

// alike gives an operation the rule of the one it is the same as, and makes that a comment where the answers differ: they
// are one operation on the wire, and have one rule.
func (p *Proposal) alike(o *Operation) *Object {
	rule := o.first.Object
	if rule == nil || !rule.Active || o.op.Pointer == o.first.op.Pointer || !strings.HasPrefix(rule.Owner, "$response") {
		return rule
	}
	if own := p.answerOwner(o); own == nil || own.Owner != rule.Owner {
		rule.Active = false
		rule.Why = "unsure: " + strings.TrimPrefix(rule.Why, "guess: ") + ", but that of " + quoted(o.ID) + ", the same request, differs"
	}
	return rule
}

// variables are the whole segments of a path that are one variable, with the segment before each.
func variables(path string) (out []struct{ name, before string }) {
	before := ""
	for segment := range strings.SplitSeq(path, "/") {
		if name, ok := variable(segment); ok {
			out = append(out, struct{ name, before string }{name, before})
		}
		before = segment
	}
	return out
}

func variable(segment string) (string, bool) {
	name, ok := strings.CutPrefix(segment, "{")
	name, closed := strings.CutSuffix(name, "}")
	return name, ok && closed && !strings.ContainsAny(name, "{} \t") && name != ""
}

// pathOwner finds the variable that names a person: {user_id}, or {id} after users.
func (p *Proposal) pathOwner(o *Operation) *Object {
	vars := variables(o.Path)
	for i, v := range vars {
		w := singulars(v.name)
		before := singulars(v.before)
		person := ""
		if len(before) > 0 && slices.Contains(people, before[len(before)-1]) {
			person = before[len(before)-1]
		}
		named := strings.Join(w, " ")
		object := &Object{ID: expression(vars[len(vars)-1].name), Owner: expression(v.name), Type: p.typeName(vars[len(vars)-1].before, o)}
		switch {
		case named == "user id" || named == "userid" || named == "owner id" || person == "user" && (named == "id" || named == "user"):
			object.Why, object.Active = "guess: {"+shown(v.name)+"} names the user", i == 0
			if i > 0 {
				object.Why = "unsure: {" + shown(v.name) + "} names a user, but as part of something else"
			}
		case person != "" && (named == "id" || named == person || named == person+" id"), slices.Contains([]string{"username", "user name", "uid", "account id", "customer id", "member id"}, named):
			object.Why = "unsure: {" + shown(v.name) + "} may name the caller; uncomment it if it is the subject of the token"
		default:
			continue
		}
		return object
	}
	return nil
}

func expression(name string) string { return "$request.path." + name }

// answerOwner finds the property of a single object's answer that says whose it is.
func (p *Proposal) answerOwner(o *Operation) *Object {
	vars := variables(o.Path)
	if o.Method != http.MethodGet || len(vars) == 0 || !strings.HasSuffix(o.Path, "{"+vars[len(vars)-1].name+"}") {
		return nil
	}
	schema := p.success(o)
	if schema == nil {
		return nil
	}
	last := vars[len(vars)-1]
	pointer, strong := p.owner(schema.n)
	if pointer == "" {
		return nil
	}
	object := &Object{Type: p.typeName(last.before, o), ID: expression(last.name), Owner: "$response.body#" + pointer,
		Why: "guess: the answer has " + quoted(strings.ReplaceAll(pointer[1:], "/", ".")), Active: strong}
	if !object.Active {
		object.Why = "unsure: the answer has " + quoted(strings.ReplaceAll(pointer[1:], "/", ".")) + ", which need not be the owner; uncomment it if it is"
	}
	return object
}

// success is the schema that every success of an operation has; nil where they differ, or are no JSON that is held.
func (p *Proposal) success(o *Operation) (schema *node) {
	for _, r := range o.op.Responses {
		if r.Status == "" || r.Status[0] != '2' {
			continue
		}
		for _, m := range r.Content {
			if !isJSON(m.Type) || m.Schema == "" || schema != nil && schema.pointer != m.Schema {
				return nil // not every success could name the owner
			}
			schema = p.schemas.at(m.Schema)
		}
	}
	if o.op.Ext.Delivery != "" {
		return nil
	}
	return schema
}

// owner finds the property of an object that says whose it is, and tells whether its name leaves little doubt.
func (p *Proposal) owner(n *tree.Node) (pointer string, strong bool) {
	properties := p.properties(n, 0)
	for _, list := range [][]string{sure, unsure} {
		for _, want := range list {
			for _, m := range properties {
				if strings.Join(singulars(m.Name), " ") != want || strings.ContainsAny(m.Name, " \t\r\n") {
					continue
				}
				pointer, ok := p.scalarOwner(m)
				if !ok {
					continue
				}
				return pointer, slices.Contains(sure, want) && strings.HasSuffix(strings.ToLower(pointer), "id") // an owner without id may be a name
			}
		}
	}
	return "", false
}

// listOwner finds what says of each element of a list whose it is. A rule is proposed only where the element itself has
// the id of its owner: what names its owner at length is often shown to others on purpose.
func (p *Proposal) listOwner(o *Operation) *Object {
	if o.Method != http.MethodGet || strings.HasSuffix(o.Path, "}") {
		return nil
	}
	schema := p.success(o)
	if schema == nil {
		return nil
	}
	at, items := p.elements(schema.n)
	if items == nil {
		return nil
	}
	pointer, strong := p.owner(items)
	if pointer == "" {
		return nil
	}
	named := strings.ReplaceAll(pointer[1:], "/", ".")
	object := &Object{Type: p.typeName(lastSegment(o.Path), o), Owner: "$response.body#" + at + "/*" + pointer,
		Why: "guess: each element has " + quoted(named) + "; the others leave", Active: strong && strings.Count(pointer, "/") == 1 && p.required(items, pointer[1:])}
	if !object.Active {
		object.Why = "unsure: each element has " + quoted(named) + "; uncomment it if callers may see none but their own"
	}
	return object
}

func lastSegment(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// elements is the one array of objects that an answer is, or has, and where.
func (p *Proposal) elements(n *tree.Node) (at string, items *tree.Node) {
	n = p.schemas.follow(n)
	if i := n.Get("items"); i != nil {
		return "", i
	}
	for _, m := range p.properties(n, 0) {
		i := p.schemas.follow(m.Value).Get("items")
		if i == nil || len(p.properties(i, 0)) == 0 {
			continue
		}
		if items != nil {
			return "", nil
		}
		at, items = "/"+tree.Escape(m.Name), i
	}
	return at, items
}

// required reports whether an object always has a property, as far as it says so itself.
func (p *Proposal) required(n *tree.Node, name string) bool {
	n = p.schemas.follow(n)
	for _, part := range append([]*tree.Node{n}, itemsOf(n.Get("allOf"))...) {
		part = p.schemas.follow(part)
		if list := part.Get("required"); list != nil && slices.ContainsFunc(list.Items, func(r *tree.Node) bool { return r.Text == name }) {
			return true
		}
	}
	return false
}

func itemsOf(n *tree.Node) []*tree.Node {
	if n == nil {
		return nil
	}
	return n.Items
}

// changeOwner proposes for what changes an object the rule by which it is read: firmly where the document says that
// versions are honoured, as a comment where only a look before the act is left.
func (p *Proposal) changeOwner(o *Operation) *Object {
	if o.reads() || !strings.HasSuffix(o.Path, "}") {
		return nil
	}
	for _, read := range p.Operations {
		if read.Method != http.MethodGet || read.Path != o.Path || read.first != nil || read.op.Ext.Object != nil {
			continue
		}
		rule := read.Object
		if rule == nil {
			rule = p.answerOwner(read)
		}
		if rule == nil || !strings.HasPrefix(rule.Owner, "$response") {
			return nil
		}
		object := &Object{Type: rule.Type, ID: rule.ID, Owner: rule.Owner, Source: "prefetch",
			Why: "unsure: " + quoted(read.String()) + " says whose it is; with source: prefetch it may change hands between the look and the act"}
		if versioned(read, o) {
			object.Source, object.Active = "conditional", rule.Active
			object.Why = "guess: " + quoted(read.String()) + " says whose it is, and If-Match is honoured"
			if !object.Active {
				object.Why = "unsure" + strings.TrimPrefix(object.Why, "guess")
			}
		}
		return object
	}
	return nil
}

// versioned reports whether the document says that an object has versions, and that a change of another one is refused.
func versioned(read, change *Operation) bool {
	tagged := slices.ContainsFunc(read.op.Responses, func(r spec.Response) bool {
		return strings.HasPrefix(r.Status, "2") && slices.ContainsFunc(r.Headers, func(h string) bool { return strings.EqualFold(h, "etag") })
	})
	return tagged && slices.ContainsFunc(change.op.Responses, func(r spec.Response) bool { return r.Status == "412" })
}

// properties are those an object declares itself, through references and allOf.
func (p *Proposal) properties(n *tree.Node, depth int) []tree.Member {
	if depth > 16 {
		return nil
	}
	var out []tree.Member
	if ref := n.Get("$ref").Str(); ref != "" {
		if t := p.schemas.resolve(ref); t.n != nil {
			out = append(out, p.properties(t.n, depth+1)...)
		}
		if p.doc.Is30() {
			return out
		}
	}
	if own := n.Get("properties"); own != nil {
		out = append(out, own.Members...)
	}
	if all := n.Get("allOf"); all != nil {
		for _, item := range all.Items {
			out = append(out, p.properties(item, depth+1)...)
		}
	}
	return out
}

// scalarOwner is the pointer of the id: the property itself, or the id of the object it is.
func (p *Proposal) scalarOwner(m tree.Member) (string, bool) {
	at := "/" + tree.Escape(m.Name)
	scalar := func(n *tree.Node) bool {
		types := p.schemas.types(n)
		return len(types) > 0 && !slices.ContainsFunc(types, func(t string) bool { return t != "string" && t != "integer" })
	}
	if scalar(m.Value) {
		return at, true
	}
	for _, inner := range p.properties(m.Value, 0) {
		if inner.Name == "id" && scalar(inner.Value) {
			return at + "/id", true
		}
	}
	return "", false
}

// typeName is what an object is called: the segment before its id, or the resource.
func (p *Proposal) typeName(before string, o *Operation) string {
	name := ""
	for _, w := range words(before) {
		if _, isVariable := variable(before); isVariable || slug(w) == "" {
			continue
		}
		name += strings.ToUpper(w[:1]) + w[1:]
	}
	if name = singular(name); slug(name) != "" && isASCII(name) {
		return name
	}
	return o.Resource
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7e || r < 0x20 })
}

func isJSON(t string) bool {
	return t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json")
}

// ownerless are the operations that take an id without anything that says whose the object is.
func (p *Proposal) ownerless() []string {
	return p.match(func(o *Operation) bool {
		return len(variables(o.Path)) > 0 && o.Object == nil && o.op.Ext.Object == nil && !o.Public && !o.anonymous
	})
}
