package attack

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/portreeve/portreeve/internal/tree"
)

// generator makes values that a schema allows. Strings are canaries: no two are the same, so that whoever sees one has
// seen this very value.
type generator struct {
	schemas
	rng *rand.Rand
}

const letters = "abcdefghijklmnopqrstuvwxyz"

// canary returns a word nobody else writes.
func (g *generator) canary() string {
	b := []byte("pt")
	for range 10 {
		b = append(b, letters[g.rng.IntN(len(letters))])
	}
	return string(b)
}

// value returns a valid value, or reports that none was found.
func (g *generator) value(n *tree.Node) (any, bool) {
	for _, full := range []bool{true, false, true, false} {
		v := g.make(n, full, 0)
		if ok, _ := g.allows(n, v); ok {
			return v, true
		}
	}
	for _, p := range g.choice(n) {
		for _, example := range examples(p) {
			if ok, _ := g.allows(n, example); ok {
				return example, true
			}
		}
	}
	return nil, false
}

func examples(n *tree.Node) []any {
	var out []any
	for _, name := range []string{"example", "default"} {
		if e := n.Get(name); e != nil {
			out = append(out, toAny(e))
		}
	}
	if list := n.Get("examples"); list != nil && list.Kind == tree.Array {
		for _, e := range list.Items {
			out = append(out, toAny(e))
		}
	}
	return out
}

// make builds a value; full includes members that are not required.
func (g *generator) make(n *tree.Node, full bool, depth int) any {
	parts := g.choice(n)
	if c := keyword(parts, "const"); c != nil {
		return toAny(c)
	}
	if e := keyword(parts, "enum"); e != nil && len(e.Items) > 0 {
		return toAny(e.Items[len(e.Items)-1]) // by habit the strongest comes first: "admin"
	}
	switch kind(parts) {
	case "integer", "number":
		return g.number(parts)
	case "boolean":
		return false
	case "array":
		least, _ := bound(parts, "minItems", greater)
		items := []any{}
		for i := 0; depth < maxDepth && (i < int(min(least, 50)) || i == 0 && full && depth < 3); i++ {
			items = append(items, g.make(keyword(parts, "items"), full, depth+1))
		}
		return items
	case "object":
		out := map[string]any{}
		for _, p := range properties(parts) {
			ps := g.choice(p.schema)
			if keyword(ps, "readOnly").True() || !p.required && (!full || depth > 2) || depth > maxDepth {
				continue
			}
			out[p.name] = g.make(p.schema, full, depth+1)
		}
		return out
	}
	return g.str(parts)
}

func (g *generator) number(parts []*tree.Node) any {
	low, hasLow := bound(parts, "minimum", greater)
	high, hasHigh := bound(parts, "maximum", less)
	if x, ok := bound(parts, "exclusiveMinimum", greater); ok {
		low, hasLow = max(low, x+1), true
	}
	if x, ok := bound(parts, "exclusiveMaximum", less); ok {
		high, hasHigh = x-1, true
	}
	switch {
	case !hasLow && !hasHigh:
		low, high = 1, 100
	case !hasLow:
		low = min(high-100, 0)
	case !hasHigh:
		high = low + 100
	}
	low, high = math.Ceil(low), math.Floor(min(high, low+1000))
	v := low
	if high > low {
		v += float64(g.rng.IntN(int(high-low) + 1))
	}
	if m, ok := bound(parts, "multipleOf", greater); ok && m >= 1 {
		v = math.Ceil(low/m) * m
	}
	return json.Number(strconv.FormatFloat(v, 'f', -1, 64))
}

func (g *generator) str(parts []*tree.Node) any {
	switch keyword(parts, "format").Str() {
	case "email":
		return g.canary() + "@example.com"
	case "date":
		return "2024-02-29"
	case "date-time":
		return "2024-02-29T12:00:00Z"
	case "uuid":
		return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", g.rng.Uint32(), g.rng.IntN(1<<16), g.rng.IntN(1<<12), g.rng.IntN(1<<12), g.rng.Uint64()&(1<<48-1))
	case "uri", "url":
		return "https://example.com/" + g.canary()
	case "ipv4":
		return "192.0.2.7"
	case "ipv6":
		return "2001:db8::7"
	}
	least, _ := bound(parts, "minLength", greater)
	most, limited := bound(parts, "maxLength", less)
	word := g.canary()
	if pattern := keyword(parts, "pattern").Str(); pattern != "" {
		word = g.matching(pattern, int(min(least, 1000)))
	}
	word += strings.Repeat("a", max(0, int(min(least, 10_000))-utf8.RuneCountInString(word)))
	if limited && utf8.RuneCountInString(word) > int(most) {
		word = string([]rune(word)[:int(most)])
	}
	return word
}

// matching returns a string that a pattern matches, a canary when it finds none.
func (g *generator) matching(pattern string, least int) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return g.canary()
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return g.canary()
	}
	for range 20 {
		var b strings.Builder
		g.write(&b, re.Simplify(), max(least, 8), 0)
		if compiled.MatchString(b.String()) {
			return b.String()
		}
	}
	return g.canary()
}

// write writes something an expression matches; more is how often a repetition without end repeats.
func (g *generator) write(b *strings.Builder, re *syntax.Regexp, more, depth int) {
	if depth > 50 || b.Len() > 4096 {
		return
	}
	repeat := func(low, high int) {
		n := low
		if high < 0 {
			high = low + more
		}
		if high > low {
			n = min(high, max(low, more))
		}
		for range n {
			g.write(b, re.Sub[0], more, depth+1)
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			b.WriteRune(r)
		}
	case syntax.OpCharClass:
		b.WriteRune(g.class(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte(letters[g.rng.IntN(len(letters))])
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			g.write(b, sub, more, depth+1)
		}
	case syntax.OpAlternate:
		g.write(b, re.Sub[g.rng.IntN(len(re.Sub))], more, depth+1)
	case syntax.OpStar:
		repeat(0, -1)
	case syntax.OpPlus:
		repeat(1, -1)
	case syntax.OpQuest:
		repeat(0, 1)
	case syntax.OpRepeat:
		repeat(re.Min, re.Max)
	}
}

// class returns a character of a class, a plain one if it has any.
func (g *generator) class(ranges []rune) rune {
	var plain []rune
	for r := rune('0'); r <= 'z'; r++ {
		letter := r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a'
		for i := 0; letter && i+1 < len(ranges); i += 2 {
			if r >= ranges[i] && r <= ranges[i+1] {
				plain = append(plain, r)
			}
		}
	}
	if len(plain) > 0 {
		return plain[g.rng.IntN(len(plain))]
	}
	if len(ranges) == 0 {
		return 'a'
	}
	return ranges[0]
}

// violation is one way a value breaks its schema.
type violation struct {
	what  string // "amount is below minimum 1"
	value any
}

// violations returns values that break a schema, each in one way, surely: the last word is the schema's. typed says
// whether the value travels with its type, as in JSON, or as mere text.
func (g *generator) violations(n *tree.Node, valid any, typed bool) []violation {
	parts := g.choice(n)
	var out []violation
	add := func(v any) {
		ok, why := g.allows(n, v)
		if !typed {
			ok, why = g.allowsText(n, text(v))
		}
		if !ok && !slices.ContainsFunc(out, func(o violation) bool { return o.what == why }) {
			out = append(out, violation{why, v})
		}
	}
	if low, ok := bound(parts, "minimum", greater); ok {
		add(json.Number(strconv.FormatFloat(low-1, 'f', -1, 64)))
	}
	if high, ok := bound(parts, "maximum", less); ok {
		if high < 1<<53 {
			add(json.Number(strconv.FormatFloat(high+1, 'f', -1, 64)))
		} else {
			add(json.Number("1" + strings.Repeat("0", 24)))
		}
	}
	if low, ok := bound(parts, "exclusiveMinimum", greater); ok {
		add(json.Number(strconv.FormatFloat(low, 'f', -1, 64)))
	}
	switch kind(parts) {
	case "integer", "number":
		if typed {
			add(g.canary())
		} else {
			add("one")
		}
		add(json.Number("1.5"))
	case "boolean":
		add("perhaps")
	case "array":
		add(g.canary())
	case "object":
		add(g.canary())
		out = append(out, g.broken(n, parts, valid)...)
	case "string":
		if keyword(parts, "enum") != nil {
			add(g.canary())
		}
		if keyword(parts, "format") != nil {
			add("nope")
		}
		if pattern := keyword(parts, "pattern").Str(); pattern != "" {
			for _, word := range []string{"!x!", "a b\"<", strings.Repeat("#", 12)} {
				add(word)
			}
		}
		if most, ok := bound(parts, "maxLength", less); ok && most <= 10_000 {
			longer := text(valid)
			add(longer + strings.Repeat("a", max(1, int(most)+1-utf8.RuneCountInString(longer))))
		}
		if least, ok := bound(parts, "minLength", greater); ok && least >= 1 {
			add(string([]rune(text(valid))[:max(0, min(int(least)-1, utf8.RuneCountInString(text(valid))))]))
		}
		if typed {
			add(json.Number("12345"))
		}
	}
	return out
}

// broken are an object with one member wrong, missing or too many.
func (g *generator) broken(n *tree.Node, parts []*tree.Node, valid any) []violation {
	object, ok := valid.(map[string]any)
	if !ok {
		return nil
	}
	var lists [][]violation
	with := func(name string, v any, gone bool) map[string]any {
		c := make(map[string]any, len(object)+1)
		for k, old := range object {
			c[k] = old
		}
		if c[name] = v; gone {
			delete(c, name)
		}
		return c
	}
	var missing []violation
	for _, p := range properties(parts) {
		value, there := object[p.name]
		if !there {
			continue
		}
		var list []violation
		for _, v := range g.violations(p.schema, value, true) {
			whole := with(p.name, v.value, false)
			if ok, _ := g.allows(n, whole); !ok {
				list = append(list, violation{p.name + ": " + v.what, whole})
			}
		}
		lists = append(lists, list)
		if p.required {
			missing = append(missing, violation{p.name + " is missing", with(p.name, nil, true)})
		}
	}
	if closed(parts) {
		name := g.canary()
		lists = append([][]violation{{{"a member is not declared", with(name, true, false)}}}, lists...)
	}
	lists = append(lists, missing)
	return interleave(lists)
}

// interleave takes one of each list in turn, so that a cut list still holds something of all.
func interleave(lists [][]violation) []violation {
	var out []violation
	for i, more := 0, true; more; i++ {
		more = false
		for _, list := range lists {
			if i < len(list) {
				out, more = append(out, list[i]), true
			}
		}
	}
	return out
}

// allowsText judges what travels as text: a server may read it as any type the schema names.
func (g *generator) allowsText(n *tree.Node, v string) (bool, string) {
	ok, why := g.allows(n, v)
	if ok {
		return true, ""
	}
	candidates := []any{}
	if _, err := strconv.ParseFloat(v, 64); err == nil {
		if _, ok := decimal(json.Number(v)); ok {
			candidates = append(candidates, json.Number(v))
		}
	}
	if v == "true" || v == "false" {
		candidates = append(candidates, v == "true")
	}
	if slices.Contains(types(g.choice(n)), "array") {
		items := []any{}
		for item := range strings.SplitSeq(v, ",") {
			items = append(items, item)
		}
		candidates = append(candidates, items)
	}
	for _, c := range candidates {
		okTyped, whyTyped := g.allows(n, c)
		if okTyped {
			return true, ""
		}
		why = whyTyped
	}
	return false, why
}
