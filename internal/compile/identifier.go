package compile

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// Identifiers lists what of an operation's request looks like an object's id: variables of the path; parameters of the
// query and members of the body whose name ends in id, or whose format is uuid. Each is bound to an owner, exempt with a
// reason, or unbound: whoever may call the operation then reaches every object by it.
func Identifiers(d *spec.Document, op *spec.Operation) []plan.Identifier {
	i := identifiers{d: d, op: op, bound: map[string]string{}, exempt: map[string]string{}}
	i.known()
	for _, name := range variablesOf(op.Path) {
		if p := i.parameter("path", name); p == nil || !i.chooses(p) {
			i.add("$request.path." + name)
		}
	}
	for k := range op.Parameters {
		p := &op.Parameters[k]
		if p.In == "query" && (identifies(p.Name) || d.Node(p.Schema).Get("format").Str() == "uuid") && !i.chooses(p) {
			i.add("$request.query." + p.Name)
		}
	}
	if op.Body != nil {
		for _, m := range op.Body.Content {
			if m.Schema != "" {
				i.body(m.Schema, "", 0)
			}
		}
	}
	return i.found
}

type identifiers struct {
	d             *spec.Document
	op            *spec.Operation
	bound, exempt map[string]string // expression → by what
	found         []plan.Identifier
}

// known are the expressions that some rule holds.
func (i *identifiers) known() {
	x := &i.op.Ext
	for _, o := range append(slices.Clone(x.References), x.Object) {
		if o == nil {
			continue
		}
		id := o.ID
		if id == "" && o == x.Object {
			id = inferID(i.op)
		}
		by := o.Type
		if o.Source != "" {
			by += ", " + o.Source
		}
		i.bound[id] = by
		i.bound[o.Owner] = by
		for _, w := range o.Within {
			i.bound[w.ID], i.bound[w.Is] = by+", as what it is part of", by+", as what it is part of"
		}
	}
	for _, e := range x.Exempt {
		i.exempt[e.ID] = e.Reason
	}
}

func (i *identifiers) add(expression string) {
	if slices.ContainsFunc(i.found, func(o plan.Identifier) bool { return o.Expression == expression }) {
		return
	}
	out := plan.Identifier{Expression: expression, State: plan.Unbound}
	if by, ok := i.bound[expression]; ok {
		out.State, out.By = plan.Bound, by
	} else if why, ok := i.exempt[expression]; ok {
		out.State, out.By = plan.Exempt, why
	} else if i.public() {
		out.State, out.By = plan.Exempt, "the operation is open to everybody"
	}
	i.found = append(i.found, out)
}

// public: what anybody may read has no owner to ask for. That it is public is a decision of its own.
func (i *identifiers) public() bool { return i.op.Security != nil && len(*i.op.Security) == 0 }

func (i *identifiers) parameter(in, name string) *spec.Parameter {
	for k := range i.op.Parameters {
		if p := &i.op.Parameters[k]; p.In == in && p.Name == name {
			return p
		}
	}
	return nil
}

// chooses reports parameters that choose how something is said, not which: those with a closed list of values, truth
// values, and names like version or language.
func (i *identifiers) chooses(p *spec.Parameter) bool {
	n := i.resolve(p.Schema)
	if n.Get("enum") != nil || n.Get("const") != nil || n.Get("type").Str() == "boolean" {
		return true
	}
	switch strings.ToLower(p.Name) {
	case "version", "lang", "language", "locale", "format", "region", "currency", "country", "unit", "year", "month", "day", "date", "extension", "archive_format", "api_version":
		return true
	}
	return false
}

func (i *identifiers) resolve(pointer string) *tree.Node {
	n := i.d.Node(pointer)
	for range 16 {
		ref := n.Get("$ref").Str()
		if !strings.HasPrefix(ref, "#/") {
			break
		}
		n = i.d.Node(ref[1:])
	}
	return n
}

const (
	maxIdentifiers = 256 // of one operation
	maxBodyDepth   = 6
)

// body looks through a body's schema: properties, elements, and what it is composed of.
func (i *identifiers) body(schema, at string, depth int) {
	if depth > maxBodyDepth || len(i.found) >= maxIdentifiers {
		return
	}
	for _, p := range properties(i.d, schema, 0) {
		here := at + "/" + tree.Escape(p.name)
		n := i.resolve(p.pointer)
		if n.Get("readOnly").True() {
			continue
		}
		switch element := i.element(p.pointer); {
		case element != "" && (identifies(p.name) || i.resolve(element).Get("format").Str() == "uuid") && scalar(i.resolve(element)):
			i.add("$request.body#" + here + "/*")
		case element != "":
			i.body(element, here+"/*", depth+1)
		case (identifies(p.name) || n.Get("format").Str() == "uuid") && n.Get("enum") == nil && scalar(n):
			i.add("$request.body#" + here)
		default:
			i.body(p.pointer, here, depth+1)
		}
	}
	if element := i.element(schema); element != "" {
		if n := i.resolve(element); n.Get("format").Str() == "uuid" {
			i.add("$request.body#" + at + "/*")
			return
		}
		i.body(element, at+"/*", depth+1)
	}
}

func scalar(n *tree.Node) bool {
	return n.Get("properties") == nil && n.Get("type").Str() != "object" && n.Get("type").Str() != "array" && n.Get("type").Str() != "boolean"
}

// element is the schema of an array's elements, "" where the schema is no array.
func (i *identifiers) element(schema string) string {
	for range 16 {
		n := i.d.Node(schema)
		if ref := n.Get("$ref").Str(); strings.HasPrefix(ref, "#/") {
			schema = ref[1:]
			continue
		}
		if n.Get("items") != nil {
			return schema + "/items"
		}
		return ""
	}
	return ""
}

// property is one that an object may have, with the pointer of its schema.
type property struct{ name, pointer string }

// properties are those of a schema, through references and compositions.
func properties(d *spec.Document, pointer string, depth int) []property {
	n := d.Node(pointer)
	if n == nil || depth > 16 {
		return nil
	}
	var out []property
	if ref := n.Get("$ref").Str(); strings.HasPrefix(ref, "#/") {
		out = properties(d, ref[1:], depth+1)
	}
	if own := n.Get("properties"); own != nil {
		for _, m := range own.Members {
			out = append(out, property{m.Name, pointer + "/properties/" + tree.Escape(m.Name)})
		}
	}
	for _, of := range []string{"allOf", "anyOf", "oneOf"} {
		if all := n.Get(of); all != nil {
			for k := range all.Items {
				out = append(out, properties(d, pointer+"/"+of+"/"+strconv.Itoa(k), depth+1)...)
			}
		}
	}
	return out
}

// identifies reports whether a name ends in the word id, in any usual spelling: id, user_id, userId, userID, account-ids,
// uuid. A name like "paid" or "grid" does not.
func identifies(name string) bool {
	lower := strings.ToLower(name)
	switch lower {
	case "userid", "ownerid", "accountid", "customerid", "orderid", "memberid":
		return true
	}
	for _, end := range []string{"id", "ids", "uuid", "uuids", "guid", "guids"} {
		if lower == end {
			return true
		}
		before, ok := strings.CutSuffix(lower, end)
		if !ok {
			continue
		}
		r := rune(name[len(before)-1])
		begins := rune(name[len(before)])
		if r == '_' || r == '-' || r == '.' || unicode.IsUpper(begins) && !unicode.IsUpper(r) {
			return true
		}
	}
	return false
}

// Coverage counts the identifiers of operations.
func Coverage(of ...*plan.Operation) (c plan.Coverage) {
	for _, op := range of {
		for _, id := range op.Identifiers {
			switch id.State {
			case plan.Bound:
				c.Bound++
			case plan.Exempt:
				c.Exempt++
			default:
				c.Unbound++
			}
		}
	}
	return c
}
