package junit

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/finding"
)

func TestCases(t *testing.T) {
	r := sample(t)
	r.Interrupted = "budget"
	r.Outcomes = append(r.Outcomes, finding.Outcome{Rule: "bola-read", Operation: "GET /x", Verdict: "unheard of"},
		finding.Outcome{Rule: "bola-read", Operation: "GET /y", Verdict: finding.Failed})
	var back suites
	if err := xml.Unmarshal([]byte(written(t, r)), &back); err != nil {
		t.Fatal(err)
	}
	s := back.Suites[0]
	if s.Tests != len(s.Cases) || s.Tests != len(r.Outcomes)+2 || s.Failures != 4 || s.Skipped != 4 || s.Errors != 1 || back.Tests != s.Tests {
		t.Errorf("%d cases, %+v", len(s.Cases), s)
	}
	green := 0
	for _, c := range s.Cases {
		if c.Failure == nil && c.Skipped == nil && c.Error == nil {
			green++
		}
	}
	if green != r.Count(finding.Passed) {
		t.Errorf("%d cases are green, %d passed", green, r.Count(finding.Passed))
	}
	if !strings.Contains(s.Cases[0].Failure.Text, "curl -s http://127.0.0.1:8081/api/reports/17") {
		t.Error("a failure does not say how to repeat it")
	}
}

// TestAnyText holds that no answer makes the file unreadable: XML has no form for most control characters.
func TestAnyText(t *testing.T) {
	hostile := "]]></failure>\x00\x1b\xff<!DOCTYPE a [<!ENTITY b 'c'>]>&b;\ufffe"
	r := &finding.Report{Kind: hostile, Findings: []finding.Finding{{Rule: hostile, Operation: hostile, Message: hostile, Proof: []finding.Exchange{{Note: hostile, Answer: hostile, Status: 1}}}},
		Outcomes: []finding.Outcome{{Rule: hostile, Operation: hostile, Verdict: finding.Failed}}}
	var back suites
	if err := xml.Unmarshal([]byte(written(t, r)), &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Suites[0].Cases) != 1 || !strings.Contains(back.Suites[0].Cases[0].Failure.Message, "]]></failure>") {
		t.Errorf("%+v", back)
	}
}
