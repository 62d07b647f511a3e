package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/attack"
	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/control/catalogue"
	"github.com/portreeve/portreeve/internal/demo"
	"github.com/portreeve/portreeve/internal/evidence"
	"github.com/portreeve/portreeve/internal/lint"
	"github.com/portreeve/portreeve/internal/report/coverage"
)

var coverageFrom = flag.String("coverage-from", "", "write docs/guide-coverage.md anew from this pack of the demonstration")

const coveragePage = "../../docs/guide-coverage.md"

// TestGuideCoverage holds docs/guide-coverage.md. What only a run of the demonstration can show is taken from a pack of one;
// everything that can be known without a run is held here against the program as it is.
func TestGuideCoverage(t *testing.T) {
	c := catalogue.Builtin()
	if *coverageFrom != "" {
		v, err := evidence.Verify(*coverageFrom, "")
		if err != nil || !v.Recomputed {
			t.Fatalf("the pack does not verify: %v", err)
		}
		var b bytes.Buffer
		if err := coverage.Write(&b, c, v.Evidence); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(coveragePage, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(coveragePage)
	if err != nil {
		t.Fatal(err)
	}
	rows := coverageRows(string(page))
	declared := demoDeclares(t)
	exists := map[string]bool{}
	for i := range attack.Attacks {
		exists["attack/"+attack.Attacks[i].ID] = true
	}
	for _, r := range lint.Rules() {
		exists["check/"+r.ID] = true
	}
	at := 0
	for _, item := range c.Items {
		for k, id := range item.Controls {
			if at == len(rows) {
				t.Fatalf("the page ends before line %d", item.Line)
			}
			row := rows[at]
			at++
			x := c.Control(id)
			line := ""
			if k == 0 {
				line = fmt.Sprint(item.Line)
			}
			if row[0] != line || row[2] != string(id) || row[8] != coverage.Command(x) {
				t.Errorf("line %d, %s: the page has %q", item.Line, id, row)
			}
			if got, want := strings.Trim(row[3], "()"), string(declared.Control(id).Of(control.Declared).Value); got != want {
				t.Errorf("line %d, %s is declared %s on the page, and %s by the demonstration's plan", item.Line, id, got, want)
			}
			if row[4] == "yes" {
				for _, by := range x.TestedBy.By {
					if kind, _, _ := strings.Cut(by, "/"); (kind == "attack" || kind == "check") && !exists[by] {
						t.Errorf("line %d, %s is tested by %s, which does not exist", item.Line, id, by)
					}
				}
			}
			// The state follows from the facets, and from nothing else.
			e := control.Evidence{Values: map[control.Facet]control.Value{}}
			for i, f := range control.Facets {
				e.Values[f] = control.Value(strings.Trim(row[3+i], "()"))
				if x.Requires(f) == strings.HasPrefix(row[3+i], "(") {
					t.Errorf("line %d, %s: %s is %q", item.Line, id, f, row[3+i])
				}
			}
			if want := control.Judge(x.Evidence, e, time.Now()); row[7] != string(want) {
				t.Errorf("line %d, %s is %s on the page, and comes to %s", item.Line, id, row[7], want)
			}
		}
	}
	if at != len(rows) || len(c.Items) != 89 {
		t.Errorf("%d rows, %d are of the guide", len(rows), at)
	}
}

// coverageRows reads the table.
func coverageRows(page string) [][]string {
	var rows [][]string
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| Line") {
			continue
		}
		cells := strings.Split(strings.ReplaceAll(strings.Trim(strings.TrimSpace(line), "|"), `\|`, "\x00"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) == 9 {
			rows = append(rows, cells)
		}
	}
	return rows
}

// demoDeclares is the evidence of the demonstration's plan alone.
func demoDeclares(t *testing.T) *evidence.Evidence {
	t.Helper()
	dir := t.TempDir()
	path, err := demo.Settings{URL: "http://127.0.0.1:8080", Listen: "127.0.0.1:8080", Admin: "127.0.0.1:9443", Upstream: "http://127.0.0.1:9", Hosts: []string{"localhost:8080"}}.WriteFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	p, err := compile.Load(path, now)
	if err != nil {
		t.Fatal(err)
	}
	done, err := proving{plan: p, audit: filepath.Join(dir, "none"), out: filepath.Join(dir, "pack"), now: now, from: now.Add(-time.Hour), to: now, operator: "test"}.prove()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "pack", evidence.EvidenceFile))
	if err != nil {
		t.Fatal(err)
	}
	e := new(evidence.Evidence)
	if err := json.Unmarshal(b, e); err != nil {
		t.Fatal(err)
	}
	if e.In(control.Evidenced) != done.evidence.In(control.Evidenced) {
		t.Error("what is written is not what was gathered")
	}
	return e
}
