package mutant

import (
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/audit"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/gate/harden"
)

// heads makes the mutants of harden: what stands in every head.
func (l *list) heads() {
	for _, h := range []struct {
		name     string
		controls []control.ID
	}{
		{"X-Content-Type-Options", []control.ID{"header.baseline"}},
		{"X-Frame-Options", []control.ID{"header.baseline"}},
		{"Referrer-Policy", []control.ID{"header.baseline"}},
		{"Cross-Origin-Resource-Policy", []control.ID{"header.baseline"}},
		{"Cross-Origin-Opener-Policy", []control.ID{"header.baseline"}},
		{"X-Permitted-Cross-Domain-Policies", []control.ID{"header.baseline"}},
		{"Permissions-Policy", []control.ID{"header.baseline"}},
		{"Content-Security-Policy", []control.ID{"header.csp"}},
		{"Cache-Control", []control.ID{"header.baseline"}},
		{"Strict-Transport-Security", []control.ID{"header.hsts"}},
		{"Portreeve-Request-Id", []control.ID{"help.auth-trace"}},
	} {
		l.add(Mutant{Rule: "header-missing", At: h.name, Controls: h.controls, Does: "The header is not sent.",
			bend: plain(dressing(harden.Name, func(x *exchange.Exchange) { x.Out.Client().Del(h.name) }))})
	}
}

// records makes the mutants of audit: what is written down.
func (l *list) records() {
	l.add(Mutant{Rule: "unrecorded", Controls: []control.ID{"log.auth-attempts", "log.authz-decisions", "log.sensitive-access", "log.no-secrets", "log.integrity"},
		Does: "Nothing is written into the ledger.", bend: plain(dropped(audit.Name))})
}
