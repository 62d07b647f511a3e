package schema

// traits are what is to be known of a schema without going through all that it leads to.
type traits uint8

const (
	ruled       traits = 1 << iota // there are field rules
	forking                        // a value may be met by more than one way
	withholding                    // something leaves an answer, for some viewer
	dropping                       // something undeclared can be told
	onceRead                       // something is readOnly
	onceWritten                    // or writeOnly
	wandering                      // there are dynamic references
	branching                      // what follows strictly may not follow leniently, or by another way
)

// own are the traits a schema has by itself.
func (s *subschema) own() (t traits) {
	add := func(has bool, one traits) {
		if has {
			t |= one
		}
	}
	never := func(c *subschema) bool { return c != nil && c.never }
	o := s.object
	declares := o != nil && (len(o.properties) > 0 || o.patterns != nil)
	opens := o != nil && o.additional != nil || s.otherMembers != nil
	add(s.rule != nil, ruled)
	add(s.forks(), forking)
	add(s.writeOnly || s.rule != nil && s.rule.withholds(), withholding)
	add(declares && !opens || never(s.otherMembers) || o != nil && never(o.additional), dropping)
	add(s.readOnly, onceRead)
	add(s.writeOnly, onceWritten)
	add(s.dynamic != nil, wandering)
	add(s.test != nil || s.array != nil && s.array.contains != nil, branching)
	return t
}

// forks reports whether a schema leads in more than one way to what it leads to: only then can two ways meet.
func (s *subschema) forks() bool {
	ways := 0
	s.sameValue(true, func(*subschema) { ways++ })
	if len(s.anyOf) > 0 || len(s.oneOf) > 0 || s.test != nil || s.otherMembers != nil || s.otherItems != nil || s.array != nil && s.array.contains != nil {
		return true // it is asked again when it is to be known what a value follows
	}
	if o := s.object; o != nil {
		if o.patterns != nil {
			return true
		}
		ways++
	}
	if s.array != nil {
		ways++
	}
	return ways > 1
}

// inherit gives every schema of a list the traits of what it leads to. What is not of the list has them already.
func inherit(list []*subschema) {
	for _, s := range list {
		s.leads = s.own()
	}
	for more := true; more; {
		more = false
		for i := range list {
			s := list[len(list)-1-i] // what was made later stands further in, most of it
			before := s.leads
			s.children(func(c *subschema, _ string) { s.leads |= c.leads })
			more = more || s.leads != before
		}
	}
}
