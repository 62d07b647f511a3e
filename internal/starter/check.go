package starter

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/config"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/schema"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// Compile makes the plan of what would be written, held in memory, over the document as it was read; dir is where the
// files will be.
func (p *Proposal) Compile(dir string, now time.Time) (*plan.Plan, error) {
	c, err := config.Parse(filepath.Join(dir, ConfigName), p.Configuration(), now)
	if err != nil {
		return nil, err
	}
	d := p.doc
	if p.annotates() {
		if d, err = d.Overlaid(spec.Overlay{File: filepath.Join(dir, OverlayName), Text: p.Overlay()}); err != nil {
			return nil, err
		}
	}
	return compile.Compile(c, d, func(s string) string {
		if s == "" || filepath.IsAbs(s) {
			return s
		}
		return filepath.Join(dir, s)
	})
}

// Place gives an error of the schema engine, which knows pointers, its line in the document.
func (p *Proposal) Place(err error) error {
	var fault *schema.CompileError
	if !errors.As(err, &fault) {
		return err
	}
	return &tree.Error{At: p.doc.At(fault.Pointer), Problem: "the schema cannot be judged, so that nothing it describes could be: " + fault.Detail,
		Hint: "mend it there, or take it out with an overlay; it stands at #" + fault.Pointer}
}
