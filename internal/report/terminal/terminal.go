// Package terminal writes a report for people at a terminal: what was found, the proof, the command that shows it again
// and what to do, worst first, then what could not be decided, then the counts. It is read in 100 columns, colour never
// carries a meaning of its own, and nothing an API answered can drive the terminal.
package terminal

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/portreeve/portreeve/internal/finding"
)

// Width is how many columns a line takes. Only a word that cannot be broken is wider.
const Width = 100

// Write writes the report, with colour where w is a terminal and NO_COLOR is not set (no-color.org).
func Write(w io.Writer, r *finding.Report) error {
	f, ok := w.(*os.File)
	return write(w, r, ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd())))
}

// printer writes lines; the first error ends all writing.
type printer struct {
	*bufio.Writer
	colour bool
}

func write(w io.Writer, r *finding.Report, colour bool) error {
	p := &printer{bufio.NewWriter(w), colour}
	p.head(r)
	sorted := *r
	sorted.Findings = slices.Clone(r.Findings)
	sorted.Sort()
	for i := range sorted.Findings {
		p.finding(r, &sorted.Findings[i])
	}
	p.undecided(r)
	p.sections(r)
	p.checklist(r)
	p.counts(r)
	return p.Flush()
}

const (
	bold   = "1"
	dim    = "2"
	red    = "1;31"
	yellow = "1;33"
	blue   = "1;34"
	green  = "1;32"
)

func (p *printer) paint(code, s string) string {
	if !p.colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func colourOf(s finding.Severity) string {
	switch s {
	case finding.Critical, finding.High:
		return red
	case finding.Medium:
		return yellow
	}
	return blue
}

func (p *printer) head(r *finding.Report) {
	title := strings.TrimSpace("portreeve " + r.Kind + " " + r.Target)
	fmt.Fprintln(p, p.paint(bold, Clean(title)))
	p.fact("when", r.Started.UTC().Format(time.RFC3339)+", for "+r.Ended.Sub(r.Started).Round(time.Millisecond).String())
	for _, in := range r.Inputs {
		p.fact(in.What, strings.TrimSpace(in.Path+"  sha256 "+short(in.SHA256)))
	}
	if r.Seed != 0 {
		p.fact("seed", fmt.Sprint(r.Seed))
	}
	if r.Interrupted != "" {
		p.fact("ENDED EARLY", r.Interrupted+": what was not reached is unknown")
	}
}

func short(sum string) string {
	if len(sum) > 16 {
		return sum[:16]
	}
	return sum
}

func (p *printer) finding(r *finding.Report, f *finding.Finding) {
	fmt.Fprintln(p)
	fmt.Fprintf(p, "%s %s  %s\n", p.paint(colourOf(f.Severity), strings.ToUpper(f.Severity.String())), p.paint(bold, Clean(f.Rule)),
		Clean(cmp.Or(f.Operation, f.Place.String())))
	p.prose("  ", f.Message)
	if f.Operation != "" && f.Place.File != "" {
		p.field("  ", "at", f.Place.String())
	}
	if f.Place.Pointer != "" {
		p.field("  ", "pointer", f.Place.Pointer)
	}
	for _, x := range f.Proof {
		p.proof(x)
	}
	if rule := r.Rule(f.Rule); rule != nil {
		p.field("  ", "why", rule.Why)
		p.field("  ", "fix", rule.Fix)
		p.field("  ", "about", about(rule))
	}
}

// about says which lists speak of a rule.
func about(x *finding.Rule) string {
	var of []string
	for _, n := range x.CWE {
		of = append(of, fmt.Sprintf("CWE-%d", n))
	}
	for _, id := range x.OWASP2023 {
		of = append(of, id+":2023")
	}
	for _, id := range x.OWASP2019 {
		of = append(of, id+":2019")
	}
	for _, id := range x.Controls {
		of = append(of, string(id))
	}
	return strings.Join(of, "  ")
}

// excerpt bounds how many lines of an answer are shown; the other formats have all of it.
const excerpt = 6

func (p *printer) proof(x finding.Exchange) {
	note := x.Note
	if x.Status != 0 {
		note = strings.TrimPrefix(fmt.Sprintf("%s: %d", note, x.Status), ": ")
	}
	p.field("  ", "proof", note)
	lines := strings.Split(strings.TrimSpace(x.Answer), "\n")
	for i, line := range lines {
		switch {
		case i == excerpt:
			fmt.Fprintf(p, "  %s  (%d more lines)\n", pad(""), len(lines)-excerpt)
		case i < excerpt && line != "":
			fmt.Fprintf(p, "  %s| %s\n", pad(""), cut(Clean(strings.TrimRight(line, "\r")), Width-label-4))
		}
	}
	if x.Curl != "" {
		fmt.Fprintf(p, "  %s%s\n", pad("repeat"), command(x.Curl, Width-label-2, "  "+pad("")+"  "))
	}
}

// undecided lists what was tried without an answer to what was asked, by reason.
func (p *printer) undecided(r *finding.Report) {
	type group struct{ rule, reason string }
	operations := map[group][]string{}
	var order []group
	for _, o := range r.Outcomes {
		if o.Verdict != finding.Inconclusive {
			continue
		}
		g := group{o.Rule, o.Reason}
		if operations[g] == nil {
			order = append(order, g)
		}
		operations[g] = append(operations[g], cmp.Or(o.Operation, "everything"))
	}
	if len(order) == 0 {
		return
	}
	fmt.Fprintf(p, "\n%s\n", p.paint(bold, fmt.Sprintf("NOT DECIDED (%d)", r.Count(finding.Inconclusive))))
	for _, g := range order {
		fmt.Fprintf(p, "  %s\n", Clean(g.rule))
		p.prose("    ", cmp.Or(g.reason, "no reason is given"))
		p.prose("    ", few(operations[g], 6))
	}
}

// few lists the first of many.
func few(list []string, n int) string {
	if len(list) <= n {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:n], ", "), len(list)-n)
}

func (p *printer) sections(r *finding.Report) {
	if len(r.Sections) == 0 {
		return
	}
	fmt.Fprintf(p, "\n%s\n", p.paint(bold, "SECTIONS"))
	for _, s := range r.Sections {
		fmt.Fprintf(p, "  %-28s %3d   %d of %d with a finding\n", Clean(s.Name), s.Score, s.Faulty, s.Looked)
	}
}

// states are what the checklist's words mean. What was checked by reading is not thereby so.
var states = map[string]string{"found": "FOUND", "checked": "checked", "skipped": "skipped", "gate": "needs the gate", "person": "needs a person"}

func (p *printer) checklist(r *finding.Report) {
	list := ""
	for _, x := range r.Checklist {
		if x.List != list {
			list = x.List
			fmt.Fprintf(p, "\n%s\n", p.paint(bold, Clean(strings.ToUpper(list))))
		}
		p.hanging("  "+padTo(Clean(cmp.Or(states[x.State], x.State)), 16), x.Text, "")
		if len(x.Rules) > 0 && (x.State == "found" || x.State == "checked") {
			p.hanging("  "+padTo("", 16), "by "+strings.Join(x.Rules, ", "), dim)
		}
		if x.Next != "" {
			p.hanging("  "+padTo("", 16), "next: "+x.Next, dim)
		}
	}
}

func (p *printer) counts(r *finding.Report) {
	fmt.Fprintln(p)
	var by []string
	for s := finding.Critical; s > finding.None; s-- {
		n := 0
		for _, f := range r.Findings {
			if f.Severity == s {
				n++
			}
		}
		if n > 0 {
			by = append(by, fmt.Sprintf("%d %s", n, s))
		}
	}
	line := fmt.Sprintf("findings       %d", len(r.Findings))
	if len(by) > 0 {
		line += ": " + strings.Join(by, ", ")
	}
	colour := green
	if len(r.Findings) > 0 {
		colour = colourOf(r.Worst())
	}
	fmt.Fprintln(p, p.paint(colour, line))
	fmt.Fprintf(p, "tried          %d: %d passed, %d failed, %d not decided, %d skipped\n", len(r.Outcomes), r.Count(finding.Passed), r.Count(finding.Failed),
		r.Count(finding.Inconclusive), r.Count(finding.Skipped))
	if c := r.Coverage; c.Declared > 0 {
		fmt.Fprintf(p, "reached        %d of %d declared operations\n", len(c.Reached), c.Declared)
		if len(c.NotReached) > 0 {
			p.fact("NOT REACHED", few(c.NotReached, 12))
		}
	}
}

// The widths of the names of facts about the whole, and of fields of a finding.
const (
	wide  = 15
	label = 10
)

func padTo(s string, n int) string { return s + strings.Repeat(" ", max(1, n-len([]rune(s)))) }

func pad(s string) string { return padTo(s, label) }

func (p *printer) fact(name, text string) { p.hanging(padTo(Clean(name), wide), text, "") }

func (p *printer) field(indent, name, text string) {
	if text != "" {
		p.hanging(indent+pad(Clean(name)), text, "")
	}
}

func (p *printer) prose(indent, text string) { p.hanging(indent, text, "") }

// hanging writes text after a beginning, and under it where it takes several lines.
func (p *printer) hanging(begin, text, colour string) {
	under := strings.Repeat(" ", len([]rune(begin)))
	for i, line := range Wrap(Clean(text), Width-len(under)) {
		if colour != "" {
			line = p.paint(colour, line)
		}
		if i > 0 {
			begin = under
		}
		fmt.Fprintln(p, begin+line)
	}
}
