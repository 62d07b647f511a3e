package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/portreeve/portreeve/internal/cli"
)

// TestMain lets the test binary stand in for portreeve: a script that runs the command runs main, in a process of its
// own, built as the tests are (with the race detector where they have it).
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"portreeve": main})
}

// TestScripts runs every command as a script of testdata. script_test.go says which commands a script has beside those
// of testscript itself.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Cmds:  scriptCommands,
		Setup: setup,
	})
}

// TestHelp asks every command there is for help, found as a person finds them: from the list of the one above it.
func TestHelp(t *testing.T) {
	var seen []string
	var walk func(path []string)
	walk = func(path []string) {
		name := strings.Join(append([]string{"portreeve"}, path...), " ")
		seen = append(seen, name)
		var out, errs bytes.Buffer
		code := cli.Main(t.Context(), append(slices.Clone(path), "--help"), cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
		if code != 0 || errs.Len() > 0 {
			t.Errorf("%s --help: exit %d, stderr %q", name, code, errs.String())
		}
		for _, fault := range helpFaults(name, out.String()) {
			t.Errorf("%s --help: %s", name, fault)
		}
		for _, sub := range subcommands(out.String()) {
			if sub != "help" {
				walk(append(slices.Clone(path), sub))
			}
		}
	}
	walk(nil)
	t.Logf("%d commands: %s", len(seen), strings.Join(seen, ", "))
	for _, want := range []string{"portreeve version", "portreeve completion"} {
		if !slices.Contains(seen, want) {
			t.Errorf("%s is not among the commands", want)
		}
	}
}

// helpFaults says what a help page lacks: how to call the command, and an example that calls this very command.
func helpFaults(name, page string) []string {
	var faults []string
	if !strings.Contains(page, "\nUsage:\n") {
		faults = append(faults, "no usage")
	}
	_, example, ok := strings.Cut(page, "\nExamples:\n")
	example, _, _ = strings.Cut(example, "\n\n")
	switch {
	case !ok:
		faults = append(faults, "no example")
	case !strings.Contains(example, name):
		faults = append(faults, "no example calls "+name)
	}
	if first, _, _ := strings.Cut(page, "\n"); strings.TrimSpace(first) == "" {
		faults = append(faults, "no sentence says what it does")
	}
	return faults
}

var subcommandLine = regexp.MustCompile(`(?m)^  ([a-z][a-z-]*) `)

func subcommands(page string) []string {
	_, list, ok := strings.Cut(page, "\nAvailable Commands:\n")
	if !ok {
		return nil
	}
	list, _, _ = strings.Cut(list, "\n\n")
	var names []string
	for _, m := range subcommandLine.FindAllStringSubmatch(list, -1) {
		names = append(names, m[1])
	}
	return names
}

func TestHelpFaults(t *testing.T) {
	good := "Do it\n\nUsage:\n  portreeve do\n\nExamples:\n  portreeve do it\n\nFlags:\n"
	if f := helpFaults("portreeve do", good); len(f) > 0 {
		t.Errorf("a good page has faults: %v", f)
	}
	for _, bad := range []string{
		strings.Replace(good, "Usage:", "Use:", 1),
		strings.Replace(good, "Examples:", "Example:", 1),
		strings.Replace(good, "portreeve do it", "portreeve undo it", 1),
		strings.Replace(good, "Do it", "", 1),
	} {
		if f := helpFaults("portreeve do", bad); len(f) != 1 {
			t.Errorf("faults of %q: %v", bad, f)
		}
	}
}
