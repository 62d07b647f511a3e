package schema

import (
	"errors"
	"maps"
)

// lowering compiles schemas to subschemas. If it fails, nothing of it stays in the Set.
type lowering struct {
	set      *Set
	made     []*subschema
	taken    []schemaAt // what was added to the Set
	forms    []string   // likewise
	queue    []queued
	spare    []*reader
	anchored map[string]map[string]*subschema // as the Set's, with what is new
}

// schemaAt names a schema.
type schemaAt struct {
	source *source
	at     ref
}

// queued is a schema that was met and not yet read.
type queued struct {
	s *subschema
	place
}

// lower compiles the schema at a place and all it leads to.
func (s *Set) lower(p place) (*subschema, error) {
	l := &lowering{set: s, anchored: s.anchors}
	out, err := l.get(p)
	for len(l.queue) > 0 && err == nil {
		next := l.queue[len(l.queue)-1]
		l.queue = l.queue[:len(l.queue)-1]
		_, err = l.read(next.s, next.place, false)
	}
	if err == nil {
		err = l.circles()
	}
	if err != nil {
		for _, at := range l.taken {
			delete(s.lowered, at)
		}
		for _, form := range l.forms {
			delete(s.forms, form)
		}
		return nil, err
	}
	for _, c := range l.made {
		if c.allOf != nil {
			c.group = asserting(c)
		}
	}
	inherit(l.made)
	s.anchors = l.anchored // a map of its own: programs compiled before read theirs
	return out, nil
}

// circles finds a schema that applies itself to the same value: judging by it would never end.
func (l *lowering) circles() error {
	const open, done = 1, 2
	state := map[*subschema]uint8{}
	var visit func(s *subschema) error
	visit = func(s *subschema) error {
		switch {
		case !s.inPlace || state[s] == done:
			return nil
		case state[s] == open:
			return l.set.sources[s.source].fault(s.at, "it applies itself to the same value, without end")
		}
		state[s] = open
		var err error
		s.sameValue(true, func(c *subschema) {
			if err == nil {
				err = visit(c)
			}
		})
		state[s] = done
		return err
	}
	for _, s := range l.made {
		if err := visit(s); err != nil {
			return err
		}
	}
	return nil
}

// get returns the schema at a place that is referred to. It is read later, so that it can lead to itself.
func (l *lowering) get(p place) (*subschema, error) {
	if err := l.set.search(p); err != nil {
		return nil, err
	}
	p = p.enter(p.at)
	t := &p.source.tree
	switch t.kind(p.at) {
	case Boolean:
		return l.boolean(t.truth(p.at)), nil
	case Object:
	default:
		return nil, p.source.fault(p.at, "it is no schema")
	}
	key := schemaAt{p.source, p.at}
	if s := l.set.lowered[key]; s != nil {
		return s, nil
	}
	s := l.make(p)
	l.set.lowered[key] = s
	l.taken = append(l.taken, key)
	l.queue = append(l.queue, queued{s, p})
	return s, nil
}

func (l *lowering) boolean(allows bool) *subschema {
	if allows {
		return &l.set.always
	}
	return &l.set.never
}

func (l *lowering) make(p place) *subschema {
	l.set.numbered++
	s := &subschema{number: l.set.numbered, source: p.source.number, at: p.at}
	l.made = append(l.made, s)
	return s
}

// inline returns a schema that stands in another. Where an equal one was read before it is that one: documents say much
// again and again.
func (l *lowering) inline(p place, inPlace bool) (*subschema, error) {
	if p = p.enter(p.at); p.source.tree.kind(p.at) == Boolean {
		return l.boolean(p.source.tree.truth(p.at)), nil
	}
	if s := l.set.lowered[schemaAt{p.source, p.at}]; s != nil {
		return s, nil
	}
	return l.read(l.make(p), p, inPlace)
}

// read reads a schema, and returns it or its equal.
func (l *lowering) read(s *subschema, p place, inPlace bool) (*subschema, error) {
	r := l.reader(s, p, inPlace)
	defer l.release(r)
	r.all()
	if r.err != nil {
		return nil, r.err
	}
	r.finish()
	if l.set.dynamic {
		if err := l.dynamics(s, p.resource); err != nil {
			return nil, err
		}
	}
	if !r.shared || l.set.lowered[schemaAt{p.source, p.at}] == s {
		return s, nil
	}
	if r.alone != nil {
		l.unmake(s)
		return r.alone, nil
	}
	if equal := l.set.forms[string(r.form)]; equal != nil {
		l.unmake(s)
		return equal, nil
	}
	form := string(r.form)
	l.set.forms[form] = s
	l.forms = append(l.forms, form)
	return s, nil
}

// unmake forgets the schema made last, if it still is.
func (l *lowering) unmake(s *subschema) {
	if n := len(l.made) - 1; l.made[n] == s {
		l.made = l.made[:n]
	}
}

// dynamics notes where a schema counts for dynamic references, and what it can mean to them.
func (l *lowering) dynamics(s *subschema, r *resource) error {
	s.resource = r.name
	if l.anchored[r.name] != nil {
		return nil
	}
	found := map[string]*subschema{}
	l.anchored = maps.Clone(l.anchored)
	l.anchored[r.name] = found
	for name, at := range r.dynamic {
		c, err := l.get(place{r, at})
		if err != nil {
			return err
		}
		found[name] = c
	}
	return nil
}

// compileError names the place at fault, which is that of the schema asked for where nothing is known better.
func compileError(pointer string, err error) error {
	var placed *CompileError
	if errors.As(err, &placed) {
		return placed
	}
	return &CompileError{pointer, err.Error()}
}
