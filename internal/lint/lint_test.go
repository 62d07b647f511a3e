package lint

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/config"
	"github.com/portreeve/portreeve/internal/control/catalogue"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/vectors"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// build writes the base with its edits and checks it.
func build(t *testing.T, edits []edit, simple bool) *finding.Report {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{}
	for _, name := range []string{"openapi.yaml", "portreeve.yaml"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	for _, e := range edits {
		if e.old == "" {
			files[e.file] = e.new
			continue
		}
		if n := strings.Count(files[e.file], e.old); n != 1 {
			t.Fatalf("%q stands %d times in %s", e.old, n, e.file)
		}
		files[e.file] = strings.Replace(files[e.file], e.old, e.new, 1)
	}
	o := Options{Config: filepath.Join(dir, "portreeve.yaml"), Now: now, Paths: []string{dir}, Attacks: []string{"error-leak"}}
	if simple {
		o.Config, o.Document = "", filepath.Join(dir, "openapi.yaml")
		delete(files, "portreeve.yaml")
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return Check(s, "test", clock)
}

func times(r *finding.Report, rule string) (n int, first finding.Finding) {
	for _, f := range r.Findings {
		if f.Rule == rule {
			if n++; n == 1 {
				first = f
			}
		}
	}
	return n, first
}

func fired(r *finding.Report) []string {
	var out []string
	for _, f := range r.Findings {
		if !slices.Contains(out, f.Rule) {
			out = append(out, f.Rule)
		}
	}
	slices.Sort(out)
	return out
}

// TestSamples holds every rule against every sample: it finds its own weak one, and nothing in any sound one.
func TestSamples(t *testing.T) {
	base := build(t, nil, false)
	if got := fired(base); len(got) > 0 {
		t.Fatalf("the base is not clean: %v %+v", got, base.Findings)
	}
	truePositive, falsePositive, falseNegative, sound := 0, 0, 0, 0
	for i := range rules {
		id := rules[i].ID
		x, ok := samples[id]
		if !ok {
			t.Errorf("%s has no sample", id)
			continue
		}
		t.Run(id, func(t *testing.T) {
			bad := build(t, x.bad, x.simple)
			n, f := times(bad, id)
			if want := max(x.times, 1); n != want {
				t.Errorf("weak: %d findings, want %d", n, want)
			}
			if n > 0 {
				truePositive++
				if f.Place.Line == 0 || f.Place.File == "" || f.Fingerprint == "" || f.Message == "" {
					t.Errorf("weak: no place: %+v", f)
				}
			} else {
				falseNegative++
			}
			for _, other := range fired(bad) {
				if other != id && !slices.Contains(x.also, other) {
					falsePositive++
					t.Errorf("weak: %s fires as well: %+v", other, bad.Findings)
				}
			}
			good := build(t, x.good, x.simple)
			for _, other := range fired(good) {
				falsePositive++
				t.Errorf("sound: %s fires: %+v", other, good.Findings)
			}
			sound++
			if len(good.Findings) == 0 {
				for _, s := range good.Sections {
					if s.Score != 100 {
						t.Errorf("sound: %s scores %d", s.Name, s.Score)
					}
				}
			}
		})
	}
	t.Logf("%d rules over %d weak and %d sound samples: recall %d/%d, precision %d/%d", len(rules), len(samples), sound,
		truePositive, truePositive+falseNegative, truePositive, truePositive+falsePositive)
	for id := range samples {
		if SectionOf(id) == "" {
			t.Errorf("the sample %s has no rule", id)
		}
	}
}

// TestRulesAreWhole holds that each rule says what a report needs, and that catalogue and rules know each other.
func TestRulesAreWhole(t *testing.T) {
	c := catalogue.Builtin()
	seen := map[string]bool{}
	for i := range rules {
		r := &rules[i]
		if seen[r.ID] {
			t.Errorf("%s stands twice", r.ID)
		}
		seen[r.ID] = true
		if r.Title == "" || r.Why == "" || r.Fix == "" || r.Severity == finding.None || len(r.CWE) == 0 || len(r.OWASP2019) == 0 || len(r.OWASP2023) == 0 || len(r.Controls) == 0 || r.check == nil || r.needs == 0 {
			t.Errorf("%s is not whole", r.ID)
		}
		if !slices.Contains(Sections, r.section) {
			t.Errorf("%s: the section %q is not listed", r.ID, r.section)
		}
		for _, id := range r.Controls {
			x := c.Control(id)
			if x == nil {
				t.Errorf("%s: there is no control %q", r.ID, id)
			} else if !slices.Contains(x.TestedBy.By, "check/"+r.ID) {
				t.Errorf("%s tests %s, but the catalogue does not say so", r.ID, id)
			}
		}
	}
	for _, x := range c.Controls {
		for _, by := range x.TestedBy.By {
			id, ok := strings.CutPrefix(by, "check/")
			if i := slices.IndexFunc(rules, func(r rule) bool { return r.ID == id }); ok && (i < 0 || !slices.Contains(rules[i].Controls, x.ID)) {
				t.Errorf("the catalogue has %s tested by %s, which does not say so", x.ID, by)
			}
		}
	}
	if rules[len(rules)-1].ID != refusedRule {
		t.Errorf("%s is not last", refusedRule)
	}
}

// TestEverySwitchOffHasARule holds the configuration's keys against the rules.
func TestEverySwitchOffHasARule(t *testing.T) {
	c := reflect.TypeFor[config.Config]()
	switches := 0
	for i := range c.NumField() {
		key := c.Field(i).Tag.Get("key")
		if !strings.HasPrefix(key, "unsafe_") {
			continue
		}
		switches++
		if SectionOf(strings.ReplaceAll(key, "_", "-")) == "" {
			t.Errorf("%s switches something off, and no rule lists it", key)
		}
	}
	if switches < 2 {
		t.Errorf("only %d switch-offs were found", switches)
	}
}

// TestForeignDocuments reads what other people wrote. The counts are for whoever tightens a rule.
func TestForeignDocuments(t *testing.T) {
	s, err := Load(Options{Document: vectors.Path(t, "documents/box.json"), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	r := Check(s, "test", clock)
	counts := map[string]int{}
	for _, f := range r.Findings {
		counts[f.Severity.String()+" "+f.Rule]++
		if f.Place.Line == 0 {
			t.Errorf("no place: %+v", f)
		}
	}
	for _, k := range sorted(counts) {
		t.Logf("%5d  %s", counts[k], k)
	}
	t.Logf("%d operations, sections %+v", r.Coverage.Declared, r.Sections)
	if counts["high object-unbound"] == 0 || counts["low string-unbounded"] == 0 {
		t.Error("a document without ownership rules passed")
	}
	if n := counts["critical secret-in-document"] + counts["medium personal-example"]; n > 0 {
		t.Errorf("%d secrets or persons in published examples", n)
	}
}

var update = flag.Bool("update", false, "write docs/checks.md")

func TestReferenceIsCurrent(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "checks.md")
	if *update {
		if err := os.WriteFile(path, Reference(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, Reference()) {
		t.Errorf("%s is stale (%v); run: go test ./internal/lint -update", path, err)
	}
}

// TestChecklist holds that each line of the guide's two lists has a state, and that no state claims more than was seen.
func TestChecklist(t *testing.T) {
	clean := build(t, nil, false)
	weak := build(t, samples["server-plaintext"].bad, false)
	if len(clean.Checklist) != 15 {
		t.Fatalf("%d points", len(clean.Checklist))
	}
	states := map[string]int{}
	for i, p := range clean.Checklist {
		states[p.State]++
		switch {
		case p.Text == "" || p.Line == 0 || p.List == "" || len(p.Controls) == 0:
			t.Errorf("a point is not whole: %+v", p)
		case p.State == PointFound:
			t.Errorf("found in what is clean: %+v", p)
		case p.State == PointChecked && len(p.Rules) == 0:
			t.Errorf("checked by nothing: %+v", p)
		case p.State != PointChecked && p.Next == "":
			t.Errorf("nobody knows how to go on: %+v", p)
		}
		if strings.HasPrefix(p.Text, "HTTPS") && weak.Checklist[i].State != PointFound {
			t.Errorf("plain http was found, and the list does not say so: %+v", weak.Checklist[i])
		}
	}
	if i := slices.IndexFunc(clean.Checklist, func(p finding.Point) bool { return strings.HasPrefix(p.Text, "Error Handling") }); !strings.HasPrefix(clean.Checklist[i].Next, "portreeve attack --only error-leak;") {
		t.Errorf("an attack that exists, and no other, comes next: %+v", clean.Checklist[i])
	}
	if states[PointChecked] == 0 || states[PointGate] == 0 || states[PointPerson] == 0 {
		t.Errorf("states %v", states)
	}
	t.Log(states)
}

// TestFingerprintsHold holds that a finding that only moved to another line is still the same finding.
func TestFingerprintsHold(t *testing.T) {
	bad := samples["object-unbound"].bad
	a, b := build(t, bad, false), build(t, append(slices.Clone(bad), doc("info: {title: Orders, version: \"1.0.0\"}\n", "info:\n  title: Orders\n  version: \"1.0.0\"\n")), false)
	if a.Findings[0].Fingerprint != b.Findings[0].Fingerprint || a.Findings[0].Place.Line == b.Findings[0].Place.Line {
		t.Errorf("a finding that moved is another one: %+v %+v", a.Findings[0], b.Findings[0])
	}
}

// TestWhateverIsThere reads every file of other people's documents: it is checked, or refused with its place.
func TestWhateverIsThere(t *testing.T) {
	root := vectors.Path(t, "documents")
	checked, refused := 0, 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains([]string{".yml", ".yaml", ".json"}, filepath.Ext(path)) {
			return err
		}
		s, err := Load(Options{Document: path, Now: now})
		if err == nil {
			Check(s, "test", clock)
			checked++
			return nil
		}
		refused++
		var bad interface{ BadInput() bool }
		if !errors.As(err, &bad) || !bad.BadInput() || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: no place: %v", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked == 0 {
		t.Error("nothing could be checked")
	}
	t.Logf("%d documents checked, %d files refused (parts of documents, and documents in several files)", checked, refused)
}
