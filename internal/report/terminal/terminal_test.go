package terminal

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/finding"
)

// TestNothingDrivesTheTerminal holds that what an API answered is printed and nothing else.
func TestNothingDrivesTheTerminal(t *testing.T) {
	hostile := "\x1b]0;owned\x07 \u009b2J \u202eevil\u2066 \r over \x00 \xff\xfe \u2028 \u200b"
	r := &finding.Report{Kind: hostile, Target: hostile, Interrupted: hostile, Inputs: []finding.Input{{What: hostile, Path: hostile, SHA256: hostile}},
		Rules: []finding.Rule{{ID: hostile, Title: hostile, Why: hostile, Fix: hostile, OWASP2023: []string{hostile}}},
		Findings: []finding.Finding{{Rule: hostile, Operation: hostile, Message: hostile, Place: finding.Place{File: hostile, Line: 1, Pointer: hostile},
			Proof: []finding.Exchange{{Note: hostile, Answer: hostile, Curl: "curl '" + hostile + "'", Status: 200}}}},
		Outcomes:  []finding.Outcome{{Rule: hostile, Operation: hostile, Reason: hostile, Verdict: finding.Inconclusive}},
		Coverage:  finding.Coverage{Declared: 1, NotReached: []string{hostile}},
		Sections:  []finding.Section{{Name: hostile}},
		Checklist: []finding.Point{{List: hostile, Text: hostile, State: hostile, Next: hostile}}}
	out := written(t, r)
	if !utf8.ValidString(out) {
		t.Error("what is printed is not UTF-8")
	}
	for _, c := range out {
		if c != '\n' && !unicode.IsPrint(c) {
			t.Fatalf("%U is printed in %q", c, out)
		}
	}
	if !strings.Contains(out, `\x1b]0;owned\x07`) {
		t.Error("what was there is not shown")
	}
}

func TestColour(t *testing.T) {
	var plain, coloured bytes.Buffer
	if err := write(&plain, sample(t), false); err != nil {
		t.Fatal(err)
	}
	if err := write(&coloured, sample(t), true); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Error("colour where none is wanted")
	}
	if !strings.Contains(coloured.String(), "\x1b[1;31mCRITICAL\x1b[0m") {
		t.Error("no colour where it is wanted")
	}
	stripped := coloured.String()
	for _, code := range []string{bold, dim, red, yellow, blue, green, "0"} {
		stripped = strings.ReplaceAll(stripped, "\x1b["+code+"m", "")
	}
	if d := cmp.Diff(plain.String(), stripped); d != "" {
		t.Errorf("colour says what words do not: %s", d)
	}
}

func TestWidth(t *testing.T) {
	r := sample(t)
	r.Findings[0].Message = strings.Repeat("many words ", 60)
	r.Findings[0].Proof[0].Answer = strings.Repeat("x", 5000)
	r.Outcomes[1].Reason = strings.Repeat("a reason ", 60)
	for line := range strings.Lines(written(t, r)) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > Width {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// TestCommandStaysTheSame holds, with a real shell, that a command that was broken into lines has the same arguments.
func TestCommandStaysTheSame(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("SKIPPED: no sh")
	}
	arguments := func(command string) string {
		out, err := exec.Command(sh, "-c", "curl() { printf '<%s>' \"$@\"; }\nBOB=token\n"+command).Output()
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		return string(out)
	}
	for _, c := range []string{
		`curl -s http://a/b`,
		`curl -s -X POST -H 'Content-Type: application/json' -H "Authorization: Bearer $BOB" --data '{"a":  "b c", "d": "it'\''s"}' 'http://127.0.0.1:8080/api/orders?x=1&y=2'`,
		"curl -s \\\n  -H 'A: b' \\\n  http://a/b",
		`curl "a \" b" c\ d 'e \'`,
		`curl -s -i -H 'A: '"$BOB"' c' --data-binary '` + strings.Repeat("long words ", 30) + `' http://a`,
	} {
		for _, n := range []int{20, 60, 98} {
			if got, want := arguments(command(c, n, "    ")), arguments(c); got != want {
				t.Errorf("in %d columns: %s\n%s", n, got, want)
			}
		}
	}
}
