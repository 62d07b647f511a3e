package attack

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// operation is one of the document, with what a run found out about it.
type operation struct {
	*spec.Operation
	name string // "GET /orders/{id}"

	public      bool       // nobody needs to prove anything
	optional    bool       // a credential may be shown
	silent      bool       // and that only because nobody said anything
	needs       [][]string // permissions: one of the alternatives whole
	token, key  bool       // which credentials it takes
	limit       Limit      // its own declared rate
	body        *spec.Media
	collection  string // of an item: the path it is an item of
	itemParam   string // and the parameter that names it
	signIn      bool   // it takes a password
	passwordKey string // under this name
	userKey     string

	reached  bool
	trouble  string  // why it was not
	unsafe   string  // it was not tried, for that reason
	caller   *person // whose call succeeded; nil: nobody's had to
	baseline *answer // that success
	seen     observations
	control  *legs
	found    []*specimen // objects of known owners
	searched bool
}

func (o *operation) safe() bool { return o.Method == "GET" || o.Method == "HEAD" }

// creates reports whether calling the operation makes a new object: it is a POST whose success says so.
func (o *operation) creates() bool {
	return o.Method == "POST" && !o.signIn && slices.ContainsFunc(o.Responses, func(r spec.Response) bool { return r.Status == "201" })
}

var (
	itemForm     = regexp.MustCompile(`^(.+)/\{([^/{}]+)\}$`)
	signInPath   = regexp.MustCompile(`(?i)(log-?in|sign-?in|authenticate|/token|/session)s?$`)
	passwordName = regexp.MustCompile(`(?i)^(password|passwd|pass|pwd|passphrase)$`)
	userName     = regexp.MustCompile(`(?i)^(user_?name|user|login|name|e?-?mail|account|identifier)$`)
)

func (r *run) operations() {
	for _, o := range r.doc.Operations {
		op := &operation{Operation: o, name: o.Method + " " + o.Path}
		r.secure(op)
		r.shape(op)
		op.limit = readLimit(o.Ext.Limit)
		if r.policy != nil {
			if l := r.policy.Operations[o.ID]; l.set() {
				op.limit = l
			}
		}
		r.ops = append(r.ops, op)
	}
}

// secure reads whom an operation is for.
func (r *run) secure(op *operation) {
	list := op.Security
	if list == nil {
		list = r.doc.Security
	}
	if list == nil && r.policy != nil && len(r.policy.Security) > 0 {
		list = &r.policy.Security
	}
	if list == nil {
		op.public, op.silent = true, true
		return
	}
	op.public = len(*list) == 0
	for _, requirement := range *list {
		if len(requirement) == 0 {
			op.optional = true
		}
		needs := []string{}
		if op.Ext.Permission != "" {
			needs = append(needs, op.Ext.Permission)
		}
		for _, s := range requirement {
			needs = append(needs, s.Scopes...)
			switch scheme := r.scheme(s.Scheme); {
			case scheme.Type == "apiKey":
				op.key = true
			default:
				op.token = true
			}
		}
		op.needs = append(op.needs, needs)
	}
}

// scheme returns a security scheme; two are built in.
func (r *run) scheme(name string) spec.Scheme {
	for _, s := range r.doc.Schemes {
		if s.Name == name {
			return s
		}
	}
	if name == "api_key" {
		return spec.Scheme{Name: name, Type: "apiKey", In: "header", Param: "X-API-Key"}
	}
	return spec.Scheme{Name: name, Type: "http", HTTP: "bearer"}
}

// keyScheme is where API keys travel.
func (r *run) keyScheme() spec.Scheme {
	for _, s := range r.doc.Schemes {
		if s.Type == "apiKey" {
			return s
		}
	}
	return r.scheme("api_key")
}

// shape reads what an operation is about.
func (r *run) shape(op *operation) {
	if m := itemForm.FindStringSubmatch(op.Path); m != nil {
		op.collection, op.itemParam = m[1], m[2]
	}
	if op.Body == nil {
		return
	}
	for i, m := range op.Body.Content {
		if isJSON(m.Type) {
			op.body = &op.Body.Content[i]
			break
		}
	}
	if op.body == nil || op.Method != "POST" {
		return
	}
	for _, p := range properties(r.gen.choice(r.gen.at(op.body.Schema))) {
		switch {
		case passwordName.MatchString(p.name):
			op.passwordKey = p.name
		case userName.MatchString(p.name) && op.userKey == "":
			op.userKey = p.name
		}
	}
	op.signIn = op.passwordKey != "" && op.userKey != "" && (op.public || op.optional) && signInPath.MatchString(op.Path)
}

func isJSON(media string) bool {
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

var (
	windowLimit = regexp.MustCompile(`^([0-9]+)/([0-9]+)([smhd])$`)
	bucketLimit = regexp.MustCompile(`^([0-9]+)/([smhd]) burst ([0-9]+)$`)
	units       = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
)

// readLimit reads a declared limit. Of a bucket, what it lets through at once is tested.
func readLimit(s string) Limit {
	if m := windowLimit.FindStringSubmatch(s); m != nil {
		count, _ := strconv.Atoi(m[1])
		n, _ := strconv.Atoi(m[2])
		return Limit{count, time.Duration(n) * units[m[3]]}
	}
	if m := bucketLimit.FindStringSubmatch(s); m != nil {
		burst, _ := strconv.Atoi(m[3])
		return Limit{burst, units[m[2]]}
	}
	return Limit{}
}

// answerSchema returns the schema of a declared answer, and whether the status and the media type are declared.
func (r *run) answerSchema(op *operation, status int, media string) (schema *tree.Node, declared bool) {
	for _, pattern := range []string{strconv.Itoa(status), fmt.Sprintf("%dXX", status/100), "default"} {
		for _, a := range op.Responses {
			if a.Status != pattern {
				continue
			}
			if len(a.Content) == 0 {
				return nil, true
			}
			for _, m := range a.Content {
				if m.Type == media || m.Type == "*/*" || strings.HasSuffix(m.Type, "/*") && strings.HasPrefix(media, strings.TrimSuffix(m.Type, "*")) {
					return r.gen.at(m.Schema), true
				}
			}
			return nil, false
		}
	}
	return nil, false
}

// successSchema returns the schema of what a success answers in JSON.
func (r *run) successSchema(op *operation) *tree.Node {
	for _, a := range op.Responses {
		if strings.HasPrefix(a.Status, "2") {
			for _, m := range a.Content {
				if isJSON(m.Type) && m.Schema != "" {
					return r.gen.at(m.Schema)
				}
			}
		}
	}
	return nil
}

// may says whether an identity is allowed to call an operation at all.
func (r *run) may(p *person, op *operation) knowledge {
	if op.public || op.optional {
		return yes
	}
	best := no
	for _, alternative := range op.needs {
		k := yes
		for _, permission := range alternative {
			k = both(k, r.grants(p, permission))
		}
		best = either(best, k)
	}
	return best
}

func (r *run) grants(p *person, permission string) knowledge {
	return r.policy.grants(p.Role, permission)
}

// both is AND over what is known, either is OR.
func both(a, b knowledge) knowledge {
	switch {
	case a == no || b == no:
		return no
	case a == unknown || b == unknown:
		return unknown
	}
	return yes
}

func either(a, b knowledge) knowledge {
	switch {
	case a == yes || b == yes:
		return yes
	case a == unknown || b == unknown:
		return unknown
	}
	return no
}

// item returns the operation of a method on the items of a collection.
func (r *run) item(method, collection string) *operation {
	for _, o := range r.ops {
		if o.Method == method && o.collection == collection {
			return o
		}
	}
	return nil
}

// on returns the operation of a method on a path.
func (r *run) on(method, path string) *operation {
	for _, o := range r.ops {
		if o.Method == method && o.Path == path {
			return o
		}
	}
	return nil
}
