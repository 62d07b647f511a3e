package portreeve_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// This file is the house: where each package stands, what it may know, and what no file may do. The rules are data, the
// checkers are pure functions over what was read, and beside each rule stands a fault that it must report.

const module = "github.com/portreeve/portreeve"

// place is a floor of the house. Imports go to a strictly lower floor, so packages of one floor never see each other.
// A path matches whole; * stands for one segment. The first match counts.
type place struct {
	path  string
	floor int
}

var places = []place{
	// What a person starts.
	{"cmd/*", 90}, {"bench", 90}, {"docs/examples/*", 90},
	{"internal/cli", 80},

	// The library, and the store that it takes by option.
	{"sqlite", 75},
	{".", 70},
	{"internal/management", 65}, {"internal/server", 65}, {"internal/console", 65}, {"internal/mutant", 65},
	{"internal/deployment", 60}, {"internal/acme", 67},

	// The verbs.
	{"internal/gate", 50}, {"internal/gate/exchange", 30}, {"internal/gate/*", 40},
	{"internal/report", 57}, {"internal/report/style", 52}, {"internal/report/*", 55},
	{"internal/attack", 50}, {"internal/attack/forge", 40},
	{"internal/lint", 50}, {"internal/evidence", 50}, {"internal/issuer", 50}, {"internal/demo", 50},
	{"internal/starter", 40},
	{"internal/compile", 30},

	// What is promised, and what state is made of.
	{"internal/plan", 20}, {"internal/spec", 20}, {"internal/config", 20},
	{"internal/store/*", 30}, {"internal/keys", 20}, {"internal/store", 10}, {"internal/owner", 10}, {"internal/sink", 20},

	// The catalogue of controls, and what is found about them.
	{"internal/control/catalogue", 20}, {"internal/finding", 15},

	// Engines and leaves, which know nothing above and nothing of each other.
	{"access", 10},
	{"internal/coding", 10}, {"internal/control", 5}, {"internal/control/catalogue", 15}, {"internal/finding", 10}, {"internal/jose", 10}, {"internal/ledger", 10}, {"internal/meter", 10}, {"internal/multipart", 10},
	{"internal/problem", 10}, {"internal/schema", 10}, {"internal/screen", 10}, {"internal/secret", 10}, {"internal/tree", 10},
	{"internal/vectors", 10}, {"internal/certificate", 10}, {"internal/certificate/certtest", 10}, {"internal/wire", 10},
}

// wall says what the closure of some packages never holds, however far away it is imported.
type wall struct {
	from string // a package of the module and all below it
	to   []string
	why  string
}

var walls = []wall{
	{"internal/attack", []string{"internal/gate", "internal/jose", "internal/meter", "internal/screen"}, "an attacker who shares the defender's code is blind to its faults"},
	{"internal/evidence", []string{"internal/gate"}, "proof reads records, not the engine"},
	{"internal/demo", []string{"internal/gate"}, "the API knows nothing of its guard; what it needs it is given"},
	{"internal/gate", []string{"internal/config", "internal/spec", "internal/tree"}, "the gate obeys the plan alone"},
	{"internal/gate", yamlReaders, "the gate obeys the plan alone"},
	{"cmd", []string{"github.com/santhosh-tekuri/jsonschema/v6"}, "the schema engine is held against it; an oracle stands outside"},
	{".", sqlDrivers, "the library links no database: a store comes by option"},
	{".", []string{"internal/acme", "github.com/caddyserver/certmagic"}, "the library listens nowhere, and asks for no certificate"},
	{".", []string{"internal/screen", "github.com/corazawaf/coraza/v3"}, "the library links no rule set for screening: it comes by option"},
	{".", []string{"github.com/go-webauthn/webauthn"}, "the library links no console"},
	{".", []string{"internal/issuer", "internal/console"}, "the library links no identity server and no console"},
}

// reserved says who alone may import some packages directly.
type reserved struct {
	what []string
	by   []string
	why  string
}

var reservations = []reserved{
	{sqlDrivers, []string{"internal/store/*"}, "a database is met behind a store"},
	{[]string{"internal/spec", "internal/config"}, []string{"internal/compile", "internal/starter", "internal/lint", "internal/attack"}, "what is promised is read from the plan"},
	{[]string{"internal/mutant"}, []string{"internal/cli"}, "a gate with a rule missing is never part of anything else"},
	{[]string{"internal/vectors", "internal/store/storetest", "internal/certificate/certtest", "testing"}, []string{"internal/vectors", "internal/store/storetest", "internal/certificate/certtest"}, "test code stays out of the product"},
	{[]string{"github.com/caddyserver/certmagic", "github.com/mholt/acmez/v3", "go.uber.org/zap"}, []string{"internal/acme"}, "an authority is asked in one place"},
	{[]string{"github.com/spf13/cobra"}, []string{"internal/cli"}, "only the command line knows of flags"},
	{[]string{"github.com/corazawaf/coraza/v3", "github.com/corazawaf/coraza-coreruleset/v4"}, []string{"internal/screen"}, "the rules are linked in one place"},
	{[]string{"unsafe", "C", "plugin"}, nil, "memory safety, and a binary that builds anywhere"},
}

var (
	sqlDrivers = []string{"modernc.org/sqlite", "github.com/mattn/go-sqlite3", "github.com/ncruces/go-sqlite3", "github.com/jackc/pgx/v5", "github.com/lib/pq", "github.com/go-sql-driver/mysql"}
	// yamlReaders are the module's own and those it might meet.
	yamlReaders = []string{"go.yaml.in/yaml/v2", "go.yaml.in/yaml/v3", "go.yaml.in/yaml/v4", "gopkg.in/yaml.v2", "gopkg.in/yaml.v3", "sigs.k8s.io/yaml", "github.com/goccy/go-yaml"}
)

// plain lists what a package may not import directly although it is harmless elsewhere.
var plain = []struct {
	from string
	to   []string
	why  string
}{
	{"internal/plan", []string{"os", "net", "net/http", "io/fs", "database/sql", "sync"}, "a plan is data"},
	{"access", []string{"os", "net/http", "database/sql"}, "the vocabulary is a leaf"},
}

// forbiddenNames say nothing of what a package is for.
var forbiddenNames = []string{"util", "utils", "helper", "helpers", "common", "misc", "shared", "pkg", "lib", "base"}

// known is one package as the checkers see it. Imports are those of its non-test files.
type known struct {
	name    string
	imports []string
	own     bool // of the module
}

// graph holds every package of the build by import path; those of the module by their path in it, the root as ".".
type graph map[string]known

// breach is one rule broken: the rule's name, and where.
type breach struct{ rule, where string }

func (b breach) String() string { return b.rule + ": " + b.where }

func matches(pattern, p string) bool {
	ok, err := path.Match(pattern, p)
	return err == nil && ok
}

func floorOf(p string) (int, bool) {
	for _, at := range places {
		if matches(at.path, p) {
			return at.floor, true
		}
	}
	return 0, false
}

// within reports whether p is dir or below it; the root is only itself.
func within(p, dir string) bool { return p == dir || dir != "." && strings.HasPrefix(p, dir+"/") }

// trail returns how from comes to import something within one of the targets, or nil.
func (g graph) trail(from string, targets []string) []string {
	before := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		p := queue[0]
		if p != from && slices.ContainsFunc(targets, func(t string) bool { return within(p, t) }) {
			var way []string
			for ; p != ""; p = before[p] {
				way = append(way, p)
			}
			slices.Reverse(way)
			return way
		}
		for _, next := range g[p].imports {
			if _, seen := before[next]; !seen {
				before[next] = p
				queue = append(queue, next)
			}
		}
	}
	return nil
}

// checkGraph holds the imports of the module's packages against the rules.
func checkGraph(g graph) []breach {
	var found []breach
	add := func(rule, format string, args ...any) {
		found = append(found, breach{rule, fmt.Sprintf(format, args...)})
	}
	for _, p := range slices.Sorted(maps.Keys(g)) {
		if !g[p].own {
			continue
		}
		floor, ok := floorOf(p)
		if !ok {
			add("place", "%s has no floor", p)
		}
		for _, segment := range append(strings.Split(p, "/"), g[p].name) {
			if slices.Contains(forbiddenNames, segment) {
				add("name", "%s: %q says nothing", p, segment)
				break
			}
		}
		for _, to := range g[p].imports {
			if below, known := floorOf(to); g[to].own && known && ok && below >= floor {
				add("arrow", "%s (floor %d) imports %s (floor %d)", p, floor, to, below)
			}
			for _, r := range reservations {
				if slices.ContainsFunc(r.what, func(w string) bool { return within(to, w) }) && !slices.ContainsFunc(r.by, func(f string) bool { return matches(f, p) }) {
					add("reserved", "%s imports %s: %s", p, to, r.why)
				}
			}
			for _, r := range plain {
				if within(p, r.from) && slices.Contains(r.to, to) {
					add("plain", "%s imports %s: %s", p, to, r.why)
				}
			}
		}
		for _, w := range walls {
			if !within(p, w.from) {
				continue
			}
			if way := g.trail(p, w.to); way != nil {
				add("wall", "%s: %s", strings.Join(way, " → "), w.why)
			}
		}
		if stage := stageOf(p); stage != "" {
			for _, q := range slices.Sorted(maps.Keys(g)) {
				if other := stageOf(q); other != "" && other != stage {
					if way := g.trail(p, []string{q}); way != nil {
						add("siblings", "%s: stages meet in the exchange", strings.Join(way, " → "))
					}
				}
			}
		}
	}
	return found
}

// stageOf returns the stage that a package is, or is part of.
func stageOf(p string) string {
	rest, ok := strings.CutPrefix(p, "internal/gate/")
	if !ok {
		return ""
	}
	stage, _, _ := strings.Cut(rest, "/")
	if stage == "exchange" {
		return ""
	}
	return stage
}

var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b|(?i)not (yet )?implemented`)

// checkFile holds one non-test file against the rules that need its syntax.
func checkFile(fset *token.FileSet, pkg string, f *ast.File) []breach {
	var found []breach
	add := func(rule string, at token.Pos, what string) {
		found = append(found, breach{rule, fset.Position(at).String() + ": " + what})
	}
	imported := map[string]string{} // by the name it has in this file
	for _, spec := range f.Imports {
		p := strings.Trim(spec.Path.Value, `"`)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." {
			add("dot", spec.Pos(), "dot import of "+p)
		}
		imported[name] = p
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			add("init", fn.Pos(), "what runs at start stands in no order anybody can read")
		}
	}
	if !strings.HasPrefix(pkg, "cmd/") {
		ast.Inspect(f, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if ok && ends(imported[x.Name], sel.Sel.Name) {
				add("exit", sel.Pos(), x.Name+"."+sel.Sel.Name+" ends the process; only cmd does")
			}
			if ok && imported[x.Name] == module+"/internal/gate" && sel.Sel.Name == "NewBent" && pkg != "internal/mutant" {
				add("bent", sel.Pos(), "a gate with a fault on purpose serves mutants alone")
			}
			return true
		})
	}
	for _, group := range f.Comments {
		if m := unfinished.FindString(group.Text()); m != "" {
			add("unfinished", group.Pos(), m)
		}
	}
	return found
}

// ends reports whether a function ends the process.
func ends(pkg, name string) bool {
	switch pkg {
	case "os", "syscall", "golang.org/x/sys/unix":
		return name == "Exit"
	case "log":
		return strings.HasPrefix(name, "Fatal")
	}
	return false
}

// checkDoc holds a package's files against the rule that one of them, and only one, says what the package is for.
func checkDoc(pkg, name string, files []*ast.File) []breach {
	want, docs := "Package "+name+" ", 0
	if name == "main" {
		want = "Command " + path.Base(pkg) + " "
	}
	for _, f := range files {
		if f.Doc == nil {
			continue
		}
		docs++
		if text := f.Doc.Text(); !strings.HasPrefix(text, want) {
			return []breach{{"doc", fmt.Sprintf("%s: the package comment does not begin with %q", pkg, want)}}
		}
	}
	if docs != 1 {
		return []breach{{"doc", fmt.Sprintf("%s has %d package comments", pkg, docs)}}
	}
	return nil
}

// kept is a file of the repository.
type kept struct {
	path string
	size int64
}

// checkFiles holds the repository's files against what must not be among them.
func checkFiles(files []kept) []breach {
	var found []breach
	for _, f := range files {
		base := path.Base(f.path)
		stem := strings.TrimSuffix(strings.TrimSuffix(base, path.Ext(base)), "_test")
		switch {
		case slices.Contains([]string{".pem", ".key", ".p12", ".pfx", ".db", ".sqlite", ".env"}, path.Ext(base)) || base == ".env":
			found = append(found, breach{"file", f.path + ": keys and databases are made where they are used"})
		case slices.Contains([]string{".exe", ".so", ".a", ".o", ".test", ".prof", ".orig", ".rej"}, path.Ext(base)):
			found = append(found, breach{"file", f.path + ": what a tool made stays out"})
		case path.Ext(base) == ".go" && slices.Contains(forbiddenNames, stem):
			found = append(found, breach{"file", f.path + ": the name says nothing"})
		case within(f.path, "vendor") || strings.Contains(f.path, "/vendor/") || strings.Contains(f.path, "node_modules/"):
			found = append(found, breach{"file", f.path + ": other people's code comes through the module proxy"})
		case f.size > 512<<10:
			found = append(found, breach{"file", fmt.Sprintf("%s: %d bytes; other people's data is found, never kept here", f.path, f.size)})
		}
	}
	return found
}

// relative names a package as the rules do. A standard package keeps its name, which begins with neither of the module's
// folders: "internal/abi" becomes "std/internal/abi".
func relative(p string) string {
	switch {
	case p == module:
		return "."
	case strings.HasPrefix(p, module+"/"):
		return strings.TrimPrefix(p, module+"/")
	case strings.HasPrefix(p, "internal/") || strings.HasPrefix(p, "cmd/"):
		return "std/" + p
	}
	return p
}

// listed is what go list says of one package.
type listed struct {
	ImportPath, Name, Dir string
	Imports, GoFiles      []string
	Module                *struct{ Main bool }
}

func listPackages(t *testing.T) []listed {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Name,Dir,Imports,GoFiles,Module", "./...")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &errs)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestHouse(t *testing.T) {
	g, packages, files := graph{}, 0, 0
	for _, p := range listPackages(t) {
		k := known{name: p.Name, own: p.Module != nil && p.Module.Main}
		for _, i := range p.Imports {
			k.imports = append(k.imports, relative(i))
		}
		g[relative(p.ImportPath)] = k
		if !k.own || len(p.GoFiles) == 0 {
			continue
		}
		packages++
		rel, fset := relative(p.ImportPath), token.NewFileSet()
		var parsed []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			files++
			parsed = append(parsed, f)
			for _, b := range checkFile(fset, rel, f) {
				t.Error(b)
			}
		}
		for _, b := range checkDoc(rel, p.Name, parsed) {
			t.Error(b)
		}
	}
	for _, b := range checkGraph(g) {
		t.Error(b)
	}
	t.Logf("%d packages, %d files", packages, files)
	for _, dir := range goFolders(t) {
		if _, ok := g[dir]; !ok {
			t.Errorf("%s holds Go files that no build sees", dir)
		}
	}
	if _, ok := g["internal/gate/exchange"]; !ok || packages < 20 {
		t.Errorf("the house was not read: %d packages", packages)
	}
}

// goFolders finds the folders of the module that hold Go code, by looking: go test then knows that this test depends on
// them, and does not take an old result for a new one.
func goFolders(t *testing.T) []string {
	var dirs []string
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir():
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil && p != "." {
				return fs.SkipDir // a module of its own
			}
		case strings.HasSuffix(p, ".go") && !strings.HasSuffix(p, "_test.go"):
			if dir := filepath.ToSlash(filepath.Dir(p)); !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

func TestRepositoryFiles(t *testing.T) {
	var files []kept
	out, err := exec.Command("git", "ls-files", "-z", "--cached").Output()
	if err != nil { // no repository: an archive of one, where everything that is there was kept
		err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			files = append(files, kept{filepath.ToSlash(p), info.Size()})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	} else {
		for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
			if info, err := os.Lstat(name); err == nil { // a file may be removed and not yet committed
				files = append(files, kept{name, info.Size()})
			}
		}
	}
	for _, b := range checkFiles(files) {
		t.Error(b)
	}
	if len(files) < 100 {
		t.Errorf("only %d files were read", len(files))
	}
}

// sound is a small house without a fault.
func sound() graph {
	return graph{
		".":                           {"portreeve", []string{"access", "internal/deployment"}, true},
		"access":                      {"access", []string{"time"}, true},
		"cmd/portreeve":               {"main", []string{"internal/cli", "os"}, true},
		"internal/cli":                {"cli", []string{".", "internal/attack", "internal/demo", "internal/mutant", "internal/store/sqlite", "github.com/spf13/cobra"}, true},
		"internal/compile":            {"compile", []string{"internal/spec", "internal/config", "internal/plan"}, true},
		"internal/config":             {"config", []string{"go.yaml.in/yaml/v3"}, true},
		"internal/deployment":         {"deployment", []string{"internal/gate", "internal/keys"}, true},
		"internal/demo":               {"demo", []string{"database/sql"}, true},
		"internal/attack":             {"attack", []string{"internal/attack/forge", "internal/plan", "internal/finding"}, true},
		"internal/attack/forge":       {"forge", nil, true},
		"internal/evidence":           {"evidence", []string{"internal/ledger", "internal/plan"}, true},
		"internal/finding":            {"finding", nil, true},
		"internal/gate":               {"gate", []string{"internal/gate/authn", "internal/gate/cors", "internal/plan"}, true},
		"internal/gate/authn":         {"authn", []string{"internal/gate/exchange", "internal/jose"}, true},
		"internal/gate/cors":          {"cors", []string{"internal/gate/exchange"}, true},
		"internal/gate/exchange":      {"exchange", []string{"internal/plan"}, true},
		"internal/jose":               {"jose", nil, true},
		"internal/keys":               {"keys", []string{"internal/store"}, true},
		"internal/ledger":             {"ledger", nil, true},
		"internal/mutant":             {"mutant", []string{"internal/plan"}, true},
		"internal/plan":               {"plan", []string{"internal/secret", "time"}, true},
		"internal/secret":             {"secret", []string{"os"}, true},
		"internal/spec":               {"spec", []string{"internal/tree"}, true},
		"internal/store":              {"store", nil, true},
		"internal/store/sqlite":       {"sqlite", []string{"internal/keys", "modernc.org/sqlite"}, true},
		"internal/tree":               {"tree", []string{"go.yaml.in/yaml/v3"}, true},
		"github.com/other/middle":     {"middle", nil, false},
		"std/internal/abi":            {"abi", []string{"unsafe"}, false},
		"github.com/other/middle/two": {"two", nil, false},
	}
}

// TestRulesCanFail plants one fault of each kind into a sound house and expects exactly the breaches it makes.
func TestRulesCanFail(t *testing.T) {
	if b := checkGraph(sound()); len(b) > 0 {
		t.Fatalf("the sound house has breaches: %v", b)
	}
	imports := func(from, to string) func(graph) {
		return func(g graph) {
			k := g[from]
			k.imports = append(slices.Clone(k.imports), to)
			g[from] = k
		}
	}
	through := func(steps ...string) func(graph) {
		return func(g graph) {
			for i := range len(steps) - 1 {
				imports(steps[i], steps[i+1])(g)
			}
		}
	}
	for _, c := range []struct {
		name  string
		plant func(graph)
		want  []string // "rule: a part of where"
	}{
		{"upwards", imports("internal/plan", "internal/gate/exchange"), []string{"arrow: internal/plan (floor 20) imports internal/gate/exchange", "wall: internal/attack → internal/plan → ", "wall: internal/evidence → internal/plan → "}},
		{"leaf to leaf", imports("internal/jose", "internal/secret"), []string{"arrow: internal/jose (floor 10) imports internal/secret"}},
		{"public leaf", imports("access", "internal/secret"), []string{"arrow: access"}},
		{"no place", func(g graph) { g["internal/novelty"] = known{"novelty", nil, true} }, []string{"place: internal/novelty"}},
		{"public newcomer", func(g graph) { g["extras"] = known{"extras", nil, true} }, []string{"place: extras"}},
		{"stage below a stage", func(g graph) { g["internal/gate/authn/basic"] = known{"basic", nil, true} }, []string{"place: internal/gate/authn/basic"}},
		{"folder's name", func(g graph) { g["internal/report/common"] = known{"ours", nil, true} }, []string{"name: internal/report/common"}},
		{"package's name", func(g graph) { g["internal/screen"] = known{"util", nil, true} }, []string{"name: internal/screen"}},
		{"sibling stages", imports("internal/gate/authn", "internal/gate/cors"), []string{"arrow: internal/gate/authn", "siblings: internal/gate/authn → internal/gate/cors"}},
		{"siblings far away", through("internal/gate/authn", "github.com/other/middle", "internal/gate/cors"), []string{"siblings: internal/gate/authn → github.com/other/middle → internal/gate/cors"}},
		{"attack reaches jose", through("internal/attack/forge", "internal/jose"), []string{"wall: internal/attack → internal/attack/forge → internal/jose", "wall: internal/attack/forge → internal/jose"}},
		{"attack reaches the gate", through("internal/finding", "github.com/other/middle", "internal/gate/exchange"), []string{"wall: internal/attack → internal/finding → github.com/other/middle → internal/gate/exchange"}},
		{"attack reaches meter", through("internal/attack", "internal/meter"), []string{"wall: internal/attack → internal/meter"}},
		{"attack reaches screen", through("internal/attack", "internal/screen"), []string{"wall: internal/attack → internal/screen"}},
		{"evidence reaches the gate", imports("internal/evidence", "internal/gate/exchange"), []string{"wall: internal/evidence → internal/gate/exchange"}},
		{"demo reaches the gate", imports("internal/demo", "internal/gate/exchange"), []string{"wall: internal/demo → internal/gate/exchange"}},
		{"gate reaches config", func(g graph) {
			g["internal/gate/exchange"] = known{"exchange", []string{"internal/config"}, true}
			g["internal/config"] = known{"config", nil, true}
		}, []string{"reserved: internal/gate/exchange imports internal/config", "wall: internal/gate → ", "wall: internal/gate/authn → ", "wall: internal/gate/cors → ", "wall: internal/gate/exchange → internal/config"}},
		{"gate reaches YAML", imports("internal/gate/cors", "go.yaml.in/yaml/v3"), []string{"wall: internal/gate → internal/gate/cors → go.yaml.in/yaml/v3", "wall: internal/gate/cors → go.yaml.in/yaml/v3"}},
		{"oracle in the product", imports("internal/gate/exchange", "github.com/santhosh-tekuri/jsonschema/v6/kind"), []string{"wall: cmd/portreeve → "}},
		{"driver outside the stores", imports("internal/demo", "modernc.org/sqlite"), []string{"reserved: internal/demo imports modernc.org/sqlite"}},
		{"driver in the library", imports("internal/deployment", "internal/store/sqlite"), []string{"wall: . → internal/deployment → internal/store/sqlite → modernc.org/sqlite"}},
		{"WebAuthn in the library", imports("internal/keys", "github.com/go-webauthn/webauthn/protocol"), []string{"wall: . → internal/deployment → internal/keys → github.com/go-webauthn/webauthn/protocol"}},
		{"issuer in the library", imports("internal/deployment", "internal/issuer"), []string{"wall: . → internal/deployment → internal/issuer"}},
		{"console in the library", through("internal/secret", "github.com/other/middle", "internal/console"), []string{"wall: . → "}},
		{"spec beside the compiler", imports("internal/cli", "internal/spec"), []string{"reserved: internal/cli imports internal/spec"}},
		{"mutant in the library", imports(".", "internal/mutant"), []string{"reserved: . imports internal/mutant"}},
		{"test code in the product", imports("internal/keys", "testing"), []string{"reserved: internal/keys imports testing"}},
		{"flags below the command line", imports("internal/demo", "github.com/spf13/cobra"), []string{"reserved: internal/demo imports github.com/spf13/cobra"}},
		{"unsafe", imports("internal/jose", "unsafe"), []string{"reserved: internal/jose imports unsafe"}},
		{"plan that acts", imports("internal/plan", "os"), []string{"plain: internal/plan imports os"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := sound()
			c.plant(g)
			expect(t, checkGraph(g), c.want)
		})
	}
}

// expect compares breaches with the beginnings they must have, in any order.
func expect(t *testing.T, got []breach, want []string) {
	t.Helper()
	var surplus []string
	missing := slices.Clone(want)
	for _, b := range got {
		i := slices.IndexFunc(missing, func(w string) bool { return strings.HasPrefix(b.String(), w) })
		if i < 0 {
			surplus = append(surplus, b.String())
			continue
		}
		missing = slices.Delete(missing, i, i+1)
	}
	if len(surplus) > 0 || len(missing) > 0 {
		t.Errorf("not expected: %q\nnot reported: %q", surplus, missing)
	}
}

func TestSyntaxRulesCanFail(t *testing.T) {
	for _, c := range []struct{ name, pkg, source, want string }{
		{"sound", "internal/x", "package x\n\nimport \"os\"\n\nfunc f() { os.Getenv(\"A\") }\n\ntype t struct{}\n\nfunc (t) init() {}\n", ""},
		{"init", "internal/x", "package x\n\nfunc init() {}\n", "init: x.go:3:1"},
		{"exit", "internal/x", "package x\n\nimport \"os\"\n\nfunc f() { os.Exit(1) }\n", "exit: x.go:5:12"},
		{"exit under another name", "internal/x", "package x\n\nimport sys \"os\"\n\nvar leave = sys.Exit\n", "exit: x.go:5:13"},
		{"fatal log", "internal/cli", "package x\n\nimport \"log\"\n\nfunc f() { log.Fatalf(\"\") }\n", "exit: x.go:5:12"},
		{"exit in cmd", "cmd/x", "package main\n\nimport \"os\"\n\nfunc main() { os.Exit(1) }\n", ""},
		{"another's Exit", "internal/x", "package x\n\nimport \"example.com/os2\"\n\nfunc f() { os2.Exit(1) }\n", ""},
		{"dot import", "internal/x", "package x\n\nimport . \"os\"\n", "dot: x.go:3:8"},
		{"bent gate", "internal/deployment", "package x\n\nimport \"github.com/portreeve/portreeve/internal/gate\"\n\nvar open = gate.NewBent\n", "bent: x.go:5:12"},
		{"bent gate of a mutant", "internal/mutant", "package x\n\nimport \"github.com/portreeve/portreeve/internal/gate\"\n\nvar open = gate.NewBent\n", ""},
		{"unfinished", "internal/x", "package x\n\n// f is not implemented.\nfunc f() {}\n", "unfinished: x.go:3:1"},
		{"to do", "internal/x", "package x\n\nfunc f() {\n\t// TODO: more\n}\n", "unfinished: x.go:4:2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, "x.go", c.source, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if c.want != "" {
				want = []string{c.want}
			}
			expect(t, checkFile(fset, c.pkg, f), want)
		})
	}
	for _, c := range []struct {
		name, pkg, pkgName string
		files              []string
		want               string
	}{
		{"sound", "internal/x", "x", []string{"// Package x is.\npackage x\n", "package x\n"}, ""},
		{"sound command", "cmd/x", "main", []string{"// Command x is.\npackage main\n"}, ""},
		{"none", "internal/x", "x", []string{"package x\n", "package x\n"}, "doc: internal/x has 0"},
		{"two", "internal/x", "x", []string{"// Package x is.\npackage x\n", "// Package x is.\npackage x\n"}, "doc: internal/x has 2"},
		{"another's", "internal/x", "x", []string{"// Package y is.\npackage x\n"}, "doc: internal/x: the package comment"},
	} {
		t.Run("doc "+c.name, func(t *testing.T) {
			var files []*ast.File
			for _, source := range c.files {
				f, err := parser.ParseFile(token.NewFileSet(), "x.go", source, parser.ParseComments)
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, f)
			}
			var want []string
			if c.want != "" {
				want = []string{c.want}
			}
			expect(t, checkDoc(c.pkg, c.pkgName, files), want)
		})
	}
}

func TestFileRulesCanFail(t *testing.T) {
	got := checkFiles([]kept{
		{"internal/x/x.go", 10}, {"docs/config.md", 40 << 10}, {"internal/x/testdata/ca.pem", 10}, {"internal/x/util.go", 10}, {"internal/x/helpers_test.go", 10},
		{"data/portreeve.db", 10}, {"portreeve.test", 10}, {"vendor/a/a.go", 10}, {"e2e/node_modules/a/index.js", 10}, {"internal/x/testdata/other.json", 1 << 20},
	})
	var where []string
	for _, b := range got {
		p, _, _ := strings.Cut(b.where, ":")
		where = append(where, p)
	}
	want := []string{"internal/x/testdata/ca.pem", "internal/x/util.go", "internal/x/helpers_test.go", "data/portreeve.db", "portreeve.test", "vendor/a/a.go", "e2e/node_modules/a/index.js", "internal/x/testdata/other.json"}
	if diff := cmp.Diff(want, where); diff != "" {
		t.Error(diff)
	}
}
