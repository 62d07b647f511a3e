// Package catalogue is the list of controls that a security guide asks for: of each, what declares it, what tests it, what
// shows it operating, who may attest it, and which requirements of which frameworks it contributes to. It is built in and
// has a hash, so that every report says by which list it was made.
//
// It only says what would be evidence. It judges nothing, and it never says that a requirement is met.
package catalogue

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/tree"
)

//go:embed catalogue.yaml
var text []byte

// Schema is the form of catalogue.yaml.
const Schema = "portreeve/catalogue/v1"

// Catalogue is a whole list of controls.
type Catalogue struct {
	Schema     string      `key:"schema"`
	About      About       `key:"catalogue"`
	Defaults   Defaults    `key:"defaults"`
	Frameworks []Framework `key:"frameworks"`
	Items      []Item      `key:"guide_items"`
	Controls   []Control   `key:"controls"`

	Hash string // hex SHA-256 of the text it was read from
}

// About names the catalogue.
type About struct {
	ID      string `key:"id"`
	Version string `key:"version"`
	Date    string `key:"date"`
	Source  string `key:"source"` // the guide, with its SHA-256
	Note    string `key:"note"`
}

// Defaults are how long evidence lasts, as ISO 8601 durations.
type Defaults struct {
	Tested    string `key:"tested_max_age"`
	Declared  string `key:"declared_max_age"`
	Operating string `key:"operating_period"`
	Attested  string `key:"attested_max_age"`
	Waiver    string `key:"waiver_max"`
}

// Framework is a standard or law whose requirements controls contribute to.
type Framework struct {
	ID     string `key:"id"`
	Title  string `key:"title"`
	IDForm string `key:"id_form"`
	Rights string `key:"rights"`
}

// Item is one line of the guide that asks for something.
type Item struct {
	Line      int          `key:"line"`
	Kind      string       `key:"kind"` // "bad-pattern", "checklist-before-deployment", "mapping-row", …
	Text      string       `key:"text"`
	Controls  []control.ID `key:"controls"` // those that carry it
	Framework string       `key:"framework,optional"`
	IDs       []string     `key:"correct_ids,optional"` // of that framework, in its edition of today
}

// Control is one promise.
type Control struct {
	ID             control.ID       `key:"id"`
	Group          string           `key:"group"`
	Title          string           `key:"title"`
	Requirement    string           `key:"requirement"` // what must hold, so that it can be tested
	Why            string           `key:"why"`
	Origin         string           `key:"origin"` // "guide", or "gap" where the guide forgot it
	Severity       finding.Severity `key:"severity"`
	Verify         []string         `key:"verify"` // runtime, dynamic, static, attest
	Primary        string           `key:"primary"`
	Evidence       []control.Facet  `key:"evidence"` // the facets it needs
	AppliesWhen    string           `key:"applies_when,optional"`
	Guide          Guide            `key:"guide,optional"`
	Parameters     []Parameter      `key:"parameters,optional"`
	Correction     string           `key:"correction,optional"` // where the guide's own example is wrong
	Limits         string           `key:"limits,optional"`     // what evidence for it does not show
	ContributesTo  []control.ID     `key:"contributes_to,optional"`
	FrameworksFrom control.ID       `key:"frameworks_from,optional"`
	EnforcedBy     []string         `key:"enforced_by,optional"`
	TestedBy       Tests            `key:"tested_by,optional"`
	OperatingBy    []Population     `key:"operating_by,optional"`
	AttestedBy     Attestation      `key:"attested_by,optional"`
	Mappings       []Mapping        `key:"frameworks"`
}

// Guide is where the guide speaks of a control.
type Guide struct {
	Lines []int  `key:"lines"`
	Bad   string `key:"bad,optional"`
	Good  string `key:"good,optional"`
}

// Parameter is a number a control depends on. A weaker one than Weakest makes the control undeclared.
type Parameter struct {
	Name    string `key:"name"`
	Default string `key:"default"`
	Bound   string `key:"bound"` // lte, gte, set, subset
	Weakest string `key:"weakest"`
	From    string `key:"from"` // who says so
}

// Tests say what tests a control, in words and by name.
type Tests struct {
	What string   `key:"what"`
	By   []string `key:"by"` // "attack/bola-read", "check/security-optional", "drill/…", "prove/…", "import/…"
}

// Population is what is counted to see a control operating, and what counts against it.
type Population struct {
	Population string `key:"population"`
	Exception  string `key:"exception"`
}

// Attestation is what a person would have to state.
type Attestation struct {
	Who       string `key:"who"`
	Statement string `key:"statement"`
	ValidFor  string `key:"valid_for"`
}

// Mapping lists the requirements of one framework that a control contributes to.
type Mapping struct {
	Framework string   `key:"framework"`
	IDs       []string `key:"ids"`
}

// Builtin returns the catalogue that is built in. It must not be changed.
var Builtin = sync.OnceValue(func() *Catalogue {
	c, err := Parse("catalogue.yaml", text)
	if err != nil {
		panic("catalogue: " + err.Error()) // the file is part of the program, and every build tests it
	}
	return c
})

// Text is the built-in catalogue as it is published.
func Text() []byte { return slices.Clone(text) }

// Control returns the control of that id, nil when there is none.
func (c *Catalogue) Control(id control.ID) *Control {
	i := slices.IndexFunc(c.Controls, func(x Control) bool { return x.ID == id })
	if i < 0 {
		return nil
	}
	return &c.Controls[i]
}

// Requires reports whether the control needs a facet.
func (c *Control) Requires(f control.Facet) bool { return slices.Contains(c.Evidence, f) }

// Parse reads a catalogue, strictly: an unknown field, a control that nothing defines, a framework that is not listed are
// errors with their line.
func Parse(file string, b []byte) (*Catalogue, error) {
	root, err := tree.Parse(file, b)
	if err != nil {
		return nil, err
	}
	c := new(Catalogue)
	if err := decode(root, c); err != nil {
		return nil, err
	}
	if err := c.judge(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	sum := sha256.Sum256(b)
	c.Hash = hex.EncodeToString(sum[:])
	return c, nil
}

var (
	verifications = []string{"runtime", "dynamic", "static", "attest"}
	bounds        = []string{"lte", "gte", "set", "subset"}
	testers       = []string{"attack", "check", "drill", "prove", "import"}
)

// judge holds what single fields cannot say.
func (c *Catalogue) judge() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Schema != Schema {
		fault("schema %q is not read", c.Schema)
	}
	seen := map[control.ID]bool{}
	for _, x := range c.Controls {
		if seen[x.ID] {
			fault("control %q stands twice", x.ID)
		}
		seen[x.ID] = true
	}
	known := func(of string, ids ...control.ID) {
		for _, id := range ids {
			if !seen[id] {
				fault("%s names the control %q, which does not exist", of, id)
			}
		}
	}
	framework := func(of, id string) {
		if !slices.ContainsFunc(c.Frameworks, func(f Framework) bool { return f.ID == id }) {
			fault("%s names the framework %q, which does not exist", of, id)
		}
	}
	for _, i := range c.Items {
		of := fmt.Sprintf("guide item of line %d", i.Line)
		known(of, i.Controls...)
		if len(i.Controls) == 0 {
			fault("%s is carried by no control", of)
		}
		if i.Framework != "" {
			framework(of, i.Framework)
		}
	}
	for i := range c.Controls {
		x := &c.Controls[i]
		of := string(x.ID)
		known(of, x.ContributesTo...)
		if x.FrameworksFrom != "" {
			known(of, x.FrameworksFrom)
		}
		for _, m := range x.Mappings {
			framework(of, m.Framework)
		}
		if err := x.judge(); err != nil {
			fault("%s: %w", of, err)
		}
	}
	return errors.Join(faults...)
}

func (c *Control) judge() error {
	if group, _, ok := strings.Cut(string(c.ID), "."); !ok || group != c.Group {
		return fmt.Errorf("the group is not %q", c.Group)
	}
	if c.Severity == finding.None {
		return errors.New("it has no severity")
	}
	if len(c.Verify) == 0 || !slices.Contains(c.Verify, c.Primary) {
		return errors.New("primary is not among verify")
	}
	for _, v := range c.Verify {
		if !slices.Contains(verifications, v) {
			return fmt.Errorf("verify cannot be %q", v)
		}
	}
	shown := map[control.Facet]bool{control.Declared: len(c.EnforcedBy) > 0, control.Tested: len(c.TestedBy.By) > 0,
		control.Operating: len(c.OperatingBy) > 0, control.Attested: c.AttestedBy.Who != ""}
	if len(c.Evidence) == 0 {
		return errors.New("it needs no evidence")
	}
	for _, f := range c.Evidence {
		if !shown[f] { // an unknown facet is not in the map either
			return fmt.Errorf("nothing is said about the facet %q it needs", f)
		}
	}
	for _, p := range c.Parameters {
		if !slices.Contains(bounds, p.Bound) {
			return fmt.Errorf("the bound of %s cannot be %q", p.Name, p.Bound)
		}
	}
	for _, by := range c.TestedBy.By {
		if kind, id, ok := strings.Cut(by, "/"); !ok || id == "" || !slices.Contains(testers, kind) {
			return fmt.Errorf("tested_by.by cannot be %q", by)
		}
	}
	return nil
}
