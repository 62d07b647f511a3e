package schema

import (
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// scope is the way judging took through schema resources, innermost first (JSON Schema 2020-12 §7.1). Equal ways of one
// evaluation are one scope, so that what was found of a value in it is found again. nil where nothing is dynamic.
type scope struct {
	resource string
	number   uint32
	made     *uint32 // scopes of this evaluation
	from     *scope
	next     map[string]*scope
}

// enter returns the scope inside a resource. Only the outermost of equal resources matters, so that ways stay short.
func (sc *scope) enter(resource string) *scope {
	for s := sc; s != nil; s = s.from {
		if s.resource == resource {
			return sc
		}
	}
	inner := sc.next[resource]
	if inner == nil {
		*sc.made++
		inner = &scope{resource: resource, number: *sc.made, made: sc.made, from: sc}
		if sc.next == nil {
			sc.next = map[string]*scope{}
		}
		sc.next[resource] = inner
	}
	return inner
}

// resolve finds what a dynamic reference means: the anchor of the outermost resource that has it.
func (d *dynamicRef) resolve(sc *scope, anchors map[string]map[string]*subschema) *subschema {
	target := d.target
	if d.anchor == "" {
		return target
	}
	for ; sc != nil; sc = sc.from {
		if s := anchors[sc.resource][d.anchor]; s != nil {
			target = s
		}
	}
	return target
}

// dynamics prepares a schema of a document that has dynamic references.
func (l *lowering) dynamics(s *subschema, sch *jsonschema.Schema) error {
	document, pointer := located(sch.Location)
	doc, known := l.set.docs[document]
	if !known {
		l.metaschema(s, document)
	} else if err := l.resource(s, document, doc, pointer); err != nil {
		return err
	}
	if d := sch.DynamicRef; d != nil {
		s.dynamic = &dynamicRef{target: l.get(d.Ref)}
		if d.Anchor != "" && d.Ref.DynamicAnchor == d.Anchor {
			s.dynamic.anchor = d.Anchor
		}
	}
	return nil
}

// metaschema: those of JSON Schema itself come with the engine, and have one dynamic anchor each.
func (l *lowering) metaschema(s *subschema, document string) {
	s.resource = document
	if l.anchored[document] != nil {
		return
	}
	l.anchored[document] = map[string]*subschema{}
	if sch, err := l.set.compiler.Compile(document + "#meta"); err == nil {
		l.anchored[document]["meta"] = l.get(sch)
	}
}

// resource finds the resource a schema lies in, and the dynamic anchors of one that was not met before.
func (l *lowering) resource(s *subschema, document string, doc any, pointer string) error {
	root := ""
	for i := 0; i <= len(pointer); i++ {
		if i < len(pointer) && pointer[i] != '/' {
			continue
		}
		if m, ok := lookup(doc, pointer[:i]).(map[string]any); ok {
			if _, isText := m["$id"].(string); isText {
				root = pointer[:i]
			}
		}
	}
	s.resource = location(document, root)
	if l.anchored[s.resource] != nil {
		return nil
	}
	found := map[string]*subschema{}
	l.anchored[s.resource] = found
	return l.anchors(found, document, lookup(doc, root), root, true)
}

// anchors gathers $dynamicAnchor below a place, as far as its resource reaches.
func (l *lowering) anchors(found map[string]*subschema, document string, v any, pointer string, top bool) error {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			if err := l.anchors(found, document, item, fmt.Sprintf("%s/%d", pointer, i), false); err != nil {
				return err
			}
		}
	case map[string]any:
		if _, isText := v["$id"].(string); isText && !top {
			return nil
		}
		if name, isText := v["$dynamicAnchor"].(string); isText {
			sch, err := l.set.compiler.Compile(location(document, pointer))
			if err != nil {
				return compileError(pointer, err)
			}
			found[name] = l.get(sch)
		}
		for name, child := range v {
			if name == "enum" || name == "const" || name == "default" || name == "examples" || name == "example" {
				continue // samples of data
			}
			if err := l.anchors(found, document, child, pointer+"/"+escapePointer(name), false); err != nil {
				return err
			}
		}
	}
	return nil
}
