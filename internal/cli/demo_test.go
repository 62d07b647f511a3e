package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/demo"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/server"
)

// A guarded side that lets everything pass, and one that lets nothing pass, end in 1 and are named.
func TestDemoFails(t *testing.T) {
	for name, status := range map[string]int{"everything passes": 200, "nothing passes": 403} {
		side := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, `{"message":"the north gate is opened with the old key"}`)
		}))
		defer side.Close()
		forged, err := demo.Forge("i", "a", func(string, any) (string, error) { return "a.b.c", nil }, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var list []demo.Demonstration
		for _, d := range demo.Demonstrations(forged) {
			if d.ID == "token-none" || d.ID == "employee-reads-other" {
				list = append(list, d)
			}
		}
		ids := []demo.Identity{{Name: "alice", Token: "a.b.c"}}
		for _, asJSON := range []bool{false, true} {
			var out bytes.Buffer
			d := &demonstration{streams: Streams{Out: &out, Err: io.Discard}, demoOptions: demoOptions{once: true, json: asJSON}}
			err = d.runAll(t.Context(), demo.Endpoints{Naked: side.URL, Guarded: side.URL, Identities: ids}, list)
			var e *exitError
			if !errors.As(err, &e) || e.code != failed {
				t.Errorf("%s: %v", name, err)
			}
			var report demo.Report
			switch {
			case asJSON:
				if err := json.Unmarshal(out.Bytes(), &report); err != nil || report.Held {
					t.Errorf("%s: %v\n%s", name, err, &out)
				}
			case !strings.Contains(out.String(), "NOT AS IT MUST BE"):
				t.Errorf("%s: not named in\n%s", name, &out)
			}
		}
	}
}

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "192.0.2.1:1": false, "localhost.example:1": false, "127.0.0.1": false, "": false} {
		if got := loopback(address); got != want {
			t.Errorf("loopback(%q) = %v", address, got)
		}
	}
}

func TestDemoDirectory(t *testing.T) {
	path, clean, err := demoDirectory("")
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := clean(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the temporary directory is still there")
	}
	kept := filepath.Join(t.TempDir(), "new", "town")
	if _, clean, err = demoDirectory(kept); err != nil {
		t.Fatal(err)
	}
	if err := clean(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("a directory that was named is gone: %v", err)
	}
}

// A demonstration that is left running outlives its certificate: a new one is served in time.
func TestDemoRecertifies(t *testing.T) {
	d := &demonstration{demoOptions: demoOptions{listen: "127.0.0.1:0", naked: "127.0.0.1:0", admin: "127.0.0.1:0", tls: true}, dir: t.TempDir(), log: slog.New(slog.DiscardHandler)}
	if err := d.listeners(); err != nil {
		t.Fatal(err)
	}
	defer d.stop()
	p, err := d.plan()
	if err != nil {
		t.Fatal(err)
	}
	done := errors.New("done")
	err = serve(t.Context(), p, serving{log: d.log, who: "test", ready: func(ctx context.Context, l *server.Server, dep *deployment.Deployment) error {
		d.deployment = dep
		shown := func(at time.Time) (string, error) {
			c, err := tls.Dial("tcp", d.listen, &tls.Config{RootCAs: d.roots, Time: func() time.Time { return at }})
			if err != nil {
				return "", err
			}
			defer c.Close()
			return c.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
		}
		start := d.certified
		// The gate takes no certificate over that is not valid yet: half a day passes by the first having been made earlier.
		ago := func(t time.Duration) time.Time { d.certified = start.Add(-t); return start }
		first, err := shown(start)
		if err != nil {
			return err
		}
		if err := d.recertify(l, ago(demo.CertificateLifetime/3)); err != nil {
			return err
		}
		if again, err := shown(start); err != nil || again != first {
			t.Errorf("a young certificate was renewed, %v", err)
		}
		if err := d.recertify(l, ago(demo.CertificateLifetime*2/3)); err != nil {
			return err
		}
		if again, err := shown(start); err != nil || again == first {
			t.Errorf("an old certificate was not renewed, %v", err)
		}
		return done
	}})
	if !errors.Is(err, done) {
		t.Errorf("the run ended with %v", err)
	}
}
