// Package store says how every store fails, so that its users decide alike whichever engine stands below. The stores
// themselves are its subpackages; none of them is imported here.
package store

import "errors"

var (
	// ErrNotFound: the row asked for does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict: what was to be made exists, or the row changed meanwhile. Nothing was written.
	ErrConflict = errors.New("conflict")
	// ErrUnavailable: the store cannot do it now (away, full, read-only, locked for too long). Nothing was acknowledged.
	ErrUnavailable = errors.New("store unavailable")
	// ErrCorrupt: the store is damaged, or is not one of ours. Waiting does not help.
	ErrCorrupt = errors.New("store corrupt")
)
