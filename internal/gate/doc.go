// Package gate obeys a plan: every request passes the twelve stages of its operation's chain, and nothing of the origin
// reaches a client that no chain allowed.
//
// # Life of a request
//
// `ls internal/gate` names the stages; order.go is their order. At load each stage binds to each operation as exactly
// one step; the steps of an operation are its chain, and `portreeve explain METHOD PATH` prints the very values that run.
//
//	client                                                                 client
//	  │ request                                                              ▲ answer
//	  ▼                                                                      │
//	guard     address rate, bad-credential rate                              │
//	edge      ONE canonical form; host; the operation                        │
//	cors      preflights                                      CORS headers ──┤
//	authn     key or token → principal                                       │
//	throttle  rate per principal                        RateLimit headers ──┤
//	authz     scopes, permissions, step-up                                   │
//	validate  parameters, media type, body                                   │
//	object    ownership by the request ···· ownership by the answer ▲        │
//	  │                                                             │        │
//	  │  audit: intent durable (sync operations)                    │        │
//	  ▼                                                             │        │
//	upstream  the canonical request ─────────► status, media type ──┘        │
//	disclose                                   schema, fields, masks ─┐      │
//	harden                                     security headers       ├──────┘
//	audit                                      one event              ┘
//
// A step that refuses ends the way in: the client gets one RFC 9457 problem, dressed by cors, throttle and harden, and
// audit closes with the event. A step that forgets its verdict refuses. A panic refuses. What was sent cannot be called
// back, so a body is held until it is judged, or judged item by item, or — where the document has no rule for it —
// copied; which of these is fixed per operation and answer at load.
//
// A Gate swaps plans whole: one exchange sees one plan. Limits, caches, the ledger and the memory budget belong to the
// Runtime, which outlives plans.
package gate
