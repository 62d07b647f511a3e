package attack

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/spec"
)

// Options are what a run is made with.
type Options struct {
	Target  string // URL; the document's paths are put behind it
	Promise *Promise
	People  *People // nil: nobody

	Only, Skip  []string // ids of attacks
	Budget      time.Duration
	Rate        float64 // requests a second; 0: as fast as answers come
	Seed        int64
	Allow       []string // hosts, beside loopback, that may be attacked
	Destructive bool     // may change what it did not make
	Direct      string   // URL of the API behind the gate, which should answer nobody else
	Version     string
	Patience    time.Duration  // for one answer; 0: ten seconds
	Roots       *x509.CertPool // that sign the target's certificate; nil: the system's

	Progress func(done, total int, what string)
	Waiting  func(time.Duration) // a rate limit of the target is waited for

	pause func(time.Duration) // instead of waiting, where a test holds the target's clock
}

// run is one run.
type run struct {
	Options
	ctx      context.Context
	deadline time.Time
	client   *http.Client
	target   string
	doc      *spec.Document
	policy   *Policy
	gen      *generator
	people   []*person
	ops      []*operation
	attacks  []*Attack
	report   *finding.Report
	patience time.Duration

	told     Limit // what the target says a caller may ask for
	requests int
	silence  int // calls in a row without an answer
	interval time.Duration
	next     time.Time

	pool         map[string][]any // ids by collection
	made         []*object
	nowhere      *answer // what a path that cannot exist answers
	judge        *operation
	judged       bool
	tokens       []seenToken
	forgeries    forgeries
	keysTried    int
	originsTried int
	bodyPadded   bool
	limited      *person // on whom a limit was tried last
	limitedOp    *operation
}

// ErrOptions is a run that cannot be made as it is asked for.
var ErrOptions = errors.New("the run cannot be made")

// Run attacks. Its error is one of the options; what goes wrong on the way is in the report. The report is whole even when
// the context ends early.
func Run(ctx context.Context, o Options) (*finding.Report, error) {
	base, err := checkTarget(o.Target, o.Allow)
	if err != nil {
		return nil, err
	}
	if o.Direct != "" {
		if o.Direct, err = checkTarget(o.Direct, o.Allow); err != nil {
			return nil, err
		}
	}
	attacks, err := selectAttacks(o.Only, o.Skip)
	if err != nil {
		return nil, err
	}
	if o.Budget <= 0 {
		o.Budget = 10 * time.Minute
	}
	r := &run{Options: o, target: base, doc: o.Promise.Document, policy: o.Promise.Policy, attacks: attacks, deadline: time.Now().Add(o.Budget), patience: o.Patience,
		pool: map[string][]any{}}
	if r.patience <= 0 {
		r.patience = patience
	}
	if o.Rate > 0 {
		r.interval = time.Duration(float64(time.Second) / o.Rate)
	}
	budget, cancel := context.WithDeadline(ctx, r.deadline)
	defer cancel()
	r.ctx = budget
	transport := newTransport(o.Roots)
	defer transport.CloseIdleConnections()
	r.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r.gen = &generator{schemas{r.doc}, rand.New(rand.NewPCG(uint64(o.Seed), 0x9e3779b97f4a7c15))}
	if o.People != nil {
		for _, id := range o.People.Identities {
			r.people = append(r.people, &person{Identity: id})
		}
	}
	r.report = &finding.Report{Schema: finding.Schema, Kind: "attack", Version: o.Version, Target: base, Started: time.Now().UTC(), Seed: o.Seed, Inputs: o.Promise.Inputs,
		Findings: []finding.Finding{}, Outcomes: []finding.Outcome{}}
	for i := range Attacks {
		r.report.Rules = append(r.report.Rules, Attacks[i].Rule)
	}
	r.operations()
	r.discover()
	r.all()
	r.tidy()
	r.finish(ctx)
	return r.report, nil
}

// checkTarget returns a target without a trailing slash. Off loopback its host must be named once more.
func checkTarget(target string, allow []string) (string, error) {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("%w: %q is no URL of an API, like https://api.example.com/v1", ErrOptions, target)
	}
	host := u.Hostname()
	ip, err := netip.ParseAddr(host)
	loopback := err == nil && ip.IsLoopback() || host == "localhost"
	named := slices.ContainsFunc(allow, func(a string) bool { return strings.EqualFold(a, host) || strings.EqualFold(a, u.Host) })
	if !loopback && !named {
		return "", fmt.Errorf("%w: %s is not this machine; attack only what you may, and say so with --allow %s", ErrOptions, host, host)
	}
	if _, port, err := net.SplitHostPort(u.Host); err == nil && port == "" {
		return "", fmt.Errorf("%w: %q has an empty port", ErrOptions, target)
	}
	return strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/"), nil
}

// selectAttacks returns the attacks that are asked for, in their order.
func selectAttacks(only, skip []string) ([]*Attack, error) {
	for _, id := range slices.Concat(only, skip) {
		if !slices.ContainsFunc(Attacks, func(a Attack) bool { return a.ID == id }) {
			ids := make([]string, len(Attacks))
			for i, a := range Attacks {
				ids[i] = a.ID
			}
			return nil, fmt.Errorf("%w: there is no attack %q; there are %s", ErrOptions, id, strings.Join(ids, ", "))
		}
	}
	var out []*Attack
	for i := range Attacks {
		a := &Attacks[i]
		if (len(only) == 0 || slices.Contains(only, a.ID)) && !slices.Contains(skip, a.ID) {
			out = append(out, a)
		}
	}
	return out, nil
}

// all tries every attack.
func (r *run) all() {
	total := len(r.attacks) * max(1, len(r.ops))
	cleaned := false
	for i := range Attacks {
		at := &Attacks[i]
		k := slices.Index(r.attacks, at)
		if k < 0 {
			r.outcome(at, nil, withheld("it was not asked for"))
			continue
		}
		if at.exhausts && !cleaned {
			cleaned = true
			r.clean()
		}
		if at.once != nil {
			r.progress(k*max(1, len(r.ops)), total, at.ID)
			r.try(at, nil)
			continue
		}
		var failed []*operation
		var first result
		for j, op := range r.ops {
			r.progress(k*len(r.ops)+j, total, at.ID)
			res := r.attempt(at, op)
			if res.verdict == finding.Failed && at.merge {
				if failed = append(failed, op); len(failed) == 1 {
					first = res
				}
				r.outcome(at, op, res)
				continue
			}
			r.settle(at, op, res)
		}
		if len(failed) > 0 {
			r.merged(at, failed, first)
		}
	}
	r.progress(total, total, "done")

}

func (r *run) progress(done, total int, what string) {
	if r.Progress != nil {
		r.Progress(done, total, what)
	}
}

func (r *run) waited(d time.Duration) {
	if r.Waiting != nil && d > time.Second {
		r.Waiting(d)
	}
}

func (r *run) try(at *Attack, op *operation) { r.settle(at, op, r.attempt(at, op)) }

// attempt tries one attack, and a second time when it succeeds: what does not repeat is no finding.
func (r *run) attempt(at *Attack, op *operation) result {
	switch {
	case r.ctx.Err() != nil:
		return undecided("the run ended before it was tried")
	case op == nil && !slices.ContainsFunc(r.ops, func(o *operation) bool { return o.reached }):
		return undecided("no operation was reached")
	case op != nil && !op.reached && !at.unreached:
		if op.unsafe != "" {
			return withheld("%s", op.unsafe)
		}
		return undecided("not reached: %s", op.trouble)
	case r.silence >= givingUp:
		return undecided("%v", errGone)
	}
	var res result
	for _, again := range []bool{false, true} {
		t := &trial{run: r, attack: at, op: op, again: again}
		switch {
		case at.each != nil:
			res = at.each(t)
		case at.once != nil:
			res = at.once(t)
		default:
			res = t.detected()
		}
		if t.doubt != "" && (res.verdict == finding.Passed || res.verdict == "") {
			res = undecided("%s", t.doubt)
		}
		if res.verdict == "" {
			res = undecided("the attack came to no result")
		}
		if again && res.verdict != finding.Failed {
			return undecided("it was seen once and not a second time")
		}
		if res.verdict != finding.Failed {
			return res
		}
	}
	return res
}

// settle writes down what a trial came to.
func (r *run) settle(at *Attack, op *operation, res result) {
	if res.op != nil {
		op = res.op
	}
	r.outcome(at, op, res)
	if res.verdict != finding.Failed {
		return
	}
	f := finding.Finding{Rule: at.ID, Severity: at.Severity, Message: redactor{r.people}.text(res.message), Proof: res.proof, Fingerprint: finding.Fingerprint(at.ID, nameOf(op))}
	if op != nil {
		f.Operation = op.name
		f.Place = finding.Place{File: op.At.File, Line: op.At.Line, Column: op.At.Column, Pointer: op.Pointer}
	}
	r.report.Findings = append(r.report.Findings, f)
}

func nameOf(op *operation) string {
	if op == nil {
		return ""
	}
	return op.name
}

// merged makes one finding of many operations'.
func (r *run) merged(at *Attack, failed []*operation, first result) {
	names := make([]string, len(failed))
	for i, op := range failed {
		names[i] = op.name
	}
	shown := names[:min(len(names), 4)]
	more := ""
	if len(names) > len(shown) {
		more = fmt.Sprintf(" and %d more", len(names)-len(shown))
	}
	f := finding.Finding{Rule: at.ID, Severity: at.Severity, Message: fmt.Sprintf("%s (%s%s)", first.message, strings.Join(shown, ", "), more), Proof: first.proof,
		Place: finding.Place{File: failed[0].At.File, Line: failed[0].At.Line, Column: failed[0].At.Column, Pointer: failed[0].Pointer}, Fingerprint: finding.Fingerprint(at.ID, "")}
	if len(failed) == 1 {
		f.Operation = failed[0].name
	}
	r.report.Findings = append(r.report.Findings, f)
}

func (r *run) outcome(at *Attack, op *operation, res result) {
	reason := res.reason
	if reason == "" && res.verdict == finding.Failed {
		reason = redactor{r.people}.text(res.message)
	}
	r.report.Outcomes = append(r.report.Outcomes, finding.Outcome{Rule: at.ID, Operation: nameOf(op), Verdict: res.verdict, Reason: reason, Vacuous: res.vacuous})
}

// tidy removes what the run made, as who made it. The budget does not count for it: nothing is to stay behind.
func (r *run) tidy() {
	if r.silence >= givingUp {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r.ctx, r.interval = ctx, 0
	r.clean()
}

// clean removes what the run made. It comes once more before the limits are tried: after that nobody may be let in.
func (r *run) clean() {
	for _, o := range r.made {
		r.remove(o)
	}
}

// remove deletes an object of ours, as who made it if that works.
func (r *run) remove(o *object) {
	if o == nil || o.gone || o.maker == nil {
		return
	}
	op := r.item(http.MethodDelete, o.collection)
	if op == nil {
		return
	}
	for i, p := range append([]*person{o.maker}, r.callers(op)...) { // whom the API takes for its owner is not sure
		if o.gone || i == 4 {
			return
		}
		if p == nil || i > 0 && p == o.maker || r.may(p, op) == no {
			continue
		}
		c := r.bare(op, p)
		for k, v := range o.parents {
			c.params[k] = v
		}
		c.params[paramKey("path", op.itemParam)] = o.id
		c.once = true
		a := r.exchange(c)
		o.gone = a.err == nil && (a.ok() || i == 0 && a.status == http.StatusGone)
	}
}

func (r *run) finish(ctx context.Context) {
	r.report.Ended = time.Now().UTC()
	switch {
	case ctx.Err() != nil:
		r.report.Interrupted = "signal"
	case !time.Now().Before(r.deadline):
		r.report.Interrupted = "budget"
	}
	r.report.Coverage = finding.Coverage{Declared: len(r.ops), Reached: []string{}, NotReached: []string{}}
	for _, op := range r.ops {
		if op.reached {
			r.report.Coverage.Reached = append(r.report.Coverage.Reached, op.name)
		} else {
			r.report.Coverage.NotReached = append(r.report.Coverage.NotReached, op.name)
		}
	}
	r.report.Sort()
}

// Undecided says why a report without findings is no clean one, "" if it is: nothing was reached, the run ended early, or
// of some grave attack nothing at all could be decided.
func Undecided(r *finding.Report) string {
	c := r.Coverage
	switch {
	case len(c.Reached) == 0:
		return fmt.Sprintf("none of %d operations could be reached", c.Declared)
	case r.Interrupted != "":
		return "the run ended early: " + r.Interrupted
	}
	var open []string
	for _, rule := range r.Rules {
		if rule.Severity < finding.High {
			continue
		}
		passes, doubts, reason := 0, 0, ""
		for _, o := range r.Outcomes {
			if o.Rule == rule.ID {
				switch o.Verdict {
				case finding.Passed, finding.Failed:
					passes++
				case finding.Inconclusive:
					if doubts++; reason == "" {
						reason = o.Reason
					}
				}
			}
		}
		if passes == 0 && doubts > 0 {
			open = append(open, rule.ID+" ("+reason+")")
		}
	}
	if len(open) > 0 {
		return "nothing could be decided about " + strings.Join(open, ", ")
	}
	if missed := len(c.NotReached); missed > len(c.Reached) {
		return fmt.Sprintf("%d of %d operations were not reached", missed, c.Declared)
	}
	return ""
}
