// Package coverage writes, as Markdown, what becomes of each line of the security guide: which controls carry it, which
// command shows each of them, and what evidence of one system says of its facets. It is a page of the project's own
// documentation; what it says of a system is that system's evidence and nothing more.
package coverage

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/control/catalogue"
	"github.com/portreeve/portreeve/internal/evidence"
)

// Command is what shows a control, as it is typed.
func Command(c *catalogue.Control) string {
	var attacks []string
	check := false
	for _, by := range c.TestedBy.By {
		kind, id, _ := strings.Cut(by, "/")
		switch kind {
		case "attack":
			attacks = append(attacks, id)
		case "check":
			check = true
		}
	}
	var commands []string
	if len(attacks) > 0 {
		commands = append(commands, "`portreeve attack --only "+strings.Join(attacks, ",")+"`")
	}
	if check {
		commands = append(commands, "`portreeve check`")
	}
	switch {
	case len(commands) > 0:
	case c.Requires(control.Declared) || c.Requires(control.Operating):
		commands = append(commands, "`portreeve prove`")
	case c.Requires(control.Tested):
		commands = append(commands, "another tool")
	default:
		commands = append(commands, "a person")
	}
	return strings.Join(commands, ", ")
}

// Write writes the page.
func Write(w io.Writer, c *catalogue.Catalogue, e *evidence.Evidence) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, `# The guide, line by line

Every line of the guide that asks for something, the controls that carry it, the command that shows each control, and its
facets on the demonstration: **declared** by document and configuration, **tested** by attack and check, **operating** by
counting the events of the run, **attested** by a person. A facet in brackets is not asked for.

This page is generated from the catalogue and from the evidence of the guarded demonstration. %d lines, %s.

The demonstration is a small API on one machine for a few minutes, over plain HTTP, and nobody has attested anything about
it: many controls must be not evidenced there. What a facet says and why stands in the report that `+"`portreeve prove`"+` writes.

| Line | The guide | Control | Declared | Tested | Operating | Attested | State | Shown by |
|---:|---|---|---|---|---|---|---|---|
`, len(c.Items), states(e))
	for _, item := range c.Items {
		line, text := fmt.Sprint(item.Line), cell(item.Text)
		for _, id := range item.Controls {
			x, r := c.Control(id), e.Control(id)
			if x == nil || r == nil {
				return fmt.Errorf("writing coverage: nothing is known of %s", id)
			}
			fmt.Fprintf(b, "| %s | %s | %s |", line, text, id)
			for _, f := range control.Facets {
				v := string(r.Of(f).Value)
				if !x.Requires(f) {
					v = "(" + v + ")"
				}
				fmt.Fprintf(b, " %s |", v)
			}
			fmt.Fprintf(b, " %s | %s |\n", r.State, Command(x))
			line, text = "", ""
		}
	}
	return b.Flush()
}

func states(e *evidence.Evidence) string {
	parts := make([]string, 0, len(control.States))
	for _, s := range control.States {
		parts = append(parts, fmt.Sprintf("%d %s", e.In(s), s))
	}
	return fmt.Sprintf("%d controls on the demonstration: %s", len(e.Controls), strings.Join(parts, ", "))
}

// cell keeps text within a cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(s)
}
