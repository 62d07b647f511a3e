package evidence

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/control/catalogue"
	"github.com/portreeve/portreeve/internal/ledger"
)

// query counts what the catalogue's words ask for, as far as events tell it. Both texts say exactly what is counted.
type query struct {
	text, against string
	population    func(*view, *Row) bool
	exception     func(*view, *Row) bool
	plan          func(*view) (n, exceptions int) // instead of the two: counted in the plan
}

// queries are those of a control, in the order of the catalogue's populations. A nil one is not counted yet.
var queries = map[control.ID][]*query{
	"design.declared-first": {{"exchanges", "an allowed one that no operation of the document fits", exchange, func(_ *view, r *Row) bool { return allowed(r) && r.Operation == unmatched }, nil}},
	"authn.stateless": {{"exchanges of somebody known", "one without the id or the issuer of a credential", func(_ *view, r *Row) bool { return ended(r) && r.Identified },
		func(_ *view, r *Row) bool { return !r.Credential }, nil}},
	"authn.required": {
		{"exchanges with operations that the plan protects", "an allowed one of nobody known", closed, func(_ *view, r *Row) bool { return allowed(r) && !r.Identified }, nil},
		{"operations that the plan leaves open to anybody", "one without a reason and an approver in the document", nil, nil, func(v *view) (n, exceptions int) {
			for _, op := range v.ops {
				if !protected(op) {
					n++
					if !v.approved[op] {
						exceptions++
					}
				}
			}
			return n, exceptions
		}},
	},
	"authn.api-key-lifecycle": {nil, {"acts on keys", "one without who did it", func(_ *view, r *Row) bool { return strings.HasPrefix(r.Verb, "key.") }, func(_ *view, r *Row) bool { return !r.Actor }, nil}},
	"authn.oauth-oidc": {{"exchanges of somebody known by a token of an issuer", "an allowed one whose issuer the plan does not name",
		func(_ *view, r *Row) bool { return ended(r) && r.Identified && r.Issuer != "" }, func(v *view, r *Row) bool { return allowed(r) && !v.issuer(r.Issuer) }, nil}},
	"authz.per-operation": {{"exchanges of somebody known with operations that the plan protects", "one without a decision",
		func(v *view, r *Row) bool { return closed(v, r) && r.Identified }, func(_ *view, r *Row) bool { return r.Decision == "" }, nil}},
	"authz.deny-default": {{"exchanges that no operation of the document fits", "an allowed one", lone, func(_ *view, r *Row) bool { return allowed(r) }, nil}},
	"authz.rbac": {{"allowed exchanges with operations that ask for a permission", "one of nobody whose role the plan knows", func(v *view, r *Row) bool { return allowed(r) && v.permission(r) != "" },
		func(v *view, r *Row) bool { return !slices.ContainsFunc(r.Roles, v.role) }, nil}},
	"authz.object": {{"allowed exchanges with operations whose object the plan knows", "one without a decided object", func(v *view, r *Row) bool {
		return allowed(r) && v.byID[r.Operation] != nil && v.byID[r.Operation].Object != nil
	},
		func(_ *view, r *Row) bool { return !r.Object }, nil}, nil},
	"authz.function": {{"allowed exchanges with operations that change something and ask for a permission", "one of nobody whose role has the permission",
		func(v *view, r *Row) bool {
			return allowed(r) && v.byID[r.Operation] != nil && privileged(v.byID[r.Operation])
		},
		func(v *view, r *Row) bool { return !v.granted(r.Roles, v.permission(r)) }, nil}},
	"expose.minimal-fields":    {{"allowed exchanges", "one in which disclosure only watched and would have withheld something", answered, watched("disclose"), nil}},
	"expose.field-permissions": {{"allowed exchanges", "one in which disclosure only watched and would have withheld something", answered, watched("disclose"), nil}},
	"expose.masking":           {{"allowed exchanges", "one in which disclosure only watched and would have masked something", answered, watched("disclose"), nil}},
	"expose.debug-off":         {{"exchanges answered with 500 and above", "one whose answer came from the API", failing, func(_ *view, r *Row) bool { return allowed(r) }, nil}},
	"validate.request":         {{"exchanges with operations of the document", "an allowed one in which validation only watched and would have refused", known, watched("validate"), nil}},
	"validate.write-properties": {{"exchanges with POST, PUT and PATCH", "an allowed one in which validation only watched and would have refused",
		func(v *view, r *Row) bool {
			return known(v, r) && slices.Contains([]string{"POST", "PUT", "PATCH"}, r.Method)
		}, watched("validate"), nil}},
	"validate.response": {{"allowed exchanges", "one whose answer was only watched and would have been refused", answered, watched("disclose", "upstream"), nil}},
	"limit.size":        {{"exchanges refused for a size", "one that was allowed", func(_ *view, r *Row) bool { return ended(r) && strings.Contains(r.Reason, "too_large") }, func(_ *view, r *Row) bool { return allowed(r) }, nil}},
	"log.auth-attempts": {{"exchanges of somebody known, and credentials refused", "an event that the ledger says it lost", func(_ *view, r *Row) bool {
		return ended(r) && (r.Identified || r.Stage == "authn") || r.Lost > 0
	}, lost, nil}},
	"log.authz-decisions": {{"exchanges with operations that the plan protects", "one without a decision, or an event that the ledger says it lost", func(v *view, r *Row) bool { return closed(v, r) || r.Lost > 0 },
		func(_ *view, r *Row) bool { return r.Lost > 0 || r.Decision == "" }, nil}},
	"log.sensitive-access": {{"exchanges that must be recorded first", "an allowed one whose intent is not there", func(_ *view, r *Row) bool { return ended(r) && r.Record == "sync" },
		func(_ *view, r *Row) bool { return allowed(r) && !r.Intended }, nil}},
	"log.security-events": {{"refusals, those only counted too", "an event that the ledger says it lost", func(_ *view, r *Row) bool { return ended(r) && r.Decision == "deny" || r.Lost > 0 }, lost, nil}},
	"log.record-fields":   {{"events", "one that lacks a field every event has", func(*view, *Row) bool { return true }, func(_ *view, r *Row) bool { return r.Incomplete }, nil}},
	"log.no-secrets":      {{"events", "one with what looks like a token, a key or a private key", func(*view, *Row) bool { return true }, func(_ *view, r *Row) bool { return r.Secret }, nil}},
	"log.integrity":       {{"events", "a line that does not follow the one before it", func(*view, *Row) bool { return true }, func(*view, *Row) bool { return false }, nil}},
	"log.transactions": {{"exchanges recorded before the API was called", "one without an outcome, or with two", func(_ *view, r *Row) bool {
		return r.Class == apiActivity && (r.Phase == string(ledger.Intent) || r.Twice)
	}, func(_ *view, r *Row) bool { return r.Open || r.Twice }, nil}},
	"error.no-leak":        {{"exchanges answered with 400 and above", "one with 500 and above whose answer came from the API", func(_ *view, r *Row) bool { return ended(r) && r.Status >= 400 }, func(v *view, r *Row) bool { return failing(v, r) && allowed(r) }, nil}},
	"inventory.documented": {{"exchanges that no operation of the document fits", "an allowed one", lone, func(_ *view, r *Row) bool { return allowed(r) }, nil}},
	"help.auth-trace": {{"refusals, those only counted left out", "one without the id of its exchange", func(_ *view, r *Row) bool {
		return ended(r) && r.Decision == "deny" && r.Phase != string(ledger.Summary)
	}, func(_ *view, r *Row) bool { return !r.Traced }, nil}},
}

const (
	apiActivity = "API Activity"
	unmatched   = "unmatched"
)

// ended is an exchange that is over; those only counted are too.
func ended(r *Row) bool { return r.Class == apiActivity && r.Phase != string(ledger.Intent) }

func allowed(r *Row) bool { return ended(r) && (r.Decision == "permit" || r.Decision == "observe") }

func exchange(_ *view, r *Row) bool { return ended(r) }
func answered(_ *view, r *Row) bool { return allowed(r) }
func failing(_ *view, r *Row) bool  { return ended(r) && r.Status >= 500 }
func lone(_ *view, r *Row) bool     { return ended(r) && r.Operation == unmatched }
func lost(_ *view, r *Row) bool     { return r.Lost > 0 }

// known is an exchange with an operation of the document, of this plan or of another.
func known(v *view, r *Row) bool { return ended(r) && r.Operation != unmatched && !v.own(r.Operation) }

// closed is an exchange with an operation that is protected. One that the plan does not know any more counts as protected.
func closed(v *view, r *Row) bool {
	if !known(v, r) {
		return false
	}
	op := v.byID[r.Operation]
	return op == nil || protected(op)
}

func watched(stages ...string) func(*view, *Row) bool {
	return func(_ *view, r *Row) bool {
		return slices.ContainsFunc(r.Observed, func(s string) bool { return slices.Contains(stages, s) })
	}
}

func (v *view) own(id string) bool {
	for _, op := range v.plan.Operations {
		if op.Own != "" && op.ID == id {
			return true
		}
	}
	return false
}

func (v *view) issuer(url string) bool {
	if e := v.plan.Identity.Embedded; e != nil && e.Issuer == url {
		return true
	}
	for _, s := range v.plan.Identity.Schemes {
		if s.Keys && (url == "keys" || url == "embedded") {
			return true
		}
	}
	for _, i := range v.plan.Identity.Issuers {
		if i.URL == url || i.ID == url {
			return true
		}
	}
	return url == "embedded" && v.plan.Identity.Embedded != nil
}

func (v *view) permission(r *Row) string {
	if op := v.byID[r.Operation]; op != nil {
		return op.Authz.Permission
	}
	return ""
}

func (v *view) role(name string) bool {
	for _, r := range v.plan.Roles {
		if r.Name == name {
			return true
		}
	}
	return false
}

// granted reports whether one of the roles has the permission: a `*` is one segment, a lone one everything but the gate's
// own.
func (v *view) granted(roles []string, permission string) bool {
	for _, r := range v.plan.Roles {
		if !slices.Contains(roles, r.Name) {
			continue
		}
		for _, p := range r.Permissions {
			if p == "*" && permission != "portreeve" && !strings.HasPrefix(permission, "portreeve:") {
				return true
			}
			want, have := strings.Split(p, ":"), strings.Split(permission, ":")
			if len(want) == len(have) && !slices.ContainsFunc(want, func(s string) bool { return s == "" }) && fits(want, have) {
				return true
			}
		}
	}
	return false
}

func fits(pattern, segments []string) bool {
	for i, s := range pattern {
		if s != "*" && s != segments[i] || segments[i] == "" {
			return false
		}
	}
	return true
}

// log is what the ledger says of the period.
type log struct {
	view      *view
	rows      []Row
	integrity Integrity
}

// selfSigned is what stands where nobody else vouches for the ledger.
const selfSigned = "self-signed only: no checkpoint kept elsewhere was held against it, so that its owner could have rewritten all of it unseen"

func newLog(in *Inputs, v *view) *log {
	l := &log{view: v, integrity: Integrity{Ledger: notGiven, Plans: []PlanPeriod{}, Shortfalls: []string{},
		Anchors: selfSigned}}
	if in.Log == nil {
		l.integrity.Problem = "no ledger was read"
		return l
	}
	i := &l.integrity
	i.Ledger, i.Problem, i.Lines, i.Head, i.First, i.Last = in.Log.State, in.Log.Problem, in.Log.Lines, in.Log.Head, in.Log.First, in.Log.Last
	if i.Ledger != verified {
		return l
	}
	if i.Signed = in.Log.Signed; i.Signed != nil && len(i.Signed.Anchors) > 0 {
		i.Anchors = fmt.Sprintf("%d checkpoints kept elsewhere hold, up to line %d", len(i.Signed.Anchors), slices.Max(i.Signed.Anchors))
	}
	l.rows = in.Log.Rows
	for k := range l.rows {
		r := &l.rows[k]
		i.Lost += r.Lost * r.N
		if r.Unclean {
			i.Breaks += r.N
		}
		if r.Open {
			i.Unresolved += r.N
		}
		if !ended(r) {
			continue
		}
		i.Requests += r.N
		if r.Decision == "deny" {
			i.Refusals += r.N
		}
		at := slices.IndexFunc(i.Plans, func(p PlanPeriod) bool { return p.Plan == r.Plan })
		if at < 0 {
			at = len(i.Plans)
			i.Plans = append(i.Plans, PlanPeriod{r.Plan, 0, r.Plan == in.Plan.Hash})
		}
		i.Plans[at].Requests += r.N
	}
	i.Span = max(0, earlier(i.Last, in.To).Sub(later(i.First, in.From)))
	short := func(format string, args ...any) { i.Shortfalls = append(i.Shortfalls, fmt.Sprintf(format, args...)) }
	if i.First.After(in.From.Add(slack)) {
		short("the ledger begins at %s, after the period does", i.First.Format("2006-01-02 15:04:05 UTC"))
	}
	if in.To.After(in.Now.Add(slack)) {
		short("the period ends at %s, which is yet to come", in.To.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	if i.Breaks > 0 {
		short("the gate ended %d times without saying so", i.Breaks)
	}
	if i.Lost > 0 {
		short("the ledger lost %d events", i.Lost)
	}
	for _, p := range i.Plans {
		if !p.Current {
			short("%d requests obeyed another plan, sha256 %.16s…", p.Requests, p.Plan)
		}
	}
	return l
}

// operating counts what the catalogue asks for. Without a verified ledger nothing is counted.
func (l *log) operating(x *catalogue.Control) Facet {
	f := Facet{Method: "examine", Value: control.NotRun}
	if len(x.OperatingBy) == 0 {
		f.Reason = "the catalogue counts nothing for it"
		return f
	}
	short := l.shortfall(x.ID)
	for i, p := range x.OperatingBy {
		var q *query
		if list := queries[x.ID]; i < len(list) {
			q = list[i]
		}
		f.Populations = append(f.Populations, l.count(p, q, short))
	}
	values := make([]control.Value, len(f.Populations))
	n, exceptions := 0, 0
	var silent []string
	for i, p := range f.Populations {
		values[i] = p.Value
		n, exceptions = n+p.N, exceptions+p.Exceptions
		if p.Value == control.NotRun {
			silent = append(silent, p.Population)
		}
	}
	f.Value = control.Combine(values...)
	switch {
	case f.Value == control.No:
		f.Reason = fmt.Sprintf("%d exceptions among %d", exceptions, n)
	case len(silent) > 0:
		f.Reason = "not counted: " + strings.Join(silent, "; ")
	case f.Value == control.Error:
		f.Reason = "the ledger does not verify, so that nothing can be counted: " + l.integrity.Problem
	case f.Value == control.Partly:
		f.Reason = fmt.Sprintf("0 exceptions among %d, but: %s", n, short)
	default:
		f.Reason = fmt.Sprintf("0 exceptions among %d", n)
	}
	return f
}

// shortfall says why a count does not speak for the whole period; "" when it does.
func (l *log) shortfall(id control.ID) string {
	short := l.integrity.Shortfalls
	if id == "log.integrity" {
		short = append(slices.Clone(short), "no checkpoint is kept elsewhere")
	}
	return strings.Join(short, "; ")
}

// firsts bounds how many exceptions are named.
const firsts = 20

func (l *log) count(p catalogue.Population, q *query, short string) Population {
	out := Population{Population: p.Population, Exception: p.Exception, Value: control.NotRun}
	if q == nil {
		out.Reason = "events do not tell it yet"
		return out
	}
	out.Query, out.Against = q.text, q.against
	switch {
	case q.plan != nil:
		out.N, out.Exceptions = q.plan(l.view)
	case l.integrity.Ledger == broken:
		out.Value, out.Reason = control.Error, "the ledger does not verify"
		return out
	case l.integrity.Ledger != verified:
		out.Reason = "there is no ledger to count in"
		return out
	default:
		for i := range l.rows {
			r := &l.rows[i]
			if !q.population(l.view, r) {
				continue
			}
			out.N += r.N
			if q.exception(l.view, r) {
				out.Exceptions += r.N
				if len(out.Lines) < firsts {
					out.Lines = append(out.Lines, r.Line)
				}
			}
		}
	}
	out.Value = control.Yes
	switch {
	case out.Exceptions > 0:
		out.Value = control.No
	case q.plan == nil && short != "":
		out.Value, out.Reason = control.Partly, short
	case out.N == 0:
		out.Reason = "0 occurrences; the ledger was kept all the time"
	}
	return out
}

// slack is how much later than a period a ledger may begin.
const slack = time.Second

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
