// Package gate obeys a plan: every request passes the twelve stages of its operation's chain, and nothing of the origin
// reaches a client that no chain allowed.
//
// # Life of a request
//
// `ls internal/gate` names the stages; order.go is their order. At load each stage binds to each operation as exactly
// one step; the steps of an operation are its chain, and `portreeve explain METHOD PATH` prints the very values that run.
//
//	client: the request
//	  │
//	  │  guard     connection and address: rate per address, bad-credential rate
//	  │  edge      one canonical form of target, query and headers; host; sizes; the operation
//	  │  cors      preflights answered; foreign origins known
//	  │  authn     API key or token becomes a principal
//	  │  throttle  rate per principal and operation
//	  │  authz     document scopes, permissions, roles, step-up
//	  │  validate  parameters, media type and body against the document
//	  │  object    ownership by the request's own ids
//	  │  upstream  whether the API answers, and bears one more
//	  │  audit     an intent is durable before the upstream is called, for sync operations
//	  │  upstream  the canonical request to the API, or the next handler
//	  ▼
//	the API, or the wrapped handler: the answer
//	  │
//	  │  upstream  status and media type as declared
//	  │  object    ownership by the answer's own bytes
//	  │  disclose  the body against its schema; undeclared and unpermitted fields leave; masks
//	  │  cors      CORS headers, on refusals too
//	  │  authn     a challenge on every 401
//	  │  throttle  RateLimit and RateLimit-Policy
//	  │  harden    security headers, no banners
//	  ▼
//	client
//	     audit     one event, whatever happened above
//
// A step that refuses ends the way in: the client gets one RFC 9457 problem, dressed by cors, throttle and harden, and
// audit closes with the event. A step that forgets its verdict refuses. A panic refuses. What was sent cannot be called
// back, so a body is held until it is judged, or judged item by item, or — where the document has no rule for it —
// copied; which of these is fixed per operation and answer at load.
//
// A Gate swaps plans whole: one exchange sees one plan. Limits, caches, the ledger and the memory budget belong to the
// Runtime, which outlives plans.
package gate
