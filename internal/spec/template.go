package spec

import (
	"slices"
	"strings"
)

// template is a path with its variables taken out.
type template struct {
	names []string
	shape string // variables as {}: equal shapes match the same requests
}

// parseTemplate reads a path template (OpenAPI 3.1 §4.8.2). The second result says what is wrong with it.
func parseTemplate(path string) (template, string) {
	var t template
	var shape strings.Builder
	for rest := path; ; {
		literal, after, variable := strings.Cut(rest, "{")
		switch {
		case strings.Contains(literal, "}"):
			return t, "has an unmatched brace"
		case strings.Contains(literal, "?"):
			return t, "contains a query: declare query parameters instead"
		case strings.ContainsFunc(literal, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' }):
			return t, "contains a character that no request can have there"
		case len(t.names) > 0 && literal == "" && variable:
			return t, "has two variables with nothing between them"
		}
		shape.WriteString(literal)
		if !variable {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		switch {
		case !closed || strings.Contains(name, "{"):
			return t, "has an unmatched brace"
		case name == "" || strings.Contains(name, "/"):
			return t, "has a variable without a proper name"
		case slices.Contains(t.names, name):
			return t, "names the variable " + name + " twice"
		}
		t.names = append(t.names, name)
		shape.WriteString("{}")
		rest = tail
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return t, "has a dot segment, which no request can have"
		}
	}
	t.shape = shape.String()
	return t, ""
}

// collisions refuses templates that no request could tell apart. Alternatives behind '#' are one operation on the wire;
// they must agree on everything before it.
func (r *reader) collisions() {
	first := map[string]*Operation{}
	for _, op := range r.doc.Operations {
		t, _ := parseTemplate(op.Path)
		key := op.Method + " " + t.shape
		o := first[key]
		switch {
		case o == nil:
			first[key] = op
		case o.Path != op.Path:
			r.add(op.At, "", "%s %s and %s %s (%s) match the same requests", op.Method, op.Path, o.Method, o.Path, o.At)
		}
	}
}
