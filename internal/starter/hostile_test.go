package starter

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/config"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// named is a document that says one name in every place from which a proposal takes words.
func named(t testing.TB, name string) []byte {
	t.Helper()
	type m = map[string]any
	segment := strings.Map(func(r rune) rune { // what no path may have is refused before
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`{}?#/\`, r) {
			return -1
		}
		return r
	}, name)
	answer := m{"200": m{"description": name, "content": m{"application/json": m{"schema": m{"$ref": "#/components/schemas/X"}}}}}
	parameter := []any{m{"name": "v" + segment, "in": "path", "required": true, "schema": m{"type": "string"}}}
	b, err := json.Marshal(m{
		"openapi": "3.1.0", "info": m{"title": name, "version": name}, "servers": []any{m{"url": "https://x.example/" + name}},
		"security": []any{m{"S" + name: []any{}}},
		"components": m{
			"securitySchemes": m{"S" + name: m{"type": "openIdConnect", "openIdConnectUrl": "https://idp.example/" + name}},
			"schemas": m{"X": m{"type": "object", "properties": m{
				name + " email": m{"type": "string"}, name + "_ssn": m{"type": "string"}, name + "-card_number": m{"type": "string"}, "owner_id": m{"type": "string"},
				name + "_password": m{"$ref": "#/components/schemas/X/$defs/d"},
			}, "$defs": m{"d": m{"type": "string"}}}},
		},
		"paths": m{
			"/a" + segment: m{"get": m{"operationId": "1" + name, "tags": []any{name}, "responses": answer}, "post": m{"operationId": "2" + name, "security": []any{}, "responses": answer}},
			"/users" + segment + "/{v" + segment + "}": m{"parameters": parameter, "get": m{"operationId": "3" + name, "security": []any{m{"S" + name: []any{name}}}, "responses": answer}},
			"/users/{v" + segment + "}":                m{"parameters": parameter, "delete": m{"operationId": "4" + name, "tags": []any{name, name}, "responses": answer}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// shape is what the two files are made of, without the texts: names alone of the configuration, and of each action its
// members.
func shape(t testing.TB, p *Proposal) (keys []string, actions int) {
	t.Helper()
	c, err := tree.Parse(ConfigName, p.Configuration())
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Configuration())
	}
	for _, m := range c.Members {
		keys = append(keys, m.Name)
		for _, inner := range m.Value.Members {
			if m.Name == "identity" || m.Name == "upstream" || m.Name == "roles" {
				keys = append(keys, m.Name+"."+inner.Name)
			}
		}
	}
	o, err := tree.Parse(OverlayName, p.Overlay())
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Overlay())
	}
	for _, a := range o.Get("actions").Items {
		for _, m := range a.Members {
			if m.Name != "target" && m.Name != "update" {
				t.Fatalf("an action has the member %q\n%s", m.Name, p.Overlay())
			}
		}
		for _, m := range a.Get("update").Members {
			if m.Name != "x-portreeve" {
				t.Fatalf("an action adds %q\n%s", m.Name, p.Overlay())
			}
		}
		actions++
	}
	return keys, actions
}

// noInjection: whatever the name, the files have the shape they have for a harmless one, the roles gain no pattern, and
// no line of what is printed is another's.
func noInjection(t testing.TB, name string) {
	t.Helper()
	text := named(t, name)
	d, err := spec.Parse("openapi.json", text)
	if err != nil {
		return // it was refused before anything was proposed
	}
	p, err := Propose(d, Options{Document: name})
	if !utf8.ValidString(name) {
		if err == nil {
			t.Fatalf("the configuration cannot name %q", name)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	keys, actions := shape(t, p)
	plain, err := spec.Parse("openapi.json", named(t, "plain"))
	if err != nil {
		t.Fatal(err)
	}
	harmless, err := Propose(plain, Options{Document: "plain"})
	if err != nil {
		t.Fatal(err)
	}
	want, wanted := shape(t, harmless)
	drop := func(list []string) (out []string) {
		for _, k := range list {
			if k != "upstream.base_path" { // a name that is no path gives none
				out = append(out, k)
			}
		}
		return out
	}
	if diff := cmp.Diff(drop(want), drop(keys)); diff != "" {
		t.Fatalf("%q changes the configuration (-want +got):\n%s\n%s", name, diff, p.Configuration())
	}
	if actions < 4 || actions > wanted { // fewer where the name makes a property's name mean nothing
		t.Fatalf("%q gives %d actions, not %d\n%s", name, actions, wanted, p.Overlay())
	}
	c, err := config.Parse(ConfigName, p.Configuration(), today)
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Configuration())
	}
	if c.Document != name {
		t.Fatalf("the document is %q, not %q", c.Document, name)
	}
	if c.Listen != "127.0.0.1:8080" || len(c.Unsafe()) > 0 || c.Upstream.URL != DefaultUpstream {
		t.Fatalf("%+v", c)
	}
	for _, perms := range c.Roles {
		for _, perm := range perms {
			if strings.HasPrefix(perm, "portreeve:") || strings.Contains(perm, "*") {
				t.Fatalf("%q gives the permission %q", name, perm)
			}
		}
	}
	for _, op := range p.Operations {
		if op.Permission != "" && !slices.Contains(c.Roles["admin"], op.Permission) {
			t.Fatalf("%s asks for %s, which nobody has", op, op.Permission)
		}
	}
	for _, decision := range p.Decisions {
		if strings.ContainsAny(decision, "\n\r\x1b\x00\u0085\u2028\u2029\u202e") {
			t.Fatalf("a decision breaks its line: %q", decision)
		}
	}
	made, err := p.Compile("", today)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, p.Configuration(), p.Overlay())
	}
	if _, err := deployment.Preview(made, rand.Reader); err != nil {
		t.Fatal(err)
	}
}

var hostileNames = []string{
	"a\nlisten: \":80\"", "a\r\nroles: {admin: [\"*\"]}", "x: y", "x # y", "# x", `"`, `'`, `\`, `\"`, `'] || ['`, "a\u0085b: c", "a\u2028b: c", "a\u2029- d", "\u202eevil",
	"a\x1b[2Jb", "- x", "*", "&a", "*a", "!!int 3", "%", "@", "`", "{a: b}", "[a]", "a, b", "null", "~", "yes", "1e3", "0x10", "portreeve", "portreeve:keys", "é", "日本", "", " ", "\t",
	"..", "$ref", "<<", "---", "...", "? x", "| x", "> x", "\ufeff", "\U0001f600", strings.Repeat("n", 300), "a\u00a0b", "\u007f", "{v}", "$.paths", "\x01",
}

func TestHostileNames(t *testing.T) {
	proposed := 0
	for _, name := range hostileNames {
		if _, err := spec.Parse("openapi.json", named(t, name)); err == nil {
			proposed++
		}
		noInjection(t, name)
	}
	t.Logf("%d of %d names went as far as a proposal", proposed, len(hostileNames))
	if proposed < len(hostileNames)/2 {
		t.Errorf("only %d of %d names went as far as a proposal", proposed, len(hostileNames))
	}
}

func FuzzNames(f *testing.F) {
	for _, name := range hostileNames {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if len(name) < 300 {
			noInjection(t, name)
		}
	})
}
