package secret

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFetch(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	t.Setenv("PORTREEVE_TEST_SECRET", "k7-canary-value")
	t.Setenv("PORTREEVE_TEST_EMPTY", "")
	t.Setenv("PORTREEVE_TEST_KNOWN", " ChangeMe ")
	for _, c := range []struct {
		name, want, fault string
		ref               Ref
	}{
		{"env", "k7-canary-value", "", Ref{Env: "PORTREEVE_TEST_SECRET"}},
		{"file, one line break removed", "a\n", "", Ref{File: write("two", "a\n\r\n")}},
		{"unset", "", "PORTREEVE_TEST_NEVER is not set", Ref{Env: "PORTREEVE_TEST_NEVER"}},
		{"empty", "", "is empty", Ref{Env: "PORTREEVE_TEST_EMPTY"}},
		{"a line break alone", "", "is empty", Ref{File: write("break", "\n")}},
		{"well known", "", "well-known", Ref{Env: "PORTREEVE_TEST_KNOWN"}},
		{"no file", "", "no such file", Ref{File: filepath.Join(dir, "none")}},
		{"too large", "", "larger than", Ref{File: write("large", strings.Repeat("x", maxFile+1))}},
		{"two sources", "", "one source", Ref{Env: "A", File: "b"}},
		{"no source", "", "no source", Ref{}},
	} {
		got, err := c.ref.Fetch()
		if c.fault == "" {
			if err != nil || string(got) != c.want {
				t.Errorf("%s: %q, %v", c.name, got, err)
			}
			continue
		}
		var e *Error
		if got != nil || !errors.As(err, &e) || !e.BadInput() || !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
		if err != nil && strings.Contains(strings.ToLower(err.Error()), "changeme") {
			t.Errorf("%s: the error holds the secret: %v", c.name, err)
		}
	}
}
