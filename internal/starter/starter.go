// Package starter proposes a configuration and an overlay for an OpenAPI document that nobody has annotated: permissions
// from tags and methods, owners and classes from names, identity from what the document says about security. Every
// proposal carries the reason for it, and where the reason is weak it is written as a comment.
//
// It never makes anything more open than the document says, and what it proposes is a beginning: which of its guesses
// hold is for a person to decide.
package starter

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/portreeve/portreeve/internal/spec"
)

// Names of the files it writes.
const (
	ConfigName  = "portreeve.yaml"
	OverlayName = "security.overlay.yaml"
)

// DefaultUpstream stands in the configuration where no upstream was given.
const DefaultUpstream = "http://127.0.0.1:9000"

// Options are what the document cannot say.
type Options struct {
	Document string // the document's path as the configuration shall name it
	Upstream string // URL of the API; "" for DefaultUpstream
}

// Proposal is what was inferred of one document.
type Proposal struct {
	Title, OpenAPI string
	Upstream       Upstream
	Default        []Requirement // default_security; nil where the document says everything
	Schemes        []Scheme
	Operations     []*Operation
	Fields         []*Field
	Parameters     []*Parameter // taken out
	Roles          []Role
	Decisions      []string // what a person must decide, as sentences

	doc     *spec.Document
	options Options
	schemas *graph
}

// Operation is what was inferred of one operation.
type Operation struct {
	ID, Method, Path string
	Permission       string // "" where none is asked: public operations, or the document names one already
	Why              string // of the permission
	Resource         string
	Object           *Object
	Public           bool // the document asks for no credential

	op        *spec.Operation
	first     *Operation // the one it is the same as, met before; nil: none
	has       string     // the permission the document already asks for
	anonymous bool       // a credential may, but need not be shown
	remove    bool       // never served: TRACE
}

// reads reports whether the operation changes nothing, by its method.
func (o *Operation) reads() bool {
	return o.Method == "GET" || o.Method == "HEAD" || o.Method == "OPTIONS"
}

// asked is the permission that guards the operation, proposed or found.
func (o *Operation) asked() string {
	if o.has != "" {
		return o.has
	}
	return o.Permission
}

// Object is an ownership rule.
type Object struct {
	Type, ID, Owner, Unless, Why string
	Source                       string // "": what follows from the owner
	Active                       bool   // false: only a comment
}

// Field is a property with a class.
type Field struct {
	Pointer      string // of the property's schema, in the document
	Name         string
	Class        string
	Permission   string
	Mask, Unmask string
	Why          string
	Active       bool // false: only a comment

	answers bool   // some answer may hold it
	ref     string // of the schema, "" when it is written out
	wrap    bool   // OpenAPI 3.0 ignores what stands beside $ref: the reference goes into allOf
}

// Role is a proposed role.
type Role struct {
	Name, Why   string
	Permissions []Grant
}

// Grant is one permission of a role with the reason for it.
type Grant struct{ Permission, Why string }

// Propose reads what a document says and means.
func Propose(d *spec.Document, o Options) (*Proposal, error) {
	if !utf8.ValidString(o.Document) || !utf8.ValidString(o.Upstream) {
		return nil, &UsageError{"the path of the document, or --upstream, is not UTF-8: no configuration can name it", "rename the file or folder"}
	}
	p := &Proposal{Title: d.Title, OpenAPI: d.OpenAPI, doc: d, options: o}
	if err := p.upstream(); err != nil {
		return nil, err
	}
	p.operations()
	p.security()
	p.parameters()
	p.schemas = newGraph(d)
	p.reach()
	p.owners()
	p.classes()
	p.roles()
	p.decide()
	return p, nil
}

// Counts say how much was inferred.
type Counts struct {
	Operations       int            `json:"operations"`
	Public           int            `json:"public"`
	Permissions      int            `json:"permissions"`      // operations that got one
	PermissionsKept  int            `json:"permissions_kept"` // operations that had one
	Objects          int            `json:"objects"`          // operations that got an ownership rule
	ObjectsCommented int            `json:"objects_commented"`
	Fields           int            `json:"fields"` // properties that got a class
	FieldsCommented  int            `json:"fields_commented"`
	Classes          map[string]int `json:"classes"` // of Fields
}

// Counts counts.
func (p *Proposal) Counts() Counts {
	c := Counts{Operations: len(p.Operations), Classes: map[string]int{}}
	for _, op := range p.Operations {
		if op.Public {
			c.Public++
		}
		if op.Permission != "" {
			c.Permissions++
		}
		if op.has != "" {
			c.PermissionsKept++
		}
		switch {
		case op.Object == nil:
		case op.Object.Active:
			c.Objects++
		default:
			c.ObjectsCommented++
		}
	}
	for _, f := range p.Fields {
		if !f.Active {
			c.FieldsCommented++
			continue
		}
		c.Fields++
		c.Classes[f.Class]++
	}
	return c
}

func (p *Proposal) decision(format string, args ...any) {
	p.Decisions = append(p.Decisions, fmt.Sprintf(format, args...))
}

// decide lists what the document could not answer.
func (p *Proposal) decide() {
	c := p.Counts()
	if p.options.Upstream == "" {
		p.decision("upstream.url is %s: put the address of your API there", DefaultUpstream)
	}
	p.decision("roles: admin and readonly are a beginning; write the roles your people and programs have")
	if c.Objects > 0 {
		p.decision("%s for the owner alone, or for whoever has the permission that ends in :any: see that the token's subject is the id your API uses", plural(c.Objects, "operation"))
	}
	if c.ObjectsCommented > 0 {
		p.decision("%s may belong to somebody; the overlay has the rule as a comment: decide each", plural(c.ObjectsCommented, "operation"))
	}
	p.list("take an id, and nothing says whose the object is: whoever has the permission reaches every one", p.ownerless())
	p.list("return what is named like a secret, and may exist to return it: decide whether it may leave (comments in the overlay)", p.issued())
	p.list("are public in the document: say why and who agreed (comments in the overlay), or remove security: [] there", p.match(func(o *Operation) bool { return o.Public && o.op.Ext.Public == nil }))
	p.list("can be called without a credential, so that no permission is asked: decide whether they should be", p.match(func(o *Operation) bool { return o.anonymous }))
	p.list("name servers of their own; the gate sends them to upstream.url like all others", p.match(func(o *Operation) bool { return p.doc.Node(o.op.Pointer).Get("servers") != nil }))
	p.list("take a parameter that OpenAPI gives no form, so that it is taken out and refused: describe it in another style", p.formlessOnes())
	p.decision("help.contact: whom to tell about a weakness; it is served as /.well-known/security.txt")
	p.decision("url and tls: compulsory before the gate listens beyond this machine")
}

func (p *Proposal) match(f func(*Operation) bool) []string {
	var out []string
	for _, op := range p.Operations {
		if !op.remove && f(op) {
			out = append(out, op.String())
		}
	}
	return out
}

func (p *Proposal) formlessOnes() []string {
	var out []string
	for _, x := range p.Parameters {
		out = append(out, x.of.String()+" "+quoted(x.Name))
	}
	return out
}

// String names the operation as people do; it quotes what could break a line.
func (o *Operation) String() string { return o.Method + " " + shown(o.Path) }

// list is a decision about several things.
func (p *Proposal) list(what string, names []string) {
	const most = 5
	if len(names) == 0 {
		return
	}
	names = slices.Compact(names)
	text := strings.Join(names[:min(most, len(names))], ", ")
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	p.decision("these %s: %s", what, text)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
