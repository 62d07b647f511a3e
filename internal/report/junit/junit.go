// Package junit writes a report as JUnit XML, for the test views of build servers: one test case for each thing that was
// tried. What could not be decided is skipped with its reason, never passed.
package junit

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/finding"
)

type suites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Skipped  int      `xml:"skipped,attr"`
	Time     string   `xml:"time,attr"`
	Suites   []suite  `xml:"testsuite"`
}

type suite struct {
	Name      string `xml:"name,attr"`
	Tests     int    `xml:"tests,attr"`
	Failures  int    `xml:"failures,attr"`
	Errors    int    `xml:"errors,attr"`
	Skipped   int    `xml:"skipped,attr"`
	Time      string `xml:"time,attr"`
	Timestamp string `xml:"timestamp,attr"`
	Cases     []one  `xml:"testcase"`
}

type one struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	File    string   `xml:"file,attr,omitempty"`
	Line    int      `xml:"line,attr,omitempty"`
	Error   *said    `xml:"error"`
	Failure *failure `xml:"failure"`
	Skipped *said    `xml:"skipped"`
}

type failure struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

type said struct {
	Message string `xml:"message,attr"`
}

// Write writes the report.
func Write(w io.Writer, r *finding.Report) error {
	taken := make([]bool, len(r.Findings))
	s := suite{Name: "portreeve " + r.Kind, Time: fmt.Sprintf("%.3f", r.Ended.Sub(r.Started).Seconds()), Timestamp: r.Started.UTC().Format(time.RFC3339)}
	for _, o := range r.Outcomes {
		c := one{Class: o.Rule, Name: cmp.Or(o.Operation, title(r, o.Rule))}
		switch o.Verdict {
		case finding.Passed:
		case finding.Failed:
			var of []finding.Finding
			for i, f := range r.Findings {
				if !taken[i] && f.Rule == o.Rule && (f.Operation == o.Operation || o.Operation == "") {
					taken[i] = true
					of = append(of, f)
				}
			}
			c.fail(r, of)
		case finding.Skipped:
			c.Skipped = &said{o.Reason}
		default: // a verdict that is not known decides nothing
			c.Skipped = &said{"inconclusive: " + o.Reason}
		}
		s.Cases = append(s.Cases, c)
	}
	for i, f := range r.Findings { // none is lost for want of an outcome
		if !taken[i] {
			c := one{Class: f.Rule, Name: cmp.Or(f.Operation, f.Place.String(), title(r, f.Rule))}
			c.fail(r, []finding.Finding{f})
			s.Cases = append(s.Cases, c)
		}
	}
	if r.Interrupted != "" { // what was not reached must not look green
		s.Cases = append(s.Cases, one{Class: "portreeve", Name: "the whole " + r.Kind, Error: &said{"ended early: " + r.Interrupted}})
	}
	for _, c := range s.Cases {
		s.Tests++
		if c.Error != nil {
			s.Errors++
		}
		if c.Failure != nil {
			s.Failures++
		}
		if c.Skipped != nil {
			s.Skipped++
		}
	}
	all := suites{Name: s.Name, Tests: s.Tests, Failures: s.Failures, Errors: s.Errors, Skipped: s.Skipped, Time: s.Time, Suites: []suite{s}}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return fmt.Errorf("encoding report: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func title(r *finding.Report, rule string) string {
	if x := r.Rule(rule); x != nil {
		return x.Title
	}
	return rule
}

func (c *one) fail(r *finding.Report, of []finding.Finding) {
	c.Failure = &failure{Type: "finding", Message: "failed, and nothing says how"}
	var b strings.Builder
	for i, f := range of {
		if i == 0 {
			c.Failure.Type, c.Failure.Message = f.Severity.String(), f.Message
			c.File, c.Line = f.Place.File, f.Place.Line
		}
		fmt.Fprintf(&b, "\n%s: %s\n", f.Severity, f.Message)
		if at := f.Place.String(); at != "" {
			fmt.Fprintf(&b, "at %s\n", at)
		}
		for _, p := range f.Proof {
			fmt.Fprintf(&b, "%s\n", p.Note)
			if p.Curl != "" {
				fmt.Fprintf(&b, "%s\n", p.Curl)
			}
			if p.Status != 0 {
				fmt.Fprintf(&b, "%d %s\n", p.Status, p.Answer)
			}
		}
		if x := r.Rule(f.Rule); x != nil {
			fmt.Fprintf(&b, "fix: %s\n", x.Fix)
		}
	}
	c.Failure.Text = b.String()
}
