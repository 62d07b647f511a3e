package lint

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Bounds of a search, so that a folder of anything cannot fill the memory.
const (
	maxFile  = 1 << 20
	maxTotal = 256 << 20
	maxFiles = 100_000
)

// unsearched are folders of other people's files.
var unsearched = []string{".git", ".hg", ".svn", "node_modules", "vendor", ".venv", "venv", "__pycache__", "target", ".terraform", ".idea", "site-packages"}

// gather takes a file, or all files of a folder. Links are not followed, and what is not searched is listed.
func (s *Subject) gather(root string) error {
	info, err := os.Stat(root)
	if err != nil {
		return unreadable(root, "what is to be searched", err)
	}
	if !info.IsDir() {
		return s.take(root, info)
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			s.pass(path, "it cannot be read")
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			if path != root && slices.Contains(unsearched, d.Name()) {
				s.pass(path, "a folder of other people's files")
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			s.pass(path, "it cannot be read")
			return nil
		}
		return s.take(path, info)
	})
}

func (s *Subject) pass(path, why string) { s.Passed = append(s.Passed, path+": "+why) }

// take reads one file. One that the gate reads itself is not read twice.
func (s *Subject) take(path string, info fs.FileInfo) error {
	for _, t := range s.Texts {
		if t.Kind == SourceText {
			break // those of the gate come first
		}
		if sameFile(t.File, info) {
			return nil
		}
	}
	if s.taken[path] {
		return nil
	}
	switch {
	case !info.Mode().IsRegular():
		s.pass(path, "it is no file")
		return nil
	case info.Size() > maxFile:
		s.pass(path, fmt.Sprintf("it is larger than %d MiB", maxFile>>20))
		return nil
	case s.held+info.Size() > maxTotal || len(s.Texts) >= maxFiles:
		s.pass(path, "there are too many files")
		return nil
	}
	b, err := os.ReadFile(path)
	switch {
	case err != nil:
		s.pass(path, "it cannot be read")
	case bytes.IndexByte(b[:min(len(b), 8000)], 0) >= 0:
		s.pass(path, "it is no text")
	default:
		if s.taken == nil {
			s.taken = map[string]bool{}
		}
		s.taken[path] = true
		s.held += int64(len(b))
		s.Texts = append(s.Texts, Text{path, SourceText, b})
	}
	return nil
}

func sameFile(name string, info fs.FileInfo) bool {
	other, err := os.Stat(name)
	return err == nil && os.SameFile(other, info)
}
