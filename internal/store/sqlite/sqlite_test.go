package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/portreeve/portreeve/internal/store/storetest"
)

type database string

func (d database) Open(t testing.TB) storetest.Store {
	t.Helper()
	s, err := Open(t.Context(), string(d), Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Database { return database(filepath.Join(t.TempDir(), "portreeve.db")) })
}
