package demo

import (
	"context"
	"fmt"
	"net/http"
	"slices"
)

// Demonstration is one thing that is shown on both sides: a fault, or a lawful use.
type Demonstration struct {
	ID       string
	Controls []string // of the catalogue
	Title    string
	Calls    []Call

	// Fault reports whether a side's answers show the fault; nil for a lawful use. A write is judged by reading again.
	Fault func([]Answer) bool
	// At is the call whose status says how the guarded side took it, and Refused are the right ones.
	At      int
	Refused []int
	// Holds is what must be true of the guarded side's answers beside: of a lawful use, that it works.
	Holds func([]Answer) bool

	Telling string // the excerpt is shown around this text
	Show    string // or is this header
}

// Lawful reports whether the demonstration is a use that must succeed.
func (d *Demonstration) Lawful() bool { return d.Fault == nil }

// Side is what one side answered, a call's repetitions one after another.
type Side struct {
	Answers []Answer
	last    []int // index of each call's last answer
}

// Row is a demonstration that was made.
type Row struct {
	Demonstration
	Naked, Guarded Side
}

// Shown reports whether the naked side has the fault, or does what is lawful.
func (r *Row) Shown() bool { return r.whole(&r.Naked) && (r.Lawful() || r.Fault(r.Naked.Answers)) }

// Held reports whether the guarded side was as it must be: the fault not there and refused in the right way, or the
// lawful use successful.
func (r *Row) Held() bool {
	g := &r.Guarded
	if !r.whole(g) || r.Holds != nil && !r.Holds(g.Answers) {
		return false
	}
	return r.Lawful() || !r.Fault(g.Answers) && slices.Contains(r.Refused, g.Answers[g.last[r.At]].Status)
}

// whole reports whether every call was answered at all.
func (r *Row) whole(s *Side) bool {
	return len(s.last) == len(r.Calls) && !slices.ContainsFunc(s.Answers, func(a Answer) bool { return a.Err != nil })
}

// Run makes all demonstrations in their order, each on the naked side and then on the guarded one.
func Run(ctx context.Context, e Endpoints, list []Demonstration) []Row {
	client := newClient(e.Roots)
	defer client.CloseIdleConnections()
	rows := make([]Row, 0, len(list))
	for _, d := range list {
		rows = append(rows, Row{Demonstration: d, Naked: d.run(ctx, client, &e, false), Guarded: d.run(ctx, client, &e, true)})
	}
	return rows
}

func (d *Demonstration) run(ctx context.Context, client *http.Client, e *Endpoints, guarded bool) Side {
	var s Side
	for i := range d.Calls {
		c := &d.Calls[i]
		base := e.base(c, guarded)
		if base == "" {
			s.Answers = append(s.Answers, Answer{Err: fmt.Errorf("%s: there is no such side", d.ID)})
			return s
		}
		for range c.times() {
			s.Answers = append(s.Answers, c.send(ctx, client, e, base))
		}
		s.last = append(s.last, len(s.Answers)-1)
	}
	return s
}
