// Package demo is an API to be attacked: a small one of users, posts, reports and payments over a real database, written
// twice. Naked is every mistake that a security guide warns of; Fixed is the same API with each mistake mended. The
// OpenAPI document here describes what the API should be, the table lists what goes wrong without it, request by
// request, and Run shows it on both sides.
//
// Its faults are real: Naked must never listen where strangers are. Nothing else of Portreeve uses it, it knows nothing
// of the gate, and its people and numbers are invented.
package demo
