package starter

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// Read reads a document from a file, and its text besides, so that what is compiled later is what was read.
func Read(path string) (*spec.Document, []byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, tree.MaxSize+1)) // what is longer is refused by the reader
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	d, err := spec.Parse(path, text)
	switch {
	case err != nil:
		return nil, nil, err
	case len(d.Operations) == 0:
		return nil, nil, &tree.Error{At: d.At("/paths"), Problem: "the document declares no operations: there is nothing to guard", Hint: "add paths first"}
	}
	return d, text, nil
}

func unreadable(path string, err error) error {
	hint := "name an OpenAPI document, openapi.yaml or openapi.json"
	if errors.Is(err, fs.ErrPermission) {
		hint = ""
	}
	return &tree.Error{At: tree.Position{File: path}, Problem: fmt.Sprintf("reading the document: %v", cause(err)), Hint: hint}
}
