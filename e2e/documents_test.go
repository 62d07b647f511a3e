package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// published are documents of other people, as a registry carries them, pinned.
var published = []struct {
	name       string // in the cache
	npm, goMod string // the package, or the module
	file       string // in it
}{
	{"github.json", "@octokit/openapi@23.0.2", "", "@octokit/openapi/generated/api.github.com.json"},
	{"stripe.yaml", "", "github.com/pb33f/libopenapi@v0.42.3", "test_specs/stripe.yaml"},
	{"docusign.json", "", "github.com/pb33f/libopenapi@v0.42.3", "test_specs/docusignv3.1.json"},
	{"kubernetes.json", "", "k8s.io/kube-openapi@v0.0.0-20260821135717-be32def86098", "pkg/openapiconv/testdata_generated_from_k8s/v3_api.v1.json"},
}

// fetch returns a published document from the cache, taken from its registry where it is not there yet. It skips the test
// where that cannot be done.
func fetch(t *testing.T, name, pkg, module, file string) string {
	t.Helper()
	dir := filepath.Join(cacheDir(t), "documents")
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var from string
	if pkg != "" {
		from = npm(t, "documents-npm", pkg)
		defer os.RemoveAll(filepath.Dir(from)) // 400 MB, of which one file is used
	} else {
		var errs bytes.Buffer
		cmd := exec.Command("go", "mod", "download", "-json", module)
		cmd.Dir, cmd.Stderr = t.TempDir(), &errs
		out, err := cmd.Output()
		var got struct{ Dir, Error string }
		if json.Unmarshal(out, &got) != nil || err != nil || got.Error != "" {
			t.Skipf("SKIPPED: %s could not be downloaded: %v: %s%s", module, err, got.Error, bytes.TrimSpace(errs.Bytes()))
		}
		from = got.Dir
	}
	text, err := os.ReadFile(filepath.Join(from, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	write(t, path+".part", string(text))
	if err := os.Rename(path+".part", path); err != nil { // last, so that half a file is never taken for whole
		t.Fatal(err)
	}
	return path
}

// TestDocuments: init on the documents people have writes a configuration that serves.
func TestDocuments(t *testing.T) {
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	serves := func(t *testing.T, document string, operations int) {
		dir := t.TempDir()
		var initialized struct {
			Counts struct{ Operations, Permissions, Public int }
		}
		begun := time.Now()
		if err := json.Unmarshal([]byte(run(t, dir, "", "init", document, "--out", dir, "--json")), &initialized); err != nil {
			t.Fatal(err)
		}
		written := time.Since(begun)
		if n := initialized.Counts.Operations; n < operations {
			t.Errorf("%d operations of %d", n, operations)
		}
		public, admin := freeAddress(t), freeAddress(t)
		config := filepath.Join(dir, "portreeve.yaml")
		text, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		moved := strings.NewReplacer(`listen: "127.0.0.1:8080"`, fmt.Sprintf("listen: %q", public), `{listen: "127.0.0.1:9443"}`, fmt.Sprintf("{listen: %q}", admin)).Replace(string(text))
		write(t, config, moved)
		begun = time.Now()
		gate := start(t, dir, bin, "serve", "--config", config)
		gate.awaitAnswer(t, "http://"+admin+"/livez", http.StatusOK)
		ready := time.Since(begun)
		resp, err := http.Get("http://" + public + "/nothing/of/the/kind/is/declared")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a path nobody declared got %d", resp.StatusCode)
		}
		peak := highWater(t, gate.Process.Pid)
		t.Attr("operations", strconv.Itoa(initialized.Counts.Operations))
		t.Attr("figures", fmt.Sprintf("init %.2f s; serve ready after %.2f s, at most %d MB resident", written.Seconds(), ready.Seconds(), peak))
		if !raceEnabled && peak > 250 { // docs/documents.md has the figures
			t.Errorf("serve held %d MB", peak)
		}
	}
	for _, d := range published {
		t.Run(d.name, func(t *testing.T) { serves(t, fetch(t, d.name, d.npm, d.goMod, d.file), 200) })
	}
	t.Run("box.json", func(t *testing.T) { serves(t, vectors(t, "documents/box.json"), 290) })
	t.Run("digitalocean", func(t *testing.T) {
		serves(t, vectors(t, "documents/digitalocean/specification/DigitalOcean-public.v2.yaml"), 659)
	})
}

// highWater is the most memory a process ever held, in MB.
func highWater(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("SKIPPED: the memory of a process cannot be read here: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kb >> 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
