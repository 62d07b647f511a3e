package mutant

import (
	"strings"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/audit"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/gate/harden"
)

// heads makes the mutants of harden: what stands in every head.
func (l *list) heads() {
	baseline := []control.ID{"header.baseline"}
	for _, h := range []struct {
		at       string
		names    []string
		controls []control.ID
	}{
		{"nosniff", []string{"X-Content-Type-Options"}, baseline},
		{"no frames", []string{"X-Frame-Options", "Content-Security-Policy"}, baseline}, // either alone forbids them
		{"no-store", []string{"Cache-Control"}, baseline},
		{"content security policy", []string{"Content-Security-Policy"}, []control.ID{"header.csp"}},
		{"HTTPS only", []string{"Strict-Transport-Security"}, []control.ID{"header.hsts"}},
		{"for pages", []string{"Referrer-Policy", "Cross-Origin-Resource-Policy", "Cross-Origin-Opener-Policy", "X-Permitted-Cross-Domain-Policies", "Permissions-Policy"}, baseline},
		{"request id", []string{"Portreeve-Request-Id"}, []control.ID{"help.auth-trace"}},
	} {
		l.add(Mutant{Rule: "header-missing", At: h.at, Controls: h.controls, Does: "It does not send " + strings.Join(h.names, ", ") + ".",
			bend: plain(dressing(harden.Name, func(x *exchange.Exchange) {
				for _, name := range h.names {
					x.Out.Client().Del(name)
				}
			}))})
	}
}

// records makes the mutants of audit: what is written down.
func (l *list) records() {
	l.add(Mutant{Rule: "unrecorded", Controls: []control.ID{"log.auth-attempts", "log.authz-decisions", "log.sensitive-access", "log.no-secrets", "log.integrity"},
		Does: "Nothing is written into the ledger.", bend: plain(dropped(audit.Name))})
}
