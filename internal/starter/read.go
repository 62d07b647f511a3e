package starter

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

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
		return nil, nil, bundled(path, text, err)
	case len(d.Operations) == 0:
		return nil, nil, &tree.Error{At: d.At("/paths"), Problem: "the document declares no operations: there is nothing to guard", Hint: "add paths first"}
	}
	return d, text, nil
}

// bundled says of a document that refers to other files only that: what else is wrong with it follows from there.
func bundled(path string, text []byte, err error) error {
	root, e := tree.Parse(path, text)
	if e != nil {
		return err
	}
	ref := outside(root)
	if ref == nil {
		return err
	}
	return &tree.Error{At: ref.At, Problem: fmt.Sprintf("$ref %q leads outside this file", ref.Text),
		Hint: "bundle the document into one file first, for instance: npx @redocly/cli bundle openapi.yaml -o bundled.yaml"}
}

// outside finds the first reference to another file.
func outside(n *tree.Node) *tree.Node {
	for _, m := range n.Members {
		if m.Name == "$ref" && m.Value.Kind == tree.String && !strings.HasPrefix(m.Value.Text, "#") {
			return m.Value
		}
		if ref := outside(m.Value); ref != nil {
			return ref
		}
	}
	for _, item := range n.Items {
		if ref := outside(item); ref != nil {
			return ref
		}
	}
	return nil
}

func unreadable(path string, err error) error {
	hint := "name an OpenAPI document, openapi.yaml or openapi.json"
	if errors.Is(err, fs.ErrPermission) {
		hint = ""
	}
	return &tree.Error{At: tree.Position{File: path}, Problem: fmt.Sprintf("reading the document: %v", cause(err)), Hint: hint}
}
