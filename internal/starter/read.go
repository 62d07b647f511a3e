package starter

import (
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// Read reads a document that has something to guard.
func Read(path string) (*spec.Document, error) {
	d, err := spec.Load(path)
	if err == nil && len(d.Operations) == 0 {
		err = &tree.Error{At: d.At("/paths"), Problem: "the document declares no operations: there is nothing to guard", Hint: "add paths first"}
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}
