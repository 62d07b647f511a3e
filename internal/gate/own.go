package gate

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/plan"
)

// ownHandlers answer the gate's own public endpoints, by Operation.Own.
type ownHandlers map[string]http.Handler

func newOwnHandlers(p *plan.Plan, r *Runtime) ownHandlers {
	h := ownHandlers{
		"health": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			word := "ok"
			if r.Health != nil {
				word = r.Health()
			}
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(`{"status":"` + word + "\"}\n"))
		}),
		"security.txt":             http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeSecurityTxt(w, p, r.Clock()) }),
		"oauth-protected-resource": document("application/json", resourceMetadata(p)),
	}
	if r.Signer != nil {
		h["jwks"] = document("application/jwk-set+json", r.Signer.JWKS())
	}
	return h
}

func document(mediaType string, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.Write(body)
	})
}

// securityTxtValid is how far ahead Expires lies; RFC 9116 §2.5.5 recommends less than a year.
const securityTxtValid = 180 * 24 * time.Hour

func writeSecurityTxt(w http.ResponseWriter, p *plan.Plan, now time.Time) {
	var b strings.Builder
	field := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	for _, c := range p.Help.Contact {
		field("Contact", c)
	}
	field("Expires", now.Add(securityTxtValid).UTC().Truncate(24*time.Hour).Format(time.RFC3339))
	field("Encryption", p.Help.Encryption)
	field("Policy", p.Help.Policy)
	if p.PublicURL != "" {
		field("Canonical", p.PublicURL+"/.well-known/security.txt")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte(b.String()))
}

// resourceMetadata is RFC 9728's document: who issues the tokens this API believes, and which scopes it asks for.
func resourceMetadata(p *plan.Plan) []byte {
	m := struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers,omitempty"`
		Scopes   []string `json:"scopes_supported,omitempty"`
		Methods  []string `json:"bearer_methods_supported"`
		Name     string   `json:"resource_name,omitempty"`
	}{Resource: p.PublicURL, Methods: []string{"header"}, Name: p.Title}
	if e := p.Identity.Embedded; e != nil {
		m.Servers = append(m.Servers, e.Issuer)
	}
	for _, is := range p.Identity.Issuers {
		m.Servers = append(m.Servers, is.URL)
	}
	for _, op := range p.Operations {
		for _, alt := range op.Security.Alternatives {
			for _, s := range alt {
				m.Scopes = append(m.Scopes, s.Scopes...)
			}
		}
	}
	slices.Sort(m.Scopes)
	m.Scopes = slices.Compact(m.Scopes)
	b, err := json.Marshal(m)
	if err != nil {
		panic("gate: " + err.Error()) // strings can be marshalled
	}
	return b
}
