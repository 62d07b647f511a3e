package schema

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// filled repeats a text up to so many bytes; # is the count.
func filled(size int, open, unit, closing string) []byte {
	var b strings.Builder
	b.Grow(size + len(unit))
	b.WriteString(open)
	for i := 0; b.Len() < size-len(closing)-len(unit)-8; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strings.ReplaceAll(unit, "#", strconv.Itoa(i)))
	}
	b.WriteString(closing)
	return []byte(b.String())
}

// allocated is how much memory a first use takes: what pools keep for a next one is thrown away before.
func allocated(f func()) int {
	runtime.GC()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

func compileOne(t testing.TB, text string, o Options) *Program {
	t.Helper()
	set, err := NewSet([]byte(`{"s":`+text+`}`), OpenAPI31)
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Compile("/s", o)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

// What a caller sends costs memory in proportion to its bytes, whatever the schema.
func TestMemoryIsWithinWhatIsCharged(t *testing.T) {
	const size = 1 << 18
	bodies := map[string][]byte{
		"lists":        filled(size, "[", "[0]", "]"),
		"empty lists":  filled(size, "[", "[]", "]"),
		"numbers":      filled(size, "[", "0", "]"),
		"fractions":    filled(size, "[", "0.1", "]"),
		"exponents":    filled(size, "[", "1e308", "]"),
		"distinct":     filled(size, "[", "#", "]"),
		"in a member":  filled(size, `{"list":[`, "0", "]}"),
		"objects":      filled(size, "[", `{"":0}`, "]"),
		"names":        filled(size, "{", `"#":0`, "}"),
		"escapes":      filled(size, "[", `"\n"`, "]"),
		"escaped":      filled(size, "{", `"\n#":"\n"`, "}"),
		"long escaped": []byte(`"` + strings.Repeat(`\n`, size/2) + `"`),
		"long":         []byte(`"` + strings.Repeat(`a`, size) + `"`),
		"deep":         filled(size, "[", strings.Repeat("[", 60)+strings.Repeat("]", 60), "]"),
		"twice":        []byte("[" + string(filled(size/2, "[", "0", "]")) + "," + string(filled(size/2, "[", "0", "]")) + "]"),
	}
	slack := 1
	if raceEnabled { // whose pools forget at random, and whose smallest allocation is 16 bytes
		slack = 2
	}
	for _, text := range []string{
		`{}`,
		`{"type":"object"}`,
		`{"type":"array","maxItems":10}`,
		`{"type":"object","maxProperties":10,"properties":{"list":{"type":"array","maxItems":10}}}`,
		`{"items":{"type":"integer","minimum":0,"maximum":10,"multipleOf":3}}`,
		`{"items":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"integer"}},{"type":"object"}]}}`,
		`{"items":{"anyOf":[{"items":{"type":"integer"}},{"properties":{"":{"type":"integer"}}},{"type":"integer"}]}}`,
		`{"items":{"oneOf":[{"type":"string"},{"items":{"type":"integer"}},{"items":{"type":"boolean"}}]}}`,
		`{"uniqueItems":true}`,
		`{"enum":["a",[1,2]],"type":["array","object","string"]}`,
		`{"items":{"enum":[0,1,2]},"const":7}`,
		`{"additionalProperties":{"type":"integer"},"propertyNames":{"minLength":1,"pattern":"^[^x]"}}`,
		`{"patternProperties":{"^1":{"type":"integer"}},"unevaluatedProperties":{"type":"integer"},"unevaluatedItems":{"type":"integer"}}`,
		`{"properties":{"a":{}},"minLength":3,"pattern":"^a"}`,
		`{"items":{"properties":{"a":{}}},"contains":{"type":"integer"}}`,
		`{"$id":"urn:x","$dynamicAnchor":"n","anyOf":[{"type":"integer"},{"items":{"$dynamicRef":"#n"}}]}`,
		`{"type":"array","items":{"type":"string","x-portreeve":{"permission":"p"}}}`,
	} {
		p := compileOne(t, text, Options{Direction: Response, Undeclared: Drop})
		for name, body := range bodies {
			var err error
			got := allocated(func() { err = p.Validate(body) })
			if got > slack*(8*len(body)+32<<10) {
				t.Errorf("validating %s by %s: %.1f times the body (%v)", name, text, float64(got)/float64(len(body)), err)
			}
			got = allocated(func() { _, _, err = p.Project(nil, body, seer{}) })
			if got > slack*Memory(len(body)) {
				t.Errorf("projecting %s by %s: %.1f times the body (%v)", name, text, float64(got)/float64(len(body)), err)
			}
		}
	}
	for name, body := range bodies {
		if got := allocated(func() { _ = Strict(body) }); got > Memory(len(body)) {
			t.Errorf("strict reading of %s: %.1f times the body", name, float64(got)/float64(len(body)))
		}
	}
}
