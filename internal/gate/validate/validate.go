// Package validate judges a request against what the document declares for its operation: every parameter, the media
// type, the body. What is not declared is refused (or dropped, where the plan says so). No byte of the body is read
// before every earlier stage has passed.
package validate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
	"github.com/portreeve/portreeve/internal/schema"
)

// Name is the stage's name in the order.
const Name = "validate"

var controls = []control.ID{"validate.request", "validate.strict-schema", "validate.write-properties", "limit.size"}

// Stage compiles the request rules of one plan.
type Stage struct {
	schemas *schema.Set
	budget  *exchange.Budget
	keys    map[string]map[string]bool // where credentials travel: location → name
	screen  struct {
		rule     plan.Screen
		engine   Screener
		places   chan struct{}
		text     []byte // the document
		document any    // read once it is needed
		observe  time.Time
	}
}

// New returns the stage of a plan whose document's schemas are in set.
func New(p *plan.Plan, set *schema.Set, budget *exchange.Budget) *Stage {
	s := &Stage{schemas: set, budget: budget, keys: map[string]map[string]bool{}}
	for _, sc := range p.Identity.Schemes {
		loc := string(sc.Location)
		if s.keys[loc] == nil {
			s.keys[loc] = map[string]bool{}
		}
		s.keys[loc][sc.Param] = true
	}
	return s
}

// rule is one operation's, compiled.
type rule struct {
	path, query, header, cookie []*schema.Parameter
	queryString                 *schema.Parameter // the whole of it is one
	queryText                   bool              // and no pairs: one JSON text
	undeclared                  plan.Undeclared
	queryKeys                   map[string]bool
	body                        *plan.Body
	media                       []media
	max                         int64
	budget                      *exchange.Budget
	whole                       bool // answers are judged by their body
}

type media struct {
	name     string // lower case
	kind     kind
	programs []*schema.Program
	forms    []*schema.Form // of forms and multiparts: each program's
	parts    map[string]*part
	bytes    *plan.Length // of opaque ones; nil: the body's limit alone
}

type kind uint8

const (
	unjudged kind = iota // its schema cannot be held against it: refused
	opaque               // bytes, passed on under the size limit
	jsonBody
	formBody
	multipartBody
	textBody
)

// Bind compiles the operation's rule; what cannot be compiled stops the start.
func (s *Stage) Bind(op *plan.Operation) (exchange.Step, error) {
	if op.Own != "" || op.Path == "" {
		return exchange.Absent(Name, "nothing of the document to judge by", op.Source), nil
	}
	r := &rule{undeclared: op.Request.Undeclared, queryKeys: s.keys[string(plan.InQuery)], body: op.Request.Body,
		max: op.Request.MaxBody, budget: s.budget, whole: judged(op)}
	for _, p := range op.Request.Parameters {
		if err := s.parameter(r, p); err != nil {
			return exchange.Step{}, err
		}
	}
	if op.Request.Body != nil {
		for _, m := range op.Request.Body.Media {
			compiled, err := s.media(m, op.Request.Undeclared)
			if err != nil {
				return exchange.Step{}, fmt.Errorf("%s: body %s: %w", op.Request.Body.Source, m.Type, err)
			}
			r.media = append(r.media, compiled)
		}
	}
	step := exchange.Step{Stage: Name, Rule: describe(op), Source: op.Request.Source, Controls: controls, Enter: r.enter}
	if op.Screen {
		c, err := s.screening(op)
		if err != nil {
			return step, err
		}
		step.Rule += fmt.Sprintf("; free text screened at paranoia level %d, refused from a score of %d", c.rule.Paranoia, c.rule.Threshold)
		step.Controls = append(slices.Clone(controls), "inject.detect")
		step.Enter = c.after(r.enter)
	}
	return step, nil
}

// Screen gives the stage what judges free text. places is shared by all plans: how many are judged at once.
func (s *Stage) Screen(p *plan.Plan, engine Screener, places chan struct{}, observe time.Time) {
	s.screen.rule, s.screen.engine, s.screen.places, s.screen.text, s.screen.observe = p.Screen, engine, places, p.Document, observe
}

func (s *Stage) parameter(r *rule, p plan.Parameter) error {
	c, err := s.schemas.CompileParameter(schema.ParameterConfig{Name: p.Name, In: p.In, Style: p.Style, Explode: p.Explode,
		Required: p.Required, AllowReserved: p.AllowReserved, AllowEmpty: p.AllowEmpty, SchemaPointer: p.Schema, Content: p.Content})
	if err != nil {
		return fmt.Errorf("%s: parameter %s: %w", p.Source, p.Name, err)
	}
	switch p.In {
	case "path":
		r.path = append(r.path, c)
	case "query":
		r.query = append(r.query, c)
	case "header":
		r.header = append(r.header, c)
	case "cookie":
		r.cookie = append(r.cookie, c)
	case "querystring":
		r.queryString, r.queryText = c, isJSON(p.Content)
	}
	return nil
}

func (s *Stage) media(m plan.Media, undeclared plan.Undeclared) (media, error) {
	out := media{name: strings.ToLower(m.Type)}
	switch {
	case m.Delivery == plan.Never:
		return out, nil
	case m.Delivery == plan.Relay:
		out.kind, out.bytes = opaque, m.Bytes
		return out, nil
	case m.Kind == plan.PartText:
		out.kind = textBody
	case out.name == "application/x-www-form-urlencoded":
		out.kind = formBody
	case strings.HasPrefix(out.name, "multipart/"):
		out.kind = multipartBody
	default:
		out.kind = jsonBody
	}
	var err error
	if out.parts, err = s.parts(m); err != nil {
		return out, err
	}
	for _, pointer := range m.Schemas {
		p, err := s.schemas.Compile(pointer, schema.Options{Direction: schema.Request, Undeclared: policy(undeclared)})
		if err != nil {
			return out, err
		}
		out.programs = append(out.programs, p)
		if out.kind == formBody || out.kind == multipartBody {
			f, err := p.Form(fields(m)...)
			if err != nil {
				return out, err
			}
			out.forms = append(out.forms, f)
		}
	}
	return out, nil
}

func policy(u plan.Undeclared) schema.Undeclared {
	switch u {
	case plan.Drop:
		return schema.Drop
	case plan.Ignore:
		return schema.Ignore
	}
	return schema.Refuse
}

func isJSON(t string) bool {
	return t == "application/json" || strings.HasSuffix(t, "+json") || t == "text/json"
}

func describe(op *plan.Operation) string {
	var parts []string
	for _, p := range op.Request.Parameters {
		parts = append(parts, p.In+" "+p.Name)
	}
	if b := op.Request.Body; b != nil {
		for _, m := range b.Media {
			parts = append(parts, "body "+m.Type)
		}
		parts = append(parts, fmt.Sprintf("at most %d bytes", op.Request.MaxBody))
	} else {
		parts = append(parts, "no body")
	}
	return strings.Join(parts, ", ") + "; undeclared: " + string(op.Request.Undeclared)
}

// judged reports whether some answer of the operation is judged by its body.
func judged(op *plan.Operation) bool {
	for i := range op.Answers {
		for _, m := range op.Answers[i].Media {
			if m.Delivery == plan.Hold || m.Delivery == plan.Items {
				return true
			}
		}
	}
	return op.Object != nil
}

// unconditional takes away what asks for part of an answer, or for none: a body that is judged is needed whole, and what
// the origin would compare are other bytes than the caller gets.
func unconditional(h http.Header) {
	for _, name := range [...]string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"} {
		delete(h, name)
	}
}

func (r *rule) enter(x *exchange.Exchange) exchange.Verdict {
	if r.whole {
		unconditional(x.Request.Header)
	}
	var faults []problem.Violation
	faults = r.judgePath(x, faults)
	if r.queryString != nil {
		faults = r.judgeQueryString(x, faults)
	} else {
		faults = r.judgeQuery(x, faults)
	}
	faults = r.judgeHeaders(x, faults)
	if len(faults) > 0 {
		return invalid(x, "parameters", faults)
	}
	return r.judgeBody(x)
}

func invalid(x *exchange.Exchange, fine access.Reason, faults []problem.Violation) exchange.Verdict {
	return x.Refuse(exchange.Refusal{Status: http.StatusBadRequest, Reason: problem.InvalidRequest, Fine: fine,
		Detail: "the request does not follow the API's document", Errors: faults})
}

func bad(x *exchange.Exchange, status int, fine access.Reason, detail string) exchange.Verdict {
	return x.Refuse(exchange.Refusal{Status: status, Reason: problem.InvalidRequest, Fine: fine, Detail: detail})
}

// report adds what a parameter's check found.
func report(faults []problem.Violation, in, name string, err error) []problem.Violation {
	if err == nil {
		return faults
	}
	pointer := pointerTo(in, name)
	var f *schema.Failure
	if !errors.As(err, &f) {
		return append(faults, problem.Violation{Pointer: pointer, Code: "invalid", Detail: "is not acceptable"})
	}
	for _, v := range f.Violations {
		faults = append(faults, problem.Violation{Pointer: pointer + v.Pointer, Code: v.Code, Detail: v.Detail})
	}
	return faults
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// pointerTo names a parameter; the client may have chosen the name.
func pointerTo(in, name string) string {
	const most = 64
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "")
	}
	return "#/" + in + "/" + pointerEscapes.Replace(name)
}

func (r *rule) judgePath(x *exchange.Exchange, faults []problem.Violation) []problem.Violation {
	for _, p := range r.path {
		v, ok := x.PathParam(p.Name())
		if !ok {
			faults = append(faults, problem.Violation{Pointer: pointerTo("path", p.Name()), Code: "required", Detail: "is missing"})
			continue
		}
		faults = report(faults, "path", p.Name(), p.Check([]string{v}))
	}
	return faults
}

// judgeQuery hands each declared parameter the pairs it owns. A name nobody owns is undeclared; so is a name that two
// pairs carry where one value is declared (threat 11): the parameter's own check refuses that.
func (r *rule) judgeQuery(x *exchange.Exchange, faults []problem.Violation) []problem.Violation {
	owned := make([]bool, len(x.Query))
	for _, p := range r.query {
		var raw []string
		whole := p.Exploded()
		for i, q := range x.Query {
			name, err := url.QueryUnescape(q.Name)
			if err != nil || !p.Owns(name) {
				continue
			}
			owned[i] = true
			if whole {
				raw = append(raw, q.Name+"="+q.Value)
			} else {
				raw = append(raw, q.Value)
			}
		}
		faults = report(faults, "query", p.Name(), p.Check(raw))
	}
	kept := x.Query[:0]
	for i, q := range x.Query {
		name, _ := url.QueryUnescape(q.Name)
		switch {
		case owned[i] || r.queryKeys[name] || r.undeclared == plan.Ignore:
			kept = append(kept, q)
		case r.undeclared != plan.Drop:
			faults = append(faults, problem.Violation{Pointer: pointerTo("query", name), Code: "undeclared", Detail: "is not declared"})
			kept = append(kept, q)
		}
	}
	if len(kept) != len(x.Query) {
		x.Query = kept
		x.Request.URL.RawQuery = encode(kept)
		x.Request.RequestURI = x.Request.URL.RequestURI()
	}
	return faults
}

// judgeQueryString judges the query as the one value it is, credentials aside. A JSON text has no pairs: all of it is
// escaped, '=' and '&' too.
func (r *rule) judgeQueryString(x *exchange.Exchange, faults []problem.Violation) []problem.Violation {
	var own []exchange.Param
	for _, q := range x.Query {
		if name, err := url.QueryUnescape(q.Name); err != nil || !r.queryKeys[name] {
			own = append(own, q)
		}
	}
	var raw []string
	switch {
	case len(own) == 0:
	case !r.queryText:
		raw = []string{encode(own)}
	case len(own) > 1 || own[0].Value != "":
		return append(faults, problem.Violation{Pointer: pointerTo("querystring", r.queryString.Name()), Code: "style", Detail: "must be one JSON text with all of '&' and '=' escaped"})
	default:
		raw = []string{own[0].Name}
	}
	faults = report(faults, "querystring", r.queryString.Name(), r.queryString.Check(raw))
	if r.queryText && len(own) == 1 {
		rest := slices.DeleteFunc(slices.Clone(x.Query), func(q exchange.Param) bool { return q == own[0] })
		x.Request.URL.RawQuery = strings.Join(append(raw, encodeAll(rest)...), "&") // a text has no '=' behind it
		x.Request.RequestURI = x.Request.URL.RequestURI()
	}
	return faults
}

func encodeAll(query []exchange.Param) []string {
	if len(query) == 0 {
		return nil
	}
	return []string{encode(query)}
}

func encode(query []exchange.Param) string {
	parts := make([]string, len(query))
	for i, q := range query {
		parts[i] = q.Name + "=" + q.Value
	}
	return strings.Join(parts, "&")
}

func (r *rule) judgeHeaders(x *exchange.Exchange, faults []problem.Violation) []problem.Violation {
	for name := range x.Request.Header {
		if strings.IndexByte(name, '_') >= 0 && r.declares(name) {
			// Both spellings are one variable to a CGI-style upstream: it would read what was not judged (threat 14).
			faults = append(faults, problem.Violation{Pointer: pointerTo("header", name), Code: "undeclared", Detail: "is another spelling of a declared header"})
		}
	}
	for _, p := range r.header {
		faults = report(faults, "header", p.Name(), p.Check(escapeAll(x.Request.Header.Values(p.Name()))))
	}
	return r.judgeCookies(x, faults)
}

// judgeCookies reads the cookie field as it stands (RFC 6265 §4.2.1): net/http leaves out what it takes for malformed, and
// an upstream may not.
func (r *rule) judgeCookies(x *exchange.Exchange, faults []problem.Violation) []problem.Violation {
	for _, p := range r.cookie {
		var raw []string
		quoted := false
		for _, line := range x.Request.Header["Cookie"] {
			for pair := range strings.SplitSeq(line, ";") {
				name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
				if !p.Owns(name) {
					continue
				}
				quoted = quoted || strings.HasPrefix(value, `"`)
				if p.Exploded() {
					value = name + "=" + value
				}
				raw = append(raw, value)
			}
		}
		if quoted {
			faults = append(faults, problem.Violation{Pointer: pointerTo("cookie", p.Name()), Code: "style", Detail: "must not stand in quotes: some readers take them for part of the value"})
			continue
		}
		faults = report(faults, "cookie", p.Name(), p.Check(raw))
	}
	return faults
}

// declares reports whether a header parameter has that name but for '_' and '-', and not that very name.
func (r *rule) declares(name string) bool {
	fold := func(s string) string { return strings.ReplaceAll(s, "_", "-") }
	return slices.ContainsFunc(r.header, func(p *schema.Parameter) bool {
		return strings.EqualFold(fold(p.Name()), fold(name)) && !strings.EqualFold(p.Name(), name)
	})
}

// escapeAll: header values travel unescaped, but a parameter's check decodes.
func escapeAll(values []string) []string {
	if !slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "%") }) {
		return values
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = strings.ReplaceAll(v, "%", "%25")
	}
	return out
}

func (r *rule) judgeBody(x *exchange.Exchange) exchange.Verdict {
	req := x.Request
	present := req.Body != nil && req.Body != http.NoBody && req.ContentLength != 0
	if r.body == nil {
		if !present {
			return exchange.Pass
		}
		return r.noBody(x)
	}
	if !present && req.Header.Get("Content-Type") == "" {
		if r.body.Required {
			return invalid(x, "body_missing", []problem.Violation{{Pointer: "", Code: "required", Detail: "a body is required"}})
		}
		return exchange.Pass
	}
	if ce := req.Header.Get("Content-Encoding"); ce != "" && !strings.EqualFold(ce, "identity") {
		return x.Refuse(exchange.Refusal{Status: http.StatusUnsupportedMediaType, Reason: problem.InvalidRequest, Fine: "body_encoded",
			Detail: "compressed request bodies are not accepted", Encoding: "identity"})
	}
	m, verdict := r.mediaOf(x)
	if m == nil {
		return verdict
	}
	if req.ContentLength > r.max {
		return tooLarge(x)
	}
	if m.kind == opaque {
		return r.pass(x, m)
	}
	return r.read(x, m)
}

// pass lets bytes pass that no schema describes but for their length. One that is not said has to be counted, if there is
// a least.
func (r *rule) pass(x *exchange.Exchange, m *media) exchange.Verdict {
	most, req := r.max, x.Request
	if m.bytes != nil && m.bytes.Most >= 0 {
		most = min(most, m.bytes.Most)
	}
	if req.ContentLength > most {
		return tooLarge(x)
	}
	req.Body = http.MaxBytesReader(nil, req.Body, most)
	if m.bytes == nil || req.ContentLength >= m.bytes.Least {
		return exchange.Pass
	}
	if req.ContentLength < 0 {
		return r.read(x, m)
	}
	return tooShort(x, m)
}

func tooShort(x *exchange.Exchange, m *media) exchange.Verdict {
	return invalid(x, "body", []problem.Violation{{Pointer: "", Code: "min_length", Detail: fmt.Sprintf("must be at least %d bytes long", m.bytes.Least)}})
}

// noBody: an operation without a declared body takes none. A chunked body of no bytes is none.
func (r *rule) noBody(x *exchange.Exchange) exchange.Verdict {
	if x.Request.ContentLength < 0 {
		var one [1]byte
		n, err := io.ReadFull(x.Request.Body, one[:])
		if n == 0 && err == io.EOF {
			x.Request.Body, x.Request.ContentLength = http.NoBody, 0
			return exchange.Pass
		}
		x.Request.Body = &unread{io.MultiReader(bytes.NewReader(one[:n]), x.Request.Body), x.Request.Body}
	}
	if r.undeclared == plan.Ignore {
		x.Request.Body = http.MaxBytesReader(nil, x.Request.Body, r.max)
		return exchange.Pass
	}
	no := exchange.Refusal{Status: http.StatusBadRequest, Reason: problem.InvalidRequest, Fine: "body_undeclared",
		Detail: "this operation takes no body", Hangup: true}
	return x.Refuse(no)
}

// unread is a body with what was read of it put back.
type unread struct {
	io.Reader
	io.Closer
}

func tooLarge(x *exchange.Exchange) exchange.Verdict {
	return x.Refuse(exchange.Refusal{Status: http.StatusRequestEntityTooLarge, Reason: problem.InvalidRequest,
		Fine: "body_too_large", Detail: "the body is larger than this operation takes", Hangup: true, Firm: true})
}

// mediaOf finds the declared media type; a charset other than UTF-8 would be read differently upstream (threat 44).
func (r *rule) mediaOf(x *exchange.Exchange) (*media, exchange.Verdict) {
	t, params, err := mime.ParseMediaType(x.Request.Header.Get("Content-Type"))
	if err != nil {
		return nil, bad(x, http.StatusUnsupportedMediaType, "type_malformed", "the media type is missing or malformed")
	}
	major, _, _ := strings.Cut(t, "/")
	var m *media
	for i := range r.media {
		if d := r.media[i].name; d == t {
			m = &r.media[i]
			break
		} else if d == major+"/*" || d == "*/*" && m == nil {
			m = &r.media[i]
		}
	}
	switch {
	case m == nil:
		return nil, bad(x, http.StatusUnsupportedMediaType, "type_undeclared", "this media type is not accepted here")
	case m.kind == unjudged, m.kind == jsonBody && !isJSON(t): // a range that is judged as JSON takes only that
		return nil, bad(x, http.StatusUnsupportedMediaType, "type_unjudgeable", "this media type is not accepted here")
	}
	if m.kind != opaque {
		if cs, ok := params["charset"]; ok && !strings.EqualFold(cs, "utf-8") && !strings.EqualFold(cs, "us-ascii") {
			return nil, bad(x, http.StatusUnsupportedMediaType, "type_charset", "bodies must be UTF-8")
		}
	}
	return m, exchange.Pass
}

// read holds the body and judges it.
func (r *rule) read(x *exchange.Exchange, m *media) exchange.Verdict {
	body, err := r.receive(x)
	switch {
	case errors.Is(err, errTooLarge), errors.As(err, new(*http.MaxBytesError)):
		return tooLarge(x)
	case errors.Is(err, errBudget):
		return outOfMemory(x)
	case errors.Is(err, exchange.ErrSlow):
		return x.Refuse(exchange.Refusal{Status: http.StatusRequestTimeout, Reason: problem.InvalidRequest, Fine: "body_slow",
			Detail: "the body came too slowly", Hangup: true, Firm: true})
	case err != nil:
		return x.Refuse(exchange.Refusal{Status: http.StatusBadRequest, Reason: problem.InvalidRequest, Fine: "body_broken",
			Detail: "the body did not arrive whole", Hangup: true, Firm: true, Cause: err})
	}
	x.Body = body
	switch {
	case m.kind == multipartBody:
		return r.judgeParts(x, m)
	case m.kind == opaque && int64(len(body)) < m.bytes.Least:
		return tooShort(x, m)
	case m.kind == opaque:
		return exchange.Pass
	}
	judging := int64(schema.Memory(len(body)))
	if !r.budget.Take(judging) {
		return outOfMemory(x)
	}
	defer r.budget.Give(judging)
	return r.judge(x, m)
}

func outOfMemory(x *exchange.Exchange) exchange.Verdict {
	return x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Retry: time.Second, Fine: "memory_budget", Firm: true})
}

var (
	errTooLarge = errors.New("body too large")
	errBudget   = errors.New("no memory left for the body")
)

// receive reads a body to its end. Memory is taken from the budget as bytes come, not as they are announced: a client
// that sends nothing takes nothing from the others.
func (r *rule) receive(x *exchange.Exchange) ([]byte, error) {
	const first = 4 << 10
	size := int64(first)
	if x.Request.ContentLength > r.budget.Left() {
		return nil, errBudget // it cannot end well
	}
	if n := x.Request.ContentLength; n >= 0 && n < size {
		size = n + 1 // one more, to see the end without growing
	}
	var body []byte
	for {
		if !r.budget.Take(size - int64(cap(body))) {
			return nil, errBudget
		}
		x.Borrowed += size - int64(cap(body))
		grown := make([]byte, len(body), size)
		copy(grown, body)
		body = grown
		for len(body) < cap(body) {
			n, err := x.Request.Body.Read(body[len(body):cap(body)])
			body = body[:len(body)+n]
			if int64(len(body)) > r.max {
				return nil, errTooLarge
			}
			if err == io.EOF {
				return body, nil
			}
			if err != nil {
				return nil, err
			}
		}
		size *= 2
	}
}

// judge passes a body that follows any one of the declared schemas; there is more than one only where paths of the
// document differ after '#' alone. The first one's faults are reported.
func (r *rule) judge(x *exchange.Exchange, m *media) exchange.Verdict {
	if len(m.programs) == 0 {
		if m.kind == jsonBody {
			if err := schema.Strict(x.Body); err != nil {
				return invalid(x, "body", report(nil, "body", "", err))
			}
		}
		return exchange.Pass
	}
	var first error
	for i, p := range m.programs {
		var err error
		switch {
		case m.kind == textBody:
			_, _, err = p.Text(x.Body, everything{})
		case r.undeclared == plan.Drop:
			var out []byte
			if m.kind == formBody {
				out, _, err = m.forms[i].Project(nil, x.Body)
			} else {
				out, _, err = p.Project(nil, x.Body, everything{})
			}
			if err == nil {
				x.Body = out
			}
		case m.kind == formBody:
			err = m.forms[i].Validate(x.Body)
		default:
			err = p.Validate(x.Body)
		}
		if err == nil {
			return exchange.Pass
		}
		if first == nil {
			first = err
		}
	}
	return refused(x, first)
}

// refused tells the client what is wrong with its body.
func refused(x *exchange.Exchange, err error) exchange.Verdict {
	var f *schema.Failure
	if !errors.As(err, &f) {
		return invalid(x, "body", nil)
	}
	faults := make([]problem.Violation, 0, len(f.Violations))
	for _, v := range f.Violations {
		faults = append(faults, problem.Violation{Pointer: v.Pointer, Code: v.Code, Detail: v.Detail})
	}
	return invalid(x, "body", faults)
}

// everything may all: a request's permissions are not the projection's affair.
type everything struct{}

func (everything) May(string) bool { return true }
func (everything) Owns() bool      { return true }
