package sink

import (
	"bytes"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A real S3 server that verifies signatures is killed and comes back: the bucket holds every event, an object a batch.
func TestS3(t *testing.T) {
	path, err := exec.LookPath("versitygw")
	if err != nil {
		t.Skip("SKIPPED: an S3 server is missing: go install github.com/versity/versitygw/cmd/versitygw@latest")
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "bucket"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	var process *exec.Cmd
	kill := func() {
		if process != nil {
			process.Process.Kill()
			process.Wait()
			process = nil
		}
	}
	t.Cleanup(kill)
	start := func() {
		t.Helper()
		var said bytes.Buffer
		process = exec.Command(path, "--port", address, "--access", "gate", "--secret", "of-the-gate", "posix", "--nometa", dir)
		process.Stdout, process.Stderr = &said, &said
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if c, err := net.Dial("tcp", address); err == nil {
				c.Close()
				return
			}
			if time.Now().After(end) {
				t.Fatalf("versitygw does not listen: %s", &said)
			}
		}
	}
	start()
	b := newBook(t)
	bucket := &url.URL{Scheme: "http", Host: address, Path: "/bucket/gate"}
	s := b.ship("vault", NewS3(&http.Client{}, bucket, "us-east-1", "gate", "of-the-gate"))
	b.write(200)
	b.await(s, 200)
	kill()
	b.write(100)
	for !s.Status().Failing {
		time.Sleep(time.Millisecond)
	}
	start()
	b.await(s, 300)
	closing(t, s)
	var text []byte
	err = filepath.WalkDir(filepath.Join(dir, "bucket"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".jsonl" {
			return err
		}
		object, err := os.ReadFile(name)
		text = append(text, object...) // names sort as numbers do
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	held(t, numbers(t, text), 300)
	stranger := NewS3(&http.Client{}, bucket, "us-east-1", "gate", "another secret")
	if err := stranger.Send(t.Context(), Batch{"o", []Record{{1, []byte("{}")}}}); err == nil {
		t.Error("a wrong secret was taken")
	}
}
