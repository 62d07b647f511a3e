package schema

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// verdict is what one engine says of a body.
type verdict struct {
	valid bool
	out   string
	did   Projection
}

func (v verdict) String() string {
	if !v.valid {
		return "invalid"
	}
	return fmt.Sprintf("%s %d dropped, %d masked, %q", v.out, v.did.Dropped, v.did.Masked, v.did.Fields)
}

func byIndex(p *Program, body []byte, v Viewer, writing bool) verdict {
	if !writing {
		w, err := p.judge(string(body), v)
		if err == nil {
			w.release()
		}
		return verdict{valid: err == nil}
	}
	out, did, err := p.projectByIndex(nil, body, v)
	return verdict{err == nil, string(out), did}
}

// byMachine tells, too, whether the machine left the body to the index.
func byMachine(p *Program, body []byte, v Viewer, writing bool) (is verdict, lost bool) {
	w, n := p.walk(nil, body, v, writing)
	if w == nil {
		return verdict{}, true
	}
	defer w.release()
	if is.valid = w.body(n); is.valid && writing {
		is.out, is.did = string(w.out), Projection{w.dropped, w.hid, w.named(&p.fieldLists)}
	}
	return is, w.lost
}

// agree runs both engines, in every way a program is run, and tells how often the machine left the body to the index.
func agree(t testing.TB, p *Program, body []byte) (valid, lost int) {
	t.Helper()
	ways := []struct {
		who     Viewer
		writing bool
	}{{nil, false}, {nobody{}, true}, {seer{may: "p q", owns: true}, true}, {seer{may: "*"}, true}}
	if p.options.Direction == Request {
		ways = ways[:2]
	}
	for _, way := range ways {
		index := byIndex(p, body, way.who, way.writing)
		machine, isLost := byMachine(p, body, way.who, way.writing)
		if index.valid {
			valid++
		}
		if isLost {
			lost++
			if machine.valid {
				t.Errorf("%+v: %q: lost, and valid", p.options, body)
			}
			continue
		}
		if machine.String() != index.String() {
			t.Errorf("%+v for %+v (writing %v): %q:\nmachine: %v\nindex:   %v", p.options, way.who, way.writing, body, machine, index)
		}
	}
	return valid, lost
}

// The suite's tests have the same verdict from both engines, and few are left to the index.
func TestMachineAgreesOnTheSuite(t *testing.T) {
	ran, left := 0, 0
	for file, groups := range suite(t, "json-schema/tests/draft2020-12") {
		for _, g := range groups {
			for _, o := range []Options{{Undeclared: Ignore}, {Undeclared: Refuse}, {Direction: Response, Undeclared: Drop}} {
				p, err := g.compile(t, OpenAPI31, file == "format", o)
				if err != nil {
					continue // TestJSONSchemaSuite tells
				}
				for _, tc := range g.Tests {
					ran++
					if _, lost := agree(t, p, tc.Data); lost > 0 {
						left++
						if !strings.Contains(file+string(g.Schema), "ynamic") && !strings.Contains(string(g.Schema), "json-schema.org/draft/2020-12/schema") {
							t.Errorf("%s: %s: left to the index", file, g.Description)
						}
					}
				}
			}
		}
	}
	t.Logf("%d bodies judged by both, %d left to the index", ran, left)
	if ran < 3000 || left > ran/10 {
		t.Errorf("%d ran, %d were left to the index", ran, left)
	}
}

// grammar makes random schemas, and bodies that have a chance to follow them.
type schemaMaker struct {
	*rand.Rand
	dialect Dialect
}

func (g schemaMaker) one(list ...string) string { return list[g.IntN(len(list))] }

var memberNames = []string{"a", "b", "ab", "c", "aé", `q\"`}

// keywords is one random keyword or a few that go together.
func (g schemaMaker) keywords(depth int) string {
	sub := func() string { return g.schema(depth - 1) }
	name := func() string { return g.one(memberNames...) }
	number := func() string { return g.one("0", "1", "2", "2.5", "-1", "1e1", "10.00", "0.3") }
	if depth <= 0 || g.IntN(3) == 0 {
		switch g.IntN(13) {
		case 0, 1, 2:
			return `"type":"` + g.one("object", "array", "string", "integer", "number", "boolean", "object", "array") + `"`
		case 3:
			return fmt.Sprintf(`"required":["%s"]`, name())
		case 4:
			return `"minimum":` + number()
		case 5:
			return `"maximum":` + number()
		case 6:
			return `"multipleOf":` + g.one("1", "2", "0.1", "0.25", "3e1")
		case 7:
			return fmt.Sprintf(`"minLength":%d,"maxLength":%d`, g.IntN(3), 1+g.IntN(4))
		case 8:
			return `"pattern":"` + g.one("^a", "^[a-c]+$", "é", `^\\d{1,3}$`, "^a?b?$", "x") + `"`
		case 9:
			return `"enum":[` + g.one(`"a","b"`, `1,2.0`, `null,"a"`, `true,false`, `{"a":1},"b"`, `0,"é"`) + `]`
		case 10:
			return fmt.Sprintf(`"minProperties":%d,"maxProperties":%d`, g.IntN(2), 1+g.IntN(3))
		case 11:
			return `"format":"` + g.one("int32", "date", "date-time", "uuid", "email", "ipv4", "uri") + `"`
		}
		return g.one(`"uniqueItems":true`, `"minItems":1`, `"maxItems":2`, `"readOnly":true`, `"writeOnly":true`)
	}
	k := g.IntN(24)
	if g.dialect == OpenAPI30 {
		k = g.IntN(13)
	}
	switch k {
	case 0, 1, 2, 3:
		var list []string
		for range 1 + g.IntN(3) {
			if n := `"` + name() + `":`; !slices.ContainsFunc(list, func(s string) bool { return strings.HasPrefix(s, n) }) {
				list = append(list, n+sub())
			}
		}
		return `"properties":{` + strings.Join(list, ",") + `}`
	case 4:
		return `"additionalProperties":` + g.one("false", "false", "true", sub())
	case 5, 6:
		return `"items":` + sub()
	case 7:
		return `"allOf":[` + sub() + `,` + sub() + `]`
	case 8:
		return `"anyOf":[` + sub() + `,` + sub() + `]`
	case 9:
		return `"oneOf":[` + sub() + `,` + sub() + `,` + sub() + `]`
	case 10:
		return `"not":` + sub()
	case 11, 12:
		rule := g.one(`"permission":"p"`, `"permission":"r","owner_may":true`, `"class":"secret"`, `"class":"sensitive"`, `"mask":"last4","unmask":"q"`, `"mask":"email"`, `"mask":"full"`, `"class":"public"`)
		return `"x-portreeve":{` + rule + `}`
	case 13:
		return `"patternProperties":{"` + g.one("^a", "b$", ".") + `":` + sub() + `}`
	case 14:
		return `"unevaluatedProperties":` + g.one("false", sub())
	case 15:
		return `"unevaluatedItems":` + g.one("false", sub())
	case 16:
		return `"prefixItems":[` + sub() + `]`
	case 17:
		return `"contains":` + sub() + g.one("", `,"minContains":0`, `,"maxContains":1`)
	case 18:
		return `"propertyNames":` + sub()
	case 19:
		return fmt.Sprintf(`"dependentSchemas":{"%s":%s}`, name(), sub())
	case 20:
		return fmt.Sprintf(`"dependentRequired":{"%s":["%s"]}`, name(), name())
	case 21:
		return `"if":` + sub() + `,"then":` + sub() + g.one("", `,"else":`+sub())
	case 22:
		return `"const":` + g.one(`"a"`, `1`, `null`, `[1]`, `true`)
	}
	return `"exclusiveMinimum":` + number()
}

func (g schemaMaker) schema(depth int) string {
	switch g.IntN(16) {
	case 0:
		return `{"$ref":"#/s"}`
	case 1:
		return `{"$ref":"#/t"}`
	case 2:
		if g.dialect == OpenAPI31 {
			return g.one("true", "false", "{}")
		}
	}
	var list []string
	for range 1 + g.IntN(3) {
		k := g.keywords(depth)
		if !slices.ContainsFunc(list, func(s string) bool { return strings.SplitN(s, ":", 2)[0] == strings.SplitN(k, ":", 2)[0] }) {
			list = append(list, k)
		}
	}
	if g.dialect == OpenAPI30 && g.IntN(4) == 0 {
		list = append(list, `"nullable":true`)
	}
	return "{" + strings.Join(list, ",") + "}"
}

// body makes a value; now and then it is no strict JSON.
func (g schemaMaker) body(depth int) string {
	space := func() string { return g.one("", "", "", " ", "\n\t") }
	if depth > 0 && g.IntN(3) > 0 {
		open, closing := "{", "}"
		isArray := g.IntN(3) == 0
		if isArray {
			open, closing = "[", "]"
		}
		var list []string
		for range g.IntN(4) {
			member := space()
			if !isArray {
				member += `"` + g.one(g.one(memberNames...), g.one(memberNames...), "z", "y", `\u0061`, `\u007a`) + `"` + space() + ":" + space()
			}
			list = append(list, member+g.body(depth-1)+space())
		}
		if len(list) == 0 {
			list = append(list, space())
		}
		return open + strings.Join(list, ",") + closing
	}
	return g.one(`"a"`, `"b"`, `"ab"`, `"\u0061"`, `"é"`, `"12"`, `"2026-01-02"`, `"2026-02-29"`, `"2026-01-02T03:04:05.6Z"`, `"a@b.cd"`, `"4111111111111111"`,
		`"01234567-89ab-cdef-0123-456789abcdef"`, `"10.0.0.1"`, `"https://a.bc/d?e"`, `""`, `0`, `1`, `2`, `-0`, `2.50`, `1.0`, `1e1`, `10`, `0.3`, `-1.5`, `30`, `1234567890123456789012`, `null`, `null`, `true`, `false`,
		g.one(`01`, `"\ud800"`, `nul`, `1.`, "\"\x01\"", "\"\xff\"", `1e999`, `[`, `{"a":1 "b":2}`, `"\x"`, `2`, `3`, `4`, `"\n\\"`))
}

// compiled is a random schema as programs, none where it cannot be compiled.
func (g schemaMaker) compiled() (text string, out []*Program) {
	text = fmt.Sprintf(`{"s":%s,"t":%s}`, g.schema(3), g.schema(2))
	set, err := NewSet([]byte(text), g.dialect)
	if err != nil {
		return text, nil
	}
	for _, o := range []Options{{Undeclared: Refuse}, {Undeclared: Drop}, {Direction: Response, Undeclared: Refuse}, {Direction: Response, Undeclared: Drop}, {Direction: Response, Undeclared: Ignore}} {
		p, err := set.Compile("/s", o)
		if err != nil {
			return text, nil
		}
		out = append(out, p)
	}
	return text, out
}

// machineAgainstIndex runs one random schema over some bodies.
func machineAgainstIndex(t testing.TB, seed uint64, given []byte) (ran, valid, lost int) {
	g := schemaMaker{rand.New(rand.NewPCG(seed, 1)), OpenAPI31}
	if seed%4 == 0 {
		g.dialect = OpenAPI30
	}
	text, programs := g.compiled()
	if len(programs) == 0 {
		return 0, 0, 0
	}
	bodies := []string{string(given)}
	for range 24 {
		body := g.body(3)
		bodies = append(bodies, body)
		if at := g.IntN(len(body)); g.IntN(4) == 0 {
			bodies = append(bodies, body[:at], body[:at]+g.one(" ", ",", "}", "]", `"`, "0", "\\", "\xc3")+body[at:], body[:at]+body[at+1:])
		}
	}
	for _, p := range programs {
		for _, body := range bodies {
			v, l := agree(t, p, []byte(body))
			ran, valid, lost = ran+1, valid+min(v, 1), lost+min(l, 1)
			if t.Failed() {
				t.Fatalf("seed %d: %s", seed, text)
			}
		}
	}
	return ran, valid, lost
}

// The machine says yes to what the index says yes to, and writes the same.
func TestMachineAgreesWithTheIndex(t *testing.T) {
	ran, valid, lost := 0, 0, 0
	for seed := range uint64(400) {
		r, v, l := machineAgainstIndex(t, seed, []byte(`{"a":[{"b":"x"}],"c":{}}`))
		ran, valid, lost = ran+r, valid+v, lost+l
	}
	t.Logf("%d bodies judged by both engines: %d valid, %d left to the index", ran, valid, lost)
	if ran < 10_000 || valid < ran/10 || lost > ran/20 {
		t.Errorf("%d ran, %d were valid, %d were left to the index", ran, valid, lost)
	}
}

func FuzzMachine(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, []byte(`{"a":1,"b":[2,{"c":"x"}]}`))
	}
	f.Fuzz(func(t *testing.T, seed uint64, body []byte) {
		if len(body) <= 1<<12 {
			machineAgainstIndex(t, seed, body)
		}
	})
}

// A valid body takes no memory, whatever its length.
func TestMachineAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates by itself")
	}
	for _, name := range []string{"List", "Pets"} {
		set, err := NewSet([]byte(strings.Replace(userDocument, `"List":`, `"Pets":{"type":"array","items":{"$ref":"#/components/schemas/Pet"}},"List":`, 1)), OpenAPI31)
		if err != nil {
			t.Fatal(err)
		}
		p, err := set.Compile("/components/schemas/"+name, Options{Direction: Response, Undeclared: Drop})
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{1 << 10, 50 << 10} {
			body := benchBody(size)
			if name == "Pets" {
				body = benchPets(size)
			}
			dst := make([]byte, 0, len(body))
			if n := testing.AllocsPerRun(100, func() {
				if err := p.Validate(body); err != nil {
					t.Fatal(err)
				}
			}); n >= 1 {
				t.Errorf("validating %d bytes of %s: %v allocations", len(body), name, n)
			}
			if n := testing.AllocsPerRun(100, func() {
				if _, _, err := p.Project(dst, body, nobody{}); err != nil {
					t.Fatal(err)
				}
			}); n >= 1 {
				t.Errorf("projecting %d bytes of %s: %v allocations", len(body), name, n)
			}
		}
	}
}

// A list of 100,000 items is projected in the memory of what is written.
func TestMachineTakesALongListInNoMemory(t *testing.T) {
	p := program(t, "List", Options{Direction: Response, Undeclared: Drop})
	item := `{"id":123456,"name":"n","ssn":"078-05-1120","more":[1,2,{"x":"y"}]}`
	body := []byte("[" + strings.Repeat(item+",", 99_999) + item + "]")
	dst := make([]byte, 0, len(body))
	var out []byte
	var did Projection
	var err error
	got := allocated(func() { out, did, err = p.Project(dst, body, nobody{}) })
	want := "[" + strings.Repeat(`{"id":123456,"name":"n"},`, 99_999) + `{"id":123456,"name":"n"}]`
	if err != nil || string(out) != want || did.Dropped != 200_000 || !slices.Equal(did.Fields, []string{"/*/ssn", "/*/*"}) {
		t.Fatalf("%d bytes, %+v, %v", len(out), did, err)
	}
	if got > 256<<10 {
		t.Errorf("%d bytes for a body of %d", got, len(body))
	}
}

// Many goroutines make one machine.
func TestMachineIsShared(t *testing.T) {
	body := []byte(`[{"kind":"cat","lives":9,"x":1},{"kind":"dog","bark":"w","x":{"kind":"cat"}}]`)
	for range 20 {
		set, err := NewSet([]byte(strings.Replace(userDocument, `"List":`, `"Pets":{"type":"array","items":{"$ref":"#/components/schemas/Pet"}},"List":`, 1)), OpenAPI31)
		if err != nil {
			t.Fatal(err)
		}
		p, err := set.Compile("/components/schemas/Pets", Options{Direction: Response, Undeclared: Drop})
		if err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				is, lost := byMachine(p, body, nobody{}, true)
				if lost || is.out != `[{"kind":"cat","lives":9},{"kind":"dog","bark":"w"}]` || !slices.Equal(is.did.Fields, []string{"/*/*"}) {
					t.Errorf("%v, lost %v", is, lost)
				}
			})
		}
		wait.Wait()
	}
}

// What is told quickly is told rightly: a quick format or sequence says what the exact one does.
func TestQuickChecksAreExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	texts := []string{"", "2026-02-28T23:59:59.120Z", "2026-02-29", "2026-12-28", "01234567-89ab-cdef-0123-456789abcdef", "a.b+c@d-e.fg", "xn--a.b", "a-b.c", "10.0.0.255",
		"https://a.bc/d?e=f", "http://a", "abc-123", "ABC-1234", "+4930123456", "QUJD=="}
	change := func(s string) string {
		b := []byte(s)
		for range rng.IntN(3) {
			at := rng.IntN(len(b) + 1)
			switch c := "-.:@/0129aAfgzZTt+=% ?#[]_é"[rng.IntN(27)]; {
			case rng.IntN(2) == 0:
				b = slices.Insert(b, at, c)
			case at < len(b):
				b[at] = c
			}
		}
		return strings.ToValidUTF8(string(b), "é")
	}
	patterns, sequences := map[string]pattern{}, map[string]*sequence{}
	for _, source := range []string{`^[A-Z]{3}-[0-9]{4}$`, `^\+[0-9]{7,15}$`, `^[A-Za-z0-9+/]*={0,2}$`, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, `^[^0-9]+1?`, `^a?b?[^a-z]{2}$`, `^[\w.]+@`, `^$`, `^(ab)c*$`} {
		if sequences[source] = sequenceOf(source); sequences[source] == nil {
			t.Fatalf("%s is no sequence", source)
		}
		re2, err := translatePattern(source)
		if err != nil {
			t.Fatal(err)
		}
		patterns[source] = pattern{source: source, matcher: regexp.MustCompile(re2)}
	}
	accepted := map[string]int{}
	for range 20_000 {
		s := change(texts[rng.IntN(len(texts))])
		for name, quick := range quickFormats {
			if quick([]byte(s)) {
				accepted[name]++
				if !formats[name].text(s) {
					t.Fatalf("%q is a quick %s, and none", s, name)
				}
			}
		}
		for source, p := range patterns {
			if got, want := sequences[source].match([]byte(s)), p.MatchString(s); got != want {
				t.Fatalf("%s on %q: %v, and %v", source, s, got, want)
			}
		}
	}
	for name := range quickFormats {
		if accepted[name] < 100 {
			t.Errorf("only %d of %s were accepted", accepted[name], name)
		}
	}
}
