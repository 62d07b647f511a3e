// Package lint reads a document, a configuration, the plan they make and any other files, and says what in them weakens
// the API: operations nobody protects, objects nobody owns, fields nobody classed, secrets that stand in the open. Each rule
// is a value in rules.go.
//
// It only reads. It never asks the API or the gate anything, never changes a file, and never repeats a secret it found.
package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// need is what a rule cannot do without.
type need uint8

const (
	document need = 1 << iota
	configuration
	planned // the plan, which needs the document and may have been refused
	texts
)

// rule is one thing to look for.
type rule struct {
	finding.Rule
	section Section
	needs   need
	check   func(*search)
}

// search is one rule on its way through one subject.
type search struct {
	*Subject
	rule     *rule
	looked   int // at how many things
	faulty   int // of these
	findings []finding.Finding
}

// look says that one more thing was looked at.
func (s *search) look() { s.looked++ }

// found is what a rule says about one thing.
type found struct {
	at       tree.Position
	pointer  string // where the finding is in the document, "" elsewhere
	op       *spec.Operation
	severity finding.Severity // zero: the rule's own
	key      string           // what stays the same from run to run beside rule and operation
}

// find says that the thing last looked at is faulty.
func (s *search) find(f found, format string, args ...any) {
	s.faulty++
	x := finding.Finding{Rule: s.rule.ID, Severity: s.rule.Severity, Message: fmt.Sprintf(format, args...),
		Place: finding.Place{File: f.at.File, Line: f.at.Line, Column: f.at.Column, Pointer: f.pointer}}
	if f.severity != finding.None {
		x.Severity = f.severity
	}
	if f.op != nil {
		x.Operation = named(f.op)
	}
	x.Fingerprint = finding.Fingerprint(x.Rule, x.Operation, f.pointer, f.key)
	s.findings = append(s.findings, x)
}

// named is an operation as people write it. What stands after '#' tells operations apart that are one request.
func named(op *spec.Operation) string {
	name := op.Method + " " + op.Path
	if op.Fragment != "" {
		name += "#" + op.Fragment
	}
	return name
}

// Check runs every rule over a subject. version is the program's, now the time it is.
func Check(s *Subject, version string, now func() time.Time) *finding.Report {
	r := &finding.Report{Schema: finding.Schema, Kind: "check", Version: version, Started: now(), Inputs: s.inputs(), Rules: Rules(),
		Findings: []finding.Finding{}, Outcomes: []finding.Outcome{}}
	tallies := map[Section]*tally{}
	for i := range rules {
		x := &rules[i]
		if missing := s.lacks(x.needs); missing != "" {
			r.Outcomes = append(r.Outcomes, finding.Outcome{Rule: x.ID, Verdict: finding.Skipped, Reason: missing})
			continue
		}
		one := search{Subject: s, rule: x}
		x.check(&one)
		if x.ID == refusedRule {
			one.findings = slices.DeleteFunc(one.findings, func(f finding.Finding) bool { return said(r.Findings, f.Place) })
		}
		o := finding.Outcome{Rule: x.ID, Verdict: finding.Passed}
		switch {
		case len(one.findings) > 0:
			o.Verdict = finding.Failed
		case one.looked == 0:
			o.Verdict, o.Reason, o.Vacuous = finding.Skipped, "there is nothing of the kind it looks at", true
		}
		r.Outcomes = append(r.Outcomes, o)
		r.Findings = append(r.Findings, one.findings...)
		if tallies[x.section] == nil {
			tallies[x.section] = new(tally)
		}
		tallies[x.section].add(&one)
	}
	for _, name := range Sections {
		if t := tallies[name]; t != nil && t.looked > 0 {
			r.Sections = append(r.Sections, finding.Section{Name: string(name), Score: t.score(), Looked: t.looked, Faulty: t.faulty})
		}
	}
	if s.Document != nil {
		r.Coverage.Declared = len(s.Document.Operations)
		for _, op := range s.Document.Operations {
			r.Coverage.Reached = append(r.Coverage.Reached, named(op))
		}
	}
	r.Checklist = checklist(r, s.attacks)
	r.Ended = now()
	r.Sort()
	return r
}

// said reports whether another rule has a finding at the very place.
func said(all []finding.Finding, at finding.Place) bool {
	return at.Line > 0 && slices.ContainsFunc(all, func(f finding.Finding) bool { return f.Place.File == at.File && f.Place.Line == at.Line })
}

// Rules are what is looked for, as reports show it.
func Rules() []finding.Rule {
	out := make([]finding.Rule, len(rules))
	for i := range rules {
		out[i] = rules[i].Rule
	}
	return out
}

// SectionOf returns the section of a rule, "" when there is no such rule.
func SectionOf(id string) Section {
	i := slices.IndexFunc(rules, func(r rule) bool { return r.ID == id })
	if i < 0 {
		return ""
	}
	return rules[i].section
}

// Section is a part of what is looked at, with a score of its own.
type Section string

const (
	Authentication Section = "authentication"
	Functions      Section = "functions"
	Objects        Section = "objects"
	Properties     Section = "properties"
	Consumption    Section = "consumption"
	Deployment     Section = "deployment"
	Inventory      Section = "inventory"
	Secrets        Section = "secrets"
)

// Sections are all of them, in the order they are shown.
var Sections = []Section{Authentication, Functions, Objects, Properties, Consumption, Deployment, Inventory, Secrets}

// tally is what a section's score is made of.
type tally struct {
	whole, sound   float64 // weights
	looked, faulty int
	worst          finding.Severity
}

var weights = map[finding.Severity]float64{finding.Low: 1, finding.Medium: 2, finding.High: 4, finding.Critical: 8}

// caps are the most a section can score with a finding of a severity: one open door is not made up for by many closed ones.
var caps = map[finding.Severity]int{finding.Critical: 25, finding.High: 50, finding.Medium: 75, finding.Low: 99, finding.None: 100}

func (t *tally) add(s *search) {
	if s.looked == 0 {
		return
	}
	w := weights[s.rule.Severity]
	t.whole += w
	t.sound += w * float64(s.looked-min(s.faulty, s.looked)) / float64(s.looked)
	t.looked += s.looked
	t.faulty += min(s.faulty, s.looked)
	for _, f := range s.findings {
		t.worst = max(t.worst, f.Severity)
	}
}

func (t *tally) score() int { return min(int(100*t.sound/t.whole), caps[t.worst]) }

// sorted gives keys an order for messages.
func sorted[K cmp.Ordered, V any](m map[K]V) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// list joins names for a sentence, the first few of them.
func list(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
