package attack

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// object is something this run made.
type object struct {
	collection string
	id         any
	parents    map[string]any // parameters of the collection's own path
	maker      *person
	sent       map[string]any
	gone       bool
}

// specimen is an object whose owner is known: by the policy's own rule, never by its number.
type specimen struct {
	call  *call   // that reads it
	owner string  // the owner's id
	whose *person // the owner, if one of ours
	read  *answer // what somebody who may saw; nil: nobody looked yet
}

// discover looks for a valid call of every operation. Whatever it learns on the way, ids above all, serves the next.
func (r *run) discover() {
	r.nowhere = r.send(&call{method: http.MethodGet, path: "/" + r.gen.canary() + "/" + r.gen.canary()})
	for _, p := range r.people {
		if p.Login != nil && p.Token == "" {
			if err := r.signIn(p); err != nil {
				p.token = ""
			}
		}
	}
	order := slices.Clone(r.ops)
	slices.SortStableFunc(order, func(a, b *operation) int { return cmp.Compare(rank(a), rank(b)) })
	for i, op := range order {
		r.progress(0, len(r.attacks)*max(1, len(r.ops)), fmt.Sprintf("looking around %d/%d", i+1, len(order)))
		r.reach(op)
	}
}

// rank is the order of discovery: what gives ids comes before what needs them, what destroys comes last.
func rank(o *operation) int {
	variables := strings.Count(o.Path, "{")
	switch {
	case o.safe():
		return 2 * variables
	case o.creates():
		return 2*variables + 1
	case o.Method == http.MethodDelete:
		return 100
	}
	return 50
}

// callers are who might be allowed to call an operation, the likeliest first and of those the least used. nil is nobody.
func (r *run) callers(op *operation) []*person {
	var likely, perhaps []*person
	for _, p := range r.people {
		switch r.may(p, op) {
		case yes:
			likely = append(likely, p)
		case unknown:
			perhaps = append(perhaps, p)
		}
	}
	byUse := func(a, b *person) int { return cmp.Compare(a.used, b.used) }
	slices.SortStableFunc(likely, byUse)
	slices.SortStableFunc(perhaps, byUse)
	out := append(likely, perhaps...)
	if op.public || op.optional {
		return append([]*person{nil}, out...)
	}
	return out
}

// reach looks for a caller and values that an operation answers as declared.
func (r *run) reach(op *operation) {
	if op.unsafe = r.forbidden(op); op.unsafe != "" {
		return
	}
	callers := r.callers(op)
	if len(callers) == 0 {
		op.trouble = "no identity may call it"
		if len(r.people) == 0 {
			op.trouble = "it needs a credential, and no identity was given"
		}
		return
	}
	if op.signIn {
		callers = r.withPassword()
		if len(callers) == 0 {
			op.trouble = "no identity has a password to sign in with"
			return
		}
		callers = callers[:1]
	}
	for i, p := range callers {
		if i == 6 || r.ctx.Err() != nil || r.silence >= givingUp {
			break
		}
		for _, c := range r.valid(op, p) {
			a := r.send(c)
			if why := r.unlike(op, a); why != "" {
				op.trouble = why
				if p != nil {
					op.trouble += " as " + p.Name
				}
				continue
			}
			op.reached, op.caller, op.baseline, op.trouble = true, p, a, ""
			if op.Method == http.MethodDelete && c.object != nil {
				c.object.gone = true
			}
			r.learn(op, p, a)
			return
		}
	}
	if op.trouble == "" {
		op.trouble = "no values are known for its parameters"
	}
}

func (r *run) withPassword() []*person {
	var out []*person
	for _, p := range r.people {
		if p.Password != "" {
			out = append(out, p)
		}
	}
	return out
}

// forbidden says why an operation must not be called at all.
func (r *run) forbidden(op *operation) string {
	switch {
	case op.safe() || op.creates() || op.signIn || r.Destructive:
		return ""
	case op.collection != "" && r.creator(op.collection) != nil:
		return "" // on objects of our own
	}
	return "it would change what this run did not make (--destructive)"
}

// creator is the operation that makes items of a collection.
func (r *run) creator(collection string) *operation {
	if op := r.on(http.MethodPost, collection); op != nil && op.creates() {
		return op
	}
	return nil
}

// unlike says why an answer is no success of the operation, "" when it is one.
func (r *run) unlike(op *operation, a *answer) string {
	switch {
	case a.err != nil:
		return a.err.Error()
	case !a.ok():
		return fmt.Sprintf("status %d", a.status)
	case r.soft404(a):
		return "the target answers alike whatever is asked"
	}
	schema, declared := r.answerSchema(op, a.status, a.media)
	if !declared && len(op.Responses) > 0 {
		if a.media != "" && !isJSON(a.media) && r.declaresJSON(op) {
			return fmt.Sprintf("status %d with %s, which the document does not know", a.status, a.media)
		}
		if !slices.ContainsFunc(op.Responses, func(s spec.Response) bool { return strings.HasPrefix(s.Status, "2") && len(s.Content) == 0 }) && !isJSON(a.media) {
			return fmt.Sprintf("status %d with %q, which the document does not know", a.status, a.media)
		}
		schema = r.successSchema(op)
	}
	if schema == nil {
		return ""
	}
	switch {
	case a.cut:
		return fmt.Sprintf("the answer is larger than %d MiB", maxAnswer>>20)
	case !a.hasJSON && isJSON(a.media):
		return "the answer is not JSON"
	}
	if ts := types(r.gen.choice(schema)); a.hasJSON && len(ts) > 0 && !slices.Contains(ts, typeOf(a.json)) && !slices.Contains(ts, "number") {
		return fmt.Sprintf("the answer is of type %s: it is another API than the document's", typeOf(a.json))
	}
	if a.hasJSON && r.stranger(schema, a.json) {
		return "the answer has nothing the document declares: it is another API"
	}
	return ""
}

// stranger reports whether an object has none of the members that are declared for it.
func (r *run) stranger(schema *tree.Node, v any) bool {
	object, ok := v.(map[string]any)
	declared := properties(r.gen.choice(schema))
	if !ok || len(object) == 0 || len(declared) == 0 {
		return false
	}
	return !slices.ContainsFunc(declared, func(p property) bool { _, there := object[p.name]; return there })
}

func (r *run) declaresJSON(op *operation) bool { return r.successSchema(op) != nil }

// soft404 reports whether a success is what the target says to anything.
func (r *run) soft404(a *answer) bool {
	n := r.nowhere
	if n == nil || n.err != nil || !n.ok() || !a.ok() || n.media != a.media {
		return false
	}
	if n.cut || a.cut {
		return n.cut && a.cut
	}
	return n.plain(n.call.path) == a.plain(a.call.target()) || len(n.body) > 0 && len(n.body) == len(a.body)
}

// bare is a call of an operation without any values.
func (r *run) bare(op *operation, p *person) *call {
	c := (&call{op: op, method: op.Method, path: op.Path}).clone()
	c.as = as(p)
	if op.public {
		c.as = credential{}
	}
	return c
}

// valid returns calls that should succeed, with fresh values: one, or for an item nobody has told us of, a few.
func (r *run) valid(op *operation, p *person) []*call {
	c := r.bare(op, p)
	var open *spec.Parameter
	for i := range op.Parameters {
		q := &op.Parameters[i]
		if !q.Required && !r.ownsBy(op, q) {
			continue
		}
		v, ok := r.parameter(op, q, p)
		if !ok && q.In == "path" && open == nil {
			open = q
			continue
		}
		if !ok {
			return nil
		}
		c.params[paramKey(q.In, q.Name)] = v
	}
	if !op.safe() && op.collection != "" && r.creator(op.collection) != nil {
		o := r.own(op.collection, p, op.Method == http.MethodDelete)
		if o == nil {
			if !r.Destructive {
				return nil
			}
		} else {
			c.object, open = o, nil
			c.params[paramKey("path", op.itemParam)] = o.id
			for k, v := range o.parents {
				c.params[k] = v
			}
		}
	}
	if op.signIn {
		return []*call{c.withBody(map[string]any{op.userKey: p.Name, op.passwordKey: p.Password})}
	}
	if op.body != nil {
		body, ok := r.gen.value(r.gen.at(op.body.Schema))
		if !ok {
			return nil
		}
		c.body = body
	} else if op.Body != nil && op.Body.Required && len(op.Body.Content) > 0 {
		return nil // a body of another kind
	}
	if open == nil {
		return []*call{c}
	}
	var out []*call
	for _, v := range r.guesses(open) {
		out = append(out, c.with(open.In, open.Name, v))
	}
	return out
}

// ownsBy reports whether a parameter says whose the object is.
func (r *run) ownsBy(op *operation, p *spec.Parameter) bool {
	return op.Ext.Object != nil && op.Ext.Object.Owner == "$request."+p.In+"."+p.Name
}

// parameter returns a value that should exist.
func (r *run) parameter(op *operation, q *spec.Parameter, p *person) (any, bool) {
	schema := r.gen.at(q.Schema)
	if p != nil && p.UserID != "" && r.ownsBy(op, q) {
		return p.UserID, true
	}
	if q.In == "path" {
		prefix, _, _ := strings.Cut(op.Path, "/{"+q.Name+"}")
		for _, o := range r.made {
			if o.collection == prefix && !o.gone && (o.maker == p || p == nil) {
				return o.id, true
			}
		}
		if p != nil && p.UserID != "" && userParam.MatchString(q.Name) {
			return p.UserID, true
		}
		for _, s := range op.found {
			if s.whose == p && p != nil {
				return s.call.params[paramKey(q.In, q.Name)], true
			}
		}
		if ids := r.pool[prefix]; len(ids) > 0 {
			return ids[0], true
		}
	}
	for _, n := range []*tree.Node{schema, r.doc.Node(q.Pointer)} {
		if n != nil {
			for _, e := range examples(n) {
				if ok, _ := r.gen.allows(schema, e); ok {
					return e, true
				}
			}
		}
	}
	if q.In == "path" && keyword(r.gen.choice(schema), "enum") == nil {
		return nil, false
	}
	if p != nil && p.UserID != "" && userParam.MatchString(q.Name) {
		return p.UserID, true
	}
	return r.gen.value(schema)
}

var userParam = regexp.MustCompile(`(?i)^(user|owner|account|customer)_?id$`)

// guesses are values to look for objects with, where the document and the answers give none. That something answers says
// nothing of whose it is.
func (r *run) guesses(q *spec.Parameter) []any {
	schema := r.gen.at(q.Schema)
	if k := kind(r.gen.choice(schema)); k != "integer" && k != "number" {
		v, ok := r.gen.value(schema)
		if !ok {
			return nil
		}
		return []any{v}
	}
	var out []any
	for i := 1; i <= 8; i++ {
		if ok, _ := r.gen.allows(schema, i); ok {
			out = append(out, i)
		}
	}
	return out
}

// learn takes ids and objects from an answer.
func (r *run) learn(op *operation, p *person, a *answer) {
	if !op.safe() || !a.hasJSON {
		return
	}
	for _, item := range list(a.json) {
		if id := idOf(item, r.itemParam(op.Path)); id != nil && !slices.ContainsFunc(r.pool[op.Path], func(o any) bool { return equal(o, id) }) && len(r.pool[op.Path]) < 50 {
			r.pool[op.Path] = append(r.pool[op.Path], id)
		}
	}
}

// itemParam is what the items of a collection are named by in paths.
func (r *run) itemParam(collection string) string {
	for _, o := range r.ops {
		if rest, ok := strings.CutPrefix(o.Path, collection+"/{"); ok {
			name, _, _ := strings.Cut(rest, "}")
			return name
		}
	}
	return ""
}

// list returns the objects an answer lists, itself or in one of its members.
func list(v any) []map[string]any {
	switch t := v.(type) {
	case []any:
		var out []map[string]any
		for _, item := range t {
			if m, ok := item.(map[string]any); ok {
				out = append(out, m)
			}
		}
		return out
	case map[string]any:
		for _, name := range []string{"items", "data", "results", "content", "records"} {
			if inner, ok := t[name].([]any); ok {
				return list(inner)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(t)) {
			if l, ok := t[name].([]any); ok && len(list(l)) > 0 {
				return list(l)
			}
		}
	}
	return nil
}

// idOf returns what names an object.
func idOf(m map[string]any, param string) any {
	for _, name := range []string{param, "id", "_id", "uuid", "ID", "Id"} {
		if v, ok := m[name]; ok && name != "" && typeOf(v) != "object" && typeOf(v) != "array" && v != nil {
			return v
		}
	}
	return nil
}

// keep remembers what a call made.
func (r *run) keep(op *operation, p *person, a *answer) *object {
	if !a.ok() {
		return nil
	}
	if p == nil {
		p = op.caller // who may remove it, if anybody
	}
	o := &object{collection: op.Path, maker: p, parents: map[string]any{}}
	for _, q := range op.Parameters {
		if q.In == "path" {
			o.parents[paramKey("path", q.Name)] = a.call.params[paramKey("path", q.Name)]
		}
	}
	o.sent, _ = a.call.body.(map[string]any)
	if m, ok := a.json.(map[string]any); ok {
		o.id = idOf(m, r.itemParam(op.Path))
		if data, ok := m["data"].(map[string]any); o.id == nil && ok {
			o.id = idOf(data, r.itemParam(op.Path))
		}
	}
	if o.id == nil {
		if at := strings.TrimRight(a.header.Get("Location"), "/"); at != "" {
			o.id = at[strings.LastIndexByte(at, '/')+1:]
		}
	}
	if o.id == nil {
		return nil
	}
	for _, known := range r.made {
		if known.collection == o.collection && equal(known.id, o.id) && !known.gone {
			return known
		}
	}
	r.made = append(r.made, o)
	return o
}

// own returns an object of ours in a collection, made by the one who asks if possible. fresh is one nobody used.
func (r *run) own(collection string, p *person, fresh bool) *object {
	if !fresh {
		var other *object
		for _, o := range r.made {
			if o.collection == collection && !o.gone && o.maker != nil {
				if o.maker == p {
					return o
				}
				other = o
			}
		}
		if other != nil {
			return other
		}
	}
	op := r.creator(collection)
	if op == nil {
		return nil
	}
	makers := []*person{p, op.caller}
	if op.caller == nil {
		makers = append(makers, r.callers(op)...)
	}
	for i, m := range makers {
		if i == 4 {
			break
		}
		if m == nil && !op.public || i > 0 && m == makers[0] || m != nil && r.may(m, op) == no {
			continue
		}
		for _, c := range r.valid(op, m) {
			if a := r.send(c); a.ok() {
				if o := r.keep(op, m, a); o != nil {
					return o
				}
			}
		}
	}
	return nil
}

// fresh returns a valid call of a reached operation as its caller, with values nobody used before.
func (r *run) fresh(op *operation) *call {
	if op.safe() && op.baseline != nil {
		return op.baseline.call.clone()
	}
	calls := r.valid(op, op.caller)
	if len(calls) == 0 {
		return nil
	}
	return calls[0]
}

// freshAs is fresh in another name: ids that belong to the caller become the other's.
func (r *run) freshAs(op *operation, p *person) *call {
	c := r.fresh(op)
	if c == nil {
		return nil
	}
	c = c.by(as(p))
	for i := range op.Parameters {
		q := &op.Parameters[i]
		if _, there := c.params[paramKey(q.In, q.Name)]; there && r.ownsBy(op, q) && p != nil && p.UserID != "" && c.object == nil {
			c.params[paramKey(q.In, q.Name)] = p.UserID
		}
	}
	return c
}
