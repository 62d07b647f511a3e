// Package exchange is one request and its answer on their way through the gate. Stages meet only here: each field of an
// Exchange has one writer, named beside it, and a stage never sees another stage.
//
// The rules that make it safe are held here and nowhere else. The zero Verdict refuses. The origin (an upstream or a
// wrapped handler) writes into a Sink, never to the client; what it wrote leaves only after every step of the
// operation's chain has passed it. A refusal is a value, written in one place. The package decides nothing itself.
package exchange
