// Package keys holds who may come to the gate with credentials of this deployment: API keys, users, revocations, and the
// secret material behind them.
//
// Manager changes them, Directory is what the gate asks: everything in memory, refreshed by polling the store, so that a
// request costs no query and a revocation by any process counts within a second. A Directory that could not refresh for
// longer than its bound answers nothing at all. Both see the store through small interfaces declared here.
//
// The package never keeps a secret it could give back: of an API key it stores an HMAC under a pepper that is not in the
// store, of a password an argon2id hash. It never decides what a credential permits, it writes no log (Manager returns
// what it did as an Act), and it knows neither SQL nor HTTP.
package keys
