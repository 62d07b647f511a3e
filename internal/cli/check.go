package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/attack"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/lint"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/report"
	"github.com/portreeve/portreeve/internal/report/jsonreport"
	text "github.com/portreeve/portreeve/internal/report/terminal"
)

func newCheck(s Streams) *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check [PATH…]",
		Short: "Audit document, configuration and files without running anything",
		Long: `Check reads the document and the configuration and says what in them weakens the API; PATHs are files and folders that
are searched for secrets. It gives each section a score, goes through the guide's checklists line by line, and says for
each line what reading cannot show.

Findings below --fail-on are counted; --all shows them too. JSON and reports always hold everything.`,
		Example: `  portreeve check
  portreeve check --config portreeve.yaml src/
  portreeve check --document openapi.yaml --fail-on high
  portreeve check . --report sarif=check.sarif --report html=check.html`,
		RunE: func(_ *cobra.Command, args []string) error {
			o.paths = args
			return check(s, o, time.Now)
		},
	}
	f := c.Flags()
	f.StringVar(&o.config, "config", "", "configuration `FILE` (default: portreeve.yaml, if it is here)")
	f.StringVar(&o.document, "document", "", "OpenAPI document `FILE`, instead of a configuration")
	f.StringVar(&o.failOn, "fail-on", finding.Medium.String(), "the lowest `SEVERITY` that makes the check fail: critical, high, medium or low")
	f.BoolVar(&o.all, "all", false, "show findings below --fail-on too")
	f.BoolVar(&o.json, "json", false, "print the whole report as JSON")
	f.StringArrayVar(&o.reports, "report", nil, "write a report: `FORMAT=FILE`, repeatable; "+report.Names())
	_ = c.MarkFlagFilename("config", "yaml", "yml")
	_ = c.MarkFlagFilename("document", "yaml", "yml", "json")
	_ = c.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions([]string{"critical", "high", "medium", "low"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

type checkOptions struct {
	config, document, failOn string
	paths, reports           []string
	all, json                bool
}

// check reads what there is, tells what it found, and fails when that is bad enough.
func check(s Streams, o checkOptions, now func() time.Time) error {
	var least finding.Severity
	if err := least.UnmarshalText([]byte(o.failOn)); err != nil || least == finding.None {
		return usagef("--fail-on is one of critical, high, medium, low")
	}
	outputs, err := report.ParseOutputs(o.reports)
	if err != nil {
		return exit(usage, err)
	}
	if o.config != "" && o.document != "" {
		return usagef("--config and --document exclude each other")
	}
	if o.config == "" && o.document == "" {
		if _, err := os.Stat(defaultConfig); err == nil {
			o.config = defaultConfig
		} else if !errors.Is(err, fs.ErrNotExist) || len(o.paths) == 0 {
			return usagef("there is no %s here\nhint: name one with --config, or an OpenAPI document with --document, or files to search for secrets", defaultConfig)
		}
	}
	attacks := make([]string, len(attack.Attacks))
	for i, a := range attack.Attacks {
		attacks[i] = a.ID
	}
	subject, err := lint.Load(lint.Options{Config: o.config, Document: o.document, Paths: o.paths, Attacks: attacks, Now: now()})
	if err != nil {
		return err
	}
	r := lint.Check(subject, Version, now)
	if o.json {
		err = jsonreport.Write(s.Out, r)
	} else {
		err = showCheck(s.Out, r, least, o.all)
	}
	if err != nil {
		return err
	}
	if c := subject.Identifiers(); c != (plan.Coverage{}) {
		fmt.Fprintf(s.Err, "portreeve: identifiers of objects: %d bound, %d exempt, %d unbound\n", c.Bound, c.Exempt, c.Unbound)
	}
	tellUnsearched(s.Err, subject)
	for _, out := range outputs {
		if err := out.Write(r); err != nil {
			return err
		}
	}
	if r.Worst() >= least {
		return exit(findings, nil)
	}
	return nil
}

// showCheck prints what is bad enough to fail, and counts the rest by rule.
func showCheck(w io.Writer, r *finding.Report, least finding.Severity, all bool) error {
	shown := *r
	below := map[string]int{}
	if !all {
		shown.Findings = nil
		for _, f := range r.Findings {
			if f.Severity >= least {
				shown.Findings = append(shown.Findings, f)
			} else {
				below[f.Rule]++
			}
		}
	}
	if err := text.Write(w, &shown); err != nil || len(below) == 0 {
		return err
	}
	if _, err := fmt.Fprintf(w, "\nbelow %s (--all shows them):\n", least); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(below)) {
		if _, err := fmt.Fprintf(w, "  %5d  %s: %s\n", below[id], id, r.Rule(id).Title); err != nil {
			return err
		}
	}
	return nil
}

// tellUnsearched says what was left out, so that a clean result is not read as more than it is.
func tellUnsearched(w io.Writer, s *lint.Subject) {
	const most = 5
	for i, p := range s.Passed {
		if i == most {
			fmt.Fprintf(w, "portreeve: and %d more\n", len(s.Passed)-most)
			break
		}
		fmt.Fprintf(w, "portreeve: not searched: %s\n", p)
	}
}
