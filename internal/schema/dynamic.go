package schema

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
