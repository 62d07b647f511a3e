package deployment

import (
	"context"
	"crypto/sha256"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/portreeve/portreeve/internal/certificate"
	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/plan"
)

// Certificates is what a listener says of those it shows.
type Certificates interface {
	States() []certificate.State
	Failing() bool // files are there that cannot be used
}

// Show makes health and metrics tell of a listener's certificates.
func (d *Deployment) Show(c Certificates) { d.shown.Store(&c) }

func (d *Deployment) certificates() (states []certificate.State, failing bool) {
	c := d.shown.Load()
	if c == nil {
		return []certificate.State{}, false
	}
	return (*c).States(), (*c).Failing()
}

// Alert records what somebody should look at; why is for the program's log alone.
func (d *Deployment) Alert(ctx context.Context, verb, message string, why error) {
	args := []any{"event", verb, "message", message}
	if why != nil {
		args = append(args, "cause", why.Error())
	}
	d.Log.Warn("somebody should look at this", args...)
	e := &ledger.Event{Kind: ledger.Alert, Time: d.Clock(), Verb: verb, Message: message, Plan: d.Plan().Hash}
	if err := d.Ledger.Append(context.WithoutCancel(ctx), e); err != nil {
		d.Log.Warn("an alert is not recorded", "event", verb, "cause", err.Error())
	}
}

// Note records what happened to the gate itself.
func (d *Deployment) Note(ctx context.Context, verb, message string) {
	d.Log.Info(message, "event", verb)
	if err := d.Announce(context.WithoutCancel(ctx), verb, message); err != nil {
		d.Log.Warn("an event is not recorded", "event", verb, "cause", err.Error())
	}
}

// files remembers the content of those that a plan's gate was bound with, beside the plan itself.
type files struct {
	mu      sync.Mutex
	sum     [sha256.Size]byte
	suspect [sha256.Size]byte
	told    bool
}

// named are the files whose content the gate judges peers by, or shows to the upstream.
func named(p *plan.Plan) [sha256.Size]byte {
	return certificate.Sum(p.Server.TLS.ClientCA, p.Upstream.CA, p.Upstream.Client.Cert, p.Upstream.Client.Key)
}

func (f *files) bound(p *plan.Plan) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sum, f.told = named(p), false
}

// Look binds the plan anew when files that it names were renewed. What cannot be used is said once, and the old stays: it
// must have been found so twice, since who renews writes one file after the other.
func (d *Deployment) Look(ctx context.Context) {
	p := d.Gate.Plan()
	f := &d.files
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := named(p)
	if seen == f.sum {
		return
	}
	err := d.Gate.Swap(p)
	switch {
	case err == nil:
		f.sum, f.told = seen, false
		d.probe.aim(p)
		d.Note(ctx, "trust.renewed", "renewed roots and client certificates were taken over")
	case seen != f.suspect:
		f.suspect, f.told = seen, false
	case !f.told:
		f.told = true
		d.Alert(ctx, "trust.refused", "renewed roots or client certificates cannot be used; the old ones stay", err)
	}
}

// expiry tells Prometheus when certificates end.
type expiry struct {
	of        func() ([]certificate.State, bool)
	ends, bad *prometheus.Desc
}

func newExpiry(of func() ([]certificate.State, bool)) *expiry {
	return &expiry{of, prometheus.NewDesc("portreeve_certificate_not_after_seconds", "When a certificate of the public listener ends, as Unix time.", []string{"name"}, nil),
		prometheus.NewDesc("portreeve_certificate_refused", "1 while renewed files of a certificate cannot be used and the old one stays.", nil, nil)}
}

// Describe implements prometheus.Collector.
func (e *expiry) Describe(to chan<- *prometheus.Desc) {
	to <- e.ends
	to <- e.bad
}

// Collect implements prometheus.Collector.
func (e *expiry) Collect(to chan<- prometheus.Metric) {
	states, failing := e.of()
	seen := map[string]bool{}
	for _, s := range states {
		if !seen[s.Name] && !s.Until.IsZero() {
			seen[s.Name] = true
			to <- prometheus.MustNewConstMetric(e.ends, prometheus.GaugeValue, float64(s.Until.Unix()), s.Name)
		}
	}
	bad := 0.0
	if failing {
		bad = 1
	}
	to <- prometheus.MustNewConstMetric(e.bad, prometheus.GaugeValue, bad)
}
