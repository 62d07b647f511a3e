// Package cors answers preflights and lets allowed foreign origins read answers, refusals too. A foreign origin that is
// not allowed never gets an Access-Control-Allow-Origin; its request is served like any other, because CORS protects
// the reader and not the API. It never reflects an origin it does not know (CVE-2018-20744's class).
package cors

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

// Name is the stage's name in the order.
const Name = "cors"

var controls = []control.ID{"cors.allowlist", "cors.credentials", "cors.methods-headers"}

// Stage holds one plan's allow-list. Methods and headers come from the document.
type Stage struct {
	rule    plan.CORS
	own     string
	methods map[string][]string // by path template
	headers map[string][]string // lower case, by path template
	expose  []string
	maxAge  []string
}

// always may be asked for by a preflight of any operation; the rest must be declared as a parameter.
var always = []string{"accept", "accept-language", "authorization", "content-language", "content-type", "dpop", "x-requested-with"}

var exposed = []string{"Portreeve-Request-Id", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate"}

// New reads the plan's origins and what each path declares.
func New(p *plan.Plan) *Stage {
	s := &Stage{rule: p.CORS, own: p.PublicURL, methods: map[string][]string{}, headers: map[string][]string{}}
	keys := keyHeaders(p)
	for _, op := range p.Operations {
		s.methods[op.Path] = append(s.methods[op.Path], op.Method)
		h := append(slices.Clone(always), keys...)
		for _, prm := range op.Request.Parameters {
			if prm.In == "header" {
				h = append(h, strings.ToLower(prm.Name))
			}
		}
		s.headers[op.Path] = append(s.headers[op.Path], h...)
	}
	s.expose = []string{strings.Join(append(slices.Clone(exposed), p.CORS.Expose...), ", ")}
	s.maxAge = []string{strconv.Itoa(int(p.CORS.MaxAge.Seconds()))}
	return s
}

// keyHeaders are the headers by which the plan's schemes carry credentials.
func keyHeaders(p *plan.Plan) []string {
	var names []string
	for _, sc := range p.Identity.Schemes {
		if sc.Location == plan.InHeader {
			names = append(names, strings.ToLower(sc.Param))
		}
	}
	return names
}

// Bind returns the step: the same allow-list for all operations, methods and headers by path.
func (s *Stage) Bind(op *plan.Operation) (exchange.Step, error) {
	rule := "no foreign origin may read answers"
	if len(s.rule.Origins) > 0 {
		rule = "origins " + strings.Join(s.rule.Origins, ", ")
		if s.rule.Credentials {
			rule += " with credentials"
		}
	}
	return exchange.Step{Stage: Name, Rule: rule, Source: s.rule.Source, Controls: controls,
		Enter: s.enter, Head: s.head, Dress: s.dress}, nil
}

// origin returns the request's Origin when it is a foreign one; allowed says whether it may read.
func (s *Stage) origin(r *http.Request) (origin string, allowed bool) {
	origin = r.Header.Get("Origin")
	if origin == "" || origin == s.own || s.own == "" && origin == scheme(r)+r.Host {
		return "", false
	}
	return origin, slices.Contains(s.rule.Origins, origin)
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https://"
	}
	return "http://"
}

func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

func (s *Stage) enter(x *exchange.Exchange) exchange.Verdict {
	origin, allowed := s.origin(x.Request)
	x.Foreign = origin != "" && !allowed
	if !preflight(x.Request) || x.Op.Method == http.MethodOptions {
		return exchange.Pass
	}
	if !allowed {
		return s.refuse(x, "cors_origin")
	}
	if m := x.Request.Header.Get("Access-Control-Request-Method"); !slices.Contains(s.methods[x.Op.Path], m) && m != http.MethodHead {
		return s.refuse(x, "cors_method")
	}
	if !s.headersAllowed(x.Op.Path, x.Request.Header.Get("Access-Control-Request-Headers")) {
		return s.refuse(x, "cors_header")
	}
	x.Reply.Status = http.StatusNoContent
	return exchange.Answered
}

func (s *Stage) refuse(x *exchange.Exchange, fine access.Reason) exchange.Verdict {
	return x.Refuse(exchange.Refusal{Status: http.StatusForbidden, Reason: problem.Forbidden, Fine: fine})
}

// maxAsked bounds the list a preflight may ask for (CVE-2025-47908: a header of commas kept a peer busy).
const maxAsked = 64

func (s *Stage) headersAllowed(path, asked string) bool {
	if asked == "" {
		return true
	}
	if strings.Count(asked, ",") >= maxAsked {
		return false
	}
	for name := range strings.SplitSeq(asked, ",") {
		if !slices.Contains(s.headers[path], strings.ToLower(strings.Trim(name, " \t"))) {
			return false
		}
	}
	return true
}

// head removes what the origin says about CORS: the plan alone decides it.
func (s *Stage) head(x *exchange.Exchange) exchange.Verdict {
	h := x.Out.Judged()
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			delete(h, name)
		}
	}
	return exchange.Pass
}

func (s *Stage) dress(x *exchange.Exchange) {
	if len(s.rule.Origins) == 0 {
		return
	}
	h := x.Out.Client()
	h.Add("Vary", "Origin")
	origin, allowed := s.origin(x.Request)
	if !allowed {
		return
	}
	h["Access-Control-Allow-Origin"] = []string{origin}
	if s.rule.Credentials {
		h["Access-Control-Allow-Credentials"] = []string{"true"}
	}
	if x.Reply.Status == 0 || !preflight(x.Request) {
		h["Access-Control-Expose-Headers"] = s.expose
		return
	}
	h.Add("Vary", "Access-Control-Request-Method")
	h.Add("Vary", "Access-Control-Request-Headers")
	h["Access-Control-Allow-Methods"] = []string{strings.Join(s.methods[x.Op.Path], ", ")}
	if asked := x.Request.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h["Access-Control-Allow-Headers"] = []string{asked} // each was found in the allow-list
	}
	h["Access-Control-Max-Age"] = s.maxAge
}
