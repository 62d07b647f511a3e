package schema

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// source is one JSON text in which schemas stand.
type source struct {
	number uint16
	tree   tree
	index  map[ref]map[string]ref // of large objects: going through them for every reference would take for ever
	base   *resource

	// Only where a text names schemas by other means than their place; else all of it is one resource.
	named    bool
	embedded map[ref]*resource // where $id stands
	searched map[ref]bool      // schemas whose names are known
}

// resource is a schema with an address of its own, and all in it that has none (JSON Schema 2020-12 §4.3.5).
type resource struct {
	address *url.URL // absolute, without fragment
	name    string   // the same as a text
	root    ref
	source  *source
	anchors map[string]ref // of $anchor and $dynamicAnchor
	dynamic map[string]ref // of $dynamicAnchor alone
	omitted vocabulary     // keywords that only annotate here
}

// place is where a schema stands.
type place struct {
	*resource
	at ref
}

// pointer is the place of a value as an RFC 6901 pointer into its text.
func (s *source) pointer(at ref) string {
	var out strings.Builder
	t := &s.tree
	for v := ref(0); v != at; {
		switch end := t.after(v); t.kind(v) {
		case Array:
			i := v + 1
			for k := 0; i < end; i, k = t.after(i), k+1 {
				if at < t.after(i) {
					fmt.Fprintf(&out, "/%d", k)
					break
				}
			}
			v = i
		case Object:
			i := v + 1
			for i < end && at >= t.after(i+1) {
				i = t.after(i + 1)
			}
			out.WriteString("/" + escapePointer(t.text(i)))
			if v = i + 1; at == i {
				return out.String() // of a name: the member's
			}
		default:
			return out.String()
		}
	}
	return out.String()
}

const largeObject = 16

// child finds what a token of a pointer leads to; 0 where it leads nowhere.
func (s *source) child(v ref, token string) ref {
	t := &s.tree
	switch t.kind(v) {
	case Array:
		n, err := strconv.Atoi(token)
		if err != nil || strconv.Itoa(n) != token {
			return 0
		}
		for i, end := v+1, t.after(v); i < end; i = t.after(i) {
			if n--; n < 0 {
				return i
			}
		}
	case Object:
		if t.members(v, largeObject) <= largeObject {
			return t.member(v, token)
		}
		names := s.index[v]
		if names == nil {
			names = map[string]ref{}
			for i, end := v+1, t.after(v); i < end; i = t.after(i + 1) {
				names[t.text(i)] = i + 1
			}
			s.index[v] = names
		}
		return names[token]
	}
	return 0
}

// walk follows a JSON pointer from a place, through schemas with an address of their own.
func (p place) walk(pointer string) (place, bool) {
	if pointer == "" {
		return p, true
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		p.at = p.source.child(p.at, unescapePointer(token))
		if p.at == 0 {
			return p, false
		}
		p = p.enter(p.at)
	}
	return p, true
}

// enter is the place of a value below.
func (p place) enter(at ref) place {
	if r := p.source.embedded[at]; r != nil {
		return place{r, at}
	}
	return place{p.resource, at}
}

// loader finds the text at an address outside the document.
type loader func(address string) ([]byte, error)

// load makes what stands at an address known.
func (s *Set) load(address *url.URL) (*resource, error) {
	name := address.String()
	if r := s.resources[name]; r != nil {
		return r, nil
	}
	if s.foreign == nil {
		return nil, fmt.Errorf("it lies outside the document; bundle it first")
	}
	text, err := s.foreign(name)
	if err != nil {
		return nil, err
	}
	return s.read(string(text), address)
}

// read reads a text and finds the schemas in it that have names.
func (s *Set) read(text string, address *url.URL) (*resource, error) {
	src := &source{number: uint16(len(s.sources)), index: map[ref]map[string]ref{}}
	if err := parse(&src.tree, text, documentDepth, maxNodes, bounds{}); err != nil {
		return nil, err
	}
	r := &resource{address: address, name: address.String(), source: src}
	src.base = r
	s.sources = append(s.sources, src)
	s.resources[r.name] = r
	src.notice(s)
	if !src.named {
		return r, nil
	}
	src.embedded, src.searched = map[ref]*resource{}, map[ref]bool{}
	err := s.search(place{r, 0})
	if err == nil && src.tree.member(0, "openapi") != 0 {
		err = s.searchDocument(place{r, 0}, false)
	}
	return src.base, err // its own $id may have given it another address
}

// notice looks for the names of keywords anywhere in a text, whether they are keywords there or not.
func (s *source) notice(set *Set) {
	for v := range ref(s.tree.nodes.n) {
		n := s.tree.at(v)
		if s.tree.s[n.start] != '"' || s.tree.s[n.start+1] != '$' && !n.is(escapedFlag) {
			continue
		}
		switch s.tree.text(v) {
		case "$id", "$anchor", "$schema":
			s.named = true
		case "$dynamicAnchor", "$dynamicRef":
			s.named, set.dynamic = true, true
		}
	}
}

// searchDocument finds the schemas of an OpenAPI document: what is called schema, and the members of what is called
// schemas.
func (s *Set) searchDocument(p place, schemas bool) error {
	t := &p.source.tree
	for i, end := p.at+1, t.after(p.at); i < end; {
		if t.kind(p.at) == Array {
			if err := s.searchDocument(place{p.resource, i}, false); err != nil {
				return err
			}
			i = t.after(i)
			continue
		}
		name, v := t.text(i), i+1
		i = t.after(v)
		var err error
		switch {
		case isSample(name) && !schemas:
		case schemas || name == "schema" || name == "itemSchema":
			err = s.search(place{p.resource, v})
		case t.kind(v) == Object || t.kind(v) == Array:
			err = s.searchDocument(place{p.resource, v}, name == "schemas")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isSample tells the members that hold data.
func isSample(name string) bool {
	return name == "example" || name == "examples" || name == "default" || strings.HasPrefix(name, "x-")
}

// search finds the names in a schema and in all below it: $id, $anchor and $dynamicAnchor.
func (s *Set) search(p place) error {
	src, t := p.source, &p.source.tree
	if !src.named || src.searched[p.at] || t.kind(p.at) != Object {
		return nil
	}
	src.searched[p.at] = true
	if id := t.member(p.at, "$id"); id != 0 && t.kind(id) == String {
		address, err := p.address.Parse(t.text(id))
		if err != nil || address.Fragment != "" {
			return src.fault(id, "no valid schema: $id is no URI reference without a fragment")
		}
		address.Fragment = ""
		r := &resource{address: address, name: address.String(), root: p.at, source: src, omitted: p.omitted}
		if other := s.resources[r.name]; other != nil && (other.source != src || other.root != p.at) {
			return src.fault(id, "another schema has the same $id")
		}
		s.resources[r.name], src.embedded[p.at] = r, r
		if p.resource = r; p.at == 0 {
			src.base = r
		}
	}
	if p.root == p.at {
		if err := s.speaks(p); err != nil {
			return err
		}
	}
	for _, keyword := range [...]string{"$anchor", "$dynamicAnchor"} {
		v := t.member(p.at, keyword)
		if v == 0 || t.kind(v) != String {
			continue
		}
		name := t.text(v)
		if at, taken := p.anchors[name]; taken && at != p.at {
			return src.fault(v, "another schema has the anchor "+strconv.Quote(name))
		}
		if p.anchors == nil {
			p.anchors, p.dynamic = map[string]ref{}, map[string]ref{}
		}
		if p.anchors[name] = p.at; keyword == "$dynamicAnchor" {
			p.dynamic[name] = p.at
		}
	}
	for i, end := p.at+1, t.after(p.at); i < end; i = t.after(i + 1) {
		if err := s.searchBelow(keywords[t.text(i)].holds, place{p.resource, i + 1}); err != nil {
			return err
		}
	}
	return nil
}

// searchBelow searches the schemas that a keyword holds.
func (s *Set) searchBelow(h holding, p place) error {
	t := &p.source.tree
	step := ref(0)
	switch kind := t.kind(p.at); {
	case h == oneSchema:
		return s.search(p)
	case h == listOfSchemas && kind == Array:
	case h == schemasByName && kind == Object:
		step = 1
	default:
		return nil
	}
	for i, end := p.at+1, t.after(p.at); i < end; i = t.after(i + step) {
		if err := s.search(place{p.resource, i + step}); err != nil {
			return err
		}
	}
	return nil
}

// fault is a place that cannot be compiled, and why.
func (s *source) fault(at ref, detail string) error {
	return &CompileError{s.pointer(at), detail}
}

// speaks reads which vocabularies a resource is written in ($schema).
func (s *Set) speaks(p place) error {
	src, t := p.source, &p.source.tree
	v := t.member(p.at, "$schema")
	if v == 0 || t.kind(v) != String || isDialect(t.text(v)) {
		return nil // what is no string is told with the other keywords
	}
	other := src.fault(v, "it is of another dialect than the document: "+t.text(v))
	address, err := p.address.Parse(t.text(v))
	if err != nil {
		return other
	}
	address.Fragment = ""
	meta, err := s.load(address)
	if err != nil {
		return other
	}
	u := &meta.source.tree
	list := u.member(meta.root, "$vocabulary")
	if list == 0 || u.kind(list) != Object {
		return other
	}
	p.omitted = applicator | unevaluated | validation
	for i, end := list+1, u.after(list); i < end; i = u.after(i + 1) {
		of, known := optional[u.text(i)]
		if !known && u.kind(i+1) == Boolean && u.truth(i+1) {
			return other
		}
		p.omitted &^= of
	}
	return nil
}

// resolve finds what a reference in a resource leads to (RFC 3986 §5, JSON Schema 2020-12 §8.2).
func (s *Set) resolve(from *resource, reference string) (p place, anchor string, err error) {
	to, fragment := from, ""
	if rest, local := strings.CutPrefix(reference, "#"); local && strings.IndexByte(rest, '%') < 0 {
		fragment = rest
	} else {
		address, err := from.address.Parse(reference)
		if err != nil {
			return p, "", fmt.Errorf("the reference %q is no URI reference: %w", reference, err)
		}
		fragment = address.Fragment
		address.Fragment, address.RawFragment = "", ""
		if to, err = s.load(address); err != nil {
			return p, "", fmt.Errorf("a reference leads to %s: %w", address, err)
		}
	}
	p = place{to, to.root}
	if fragment != "" && fragment[0] != '/' {
		at, found := to.anchors[fragment]
		if !found {
			return p, "", fmt.Errorf("a reference leads to the anchor %q, which no schema has", fragment)
		}
		return place{to, at}, fragment, nil
	}
	p, found := p.walk(fragment)
	if !found {
		where := strings.TrimPrefix(to.name, documentURL)
		return p, "", fmt.Errorf("a reference leads to %s#%s, where nothing stands", where, fragment)
	}
	return p, "", nil
}
