// Package vectors finds other people's test data. The sets are not part of the project: a test that lacks one is skipped
// loudly, and says which.
package vectors

import (
	"os"
	"path/filepath"
	"testing"
)

// Path returns a file or folder of the vectors: below PORTREEVE_VECTORS, or ../shared/vectors beside the checkout. It
// skips the test where there is none.
func Path(t testing.TB, name string) string {
	t.Helper()
	roots := []string{os.Getenv("PORTREEVE_VECTORS")}
	if dir, err := os.Getwd(); err == nil {
		for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				roots = append(roots, filepath.Join(dir, "..", "shared", "vectors"))
			}
		}
	}
	for _, root := range roots {
		if root == "" {
			continue
		}
		if p := filepath.Join(root, name); exists(p) {
			return p
		}
	}
	t.Skipf("SKIPPED: the vectors %q are missing; set PORTREEVE_VECTORS to where they are", name)
	return ""
}

func exists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}

// Fetched returns a document that the end-to-end tests took from a package registry into their cache. It skips the test
// where they have not run.
func Fetched(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("PORTREEVE_E2E_CACHE")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			base = os.TempDir()
		}
		dir = filepath.Join(base, "portreeve-e2e")
	}
	p := filepath.Join(dir, "documents", name)
	if !exists(p) {
		t.Skipf("SKIPPED: the document %q is missing; go -C e2e test -run Documents fetches it", name)
	}
	return p
}
