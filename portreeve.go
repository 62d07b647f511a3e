// Package portreeve guards an HTTP API by its own OpenAPI document: who may call, how often, with what, on which object,
// and which fields come back.
//
// Load reads a configuration and its document. The Gate it returns wraps a handler of this program, or, as a handler
// itself, stands in front of an API elsewhere. A guarded handler learns who is calling from access.From.
//
//	gate, err := portreeve.Load("portreeve.yaml", portreeve.WithStore(sqlite.Open))
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer gate.Close()
//	http.ListenAndServe("127.0.0.1:8080", gate.Wrap(mux))
//
// The package links no database: package sqlite brings the store for API keys, users, tokens and revocations. Without one
// only the tokens of configured issuers are believed.
package portreeve

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/server"
)

// Version is the library's own.
const Version = "0.1.0-dev"

// Gate is an API's guard. It is safe for concurrent use.
type Gate struct {
	deployment *deployment.Deployment
	config     string
}

// Option changes what Load does.
type Option func(*deployment.Options)

// WithStore gives the gate a database: pass sqlite.Open.
func WithStore(open deployment.Opener) Option {
	return func(o *deployment.Options) { o.Open = open }
}

// WithLogger gives the gate a place for its own log, which says what went wrong and never a secret. Without it nothing is
// logged; events go to the ledger either way.
func WithLogger(l *slog.Logger) Option {
	return func(o *deployment.Options) { o.Log = l }
}

// Load reads the configuration at a path, with its document and overlays, takes the data directory into ownership, and
// binds the gate. Nothing is half loaded: an error says what is wrong and where, one line a fault.
func Load(config string, options ...Option) (*Gate, error) {
	p, err := compile.Load(config, time.Now())
	if err != nil {
		return nil, err
	}
	o := deployment.Options{Who: "a program that embeds the gate"}
	for _, set := range options {
		set(&o)
	}
	d, err := deployment.Open(context.Background(), p, o)
	if err != nil {
		return nil, err
	}
	return &Gate{d, config}, nil
}

// Wrap guards a handler: next is called only with requests that the plan allows, and nothing it writes reaches a client
// unjudged. The ResponseWriter next gets has no Hijack or Unwrap, because those would send bytes past the gate.
func (g *Gate) Wrap(next http.Handler) http.Handler { return g.deployment.Gate.Wrap(next) }

// ServeHTTP guards the API at the configuration's upstream.url.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.deployment.Gate.ServeHTTP(w, r)
}

// Admin returns the administrator's endpoints, /livez, /readyz, /health and /metrics, for a listener at this address
// (host:port). It needs no credential, so the listener must be on loopback; it answers under no other host.
func (g *Gate) Admin(address string) http.Handler {
	return server.Admin(g.deployment, Version, address)
}

// Reload reads the configuration anew and obeys it from the next request on. On an error the old plan stays; limits and
// caches are kept either way.
func (g *Gate) Reload(ctx context.Context) error {
	p, err := compile.Load(g.config, time.Now())
	if err != nil {
		g.deployment.Refused(ctx, err)
		return err
	}
	return g.deployment.Reload(ctx, p)
}

// Close records the stop and gives the data directory back. Call it when requests have ended.
func (g *Gate) Close() error { return g.deployment.Close() }
