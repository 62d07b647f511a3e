// Package finding is what a search for weaknesses comes to, whether it read files (check) or asked a running API
// (attack): rules, findings with their proof, an outcome for everything that was tried, and one Report of all of it.
//
// It is data. Formats are report's, exit codes are cli's.
package finding

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/control"
)

// Severity says how bad a finding is. The zero value is none.
type Severity uint8

const (
	None Severity = iota
	Low
	Medium
	High
	Critical
)

var severities = [...]string{"none", "low", "medium", "high", "critical"}

func (s Severity) String() string { return severities[s] }

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads it.
func (s *Severity) UnmarshalText(b []byte) error {
	i := slices.Index(severities[:], string(b))
	if i < 0 {
		return fmt.Errorf("severity %q is none of low, medium, high, critical", b)
	}
	*s = Severity(i)
	return nil
}

// Verdict is what one test came to. The zero value claims nothing.
type Verdict string

const (
	Inconclusive Verdict = "inconclusive" // it could not be decided, and why is said
	Passed       Verdict = "passed"
	Failed       Verdict = "failed"  // there is a finding
	Skipped      Verdict = "skipped" // it does not apply, or was not asked for
)

// Rule is what is looked for: a check or an attack.
type Rule struct {
	ID        string       `json:"id"` // "bola-read", "security-missing"
	Title     string       `json:"title"`
	Severity  Severity     `json:"severity"`
	CWE       []int        `json:"cwe"`
	OWASP2019 []string     `json:"owasp_2019"` // "API1"
	OWASP2023 []string     `json:"owasp_2023"`
	Controls  []control.ID `json:"controls"`
	Why       string       `json:"why"` // what an attacker gains
	Fix       string       `json:"fix"` // what to do
}

// Place is where a finding stands in a file; the zero value is nowhere.
type Place struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"` // from 1
	Column  int    `json:"column,omitempty"`
	Pointer string `json:"pointer,omitempty"` // RFC 6901
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Exchange is one request and its answer as proof. Credentials in it are replaced by the name of whose they are.
type Exchange struct {
	Note    string `json:"note"` // "as bob, who does not own it"
	Request string `json:"request"`
	Status  int    `json:"status"`
	Answer  string `json:"answer"` // an excerpt
	Curl    string `json:"curl"`   // to repeat it
}

// Finding is one weakness that was found.
type Finding struct {
	Rule        string     `json:"rule"`
	Severity    Severity   `json:"severity"`
	Operation   string     `json:"operation,omitempty"` // "GET /orders/{id}"
	Place       Place      `json:"place,omitzero"`
	Message     string     `json:"message"` // one sentence
	Proof       []Exchange `json:"proof,omitempty"`
	Fingerprint string     `json:"fingerprint"` // the same from run to run
}

// Outcome is what became of one test on one operation, found or not.
type Outcome struct {
	Rule      string  `json:"rule"`
	Operation string  `json:"operation,omitempty"`
	Verdict   Verdict `json:"verdict"`
	Reason    string  `json:"reason,omitempty"`  // compulsory for inconclusive and skipped
	Vacuous   bool    `json:"vacuous,omitempty"` // skipped, because there is nothing here that it could be about
}

// Input is a file the search was made with.
type Input struct {
	What   string `json:"what"` // "document", "configuration", "plan"
	Path   string `json:"path,omitempty"`
	SHA256 string `json:"sha256"`
}

// Coverage says how much of the document was reached.
type Coverage struct {
	Declared   int      `json:"declared"`
	Reached    []string `json:"reached"`     // operations that gave an answer the document knows
	NotReached []string `json:"not_reached"` // and those that did not
}

// Section is a part of what a check looks at, with its score. Score is 100 where nothing was found.
type Section struct {
	Name   string `json:"name"`
	Score  int    `json:"score"`
	Looked int    `json:"looked"` // at how many things
	Faulty int    `json:"faulty"` // of these
}

// Point is one line of the guide's checklists and what is known about it.
type Point struct {
	List     string       `json:"list"`     // "Before deployment"
	Line     int          `json:"line"`     // of the guide
	Text     string       `json:"text"`     // its own words
	State    string       `json:"state"`    // "found", "checked", "skipped", "gate", "person"
	Rules    []string     `json:"rules"`    // the checks that speak of it
	Controls []control.ID `json:"controls"` // that carry it
	Next     string       `json:"next"`     // what shows the rest
}

// Report is one search. Its JSON form is "portreeve/report/v1".
type Report struct {
	Schema      string    `json:"schema"`
	Kind        string    `json:"kind"` // "check" or "attack"
	Version     string    `json:"version"`
	Target      string    `json:"target,omitempty"`
	Started     time.Time `json:"started"`
	Ended       time.Time `json:"ended"`
	Seed        int64     `json:"seed,omitempty"`
	Interrupted string    `json:"interrupted,omitempty"` // why it ended early: "budget", "signal"
	Inputs      []Input   `json:"inputs"`
	Rules       []Rule    `json:"rules"`
	Findings    []Finding `json:"findings"`
	Outcomes    []Outcome `json:"outcomes"`
	Coverage    Coverage  `json:"coverage,omitzero"`
	Sections    []Section `json:"sections,omitempty"`  // of a check
	Checklist   []Point   `json:"checklist,omitempty"` // of a check
}

// Schema is Report's version.
const Schema = "portreeve/report/v1"

// Rule returns the rule of that id, nil when there is none.
func (r *Report) Rule(id string) *Rule {
	for i := range r.Rules {
		if r.Rules[i].ID == id {
			return &r.Rules[i]
		}
	}
	return nil
}

// Worst returns the highest severity found.
func (r *Report) Worst() Severity {
	worst := None
	for _, f := range r.Findings {
		worst = max(worst, f.Severity)
	}
	return worst
}

// Count returns how many tests came to a verdict.
func (r *Report) Count(v Verdict) int {
	n := 0
	for _, o := range r.Outcomes {
		if o.Verdict == v {
			n++
		}
	}
	return n
}

// Sort puts findings in the order people read: worst first, then by operation, rule and place.
func (r *Report) Sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Place.File, b.Place.File), cmp.Compare(a.Place.Line, b.Place.Line), cmp.Compare(a.Message, b.Message))
	})
}

// Fingerprint names a finding by what does not change from run to run.
func Fingerprint(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
