package demo

import (
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/plan"
)

// load compiles the demonstration's document and configuration as serve would.
func load(t *testing.T) *plan.Plan {
	t.Helper()
	dir := t.TempDir()
	path, err := Settings{URL: "http://127.0.0.1:8080", Hosts: []string{"localhost:8080"}, Listen: "127.0.0.1:8080", Admin: "127.0.0.1:9443",
		Upstream: "http://127.0.0.1:9000"}.WriteFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := compile.Load(path, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDocumentCompiles(t *testing.T) {
	p := load(t)
	if len(p.Unsafe) > 0 {
		t.Errorf("the configuration switches off %v", p.Unsafe)
	}
	for _, want := range []struct {
		method, path, permission string
		record                   plan.Record
		stepUp                   bool
		object                   plan.ObjectSource
	}{
		{"GET", "/api/users", "users:read", plan.Sync, false, ""},
		{"POST", "/api/users", "users:create", plan.Sync, true, ""},
		{"GET", "/api/users/{user_id}", "users:read", plan.Sync, false, plan.FromClaim},
		{"PUT", "/api/users/{user_id}", "users:update", plan.Sync, false, plan.FromClaim},
		{"DELETE", "/api/users/{user_id}", "users:delete", plan.Sync, true, ""},
		{"GET", "/api/users/{user_id}/posts", "posts:read", plan.Async, false, ""},
		{"GET", "/api/search", "users:read", plan.Async, false, ""},
		{"GET", "/api/reports/{report_id}", "reports:read", plan.Async, false, plan.FromResponse},
		{"POST", "/api/login", "", plan.Sync, false, ""},
		{"GET", "/api/data", "data:read", plan.Async, false, plan.FromResponse},
		{"GET", "/api/protected", "admin:read", plan.Sync, false, ""},
		{"GET", "/api/expensive-operation", "operations:run", plan.Async, false, ""},
		{"GET", "/api/payments", "payments:read", plan.Sync, false, plan.FromResponse},
		{"POST", "/api/payments", "payments:create", plan.Sync, false, ""},
		{"GET", "/api/payments/{payment_id}", "payments:read", plan.Sync, false, plan.FromResponse},
	} {
		op := p.Lookup(want.method, want.path)
		if op == nil {
			t.Errorf("%s %s is not in the document", want.method, want.path)
			continue
		}
		var object plan.ObjectSource
		if op.Object != nil {
			object = op.Object.From
		}
		if op.Authz.Permission != want.permission || op.Record != want.record || op.Authz.StepUp != want.stepUp || object != want.object {
			t.Errorf("%s %s: permission %q, record %s, step-up %v, object %q; want %+v", want.method, want.path, op.Authz.Permission, op.Record, op.Authz.StepUp, object, want)
		}
		if public := want.path == "/api/login"; op.Security.Public != public {
			t.Errorf("%s %s: public is %v", want.method, want.path, op.Security.Public)
		}
	}
	limits := map[string][]string{}
	for _, op := range p.Operations {
		for _, l := range op.Limits {
			limits[op.ID] = append(limits[op.ID], l.Text)
		}
	}
	if got := limits["expensiveOperation"]; len(got) != 2 || got[0] != "100/1h" || got[1] != "10/1m" {
		t.Errorf("limits of expensiveOperation: %v", got)
	}
}
