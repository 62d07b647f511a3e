package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/tree"
	"github.com/portreeve/portreeve/internal/vectors"
)

// folder writes files below a new folder and returns its path.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var apart = map[string]string{
	"api/openapi.yaml": `openapi: 3.1.0
info: {title: T, version: '1', description: {$ref: text.md}}
paths:
  /a/{id}: {$ref: 'paths/a.yaml'}
  /b:
    get: {$ref: './paths/ops.json#/b'}
components:
  schemas:
    Known: {$ref: 'models/known.yaml'}
    error: {type: object, properties: {own: {type: boolean}}}
  securitySchemes: {$ref: 'schemes.yaml'}
`,
	"api/text.md": "# The API\n",
	"api/paths/a.yaml": `parameters: [{$ref: '../parameters.yaml#/id'}]
get:
  security: [{key: []}]
  responses:
    '200': {$ref: '../responses.yaml#/one'}
    default: {description: d, content: {application/json: {schema: {$ref: '../models/error.yaml'}}}}
`,
	"api/paths/ops.json":     `{"b": {"responses": {"200": {"$ref": "../responses.yaml#/one"}, "404": {"$ref": "#/x~1y/a%20b"}}}, "x/y": {"a b": {"description": "n"}}}`,
	"api/parameters.yaml":    "id: {name: id, in: path, required: true, schema: {type: integer}}\n",
	"api/responses.yaml":     "one: {description: d, content: {application/json: {schema: {$ref: './models/tree.yaml'}, example: {$ref: not/followed}}}}\n",
	"api/models/tree.yaml":   "type: object\nproperties:\n  children: {type: array, items: {$ref: tree.yaml}}\n  twin: {$ref: 'twin.yaml#/defs/twin'}\n  known: {$ref: known.yaml}\n  root: {$ref: '../openapi.yaml#/components/schemas/error'}\n  $ref: {type: string}\n",
	"api/models/twin.yaml":   "defs:\n  twin: {type: object, properties: {back: {$ref: '../models/./tree.yaml#'}, self: {$ref: '#/defs/twin'}}}\n",
	"api/models/known.yaml":  "type: object\nproperties: {id: {type: integer, x-portreeve: {class: internal}}}\n",
	"api/models/error.yaml":  "type: object\noneOf: [{$ref: known.yaml}, {$ref: tree.yaml}]\ndiscriminator: {propertyName: k, mapping: {k: known.yaml, t: './tree.yaml', e: error}}\n",
	"api/schemes.yaml":       "key: {type: apiKey, in: header, name: X-Key}\n",
	"api/unread/broken.yaml": "a: [",
}

// TestManyFiles: references lead across files, in circles too; what they lead to keeps its place, and the effective
// document has local references alone.
func TestManyFiles(t *testing.T) {
	dir := filepath.Join(folder(t, apart), "api")
	d, err := Load(filepath.Join(dir, "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(d.JSON, &got); err != nil {
		t.Fatal(err)
	}
	var want any
	if err := json.Unmarshal([]byte(`{"openapi":"3.1.0","info":{"title":"T","version":"1","description":"# The API\n"},
"paths":{
 "/a/{id}":{"parameters":[{"$ref":"#/components/parameters/id"}],"get":{"security":[{"key":[]}],"responses":{"200":{"$ref":"#/components/responses/one"},
   "default":{"description":"d","content":{"application/json":{"schema":{"$ref":"#/components/schemas/models.error"}}}}}}},
 "/b":{"get":{"responses":{"200":{"$ref":"#/components/responses/one"},"404":{"$ref":"#/components/responses/a_b"}}}}},
"components":{
 "schemas":{
  "Known":{"type":"object","properties":{"id":{"type":"integer","x-portreeve":{"class":"internal"}}}},
  "error":{"type":"object","properties":{"own":{"type":"boolean"}}},
  "models.error":{"type":"object","oneOf":[{"$ref":"#/components/schemas/Known"},{"$ref":"#/components/schemas/tree"}],
    "discriminator":{"propertyName":"k","mapping":{"k":"#/components/schemas/Known","t":"#/components/schemas/tree","e":"error"}}},
  "tree":{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#/components/schemas/tree"}},"twin":{"$ref":"#/components/schemas/twin"},
    "known":{"$ref":"#/components/schemas/Known"},"root":{"$ref":"#/components/schemas/error"},"$ref":{"type":"string"}}},
  "twin":{"type":"object","properties":{"back":{"$ref":"#/components/schemas/tree"},"self":{"$ref":"#/components/schemas/twin"}}}},
 "securitySchemes":{"key":{"type":"apiKey","in":"header","name":"X-Key"}},
 "parameters":{"id":{"name":"id","in":"path","required":true,"schema":{"type":"integer"}}},
 "responses":{"one":{"description":"d","content":{"application/json":{"schema":{"$ref":"#/components/schemas/tree"},"example":{"$ref":"not/followed"}}}},"a_b":{"description":"n"}}}}`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for pointer, place := range map[string]string{
		"/paths/~1a~1{id}/get/responses/default":     "paths/a.yaml:6",
		"/components/schemas/tree/properties/known":  "models/tree.yaml:5",
		"/components/schemas/Known/properties/id":    "models/known.yaml:2",
		"/components/responses/a_b":                  "paths/ops.json:1",
		"/components/schemas/twin/properties/self":   "models/twin.yaml:2",
		"/components/schemas/error/properties/own":   "openapi.yaml:10",
		"/components/securitySchemes/key/name":       "schemes.yaml:1",
		"/info/description":                          "openapi.yaml:2",
		"/components/parameters/id/schema":           "parameters.yaml:1",
		"/components/responses/one/content/nonsense": "responses.yaml:1",
	} {
		if got := d.At(pointer).String(); got != filepath.Join(dir, filepath.FromSlash(place)) {
			t.Errorf("%s stands at %s, not %s", pointer, got, place)
		}
	}
	if op := d.Operations[0]; op.Pointer != "/paths/~1a~1{id}/get" || filepath.Base(op.At.File) != "a.yaml" || op.At.Line != 2 || op.Parameters[0].Schema != "/components/parameters/id/schema" {
		t.Errorf("%+v", op)
	}
	if len(d.Files) != 10 {
		t.Errorf("read were %v", d.Files)
	}
	again, err := Load(filepath.Join(dir, "openapi.yaml"))
	if err != nil || again.Hash != d.Hash {
		t.Errorf("another reading gives another document: %v", err)
	}

	over, err := d.Overlaid(Overlay{"o.yaml", []byte("overlay: 1.0.0\ninfo: {title: o, version: '1'}\nactions:\n- {target: $.components.schemas.Known.properties.id, update: {x-portreeve: {class: secret}}}\n- {target: $.paths..get, update: {x-portreeve: {permission: a}}}\n")})
	if err != nil {
		t.Fatal(err)
	}
	if over.Node("/components/schemas/Known/properties/id/x-portreeve/class").Str() != "secret" || d.Node("/components/schemas/Known/properties/id/x-portreeve/class").Str() != "internal" || over.Operations[1].Ext.Permission != "a" || len(over.Warnings) != len(d.Warnings) {
		t.Error("the overlay changed too little, or the document itself")
	}
}

// TestRefuseOtherFiles holds what no reference may do, with the place that is to blame.
func TestRefuseOtherFiles(t *testing.T) {
	const doc = "openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths:\n  /a:\n    get:\n      responses:\n        '200': {$ref: '%s'}\n"
	dir := folder(t, map[string]string{
		"secret.yaml": "description: s\n", "api/ok.yaml": "description: d\n", "api/broken.yaml": "a: b\nc: [\n", "api/twice.yaml": "description: d\ndescription: e\n",
		"api/sub/up.yaml": "$ref: ../../secret.yaml\n", "api/sub/misspelt.yaml": "description: d\ncontemt: {}\n", "api/loop1.yaml": "$ref: loop2.yaml\n", "api/loop2.yaml": "$ref: loop1.yaml\n",
		"api/op.yaml": "get: {$ref: op.yaml#/get}\n", "api/kind.yaml": "name: a\nin: query\nschema: {}\n", "api/deep.yaml": "a: " + strings.Repeat("[", 300) + strings.Repeat("]", 300) + "\n",
		"api/text.md": "x", "api/outer.yaml": "description: d\ncontent: {a/b: {schema: {$ref: 'http://127.0.0.1:1/'}}}\n",
	})
	for name, target := range map[string]string{"link.yaml": "../secret.yaml", "inside.yaml": "ok.yaml", "absolute.yaml": filepath.Join(dir, "secret.yaml"), "etc": "/etc"} {
		if err := os.Symlink(target, filepath.Join(dir, "api", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "api", "pipe.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "api", "sparse.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "api", "sparse.yaml"), 2<<30); err != nil {
		t.Fatal(err)
	}
	for ref, c := range map[string]struct{ want, place string }{
		"http://127.0.0.1/x.yaml":            {"nothing is read over the network", "openapi.yaml:7"},
		"HTTPS://example.com/x":              {"nothing is read over the network", "openapi.yaml:7"},
		"//example.com/x":                    {"nothing is read over the network", "openapi.yaml:7"},
		"file:///etc/passwd":                 {"nothing is read over the network or by file URL", "openapi.yaml:7"},
		"/etc/passwd":                        {"is not a relative path", "openapi.yaml:7"},
		"%2fetc/passwd":                      {"is not a relative path", "openapi.yaml:7"},
		"..%5csecret.yaml":                   {"is not a relative path", "openapi.yaml:7"},
		"../secret.yaml":                     {"leads out of the folder", "openapi.yaml:7"},
		"sub/../../secret.yaml":              {"leads out of the folder", "openapi.yaml:7"},
		"%2e%2e/secret.yaml":                 {"leads out of the folder", "openapi.yaml:7"},
		"..":                                 {"leads out of the folder", "openapi.yaml:7"},
		"sub/up.yaml":                        {"leads out of the folder", "sub/up.yaml:1"},
		"link.yaml":                          {"cannot be read: path escapes from parent", "openapi.yaml:7"},
		"absolute.yaml":                      {"cannot be read: path escapes from parent", "openapi.yaml:7"},
		"etc/hostname":                       {"cannot be read: path escapes from parent", "openapi.yaml:7"},
		"none.yaml":                          {"no such file", "openapi.yaml:7"},
		"sub":                                {"is a directory", "openapi.yaml:7"},
		"pipe.yaml":                          {"not a regular file", "openapi.yaml:7"},
		"sparse.yaml":                        {"larger than 32 MiB", "openapi.yaml:7"},
		"ok.yaml?x=1":                        {"has a query", "openapi.yaml:7"},
		"ok%zz.yaml":                         {"percent-encoded", "openapi.yaml:7"},
		"ok.yaml#/nowhere":                   {"leads nowhere", "openapi.yaml:7"},
		"ok.yaml#anchor":                     {"names an anchor", "openapi.yaml:7"},
		"text.md#/a":                         {"a part of a file of text", "openapi.yaml:7"},
		"text.md":                            {"a string stands where a Response Object is wanted", "text.md:1"},
		"broken.yaml":                        {"not valid YAML", "broken.yaml:"},
		"twice.yaml":                         {"stands twice", "twice.yaml:2"},
		"sub/misspelt.yaml":                  {`did you mean "content"?`, "sub/misspelt.yaml:2"},
		"loop1.yaml":                         {"in a circle", ""},
		"kind.yaml":                          {`no field "name"`, "kind.yaml:1"},
		"deep.yaml":                          {"nested too deeply", "deep.yaml:1"},
		"outer.yaml":                         {"nothing is read over the network", "outer.yaml:2"},
		"openapi.yaml#/paths/~1a/get/nobody": {"leads nowhere", "openapi.yaml:7"},
		strings.Repeat("a/", 5000) + "b":     {"cannot be read", "openapi.yaml:7"},
	} {
		name := filepath.Join(dir, "api", "openapi.yaml")
		if err := os.WriteFile(name, fmt.Appendf(nil, doc, ref), 0o600); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err := Load(name)
		var e *tree.Error
		switch {
		case err == nil:
			t.Errorf("%.80s: loads", ref)
		case !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(e.At.String(), filepath.Join(dir, "api", filepath.FromSlash(c.place))):
			t.Errorf("%.80s: got %v, want %q at %s", ref, err, c.want, c.place)
		}
		if time.Since(start) > time.Minute {
			t.Errorf("%.80s took %v", ref, time.Since(start))
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "api", "openapi.yaml"), fmt.Appendf(nil, doc, "inside.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(filepath.Join(dir, "api", "openapi.yaml")); err != nil {
		t.Errorf("a link that stays inside: %v", err)
	}
	for _, name := range []string{"pipe.yaml", "sparse.yaml", "sub"} {
		if _, err := Load(filepath.Join(dir, "api", name)); err == nil || !strings.Contains(err.Error(), "reading the document: ") {
			t.Errorf("%s as the document: %v", name, err)
		}
		if _, err := Load(filepath.Join(dir, "api", "openapi.yaml"), filepath.Join(dir, "api", name)); err == nil || !strings.Contains(err.Error(), "reading the overlay: ") {
			t.Errorf("%s as an overlay: %v", name, err)
		}
	}
	if _, err := Load("/dev/zero"); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a device: %v", err)
	}
}

// TestFilesCannotFillTheMemory: each file inlines the next ten times, so that the whole would have 10^8 parts.
func TestFilesCannotFillTheMemory(t *testing.T) {
	files := map[string]string{"openapi.yaml": "openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths: {$ref: p0.yaml}\n"}
	for i := range 8 {
		var b strings.Builder
		for j := range 10 {
			fmt.Fprintf(&b, "/p%d_%d:\n  get: {responses: {default: {description: d}}, callbacks: {c: {'x%d': {$ref: 'q%d.yaml'}}}}\n", i, j, j, i)
		}
		files[fmt.Sprintf("p%d.yaml", i)] = b.String()
		b.Reset()
		b.WriteString("get:\n  responses: {default: {description: d}}\n  callbacks:\n    c:\n")
		for j := range 10 {
			fmt.Fprintf(&b, "      'y%d': {$ref: 'q%d.yaml'}\n", j, i+1)
		}
		files[fmt.Sprintf("q%d.yaml", i)] = b.String()
	}
	files["q8.yaml"] = "get: {responses: {default: {description: d}}}\n"
	_, err := Load(filepath.Join(folder(t, files), "openapi.yaml"))
	if err == nil || !strings.Contains(err.Error(), "references make the document too large") || strings.Count(err.Error(), "\n") > 1 {
		t.Errorf("got %v", err)
	}
}

// TestPathItemCircle: a callback may come back to the path item it belongs to; where OpenAPI has a place for it by name,
// that is how it is read.
func TestPathItemCircle(t *testing.T) {
	files := map[string]string{
		"openapi.yaml": "openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths: {/a: {$ref: a.yaml}}\n",
		"a.yaml":       "post: {responses: {default: {description: d}}, callbacks: {again: {'{$request.body#/u}': {$ref: a.yaml}}}}\n",
	}
	d, err := Load(filepath.Join(folder(t, files), "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Operations) != 1 || d.Node("/components/pathItems/a/post") == nil {
		t.Errorf("%s", d.JSON)
	}
	files["openapi.yaml"] = strings.Replace(files["openapi.yaml"], "3.1.0", "3.0.3", 1)
	if _, err := Load(filepath.Join(folder(t, files), "openapi.yaml")); err == nil || !strings.Contains(err.Error(), "in a circle") {
		t.Errorf("got %v", err)
	}
}

// TestDigitalOcean reads a document of 2,900 files.
func TestDigitalOcean(t *testing.T) {
	d, err := Load(vectors.Path(t, "documents/digitalocean/specification/DigitalOcean-public.v2.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	protected := 0
	for _, op := range d.Operations {
		if op.Security != nil && len(*op.Security) > 0 {
			protected++
		}
		if op.At.Line == 0 || len(op.Responses) == 0 {
			t.Errorf("%s %s stands at %v and has %d answers", op.Method, op.Path, op.At, len(op.Responses))
		}
	}
	t.Logf("%d operations of %d files, %d with security of their own; %d bytes of JSON", len(d.Operations), len(d.Files)+1, protected, len(d.JSON))
	if len(d.Operations) != 659 || len(d.Files) < 1500 || protected < 600 {
		t.Error("that is not all")
	}
	if strings.Contains(string(d.JSON), `.yml"}`) && strings.Contains(string(d.JSON), `"schema":{"$ref":"..`) {
		t.Error("a reference still leads to a file")
	}
}

// TestCopiesAreApart: an overlay that changes one place changes no other that refers to the same file.
func TestCopiesAreApart(t *testing.T) {
	dir := folder(t, map[string]string{
		"openapi.yaml": "openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths:\n  /a: {get: {$ref: op.yaml}}\n  /b: {get: {$ref: op.yaml}}\n",
		"op.yaml":      "security: [{bearer: []}]\nresponses: {default: {description: d}}\n",
		"o.yaml":       "overlay: 1.0.0\ninfo: {title: o, version: '1'}\nactions:\n- {target: \"$.paths['/a'].get.security\", remove: true}\n- {target: \"$.paths['/a'].get\", update: {security: []}}\n",
	})
	o, err := Load(filepath.Join(dir, "openapi.yaml"), filepath.Join(dir, "o.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := o.Operations[0].Security, o.Operations[1].Security; len(*a) != 0 || len(*b) != 1 {
		t.Errorf("/a asks for %v, /b for %v", *a, *b)
	}
}
