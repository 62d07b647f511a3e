package audit

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

// Metrics are the gate's Prometheus series. Labels are bounded by the plan: operations, coarse reasons, stages.
type Metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	fields   *prometheus.CounterVec
	observed *prometheus.CounterVec
	inFlight prometheus.Gauge
	guarded  *prometheus.CounterVec
}

// NewMetrics registers the series.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "portreeve_requests_total",
			Help: "Requests by operation and decision: allowed, or the reason of the refusal."}, []string{"operation", "decision"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "portreeve_request_duration_seconds",
			Help: "Time from the first byte read to the last written.", Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 12)}, []string{"operation"}),
		fields: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "portreeve_fields_total",
			Help: "Fields of answers that were withheld, by what happened to them: dropped or masked."}, []string{"operation", "what"}),
		observed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "portreeve_observed_total",
			Help: "Refusals that unsafe_observe let pass, by stage."}, []string{"operation", "stage"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "portreeve_requests_in_flight", Help: "Requests on their way now."}),
	}
	m.guarded = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "portreeve_guard_actions_total",
		Help: "Requests and connections that were ended because something about them had no end: rates, sizes, waiting, floods."}, []string{"action"})
	for _, a := range actions { // a series that is there from the start can be alerted on
		m.guarded.WithLabelValues(a)
	}
	r.MustRegister(m.requests, m.seconds, m.fields, m.observed, m.inFlight, m.guarded)
	return m
}

// Began counts a request in; its audit step counts it out.
func (m *Metrics) Began() { m.inFlight.Inc() }

// series are one operation's, resolved once.
type series struct {
	allowed  prometheus.Counter
	refused  [8]prometheus.Counter
	seconds  prometheus.Observer
	dropped  prometheus.Counter
	masked   prometheus.Counter
	observed *prometheus.CounterVec
	name     string
}

func (m *Metrics) of(op *plan.Operation) *series {
	s := &series{allowed: m.requests.WithLabelValues(op.ID, "allowed"), seconds: m.seconds.WithLabelValues(op.ID),
		dropped: m.fields.WithLabelValues(op.ID, "dropped"), masked: m.fields.WithLabelValues(op.ID, "masked"),
		observed: m.observed, name: op.ID}
	for r := problem.Unavailable; r <= problem.Upstream; r++ {
		s.refused[r] = m.requests.WithLabelValues(op.ID, r.String())
	}
	return s
}

func (s *series) allow(took time.Duration) {
	s.allowed.Inc()
	s.seconds.Observe(took.Seconds())
}

func (s *series) refuse(r problem.Reason, took time.Duration) {
	s.refused[r].Inc()
	s.seconds.Observe(took.Seconds())
}
