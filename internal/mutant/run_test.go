package mutant

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/attack"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/plan"
)

func demonstration(t *testing.T) Options {
	t.Helper()
	o, err := Demonstration(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o.Seed = 1
	return o
}

// prepared is the demonstration's plan as a stand serves it.
func prepared(t *testing.T) *plan.Plan {
	t.Helper()
	p, err := altered(demonstration(t).Plan, func(p *plan.Plan) { prepare(p, "data") })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mutants(t *testing.T, p *plan.Plan) []Mutant {
	t.Helper()
	all, err := Of(p)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestMutants is the bar: over the demonstration's plan at least nine of ten mutants are killed, and each that is not is in
// Survivors. One of each rule that is killed runs here; make mutants runs all.
func TestMutants(t *testing.T) {
	o := demonstration(t)
	all := os.Getenv("PORTREEVE_MUTANTS") != ""
	if !all {
		first := map[string]bool{}
		for _, m := range mutants(t, prepared(t)) {
			if !first[m.Rule] && reasonFor(m) == "" {
				first[m.Rule], first[m.ID] = true, true
			}
		}
		o.Only = func(m Mutant) bool { return first[m.ID] }
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := Print(&text, r); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", &text)
	if len(r.Baseline) > 0 || r.Open != "" {
		t.Fatalf("the gate without a fault is not clean: %v %s", r.Baseline, r.Open)
	}
	for _, j := range r.Mutants {
		switch {
		case j.Verdict == Unbound:
			t.Errorf("%s: the gate refuses to start: %s", j.ID, j.Reason)
		case j.Verdict == Survived && !j.Known:
			t.Errorf("%s survived: %s", j.ID, j.Reason)
		case j.Verdict == Killed && reasonFor(j.Mutant) != "":
			t.Errorf("%s is killed by %s: take it off the list of survivors", j.ID, j.By[0].Attack)
		}
	}
	if !all {
		return
	}
	if r.Percent() < 90 {
		t.Errorf("%d %% were killed", r.Percent())
	}
	for _, s := range Survivors {
		if !slices.ContainsFunc(r.Mutants, func(j Judged) bool { return j.ID == s.Mutant || j.Rule == s.Mutant }) {
			t.Errorf("there is no mutant %s any more: take it off the list of survivors", s.Mutant)
		}
	}
}

// Every control that some step of the plan says it enforces has a mutant.
func TestEveryControlHasMutants(t *testing.T) {
	p := prepared(t)
	g, err := deployment.Preview(p, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	has := map[control.ID]bool{}
	for _, m := range mutants(t, p) {
		for _, c := range m.Controls {
			has[c] = true
		}
	}
	asked := 0
	for _, chain := range g.Chains() {
		for _, step := range chain.Steps {
			if step.Absent {
				continue
			}
			for _, c := range step.Controls {
				if asked++; !has[c] {
					t.Errorf("%s enforces %s, and there is no mutant without it", step.Stage, c)
					has[c] = true
				}
			}
		}
	}
	if asked == 0 {
		t.Error("no step names a control")
	}
}

// Each mutant has a name of its own, says what it does, and differs from the plan; the plan itself stays.
func TestMutantsDiffer(t *testing.T) {
	p := prepared(t)
	before := p.Sum()
	seen := map[string]bool{}
	for _, m := range mutants(t, p) {
		if seen[m.ID] {
			t.Errorf("two mutants are called %s", m.ID)
		}
		seen[m.ID] = true
		if m.Does == "" || m.Rule == "" || len(m.Controls) == 0 {
			t.Errorf("%s says too little: %+v", m.ID, m)
		}
		if m.change == nil && m.bend == nil {
			t.Errorf("%s changes nothing", m.ID)
		}
	}
	if len(seen) < 150 {
		t.Errorf("only %d mutants were made", len(seen))
	}
	if p.Sum() != before {
		t.Error("a mutant has changed the plan itself")
	}
}

func TestCopied(t *testing.T) {
	p := demonstration(t).Plan
	c, err := copied(p)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, c); diff != "" {
		t.Errorf("the copy differs (-plan +copy):\n%s", diff)
	}
	c.Operations[0].Security.Alternatives[0][0].Scheme = "another"
	c.Roles[0].Permissions[0] = "another"
	if p.Sum() != p.Hash {
		t.Error("a change of the copy is one of the plan")
	}
}

// fixedAPI is an API that is up before a run and stays: an owner's own, beside the demonstration.
func fixedAPI(t *testing.T, o Options) API {
	t.Helper()
	var ids []attack.Identity
	for _, p := range o.People {
		ids = append(ids, attack.Identity{Name: p.Name, Role: p.Role, UserID: p.UserID, Password: p.Password})
	}
	url, stop, err := o.API(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return func(context.Context, []attack.Identity) (string, func(), error) { return url, func() {}, nil }
}

// What is found on a gate without a mutant ends the run: nothing could be said about mutants.
func TestUncleanBaseline(t *testing.T) {
	o := demonstration(t)
	bad, err := altered(o.Plan, func(p *plan.Plan) {
		p.Lookup("GET", "/api/users").Security = plan.Security{Public: true}
		p.Lookup("GET", "/api/users").Authz = plan.Authz{}
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Plan, o.API = bad, fixedAPI(t, o)
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(r.Baseline, func(k Kill) bool { return k.Attack == "missing-credential" && k.Operation == "GET /api/users" }) {
		t.Errorf("the baseline holds %v", r.Baseline)
	}
	if len(r.Mutants) > 0 {
		t.Errorf("%d mutants were judged all the same", len(r.Mutants))
	}
	var text bytes.Buffer
	if err := Print(&text, r); err != nil || !strings.Contains(text.String(), "is not clean") {
		t.Errorf("it is not said: %v %s", err, &text)
	}
}

// Mutants of one API that stays up are judged like those of one that is made anew.
func TestOneAPI(t *testing.T) {
	o := demonstration(t)
	o.API = fixedAPI(t, o)
	o.Only = func(m Mutant) bool {
		return slices.Contains([]string{"unguarded GET /api/users", "unguarded POST /api/users", "object-dropped GET /api/reports/{report_id}", "unrecorded"}, m.ID)
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Killed != 3 || r.Total != 4 {
		t.Errorf("%d of %d were killed", r.Killed, r.Total)
	}
	if j := r.Mutants[0]; j.ID != "unrecorded" || !j.Known || j.Reason == "" {
		t.Errorf("the survivor does not stand first with its reason: %+v", j)
	}
}

// The result is printed and kept: no credential is in it.
func TestNoSecrets(t *testing.T) {
	dir := t.TempDir()
	o, err := Demonstration(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStand(t.Context(), o, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.state.Close()
	r := &Result{}
	for _, m := range mutants(t, s.base) {
		if m.Rule == "signature-unchecked" || m.Rule == "key-unchecked" || m.Rule == "secret-let-out" || m.Rule == "unguarded" {
			j, err := s.judge(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			r.Mutants = append(r.Mutants, *j)
		}
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range s.people.Identities {
		for _, secret := range []string{id.Password, id.Token, id.APIKey, id.Token[strings.LastIndexByte(id.Token, '.')+1:]} {
			if secret != "" && bytes.Contains(text, []byte(secret)) {
				t.Errorf("the result holds a secret of %s", id.Name)
			}
		}
	}
	if len(r.Mutants) < 10 {
		t.Errorf("only %d mutants were judged", len(r.Mutants))
	}
}

// A fault that the gate does not start with is said to be one, and counts for nothing.
func TestUnbound(t *testing.T) {
	dir := t.TempDir()
	o, err := Demonstration(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStand(t.Context(), o, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.state.Close()
	m := Mutant{ID: "schemes-forgotten", Rule: "schemes-forgotten", change: func(p *plan.Plan) { p.Identity.Schemes = nil }}
	j, err := s.judge(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if j.Verdict != Unbound || j.Reason == "" {
		t.Errorf("it is %s: %s", j.Verdict, j.Reason)
	}
	r := &Result{Mutants: []Judged{*j}}
	if r.count(); r.Total != 0 {
		t.Errorf("it is counted: %d", r.Total)
	}
}

func TestEndsEarly(t *testing.T) {
	o := demonstration(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Progress = func(done, _ int, _ string) {
		if done == 3 {
			cancel()
		}
	}
	r, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || len(r.Mutants) < 3 || len(r.Mutants) > 150 {
		t.Errorf("interrupted %v, %d mutants", r.Interrupted, len(r.Mutants))
	}
}
