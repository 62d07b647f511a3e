package object

import (
	"encoding/json"
	"mime"
	"net/url"
	"strings"

	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/schema"
)

// keepsOwner reports whether the object is still the caller's after the change that the body asks for: a change is judged
// on what it makes of the object too. A body that names no owner leaves it as it is.
func (r *rule) keepsOwner(x *exchange.Exchange) bool {
	if len(x.Body) == 0 {
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
	case t == "application/json-patch+json":
		return patchKeeps(x.Body, r.owner.name, me)
	case t == "application/x-www-form-urlencoded":
		return formKeeps(x.Body, r.owner.name, me)
	}
	return bodyKeeps(x.Body, r.owner.name, me)
}

// bodyKeeps reads a whole object, or a merge patch (RFC 7396): what stands at the owner's place must be the caller, and
// nothing above it may be anything but an object, for it would take the owner's place away.
func bodyKeeps(body []byte, owner, me string) bool {
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
	var operations []struct {
		Op, Path string
		From     *string
		Value    json.RawMessage
	}
	if json.Unmarshal(body, &operations) != nil {
		return false
	}
	for _, o := range operations {
		at := covers(o.Path, owner)
		switch {
		case o.Op == "test":
		case o.Op == "move" && (o.From == nil || covers(*o.From, owner) != apart):
			return false
		case at == apart:
		case at == exact && (o.Op == "add" || o.Op == "replace"):
			v, _ := schema.Lookup(o.Value, "")
			if text, ok := v.Text(); !ok || text != me {
				return false
			}
		default:
			return false
		}
	}
	return true
}

type reach uint8

const (
	apart reach = iota
	exact
	above // or below: what is written into the owner makes it something else
)

// covers compares two JSON pointers by what they mean: ~1 and ~01 are other spellings of names.
func covers(a, owner string) reach {
	x, y := strings.Split(a, "/"), strings.Split(owner, "/")
	for i := range min(len(x), len(y)) {
		if unescape(x[i]) != unescape(y[i]) {
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
