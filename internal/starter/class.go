package starter

import (
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// kind is what a name stands for.
type kind struct {
	class string
	names []string // words in the singular; a property's name ends in them
	what  string
	issue bool // a credential that some operation may exist to return

	numberless bool // a number of that name counts something
}

// kinds are all that names are recognised as; the first that fits counts.
var kinds = []kind{
	{class: "secret", what: "a password", names: []string{"password", "passwd", "pwd", "passphrase", "password hash", "password salt", "password digest", "passcode"}},
	{class: "secret", what: "a card's verification code, which must not be kept (PCI DSS 3.3.1)", names: []string{"cvv", "cvv2", "cvc", "cvc2", "card verification value", "card security code", "card code"}},
	{class: "secret", what: "a key", issue: true, names: []string{"private key", "signing key", "encryption key", "secret key", "master key", "recovery code", "backup code", "otp", "totp", "mfa code"}},
	{class: "secret", what: "a credential", issue: true, names: []string{"secret", "token", "api key", "apikey", "access key", "credential", "jwt", "session key", "client secret"}},
	{class: "cardholder", what: "a card number", names: []string{"pan", "card number", "credit card", "creditcard", "debit card", "card pan", "primary account number", "cc number"}},
	{class: "sensitive", what: "an official number", names: []string{"ssn", "social security", "social security number", "national id", "national insurance number", "passport", "passport number", "tax id", "tax number", "driver license", "driver licence", "driving licence", "license number", "licence number"}},
	{class: "sensitive", what: "money of a person", names: []string{"salary", "wage", "income", "compensation", "net worth", "credit score"}},
	{class: "sensitive", what: "a bank account", names: []string{"iban", "bank account", "bank account number", "account number", "routing number", "sort code"}},
	{class: "sensitive", what: "a special category of personal data (GDPR Art. 9)", names: []string{"diagnosis", "medical record", "medical record number", "health condition", "blood type", "religion", "ethnicity", "sexual orientation", "biometric", "political opinion"}},
	{class: "personal", what: "a way to reach a person", names: []string{"email", "e mail", "mail address", "email address", "phone", "phone number", "telephone", "telephone number", "mobile", "mobile number", "fax"}},
	{class: "personal", what: "an internet address", numberless: true, names: []string{"ip", "ip address", "ipv4", "ipv6", "remote addr"}},
	{class: "personal", what: "an address", names: []string{"address", "street", "street address", "postal code", "postcode", "zip", "zip code", "address line", "address line1", "address line2", "address line 1", "address line 2"}},
	{class: "personal", what: "a birth", names: []string{"birth date", "birthdate", "birthday", "date of birth", "dob", "birth place"}},
	{class: "personal", what: "a person's name", names: []string{"first name", "last name", "full name", "given name", "family name", "surname", "maiden name"}},
	{class: "personal", what: "a trait of a person", names: []string{"gender", "nationality", "marital status"}},
}

// pagers are words that make a token harmless: it says where a list goes on, or a text ends.
var pagers = []string{"stop", "page", "next", "previous", "prev", "continuation", "sync", "cursor", "pagination", "resume"}

// classify recognises a property by its name, nil when it says nothing.
func classify(name, within string) *kind {
	w := singulars(name)
	said := " " + strings.Join(w, " ")
	for i := range kinds {
		for _, n := range kinds[i].names {
			if !endsIn(said, n) {
				continue
			}
			if n == "token" && len(w) > 1 && slices.Contains(pagers, w[len(w)-2]) {
				return nil
			}
			return &kinds[i]
		}
	}
	if context := singulars(within); len(context) > 0 && context[len(context)-1] == "card" && len(w) == 1 {
		switch w[0] {
		case "number":
			return kindOf("card number")
		case "code", "pin":
			return kindOf("cvv")
		}
	}
	return nil
}

func kindOf(name string) *kind {
	return &kinds[slices.IndexFunc(kinds, func(k kind) bool { return slices.Contains(k.names, name) })]
}

// endsIn reports whether the last words are these, written apart or as one.
func endsIn(said, want string) bool {
	if rest, ok := strings.CutSuffix(said, want); ok && strings.HasSuffix(rest, " ") {
		return true
	}
	last := said[strings.LastIndexByte(said, ' ')+1:]
	for part := range strings.SplitSeq(want, " ") {
		rest, ok := strings.CutPrefix(last, part)
		if !ok {
			return false
		}
		last = rest
	}
	return last == "" && strings.Contains(want, " ")
}

// classes proposes a class for every property whose name says one.
func (p *Proposal) classes() {
	found := map[*node]string{}
	for _, s := range p.schemas.order {
		if s.parent == nil {
			continue
		}
		k := classify(s.name, s.within())
		why := "named " + quoted(s.name)
		if k == nil && p.schemas.follow(s.n).Get("format").Str() == "password" {
			k, why = kindOf("password"), "format: password"
		}
		if k == nil || p.annotated(s.n) {
			continue
		}
		if types := p.schemas.types(s.n); fits(k, types) && !counted(s.name, types) && !p.listed(s.n) && found[s.parent] != k.class && !p.address(s.n) {
			found[s] = k.class
			p.Fields = append(p.Fields, p.field(s, k, why+": "+k.what, types))
		}
	}
}

// annotated reports whether the document has a rule already.
func (p *Proposal) annotated(n *tree.Node) bool {
	return n.Get("x-portreeve") != nil || p.schemas.follow(n).Get("x-portreeve") != nil
}

// listed reports whether the values are a closed list, as those of token_type: none is a secret.
func (p *Proposal) listed(n *tree.Node) bool {
	n = p.schemas.follow(n)
	return n.Get("enum") != nil || n.Get("const") != nil
}

// address reports whether the values are those of places in the web, not of people.
func (p *Proposal) address(n *tree.Node) bool {
	format := p.schemas.follow(n).Get("format").Str()
	return format == "uri" || format == "url"
}

// fits reports whether values of these types can be what the name says: password_set: boolean is no password, and
// total_tokens: integer no credential.
func fits(k *kind, types []string) bool {
	for _, t := range types {
		if t == "boolean" || (k.numberless || k.class == "secret" && k.issue) && (t == "number" || t == "integer") {
			return false
		}
	}
	return true
}

// counted recognises tokens that are counted, as language models do: several in one value.
func counted(name string, types []string) bool {
	w := words(name)
	return len(w) > 1 && w[len(w)-1] == "tokens" && len(types) > 0 && !slices.Contains(types, "array") && !slices.Contains(types, "object")
}

func (p *Proposal) field(s *node, k *kind, why string, types []string) *Field {
	if !s.answers {
		why += ", in requests only"
	}
	f := &Field{Pointer: s.pointer, Name: s.name, Class: k.class, Why: "guess: " + why, Active: true}
	resource := p.fieldResource(s)
	permission := resource + ":read:" + orValue(slug(s.name))
	switch {
	case k.class == "sensitive":
		f.Permission = permission
	case k.class == "cardholder" && len(types) == 1 && types[0] == "string":
		f.Mask, f.Unmask = "last4", permission
	case k.class == "cardholder":
		f.Permission = permission
	case k.class == "secret" && p.structured(s.n, types):
		f.Active, f.Why = false, "unsure: "+why+", but it holds objects; uncomment it if it may never leave"
	case k.class == "secret" && k.issue && handout(s):
		f.Active, f.Why = false, "unsure: "+why+"; an answer with little else may exist to return it. Uncomment it if it may never leave"
	case k.class == "secret" && k.issue && s.issues:
		f.Active, f.Why = false, "unsure: "+why+"; an operation may exist to return it. Uncomment it if it may never leave"
	}
	f.answers = s.answers
	switch {
	case s.n.Kind != tree.Object: // true: OpenAPI 3.1
		f.Active, f.Why = false, "unsure: "+why+", but its schema is "+s.n.Text+": write an object there first"
	case s.n.Get("$ref") != nil:
		f.ref, f.wrap = s.n.Get("$ref").Str(), p.doc.Is30()
	}
	return f
}

// structured reports whether values are objects, or lists of objects.
func (p *Proposal) structured(n *tree.Node, types []string) bool {
	if items := p.schemas.follow(n).Get("items"); items != nil && slices.Contains(types, "array") {
		return slices.Contains(p.schemas.types(items), "object")
	}
	return slices.Contains(types, "object")
}

func orValue(s string) string {
	if s == "" {
		return "value"
	}
	return s
}

// fieldResource is what a field's permission is about: of the resources whose answers hold it, the one its schema is
// named after, or the only one; otherwise its schema.
func (p *Proposal) fieldResource(s *node) string {
	component := s.component()
	name := strings.Join(singulars(component), "-")
	for _, r := range s.resources {
		if strings.Join(singulars(r), "-") == name {
			return r
		}
	}
	if len(s.resources) == 1 {
		return s.resources[0]
	}
	if named := slug(component); named != "" {
		return unreserved(named)
	}
	if len(s.resources) > 0 {
		return s.resources[0]
	}
	return "api"
}

// handing are words of operations that hand out credentials.
var handing = []string{"token", "auth", "oauth", "oauth2", "authorization", "authentication", "authorize", "login", "signin", "session", "credential", "secret", "key", "apikey"}

// issuing reports whether an operation's purpose may be to return a credential: by the words of its path, id and tags,
// and for reads by the last word of the path alone.
func issuing(o *Operation) bool {
	handed := func(w string) bool { return slices.Contains(handing, w) }
	if o.reads() {
		segments := strings.Split(strings.TrimRight(o.Path, "/"), "/")
		last := singulars(segments[len(segments)-1])
		return len(last) > 0 && handed(last[len(last)-1]) && !strings.Contains(segments[len(segments)-1], "{")
	}
	all := singulars(o.Path)
	all = append(all, singulars(o.op.ID)...)
	for _, t := range o.op.Tags {
		all = append(all, singulars(t)...)
	}
	return slices.ContainsFunc(all, handed)
}

// handout reports whether a credential stands in an answer that is not a thing with an id and holds little else: what an
// operation answers that hands it out.
func handout(s *node) bool {
	const little = 5
	siblings := s.parent.n.Get("properties")
	return s.parent.whole && len(siblings.Members) <= little && !slices.ContainsFunc(siblings.Members, func(m tree.Member) bool {
		w := singulars(m.Name)
		return len(w) > 0 && (w[len(w)-1] == "id" || w[len(w)-1] == "uuid")
	})
}

// issued are the fields that stay comments because they may be meant to leave.
func (p *Proposal) issued() []string {
	var out []string
	for _, f := range p.Fields {
		if !f.Active && f.answers && f.Class == "secret" {
			out = append(out, shown(f.Name)+" in "+shown(f.Pointer))
		}
	}
	return out
}
