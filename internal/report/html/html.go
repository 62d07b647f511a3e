// Package html writes a report as one page for a browser: no script, nothing fetched, every word from outside escaped by
// its place. What it shows is what the other formats say; it judges nothing.
package html

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/report/style"
)

//go:embed page.html
var page string

var parsed = template.Must(template.New("page").Funcs(template.FuncMap{
	"upper": strings.ToUpper,
	"join":  strings.Join,
}).Parse(page))

// view is what the page shows.
type view struct {
	*finding.Report
	Sheet      template.CSS
	Policy     string
	Title      string
	When, Took string
	Severities []count
	Found      []found
	Undecided  []group
	Tried      []tried
	Lists      []list
}

type count struct {
	Name string
	N    int
}

type found struct {
	finding.Finding
	Rule  *finding.Rule // with only an id where the report does not describe it
	About []string
}

type group struct {
	Rule, Reason string
	Operations   []string
}

type tried struct {
	Rule                               string
	Title                              string
	Passed, Failed, Undecided, Skipped int
}

type list struct {
	Name   string
	Points []finding.Point
}

// Write writes the report.
func Write(w io.Writer, r *finding.Report) error {
	v := view{Report: r, Sheet: style.Sheet(), Policy: style.Policy(), Title: strings.TrimSpace("Portreeve " + r.Kind + " " + r.Target),
		When: r.Started.UTC().Format("2006-01-02 15:04:05 UTC"), Took: r.Ended.Sub(r.Started).Round(time.Millisecond).String()}
	sorted := finding.Report{Findings: slices.Clone(r.Findings)}
	sorted.Sort()
	for s := finding.Critical; s > finding.None; s-- {
		n := 0
		for _, f := range r.Findings {
			if f.Severity == s {
				n++
			}
		}
		v.Severities = append(v.Severities, count{s.String(), n})
	}
	for _, f := range sorted.Findings {
		rule := r.Rule(f.Rule)
		if rule == nil {
			rule = &finding.Rule{ID: f.Rule, Title: f.Rule}
		}
		v.Found = append(v.Found, found{f, rule, about(rule)})
	}
	v.Undecided, v.Tried, v.Lists = undecided(r), attempts(r), lists(r)
	if err := parsed.Execute(w, &v); err != nil {
		return fmt.Errorf("writing page: %w", err)
	}
	return nil
}

func about(x *finding.Rule) []string {
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
	return of
}

func undecided(r *finding.Report) []group {
	var groups []group
	for _, o := range r.Outcomes {
		if o.Verdict != finding.Inconclusive {
			continue
		}
		i := slices.IndexFunc(groups, func(g group) bool { return g.Rule == o.Rule && g.Reason == o.Reason })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{Rule: o.Rule, Reason: o.Reason})
		}
		groups[i].Operations = append(groups[i].Operations, cmp.Or(o.Operation, "everything"))
	}
	return groups
}

func attempts(r *finding.Report) []tried {
	var all []tried
	for _, o := range r.Outcomes {
		i := slices.IndexFunc(all, func(t tried) bool { return t.Rule == o.Rule })
		if i < 0 {
			i = len(all)
			all = append(all, tried{Rule: o.Rule, Title: o.Rule})
			if x := r.Rule(o.Rule); x != nil {
				all[i].Title = x.Title
			}
		}
		switch o.Verdict {
		case finding.Passed:
			all[i].Passed++
		case finding.Failed:
			all[i].Failed++
		case finding.Skipped:
			all[i].Skipped++
		default:
			all[i].Undecided++
		}
	}
	return all
}

func lists(r *finding.Report) []list {
	var all []list
	for _, p := range r.Checklist {
		if len(all) == 0 || all[len(all)-1].Name != p.List {
			all = append(all, list{Name: p.List})
		}
		last := &all[len(all)-1]
		last.Points = append(last.Points, p)
	}
	return all
}
