// Package ledger keeps the record: one OCSF event a line, in segments of one directory that one process owns. A line is
// durable when Append returns; each carries its number and the hash of the one before it, so that a changed, missing or
// reordered line is found. It never holds a secret, because an event has no place for one, and it never decides anything.
package ledger
