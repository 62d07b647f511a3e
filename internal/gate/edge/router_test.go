package edge

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/vectors"
)

func routerOf(t testing.TB, routes ...string) *router {
	t.Helper()
	var ops []*plan.Operation
	for _, r := range routes {
		method, path, _ := strings.Cut(r, " ")
		ops = append(ops, &plan.Operation{ID: r, Method: method, Path: path, Source: "test"})
	}
	router, err := newRouter(ops)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// lookup finds what a path leads to, as the stage does.
func lookup(t testing.TB, r *router, path string) (found, bool) {
	t.Helper()
	segments, err := canonicalPath(path, nil)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return r.root.find(segments, nil)
}

// TestOverlaps: where several templates match, the left-most literal wins, whatever the order they are declared in.
func TestOverlaps(t *testing.T) {
	routes := []string{"GET /a/{x}/lit", "GET /a/lit/{y}", "GET /a/{x}/{y}", "GET /a/b/c", "GET /{x}/b/c", "GET /files/{name}.json", "GET /files/{name}", "GET /files/all.json",
		"GET /files/{a}.{b}", "GET /v/{id}:export", "GET /v/{id}", "COPY /a/b/c", "QUERY /files/{name}", "GET /t/", "GET /t", "GET /p/{x}/q/{y}", "GET /p/s/q/{y}/r", "GET /"}
	for range 2 {
		r := routerOf(t, routes...)
		for path, want := range map[string]string{
			"/a/lit/lit": "/a/lit/{y}", "/a/1/lit": "/a/{x}/lit", "/a/lit/2": "/a/lit/{y}", "/a/1/2": "/a/{x}/{y}", "/a/b/c": "/a/b/c", "/z/b/c": "/{x}/b/c", "/a/b/d": "/a/{x}/{y}",
			"/files/x.json": "/files/{name}.json", "/files/all.json": "/files/all.json", "/files/x": "/files/{name}", "/files/x.y": "/files/{a}.{b}", "/files/.json": "/files/{name}",
			"/v/1:export": "/v/{id}:export", "/v/1": "/v/{id}", "/t/": "/t/", "/t": "/t", "/p/s/q/1": "/p/{x}/q/{y}", "/p/s/q/1/r": "/p/s/q/{y}/r", "/": "/", "/%61/b/c": "/a/b/c",
			"/a/": "", "/A/b/c": "/{x}/b/c", "/p/s/q": "", "/nothing": "",
		} {
			f, ok := lookup(t, r, path)
			switch {
			case !ok && want != "":
				t.Errorf("%s leads nowhere, not to %s", path, want)
			case ok && f.node.methods[0].op.Path != want:
				t.Errorf("%s leads to %s, not %q", path, f.node.methods[0].op.Path, want)
			}
		}
		f, _ := lookup(t, r, "/a/b/c")
		if rt, ok := f.route("COPY"); !ok || rt.op.Method != "COPY" {
			t.Error("a method of the document's own is not found")
		}
		if _, ok := f.route("copy"); ok {
			t.Error("methods are case-sensitive")
		}
		f, _ = lookup(t, r, "/files/x")
		if rt, ok := f.route("QUERY"); !ok || len(rt.names) != 1 || f.allow() != "GET, HEAD, QUERY" {
			t.Errorf("QUERY: %v, %s", ok, f.allow())
		}
		slices.Reverse(routes)
	}
}

// TestEqualTemplates: two operations that no request tells apart stop the start.
func TestEqualTemplates(t *testing.T) {
	for _, pair := range [][2]string{{"/a/{x}", "/a/{y}"}, {"/a/{x}.json", "/a/{y}.json"}, {"/a", "/a"}} {
		_, err := newRouter([]*plan.Operation{{Method: "GET", Path: pair[0], Source: "d:1"}, {Method: "GET", Path: pair[1], Source: "d:2"}})
		if err == nil || !strings.Contains(err.Error(), "d:2: GET") {
			t.Errorf("%v: %v", pair, err)
		}
	}
}

// github is the router of GitHub's document, and one path for each of its operations.
func github(t testing.TB) (*router, [][]segment) {
	b, err := os.ReadFile(vectors.Fetched(t, "github.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	var routes []string
	var paths [][]segment
	for path, item := range doc.Paths {
		for method := range item {
			if !slices.Contains([]string{"get", "put", "post", "delete", "patch", "options", "head"}, method) {
				continue
			}
			routes = append(routes, strings.ToUpper(method)+" "+path)
			segments, err := canonicalPath(strings.NewReplacer("{", "v-", "}", "").Replace(path), nil)
			if err != nil {
				t.Fatal(path, err)
			}
			paths = append(paths, segments)
		}
	}
	return routerOf(t, routes...), paths
}

// TestLookupsAllocateNothing, with and without somebody else's document.
func TestLookupsAllocateNothing(t *testing.T) {
	measure := func(name string, r *router, paths [][]segment) {
		t.Helper()
		if n := testing.AllocsPerRun(10, func() {
			for _, p := range paths {
				var values [8]string
				if _, ok := r.root.find(p, values[:0]); !ok {
					t.Fatalf("%v leads nowhere", p)
				}
			}
		}); n > 0 {
			t.Errorf("%s: %d lookups made %v allocations", name, len(paths), n)
		}
	}
	r := routerOf(t, "GET /repos/{owner}/{repo}/issues/{n}", "GET /repos/{owner}/{repo}/zip/{ref}.zip", "GET /user", "GET /{a}/{b}/{c}/{d}")
	var paths [][]segment
	for _, p := range []string{"/repos/a/b/issues/1", "/repos/a/b/zip/main.zip", "/user", "/repos/a/b/c"} {
		segments, err := canonicalPath(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, segments)
	}
	measure("own", r, paths)
	t.Run("GitHub", func(t *testing.T) {
		r, paths := github(t)
		measure("GitHub", r, paths)
		t.Logf("%d operations", len(paths))
	})
}

func BenchmarkRouter(b *testing.B) {
	r, paths := github(b)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		var values [8]string
		if _, ok := r.root.find(paths[i%len(paths)], values[:0]); !ok {
			b.Fatal("not found")
		}
	}
}
