package plan

// Operation is one operation of the document with the rule each stage has for it.
type Operation struct {
	Index  int    `json:"index"`
	ID     string `json:"id"`
	Method string `json:"method"`
	Path   string `json:"path"` // the template, without the servers' path
	Own    string `json:"own"`  // Portreeve's own endpoint ("health", "security.txt", …); "" for the document's
	Source Source `json:"source"`

	Security    Security     `json:"security"`
	Limits      []Limit      `json:"limits"` // per principal, or address while anonymous
	Authz       Authz        `json:"authz"`
	Request     Request      `json:"request"`
	Object      *Object      `json:"object"`
	References  []Object     `json:"references,omitempty"`  // further objects the request names: all of them must be the caller's
	Identifiers []Identifier `json:"identifiers,omitempty"` // what of the request looks like an object's id
	Answers     []Answer     `json:"answers"`               // by declared status
	Record      Record       `json:"record"`
	Observe     []string     `json:"observe"`          // stages that only watch, by unsafe_observe
	Screen      bool         `json:"screen,omitempty"` // free text is screened
	Controls    []string     `json:"controls,omitempty"`
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
	Read   *Read        `json:"read,omitempty"`   // conditional, prefetch, list: what is asked before
	Member string       `json:"member,omitempty"` // list: where the ids stand in the answer of Read, "$response.body#/*/id"
	Totals []string     `json:"totals,omitempty"` // JSON pointers of the counts beside a list that is filtered; they become the number of items left
	Within []Within     `json:"within,omitempty"` // what the object must name as what it is part of
	Source Source       `json:"source"`
}

// Read is the operation of the document that the gate asks, in the caller's name, before it decides.
type Read struct {
	Operation string      `json:"operation"`
	Path      string      `json:"path"` // its template
	Params    []ReadParam `json:"params"`
}

// ReadParam fills one variable of Read's path.
type ReadParam struct {
	Name  string `json:"name"`
	Value string `json:"value"` // an expression of the request; "" is the object's id
}

// Within is one containment: the object's own word for what it is part of is the request's.
type Within struct {
	ID string `json:"id"`
	Is string `json:"is"`
}

// Identifier is one part of a request that looks like an object's id, and what keeps it.
type Identifier struct {
	Expression string  `json:"expression"` // "$request.path.report_id", "$request.body#/items/*/account_id"
	State      Binding `json:"state"`
	By         string  `json:"by"` // the object's type and source, or why it is exempt
	Source     Source  `json:"source"`
}

// Binding says whether an identifier is held against its owner.
type Binding string

const (
	Bound   Binding = "bound"
	Exempt  Binding = "exempt"
	Unbound Binding = "unbound"
)

// Coverage counts the identifiers of operations by their binding.
type Coverage struct {
	Bound   int `json:"bound"`
	Exempt  int `json:"exempt"`
	Unbound int `json:"unbound"`
}

// ObjectSource is where the owner is learned.
type ObjectSource string

const (
	FromClaim    ObjectSource = "claim"    // the request's id itself names the owner: decided before the upstream is called
	FromResponse ObjectSource = "response" // the answer names the owner: decided on the very bytes delivered

	FromConditional ObjectSource = "conditional" // the object is read before, and the change is made with If-Match: to the version that was judged alone
	FromPrefetch    ObjectSource = "prefetch"    // the object is read before: weak, for it may change hands before the change is made
	FromLedger      ObjectSource = "ledger"      // who made it through the gate owns it
	FromList        ObjectSource = "list"        // it is in the list that the API gives the caller
	FromPDP         ObjectSource = "pdp"         // a decision point says so (AuthZEN 1.0)
)

// Weak reports whether what was judged may have changed before it is acted upon.
func (s ObjectSource) Weak() bool { return s == FromPrefetch || s == FromList }

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
