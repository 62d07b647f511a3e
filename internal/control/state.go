package control

import (
	"slices"
	"strings"
	"time"
)

// Facet is one side of a control that evidence can show.
type Facet string

const (
	Declared  Facet = "declared"  // document and configuration say it
	Tested    Facet = "tested"    // somebody tried to break it, and to use it
	Operating Facet = "operating" // every occurrence of a period was counted
	Attested  Facet = "attested"  // a named person stated it, and the statement still holds
)

// Facets are all four, in the order they are shown.
var Facets = []Facet{Declared, Tested, Operating, Attested}

// Value is what the evidence for one facet says. The zero value is not-run: silence shows nothing.
type Value string

const (
	Yes        Value = "yes"
	Partly     Value = "partial" // holds for some of what it should hold for
	No         Value = "no"
	Error      Value = "error" // looking failed: it is not known
	NotRun     Value = "not-run"
	Stale      Value = "stale" // held, but was shown too long ago
	Irrelevant Value = "not-applicable"
)

// State is what a control comes to.
type State string

const (
	Evidenced     State = "evidenced"
	Partial       State = "partial"
	Waived        State = "waived"
	Gap           State = "gap"
	NotEvidenced  State = "not-evidenced"
	NotApplicable State = "not-applicable"
)

// States are all, best last.
var States = []State{Gap, NotEvidenced, Partial, Waived, Evidenced, NotApplicable}

var meanings = map[State]string{
	Evidenced:     "every facet that is asked for was shown, and lately",
	Partial:       "a facet holds for a part only, or was shown too long ago",
	Waived:        "a facet does not hold; a named person accepted that until a date",
	Gap:           "a facet does not hold",
	NotEvidenced:  "a facet was not looked at, or looking failed: nothing is known, and nothing is claimed",
	NotApplicable: "what the control is about does not exist here; who says so and why is given",
}

// Meaning says what the state claims, for people.
func (s State) Meaning() string { return meanings[s] }

// Rank orders states by how much they claim: a gap and silence claim nothing.
func (s State) Rank() int {
	switch s {
	case Evidenced, NotApplicable:
		return 3
	case Waived:
		return 2
	case Partial:
		return 1
	}
	return 0
}

// Decision is a person's word that a control has nothing to be about.
type Decision struct{ By, Reason string }

// Waiver is a person's word that a gap is accepted for a while.
type Waiver struct {
	Approver, Reason string
	Until            time.Time
}

// maxWaiver is how far ahead a waiver may reach: an exception without end is no exception.
const maxWaiver = 90 * 24 * time.Hour

func (w *Waiver) holds(now time.Time) bool {
	return w != nil && strings.TrimSpace(w.Approver) != "" && strings.TrimSpace(w.Reason) != "" && w.Until.After(now) && !w.Until.After(now.Add(maxWaiver))
}

func (d *Decision) holds() bool {
	return d != nil && strings.TrimSpace(d.By) != "" && strings.TrimSpace(d.Reason) != ""
}

// Evidence is all that is known about one control. A facet that is not in Values was not run.
type Evidence struct {
	Values        map[Facet]Value
	NotApplicable *Decision
	Waiver        *Waiver
}

// Judge turns evidence into a state. It is pure, it counts nothing, and taking evidence away never makes it claim more:
// a control that asks for no facet, an unknown value and an expired waiver all come to what claims least.
func Judge(required []Facet, e Evidence, now time.Time) State {
	if e.NotApplicable.holds() {
		return NotApplicable
	}
	shown, waived, silent, part := false, false, false, false
	for _, f := range required {
		switch e.Values[f] {
		case Yes:
			shown = true
		case Partly, Stale:
			part = true
		case No:
			if !e.Waiver.holds(now) {
				return Gap
			}
			waived = true
		case Irrelevant:
		default:
			silent = true
		}
	}
	switch {
	case silent || !shown && !waived && !part:
		return NotEvidenced
	case part:
		return Partial
	case waived:
		return Waived
	}
	return Evidenced
}

// order is Combine's, worst first.
var order = []Value{No, Error, NotRun, Partly, Stale, Yes, Irrelevant}

// Combine is the value of a facet that several tests or facts show: the worst of them. Give one value for everything that
// was expected, not-run where nothing came of it; what is left out cannot be missed.
func Combine(values ...Value) Value {
	worst := len(order) - 1
	for _, v := range values {
		i := slices.Index(order, v)
		if i < 0 {
			i = slices.Index(order, NotRun)
		}
		worst = min(worst, i)
	}
	if len(values) == 0 {
		return NotRun
	}
	return order[worst]
}
