package cli

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/control/catalogue"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/evidence"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/report/pack"
	text "github.com/portreeve/portreeve/internal/report/terminal"
)

func newProve(s Streams) *cobra.Command {
	var o proveOptions
	c := &cobra.Command{
		Use:   "prove --out DIR",
		Short: "Gather what shows that the controls are kept, as a pack that can be verified",
		Long: `Prove gathers, control by control, what shows that it is kept: declared, by the plan; tested, by reports of attack and
check on this same document, configuration and address; operating, by counting every event of the period in the ledger.
What was not shown is not claimed.

It writes a pack: a page to read, the evidence as JSON, everything it was made of, and a manifest with the SHA-256 of each
file. Note the pack's sum somewhere else: with it, nobody can put another pack in its place.

It ends with 0 when nothing is missing, with 2 when a control has a gap, with 3 when one is not evidenced, and with 4 when
the ledger is not what was written.`,
		Example: `  portreeve prove --results attack.json --results check.json --out evidence/
  portreeve prove --config portreeve.yaml --period 2026-08..2026-10 --out evidence/
  portreeve prove verify evidence/`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return prove(s, o, time.Now()) },
	}
	f := c.Flags()
	f.StringVar(&o.config, "config", "", "configuration `FILE` (default: portreeve.yaml, if it is here)")
	f.StringVar(&o.data, "data", "", "data `DIR` whose ledger is counted (default: the configuration's)")
	f.StringArrayVar(&o.results, "results", nil, "`FILE` with a JSON report of attack or check, repeatable")
	f.StringArrayVar(&o.checkpoints, "checkpoint", nil, "`FILE` with a checkpoint of the ledger that was kept elsewhere, repeatable: without one the ledger is self-signed only")
	f.StringVar(&o.period, "period", "", "`FROM..TO`: months, days or RFC 3339 times (default: the last 90 days)")
	f.StringVar(&o.out, "out", "", "new `DIR` for the pack")
	f.BoolVar(&o.json, "json", false, "print the summary as JSON")
	_ = c.MarkFlagFilename("config", "yaml", "yml")
	_ = c.MarkFlagFilename("results", "json")
	_ = c.MarkFlagDirname("data")
	_ = c.MarkFlagDirname("out")
	c.AddCommand(newProveVerify(s))
	return c
}

type proveOptions struct {
	config, data, period, out string
	results                   []string
	checkpoints               []string
	json                      bool
}

func prove(s Streams, o proveOptions, now time.Time) error {
	if o.out == "" {
		return usagef("--out DIR is missing\nhint: name a new directory for the pack")
	}
	src := source{config: o.config}
	p, err := src.plan(now)
	if err != nil {
		return err
	}
	// A plan holds paths: the same configuration named from elsewhere is another plan, and may be the one that was obeyed.
	src.config = cmp.Or(src.config, defaultConfig)
	if src.config, err = filepath.Abs(src.config); err != nil {
		return fmt.Errorf("finding the configuration: %w", err)
	}
	named, err := src.plan(now)
	if err != nil {
		return err
	}
	x := proving{plan: p, named: named, audit: p.Audit.Dir, anchors: o.checkpoints, out: o.out, now: now.UTC(), operator: fmt.Sprintf("uid:%d", os.Getuid())}
	if o.data != "" {
		if _, err := os.Stat(o.data); err != nil {
			return usagef("--data: %w", err)
		}
		x.audit = filepath.Join(o.data, "audit")
	}
	if x.from, x.to, err = period(o.period, x.now); err != nil {
		return exit(usage, err)
	}
	for _, path := range o.results {
		b, err := os.ReadFile(path)
		if err != nil {
			return usagef("--results: %w", err)
		}
		x.results = append(x.results, evidence.Source{Name: filepath.Base(path), Text: b})
	}
	done, err := x.prove()
	var occupied *evidence.OccupiedError
	switch {
	case errors.As(err, &occupied):
		return usagef("--out: %w\nhint: name a new directory", err)
	case err != nil:
		return err
	}
	if o.json {
		err = writeJSON(s, summaryOf(done))
	} else {
		err = done.print(s.Out)
	}
	if err != nil {
		return err
	}
	return done.exit()
}

// proving is one pack to be made.
type proving struct {
	plan     *plan.Plan
	named    *plan.Plan // the same by its absolute path, or nil
	audit    string     // the ledger's directory
	anchors  []string   // files with checkpoints of it
	out      string
	now      time.Time
	from, to time.Time
	operator string
	results  []evidence.Source
}

// proven is a pack that was made.
type proven struct {
	dir      string
	evidence *evidence.Evidence
	manifest *evidence.Manifest
}

// prove makes the pack.
func (x proving) prove() (*proven, error) {
	anchors, err := readCheckpoints("--checkpoint", x.audit, x.anchors)
	if err != nil {
		return nil, err
	}
	log, err := evidence.ReadLog(x.audit, x.from, x.to, anchors...)
	if err != nil {
		return nil, err
	}
	if x.named != nil && log.Obeyed(x.named.Hash) && !log.Obeyed(x.plan.Hash) {
		x.plan = x.named
	}
	in := &evidence.Inputs{Now: x.now, Tool: Version, Operator: x.operator, From: x.from, To: x.to, Plan: x.plan, Log: log, Catalogue: catalogue.Builtin()}
	if x.plan.Configured != "" {
		b, err := os.ReadFile(x.plan.Configured)
		if err != nil {
			return nil, fmt.Errorf("reading the configuration again: %w", err)
		}
		in.Files = []finding.Input{{What: "configuration", Path: x.plan.Configured, SHA256: evidence.Sum(b)}}
	}
	g, err := deployment.Preview(x.plan, rand.Reader)
	if err != nil {
		return nil, err
	}
	for _, c := range g.Chains() {
		chain := evidence.Chain{Operation: c.Op.ID, Method: c.Op.Method, Path: c.Op.Path, Own: c.Op.Own != ""}
		for _, s := range c.Steps {
			chain.Steps = append(chain.Steps, evidence.Step{Stage: s.Stage, Rule: s.Rule, Source: string(s.Source), Absent: s.Absent, Observe: s.Observe, Controls: s.Controls})
		}
		in.Chains = append(in.Chains, chain)
	}
	for _, r := range x.results {
		in.Results = append(in.Results, evidence.Report(r.Name, r.Text))
	}
	e, err := evidence.Collect(in)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := pack.Write(&page, e, in.Catalogue); err != nil {
		return nil, err
	}
	m, err := evidence.Write(x.out, in, e, page.Bytes(), x.results, readme)
	if err != nil {
		return nil, err
	}
	return &proven{x.out, e, m}, nil
}

// readme lies in every pack.
const readme = `This is evidence about an API, gathered by Portreeve.

report.html     the page to read; it opens in any browser and fetches nothing
evidence.json   the same for programs
manifest.json   every other file with its size and SHA-256
results/        the reports of attacks and checks, as they were given
log.json        the events of the period, counted; it names nobody
inputs.json, plan.json, document.json, catalogue.yaml: what the evidence was computed from

To verify all of it, and to compute the evidence again from what it was made of:

    portreeve prove verify DIRECTORY --sum SUM

SUM is the pack's sum, which was printed when it was made. Without it, a pack that was made anew as a whole is not told
from this one. To hold single files without Portreeve, compare the output of sha256sum with manifest.json.
`

// exit is what a pack's states come to.
func (d *proven) exit() error {
	switch {
	case d.evidence.Broken():
		return exit(integrity, errors.New("the ledger is not what was written: "+d.evidence.Integrity.Problem))
	case d.evidence.In(control.Gap) > 0:
		return exit(findings, nil)
	case d.evidence.In(control.NotEvidenced) > 0:
		return exit(inconclusive, nil)
	}
	return nil
}

// open bounds how many controls of a state are named; the page has all of them.
const openNamed = 12

func (d *proven) print(out io.Writer) error {
	e := d.evidence
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", text.Clean(e.System.Title), text.Clean(e.System.Version))
	fmt.Fprintf(&b, "period   %s to %s\n", stamp(e.Period.From), stamp(e.Period.To))
	switch i := e.Integrity; i.Ledger {
	case "verified":
		fmt.Fprintf(&b, "ledger   verified, %d lines; %d requests in the period, %d of them refused\n", i.Lines, i.Requests, i.Refusals)
		fmt.Fprintf(&b, "         %s\n", text.Clean(i.Anchors))
		for _, s := range i.Shortfalls {
			fmt.Fprintf(&b, "         %s\n", text.Clean(s))
		}
	default:
		fmt.Fprintf(&b, "ledger   %s: %s\n", i.Ledger, text.Clean(i.Problem))
	}
	for _, r := range e.Results {
		said := "counted"
		if !r.Accepted {
			said = "NOT COUNTED"
		}
		fmt.Fprintf(&b, "report   %s: %s\n", text.Clean(r.Name), text.Clean(strings.TrimSuffix(said+": "+r.Reason, ": ")))
	}
	if len(e.Results) == 0 {
		fmt.Fprintln(&b, "report   none: no control is tested (--results)")
	}
	fmt.Fprintln(&b)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "severity\t")
	for _, s := range control.States {
		fmt.Fprintf(w, "%s\t", s)
	}
	fmt.Fprintln(w, "of\t")
	for s := finding.Critical; s > finding.None; s-- {
		total := 0
		fmt.Fprintf(w, "%s\t", s)
		for _, c := range e.Counts {
			if c.Severity == s {
				fmt.Fprintf(w, "%d\t", c.N)
				total += c.N
			}
		}
		fmt.Fprintf(w, "%d\t\n", total)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, s := range []control.State{control.Gap, control.NotEvidenced} {
		printOpen(&b, e, s)
	}
	fmt.Fprintf(&b, "\n%s\n", pack.Sentence(e))
	fmt.Fprintf(&b, "page     %s\n", filepath.Join(d.dir, evidence.PageFile))
	fmt.Fprintf(&b, "sum      %s\n         note it elsewhere: portreeve prove verify %s --sum SUM\n", d.manifest.Sum, d.dir)
	_, err := out.Write(b.Bytes())
	return err
}

// printOpen names the controls in a state, the worst first.
func printOpen(b *bytes.Buffer, e *evidence.Evidence, s control.State) {
	n := 0
	for severity := finding.Critical; severity > finding.None; severity-- {
		for i := range e.Controls {
			r := &e.Controls[i]
			if r.State != s || r.Severity != severity {
				continue
			}
			if n++; n == 1 {
				fmt.Fprintf(b, "\n%s\n", strings.ToUpper(strings.ReplaceAll(string(s), "-", " ")))
			}
			if n > openNamed {
				continue
			}
			fmt.Fprintf(b, "  %-8s  %s\n", severity, r.ID)
			for _, next := range r.Next {
				for _, line := range text.Wrap(next, text.Width-14) {
					fmt.Fprintf(b, "              %s\n", line)
				}
			}
		}
	}
	if n > openNamed {
		fmt.Fprintf(b, "  and %d more, on the page\n", n-openNamed)
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// provenSummary is prove --json, version 1.
type provenSummary struct {
	Schema    string           `json:"schema"`
	Directory string           `json:"directory"`
	Sum       string           `json:"sum"`
	Ledger    string           `json:"ledger"`
	Problem   string           `json:"problem,omitempty"`
	Results   []evidence.Used  `json:"results"`
	Counts    []evidence.Count `json:"counts"`
	Controls  int              `json:"controls"`
	Verified  bool             `json:"verified"`   // by prove verify
	Computed  bool             `json:"recomputed"` // the same, computed again
}

func summaryOf(d *proven) provenSummary {
	e := d.evidence
	return provenSummary{Schema: "portreeve/prove/v1", Directory: d.dir, Sum: d.manifest.Sum, Ledger: e.Integrity.Ledger, Problem: e.Integrity.Problem,
		Results: e.Results, Counts: e.Counts, Controls: len(e.Controls)}
}

func newProveVerify(s Streams) *cobra.Command {
	var sum string
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify DIR",
		Short: "Hold a pack against its manifest, and compute its evidence again",
		Long: `Verify reads every file of a pack, holds it against the manifest byte by byte, and computes all states and counts again
from what they were made of. It needs neither network nor secrets. It ends with 4 when anything is not as it was written.

Without --sum it cannot see that a whole pack was made anew: give the sum that prove printed.`,
		Example: `  portreeve prove verify evidence/
  portreeve prove verify evidence/ --sum 5f70bf18a0860070…`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			v, err := evidence.Verify(args[0], sum)
			var t *evidence.Tampered
			switch {
			case errors.As(err, &t):
				return exit(integrity, err)
			case errors.Is(err, fs.ErrNotExist):
				return usagef("%w\nhint: name the directory that prove wrote", err)
			case err != nil:
				return err
			}
			d := &proven{args[0], v.Evidence, v.Manifest}
			if asJSON {
				out := summaryOf(d)
				out.Verified, out.Computed = true, v.Recomputed
				return writeJSON(s, out)
			}
			computed := "its evidence, computed again, is the same"
			if !v.Recomputed {
				computed = "its evidence was not computed again: " + v.Why
			}
			held := "the sum was not given, so that a pack made anew would not be seen"
			if sum != "" {
				held = "its sum is the one that was given"
			}
			_, err = fmt.Fprintf(s.Out, "%d files are as they were written\n%s\n%s\n%s\nsum      %s\n", len(v.Manifest.Files), computed, held, pack.Sentence(v.Evidence), v.Manifest.Sum)
			return err
		},
	}
	c.Flags().StringVar(&sum, "sum", "", "the pack's `SUM`, as prove printed it")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// quarter is how far back evidence looks where no period is given.
const quarter = 90 * 24 * time.Hour

// period reads FROM..TO. The end of a month or a day belongs to it; one that is yet to come ends now.
func period(s string, now time.Time) (from, to time.Time, err error) {
	if s == "" {
		return now.Add(-quarter), now, nil
	}
	a, b, ok := strings.Cut(s, "..")
	if !ok {
		return from, to, fmt.Errorf("--period %q is not FROM..TO, like 2026-08..2026-10", s)
	}
	if from, _, err = stretch(a); err != nil {
		return from, to, err
	}
	if _, to, err = stretch(b); err != nil {
		return from, to, err
	}
	if to.After(now) {
		to = now
	}
	if !from.Before(to) {
		return from, to, fmt.Errorf("--period %q ends before it begins", s)
	}
	return from, to, nil
}

// stretch is the time that a month, a day or a moment takes up, in UTC.
func stretch(s string) (first, last time.Time, err error) {
	if t, err := time.Parse("2006-01", s); err == nil {
		return t, t.AddDate(0, 1, 0).Add(-time.Millisecond), nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, t.AddDate(0, 0, 1).Add(-time.Millisecond), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return first, last, fmt.Errorf("--period: %q is no month, no day and no time like 2026-08-01T00:00:00Z", s)
	}
	return t.UTC(), t.UTC(), nil
}
