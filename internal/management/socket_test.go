package management

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/keys"
)

// TestMain stands in for another user's processes.
func TestMain(m *testing.M) {
	switch path := os.Getenv("MANAGEMENT_TEST_SOCKET"); os.Getenv("MANAGEMENT_TEST_AS") {
	case "client":
		c, err := net.Dial("unix", path)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Fprint(c, "GET /v1/users HTTP/1.0\r\n\r\n")
		io.Copy(os.Stdout, c)
		os.Exit(0)
	case "server":
		syscall.Umask(0o177)
		l, err := net.Listen("unix", path)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("listening")
		for {
			c, err := l.Accept()
			if err != nil {
				os.Exit(1)
			}
			c.Close()
		}
	}
	os.Exit(m.Run())
}

// asNobody runs this test binary as another user. The directory it returns is that user's.
func asNobody(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(open(t), "test")
	if err := os.WriteFile(copied, self, 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(copied)
	c.Dir = "/"
	c.Env = append(os.Environ(), "MANAGEMENT_TEST_AS="+role, "MANAGEMENT_TEST_SOCKET="+path)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return c
}

const nobody = 65534

// open is a directory that everybody can enter.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "management")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

//threat:47 the management socket from another user → refused, by mode and by the peer's id
func TestSocketIsItsOwnersAlone(t *testing.T) {
	dir := dataDir(t)
	s := newState(t, dir)
	before := syscall.Umask(0) // whatever the process's umask is
	srv, err := Start(s, nil)
	syscall.Umask(before)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, SocketFile)
	if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := os.Lstat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the place it was made in is left: %v", err)
	}
	if _, err := Listen(dir); err != nil {
		t.Errorf("the owner cannot replace its own socket: %v", err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("closing removed another's socket: %v", err)
	}
}

// The kernel says who asks. Another user is nobody here, even where the socket's mode was opened.
func TestAnotherUserIsRefused(t *testing.T) {
	dir := filepath.Join(open(t), "data")
	s := newState(t, dir)
	srv, err := Start(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	path := filepath.Join(dir, SocketFile)
	out, _ := asNobody(t, "client", path).CombinedOutput()
	if !strings.Contains(string(out), "permission denied") {
		t.Errorf("a closed socket: %s", out)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(path, 0o666)); err != nil {
		t.Fatal(err)
	}
	out, err = asNobody(t, "client", path).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "HTTP/1.0 403 Forbidden") {
		t.Errorf("an open socket: %v %s", err, out)
	}
	if _, err := Dial(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "0666") {
		t.Errorf("a client trusts an open socket: %v", err)
	}
}

// A socket that another user serves is not spoken to: passwords go over it.
func TestAnotherUsersSocketIsNotTrusted(t *testing.T) {
	theirs, dir := open(t), open(t)
	if os.Getuid() == 0 {
		if err := os.Chown(theirs, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	c := asNobody(t, "server", filepath.Join(theirs, "s"))
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Process.Kill(); _ = c.Wait() }()
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "listening\n" {
		t.Fatalf("the other process said %q", line)
	}
	if err := os.Rename(filepath.Join(theirs, "s"), filepath.Join(dir, SocketFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "served by uid 65534") {
		t.Errorf("got %v", err)
	}
}

func TestListenNeedsTheLock(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(dir); err == nil || !strings.Contains(err.Error(), "does not own") {
		t.Fatalf("without the lock: %v", err)
	}
	release, err := keys.Lock(dir, "x", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Close(), l.Close(), release()); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, SocketFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a closed socket is left: %v", err)
	}
	if _, err := Listen(dir); err == nil {
		t.Error("after the lock was given back")
	}
}

func TestWhatStandsInTheWay(t *testing.T) {
	for name, c := range map[string]struct {
		arrange func(path string) error
		listens bool
	}{
		"nothing": {func(string) error { return nil }, true},
		"a stale socket": {func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				return err
			}
			l.SetUnlinkOnClose(false)
			return errors.Join(os.Chmod(path, 0o600), l.Close())
		}, true},
		"an interrupted start": {func(path string) error {
			return errors.Join(os.Mkdir(path+".new", 0o777), os.WriteFile(filepath.Join(path+".new", SocketFile), nil, 0o666))
		}, true},
		"a file":           {func(path string) error { return os.WriteFile(path, []byte("mine"), 0o600) }, false},
		"a directory":      {func(path string) error { return os.Mkdir(path, 0o700) }, false},
		"a link to a file": {func(path string) error { return os.Symlink("/etc/passwd", path) }, false},
		"a dangling link":  {func(path string) error { return os.Symlink(filepath.Join(filepath.Dir(path), "elsewhere"), path) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := errors.Join(os.Chmod(dir, 0o700), c.arrange(filepath.Join(dir, SocketFile))); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(filepath.Join(dir, SocketFile))
			if _, err := Dial(t.Context(), dir); c.listens != errors.Is(err, ErrNotRunning) {
				t.Errorf("dialling: %v", err)
			}
			release, err := keys.Lock(dir, "x", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			l, err := Listen(dir)
			if (err == nil) != c.listens {
				t.Fatalf("listening: %v", err)
			}
			if l == nil {
				after, err := os.Lstat(filepath.Join(dir, SocketFile))
				if err != nil || !os.SameFile(before, after) {
					t.Errorf("what stood there is gone: %v", err)
				}
				if _, err := os.Lstat(filepath.Join(dir, "elsewhere")); err == nil {
					t.Error("the link was followed")
				}
				return
			}
			defer l.Close()
			if _, err := Dial(t.Context(), dir); err != nil {
				t.Error(err)
			}
		})
	}
}

// A path longer than a socket address holds works as well.
func TestLongPaths(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30), "data")
	s := newState(t, dir)
	srv, err := Start(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	must(c.Users(t.Context()))(t)
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := c.Users(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a client after the end: %v", err)
	}
	if _, err := Dial(t.Context(), filepath.Join(dir, "nowhere")); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no directory: %v", err)
	}
}

// Acts of many at once all count, and each is recorded with its outcome.
func TestManyAtOnce(t *testing.T) {
	dir := dataDir(t)
	s := newState(t, dir)
	srv, err := Start(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	const each = 10
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c, err := Dial(t.Context(), dir)
			if err != nil {
				t.Error(err)
				return
			}
			for range each {
				if _, err := c.CreateKey(t.Context(), NewKey{Owner: "svc", Purpose: "p", Expires: soon()}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if l := must(InProcess(s).Keys(context.Background(), ""))(t); len(l.Keys) != 4*each {
		t.Errorf("%d keys", len(l.Keys))
	}
	if got := acts(t, dir, "key.create"); len(got) != 2*4*each {
		t.Errorf("%d events", len(got))
	}
}
