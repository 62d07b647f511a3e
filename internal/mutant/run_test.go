package mutant

import (
	"os"
	"strings"
	"testing"
	"time"
)

func show(t *testing.T, r *Result) {
	t.Helper()
	for _, k := range r.Baseline {
		t.Logf("BASELINE %s %s %s", k.Attack, k.Operation, k.Message)
	}
	for _, j := range r.Mutants {
		by := ""
		if len(j.By) > 0 {
			by = j.By[0].Attack + " " + j.By[0].Operation
		}
		t.Logf("%-9s %-70s %6d %s %s", j.Verdict, j.ID, j.Millis, by, j.Reason)
	}
	t.Logf("%d of %d killed (%d %%) in %s; open: %s", r.Killed, r.Total, r.Percent(), r.Ended.Sub(r.Started).Round(time.Millisecond), r.Open)
}

func TestExplore(t *testing.T) {
	o, err := Demonstration(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o.Seed = 1
	if only := os.Getenv("MUTANTS"); only != "" {
		o.Only = func(m Mutant) bool { return strings.HasPrefix(m.ID, only) }
	}
	r, err := Run(t.Context(), o)
	if r != nil {
		show(t, r)
	}
	if err != nil {
		t.Fatal(err)
	}
}
