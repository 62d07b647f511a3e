package schema

import (
	"encoding/json"
	"strings"
	"testing"
)

// Whatever is read as strict JSON is JSON to all readers, and all readers of this package agree.
func FuzzStrict(f *testing.F) {
	for _, body := range []string{`{"a":[1,-2.5e3,"\u00e9\ud83d\ude00",true,null],"b":{}}`, `{"a":1,"\u0061":2}`, `1e309`, "\"\xff\"", `[[[[`, `{"":{"":0}}`,
		`{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0,"i":0,"j":0,"k":0,"l":0,"m":0,"n":0,"o":0,"p":0,"q":0,"\u0061":0}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		strict := Strict(body)
		var tr tree
		tree := parse(&tr, string(body), DefaultDepth, maxNodes, bounds{})
		if (strict == nil) != (tree == nil) {
			t.Fatalf("%q: scan said %v, tree %v", body, strict, tree)
		}
		if _, ok := Lookup(body, ""); ok != (strict == nil) {
			t.Fatalf("%q: scan said %v, lookup %v", body, strict, ok)
		}
		if strict != nil {
			return
		}
		var foreign any
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.UseNumber()
		if err := d.Decode(&foreign); err != nil {
			t.Fatalf("%q was read: %v", body, err)
		}
		ours, err := json.Marshal(tr.any(0))
		if err != nil {
			t.Fatal(err)
		}
		if theirs, _ := json.Marshal(foreign); string(ours) != string(theirs) {
			t.Fatalf("%q was read as %s, and by others as %s", body, ours, theirs)
		}
		if !tr.equal(0, 0) || tr.hash(0) != tr.hash(0) {
			t.Fatalf("%q is not itself", body)
		}
		if form, _ := tr.canonical(nil, 0, -1); string(form) != canonicalOf(foreign) {
			t.Fatalf("%q has two canonical forms", body)
		}
	})
}

// A body is judged alike whether it is large, and cut where it breaks its bounds, or small.
func FuzzCut(f *testing.F) {
	var programs []*Program
	for _, text := range []string{
		`{"type":"object","maxProperties":3,"properties":{"a":{"type":"array","maxItems":2,"items":{"$ref":"#/s"}},"b":{"type":"string"}},"additionalProperties":{"type":"integer"}}`,
		`{"maxItems":3,"anyOf":[{"type":"integer"},{"type":"array","items":{"$ref":"#/s"}},{"type":"object","properties":{"a":{"$ref":"#/s"},"b":{"type":"array","uniqueItems":true}},"patternProperties":{"^b":{"maxItems":2}}}]}`,
		`{"allOf":[{"properties":{"a":{"$ref":"#/s"}}},{"maxProperties":2}],"not":{"required":["z"]},"items":{"type":"object","required":["a"],"properties":{"a":{"type":"integer"}},"additionalProperties":false},"uniqueItems":true}`,
	} {
		for _, u := range []Undeclared{Refuse, Drop, Ignore} {
			programs = append(programs, compileOne(f, text, Options{Direction: Response, Undeclared: u}))
		}
	}
	for _, body := range []string{`{"a":[{},{"b":"x"}],"b":"y","c":1}`, `{"a":[1,2,3]}`, `[[1,[2]],{"a":1,"b":[1,1]}]`, `[{"a":1},{"a":1,"x":[2]}]`, `{"a":{"a":{"b":1,"c":2,"d":{}}}}`} {
		f.Add([]byte(body))
	}
	pad := strings.Repeat(" ", smallBody)
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 1<<12 {
			return
		}
		for _, p := range programs {
			small, _, err := p.Project(nil, body, nil)
			large, _, cut := p.Project(nil, []byte(pad+string(body)), nil)
			if (err == nil) != (cut == nil) || string(small) != string(large) {
				t.Fatalf("%q: %s %v, and as a large one %s %v", body, small, err, large, cut)
			}
			if invalid := p.Validate(body); (invalid == nil) != (err == nil) {
				t.Fatalf("%q: validated as %v, projected as %v", body, invalid, err)
			}
		}
	})
}

// However a stream arrives, the same items leave it, and of what is not judged nothing but tokens.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("event: a\r\nid: 1\ndata: {\"a\":\ndata: 1}\n\n: c\nretry: 5\rdata: 2\r\n\r\n"), uint8(3))
	f.Add([]byte("\xef\xbb\xbfdata: 1\n\n"), uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, n uint8) {
		run := func(size int) (string, error) {
			s := NewSplitter(SSE, 1<<12)
			var out []byte
			emit := func(item []byte) error { out = s.Frame(out, item, len(out) == 0); return nil }
			for rest := stream; len(rest) > 0; {
				k := min(size, len(rest))
				if err := s.Split(rest[:k], emit); err != nil {
					return string(out), err
				}
				rest = rest[k:]
			}
			return string(out), s.End(emit)
		}
		whole, err := run(len(stream) + 1)
		pieces, again := run(int(n)%7 + 1)
		if whole != pieces || (err == nil) != (again == nil) {
			t.Fatalf("%q: %q %v, and in pieces %q %v", stream, whole, err, pieces, again)
		}
		for line := range strings.Lines(whole) {
			name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), ": ")
			switch {
			case line == "\n", name == "data":
			case name == "retry" && strings.Trim(value, "0123456789") == "", (name == "id" || name == "event") && isEventToken([]byte(value)):
			default:
				t.Fatalf("%q leaves as %q", stream, line)
			}
		}
	})
}
