package evidence

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/control/catalogue"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/plan"
)

// tests is what the stored reports say together.
type tests struct {
	now     time.Time
	age     time.Duration
	used    []Used
	reached map[string]bool
	latest  map[string]map[string]attempt // by test ("attack/bola-read") and operation
	attacks int
	ended   time.Time // of the last accepted attack
}

// attempt is the outcome of one test on one operation in the report that counts.
type attempt struct {
	finding.Outcome
	when        time.Time
	result      string
	interrupted bool
	advice      bool // a check that failed with findings of low severity alone
}

// newTests takes up the reports that are about this plan. The newest decided outcome of a test on an operation counts: a
// fault that was mended and tested again is mended.
func newTests(in *Inputs, age time.Duration) *tests {
	t := &tests{now: in.Now, age: age, used: []Used{}, reached: map[string]bool{}, latest: map[string]map[string]attempt{}}
	order := slices.Clone(in.Results)
	slices.SortStableFunc(order, func(a, b Result) int {
		if a.Report == nil || b.Report == nil {
			return 0
		}
		return a.Report.Ended.Compare(b.Report.Ended)
	})
	for _, r := range order {
		u := Used{Name: r.Name, SHA256: r.SHA256, Reason: r.Fault}
		if r.Report != nil {
			u.Kind, u.Target, u.Ended, u.Coverage, u.Tally = r.Report.Kind, r.Report.Target, r.Report.Ended, r.Report.Coverage, map[string]int{}
			for _, o := range r.Report.Outcomes {
				u.Tally[string(o.Verdict)]++
			}
			if u.Reason = foreign(in, r.Report); u.Reason == "" {
				u.Accepted = true
				if r.Report.Interrupted != "" {
					u.Reason = "it ended early: " + r.Report.Interrupted
				}
				t.take(r)
			}
		}
		t.used = append(t.used, u)
	}
	return t
}

// foreign says why a report is not about this plan; "" when it is. Whatever is not named in it is not assumed.
func foreign(in *Inputs, r *finding.Report) string {
	switch {
	case r.Schema != finding.Schema:
		return fmt.Sprintf("its schema %q is not read", r.Schema)
	case r.Kind != "attack" && r.Kind != "check":
		return fmt.Sprintf("it is a report of %q", r.Kind)
	case r.Ended.IsZero() || r.Ended.Before(r.Started):
		return "it does not say when it was made"
	case r.Ended.After(in.Now.Add(time.Minute)):
		return "it is from the future"
	}
	for _, want := range inputsOf(in)[:1+len(in.Files)] { // document and configuration; a plan's hash holds paths too
		i := slices.IndexFunc(r.Inputs, func(x finding.Input) bool { return x.What == want.What })
		switch {
		case i < 0:
			return fmt.Sprintf("it does not name the %s it was made with", want.What)
		case r.Inputs[i].SHA256 != want.SHA256:
			return fmt.Sprintf("it was made with another %s, sha256 %.16s…", want.What, r.Inputs[i].SHA256)
		}
	}
	if r.Kind == "attack" && len(r.Coverage.Reached) == 0 {
		return "it reached no operation of the document"
	}
	if r.Kind == "attack" && !slices.Contains(addresses(in.Plan), origin(r.Target)) {
		return fmt.Sprintf("its target %s is not this gate, which is at %s", r.Target, strings.Join(addresses(in.Plan), " or "))
	}
	return ""
}

// addresses are the origins at which clients meet the gate.
func addresses(p *plan.Plan) []string {
	scheme := "http"
	if p.Server.TLS.On() {
		scheme = "https"
	}
	all := []string{origin(p.PublicURL), origin(scheme + "://" + p.Server.Listen)}
	for _, h := range p.Edge.Hosts {
		all = append(all, origin(scheme+"://"+h))
	}
	all = slices.DeleteFunc(all, func(s string) bool { return s == "" })
	slices.Sort(all)
	return slices.Compact(all)
}

// origin is scheme, host and port of a URL in one form (RFC 6454 §6.2, ports always written); "" where it is none.
func origin(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	host := strings.ToLower(u.Hostname())
	if host == "" {
		return ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return u.Scheme + "://" + host + ":" + port
}

func (t *tests) take(r Result) {
	if r.Report.Kind == "attack" {
		t.attacks++
		t.ended = r.Report.Ended
		for _, name := range r.Report.Coverage.Reached {
			t.reached[name] = true
		}
	}
	for _, o := range r.Report.Outcomes {
		by := r.Report.Kind + "/" + o.Rule
		if t.latest[by] == nil {
			t.latest[by] = map[string]attempt{}
		}
		old, there := t.latest[by][o.Operation]
		if there && decided(old.Verdict) && !decided(o.Verdict) {
			continue
		}
		t.latest[by][o.Operation] = attempt{o, r.Report.Ended, r.Name, r.Report.Interrupted != "", advice(r.Report, o)}
	}
}

// advice reports whether a check failed for nothing worse than what its own rule calls low: the promise is then weaker than
// it could be, not broken. What an attack found is never advice.
func advice(r *finding.Report, o finding.Outcome) bool {
	if r.Kind != "check" || o.Verdict != finding.Failed {
		return false
	}
	found := false
	for _, f := range r.Findings {
		if f.Rule == o.Rule {
			found = true
			if f.Severity != finding.Low {
				return false
			}
		}
	}
	return found
}

func decided(v finding.Verdict) bool { return v == finding.Passed || v == finding.Failed }

// tested says what the tests that the catalogue names for a control came to. Every one of them is expected.
func (t *tests) tested(x *catalogue.Control) Facet {
	f := Facet{Method: "examine"}
	for _, by := range x.TestedBy.By {
		f.Tests = append(f.Tests, t.of(by))
		if strings.HasPrefix(by, "attack/") || strings.HasPrefix(by, "drill/") {
			f.Method = "test"
		}
	}
	f.settle()
	return f
}

// settle makes a facet of its tests.
func (f *Facet) settle() {
	var values []control.Value
	by := map[control.Value][]string{}
	for _, t := range f.Tests {
		values = append(values, t.Value)
		by[t.Value] = append(by[t.Value], t.By)
	}
	f.Value = control.Combine(values...)
	var parts []string
	for _, v := range []control.Value{control.No, control.Error, control.NotRun, control.Partly, control.Stale} {
		if list := by[v]; len(list) > 0 {
			parts = append(parts, fmt.Sprintf("%s: %s", v, strings.Join(list, ", ")))
		}
	}
	switch {
	case len(f.Tests) == 0:
		f.Reason = "no test is known for it"
	case f.Value == control.Irrelevant:
		f.Reason = "there is nothing here that its tests could be about"
	default:
		f.Reason = strings.Join(append([]string{fmt.Sprintf("%d of %d tests hold", len(by[control.Yes]), len(f.Tests))}, parts...), "; ")
	}
}

// Computed are the tests that evidence makes of itself, with the controls they are about.
var Computed = []struct {
	By       string
	Controls []control.ID
}{
	{attackReport, []control.ID{"assure.dynamic-scan"}},
	{noGap, []control.ID{"gov.critical-controls"}},
}

const (
	attackReport = "prove/attack-report"
	noGap        = "prove/states"
)

// of is what one test came to.
func (t *tests) of(by string) Test {
	kind, _, _ := strings.Cut(by, "/")
	switch {
	case by == attackReport:
		return t.attackReport()
	case by == noGap:
		return Test{By: by, Value: control.NotRun} // settled when all others are
	case kind != "attack" && kind != "check":
		return Test{By: by, Value: control.NotRun, Reason: "no result of it can be given yet"}
	}
	out := Test{By: by, Value: control.NotRun, Reason: "no accepted report holds it: portreeve " + kind}
	vacuous, cut, grave, reason := true, false, false, ""
	for _, a := range t.latest[by] {
		switch a.Verdict {
		case finding.Passed:
			out.Passed++
		case finding.Failed:
			out.Failed++
			grave = grave || !a.advice
		case finding.Skipped:
			out.Skipped++
			if vacuous && !a.Vacuous { // what could not be tried tells more than what there was nothing to try on
				vacuous, reason = false, ""
			}
			if a.Vacuous == vacuous {
				reason = max(reason, a.Reason) // any one, but always the same
			}
			continue
		default:
			out.Undecided++
		}
		cut = cut || a.interrupted
		if out.When.IsZero() || a.when.Before(out.When) {
			out.When = a.when // the oldest that counts
		}
		if !slices.Contains(out.Results, a.result) {
			out.Results = append(out.Results, a.result)
		}
	}
	slices.Sort(out.Results)
	where := fmt.Sprintf("%d of %d times", out.Passed, out.Passed+out.Failed+out.Undecided)
	if out.Passed == 1 && out.Failed+out.Undecided == 0 {
		where = "once"
	}
	switch {
	case out.Failed > 0 && !grave:
		out.Value, out.Reason = control.Partly, "it failed with findings of low severity alone"
	case out.Failed > 0:
		out.Value, out.Reason = control.No, fmt.Sprintf("it failed %s", times(out.Failed))
	case out.Passed == 0 && out.Undecided > 0:
		out.Value, out.Reason = control.Error, fmt.Sprintf("it could not be decided, %s", times(out.Undecided))
	case out.Passed == 0 && out.Skipped > 0 && vacuous:
		out.Value, out.Reason = control.Irrelevant, "skipped: "+reason
	case out.Passed == 0 && out.Skipped > 0:
		out.Reason = "skipped: " + reason
	case out.Passed == 0:
	case t.now.Sub(out.When) > t.age:
		out.Value, out.Reason = control.Stale, fmt.Sprintf("it passed, but %s ago", t.now.Sub(out.When).Round(time.Hour))
	case out.Undecided > 0:
		out.Value, out.Reason = control.Partly, fmt.Sprintf("it passed %s; the others could not be decided", where)
	case cut:
		out.Value, out.Reason = control.Partly, fmt.Sprintf("it passed %s, and the run ended early", where)
	default:
		out.Value, out.Reason = control.Yes, fmt.Sprintf("it passed %s", where)
	}
	return out
}

// attackReport is whether an attack on this very plan was made, and lately.
func (t *tests) attackReport() Test {
	out := Test{By: attackReport, Value: control.NotRun, Reason: "no accepted report of an attack: portreeve attack --report json=FILE"}
	switch {
	case t.attacks == 0:
	case t.now.Sub(t.ended) > t.age:
		out.Value, out.When, out.Reason = control.Stale, t.ended, fmt.Sprintf("the last attack was %s ago", t.now.Sub(t.ended).Round(time.Hour))
	default:
		out.Value, out.When, out.Reason = control.Yes, t.ended, fmt.Sprintf("%d attacks on this plan, %d operations reached", t.attacks, len(t.reached))
	}
	return out
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
