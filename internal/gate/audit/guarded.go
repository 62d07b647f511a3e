package audit

import (
	"net/netip"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/ledger"
)

// actions are the reasons for which something without an end was ended, of requests and of connections: the labels of
// portreeve_guard_actions_total.
var actions = []string{
	"rate_address", "rate_failures", "rate_limited", // too often
	"header_count", "framing_head_size", "body_too_large", "answer_too_large", "upstream_header_count", "memory_budget", // too much
	"handshake_slow", "header_slow", "body_slow", "client_slow", "upstream_slow", "upstream_timeout", // too slow
	"connections_address", "connections_total", "connection_idle", // too many
	"h2_resets", "h2_control", "h2_continuation", "h2_header_slow", "h2_frame_slow", "h2_unread", "h2_protocol", // frames without end
}

// refused counts a refusal of a request among the guard's actions, where it is one.
func (m *Metrics) refused(reason string) {
	if slices.Contains(actions, reason) {
		m.guarded.WithLabelValues(reason).Inc()
	}
}

// Connection is what a server did to one.
type Connection struct {
	From    netip.Addr
	Verb    string // ledger.Refuse, ledger.Cut
	Reason  string // one of actions
	Plan    string
	Time    time.Time
	Control string
}

// Connection records a connection that was refused or cut: one event, or a count of those beyond some a second.
func (m *Metrics) Connection(s *Summaries, c Connection) {
	m.refused(c.Reason)
	e := &ledger.Event{Kind: ledger.Connection, Phase: ledger.Whole, Time: c.Time, Operation: "connection", Address: c.From.String(), Verb: c.Verb, Stage: "guard",
		Reason: c.Reason, Controls: []string{c.Control}, Plan: c.Plan}
	s.Refused(e, c.From)
}
