package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSummarize runs the real go test on a module that has one of everything.
func TestSummarize(t *testing.T) {
	files := map[string]string{
		"go.mod":    "module example.com/m\n\ngo 1.26\n",
		"good/a.go": "package good\n",
		"good/a_test.go": `package good
import "testing"
func TestOne(t *testing.T) { t.Attr("tried", "7 things") }
func TestParts(t *testing.T) {
	t.Run("a", func(t *testing.T) {})
	t.Run("b", func(t *testing.T) { t.Skip("SKIPPED: the vectors \"x\" are missing") })
}
`,
		"bad/a_test.go": `package bad
import "testing"
func TestParts(t *testing.T) {
	t.Run("a", func(t *testing.T) { t.Error("the part is wrong") })
	t.Run("b", func(t *testing.T) {})
}
`,
		"late/a_test.go": `package late
import "testing"
func TestParent(t *testing.T) {
	t.Run("a", func(t *testing.T) {})
	t.Error("wrong after its parts")
}
`,
		"fallen/a_test.go": "package fallen\nimport (\"os\"; \"testing\")\nfunc TestExit(t *testing.T) { os.Exit(3) }\n",
		"broken/a_test.go": "package broken\nimport \"testing\"\nfunc TestA(t *testing.T) { undefined() }\n",
		"none/a.go":        "package none\n",
	}
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		packages string
		ok       bool
		want     []string
	}{
		{"./good ./none", true, []string{"ok  \texample.com/m/good", "?   \texample.com/m/none", "  example.com/m/good TestOne: tried: 7 things\n", `  example.com/m/good TestParts/b: SKIPPED: the vectors "x" are missing`, "\n2 passed, 0 failed, 1 skipped\n"}},
		{"./good ./bad", false, []string{"the part is wrong", "FAIL\texample.com/m/bad", "\n3 passed, 1 failed, 1 skipped\n"}},
		{"./late", false, []string{"wrong after its parts", "\n1 passed, 1 failed, 0 skipped\n"}},
		{"./fallen", false, []string{"\n0 passed, 1 failed, 0 skipped\n"}},
		{"./broken ./good", false, []string{"undefined: undefined", "FAIL\texample.com/m/broken", "\n2 passed, 1 failed, 1 skipped\n"}},
		{"./none", false, []string{"no package was tested", "\n0 passed, 0 failed, 0 skipped\n"}},
	} {
		t.Run(c.packages, func(t *testing.T) {
			cmd := exec.Command("go", append([]string{"test", "-json"}, strings.Fields(c.packages)...)...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
			events, _ := cmd.Output() // its exit code is what the events tell
			var out strings.Builder
			ok, err := summarize(strings.NewReader(string(events)), &out)
			if err != nil {
				t.Fatal(err)
			}
			if ok != c.ok {
				t.Errorf("ok is %v", ok)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("there is no %q in\n%s", want, &out)
				}
			}
		})
	}
}
