// Package jsonreport writes a report as JSON, the form that programs read and that proof is made of. The form is
// finding.Schema's: it grows, and nothing in it changes its meaning.
package jsonreport

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/portreeve/portreeve/internal/finding"
)

// Write writes the report, indented, with every list there: an empty one says that nothing was found, not that nothing
// is known.
func Write(w io.Writer, r *finding.Report) error {
	c := *r
	c.Inputs, c.Rules, c.Findings, c.Outcomes = list(c.Inputs), list(c.Rules), list(c.Findings), list(c.Outcomes)
	b, err := json.MarshalIndent(&c, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding report: %w", err)
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
