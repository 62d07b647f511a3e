package starter

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is one file to be written.
type File struct {
	Name string
	Text []byte
}

// ExistsError is a file that would have been overwritten.
type ExistsError struct{ Path string }

func (e *ExistsError) Error() string {
	return e.Path + ": is there already\n  hint: --force overwrites it, --out writes elsewhere"
}

// BadInput marks it as the user's to mend.
func (e *ExistsError) BadInput() bool { return true }

// Free reports, as an *ExistsError, the first of the names that dir has already.
func Free(dir string, names ...string) error {
	for _, name := range names {
		path := filepath.Join(dir, name)
		switch _, err := os.Lstat(path); {
		case err == nil:
			return &ExistsError{path}
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("writing %s: %w", path, cause(err))
		}
	}
	return nil
}

// Write writes files into dir, which it makes if need be: all of them or none. Nothing is overwritten unless force is
// given, and whoever reads meanwhile sees a whole file, the old or the new.
func Write(dir string, force bool, files ...File) (err error) {
	made, err := makeDir(dir)
	if err != nil {
		return err
	}
	var undo []string
	defer func() {
		if err == nil {
			return
		}
		for _, path := range undo {
			os.Remove(path)
		}
		if made {
			os.Remove(dir)
		}
	}()
	temporary := make([]string, len(files))
	for i, f := range files {
		path := filepath.Join(dir, f.Name)
		if info, e := os.Lstat(path); e == nil && info.IsDir() {
			return fmt.Errorf("writing %s: is a directory", path)
		}
		temporary[i] = filepath.Join(dir, "."+f.Name+"."+rand.Text()[:8])
		undo = append(undo, temporary[i])
		if e := writeNew(temporary[i], f.Text); e != nil {
			return fmt.Errorf("writing %s: %w", path, cause(e))
		}
	}
	for i, f := range files {
		path := filepath.Join(dir, f.Name)
		if force {
			err = os.Rename(temporary[i], path)
		} else if err = place(temporary[i], path); err == nil {
			undo = append(undo, path)
		}
		switch {
		case errors.Is(err, fs.ErrExist) && !force:
			return &ExistsError{path}
		case err != nil:
			return fmt.Errorf("writing %s: %w", path, cause(err))
		}
	}
	return nil
}

// place gives a file its name where nothing has it. A link fails where something is, as a rename does not; where the file
// system has no links, looking first is the best there is.
func place(temporary, path string) error {
	switch err := os.Link(temporary, path); {
	case err == nil:
		return os.Remove(temporary)
	case errors.Is(err, fs.ErrExist):
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	return os.Rename(temporary, path)
}

func makeDir(dir string) (made bool, err error) {
	if err = os.Mkdir(dir, 0o755); err == nil {
		return true, nil
	}
	info, e := os.Stat(dir)
	switch {
	case e != nil:
		return false, fmt.Errorf("making %s: %w", dir, cause(err))
	case !info.IsDir():
		return false, fmt.Errorf("writing into %s: is not a directory", dir)
	}
	return false, nil
}

// writeNew writes a file that is not there yet.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if e := f.Sync(); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// cause is what the system said, without the path, which the message has already.
func cause(err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}
