// Package sqlite is the store of a single machine: API keys, users and revocations in one SQLite file in the data
// directory, written in pure Go. It is apart from package portreeve so that a program which does not need it does not
// link it.
package sqlite

import (
	"context"

	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/store/sqlite"
)

// Open opens the store, made if need be: portreeve.Load("portreeve.yaml", portreeve.WithStore(sqlite.Open)).
func Open(ctx context.Context, path string) (deployment.Store, error) {
	return sqlite.Open(ctx, path, sqlite.Options{Create: true})
}
