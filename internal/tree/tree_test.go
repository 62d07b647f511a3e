package tree

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/vectors"
)

func TestOneTreeForYAMLAndJSON(t *testing.T) {
	y, err := Parse("a.yaml", []byte("a: 1\nb: [x, \"2\", true, null]\nc: {200: yes}\nd: 2024-01-01\ne: 0x10\n"))
	if err != nil {
		t.Fatal(err)
	}
	j, err := Parse("a.json", []byte(`{"a":1,"b":["x","2",true,null],"c":{"200":"yes"},"d":"2024-01-01","e":16}`))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := string(y.AppendJSON(nil)), string(j.AppendJSON(nil)); a != b {
		t.Errorf("%s\n%s", a, b)
	}
	if at := y.Get("c").Members[0].At; at.Line != 3 {
		t.Errorf("position %v", at)
	}
}

func TestHostileFiles(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "*" + string(c-1) + "]\n"
	}
	for name, c := range map[string]struct {
		text, want string
		line       int
	}{
		"duplicate in JSON":   {"{\"a\":1,\n\"a\":2}", `"a" stands twice`, 2},
		"escaped duplicate":   {"{\"a\":1,\"\\u0061\":2}", `stands twice`, 1},
		"duplicate in YAML":   {"a: 1\nb: 2\na: 3\n", `"a" stands twice`, 3},
		"alias bomb":          {bomb, "too large", 0},
		"merge key":           {"a: &x {b: 1}\nc:\n  <<: *x\n", "merge keys", 3},
		"tab":                 {"a:\n\tb: 1\n", "not valid YAML", 2},
		"BOM":                 {"\xef\xbb\xbfa: 1", "byte order mark", 1},
		"not UTF-8":           {"a: \xff", "not UTF-8", 1},
		"empty":               {"  \n", "empty", 1},
		"second document":     {"a: 1\n---\nb: 2\n", "second YAML document", 2},
		"octal":               {"a: 010\n", "read differently", 1},
		"infinite":            {"a: .inf\n", "read differently", 1},
		"custom tag":          {"a: !!python/object x\n", "tag", 1},
		"trailing JSON":       {"{} {}", "follows", 1},
		"broken JSON":         {"{\"a\":\n}", "not valid JSON", 2},
		"deep":                {strings.Repeat("[", 300) + strings.Repeat("]", 300), "too deeply", 1},
		"a list for a name":   {"? [a]\n: 1\n", "must be a string", 1},
		"bad UTF-8 by escape": {`{"a":"\ud800"}`, "not valid JSON", 1},
	} {
		_, err := Parse("f", []byte(c.text))
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(e.Problem, c.want) || c.line > 0 && e.At.Line != c.line {
			t.Errorf("%s: got %v, want %q on line %d", name, err, c.want, c.line)
		}
	}
}

func TestBoxRoundTrips(t *testing.T) {
	b, err := os.ReadFile(vectors.Path(t, "documents/box.json"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := Parse("box.json", b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("again", n.AppendJSON(nil))
	if err != nil || string(again.AppendJSON(nil)) != string(n.AppendJSON(nil)) {
		t.Error("the tree does not survive its own JSON", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("a: 1\nb: [x, 2]\n"))
	f.Add([]byte(`{"a":[1,{"b":null}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := Parse("f", b)
		if err != nil || n.Kind != Object {
			return
		}
		again, err := Parse("again", n.AppendJSON(nil))
		if err != nil {
			t.Fatalf("%q became %q: %v", b, n.AppendJSON(nil), err)
		}
		if string(again.AppendJSON(nil)) != string(n.AppendJSON(nil)) {
			t.Fatalf("%q is not stable", b)
		}
	})
}
