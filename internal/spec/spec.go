// Package spec reads OpenAPI documents, 3.0 and 3.1 (3.2 where it says the same), with overlays, into what a plan is
// compiled from. It refuses what could be read in two ways or not at all: a misspelt field, a name twice, a reference
// that leads nowhere, equal templates. It promises nothing about the API; that is the plan's.
package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// Document is an effective OpenAPI document.
type Document struct {
	File       string
	OpenAPI    string // "3.1.0"
	Title      string
	APIVersion string
	JSON       []byte // overlays applied, every $ref local
	Hash       string // hex SHA-256 of JSON
	Servers    []string
	Security   *[]Requirement // nil: the document says nothing
	Schemes    []Scheme
	Operations []*Operation
	Warnings   []*tree.Error

	root *tree.Node
}

// Is30 reports whether schemas follow OpenAPI 3.0's dialect.
func (d *Document) Is30() bool { return strings.HasPrefix(d.OpenAPI, "3.0") }

// Requirement is one alternative: schemes that must all hold.
type Requirement []SchemeScopes

// SchemeScopes is one scheme of a requirement.
type SchemeScopes struct {
	Scheme string
	Scopes []string
}

// Scheme is a Security Scheme Object.
type Scheme struct {
	Name, Type, In, Param, HTTP string
	At                          tree.Position
}

// Operation is an Operation Object with everything merged into it.
type Operation struct {
	ID, Method  string
	Path        string // template, without what follows '#'
	Fragment    string // what follows '#' in the path's key
	At          tree.Position
	Summary     string
	Tags        []string
	Deprecated  bool
	Parameters  []Parameter
	Body        *Body
	Responses   []Response
	Security    *[]Requirement // nil: the document's
	SecurityAt  tree.Position
	Extension   *tree.Node // x-portreeve, nil when absent
	ExtensionAt tree.Position
}

// Parameter is a Parameter Object.
type Parameter struct {
	Name, In, Style                     string
	Explode                             *bool
	Required, AllowReserved, AllowEmpty bool
	Schema, Content                     string
	At                                  tree.Position
}

// Body is a Request Body Object.
type Body struct {
	Required bool
	Content  []Media
	At       tree.Position
}

// Media is one media type; Schema is a pointer into Document.JSON, "" when none is given.
type Media struct {
	Type, Schema string
	At           tree.Position
}

// Response is a Response Object.
type Response struct {
	Status  string
	Content []Media
	Headers []string
	At      tree.Position
}

// Load reads a document from a file and applies overlays in order.
func Load(path string, overlays ...string) (*Document, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, &tree.Error{At: tree.Position{File: path}, Problem: "reading the document: " + reason(err), Hint: "give the path of an OpenAPI document"}
	}
	var over []Overlay
	for _, o := range overlays {
		ob, err := os.ReadFile(o)
		if err != nil {
			return nil, &tree.Error{At: tree.Position{File: o}, Problem: "reading the overlay: " + reason(err)}
		}
		over = append(over, Overlay{o, ob})
	}
	return Parse(path, b, over...)
}

func reason(err error) string {
	s := err.Error()
	if i := strings.LastIndex(s, ": "); i >= 0 {
		return s[i+2:]
	}
	return s
}

// Overlay is an OpenAPI Overlay 1.0 document.
type Overlay struct {
	File string
	Text []byte
}

// Parse reads a document. Its error joins every fault that was found, up to 20.
func Parse(file string, b []byte, overlays ...Overlay) (*Document, error) {
	root, err := tree.Parse(file, b)
	if err != nil {
		return nil, err
	}
	for _, o := range overlays {
		if err := apply(root, o); err != nil {
			return nil, err
		}
	}
	r := &reader{doc: &Document{File: file, root: root}, root: root, ids: map[string]tree.Position{}}
	r.document()
	if err := r.faults.err(); err != nil {
		return nil, err
	}
	d := r.doc
	d.JSON = root.AppendJSON(nil)
	sum := sha256.Sum256(d.JSON)
	d.Hash = hex.EncodeToString(sum[:])
	return d, nil
}

// At returns the place of a JSON pointer.
func (d *Document) At(pointer string) tree.Position {
	for {
		if n := tree.At(d.root, pointer); n != nil {
			return n.At
		}
		i := strings.LastIndexByte(pointer, '/')
		if i < 0 {
			return tree.Position{File: d.File}
		}
		pointer = pointer[:i]
	}
}

// Node returns the node at a pointer, nil when there is none. It must not be changed.
func (d *Document) Node(pointer string) *tree.Node { return tree.At(d.root, pointer) }

// Errors are several faults at once.
type Errors []*tree.Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, f := range e {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// BadInput marks the faults as the user's to mend.
func (e Errors) BadInput() bool { return true }

// Unwrap gives the faults one by one.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, f := range e {
		out[i] = f
	}
	return out
}

const maxFaults = 20

type faults struct{ list Errors }

func (f *faults) add(at tree.Position, hint, format string, args ...any) {
	if len(f.list) < maxFaults {
		f.list = append(f.list, &tree.Error{At: at, Problem: fmt.Sprintf(format, args...), Hint: hint})
	}
}

func (f *faults) err() error {
	switch len(f.list) {
	case 0:
		return nil
	case 1:
		return f.list[0]
	}
	return f.list
}

// known refuses members an object does not have; x- ones are everybody's own.
func (r *reader) known(n *tree.Node, what string, names ...string) {
	for _, m := range n.Members {
		if strings.HasPrefix(m.Name, "x-") || slices.Contains(names, m.Name) {
			continue
		}
		hint := ""
		if near := tree.Nearest(m.Name, names); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		r.faults.add(m.At, hint, "%s has no field %q", what, m.Name)
	}
}
