package spec

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/tree"
)

// TestBounds holds that a document made to cost time or memory ends in one error with its line, within both.
func TestBounds(t *testing.T) {
	const head31 = `{"openapi":"3.1.0","info":{"title":"T","version":"1"},"paths":{},"components":{"schemas":{`
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "*" + string(c-1) + "]\n"
	}
	ten := func(name string, n int) string {
		return `"` + name + `":{"allOf":[` + strings.TrimSuffix(strings.Repeat(`{"$ref":"#/components/schemas/S`+itoa(n)+`"},`, 10), ",") + "]}"
	}
	var tower strings.Builder // S0 has ten of S1, which has ten of S2: 10^9 by name, 90 references in the file
	for i := range 9 {
		tower.WriteString(ten("S"+itoa(i), i+1) + ",\n")
	}
	var chain strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&chain, `"S%d":{"$ref":"#/components/schemas/S%d"},`, i, i+1)
	}
	for name, c := range map[string]struct {
		text, want string // "" loads: the references are as many as were written
	}{
		"10 MB of [":         {strings.Repeat("[", 10<<20), "nested too deeply"},
		"10 MB of {":         {strings.Repeat(`{"a":`, 2<<20), "nested too deeply"},
		"10 MB of [ as YAML": {"a: " + strings.Repeat("[", 10<<20), "not valid YAML"},
		"alias bomb":         {bomb, "too large"},
		"2 million values":   {`{"a":[` + strings.Repeat("0,", 2<<20) + "0]}", "more than"},
		"2 million names":    {`{"a":[` + strings.Repeat(`{"":0},`, 1<<20) + "0]}", "more than"},
		"40 MB":              {`{"a":"` + strings.Repeat("x", 40<<20) + `"}`, "larger than 32 MiB"},
		"allOf in circles":   {head31 + ten("S1", 2) + ",\n" + ten("S2", 1) + "}}}", "in a circle"},
		"a billion allOf":    {head31 + tower.String() + `"S9":{"type":"string"}}}}`, ""},
		"half a document":    {`{"openapi":"3.1.0",` + "\n" + `"info":{"title":"T"`, "not valid JSON"},
		"a second document":  {"a: 1\n---\nb: 1\n", "a second YAML document"},
		"and half of one":    {"a: 1\n---\nb: [\n", "not valid YAML"},
		"a long chain":       {head31 + chain.String() + `"S50000":{"type":"string"}}}}`, ""},
		"NUL":                {"openapi: \x00", "not valid YAML"},
	} {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse("f", []byte(c.text))
		runtime.ReadMemStats(&after)
		var e *tree.Error
		switch {
		case c.want == "":
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &e) || e.At.Line == 0:
			t.Errorf("%s: got %v, want %q with its line", name, err, c.want)
		}
		// All that was ever allocated, so that no moment needs to be caught: it bounds what was held.
		if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 1024 {
			t.Errorf("%s: %d MB were allocated", name, mb)
		} else {
			t.Logf("%-20s %4d MB allocated in all", name, mb)
		}
	}
}

// FuzzFiles: whatever two files say, reading them ends in a document with local references alone, or in errors that have
// a file.
func FuzzFiles(f *testing.F) {
	f.Add([]byte(apart["api/openapi.yaml"]), []byte(apart["api/paths/a.yaml"]))
	f.Add([]byte("openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths: {/a: {$ref: b.yaml}}\n"), []byte("get: {responses: {default: {$ref: 'a.yaml#/x'}}}\n"))
	f.Add([]byte("openapi: 3.2.0\ninfo: {title: T, version: '1'}\npaths: {/a: {get: {$ref: 'b.yaml#/get'}}}\ncomponents: {schemas: {A: {$ref: b.yaml}}}\n"), []byte("get: {responses: {default: {description: d, content: {a/b: {schema: {$ref: '#'}}}}}}\n"))
	f.Add([]byte(fmt.Sprintf(head, "3.1.0")+"  /a: {$ref: 'b.yaml#/%61~0~1'}\n"), []byte("a~/: {$ref: b.yaml}\n"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		dir := folder(t, map[string]string{"a.yaml": string(a), "b.yaml": string(b)})
		d, err := Load(filepath.Join(dir, "a.yaml"))
		if err != nil {
			var e *tree.Error
			if !errors.As(err, &e) || !strings.HasPrefix(e.At.File, dir) || e.At.Line == 0 {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		again, err := Parse("again.json", d.JSON)
		if err != nil {
			t.Fatalf("the effective document is not whole: %v\n%s", err, d.JSON)
		}
		if len(again.Operations) != len(d.Operations) || string(again.JSON) != string(d.JSON) {
			t.Fatalf("the effective document is another\n%s\n%s", d.JSON, again.JSON)
		}
	})
}
