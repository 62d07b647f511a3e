package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

const userDocument = `{"components":{"schemas":{
 "User":{"type":"object","required":["id","name"],"properties":{
   "id":{"type":"integer"},"name":{"type":"string"},
   "email":{"type":"string","format":"email","x-portreeve":{"class":"personal","permission":"users:read:email","owner_may":true}},
   "ssn":{"type":"string","x-portreeve":{"class":"sensitive","permission":"users:read:ssn"}},
   "salary":{"type":"number","x-portreeve":{"class":"sensitive"}},
   "phone":{"type":"string","x-portreeve":{"class":"personal","mask":"last4","unmask":"users:read:phone"}},
   "hash":{"type":"string","x-portreeve":{"class":"secret"}},
   "password":{"type":"string","writeOnly":true},
   "created":{"type":"string","readOnly":true},
   "manager":{"$ref":"#/components/schemas/User"},
   "tags":{"type":"object","additionalProperties":{"$ref":"#/components/schemas/User"}},
   "free":{"type":"object"}}},
 "List":{"type":"array","items":{"$ref":"#/components/schemas/User"}},
 "Cat":{"type":"object","required":["kind"],"properties":{"kind":{"const":"cat"},"lives":{"type":"integer"}}},
 "Dog":{"type":"object","required":["kind"],"additionalProperties":false,"properties":{"kind":{"const":"dog"},"bark":{"type":"string"}}},
 "Pet":{"oneOf":[{"$ref":"#/components/schemas/Cat"},{"$ref":"#/components/schemas/Dog"}]},
 "Both":{"allOf":[{"properties":{"a":{"type":"integer"}}},{"properties":{"b":{"type":"integer"}}}]},
 "Open":{"type":"object","properties":{"a":{}},"additionalProperties":true},
 "Create":{"type":"object","required":["username","age"],"properties":{"username":{"type":"string","minLength":3,"pattern":"^[a-zA-Z0-9]+$"},"age":{"type":"integer","minimum":18,"maximum":120},"id":{"type":"integer","readOnly":true}}}
}}}`

type seer struct {
	may  string
	owns bool
}

func (s seer) May(p string) bool { return s.may == "*" || strings.Contains(" "+s.may+" ", " "+p+" ") }
func (s seer) Owns() bool        { return s.owns }

func program(t testing.TB, name string, o Options) *Program {
	t.Helper()
	set, err := NewSet([]byte(userDocument), OpenAPI31)
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Compile("/components/schemas/"+name, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProject(t *testing.T) {
	const full = `{"id":1,"name":"Al","email":"a@b.cd","ssn":"078-05-1120","salary":1.50,"phone":"+1 555 0100","hash":"x","password":"p","internal_note":"n"}`
	for _, c := range []struct {
		name, schema string
		who          seer
		body, want   string
	}{
		{"nobody", "User", seer{}, full, `{"id":1,"name":"Al","phone":"****0100"}`},
		{"owner", "User", seer{owns: true}, full, `{"id":1,"name":"Al","email":"a@b.cd","phone":"****0100"}`},
		{"permitted", "User", seer{may: "users:read:email users:read:ssn users:read:phone"}, full, `{"id":1,"name":"Al","email":"a@b.cd","ssn":"078-05-1120","phone":"+1 555 0100"}`},
		{"secret never leaves", "User", seer{may: "*", owns: true}, `{"id":1,"name":"a","hash":"x"}`, `{"id":1,"name":"a"}`},
		{"nested", "User", seer{}, `{"id":1,"name":"a","manager":{"id":2,"name":"b","ssn":"1","x":1}}`, `{"id":1,"name":"a","manager":{"id":2,"name":"b"}}`},
		{"map", "User", seer{}, `{"id":1,"name":"a","tags":{"k":{"id":2,"name":"b","email":"a@b.cd"}}}`, `{"id":1,"name":"a","tags":{"k":{"id":2,"name":"b"}}}`},
		{"free-form", "User", seer{}, `{"id":1,"name":"a","free":{"any":[1,{"x":2}]}}`, `{"id":1,"name":"a","free":{"any":[1,{"x":2}]}}`},
		{"list", "List", seer{}, `[{"id":1,"name":"a","ssn":"s"}, {"ssn":"s","id":2,"name":"b"}]`, `[{"id":1,"name":"a"}, {"id":2,"name":"b"}]`},
		{"white space", "List", seer{}, "[ { \"ssn\":\"s\" , \"id\" : 1 , \"ssn2\" : 2 ,\n\"name\":\"a\" , \"z\":0 } ]", "[ { \"id\" : 1 ,\n\"name\":\"a\" } ]"},
		{"nothing stays", "List", seer{}, "[{\"id\":1,\"name\":\"a\",\"manager\":{\"id\":2,\"name\":\"b\",\"tags\":{ \"x\" : {\"id\":1,\"name\":\"c\"}}}}]", "[{\"id\":1,\"name\":\"a\",\"manager\":{\"id\":2,\"name\":\"b\",\"tags\":{ \"x\" : {\"id\":1,\"name\":\"c\"}}}}]"},
		{"branch", "Pet", seer{}, `{"kind":"cat","lives":9,"bark":"w"}`, `{"kind":"cat","lives":9}`},
		{"closed branch", "Pet", seer{}, `{"kind":"dog","bark":"w","lives":9}`, `{"kind":"dog","bark":"w"}`},
		{"allOf", "Both", seer{}, `{"a":1,"b":2,"c":3}`, `{"a":1,"b":2}`},
		{"opened", "Open", seer{}, `{"a":1,"c":3}`, `{"a":1,"c":3}`},
		{"spelling kept", "Open", seer{}, `{ "c" : 1.50e+1 , "a":"\u0041\/" }`, `{ "c" : 1.50e+1 , "a":"\u0041\/" }`},
		{"escaped name", "User", seer{}, `{"id":1,"name":"a","\u0073sn":"s"}`, `{"id":1,"name":"a"}`},
	} {
		p := program(t, c.schema, Options{Direction: Response, Undeclared: Drop})
		got, _, err := p.Project(nil, []byte(c.body), c.who)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s %v, want %s", c.name, got, err, c.want)
		}
	}
}

func TestProjectRefusesWhatItCannotJudge(t *testing.T) {
	p := program(t, "User", Options{Direction: Response, Undeclared: Drop})
	for _, body := range []string{``, `{"id":1,"name":"a"`, `{"id":"1","name":"a"}`, `{"id":1}`, `{"id":1,"name":"a","name":"b"}`, `{"id":1,"name":"a"} x`,
		`{"id":1,"name":"a","email":"not mail"}`, "\xef\xbb\xbf{\"id\":1,\"name\":\"a\"}", `{"id":1,"name":"\ud800"}`, strings.Repeat("[", 100)} {
		if out, _, err := p.Project(nil, []byte(body), seer{may: "*"}); err == nil {
			t.Errorf("%q passed as %q", body, out)
		}
	}
	if _, _, err := program(t, "User", Options{Direction: Response, Undeclared: Refuse}).Project(nil, []byte(`{"id":1,"name":"a","x":1}`), seer{}); err == nil {
		t.Error("an undeclared field passed under refuse")
	}
}

func TestValidateRequests(t *testing.T) {
	p := program(t, "Create", Options{Direction: Request, Undeclared: Refuse})
	for body, want := range map[string]string{
		`{"username":"alice","age":30}`:                     "",
		`{"username":"al","age":30}`:                        "/username min_length",
		`{"username":"alice\n","age":30}`:                   "/username pattern",
		`{"username":"alice","age":17}`:                     "/age minimum",
		`{"username":"alice","age":120.0}`:                  "",
		`{"username":"alice","age":120.000000000000000001}`: "/age type",
		`{"username":"alice"}`:                              "/age required",
		`{"username":"alice","age":30,"role":"admin"}`:      "/role undeclared",
		`{"username":"alice","age":30,"id":7}`:              "/id read_only",
		`{"username":"alice","age":"30"}`:                   "/age type",
		`{"username":"alice","age":30,"age":200}`:           " duplicate",
	} {
		err := p.Validate([]byte(body))
		got := ""
		var f *Failure
		if errors.As(err, &f) {
			got = f.Violations[0].Pointer + " " + f.Violations[0].Code
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}

// For random documents and bodies no byte of a value behind a permission appears for who lacks it, and granting more
// never shows less.
func TestNoPermissionNoBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		schemaText, body, perms := randomDocument(rng, 3)
		doc := `{"components":{"schemas":{"T":` + schemaText + `}}}`
		set, err := NewSet([]byte(doc), OpenAPI31)
		if err != nil {
			t.Fatal(err)
		}
		p, err := set.Compile("/components/schemas/T", Options{Direction: Response, Undeclared: Drop})
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		none, _, err := p.Project(nil, []byte(body), seer{})
		if err != nil {
			t.Fatalf("%s: %s: %v", doc, body, err)
		}
		all, _, _ := p.Project(nil, []byte(body), seer{may: "*"})
		for _, perm := range perms {
			marker := "value-behind-" + perm
			if strings.Contains(string(none), marker) {
				t.Errorf("%s shows %s without permission: %s", doc, marker, none)
			}
			if !strings.Contains(string(all), marker) {
				t.Errorf("%s hides %s from who may see all: %s", doc, marker, all)
			}
		}
		if !json.Valid(none) || len(none) > len(all) {
			t.Errorf("%s: %s and %s", body, none, all)
		}
	}
}

func randomDocument(rng *rand.Rand, depth int) (schema, body string, perms []string) {
	var props, members []string
	for i := range 1 + rng.IntN(4) {
		name := fmt.Sprintf("p%d", i)
		switch k := rng.IntN(5); {
		case k == 0 && depth > 0:
			s, b, more := randomDocument(rng, depth-1)
			perms = append(perms, more...)
			if rng.IntN(2) == 0 {
				s, b = `{"type":"array","items":`+s+`}`, "["+b+"]"
			} else if rng.IntN(2) == 0 {
				s = `{"allOf":[` + s + `]}`
			}
			props, members = append(props, fmt.Sprintf("%q:%s", name, s)), append(members, fmt.Sprintf("%q:%s", name, b))
		case k < 3:
			perm := fmt.Sprintf("s%d", rng.Uint32())
			perms = append(perms, perm)
			props = append(props, fmt.Sprintf(`%q:{"type":"string","x-portreeve":{"permission":%q}}`, name, perm))
			members = append(members, fmt.Sprintf(`%q:"value-behind-%s"`, name, perm))
		default:
			props, members = append(props, fmt.Sprintf(`%q:{"type":"integer"}`, name)), append(members, fmt.Sprintf(`%q:%d`, name, rng.IntN(100)))
		}
	}
	rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return `{"type":"object","properties":{` + strings.Join(props, ",") + `}}`, "{" + strings.Join(members, ",") + "}", perms
}

func TestOpenAPI30Dialect(t *testing.T) {
	doc := `{"components":{"schemas":{
	 "N":{"type":"string","nullable":true,"enum":["a"]},
	 "E":{"type":"number","minimum":1,"exclusiveMinimum":true,"maximum":5,"exclusiveMaximum":false},
	 "R":{"$ref":"#/components/schemas/N","nullable":false,"minLength":100},
	 "O":{"type":"object","properties":{"nullable":{"type":"boolean"},"enum":{"type":"string","nullable":true},"example":{"type":"integer","minimum":3,"exclusiveMinimum":true}}}}}}`
	set, err := NewSet([]byte(doc), OpenAPI30)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		schema, body string
		valid        bool
	}{{"N", `null`, true}, {"N", `"a"`, true}, {"N", `"b"`, false}, {"E", `1`, false}, {"E", `1.1`, true}, {"E", `5`, true}, {"E", `5.1`, false},
		{"R", `null`, true}, {"R", `"a"`, true}, {"O", `{"nullable":true,"enum":null,"example":4}`, true}, {"O", `{"example":3}`, false}} {
		p, err := set.Compile("/components/schemas/"+c.schema, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Validate([]byte(c.body)); (err == nil) != c.valid {
			t.Errorf("%s %s: %v", c.schema, c.body, err)
		}
	}
}

//threat:40 schemas with what is not known, not possible or not finished → an error at the start
func TestWhatCannotBeCompiledIsAnError(t *testing.T) {
	for _, s := range []string{`{"type":"string","pattern":"(?=a)b"}`, `{"type":"string","pattern":"(a)\\1"}`, `{"type":"strin"}`, `{"$ref":"#/components/schemas/None"}`,
		`{"$ref":"http://127.0.0.1:1/x.json"}`, `{"properties":{"a":{"x-portreeve":{"mask":"rot13"}}}}`, `{"minLength":"3"}`} {
		set, err := NewSet([]byte(`{"components":{"schemas":{"T":`+s+`}}}`), OpenAPI31)
		if err != nil {
			continue
		}
		_, err = set.Compile("/components/schemas/T", Options{})
		var ce *CompileError
		if !errors.As(err, &ce) {
			t.Errorf("%s: got %v", s, err)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		match          bool
	}{{`^\d+$`, "12", true}, {`^\d+$`, "12\n", false}, {`^\d+$`, "\u0661", false}, {`^\s$`, "\u00a0", true}, {`^\S$`, "\u00a0", false}, {`^[\s]$`, "\ufeff", true},
		{`^a\/b$`, "a/b", true}, {`^\u0041$`, "A", true}, {`^[^]$`, "x", true}, {`^\cJ$`, "\n", true}, {`^(?<year>\d{4})$`, "2026", true}, {`^[[]$`, "[", true}, {`\-`, "-", true}} {
		re, err := compilePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if re.MatchString(c.value) != c.match {
			t.Errorf("%s on %q: got %v", c.pattern, c.value, !c.match)
		}
	}
}

func TestLookup(t *testing.T) {
	body := []byte(`{"a":{"b/c":[1,"\u0041",true]},"n":12345678901234567890}`)
	for pointer, want := range map[string]string{"/a/b~1c/0": "1", "/a/b~1c/1": "A", "/n": "12345678901234567890", "/a/b~1c/2": "-", "/a": "-", "/a/b~1c/3": "-", "/a/b~1c/00": "-", "/x": "-"} {
		got := "-"
		if v, ok := Lookup(body, pointer); ok {
			if s, scalar := v.Text(); scalar {
				got = s
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", pointer, got, want)
		}
	}
	if _, ok := Lookup([]byte(`{"owner":1,"owner":2}`), "/owner"); ok {
		t.Error("found in a body that two parsers read differently")
	}
}

func TestParameters(t *testing.T) {
	doc := `{"p":{"i":{"type":"integer","minimum":1},"b":{"type":"boolean"},"s":{"type":"string","minLength":1},
	 "a":{"type":"array","items":{"type":"string"},"maxItems":3},"ai":{"type":"array","items":{"type":"integer"}},
	 "o":{"type":"object","required":["R"],"properties":{"R":{"type":"integer"},"G":{"type":"integer"}},"additionalProperties":false}}}`
	set, err := NewSet([]byte(doc), OpenAPI31)
	if err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	for _, c := range []struct {
		in, style string
		explode   *bool
		schema    string
		raw       []string
		want      string
	}{
		{"query", "", nil, "i", []string{"5"}, ""}, {"query", "", nil, "i", []string{"0"}, "minimum"}, {"query", "", nil, "i", []string{"010"}, "type"},
		{"query", "", nil, "i", []string{"%2B5"}, "type"}, {"query", "", nil, "i", []string{"1.0"}, "type"}, {"query", "", nil, "i", []string{"1", "9999"}, "duplicate"},
		{"query", "", nil, "i", []string{""}, "type"}, {"query", "", nil, "i", []string{"1e3"}, "type"},
		{"query", "", nil, "b", []string{"true"}, ""}, {"query", "", nil, "b", []string{"1"}, "type"}, {"query", "", nil, "b", []string{"TRUE"}, "type"},
		{"query", "", nil, "a", []string{"x", "y"}, ""}, {"query", "", &no, "a", []string{"x,y,z"}, ""}, {"query", "", &no, "a", []string{"a%2Cb,c,d"}, ""},
		{"query", "", &no, "a", []string{"a,b,c,d"}, "max_items"}, {"query", "spaceDelimited", &no, "a", []string{"a%20b"}, ""}, {"query", "pipeDelimited", &no, "ai", []string{"1%7C2"}, ""},
		{"query", "pipeDelimited", &no, "ai", []string{"1|x"}, "type"}, {"query", "", nil, "o", []string{"R=100", "G=2"}, ""}, {"query", "", nil, "o", []string{"G=2"}, "required"},
		{"query", "", nil, "o", []string{"R=100", "R=2"}, "duplicate"}, {"query", "deepObject", &yes, "o", []string{"x%5BR%5D=100"}, ""}, {"query", "deepObject", &yes, "o", []string{"x%5BQ%5D=1", "x%5BR%5D=1"}, "undeclared"},
		{"query", "", &no, "o", []string{"R,100,G,2"}, ""}, {"query", "", &no, "o", []string{"R,100,G"}, "style"},
		{"path", "", nil, "i", []string{"7"}, ""}, {"path", "", nil, "a", []string{"a,b"}, ""}, {"path", "label", nil, "i", []string{".7"}, ""}, {"path", "label", &yes, "ai", []string{".1.2"}, ""},
		{"path", "", nil, "o", []string{"R,1"}, ""}, {"path", "", &yes, "o", []string{"R=1,G=2"}, ""}, {"header", "", nil, "ai", []string{"1, 2"}, ""}, {"header", "", nil, "s", []string{"x"}, ""}, {"cookie", "", nil, "i", []string{"3"}, ""},
	} {
		p, err := set.CompileParameter(ParameterConfig{Name: "x", In: c.in, Style: c.style, Explode: c.explode, SchemaPointer: "/p/" + c.schema})
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		got := ""
		var f *Failure
		if errors.As(p.Check(c.raw), &f) {
			got = f.Violations[0].Code
		}
		if got != c.want {
			t.Errorf("%s %s %s %v: got %q, want %q", c.in, c.style, c.schema, c.raw, got, c.want)
		}
	}
}

func FuzzProject(f *testing.F) {
	p := program(f, "User", Options{Direction: Response, Undeclared: Drop})
	f.Add([]byte(`{"id":1,"name":"a","tags":{"x":{"id":1,"name":"b","ssn":"s"}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		out, _, err := p.Project(nil, body, seer{})
		if err != nil {
			return
		}
		if !json.Valid(out) {
			t.Fatalf("%q became %q", body, out)
		}
		again, did, err := p.Project(nil, out, seer{})
		if err == nil && (string(again) != string(out) && did.Masked == 0) {
			t.Fatalf("%q became %q became %q", body, out, again)
		}
	})
}

func BenchmarkProject(b *testing.B) {
	p := program(b, "List", Options{Direction: Response, Undeclared: Drop})
	body := []byte("[" + strings.Repeat(`{"id":1,"name":"Al","email":"a@b.cd","ssn":"078-05-1120"},`, 15) + `{"id":1,"name":"Al"}]`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := p.Project(nil, body, seer{}); err != nil {
			b.Fatal(err)
		}
	}
}
