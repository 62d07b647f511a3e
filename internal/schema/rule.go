package schema

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// FieldRule is what x-portreeve says of a value, for people.
type FieldRule struct {
	Pointer    string // where such a value stands in a body; * is any index or free name
	Class      string
	Permission string
	OwnerMay   bool // who owns the object needs no permission
	Mask       string
	Unmask     string
}

// rule is x-portreeve on a schema.
type rule struct {
	class, permission, unmask string
	ownerMay                  bool
	mask                      mask
	maskName                  string
}

var classes = []string{"public", "internal", "personal", "sensitive", "cardholder", "secret"}

// unsafePattern is a member of x-portreeve that lets a pattern pass that cannot be enforced: {reason: …}.
const unsafePattern = "unsafe_pattern"

// readRule reads x-portreeve strictly: a rule that is misspelt would protect nothing.
func readRule(v any) (*rule, error) {
	x, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("x-portreeve is not an object")
	}
	r := new(rule)
	class := ""
	texts := map[string]*string{"class": &class, "permission": &r.permission, "mask": &r.maskName, "unmask": &r.unmask}
	for name, v := range x {
		if name == unsafePattern { // it is of the pattern, not of the value
			if reason, _ := v.(map[string]any)["reason"].(string); strings.TrimSpace(reason) == "" {
				return nil, fmt.Errorf("x-portreeve.%s wants a reason", name)
			}
			continue
		}
		field := texts[name]
		text, isText := v.(string)
		flag, isFlag := v.(bool)
		switch {
		case field != nil && isText && text != "":
			*field = text
		case name == "owner_may" && isFlag:
			r.ownerMay = flag
		case field != nil || name == "owner_may":
			return nil, fmt.Errorf("x-portreeve.%s: %v is not possible", name, v)
		default:
			return nil, fmt.Errorf("x-portreeve has no field %q", name)
		}
	}
	if *r == (rule{}) && class == "" && len(x) > 0 {
		return nil, nil
	}
	r.class = class
	if r.class != "" && !slices.Contains(classes, r.class) {
		return nil, fmt.Errorf("x-portreeve.class %q is not one of %s", r.class, strings.Join(classes, ", "))
	}
	if r.maskName != "" {
		if r.mask = masks[r.maskName]; r.mask == unmasked {
			return nil, fmt.Errorf("x-portreeve.mask %q is not one of last4, email, hash, full", r.maskName)
		}
	}
	if r.unmask != "" && r.mask == unmasked {
		return nil, fmt.Errorf("x-portreeve.unmask stands without mask")
	}
	if r.ownerMay && r.permission == "" {
		return nil, fmt.Errorf("x-portreeve.owner_may stands without permission")
	}
	return r, nil
}

// withholds reports whether there is any viewer to whom the rule gives less than the value.
func (r *rule) withholds() bool {
	return r.permission != "" || r.mask != unmasked || r.class == "secret" || r.guarded()
}

// guarded: values of these classes leave for nobody unless the rule names who may see them, or how much of them.
func (r *rule) guarded() bool { return r.class == "sensitive" || r.class == "cardholder" }

// judge says what becomes of a value for a viewer.
func (r *rule) judge(v Viewer) (fate, mask) {
	return r.fate(r.permission != "" && v.May(r.permission), r.ownerMay && v.Owns(), r.unmask != "" && v.May(r.unmask))
}

// fate says what becomes of a value for whom has the permission, owns the object, or has the permission to unmask.
func (r *rule) fate(permitted, owns, unmasks bool) (fate, mask) {
	switch {
	case r.class == "secret":
		return withheld, unmasked
	case r.permission != "" && !permitted && !(r.ownerMay && owns):
		return withheld, unmasked
	case r.mask != unmasked && !unmasks:
		return kept, r.mask
	case r.guarded() && r.permission == "" && r.mask == unmasked:
		return withheld, unmasked // nobody was permitted
	}
	return kept, unmasked
}

// maxFieldRules bounds what explain lists of one program.
const maxFieldRules = 512

// fieldLister walks a program's schema for its rules.
type fieldLister struct {
	way []*subschema
	out []FieldRule
}

func listFields(root *subschema) []FieldRule {
	l := new(fieldLister)
	l.visit(root, "", "")
	sort.SliceStable(l.out, func(i, j int) bool { return l.out[i].Pointer < l.out[j].Pointer })
	return slices.Compact(l.out)
}

func (l *fieldLister) visit(s *subschema, at, step string) {
	if s.leads&ruled == 0 || slices.Contains(l.way, s) || len(l.out) >= maxFieldRules {
		return
	}
	at += step
	if r := s.rule; r != nil {
		l.out = append(l.out, FieldRule{at, r.class, r.permission, r.ownerMay, r.maskName, r.unmask})
	}
	l.way = append(l.way, s)
	s.children(func(c *subschema, step string) { l.visit(c, at, step) })
	l.way = l.way[:len(l.way)-1]
}

// children calls f for every subschema that may apply to a value or to what it holds, with the step to there.
func (s *subschema) children(f func(c *subschema, step string)) {
	if s.inPlace {
		s.sameValue(false, func(c *subschema) { f(c, "") })
		if s.dynamic != nil {
			f(s.dynamic.target, "")
		}
	}
	if o := s.object; o != nil {
		for _, step := range o.steps {
			f(o.properties[nameOf(step)], step)
		}
		for _, p := range o.patterns {
			f(p.schema, "/*")
		}
		each(f, o.additional)
	}
	if a := s.array; a != nil {
		each(f, a.prefix...)
		each(f, a.items, a.contains)
	}
	each(f, s.otherMembers, s.otherItems)
}

func each(f func(c *subschema, step string), list ...*subschema) {
	for _, c := range list {
		if c != nil {
			f(c, "/*")
		}
	}
}
