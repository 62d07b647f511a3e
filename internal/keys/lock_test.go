package keys

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain stands in for the other process that some tests need.
func TestMain(m *testing.M) {
	if dir := os.Getenv("KEYS_TEST_LOCK"); dir != "" {
		if _, err := Lock(dir, "another portreeve", time.Now()); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		select {}
	}
	os.Exit(m.Run())
}

func private(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOneProcessOwnsADirectory(t *testing.T) {
	dir := private(t)
	release, err := Lock(dir, "portreeve serve", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !Owns(dir) {
		t.Error("the owner does not know that it is")
	}
	var locked *LockedError
	if _, err := Lock(dir, "second", time.Now()); !errors.As(err, &locked) || !strings.Contains(locked.Holder, "(portreeve serve)") {
		t.Errorf("a second lock: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if Owns(dir) {
		t.Error("a released directory is still owned")
	}

	// Another process has it, then is killed: nothing has to be cleaned up.
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), "KEYS_TEST_LOCK="+dir)
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the other process said %q", line)
	}
	_, err = Lock(dir, "this", time.Now())
	if want := fmt.Sprintf("process %d (another portreeve)", other.Process.Pid); !errors.As(err, &locked) || !strings.HasPrefix(locked.Holder, want) {
		t.Errorf("locked by another: %v, want %s", err, want)
	}
	if Owns(dir) {
		t.Error("what another process locked is owned by this one")
	}
	_ = other.Process.Kill()
	_ = other.Wait()
	release, err = Lock(dir, "this", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
}

func TestLockRefusesWhatOthersCanReach(t *testing.T) {
	for name, arrange := range map[string]func(t *testing.T, dir string) error{
		"a directory others may write to": func(_ *testing.T, dir string) error { return os.Chmod(dir, 0o770) },
		"no directory":                    func(_ *testing.T, dir string) error { return os.Remove(dir) },
		"a symbolic link": func(_ *testing.T, dir string) error {
			if err := os.WriteFile(filepath.Join(dir, "real"), nil, 0o600); err != nil {
				return err
			}
			return os.Symlink("real", filepath.Join(dir, lockFile))
		},
		"a pipe": func(_ *testing.T, dir string) error { return unix.Mkfifo(filepath.Join(dir, lockFile), 0o600) },
		"a file others may open": func(_ *testing.T, dir string) error {
			path := filepath.Join(dir, lockFile)
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o644))
		},
		"a file of another user": func(t *testing.T, dir string) error {
			path := filepath.Join(dir, lockFile)
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			if err := os.Chown(path, 65534, 65534); err != nil {
				t.Skip("only root can give a file away:", err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := private(t)
			if err := arrange(t, dir); err != nil {
				t.Fatal(err)
			}
			if release, err := Lock(dir, "x", time.Now()); err == nil {
				release()
				t.Error("locked")
			}
		})
	}
}
