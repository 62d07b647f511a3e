package portreeve_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portreeve/portreeve"
	"github.com/portreeve/portreeve/sqlite"
)

// orders copies the sample API's document and configuration to a place where a data directory may be made.
func orders() (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "orders-*")
	if err == nil {
		err = os.CopyFS(dir, os.DirFS("testdata/orders"))
	}
	if err != nil {
		panic(err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

// show prints an answer: its status with its body, or with a refusal's reason.
func show(url string) {
	resp, err := http.Get(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	var p struct{ Reason string }
	if resp.StatusCode >= 400 && json.Unmarshal(b, &p) == nil {
		b = []byte(p.Reason)
	}
	fmt.Println(resp.StatusCode, strings.TrimSpace(string(b)))
}

func TestLoadSaysWhatIsMissing(t *testing.T) {
	dir, remove := orders()
	defer remove()
	config := filepath.Join(dir, "portreeve.yaml")
	if _, err := portreeve.Load(config); err == nil || !strings.Contains(err.Error(), "store") {
		t.Errorf("without a store: %v", err)
	}
	if err := os.WriteFile(config, []byte("version: 1\ndocument: openapi.yaml\nlimts: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := portreeve.Load(config, portreeve.WithStore(sqlite.Open))
	if err == nil || !strings.Contains(err.Error(), "portreeve.yaml:3") {
		t.Errorf("misspelt key: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "portreeve.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused start made a store: %v", err)
	}
}

func TestOneOwner(t *testing.T) {
	dir, remove := orders()
	defer remove()
	config := filepath.Join(dir, "portreeve.yaml")
	g, err := portreeve.Load(config, portreeve.WithStore(sqlite.Open))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := portreeve.Load(config, portreeve.WithStore(sqlite.Open)); err == nil || !strings.Contains(err.Error(), "in use by") {
		t.Errorf("a second gate on one data directory: %v", err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := portreeve.Load(config, portreeve.WithStore(sqlite.Open))
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	again.Close()
}

// A panic of the wrapped handler is a refusal and an event; nothing of it reaches the client.
func TestPanicInHandler(t *testing.T) {
	dir, remove := orders()
	defer remove()
	g, err := portreeve.Load(filepath.Join(dir, "portreeve.yaml"), portreeve.WithStore(sqlite.Open))
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"message": "`)
		panic("the canary sang")
	})))
	defer api.Close()
	resp, err := http.Get(api.URL + "/hello")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 500 || resp.Header.Get("Content-Type") != "application/problem+json" || strings.Contains(string(b), "canary") || strings.Contains(string(b), "message") {
		t.Errorf("got %d %s", resp.StatusCode, b)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	events, err := os.ReadFile(filepath.Join(dir, "data", "audit", "000001.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(events), `"reason":"panic"`) || strings.Contains(string(events), "canary") {
		t.Errorf("events: %s", events)
	}
}

func TestAdminAnswersItsOwnHostOnly(t *testing.T) {
	dir, remove := orders()
	defer remove()
	g, err := portreeve.Load(filepath.Join(dir, "portreeve.yaml"), portreeve.WithStore(sqlite.Open))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	admin := g.Admin("127.0.0.1:9443")
	for _, c := range []struct {
		host, origin, site string
		want               int
	}{
		{"127.0.0.1:9443", "", "", 200},
		{"LOCALHOST:9443", "", "", 200},
		{"127.0.0.1:9443", "http://127.0.0.1:9443", "same-origin", 200},
		{"evil.example:9443", "", "", 421},
		{"127.0.0.1", "", "", 421},
		{"127.0.0.1:9443", "http://evil.example", "", 403},
		{"127.0.0.1:9443", "null", "", 403},
		{"127.0.0.1:9443", "", "cross-site", 403},
	} {
		r := httptest.NewRequest("GET", "/health", nil)
		r.Host = c.host
		for name, v := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site} {
			if v != "" {
				r.Header.Set(name, v)
			}
		}
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%+v: %d", c, w.Code)
		}
	}
}
