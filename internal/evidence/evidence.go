// Package evidence gathers, control by control, what shows that a promise is kept: declared, by the plan and the very steps
// that would run; tested, by stored reports of attacks and checks on that same plan; operating, by counting every event of a
// period in the ledger. control.Judge alone turns that into states.
//
// It is one pure function over its inputs, so that whoever holds them computes the same. It reads records and never the
// engine that made them, it asks the API nothing, and what it was not shown it does not claim.
package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/control/catalogue"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/plan"
)

// Schema is the form of Evidence as JSON.
const Schema = "portreeve/evidence/v1"

// Inputs are all that evidence is made of.
type Inputs struct {
	Now       time.Time
	Tool      string // version of the program
	Operator  string // who asked, "uid:1000"
	From, To  time.Time
	Plan      *plan.Plan
	Files     []finding.Input // the configuration, with its hash
	Chains    []Chain
	Results   []Result
	Log       *Log // nil: no ledger was given
	Catalogue *catalogue.Catalogue
}

// Chain is what happens to the requests of one operation: the steps that are bound to it.
type Chain struct {
	Operation string `json:"operation"` // operationId
	Method    string `json:"method"`
	Path      string `json:"path"`
	Own       bool   `json:"own"` // the gate's own endpoint
	Steps     []Step `json:"steps"`
}

// Step is one stage bound to an operation.
type Step struct {
	Stage    string       `json:"stage"`
	Rule     string       `json:"rule"`
	Source   string       `json:"source"`
	Absent   bool         `json:"absent"`
	Observe  bool         `json:"observe"`
	Controls []control.ID `json:"controls"`
}

// Result is a stored report.
type Result struct {
	Name   string          // of its file
	SHA256 string          // of its file
	Report *finding.Report // nil where the file could not be read, and Fault says why
	Fault  string
}

// Evidence is all that is known about all controls.
type Evidence struct {
	Schema     string          `json:"schema"`
	Collected  time.Time       `json:"collected"`
	Tool       string          `json:"tool"`
	Operator   string          `json:"operator"`
	Catalogue  Catalogue       `json:"catalogue"`
	System     System          `json:"system"`
	Period     Period          `json:"period"`
	Integrity  Integrity       `json:"integrity"`
	Results    []Used          `json:"results"`
	Operations []Operation     `json:"operations"`
	Exceptions []Exception     `json:"exceptions"`
	Counts     []Count         `json:"counts"` // controls by severity and state
	Controls   []Record        `json:"controls"`
	Inputs     []finding.Input `json:"inputs"`
}

// Catalogue names the list of controls.
type Catalogue struct {
	ID       string `json:"id"`
	Version  string `json:"version"`
	Date     string `json:"date"`
	SHA256   string `json:"sha256"`
	Controls int    `json:"controls"`
}

// System is what the evidence is about.
type System struct {
	Title       string `json:"title"`
	Version     string `json:"version"`
	Environment string `json:"environment"`
	URL         string `json:"url"`
	Upstream    string `json:"upstream"`
	Document    string `json:"document"`
	Plan        string `json:"plan"` // its hash
}

// Period is the time whose events are counted.
type Period struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Integrity says how far the evidence itself can be trusted.
type Integrity struct {
	Ledger     string        `json:"ledger"` // "verified", "broken", "not given"
	Problem    string        `json:"problem,omitempty"`
	Lines      uint64        `json:"lines"`
	Head       string        `json:"head,omitempty"` // SHA-256 of the last line
	First      time.Time     `json:"first,omitzero"`
	Last       time.Time     `json:"last,omitzero"`
	Lost       int           `json:"lost"`       // events the ledger says it lost in the period
	Breaks     int           `json:"breaks"`     // starts in the period that follow no stop
	Unresolved int           `json:"unresolved"` // intents of the period without an outcome
	Plans      []PlanPeriod  `json:"plans"`      // that were obeyed in the period
	Signed     *Signed       `json:"signed,omitempty"`
	Anchors    string        `json:"anchors"`
	Shortfalls []string      `json:"shortfalls"` // why operating facets are partial
	Refusals   int           `json:"refusals"`
	Requests   int           `json:"requests"`
	Span       time.Duration `json:"span"` // of the ledger within the period
}

// PlanPeriod says how many requests obeyed a plan.
type PlanPeriod struct {
	Plan     string `json:"plan"`
	Requests int    `json:"requests"`
	Current  bool   `json:"current"`
}

// Used says what became of a stored report.
type Used struct {
	Name     string           `json:"name"`
	SHA256   string           `json:"sha256"`
	Kind     string           `json:"kind,omitempty"`
	Target   string           `json:"target,omitempty"`
	Ended    time.Time        `json:"ended,omitzero"`
	Accepted bool             `json:"accepted"`
	Reason   string           `json:"reason,omitempty"` // why not, or what is limited about it
	Tally    map[string]int   `json:"tally,omitempty"`  // outcomes by verdict
	Coverage finding.Coverage `json:"coverage,omitzero"`
}

// Operation is an operation of the document and whether tests reached it.
type Operation struct {
	Name    string   `json:"name"` // "GET /orders/{id}"
	ID      string   `json:"id"`
	Public  bool     `json:"public"`
	Reached bool     `json:"reached"` // by an accepted attack
	Record  string   `json:"record"`
	Observe []string `json:"observe,omitempty"`
}

// Exception is a protection that was switched off.
type Exception struct {
	Name   string    `json:"name"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"`
	Source string    `json:"source"`
}

// Count is how many controls of a severity are in a state.
type Count struct {
	Severity finding.Severity `json:"severity"`
	State    control.State    `json:"state"`
	N        int              `json:"n"`
}

// Record is one control with what is known about it.
type Record struct {
	ID          control.ID       `json:"id"`
	Title       string           `json:"title"`
	Requirement string           `json:"requirement"`
	Severity    finding.Severity `json:"severity"`
	State       control.State    `json:"state"`
	Facets      []Facet          `json:"facets"`
	Next        []string         `json:"next,omitempty"` // what would show more
}

// Facet is one side of a control.
type Facet struct {
	Facet       control.Facet `json:"facet"`
	Required    bool          `json:"required"`
	Value       control.Value `json:"value"`
	Reason      string        `json:"reason"`
	Method      string        `json:"method,omitempty"` // examine, test, interview
	Facts       []Fact        `json:"facts,omitempty"`
	Tests       []Test        `json:"tests,omitempty"`
	Populations []Population  `json:"populations,omitempty"`
}

// Fact is something the plan says.
type Fact struct {
	What    string   `json:"what"`
	Sources []string `json:"sources,omitempty"`
}

// Test is what one test says of a control.
type Test struct {
	By        string        `json:"by"` // "attack/bola-read"
	Value     control.Value `json:"value"`
	Reason    string        `json:"reason"`
	When      time.Time     `json:"when,omitzero"`
	Passed    int           `json:"passed"`
	Failed    int           `json:"failed"`
	Undecided int           `json:"undecided"`
	Skipped   int           `json:"skipped"`
	Results   []string      `json:"results,omitempty"` // files
}

// Population is what was counted, and what counts against the control.
type Population struct {
	Population string        `json:"population"` // the catalogue's words
	Exception  string        `json:"exception"`
	Query      string        `json:"query,omitempty"` // what was counted, exactly
	Against    string        `json:"against,omitempty"`
	Value      control.Value `json:"value"`
	Reason     string        `json:"reason,omitempty"`
	N          int           `json:"n"`
	Exceptions int           `json:"exceptions"`
	Lines      []uint64      `json:"lines,omitempty"` // of the ledger, the first of each kind of exception
}

// Collect says what is known.
func Collect(in *Inputs) (*Evidence, error) {
	c := in.Catalogue
	tested, err := days(c.Defaults.Tested)
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	e := &Evidence{Schema: Schema, Collected: in.Now, Tool: in.Tool, Operator: in.Operator, Inputs: inputsOf(in),
		Catalogue:  Catalogue{c.About.ID, c.About.Version, c.About.Date, c.Hash, len(c.Controls)},
		System:     System{in.Plan.Title, in.Plan.Version, in.Plan.Environment, in.Plan.PublicURL, in.Plan.Upstream.URL, in.Plan.DocumentAt, in.Plan.Hash},
		Period:     Period{in.From, in.To},
		Results:    []Used{},
		Exceptions: []Exception{},
	}
	for _, s := range in.Plan.Unsafe {
		e.Exceptions = append(e.Exceptions, Exception{s.Name, s.Reason, s.Until, string(s.Source)})
	}
	v, err := newView(in)
	if err != nil {
		return nil, err
	}
	t := newTests(in, tested)
	e.Results, e.Operations = t.used, operations(in.Plan, t)
	l := newLog(in, v)
	e.Integrity = l.integrity
	for i := range c.Controls {
		x := &c.Controls[i]
		r := Record{ID: x.ID, Title: x.Title, Requirement: x.Requirement, Severity: x.Severity}
		for _, facet := range control.Facets {
			var f Facet
			switch facet {
			case control.Declared:
				f = v.declared(x)
			case control.Tested:
				f = t.tested(x)
			case control.Operating:
				f = l.operating(x)
			case control.Attested:
				f = attested(x)
			}
			f.Facet, f.Required = facet, x.Requires(facet)
			r.Facets = append(r.Facets, f)
		}
		e.Controls = append(e.Controls, r)
	}
	e.judge(c)
	states(e, c)
	e.count()
	return e, nil
}

// attested says that nobody has stated anything: statements are not kept yet, and none is ever assumed.
func attested(x *catalogue.Control) Facet {
	f := Facet{Value: control.NotRun, Method: "interview", Reason: "nobody has stated it"}
	if x.AttestedBy.Who != "" {
		f.Reason = fmt.Sprintf("nobody has stated it; it would be for the %s: %s", x.AttestedBy.Who, x.AttestedBy.Statement)
	}
	return f
}

// judge gives every control its state, and says what would show more.
func (e *Evidence) judge(c *catalogue.Catalogue) {
	for i := range e.Controls {
		r, x := &e.Controls[i], &c.Controls[i]
		known := control.Evidence{Values: map[control.Facet]control.Value{}}
		for _, f := range r.Facets {
			known.Values[f.Facet] = f.Value
		}
		r.State = control.Judge(x.Evidence, known, e.Collected)
		r.Next = nil
		for _, f := range r.Facets {
			if f.Required && f.Value != control.Yes && f.Value != control.Irrelevant {
				r.Next = append(r.Next, fmt.Sprintf("%s is %s: %s", f.Facet, f.Value, f.Reason))
			}
		}
	}
}

// states settles what is said about the states of the others: that no critical control has a gap.
func states(e *Evidence, c *catalogue.Catalogue) {
	gaps, silent, part, all := 0, 0, 0, 0
	for _, r := range e.Controls {
		if r.Severity != finding.Critical {
			continue
		}
		all++
		switch r.State {
		case control.Gap:
			gaps++
		case control.NotEvidenced:
			silent++
		case control.Partial:
			part++
		}
	}
	t := Test{By: noGap, Value: control.Yes, When: e.Collected, Reason: fmt.Sprintf("of %d critical controls %d have a gap, %d are not evidenced, %d are partial", all, gaps, silent, part)}
	switch {
	case gaps > 0:
		t.Value = control.No
	case silent > 0 || all == 0:
		t.Value = control.NotRun
	case part > 0:
		t.Value = control.Partly
	}
	for i := range c.Controls {
		for k, by := range c.Controls[i].TestedBy.By {
			if by != t.By {
				continue
			}
			for j := range e.Controls[i].Facets {
				if f := &e.Controls[i].Facets[j]; f.Facet == control.Tested {
					f.Tests[k] = t
					f.settle()
				}
			}
		}
	}
	e.judge(c)
}

// count counts controls by severity and state, every pair: what is none is said to be none.
func (e *Evidence) count() {
	for s := finding.Critical; s > finding.None; s-- {
		for _, state := range control.States {
			n := 0
			for _, r := range e.Controls {
				if r.Severity == s && r.State == state {
					n++
				}
			}
			e.Counts = append(e.Counts, Count{s, state, n})
		}
	}
}

// In counts the controls in a state, of all severities.
func (e *Evidence) In(s control.State) int {
	n := 0
	for _, c := range e.Counts {
		if c.State == s {
			n += c.N
		}
	}
	return n
}

// Broken reports whether the ledger is not what was written.
func (e *Evidence) Broken() bool { return e.Integrity.Ledger == broken }

// Of returns the facet of a record.
func (r *Record) Of(f control.Facet) *Facet {
	i := slices.IndexFunc(r.Facets, func(x Facet) bool { return x.Facet == f })
	if i < 0 {
		return &Facet{Facet: f, Value: control.NotRun}
	}
	return &r.Facets[i]
}

// Control returns the record of a control, nil when there is none.
func (e *Evidence) Control(id control.ID) *Record {
	i := slices.IndexFunc(e.Controls, func(x Record) bool { return x.ID == id })
	if i < 0 {
		return nil
	}
	return &e.Controls[i]
}

// DocumentSHA256 is the hash of the effective document, as reports name it.
func DocumentSHA256(p *plan.Plan) string { return Sum(p.Document) }

// Sum is the hex SHA-256 of bytes.
func Sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func inputsOf(in *Inputs) []finding.Input {
	all := []finding.Input{{What: "document", Path: in.Plan.DocumentAt, SHA256: DocumentSHA256(in.Plan)}}
	all = append(all, in.Files...)
	return append(all, finding.Input{What: "plan", SHA256: in.Plan.Hash}, finding.Input{What: "catalogue", SHA256: in.Catalogue.Hash})
}

func operations(p *plan.Plan, t *tests) []Operation {
	out := []Operation{}
	for _, op := range p.Operations {
		if op.Own != "" {
			continue
		}
		name := op.Method + " " + op.Path
		out = append(out, Operation{Name: name, ID: op.ID, Public: op.Security.Public, Reached: t.reached[name], Record: string(op.Record), Observe: op.Observe})
	}
	return out
}

// days reads an ISO 8601 duration as the catalogue writes them: P30D, P12M, P1Y, PT1H, PT60S.
func days(s string) (time.Duration, error) {
	units := map[string]time.Duration{"PD": 24 * time.Hour, "PM": 30 * 24 * time.Hour, "PY": 365 * 24 * time.Hour, "PTH": time.Hour, "PTM": time.Minute, "PTS": time.Second}
	var n int
	var unit string
	for _, form := range []string{"PT", "P"} {
		if _, err := fmt.Sscanf(s, form+"%d%s", &n, &unit); err == nil && n > 0 {
			if d, ok := units[form+unit]; ok {
				return time.Duration(n) * d, nil
			}
		}
	}
	return 0, fmt.Errorf("%q is no duration", s)
}
