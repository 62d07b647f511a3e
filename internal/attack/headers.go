package attack

import (
	"regexp"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
)

// These are the headers of an API, not of a web site: they matter when an answer is opened in a browser after all.

var missingHeaders = Attack{
	Rule: finding.Rule{ID: "missing-headers", Title: "Protective headers are missing", Severity: finding.Low, CWE: []int{693, 525, 1021},
		OWASP2019: []string{"API7"}, OWASP2023: []string{"API8"}, Controls: ids("header.baseline"),
		Why: "Browsers guess types and run what is data, keep private answers, and show them in frames.",
		Fix: "Send X-Content-Type-Options: nosniff, a frame rule, and Cache-Control: no-store with what is not public."},
	detect: func(r *run, a *answer) (bool, []string) {
		if a.status < 200 || len(a.body) == 0 {
			return false, nil
		}
		var faults []string
		if !strings.EqualFold(a.header.Get("X-Content-Type-Options"), "nosniff") {
			faults = append(faults, "no X-Content-Type-Options: nosniff")
		}
		if a.header.Get("X-Frame-Options") == "" && !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors") {
			faults = append(faults, "no frame rule")
		}
		if a.ok() && !a.call.op.public && !strings.Contains(strings.ToLower(a.header.Get("Cache-Control")), "no-store") {
			faults = append(faults, "no Cache-Control: no-store")
		}
		return true, faults
	},
	merge: true,
}

var missingCSP = Attack{
	Rule: finding.Rule{ID: "missing-csp", Title: "No content security policy is sent", Severity: finding.Low, CWE: []int{693, 1021},
		OWASP2019: []string{"API7"}, OWASP2023: []string{"API8"}, Controls: ids("header.csp"),
		Why: "If markup slips into an answer, the browser runs it.",
		Fix: "Send Content-Security-Policy: default-src 'none'; frame-ancestors 'none'."},
	detect: func(_ *run, a *answer) (bool, []string) {
		if a.status < 200 || len(a.body) == 0 {
			return false, nil
		}
		policy := strings.ToLower(a.header.Get("Content-Security-Policy"))
		switch {
		case policy == "":
			return true, []string{"no Content-Security-Policy"}
		case strings.Contains(policy, "unsafe-inline") || strings.Contains(policy, "unsafe-eval"):
			return true, []string{"the Content-Security-Policy allows inline scripts"}
		case !strings.Contains(policy, "default-src") && !strings.Contains(policy, "frame-ancestors"):
			return true, []string{"the Content-Security-Policy restricts nothing"}
		}
		return true, nil
	},
	merge: true,
}

var maxAge = regexp.MustCompile(`(?i)max-age="?(\d+)`)

var missingHSTS = Attack{
	Rule: finding.Rule{ID: "missing-hsts", Title: "Browsers are not told to stay on HTTPS", Severity: finding.Low, CWE: []int{319, 523},
		OWASP2019: []string{"API7"}, OWASP2023: []string{"API8"}, Controls: ids("header.hsts"),
		Why: "The first request may go over plain HTTP, where it is read and changed.",
		Fix: "Send Strict-Transport-Security with a max-age of at least half a year."},
	detect: func(r *run, a *answer) (bool, []string) {
		if !strings.HasPrefix(r.target, "https://") {
			return false, nil
		}
		m := maxAge.FindStringSubmatch(a.header.Get("Strict-Transport-Security"))
		if m == nil || len(m[1]) < 8 && m[1] < "1000000" || len(m[1]) < 7 {
			return true, []string{"no Strict-Transport-Security of half a year"}
		}
		return true, nil
	},
	merge: true,
}

var versioned = regexp.MustCompile(`\d+\.\d+|/\d`)

var banner = Attack{
	Rule: finding.Rule{ID: "banner", Title: "Answers name the software and its version", Severity: finding.Low, CWE: []int{200, 497},
		OWASP2019: []string{"API7"}, OWASP2023: []string{"API8"}, Controls: ids("header.baseline", "error.no-leak"),
		Why: "The version leads straight to its known weaknesses.",
		Fix: "Remove X-Powered-By and its kin, and the version from Server."},
	detect: func(_ *run, a *answer) (bool, []string) {
		if a.status == 0 {
			return false, nil
		}
		var faults []string
		if v := a.header.Get("Server"); versioned.MatchString(v) {
			faults = append(faults, "Server: "+v)
		}
		for _, name := range []string{"X-Powered-By", "X-AspNet-Version", "X-AspNetMvc-Version", "X-Generator", "X-Runtime-Version"} {
			if v := a.header.Get(name); v != "" {
				faults = append(faults, name+": "+v)
			}
		}
		return true, faults
	},
	merge: true, unreached: true,
}
