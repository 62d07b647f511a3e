package evidence

import (
	"testing"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/control/catalogue"
)

// TestKnownControls holds that facts and queries are about controls of the catalogue that ask for them.
func TestKnownControls(t *testing.T) {
	c := catalogue.Builtin()
	for id := range declarations {
		if x := c.Control(id); x == nil || !x.Requires(control.Declared) {
			t.Errorf("%s needs no declaration", id)
		}
	}
	for id, list := range queries {
		if x := c.Control(id); x == nil || len(list) > len(x.OperatingBy) {
			t.Errorf("%s does not count %d populations", id, len(list))
		}
	}
	silent, uncounted := 0, 0
	for _, x := range c.Controls {
		if x.Requires(control.Declared) && declarations[x.ID] == nil {
			silent++
			t.Logf("no declaration is read for %s", x.ID)
		}
		for i := range x.OperatingBy {
			if list := queries[x.ID]; i >= len(list) || list[i] == nil {
				uncounted++
			}
		}
	}
	t.Logf("%d declarations, %d controls without one; %d populations are not counted", len(declarations), silent, uncounted)
}

func TestDays(t *testing.T) {
	for s, want := range map[string]string{"P30D": "720h0m0s", "PT1H": "1h0m0s", "PT60S": "1m0s", "P12M": "8640h0m0s", "PT5M": "5m0s"} {
		if d, err := days(s); err != nil || d.String() != want {
			t.Errorf("%s: %s %v", s, d, err)
		}
	}
	for _, s := range []string{"", "P", "30D", "P30", "P-1D", "PT1D", "P1H", "P0D"} {
		if d, err := days(s); err == nil {
			t.Errorf("%q is %s", s, d)
		}
	}
}

func TestOrigin(t *testing.T) {
	for s, want := range map[string]string{"https://A.example": "https://a.example:443", "http://a:80/": "http://a:80", "http://[::1]:8080/x": "http://[::1]:8080", "http://:8080": "", "a.example": "", "ftp://a": "", "http://%zz": ""} {
		if got := origin(s); got != want {
			t.Errorf("%s: %q", s, got)
		}
	}
}
