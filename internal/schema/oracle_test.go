package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The oracle is santhosh-tekuri/jsonschema, which passes every required test of the suite and shares nothing with this
// engine. Both are given the same schemas, made by a grammar of all keywords that a row of bytes steers, and the same
// values; whether the schema is one, and whether each value follows it, must be one answer.
//
// These differences are known, and so the grammar does not make them, or the comparison leaves them out:
//
//   - A schema that applies itself to the same value is refused here when it is compiled; there the value is (cycle).
//   - What nothing refers to is not read here, so no keyword is misspelt in $defs; nor there what stands in then beside
//     the if that is false.
//   - Names given twice, half surrogates and numbers beyond a double are no JSON here.
//   - Patterns are compiled here for both: the oracle takes RE2's dialect for ECMA-262's.
//   - Formats are those whose values both read alike; the format suite holds the others.

// choices steers the grammar. When the bytes end everything is the simplest.
type choices struct{ data []byte }

func (c *choices) of(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return int(b) % n
}

func (c *choices) one(in int) bool { return c.of(in) == in-1 }

func pick[T any](c *choices, list ...T) T { return list[c.of(len(list))] }

// grammar makes schemas, in the document's dialect and as JSON Schema 2020-12 says the same.
type grammar struct {
	*choices
	old     bool // OpenAPI 3.0
	dynamic bool // there are schemas with names of their own
	wrong   bool // now and then a keyword's value is of the wrong shape
	defs    int
}

type (
	object = map[string]any
	list   = []any
)

var (
	somePatterns = []string{"^a", "b$", "^[a-c]+$", "^.$", "\\d", "^(a|b)c?$", "x{2,3}", "^\\S*$", ""}
	someNames    = []string{"a", "b", "c", "ab", "", "a/b", "é", "x~y"}
	someFormats  = []string{"date", "uuid", "ipv4", "json-pointer", "unknown"}
	someTexts    = []string{"", "a", "ab", "abc", "b", "xx", "1", "é", "😀", "2024-02-29", "2023-02-29", "127.0.0.1", "/a~0", "3b241101-e2bb-4255-8caf-4136c566a962", "a\nb", "null"}
	someNumbers  = []string{"0", "1", "-1", "2", "3", "1.0", "0.5", "2.5", "1e1", "10", "-0", "0.1", "0.3", "3.0000000000000000001", "1e20", "100000000000000000001", "1e-7", "12345678901234567890", "2e0"}
	allTypes     = []string{"string", "integer", "number", "object", "array", "boolean", "null"}
)

func (g *grammar) number() json.Number { return json.Number(pick(g.choices, someNumbers...)) }

func (g *grammar) value(depth int) any {
	switch k := g.of(8); {
	case k == 0:
		return g.number()
	case k == 1:
		return pick(g.choices, someTexts...)
	case k == 2:
		return g.of(2) == 1
	case k == 3:
		return nil
	case k < 6 && depth > 0:
		o := object{}
		for range g.of(4) {
			o[pick(g.choices, someNames...)] = g.value(depth - 1)
		}
		return o
	case depth > 0:
		l := list{}
		for range g.of(5) {
			l = append(l, g.value(depth-1))
		}
		return l
	}
	return g.number()
}

// count is a length; now and then it is none.
func (g *grammar) count() any {
	if g.wrong && g.one(16) {
		return pick[any](g.choices, json.Number("-1"), json.Number("1.5"), "1", nil, true)
	}
	return pick(g.choices, json.Number("0"), json.Number("1"), json.Number("2"), json.Number("3"), json.Number("2.0"))
}

func (g *grammar) flag() any {
	if g.wrong && g.one(16) {
		return pick[any](g.choices, "true", nil, json.Number("1"))
	}
	return g.of(2) == 1
}

func (g *grammar) names() any {
	if g.wrong && g.one(16) {
		return pick[any](g.choices, "a", list{json.Number("1")}, list{"a", "a"}, object{})
	}
	out := list{}
	for i := range g.of(3) {
		out = append(out, someNames[(g.of(4)+i*4)%8])
	}
	return out
}

func (g *grammar) reference() string {
	if g.old {
		return fmt.Sprintf("#/$defs/%d", g.of(g.defs))
	}
	refs := []string{"#/$defs/0", "#/$defs/1", fmt.Sprintf("#/$defs/%d", g.of(g.defs)), "#/$defs/0/properties/a", "#", "#/%24defs/1", "#/$defs/0/anyOf/0"}
	if g.dynamic {
		refs = append(refs, "#n", "#m", "r0", "r1#/$defs/x", "http://e.test/r1#n", "r0#m", "#/$defs/3/$defs/x", "/r1")
	}
	return pick(g.choices, refs...)
}

// both is a schema as it is written, and as JSON Schema 2020-12.
type both struct{ ours, theirs any }

func same(v any) both { return both{v, v} }

func (g *grammar) schemas(depth int) (ours, theirs list) {
	for range 1 + g.of(3) {
		s := g.schema(depth - 1)
		ours, theirs = append(ours, s.ours), append(theirs, s.theirs)
	}
	return ours, theirs
}

func (g *grammar) byName(depth int, names []string) (ours, theirs object) {
	ours, theirs = object{}, object{}
	for range g.of(4) {
		name := pick(g.choices, names...)
		s := g.schema(depth - 1)
		ours[name], theirs[name] = s.ours, s.theirs
	}
	return ours, theirs
}

func (g *grammar) schema(depth int) both {
	if !g.old && g.one(10) {
		return same(g.of(3) > 0)
	}
	ours, theirs := object{}, object{}
	put := func(name string, b both) { ours[name], theirs[name] = b.ours, b.theirs }
	if g.one(6) {
		ref := g.reference()
		put("$ref", same(ref))
		if g.old {
			return both{ours, theirs}
		}
	}
	for range g.of(5) {
		k := g.of(17)
		if depth > 0 {
			k = g.of(36)
		}
		if g.wrong && g.one(40) {
			name := pick(g.choices, "properties", "items", "allOf", "anyOf", "type", "enum", "pattern", "required", "minimum", "multipleOf", "format", "uniqueItems", "not", "additionalProperties")
			put(name, same(g.value(1)))
			if name == "pattern" || name == "format" { // what is a text is right
				put(name, same(json.Number("1")))
			}
			if name == "properties" || name == "not" || name == "items" || name == "additionalProperties" || name == "allOf" || name == "anyOf" || name == "enum" || name == "required" || name == "type" {
				put(name, same(pick[any](g.choices, "x", json.Number("1"), nil, list{json.Number("1")}, object{"a": "x"})))
			}
			continue
		}
		g.keyword(k, depth, put)
	}
	if g.old {
		sharpen(theirs, "minimum", "exclusiveMinimum")
		sharpen(theirs, "maximum", "exclusiveMaximum")
		g.nullable(ours, &theirs)
	}
	return both{ours, theirs}
}

// sharpen says a bound of OpenAPI 3.0 as JSON Schema does now.
func sharpen(theirs object, name, sharp string) {
	is := theirs[sharp]
	if delete(theirs, sharp); is == true {
		theirs[sharp] = theirs[name]
		delete(theirs, name)
	}
}

// nullable says of a schema of OpenAPI 3.0 that null passes.
func (g *grammar) nullable(ours object, theirs *object) {
	if g.one(4) {
		ours["nullable"] = true
		*theirs = object{"anyOf": list{object{"type": "null"}, *theirs}}
	}
}

func (g *grammar) keyword(k, depth int, put func(string, both)) {
	inner := func(name string) { put(name, g.schema(depth-1)) }
	lists := func(name string) {
		o, t := g.schemas(depth)
		put(name, both{o, t})
	}
	maps := func(name string, names []string) {
		o, t := g.byName(depth, names)
		put(name, both{o, t})
	}
	switch k {
	case 0, 1, 2:
		types := allTypes
		if g.old {
			types = allTypes[:6]
		}
		if i := g.of(len(types)); g.old || g.of(3) > 0 {
			put("type", same(types[i]))
		} else {
			put("type", same(list{types[i], types[(i+1+g.of(6))%7]}))
		}
	case 3:
		values := list{}
		for range g.of(4) {
			values = append(values, g.value(1))
		}
		put("enum", same(values))
	case 4:
		if !g.old {
			put("const", same(g.value(1)))
		}
	case 5:
		put("multipleOf", same(json.Number(pick(g.choices, "1", "2", "0.5", "0.1", "3", "1e2", "0.01"))))
	case 6, 7:
		name, sharp := "minimum", "exclusiveMinimum"
		if k == 7 {
			name, sharp = "maximum", "exclusiveMaximum"
		}
		n := g.number()
		switch k := g.of(3); {
		case k == 0:
			put(name, same(n))
		case !g.old:
			put(sharp, same(n))
		default:
			put(name, same(n))
			put(sharp, same(k == 1))
		}
	case 8:
		put("minLength", same(g.count()))
	case 9:
		put("maxLength", same(g.count()))
	case 10:
		put("pattern", same(pick(g.choices, somePatterns...)))
	case 11:
		put("format", same(pick(g.choices, someFormats...)))
	case 12:
		put("minItems", same(g.count()))
	case 13:
		put("maxItems", same(g.count()))
	case 14:
		put("uniqueItems", same(g.flag()))
	case 15:
		put(pick(g.choices, "minProperties", "maxProperties"), same(g.count()))
	case 16:
		put("required", same(g.names()))
	case 17, 18, 19:
		maps("properties", someNames)
	case 20:
		inner("additionalProperties")
	case 21:
		inner("items")
	case 22:
		lists("allOf")
	case 23:
		lists("anyOf")
	case 24:
		lists("oneOf")
	case 25:
		inner("not")
	default:
		if !g.old {
			g.newer(k, depth, put, inner, lists, maps)
		}
	}
}

// newer are the keywords OpenAPI 3.0 has not.
func (g *grammar) newer(k, depth int, put func(string, both), inner, lists func(string), maps func(string, []string)) {
	switch k {
	case 26:
		maps("patternProperties", somePatterns)
	case 27:
		inner("propertyNames")
	case 28:
		inner("contains")
		if g.of(2) == 1 {
			put("minContains", same(g.count()))
		}
		if g.of(2) == 1 {
			put("maxContains", same(g.count()))
		}
	case 29:
		lists("prefixItems")
	case 30:
		put("if", same(object{"allOf": list{g.schema(depth - 1).ours}}))
		inner(pick(g.choices, "then", "else"))
	case 31:
		maps("dependentSchemas", someNames)
	case 32:
		o := object{}
		for range g.of(3) {
			o[pick(g.choices, someNames...)] = g.names()
		}
		put("dependentRequired", same(o))
	case 33:
		inner("unevaluatedProperties")
	case 34:
		inner("unevaluatedItems")
	case 35:
		if g.dynamic {
			put("$dynamicRef", same(pick(g.choices, "#n", "#m", "r1#n", "#/$defs/0", "r0#n")))
		} else {
			o := object{}
			o[pick(g.choices, someNames...)] = g.names()
			put("dependencies", same(o))
		}
	}
}

// document is a schema with what it refers to.
func (g *grammar) document() both {
	g.defs = 2
	if g.dynamic {
		g.defs = 5
	}
	top := g.schema(3)
	ours, isObject := top.ours.(object)
	theirs, _ := top.theirs.(object)
	if !isObject {
		ours, theirs = object{"allOf": list{top.ours}}, object{"allOf": list{top.theirs}}
	}
	if g.old && ours["$ref"] != nil { // its siblings would count for one of the two
		ours, theirs = object{"allOf": list{ours}}, object{"allOf": list{theirs}}
	}
	wrong := g.wrong
	g.wrong = false
	od, td := object{}, object{}
	for i := range g.defs {
		s := g.schema(2)
		if i == 0 && !g.old {
			s = same(object{"properties": object{"a": g.schema(1).ours}, "anyOf": list{g.schema(1).ours, true}})
		}
		o, isObject := s.ours.(object)
		if g.dynamic && isObject && i > 0 {
			switch i {
			case 1:
				o["$dynamicAnchor"] = "n"
			case 2:
				o["$id"], o["$dynamicAnchor"] = "http://e.test/r0", pick(g.choices, "n", "m")
				o["$defs"] = object{"x": object{"$anchor": "q"}}
			case 3:
				o["$id"], o["$dynamicAnchor"] = "http://e.test/r1", pick(g.choices, "n", "m")
				o["$defs"] = object{"x": object{"allOf": list{g.schema(1).ours}}} // an object, so that its resource is entered
			case 4:
				o["$anchor"] = "m"
			}
		}
		od[fmt.Sprint(i)], td[fmt.Sprint(i)] = s.ours, s.theirs
	}
	ours["$defs"], theirs["$defs"] = od, td
	if g.dynamic {
		ours["$id"] = "http://e.test/"
	}
	g.wrong = wrong
	if !g.old {
		return same(ours)
	}
	return both{ours, theirs}
}

func text(v any) []byte {
	b := new(bytes.Buffer)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// verdicts holds both engines against each other on one schema, and tells how many values were judged and how many of
// them followed it.
func verdicts(t *testing.T, data []byte) (judged, valid int, refused bool) {
	g := &grammar{choices: &choices{data}}
	g.old, g.dynamic, g.wrong = g.one(4), g.one(3), g.one(3)
	g.dynamic = g.dynamic && !g.old
	b := g.document()
	ours, theirs := text(b.ours), b.theirs
	their, err := jsonschema.UnmarshalJSON(bytes.NewReader(text(theirs)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	compiler.UseLoader(noLoader{})
	compiler.UseRegexpEngine(func(s string) (jsonschema.Regexp, error) {
		p, err := compilePattern(s)
		return p, err
	})
	address := "http://e.test/"
	if !g.dynamic {
		address = "urn:test"
	}
	if err := compiler.AddResource(address, their); err != nil {
		return 0, 0, true // the grammar gave two schemas one name
	}
	oracle, refusal := compiler.Compile(address)
	dialect := OpenAPI31
	if g.old {
		dialect = OpenAPI30
	}
	set, err := NewSet(ours, dialect)
	var program *Program
	if err == nil {
		program, err = set.Compile("", Options{Direction: Response, Undeclared: Ignore})
	}
	var fault *CompileError
	if errors.As(err, &fault) && strings.Contains(fault.Detail, "applies itself") {
		return 0, 0, true
	}
	if (err == nil) != (refusal == nil) {
		t.Fatalf("the schema\n%s: compiled here: %v; there: %v", ours, err, refusal)
	}
	if err != nil {
		return 0, 0, true
	}
	for range 8 {
		v := g.value(3)
		body := text(v)
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		here, there := program.Validate(body), oracle.Validate(instance)
		judged++
		if (here == nil) != (there == nil) {
			t.Fatalf("the schema\n%s\nand the value %s: judged here: %v; there: %v", ours, body, here, there)
		}
		if here == nil {
			valid++
		}
	}
	return judged, valid, false
}

type noLoader struct{}

func (noLoader) Load(string) (any, error) { return nil, errors.New("not given") }

func FuzzAgainstOracle(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 64 {
		f.Add(randomBytes(rng))
	}
	f.Fuzz(func(t *testing.T, data []byte) { verdicts(t, data) })
}

func randomBytes(rng *rand.Rand) []byte {
	data := make([]byte, 64+rng.IntN(400))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	return data
}

// TestAgainstOracle runs the same over a few thousand schemas that no fuzzer chose.
func TestAgainstOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	n, judged, valid, refused := 3000, 0, 0, 0
	if testing.Short() {
		n = 300
	}
	for range n {
		j, v, r := verdicts(t, randomBytes(rng))
		judged, valid = judged+j, valid+v
		if r {
			refused++
		}
	}
	t.Logf("%d schemas, %d of them refused by both; %d values, %d of them valid", n, refused, judged, valid)
	if refused > n/2 || valid < judged/10 || valid > judged*9/10 {
		t.Error("the grammar is lopsided")
	}
}
