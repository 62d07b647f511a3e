package compile

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// objects reads what an operation says of the object it touches and of the others it names, and counts what of its
// request looks like an object's id.
func (b *builder) objects(op *spec.Operation, out *plan.Operation) {
	if op.Ext.Object != nil {
		out.Object = b.object(op, op.Ext.Object, false)
	}
	for _, r := range op.Ext.References {
		if o := b.object(op, r, true); o != nil {
			out.References = append(out.References, *o)
		}
	}
	for _, e := range op.Ext.Exempt {
		b.ofRequest(op, op.Ext.At, e.ID)
	}
	out.Identifiers = Identifiers(b.d, op)
	for i := range out.Identifiers {
		out.Identifiers[i].Source = b.source(op.At)
	}
}

const (
	response = "$response."
	inAnswer = "$response.body#"
	inBody   = "$request.body#"
)

// starred reports whether an expression speaks of each element of an array.
func starred(expression string) bool {
	return strings.HasSuffix(expression, "/*") || strings.Contains(expression, "/*/")
}

// object reads one ownership rule, or infers where its decision comes from. A reference is an object that the request
// names beside the one it is about: it is decided before the upstream is called.
func (b *builder) object(op *spec.Operation, o *spec.Object, reference bool) *plan.Object {
	out := &plan.Object{Type: o.Type, ID: o.ID, Owner: o.Owner, From: plan.ObjectSource(o.Source), Claim: first(o.Claim, "sub"), Issuer: o.Issuer, Unless: o.Unless,
		Access: plan.ObjectAccess(first(o.Access, "deny")), Member: o.Member, Source: b.source(o.At)}
	list := starred(out.Owner) && strings.HasPrefix(out.Owner, inAnswer)
	if out.ID == "" && !reference {
		out.ID = inferID(op)
	}
	read := b.read(op, o, out, reference)
	if out.Owner == "" && read != nil && read.Ext.Object != nil && out.From != plan.FromList {
		out.Owner = read.Ext.Object.Owner // whose it is stands where it is read
		out.Claim, out.Issuer = first(o.Claim, read.Ext.Object.Claim, "sub"), first(o.Issuer, read.Ext.Object.Issuer)
	}
	before := len(b.faults)
	b.inferSource(op, read, out, o.At, reference)
	if len(b.faults) > before {
		return nil
	}
	b.judgeObject(op, out, o.At, list, reference)
	for _, w := range o.Within {
		out.Within = append(out.Within, plan.Within{ID: w.ID, Is: w.Is})
		b.ofRequest(op, o.At, w.ID)
		b.ofRequest(op, o.At, w.Is)
		readsObject := out.From == plan.FromResponse && !list || out.From == plan.FromConditional || out.From == plan.FromPrefetch
		if !strings.HasPrefix(w.ID, "$request.") || starred(w.ID) || starred(w.Is) || strings.HasPrefix(w.Is, "$response.") && (!readsObject || !strings.HasPrefix(w.Is, inAnswer)) {
			b.fault(o.At, "within: [{id: $request.path.account_id, is: $response.body#/account_id}]", "%s %s: within holds what the object says of itself, where the object is read, against the request", op.Method, op.Path)
		}
	}
	if list {
		out.Totals = b.totals(op, out.Owner, o.Totals)
	} else if len(o.Totals) > 0 {
		b.fault(o.At, "remove it, or write owner: $response.body#/*/owner_id", "%s %s: totals belong to a list", op.Method, op.Path)
	}
	return out
}

// inferSource settles where the decision comes from, strongest first, and never guesses a weak one.
func (b *builder) inferSource(op *spec.Operation, read *spec.Operation, out *plan.Object, at tree.Position, reference bool) {
	fromResponse := strings.HasPrefix(out.Owner, response)
	if out.From == "" {
		switch {
		case out.Owner == "":
			b.fault(at, "owner: $response.body#/owner_id, or $request.path.NAME; or source: ledger, list or pdp", "the object of %s %s names no owner", op.Method, op.Path)
		case !fromResponse:
			out.From = plan.FromClaim
		case out.Access == plan.AccessFields || op.Method == http.MethodGet && !reference:
			out.From = plan.FromResponse
		case !reference && read != nil && declares(read, '2', "ETag") && slices.ContainsFunc(op.Responses, func(r spec.Response) bool { return r.Status == "412" }):
			out.From = plan.FromConditional
		default:
			b.fault(at, "source: conditional where the API honours If-Match; source: prefetch is weaker: the object may change hands between the look and the act",
				"%s %s would act on the object before its answer names the owner", op.Method, op.Path)
		}
		return
	}
	wantsResponse := out.From == plan.FromResponse || out.From == plan.FromConditional || out.From == plan.FromPrefetch
	named := out.From != plan.FromLedger && out.From != plan.FromList && out.From != plan.FromPDP
	switch {
	case named && out.Owner == "":
		b.fault(at, "owner: $response.body#/owner_id", "object.source %s of %s %s needs an owner", out.From, op.Method, op.Path)
	case named && fromResponse != wantsResponse:
		b.fault(at, "", "object.source %s does not fit owner %s", out.From, out.Owner)
	case !named && out.Owner != "":
		b.fault(at, "remove owner", "object.source %s of %s %s does not read an owner", out.From, op.Method, op.Path)
	}
}

// declares reports whether an answer of that class declares a header.
func declares(op *spec.Operation, class byte, header string) bool {
	for _, r := range op.Responses {
		if r.Status[0] == class && slices.ContainsFunc(r.Headers, func(h string) bool { return strings.EqualFold(h, header) }) {
			return true
		}
	}
	return false
}

// judgeObject faults what the gate could not decide by.
func (b *builder) judgeObject(op *spec.Operation, out *plan.Object, at tree.Position, list, reference bool) {
	what := op.Method + " " + op.Path
	reads := op.Method == http.MethodGet || op.Method == http.MethodHead || op.Method == "QUERY"
	made := strings.HasPrefix(out.ID, response)
	b.ofRequest(op, at, out.ID)
	b.ofRequest(op, at, out.Owner)
	if out.ID == "" && !list && (out.From != plan.FromClaim || reference) {
		b.fault(at, "id: $request.path.NAME, or $request.body#/NAME", "the object of %s names no id", what)
	}
	if starred(out.ID) && (!reference || !strings.HasPrefix(out.ID, inBody)) && !list {
		b.fault(at, "write it under references, as $request.body#/items/*/id", "%s: only what a body refers to can be several objects", what)
	}
	switch out.From {
	case plan.FromResponse:
		switch {
		case reference:
			b.fault(at, "source: prefetch, ledger, list or pdp", "%s: what is referred to is decided before the answer", what)
		case !reads && out.Access == plan.AccessDeny:
			b.fault(at, "source: conditional where the API honours If-Match; source: prefetch is weaker: the object may change hands between the look and the act",
				"%s would change the object before its answer names the owner", what)
		case list && !b.listed(op, out):
			b.fault(at, "give its 2xx answer a JSON schema, with an array there", "%s has no answer whose elements could name their owners", what)
		case list && out.Access == plan.AccessFields && !b.itemwise(op):
			b.fault(at, "add delivery: items", "%s: ownership widens the fields of an element where elements are judged one by one", what)
		case !list && !b.heldAnswer(op):
			b.fault(at, "give its 2xx answer a JSON schema", "%s has no answer whose body could name the owner", what)
		}
	case plan.FromConditional, plan.FromPrefetch, plan.FromList:
		if out.Read == nil {
			b.fault(at, "read: the operationId of a GET", "%s: source %s asks another operation before; the document must have one", what, out.From)
		}
		if list {
			b.fault(at, "owner: $response.body#/owner_id", "%s: source %s reads one object", what, out.From)
		}
		if out.From == plan.FromList && !(strings.HasPrefix(out.Member, inAnswer) && starred(out.Member)) {
			b.fault(at, "member: $response.body#/*/id", "%s: source list needs to know where the ids stand in the list", what)
		}
		if out.From == plan.FromConditional && (reads || reference) {
			b.fault(at, "source: response, or prefetch for a reference", "%s: source conditional is for what changes the object", what)
		}
		if out.From == plan.FromConditional && op.Body != nil && !b.heldBody(op) {
			b.fault(at, "source: prefetch", "%s: source conditional needs a body that is judged as JSON or a form", what)
		}
	case plan.FromPDP:
		if b.c.DecisionPoint.URL == "" {
			b.fault(at, "add decision_point: {url: …} to the configuration", "%s: source pdp needs a decision point", what)
		}
	case plan.FromLedger:
		if made && (reads || reference) {
			b.fault(at, "id: $request.path.NAME", "%s makes nothing: its id is in the request", what)
		}
	}
	if out.Access == plan.AccessFields && out.From != plan.FromClaim && out.From != plan.FromResponse {
		b.fault(at, "remove access", "%s: access: fields needs an owner in the request or in the answer", what)
	}
	if made && out.From != plan.FromLedger && out.From != plan.FromResponse && out.From != plan.FromClaim {
		b.fault(at, "id: $request.path.NAME", "%s: the id must be in the request, for it is decided before", what)
	}
	if made && out.From == plan.FromLedger && strings.HasPrefix(out.ID, inAnswer) && !b.heldAnswer(op) {
		b.fault(at, "give its 2xx answer a JSON schema, or id: $response.header.Location", "%s has no answer whose body could name what was made", what)
	}
}

// read finds the operation that is asked before, and what fills its path.
func (b *builder) read(op *spec.Operation, o *spec.Object, out *plan.Object, reference bool) *spec.Operation {
	var found *spec.Operation
	for _, other := range b.d.Operations {
		if other.Method == http.MethodGet && (o.Read != "" && other.ID == o.Read || o.Read == "" && !reference && other.Path == op.Path && other != op) {
			found = other
			break
		}
	}
	source := plan.ObjectSource(o.Source)
	needed := source == plan.FromConditional || source == plan.FromPrefetch || source == plan.FromList || source == "" && strings.HasPrefix(o.Owner, response) && op.Method != http.MethodGet
	if found == nil {
		if o.Read != "" {
			b.fault(o.At, "the operationId of a GET", "%s %s: read names %q, which reads nothing", op.Method, op.Path, o.Read)
		}
		return nil
	}
	if !needed {
		if o.Read != "" {
			b.fault(o.At, "remove read", "%s %s asks nothing before", op.Method, op.Path)
		}
		return nil
	}
	for _, p := range found.Parameters {
		if p.Required && p.In != "path" {
			b.fault(o.At, "", "%s %s: %s cannot be asked before: it needs the %s parameter %q", op.Method, op.Path, found.ID, p.In, p.Name)
			return found
		}
	}
	out.Read = &plan.Read{Operation: found.ID, Path: found.Path, Params: []plan.ReadParam{}}
	names := variablesOf(found.Path)
	for i, name := range names {
		p := plan.ReadParam{Name: name}
		own := slices.Contains(variablesOf(op.Path), name)
		switch {
		case i == len(names)-1 && source != plan.FromList: // the object itself
		case own:
			p.Value = "$request.path." + name
		default:
			b.fault(o.At, "", "%s %s: %s cannot be asked before: the request says nothing for {%s}", op.Method, op.Path, found.ID, name)
		}
		out.Read.Params = append(out.Read.Params, p)
	}
	return found
}

// variablesOf are the variables of a path template.
func variablesOf(path string) []string {
	var out []string
	for rest := path; ; {
		_, after, ok := strings.Cut(rest, "{")
		if !ok {
			return out
		}
		name, behind, _ := strings.Cut(after, "}")
		out, rest = append(out, name), behind
	}
}

// ofRequest faults an expression that names what the request does not declare: only what is declared is judged, and stands
// alone.
func (b *builder) ofRequest(op *spec.Operation, at tree.Position, expression string) {
	rest, ok := strings.CutPrefix(expression, "$request.")
	if !ok {
		return
	}
	if strings.HasPrefix(rest, "body#") {
		if op.Body == nil || !b.jsonBody(op) {
			b.fault(at, "declare a JSON body with a schema", "%s names a part of a body that %s %s does not take as JSON", expression, op.Method, op.Path)
		}
		return
	}
	in, name, _ := strings.Cut(rest, ".")
	for _, p := range op.Parameters {
		if p.In == in && (p.Name == name || in == "header" && strings.EqualFold(p.Name, name)) {
			return
		}
	}
	if in == "path" && strings.Contains(op.Path, "{"+name+"}") {
		return
	}
	b.fault(at, "declare it under parameters", "%s names a parameter that %s %s does not declare", expression, op.Method, op.Path)
}

// jsonBody reports whether every body the operation takes is judged as JSON.
func (b *builder) jsonBody(op *spec.Operation) bool {
	for _, m := range op.Body.Content {
		if b.acceptance(op, m) == plan.Hold && isJSON(strings.ToLower(m.Type)) || b.acceptance(op, m) == plan.Never {
			continue
		}
		return false
	}
	return true
}

func (b *builder) heldBody(op *spec.Operation) bool {
	for _, m := range op.Body.Content {
		if b.acceptance(op, m) == plan.Relay {
			return false
		}
	}
	return true
}

// heldAnswer reports whether every success of the operation is a body that is held and judged.
func (b *builder) heldAnswer(op *spec.Operation) bool {
	return b.everySuccess(op, func(m spec.Media, d plan.Delivery) bool { return d == plan.Hold })
}

// itemwise reports whether every success is judged element by element.
func (b *builder) itemwise(op *spec.Operation) bool {
	return b.everySuccess(op, func(m spec.Media, d plan.Delivery) bool { return d == plan.Items })
}

// listed reports whether the elements of every success can be judged: of a held body, or of a stream of elements.
func (b *builder) listed(op *spec.Operation, o *plan.Object) bool {
	return b.everySuccess(op, func(m spec.Media, d plan.Delivery) bool {
		return d == plan.Hold || d == plan.Items && strings.HasPrefix(o.Owner, inAnswer+"/*")
	})
}

func (b *builder) everySuccess(op *spec.Operation, is func(spec.Media, plan.Delivery) bool) bool {
	found := false
	for _, r := range op.Responses {
		if r.Status[0] != '2' {
			continue
		}
		for _, m := range r.Content {
			if !is(m, b.delivery(op, r.Status, m)) {
				return false
			}
			found = true
		}
	}
	return found
}

// totals are the counts beside the list: those that are named, and whole numbers beside the array that are named like one.
func (b *builder) totals(op *spec.Operation, owner string, said []string) []string {
	var out []string
	add := func(pointer string) {
		if !slices.Contains(out, pointer) {
			out = append(out, pointer)
		}
	}
	for _, t := range said {
		add(strings.TrimPrefix(t, inAnswer))
	}
	list, _, _ := strings.Cut(strings.TrimPrefix(owner, inAnswer), "/*")
	parent := list[:max(0, strings.LastIndexByte(list, '/'))]
	if list == "" {
		return out
	}
	for _, r := range op.Responses {
		if r.Status[0] != '2' {
			continue
		}
		for _, m := range r.Content {
			schema := m.Schema
			for token := range strings.SplitSeq(strings.TrimPrefix(parent, "/"), "/") {
				if token != "" {
					schema = b.member(schema, token)
				}
			}
			for _, p := range properties(b.d, schema, 0) {
				if counts(p.name) && b.d.Node(p.pointer).Get("type").Str() != "string" {
					add(parent + "/" + tree.Escape(p.name))
				}
			}
		}
	}
	return out
}

// member is the pointer of a property's schema.
func (b *builder) member(schema, name string) string {
	for _, p := range properties(b.d, schema, 0) {
		if p.name == name {
			return p.pointer
		}
	}
	return ""
}

// counts reports names of numbers that say how many there are.
func counts(name string) bool {
	switch strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name)) {
	case "total", "count", "totalcount", "totalitems", "totalresults", "totalelements", "totalrecords", "numberofitems", "itemcount", "resultcount", "totalsize", "numfound", "recordcount", "itemscount", "numberofresults", "hits":
		return true
	}
	return false
}

// inferID takes the last path parameter.
func inferID(op *spec.Operation) string {
	names := variablesOf(op.Path)
	if len(names) == 0 {
		return ""
	}
	return "$request.path." + names[len(names)-1]
}

// ownerIssuers settles whose subjects own the objects of an operation. Two issuers may know different people by one
// subject, so that where more than one could prove the caller it must be said.
func (b *builder) ownerIssuers(p *plan.Plan, op *plan.Operation) {
	if op.Object != nil {
		b.ownerIssuer(p, op, op.Object)
	}
	for i := range op.References {
		b.ownerIssuer(p, op, &op.References[i])
	}
}

func (b *builder) ownerIssuer(p *plan.Plan, op *plan.Operation, o *plan.Object) {
	switch o.From {
	case plan.FromLedger, plan.FromList, plan.FromPDP: // who it is is decided there, issuer and all
		if o.Issuer == "" {
			return
		}
	}
	var issuers []string
	add := func(s *plan.Scheme) {
		if s == nil {
			return
		}
		if s.Certificates {
			issuers = append(issuers, Certificates)
		}
		issuers = append(issuers, s.Issuers...)
		switch {
		case s.Keys && p.Identity.Embedded != nil:
			issuers = append(issuers, Embedded) // a key that a user owns speaks for the user
		case s.Keys:
			issuers = append(issuers, Keys)
		}
	}
	for _, alt := range op.Security.Alternatives {
		for _, want := range alt {
			add(p.Identity.Scheme(want.Scheme))
		}
	}
	if op.Security.Public {
		for i := range p.Identity.Schemes {
			add(&p.Identity.Schemes[i])
		}
	}
	slices.Sort(issuers)
	issuers = slices.Compact(issuers)
	switch {
	case o.Issuer == "" && len(issuers) == 1:
		o.Issuer = issuers[0]
	case o.Issuer == "":
		b.fault(b.objectAt(op), "object: {issuer: …}, one of "+strings.Join(append(issuers, Keys), ", "),
			"%s %s: subjects of %s could own the object; the same subject may be another person there", op.Method, op.Path, cmp.Or(strings.Join(issuers, " and of "), "nobody"))
	case !slices.Contains(append(issuers, Keys), o.Issuer):
		b.fault(b.objectAt(op), "one of "+strings.Join(append(issuers, Keys), ", "), "%s %s: object.issuer %q proves no caller of it", op.Method, op.Path, o.Issuer)
	}
}

// objectAt is where the object of an operation was written.
func (b *builder) objectAt(op *plan.Operation) tree.Position {
	for _, o := range b.d.Operations {
		if o.Method != op.Method || o.Path != op.Path {
			continue
		}
		if o.Ext.Object != nil {
			return o.Ext.Object.At
		}
		if len(o.Ext.References) > 0 {
			return o.Ext.References[0].At
		}
	}
	return tree.Position{File: b.d.File}
}
