package schema

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Dialect is how schemas of a document are read. The zero value is none.
type Dialect uint8

const (
	OpenAPI30 Dialect = iota + 1 // OpenAPI 3.0's own: nullable, boolean exclusive bounds, nothing beside $ref
	OpenAPI31                    // JSON Schema 2020-12
)

// Direction is which way a body travels.
type Direction uint8

const (
	Request  Direction = iota // readOnly properties are refused, and never required
	Response                  // writeOnly properties leave, and are never required
)

// Undeclared is what happens to members that no applied subschema declares.
type Undeclared uint8

const (
	Refuse Undeclared = iota // the body is invalid
	Drop                     // they leave in Project; Validate lets them pass
	Ignore                   // they stay
)

// Options are how one program judges. The zero value judges requests and refuses what is undeclared.
type Options struct {
	Direction  Direction
	Undeclared Undeclared
	MaxDepth   int // nesting of arrays and objects a body may have; 0 means DefaultDepth
	MaxValues  int // a body may have; 0 means DefaultValues
}

// CompileError is a schema that cannot be compiled.
type CompileError struct {
	Pointer string // RFC 6901, into the document: the schema or keyword at fault
	Detail  string
}

func (e *CompileError) Error() string { return fmt.Sprintf("schema %s: %s", e.Pointer, e.Detail) }

// BadInput marks the document as the user's to mend.
func (e *CompileError) BadInput() bool { return true }

// Set compiles programs out of one document; they share what they refer to. It is safe for concurrent use.
type Set struct {
	mu        sync.Mutex
	dialect   Dialect
	foreign   loader // nil: nothing outside the document is read
	annotated bool   // formats assert nothing
	sources   []*source
	resources map[string]*resource // by address

	lowered       map[schemaAt]*subschema // those referred to
	forms         map[string]*subschema   // those that are equal to others, by what they ask
	always, never subschema
	numbered      uint32 // subschemas made
	sealed        bool
	enums         map[string]*enumeration
	patterns      map[string]pattern
	texts         map[string]string // that outlive the document

	programs map[programKey]*Program
	machines map[machineKey]*machine
	dynamic  bool                             // there are dynamic references
	anchors  map[string]map[string]*subschema // dynamic anchors of each resource
	maskKey  []byte
}

type programKey struct {
	pointer string
	options Options
}

const (
	documentURL   = "urn:portreeve:document"
	documentDepth = 512
)

// NewSet reads a document: one strict JSON object in which every $ref is local. Its schemas are not looked at before
// they are compiled.
func NewSet(document []byte, d Dialect) (*Set, error) { return newSet(document, d, nil) }

func newSet(document []byte, d Dialect, foreign loader) (*Set, error) {
	if d != OpenAPI30 && d != OpenAPI31 {
		return nil, errors.New("reading document: its dialect is not given")
	}
	s := &Set{dialect: d, foreign: foreign, dynamic: foreign != nil, resources: map[string]*resource{},
		lowered: map[schemaAt]*subschema{}, forms: map[string]*subschema{}, always: subschema{}, never: subschema{never: true},
		enums: map[string]*enumeration{}, patterns: map[string]pattern{}, texts: map[string]string{},
		programs: map[programKey]*Program{}, anchors: map[string]map[string]*subschema{}, maskKey: make([]byte, 32)}
	rand.Read(s.maskKey) // never fails (Go 1.24)
	address, err := url.Parse(documentURL)
	if err != nil {
		return nil, err
	}
	if _, err = s.read(string(document), address); err != nil {
		return nil, fmt.Errorf("reading document: %w", err)
	}
	t := &s.sources[0].tree
	if t.kind(0) != Object {
		return nil, errors.New("reading document: not an object")
	}
	if v := t.member(0, "jsonSchemaDialect"); v != 0 && (t.kind(v) != String || !isDialect(t.text(v))) {
		return nil, fmt.Errorf("reading document: schemas of dialect %s cannot be judged", t.written(v))
	}
	return s, nil
}

// dialects are those that mean JSON Schema 2020-12 to this package.
var dialects = []string{"https://json-schema.org/draft/2020-12/schema", "https://spec.openapis.org/oas/3.1/dialect/", "https://spec.openapis.org/oas/3.2/dialect/"}

func isDialect(name string) bool {
	return slices.ContainsFunc(dialects, func(d string) bool {
		return strings.TrimSuffix(name, "#") == d || strings.HasSuffix(d, "/") && strings.HasPrefix(name, d)
	})
}

// intern returns a text that outlives the document, one for all that are equal.
func (s *Set) intern(text string) string {
	own, known := s.texts[text]
	if !known {
		own = "/" + text // so that the step to a property of this name is there too
		s.texts[own[1:]] = own
	}
	return own[1:]
}

// step is how a pointer leads to a property.
func (s *Set) step(name string) string {
	if strings.ContainsAny(name, "~/") {
		return "/" + escapePointer(name)
	}
	s.intern(name)
	return s.texts[name]
}

// nameOf is the reverse of step.
func nameOf(step string) string {
	if strings.IndexByte(step, '~') < 0 {
		return step[1:]
	}
	return unescapePointer(step[1:])
}

// Check reports, as a *CompileError, whether the schema at a pointer could be compiled.
func (s *Set) Check(pointer string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return &CompileError{pointer, "the set is sealed"}
	}
	p, err := s.locate(pointer)
	if err == nil {
		_, err = s.lower(p)
	}
	return err
}

// Seal ends compiling: the document is forgotten, and what is only of use while programs are made. The programs stay.
func (s *Set) Seal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = true
	s.sources, s.resources, s.lowered, s.forms, s.enums, s.patterns, s.texts, s.programs = nil, nil, nil, nil, nil, nil, nil, nil
}

// SetMaskKey gives the key of the mask `hash`, at least 16 secret bytes, so that equal values have equal masks in every
// replica and after a restart; without it each Set has a random one. It must be called before the first Compile.
func (s *Set) SetMaskKey(key []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(key) < 16:
		return errors.New("setting mask key: shorter than 16 bytes")
	case len(s.programs) > 0:
		return errors.New("setting mask key: programs already hold another")
	}
	s.maskKey = slices.Clone(key)
	return nil
}

// Compile returns the program of the schema at an RFC 6901 pointer into the document. Programs of one pointer and
// Options are the same. The error is a *CompileError.
func (s *Set) Compile(pointer string, o Options) (*Program, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.program(pointer, o)
}

func (s *Set) program(pointer string, o Options) (*Program, error) {
	if s.sealed {
		return nil, &CompileError{pointer, "the set is sealed"}
	}
	if o.MaxDepth <= 0 {
		o.MaxDepth = DefaultDepth
	}
	if o.MaxValues <= 0 {
		o.MaxValues = DefaultValues
	}
	key := programKey{pointer, o}
	if p := s.programs[key]; p != nil {
		return p, nil
	}
	at, err := s.locate(pointer)
	if err != nil {
		return nil, err
	}
	root, err := s.lower(at)
	if err != nil {
		return nil, err
	}
	p := newProgram(s, root, o)
	s.programs[key] = p
	return p, nil
}

// locate finds the schema at a pointer into the document.
func (s *Set) locate(pointer string) (place, error) {
	if pointer != "" && pointer[0] != '/' {
		return place{}, &CompileError{pointer, "it is no JSON pointer"}
	}
	base := s.sources[0].base
	p, found := place{base, base.root}.walk(pointer)
	if !found {
		return place{}, &CompileError{pointer, "nothing stands there"}
	}
	return p, nil
}
