package lint

import (
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/control/catalogue"
	"github.com/portreeve/portreeve/internal/finding"
)

// States of a point of the guide's checklists.
const (
	PointFound   = "found"   // a rule has findings
	PointChecked = "checked" // rules ran and found nothing; reading files shows no more than that
	PointSkipped = "skipped" // its rules lacked what they need
	PointGate    = "gate"    // only a running gate, or what it recorded, shows it
	PointPerson  = "person"  // only a person can state it, or bring the result of another tool
)

// lists are the guide's checklists, by the catalogue's kind of line.
var lists = []struct{ kind, title string }{
	{"checklist-before-deployment", "Before deployment"},
	{"checklist-regular-review", "Regular security reviews"},
}

// checklist goes through the guide's lists, line by line.
func checklist(r *finding.Report, attacks []string) []finding.Point {
	var out []finding.Point
	c := catalogue.Builtin()
	for _, l := range lists {
		for _, item := range c.Items {
			if item.Kind == l.kind {
				out = append(out, point(r, c, l.title, item, attacks))
			}
		}
	}
	return out
}

func point(r *finding.Report, c *catalogue.Catalogue, title string, item catalogue.Item, attacks []string) finding.Point {
	p := finding.Point{List: title, Line: item.Line, Text: item.Text, Controls: item.Controls, Rules: []string{}}
	verdicts := map[finding.Verdict]bool{}
	for _, x := range r.Rules {
		if !slices.ContainsFunc(x.Controls, func(id control.ID) bool { return slices.Contains(item.Controls, id) }) {
			continue
		}
		for _, o := range r.Outcomes {
			if o.Rule == x.ID && !o.Vacuous {
				verdicts[o.Verdict] = true
				if o.Verdict == finding.Passed || o.Verdict == finding.Failed {
					p.Rules = append(p.Rules, x.ID)
				}
			}
		}
	}
	var running, imported, people []string
	scanned := false // any attack is one
	for _, id := range item.Controls {
		x := c.Control(id)
		for _, by := range x.TestedBy.By {
			switch kind, name, _ := strings.Cut(by, "/"); kind {
			case "attack":
				if slices.Contains(attacks, name) {
					running = append(running, name)
				}
			case "prove":
				scanned = scanned || name == "attack-report"
			case "import":
				imported = append(imported, name)
			}
		}
		if x.AttestedBy.Who != "" && x.Requires(control.Attested) {
			people = append(people, x.AttestedBy.Who)
		}
	}
	asks := func(how string) bool {
		return slices.ContainsFunc(item.Controls, func(id control.ID) bool { return slices.Contains(c.Control(id).Verify, how) })
	}
	switch {
	case verdicts[finding.Failed]:
		p.State = PointFound
	case verdicts[finding.Passed]:
		p.State = PointChecked
	case verdicts[finding.Skipped]:
		p.State = PointSkipped
	case asks("runtime") || asks("dynamic"):
		p.State = PointGate
	default:
		p.State = PointPerson
	}
	p.Next = next(dedupe(running), dedupe(imported), dedupe(people), scanned, asks("runtime"))
	return p
}

// next says what shows the rest of a point.
func next(running, imported, people []string, scanned, runtime bool) string {
	var out []string
	switch {
	case len(running) > 0:
		out = append(out, "portreeve attack --only "+strings.Join(running, ","))
	case scanned:
		out = append(out, "portreeve attack")
	}
	if runtime {
		out = append(out, "portreeve prove, from what the running gate recorded")
	}
	if len(imported) > 0 {
		out = append(out, "the result of another tool ("+strings.Join(imported, ", ")+")")
	}
	if len(people) > 0 {
		out = append(out, "a statement of the "+strings.Join(people, ", the "))
	}
	return strings.Join(out, "; ")
}

func dedupe(in []string) []string {
	slices.Sort(in)
	return slices.Compact(in)
}
