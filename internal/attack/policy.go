package attack

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/config"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/spec"
)

// Policy is what a configuration promises beyond the document: it makes the attack's oracle sharper. nil promises nothing.
type Policy struct {
	Roles      map[string][]string // permissions; `*` is exactly one segment, a lone "*" all but portreeve:
	Security   []spec.Requirement  // of operations that say nothing
	Origins    []string            // foreign origins that may read
	Refuses    bool                // what a request brings and the document does not declare
	Principal  Limit
	Failures   Limit
	Operations map[string]Limit // by operationId
}

// Limit is never more than Count in any Window; the zero value is none.
type Limit struct {
	Count  int
	Window time.Duration
}

func (l Limit) set() bool { return l.Count > 0 }

func (l Limit) String() string { return fmt.Sprintf("%d in %s", l.Count, span(l.Window)) }

// span writes a duration without its zeros.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Promise is what is attacked: a document, and the policy of a configuration if there is one.
type Promise struct {
	Document *spec.Document
	Policy   *Policy
	Inputs   []finding.Input
}

// Load reads a document, a configuration, or both. Without a document the configuration's own is read, with its
// overlays; with one, the configuration gives the policy alone.
func Load(document, configuration string, now time.Time) (*Promise, error) {
	p := new(Promise)
	var overlays []string
	if configuration != "" {
		c, err := config.Load(configuration, now)
		if err != nil {
			return nil, err
		}
		p.Policy = policyOf(c)
		if err := p.input("configuration", configuration); err != nil {
			return nil, err
		}
		if document == "" {
			at := func(name string) string {
				if filepath.IsAbs(name) {
					return name
				}
				return filepath.Join(filepath.Dir(configuration), name)
			}
			document = at(c.Document)
			for _, o := range c.Overlays {
				overlays = append(overlays, at(o))
			}
		}
	}
	d, err := spec.Load(document, overlays...)
	if err != nil {
		return nil, err
	}
	p.Document = d
	p.Inputs = append(p.Inputs, finding.Input{What: "document", Path: document, SHA256: d.Hash})
	return p, nil
}

func (p *Promise) input(what, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the %s: %w", what, err)
	}
	sum := sha256.Sum256(b)
	p.Inputs = append(p.Inputs, finding.Input{What: what, Path: path, SHA256: hex.EncodeToString(sum[:])})
	return nil
}

func policyOf(c *config.Config) *Policy {
	limit := func(l config.Limit) Limit { return Limit{l.Count, l.Window} }
	p := &Policy{Roles: c.Roles, Origins: c.CORS.AllowOrigins, Refuses: c.Undeclared.Request == "refuse", Principal: limit(c.Limits.Principal),
		Failures: limit(c.Limits.Failures), Operations: map[string]Limit{}}
	for id, l := range c.Limits.Operations {
		p.Operations[id] = limit(l)
	}
	for _, r := range c.DefaultSecurity {
		var out spec.Requirement
		for _, s := range r {
			out = append(out, spec.SchemeScopes{Scheme: s.Scheme, Scopes: s.Scopes})
		}
		p.Security = append(p.Security, out)
	}
	return p
}

// answer to a question about a permission, of which the policy may know nothing.
type knowledge uint8

const (
	unknown knowledge = iota
	no
	yes
)

// grants says whether a role carries a permission.
func (p *Policy) grants(role, permission string) knowledge {
	if permission == "" {
		return yes
	}
	if p == nil || role == "" {
		return unknown
	}
	for _, granted := range p.Roles[role] {
		if covers(granted, permission) {
			return yes
		}
	}
	return no
}

// covers reports whether a granted pattern holds a permission.
func covers(granted, permission string) bool {
	if granted == "*" {
		return !strings.HasPrefix(permission, "portreeve:")
	}
	g, p := strings.Split(granted, ":"), strings.Split(permission, ":")
	return slices.EqualFunc(g, p, func(a, b string) bool { return a == "*" || a == b })
}
