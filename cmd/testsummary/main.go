// Command testsummary reads what go test -json writes and says it for people: one line a package, the whole output of
// what failed, the attributes that tests gave themselves, every skipped test with its reason, and the count of all. Its
// exit code is 1 when anything failed, or when nothing ran. It is a part of make test, not of Portreeve.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	ok, err := summarize(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsummary:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// event is a line of go test -json (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build events
	Test       string
	Key, Value string // of attributes
	Output     string
	Elapsed    float64
}

// test is one test or subtest.
type test struct {
	pkg, name string
	result    string
	parent    bool // it has subtests
	output    []string
}

// summary is what was read so far.
type summary struct {
	out   io.Writer
	tests map[[2]string]*test
	order []*test
	told  []string            // attributes
	loose map[string][]string // output of packages and builds, by package
	bad   []string            // packages that failed
	ran   int
}

// summarize reads events until the end. ok is true when something ran and nothing failed.
func summarize(in io.Reader, out io.Writer) (ok bool, err error) {
	s := &summary{out: out, tests: map[[2]string]*test{}, loose: map[string][]string{}}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Action == "" {
				out.Write(line) // what go itself says beside the events
			} else {
				s.take(e)
			}
		}
		if err == io.EOF {
			return s.end(), nil
		}
		if err != nil {
			return false, fmt.Errorf("reading events: %w", err)
		}
	}
}

func (s *summary) take(e event) {
	switch {
	case e.Action == "build-output":
		s.loose[e.ImportPath] = append(s.loose[e.ImportPath], e.Output)
	case e.Action == "build-fail":
		s.tell(e.ImportPath)
	case e.Test != "":
		s.takeTest(e)
	case e.Action == "output":
		s.loose[e.Package] = append(s.loose[e.Package], e.Output)
	case e.Action == "fail":
		s.bad = append(s.bad, e.Package)
		s.tellTests(e.Package)
		s.tell(e.Package)
		fmt.Fprintf(s.out, "FAIL\t%s\t%.1fs\n", e.Package, e.Elapsed)
	case e.Action == "pass":
		s.ran++
		fmt.Fprintf(s.out, "ok  \t%s\t%.1fs\n", e.Package, e.Elapsed)
	case e.Action == "skip":
		fmt.Fprintf(s.out, "?   \t%s\t[no tests]\n", e.Package)
	}
}

func (s *summary) takeTest(e event) {
	key := [2]string{e.Package, e.Test}
	t := s.tests[key]
	if t == nil {
		t = &test{pkg: e.Package, name: e.Test}
		s.tests[key] = t
		s.order = append(s.order, t)
		if i := strings.LastIndexByte(e.Test, '/'); i > 0 {
			if p := s.tests[[2]string{e.Package, e.Test[:i]}]; p != nil {
				p.parent = true
			}
		}
	}
	switch e.Action {
	case "attr":
		s.told = append(s.told, fmt.Sprintf("  %s %s: %s: %s", e.Package, e.Test, e.Key, e.Value))
	case "output":
		t.output = append(t.output, e.Output)
	case "pass", "fail", "skip":
		t.result = e.Action
	}
}

// tell prints what a package or build said.
func (s *summary) tell(pkg string) {
	for _, line := range s.loose[pkg] {
		if line != "FAIL\n" && !strings.HasPrefix(line, "FAIL\t") { // that is said by take
			io.WriteString(s.out, line)
		}
	}
	delete(s.loose, pkg)
}

// tellTests prints what the failed tests of a package said, those that never ended too.
func (s *summary) tellTests(pkg string) {
	for _, t := range s.order {
		if t.pkg == pkg && t.result != "pass" && t.result != "skip" {
			io.WriteString(s.out, strings.Join(t.output, ""))
		}
	}
}

// end prints the skips and the count. A test with subtests counts by them, unless it failed by itself.
func (s *summary) end() bool {
	var passed, failed int
	var skipped []string
	failedBelow := func(t *test) bool {
		return slices.ContainsFunc(s.order, func(u *test) bool {
			return u.pkg == t.pkg && strings.HasPrefix(u.name, t.name+"/") && u.result != "pass" && u.result != "skip"
		})
	}
	blamed := map[string]bool{}
	for _, t := range s.order {
		switch {
		case t.result == "skip":
			skipped = append(skipped, fmt.Sprintf("  %s %s: %s", t.pkg, t.name, reason(t.output)))
		case t.result == "pass":
			if !t.parent {
				passed++
			}
		case !t.parent || !failedBelow(t): // "" is a test that never ended
			failed++
			blamed[t.pkg] = true
		}
	}
	for _, pkg := range s.bad {
		if !blamed[pkg] {
			failed++ // it did not build, or fell outside every test
		}
	}
	if len(s.told) > 0 {
		fmt.Fprintf(s.out, "\nTOLD by tests:\n%s\n", strings.Join(s.told, "\n"))
	}
	if len(skipped) > 0 {
		fmt.Fprintf(s.out, "\nSKIPPED, so not shown by this run:\n%s\n", strings.Join(skipped, "\n"))
	}
	if s.ran+len(s.bad) == 0 {
		fmt.Fprintln(s.out, "no package was tested")
	}
	fmt.Fprintf(s.out, "\n%d passed, %d failed, %d skipped\n", passed, failed, len(skipped))
	return failed == 0 && len(s.bad) == 0 && s.ran > 0
}

// reason is what a skipped test said, without go test's own lines.
func reason(output []string) string {
	var said []string
	for line := range strings.Lines(strings.Join(output, "")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if file, rest, ok := strings.Cut(line, ": "); ok && strings.Contains(file, ".go:") {
			line = rest
		}
		said = append(said, line)
	}
	return strings.Join(said, " ")
}
