package plan

// Operation is one operation of the document with the rule each stage has for it.
type Operation struct {
	Index  int    `json:"index"`
	ID     string `json:"id"`
	Method string `json:"method"`
	Path   string `json:"path"` // the template, without the servers' path
	Own    string `json:"own"`  // Portreeve's own endpoint ("health", "security.txt", …); "" for the document's
	Source Source `json:"source"`

	Security Security `json:"security"`
	Limits   []Limit  `json:"limits"` // per principal, or address while anonymous
	Authz    Authz    `json:"authz"`
	Request  Request  `json:"request"`
	Object   *Object  `json:"object"`
	Answers  []Answer `json:"answers"` // by declared status
	Record   Record   `json:"record"`
	Observe  []string `json:"observe"` // stages that only watch, by unsafe_observe
	Controls []string `json:"controls,omitempty"`
}

// Security is OpenAPI's list of requirements: one of the alternatives must hold whole.
type Security struct {
	Public       bool          `json:"public"`       // security: [] — nobody needs to prove anything
	Anonymous    bool          `json:"anonymous"`    // an empty alternative {}: a credential may, but need not be shown
	Alternatives []Requirement `json:"alternatives"` // OR
	Source       Source        `json:"source"`
}

// Requirement is one alternative: all of its schemes at once, each with its scopes.
type Requirement []SchemeScopes

// SchemeScopes names a scheme and the scopes it must carry.
type SchemeScopes struct {
	Scheme string   `json:"scheme"`
	Scopes []string `json:"scopes"`
}

// Authz is what the caller must be permitted to do beyond the document's scopes.
type Authz struct {
	Permission string `json:"permission"` // "" none asked
	StepUp     bool   `json:"step_up"`    // more than one factor, proven lately (RFC 9470)
	MaxAge     int    `json:"max_age"`    // seconds since auth_time, with StepUp
	Source     Source `json:"source"`
}

// Undeclared says what happens to what the document does not declare.
type Undeclared string

const (
	Refuse Undeclared = "refuse"
	Drop   Undeclared = "drop"
	Ignore Undeclared = "ignore"
)

// Request is what a request of this operation may look like.
type Request struct {
	Parameters []Parameter `json:"parameters"`
	Body       *Body       `json:"body"` // nil: no body is declared, so none is accepted
	MaxBody    int64       `json:"max_body"`
	Undeclared Undeclared  `json:"undeclared"`
	Source     Source      `json:"source"`
}

// Parameter is one declared parameter (OpenAPI Parameter Object).
type Parameter struct {
	Name          string `json:"name"`
	In            string `json:"in"`
	Style         string `json:"style"`
	Explode       *bool  `json:"explode"`
	Required      bool   `json:"required"`
	AllowReserved bool   `json:"allow_reserved"`
	AllowEmpty    bool   `json:"allow_empty"`
	Slash         bool   `json:"slash,omitempty"` // of a path: its schema speaks of slashes, so %2F may stand in it
	Schema        string `json:"schema"`          // pointer into Plan.Document, "" when none
	Content       string `json:"content"`         // media type, for parameters with content
	Source        Source `json:"source"`
}

// Body is a declared body by media type.
type Body struct {
	Required bool    `json:"required"`
	Media    []Media `json:"media"`
	Source   Source  `json:"source"`
}

// Media is one media type and the schemas a body of it may follow: any one of them.
type Media struct {
	Type     string   `json:"type"` // "application/json", "image/*"
	Schemas  []string `json:"schemas"`
	Delivery Delivery `json:"delivery"` // of requests: hold, relay or never
	Parts    []Part   `json:"parts,omitempty"`
	Kind     PartKind `json:"kind,omitempty"`  // text or bytes: the whole body is one of them, and its schema is held against that
	Bytes    *Length  `json:"bytes,omitempty"` // of Kind bytes
}

// Length bounds bytes.
type Length struct {
	Least int64 `json:"least"`
	Most  int64 `json:"most"` // -1: none
}

// Part says how one member of a form or a multipart body is written, where its schema does not say it.
type Part struct {
	Name    string      `json:"name"`
	Kind    PartKind    `json:"kind"`
	Types   []string    `json:"types,omitempty"` // media types that the part may have; none: the kind's default
	Least   int64       `json:"least,omitempty"` // length of bytes
	Most    int64       `json:"most"`            // -1: the body's limit
	Style   string      `json:"style,omitempty"` // of forms
	Explode *bool       `json:"explode,omitempty"`
	Headers []Parameter `json:"headers,omitempty"`
	Source  Source      `json:"source,omitempty"`
}

// PartKind is what a part holds.
type PartKind string

const (
	PartNatural PartKind = ""      // JSON where the schema wants an object, else text
	PartText    PartKind = "text"  // a string, number or boolean
	PartJSON    PartKind = "json"  // one JSON text
	PartBytes   PartKind = "bytes" // no schema describes them but for their length
)

// Delivery is how an answer's body travels, fixed at load.
type Delivery string

const (
	Hold  Delivery = "hold"  // the whole body is judged, then sent
	Items Delivery = "items" // each item is judged and sent by itself
	Relay Delivery = "relay" // no rule for the body: bytes are copied
	Empty Delivery = "empty" // the document declares no body: none is sent
	Never Delivery = "never" // the schema says something of the body that cannot be judged in this media type: refused
)

// Answer is one declared answer.
type Answer struct {
	Status     string     `json:"status"` // "200", "4XX", "default"
	Media      []Media    `json:"media"`
	Headers    []string   `json:"headers"`    // declared response headers, canonical
	Undeclared Undeclared `json:"undeclared"` // Refuse blocks the answer
	Source     Source     `json:"source"`
}

// Object says which object the operation touches and how its owner is known.
type Object struct {
	Type   string       `json:"type"`
	ID     string       `json:"id"`    // OpenAPI runtime expression, "$request.path.report_id"
	Owner  string       `json:"owner"` // "$response.body#/owner_id", "$request.path.user_id"
	From   ObjectSource `json:"from"`
	Claim  string       `json:"claim"`  // the principal's side: "sub" or a claim's JSON pointer
	Issuer string       `json:"issuer"` // whose subjects own objects, by id; a key that a user owns is of "embedded", any other of "keys"
	Unless string       `json:"unless"` // a permission that passes without ownership
	Access ObjectAccess `json:"access"`
	Source Source       `json:"source"`
}

// ObjectSource is where the owner is learned.
type ObjectSource string

const (
	FromClaim    ObjectSource = "claim"    // the request's id itself names the owner: decided before the upstream is called
	FromResponse ObjectSource = "response" // the answer names the owner: decided on the very bytes delivered
)

// ObjectAccess is what ownership decides.
type ObjectAccess string

const (
	AccessDeny   ObjectAccess = "deny"   // who does not own it is told it does not exist
	AccessFields ObjectAccess = "fields" // everybody may read it; ownership only widens the fields
)

// Record is how surely an exchange is recorded.
type Record string

const (
	Sync  Record = "sync"  // an intent is durable before the upstream is called
	Async Record = "async" // queued and committed with others
)
