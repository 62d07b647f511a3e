package schema

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
)

func form(t testing.TB, text string, undeclared Undeclared, fields ...Field) *Form {
	t.Helper()
	set, err := NewSet([]byte(`{"s":`+text+`}`), OpenAPI31)
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Compile("/s", Options{Direction: Request, Undeclared: undeclared})
	if err != nil {
		t.Fatal(err)
	}
	f, err := p.Form(fields...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func codeOf(err error) string {
	var f *Failure
	if errors.As(err, &f) {
		return f.Violations[0].Pointer + " " + f.Violations[0].Code
	}
	return ""
}

func TestForm(t *testing.T) {
	const schema = `{"type":"object","required":["n"],"properties":{"n":{"type":"integer"},"b":{"type":"boolean"},"s":{"type":"string"},
	 "list":{"type":"array","items":{"type":"integer"},"maxItems":2},"o":{"type":"object","required":["x"],"properties":{"x":{"type":"integer"}}}}}`
	f := form(t, schema, Refuse)
	for body, want := range map[string]string{
		"n=1": "", "n=1&b=true&s=a+b%26&list=1&list=2": "", "n=1&o=%7B%22x%22%3A1%7D": "", "%6e=1": "",
		"": "/n required", "n=01": "/n type", "n=1&n=2": "/n duplicate", "n=1&%6e=2": "/n duplicate", "n=1&b=1": "/b type", "n=1&list=1&list=2&list=3": "/list max_items",
		"n=1&x=1": "/x undeclared", "n=1&N=2": "/N undeclared", "n=1&o=x": "/o syntax", "n=1&o=%7B%7D": "/o/x required", "n=1&o=%7B%22x%22%3A1%7D&o=%7B%22x%22%3A1%7D": "/o duplicate",
		"n=1;b=true": " separator", "n=1&": " separator", "n=1&&b=true": " separator", "n=%zz": "/n escape", "n=1&s=%ff": "/s utf8",
		strings.Repeat("s=1&", maxFormFields) + "n=1": " max_properties",
	} {
		if got := codeOf(f.Validate([]byte(body))); got != want {
			t.Errorf("%.60s: got %q, want %q", body, got, want)
		}
	}
}

func TestFormStyles(t *testing.T) {
	no := false
	f := form(t, `{"type":"object","properties":{"a":{"type":"array","items":{"type":"string"}},"o":{"type":"object","properties":{"x":{"type":"integer"}}},"l":{"type":"array","items":{"type":"integer"}}}}`, Refuse,
		Field{Name: "a", Style: "deepObject"}, Field{Name: "o", Style: "deepObject"}, Field{Name: "l", Style: "pipeDelimited", Explode: &no})
	for body, want := range map[string]string{
		"o[x]=1&l=1|2": "", "o%5Bx%5D=1": "", "o[x]=y": "/o/x type", "o[y]=1": "/o/y undeclared", "o=1": "/o undeclared", "o=%7B%22x%22:1%7D": "/o undeclared", "l=1,2": "/l/0 type", "o[x]=1&o[x]=2": "/o/x duplicate",
		"a=1": "/a style", "a[]=1": "/a style", "a[0]=1": "/a style",
	} {
		if got := codeOf(f.Validate([]byte(body))); got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}

func TestFormBytes(t *testing.T) {
	f := form(t, `{"type":"object","required":["f"],"properties":{"f":{"type":"string","minLength":2},"fs":{"type":"array","maxItems":1,"items":{}}}}`, Refuse,
		Field{Name: "f", Kind: Bytes, Bytes: Length{2, 4}}, Field{Name: "fs", Kind: Bytes, Bytes: Length{0, -1}})
	for _, c := range []struct {
		pieces []Piece
		want   string
	}{
		{[]Piece{{"f", "\xff\x00%"}}, ""},
		{[]Piece{{"f", "1"}}, "/f min_length"},
		{[]Piece{{"f", "12345"}}, "/f max_length"},
		{[]Piece{{"fs", ""}}, "/f required"},
		{[]Piece{{"f", "12"}, {"f", "12"}}, "/f duplicate"},
		{[]Piece{{"f", "12"}, {"fs", "\xff"}}, ""},
		{[]Piece{{"f", "12"}, {"fs", "\xff"}, {"fs", ""}}, "/fs max_items"},
		{[]Piece{{"f", "12"}, {"g", ""}}, "/g undeclared"},
	} {
		if _, err := f.Judge(c.pieces); codeOf(err) != c.want {
			t.Errorf("%q: got %v, want %q", c.pieces, err, c.want)
		}
	}
}

// FuzzForm: the fields of a form that is accepted are those that Go's parser of queries finds in it.
func FuzzForm(f *testing.F) {
	free := form(f, `{"type":"object"}`, Refuse)
	for _, s := range []string{"a=1&b=2", "a", "a=%41+b", "a;b=1", "%61=1&a=2", "a==&b", "&", "a=\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if free.Validate([]byte(body)) != nil {
			return
		}
		values, err := url.ParseQuery(body)
		if err != nil {
			t.Fatalf("%q is accepted, and elsewhere %v", body, err)
		}
		pairs, err := splitForm(body)
		if err != nil || len(values) != len(pairs) {
			t.Fatalf("%q: %d fields, elsewhere %d", body, len(pairs), len(values))
		}
		g := newFields(decoder{plus: true}, free.shape)
		for _, p := range pairs {
			if _, err := g.put(p.Name, p.Value); err != nil {
				t.Fatal(err)
			}
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(g.json()), &got); err != nil {
			t.Fatal(err)
		}
		for name, v := range values {
			if len(v) != 1 || got[name] != v[0] {
				t.Fatalf("%q: %q is %q, elsewhere %q", body, name, got[name], v)
			}
		}
	})
}
