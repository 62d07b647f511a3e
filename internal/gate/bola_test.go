package gate_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/demo"
	"github.com/portreeve/portreeve/internal/store/sqlite"
)

// bob's attacks on what is alice's. {A} is her id where a request has one; BODY is sent as JSON.
var bola = []struct{ kind, request, body string }{
	{"read", "GET /api/reports/1", ""},
	{"read", "GET /api/payments/1", ""},
	{"read", "GET /api/payments/3", ""},
	{"read", "GET /api/data?user_id=1", ""},
	{"read", "GET /api/data", ""},
	{"list", "GET /api/payments", ""},
	{"list", "GET /api/payments?owner_id=1", ""},
	{"update", "PUT /api/users/1", `{"email":"bob@evil.test"}`},
	{"update", "PUT /api/users/1", `{"phone":"+1-202-555-0199"}`},
	{"update", "PUT /api/users/2", `{"email":"bob@evil.test","id":1}`},
	{"update", "PUT /api/users/2", `{"email":"bob@evil.test","user_id":1}`},
	{"delete", "DELETE /api/users/1", ""},
	{"body id", "POST /api/payments", `{"amount":1,"currency":"EUR","card_number":"5555555555554444","cvv":"123","owner_id":1}`},
	{"body id", "POST /api/payments", `{"amount":1,"currency":"EUR","card_number":"5555555555554444","cvv":"123","owner":{"id":1}}`},
	{"batch", "GET /api/reports/1,2", ""},
	{"batch", "PUT /api/users/2", `[{"id":1,"email":"bob@evil.test"}]`},
	{"batch", "GET /api/payments?owner_id=1,2", ""},
	{"batch", "GET /api/payments?owner_id[]=1", ""},
	{"twice", "GET /api/payments?owner_id=2&owner_id=1", ""},
	{"twice", "GET /api/payments?owner_id=1&owner_id=2", ""},
	{"twice", "GET /api/payments?owner_id=2&OWNER_ID=1", ""},
	{"twice", "GET /api/payments?owner_id=2;owner_id=1", ""},
	{"twice", "GET /api/payments?owner_id=2&owner%5Fid=1", ""},
	{"twice", "GET /api/reports/2?report_id=1", ""},
	{"twice", "PUT /api/users/2?user_id=1", `{"email":"bob@evil.test"}`},
	{"twice", "PUT /api/users/2", `{"email":"bob@evil.test","email":"x@evil.test"}`},
	{"encoding", "GET /api/reports/%31", ""},
	{"encoding", "GET /api/reports/%2531", ""},
	{"encoding", "GET /api/reports/01", ""},
	{"encoding", "GET /api/reports/1.0", ""},
	{"encoding", "GET /api/reports/+1", ""},
	{"encoding", "GET /api/reports/1%20", ""},
	{"encoding", "GET /api/reports/1%00", ""},
	{"encoding", "GET /api/reports/2/../1", ""},
	{"encoding", "GET /api/reports/2%2f..%2f1", ""},
	{"encoding", "GET /api/reports/2/%2e%2e/1", ""},
	{"encoding", "GET /api/reports//1", ""},
	{"encoding", "GET /api/reports/1/", ""},
	{"encoding", "GET /api/reports/1;x=2", ""},
	{"encoding", "GET /api/reports/2\\..\\1", ""},
	{"encoding", "GET /API/reports/1", ""},
	{"encoding", "GET /api/reports/1.json", ""},
	{"encoding", "GET /api/reports/*", ""},
	{"encoding", "GET /api/reports/%EF%BC%91", ""},
	{"encoding", "HEAD /api/reports/1", ""},
	{"encoding", "GET /api/payments?owner_id=%31", ""},
	{"encoding", "GET /api/payments?owner_id=01", ""},
	{"encoding", "GET /api/payments?owner_id=1e0", ""},
	{"encoding", "GET /api/payments?owner_id=2%201", ""},
	{"encoding", "PUT /api/users/%31", `{"email":"bob@evil.test"}`},
	{"encoding", "PUT /api/users/1.0", `{"email":"bob@evil.test"}`},
	{"encoding", "PUT /api/users/2%2f..%2f1", `{"email":"bob@evil.test"}`},
	{"nested", "GET /api/users/1/posts/../../../reports/1", ""},
	{"nested", "GET /api/users/2/posts/../../1", ""},
}

// TestBOLA plays every attack over the demonstration's faulty API with the demonstration's own document, and holds that
// no byte of alice's is delivered and none of hers changed; over the API alone most of them succeed.
func TestBOLA(t *testing.T) {
	db, err := sqlite.OpenScratch(t.Context(), filepath.Join(t.TempDir(), "api.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := demo.SeedNaked(t.Context(), db, nil); err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(demo.Naked(db))
	defer api.Close()
	roles := regexp.MustCompile(`(?s)\nroles:.*?\nlimits:`).Find(demoConfiguration(t))
	w := newWorld(t, settings{document: string(demo.Document()), people: "user alice subject=1 roles=employee\nuser bob subject=2 roles=employee\nuser dave subject=4 roles=admin",
		config: "version: 1\ndocument: openapi.yaml\nupstream: {url: " + api.URL + ", headers: {Accept: application/json}}\n" + strings.TrimSuffix(string(roles), "limits:")})
	hers := regexp.MustCompile(`rope|sail cloth|Tolls in spring|Up by a tenth|alice@example\.com|900-11-0001|61000|1 Quay Street|555-0101|berth 12|4111111111111111|4012888888881881`)
	before := rows(t, db)
	counts, naked := map[string]int{}, 0
	for _, a := range bola {
		w.advance(2 * time.Second)
		method, path, _ := strings.Cut(a.request, " ")
		status, answer := w.change(method, path, "bob", a.body)
		if m := hers.FindString(answer); m != "" {
			t.Errorf("%s: %s %s: %d delivers %q", a.kind, a.request, a.body, status, m)
		}
		if after := rows(t, db); !slices.Equal(before, after) {
			t.Errorf("%s: %s %s: %d changed what is hers:\n%v\n%v", a.kind, a.request, a.body, status, before, after)
			before = after
		}
		counts[a.kind]++
		if a.body == "" && method == http.MethodGet {
			if r, err := http.Get(api.URL + path); err == nil {
				b := make([]byte, 64<<10)
				n, _ := r.Body.Read(b)
				r.Body.Close()
				if hers.Match(b[:n]) {
					naked++
				}
			}
		}
	}
	if naked < 5 {
		t.Errorf("only %d of the attacks deliver anything of hers without the gate: the table shows nothing", naked)
	}
	// She herself gets what is hers, else nothing was held but everything shut.
	for _, path := range []string{"/api/reports/1", "/api/payments/1", "/api/payments", "/api/payments?owner_id=1"} {
		if status, answer := w.change("GET", path, "alice", ""); status != 200 || !hers.MatchString(answer) {
			t.Errorf("alice does not get %s: %d %s", path, status, answer)
		}
	}
	t.Logf("%d attacks %v: 0 foreign bytes, 0 foreign writes; without the gate %d of the reads deliver some", len(bola), counts, naked)
}

func demoConfiguration(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("../demo/portreeve.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rows are alice's, and how many there are of the others'.
func rows(t *testing.T, db *sql.DB) []string {
	t.Helper()
	var out []string
	for _, q := range []string{`SELECT name || email || ssn || salary || address || phone || role FROM users WHERE id = 1`, `SELECT count(*) FROM users`,
		`SELECT group_concat(title || body) FROM reports WHERE owner_id = 1`, `SELECT count(*) || ' ' || sum(amount) FROM payments WHERE owner_id = 1`, `SELECT count(*) FROM posts WHERE user_id = 1`} {
		var v any
		if err := db.QueryRowContext(t.Context(), q).Scan(&v); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(v))
	}
	return out
}

// The page about object access names tests that there are.
func TestObjectAccessPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/object-access.md")
	if err != nil {
		t.Fatal(err)
	}
	var code []byte
	for _, glob := range []string{"*_test.go", "../compile/*_test.go"} {
		files, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			code = append(code, b...)
		}
	}
	named := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllSubmatch(page, -1)
	scripts := regexp.MustCompile("`(?:internal/gate/testdata/)?([a-z]+\\.txt)`").FindAllSubmatch(page, -1)
	if len(named) < 6 || len(scripts) < 3 {
		t.Fatalf("the page names %d tests and %d scripts", len(named), len(scripts))
	}
	for _, m := range named {
		if !strings.Contains(string(code), "func "+string(m[1])+"(") {
			t.Errorf("there is no %s", m[1])
		}
	}
	for _, m := range scripts {
		if _, err := os.Stat(filepath.Join("testdata", string(m[1]))); err != nil {
			t.Error(err)
		}
	}
	for _, promise := range []string{"**P1.**", "**P2.**", "**P3.**", "**P4.**"} {
		_, after, ok := strings.Cut(string(page), promise)
		paragraph, _, _ := strings.Cut(after, "\n\n")
		if !ok || !strings.Contains(paragraph, "Test") {
			t.Errorf("%s has no test", promise)
		}
	}
}
