package cli

import (
	"crypto/rand"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/starter"
)

func newInit(s Streams) *cobra.Command {
	var o initOptions
	c := &cobra.Command{
		Use:   "init openapi.yaml",
		Short: "Write a starter configuration for an API from its OpenAPI document",
		Long: `Init reads a document nobody has annotated and writes portreeve.yaml and security.overlay.yaml beside it: permissions
from tags and methods, owners and classes from names, roles, and whom to believe. Each guess stands with its reason, and
what is too unsure stands as a comment.

Before anything is written the two are compiled and bound as serve would: what is written starts.`,
		Example: `  portreeve init openapi.yaml
  portreeve init openapi.yaml --upstream http://127.0.0.1:9000 --out gate
  portreeve init openapi.yaml --force --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.document = args[0]
			return initialize(s, o, time.Now())
		},
	}
	f := c.Flags()
	f.StringVar(&o.upstream, "upstream", "", "`URL` of the API (default "+starter.DefaultUpstream+")")
	f.StringVar(&o.out, "out", "", "`DIR` to write into (default: where the document is)")
	f.BoolVar(&o.force, "force", false, "overwrite what is there")
	f.BoolVar(&o.json, "json", false, "print JSON")
	_ = c.MarkFlagDirname("out")
	c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt
	}
	return c
}

type initOptions struct {
	document, upstream, out string
	force, json             bool
}

// initialize proposes, proves that the proposal starts, and writes it.
func initialize(s Streams, o initOptions, now time.Time) error {
	dir := o.out
	if dir == "" {
		dir = filepath.Dir(o.document)
	}
	d, err := starter.Read(o.document)
	if err != nil {
		return err
	}
	if !o.force {
		if err := starter.Free(dir, starter.ConfigName, starter.OverlayName); err != nil {
			return err
		}
	}
	named, err := relative(dir, o.document)
	if err != nil {
		return err
	}
	p, err := starter.Propose(d, starter.Options{Document: named, Upstream: o.upstream})
	if err != nil {
		return err
	}
	made, err := p.Compile(dir, now)
	if err == nil {
		_, err = deployment.Preview(made, rand.Reader)
	}
	if err != nil {
		return exit(usage, p.Place(err)) // of this document nothing can be started, whatever the reason
	}
	files := []starter.File{{Name: starter.ConfigName, Text: p.Configuration()}, {Name: starter.OverlayName, Text: p.Overlay()}}
	if err := starter.Write(dir, o.force, files...); err != nil {
		return err
	}
	config := filepath.Join(dir, starter.ConfigName)
	if o.json {
		err = writeJSON(s, inferredOf(p, o.document, config, filepath.Join(dir, starter.OverlayName)))
	} else {
		err = printProposal(s.Out, p, config, filepath.Join(dir, starter.OverlayName))
	}
	if err != nil {
		return err
	}
	const most = 5
	for i, w := range d.Warnings {
		if i == most {
			fmt.Fprintf(s.Err, "portreeve: and %d more warnings about the document\n", len(d.Warnings)-most)
			break
		}
		fmt.Fprintf(s.Err, "portreeve: warning: %s\n", w)
	}
	fmt.Fprintf(s.Err, "portreeve: next: portreeve serve --config %s\n", config)
	return nil
}

// relative is the document's path as the configuration names it: paths there begin where the configuration is.
func relative(dir, document string) (string, error) {
	from, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", dir, err)
	}
	to, err := filepath.Abs(document)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", document, err)
	}
	named, err := filepath.Rel(from, to)
	if err != nil {
		return to, nil
	}
	return filepath.ToSlash(named), nil
}

// inferred is init --json, version 1.
type inferred struct {
	Schema     string              `json:"schema"`
	Document   string              `json:"document"`
	OpenAPI    string              `json:"openapi"`
	Files      []string            `json:"files"`
	Counts     starter.Counts      `json:"counts"`
	Operations []inferredOperation `json:"operations"`
	Fields     []inferredField     `json:"fields"`
	Roles      map[string][]string `json:"roles"`
	Decisions  []string            `json:"decisions"`
}

type inferredOperation struct {
	ID         string          `json:"id"`
	Method     string          `json:"method"`
	Path       string          `json:"path"`
	Public     bool            `json:"public"`
	Permission string          `json:"permission"` // "" where none is proposed
	Reason     string          `json:"reason"`
	Object     *inferredObject `json:"object"`
}

type inferredObject struct {
	Type   string `json:"type"`
	ID     string `json:"id"`
	Owner  string `json:"owner"`
	Unless string `json:"unless"`
	Active bool   `json:"active"` // false: a comment in the overlay
	Reason string `json:"reason"`
}

type inferredField struct {
	Pointer    string `json:"pointer"`
	Class      string `json:"class"`
	Permission string `json:"permission"`
	Mask       string `json:"mask"`
	Unmask     string `json:"unmask"`
	Active     bool   `json:"active"`
	Reason     string `json:"reason"`
}

func inferredOf(p *starter.Proposal, document string, files ...string) inferred {
	out := inferred{Schema: "portreeve/init/v1", Document: document, OpenAPI: p.OpenAPI, Files: files, Counts: p.Counts(),
		Operations: []inferredOperation{}, Fields: []inferredField{}, Roles: map[string][]string{}, Decisions: p.Decisions}
	for _, op := range p.Operations {
		x := inferredOperation{ID: op.ID, Method: op.Method, Path: op.Path, Public: op.Public, Permission: op.Permission, Reason: op.Why}
		if b := op.Object; b != nil {
			x.Object = &inferredObject{b.Type, b.ID, b.Owner, b.Unless, b.Active, b.Why}
		}
		out.Operations = append(out.Operations, x)
	}
	for _, f := range p.Fields {
		out.Fields = append(out.Fields, inferredField{f.Pointer, f.Class, f.Permission, f.Mask, f.Unmask, f.Active, f.Why})
	}
	for _, r := range p.Roles {
		list := []string{}
		for _, g := range r.Permissions {
			list = append(list, g.Permission)
		}
		out.Roles[r.Name] = list
	}
	return out
}

func printProposal(w io.Writer, p *starter.Proposal, files ...string) error {
	c := p.Counts()
	var b strings.Builder
	fmt.Fprintf(&b, "wrote %s\n\ninferred, each with its reason in the files:\n", strings.Join(files, " and "))
	fmt.Fprintf(&b, "  %4d of %d operations ask for a permission (%d did already, %d are public)\n", c.Permissions, c.Operations, c.PermissionsKept, c.Public)
	fmt.Fprintf(&b, "  %4d of them let only the owner of the object through (%d more as comments)\n", c.Objects, c.ObjectsCommented)
	fmt.Fprintf(&b, "  %4d fields have a class (%d more as comments)", c.Fields, c.FieldsCommented)
	var classes []string
	for _, class := range []string{"personal", "sensitive", "cardholder", "secret"} {
		if n := c.Classes[class]; n > 0 {
			classes = append(classes, fmt.Sprintf("%d %s", n, class))
		}
	}
	if len(classes) > 0 {
		fmt.Fprintf(&b, ": %s", strings.Join(classes, ", "))
	}
	b.WriteString("\n\nfor a person to decide:\n")
	for _, d := range p.Decisions {
		fmt.Fprintf(&b, "  - %s\n", d)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
