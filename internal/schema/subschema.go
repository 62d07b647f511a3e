package schema

// subschema is one schema ready to judge. The subschemas of a Set form one graph, with circles; once compiled none of
// them changes any more.
type subschema struct {
	number   uint32 // of its own among those of the Set; 0: it asks nothing that is worth remembering
	source   uint16 // of those of the Set: where it stands
	at       ref    // and where in it; of equal schemas, one of them
	never    bool   // the schema false
	leads    traits // of this and of all it leads to
	nullable bool   // OpenAPI 3.0: null passes, whatever else is said
	types    types
	wanted   string              // the types, for people
	enum     map[string]struct{} // canonical forms; nil allows any
	constant *string             // canonical form of const
	longest  int                 // bytes of these forms
	format   *format

	readOnly, writeOnly bool
	rule                *rule // x-portreeve

	// What applies to the same value. inPlace tells that there is any.
	inPlace                  bool
	allOf                    []*subschema // of $ref too
	group                    []*subschema // where there is an allOf: this and all that every value must follow too
	anyOf, oneOf             []*subschema
	not, test, then, orElse  *subschema // test is the keyword if
	dependents               []dependent
	dynamic                  *dynamicRef
	otherMembers, otherItems *subschema // unevaluatedProperties, unevaluatedItems
	resource                 string     // where dynamic references count

	object  *objectRules
	array   *arrayRules
	text    *textRules
	numeric *numericRules
}

// types is a set of kinds: bit Kind of each, and bit 0 for integer.
type types uint8

const integer types = 1

func (t types) has(k Kind) bool { return t&(1<<k) != 0 }

// admits reports whether a value is of one of the types.
func (t types) admits(of *tree, v ref) bool {
	if t == 0 {
		return true
	}
	kind := of.kind(v)
	return t.has(kind) || kind == Number && t&integer != 0 && isInteger(of.text(v))
}

type dependent struct {
	name   string
	schema *subschema
}

type objectRules struct {
	properties   map[string]*subschema
	steps        []string // to the properties, sorted: "/name", escaped as in a pointer
	patterns     []patternRule
	additional   *subschema // nil where nothing is said
	names        *subschema
	required     []string
	dependencies []dependency
	least, most  int // members; most < 0: any number
}

type patternRule struct {
	pattern pattern
	schema  *subschema
}

// dependency: where the member name stands, those of required must too.
type dependency struct {
	name     string
	required []string
}

type arrayRules struct {
	prefix              []*subschema
	items               *subschema
	contains            *subschema
	leastSuch, mostSuch int // items that contains takes; mostSuch < 0: any number
	least, most         int
	unique              bool
}

type textRules struct {
	least, most int // characters (code points)
	pattern     pattern
}

type numericRules struct {
	minimum, maximum, above, below, multiple *bound
}

// dynamicRef is a $dynamicRef whose target may be another in another place (JSON Schema 2020-12 §8.2.3.2).
type dynamicRef struct {
	target *subschema
	anchor string // "" where the reference is as good as static
}

// sameValue calls f for every subschema that may apply to the same value, whatever the value is. Those of asserting
// alone, which declare nothing (not), come only where all is true.
func (s *subschema) sameValue(all bool, f func(*subschema)) {
	for _, group := range [...][]*subschema{s.allOf, s.anyOf, s.oneOf, {s.test, s.then, s.orElse}} {
		for _, c := range group {
			if c != nil {
				f(c)
			}
		}
	}
	for _, d := range s.dependents {
		f(d.schema)
	}
	if all && s.not != nil {
		f(s.not)
	}
}
