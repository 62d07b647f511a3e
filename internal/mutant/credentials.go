package mutant

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate"
	"github.com/portreeve/portreeve/internal/gate/authn"
	"github.com/portreeve/portreeve/internal/gate/authz"
	"github.com/portreeve/portreeve/internal/gate/edge"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/gate/object"
	"github.com/portreeve/portreeve/internal/plan"
)

// credentials makes the mutants of authn that are not about one kind of token.
func (l *list) credentials() {
	for _, op := range l.declared() {
		if op.Security.Public {
			continue
		}
		l.add(Mutant{Rule: "unguarded", At: nameOf(op), Controls: []control.ID{"authn.required", "authn.stateless", "authz.deny-default"},
			Does: "Nobody is asked who they are, nor what they may do.",
			change: on(op, func(op *plan.Operation) {
				op.Security = plan.Security{Public: true, Source: op.Security.Source}
				op.Authz, op.Object = plan.Authz{}, nil
			})})
	}
	l.add(Mutant{Rule: "head-unguarded", Controls: []control.ID{"authn.required", "authz.per-operation"},
		Does: "HEAD is answered without asking who calls and what they may do.",
		bend: plain(func(op *plan.Operation, steps []exchange.Step) {
			for _, stage := range []string{authn.Name, authz.Name, object.Name} {
				entering(stage, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
					if x.Request.Method == http.MethodHead {
						return exchange.Pass
					}
					return then(x)
				})(op, steps)
			}
		})})
	keys := slices.IndexFunc(l.plan.Identity.Schemes, func(s plan.Scheme) bool { return s.Keys && s.Location == plan.InHeader })
	if keys >= 0 {
		name := http.CanonicalHeaderKey(l.plan.Identity.Schemes[keys].Param)
		l.add(Mutant{Rule: "key-unchecked", Controls: []control.ID{"authn.api-key"}, Does: "Any text is taken for an API key, and believed to be an administrator's.",
			bend: func(a arms) gate.Bend {
				return entering(authn.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
					shown := x.Request.Header[name]
					if len(shown) != 1 {
						return then(x)
					}
					if v := then(x); v != exchange.Refused {
						return v
					}
					x.No, x.Proofs, x.Satisfied = exchange.Refusal{}, nil, 0
					x.Request.Header[name] = []string{a.key}
					defer func() { x.Request.Header[name] = shown }()
					return then(x)
				})
			}})
	}
	l.add(Mutant{Rule: "identity-header-believed", Controls: []control.ID{"authn.stateless", "deploy.no-bypass"},
		Does: "A header of the caller's says whose the request is.",
		bend: plain(func(op *plan.Operation, steps []exchange.Step) {
			entering(edge.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
				said := x.Request.Header.Get("X-User-Id")
				v := then(x)
				if said != "" {
					x.Request.Header["X-User-Id"] = []string{said}
				}
				return v
			})(op, steps)
			entering(authn.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
				v := then(x)
				if said := x.Request.Header.Get("X-User-Id"); said != "" && v == exchange.Pass {
					x.Principal.Subject = said
				}
				return v
			})(op, steps)
		})})
	l.add(Mutant{Rule: "challenge-missing", Controls: []control.ID{"authn.challenge"}, Does: "A 401 does not say how to authenticate.",
		bend: plain(both(refusing(authn.Name, func(no *exchange.Refusal) { no.Challenge = nil }), step(authn.Name, func(s *exchange.Step) { s.Dress = nil })))})
	l.add(Mutant{Rule: "refusal-explained", Controls: []control.ID{"error.uniform-auth"}, Does: "A refused credential is told what was wrong with it.",
		bend: plain(refusing(authn.Name, func(no *exchange.Refusal) { no.Detail = "the credential is not valid: " + string(no.Fine) }))})
}

// refusing changes a stage's refusals.
func refusing(stage string, change func(*exchange.Refusal)) gate.Bend {
	return entering(stage, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
		v := then(x)
		if v == exchange.Refused {
			change(&x.No)
		}
		return v
	})
}

// token is one that somebody shows, taken apart.
type token struct {
	alg, typ  string
	claims    map[string]any
	signature string
	genuine   bool // the gate's own key signed it
}

// tokens makes the mutants of authn that believe tokens which they should not. Such a gate signs the false token anew,
// with what is not checked put right, and then judges it: everything else about it is checked as ever.
func (l *list) tokens() {
	if !slices.ContainsFunc(l.plan.Identity.Schemes, func(s plan.Scheme) bool { return s.Location == plan.InBearer && !s.Keys }) {
		return
	}
	for _, m := range []struct {
		rule, does string
		controls   []control.ID
		mend       func(a arms, t *token) bool // puts right what is not checked, and reports whether there was any
	}{
		{"signature-unchecked", "A token's signature is not checked.", []control.ID{"token.signature"},
			func(_ arms, t *token) bool { return !t.genuine }},
		{"algorithm-none-believed", "A token that says it has no signature is believed.", []control.ID{"token.signature"},
			func(_ arms, t *token) bool { return strings.EqualFold(t.alg, "none") }},
		{"foreign-key-believed", "A token that any key has signed is believed.", []control.ID{"token.signature"},
			func(_ arms, t *token) bool { return !t.genuine && t.alg == "EdDSA" && len(t.signature) == 86 }},
		{"missing-signature-believed", "A token whose signature was cut off is believed.", []control.ID{"token.signature"},
			func(_ arms, t *token) bool { return t.signature == "" && t.alg == "EdDSA" }},
		{"expiry-unchecked", "A token is believed after its time.", []control.ID{"token.expiry"},
			func(_ arms, t *token) bool { return t.genuine && t.renew() }},
		{"lifetime-unbounded", "A token is believed however long it lives.", []control.ID{"token.expiry", "token.claims"},
			func(_ arms, t *token) bool {
				exp, iat := t.time("exp"), t.time("iat")
				return t.genuine && exp.After(time.Now()) && exp.Sub(iat) > time.Hour && t.renew()
			}},
		{"audience-unchecked", "A token for another API is believed.", []control.ID{"token.audience", "token.claims"},
			func(a arms, t *token) bool { return t.set("aud", a.plan.Identity.Embedded.Audience) }},
		{"issuer-unchecked", "A token of another issuer is believed.", []control.ID{"token.claims"},
			func(a arms, t *token) bool { return t.set("iss", a.plan.Identity.Embedded.Issuer) }},
		{"type-unchecked", "A token of another kind is believed.", []control.ID{"token.claims"},
			func(_ arms, t *token) bool { return t.genuine && t.typ != accessToken }},
		{"id-not-demanded", "A token without an id, which nobody can revoke, is believed.", []control.ID{"token.claims", "token.revocation"},
			func(_ arms, t *token) bool {
				return t.genuine && t.claims["jti"] == nil && t.set("jti", "named-by-a-mutant")
			}},
		{"revocation-unchecked", "A token that was revoked is believed.", []control.ID{"token.revocation"},
			func(_ arms, t *token) bool {
				return t.genuine && t.claims["jti"] == revokedID && t.set("jti", "another")
			}},
		{"disabled-user-believed", "The token of a user who was disabled is believed.", []control.ID{"token.revocation"},
			func(a arms, t *token) bool { return t.genuine && t.claims["sub"] == a.idle && t.set("sub", a.active) }},
	} {
		l.add(Mutant{Rule: m.rule, Controls: m.controls, Does: m.does, bend: func(a arms) gate.Bend {
			return resigning(a, func(t *token) bool { return m.mend(a, t) })
		}})
	}
}

const (
	accessToken = "at+jwt"              // RFC 9068 §2.1
	revokedID   = "revoked-by-a-mutant" // the jti of a token that is revoked before the run
)

// set changes a claim of a genuine token.
func (t *token) set(name, value string) bool {
	if !t.genuine || t.claims[name] == value {
		return false
	}
	t.claims[name] = value
	return true
}

func (t *token) time(name string) time.Time {
	seconds, _ := t.claims[name].(float64)
	return time.Unix(int64(seconds), 0)
}

// renew makes a token valid from now on.
func (t *token) renew() bool {
	now := time.Now()
	t.claims["iat"], t.claims["exp"] = now.Unix(), now.Add(5*time.Minute).Unix()
	return true
}

// resigning signs each token that mend puts right with the gate's own key, before it is judged.
func resigning(a arms, mend func(*token) bool) gate.Bend {
	return entering(authn.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
		shown := x.Request.Header["Authorization"]
		if len(shown) != 1 {
			return then(x)
		}
		t, ok := a.read(shown[0])
		if !ok || !mend(t) {
			return then(x)
		}
		text, err := a.signer.Sign(accessToken, t.claims)
		if err != nil {
			return then(x)
		}
		x.Request.Header["Authorization"] = []string{"Bearer " + text}
		defer func() { x.Request.Header["Authorization"] = shown }()
		return then(x)
	})
}

// read takes a token apart, whatever it is worth.
func (a arms) read(header string) (*token, bool) {
	_, text, _ := strings.Cut(header, " ")
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, false
	}
	var head struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
	}
	t := &token{signature: parts[2]}
	for part, into := range map[string]any{parts[0]: &head, parts[1]: &t.claims} {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || json.Unmarshal(b, into) != nil {
			return nil, false
		}
	}
	t.alg, t.typ = head.Alg, head.Typ
	t.claims = maps.Clone(t.claims)
	var set jose.JSONWebKeySet
	if json.Unmarshal(a.signer.JWKS(), &set) != nil || len(set.Keys) != 1 {
		return nil, false
	}
	if parsed, err := jose.ParseSigned(text, []jose.SignatureAlgorithm{jose.EdDSA}); err == nil {
		_, err := parsed.Verify(set.Keys[0].Key)
		t.genuine = err == nil
	}
	return t, true
}
