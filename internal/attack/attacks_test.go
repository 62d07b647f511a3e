package attack

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/portreeve/portreeve/internal/finding"
)

// samples are the faults a sample API can have, and the attacks that find each: the first is the fault's own, and without
// the others the API could not be so bad.
var samples = []struct {
	bent   bend
	by     []string
	secure bool // over TLS
}{
	{"missing-credential", []string{"missing-credential"}, false},
	{"head-unguarded", []string{"missing-credential"}, false},
	{"garbage-credential", []string{"garbage-credential", "credential-guessing"}, false},
	{"token-alg-none", []string{"token-alg-none"}, false},
	{"token-signature", []string{"token-signature"}, false},
	{"token-weak-secret", []string{"token-weak-secret"}, false},
	{"token-expired", []string{"token-expired"}, false},
	{"token-endless", []string{"token-endless"}, false},
	{"token-audience", []string{"token-audience"}, false},
	{"single-factor", []string{"single-factor"}, false},
	{"stale-factor", []string{"single-factor"}, false},
	{"identity-header", []string{"identity-header"}, false},
	{"gate-bypass", []string{"gate-bypass"}, false},
	{"bola-read", []string{"bola-read"}, false},
	{"bola-list", []string{"bola-list"}, false},
	{"bola-write", []string{"bola-write"}, false},
	{"bfla-role", []string{"bfla-role"}, false},
	{"bfla-verb", []string{"bfla-verb"}, false},
	{"mass-assignment", []string{"mass-assignment", "negative-input"}, false},
	{"forbidden-field", []string{"forbidden-field"}, false},
	{"unmasked-field", []string{"unmasked-field"}, false},
	{"secret-field", []string{"secret-field"}, false},
	{"negative-input", []string{"negative-input"}, false},
	{"undeclared-parameter", []string{"undeclared-parameter"}, false},
	{"ambiguous-body", []string{"ambiguous-body"}, false},
	{"oversized-body", []string{"oversized-body", "negative-input"}, false},
	{"padded-body", []string{"oversized-body"}, false},
	{"sql-injection", []string{"sql-injection"}, false},
	{"reflected-xss", []string{"reflected-xss"}, false},
	{"cors-origin", []string{"cors-origin"}, false},
	{"cors-null", []string{"cors-origin"}, false},
	{"cors-wildcard", []string{"cors-origin"}, false},
	{"cors-preflight", []string{"cors-preflight"}, false},
	{"cors-method", []string{"cors-preflight"}, false},
	{"cors-header", []string{"cors-preflight"}, false},
	{"undocumented-endpoint", []string{"undocumented-endpoint"}, false},
	{"old-version", []string{"old-version"}, false},
	{"user-enumeration", []string{"user-enumeration"}, false},
	{"error-leak", []string{"error-leak"}, false},
	{"undeclared-field", []string{"undeclared-field"}, false},
	{"missing-headers", []string{"missing-headers"}, false},
	{"missing-csp", []string{"missing-csp"}, false},
	{"missing-hsts", []string{"missing-hsts"}, true},
	{"banner", []string{"banner"}, false},
	{"missing-challenge", []string{"missing-challenge"}, false},
	{"untraceable-refusal", []string{"untraceable-refusal"}, false},
	{"rate-limit", []string{"rate-limit"}, false},
	{"retry-after", []string{"rate-limit", "login-limit", "principal-limit", "credential-guessing"}, false},
	{"login-limit", []string{"login-limit"}, false},
	{"principal-limit", []string{"principal-limit", "limit-evasion"}, false},
	{"limit-evasion", []string{"limit-evasion"}, false},
	{"credential-guessing", []string{"credential-guessing"}, false},
	{"guessing-evasion", []string{"credential-guessing"}, false},
}

// Each attack finds the API that has its fault, and none fires on one that has another or none at all.
func TestSamples(t *testing.T) {
	type score struct{ hit, missed, false int }
	scores := map[string]*score{}
	for _, a := range Attacks {
		scores[a.ID] = new(score)
	}
	attacked := func(t *testing.T, b bend, secure bool) *finding.Report {
		r, err := Run(t.Context(), start(t, b, secure))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("sound, tls %v", secure), func(t *testing.T) {
			r := attacked(t, "", secure)
			for _, f := range r.Findings {
				scores[f.Rule].false++
			}
			passes := map[string]bool{}
			for _, o := range r.Outcomes {
				passes[o.Rule] = passes[o.Rule] || o.Verdict == finding.Passed
			}
			for _, a := range Attacks {
				if !passes[a.ID] && (a.ID != missingHSTS.ID || secure) && a.ID != undocumentedEndpoint.ID {
					t.Errorf("%s was not passed: it may not have been tried at all", a.ID)
				}
			}
			if len(r.Findings) > 0 || r.Count(finding.Inconclusive) > 0 || len(r.Coverage.NotReached) > 0 {
				show(t, r)
				t.Error("an API without faults is not clean")
			}
			if why := Undecided(r); why != "" {
				t.Errorf("undecided: %s", why)
			}
		})
	}
	for _, s := range samples {
		t.Run(string(s.bent), func(t *testing.T) {
			r := attacked(t, s.bent, s.secure)
			got := map[string]bool{}
			for _, f := range r.Findings {
				got[f.Rule] = true
			}
			for _, id := range s.by {
				if got[id] {
					scores[id].hit++
				} else {
					scores[id].missed++
					t.Errorf("%s did not find it", id)
				}
			}
			for id := range got {
				if !slices.Contains(s.by, id) {
					scores[id].false++
					t.Errorf("%s found something as well", id)
				}
			}
			if t.Failed() {
				show(t, r)
			}
			for _, f := range r.Findings {
				if len(f.Proof) == 0 && f.Rule != endlessToken.ID && f.Rule != weakSecret.ID {
					t.Errorf("%s has no proof", f.Rule)
				}
				for _, p := range f.Proof {
					if !strings.HasPrefix(p.Curl, "curl ") || p.Request == "" {
						t.Errorf("%s cannot be repeated: %q", f.Rule, p.Curl)
					}
				}
			}
		})
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "attack\tfound\tmissed\tfalse\tprecision\trecall\n")
	hit, missed, wrong := 0, 0, 0
	for _, a := range Attacks {
		s := scores[a.ID]
		hit, missed, wrong = hit+s.hit, missed+s.missed, wrong+s.false
		if s.hit+s.missed == 0 {
			t.Errorf("%s has no sample", a.ID)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\n", a.ID, s.hit, s.missed, s.false, share(s.hit, s.false), share(s.hit, s.missed))
	}
	fmt.Fprintf(w, "all\t%d\t%d\t%d\t%s\t%s\n", hit, missed, wrong, share(hit, wrong), share(hit, missed))
	w.Flush()
	t.Logf("%d samples, %d attacks\n%s", len(samples)+2, len(Attacks), &table)
}

func share(good, bad int) string {
	if good+bad == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(good)/float64(good+bad))
}

// Without any policy, ownership comes from who made an object in the run.
func TestPlainDocument(t *testing.T) {
	for _, c := range []struct {
		bent bend
		by   []string
	}{
		{"", nil},
		{"bola-read", []string{"bola-read"}},
		{"bola-write", []string{"bola-write"}},
		{"missing-credential", []string{"missing-credential"}},
		{"undeclared-field", []string{"undeclared-field"}},
		{"bfla-verb", []string{"bfla-verb"}},
		{"sql-injection", []string{"sql-injection"}},
	} {
		t.Run(string(c.bent), func(t *testing.T) {
			r, err := Run(t.Context(), plainly(t, start(t, c.bent, false)))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]bool{}
			for _, f := range r.Findings {
				got[f.Rule] = true
			}
			if want := slices.Sorted(slices.Values(c.by)); !slices.Equal(slices.Sorted(maps.Keys(got)), want) {
				show(t, r)
				t.Errorf("found %v, not %v", slices.Sorted(maps.Keys(got)), want)
			}
			if why := Undecided(r); why != "" && len(c.by) == 0 {
				show(t, r)
				t.Errorf("undecided: %s", why)
			}
		})
	}
}

// With nobody to call as, what can be decided is, and what needs a credential is not called clean.
func TestNobody(t *testing.T) {
	for _, b := range []bend{"", "missing-credential"} {
		o := start(t, b, false)
		o.People = nil
		r, err := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if Undecided(r) == "" {
			t.Errorf("%q: the report is called whole: reached %v", b, r.Coverage.Reached)
		}
		if b == "" && len(r.Findings) > 0 {
			show(t, r)
			t.Error("found something on an API without faults")
		}
	}
}

// Every rule says all that a report needs of it.
func TestRules(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range Attacks {
		if a.ID == "" || a.Title == "" || a.Severity == finding.None || len(a.CWE) == 0 || len(a.OWASP2019) == 0 || len(a.OWASP2023) == 0 || len(a.Controls) == 0 || a.Why == "" || a.Fix == "" {
			t.Errorf("%s lacks something: %+v", a.ID, a.Rule)
		}
		if seen[a.ID] {
			t.Errorf("%s stands twice", a.ID)
		}
		seen[a.ID] = true
		ways := 0
		for _, set := range []bool{a.each != nil, a.once != nil, a.each == nil && a.once == nil && a.detect != nil} {
			if set {
				ways++
			}
		}
		if ways != 1 {
			t.Errorf("%s can be tried in %d ways", a.ID, ways)
		}
	}
	if len(slices.Collect(maps.Keys(seen))) < 12 {
		t.Error("there are hardly any attacks")
	}
}
