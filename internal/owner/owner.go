// Package owner is the vocabulary of the ledger of owners: who made what through the gate. Stores keep it, the object
// stage reads it. It is a leaf: it decides nothing and keeps nothing.
package owner

import (
	"context"
	"time"
)

// Owner is who made an object: a subject, and whose subject.
type Owner struct{ Issuer, Subject string }

// Book remembers who made what through the gate. An acknowledged Claim is durable. Its errors wrap those of package store.
type Book interface {
	// Owner returns who made an object that is still there; store.ErrNotFound where nobody did.
	Owner(ctx context.Context, kind, id string) (Owner, error)
	// Claim notes who made an object. It is store.ErrConflict where it is somebody else's already, and
	// store.ErrUnavailable where there is no room for more.
	Claim(ctx context.Context, kind, id string, o Owner, at time.Time) error
	// Forget notes that an object is gone; none there is no error.
	Forget(ctx context.Context, kind, id string) error
}
