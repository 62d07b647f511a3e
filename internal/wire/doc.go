// Package wire reads HTTP/1.1 from a connection as RFC 9112 writes it, before net/http does. net/http repairs much that
// two parsers read differently: a bare LF ends its lines, folded lines are joined, of a length and chunks it believes the
// chunks, HTTP/1.0 may say Transfer-Encoding and is not believed. Whoever stands before or behind the gate may repair it
// otherwise, and then sees another request: that is request smuggling (CVE-2021-40346, CVE-2022-1705, CVE-2023-25725,
// CVE-2025-22871). Here nothing is repaired.
//
// A head with a fault never reaches net/http. In its place stands a small one of our own whose only field, Portreeve-Fault,
// names the fault, so that it is refused, recorded and counted like every other request; then the connection ends. From the
// first fault of a chunked body on, net/http is given what it refuses itself.
//
// The package judges framing alone: no path, no host's name, no credential. It knows nothing of HTTP/2, whose frames say
// how long everything is.
package wire
