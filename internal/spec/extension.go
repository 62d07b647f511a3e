package spec

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/tree"
)

// Extension is `x-portreeve` of an operation, or of the document.
type Extension struct {
	At         tree.Position // zero: there is none
	Permission string
	Limit      string // "10/1m", or "5/s burst 20"
	Object     *Object
	References []*Object // further objects that the request names: all of them must be the caller's
	Exempt     []Exempt
	Public     *Public
	Record     string // "", sync, async
	Undeclared Undeclared
	BodyLimit  int64  // bytes; 0: not said
	Delivery   string // "", hold, items, relay
	Unjudged   string // unsafe_unjudged: why bodies whose media type cannot be judged by their schema pass
	UnjudgedAt tree.Position
	Screen     bool          // free text is screened
	MFA        bool          // more than one factor, proven lately (RFC 9470)
	MaxAge     time.Duration // since the caller proved who he is; 0: not said
}

// Undeclared is what happens to what the document does not declare; "" leaves it to the configuration.
type Undeclared struct {
	Request  string // refuse, drop, ignore
	Response string // drop, block, pass
}

// Object is which object an operation touches, and whose it is. Expressions are OpenAPI's (3.1 §4.8.20.4).
type Object struct {
	At     tree.Position
	Type   string
	ID     string // "$request.path.report_id"
	Owner  string // "$response.body#/owner_id", "$request.path.user_id"
	Source string // "": inferred
	Claim  string // the caller's side: "sub", or a claim's JSON pointer
	Issuer string // whose subjects own objects; "": the only issuer there is
	Unless string // a permission that passes without ownership
	Access string // "", deny, fields
	Read   string // operationId of what is asked before: conditional, prefetch, list
	Member string // list: where the ids stand in the answer of Read, "$response.body#/*/id"
	Totals []string
	Within []Within
}

// Within says that what an object names as what it is part of is what the request names.
type Within struct {
	ID string // of the request: "$request.path.account_id"
	Is string // of the object, "$response.body#/account_id", or of the request once more
}

// Exempt is an identifier that needs no owner, and why.
type Exempt struct{ ID, Reason string }

// Public is why an operation asks for no credential, and who agreed.
type Public struct{ Reason, Approver string }

// rule says what one member of x-portreeve may be.
type rule struct {
	kind    tree.Kind
	values  []string        // the only ones
	pattern *regexp.Regexp  // of strings
	wants   string          // the pattern in words
	members map[string]rule // of objects
	must    bool            // may not be absent from its object
	or      map[string]rule // instead of a string: an object
	items   *rule           // of arrays, which are not empty
}

var (
	permission = rule{kind: tree.String, wants: `names joined by colons, "users:read"`,
		pattern: regexp.MustCompile(`^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)*$`)}
	expression = rule{kind: tree.String, wants: `a run-time expression, "$request.path.id" or "$response.body#/owner_id"`,
		pattern: regexp.MustCompile(`^\$(request\.(path|query|header)\.[^\s]+|(request|response)\.body#(/[^\s]*)?|response\.header\.[^\s]+)$`)}
	words    = rule{kind: tree.String, wants: "not empty", pattern: regexp.MustCompile(`\S`)}
	duration = `([1-9][0-9]{0,4}[smhd])`
	limit    = rule{kind: tree.String, wants: `"10/1m": never more than 10 in any minute`,
		pattern: regexp.MustCompile(`^[1-9][0-9]{0,8}/` + duration + `$`),
		or: map[string]rule{
			"rate":  {kind: tree.String, must: true, wants: `"5/s"`, pattern: regexp.MustCompile(`^[1-9][0-9]{0,8}/[smhd]$`)},
			"burst": {kind: tree.Number, must: true, wants: "a whole number above 0", pattern: regexp.MustCompile(`^[1-9][0-9]{0,8}$`)},
		}}
	undeclared = rule{kind: tree.Object, members: map[string]rule{
		"request":  {kind: tree.String, values: []string{"refuse", "drop", "ignore"}},
		"response": {kind: tree.String, values: []string{"drop", "block", "pass"}},
	}}
	bodyLimit = rule{kind: tree.Number, wants: "bytes, a whole number above 0", pattern: regexp.MustCompile(`^[1-9][0-9]{0,11}$`)}
)

// ownership is what an object, or a reference to one, may say of itself.
var ownership = map[string]rule{
	"type": withMust(words), "id": expression, "owner": expression, "unless": permission,
	"source": {kind: tree.String, values: []string{"claim", "response", "conditional", "prefetch", "ledger", "list", "pdp"}},
	"claim":  {kind: tree.String, wants: `"sub" or a JSON pointer into the claims`, pattern: regexp.MustCompile(`^(sub|(/[^/\s]+)+)$`)},
	"issuer": words, "read": words, "member": expression,
	"totals": {kind: tree.Array, items: &expression},
	"within": {kind: tree.Array, items: &rule{kind: tree.Object, members: map[string]rule{"id": withMust(expression), "is": withMust(expression)}}},
}

// with returns the members and one more.
func with(members map[string]rule, name string, r rule) map[string]rule {
	out := maps.Clone(members)
	out[name] = r
	return out
}

// extensions are what x-portreeve may say, by the object it stands in.
var extensions = map[string]rule{
	"OpenAPI": {kind: tree.Object, members: map[string]rule{"undeclared": undeclared, "body_limit": bodyLimit}},
	"Operation": {kind: tree.Object, members: map[string]rule{
		"permission": permission, "limit": limit, "undeclared": undeclared, "body_limit": bodyLimit,
		"object":          {kind: tree.Object, members: with(ownership, "access", rule{kind: tree.String, values: []string{"deny", "fields"}})},
		"references":      {kind: tree.Array, items: &rule{kind: tree.Object, members: ownership}},
		"exempt":          {kind: tree.Array, items: &rule{kind: tree.Object, members: map[string]rule{"id": withMust(expression), "reason": withMust(words)}}},
		"unsafe_unjudged": {kind: tree.Object, members: map[string]rule{"reason": withMust(words)}},
		"public":          {kind: tree.Object, members: map[string]rule{"reason": withMust(words), "approver": withMust(words)}},
		"record":          {kind: tree.String, values: []string{"sync", "async"}},
		"delivery":        {kind: tree.String, values: []string{"hold", "items", "relay"}},
		"mfa":             {kind: tree.Bool},
		"screen":          {kind: tree.Bool},
		"max_age":         {kind: tree.String, wants: `a duration, "15m"`, pattern: regexp.MustCompile(`^` + duration + `$`)},
	}},
	"Schema": {kind: tree.Object, members: map[string]rule{
		"class":      {kind: tree.String, values: []string{"public", "internal", "personal", "sensitive", "cardholder", "secret"}},
		"permission": permission, "unmask": permission, "owner_may": {kind: tree.Bool},
		"mask":           {kind: tree.String, values: []string{"last4", "email", "full"}},
		"unsafe_pattern": {kind: tree.Object, members: map[string]rule{"reason": withMust(words)}},
	}},
}

func withMust(r rule) rule { r.must = true; return r }

const extensionName = "x-portreeve"

// extension judges a field that begins with x-. A misspelt x-portreeve protects nothing, so it is no stranger's.
func (w *walker) extension(m tree.Member, kind string) {
	if m.Name != extensionName {
		if lower := strings.ToLower(m.Name); strings.HasPrefix(lower, extensionName) || tree.Nearest(lower, []string{extensionName}) != "" {
			w.add(m.At, didYouMean(extensionName), "the field %q protects nothing", m.Name)
		}
		return
	}
	r, ok := extensions[kind]
	if !ok {
		w.add(m.At, "it belongs to the document, an operation or a schema", "x-portreeve means nothing in a %s Object", kind)
		return
	}
	w.obey(m.Value, extensionName, r)
	if kind == "Schema" && m.Value.Get("unmask") != nil && m.Value.Get("mask") == nil {
		w.add(m.At, "add mask: last4, email or full", "x-portreeve.unmask without mask shows the value to everybody")
	}
	if u := m.Value.Get("unsafe_pattern"); kind == "Schema" && u != nil {
		w.unenforced = append(w.unenforced, Unenforced{u.Get("reason").Str(), u.At})
	}
}

// obey holds a value of x-portreeve against its rule.
func (w *walker) obey(n *tree.Node, name string, r rule) {
	if r.or != nil && n.Kind == tree.Object {
		r = rule{kind: tree.Object, members: r.or}
	}
	switch {
	case n.Kind != r.kind:
		w.add(n.At, r.wants, "%s must be %s, not %s", name, r.kind, n.Kind)
	case r.values != nil && !slices.Contains(r.values, n.Text):
		w.add(n.At, "one of "+strings.Join(r.values, ", "), "%s cannot be %q", name, n.Text)
	case r.pattern != nil && !r.pattern.MatchString(n.Text):
		w.add(n.At, "it is "+r.wants, "%s cannot be %q", name, n.Text)
	}
	if n.Kind == tree.Array && r.items != nil {
		if len(n.Items) == 0 {
			w.add(n.At, "remove it", "%s is empty", name)
		}
		for _, item := range n.Items {
			w.obey(item, name, *r.items)
		}
		return
	}
	if n.Kind != tree.Object {
		return
	}
	names := slices.Sorted(maps.Keys(r.members))
	for _, m := range n.Members {
		if member, ok := r.members[m.Name]; ok {
			w.obey(m.Value, name+"."+m.Name, member)
			continue
		}
		hint := "it has " + strings.Join(names, ", ")
		if near := tree.Nearest(m.Name, names); near != "" {
			hint = didYouMean(near)
		}
		w.add(m.At, hint, "%s has no member %q here", name, m.Name)
	}
	for _, member := range names {
		if r.members[member].must && n.Get(member) == nil {
			w.add(n.At, "", "%s lacks %q", name, member)
		}
	}
}

// readExtension reads an x-portreeve that obeys its rule; nil gives the zero Extension.
func readExtension(n *tree.Node) Extension {
	if n == nil {
		return Extension{}
	}
	x := Extension{At: n.At, Permission: n.Get("permission").Str(), Limit: n.Get("limit").Str(), Record: n.Get("record").Str(),
		Delivery: n.Get("delivery").Str(), MFA: n.Get("mfa").True(), Screen: n.Get("screen").True(),
		Undeclared: Undeclared{n.Get("undeclared").Get("request").Str(), n.Get("undeclared").Get("response").Str()}}
	if l := n.Get("limit"); l.Get("rate") != nil {
		x.Limit = l.Get("rate").Str() + " burst " + l.Get("burst").Text
	}
	if b := n.Get("body_limit"); b != nil {
		x.BodyLimit, _ = strconv.ParseInt(b.Text, 10, 64)
	}
	if a := n.Get("max_age").Str(); a != "" {
		unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[a[len(a)-1]]
		count, _ := strconv.Atoi(a[:len(a)-1])
		x.MaxAge = time.Duration(count) * unit
	}
	if o := n.Get("object"); o != nil {
		x.Object = readObject(o)
	}
	if list := n.Get("references"); list != nil {
		for _, o := range list.Items {
			x.References = append(x.References, readObject(o))
		}
	}
	if list := n.Get("exempt"); list != nil {
		for _, e := range list.Items {
			x.Exempt = append(x.Exempt, Exempt{e.Get("id").Str(), e.Get("reason").Str()})
		}
	}
	if u := n.Get("unsafe_unjudged"); u != nil {
		x.Unjudged, x.UnjudgedAt = u.Get("reason").Str(), u.At
	}
	if p := n.Get("public"); p != nil {
		x.Public = &Public{p.Get("reason").Str(), p.Get("approver").Str()}
	}
	return x
}

func readObject(n *tree.Node) *Object {
	o := &Object{At: n.At, Type: n.Get("type").Str(), ID: n.Get("id").Str(), Owner: n.Get("owner").Str(), Source: n.Get("source").Str(),
		Claim: n.Get("claim").Str(), Issuer: n.Get("issuer").Str(), Unless: n.Get("unless").Str(), Access: n.Get("access").Str(),
		Read: n.Get("read").Str(), Member: n.Get("member").Str()}
	if list := n.Get("totals"); list != nil {
		for _, t := range list.Items {
			o.Totals = append(o.Totals, t.Str())
		}
	}
	if list := n.Get("within"); list != nil {
		for _, m := range list.Items {
			o.Within = append(o.Within, Within{m.Get("id").Str(), m.Get("is").Str()})
		}
	}
	return o
}
