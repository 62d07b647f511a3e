// Package pack writes evidence as one page for a browser: what it is about, how far it can be trusted, what is missing
// before what is there, then every control with what is known of it and the requirements it contributes to. It needs no
// script and fetches nothing.
//
// It shows states as they were judged. It never adds them up to one number, and never says that a requirement is met.
package pack

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/control/catalogue"
	"github.com/portreeve/portreeve/internal/evidence"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/report/style"
)

//go:embed page.html
var page string

var parsed = template.Must(template.New("page").Funcs(template.FuncMap{
	"upper": strings.ToUpper,
	"join":  strings.Join,
	"when":  when,
	"short": func(s string) string { return s[:min(len(s), 16)] },
}).Parse(page))

func when(t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

type view struct {
	*evidence.Evidence
	Sheet      template.CSS
	Policy     string
	States     []state
	Severities []severity
	Totals     []int
	All        int
	Open       []*record // gaps, then what is not evidenced
	Groups     []group
	Frameworks []framework
	Reached    int
	Sentence   string
	Span       string
}

type state struct {
	control.State
	Meaning string
}

type severity struct {
	Name   string
	Counts []int
	Total  int
}

type record struct {
	evidence.Record
	Control *catalogue.Control
}

type group struct {
	Name    string
	Records []*record
}

type framework struct {
	ID, Title, Rights string
	Requirements      []requirement
}

type requirement struct {
	ID       string
	Controls []*record
}

// Write writes the page.
func Write(w io.Writer, e *evidence.Evidence, c *catalogue.Catalogue) error {
	v := view{Evidence: e, Sheet: style.Sheet(), Policy: style.Policy(), Span: e.Integrity.Span.Round(time.Second).String()}
	records := map[control.ID]*record{}
	for i := range e.Controls {
		x := c.Control(e.Controls[i].ID)
		if x == nil {
			return fmt.Errorf("writing page: the catalogue has no control %s", e.Controls[i].ID)
		}
		r := &record{e.Controls[i], x}
		records[r.ID] = r
		if len(v.Groups) == 0 || v.Groups[len(v.Groups)-1].Name != x.Group {
			v.Groups = append(v.Groups, group{Name: x.Group})
		}
		g := &v.Groups[len(v.Groups)-1]
		g.Records = append(g.Records, r)
		if r.State == control.Gap || r.State == control.NotEvidenced {
			v.Open = append(v.Open, r)
		}
	}
	slices.SortStableFunc(v.Open, func(a, b *record) int {
		if a.State != b.State {
			return slices.Index(control.States, a.State) - slices.Index(control.States, b.State)
		}
		return int(b.Severity) - int(a.Severity)
	})
	v.summary()
	v.frameworks(c, records)
	for _, op := range e.Operations {
		if op.Reached {
			v.Reached++
		}
	}
	if err := parsed.Execute(w, &v); err != nil {
		return fmt.Errorf("writing page: %w", err)
	}
	return nil
}

// summary counts controls by severity and state, each with what it is a part of.
func (v *view) summary() {
	v.Totals = make([]int, len(control.States))
	for _, s := range control.States {
		v.States = append(v.States, state{s, s.Meaning()})
	}
	for s := finding.Critical; s > finding.None; s-- {
		row := severity{Name: s.String(), Counts: make([]int, len(control.States))}
		for _, n := range v.Counts {
			if n.Severity == s {
				i := slices.Index(control.States, n.State)
				row.Counts[i] += n.N
				row.Total += n.N
				v.Totals[i] += n.N
			}
		}
		v.Severities = append(v.Severities, row)
		v.All += row.Total
	}
	v.Sentence = Sentence(v.Evidence)
}

// Sentence says how many controls are in which state, and of how many.
func Sentence(e *evidence.Evidence) string {
	parts := make([]string, len(control.States))
	for i, s := range control.States {
		parts[len(parts)-1-i] = fmt.Sprintf("%d %s", e.In(s), strings.ReplaceAll(string(s), "-", " "))
	}
	return fmt.Sprintf("%d controls: %s", len(e.Controls), strings.Join(parts, ", "))
}

func (v *view) frameworks(c *catalogue.Catalogue, records map[control.ID]*record) {
	for _, f := range c.Frameworks {
		out := framework{ID: f.ID, Title: f.Title, Rights: f.Rights}
		for i := range c.Controls {
			x := &c.Controls[i]
			from := x
			if x.FrameworksFrom != "" {
				from = c.Control(x.FrameworksFrom)
			}
			for _, m := range from.Mappings {
				if m.Framework != f.ID {
					continue
				}
				for _, id := range m.IDs {
					at := slices.IndexFunc(out.Requirements, func(r requirement) bool { return r.ID == id })
					if at < 0 {
						at = len(out.Requirements)
						out.Requirements = append(out.Requirements, requirement{ID: id})
					}
					out.Requirements[at].Controls = append(out.Requirements[at].Controls, records[x.ID])
				}
			}
		}
		slices.SortStableFunc(out.Requirements, func(a, b requirement) int { return natural(a.ID, b.ID) })
		v.Frameworks = append(v.Frameworks, out)
	}
}

// natural orders identifiers as people do: numbers in them by their value.
func natural(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x > 0 && y > 0 {
			m, n := strings.TrimLeft(a[:x], "0"), strings.TrimLeft(b[:y], "0")
			if len(m) != len(n) {
				return len(m) - len(n)
			}
			if c := strings.Compare(m, n); c != 0 {
				return c
			}
			a, b = a[x:], b[y:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
