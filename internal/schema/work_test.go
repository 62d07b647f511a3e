package schema

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// steps is how many pairs of a schema and a value were judged.
func steps(p *Program, body string, v Viewer) (n int, err error) {
	w := &walk{evaluation: p.evaluation(), viewer: v}
	err = w.body(body)
	n = w.steps
	w.release()
	return n, err
}

// However schemas meet each other again below, twice the body is about twice the work.
//
//threat:43 bodies at which schemas meet each other again and again → twice the body is twice the work
func TestWorkIsLinearInTheBody(t *testing.T) {
	const ref = `{"$ref":"#/s"}`
	nested := func(depth int, open, inner, closing string) string {
		return strings.Repeat(open, depth) + inner + strings.Repeat(closing, depth)
	}
	for _, c := range []struct {
		name, schema         string
		open, inner, closing string
	}{
		{"oneOf", `{"oneOf":[{"type":"integer"},{"required":["a"],"properties":{"a":@}},{"required":["b"],"properties":{"a":@}}]}`, `{"a":`, `1`, `}`},
		{"oneOf failing", `{"oneOf":[{"type":"integer"},{"properties":{"a":@}},{"required":["a"],"properties":{"a":@}}]}`, `{"a":`, `1`, `}`},
		{"failing inside", `{"anyOf":[{"type":"integer"},{"type":"object","properties":{"a":@}},{"required":["a"],"properties":{"a":@}}]}`, `{"a":`, `"x"`, `}`},
		{"oneOf of oneOf", `{"oneOf":[{"oneOf":[{"type":"integer"},{"type":"object","properties":{"a":@},"required":["a"]}]},{"anyOf":[{"type":"array","items":@},{"type":"object","properties":{"a":@},"required":["z"]}]}]}`, `{"a":`, `1`, `}`},
		{"allOf", `{"allOf":[{"properties":{"a":@}},{"properties":{"a":@}}]}`, `{"a":`, `1`, `}`},
		{"patterns", `{"properties":{"a":@},"patternProperties":{"^a":@,"a$":@}}`, `{"a":`, `1`, `}`},
		{"if", `{"if":{"properties":{"a":@}},"then":{"properties":{"a":@}},"else":{"properties":{"a":@}}}`, `{"a":`, `1`, `}`},
		{"not", `{"not":{"required":["z"],"properties":{"a":@}},"properties":{"a":@}}`, `{"a":`, `1`, `}`},
		{"dependentSchemas", `{"dependentSchemas":{"a":{"properties":{"a":@}}},"properties":{"a":@}}`, `{"a":`, `1`, `}`},
		{"contains", `{"items":@,"contains":@}`, `[`, `1`, `]`},
		{"contains and others", `{"contains":{"type":"array","contains":@},"unevaluatedItems":@,"minContains":0}`, `[`, `1`, `]`},
		{"unevaluated", `{"anyOf":[{"properties":{"a":@},"required":["b"]},{"properties":{"b":@}}],"unevaluatedProperties":@}`, `{"a":`, `1`, `}`},
		{"single", `{"anyOf":[{"properties":{"a":@}}]}`, `{"a":`, `1`, `}`},
		{"closed", `{"anyOf":[{"additionalProperties":false,"properties":{"a":@}},{"additionalProperties":false,"properties":{"a":@,"b":@}}]}`, `{"c":1,"a":`, `1`, `}`},
		{"unique", `{"uniqueItems":true,"items":@}`, `[`, `1`, `]`},
		{"dynamic", `{"$id":"urn:x","$dynamicAnchor":"n","anyOf":[{"type":"integer"},{"properties":{"a":{"$dynamicRef":"#n"}}},{"properties":{"a":{"$dynamicRef":"#n"},"b":{}}}]}`, `{"a":`, `1`, `}`},
	} {
		for _, undeclared := range []Undeclared{Refuse, Drop} {
			p := compileOne(t, strings.ReplaceAll(c.schema, "@", ref), Options{Direction: Response, Undeclared: undeclared})
			half, err := steps(p, nested(5, c.open, c.inner, c.closing), seer{})
			whole, again := steps(p, nested(10, c.open, c.inner, c.closing), seer{})
			if whole > 3*half || (err == nil) != (again == nil) {
				t.Errorf("%s: %d steps for 5 levels, %d for 10 (%v, %v)", c.name, half, whole, err, again)
				continue
			}
			if deep, _ := steps(p, nested(60, c.open, c.inner, c.closing), seer{}); deep > 20*half {
				t.Errorf("%s: %d steps for 5 levels, %d for 60", c.name, half, deep)
			}
		}
	}
}

// A list costs each item once, also where it fails and is told of.
func TestWorkIsLinearInTheItems(t *testing.T) {
	for _, text := range []string{`{"items":{"type":"integer"}}`, `{"items":{"anyOf":[{"type":"integer"},{"type":"boolean"}]}}`, `{"items":{"type":"boolean"}}`,
		`{"items":{"oneOf":[{"properties":{"a":{}}},{"type":"array"}]},"uniqueItems":true,"contains":{"type":"integer"},"unevaluatedItems":false}`} {
		p := compileOne(t, text, Options{Direction: Response, Undeclared: Drop})
		for _, item := range []string{`#`, `[#]`, `{"a":#}`, `"#"`} {
			body := filled(1<<16, "[", item, "]")
			if n, err := steps(p, string(body), seer{}); n > 8*len(body) {
				t.Errorf("%s by %s: %d steps for %d bytes (%v)", item, text, n, len(body), err)
			}
		}
	}
}

func failureCodes(err error) string {
	var f *Failure
	if !errors.As(err, &f) {
		return fmt.Sprint(err)
	}
	var out []string
	for _, v := range f.Violations {
		out = append(out, v.Pointer+" "+v.Code)
	}
	return strings.Join(out, ", ")
}

// A pattern with counts makes of each byte hundreds of steps: long texts are refused before, wherever the pattern stands.
//
//threat:43 long texts at patterns with counts → refused before they are matched
func TestBigPatternsOnLongTextsAreRefused(t *testing.T) {
	long := `"` + strings.Repeat("a", 1<<20) + `"`
	for _, text := range []string{`{"pattern":"[a-z]{500}x"}`, `{"not":{"pattern":"[a-z]{500}x"}}`, `{"if":{"pattern":"[a-z]{500}x"},"else":true}`,
		`{"anyOf":[{"pattern":"[a-z]{500}x"},{"type":"string"}],"oneOf":[{"pattern":"[a-z]{500}x"},{"type":"string"}]}`} {
		p := compileOne(t, text, Options{})
		if got := failureCodes(p.Validate([]byte(long))); got != " work" {
			t.Errorf("%s: got %q", text, got)
		}
	}
	if got := failureCodes(compileOne(t, `{"maxLength":1000,"pattern":"[a-z]{500}x"}`, Options{}).Validate([]byte(long))); got != " max_length" {
		t.Errorf("of a text that is too long anyhow: %q", got)
	}
	names := compileOne(t, `{"patternProperties":{"[a-z]{500}x":{}}}`, Options{})
	if got := failureCodes(names.Validate([]byte(`{` + long + `:1}`))); got != " work" {
		t.Errorf("of a name: %q", got)
	}
	for text, body := range map[string]string{`{"pattern":"[a-z]{500}x"}`: `"` + strings.Repeat("a", 600) + `x"`,
		`{"pattern":"^[A-Za-z0-9+/]*={0,2}$"}`:                                                long,
		`{"items":{"pattern":"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$","format":"uuid"}}`: string(filled(1<<20, "[", `"01234567-89ab-cdef-0123-456789abcdef"`, "]"))} {
		if err := compileOne(t, text, Options{}).Validate([]byte(body)); err != nil {
			t.Errorf("%s refuses what is honest: %v", text, err)
		}
	}
}

// A pattern of ten characters can ask for a program of megabytes: a body's patterns are read and never made.
func TestPatternsOfABodyAreNotCompiled(t *testing.T) {
	p := compileOne(t, `{"items":{"format":"regex"}}`, Options{})
	body := filled(1<<12, "[", `"((x{30}){30})y#"`, "]")
	var err error
	if got := allocated(func() { err = p.Validate(body) }); err != nil || got > 100*len(body) {
		t.Errorf("%d bytes for %d of body: %v", got, len(body), err)
	}
	if got := failureCodes(p.Validate([]byte(`["` + strings.Repeat("a", maxPattern+1) + `"]`))); got != "/0 format" {
		t.Errorf("a pattern of %d bytes: %q", maxPattern+1, got)
	}
}

// What a schema alone refuses is read to its end, as strictly as ever, and what is told of it is true.
func TestWhatIsTooMuchIsReadAndNotKept(t *testing.T) {
	const text = `{"type":"object","required":["list"],"maxProperties":3,
	 "allOf":[{"required":["z"]},{"properties":{"list":{"minItems":1,"contains":{"const":9},"items":{"minimum":0}}}}],
	 "properties":{"list":{"type":"array","maxItems":2,"items":{"type":"integer"}},"name":{"type":"string","minLength":2},"tuple":{"prefixItems":[{"type":"string"}],"items":{"type":"integer"}}},
	 "additionalProperties":{"type":"integer"}}`
	p := compileOne(t, text, Options{Undeclared: Refuse})
	for _, c := range []struct{ body, small, large string }{
		{`{"z":1,"list":[9,9],"name":"ab"}`, "<nil>", "<nil>"},
		{`[1]`, " type", " type"},
		{`[{"a":1,"a":2}]`, " duplicate", " duplicate"},
		{`[[[`, " syntax", " syntax"},
		{`[1] x`, " syntax", " syntax"},
		{`["\ud800"]`, " surrogate", " surrogate"},
		{`[1e999]`, " number", " number"},
		{`{"z":1,"list":[1,2,3,4,{"a":1,"a":1}]}`, " duplicate", " duplicate"},
		{`{"a":1,"b":2,"c":3,"d":4,"z":5,"d":[9]}`, " duplicate", " duplicate"},
		{`{"z":1,"list":[1,2,3,4,5,6,9]}`, "/list max_items", "/list max_items"},
		{`{"z":1,"list":[9,"x",3,4]}`, "/list max_items, /list/1 type", "/list max_items"},
		{`{"z":1,"list":{"a":1},"name":"a"}`, "/list type, /name min_length", "/list type"},
		{`{"z":1,"list":[9,[1]],"name":{}}`, "/list/1 type, /name type", "/list/1 type, /name type"},
		{`{"a":1,"b":2,"c":3,"d":4,"e":5,"list":[9]}`, " max_properties, /z required", " max_properties"},
		{`{"a":1,"b":[2],"c":3,"d":4,"z":5,"list":[9]}`, " max_properties, /b type", " max_properties, /b type"},
		{`{"list":[9],"a":{"b":[1,2]},"z":1}`, "/a type", "/a type"},
		{`{"list":[9],"tuple":["x",[1]],"z":1}`, "/tuple/1 type", "/tuple/1 type"},
		{`{"list":[9],"tuple":[["x"],1],"z":1}`, "/tuple/0 type", "/tuple/0 type"},
		{`{"list":[9],"z":1,"n\u0061me":["x"]}`, "/name type", "/name type"},
	} {
		for _, large := range [...]bool{false, true} {
			body, want := c.body, c.small
			if large {
				body, want = strings.Repeat(" ", smallBody)+c.body, c.large
			}
			got := strings.Split(failureCodes(p.Validate([]byte(body))), ", ")
			slices.Sort(got)
			wanted := strings.Split(want, ", ")
			slices.Sort(wanted)
			if !slices.Equal(got, wanted) {
				t.Errorf("%s (large %v): got %q, want %q", c.body, large, got, wanted)
			}
		}
	}
	var tr tree
	body := `{"z":1,"list":` + string(filled(1<<16, "[", "0", "]")) + `}`
	if err := parse(&tr, body, DefaultDepth, DefaultValues, bounds{p.root}); err != nil || tr.nodes.n > 20 {
		t.Errorf("%d nodes are kept of a list of at most 2 (%v)", tr.nodes.n, err)
	}
}

//threat:43 bodies of more values than may be → refused
func TestValuesAreBounded(t *testing.T) {
	p := compileOne(t, `{}`, Options{MaxValues: 10})
	if err := p.Validate([]byte(`[1,2,3,4,5,6,7,8,{"a":9}]`)); failureCodes(err) != " values" {
		t.Errorf("eleven values: %v", err)
	}
	if err := p.Validate([]byte(`[1,2,3,4,5,6,7,{"a":9}]`)); err != nil {
		t.Errorf("ten values: %v", err)
	}
	honest := compileOne(t, `{"type":"array","items":{"type":"object","required":["id"],"properties":{"id":{"type":"integer"},"name":{"type":"string"},"on":{"type":"boolean"}}}}`,
		Options{Direction: Response, Undeclared: Drop})
	body := []byte("[" + strings.Repeat(`{"id":123456,"name":"n","on":true},`, 99_999) + `{"id":1}]`)
	if out, _, err := honest.Project(nil, body, nil); err != nil || string(out) != string(body) {
		t.Errorf("a list of 100,000: %v", err)
	}
	numbers := compileOne(t, `{"type":"array","items":{"type":"integer"},"uniqueItems":true}`, Options{})
	if err := numbers.Validate(filled(688_000, "[", "#", "]")); err != nil {
		t.Errorf("100,000 distinct numbers: %v", err)
	}
	if err := compileOne(t, `{}`, Options{}).Validate(filled(3<<20, "[", "0", "]")); failureCodes(err) != " values" {
		t.Errorf("a million and a half: %v", err)
	}
}
