package sarif

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/vectors"
)

// TestSchema holds reports against the schema that OASIS publishes, which is not part of the project.
func TestSchema(t *testing.T) {
	f, err := os.Open(vectors.Path(t, "sarif/sarif-schema-2.1.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sarif.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	interrupted := sample(t)
	interrupted.Interrupted = "signal"
	for name, r := range map[string]*finding.Report{"sample": sample(t), "interrupted": interrupted, "empty": {}} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(written(t, r)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad, _ := jsonschema.UnmarshalJSON(strings.NewReader(strings.Replace(written(t, sample(t)), `"level": "error"`, `"level": "critical"`, 1)))
	if s.Validate(bad) == nil {
		t.Error("a level that SARIF does not know passes: the schema is not held")
	}
}

func parse(t *testing.T, r *finding.Report) run {
	t.Helper()
	var l log
	if err := json.Unmarshal([]byte(written(t, r)), &l); err != nil {
		t.Fatal(err)
	}
	if l.Version != "2.1.0" || len(l.Runs) != 1 {
		t.Fatalf("version %s, %d runs", l.Version, len(l.Runs))
	}
	return l.Runs[0]
}

// TestIndices holds what a schema cannot: that every index leads to what it names.
func TestIndices(t *testing.T) {
	r := sample(t)
	x := parse(t, r)
	if len(x.Results) != len(r.Findings) {
		t.Fatalf("%d results", len(x.Results))
	}
	for _, result := range x.Results {
		if got := x.Tool.Driver.Rules[*result.RuleIndex].ID; got != result.RuleID {
			t.Errorf("%s leads to %s", result.RuleID, got)
		}
		if result.Fingerprints["portreeve/v1"] == "" || len(result.Locations) != 1 || result.Locations[0].Physical == nil {
			t.Errorf("%s: %+v", result.RuleID, result)
		}
	}
	related := 0
	for _, rule := range x.Tool.Driver.Rules {
		for _, rel := range rule.Relationships {
			related++
			taxonomy := x.Taxonomies[rel.Target.Component.Index]
			if taxonomy.Name != rel.Target.Component.Name || taxonomy.Taxa[rel.Target.Index].ID != rel.Target.ID {
				t.Errorf("%s: %+v leads to %s", rule.ID, rel, taxonomy.Taxa[rel.Target.Index].ID)
			}
		}
	}
	if related != 7 {
		t.Errorf("%d relationships", related)
	}
	for _, s := range x.Tool.Driver.Supported {
		if x.Taxonomies[s.Index].Name != s.Name {
			t.Errorf("%+v", s)
		}
	}
}

func TestPlaces(t *testing.T) {
	x := parse(t, sample(t))
	at := func(rule string) location {
		for _, r := range x.Results {
			if r.RuleID == rule {
				return r.Locations[0]
			}
		}
		t.Fatalf("no result of %s", rule)
		return location{}
	}
	if l := at("bola-read"); l.Physical.Artifact.URI != "openapi.yaml" || l.Physical.Region.StartLine != 41 || l.Logical[0].Name != "GET /api/reports/{report_id}" {
		t.Errorf("%+v", l)
	}
	if l := at("secret-in-file"); l.Physical.Artifact.URI != "src/app%20settings.py" || l.Physical.Region.StartLine != 3 {
		t.Errorf("%+v", l.Physical)
	}
	if l := at("undeclared-field"); l.Physical.Artifact.URI != "openapi.yaml" || l.Physical.Region != nil {
		t.Errorf("a line is claimed that nobody found: %+v", l.Physical)
	}
	if got := x.Artifacts[1].Location.URI; got != "file:///etc/portreeve/my%20gate.yaml" {
		t.Error(got)
	}
}

func TestUndecided(t *testing.T) {
	r := sample(t)
	if v := parse(t, r).Invocations[0]; !v.Successful || len(v.Notifications) != 1 || !strings.Contains(v.Notifications[0].Message.Text, "2 times: no identity owns") {
		t.Errorf("%+v", v)
	}
	r.Interrupted = "budget"
	if v := parse(t, r).Invocations[0]; v.Successful || v.Notifications[0].Level != "error" {
		t.Errorf("an interrupted run passes for a whole one: %+v", v)
	}
}
