// Package authn turns credentials into a principal: API keys of this gate, and tokens of the issuers the plan believes.
// A credential that is shown and does not hold is refused even where none is needed, and every such refusal looks the
// same. No byte of a body is read here.
package authn

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

// Name is the stage's name in the order.
const Name = "authn"

var controls = []control.ID{"authn.required", "authn.api-key", "authn.stateless", "authn.challenge", "token.signature", "token.expiry",
	"token.audience", "token.claims", "token.revocation", "error.uniform-auth", "log.auth-attempts"}

// Keys proves API keys. Its error is the fine reason.
type Keys interface {
	Key(text string, from netip.Addr, now time.Time) (access.Principal, error)
}

// Tokens proves bearer tokens of the named issuers. Its error is the fine reason.
type Tokens interface {
	Token(x *exchange.Exchange, issuers []string, text string) (access.Principal, error)
}

// Clients proves the certificate of a connection. Its error is the fine reason.
type Clients interface {
	Client(x *exchange.Exchange) (access.Principal, error)
}

// Unavailable is implemented by an error that says nothing of the credential, only that it cannot be judged now.
type Unavailable interface{ Unavailable() bool }

// Stage proves the credentials of one plan.
type Stage struct {
	identity *plan.Identity
	metadata string // URL of the protected resource metadata (RFC 9728), "" when unknown
	keys     Keys
	tokens   Tokens
	clients  Clients
	failed   func(*exchange.Exchange)
}

// New returns the stage. keys, tokens or clients may be nil where no scheme needs them; failed is told of every bad
// credential.
func New(p *plan.Plan, keys Keys, tokens Tokens, clients Clients, failed func(*exchange.Exchange)) *Stage {
	s := &Stage{identity: &p.Identity, keys: keys, tokens: tokens, clients: clients, failed: failed}
	if p.PublicURL != "" {
		s.metadata = p.PublicURL + "/.well-known/oauth-protected-resource"
	}
	return s
}

var errMalformed = errors.New("credential_malformed")

// rule is one operation's.
type rule struct {
	*Stage
	security *plan.Security
	schemes  []*plan.Scheme // each scheme some alternative names, once
	missing  []string       // challenges when nothing was shown
	invalid  []string       // challenges when what was shown does not hold
}

// Bind returns the operation's step.
func (s *Stage) Bind(op *plan.Operation) (exchange.Step, error) {
	if op.Security.Public {
		return s.public(op)
	}
	if len(op.Security.Alternatives) == 0 && op.Path != "" {
		return exchange.Step{}, fmt.Errorf("%s: no security requirement", op.Security.Source)
	}
	if len(op.Security.Alternatives) > 64 {
		return exchange.Step{}, fmt.Errorf("%s: more than 64 alternatives", op.Security.Source)
	}
	r := &rule{Stage: s, security: &op.Security}
	for _, alt := range op.Security.Alternatives {
		for _, want := range alt {
			sc := s.identity.Scheme(want.Scheme)
			if sc == nil {
				return exchange.Step{}, fmt.Errorf("%s: scheme %q is satisfied by nothing", op.Security.Source, want.Scheme)
			}
			if sc.Keys && s.keys == nil {
				return exchange.Step{}, fmt.Errorf("%s: scheme %q needs API keys, and no store holds any", op.Security.Source, want.Scheme)
			}
			if sc.Certificates {
				if s.clients == nil {
					return exchange.Step{}, fmt.Errorf("%s: scheme %q needs client certificates, and no roots for them are known", op.Security.Source, want.Scheme)
				}
			} else if !sc.Keys && (s.tokens == nil || len(sc.Issuers) == 0) {
				return exchange.Step{}, fmt.Errorf("%s: scheme %q has no issuer", op.Security.Source, want.Scheme)
			}
			if !slices.Contains(r.schemes, sc) {
				r.schemes = append(r.schemes, sc)
			}
		}
	}
	r.challenges()
	return exchange.Step{Stage: Name, Rule: describe(&op.Security), Source: op.Security.Source, Controls: controls, Enter: r.enter, Dress: r.dress}, nil
}

// public binds an operation that asks for nothing: a credential that is shown there all the same must hold, and says who
// calls. The gate's own endpoints and what no operation answers judge none.
func (s *Stage) public(op *plan.Operation) (exchange.Step, error) {
	if op.Own != "" || op.Path == "" || len(s.identity.Schemes) == 0 {
		return exchange.Absent(Name, "public: nobody needs to prove anything", op.Security.Source), nil
	}
	r := &rule{Stage: s, security: &op.Security}
	for i := range s.identity.Schemes {
		if sc := &s.identity.Schemes[i]; (!sc.Keys || s.keys != nil) && (!sc.Certificates || s.clients != nil) {
			r.schemes = append(r.schemes, sc)
		}
	}
	r.challenges()
	return exchange.Step{Stage: Name, Rule: "public: nobody needs to prove anything; a credential that is shown must hold", Source: op.Security.Source,
		Controls: controls, Enter: r.enter, Dress: r.dress}, nil
}

// challenges writes the WWW-Authenticate values once (RFC 6750 §3, RFC 9728 §5.1). API keys have no registered scheme;
// the private one "ApiKey" names the place. Nor have client certificates: "ClientCertificate" is private as well.
func (r *rule) challenges() {
	for _, sc := range r.schemes {
		base := fmt.Sprintf(`Bearer realm="%s"`, r.identity.Realm)
		switch sc.Location {
		case plan.InBearer:
		case plan.InTLS:
			base = fmt.Sprintf(`ClientCertificate realm="%s"`, r.identity.Realm)
		default:
			base = fmt.Sprintf(`ApiKey realm="%s", in="%s", name="%s"`, r.identity.Realm, sc.Location, sc.Param)
		}
		missing, invalid := base, base
		if sc.Location == plan.InBearer {
			if r.metadata != "" {
				missing += fmt.Sprintf(`, resource_metadata="%s"`, r.metadata)
			}
			invalid += `, error="invalid_token"`
		}
		if !slices.Contains(r.missing, missing) {
			r.missing = append(r.missing, missing)
			r.invalid = append(r.invalid, invalid)
		}
	}
}

func describe(sec *plan.Security) string {
	var alts []string
	for _, alt := range sec.Alternatives {
		var names []string
		for _, want := range alt {
			names = append(names, want.Scheme)
		}
		alts = append(alts, strings.Join(names, " and "))
	}
	if sec.Anonymous {
		alts = append(alts, "nobody")
	}
	return strings.Join(alts, ", or ")
}

func (r *rule) enter(x *exchange.Exchange) exchange.Verdict {
	var room [4]failure
	failures := room[:0]
	for _, sc := range r.schemes {
		text, found := present(x, sc)
		switch found {
		case absent:
			continue
		case foreign:
			if r.security.Public {
				continue // it is not for us, and nothing is asked
			}
			return r.bad(x, errMalformed)
		case malformed:
			return r.bad(x, errMalformed)
		}
		p, err := r.prove(x, sc, text)
		if err != nil {
			failures = append(failures, failure{sc, err})
			continue
		}
		p.Scheme = sc.Name
		x.Proofs = append(x.Proofs, exchange.Proof{Scheme: sc.Name, Principal: p})
	}
	for _, f := range failures {
		if !r.provenAt(x, f.scheme) {
			return r.bad(x, f.err)
		}
	}
	if r.forged(x) {
		return x.Refuse(exchange.Refusal{Status: http.StatusForbidden, Reason: problem.Forbidden, Fine: "csrf"})
	}
	switch {
	case r.security.Public:
		if p := x.Speaker(nil); p != nil {
			x.Principal = *p
		}
		return exchange.Pass
	case r.satisfy(x), r.security.Anonymous:
		return exchange.Pass
	case len(x.Proofs) == 0:
		return r.ask(x, "credential_missing")
	}
	return r.ask(x, "credential_incomplete")
}

// forged reports a request that changes something by a credential which a browser adds by itself, caused by a page of a
// foreign origin (cross-site request forgery). Browsers tell it in Sec-Fetch-Site (Fetch Metadata) and Origin.
func (r *rule) forged(x *exchange.Exchange) bool {
	switch x.Request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	if !slices.ContainsFunc(x.Proofs, func(p exchange.Proof) bool { return ambient(r.identity.Scheme(p.Scheme).Location) }) {
		return false
	}
	switch x.Request.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "":
		return x.Foreign
	}
	return x.Foreign || x.Request.Header.Get("Origin") == "" // another site, and no origin that cors allows
}

// ambient reports whether a browser adds a credential by itself, whoever's page asks: cookies, and the certificate that its
// user once chose for a host.
func ambient(l plan.Location) bool { return l == plan.InCookie || l == plan.InTLS }

// failure is a credential that did not hold for one scheme.
type failure struct {
	scheme *plan.Scheme
	err    error
}

// dress: every 401 says how to prove oneself (RFC 9110 §15.5.2), the API's own too.
func (r *rule) dress(x *exchange.Exchange) {
	status := x.No.Status
	if status == 0 {
		status = x.Out.Status()
	}
	if h := x.Out.Client(); status == http.StatusUnauthorized && len(h["Www-Authenticate"]) == 0 && len(r.missing) > 0 {
		h["Www-Authenticate"] = slices.Clone(r.missing)
	}
}

func (r *rule) ask(x *exchange.Exchange, fine access.Reason) exchange.Verdict {
	return x.Refuse(exchange.Refusal{Status: http.StatusUnauthorized, Reason: problem.Unauthenticated, Fine: fine, Challenge: r.missing})
}

// provenAt reports whether another scheme made sense of the credential at the same place: two schemes may read one
// header, each believing other issuers.
func (r *rule) provenAt(x *exchange.Exchange, sc *plan.Scheme) bool {
	for _, p := range x.Proofs {
		if o := r.identity.Scheme(p.Scheme); o.Location == sc.Location && o.Param == sc.Param {
			return true
		}
	}
	return false
}

// satisfy notes every alternative that is proven whole. The principal is the first one's; authz changes it where that
// lacks the scopes and another has them.
func (r *rule) satisfy(x *exchange.Exchange) bool {
	for i, alt := range r.security.Alternatives {
		p := x.Speaker(alt)
		if p == nil {
			continue
		}
		if x.Satisfied == 0 {
			x.Principal = *p
		}
		x.Satisfied |= 1 << i
	}
	return x.Satisfied != 0
}

func (r *rule) prove(x *exchange.Exchange, sc *plan.Scheme, text string) (access.Principal, error) {
	switch {
	case sc.Keys:
		return r.keys.Key(text, x.Peer, x.Now)
	case sc.Certificates:
		return r.clients.Client(x)
	}
	return r.tokens.Token(x, sc.Issuers, text)
}

// bad refuses a credential that does not hold, always with the same body; only what cannot be judged now differs.
func (r *rule) bad(x *exchange.Exchange, err error) exchange.Verdict {
	fine := access.Reason(err.Error())
	if u, ok := err.(Unavailable); ok && u.Unavailable() {
		return x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Retry: 5 * time.Second, Fine: fine, Cause: err})
	}
	r.failed(x)
	return x.Refuse(exchange.Refusal{Status: http.StatusUnauthorized, Reason: problem.Unauthenticated,
		Detail: "the credential is not valid", Fine: fine, Challenge: r.invalid})
}

type presence uint8

const (
	absent  presence = iota
	foreign          // a credential of another kind
	malformed
	shown
)

// present finds a scheme's credential. Two of one kind are malformed, never a choice (threat 17).
func present(x *exchange.Exchange, sc *plan.Scheme) (string, presence) {
	switch sc.Location {
	case plan.InBearer:
		values := x.Request.Header["Authorization"]
		if len(values) == 0 {
			return "", absent
		}
		name, token, ok := strings.Cut(values[0], " ")
		switch {
		case len(values) > 1:
			return "", malformed
		case !strings.EqualFold(name, "Bearer"):
			return "", foreign
		case !ok || token == "" || strings.ContainsAny(token, " \t,"):
			return "", malformed
		}
		return token, shown
	case plan.InTLS:
		if x.Request.TLS == nil || len(x.Request.TLS.PeerCertificates) == 0 {
			return "", absent
		}
		return "", shown
	case plan.InHeader:
		return single(x.Request.Header.Values(sc.Param))
	case plan.InQuery:
		var values []string
		for _, q := range x.Query {
			if q.Name == sc.Param {
				values = append(values, q.Value)
			}
		}
		return single(values)
	case plan.InCookie:
		var values []string
		for _, c := range x.Request.CookiesNamed(sc.Param) {
			values = append(values, c.Value)
		}
		return single(values)
	}
	return "", malformed
}

func single(values []string) (string, presence) {
	switch {
	case len(values) == 0:
		return "", absent
	case len(values) > 1 || values[0] == "":
		return "", malformed
	}
	return values[0], shown
}
