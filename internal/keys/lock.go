package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// LockedError says that another process owns the data directory.
type LockedError struct {
	Dir    string
	Holder string // "process 4711 (portreeve serve) since 2026-01-02T15:04:05Z", or "another process"
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("data directory %s is in use by %s", e.Dir, e.Holder)
}

const lockFile = "lock"

// Lock makes this process the owner of a data directory, which must exist, until release is called or the process ends,
// however it ends. It fails with a *LockedError when another one is. who says what this process is doing, for that error
// there; it must hold no secret, nor come from arguments that may.
func Lock(dir, who string, now time.Time) (release func() error, err error) {
	if err := CheckDirectory(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking data directory: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("locking data directory: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("locking data directory: %s is not a regular file", path)
	case info.Mode().Perm()&^0o600 != 0: // whoever can open it can lock it, and so keep the gate from starting
		return nil, fmt.Errorf("locking data directory: %s has mode %04o, wider than 0600: use chmod 600 %s", path, info.Mode().Perm(), path)
	}
	// Files that one user makes in another's directory keep that one from starting: root must not, by a command beside a
	// service that just happens not to run.
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != uint32(os.Geteuid()) {
		return nil, fmt.Errorf("locking data directory: %s is used by uid %d, and this process is uid %d: run it as that user", dir, owner, os.Geteuid())
	}
	switch err := flock(f); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, &LockedError{dir, holder(f)}
	case err != nil:
		return nil, fmt.Errorf("locking data directory %s: %w", dir, err)
	}
	// What follows is only for people: the lock is the flock, and the file stays when it is released.
	note := fmt.Sprintf("process %d (%s) since %s\n", os.Getpid(), who, now.UTC().Format(time.RFC3339))
	if err := f.Truncate(0); err != nil {
		return nil, fmt.Errorf("writing %s: %w", path, err)
	}
	if _, err := f.WriteAt([]byte(note), 0); err != nil {
		return nil, fmt.Errorf("writing %s: %w", path, err)
	}
	held.Store(f, info)
	return func() error {
		held.Delete(f)
		return f.Close()
	}, nil
}

// held are the lock files that this process has: a flock belongs to a process as this does.
var held sync.Map // *os.File to fs.FileInfo

// Owns reports whether this process owns the data directory now.
func Owns(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, lockFile))
	if err != nil {
		return false
	}
	owns := false
	held.Range(func(_, h any) bool {
		owns = os.SameFile(info, h.(fs.FileInfo))
		return !owns
	})
	return owns
}

func flock(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func holder(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 512))
	if line, _, _ := bytes.Cut(b, []byte("\n")); err == nil && len(line) > 0 {
		return string(line)
	}
	return "another process"
}
