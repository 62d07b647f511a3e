package schema

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// lowering brings compiled schemas of the engine to subschemas. Nothing of it is seen by the Set before all is well.
type lowering struct {
	set      *Set
	fresh    map[*jsonschema.Schema]*subschema
	queue    []*jsonschema.Schema
	anchored map[string]map[string]*subschema
}

func (s *Set) lower(root *jsonschema.Schema) (*subschema, error) {
	l := &lowering{set: s, fresh: map[*jsonschema.Schema]*subschema{}, anchored: maps.Clone(s.anchors)}
	out := l.get(root)
	for len(l.queue) > 0 {
		sch := l.queue[0]
		l.queue = l.queue[1:]
		if err := l.fill(l.fresh[sch], sch); err != nil {
			return nil, err
		}
	}
	visited := map[*subschema]bool{}
	for _, c := range l.fresh {
		if err := circle(c, nil, visited); err != nil {
			return nil, err
		}
	}
	for sch, c := range l.fresh {
		s.lowered[sch] = c
	}
	s.anchors = l.anchored // a map of its own: programs compiled before read theirs
	return out, nil
}

// circle finds a schema that applies itself to the same value: judging by it would never end.
func circle(s *subschema, way []*subschema, visited map[*subschema]bool) error {
	if slices.Contains(way, s) {
		return &CompileError{s.at, "it applies itself to the same value, without end"}
	}
	if visited[s] {
		return nil
	}
	visited[s] = true
	way = append(way, s)
	var err error
	s.sameValue(true, func(c *subschema) {
		if err == nil {
			err = circle(c, way, visited)
		}
	})
	return err
}

func (l *lowering) get(sch *jsonschema.Schema) *subschema {
	if sch == nil {
		return nil
	}
	if s := l.set.lowered[sch]; s != nil {
		return s
	}
	s := l.fresh[sch]
	if s == nil {
		l.set.numbered++
		s = &subschema{number: l.set.numbered}
		l.fresh[sch] = s
		l.queue = append(l.queue, sch)
	}
	return s
}

func (l *lowering) all(list []*jsonschema.Schema) []*subschema {
	var out []*subschema
	for _, sch := range list {
		out = append(out, l.get(sch))
	}
	return out
}

func (l *lowering) fill(s *subschema, sch *jsonschema.Schema) error {
	document, pointer := located(sch.Location)
	s.at = pointer
	raw, isObject := lookup(l.set.docs[document], pointer).(map[string]any)
	if isObject {
		if err := l.own(s, raw); err != nil {
			return &CompileError{pointer, err.Error()}
		}
	}
	if sch.Bool != nil {
		s.never = !*sch.Bool
		return nil
	}
	if sch.DraftVersion != 2020 || sch.RecursiveRef != nil {
		return &CompileError{pointer, "it is of another dialect than the document"}
	}
	l.assertions(s, sch)
	l.applicators(s, sch)
	if l.set.dynamic {
		return l.dynamics(s, sch)
	}
	return nil
}

// own reads the keywords the engine does not know.
func (l *lowering) own(s *subschema, raw map[string]any) error {
	if checkDialect(raw["$schema"]) != nil {
		return fmt.Errorf("it is of another dialect than the document: %v", raw["$schema"])
	}
	s.nullable = l.set.dialect == OpenAPI30 && raw["nullable"] == true
	x, given := raw["x-portreeve"]
	if !given {
		return nil
	}
	var err error
	s.rule, err = readRule(x)
	return err
}

func (l *lowering) assertions(s *subschema, sch *jsonschema.Schema) {
	if sch.Types != nil {
		for _, name := range sch.Types.ToStrings() {
			s.types |= typeNames[name]
		}
		s.wanted = s.types.String()
	}
	if sch.Enum != nil {
		s.enum = map[string]struct{}{}
		for _, v := range sch.Enum.Values {
			form := canonicalOf(v)
			s.enum[form] = struct{}{}
			s.longest = max(s.longest, len(form))
		}
	}
	if sch.Const != nil {
		form := canonicalOf(*sch.Const)
		s.constant = &form
		s.longest = max(s.longest, len(form))
	}
	if sch.Format != nil {
		s.format = formats[sch.Format.Name] // what is not there is an annotation
	}
	s.readOnly, s.writeOnly = sch.ReadOnly, sch.WriteOnly
	if sch.MinLength != nil || sch.MaxLength != nil || sch.Pattern != nil {
		s.text = &textRules{least: atLeast(sch.MinLength), most: atMost(sch.MaxLength), pattern: patternOf(sch.Pattern)}
	}
	if sch.Minimum != nil || sch.Maximum != nil || sch.ExclusiveMinimum != nil || sch.ExclusiveMaximum != nil || sch.MultipleOf != nil {
		s.numeric = &numericRules{boundOf(sch.Minimum), boundOf(sch.Maximum), boundOf(sch.ExclusiveMinimum), boundOf(sch.ExclusiveMaximum), boundOf(sch.MultipleOf)}
	}
}

var typeNames = map[string]types{"null": 1 << Null, "boolean": 1 << Boolean, "number": 1 << Number, "integer": integer,
	"string": 1 << String, "array": 1 << Array, "object": 1 << Object}

func atLeast(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

func atMost(n *int) int {
	if n == nil {
		return -1
	}
	return *n
}

func (l *lowering) applicators(s *subschema, sch *jsonschema.Schema) {
	s.allOf, s.anyOf, s.oneOf = l.all(sch.AllOf), l.all(sch.AnyOf), l.all(sch.OneOf)
	if sch.Ref != nil {
		s.allOf = append(s.allOf, l.get(sch.Ref)) // a reference applies what it refers to
	}
	s.not, s.test, s.then, s.orElse = l.get(sch.Not), l.get(sch.If), l.get(sch.Then), l.get(sch.Else)
	s.otherMembers, s.otherItems = l.get(sch.UnevaluatedProperties), l.get(sch.UnevaluatedItems)
	s.object, s.array = l.object(s, sch), l.array(sch)
	s.inPlace = sch.DynamicRef != nil
	s.sameValue(true, func(*subschema) { s.inPlace = true })
}

func (l *lowering) object(s *subschema, sch *jsonschema.Schema) *objectRules {
	o := &objectRules{required: sch.Required, least: atLeast(sch.MinProperties), most: atMost(sch.MaxProperties), names: l.get(sch.PropertyNames)}
	if len(sch.Properties) > 0 {
		o.properties = make(map[string]*subschema, len(sch.Properties))
		for name, c := range sch.Properties {
			o.properties[name] = l.get(c)
		}
	}
	for re, c := range sch.PatternProperties {
		o.patterns = append(o.patterns, patternRule{patternOf(re), l.get(c)})
	}
	slices.SortFunc(o.patterns, func(a, b patternRule) int { return strings.Compare(a.pattern.source, b.pattern.source) })
	switch a := sch.AdditionalProperties.(type) {
	case bool:
		o.additional = &subschema{at: s.at + "/additionalProperties", never: !a}
	case *jsonschema.Schema:
		o.additional = l.get(a)
	}
	for name, c := range sch.DependentSchemas {
		s.dependents = append(s.dependents, dependent{name, l.get(c)})
	}
	for name, required := range sch.DependentRequired {
		o.dependencies = append(o.dependencies, dependency{name, required})
	}
	for name, d := range sch.Dependencies { // the older form of both
		switch d := d.(type) {
		case []string:
			o.dependencies = append(o.dependencies, dependency{name, d})
		case *jsonschema.Schema:
			s.dependents = append(s.dependents, dependent{name, l.get(d)})
		}
	}
	slices.SortFunc(s.dependents, func(a, b dependent) int { return strings.Compare(a.name, b.name) })
	slices.SortFunc(o.dependencies, func(a, b dependency) int { return strings.Compare(a.name, b.name) })
	if len(o.properties) == 0 && o.patterns == nil && o.additional == nil && o.names == nil && len(o.required) == 0 &&
		o.dependencies == nil && o.least == 0 && o.most < 0 {
		return nil
	}
	return o
}

func (l *lowering) array(sch *jsonschema.Schema) *arrayRules {
	a := &arrayRules{prefix: l.all(sch.PrefixItems), items: l.get(sch.Items2020), contains: l.get(sch.Contains),
		leastSuch: 1, mostSuch: atMost(sch.MaxContains), least: atLeast(sch.MinItems), most: atMost(sch.MaxItems), unique: sch.UniqueItems}
	if sch.MinContains != nil {
		a.leastSuch = *sch.MinContains
	}
	if a.prefix == nil && a.items == nil && a.contains == nil && a.least == 0 && a.most < 0 && !a.unique {
		return nil
	}
	return a
}

// compileError names the place at fault and says what the engine found there.
func compileError(pointer string, err error) error {
	e := &CompileError{Pointer: pointer}
	var pattern *jsonschema.InvalidRegexError
	var missing *jsonschema.JSONPointerNotFoundError
	var invalid *jsonschema.SchemaValidationError
	var outside *jsonschema.LoadURLError
	switch {
	case errors.As(err, &pattern):
		_, e.Pointer = located(pattern.URL)
		e.Detail = fmt.Sprint(pattern.Err)
	case errors.As(err, &missing):
		document, at := located(missing.URL)
		e.Detail = fmt.Sprintf("a reference leads to %s#%s, where nothing stands", strings.TrimPrefix(document, documentURL), at)
	case errors.As(err, &outside):
		e.Detail = fmt.Sprintf("a reference leads to %s: %v", outside.URL, outside.Err)
	case errors.As(err, &invalid):
		_, e.Pointer = located(invalid.URL)
		var v *jsonschema.ValidationError
		if errors.As(invalid.Err, &v) { // the text tells the last leaf, and so does the pointer
			for len(v.Causes) > 0 {
				v = v.Causes[len(v.Causes)-1]
			}
			for _, token := range v.InstanceLocation {
				e.Pointer += "/" + escapePointer(token)
			}
		}
		text := strings.TrimSpace(invalid.Err.Error())
		e.Detail = "no valid schema: " + strings.TrimPrefix(strings.TrimSpace(text[strings.LastIndex(text, "\n")+1:]), "- ")
	default:
		e.Detail = strings.ReplaceAll(err.Error(), documentURL, "")
	}
	return e
}
