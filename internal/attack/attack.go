package attack

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
)

// Attack is one way to break a promise. Exactly one of each and once is set, or detect alone.
type Attack struct {
	finding.Rule

	each func(*trial) result // tried on every operation
	once func(*trial) result // tried on the target as a whole

	// detect looks at every answer of the run: whether it says anything about the rule, and what is wrong with it.
	detect func(*run, *answer) (applies bool, faults []string)
	// merge makes one finding of what all operations have in common.
	merge bool
	// unreached: it needs no valid call.
	unreached bool
	// exhausts: the target may let nobody in after it.
	exhausts bool
}

// result is what a trial came to. The zero value claims nothing.
type result struct {
	verdict finding.Verdict
	reason  string
	vacuous bool
	message string
	proof   []finding.Exchange
	op      *operation // where a trial of the whole target found it
}

func passed() result { return result{verdict: finding.Passed} }

func passedBecause(format string, args ...any) result {
	return result{verdict: finding.Passed, reason: fmt.Sprintf(format, args...)}
}

// skipped is where there is nothing that the attack could be about.
func skipped(format string, args ...any) result {
	return result{verdict: finding.Skipped, reason: fmt.Sprintf(format, args...), vacuous: true}
}

// withheld is where there may be something, and it was not tried: something was not given, or it would do harm.
func withheld(format string, args ...any) result {
	return result{verdict: finding.Skipped, reason: fmt.Sprintf(format, args...)}
}

func undecided(format string, args ...any) result {
	return result{verdict: finding.Inconclusive, reason: fmt.Sprintf(format, args...)}
}

func found(message string, proof ...finding.Exchange) result {
	return result{verdict: finding.Failed, message: message, proof: proof}
}

func (r result) at(op *operation) result {
	r.op = op
	return r
}

// trial is one attack on one operation, or on the whole target where op is nil.
type trial struct {
	*run
	attack *Attack
	op     *operation
	again  bool   // it is the second time, to be sure
	doubt  string // why silence would prove nothing
}

// send makes a call whose answer matters: without one, nothing has passed.
func (t *trial) send(c *call) *answer {
	a := t.run.send(c)
	if a.err != nil && t.doubt == "" {
		t.doubt = a.err.Error()
	}
	return a
}

// detected is the result of an attack that only watches.
func (t *trial) detected() result {
	seen := t.op.seen[t.attack.ID]
	switch {
	case seen == nil:
		return withheld("no answer of this operation says anything about it")
	case seen.sample == nil:
		return passed()
	}
	faults := seen.faults
	a := seen.sample
	if t.again {
		c := seen.sample.call
		if taken, gone := t.op.creates(), c.object != nil && c.object.gone; a.ok() && (taken || gone) {
			if fresh := t.fresh(t.op); fresh != nil {
				c = fresh.by(c.as) // the same name may be taken by now, the same object removed
			}
		}
		a = t.send(c)
		_, now := t.attack.detect(t.run, a)
		if len(now) == 0 {
			return passed()
		}
		faults = seen.faults
	}
	slices.Sort(faults)
	return found(strings.Join(faults, ", "), t.proof("the answer that shows it", a))
}

// observations are what answers of an operation showed, by attack.
type observations map[string]*observation

type observation struct {
	faults []string
	sample *answer
}

const maxFaults = 20

// observe lets every attack that watches see an answer.
func (r *run) observe(a *answer) {
	op := a.call.op
	if op == nil || a.err != nil || a.call.base != "" {
		return
	}
	r.collectTokens(a)
	for _, at := range r.attacks {
		if at.detect == nil {
			continue
		}
		applies, faults := at.detect(r, a)
		if !applies {
			continue
		}
		if op.seen == nil {
			op.seen = observations{}
		}
		o := op.seen[at.ID]
		if o == nil {
			o = new(observation)
			op.seen[at.ID] = o
		}
		for _, f := range faults {
			if !slices.Contains(o.faults, f) && len(o.faults) < maxFaults {
				o.faults = append(o.faults, f)
			}
		}
		if len(faults) > 0 && (o.sample == nil || !safeMethod(o.sample.call) && safeMethod(a.call)) {
			o.sample = a // one that may be asked for again
		}
	}
}

func safeMethod(c *call) bool { return c.method == "GET" || c.method == "HEAD" }
