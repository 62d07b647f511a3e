package spec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/portreeve/portreeve/internal/tree"
)

// Bounds of a document that consists of several files.
const (
	maxFiles = 10_000
	maxBytes = 64 << 20
)

// files reads what a document refers to: regular files in the document's own folder and below it, each once. Nothing is
// ever fetched, and no link leads out (os.Root).
type files struct {
	dir   string // of the document, as it was named
	root  *os.Root
	read  map[string]*file // by the path below dir, with slashes
	named map[string]*file // by the name in positions
	bytes int
}

// file is one file of the document.
type file struct {
	path string // below the document's folder
	name string // in positions
	text string // of prose; of anything else the tree alone is kept
	refs *references
	err  error // why it is of no use; said once
}

// openFiles prepares to read files beside a document, whose tree is already there.
func openFiles(document string, root *tree.Node, size int) (*files, error) {
	dir, err := os.OpenRoot(filepath.Dir(document))
	if err != nil {
		return nil, unreadable(document, "the folder of the document", err)
	}
	main := &file{path: filepath.Base(document), name: document, refs: newReferences(root)}
	return &files{dir: filepath.Dir(document), root: dir, bytes: size, read: map[string]*file{main.path: main}, named: map[string]*file{main.name: main}}, nil
}

func (f *files) close() { _ = f.root.Close() }

// scheme is what an absolute URI begins with (RFC 3986 §3.1).
var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

// beside returns the path, below the document's folder, that a reference in one file leads to. The second result says
// why it leads to no file.
func beside(from, ref string) (string, string) {
	switch {
	case ref == "":
		return from, ""
	case scheme.MatchString(ref) || strings.HasPrefix(ref, "//"):
		return "", "is not a path; nothing is read over the network or by file URL"
	case strings.ContainsRune(ref, '?'):
		return "", "has a query, which no file has"
	}
	p, err := url.PathUnescape(ref) // RFC 3986 §2.1
	switch {
	case err != nil:
		return "", "is not percent-encoded correctly"
	case strings.HasPrefix(p, "/"), strings.ContainsAny(p, "\\\x00"):
		return "", "is not a relative path"
	}
	p = path.Join(path.Dir(from), p)
	if p == ".." || strings.HasPrefix(p, "../") {
		return "", "leads out of the folder of the document"
	}
	return p, ""
}

// open reads a file once; its fault is kept with it.
func (f *files) open(p string) *file {
	if known := f.read[p]; known != nil {
		return known
	}
	got := &file{path: p, name: filepath.Join(f.dir, filepath.FromSlash(p))}
	f.read[p], f.named[got.name] = got, got
	b, err := f.content(p)
	switch ext := strings.ToLower(path.Ext(p)); {
	case err != nil:
		got.err = err
	case ext == ".md" || ext == ".txt":
		got.text = string(b)
	default:
		var root *tree.Node
		if root, got.err = tree.Parse(got.name, b); got.err == nil {
			got.refs = newReferences(root)
		}
	}
	return got
}

func (f *files) content(p string) ([]byte, error) {
	if len(f.read) > maxFiles {
		return nil, fmt.Errorf("is one file too many: a document may consist of %d", maxFiles)
	}
	opened, err := f.root.OpenFile(filepath.FromSlash(p), os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would block here for ever
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", cause(err))
	}
	defer opened.Close()
	b, err := readRegular(opened)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", cause(err))
	}
	if f.bytes += len(b); f.bytes > maxBytes {
		return nil, fmt.Errorf("makes the document larger than %d MiB", maxBytes>>20)
	}
	return b, nil
}

// cause is an error without the path, which whoever says it knows better.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// readFile reads a file that the user named: a link may lead anywhere.
func readFile(name, what string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, unreadable(name, what, err)
	}
	defer f.Close()
	b, err := readRegular(f)
	if err != nil {
		return nil, unreadable(name, what, err)
	}
	return b, nil
}

var errIrregular = errors.New("not a regular file")

// readRegular reads no more than tree.Parse would accept, and nothing of a folder, a pipe or a device.
func readRegular(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, syscall.EISDIR
	case !info.Mode().IsRegular():
		return nil, errIrregular
	case info.Size() > tree.MaxSize:
		return nil, fmt.Errorf("the file is larger than %d MiB", tree.MaxSize>>20)
	}
	b := make([]byte, 0, info.Size()+1)
	for limit := tree.MaxSize + 1; len(b) < limit; {
		if len(b) == cap(b) { // it grew, or its size is not known beforehand, as below /proc
			b = append(b, 0)[:len(b)]
		}
		n, err := f.Read(b[len(b):min(cap(b), limit)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		} else if err != nil {
			return nil, err
		}
	}
	return b, nil
}

func unreadable(name, what string, err error) error {
	e := &tree.Error{At: tree.Position{File: name}, Problem: fmt.Sprintf("reading %s: %v", what, cause(err))}
	if what == "the document" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR) || errors.Is(err, errIrregular)) {
		e.Hint = "name an OpenAPI document, openapi.yaml or openapi.json"
	}
	return e
}
