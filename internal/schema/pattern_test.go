package schema

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

var hardPatterns = []string{
	`^(?=.*[A-Z])(?=.*\d).{8,}$`, `^(?!-)[a-z0-9-]{1,63}(?<!-)$`, `^(?!.*\.\.)[a-z.]+$`, `^(?=a)ab`, `^(?!(a|b)c)\w+$`, `^(?=.{2,4}$)a*b*$`,
	`^[^\r\n]{1,4096}$`, `^[\s\S]{2,51200}$`, `^.{3,2048}$`, `.{2,4096}`, `x[a-c]{1,2000}`, `^a{1001,}$`, `^a.{0,1500}`,
	`^(?=a)(?=.b)abc?$`, `^(?<x>a)(?<!b)$`, `^(?=\()\(.\)$`, `^a[(?=]$`, `^(?!a\|)[a|]+$`,
}

var hardTexts = []string{"", "a", "ab", "abc", "aB3defgh", "abcdefgh", "ABCDEFG1", "A1", "-a", "a-", "a-b", "a.b", "a..b", "bc", "bcd", "acd", "aabb", "aaabb", "b", "cd",
	"\n", "a\nb", "\u2028\u2028\u2028", "xa", "bcc", "bc", "(x)", "(x", "a(", "a?", "a|a", "aa|", "😀😀", "😀"}

// TestPatternsThatAreTakenApart: what is run as several expressions, or by counting, matches what Node's engine does.
func TestPatternsThatAreTakenApart(t *testing.T) {
	texts := append([]string{strings.Repeat("a", 1000), strings.Repeat("a", 1001), strings.Repeat("a", 2048), strings.Repeat("a", 2049),
		strings.Repeat("é", 4096), strings.Repeat("é", 4097), "b" + strings.Repeat("c", 2), "x" + strings.Repeat("c", 2001)}, hardTexts...)
	want := byNode(t, hardPatterns, texts)
	for i, source := range hardPatterns {
		p, err := compilePattern(source)
		if err != nil {
			t.Error(err)
			continue
		}
		for k, text := range texts {
			if got := p.MatchString(text); got != want[i][k] {
				t.Errorf("%s on %.20q (%d bytes): got %v", source, text, len(text), got)
			}
		}
	}
	for _, source := range []string{`(?=a)b`, `a(?=b)c`, `^a|(?!b)c$`, `(a)\1`, `^(ab){1,2000}$`, `^a(?<!b)c$`, `^[a]{2000,1000}$`, `(?i)^(?=a)b`, `(a|b[cd]{2,3000})`} {
		if p, err := compilePattern(source); err == nil {
			t.Errorf("%s became %T", source, p.matcher)
		}
	}
}

// byNode asks Node which texts each pattern matches.
func byNode(t *testing.T, patterns, texts []string) (matches [][]bool) {
	t.Helper()
	in, err := json.Marshal([][]string{patterns, texts})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "-e", `const [ps, ts] = JSON.parse(require("fs").readFileSync(0)); console.log(JSON.stringify(ps.map(p => ts.map(t => new RegExp(p, "u").test(t)))))`)
	cmd.Stdin = strings.NewReader(string(in))
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("SKIPPED: node, whose patterns are ECMA-262's, does not run here: %v", err)
	}
	if err := json.Unmarshal(out, &matches); err != nil {
		t.Fatal(err)
	}
	return matches
}
