package deployment

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/portreeve/portreeve/internal/certificate"
	"github.com/portreeve/portreeve/internal/gate/upstream"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/sink"
)

// Health is what /health says: the parts, and the worst of them.
type Health struct {
	Status       string              `json:"status"` // "ok", "degraded" (some requests are refused), "unavailable" (all are)
	Timestamp    time.Time           `json:"timestamp"`
	Version      string              `json:"version"`
	Database     string              `json:"database"`   // "ok", "stale", "none"
	Cache        string              `json:"cache"`      // "memory"
	Upstream     string              `json:"upstream"`   // "ok", "unreachable", "untrusted" (its certificate), "failing" (the breaker is open), "none"
	Ledger       string              `json:"ledger"`     // "ok", "failed"
	Checkpoint   uint64              `json:"checkpoint"` // lines of the ledger that are signed
	Sinks        []sink.Status       `json:"sinks"`
	Plan         string              `json:"plan"`
	Certificates []certificate.State `json:"certificates"` // of the public listener
	Unsafe       []string            `json:"unsafe"`       // protections that are switched off
	Controls     []ControlState      `json:"controls"`

	Screen      *Screening   `json:"screen,omitempty"` // none where nothing is screened
	Calls       Calls        `json:"calls"`
	Connections *Connections `json:"connections,omitempty"` // of the public listener; none where the gate is part of another program
}

// Screening is what free text is judged by.
type Screening struct {
	Rules      string `json:"rules"`    // release of the rule set
	Age        int    `json:"age_days"` // since it was released
	Paranoia   int    `json:"paranoia"`
	Operations int    `json:"operations"`
}

// Calls is what the upstream bears now.
type Calls struct {
	Breaker  string `json:"breaker"`   // "closed", "half-open", "open"
	InFlight int64  `json:"in_flight"` // until the head of the answer
	Limit    int64  `json:"limit"`     // how many may be, as found out
	Shed     uint64 `json:"shed"`      // refused because there were as many
}

// Connections is how the public listener stands: what is open, and the caps that run. A zero is no cap.
type Connections struct {
	Open       int `json:"open"`
	PerAddress int `json:"per_address"`
	Total      int `json:"total"`
}

// Watch lets a server say how its connections stand.
func (d *Deployment) Watch(f func() Connections) {
	d.connections = f
	gauge := func(name, help string, n func(Connections) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(n(f())) })
	}
	d.Metrics.MustRegister(
		gauge("portreeve_connections_open", "Connections to the public listener.", func(c Connections) int { return c.Open }),
		gauge("portreeve_connections_max", "Connections that may be open at once; 0 is no cap.", func(c Connections) int { return c.Total }))
}

// Health asks every part. The upstream is asked for a connection at most every two seconds.
func (d *Deployment) Health(version string) Health {
	p := d.Gate.Plan()
	h := Health{Status: "ok", Timestamp: d.Clock().UTC(), Version: version, Database: "none", Cache: "memory", Ledger: "ok",
		Upstream: d.probe.ask(d.Clock()), Plan: p.Hash, Controls: d.Controls(), Unsafe: []string{}}
	if p.Screens() {
		h.Screen = &Screening{Rules: d.rules.Name, Age: int(d.Clock().Sub(d.rules.Released).Hours() / 24), Paranoia: p.Screen.Paranoia}
		for _, op := range p.Operations {
			if op.Screen {
				h.Screen.Operations++
			}
		}
	}
	calls := d.Gate.Capacity()
	h.Calls = Calls{calls.Breaker.State(), calls.Load.InFlight(), calls.Load.Limit(), calls.Load.Shed()}
	if h.Calls.Breaker == "open" && h.Upstream == "ok" {
		h.Upstream = "failing"
	}
	if d.connections != nil {
		c := d.connections()
		h.Connections = &c
	}
	for _, s := range p.Unsafe {
		h.Unsafe = append(h.Unsafe, s.Name)
	}
	if d.Directory != nil {
		h.Database = "ok"
		if d.Directory.Fresh(d.Clock()) != nil {
			h.Database = "stale"
		} else if _, failure := d.Directory.State(); failure != nil {
			h.Database = "failing"
		}
	}
	stats := d.Ledger.Stats()
	if stats.Failed {
		h.Ledger = "failed"
	}
	h.Checkpoint, h.Sinks = stats.Checkpoint.Size, []sink.Status{}
	var failing bool
	h.Certificates, failing = d.certificates()
	failing = failing || stats.SealErr != nil
	for _, s := range d.sinks {
		st := s.Status()
		h.Sinks = append(h.Sinks, st)
		failing = failing || st.Failing
	}
	switch {
	case h.Upstream == "unreachable" || h.Upstream == "untrusted" || h.Upstream == "failing" || h.Database == "stale":
		h.Status = "unavailable"
	case h.Ledger != "ok" || h.Database == "failing" || failing || slices.ContainsFunc(h.Certificates, func(c certificate.State) bool { return c.Word != certificate.Good }):
		h.Status = "degraded"
	}
	return h
}

// Ready reports whether requests can be answered now; what is missing otherwise.
func (d *Deployment) Ready() (missing []string) {
	h := d.Health("")
	if d.draining.Load() {
		missing = append(missing, "draining")
	}
	if h.Upstream == "unreachable" || h.Upstream == "untrusted" {
		missing = append(missing, "upstream "+h.Upstream)
	}
	if h.Upstream == "failing" {
		missing = append(missing, "upstream does not answer")
	}
	if h.Database == "stale" {
		missing = append(missing, "store unreachable")
	}
	if h.Ledger != "ok" {
		missing = append(missing, "ledger cannot be written")
	}
	return missing
}

// word is what the public health endpoint says; it asks no upstream.
func (d *Deployment) word() string {
	if d.Ledger.Stats().Failed || d.Directory != nil && d.Directory.Fresh(d.Clock()) != nil {
		return "degraded"
	}
	return "ok"
}

// probe asks whether the upstream takes connections.
type probe struct {
	mu      sync.Mutex
	address string      // "": there is none
	secure  *tls.Config // nil: plain HTTP
	at      time.Time
	last    string
}

func newProbe(p *plan.Plan) *probe {
	pr := new(probe)
	pr.aim(p)
	return pr
}

func (p *probe) aim(to *plan.Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.address, p.secure, p.at = "", nil, time.Time{}
	u, err := url.Parse(to.Upstream.URL)
	if err != nil || u.Host == "" {
		return
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	p.address = net.JoinHostPort(u.Hostname(), port)
	if u.Scheme != "https" {
		return
	}
	if c, err := upstream.TLS(&to.Upstream); err == nil { // that there is no error, the gate has asked when it was bound
		if p.secure = c; c.ServerName == "" {
			c.ServerName = u.Hostname()
		}
	}
}

func (p *probe) ask(now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.address == "" {
		return "none"
	}
	if !p.at.IsZero() && now.Sub(p.at) < 2*time.Second && now.After(p.at) {
		return p.last
	}
	p.at, p.last = now, "unreachable"
	c, err := net.DialTimeout("tcp", p.address, time.Second)
	if err != nil {
		return p.last
	}
	defer c.Close()
	if p.secure == nil {
		p.last = "ok"
		return p.last
	}
	_ = c.SetDeadline(time.Now().Add(time.Second))
	var untrusted *tls.CertificateVerificationError
	switch err := tls.Client(c, p.secure).Handshake(); {
	case err == nil:
		p.last = "ok"
	case errors.As(err, &untrusted):
		p.last = "untrusted"
	}
	return p.last
}
