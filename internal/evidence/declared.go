package evidence

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/control/catalogue"
	"github.com/portreeve/portreeve/internal/plan"
)

// said is what a plan says of a control.
type said struct {
	value  control.Value
	reason string
	facts  []Fact
}

func yes(format string, args ...any) said {
	return said{value: control.Yes, reason: fmt.Sprintf(format, args...)}
}

func no(format string, args ...any) said {
	return said{value: control.No, reason: fmt.Sprintf(format, args...)}
}

func partly(format string, args ...any) said {
	return said{value: control.Partly, reason: fmt.Sprintf(format, args...)}
}

func irrelevant(format string, args ...any) said {
	return said{value: control.Irrelevant, reason: fmt.Sprintf(format, args...)}
}

// declared says what the plan declares for a control.
func (v *view) declared(x *catalogue.Control) Facet {
	f := Facet{Method: "examine", Value: control.NotRun, Reason: "neither document nor configuration can say it yet, so nothing is claimed"}
	if fact := declarations[x.ID]; fact != nil {
		s := fact(v, x.ID)
		f.Value, f.Reason, f.Facts = s.value, s.reason, s.facts
	}
	return f
}

type declaration func(*view, control.ID) said

// declarations are the facts that a plan can hold, by control. What is missing here is not claimed.
var declarations = map[control.ID]declaration{
	"design.declared-first": decision,
	"authn.stateless":       credentials,
	"authn.required":        required,
	"authn.api-key":         apiKeys,
	"authn.api-key-lifecycle": when(hasKeys, "no operation takes API keys", func(*view, control.ID) said {
		return partly("a key has an owner and ends within 12 months; one that is not used is not ended")
	}),
	"authn.oauth-oidc":         oauth,
	"authn.challenge":          everywhere(nil),
	"authn.mfa-admin":          secondFactor,
	"authn.bruteforce":         failures,
	"authz.least-privilege":    leastPrivilege,
	"authz.per-operation":      everywhere(authorised),
	"authz.deny-default":       denied,
	"authz.rbac":               roles,
	"authz.abac":               never("no attribute policy is configured"),
	"authz.object":             objects,
	"authz.function":           functions,
	"expose.minimal-fields":    minimal,
	"expose.field-permissions": fieldPermissions,
	"expose.masking":           when(func(v *view) bool { return v.labels.masked > 0 }, "no property is labelled to be masked", everywhere(answering)),
	"expose.classification":    classification,
	"expose.debug-off":         debugOff,
	"validate.request":         requests,
	"validate.strict-schema":   everywhere(nil),
	"validate.write-properties": everywhere(func(op *plan.Operation) bool {
		return op.Request.Body != nil
	}),
	"validate.response":      everywhere(answering),
	"inject.output-encoding": mediaTypes,
	"limit.global":           globalLimit,
	"limit.endpoint":         endpointLimits,
	"limit.retry-after":      everywhere(nil),
	"limit.algorithm":        algorithm,
	"limit.client-identity":  clientIdentity,
	"limit.size":             sizes,
	"log.auth-attempts":      everywhere(nil),
	"log.authz-decisions":    everywhere(nil),
	"log.sensitive-access":   everywhere(nil),
	"log.security-events":    recorded,
	"log.record-fields":      recorded,
	"log.no-secrets":         everywhere(nil),
	"log.integrity": func(*view, control.ID) said {
		return partly("each line carries the hash of the one before it; no checkpoint is kept elsewhere, so that an end cut off would not be seen")
	},
	"log.transactions": transactions,
	"health.endpoint":  func(*view, control.ID) said { return yes("the admin listener answers /livez, /readyz and /health") },
	"health.disclosure": func(*view, control.ID) said {
		return yes("the public listener tells the status alone; details stand on the admin listener")
	},
	"avail.fallback": timeouts,
	"secret.no-hardcoded": func(*view, control.ID) said {
		return yes("a literal secret in the configuration stops the start, and this one starts")
	},
	"secret.fail-closed": func(*view, control.ID) said { return yes("a secret that cannot be read stops the start") },
	"token.signature":    tokens(signature),
	"token.expiry":       tokens(expiry),
	"token.claims":       tokens(claims),
	"token.audience":     tokens(audience),
	"token.jti":          when(func(v *view) bool { return v.plan.Identity.Embedded != nil }, "this gate issues no tokens", func(*view, control.ID) said { return yes("a token's id is at least 128 random bits") }),
	"token.revocation": func(v *view, _ control.ID) said {
		return yes("revocations are looked up at every use and seen within a second; without news for %s everything is refused", v.plan.Staleness)
	},
	"token.key-strength":   tokens(keyStrength),
	"cors.allowlist":       origins,
	"cors.credentials":     origins,
	"cors.methods-headers": origins,
	"error.no-leak":        everywhere(nil),
	"error.uniform-auth":   everyStage("authn", "one body answers every bad credential"),
	"tls.https-only":       https,
	"tls.min-version":      tlsVersion,
	"tls.upstream":         upstreamTLS,
	"header.hsts":          hsts,
	"header.csp":           everywhere(nil),
	"header.baseline":      everywhere(nil),
	"outbound.ssrf":        when(func(v *view) bool { return v.labels.uris > 0 }, "no property takes a URL", silent),
	"upstream.validate":    everywhere(nil),
	"deploy.no-bypass":     assertion,
	"data.pan-masked":      when(func(v *view) bool { return v.labels.cardholder > 0 }, "no property is of the class cardholder", everywhere(answering)),
	"inventory.documented": denied,
	"inventory.retired":    when(func(v *view) bool { return v.retired > 0 }, "no operation is deprecated", silent),
	"doc.valid": func(v *view, _ control.ID) said {
		return yes("a document that is not valid stops the start, and this one starts: %d operations", len(v.ops))
	},
	"gov.critical-controls": func(v *view, _ control.ID) said {
		if n := len(v.plan.Unsafe); n > 0 {
			return partly("%d protections are switched off, each with a reason", n)
		}
		return yes("no protection is switched off")
	},
	"help.contact":    contact,
	"help.auth-trace": everyStage("audit", "every refusal carries the id under which it is recorded"),
	"respond.contain": func(*view, control.ID) said {
		return partly("a key, a token, a user and all tokens of one can be ended at once; an operation cannot be closed without a reload")
	},
	"gov.processing-record": when(func(v *view) bool { return v.labels.personal > 0 }, "no property is of a class of personal data", func(v *view, _ control.ID) said {
		return partly("%d properties are of a class of personal data; purposes and retention are not kept here", v.labels.personal)
	}),
}

func never(reason string) declaration {
	return func(*view, control.ID) said { return irrelevant("%s", reason) }
}

// silent is for what a plan cannot say yet.
func silent(*view, control.ID) said {
	return said{value: control.NotRun, reason: "neither document nor configuration can say it yet, so nothing is claimed"}
}

// when asks only where there is something to ask about. That there is nothing is a machine's view: that a control does not
// apply is for a named person to say.
func when(there func(*view) bool, otherwise string, then declaration) declaration {
	return func(v *view, id control.ID) said {
		if !there(v) {
			return irrelevant("%s", otherwise)
		}
		return then(v, id)
	}
}

// everywhere holds that some step of every operation enforces the control.
func everywhere(of func(*plan.Operation) bool) declaration {
	return func(v *view, id control.ID) said { return v.bound(id, of).said() }
}

// everyStage holds that a stage is bound to every operation, for what a stage does whatever its rule.
func everyStage(stage, fact string) declaration {
	return func(v *view, _ control.ID) said {
		n := 0
		for _, op := range v.ops {
			if slices.ContainsFunc(v.chains[op].Steps, func(s Step) bool { return s.Stage == stage && !s.Absent && !s.Observe }) {
				n++
			}
		}
		if n < len(v.ops) || n == 0 {
			return partly("%d of %d operations have the stage %s", n, len(v.ops), stage)
		}
		return yes("%s", fact)
	}
}

func (b bound) said() said {
	s := said{facts: []Fact{{What: strings.Join(some(b.rules, 4), "; "), Sources: some(b.sources, 12)}}}
	where := fmt.Sprintf("%d of %d operations enforce it", b.covered, b.total)
	switch {
	case b.total == 0:
		return irrelevant("no operation is of the kind it is about")
	case b.covered == b.total:
		s.value, s.reason = control.Yes, where
	case b.covered == 0 && b.observed == 0:
		return no("no step of any operation enforces it")
	case b.observed > 0:
		s.value, s.reason = control.Partly, fmt.Sprintf("%s, %d only watch it (unsafe_observe)", where, b.observed)
	default:
		s.value, s.reason = control.Partly, where+"; not "+strings.Join(some(b.missing, 6), ", ")
	}
	return s
}

// some shortens a list for reading.
func some(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	return append(slices.Clone(list[:n]), fmt.Sprintf("and %d more", len(list)-n))
}

// share says how many of the operations in question hold.
func (v *view) share(of, holds func(*plan.Operation) bool, fact string) said {
	n, total := 0, 0
	var missing []string
	for _, op := range v.ops {
		if of != nil && !of(op) {
			continue
		}
		total++
		if holds(op) {
			n++
		} else {
			missing = append(missing, op.Method+" "+op.Path)
		}
	}
	text := fmt.Sprintf("%d of %d operations %s", n, total, fact)
	switch {
	case total == 0:
		return irrelevant("no operation is of the kind it is about")
	case n == total:
		return yes("%s", text)
	case n == 0:
		return no("%s", text)
	}
	return partly("%s; not %s", text, strings.Join(some(missing, 6), ", "))
}

func answering(op *plan.Operation) bool {
	return slices.ContainsFunc(op.Answers, func(a plan.Answer) bool {
		return slices.ContainsFunc(a.Media, func(m plan.Media) bool { return len(m.Schemas) > 0 })
	})
}

func authorised(op *plan.Operation) bool { return !op.Security.Public || op.Authz.Permission != "" }

func decision(v *view, _ control.ID) said {
	return v.share(nil, func(op *plan.Operation) bool {
		return op.Security.Public || op.Security.Anonymous || len(op.Security.Alternatives) > 0
	}, "carry a decision about security")
}

func credentials(v *view, _ control.ID) said {
	for _, s := range v.plan.Identity.Schemes {
		if !s.Keys && len(s.Issuers) == 0 {
			return no("the scheme %s is satisfied by no credential that is verified", s.Name)
		}
	}
	return yes("%d schemes, each satisfied by a verified credential alone", len(v.plan.Identity.Schemes))
}

func required(v *view, id control.ID) said {
	s := v.bound(id, nil).said()
	var open []string
	approved := 0
	for _, op := range v.ops {
		if !protected(op) {
			open = append(open, op.Method+" "+op.Path)
			if v.approved[op] {
				approved++
			}
		}
	}
	if len(open) > 0 {
		s.facts = append(s.facts, Fact{What: fmt.Sprintf("open to anybody: %d, of which %d have a reason and an approver: %s", len(open), approved, strings.Join(some(open, 8), ", "))})
		if approved < len(open) && s.value == control.Yes {
			s.value, s.reason = control.Partly, fmt.Sprintf("%s; %d are open to anybody without a reason and an approver", s.reason, len(open)-approved)
		}
	}
	return s
}

func hasKeys(v *view) bool {
	return slices.ContainsFunc(v.plan.Identity.Schemes, func(s plan.Scheme) bool { return s.Keys })
}

func apiKeys(v *view, _ control.ID) said {
	for _, s := range v.plan.Identity.Schemes {
		if s.Keys && s.Location == plan.InQuery {
			return partly("keys are kept as keyed hashes, but %s takes them in the URL", s.Name)
		}
	}
	if !hasKeys(v) {
		return irrelevant("no operation takes API keys")
	}
	return yes("keys hold 256 random bits and are kept only as HMAC-SHA-256 under a pepper")
}

func oauth(v *view, _ control.ID) said {
	if !slices.Contains(v.schemes, "oauth2") && !slices.Contains(v.schemes, "openIdConnect") {
		return irrelevant("the document has no scheme of the type oauth2 or openIdConnect")
	}
	for _, i := range v.plan.Identity.Issuers {
		if len(i.Audience) == 0 || len(i.Algorithms) == 0 {
			return no("the issuer %s has no audience or no list of algorithms", i.ID)
		}
	}
	return yes("%d foreign issuers, each with its keys, algorithms and audience", len(v.plan.Identity.Issuers))
}

func secondFactor(v *view, _ control.ID) said {
	n := 0
	for _, op := range v.ops {
		if !op.Authz.StepUp {
			continue
		}
		n++
		if age := time.Duration(op.Authz.MaxAge) * time.Second; age <= 0 || age > 24*time.Hour {
			return no("%s %s takes a second factor that was shown longer than 24 hours ago", op.Method, op.Path)
		}
	}
	if n == 0 {
		return no("no operation asks for a second factor")
	}
	return yes("%d operations ask for a second factor that was shown lately", n)
}

func failures(v *view, _ control.ID) said {
	if !v.plan.Guard.Failures.Set() {
		return no("bad credentials are not counted")
	}
	s := partly("%s bad credentials of one address; accounts and key prefixes are not counted", v.plan.Guard.Failures.Text)
	s.facts = []Fact{{What: "limits.failures " + v.plan.Guard.Failures.Text, Sources: []string{string(v.plan.Guard.Failures.Source)}}}
	return s
}

func leastPrivilege(v *view, _ control.ID) said {
	s := v.share(protected, func(op *plan.Operation) bool { return op.Authz.Permission != "" || scoped(op) }, "ask for a permission or a scope of their own")
	for _, r := range v.plan.Roles {
		if slices.Contains(r.Permissions, "*") && s.value == control.Yes {
			s.value, s.reason = control.Partly, s.reason+fmt.Sprintf("; the role %s has every permission", r.Name)
		}
	}
	return s
}

func denied(v *view, _ control.ID) said {
	if v.lone == nil {
		return no("nothing is bound to what no operation fits")
	}
	return yes("what no operation of the document fits is refused")
}

func roles(v *view, _ control.ID) said {
	if len(v.plan.Roles) == 0 {
		return no("no roles are configured")
	}
	names := make([]string, len(v.plan.Roles))
	for i, r := range v.plan.Roles {
		names[i] = r.Name
	}
	return yes("%d roles: %s; a role that is not among them grants nothing", len(names), strings.Join(some(names, 12), ", "))
}

// objects counts what of requests looks like an object's id, and what of it is held against an owner. A decision that is
// weak, because the object may change hands before it is acted upon, is named as that.
func objects(v *view, _ control.ID) said {
	c := v.plan.Coverage
	var weak []string
	for _, op := range v.ops {
		is := op.Object != nil && op.Object.From.Weak()
		for _, r := range op.References {
			is = is || r.From.Weak()
		}
		if is {
			weak = append(weak, op.Method+" "+op.Path)
		}
	}
	text := fmt.Sprintf("of %d identifiers of objects %d are held against an owner, %d are exempt with a reason, %d are unbound", c.Bound+c.Exempt+c.Unbound, c.Bound, c.Exempt, c.Unbound)
	if len(weak) > 0 {
		text += fmt.Sprintf("; weak, for the object may change hands between the look and the act: %s", strings.Join(some(weak, 6), ", "))
	}
	switch {
	case c == (plan.Coverage{}):
		return irrelevant("no request holds what looks like the id of an object")
	case c.Unbound == 0 && len(weak) == 0:
		return yes("%s", text)
	case c.Bound+c.Exempt == 0:
		return no("%s", text)
	}
	return partly("%s", text)
}

func functions(v *view, _ control.ID) said {
	writes := func(op *plan.Operation) bool {
		return protected(op) && !slices.Contains([]string{"GET", "HEAD", "OPTIONS", "TRACE"}, op.Method)
	}
	return v.share(writes, func(op *plan.Operation) bool { return op.Authz.Permission != "" || scoped(op) }, "that change something ask for a permission or a scope")
}

func minimal(v *view, id control.ID) said {
	s := v.bound(id, answering).said()
	for _, op := range v.ops {
		for _, a := range op.Answers {
			if a.Undeclared == plan.Ignore {
				return partly("%s %s lets undeclared fields pass", op.Method, op.Path)
			}
			for _, m := range a.Media {
				if len(m.Schemas) == 0 && s.value == control.Yes {
					s.value, s.reason = control.Partly, fmt.Sprintf("%s; %s %s has an answer without a schema", s.reason, op.Method, op.Path)
				}
			}
		}
	}
	return s
}

func fieldPermissions(v *view, id control.ID) said {
	if v.labels.permitted == 0 {
		return no("no property carries a permission")
	}
	s := v.bound(id, answering).said()
	s.facts = append(s.facts, Fact{What: fmt.Sprintf("%d properties carry a permission", v.labels.permitted)})
	return s
}

func classification(v *view, _ control.ID) said {
	l := v.labels
	text := fmt.Sprintf("%d of %d properties carry a class", l.classed, l.properties)
	switch {
	case l.properties == 0:
		return irrelevant("no property is declared")
	case l.classed == l.properties:
		return yes("%s", text)
	case l.classed == 0:
		return no("%s", text)
	}
	return partly("%s", text)
}

func debugOff(v *view, _ control.ID) said {
	if v.plan.Environment != "production" || v.plan.Server.Debug {
		return no("the environment is %s", v.plan.Environment)
	}
	return yes("the environment is production, where debugging stops the start")
}

func requests(v *view, id control.ID) said {
	s := v.bound(id, nil).said()
	for _, op := range v.ops {
		if op.Request.Undeclared == plan.Ignore && s.value == control.Yes {
			s.value, s.reason = control.Partly, fmt.Sprintf("%s; %s %s ignores what is not declared", s.reason, op.Method, op.Path)
		}
	}
	return s
}

func mediaTypes(v *view, _ control.ID) said {
	return v.share(nil, func(op *plan.Operation) bool {
		for _, a := range op.Answers {
			for _, m := range a.Media {
				if strings.Contains(m.Type, "html") || strings.Contains(m.Type, "xml") || strings.Contains(m.Type, "*") {
					return false
				}
			}
		}
		return true
	}, "answer only in declared types that no browser executes")
}

func globalLimit(v *view, _ control.ID) said {
	if !v.plan.Guard.Address.Set() {
		return no("requests of an address are not limited")
	}
	s := yes("%s of one address, on everything", v.plan.Guard.Address.Text)
	s.facts = []Fact{{What: "limits.address " + v.plan.Guard.Address.Text, Sources: []string{string(v.plan.Guard.Address.Source)}}}
	return s
}

func endpointLimits(v *view, _ control.ID) said {
	return v.share(nil, func(op *plan.Operation) bool { return len(op.Limits) > 0 }, "have a limit per caller")
}

func algorithm(v *view, _ control.ID) said {
	return v.share(nil, func(op *plan.Operation) bool {
		return v.plan.Guard.Address.Set() || len(op.Limits) > 0
	}, "are limited by a window that slides or by GCRA, never by one that starts anew")
}

func clientIdentity(v *view, _ control.ID) said {
	if n := len(v.plan.Edge.TrustedProxies); n > 0 {
		return yes("a client's address is taken from the connection, or from one of %d trusted networks of proxies", n)
	}
	return yes("a client's address is taken from the connection; no proxy is trusted")
}

func sizes(v *view, _ control.ID) said {
	if v.plan.Edge.MaxHeaderBytes <= 0 || v.plan.Edge.MaxTarget <= 0 {
		return no("headers or targets have no bound")
	}
	return v.share(nil, func(op *plan.Operation) bool { return op.Request.MaxBody > 0 }, "bound their body; headers and target are bounded everywhere")
}

func recorded(v *view, _ control.ID) said {
	return everyStage("audit", "each exchange makes one event, refusals beyond ten a second are counted in one")(v, "")
}

func transactions(v *view, _ control.ID) said {
	return v.share(func(op *plan.Operation) bool {
		return !slices.Contains([]string{"GET", "HEAD", "OPTIONS", "TRACE"}, op.Method)
	},
		func(op *plan.Operation) bool { return op.Record == plan.Sync }, "that change something are recorded before the API is called")
}

func timeouts(v *view, _ control.ID) said {
	if v.plan.Upstream.URL != "" && v.plan.Upstream.Timeout <= 0 {
		return no("the API has no time limit")
	}
	return partly("the API has %s to answer; a failing API is not left alone for a while", v.plan.Upstream.Timeout)
}

// tokens asks where tokens are taken at all.
func tokens(ask func(*view) said) declaration {
	return func(v *view, _ control.ID) said {
		if v.plan.Identity.Embedded == nil && len(v.plan.Identity.Issuers) == 0 {
			return irrelevant("no tokens are accepted")
		}
		return ask(v)
	}
}

func signature(v *view) said {
	for _, i := range v.plan.Identity.Issuers {
		if len(i.Algorithms) == 0 {
			return no("the issuer %s has no list of algorithms", i.ID)
		}
		if slices.Contains(i.Algorithms, "none") {
			return no("the issuer %s may leave tokens unsigned", i.ID)
		}
	}
	return yes("the key decides the algorithm; unsigned tokens are refused")
}

// The weakest a token may be.
const (
	maxLifetime = 24 * time.Hour
	maxLeeway   = 5 * time.Minute
)

func expiry(v *view) said {
	for _, i := range v.plan.Identity.Issuers {
		if i.MaxLifetime <= 0 || i.MaxLifetime > maxLifetime || i.Leeway > maxLeeway {
			return no("the issuer %s: lifetime up to %s, leeway %s", i.ID, i.MaxLifetime, i.Leeway)
		}
	}
	if e := v.plan.Identity.Embedded; e != nil && (e.Lifetime <= 0 || e.Lifetime > maxLifetime) {
		return no("the gate's own tokens last %s", e.Lifetime)
	}
	return yes("a token that does not end, or lasts longer than its issuer may give, is refused")
}

func claims(v *view) said {
	return yes("issuer, audience, subject, expiry and time of issue are demanded")
}

func audience(v *view) said {
	for _, i := range v.plan.Identity.Issuers {
		if len(i.Audience) == 0 || i.URL == "" {
			return no("the issuer %s has no audience or no name", i.ID)
		}
	}
	if e := v.plan.Identity.Embedded; e != nil && (e.Audience == "" || e.Issuer == "") {
		return no("the gate's own tokens have no audience")
	}
	return yes("issuer and audience are compared as a whole")
}

func keyStrength(v *view) said {
	return yes("a key that is too weak stops the start, and this one starts")
}

func origins(v *view, id control.ID) said {
	c := v.plan.CORS
	if slices.Contains(c.Origins, "*") || slices.Contains(c.Origins, "null") {
		return no("any origin may read answers")
	}
	s := v.bound(id, nil).said()
	what := "no foreign origin may read answers"
	if len(c.Origins) > 0 {
		what = fmt.Sprintf("origins: %s; credentials: %t", strings.Join(some(c.Origins, 8), ", "), c.Credentials)
	}
	s.facts = append(s.facts, Fact{What: what, Sources: []string{string(c.Source)}})
	return s
}

func https(v *view, _ control.ID) said {
	for _, s := range v.plan.Unsafe {
		if s.Name == "unsafe_plaintext" {
			return no("unsafe_plaintext: %s", s.Reason)
		}
	}
	if v.plan.Server.TLS.On() {
		return yes("the public listener speaks TLS alone")
	}
	return no("the public listener speaks plain HTTP, on loopback")
}

func tlsVersion(v *view, _ control.ID) said {
	if !v.plan.Server.TLS.On() {
		return no("the public listener does not speak TLS")
	}
	if v.plan.Server.TLS.Minimum == "tls1.3" {
		return yes("TLS 1.3 alone")
	}
	return yes("TLS 1.2 and 1.3 alone, with forward secrecy and authenticated encryption")
}

func upstreamTLS(v *view, _ control.ID) said {
	switch {
	case v.plan.Upstream.URL == "":
		return irrelevant("the API runs in this process")
	case strings.HasPrefix(v.plan.Upstream.URL, "https://"):
		return yes("the API is called over TLS, and its certificate is always verified")
	}
	return no("the API is called over plain HTTP")
}

func hsts(v *view, id control.ID) said {
	if !v.plan.Server.TLS.On() {
		return no("without TLS of its own there is no Strict-Transport-Security")
	}
	return v.bound(id, nil).said()
}

func assertion(v *view, _ control.ID) said {
	if v.plan.Upstream.URL != "" && v.plan.Upstream.Assertion == nil {
		return no("nothing tells the API that a request came through the gate (upstream.assertion)")
	}
	return yes("each request to the API carries a signed assertion that lives for a short time")
}

func contact(v *view, _ control.ID) said {
	switch {
	case len(v.plan.Help.Contact) > 0 && v.contact:
		return yes("the document names a contact, and /.well-known/security.txt is served")
	case len(v.plan.Help.Contact) > 0:
		return partly("/.well-known/security.txt is served; the document names no contact")
	}
	return no("no contact is configured (help.contact)")
}
