package evidence_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/control/catalogue"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/evidence"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/plan"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const document = `openapi: 3.1.0
info: {title: Orders, version: "1"}
paths:
  /hello:
    get:
      operationId: hello
      security: []
      x-portreeve: {public: {reason: a greeting, approver: the owner of the API}}
      responses: {"204": {description: Hello.}}
  /orders/{id}:
    get:
      operationId: getOrder
      x-portreeve:
        permission: orders:read
        limit: 5/1m
        object: {type: Order, id: $request.path.id, owner: $response.body#/owner_id}
      parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
      responses:
        "200":
          description: The order.
          content:
            application/json:
              schema:
                type: object
                properties:
                  id: {type: integer, x-portreeve: {class: public}}
                  owner_id: {type: string, x-portreeve: {class: internal}}
  /orders:
    post:
      operationId: addOrder
      x-portreeve: {permission: orders:create, mfa: true}
      requestBody: {required: true, content: {application/json: {schema: {type: object, properties: {what: {type: string, maxLength: 9, x-portreeve: {class: internal}}}}}}}
      responses: {"204": {description: Done.}}
`

const configuration = `version: 1
url: http://127.0.0.1:18080
environment: production
listen: 127.0.0.1:18080
document: openapi.yaml
upstream: {url: "http://127.0.0.1:9"}
default_security: [{bearer: []}, {api_key: []}]
roles: {clerk: ["orders:*"], reader: ["orders:read"]}
`

// promised is a plan with its chains, as they would run.
func promised(t *testing.T, configuration string) *evidence.Inputs {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "portreeve.yaml")
	for name, text := range map[string]string{"openapi.yaml": document, "portreeve.yaml": configuration} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := compile.Load(path, now)
	if err != nil {
		t.Fatal(err)
	}
	g, err := deployment.Preview(p, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	in := &evidence.Inputs{Now: now, Tool: "test", Operator: "uid:1", From: now.Add(-24 * time.Hour), To: now, Plan: p, Catalogue: catalogue.Builtin(),
		Files: []finding.Input{{What: "configuration", Path: path, SHA256: evidence.Sum([]byte(configuration))}}}
	for _, c := range g.Chains() {
		x := evidence.Chain{Operation: c.Op.ID, Method: c.Op.Method, Path: c.Op.Path, Own: c.Op.Own != ""}
		for _, s := range c.Steps {
			x.Steps = append(x.Steps, evidence.Step{Stage: s.Stage, Rule: s.Rule, Source: string(s.Source), Absent: s.Absent, Observe: s.Observe, Controls: s.Controls})
		}
		in.Chains = append(in.Chains, x)
	}
	return in
}

func collect(t *testing.T, in *evidence.Inputs) *evidence.Evidence {
	t.Helper()
	e, err := evidence.Collect(in)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// only is a catalogue of one control, tested by the given tests.
func only(c catalogue.Control) *catalogue.Catalogue {
	all := *catalogue.Builtin()
	all.Controls = []catalogue.Control{c}
	return &all
}

// report is an attack on the plan of in, an hour ago.
func report(in *evidence.Inputs, kind string, outcomes ...finding.Outcome) *finding.Report {
	return &finding.Report{Schema: finding.Schema, Kind: kind, Target: "http://127.0.0.1:18080/", Started: now.Add(-2 * time.Hour), Ended: now.Add(-time.Hour),
		Inputs:   []finding.Input{{What: "document", SHA256: evidence.DocumentSHA256(in.Plan)}, in.Files[0]},
		Outcomes: outcomes, Coverage: finding.Coverage{Declared: 3, Reached: []string{"GET /orders/{id}"}}}
}

func result(t *testing.T, name string, r *finding.Report) evidence.Result {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return evidence.Report(name, b)
}

func outcome(v finding.Verdict) finding.Outcome {
	return finding.Outcome{Rule: "bola-read", Operation: "GET /orders/{id}", Verdict: v, Reason: "because"}
}

func TestTested(t *testing.T) {
	in := promised(t, configuration)
	in.Catalogue = only(catalogue.Control{ID: "authz.object", Severity: finding.Critical, Evidence: []control.Facet{control.Tested}, TestedBy: catalogue.Tests{By: []string{"attack/bola-read"}}})
	changed := func(f func(*finding.Report), v ...finding.Verdict) *finding.Report {
		r := report(in, "attack")
		for _, x := range v {
			r.Outcomes = append(r.Outcomes, outcome(x))
		}
		f(r)
		return r
	}
	plain := func(*finding.Report) {}
	earlier := func(r *finding.Report) { r.Started, r.Ended = now.Add(-4*time.Hour), now.Add(-3*time.Hour) }
	vacuous := outcome(finding.Skipped)
	vacuous.Vacuous = true
	for _, c := range []struct {
		name    string
		reports []*finding.Report
		want    control.Value
		refused string // why a report is not counted
	}{
		{"nothing was tried", nil, control.NotRun, ""},
		{"it holds", []*finding.Report{changed(plain, finding.Passed)}, control.Yes, ""},
		{"it does not hold", []*finding.Report{changed(plain, finding.Failed)}, control.No, ""},
		{"mended and tried again", []*finding.Report{changed(plain, finding.Passed), changed(earlier, finding.Failed)}, control.Yes, ""},
		{"broken since", []*finding.Report{changed(plain, finding.Failed), changed(earlier, finding.Passed)}, control.No, ""},
		{"undecided later", []*finding.Report{changed(plain, finding.Inconclusive), changed(earlier, finding.Passed)}, control.Yes, ""},
		{"undecided later hides no failure", []*finding.Report{changed(plain, finding.Inconclusive), changed(earlier, finding.Failed)}, control.No, ""},
		{"undecided", []*finding.Report{changed(plain, finding.Inconclusive)}, control.Error, ""},
		{"an unheard of verdict", []*finding.Report{changed(plain, "splendid")}, control.Error, ""},
		{"skipped", []*finding.Report{changed(plain, finding.Skipped)}, control.NotRun, ""},
		{"nothing to be about", []*finding.Report{changed(func(r *finding.Report) { r.Outcomes = append(r.Outcomes, vacuous) })}, control.Irrelevant, ""},
		{"ended early", []*finding.Report{changed(func(r *finding.Report) { r.Interrupted = "budget" }, finding.Passed)}, control.Partly, ""},
		{"a part undecided", []*finding.Report{changed(func(r *finding.Report) {
			r.Outcomes = append(r.Outcomes, finding.Outcome{Rule: "bola-read", Operation: "GET /x", Verdict: finding.Inconclusive})
		}, finding.Passed)}, control.Partly, ""},
		{"too long ago", []*finding.Report{changed(func(r *finding.Report) { r.Started, r.Ended = now.AddDate(0, 0, -32), now.AddDate(0, 0, -31) }, finding.Passed)}, control.Stale, ""},
		{"from the future", []*finding.Report{changed(func(r *finding.Report) { r.Ended = now.Add(time.Hour) }, finding.Passed)}, control.NotRun, "future"},
		{"another document", []*finding.Report{changed(func(r *finding.Report) { r.Inputs[0].SHA256 = strings.Repeat("0", 64) }, finding.Passed)}, control.NotRun, "another document"},
		{"another configuration", []*finding.Report{changed(func(r *finding.Report) { r.Inputs[1].SHA256 = strings.Repeat("0", 64) }, finding.Passed)}, control.NotRun, "another configuration"},
		{"no word of the configuration", []*finding.Report{changed(func(r *finding.Report) { r.Inputs = r.Inputs[:1] }, finding.Passed)}, control.NotRun, "does not name the configuration"},
		{"another target", []*finding.Report{changed(func(r *finding.Report) { r.Target = "http://127.0.0.1:18081" }, finding.Passed)}, control.NotRun, "is not this gate"},
		{"a target in another form", []*finding.Report{changed(func(r *finding.Report) { r.Target = "HTTP://127.0.0.1:18080" }, finding.Passed)}, control.Yes, ""},
		{"nothing was reached", []*finding.Report{changed(func(r *finding.Report) { r.Coverage.Reached = nil }, finding.Passed)}, control.NotRun, "reached no operation"},
		{"another kind", []*finding.Report{changed(func(r *finding.Report) { r.Kind = "dream" }, finding.Passed)}, control.NotRun, "dream"},
		{"another schema", []*finding.Report{changed(func(r *finding.Report) { r.Schema = "x" }, finding.Passed)}, control.NotRun, "schema"},
		{"another test", []*finding.Report{changed(func(r *finding.Report) { r.Outcomes[0].Rule = "bola-write" }, finding.Passed)}, control.NotRun, ""},
	} {
		in.Results = nil
		for _, r := range c.reports {
			in.Results = append(in.Results, result(t, "r.json", r))
		}
		e := collect(t, in)
		f := e.Controls[0].Of(control.Tested)
		if f.Value != c.want {
			t.Errorf("%s: %s, %s", c.name, f.Value, f.Reason)
		}
		for _, u := range e.Results {
			if u.Accepted != (c.refused == "") || !strings.Contains(u.Reason, c.refused) {
				t.Errorf("%s: accepted %t, %q", c.name, u.Accepted, u.Reason)
			}
		}
	}
	in.Results = []evidence.Result{evidence.Report("x.json", []byte("nonsense"))}
	if e := collect(t, in); e.Results[0].Accepted || e.Results[0].Reason == "" || e.Controls[0].State != control.NotEvidenced {
		t.Errorf("what is no report: %+v", e.Results[0])
	}
}

// TestAdvice holds that a check of low severity weakens a control, and that everything else breaks it.
func TestAdvice(t *testing.T) {
	in := promised(t, configuration)
	in.Catalogue = only(catalogue.Control{ID: "authz.object", Severity: finding.Critical, Evidence: []control.Facet{control.Tested}, TestedBy: catalogue.Tests{By: []string{"check/id-sequential"}}})
	for severity, want := range map[finding.Severity]control.Value{finding.Low: control.Partly, finding.Medium: control.No, finding.None: control.No} {
		r := report(in, "check", finding.Outcome{Rule: "id-sequential", Verdict: finding.Failed})
		r.Target = ""
		if severity != finding.None {
			r.Findings = []finding.Finding{{Rule: "id-sequential", Severity: severity}}
		}
		in.Results = []evidence.Result{result(t, "r.json", r)}
		if f := collect(t, in).Controls[0].Of(control.Tested); f.Value != want {
			t.Errorf("%s: %s, %s", severity, f.Value, f.Reason)
		}
	}
}

func TestDeclared(t *testing.T) {
	for _, c := range []struct {
		name, old, new string
		id             control.ID
		want           control.Value
	}{
		{"as it is", "", "", "design.declared-first", control.Yes},
		{"open with an approver", "", "", "authn.required", control.Yes},
		{"every object is owned", "", "", "authz.object", control.Yes},
		{"second factor", "", "", "authn.mfa-admin", control.Yes},
		{"production", "", "", "expose.debug-off", control.Yes},
		{"development", "environment: production", "environment: development", "expose.debug-off", control.No},
		{"plain HTTP", "", "", "tls.https-only", control.No},
		{"plain upstream", "", "", "tls.upstream", control.No},
		{"upstream over TLS", `"http://127.0.0.1:9"`, `"https://127.0.0.1:9"`, "tls.upstream", control.Yes},
		{"no assertion", "", "", "deploy.no-bypass", control.No},
		{"assertion", `"http://127.0.0.1:9"`, `"http://127.0.0.1:9", assertion: {audience: a}`, "deploy.no-bypass", control.Yes},
		{"no contact", "", "", "help.contact", control.No},
		{"watched", "environment: production", "environment: production\nunsafe_observe: {steps: [validate], reason: moving in, until: 2026-12-01}", "validate.request", control.Partly},
		{"a role with everything", `["orders:*"]`, `["*"]`, "authz.least-privilege", control.Partly},
		{"no cardholder data", "", "", "data.pan-masked", control.Irrelevant},
		{"every property is classed", "", "", "expose.classification", control.Yes},
		{"nothing says it", "", "", "assure.sast", control.NotRun},
		{"every event is chained, and no checkpoint kept elsewhere", "", "", "log.integrity", control.Partly},
	} {
		text := configuration
		if c.old != "" {
			if text = strings.Replace(text, c.old, c.new, 1); text == configuration {
				t.Fatalf("%s: nothing changed", c.name)
			}
		}
		e := collect(t, promised(t, text))
		if f := e.Control(c.id).Of(control.Declared); f.Value != c.want || f.Reason == "" {
			t.Errorf("%s: %s is %s, %s", c.name, c.id, f.Value, f.Reason)
		}
		if c.name == "watched" && (len(e.Exceptions) != 1 || e.Exceptions[0].Reason != "moving in") {
			t.Errorf("exceptions: %+v", e.Exceptions)
		}
	}
}

// kept writes a ledger.
func kept(t *testing.T, events ...ledger.Event) string {
	t.Helper()
	dir := t.TempDir()
	l, _, err := ledger.Open(dir, ledger.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		if err := l.Append(t.Context(), &events[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// lawful is a day's ledger in which everything is as it must be.
func lawful(p *plan.Plan) []ledger.Event {
	at := now.Add(-24 * time.Hour)
	clerk := ledger.Event{Kind: ledger.Request, Time: at.Add(time.Hour), ID: "a", Phase: ledger.Intent, Operation: "getOrder", Method: "GET", Path: "/orders/{id}", Subject: "7", Actor: "user",
		Issuer: "embedded", Credential: "jti", Roles: []string{"clerk"}, Allowed: true, Record: "sync", Plan: p.Hash, ObjectType: "Order", ObjectID: "3"}
	done := clerk
	done.Phase, done.Status = ledger.Outcome, 200
	nobody := ledger.Event{Kind: ledger.Request, Time: at.Add(2 * time.Hour), ID: "b", Phase: ledger.Whole, Operation: "getOrder", Method: "GET", Actor: "anonymous", Status: 401, Stage: "authn",
		Reason: "credential_missing", Plan: p.Hash, Record: "sync"}
	counted := nobody
	counted.Phase, counted.ID, counted.Count = ledger.Summary, "", 90
	return []ledger.Event{{Kind: ledger.Lifecycle, Time: at, Verb: "start", Plan: p.Hash}, clerk, done, nobody, counted, {Kind: ledger.Lifecycle, Time: now, Verb: "stop", Plan: p.Hash}}
}

func TestOperating(t *testing.T) {
	in := promised(t, configuration)
	with := func(f func(events []ledger.Event) []ledger.Event) []ledger.Event { return f(lawful(in.Plan)) }
	same := func(e []ledger.Event) []ledger.Event { return e }
	insert := func(x ledger.Event) func([]ledger.Event) []ledger.Event {
		return func(e []ledger.Event) []ledger.Event { return slices.Insert(e, len(e)-1, x) }
	}
	outcome := lawful(in.Plan)[2]
	outcome.Phase, outcome.ID, outcome.Record = ledger.Whole, "c", "async"
	change := func(f func(*ledger.Event)) func([]ledger.Event) []ledger.Event {
		x := outcome
		f(&x)
		return insert(x)
	}
	for _, c := range []struct {
		name       string
		events     []ledger.Event
		id         control.ID
		want       control.Value
		n, against int
	}{
		{"protected", with(same), "authn.required", control.Yes, 92, 0},
		{"nobody gets through", with(change(func(e *ledger.Event) { e.Subject, e.Credential, e.Issuer = "", "", "" })), "authn.required", control.No, 93, 1},
		{"an operation of yesterday is protected", with(change(func(e *ledger.Event) { e.Operation, e.Subject = "gone", "" })), "authn.required", control.No, 93, 1},
		{"the gate's own is no operation", with(change(func(e *ledger.Event) { e.Operation, e.Subject = own(in.Plan), "" })), "authn.required", control.Yes, 92, 0},
		{"no credential", with(change(func(e *ledger.Event) { e.Credential, e.Issuer = "", "" })), "authn.stateless", control.No, 2, 1},
		{"what fits nothing is allowed", with(change(func(e *ledger.Event) { e.Operation = "unmatched" })), "authz.deny-default", control.No, 1, 1},
		{"nothing occurred", with(same), "authz.deny-default", control.Yes, 0, 0},
		{"a role nobody knows", with(change(func(e *ledger.Event) { e.Roles = []string{"king"} })), "authz.rbac", control.No, 2, 1},
		{"a role without the permission", with(change(func(e *ledger.Event) { e.Operation, e.Method, e.Roles = "addOrder", "POST", []string{"reader"} })), "authz.function", control.No, 1, 1},
		{"a role with it", with(change(func(e *ledger.Event) { e.Operation, e.Method = "addOrder", "POST" })), "authz.function", control.Yes, 1, 0},
		{"a foreign issuer", with(change(func(e *ledger.Event) { e.Issuer = "https://evil" })), "authn.oauth-oidc", control.No, 2, 1},
		{"watched", with(change(func(e *ledger.Event) { e.Observed = []string{"validate: body"} })), "validate.request", control.No, 93, 1},
		{"a failure of the API came through", with(change(func(e *ledger.Event) { e.Status = 500 })), "error.no-leak", control.No, 92, 1},
		{"allowed without an intent", with(change(func(e *ledger.Event) { e.Record, e.Phase = "sync", ledger.Outcome })), "log.sensitive-access", control.No, 93, 1},
		{"an intent without an outcome", with(change(func(e *ledger.Event) { e.Phase = ledger.Intent })), "log.transactions", control.No, 2, 1},
		{"two outcomes", with(change(func(e *ledger.Event) { e.Phase, e.ID = ledger.Outcome, "a" })), "log.transactions", control.No, 2, 1},
		{"a token in a name", with(change(func(e *ledger.Event) { e.Agent = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0." })), "log.no-secrets", control.No, 96, 1},
		{"a reason is missing", with(change(func(e *ledger.Event) { e.Allowed, e.Reason = false, "" })), "log.record-fields", control.No, 96, 1},
		{"refusals are counted", with(same), "log.security-events", control.Yes, 91, 0},
		{"the untold has no id", with(change(func(e *ledger.Event) { e.Allowed, e.Reason, e.ID = false, "x", "" })), "help.auth-trace", control.No, 2, 1},
		{"no checkpoint", with(same), "log.integrity", control.Partly, 95, 0},
		{"late", with(func(e []ledger.Event) []ledger.Event { return e[1:] }), "authn.required", control.Partly, 92, 0},
		{"another plan", with(change(func(e *ledger.Event) { e.Plan = "x" })), "authn.required", control.Partly, 93, 0},
		{"killed", with(insert(ledger.Event{Kind: ledger.Lifecycle, Time: now, Verb: "start"})), "authn.required", control.Partly, 92, 0},
		{"lost", with(insert(ledger.Event{Kind: ledger.Alert, Time: now, Message: "3 events were lost: the queue was full"})), "authn.required", control.Partly, 92, 0},
		{"lost, for what is about it", with(insert(ledger.Event{Kind: ledger.Alert, Time: now, Message: "3 events were lost: the queue was full"})), "log.security-events", control.No, 92, 1},
		{"before the period", with(func(e []ledger.Event) []ledger.Event {
			x := outcome
			x.Time, x.Subject = in.From.Add(-time.Hour), ""
			return slices.Insert(e, 1, x)
		}), "authn.required", control.Yes, 92, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			if in.Log, err = evidence.ReadLog(kept(t, c.events...), in.From, in.To); err != nil {
				t.Fatal(err)
			}
			f := collect(t, in).Control(c.id).Of(control.Operating)
			p := f.Populations[0]
			if p.Value != c.want || p.N != c.n || p.Exceptions != c.against {
				t.Errorf("%s: %d, %d against; %s %v", p.Value, p.N, p.Exceptions, p.Reason, p.Lines)
			}
			if (c.against > 0) != (len(p.Lines) > 0) || c.want == control.Partly && p.Reason == "" {
				t.Errorf("%+v", p)
			}
		})
	}
	in.Log = nil
	if f := collect(t, in).Control("authn.required").Of(control.Operating); f.Value != control.NotRun {
		t.Errorf("without a ledger: %s", f.Value)
	}
}

func own(p *plan.Plan) string {
	for _, op := range p.Operations {
		if op.Own != "" {
			return op.ID
		}
	}
	return ""
}

// TestBrokenLedger holds that a ledger that was altered shows nothing: every facet that is counted in it is an error.
func TestBrokenLedger(t *testing.T) {
	in := promised(t, configuration)
	dir := kept(t, lawful(in.Plan)...)
	path := filepath.Join(dir, "000001.jsonl")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(b, []byte(`"code":401`), []byte(`"code":200`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if in.Log, err = evidence.ReadLog(dir, in.From, in.To); err != nil {
		t.Fatal(err)
	}
	e := collect(t, in)
	if !e.Broken() || e.Integrity.Problem == "" {
		t.Fatalf("%+v", e.Integrity)
	}
	errs := 0
	for i := range e.Controls {
		for _, p := range e.Controls[i].Of(control.Operating).Populations {
			switch {
			case p.Value == control.Error:
				errs++
			case p.Value != control.NotRun && p.Population != "public operations in configuration":
				t.Errorf("%s: %+v", e.Controls[i].ID, p)
			}
		}
	}
	if errs < 20 {
		t.Errorf("%d errors", errs)
	}
}

func TestNoPersonInRows(t *testing.T) {
	in := promised(t, configuration)
	events := lawful(in.Plan)
	for i := range events {
		events[i].Subject, events[i].Address, events[i].Agent, events[i].ObjectID, events[i].Credential = "canary-subject", "203.0.113.77", "canary-agent", "canary-object", "canary-credential"
	}
	l, err := evidence.ReadLog(kept(t, events...), in.From, in.To)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(l)
	if bytes.Contains(b, []byte("canary")) || bytes.Contains(b, []byte("203.0.113")) || len(l.Rows) < 5 {
		t.Errorf("%s", b)
	}
}

// TestRemovingEvidence takes away one piece of evidence after another, of which none speaks against a control: no control
// may come to claim more.
func TestRemovingEvidence(t *testing.T) {
	in := promised(t, configuration)
	var err error
	if in.Log, err = evidence.ReadLog(kept(t, lawful(in.Plan)...), in.From, in.To); err != nil {
		t.Fatal(err)
	}
	var tests []string
	for _, c := range in.Catalogue.Controls {
		for _, by := range c.TestedBy.By {
			if strings.HasPrefix(by, "attack/") || strings.HasPrefix(by, "check/") {
				tests = append(tests, by)
			}
		}
	}
	slices.Sort(tests)
	for _, by := range slices.Compact(tests) {
		kind, rule, _ := strings.Cut(by, "/")
		in.Results = append(in.Results, result(t, by, report(in, kind, finding.Outcome{Rule: rule, Operation: "GET /orders/{id}", Verdict: finding.Passed})))
	}
	whole := collect(t, in)
	evidenced := whole.In(control.Evidenced)
	if evidenced < 10 {
		t.Fatalf("with all evidence only %d controls are evidenced", evidenced)
	}
	hold := func(what string, less *evidence.Evidence) (fell int) {
		for i := range whole.Controls {
			before, after := whole.Controls[i].State, less.Controls[i].State
			if after.Rank() > before.Rank() {
				t.Errorf("without %s, %s rises from %s to %s", what, whole.Controls[i].ID, before, after)
			}
			if after.Rank() < before.Rank() {
				fell++
			}
		}
		return fell
	}
	all := in.Results
	for i := range all {
		in.Results = slices.Delete(slices.Clone(all), i, i+1)
		hold(all[i].Name, collect(t, in))
	}
	in.Results = all
	fell := 0
	for i := range in.Chains {
		for k := range in.Chains[i].Steps {
			old := in.Chains[i].Steps[k]
			if old.Absent {
				continue
			}
			in.Chains[i].Steps[k].Absent = true
			fell += hold(in.Chains[i].Operation+" "+old.Stage, collect(t, in))
			in.Chains[i].Steps[k] = old
		}
	}
	log := in.Log
	if fell < 10 {
		t.Errorf("without the gate's steps, one by one, controls fall %d times only", fell)
	}
	in.Log = nil
	if hold("the ledger", collect(t, in)) < 10 {
		t.Error("without the ledger hardly anything falls")
	}
	in.Log, in.Results = log, nil
	if hold("all reports", collect(t, in)) != evidenced {
		t.Error("without reports something is evidenced that asks for tests")
	}
	t.Logf("%d controls evidenced with all evidence, %d pieces taken away one by one", evidenced, len(all))
}

func TestCounts(t *testing.T) {
	e := collect(t, promised(t, configuration))
	n := 0
	for _, c := range e.Counts {
		n += c.N
	}
	if n != len(e.Controls) || n != 121 {
		t.Errorf("%d counted, %d controls", n, len(e.Controls))
	}
	if e.In(control.Evidenced) != 0 {
		t.Errorf("%d controls are evidenced by nothing", e.In(control.Evidenced))
	}
}
