package portreeve_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// docs/threats.md is written from the tests: a test says above itself which class of bugs it is about, what it sends, and
// what happens then:
//
//	//threat:12 Connection names headers that the gate sets → refused
//	func TestX(t *testing.T)
//
// and a file of scripts or raw requests says so in a line of its own, "threat 12: … → …". The page is out of date, and this
// test fails, when a test is renamed, removed or says something else: go test -run TestThreats -update .

var update = flag.Bool("update", false, "write docs/threats.md")

// class is one class of bugs that took down the guards of others.
type class struct {
	number int
	name   string
	known  string // advisories
	later  string // what of it is tested elsewhere, once there is something to test
}

var threatGroups = []struct {
	name    string
	classes []class
}{
	{"Path and query", []class{
		{1, "escaped reserved characters give two views of a path", "CVE-2025-66490, CVE-2025-47952", ""},
		{2, "dot segments reach a weaker rule", "CVE-2026-33494, CVE-2025-32431, CVE-2026-48020", ""},
		{3, "the path and its escaped form part after rewriting", "CVE-2026-40912", ""},
		{4, "`//` is read as an authority, or merged", "CVE-2021-29492, CVE-2026-26205, CVE-2025-29914", ""},
		{5, "a fragment in the target", "CVE-2023-47106, CVE-2026-41059", ""},
		{6, "the query is taken for part of an open path", "CVE-2025-54576", ""},
		{7, "`:path` without a slash, and other pseudo headers", "CVE-2026-33186", ""},
		{8, "case is told apart on one branch alone", "CVE-2026-27587, CVE-2026-27588", ""},
		{9, "decoding twice", "GO-2026-4950", ""},
		{10, "parameters that the guard does not see are sent on", "CVE-2026-39825, CVE-2022-2880", ""},
		{11, "one parameter twice: guard and API choose differently", "kin-openapi #1230", ""},
	}},
	{"Headers and trust", []class{
		{12, "`Connection` takes identity headers away", "CVE-2024-45410, CVE-2026-29054, CVE-2021-33197", ""},
		{13, "a client's identity header stays where the guard has none to set", "CVE-2026-30851, CVE-2026-39998, CVE-2026-49231", ""},
		{14, "`_` for `-`", "CVE-2025-64484, CVE-2026-39858, CVE-2026-52845", ""},
		{15, "a header's name in another case in the configuration", "CVE-2026-33433", ""},
		{16, "X-Forwarded-* of strangers steers", "CVE-2026-33495, CVE-2026-40575, CVE-2024-52003", ""},
		{17, "a header twice: the policy sees one, the API another", "CVE-2026-26308", ""},
		{18, "a user agent or probe path opens", "CVE-2026-34457", ""},
		{19, "credentials go elsewhere, or into the log", "CVE-2026-41181, CVE-2022-23469", ""},
		{20, "line breaks reach the API's request", "CVE-2026-42926, CVE-2020-15111", ""},
		{21, "line breaks reach the log", "CVE-2025-25294, CVE-2020-36567, CVE-2026-42507", ""},
		{22, "redirects by Host or prefix", "CVE-2022-28923, CVE-2021-21291", "logins that redirect: in internal/issuer and internal/console, which do not exist yet"},
	}},
	{"Framing", []class{
		{23, "chunks, codings and lengths that two parsers read differently", "CVE-2025-22871, CVE-2022-1705, CVE-2023-25725, CVE-2021-40346", ""},
		{24, "a body that ends early, across protocols", "CVE-2026-33555", ""},
		{25, "CONNECT or Upgrade spoils a shared connection", "CVE-2026-71324, CVE-2022-41721", ""},
		{26, "slow or absent bodies, stalled handshakes", "CVE-2024-28869, CVE-2026-22045, CVE-2026-26999", ""},
		{27, "floods of HTTP/2, memory of headers", "CVE-2023-44487, CVE-2023-45288, CVE-2026-33814", ""},
	}},
	{"Tokens and sessions", []class{
		{28, "the token chooses the algorithm", "CVE-2026-39999", ""},
		{29, "what cannot be read is taken for good", "CVE-2026-49230, CVE-2024-51744", ""},
		{30, "tokens that cost much to read", "CVE-2025-30204, CVE-2025-27144, CVE-2024-28180", ""},
		{31, "withdrawn keys stay trusted", "CVE-2025-22149", ""},
		{32, "unknown key ids make the guard fetch, or lock others out", "jwks-rsa-java #173", ""},
		{33, "one caller's cached verdict serves another", "CVE-2026-33496, CVE-2021-32701, CVE-2026-33729", ""},
		{34, "audience or issuer are not checked where none is configured", "CVE-2026-55689, CVE-2020-26160", ""},
		{35, "claims read generously, sessions fixed by others", "CVE-2026-40574, CVE-2026-34454", "sessions: in internal/console, which does not exist yet"},
		{36, "what is revoked still opens", "CVE-2020-15223, CVE-2026-9097", ""},
		{37, "time tells who exists", "CVE-2026-32595, CVE-2026-41263, CVE-2026-44332", ""},
		{38, "ids that can be guessed", "CVE-2025-66630", ""},
	}},
	{"Failing open", []class{
		{39, "a missing secret or store switches a check off", "CVE-2026-54762, CVE-2026-27586, CVE-2024-23656", ""},
		{40, "a schema that cannot be compiled is skipped", "kin-openapi's 3.1", ""},
	}},
	{"TLS and addresses", []class{
		{41, "client certificates are not asked for by some way in", "CVE-2026-48491, CVE-2025-23419, CVE-2025-68121", ""},
		{42, "one address in several spellings", "CVE-2024-39321, CVE-2024-24790, CVE-2025-22870", ""},
	}},
	{"Bodies", []class{
		{43, "bodies that cost much, or make the judge panic", "CVE-2025-30153, CVE-2026-73502, CVE-2024-37298", ""},
		{44, "media types, charsets and ranges that skip the judge", "CVE-2023-38199, CVE-2022-39955", ""},
		{45, "JSON that two parsers read differently", "GHSA-4gph-2hhr-5mwg", ""},
		{46, "answers of helpers without a bound, judges that crash", "CVE-2023-40586, CVE-2026-26998, CVE-2025-47908", ""},
	}},
	{"The administrator's side", []class{
		{47, "the management API can be reached, forged or confused", "CVE-2026-27589, CVE-2025-24030, CVE-2018-20744", "pages: in internal/console, which does not exist yet"},
	}},
}

// claim is a test that says what it is about.
type claim struct {
	number        int
	file, test    string
	sent, happens string
}

var (
	directive = regexp.MustCompile(`^//threat:(\d+) (.+) → (.+)$`)
	textLine  = regexp.MustCompile(`(?m)^(?:# )?threat (\d+): (.+) → (.+)$`)
)

// claims finds what the tests below a folder say of themselves, and the faults in it.
func claims(root fs.FS) (found []claim, faults []string) {
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		text, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		switch ext := path.Ext(p); {
		case ext == ".go" && bytes.Contains(text, []byte("//threat:")):
			more, wrong := claimsOfGo(p, text)
			found, faults = append(found, more...), append(faults, wrong...)
		case (ext == ".txt" || ext == ".txtar") && strings.Contains(p, "testdata/"):
			for _, m := range textLine.FindAllStringSubmatch(string(text), -1) {
				test := player(root, p)
				if test == "" {
					faults = append(faults, p+": no test plays this file")
				}
				found = append(found, claim{number(m[1]), p, test, m[2], m[3]})
			}
		}
		return nil
	})
	if err != nil {
		faults = append(faults, err.Error())
	}
	return found, faults
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// claimsOfGo reads the directives above tests. One that stands elsewhere is about nothing.
func claimsOfGo(p string, text []byte) (found []claim, faults []string) {
	f, err := parser.ParseFile(token.NewFileSet(), p, text, parser.ParseComments)
	if err != nil {
		return nil, []string{err.Error()}
	}
	above := map[*ast.Comment]bool{}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Doc == nil || fn.Recv != nil || !strings.HasSuffix(p, "_test.go") || !strings.HasPrefix(fn.Name.Name, "Test") && !strings.HasPrefix(fn.Name.Name, "Fuzz") {
			continue
		}
		for _, c := range fn.Doc.List {
			if m := directive.FindStringSubmatch(c.Text); m != nil {
				above[c] = true
				found = append(found, claim{number(m[1]), p, fn.Name.Name, m[2], m[3]})
			}
		}
	}
	for _, g := range f.Comments {
		for _, c := range g.List {
			if strings.HasPrefix(c.Text, "//threat:") && !above[c] {
				faults = append(faults, fmt.Sprintf("%s: %q is not above a test, or not NUMBER sent → happens", p, c.Text))
			}
		}
	}
	return found, faults
}

// players are the tests that play files, by folder.
var players = map[string]string{
	"cmd/portreeve/testdata/": "TestScripts",
	"internal/gate/testdata/": "TestScripts",
	"e2e/testdata/frames/":    "TestFrames",
	"e2e/testdata/wire/":      "TestWire",
}

// player names the test that plays a file of scripts; "" where there is none.
func player(root fs.FS, p string) string {
	dir, file := path.Split(p)
	test := players[dir]
	home, _, _ := strings.Cut(dir, "testdata/")
	sources, _ := fs.Glob(root, path.Join(home, "*_test.go"))
	for _, s := range sources {
		if text, err := fs.ReadFile(root, s); err == nil && test != "" && bytes.Contains(text, []byte("\nfunc "+test+"(t *testing.T) {")) {
			return test + "/" + strings.TrimSuffix(file, path.Ext(file))
		}
	}
	return ""
}

// page writes docs/threats.md.
func page(found []claim) string {
	var b strings.Builder
	b.WriteString(`# Threats

Forty-seven classes of bugs have taken down the guards of others: gateways, identity libraries, validators. Each has a test here, or a line that says where it will have one.
This page is written from the tests (` + "`go test -run TestThreats -update .`" + `), and one of them fails when it is not current.
How the gate is built against them: [threat-model.md](threat-model.md), [life-of-a-request.md](life-of-a-request.md).

`)
	for _, g := range threatGroups {
		fmt.Fprintf(&b, "## %s\n\n| # | class | test | what is sent | what happens |\n|---|---|---|---|---|\n", g.name)
		for _, c := range g.classes {
			first := fmt.Sprintf("| %d | %s (%s) ", c.number, c.name, c.known)
			for _, cl := range found {
				if cl.number == c.number {
					fmt.Fprintf(&b, "%s| [%s](../%s) | %s | %s |\n", first, cell(cl.test), cl.file, cell(cl.sent), cell(cl.happens))
					first = "| | "
				}
			}
			if c.later != "" {
				fmt.Fprintf(&b, "%s| not yet | | %s |\n", first, c.later)
			}
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func cell(s string) string { return strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`).Replace(s) }

// uncovered returns the classes that no test is about, and numbers that are none.
func uncovered(found []claim) (faults []string) {
	known := map[int]bool{}
	next := 1
	for _, g := range threatGroups {
		for _, c := range g.classes {
			if c.number != next {
				faults = append(faults, fmt.Sprintf("class %d stands where %d belongs", c.number, next))
			}
			next++
			known[c.number] = true
			if c.later == "" && !slices.ContainsFunc(found, func(cl claim) bool { return cl.number == c.number }) {
				faults = append(faults, fmt.Sprintf("no test is about class %d, %s", c.number, c.name))
			}
		}
	}
	for _, cl := range found {
		if !known[cl.number] {
			faults = append(faults, fmt.Sprintf("%s: there is no class %d", cl.file, cl.number))
		}
	}
	return faults
}

func TestThreats(t *testing.T) {
	found, faults := claims(os.DirFS("."))
	slices.SortStableFunc(found, func(a, b claim) int { return strings.Compare(a.file, b.file) })
	for _, f := range append(faults, uncovered(found)...) {
		t.Error(f)
	}
	const file = "docs/threats.md"
	want := page(found)
	if *update {
		if err := os.WriteFile(filepath.FromSlash(file), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil || string(got) != want {
		t.Errorf("%s is not current: go test -run TestThreats -update . (%v)", file, err)
	}
	t.Attr("claims", strconv.Itoa(len(found)))
}

// The rules above report what they are for.
func TestThreatsCanFail(t *testing.T) {
	_, faults := claimsOfGo("a_test.go", []byte("package a\n\n//threat:1 a → b\nvar x int\n\n//threat:2 no arrow\nfunc TestA() {}\n"))
	if len(faults) != 2 {
		t.Errorf("stray directives: %q", faults)
	}
	found, faults := claimsOfGo("a_test.go", []byte("package a\n\n// TestA is one.\n//\n//threat:48 a → b\nfunc TestA() {}\n"))
	if len(found) != 1 || found[0] != (claim{48, "a_test.go", "TestA", "a", "b"}) || len(faults) > 0 {
		t.Errorf("%v %q", found, faults)
	}
	if faults := uncovered(found); len(faults) != 45 {
		t.Errorf("44 classes without a test and one that is none: %q", faults)
	}
	if player(os.DirFS("."), "internal/gate/testdata/edge.txt") != "TestScripts/edge" || player(os.DirFS("."), "docs/testdata/edge.txt") != "" {
		t.Error("who plays a script is not known")
	}
}

// Whoever can be guessed is made by crypto/rand, which never falls back to anything (Go 1.24, crypto/rand.Read).
//
//threat:38 math/rand anywhere in the product but in the attacker, who has to be repeatable → the test fails; ids, keys, tokens and nonces have one source
func TestRandomness(t *testing.T) {
	own := 0
	for _, p := range listPackages(t) {
		if p.Module == nil || !p.Module.Main || relative(p.ImportPath) == "internal/attack" || relative(p.ImportPath) == "internal/cli" {
			continue
		}
		own++
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, "math/rand") {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
	if own < 20 {
		t.Errorf("only %d packages were looked at", own)
	}
}
