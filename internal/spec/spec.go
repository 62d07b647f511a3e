// Package spec reads OpenAPI documents, 3.0, 3.1 and 3.2, with the files they refer to and with overlays, into what a plan
// is compiled from. It refuses what could be read in two ways or not at all: a misspelt field, a name twice, a reference
// that leads nowhere, equal templates. It promises nothing about the API; that is the plan's.
package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/portreeve/portreeve/internal/tree"
)

// Document is an effective OpenAPI document.
type Document struct {
	File       string
	Files      []string // what it refers to
	OpenAPI    string   // "3.1.0"
	Title      string
	APIVersion string
	JSON       []byte // overlays applied, every $ref local
	Hash       string // hex SHA-256 of JSON
	Servers    []string
	Security   *[]Requirement // nil: the document says nothing
	Schemes    []Scheme
	Operations []*Operation  // in the document's order
	Ext        Extension     // x-portreeve of the document as a whole
	Patterns   []Unenforced  // patterns that need not be enforced (unsafe_pattern)
	Warnings   []*tree.Error // ugly, but permitted

	root      *tree.Node
	mu        sync.Mutex
	refs      *references // guarded by mu once the document is read
	unbundled Errors      // warnings of before any overlay
}

// Unenforced is a pattern that may pass where it cannot be enforced, and why.
type Unenforced struct {
	Reason string
	At     tree.Position
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
	Pointer     string // of the Operation Object, into Document.JSON
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
	Extension   *tree.Node // x-portreeve as it stands, nil when absent
	ExtensionAt tree.Position
	Ext         Extension // and as it is meant
}

// Parameter is a Parameter Object.
type Parameter struct {
	Name, In, Style                     string
	Explode                             *bool
	Required, AllowReserved, AllowEmpty bool
	Schema, Content                     string
	Pointer                             string // of the Parameter Object, where its references lead
	At                                  tree.Position
}

// Body is a Request Body Object.
type Body struct {
	Required bool
	Content  []Media
	At       tree.Position
}

// Media is one media type; Schema is a pointer into Document.JSON, "" when none is given. Of a stream it describes one
// item.
type Media struct {
	Type, Schema string
	Encoding     []Encoding
	At           tree.Position
}

// Response is a Response Object.
type Response struct {
	Status  string
	Content []Media
	Headers []string
	At      tree.Position
}

// Load reads a document from a file, with the files it refers to, and applies overlays in order. Files are read only in
// the document's own folder and below it.
func Load(path string, overlays ...string) (*Document, error) {
	b, err := readFile(path, "the document")
	if err != nil {
		return nil, err
	}
	over := make([]Overlay, len(overlays))
	for i, name := range overlays {
		text, err := readFile(name, "the overlay")
		if err != nil {
			return nil, err
		}
		over[i] = Overlay{name, text}
	}
	return Assemble(path, b, over...)
}

// Assemble is Load for whoever has read the document's first file, and the overlays, already.
func Assemble(path string, b []byte, overlays ...Overlay) (*Document, error) {
	root, err := tree.Parse(path, b)
	if err != nil {
		return nil, err
	}
	f, names, room := new(faults), []string(nil), len(b)
	if v, ok := versionOf(root); ok {
		beside, err := openFiles(path, root, len(b))
		if err != nil {
			return nil, err
		}
		defer beside.close()
		(&bundler{faults: f, files: beside, main: beside.named[path], root: root, version: v}).bundle()
		if err := f.err(); err != nil {
			return nil, err
		}
		room = beside.bytes
		names = slices.DeleteFunc(slices.Sorted(maps.Keys(beside.named)), func(n string) bool { return n == path })
	}
	d, err := read(path, root, room, f, overlays)
	if err != nil {
		return nil, err
	}
	d.Files = names
	return d, nil
}

// Overlay is an OpenAPI Overlay 1.0 document.
type Overlay struct {
	File string
	Text []byte
}

// Parse reads a document that is one text and refers to no other. Its error is a *tree.Error, or Errors that join every
// fault found, up to 20.
func Parse(file string, b []byte, overlays ...Overlay) (*Document, error) {
	root, err := tree.Parse(file, b)
	if err != nil {
		return nil, err
	}
	return read(file, root, len(b), new(faults), overlays)
}

// Overlaid is the document with overlays applied to it. The document stays as it is, and no file is read again.
func (d *Document) Overlaid(overlays ...Overlay) (*Document, error) {
	f := new(faults)
	f.warnings = append(f.warnings, d.unbundled...)
	over, err := read(d.File, d.root.Clone(), len(d.JSON), f, overlays)
	if err != nil {
		return nil, err
	}
	over.Files = d.Files
	return over, nil
}

// read makes a document of its tree; room is about how long its JSON will be.
func read(file string, root *tree.Node, room int, f *faults, overlays []Overlay) (*Document, error) {
	for _, o := range overlays {
		room += len(o.Text)
	}
	unbundled := slices.Clone(f.warnings)
	for _, o := range overlays {
		if apply(root, o, f); len(f.list) > 0 {
			return nil, f.err()
		}
	}
	refs := newReferences(root)
	r := &reader{faults: f, doc: &Document{File: file, root: root, refs: refs, unbundled: unbundled}, root: root, refs: refs}
	r.document()
	if err := f.err(); err != nil {
		return nil, err
	}
	d := r.doc
	d.Warnings = f.warnings
	d.JSON = root.AppendJSON(make([]byte, 0, room))
	if !jsontext.Value(d.JSON).IsValid() { // every later reader is promised strict JSON, whatever YAML let through
		return nil, &tree.Error{At: root.At, Problem: "the document cannot be written as JSON", Hint: "look for YAML tags whose value is of another kind, like !!bool x"}
	}
	sum := sha256.Sum256(d.JSON)
	d.Hash = hex.EncodeToString(sum[:])
	return d, nil
}

// At returns the place of a JSON pointer: of the name where it leads to a member, and of what encloses it where it
// leads nowhere.
func (d *Document) At(pointer string) tree.Position {
	n, at := d.root, d.root.At
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		next := (*tree.Node)(nil)
		for _, m := range n.Members {
			if m.Name == token {
				next, at = m.Value, m.At
			}
		}
		if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(n.Items) {
			next, at = n.Items[i], n.Items[i].At
		}
		if next == nil {
			return at
		}
		n = next
	}
	return at
}

// Node returns the node at a pointer, nil when there is none. It must not be changed.
func (d *Document) Node(pointer string) *tree.Node {
	if pointer == "" {
		return d.root
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.root
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if n = d.refs.child(n, strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")); n == nil {
			return nil
		}
	}
	return n
}
