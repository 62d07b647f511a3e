// Package management is how keys, users and tokens are made and ended: an HTTP API over a deployment's state, the socket
// in its data directory that a running gate serves it on, and the client that speaks it.
//
// A command beside a running gate goes through the socket; where none runs it opens the state itself and calls the very
// same handler, so that one code path decides and every act is an event. Who asks is what the kernel says of the
// connection (SO_PEERCRED), never what the request says.
//
// It never listens on a network, never logs, and never writes a secret anywhere but into the one answer that tells it.
package management
