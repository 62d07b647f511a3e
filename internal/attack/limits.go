package attack

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/portreeve/portreeve/internal/finding"
)

// burst bounds what is sent to see a limit.
const burst = 320

// exceed sends calls until one is told to come back later, at most n of them.
func (t *trial) exceed(n int, next func() *call) (served int, limited, last *answer) {
	for range n {
		c := next()
		if c == nil {
			break
		}
		c = c.clone()
		c.once = true
		a := t.send(c)
		if a.err != nil {
			return served, nil, last
		}
		if last = a; a.status == http.StatusTooManyRequests {
			return served, a, last
		}
		served++
	}
	return served, nil, last
}

// judgeLimit turns a burst into a result.
func (t *trial) judgeLimit(l Limit, served int, limited, last *answer, what string) result {
	switch {
	case t.doubt != "":
		return undecided("%s", t.doubt)
	case limited == nil && last == nil:
		return undecided("no call could be made")
	case limited == nil:
		return found(fmt.Sprintf("%d calls in a row are served; %s allows %s", served, what, l), t.proof(fmt.Sprintf("the last of %d calls", served), last))
	}
	window := l.Window
	if t.policy != nil {
		window = max(window, t.policy.Principal.Window, t.policy.Failures.Window) // another limit may have been nearer
	}
	if fault := comeBack(limited, window); fault != "" {
		return found(fault, t.proof("when the limit was passed", limited))
	}
	return passed()
}

// comeBack judges what a 429 says of when to come back.
func comeBack(a *answer, window time.Duration) string {
	v := a.header.Get("Retry-After")
	wait, said := retryAfter(a.header, time.Now(), 1)
	_, err := strconv.Atoi(v)
	switch {
	case v == "":
		return "a 429 comes without Retry-After"
	case !said:
		return fmt.Sprintf("a 429 comes with Retry-After %q, which is neither seconds nor a date", v)
	case err == nil && v == "0":
		return "a 429 comes with Retry-After: 0"
	case window > 0 && wait > window+window/10+2*time.Second: // a limiter that counts in buckets may say a little more
		return fmt.Sprintf("a 429 says to come back in %s, while the window is %s", span(wait.Round(time.Second)), span(window))
	}
	return ""
}

var operationLimit = Attack{
	exhausts: true,
	Rule: finding.Rule{ID: "rate-limit", Title: "An operation's own limit does not hold", Severity: finding.Medium, CWE: []int{770, 799},
		OWASP2019: []string{"API4"}, OWASP2023: []string{"API4"}, Controls: ids("limit.endpoint", "limit.retry-after"),
		Why: "A few clients use up what an expensive operation needs, for everybody.",
		Fix: "Count each caller's calls of the operation and answer 429 with Retry-After beyond the limit."},
	each: func(t *trial) result {
		op := t.op
		switch {
		case op.signIn:
			return skipped("it is judged by login-limit")
		case !op.limit.set():
			return skipped("neither document nor configuration limits it by itself")
		case op.limit.Count > burst:
			return withheld("the limit of %s is beyond the %d calls that are made to see one", op.limit, burst)
		case !op.safe() && !op.creates():
			return withheld("each try would change an object")
		}
		who := op.caller
		if list := t.callers(op); len(list) > 0 {
			who = list[0] // whose other limits are farthest
		}
		served, limited, last := t.exceed(op.limit.Count+1, func() *call { return t.freshAs(op, who) })
		t.limited, t.limitedOp = who, op
		return t.judgeLimit(op.limit, served, limited, last, "the document")
	},
}

// passwordGuesses are how many wrong passwords in a row are enough to see that nobody counts them.
const passwordGuesses = 12

var loginLimit = Attack{
	exhausts: true,
	Rule: finding.Rule{ID: "login-limit", Title: "Passwords can be guessed as fast as anybody likes", Severity: finding.High, CWE: []int{307},
		OWASP2019: []string{"API2", "API4"}, OWASP2023: []string{"API2", "API4"}, Controls: ids("authn.bruteforce", "limit.retry-after"),
		Why: "Lists of leaked passwords are tried in minutes.",
		Fix: "Limit failed sign-ins by address and by account, and answer 429 with Retry-After."},
	each: func(t *trial) result {
		op := t.op
		if !op.signIn {
			return skipped("nobody signs in here")
		}
		n, l := passwordGuesses, op.limit
		if l.set() {
			if l.Count > burst {
				return withheld("the limit of %s is beyond the %d calls that are made to see one", l, burst)
			}
			n = l.Count + 1
		}
		// A name that nobody has: an account that is locked for this would be somebody's.
		name := t.gen.canary()
		served, limited, last := t.exceed(n, func() *call { return t.signInCall(op, name) })
		if limited == nil && last != nil && !l.set() && t.doubt == "" {
			return found(fmt.Sprintf("%d wrong passwords in a row are judged without delay", served), t.proof("the last of them", last))
		}
		return t.judgeLimit(l, served, limited, last, "the document")
	},
}

var principalLimit = Attack{
	exhausts: true,
	Rule: finding.Rule{ID: "principal-limit", Title: "A caller's overall limit does not hold", Severity: finding.Medium, CWE: []int{770, 799},
		OWASP2019: []string{"API4"}, OWASP2023: []string{"API4"}, Controls: ids("limit.global", "limit.algorithm"),
		Why: "One caller copies everything, or keeps the API busy for all others.",
		Fix: "Count each caller's calls over a sliding window, and answer 429 with Retry-After beyond the limit."},
	once: func(t *trial) result {
		switch {
		case t.policy == nil:
			return withheld("no configuration limits callers (--config)")
		case !t.policy.Principal.set():
			return skipped("the configuration does not limit callers")
		case t.policy.Principal.Count > burst:
			return withheld("the limit of %s is beyond the %d calls that are made to see one", t.policy.Principal, burst)
		}
		op, who := t.cheap()
		if op == nil {
			return undecided("no operation that only reads was reached as an identity")
		}
		served, limited, last := t.exceed(t.policy.Principal.Count+1, func() *call { return t.freshAs(op, who) })
		t.limited, t.limitedOp = who, op
		return t.judgeLimit(t.policy.Principal, served, limited, last, "the configuration").at(op)
	},
}

// cheap returns an operation to be called often, and who has called most already.
func (t *trial) cheap() (*operation, *person) {
	for _, op := range t.ops {
		if !op.reached || !op.safe() || op.public || op.limit.set() {
			continue
		}
		var who *person
		for _, p := range t.callers(op) {
			if p != nil && t.may(p, op) == yes && (who == nil || p.used > who.used) {
				who = p
			}
		}
		if who != nil {
			return op, who
		}
	}
	return nil, nil
}

var limitEvasion = Attack{
	exhausts: true,
	Rule: finding.Rule{ID: "limit-evasion", Title: "A limit is evaded by a header or another credential", Severity: finding.Medium, CWE: []int{770, 348},
		OWASP2019: []string{"API4"}, OWASP2023: []string{"API4"}, Controls: ids("limit.client-identity"),
		Why: "If what is counted is chosen by the caller, there is no limit.",
		Fix: "Count by the verified caller, however proven, and take the address from the connection or from listed proxies alone."},
	once: func(t *trial) result {
		op, p := t.limitedOp, t.limited
		if op == nil || p == nil {
			return withheld("no limit was tried on an identity")
		}
		c := t.freshAs(op, p)
		if c == nil {
			return undecided("no call can be made")
		}
		c.once = true
		control := t.send(c)
		switch {
		case control.err != nil:
			return undecided("%v", control.err)
		case control.status != http.StatusTooManyRequests && control.ok():
			if !t.unlimited(op) {
				return undecided("the limit has passed already")
			}
			return found("there is nothing to evade: however often and with whatever "+p.Name+" calls, the calls are served", t.proof("one call more", control)).at(op)
		case control.status != http.StatusTooManyRequests:
			return undecided("one call more is answered %d", control.status)
		}
		tries := []struct {
			what string
			call *call
		}{
			{"X-Forwarded-For", elsewhere(c)},
		}
		if p.APIKey != "" && op.key && op.token {
			tries = append(tries, struct {
				what string
				call *call
			}{"the API key instead of the token", c.by(credential{who: p, kind: keyOnly})})
		}
		for _, try := range tries {
			a := t.send(try.call)
			if a.ok() {
				again := t.send(c)
				if again.status == http.StatusTooManyRequests {
					return found("the limit is evaded by "+try.what, t.proof("refused", control), t.proof("with "+try.what, a), t.proof("and refused again without", again)).at(op)
				}
			}
		}
		return passed().at(op)
	},
}

// elsewhere says in every header that may be believed that a call comes from another address.
func elsewhere(c *call) *call {
	const address = "203.0.113.77"
	return c.set("X-Forwarded-For", address).set("X-Real-IP", address).set("Forwarded", "for="+address).set("True-Client-IP", address)
}

// unlimited reports whether a limit of the operation was found not to hold.
func (t *trial) unlimited(op *operation) bool {
	for _, f := range t.report.Findings {
		if (f.Rule == operationLimit.ID || f.Rule == principalLimit.ID) && f.Operation == op.name {
			return true
		}
	}
	return false
}

var credentialGuessing = Attack{
	exhausts: true,
	Rule: finding.Rule{ID: "credential-guessing", Title: "Keys and tokens can be guessed as fast as anybody likes", Severity: finding.Medium, CWE: []int{307},
		OWASP2019: []string{"API2"}, OWASP2023: []string{"API2"}, Controls: ids("authn.bruteforce", "limit.retry-after"),
		Why: "Leaked lists of keys are tried until one fits.",
		Fix: "Count wrong credentials by address, and answer 429 with Retry-After beyond a few in a minute."},
	once: func(t *trial) result {
		switch {
		case t.policy == nil || !t.policy.Failures.set():
			return withheld("no configuration limits wrong credentials (--config)")
		case t.policy.Failures.Count > burst:
			return withheld("the limit of %s is beyond the %d calls that are made to see one", t.policy.Failures, burst)
		}
		for _, op := range t.ops {
			if !op.reached || !op.safe() || op.public || op.optional {
				continue
			}
			guess := func() *call { return t.fresh(op).by(t.garbageFor(op)) }
			served, limited, last := t.exceed(t.policy.Failures.Count+1, guess)
			if limited != nil {
				c := elsewhere(guess())
				c.once = true
				if a := t.send(c); a.status == http.StatusUnauthorized {
					return found("who says in a header to call from elsewhere may guess on", t.proof("refused", limited), t.proof("with another address in a header", a)).at(op)
				}
			}
			return t.judgeLimit(t.policy.Failures, served, limited, last, "the configuration").at(op)
		}
		return undecided("no operation that only reads was reached")
	},
}
