package schema

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
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
	mu       sync.Mutex
	dialect  Dialect
	docs     map[string]any // by URL, as the engine refers to them
	compiler *jsonschema.Compiler
	lowered  map[*jsonschema.Schema]*subschema
	numbered uint32 // subschemas made
	programs map[programKey]*Program
	dynamic  bool                             // the document may lead to dynamic references, its own or a metaschema's
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
func NewSet(document []byte, d Dialect) (*Set, error) { return newSet(document, d, noLoader{}) }

// noLoader fetches nothing: a document that refers elsewhere is bundled first.
type noLoader struct{}

func (noLoader) Load(u string) (any, error) {
	return nil, errors.New("it lies outside the document; bundle it first")
}

func newSet(document []byte, d Dialect, foreign jsonschema.URLLoader) (*Set, error) {
	if d != OpenAPI30 && d != OpenAPI31 {
		return nil, errors.New("reading document: its dialect is not given")
	}
	var t tree
	if err := parse(&t, string(document), documentDepth, maxNodes, nil); err != nil {
		return nil, fmt.Errorf("reading document: %w", err)
	}
	doc, ok := t.any(0).(map[string]any)
	if !ok {
		return nil, errors.New("reading document: not an object")
	}
	if err := checkDialect(doc["jsonSchemaDialect"]); err != nil {
		return nil, err
	}
	s := &Set{dialect: d, docs: map[string]any{documentURL: doc}, lowered: map[*jsonschema.Schema]*subschema{},
		programs: map[programKey]*Program{}, anchors: map[string]map[string]*subschema{}, maskKey: make([]byte, 32),
		dynamic: strings.Contains(string(document), `"$dynamic`) || strings.Contains(string(document), "//json-schema.org/")}
	rand.Read(s.maskKey) // never fails (Go 1.24)
	s.compiler = newCompiler(recorder{foreign, s})
	if err := s.compiler.AddResource(documentURL, doc); err != nil {
		return nil, fmt.Errorf("reading document: %w", err)
	}
	return s, nil
}

func newCompiler(l jsonschema.URLLoader) *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	for name := range formats { // so that the engine reports their names; they are asserted here
		c.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(any) error { return nil }})
	}
	c.UseRegexpEngine(compilePattern)
	c.UseLoader(l)
	return c
}

// recorder keeps what a loader loads: x-portreeve is read from the documents themselves.
type recorder struct {
	from jsonschema.URLLoader
	set  *Set
}

func (r recorder) Load(u string) (any, error) {
	doc, err := r.from.Load(u)
	if err == nil {
		r.set.docs[u], r.set.dynamic = doc, true
	}
	return doc, err
}

// dialects are those that mean JSON Schema 2020-12 to this package.
var dialects = []string{"https://json-schema.org/draft/2020-12/schema", "https://spec.openapis.org/oas/3.1/dialect/", "https://spec.openapis.org/oas/3.2/dialect/"}

func checkDialect(v any) error {
	name, isText := v.(string)
	known := slices.ContainsFunc(dialects, func(d string) bool {
		return strings.TrimSuffix(name, "#") == d || strings.HasSuffix(d, "/") && strings.HasPrefix(name, d)
	})
	if v == nil || isText && known {
		return nil
	}
	return fmt.Errorf("reading document: schemas of dialect %q cannot be judged", name)
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
	if s.dialect == OpenAPI30 {
		t := translation{doc: s.docs[documentURL], seen: map[string]bool{}}
		t.visit(pointer)
	}
	compiled, err := s.compiler.Compile(location(documentURL, pointer))
	if err != nil {
		return nil, compileError(pointer, err)
	}
	root, err := s.lower(compiled)
	if err != nil {
		return nil, err
	}
	p := newProgram(s, root, o)
	s.programs[key] = p
	return p, nil
}

// location is how the engine names a schema.
func location(document, pointer string) string {
	tokens := strings.Split(pointer, "/")
	for i, token := range tokens {
		tokens[i] = url.PathEscape(token)
	}
	return document + "#" + strings.Join(tokens, "/")
}

// located is the reverse of location.
func located(location string) (document, pointer string) {
	document, fragment, _ := strings.Cut(location, "#")
	pointer, err := url.PathUnescape(fragment)
	if err != nil {
		return document, fragment
	}
	return document, pointer
}

// lookup finds a value in a document by its pointer, nil where there is none.
func lookup(v any, pointer string) any {
	for _, token := range strings.Split(pointer, "/")[1:] {
		switch at := v.(type) {
		case map[string]any:
			v = at[unescapePointer(token)]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}
