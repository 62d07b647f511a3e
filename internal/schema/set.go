package schema

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Dialect is how schemas of a document are read.
type Dialect uint8

const (
	OpenAPI31 Dialect = iota // JSON Schema 2020-12
	OpenAPI30                // OpenAPI 3.0's own: nullable, boolean exclusive bounds, nothing beside $ref
)

// Direction is which way a body travels.
type Direction uint8

const (
	Request  Direction = iota // readOnly properties are refused and never required
	Response                  // writeOnly properties leave and are never required
)

// Undeclared is what happens to members no applied subschema declares.
type Undeclared uint8

const (
	Refuse Undeclared = iota
	Drop
	Ignore
)

// Options are how one program judges.
type Options struct {
	Direction  Direction
	Undeclared Undeclared
}

// CompileError is a schema that cannot be compiled.
type CompileError struct {
	Pointer string
	Detail  string
}

func (e *CompileError) Error() string { return fmt.Sprintf("schema %s: %s", e.Pointer, e.Detail) }

// BadInput marks the document as the user's to mend.
func (e *CompileError) BadInput() bool { return true }

// Set compiles programs out of one document. It is safe for concurrent use while loading.
type Set struct {
	mu       sync.Mutex
	dialect  Dialect
	document []byte
	side     [2]*side
	programs map[programKey]*Program
}

type programKey struct {
	pointer string
	options Options
}

// side is the document as one direction reads it.
type side struct {
	doc      map[string]any
	compiler *jsonschema.Compiler
}

const documentURL = "urn:portreeve:document"

// NewSet reads a document: strict JSON in which every $ref is local.
func NewSet(document []byte, d Dialect) (*Set, error) {
	s := &Set{dialect: d, document: document, programs: map[programKey]*Program{}}
	for i := range s.side {
		side, err := s.newSide(Direction(i))
		if err != nil {
			return nil, err
		}
		s.side[i] = side
	}
	return s, nil
}

func (s *Set) newSide(d Direction) (*side, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.document))
	if err != nil {
		return nil, fmt.Errorf("reading document: %w", err)
	}
	doc, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("reading document: not an object")
	}
	t := &translation{doc: doc, dialect: s.dialect, drop: [...]string{"readOnly", "writeOnly"}[d]}
	t.schemaOrContainer(doc)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	for i := range formats {
		c.RegisterFormat(&formats[i])
	}
	c.UseRegexpEngine(compilePattern)
	c.UseLoader(noLoader{})
	if err := c.AddResource(documentURL, doc); err != nil {
		return nil, fmt.Errorf("reading document: %w", err)
	}
	return &side{doc, c}, nil
}

// noLoader fetches nothing: a document that refers elsewhere is bundled first.
type noLoader struct{}

func (noLoader) Load(u string) (any, error) {
	return nil, fmt.Errorf("%s lies outside the document; bundle it first", u)
}

// compile returns the engine's schema at a pointer.
func (s *Set) compile(d Direction, pointer string) (*jsonschema.Schema, error) {
	var loc strings.Builder
	loc.WriteString(documentURL + "#")
	for i, token := range strings.Split(pointer, "/") {
		if i > 0 {
			loc.WriteString("/" + url.PathEscape(token))
		}
	}
	sch, err := s.side[d].compiler.Compile(loc.String())
	if err != nil {
		return nil, &CompileError{pointer, explainCompile(err)}
	}
	return sch, nil
}

// explainCompile keeps the engine's words, less its wrapping.
func explainCompile(err error) string {
	text := err.Error()
	text = strings.ReplaceAll(text, documentURL, "")
	if i := strings.LastIndex(text, "\n"); i >= 0 {
		text = strings.TrimSpace(text[i+1:])
	}
	return text
}

// Compile returns the program of the schema at an RFC 6901 pointer into the document.
func (s *Set) Compile(pointer string, o Options) (*Program, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := programKey{pointer, o}
	if p := s.programs[key]; p != nil {
		return p, nil
	}
	root, err := s.compile(o.Direction, pointer)
	if err != nil {
		return nil, err
	}
	p := &Program{set: s, root: root, options: o, rules: map[*jsonschema.Schema]*rule{}}
	if err := p.collect(root, "", nil); err != nil {
		return nil, &CompileError{pointer, err.Error()}
	}
	s.programs[key] = p
	return p, nil
}

// at finds a raw schema of one side by the engine's location of it.
func (s *side) at(location string) map[string]any {
	_, fragment, _ := strings.Cut(location, "#")
	fragment, err := url.PathUnescape(fragment)
	if err != nil {
		return nil
	}
	return lookup(s.doc, fragment)
}

func lookup(doc map[string]any, pointer string) map[string]any {
	var v any = doc
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
	m, _ := v.(map[string]any)
	return m
}

// translation brings the document's schemas to JSON Schema 2020-12 and to one direction.
type translation struct {
	doc     map[string]any
	dialect Dialect
	drop    string // properties marked so are never required in this direction
}

// schemaOrContainer walks everything: what is no schema has none of a schema's keywords in a schema's shape, and
// samples of data are left alone.
func (t *translation) schemaOrContainer(v any) {
	switch v := v.(type) {
	case map[string]any:
		t.one(v)
		for name, child := range v {
			if data(name, v) {
				continue
			}
			t.schemaOrContainer(child)
		}
	case []any:
		for _, child := range v {
			t.schemaOrContainer(child)
		}
	}
}

// data reports whether a member holds samples of data. In a map of properties the same names are properties.
func data(name string, of map[string]any) bool {
	switch name {
	case "example", "examples", "enum", "const", "default":
		if of["type"] != nil || of["$ref"] != nil || of["schema"] != nil || of["properties"] != nil {
			return true
		}
		_, isSchema := of[name].(map[string]any)
		return !isSchema
	}
	return false
}

func (t *translation) one(m map[string]any) {
	if t.dialect == OpenAPI30 {
		t.openAPI30(m)
	}
	required, ok := m["required"].([]any)
	properties, isObject := m["properties"].(map[string]any)
	if !ok || !isObject {
		return
	}
	kept := make([]any, 0, len(required))
	for _, r := range required {
		name, _ := r.(string)
		if p, ok := properties[name].(map[string]any); ok && t.marked(p, 0) {
			continue
		}
		kept = append(kept, r)
	}
	m["required"] = kept
}

// marked reports whether a property, or what it refers to, is readOnly (writeOnly).
func (t *translation) marked(p map[string]any, hops int) bool {
	if p[t.drop] == true {
		return true
	}
	ref, ok := p["$ref"].(string)
	if !ok || hops > 16 || !strings.HasPrefix(ref, "#/") {
		return false
	}
	target := lookup(t.doc, ref[1:])
	return target != nil && t.marked(target, hops+1)
}

// openAPI30 translates the dialect of OpenAPI 3.0.
func (t *translation) openAPI30(m map[string]any) {
	if _, ref := m["$ref"].(string); ref {
		for name := range m {
			if name != "$ref" { // 3.0: siblings of $ref are ignored
				delete(m, name)
			}
		}
		return
	}
	for bound, exclusive := range map[string]string{"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"} {
		switch m[exclusive] {
		case true:
			m[exclusive] = m[bound]
			delete(m, bound)
			if m[exclusive] == nil {
				delete(m, exclusive)
			}
		case false:
			delete(m, exclusive)
		}
	}
	if m["nullable"] == true {
		t.nullable(m)
	}
}

// nullable: null is allowed beside the type, and beside an enum's values. It says nothing where no type stands
// (OpenAPI 3.0.3, "nullable").
func (t *translation) nullable(m map[string]any) {
	typ, ok := m["type"].(string)
	if !ok {
		return
	}
	m["type"] = []any{typ, "null"}
	if enum, ok := m["enum"].([]any); ok && !slices.Contains(enum, nil) {
		m["enum"] = append(slices.Clone(enum), nil)
	}
}
