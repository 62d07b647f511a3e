package deployment

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/portreeve/portreeve/internal/gate"
	"github.com/portreeve/portreeve/internal/gate/audit"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/sink"
)

// Deployment is a gate on its state.
type Deployment struct {
	*State
	Gate    *gate.Gate
	Metrics *prometheus.Registry

	rules    RuleSet
	runtime  *gate.Runtime
	reload   prometheus.Gauge
	probe    *probe
	draining atomic.Bool

	connections func() Connections // nil: somebody else listens
	shown       atomic.Pointer[Certificates]
	sinks       []*sink.Shipper
	published   uint64 // lines of the ledger, with the checkpoint that was told last
	files       files
}

// Open opens the plan's state and binds its gate. Nothing is half open when it fails, and a first start that fails for
// the plan's sake leaves no data directory behind.
func Open(ctx context.Context, p *plan.Plan, o Options) (*Deployment, error) {
	if _, err := os.Stat(p.Server.Data); errors.Is(err, fs.ErrNotExist) {
		if err := rehearse(p, o); err != nil {
			return nil, err
		}
	}
	s, err := OpenState(ctx, p, o)
	if err != nil {
		return nil, err
	}
	d := &Deployment{State: s, Metrics: prometheus.NewRegistry(), probe: newProbe(p), rules: o.Rules}
	d.register()
	d.runtime, err = gate.NewRuntime(gate.Lent{Ledger: s.Ledger, Metrics: audit.NewMetrics(d.Metrics), Clock: s.Clock, Log: s.Log,
		Directory: s.Directory, Signer: s.Signer, Owners: s.Owners, Held: p.Server.Held, Screen: o.Screen})
	if err != nil {
		s.Close()
		return nil, err
	}
	s.closers = append(s.closers, func() error {
		d.runtime.Close()
		return nil
	})
	d.runtime.Health = d.word
	if d.Gate, err = gate.New(p, d.runtime); err != nil {
		s.Close()
		return nil, err
	}
	d.files.bound(p)
	if err := s.Announce(ctx, "start", "the gate obeys plan "+p.Hash); err != nil {
		s.Close()
		return nil, err
	}
	if err := d.startSinks(p); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// rehearse binds the plan to nothing that lasts.
func rehearse(p *plan.Plan, o Options) error {
	if o.Open == nil && p.Identity.Embedded != nil {
		return nil // Open says better what is missing
	}
	_, err := Preview(p, rand.Reader)
	return err
}

// register adds what is not counted per request.
func (d *Deployment) register() {
	d.reload = prometheus.NewGauge(prometheus.GaugeOpts{Name: "portreeve_last_reload_successful", Help: "1 when the last reload was taken over, 0 when the old plan was kept."})
	d.reload.Set(1)
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	counter := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f)
	}
	d.Metrics.MustRegister(d.reload, newExpiry(d.certificates), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		counter("portreeve_ledger_events_total", "Events written to the ledger.", func() float64 { return float64(d.Ledger.Stats().Appended) }),
		counter("portreeve_ledger_lost_total", "Events the ledger had no room for.", func() float64 { return float64(d.Ledger.Stats().Lost) }),
		gauge("portreeve_ledger_queued", "Events waiting to be written.", func() float64 { return float64(d.Ledger.Stats().Queued) }),
		gauge("portreeve_ledger_failed", "1 when the last write failed: operations that must be recorded first are refused.", func() float64 {
			if d.Ledger.Stats().Failed {
				return 1
			}
			return 0
		}),
		gauge("portreeve_upstream_breaker_open", "1 while the upstream is left alone because it did not answer; 0.5 while one request tries again.", func() float64 {
			return map[string]float64{"open": 1, "half-open": 0.5}[d.Gate.Capacity().Breaker.State()]
		}),
		counter("portreeve_upstream_breaker_opened_total", "How often the upstream's circuit breaker opened.", func() float64 { return float64(d.Gate.Capacity().Breaker.Trips()) }),
		gauge("portreeve_upstream_calls", "Requests that are with the upstream now, until the head of its answer.", func() float64 { return float64(d.Gate.Capacity().Load.InFlight()) }),
		gauge("portreeve_upstream_calls_limit", "How many requests may be with the upstream at once, as found out by its answers' times.", func() float64 { return float64(d.Gate.Capacity().Load.Limit()) }),
		counter("portreeve_upstream_shed_total", "Requests that were refused because as many as the upstream bears were with it.", func() float64 { return float64(d.Gate.Capacity().Load.Shed()) }))
}

// Reload provisions a new plan fully and then obeys it; on an error the old one stays. What only a start can change is
// an error, never half taken over.
func (d *Deployment) Reload(ctx context.Context, p *plan.Plan) (err error) {
	defer func() {
		if err != nil {
			d.Refused(ctx, err)
		}
	}()
	old := d.Gate.Plan()
	for _, fixed := range []struct{ name, old, new string }{
		{"listen", old.Server.Listen, p.Server.Listen},
		{"admin.listen", old.Server.Admin, p.Server.Admin},
		{"data", old.Server.Data, p.Server.Data},
		{"store.sqlite", old.Server.Store.SQLite, p.Server.Store.SQLite},
		{"audit.dir", old.Audit.Dir, p.Audit.Dir},
		{"staleness", old.Staleness.String(), p.Staleness.String()},
		{"tls", onOff(old.Server.TLS.On()), onOff(p.Server.TLS.On())},
		{"plain.listen", old.Server.Plain, p.Server.Plain},
		{"tls.acme", acme(old), acme(p)},
		{"timeouts.header", old.Server.Header.String(), p.Server.Header.String()},
		{"timeouts.idle", old.Server.Idle.String(), p.Server.Idle.String()},
		{"timeouts.rate", strconv.FormatInt(old.Server.Rate, 10), strconv.FormatInt(p.Server.Rate, 10)},
		{"limits.connections and limits.http2", fmt.Sprint(connections(old)), fmt.Sprint(connections(p))},
		{"timeouts.drain", old.Server.Drain.String(), p.Server.Drain.String()},
		{"sizes.held", strconv.FormatInt(old.Server.Held, 10), strconv.FormatInt(p.Server.Held, 10)},
		{"sizes.header", strconv.Itoa(old.Edge.MaxHeaderBytes), strconv.Itoa(p.Edge.MaxHeaderBytes)},
		{"audit.sinks", fmt.Sprint(len(old.Audit.Sinks)), fmt.Sprint(len(p.Audit.Sinks))},
		{"audit.queue", strconv.Itoa(old.Audit.Queue), strconv.Itoa(p.Audit.Queue)},
		{"debug", strconv.FormatBool(old.Server.Debug), strconv.FormatBool(p.Server.Debug)},
	} {
		if fixed.old != fixed.new {
			return fmt.Errorf("%s changed from %s to %s: restart to take that over", fixed.name, fixed.old, fixed.new)
		}
	}
	if err := d.Gate.Swap(p); err != nil {
		return err
	}
	d.State.take(p)
	d.files.bound(p)
	d.probe.aim(p)
	d.reload.Set(1)
	d.Log.Info("reloaded", "plan", p.Hash, "operations", len(p.Operations))
	return d.Announce(ctx, "reload", "the gate obeys plan "+p.Hash)
}

// connections are the caps of a plan, wherever they were written.
func connections(p *plan.Plan) []any {
	c := p.Guard.Connections
	return []any{c.Address, c.Total, c.Streams, c.Resets.Text, c.Control.Text}
}

func acme(p *plan.Plan) string {
	a := p.Server.TLS.ACME
	if a == nil {
		return "none"
	}
	return strings.Join(append([]string{a.Directory, a.Email, a.CA}, a.Domains...), " ")
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// Refused says everywhere that a reload was refused and the old plan is kept; why is for the log alone.
func (d *Deployment) Refused(ctx context.Context, why error) {
	d.reload.Set(0)
	d.Log.Error("reload refused; the old plan is kept", "plan", d.Gate.Plan().Hash, "cause", why.Error())
	if err := d.Announce(ctx, "reload", "refused; the old plan is kept"); err != nil {
		d.Log.Warn("the refused reload is not recorded", "cause", err.Error())
	}
}

// Cut records that the server refused or ended a connection, and why.
func (d *Deployment) Cut(from netip.Addr, verb, reason string) {
	d.runtime.Cut(d.Gate.Plan(), from, verb, reason)
}

// Budget is of all bytes that may be held in memory at once.
func (d *Deployment) Budget() *exchange.Budget { return d.runtime.Budget }

// Drain makes Ready say no, so that a load balancer sends requests elsewhere while those on their way end.
func (d *Deployment) Drain() { d.draining.Store(true) }

// Close announces the stop and closes the state. Requests must have ended.
func (d *Deployment) Close() error {
	_ = d.Announce(context.Background(), "stop", "")
	return errors.Join(d.farewell(), d.State.Close())
}

// ControlState says how a control stands in the plan that is obeyed now.
type ControlState struct {
	ID         string `json:"id"`
	State      string `json:"state"`      // "enforced", or "observing" where some operation only watches
	Operations int    `json:"operations"` // that have a step for it
}

// Controls lists the controls that some step enforces, by id.
func (d *Deployment) Controls() []ControlState {
	byID := map[string]*ControlState{}
	for _, chain := range d.Gate.Chains() {
		for _, step := range chain.Steps {
			if step.Absent {
				continue
			}
			for _, id := range step.Controls {
				c := byID[string(id)]
				if c == nil {
					c = &ControlState{ID: string(id), State: "enforced"}
					byID[string(id)] = c
				}
				c.Operations++
				if step.Observe {
					c.State = "observing"
				}
			}
		}
	}
	out := make([]ControlState, 0, len(byID))
	for _, c := range byID {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b ControlState) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out
}
