package plan

import (
	"time"

	"github.com/portreeve/portreeve/internal/secret"
)

// Identity says whom the gate believes.
type Identity struct {
	Realm        string        `json:"realm"`
	Embedded     *Embedded     `json:"embedded"` // nil: the gate issues no tokens of its own
	Issuers      []Issuer      `json:"issuers"`
	Certificates *Certificates `json:"certificates"` // nil: no scheme is satisfied by one
	Schemes      []Scheme      `json:"schemes"`      // sorted by name; every scheme that an operation names is here
}

// Scheme returns the scheme of that name, nil when unknown.
func (i *Identity) Scheme(name string) *Scheme {
	for k := range i.Schemes {
		if i.Schemes[k].Name == name {
			return &i.Schemes[k]
		}
	}
	return nil
}

// Embedded is the gate's own small issuer.
type Embedded struct {
	Issuer   string        `json:"issuer"`
	Audience string        `json:"audience"`
	Lifetime time.Duration `json:"lifetime"`
}

// Issuer is a foreign party whose tokens are believed.
type Issuer struct {
	ID          string        `json:"id"`
	URL         string        `json:"url"` // the exact iss
	Audience    []string      `json:"audience"`
	JWKS        string        `json:"jwks"`
	PublicKey   string        `json:"public_key"` // PEM file
	Secret      secret.Ref    `json:"secret"`
	Algorithms  []string      `json:"algorithms"`
	Types       []string      `json:"types"`
	Required    []string      `json:"required"`
	MaxLifetime time.Duration `json:"max_lifetime"`
	Leeway      time.Duration `json:"leeway"`
	RolesClaim  string        `json:"roles_claim"` // JSON pointer
	ScopesClaim string        `json:"scopes_claim"`
	RoleMap     []RoleMapping `json:"role_map"` // sorted; an unmapped role is dropped
	Source      Source        `json:"source"`
}

// Certificates says for whom clients' certificates speak. They are judged by the roots of Server.TLS.ClientCA.
type Certificates struct {
	Subject string        `json:"subject"` // "dns", "uri", "email", "common_name" or "subject": which name is the caller's
	Roots   string        `json:"roots"`   // PEM file
	RoleMap []RoleMapping `json:"role_map"`
	Source  Source        `json:"source"`
}

// RoleMapping turns a foreign role into ours.
type RoleMapping struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Location is where a credential travels.
type Location string

const (
	InBearer Location = "bearer" // Authorization: Bearer
	InHeader Location = "header"
	InQuery  Location = "query"
	InCookie Location = "cookie"
	InTLS    Location = "tls" // the connection's client certificate (OpenAPI's mutualTLS)
)

// Scheme is one of the document's security schemes and what satisfies it.
type Scheme struct {
	Name         string   `json:"name"`
	Location     Location `json:"location"`
	Param        string   `json:"param"`        // header, query or cookie name
	Keys         bool     `json:"keys"`         // satisfied by an API key of this gate
	Certificates bool     `json:"certificates"` // by the client's certificate
	Issuers      []string `json:"issuers"`      // or by a token of one of these, by id; "embedded" is our own
	Source       Source   `json:"source"`
}
