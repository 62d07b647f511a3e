// Package harden dresses every head that leaves, a refusal's too, in the security headers of the guide, and takes away
// what tells about the software behind. It never touches a body.
package harden

import (
	"net/http"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
)

// Name is the stage's name in the order.
const Name = "harden"

var controls = []control.ID{"header.hsts", "header.csp", "header.baseline", "error.no-leak"}

// banner headers name the software behind; debug headers its inside.
var banners = []string{"Server", "X-Powered-By", "X-Aspnet-Version", "X-Aspnetmvc-Version", "X-Runtime", "X-Generator",
	"X-Drupal-Cache", "X-Backend-Server", "X-Served-By", "X-Debug-Token", "X-Debug-Token-Link", "X-Sourcemap", "Sourcemap",
	"X-Php-Version", "X-Varnish", "Via", "Alt-Svc", "Public-Key-Pins", "Expect-Ct", "X-Xss-Protection"}

var fixed = []struct {
	name  string
	value []string
}{
	{"X-Content-Type-Options", []string{"nosniff"}},
	{"X-Frame-Options", []string{"DENY"}},
	{"Referrer-Policy", []string{"no-referrer"}},
	{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
	{"Cross-Origin-Opener-Policy", []string{"same-origin"}},
	{"X-Permitted-Cross-Domain-Policies", []string{"none"}},
	{"Permissions-Policy", []string{"camera=(), geolocation=(), microphone=()"}},
}

var (
	hsts     = []string{"max-age=31536000; includeSubDomains"}
	noStore  = []string{"no-store"}
	openCORP = []string{"cross-origin"}
)

// Stage dresses heads.
type Stage struct{ cookies cookies }

// New reads the plan's rule for cookies.
func New(p *plan.Plan) *Stage {
	return &Stage{cookies{p.Cookies, p.Server.TLS.On() || strings.HasPrefix(p.PublicURL, "https://")}}
}

// Bind returns the step; it is the same for every operation.
func (s *Stage) Bind(op *plan.Operation) (exchange.Step, error) {
	rule := "HSTS over TLS, CSP, nosniff, no framing, no referrer, no-store; files are saved, not opened; no software banner"
	for i := range op.Answers {
		if slices.Contains(op.Answers[i].Headers, "Set-Cookie") {
			rule += "; cookies at least SameSite=" + s.cookies.rule.SameSite + ", Secure over TLS, HttpOnly, of this host"
			break
		}
	}
	return exchange.Step{Stage: Name, Rule: rule, Source: "built in", Controls: controls, Head: s.head, Dress: dress}, nil
}

// head removes banners, and hop-by-hop headers with all that Connection names (RFC 9110 §7.6.1).
func (s *Stage) head(x *exchange.Exchange) exchange.Verdict {
	h := x.Out.Judged()
	x.Dropped += s.cookies.judge(h, x.Request.TLS != nil)
	for _, name := range banners {
		delete(h, name)
	}
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range [...]string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade"} {
		delete(h, name)
	}
	for name := range h {
		if strings.HasPrefix(name, http.TrailerPrefix) || strings.HasPrefix(name, "Portreeve-") {
			delete(h, name)
		}
	}
	return exchange.Pass
}

func dress(x *exchange.Exchange) {
	h := x.Out.Client()
	for _, f := range fixed {
		h[f.name] = f.value
	}
	if h["Access-Control-Allow-Origin"] != nil {
		h["Cross-Origin-Resource-Policy"] = openCORP
	}
	k := data
	if t := h["Content-Type"]; len(t) > 0 {
		k = kindOf(t[0])
	}
	h["Content-Security-Policy"] = policies[k]
	if k == file {
		h["Content-Disposition"] = disposition(h["Content-Disposition"])
	}
	if x.Request.TLS != nil {
		h["Strict-Transport-Security"] = hsts
	} else {
		delete(h, "Strict-Transport-Security")
	}
	// An answer to somebody may hold what only they may see, on a public operation too (RFC 9111 §3.5).
	if h["Cache-Control"] == nil || x.Op == nil || !x.Op.Security.Public || x.Principal.Authenticated() {
		h["Cache-Control"] = noStore
	}
	h["Portreeve-Request-Id"] = []string{x.ID}
}
