package jsonreport

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/finding"
)

func TestReadBack(t *testing.T) {
	r := sample(t)
	var back finding.Report
	if err := json.Unmarshal([]byte(written(t, r)), &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, &back); d != "" {
		t.Errorf("what is read is not what was written: %s", d)
	}
}

func TestEmptyListsAreThere(t *testing.T) {
	out := written(t, new(finding.Report))
	for _, name := range []string{"inputs", "rules", "findings", "outcomes"} {
		if !strings.Contains(out, `"`+name+`": []`) {
			t.Errorf("%s is not an empty list", name)
		}
	}
}
