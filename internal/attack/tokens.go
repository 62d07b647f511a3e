package attack

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/attack/forge"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/finding"
)

func ids(names ...control.ID) []control.ID { return names }

// seenToken is a token that an answer gave away.
type seenToken struct {
	token  *forge.Token
	answer *answer
}

// forgeries remember which false tokens were believed: what one lets in, others need.
type forgeries struct {
	stranger *forge.Stranger
	sign     func(claims map[string]any) (string, error) // a way to make a token that is believed
	how      string
}

var tokenForm = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*`)

const maxTokens = 50

// collectTokens keeps the tokens of an answer for the offline attacks.
func (r *run) collectTokens(a *answer) {
	if len(r.tokens) >= maxTokens || !a.ok() {
		return
	}
	for _, text := range tokenForm.FindAllString(string(a.body), 5) {
		if t, err := forge.Parse(text); err == nil {
			r.tokens = append(r.tokens, seenToken{t, a})
		}
	}
}

// witness returns the operation on which tokens are judged: its valid call works, and neither nothing nor garbage does.
func (t *trial) witness() (*operation, string) {
	if !t.judged {
		t.judged = true
		for _, op := range t.ops {
			if !op.reached || !op.safe() || !op.token || op.public || op.optional || op.limit.set() {
				continue
			}
			if l := t.legs(op); !l.none.hidden() {
				continue
			}
			if a := t.garbage(op); a.denied() {
				t.judge = op
				break
			}
		}
	}
	if t.judge == nil {
		return nil, "there is no operation that reads, takes a token, and refuses both none and garbage"
	}
	return t.judge, ""
}

// model returns the header and the claims that a false token copies, and whose they are. Those of a caller who may call the
// witness are tried first: a token that is believed must not fail for want of permission.
func (t *trial) model(op *operation) (*forge.Token, *person) {
	candidates := slices.Concat([]*person{op.caller}, t.callers(op), t.people)
	for _, p := range candidates {
		if p == nil {
			continue
		}
		for _, s := range []string{p.token, p.Token} {
			if m, err := forge.Parse(s); err == nil {
				return m, p
			}
		}
	}
	return nil, nil
}

// fake is a token to be tried.
type fake struct {
	what  string
	token string
	shell string
	err   error
	sign  func(claims map[string]any) (string, error)
}

// tryFakes shows false tokens to the witness until one is believed.
func (t *trial) tryFakes(make func(m *forge.Token, p *person) []fake) result {
	op, why := t.witness()
	if op == nil {
		return undecided("%s", why)
	}
	m, p := t.model(op)
	if m == nil {
		return withheld("no identity has a signed token (JWT) to copy")
	}
	t.legs(op)
	for _, f := range make(m, p) {
		if f.err != nil {
			return undecided("%v", f.err).at(op)
		}
		label := ""
		if f.shell != "" {
			label = "‹" + f.what + "›"
		}
		a := t.send(t.fresh(op).by(credential{kind: tokenOnly, value: f.token, label: label, shell: f.shell}))
		if res := t.believes(op, a, f.what); res.verdict != finding.Passed {
			if res.verdict == finding.Failed && f.sign != nil && t.forgeries.sign == nil {
				t.forgeries.sign, t.forgeries.how = f.sign, f.what
			}
			return res
		}
	}
	return passed().at(op)
}

// lively returns the claims of a model, in force now.
func lively(m *forge.Token, change map[string]any) map[string]any {
	now := time.Now().Unix()
	c := forge.With(m.Claims, map[string]any{"iat": now, "exp": now + 600})
	if _, ok := c["nbf"]; ok {
		c["nbf"] = now
	}
	return forge.With(c, change)
}

var algNone = Attack{
	Rule: finding.Rule{ID: "token-alg-none", Title: "A token without a signature is believed", Severity: finding.Critical, CWE: []int{347, 327},
		OWASP2019: []string{"API2"}, OWASP2023: []string{"API2"}, Controls: ids("token.signature"),
		Why: "Anybody writes a token in anybody's name: its header says that it is not signed, and is believed.",
		Fix: "Let the key decide the algorithm, and list the ones that are allowed; never take it from the token (RFC 8725 §3.1)."},
	once: func(t *trial) result {
		return t.tryFakes(func(m *forge.Token, p *person) []fake {
			var out []fake
			for _, alg := range []string{"none", "None", "NONE", "nOnE"} {
				sign := func(claims map[string]any) (string, error) { return forge.None(m.Header, claims, alg) }
				token, err := sign(lively(m, nil))
				out = append(out, fake{what: fmt.Sprintf("a token with alg %q in %s's name", alg, p.Name), token: token, err: err, sign: sign})
			}
			return out
		})
	},
}

var brokenSignature = Attack{
	Rule: finding.Rule{ID: "token-signature", Title: "A token with a wrong signature is believed", Severity: finding.Critical, CWE: []int{347},
		OWASP2019: []string{"API2"}, OWASP2023: []string{"API2"}, Controls: ids("token.signature", "authn.oauth-oidc"),
		Why: "Whoever has one token, or has seen one, writes others in anybody's name.",
		Fix: "Verify the signature with the issuer's own key before any claim is read; refuse tokens without one."},
	once: func(t *trial) result {
		if t.forgeries.stranger == nil {
			s, err := forge.NewStranger()
			if err != nil {
				return undecided("%v", err)
			}
			t.forgeries.stranger = s
		}
		return t.tryFakes(func(m *forge.Token, p *person) []fake {
			alg := m.Algorithm()
			foreign := func(claims map[string]any) (string, error) { return t.forgeries.stranger.Sign(m.Header, claims, alg) }
			signed, err := foreign(lively(m, nil))
			out := []fake{
				{what: p.Name + "'s token signed by a stranger's key", token: signed, err: err, sign: foreign},
				{what: p.Name + "'s token with its signature cut off", token: m.Unsigned()},
				{what: p.Name + "'s token with another signature", token: m.Spoilt()},
			}
			blank := func(claims map[string]any) (string, error) { return forge.HMAC(m.Header, claims, "HS256", nil) }
			token, err := blank(lively(m, nil))
			out = append(out, fake{what: "a token signed with an empty secret in " + p.Name + "'s name", token: token, err: err, sign: blank})
			if alg != "ES256" {
				other := func(claims map[string]any) (string, error) {
					return t.forgeries.stranger.Sign(forge.With(m.Header, map[string]any{"kid": nil}), claims, "ES256")
				}
				token, err := other(lively(m, nil))
				out = append(out, fake{what: "a token of another algorithm (ES256) signed by a stranger's key in " + p.Name + "'s name", token: token, err: err, sign: other})
			}
			return out
		})
	},
}

var weakSecret = Attack{
	Rule: finding.Rule{ID: "token-weak-secret", Title: "Tokens are signed with a word that is easily guessed", Severity: finding.Critical, CWE: []int{521, 326, 798},
		OWASP2019: []string{"API2", "API7"}, OWASP2023: []string{"API2", "API8"}, Controls: ids("token.key-strength", "secret.no-hardcoded"),
		Why: "The secret is found offline, without one request; from then on the attacker issues tokens.",
		Fix: "Use a random secret of at least 256 bits from a secret store, or better a key pair (RFC 8725 §3.5)."},
	once: func(t *trial) result {
		tried, pairs := 0, ""
		var more []string
		for _, word := range []string{t.doc.Title} {
			more = append(more, word)
		}
		crack := func(token *forge.Token) (string, bool) {
			if !strings.HasPrefix(token.Algorithm(), "HS") {
				pairs = token.Algorithm()
				return "", false
			}
			tried++
			return token.Crack(forge.Words(more...))
		}
		verified := func(word string, token *forge.Token, op *operation, proof []finding.Exchange) result {
			alg := token.Algorithm()
			sign := func(claims map[string]any) (string, error) {
				return forge.HMAC(token.Header, claims, alg, []byte(word))
			}
			if t.forgeries.sign == nil {
				t.forgeries.sign, t.forgeries.how = sign, fmt.Sprintf("a token signed with %q", word)
			}
			if w, _ := t.witness(); w != nil {
				if forged, err := sign(lively(token, nil)); err == nil {
					a := t.run.send(t.fresh(w).by(credential{kind: tokenOnly, value: forged}))
					if t.served(w, a) {
						proof = append(proof, t.proof("a token that this run signed itself is believed", a))
					}
				}
			}
			return found(fmt.Sprintf("the secret that signs %s tokens is %q", alg, word), proof...).at(op)
		}
		for _, s := range t.tokens {
			if word, ok := crack(s.token); ok {
				return verified(word, s.token, s.answer.call.op, []finding.Exchange{t.proof("the answer that holds the token", s.answer)})
			}
		}
		for _, p := range t.people {
			for _, s := range []string{p.token, p.Token} {
				if token, err := forge.Parse(s); err == nil {
					if word, ok := crack(token); ok {
						return verified(word, token, nil, nil)
					}
				}
			}
		}
		switch {
		case tried == 0 && pairs == "":
			return withheld("no signed token (JWT) was seen")
		case tried == 0:
			return passedBecause("tokens are signed with a key pair (%s): there is no word to guess", pairs)
		}
		return passed()
	},
}

var expiredToken = Attack{
	Rule: finding.Rule{ID: "token-expired", Title: "A token is believed after its time", Severity: finding.High, CWE: []int{613},
		OWASP2019: []string{"API2"}, OWASP2023: []string{"API2"}, Controls: ids("token.expiry"),
		Why: "A token that was stolen once works for ever.",
		Fix: "Demand exp and refuse a token after it, with a leeway of a minute at most."},
	once: func(t *trial) result {
		return t.realButWrong("a token that ended", t.tokensGiven().Expired, map[string]any{"iat": time.Now().Add(-25 * time.Hour).Unix(), "nbf": nil, "exp": time.Now().Add(-24 * time.Hour).Unix()},
			"an expired one under tokens: {expired: […]} in the identities file")
	},
}

var foreignAudience = Attack{
	Rule: finding.Rule{ID: "token-audience", Title: "A token for another API is believed", Severity: finding.High, CWE: []int{287, 863},
		OWASP2019: []string{"API2"}, OWASP2023: []string{"API2"}, Controls: ids("token.audience", "token.claims", "authn.oauth-oidc"),
		Why: "A service that was given a token for itself calls this API in the user's name.",
		Fix: "Demand iss and aud, and compare both exactly with what is configured (RFC 8725 §3.8, §3.9)."},
	once: func(t *trial) result {
		return t.realButWrong("a token for another API", t.tokensGiven().Foreign, map[string]any{"aud": "https://another-api.example"},
			"one of the same issuer for another API under tokens: {foreign: […]} in the identities file")
	},
}

func (t *trial) tokensGiven() Tokens {
	if t.People == nil {
		return Tokens{}
	}
	return t.People.Tokens
}

// realButWrong tries tokens whose signature holds: those that were given, or one made by a way that was found to work.
func (t *trial) realButWrong(what string, given []string, change map[string]any, wanted string) result {
	op, why := t.witness()
	if op == nil {
		return undecided("%s", why)
	}
	t.legs(op)
	for _, token := range given {
		a := t.send(t.fresh(op).by(credential{kind: tokenOnly, value: token, label: "‹" + what + "›", shell: "$TOKEN"}))
		if res := t.believes(op, a, what); res.verdict != finding.Passed {
			return res
		}
	}
	m, p := t.model(op)
	if t.forgeries.sign == nil || m == nil {
		if len(given) > 0 {
			return passed().at(op)
		}
		return withheld("no such token can be made without the issuer's key: give %s", wanted)
	}
	token, err := t.forgeries.sign(lively(m, change))
	if err != nil {
		return undecided("%v", err).at(op)
	}
	a := t.send(t.fresh(op).by(credential{kind: tokenOnly, value: token}))
	return t.believes(op, a, fmt.Sprintf("%s (%s, in %s's name)", what, t.forgeries.how, p.Name))
}

// maxLife is how long a token may be believed.
const maxLife = 24 * time.Hour

var endlessToken = Attack{
	Rule: finding.Rule{ID: "token-endless", Title: "Tokens are given out that hardly ever end", Severity: finding.Medium, CWE: []int{613},
		OWASP2019: []string{"API2"}, OWASP2023: []string{"API2"}, Controls: ids("token.expiry", "token.claims"),
		Why: "A token that leaks once, in a log or a browser, is good for ever.",
		Fix: "Give each token an exp of an hour or less, and renew it by a refresh token or a new sign-in."},
	once: func(t *trial) result {
		looked := 0
		judge := func(m *forge.Token) string {
			looked++
			exp, okExp := seconds(m.Claims["exp"])
			iat, okIat := seconds(m.Claims["iat"])
			if !okIat {
				iat = time.Now().Unix()
			}
			switch {
			case !okExp:
				return "a token without exp: it never ends"
			case time.Duration(exp-iat)*time.Second > maxLife:
				return fmt.Sprintf("a token that lives for %d hours", (exp-iat)/3600)
			}
			return ""
		}
		for _, s := range t.tokens {
			if what := judge(s.token); what != "" {
				return found(what, t.proof("the answer that holds it", s.answer)).at(s.answer.call.op)
			}
		}
		for _, p := range t.people {
			for _, s := range []string{p.token, p.Token} {
				if m, err := forge.Parse(s); err == nil {
					if what := judge(m); what != "" {
						return found(fmt.Sprintf("%s (%s's)", what, p.Name))
					}
				}
			}
		}
		if looked == 0 {
			return withheld("no signed token (JWT) was seen")
		}
		return passed()
	},
}

func seconds(v any) (int64, bool) {
	r, ok := decimal(v)
	if !ok {
		return 0, false
	}
	f, _ := r.Float64()
	return int64(f), true
}
