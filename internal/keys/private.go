package keys

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxPrivate bounds a file of key material.
const maxPrivate = 1 << 20

// privateDir makes the directory, or checks that nobody else may put files into it.
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making data directory: %w", err)
	}
	return CheckDirectory(dir)
}

// CheckDirectory fails unless the data directory exists and only its owner can put files into it: who else could, could
// replace a key, the store or the admin socket.
func CheckDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("checking data directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("data directory %s is not a directory", dir)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("data directory %s has mode %04o: others may write to it; use chmod 700 %s", dir, info.Mode().Perm(), dir)
	}
	return nil
}

// readPrivate reads a regular file that only its owner may read.
func readPrivate(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("reading key material: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading key material: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("reading key material: %s is not a regular file", path)
	case info.Mode().Perm()&^0o600 != 0:
		return nil, fmt.Errorf("key material %s has mode %04o, wider than 0600: others may have read it; use chmod 600 %s", path, info.Mode().Perm(), path)
	case info.Size() > maxPrivate:
		return nil, fmt.Errorf("reading key material: %s is larger than %d bytes", path, maxPrivate)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("reading key material: %w", err)
	}
	return b, nil
}

// writePrivate makes a new file, whole and durable or not at all; it never replaces one.
func writePrivate(path string, content []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing key material: %w", err)
		}
	}()
	draft := path + ".new"
	if err := os.Remove(draft); err != nil && !os.IsNotExist(err) { // of a start that was interrupted
		return err
	}
	f, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(draft)
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := os.Link(draft, path); err != nil { // unlike a rename, fails when path exists
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
