package attack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/spec"
)

// call is one request before it is sent.
type call struct {
	op     *operation // nil: of no operation
	method string
	path   string         // template, or as it is where op is nil
	params map[string]any // "in name" → value
	extra  url.Values     // of the query, undeclared
	header http.Header
	body   any    // JSON, unless raw is set
	raw    []byte // the body as it is
	media  string // of the body; "" is JSON's
	base   string // another target than the run's
	as     credential
	once   bool // a 429 is an answer like any other

	object *object // that it is about, if this run made it
}

// credential is what a call shows.
type credential struct {
	who   *person // whose it is; nil: nobody's
	kind  credentialKind
	value string // of one that was made up
	label string // how a proof calls it
	shell string // how curl says it, if not by its value
}

type credentialKind uint8

const (
	nothing   credentialKind = iota
	usual                    // what the operation takes of who has it
	tokenOnly                // who's token, or value
	keyOnly                  // who's API key, or value
)

func as(p *person) credential {
	if p == nil {
		return credential{}
	}
	return credential{who: p, kind: usual}
}

func paramKey(in, name string) string { return in + " " + name }

func (c *call) clone() *call {
	d := *c
	d.params, d.extra, d.header = maps.Clone(c.params), maps.Clone(c.extra), c.header.Clone()
	if d.params == nil {
		d.params = map[string]any{}
	}
	if d.extra == nil {
		d.extra = url.Values{}
	}
	if d.header == nil {
		d.header = http.Header{}
	}
	return &d
}

func (c *call) by(cr credential) *call {
	d := c.clone()
	d.as = cr
	return d
}

func (c *call) with(in, name string, v any) *call {
	d := c.clone()
	d.params[paramKey(in, name)] = v
	return d
}

func (c *call) without(in, name string) *call {
	d := c.clone()
	delete(d.params, paramKey(in, name))
	return d
}

func (c *call) withBody(v any) *call {
	d := c.clone()
	d.body = v
	return d
}

func (c *call) set(name, value string) *call {
	d := c.clone()
	d.header.Set(name, value)
	return d
}

// member returns a copy with one member of the body changed.
func (c *call) member(name string, v any) *call {
	old, _ := c.body.(map[string]any)
	fresh := maps.Clone(old)
	if fresh == nil {
		fresh = map[string]any{}
	}
	fresh[name] = v
	return c.withBody(fresh)
}

// escapePath leaves only what stands for itself in a segment.
func escapePath(s string) string {
	return strings.ReplaceAll(url.PathEscape(s), "+", "%2B")
}

// target is the path and query as they go on the wire.
func (c *call) target() string {
	path := c.path
	if c.op != nil {
		for _, p := range c.op.Parameters {
			if p.In == "path" {
				path = strings.ReplaceAll(path, "{"+p.Name+"}", escapePath(text(c.params[paramKey("path", p.Name)])))
			}
		}
	}
	var query []string
	add := func(name, value string) {
		query = append(query, url.QueryEscape(name)+"="+strings.ReplaceAll(url.QueryEscape(value), "+", "%20"))
	}
	if c.op != nil {
		for _, p := range c.op.Parameters {
			v, there := c.params[paramKey("query", p.Name)]
			if p.In != "query" || !there {
				continue
			}
			items, list := v.([]any)
			if !list || p.Explode != nil && !*p.Explode {
				add(p.Name, text(v))
				continue
			}
			for _, item := range items {
				add(p.Name, text(item))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.extra)) {
		for _, v := range c.extra[name] {
			add(name, v)
		}
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	return path
}

// content returns the body and its type, nil for none.
func (c *call) content() ([]byte, string) {
	media := c.media
	if media == "" {
		media = "application/json"
		if c.op != nil && c.op.body != nil {
			media = c.op.body.Type
		}
	}
	switch {
	case c.raw != nil:
		return c.raw, media
	case c.body != nil:
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if e.Encode(c.body) != nil {
			return nil, ""
		}
		return bytes.TrimRight(b.Bytes(), "\n"), media
	}
	return nil, ""
}

// headers returns the header of the call, less its credential.
func (c *call) headers() http.Header {
	h := c.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if c.op != nil {
		var cookies []string
		for _, p := range c.op.Parameters {
			v, there := c.params[paramKey(p.In, p.Name)]
			if !there {
				continue
			}
			switch p.In {
			case "header":
				h.Set(p.Name, text(v))
			case "cookie":
				cookies = append(cookies, p.Name+"="+url.QueryEscape(text(v)))
			}
		}
		if len(cookies) > 0 {
			h.Set("Cookie", strings.Join(cookies, "; "))
		}
	}
	if h.Get("Accept") == "" {
		h.Set("Accept", "application/json")
	}
	if b, media := c.content(); b != nil && h.Get("Content-Type") == "" {
		h.Set("Content-Type", media)
	}
	return h
}

// shown is where one credential goes: a header, or a query parameter.
type shown struct {
	header, query bool
	name, value   string
	label, shell  string
}

// credentials returns what a call shows: as it is sent, how a proof names it, how a shell finds it.
func (r *run) credentials(c *call) []shown {
	cr := c.as
	variable := ""
	if cr.who != nil {
		variable = strings.Map(func(x rune) rune {
			if x >= 'a' && x <= 'z' {
				return x - 32
			}
			if x >= 'A' && x <= 'Z' || x >= '0' && x <= '9' {
				return x
			}
			return '_'
		}, cr.who.Name)
	}
	token := func(value, label, shell string) shown {
		return shown{header: true, name: "Authorization", value: "Bearer " + value, label: "Bearer " + label, shell: "Bearer " + shell}
	}
	key := func(value, label, shell string) shown {
		s := r.keyScheme()
		switch s.In {
		case "query":
			return shown{query: true, name: s.Param, value: value, label: label, shell: shell}
		case "cookie":
			return shown{header: true, name: "Cookie", value: s.Param + "=" + value, label: s.Param + "=" + label, shell: s.Param + "=" + shell}
		}
		return shown{header: true, name: s.Param, value: value, label: label, shell: shell}
	}
	made := func() (label, shell string) {
		label, shell = cr.label, cr.shell
		if label == "" {
			label = cr.value
		}
		if shell == "" {
			shell = cr.value
		}
		return label, shell
	}
	switch {
	case cr.kind == nothing:
		return nil
	case cr.kind == tokenOnly && cr.value != "":
		label, shell := made()
		return []shown{token(cr.value, label, shell)}
	case cr.kind == keyOnly && cr.value != "":
		label, shell := made()
		return []shown{key(cr.value, label, shell)}
	}
	p := cr.who
	bearer := p.token
	if bearer == "" {
		bearer = p.Token
	}
	var out []shown
	for _, name := range slices.Sorted(maps.Keys(p.Header)) {
		out = append(out, shown{header: true, name: name, value: p.Header[name], label: "‹" + name + " of " + p.Name + "›", shell: "$" + variable + "_HEADER"})
	}
	takesToken := c.op == nil || c.op.token || !c.op.key
	switch {
	case cr.kind == keyOnly, cr.kind == usual && p.APIKey != "" && (bearer == "" || !takesToken):
		out = append(out, key(p.APIKey, "‹API key of "+p.Name+"›", "$"+variable+"_API_KEY"))
	case bearer != "":
		out = append(out, token(bearer, "‹token of "+p.Name+"›", "$"+variable+"_TOKEN"))
	}
	return out
}

// curl returns the call as a command line. Real credentials are variables for the reader to set.
func (r *run) curl(c *call) string {
	parts := []string{"curl -si"}
	if c.method != http.MethodGet {
		parts = append(parts, "-X "+c.method)
	}
	target := c.target()
	for _, s := range r.credentials(c) {
		if s.header {
			parts = append(parts, "-H "+quoteVariable(s.name+": "+s.shell))
		} else {
			target = joinQuery(target, s.name+"="+s.shell)
		}
	}
	h := c.headers()
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			parts = append(parts, "-H "+quote(name+": "+v))
		}
	}
	if b, _ := c.content(); b != nil {
		if len(b) > 2000 {
			parts = append(parts, fmt.Sprintf("--data-binary @- # %d bytes", len(b)))
		} else {
			parts = append(parts, "--data-binary "+quote(string(b)))
		}
	}
	url := r.baseOf(c) + target
	if strings.Contains(target, "=$") {
		parts = append(parts, quoteVariable(url))
	} else {
		parts = append(parts, quote(url))
	}
	return strings.Join(parts, " ")
}

func joinQuery(target, pair string) string {
	if strings.Contains(target, "?") {
		return target + "&" + pair
	}
	return target + "?" + pair
}

// quote quotes a word for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// quoteVariable quotes a word in which variables are to be replaced.
func quoteVariable(s string) string {
	if !strings.Contains(s, "$") {
		return quote(s)
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`").Replace(s) + `"`
}

func (r *run) baseOf(c *call) string {
	if c.base != "" {
		return c.base
	}
	return r.target
}

// request is the call as text, its credentials named.
func (r *run) request(c *call) string {
	var b strings.Builder
	target := c.target()
	var lines []string
	for _, s := range r.credentials(c) {
		if s.header {
			lines = append(lines, s.name+": "+s.label)
		} else {
			target = joinQuery(target, s.name+"="+s.label)
		}
	}
	h := c.headers()
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			lines = append(lines, name+": "+v)
		}
	}
	fmt.Fprintf(&b, "%s %s\n%s\n", c.method, target, strings.Join(lines, "\n"))
	if body, _ := c.content(); body != nil {
		fmt.Fprintf(&b, "\n%s\n", excerpt(string(body), 1000))
	}
	return b.String()
}

func excerpt(s string, most int) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + fmt.Sprintf("… (%d bytes)", len(s))
}

// parameter finds a declared parameter.
func (o *operation) parameter(in, name string) *spec.Parameter {
	for i := range o.Parameters {
		if o.Parameters[i].In == in && o.Parameters[i].Name == name {
			return &o.Parameters[i]
		}
	}
	return nil
}
