package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lines is what a process says, while it says it.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The first Ctrl-C lets a request end that hangs; the second waits for nobody, and what was recorded is whole.
func TestASecondSignalEndsTheDrain(t *testing.T) {
	entered, hang := make(chan struct{}), make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-hang
	}))
	defer api.Close()
	defer close(hang)
	dir := t.TempDir()
	document := filepath.Join(dir, "openapi.yaml")
	text := "openapi: 3.1.0\ninfo: {title: T, version: \"1\"}\npaths: {/hang: {delete: {security: [], responses: {\"204\": {description: ok}}}}}\n"
	if err := os.WriteFile(document, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var address [2]string
	for i := range address {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address[i] = l.Addr().String()
		l.Close()
	}
	var said lines
	gate := exec.Command("portreeve", "serve", "--document", document, "--upstream", api.URL, "--listen", address[0], "--admin-listen", address[1],
		"--data", filepath.Join(dir, "data"))
	gate.Stderr = &said
	if err := gate.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- gate.Wait() }()
	defer gate.Process.Kill()
	await := func(what string) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !strings.Contains(said.String(), what); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%q was never said:\n%s", what, said.String())
			}
		}
	}
	await("msg=ready")
	cut := make(chan error, 1)
	go func() {
		r, _ := http.NewRequest("DELETE", "http://"+address[0]+"/hang", nil)
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		cut <- err
	}()
	<-entered
	if err := gate.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	await("a second signal does not wait for them")
	select {
	case err := <-ended:
		t.Fatalf("the first signal cut a request: %v\n%s", err, said.String())
	default:
	}
	began := time.Now()
	if err := gate.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-ended
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v: the drain time was waited for", took)
	}
	if s, ok := gate.ProcessState.Sys().(syscall.WaitStatus); !ok || !s.Signaled() || s.Signal() != syscall.SIGINT {
		t.Errorf("it ended with %v", gate.ProcessState)
	}
	if err := <-cut; err == nil {
		t.Error("the request that was cut looked whole")
	}
	if out, err := exec.Command("portreeve", "audit", "verify", "--data", filepath.Join(dir, "data")).CombinedOutput(); err != nil || !strings.Contains(string(out), "1 operations whose outcome is unknown") {
		t.Errorf("the ledger: %v\n%s", err, out)
	}
}
