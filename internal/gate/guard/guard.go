// Package guard counts before anybody is known: requests of one address, and bad credentials of one address. It also
// says which address that is: nobody but a configured proxy is believed about whom it forwards for.
package guard

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/meter"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

// Name is the stage's name in the order.
const Name = "guard"

var controls = []control.ID{"limit.global", "limit.client-identity", "authn.bruteforce"}

// Stage counts for one plan; the counts themselves belong to the meter and outlive it.
type Stage struct {
	meter    *meter.Meter
	address  *meter.Rule // nil: no limit
	failures *meter.Rule
	proxies  []netip.Prefix
	rule     plan.Guard
}

// New returns the stage of a plan.
func New(p *plan.Plan, m *meter.Meter) (*Stage, error) {
	s := &Stage{meter: m, proxies: p.Edge.TrustedProxies, rule: p.Guard}
	for _, l := range []struct {
		from plan.Limit
		to   **meter.Rule
	}{{p.Guard.Address, &s.address}, {p.Guard.Failures, &s.failures}} {
		if !l.from.Set() {
			continue
		}
		r, err := meter.NewRule(l.from.Name, l.from.Count, l.from.Window, l.from.Rate, l.from.Burst)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.from.Source, err)
		}
		*l.to = r
	}
	return s, nil
}

// Bind returns the step; it is the same for every operation, because it runs before one is known.
func (s *Stage) Bind(op *plan.Operation) (exchange.Step, error) {
	rule := "no limit per address"
	if s.address != nil {
		rule = s.rule.Address.Text + " per address"
	}
	if s.failures != nil {
		rule += ", " + s.rule.Failures.Text + " bad credentials per address"
	}
	if c := s.rule.Connections; c.Total > 0 {
		rule += fmt.Sprintf("; %d connections per address, %d in all; HTTP/2: %d streams, %s resets, %s empty frames", c.Address, c.Total, c.Streams, c.Resets.Text, c.Control.Text)
	} else {
		rule += "; connections without a cap (unsafe_endless)"
	}
	if len(s.proxies) > 0 {
		rule += fmt.Sprintf("; behind %d trusted proxy ranges", len(s.proxies))
	}
	return exchange.Step{Stage: Name, Rule: rule, Source: s.rule.Address.Source, Controls: controls, Enter: s.enter}, nil
}

func (s *Stage) enter(x *exchange.Exchange) exchange.Verdict {
	peer, ok := s.peer(x.Request)
	if !ok {
		return x.Refuse(exchange.Refusal{Status: http.StatusBadRequest, Reason: problem.InvalidRequest, Fine: "peer_unknown", Hangup: true})
	}
	x.Peer = peer
	var demands [2]meter.Demand
	asked := demands[:0]
	who := meter.Address(peer).String()
	if s.address != nil {
		asked = append(asked, meter.Demand{Rule: s.address, Key: s.meter.Key(s.address, who), Cost: 1})
	}
	if s.failures != nil {
		asked = append(asked, meter.Demand{Rule: s.failures, Key: s.meter.Key(s.failures, who)})
	}
	d := s.meter.Take(x.Now, asked)
	if d.Allowed {
		return exchange.Pass
	}
	no := exchange.Refusal{Status: http.StatusTooManyRequests, Reason: problem.RateLimited, Retry: d.RetryAfter, Fine: "rate_address"}
	if asked[d.Index].Rule == s.failures {
		no.Fine = "rate_failures"
	}
	return x.Refuse(no)
}

// Failed counts a bad credential against the address that showed it.
func (s *Stage) Failed(x *exchange.Exchange) {
	if s.failures == nil {
		return
	}
	who := meter.Address(x.Peer).String()
	s.meter.Take(x.Now, []meter.Demand{{Rule: s.failures, Key: s.meter.Key(s.failures, who), Cost: 1}})
}

// maxHops bounds how far a chain of proxies is followed.
const maxHops = 32

// peer is the address a request is counted under: the connection's, or, where that is a trusted proxy, the nearest
// address to its left that is not one. A header is read from the right, over all its lines, because the left is the
// client's to write.
func (s *Stage) peer(r *http.Request) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	at := ap.Addr().Unmap().WithZone("")
	if !s.trusted(at) {
		return at, true
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && len(hops)-i <= maxHops; i-- {
		hop, err := parseHop(strings.TrimSpace(hops[i]))
		if err != nil {
			return at, true // what a trusted proxy did not write cannot be believed
		}
		at = hop.Unmap().WithZone("")
		if !s.trusted(at) {
			return at, true
		}
	}
	return at, true
}

// parseHop reads an address, with a port where a proxy writes one.
func parseHop(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err == nil {
		return a, nil
	}
	ap, err := netip.ParseAddrPort(s)
	return ap.Addr(), err
}

func (s *Stage) trusted(a netip.Addr) bool {
	for _, p := range s.proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
