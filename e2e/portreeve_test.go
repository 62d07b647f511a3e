package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must come; how fast it comes decides nothing.
const patience = 2 * time.Minute

// binary builds portreeve once, with the race detector where the tests have it.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "portreeve-e2e-")
	if err != nil {
		return "", err
	}
	args := []string{"build", "-buildvcs=false", "-o", filepath.Join(dir, "portreeve")}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/portreeve")...)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building portreeve: %w\n%s", err, out)
	}
	return filepath.Join(dir, "portreeve"), nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// run runs a command of portreeve to its end and returns what it wrote to stdout.
func run(t *testing.T, dir, stdin string, args ...string) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("portreeve %s: %v\n%s", strings.Join(args, " "), err, &errs)
	}
	return strings.TrimRight(string(out), "\n")
}

// process is a program that runs beside the test.
type process struct {
	*exec.Cmd
	ended chan struct{}
	err   error

	mu  sync.Mutex
	log bytes.Buffer
}

// Write keeps what the program says.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// start starts a program in a group of its own, and ends it, with all it started, when the test is over.
func start(t *testing.T, dir, path string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(path, args...), ended: make(chan struct{})}
	p.Dir, p.Stdout, p.Stderr = dir, p, p
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		syscall.Kill(-p.Process.Pid, syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(patience):
			syscall.Kill(-p.Process.Pid, syscall.SIGKILL)
			<-p.ended
		}
		if t.Failed() {
			said := p.said()
			t.Logf("%s said:\n%s", filepath.Base(path), said[max(0, len(said)-8000):])
		}
	})
	return p
}

// stop asks the program to end and returns how it did.
func (p *process) stop(t *testing.T) error {
	t.Helper()
	syscall.Kill(p.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.ended:
		return p.err
	case <-time.After(patience):
		return errors.New("it did not end")
	}
}

// awaitAnswer waits until the URL is answered with one of the statuses, or at all.
func (p *process) awaitAnswer(t *testing.T, url string, statuses ...int) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if resp, err := client.Get(url); err == nil {
			resp.Body.Close()
			if len(statuses) == 0 {
				return
			}
			for _, s := range statuses {
				if resp.StatusCode == s {
					return
				}
			}
		}
		select {
		case <-p.ended:
			t.Fatalf("%s ended: %v\n%s", filepath.Base(p.Path), p.err, p.said())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s did not answer at %s\n%s", filepath.Base(p.Path), url, p.said())
		}
	}
}

// freeAddress returns an address of the loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// vectors finds a file of other people's test data: below PORTREEVE_VECTORS, or in ../shared/vectors beside the checkout.
func vectors(t *testing.T, name string) string {
	t.Helper()
	for _, root := range []string{os.Getenv("PORTREEVE_VECTORS"), filepath.Join("..", "..", "shared", "vectors")} {
		if root == "" {
			continue
		}
		path, err := filepath.Abs(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Skipf("SKIPPED: the vectors %q are missing; set PORTREEVE_VECTORS to where they are", name)
	return ""
}

// cacheDir is where foreign programs are installed: kept from run to run, outside the checkout.
func cacheDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("PORTREEVE_E2E_CACHE")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			base = os.TempDir()
		}
		dir = filepath.Join(base, "portreeve-e2e")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// npm installs packages at their versions, without running any script of them, and returns the folder they are in. It
// skips the test where that cannot be done.
func npm(t *testing.T, name string, packages ...string) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: %s is not installed, so %s cannot run", program, strings.Join(packages, ", "))
		}
	}
	prefix := filepath.Join(cacheDir(t), name)
	modules, done := filepath.Join(prefix, "node_modules"), filepath.Join(prefix, "installed")
	if have, err := os.ReadFile(done); err == nil && string(have) == strings.Join(packages, " ") {
		return modules
	}
	if err := os.MkdirAll(prefix, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("npm", "install", "--prefix", prefix, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Args = append(cmd.Args, packages...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: %s could not be installed: %v: %s", strings.Join(packages, ", "), err, bytes.TrimSpace(out))
	}
	write(t, done, strings.Join(packages, " ")) // last, so that what was only half installed is not taken for whole
	return modules
}
