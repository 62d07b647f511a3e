package attack

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// schemas reads the Schema Objects of one document: just enough of JSON Schema to tell what is surely valid and what is
// surely not. A keyword it does not know asserts nothing.
type schemas struct {
	doc *spec.Document
}

// maxDepth bounds schemas that contain themselves.
const maxDepth = 12

// at returns the schema a pointer leads to, nil when there is none.
func (s schemas) at(pointer string) *tree.Node {
	if pointer == "" {
		return nil
	}
	return s.doc.Node(pointer)
}

// target returns what a local $ref leads to.
func (s schemas) target(ref string) *tree.Node {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	if p, err := url.PathUnescape(pointer); err == nil {
		pointer = p
	}
	return s.doc.Node(pointer)
}

// parts returns the schemas that all apply to a value where n does: n, what it refers to, and its allOf.
func (s schemas) parts(n *tree.Node) []*tree.Node { return s.gather(nil, n, 0) }

// choice is parts with one alternative of each choice: the first that is not the null type.
func (s schemas) choice(n *tree.Node) []*tree.Node { return s.gather(nil, n, 1) }

// every is parts with all alternatives: whatever may describe a value.
func (s schemas) every(n *tree.Node) []*tree.Node { return s.gather(nil, n, 1<<16) }

// gather collects; alternatives is how many of each choice.
func (s schemas) gather(out []*tree.Node, n *tree.Node, alternatives int) []*tree.Node {
	if n == nil || slices.Contains(out, n) || len(out) > 100 {
		return out
	}
	out = append(out, n)
	if ref := n.Get("$ref").Str(); ref != "" {
		out = s.gather(out, s.target(ref), alternatives)
	}
	if all := n.Get("allOf"); all != nil {
		for _, item := range all.Items {
			out = s.gather(out, item, alternatives)
		}
	}
	if alternatives == 0 {
		return out
	}
	for _, name := range []string{"oneOf", "anyOf"} {
		if list := n.Get(name); list != nil {
			left := alternatives
			for _, item := range list.Items {
				if item.Get("type").Str() != "null" && left > 0 {
					left--
					out = s.gather(out, item, alternatives)
				}
			}
		}
	}
	if alternatives > 1 {
		for _, name := range []string{"if", "then", "else"} {
			if sub := n.Get(name); sub != nil {
				out = s.gather(out, sub, alternatives)
			}
		}
	}
	return out
}

// member is a member of a value with what may describe it.
type member struct {
	name    string
	value   any
	of      map[string]any
	pointer string // array indexes are *
	known   []*tree.Node
	owner   []*tree.Node // what may describe the object it is of
}

// members visits every member of a value, and those of its members.
func (s schemas) members(n *tree.Node, v any, visit func(member)) {
	s.walk(s.every(n), v, "", 0, visit)
}

func (s schemas) walk(parts []*tree.Node, v any, at string, depth int, visit func(member)) {
	if depth > maxDepth {
		return
	}
	switch t := v.(type) {
	case []any:
		var items []*tree.Node
		for _, p := range parts {
			if i := p.Get("items"); i != nil {
				items = append(items, s.every(i)...)
			}
		}
		for i, item := range t {
			if i == 200 {
				break
			}
			s.walk(items, item, at+"/*", depth+1, visit)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(t)) {
			m := member{name: name, value: t[name], of: t, pointer: at + "/" + tree.Escape(name), owner: parts}
			for _, p := range parts {
				if d := p.Get("properties").Get(name); d != nil {
					m.known = append(m.known, s.every(d)...)
				}
			}
			visit(m)
			s.walk(m.known, m.value, m.pointer, depth+1, visit)
		}
	}
}

// open reports whether something says that an object may have members beyond the declared ones.
func open(parts []*tree.Node, name string) bool {
	says := false
	for _, p := range parts {
		if p.Get("properties") != nil || p.Get("additionalProperties") != nil {
			says = true
		}
		for _, k := range []string{"additionalProperties", "unevaluatedProperties"} {
			if a := p.Get(k); a != nil && (a.Kind == tree.Object || a.True()) {
				return true
			}
		}
		if ps := p.Get("patternProperties"); ps != nil {
			for _, m := range ps.Members {
				if re, err := regexp.Compile(m.Name); err != nil || re.MatchString(name) {
					return true
				}
			}
		}
	}
	return !says
}

// types returns the JSON types a value may have, nil when any.
func types(parts []*tree.Node) []string {
	var out []string
	for _, p := range parts {
		t := p.Get("type")
		switch {
		case t.Str() != "":
			out = append(out, t.Str())
		case t != nil:
			for _, item := range t.Items {
				out = append(out, item.Str())
			}
		}
		if len(out) > 0 {
			if p.Get("nullable").True() { // OpenAPI 3.0
				out = append(out, "null")
			}
			return out
		}
	}
	for _, p := range parts {
		if p.Get("properties") != nil {
			return []string{"object"}
		}
		if p.Get("items") != nil {
			return []string{"array"}
		}
	}
	return nil
}

// kind is the first type that is not null.
func kind(parts []*tree.Node) string {
	for _, t := range types(parts) {
		if t != "null" {
			return t
		}
	}
	return ""
}

// keyword returns the first value of a keyword.
func keyword(parts []*tree.Node, name string) *tree.Node {
	for _, p := range parts {
		if v := p.Get(name); v != nil {
			return v
		}
	}
	return nil
}

// number returns a numeric keyword's tightest value; less says which of two is tighter.
func bound(parts []*tree.Node, name string, tighter func(a, b float64) bool) (float64, bool) {
	best, found := 0.0, false
	for _, p := range parts {
		if v := p.Get(name); v != nil && v.Kind == tree.Number {
			if f, err := strconv.ParseFloat(v.Text, 64); err == nil && (!found || tighter(f, best)) {
				best, found = f, true
			}
		}
	}
	return best, found
}

func greater(a, b float64) bool { return a > b }
func less(a, b float64) bool    { return a < b }

// property is a declared member of an object.
type property struct {
	name     string
	schema   *tree.Node
	required bool
}

// properties returns all declared members, in the document's order.
func properties(parts []*tree.Node) []property {
	var out []property
	need := map[string]bool{}
	for _, p := range parts {
		if r := p.Get("required"); r != nil {
			for _, name := range r.Items {
				need[name.Str()] = true
			}
		}
	}
	seen := map[string]bool{}
	for _, p := range parts {
		if ps := p.Get("properties"); ps != nil {
			for _, m := range ps.Members {
				if !seen[m.Name] {
					seen[m.Name] = true
					out = append(out, property{m.Name, m.Value, need[m.Name]})
				}
			}
		}
	}
	return out
}

// closed reports whether the schema itself refuses what it does not declare.
func closed(parts []*tree.Node) bool {
	for _, p := range parts {
		for _, name := range []string{"additionalProperties", "unevaluatedProperties"} {
			if a := p.Get(name); a != nil && a.Kind == tree.Bool && !a.True() {
				return true
			}
		}
	}
	return false
}

// toAny turns a node into the value it writes.
func toAny(n *tree.Node) any {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case tree.Bool:
		return n.True()
	case tree.Number:
		return json.Number(n.Text)
	case tree.String:
		return n.Text
	case tree.Array:
		out := make([]any, len(n.Items))
		for i, item := range n.Items {
			out[i] = toAny(item)
		}
		return out
	case tree.Object:
		out := make(map[string]any, len(n.Members))
		for _, m := range n.Members {
			out[m.Name] = toAny(m.Value)
		}
		return out
	}
	return nil
}

// decimal returns a value's exact number.
func decimal(v any) (*big.Rat, bool) {
	switch n := v.(type) {
	case json.Number:
		if len(n) > 40 {
			return nil, false
		}
		return new(big.Rat).SetString(string(n))
	case int64:
		return new(big.Rat).SetInt64(n), true
	case int:
		return new(big.Rat).SetInt64(int64(n)), true
	case float64:
		if math.IsInf(n, 0) || math.IsNaN(n) {
			return nil, false
		}
		return new(big.Rat).SetFloat64(n), true
	}
	return nil, false
}

// text writes a scalar as a parameter carries it.
func text(v any) string {
	switch t := v.(type) {
	case nil:
		return ""
	case string:
		return t
	case float64:
		return strconv.FormatFloat(t, 'f', -1, 64)
	case []any:
		items := make([]string, len(t))
		for i, item := range t {
			items[i] = text(item)
		}
		return strings.Join(items, ",")
	case map[string]any:
		b, _ := json.Marshal(t)
		return string(b)
	}
	return fmt.Sprint(v)
}

func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	if r, ok := decimal(v); ok && r.IsInt() {
		return "integer"
	}
	return "number"
}

// equal compares two values as JSON Schema does: 1 and 1.0 are one number.
func equal(a, b any) bool {
	x, okA := decimal(a)
	y, okB := decimal(b)
	if okA || okB {
		return okA && okB && x.Cmp(y) == 0
	}
	switch p := a.(type) {
	case []any:
		q, ok := b.([]any)
		return ok && slices.EqualFunc(p, q, equal)
	case map[string]any:
		q, ok := b.(map[string]any)
		if !ok || len(p) != len(q) {
			return false
		}
		for name, v := range p {
			if w, ok := q[name]; !ok || !equal(v, w) {
				return false
			}
		}
		return true
	}
	if typeOf(b) == "array" || typeOf(b) == "object" {
		return false
	}
	return a == b
}

// allows reports whether a value satisfies a schema. The second result says which rule it broke.
func (s schemas) allows(n *tree.Node, v any) (bool, string) { return s.judge(n, v, 0) }

func (s schemas) judge(n *tree.Node, v any, depth int) (bool, string) {
	if n == nil || depth > maxDepth {
		return true, ""
	}
	if n.Kind == tree.Bool {
		return n.True(), "nothing is allowed here"
	}
	if ref := n.Get("$ref").Str(); ref != "" {
		if ok, why := s.judge(s.target(ref), v, depth+1); !ok || s.doc.Is30() {
			return ok, why
		}
	}
	if ok, why := s.combined(n, v, depth); !ok {
		return false, why
	}
	if ts := types([]*tree.Node{{Kind: tree.Object, Members: own(n, "type", "nullable")}}); ts != nil {
		t := typeOf(v)
		if !slices.Contains(ts, t) && !(t == "integer" && slices.Contains(ts, "number")) {
			return false, "type is not " + strings.Join(ts, " or ")
		}
	}
	if e := n.Get("enum"); e != nil && !slices.ContainsFunc(e.Items, func(i *tree.Node) bool { return equal(toAny(i), v) }) {
		return false, "it is none of enum"
	}
	if c := n.Get("const"); c != nil && !equal(toAny(c), v) {
		return false, "it is not const"
	}
	switch value := v.(type) {
	case string:
		return judgeString(n, value)
	case []any:
		return s.judgeArray(n, value, depth)
	case map[string]any:
		return s.judgeObject(n, value, depth)
	}
	if r, ok := decimal(v); ok {
		return judgeNumber(n, r)
	}
	return true, ""
}

// own returns a node's members of those names.
func own(n *tree.Node, names ...string) []tree.Member {
	var out []tree.Member
	for _, m := range n.Members {
		if slices.Contains(names, m.Name) {
			out = append(out, m)
		}
	}
	return out
}

func (s schemas) combined(n *tree.Node, v any, depth int) (bool, string) {
	for _, m := range n.Members {
		switch m.Name {
		case "allOf":
			for _, item := range m.Value.Items {
				if ok, why := s.judge(item, v, depth+1); !ok {
					return false, why
				}
			}
		case "anyOf", "oneOf":
			matched := 0
			for _, item := range m.Value.Items {
				if ok, _ := s.judge(item, v, depth+1); ok {
					matched++
				}
			}
			if matched == 0 { // that it fits two of oneOf, or not, is never sure: a keyword may be unknown here
				return false, "it fits none of " + m.Name
			}
		}
	}
	return true, ""
}

func judgeNumber(n *tree.Node, v *big.Rat) (bool, string) {
	for _, m := range n.Members {
		limit, ok := new(big.Rat), false
		if m.Value.Kind == tree.Number && len(m.Value.Text) < 40 {
			limit, ok = limit.SetString(m.Value.Text)
		}
		if !ok {
			continue
		}
		c := v.Cmp(limit)
		switch m.Name {
		case "minimum":
			if c < 0 || c == 0 && n.Get("exclusiveMinimum").True() {
				return false, "below minimum " + m.Value.Text
			}
		case "maximum":
			if c > 0 || c == 0 && n.Get("exclusiveMaximum").True() {
				return false, "above maximum " + m.Value.Text
			}
		case "exclusiveMinimum":
			if c <= 0 {
				return false, "not above " + m.Value.Text
			}
		case "exclusiveMaximum":
			if c >= 0 {
				return false, "not below " + m.Value.Text
			}
		case "multipleOf":
			if limit.Sign() > 0 && !new(big.Rat).Quo(v, limit).IsInt() {
				return false, "no multiple of " + m.Value.Text
			}
		}
	}
	return true, ""
}

func size(n *tree.Node, name string) (int, bool) {
	v := n.Get(name)
	if v == nil || v.Kind != tree.Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(v.Text, 64)
	return int(f), err == nil && f >= 0 && f < 1<<40
}

// between judges a count against a pair of keywords.
func between(n *tree.Node, count int, low, high string) (bool, string) {
	if least, ok := size(n, low); ok && count < least {
		return false, "below " + low
	}
	if most, ok := size(n, high); ok && count > most {
		return false, "above " + high
	}
	return true, ""
}

func judgeString(n *tree.Node, v string) (bool, string) {
	if ok, why := between(n, utf8.RuneCountInString(v), "minLength", "maxLength"); !ok {
		return false, why
	}
	if p := n.Get("pattern").Str(); p != "" {
		if re, err := regexp.Compile(p); err == nil && !re.MatchString(v) {
			return false, "it does not match pattern"
		}
	}
	if f := n.Get("format").Str(); f != "" && !formatted(f, v) {
		return false, "it is no " + f
	}
	return true, ""
}

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// formatted reports whether a string has a format; one that is not known it always has.
func formatted(format, v string) bool {
	switch format {
	case "email":
		a, err := mail.ParseAddress(v)
		return err == nil && a.Address == v
	case "date":
		_, err := time.Parse(time.DateOnly, v)
		return err == nil
	case "date-time":
		_, err := time.Parse(time.RFC3339, strings.ToUpper(v))
		return err == nil
	case "uuid":
		return uuidForm.MatchString(v)
	case "uri", "url":
		u, err := url.Parse(v)
		return err == nil && u.IsAbs()
	case "ipv4":
		a, err := netip.ParseAddr(v)
		return err == nil && a.Is4()
	case "ipv6":
		a, err := netip.ParseAddr(v)
		return err == nil && a.Is6()
	}
	return true
}

func (s schemas) judgeArray(n *tree.Node, v []any, depth int) (bool, string) {
	if ok, why := between(n, len(v), "minItems", "maxItems"); !ok {
		return false, why
	}
	if n.Get("uniqueItems").True() {
		for i := range v {
			if slices.ContainsFunc(v[:i], func(o any) bool { return equal(o, v[i]) }) {
				return false, "items are not unique"
			}
		}
	}
	first := 0
	if prefix := n.Get("prefixItems"); prefix != nil {
		for i, item := range prefix.Items {
			if i < len(v) {
				if ok, why := s.judge(item, v[i], depth+1); !ok {
					return false, why
				}
			}
		}
		first = len(prefix.Items)
	}
	items := n.Get("items")
	if items == nil {
		return true, ""
	}
	for i := first; i < len(v); i++ {
		if ok, why := s.judge(items, v[i], depth+1); !ok {
			return false, why
		}
	}
	return true, ""
}

func (s schemas) judgeObject(n *tree.Node, v map[string]any, depth int) (bool, string) {
	if ok, why := between(n, len(v), "minProperties", "maxProperties"); !ok {
		return false, why
	}
	if r := n.Get("required"); r != nil {
		for _, name := range r.Items {
			if _, ok := v[name.Str()]; !ok {
				return false, name.Str() + " is missing"
			}
		}
	}
	props, patterns, extra := n.Get("properties"), n.Get("patternProperties"), n.Get("additionalProperties")
	for name, member := range v {
		known := false
		if p := props.Get(name); p != nil {
			known = true
			if ok, why := s.judge(p, member, depth+1); !ok {
				return false, name + ": " + why
			}
		}
		if patterns != nil {
			for _, m := range patterns.Members {
				if re, err := regexp.Compile(m.Name); err == nil && re.MatchString(name) {
					known = true
				}
			}
		}
		if !known && extra != nil {
			if ok, why := s.judge(extra, member, depth+1); !ok {
				return false, name + ": " + why
			}
		}
	}
	return true, ""
}
