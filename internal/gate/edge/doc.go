// Package edge reads a request once and gives it ONE canonical form: the form that is matched, judged, logged and sent
// to the upstream. What two parsers could read differently is refused, never repaired (threats 1–11, 45). It finds the
// operation, or says that there is none, and decides nothing about who may call it.
package edge
