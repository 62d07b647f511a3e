package object

import "testing"

func TestAChangeKeepsTheOwner(t *testing.T) {
	for _, c := range []struct {
		body string
		want bool
	}{
		{`{}`, true}, {`{"name":"n"}`, true}, {`{"owner":{"id":7}}`, true}, {`{"owner":{"id":"7"}}`, true}, {`{"owner":{}}`, true}, {`{"owner":{"name":"n"}}`, true},
		{`{"owner":{"id":8}}`, false}, {`{"owner":{"id":null}}`, false}, {`{"owner":{"id":[7]}}`, false}, {`{"owner":null}`, false}, {`{"owner":7}`, false}, {`{"owner":[]}`, false},
		{`[]`, false}, {`null`, false}, {`7`, false}, {``, false}, {`{`, false}, {`{"owner":{"id":7,"id":8}}`, false}, {`{"owner":{"id":7},"owner":{"id":8}}`, false}, {`{"\u006fwner":{"id":8}}`, false}, {`{"owner":{"id":7.0}}`, false},
	} {
		if got := bodyKeeps([]byte(c.body), "/owner/id", "7"); got != c.want {
			t.Errorf("%s: %v", c.body, got)
		}
	}
	for _, c := range []struct {
		body string
		want bool
	}{
		{`[]`, true}, {`[{"op":"replace","path":"/name","value":"n"}]`, true}, {`[{"op":"test","path":"/owner/id","value":8}]`, true}, {`[{"op":"add","path":"/owner/id","value":7}]`, true},
		{`[{"op":"copy","from":"/owner/id","path":"/x"}]`, true}, {`[{"op":"move","from":"/x","path":"/y"}]`, true}, {`[{"op":"replace","path":"/owner/name","value":"n"}]`, true},
		{`[{"op":"replace","path":"/owner/id","value":8}]`, false}, {`[{"op":"replace","path":"/owner","value":{"id":7}}]`, false}, {`[{"op":"replace","path":"","value":{}}]`, false},
		{`[{"op":"remove","path":"/owner/id"}]`, false}, {`[{"op":"remove","path":"/owner"}]`, false}, {`[{"op":"copy","from":"/x","path":"/owner/id"}]`, false}, {`[{"op":"move","from":"/x","path":"/owner/id"}]`, false},
		{`[{"op":"move","from":"/owner","path":"/x"}]`, false}, {`[{"op":"move","path":"/x"}]`, false}, {`[{"op":"add","path":"/owner/id/x","value":8}]`, false}, {`[{"op":"unknown","path":"/owner/id","value":7}]`, false},
		{`[{"op":"test","path":"/a"},{"op":"replace","path":"/owner/id","value":8}]`, false}, {`[{"op":"replace","path":"/a","path":"/owner/id","value":8}]`, false},
		{`[{"op":"replace","path":"/owner/id","Path":"/name","value":8}]`, false}, {`[{"op":"replace","OP":"test","path":"/owner/id","value":8}]`, false}, {`[{"op":"replace","path":"/owner/id","value":8,"VALUE":7}]`, false},
		{`[{"op":"replace","path":"/name","PATH":"/owner/id","value":8}]`, false}, {`[{"op":"move","path":"/x","from":"/owner/id","From":"/y"}]`, false}, {`[{"path":"/owner/id","value":8}]`, false}, {`[{"op":1,"path":"/owner/id","value":8}]`, false}, {`[{"op":"replace","path":1}]`, false},
		{`{"owner":{"id":8}}`, false}, {``, false}, {`[1]`, false},
		{`[{"op":"replace","path":"owner/id","value":8}]`, false}, {`[{"op":"replace","path":"/Owner/ID","value":8}]`, false}, {`[{"op":"move","from":"owner","path":"/x"}]`, false},
	} {
		if got := patchKeeps([]byte(c.body), "/owner/id", "7"); got != c.want {
			t.Errorf("%s: %v", c.body, got)
		}
	}
	if patchKeeps([]byte(`[{"op":"replace","path":"/a~1b","value":8}]`), "/a~1b", "7") {
		t.Error("an escaped name is another")
	}
	for body, want := range map[string]bool{"name=n": true, "owner=7": true, "owner=8": false, "owner=7&owner=8": false, "owner%5Bid%5D=7": false, "owner.id=8": false, "%6Fwner=8": false, "owner=": false, "a;owner=8": false} {
		if got := formKeeps([]byte(body), "/owner", "7"); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
}

func TestSegments(t *testing.T) {
	for id, want := range map[string]bool{"7": true, "a b": true, "a;b": true, "ä": true, "a%2fb": true, "": false, ".": false, "..": false, "a/b": false, `a\b`: false, "a\x00": false, "a\n": false, "\xff": false, "../a": false} {
		if segment(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
}

func FuzzPatchKeeps(f *testing.F) {
	for _, s := range []string{`[{"op":"replace","path":"/owner","value":8}]`, `[{"op":"move","from":"/owner","path":"/x"}]`, `[{"OP":"replace","Path":"/owner","value":8}]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if !patchKeeps([]byte(body), "/owner", "7") {
			return
		}
		if after, ok := applied(body); ok && after != `7` {
			t.Errorf("%s makes it %s", body, after)
		}
	})
}
