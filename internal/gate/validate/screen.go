package validate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
)

// Screener judges texts: the score that they have together, and the rules that matched.
type Screener interface {
	Judge(texts []string) (score int, rules []string, err error)
}

// screening is the rule of one operation whose free text is screened.
type screening struct {
	rule    plan.Screen
	engine  Screener
	places  chan struct{} // how many are judged at once
	query   map[string]any
	path    map[string]any
	header  map[string]any
	media   map[string][]any // schemas by media type
	schemas freeText
	observe bool
	until   time.Time
}

// maxTexts bounds what is judged by itself; what is beyond is judged together.
const maxTexts = 64

// screening compiles an operation's rule. What it could not look into is no operation to be screened.
func (s *Stage) screening(op *plan.Operation) (*screening, error) {
	if s.screen.engine == nil {
		return nil, errors.New("screening needs the rule set, which this program does not hold")
	}
	if s.screen.document == nil {
		d := json.NewDecoder(bytes.NewReader(s.screen.text))
		d.UseNumber()
		if err := d.Decode(&s.screen.document); err != nil {
			return nil, err
		}
	}
	c := &screening{rule: s.screen.rule, engine: s.screen.engine, places: s.screen.places, query: map[string]any{}, path: map[string]any{},
		header: map[string]any{}, media: map[string][]any{}, schemas: freeText{s.screen.document},
		observe: slices.Contains(op.Observe, "screen"), until: s.screen.observe}
	in := map[string]map[string]any{"query": c.query, "path": c.path, "header": c.header}
	for _, p := range op.Request.Parameters {
		if in[p.In] == nil {
			return nil, fmt.Errorf("%s: parameters in %s are not screened", p.Source, p.In)
		}
		in[p.In][p.Name] = c.schemas.at(p.Schema)
	}
	if b := op.Request.Body; b != nil {
		for _, m := range b.Media {
			t := strings.ToLower(m.Type)
			if m.Delivery != plan.Hold || !isJSON(t) && t != "application/x-www-form-urlencoded" {
				return nil, fmt.Errorf("%s: a body of %s is not screened: JSON and forms are", b.Source, m.Type)
			}
			for _, pointer := range m.Schemas {
				c.media[t] = append(c.media[t], c.schemas.at(pointer))
			}
		}
	}
	return c, nil
}

// after screens what the rule before it let pass.
func (c *screening) after(enter func(*exchange.Exchange) exchange.Verdict) func(*exchange.Exchange) exchange.Verdict {
	return func(x *exchange.Exchange) exchange.Verdict {
		if v := enter(x); v != exchange.Pass {
			return v
		}
		return c.enter(x)
	}
}

func (c *screening) enter(x *exchange.Exchange) exchange.Verdict {
	texts, fault := c.collect(x)
	size := 0
	for _, t := range texts {
		size += len(t)
	}
	switch {
	case fault != nil: // it was judged before: two parsers read it differently
		return c.refuse(x, exchange.Refusal{Status: http.StatusBadRequest, Reason: problem.InvalidRequest, Fine: "screen_unread", Cause: fault})
	case size == 0:
		return exchange.Pass
	case int64(size) > c.rule.MaxBytes:
		return c.refuse(x, exchange.Refusal{Status: http.StatusRequestEntityTooLarge, Reason: problem.InvalidRequest, Fine: "screen_too_large",
			Detail: "the text is too long"})
	}
	if len(texts) > maxTexts {
		texts = append(texts[:maxTexts-1:maxTexts-1], strings.Join(texts[maxTexts-1:], "\n"))
	}
	select { // milliseconds of a processor each: a crowd waits here, and holds nothing else up
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-x.Request.Context().Done():
		return x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Fine: "client_gone"})
	}
	score, rules, err := c.engine.Judge(texts)
	if err != nil {
		return c.refuse(x, exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Fine: "screen_failed", Cause: err})
	}
	x.Screened = rules
	if score < c.rule.Threshold {
		return exchange.Pass
	}
	fine := access.Reason("screen")
	if len(rules) > 0 {
		fine = access.Reason("screen_" + rules[0])
	}
	return c.refuse(x, exchange.Refusal{Status: http.StatusBadRequest, Reason: problem.InvalidRequest, Fine: fine,
		Detail: "a text of the request looks like an attack"})
}

// refuse refuses, or, where screening alone is only watched, says what it would have refused.
func (c *screening) refuse(x *exchange.Exchange, no exchange.Refusal) exchange.Verdict {
	if c.observe && x.Now.Before(c.until) {
		x.Observed = append(x.Observed, exchange.Observation{Stage: "screen", Fine: no.Fine})
		return exchange.Pass
	}
	return x.Refuse(no)
}

// collect returns the free texts of a request.
func (c *screening) collect(x *exchange.Exchange) (texts []string, err error) {
	add := func(s string) { texts = append(texts, s) }
	value := func(schema any, v string) {
		if !c.schemas.bounded([]any{schema}) {
			add(v)
		}
	}
	for _, p := range x.Path {
		v, err := url.PathUnescape(p.Value)
		if err != nil {
			return nil, err
		}
		value(c.path[p.Name], v)
	}
	for _, p := range x.Query {
		name, err := url.QueryUnescape(p.Name)
		if err != nil {
			return nil, err
		}
		v, err := url.QueryUnescape(p.Value)
		if err != nil {
			return nil, err
		}
		schema, declared := c.query[name]
		if !declared {
			add(name)
		}
		value(schema, v)
	}
	for name, schema := range c.header {
		for _, v := range x.Request.Header.Values(name) {
			value(schema, v)
		}
	}
	if x.Body == nil {
		return texts, nil
	}
	t, _, _ := strings.Cut(x.Request.Header.Get("Content-Type"), ";")
	t = strings.ToLower(strings.TrimSpace(t))
	schemas := c.media[t]
	if t == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(x.Body))
		if err != nil {
			return nil, err
		}
		for name, values := range form {
			for _, v := range values {
				c.schemas.collect(schemas, map[string]any{name: v}, add)
			}
		}
		return texts, nil
	}
	d := json.NewDecoder(bytes.NewReader(x.Body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	c.schemas.collect(schemas, v, add)
	return texts, nil
}

// freeText finds the strings of a value that its schema leaves open. Where it is in doubt a string is free.
type freeText struct{ document any }

// maxRefs bounds how far references and combinations are followed.
const maxRefs = 32

// at returns what a JSON pointer into the document leads to; nil where there is nothing.
func (f freeText) at(pointer string) any {
	v := f.document
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer == "" {
			return nil
		}
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		switch n := v.(type) {
		case map[string]any:
			v = n[step]
		case []any:
			i := -1
			if _, err := fmt.Sscanf(step, "%d", &i); err != nil || i < 0 || i >= len(n) {
				return nil
			}
			v = n[i]
		default:
			return nil
		}
	}
	return v
}

// flat returns a schema and all that may apply beside it.
func (f freeText) flat(schema any, depth int, out []map[string]any) []map[string]any {
	n, ok := schema.(map[string]any)
	if !ok || depth > maxRefs {
		return out
	}
	out = append(out, n)
	if ref, ok := n["$ref"].(string); ok {
		out = f.flat(f.ref(ref), depth+1, out)
	}
	for _, word := range []string{"allOf", "anyOf", "oneOf"} {
		list, _ := n[word].([]any)
		for _, s := range list {
			out = f.flat(s, depth+1, out)
		}
	}
	for _, word := range []string{"then", "else"} {
		out = f.flat(n[word], depth+1, out)
	}
	return out
}

func (f freeText) ref(ref string) any {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok || !strings.HasPrefix(pointer, "/") {
		return nil
	}
	if p, err := url.PathUnescape(pointer); err == nil {
		pointer = p
	}
	return f.at(pointer)
}

// collect adds the free strings of a value that follows these schemas, and the names of members that none of them knows.
func (f freeText) collect(schemas []any, v any, add func(string)) {
	switch v := v.(type) {
	case string:
		if !f.bounded(schemas) {
			add(v)
		}
	case map[string]any:
		var all []map[string]any
		for _, s := range schemas {
			all = f.flat(s, 0, all)
		}
		for name, member := range v {
			var below []any
			known := false
			for _, s := range all {
				properties, _ := s["properties"].(map[string]any)
				if p, ok := properties[name]; ok {
					below, known = append(below, p), true
				} else if more, ok := s["additionalProperties"].(map[string]any); ok {
					below = append(below, more)
				}
			}
			if !known {
				add(name)
			}
			f.collect(below, member, add)
		}
	case []any:
		var below []any
		for _, s := range schemas {
			for _, n := range f.flat(s, 0, nil) {
				if n["prefixItems"] == nil && n["items"] != nil {
					below = append(below, n["items"])
				}
			}
		}
		for _, item := range v {
			f.collect(below, item, add)
		}
	}
}

// bounded reports whether each of the schemas leaves only few strings: no schema is none that does.
func (f freeText) bounded(schemas []any) bool {
	for _, s := range schemas {
		if !f.bounds(s, 0) {
			return false
		}
	}
	return len(schemas) > 0
}

// narrow are the formats that leave no room for a sentence. An e-mail address and a URI do.
var narrow = []string{"date", "date-time", "time", "duration", "uuid", "ipv4", "ipv6", "hostname"}

// anchored is a pattern that says of every character which it may be.
var anchored = regexp.MustCompile(`^\^([^.\\^$]|\\[.dw-])*\$$`)

func (f freeText) bounds(schema any, depth int) bool {
	n, ok := schema.(map[string]any)
	if !ok || depth > maxRefs {
		return false
	}
	if n["enum"] != nil || n["const"] != nil {
		return true
	}
	switch n["type"] {
	case "integer", "number", "boolean", "null":
		return true // of parameters, whose values are strings on the wire
	}
	if format, _ := n["format"].(string); slices.Contains(narrow, format) {
		return true
	}
	if p, _ := n["pattern"].(string); anchored.MatchString(p) && !strings.Contains(p, "[^") {
		return true
	}
	if ref, ok := n["$ref"].(string); ok && f.bounds(f.ref(ref), depth+1) {
		return true
	}
	all, _ := n["allOf"].([]any)
	for _, s := range all {
		if f.bounds(s, depth+1) {
			return true
		}
	}
	for _, word := range []string{"anyOf", "oneOf"} {
		if some, _ := n[word].([]any); len(some) > 0 && !slices.ContainsFunc(some, func(s any) bool { return !f.bounds(s, depth+1) }) {
			return true
		}
	}
	return false
}
