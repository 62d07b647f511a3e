package evidence

import (
	"testing"

	"github.com/portreeve/portreeve/internal/finding"
)

// Of several reasons why a test was skipped the same one is given every time: evidence that is computed again from the
// same inputs must be the same bytes.
func TestOneReasonOfMany(t *testing.T) {
	skipped := func(vacuous bool, reason string) attempt {
		return attempt{Outcome: finding.Outcome{Verdict: finding.Skipped, Vacuous: vacuous, Reason: reason}}
	}
	for _, c := range []struct {
		name     string
		attempts map[string]attempt
		want     string
	}{
		{"nothing to try on", map[string]attempt{"a": skipped(true, "no owner"), "b": skipped(true, "no list"), "c": skipped(true, "no id")}, "skipped: no owner"},
		{"some could not be tried", map[string]attempt{"a": skipped(true, "no owner"), "b": skipped(false, "not asked for"), "c": skipped(false, "no identity")}, "skipped: not asked for"},
	} {
		for range 100 { // the order of a map is another each time
			if got := (&tests{latest: map[string]map[string]attempt{"attack/x": c.attempts}}).of("attack/x").Reason; got != c.want {
				t.Fatalf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	}
}
