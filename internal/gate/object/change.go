package object

import (
	"encoding/json"
	"mime"
	"net/url"
	"strings"

	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/schema"
)

// keepsOwner reports whether the object is still the caller's after the change that the body asks for: a change is judged
// on what it makes of the object too. A body that names no owner leaves it as it is.
func (r *rule) keepsOwner(x *exchange.Exchange) bool {
	if x.Body == nil && bodiless(x.Request) {
		return true
	}
	me, known := r.mine(&x.Principal)
	if !known {
		return false
	}
	t, _, err := mime.ParseMediaType(x.Request.Header.Get("Content-Type"))
	switch {
	case err != nil:
		return false
	case x.Body == nil: // sent on as it comes: bytes that nothing judges, if the document declares them as that
		return r.declaresBytes(t)
	case t == "application/json-patch+json":
		return patchKeeps(x.Body, r.owner.name, me)
	case t == "application/x-www-form-urlencoded":
		return formKeeps(x.Body, r.owner.name, me)
	}
	return bodyKeeps(x.Body, r.owner.name, me)
}

// declaresBytes reports whether bodies of a media type are passed on unread, by the document's word. A form of several
// parts is none of these: it has names, and one may be the owner's.
func (r *rule) declaresBytes(t string) bool {
	if r.op.Request.Body == nil || strings.HasPrefix(t, "multipart/") {
		return false
	}
	major, _, _ := strings.Cut(t, "/")
	for _, m := range r.op.Request.Body.Media {
		if d := strings.ToLower(m.Type); m.Delivery == plan.Relay && (d == t || d == major+"/*" || d == "*/*") {
			return true
		}
	}
	return false
}

// bodyKeeps reads a whole object, or a merge patch (RFC 7396): what stands at the owner's place must be the caller, and
// nothing above it may be anything but an object, for it would take the owner's place away.
func bodyKeeps(body []byte, owner, me string) bool {
	if schema.Strict(body) != nil {
		return false
	}
	if v, found := schema.Lookup(body, owner); found {
		text, ok := v.Text()
		return ok && text == me
	}
	for above := owner; above != ""; {
		above = above[:strings.LastIndexByte(above, '/')]
		if v, found := schema.Lookup(body, above); found && v.Kind != schema.Object {
			return false
		}
	}
	return true
}

// formKeeps reads a form, whose fields have no structure that all agree on: a field of the owner's name must be the caller.
func formKeeps(body []byte, owner, me string) bool {
	fields, err := url.ParseQuery(string(body))
	if err != nil {
		return false
	}
	first, rest, _ := strings.Cut(owner[1:], "/")
	for name, values := range fields {
		if name != first && !strings.HasPrefix(name, first+"[") && !strings.HasPrefix(name, first+".") {
			continue
		}
		if rest != "" || name != first || len(values) != 1 || values[0] != me {
			return false
		}
	}
	return true
}

// patchKeeps reads a JSON Patch (RFC 6902): no operation may touch the owner, or anything it is in, but to test it or to
// write the caller into it.
func patchKeeps(body []byte, owner, me string) bool {
	if schema.Strict(body) != nil {
		return false
	}
	var operations []map[string]json.RawMessage // a struct would take names in any case, of which an API sees one
	if json.Unmarshal(body, &operations) != nil {
		return false
	}
	for _, o := range operations {
		for name := range o { // another case of a name is that name to some readers
			if lower := strings.ToLower(name); lower != name && (lower == "op" || lower == "path" || lower == "from" || lower == "value") {
				return false
			}
		}
		op, path := member(o, "op"), member(o, "path")
		if op == nil || path == nil {
			return false
		}
		at := covers(*path, owner)
		switch {
		case *op == "test":
		case *op == "move" && (member(o, "from") == nil || covers(*member(o, "from"), owner) != apart):
			return false
		case at == apart:
		case at == exact && (*op == "add" || *op == "replace"):
			v, _ := schema.Lookup(o["value"], "")
			if text, ok := v.Text(); !ok || text != me {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// member is the text of a member, nil where it is none.
func member(o map[string]json.RawMessage, name string) *string {
	v, _ := schema.Lookup(o[name], "")
	if v.Kind != schema.String {
		return nil
	}
	text, ok := v.Text()
	if !ok {
		return nil
	}
	return &text
}

type reach uint8

const (
	apart reach = iota
	exact
	above // or below: what is written into the owner makes it something else
)

// covers compares two JSON pointers by what they mean: ~1 and ~01 are other spellings of names. To some readers letters are
// alike in both cases, and a pointer without its first slash is one all the same.
func covers(a, owner string) reach {
	if a != "" && a[0] != '/' {
		a = "/" + a
	}
	x, y := strings.Split(a, "/"), strings.Split(owner, "/")
	for i := range min(len(x), len(y)) {
		if !strings.EqualFold(unescape(x[i]), unescape(y[i])) {
			return apart
		}
	}
	if len(x) == len(y) {
		return exact
	}
	return above
}

func unescape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}
