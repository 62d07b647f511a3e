package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/plan"
)

// view is a plan as its facts are looked up: the document's operations, what is bound to them, and the labels of fields.
type view struct {
	plan     *plan.Plan
	ops      []*plan.Operation // of the document
	chains   map[*plan.Operation]*Chain
	byID     map[string]*plan.Operation
	lone     *Chain // of what no operation fits
	labels   labels
	approved map[*plan.Operation]bool // public, with a reason and an approver
	schemes  []string                 // types of the document's security schemes
	contact  bool                     // the document names one
	retired  int                      // deprecated operations
}

// labels count what the document says of the properties of its schemas.
type labels struct {
	properties, classed, permitted, masked, cardholder, personal, uris int
}

func newView(in *Inputs) (*view, error) {
	v := &view{plan: in.Plan, chains: map[*plan.Operation]*Chain{}, byID: map[string]*plan.Operation{}, approved: map[*plan.Operation]bool{}}
	var doc struct {
		Info struct {
			Contact map[string]any `json:"contact"`
		} `json:"info"`
		Paths      map[string]map[string]json.RawMessage `json:"paths"`
		Components struct {
			SecuritySchemes map[string]struct {
				Type string `json:"type"`
			} `json:"securitySchemes"`
		} `json:"components"`
	}
	if err := json.Unmarshal(in.Plan.Document, &doc); err != nil {
		return nil, fmt.Errorf("reading the plan's document: %w", err)
	}
	var whole any
	d := json.NewDecoder(bytes.NewReader(in.Plan.Document))
	d.UseNumber()
	if err := d.Decode(&whole); err != nil {
		return nil, fmt.Errorf("reading the plan's document: %w", err)
	}
	v.labels.count(whole)
	v.contact = len(doc.Info.Contact) > 0
	for _, s := range doc.Components.SecuritySchemes {
		v.schemes = append(v.schemes, s.Type)
	}
	for _, op := range in.Plan.Operations {
		if op.Own != "" {
			continue
		}
		v.ops = append(v.ops, op)
		v.byID[op.ID] = op
		var said struct {
			Deprecated bool `json:"deprecated"`
			Ext        struct {
				Public struct {
					Reason   string `json:"reason"`
					Approver string `json:"approver"`
				} `json:"public"`
			} `json:"x-portreeve"`
		}
		if raw := doc.Paths[op.Path][strings.ToLower(op.Method)]; raw != nil && json.Unmarshal(raw, &said) == nil {
			v.approved[op] = strings.TrimSpace(said.Ext.Public.Reason) != "" && strings.TrimSpace(said.Ext.Public.Approver) != ""
			if said.Deprecated {
				v.retired++
			}
		}
	}
	for i := range in.Chains {
		c := &in.Chains[i]
		if op := v.byID[c.Operation]; op != nil && !c.Own && op.Method == c.Method && op.Path == c.Path {
			v.chains[op] = c
		} else if c.Method == "" && c.Path == "" {
			v.lone = c
		}
	}
	if len(v.chains) != len(v.ops) {
		return nil, fmt.Errorf("looking at the gate: %d operations have steps, the plan has %d", len(v.chains), len(v.ops))
	}
	return v, nil
}

// count walks the document: what stands in an object named properties is a property, whatever encloses it.
func (l *labels) count(n any) {
	switch n := n.(type) {
	case []any:
		for _, x := range n {
			l.count(x)
		}
	case map[string]any:
		for name, x := range n {
			if props, ok := x.(map[string]any); ok && name == "properties" {
				for _, p := range props {
					l.property(p)
				}
			}
			if name != "example" && name != "examples" && name != "default" && name != "enum" && name != "const" {
				l.count(x)
			}
		}
	}
}

func (l *labels) property(p any) {
	l.properties++
	s, ok := p.(map[string]any)
	if !ok {
		return
	}
	if f, _ := s["format"].(string); f == "uri" || f == "uri-reference" || f == "iri" || f == "url" {
		l.uris++
	}
	x, ok := s["x-portreeve"].(map[string]any)
	if !ok {
		return
	}
	text := func(key string) string { t, _ := x[key].(string); return t }
	one := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	class := text("class")
	l.classed += one(class != "")
	l.permitted += one(text("permission") != "")
	l.masked += one(text("mask") != "")
	l.cardholder += one(class == "cardholder")
	l.personal += one(class == "personal" || class == "sensitive" || class == "cardholder")
}

// protected reports whether nobody gets through without a credential.
func protected(op *plan.Operation) bool { return !op.Security.Public && !op.Security.Anonymous }

// privileged reports whether an operation changes something and asks for a permission.
func privileged(op *plan.Operation) bool {
	return !slices.Contains([]string{"GET", "HEAD", "OPTIONS", "TRACE"}, op.Method) && op.Authz.Permission != ""
}

// scoped reports whether each way through an operation's security asks for a scope.
func scoped(op *plan.Operation) bool {
	for _, alternative := range op.Security.Alternatives {
		if !slices.ContainsFunc(alternative, func(s plan.SchemeScopes) bool { return len(s.Scopes) > 0 }) {
			return false
		}
	}
	return len(op.Security.Alternatives) > 0
}

// bound is how a control is bound to the document's operations.
type bound struct {
	covered, observed, total int
	missing                  []string // operations without a step for it, with the reason of the stage
	sources                  []string
	rules                    []string
}

// bound looks at the steps of a control. of says which operations it could be about; nil: all.
func (v *view) bound(id control.ID, of func(*plan.Operation) bool) bound {
	var b bound
	for _, op := range v.ops {
		if of != nil && !of(op) {
			continue
		}
		b.total++
		found, observed := false, false
		for _, s := range v.chains[op].Steps {
			if s.Absent || !slices.Contains(s.Controls, id) {
				continue
			}
			found = true
			observed = observed || s.Observe
			if text := s.Stage + ": " + s.Rule; !slices.Contains(b.rules, text) {
				b.rules = append(b.rules, text)
			}
			if s.Source != "" && !slices.Contains(b.sources, s.Source) {
				b.sources = append(b.sources, s.Source)
			}
		}
		switch {
		case observed:
			b.observed++
		case found:
			b.covered++
		default:
			b.missing = append(b.missing, op.Method+" "+op.Path)
		}
	}
	return b
}
