package lint

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/config"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// Subject is what is checked: whatever of it there is.
type Subject struct {
	Document      *spec.Document // nil: none
	Configuration *config.Config // nil: none; the built-in defaults are in Config
	Config        *config.Config // nil where there is no document
	Plan          *plan.Plan     // nil: none, or refused
	Refused       error          // why the gate would not start with these
	Texts         []Text
	Passed        []string // files that were not searched, with the reason

	inRequests, inAnswers []*schema // caches
	attacks               []string
	now                   time.Time
	taken                 map[string]bool
	held                  int64 // bytes of source
}

// Text is a file that is searched for secrets.
type Text struct {
	File string
	Kind TextKind
	Body []byte
}

// TextKind says what a file is to the gate.
type TextKind uint8

const (
	SourceText TextKind = iota
	DocumentText
	ConfigurationText
)

// Options name what is to be checked.
type Options struct {
	Config   string   // a configuration; "" for none
	Document string   // or a document alone; "" for none
	Paths    []string // files and folders to search for secrets
	Attacks  []string // ids of the attacks there are, for saying which comes next
	Now      time.Time
}

// Load reads everything. An unreadable document or configuration is an error; that the two do not fit is a finding.
func Load(o Options) (*Subject, error) {
	s := &Subject{attacks: o.Attacks, now: o.Now}
	if err := s.promised(o); err != nil {
		return nil, err
	}
	for _, p := range o.Paths {
		if err := s.gather(p); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Subject) promised(o Options) error {
	at := func(p string) string { return p }
	var overlays []string
	name := o.Document
	switch {
	case o.Config != "":
		text, err := read(o.Config, "the configuration")
		if err != nil {
			return err
		}
		if s.Configuration, err = config.Parse(o.Config, text, o.Now); err != nil {
			return err
		}
		s.Config = s.Configuration
		at = func(p string) string {
			if p == "" || filepath.IsAbs(p) {
				return p
			}
			return filepath.Join(filepath.Dir(o.Config), p)
		}
		s.Texts = append(s.Texts, Text{o.Config, ConfigurationText, text})
		name = at(s.Config.Document)
		for _, over := range s.Config.Overlays {
			overlays = append(overlays, at(over))
		}
	case o.Document != "":
		s.Config = config.Default(o.Document, "")
	default:
		return nil
	}
	over := make([]spec.Overlay, len(overlays))
	for i, f := range overlays {
		text, err := read(f, "the overlay")
		if err != nil {
			return err
		}
		over[i] = spec.Overlay{File: f, Text: text}
		s.Texts = append(s.Texts, Text{f, DocumentText, text})
	}
	text, err := read(name, "the document")
	if err != nil {
		return err
	}
	s.Texts = append(s.Texts, Text{name, DocumentText, text})
	if s.Document, err = spec.Assemble(name, text, over...); err != nil {
		return err
	}
	for _, f := range s.Document.Files {
		if text, err = read(f, "a file of the document"); err != nil {
			return err
		}
		s.Texts = append(s.Texts, Text{f, DocumentText, text})
	}
	s.Plan, s.Refused = compile.Compile(s.Config, s.Document, at)
	return nil
}

// read reads a file that is no larger than what its reader would accept.
func read(name, what string) ([]byte, error) {
	f, err := os.Open(name)
	if err == nil {
		defer f.Close()
		var b []byte
		if b, err = io.ReadAll(io.LimitReader(f, tree.MaxSize+1)); err == nil {
			return b, nil
		}
	}
	return nil, unreadable(name, what, err)
}

func unreadable(name, what string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return &tree.Error{At: tree.Position{File: name}, Problem: fmt.Sprintf("reading %s: %v", what, err)}
}

// lacks says what a rule would need and the subject has not, "" when it has all.
func (s *Subject) lacks(n need) string {
	switch {
	case n&(document|planned) != 0 && s.Document == nil:
		return "no document was given"
	case n&configuration != 0 && s.Configuration == nil:
		return "no configuration was given"
	case n&planned != 0 && s.Plan == nil:
		return "the gate refuses to start, so there is no plan"
	case n&texts != 0 && len(s.Texts) == 0:
		return "no files were given"
	}
	return ""
}

// inputs name what the search was made with.
func (s *Subject) inputs() []finding.Input {
	out := []finding.Input{}
	add := func(what, path string, text []byte) {
		sum := sha256.Sum256(text)
		out = append(out, finding.Input{What: what, Path: path, SHA256: hex.EncodeToString(sum[:])})
	}
	for _, t := range s.Texts {
		if t.Kind == ConfigurationText {
			add("configuration", t.File, t.Body)
		}
	}
	if s.Document != nil {
		out = append(out, finding.Input{What: "document", Path: s.Document.File, SHA256: s.Document.Hash})
	}
	if s.Plan != nil {
		out = append(out, finding.Input{What: "plan", SHA256: s.Plan.Hash})
	}
	return out
}

// security is what an operation asks for: its own requirements, or the document's; nil where neither says anything.
func (s *Subject) security(op *spec.Operation) *[]spec.Requirement {
	if op.Security != nil {
		return op.Security
	}
	return s.Document.Security
}

// public reports whether an operation asks for no credential at all.
func (s *Subject) public(op *spec.Operation) bool {
	list := s.security(op)
	return list != nil && len(*list) == 0
}

// operation returns what the plan has for an operation, nil where there is no plan. Operations that are one request are
// one in the plan.
func (s *Subject) operation(op *spec.Operation) *plan.Operation {
	if s.Plan == nil {
		return nil
	}
	return s.Plan.Lookup(op.Method, op.Path)
}

// reads reports whether an operation changes nothing, by its method.
func reads(op *spec.Operation) bool {
	return op.Method == "GET" || op.Method == "HEAD" || op.Method == "OPTIONS" || op.Method == "TRACE"
}

// loopback reports whether a URL stays on this machine.
func loopback(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "::1" || strings.HasPrefix(host, "127.")
}
