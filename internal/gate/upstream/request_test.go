package upstream

import (
	"net/url"
	"strings"
	"testing"
)

// Who calls is told in visible ASCII, and as it is: RFC 9651's Strings, and Display Strings where those hold too little.
//
//threat:20 subjects and roles with line breaks, quotes, NUL, other scripts → the API's header holds visible ASCII alone, and tells them back whole
func TestStructuredStrings(t *testing.T) {
	for _, s := range []string{"", "alice", `a"b\c`, "a\r\nX-Evil: 1", "a\x00b", "a\x7fb", "é€", "a%b", `%"a"`, "a, b", `",admin"`, "\xff"} {
		got := structuredString(s)
		for i := 0; i < len(got); i++ {
			if got[i] < 0x20 || got[i] > 0x7e {
				t.Errorf("%q became %q", s, got)
			}
		}
		var back string
		if inner, ok := strings.CutPrefix(got, `%"`); ok {
			var err error
			if back, err = url.PathUnescape(strings.TrimSuffix(inner, `"`)); err != nil || strings.Contains(inner[:len(inner)-1], `"`) {
				t.Errorf("%q became %q: %v", s, got, err)
			}
		} else {
			back = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(got[1 : len(got)-1])
		}
		if back != s {
			t.Errorf("%q became %q, which is %q", s, got, back)
		}
	}
	if got := structuredList([]string{"a", `b", "root`}); got != `"a", "b\", \"root"` {
		t.Error(got)
	}
}
