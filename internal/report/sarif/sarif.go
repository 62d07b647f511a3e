// Package sarif writes a report as SARIF 2.1.0 (OASIS), for code scanning views. Only what was found is a result; what
// could not be decided is a notification of the run, so that its absence is not read as a pass.
package sarif

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/portreeve/portreeve/internal/finding"
)

const (
	version = "2.1.0"
	schema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

type log struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []run  `json:"runs"`
}

type run struct {
	Tool        tool         `json:"tool"`
	Automation  identity     `json:"automationDetails"`
	Invocations []invocation `json:"invocations"`
	Artifacts   []artifact   `json:"artifacts,omitempty"`
	Taxonomies  []component  `json:"taxonomies"`
	ColumnKind  string       `json:"columnKind"`
	Results     []result     `json:"results"`
}

type identity struct {
	ID string `json:"id"`
}

type tool struct {
	Driver component `json:"driver"`
}

type component struct {
	Name         string       `json:"name"`
	Version      string       `json:"version,omitempty"`
	Organization string       `json:"organization,omitempty"`
	Information  string       `json:"informationUri,omitempty"`
	Short        *text        `json:"shortDescription,omitempty"`
	Rules        []descriptor `json:"rules,omitempty"`
	Taxa         []descriptor `json:"taxa,omitempty"`
	Supported    []reference  `json:"supportedTaxonomies,omitempty"`
}

type reference struct {
	Name  string `json:"name"`
	Index int    `json:"index"`
}

type text struct {
	Text string `json:"text"`
}

type descriptor struct {
	ID            string         `json:"id"`
	Name          string         `json:"name,omitempty"`
	Short         *text          `json:"shortDescription,omitempty"`
	Full          *text          `json:"fullDescription,omitempty"`
	Help          *text          `json:"help,omitempty"`
	HelpURI       string         `json:"helpUri,omitempty"`
	Configuration *configuration `json:"defaultConfiguration,omitempty"`
	Relationships []relationship `json:"relationships,omitempty"`
	Properties    map[string]any `json:"properties,omitempty"`
}

type configuration struct {
	Level string `json:"level"`
}

type relationship struct {
	Target target   `json:"target"`
	Kinds  []string `json:"kinds"`
}

type target struct {
	ID        string    `json:"id"`
	Index     int       `json:"index"`
	Component reference `json:"toolComponent"`
}

type invocation struct {
	Successful    bool           `json:"executionSuccessful"`
	Start         string         `json:"startTimeUtc,omitempty"`
	End           string         `json:"endTimeUtc,omitempty"`
	Notifications []notification `json:"toolExecutionNotifications,omitempty"`
}

type notification struct {
	Level   string      `json:"level"`
	Message text        `json:"message"`
	Rule    *ruleTarget `json:"associatedRule,omitempty"`
}

type ruleTarget struct {
	ID string `json:"id"`
}

type artifact struct {
	Location artifactLocation  `json:"location"`
	Hashes   map[string]string `json:"hashes,omitempty"`
	Roles    []string          `json:"roles"`
}

type artifactLocation struct {
	URI string `json:"uri"`
}

type result struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    *int              `json:"ruleIndex,omitempty"`
	Kind         string            `json:"kind"`
	Level        string            `json:"level"`
	Message      text              `json:"message"`
	Locations    []location        `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Properties   map[string]any    `json:"properties,omitempty"`
}

type location struct {
	Physical *physical `json:"physicalLocation,omitempty"`
	Logical  []logical `json:"logicalLocations,omitempty"`
}

type physical struct {
	Artifact artifactLocation `json:"artifactLocation"`
	Region   *region          `json:"region,omitempty"`
}

type region struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
}

type logical struct {
	Name string `json:"fullyQualifiedName"`
	Kind string `json:"kind"`
}

// The taxonomies, by their place in run.taxonomies.
const (
	cwe = iota
	controls
)

// Write writes the report.
func Write(w io.Writer, r *finding.Report) error {
	weaknesses, promises := taxa(r)
	x := run{
		Tool: tool{component{Name: "Portreeve", Version: r.Version, Rules: []descriptor{},
			Supported: []reference{{"CWE", cwe}, {"Portreeve controls", controls}}}},
		Automation:  identity{"portreeve/" + r.Kind + "/"},
		Invocations: []invocation{invoked(r)},
		Taxonomies: []component{
			cwe: {Name: "CWE", Organization: "MITRE", Information: "https://cwe.mitre.org/",
				Short: &text{"The MITRE Common Weakness Enumeration"}, Taxa: weaknesses},
			controls: {Name: "Portreeve controls", Short: &text{"What a security guide asks of an API, control by control"}, Taxa: promises},
		},
		ColumnKind: "unicodeCodePoints",
		Results:    []result{},
	}
	for _, in := range r.Inputs {
		if in.Path != "" {
			x.Artifacts = append(x.Artifacts, artifact{artifactLocation{uri(in.Path)}, map[string]string{"sha-256": in.SHA256}, []string{"analysisTarget"}})
		}
	}
	for i := range r.Rules {
		x.Tool.Driver.Rules = append(x.Tool.Driver.Rules, describe(&r.Rules[i], weaknesses, promises))
	}
	for _, f := range r.Findings {
		x.Results = append(x.Results, found(r, f))
	}
	b, err := json.MarshalIndent(log{schema, version, []run{x}}, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding report: %w", err)
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// taxa lists the weaknesses and controls that the rules speak of.
func taxa(r *finding.Report) (weaknesses, promises []descriptor) {
	var numbers []int
	var names []string
	for _, x := range r.Rules {
		numbers = append(numbers, x.CWE...)
		for _, id := range x.Controls {
			names = append(names, string(id))
		}
	}
	slices.Sort(numbers)
	slices.Sort(names)
	for _, n := range slices.Compact(numbers) {
		weaknesses = append(weaknesses, descriptor{ID: strconv.Itoa(n), HelpURI: fmt.Sprintf("https://cwe.mitre.org/data/definitions/%d.html", n)})
	}
	for _, n := range slices.Compact(names) {
		promises = append(promises, descriptor{ID: n})
	}
	return weaknesses, promises
}

func describe(x *finding.Rule, weaknesses, promises []descriptor) descriptor {
	d := descriptor{ID: x.ID, Name: x.ID, Short: &text{x.Title}, Full: &text{x.Why}, Help: &text{x.Fix}, Configuration: &configuration{level(x.Severity)}}
	if x.Why == "" {
		d.Full = nil
	}
	if x.Fix == "" {
		d.Help = nil
	}
	relate := func(taxonomy int, name string, of []descriptor, id string) {
		i := slices.IndexFunc(of, func(t descriptor) bool { return t.ID == id })
		d.Relationships = append(d.Relationships, relationship{target{id, i, reference{name, taxonomy}}, []string{"relevant"}})
	}
	tags := []string{"security"}
	for _, n := range x.CWE {
		relate(cwe, "CWE", weaknesses, strconv.Itoa(n))
		tags = append(tags, fmt.Sprintf("external/cwe/cwe-%d", n))
	}
	for _, id := range x.Controls {
		relate(controls, "Portreeve controls", promises, string(id))
	}
	for _, id := range x.OWASP2023 {
		tags = append(tags, "OWASP-"+id+":2023")
	}
	for _, id := range x.OWASP2019 {
		tags = append(tags, "OWASP-"+id+":2019")
	}
	d.Properties = map[string]any{"tags": tags, "precision": "high", "security-severity": score(x.Severity)}
	return d
}

// level is SARIF's word for a severity.
func level(s finding.Severity) string {
	switch s {
	case finding.Critical, finding.High:
		return "error"
	case finding.Medium:
		return "warning"
	case finding.Low:
		return "note"
	}
	return "none"
}

// score is the number by which code scanning views sort: the middle of the band that the severity names.
func score(s finding.Severity) string {
	return [...]string{finding.None: "0.0", finding.Low: "2.0", finding.Medium: "5.5", finding.High: "8.0", finding.Critical: "9.5"}[s]
}

func found(r *finding.Report, f finding.Finding) result {
	x := result{RuleID: f.Rule, Kind: "fail", Level: level(f.Severity), Message: text{f.Message}, Fingerprints: map[string]string{"portreeve/v1": f.Fingerprint}}
	if f.Severity == finding.None {
		x.Kind = "informational"
	}
	if i := slices.IndexFunc(r.Rules, func(rule finding.Rule) bool { return rule.ID == f.Rule }); i >= 0 {
		x.RuleIndex = &i
	}
	var at location
	switch {
	case f.Place.File != "":
		at.Physical = &physical{Artifact: artifactLocation{uri(f.Place.File)}}
		if f.Place.Line > 0 {
			at.Physical.Region = &region{f.Place.Line, f.Place.Column}
		}
	default: // a view that knows only files shows it at the document
		if i := slices.IndexFunc(r.Inputs, func(in finding.Input) bool { return in.What == "document" && in.Path != "" }); i >= 0 {
			at.Physical = &physical{Artifact: artifactLocation{uri(r.Inputs[i].Path)}}
		}
	}
	if f.Operation != "" {
		at.Logical = []logical{{f.Operation, "resource"}}
	}
	x.Locations = []location{at}
	if at.Physical == nil && at.Logical == nil {
		x.Locations = []location{}
	}
	if len(f.Proof) > 0 {
		x.Properties = map[string]any{"proof": f.Proof}
	}
	return x
}

func invoked(r *finding.Report) invocation {
	v := invocation{Successful: r.Interrupted == "", Start: stamp(r.Started), End: stamp(r.Ended)}
	if r.Interrupted != "" {
		v.Notifications = append(v.Notifications, notification{Level: "error", Message: text{"ended early: " + r.Interrupted}})
	}
	type group struct{ rule, reason string }
	counts := map[group]int{}
	var order []group
	for _, o := range r.Outcomes {
		if o.Verdict == finding.Passed || o.Verdict == finding.Failed || o.Verdict == finding.Skipped {
			continue
		}
		g := group{o.Rule, o.Reason}
		if counts[g]++; counts[g] == 1 {
			order = append(order, g)
		}
	}
	for _, g := range order {
		n := notification{"warning", text{fmt.Sprintf("not decided, %d times: %s", counts[g], g.reason)}, nil}
		if r.Rule(g.rule) != nil {
			n.Rule = &ruleTarget{g.rule}
		}
		v.Notifications = append(v.Notifications, n)
	}
	return v
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// uri is a path as a URI reference (RFC 3986): relative to where the search was run, or absolute.
func uri(path string) string {
	u := url.URL{Path: filepath.ToSlash(path)}
	if filepath.IsAbs(path) {
		u.Scheme = "file"
	}
	return u.String()
}
