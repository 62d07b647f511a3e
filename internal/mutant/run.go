package mutant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/attack"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/gate"
	"github.com/portreeve/portreeve/internal/plan"
)

// API starts an API for one mutant and returns its URL. ids are who the gates in front of it know.
type API func(ctx context.Context, ids []attack.Identity) (url string, stop func(), err error)

// Options are what a run is made with.
type Options struct {
	Plan    *plan.Plan
	Promise *attack.Promise // of the same document and configuration, as the attacker reads them
	People  []Person
	API     API
	Store   deployment.Opener
	Screen  gate.Screening // nil: plans whose operations are screened have no mutants
	Allow   []string       // hosts, beside loopback, whose API may stand behind a mutant
	Only    func(Mutant) bool
	Seed    int64
	Budget  time.Duration // for all of it; 0: no end
	Rate    float64       // requests a second that the API behind gets, of all mutants together; 0: as fast as answers come
	Version string

	Progress func(done, total int, what string)
}

// Verdict is what became of a mutant.
type Verdict string

const (
	Survived Verdict = "survived"
	Killed   Verdict = "killed"
	Unbound  Verdict = "unbound" // the gate does not start with such a fault
)

// Judged is a mutant with what became of it.
type Judged struct {
	Mutant
	Verdict Verdict `json:"verdict"`
	By      []Kill  `json:"by,omitempty"`     // what was found, worst first
	Reason  string  `json:"reason,omitempty"` // why it survived, as far as it is known
	Known   bool    `json:"known,omitempty"`  // it survives for a reason that stands in Survivors
	Millis  int64   `json:"millis"`           // how long it took
}

// Kill is an attack that found a mutant.
type Kill struct {
	Attack    string `json:"attack"`
	Operation string `json:"operation,omitempty"`
	Message   string `json:"message"`
}

// Tally counts the mutants of one control.
type Tally struct {
	Control control.ID `json:"control"`
	Killed  int        `json:"killed"`
	Total   int        `json:"total"`
}

// Result is one run. Its JSON form is "portreeve/mutants/v1".
type Result struct {
	Schema      string    `json:"schema"`
	Version     string    `json:"version"`
	Plan        string    `json:"plan"` // hash
	Title       string    `json:"title"`
	Seed        int64     `json:"seed"`
	Started     time.Time `json:"started"`
	Ended       time.Time `json:"ended"`
	Interrupted bool      `json:"interrupted,omitempty"`
	Baseline    []Kill    `json:"baseline"` // what is found on the gate without a fault: nothing, or the run ends there
	Open        string    `json:"open,omitempty"`
	Killed      int       `json:"killed"`
	Total       int       `json:"total"` // without those that cannot be bound
	Controls    []Tally   `json:"controls"`
	Mutants     []Judged  `json:"mutants"` // survivors first
}

// Schema is Result's version.
const Schema = "portreeve/mutants/v1"

// Percent is how many of a hundred mutants were killed, rounded down.
func (r *Result) Percent() int {
	if r.Total == 0 {
		return 0
	}
	return 100 * r.Killed / r.Total
}

// Unexplained are the survivors that nobody has a reason for.
func (r *Result) Unexplained() []Judged {
	return slices.DeleteFunc(slices.Clone(r.Mutants), func(j Judged) bool { return j.Verdict != Survived || j.Known })
}

// ErrBaseline: the gate without a fault could not be attacked, so nothing can be said about one with a fault.
var ErrBaseline = errors.New("the gate without a fault cannot be judged")

// Run makes every mutant of a plan and attacks it. When the gate without a fault is not clean, that is all the result
// says. The result is whole, as far as it goes, even when the context ends early.
func Run(ctx context.Context, o Options) (_ *Result, err error) {
	dir, clean, err := directory()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, clean()) }()
	s, err := newStand(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.state.Close()) }()
	if o.Budget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Budget)
		defer cancel()
	}
	mutants, err := Of(s.base)
	if err != nil {
		return nil, err
	}
	if o.Only != nil {
		mutants = slices.DeleteFunc(mutants, func(m Mutant) bool { return !o.Only(m) })
	}
	r := &Result{Schema: Schema, Version: o.Version, Plan: o.Plan.Hash, Title: o.Plan.Title, Seed: o.Seed, Started: time.Now().UTC(), Baseline: []Kill{}, Mutants: []Judged{}}
	defer func() { r.Ended = time.Now().UTC() }()
	s.progress(0, len(mutants), "the gate without a fault")
	if err := s.baseline(ctx, r); err != nil || len(r.Baseline) > 0 || r.Interrupted {
		return r, err
	}
	if err := s.all(ctx, mutants, r); err != nil {
		return r, err
	}
	r.count()
	return r, nil
}

func (s *stand) progress(done, total int, what string) {
	if s.Progress != nil {
		s.Progress(done, total, what)
	}
}

// baseline attacks the gate without a fault.
func (s *stand) baseline(ctx context.Context, r *Result) error {
	for _, loose := range []bool{true, false} {
		report, err := s.attack(ctx, nil, attacks(!loose), loose)
		if ctx.Err() != nil {
			r.Interrupted = true
			return nil
		}
		if err != nil {
			return err
		}
		if len(report.Coverage.Reached) == 0 {
			return fmt.Errorf("%w: %s", ErrBaseline, attack.Undecided(report))
		}
		r.Baseline = append(r.Baseline, kills(report)...)
		if loose {
			r.Open = attack.Undecided(report)
		}
	}
	return nil
}

// all judges the mutants, as many at once as there are processors.
func (s *stand) all(ctx context.Context, mutants []Mutant, r *Result) error {
	var mu sync.Mutex
	var failed error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo := make(chan Mutant)
	var running sync.WaitGroup
	done := 0
	for range min(workers(), max(1, len(mutants))) {
		running.Go(func() {
			for m := range todo {
				j, err := s.judge(ctx, m)
				mu.Lock()
				switch {
				case err != nil && failed == nil && ctx.Err() == nil:
					failed = fmt.Errorf("judging the mutant %s: %w", m.ID, err)
					cancel()
				case err == nil:
					r.Mutants = append(r.Mutants, *j)
					done++
					s.progress(done, len(mutants), m.ID)
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range mutants {
		select {
		case todo <- m:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(todo)
	running.Wait()
	r.Interrupted = len(r.Mutants) < len(mutants) && failed == nil
	return failed
}

// judge attacks one mutant: first with what is about its controls, and if nothing is found with everything. The second
// round is no repetition: some attacks only look at what the others are answered.
func (s *stand) judge(ctx context.Context, m Mutant) (*Judged, error) {
	j := &Judged{Mutant: m, Verdict: Survived}
	defer func(began time.Time) { j.Millis = time.Since(began).Milliseconds() }(time.Now())
	var doubts []string
	for _, ids := range rounds(m) {
		report, err := s.attack(ctx, &m, ids, !m.counts)
		if errors.Is(err, errUnbound) {
			j.Verdict, j.Reason = Unbound, err.Error()
			return j, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		if j.By = kills(report); len(j.By) > 0 {
			j.Verdict = Killed
			return j, nil
		}
		doubts = open(report, m)
	}
	switch why := reasonFor(m); {
	case why != "":
		j.Reason, j.Known = why, true
	case len(doubts) > 0:
		j.Reason = "not decided: " + strings.Join(doubts[:min(3, len(doubts))], "; ")
	default:
		j.Reason = "every attack passed: perhaps nothing of it shows in this API, or to these identities"
	}
	return j, nil
}

// patience is what the attacks on one mutant may take at most.
const patience = 3 * time.Minute

// workers are how many mutants stand at once.
func workers() int { return runtime.GOMAXPROCS(0) }

// seed is another for each run of attacks, and the same when all is done again: an API that stays up still has what the
// run before made, and may refuse two things of one name.
func (s *stand) seed(m *Mutant, ids []string) int64 {
	h := fnv.New32a()
	if m != nil {
		h.Write([]byte(m.ID))
	}
	fmt.Fprintf(h, " %d %d", s.Seed, len(ids))
	return int64(h.Sum32())
}

// attack puts a mutant up, attacks it, and takes it down.
func (s *stand) attack(ctx context.Context, m *Mutant, ids []string, loose bool) (*finding.Report, error) {
	g, err := s.serve(ctx, m, loose)
	if err != nil {
		return nil, err
	}
	defer g.close()
	people := *s.people
	return attack.Run(ctx, attack.Options{Target: g.url, Promise: s.Promise, People: &people, Only: ids, Budget: patience, Seed: s.seed(m, ids), Roots: s.roots,
		Version: s.Version, Rate: s.Rate / float64(workers())})
}

// countingAttack reports whether an attack is about how often.
func countingAttack(a *attack.Attack) bool {
	return slices.ContainsFunc(a.Controls, func(c control.ID) bool {
		return strings.HasPrefix(string(c), "limit.") && c != "limit.size" || c == "authn.bruteforce"
	})
}

// attacks returns the ids of the attacks that are about how often, or of all others.
func attacks(counts bool) []string {
	var out []string
	for i := range attack.Attacks {
		if a := &attack.Attacks[i]; countingAttack(a) == counts {
			out = append(out, a.ID)
		}
	}
	return out
}

// rounds are the attacks on a mutant: those that are about its controls, then all. Limits are tried in one round, for what
// evades a limit needs one that was reached.
func rounds(m Mutant) [][]string {
	all := attacks(m.counts)
	var fit []string
	for i := range attack.Attacks {
		if a := &attack.Attacks[i]; m.concerns(a.Controls) && countingAttack(a) == m.counts {
			fit = append(fit, a.ID)
		}
	}
	if m.counts || len(fit) == 0 || len(fit) == len(all) {
		return [][]string{all}
	}
	return [][]string{fit, all}
}

func kills(r *finding.Report) []Kill {
	out := make([]Kill, 0, len(r.Findings))
	for _, f := range r.Findings {
		out = append(out, Kill{f.Rule, f.Operation, f.Message})
	}
	return out
}

// concerns reports whether a mutant breaks one of the controls.
func (m *Mutant) concerns(controls []control.ID) bool {
	return slices.ContainsFunc(controls, func(c control.ID) bool { return slices.Contains(m.Controls, c) })
}

// open says what of a run without findings could not be decided about a mutant's controls.
func open(r *finding.Report, m Mutant) []string {
	var out []string
	for _, o := range r.Outcomes {
		if o.Verdict == finding.Inconclusive && m.concerns(r.Rule(o.Rule).Controls) {
			out = append(out, strings.TrimSpace(o.Rule+" "+o.Operation)+": "+o.Reason)
		}
	}
	return out
}

// count sorts the mutants, survivors first, and counts them by control.
func (r *Result) count() {
	rank := map[Verdict]int{Survived: 0, Unbound: 1, Killed: 2}
	slices.SortStableFunc(r.Mutants, func(a, b Judged) int {
		known := func(j Judged) int {
			if j.Known {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(rank[a.Verdict], rank[b.Verdict]), cmp.Compare(known(a), known(b)), cmp.Compare(a.ID, b.ID))
	})
	at := map[control.ID]*Tally{}
	for _, j := range r.Mutants {
		if j.Verdict == Unbound {
			continue
		}
		r.Total++
		if j.Verdict == Killed {
			r.Killed++
		}
		for _, c := range j.Controls {
			if at[c] == nil {
				at[c] = &Tally{Control: c}
			}
			at[c].Total++
			if j.Verdict == Killed {
				at[c].Killed++
			}
		}
	}
	for _, t := range at {
		r.Controls = append(r.Controls, *t)
	}
	slices.SortFunc(r.Controls, func(a, b Tally) int { return cmp.Compare(a.Control, b.Control) })
}
