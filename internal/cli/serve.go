package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/acme"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/management"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/screen"
	"github.com/portreeve/portreeve/internal/server"
	"github.com/portreeve/portreeve/sqlite"
)

func newServe(s Streams) *cobra.Command {
	var src source
	var logJSON bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Guard an API: let through what its document and configuration allow",
		Long: `Serve stands in front of an API and obeys the plan that its OpenAPI document and the configuration make.

Nothing is half started: a configuration, document, secret or listener that is not in order ends in one error. SIGTERM or
Ctrl-C lets requests on their way end; SIGHUP, or portreeve reload, reads the configuration anew.`,
		Example: `  portreeve serve --config portreeve.yaml
  portreeve serve --document openapi.yaml --upstream http://127.0.0.1:9000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := src.plan(time.Now())
			if err != nil {
				return err
			}
			if p.Upstream.URL == "" {
				return usagef("%s: upstream.url is missing: serve needs an API to stand in front of\nhint: add upstream: {url: \"http://127.0.0.1:9000\"}", p.Configured)
			}
			return serve(cmd.Context(), p, serving{
				log:     newLog(s, logJSON, p.Server.Debug),
				who:     "portreeve serve",
				replace: func() (*plan.Plan, error) { return src.plan(time.Now()) },
			})
		},
	}
	src.flags(c)
	c.Flags().BoolVar(&logJSON, "log-json", false, "write the log as JSON lines")
	return c
}

// serving is what a run of the gate is given beside its plan.
type serving struct {
	log     *slog.Logger
	who     string                                                              // for whoever finds the data directory in use
	replace func() (*plan.Plan, error)                                          // reads the plan anew, for reload; nil: there is no reload
	ready   func(context.Context, *server.Server, *deployment.Deployment) error // called once everything listens; its error ends the run
}

// serve runs the gate of a plan until ctx is done. Listeners are taken first: when a port is in use, nothing has been
// made yet.
func serve(ctx context.Context, p *plan.Plan, o serving) (err error) {
	listeners, err := server.Listen(p, o.log, server.WithACME(acme.Open))
	if err != nil {
		return hintListen(err)
	}
	defer listeners.Close()
	d, err := deployment.Open(ctx, p, deployment.Options{Open: sqlite.Open, Screen: screening, Rules: deployment.RuleSet{Name: "OWASP CRS " + screen.Version, Released: screen.Released}, Log: o.log, Who: o.who})
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, d.Close())
		o.log.Info("stopped")
	}()
	debug.FreeOSMemory() // reading a large document takes several times what the gate then holds
	reload := func(ctx context.Context) error {
		next, err := o.replace()
		if err != nil {
			d.Refused(ctx, err)
			return err
		}
		if err := listeners.Check(next); err != nil {
			d.Refused(ctx, err)
			return err
		}
		if err := d.Reload(ctx, next); err != nil {
			return err
		}
		debug.FreeOSMemory()
		return listeners.Take(next)
	}
	if o.replace == nil {
		reload = nil
	} else {
		stop := onHangup(ctx, reload)
		defer stop()
	}
	acts, err := management.Start(d.State, reload)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, acts.Close()) }()
	announce(o.log, listeners, d, p)
	if o.ready == nil {
		return listeners.Serve(ctx, d, Version)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() {
		err := o.ready(ctx, listeners, d)
		cancel(err)
		done <- err
	}()
	err = listeners.Serve(ctx, d, Version)
	cancel(nil)
	return errors.Join(err, <-done)
}

// hintListen says what to do about an address that cannot be had.
func hintListen(err error) error {
	for cause, hint := range map[error]string{
		syscall.EADDRINUSE:    "another program listens there: stop it, or give another address",
		syscall.EACCES:        "ports below 1024 are for the privileged: give another one, or the program CAP_NET_BIND_SERVICE",
		syscall.EADDRNOTAVAIL: "this machine does not have that address",
	} {
		if errors.Is(err, cause) {
			return fmt.Errorf("%w\nhint: %s", err, hint)
		}
	}
	return err
}

// onHangup reloads on SIGHUP until stop is called.
func onHangup(ctx context.Context, reload func(context.Context) error) (stop func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	end := make(chan struct{})
	go func() {
		for {
			select {
			case <-hangup:
				_ = reload(ctx) // it says so itself when it is refused
			case <-end:
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangup)
		close(end)
	}
}

// announce says where everything is, and what is not as it should be.
func announce(log *slog.Logger, l *server.Server, d *deployment.Deployment, p *plan.Plan) {
	for _, u := range p.Unsafe {
		log.Warn("a protection is switched off", "switch", u.Name, "reason", u.Reason, "source", string(u.Source))
	}
	if d.Health(Version).Upstream == "unreachable" {
		log.Warn("the upstream takes no connections yet; requests are answered with 502 until it does", "upstream", p.Upstream.URL)
	}
	declared := 0
	for _, op := range p.Operations {
		if op.Own == "" {
			declared++
		}
	}
	log.Info("ready", "api", p.Title, "operations", declared, "listen", l.URL(), "upstream", p.Upstream.URL, "admin", l.Admin(),
		"data", p.Server.Data, "plan", p.Hash[:12])
}
