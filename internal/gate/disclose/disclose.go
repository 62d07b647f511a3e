// Package disclose lets of an answer's body only what the document declares and the caller may see: in one pass the body
// is judged against its schema, undeclared and unpermitted fields leave, and masks are laid. A body that cannot be
// judged never passes as it is.
package disclose

import (
	"errors"
	"fmt"
	"net/http"
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
const Name = "disclose"

var controls = []control.ID{"expose.minimal-fields", "expose.field-permissions", "expose.masking", "validate.response", "error.no-leak", "data.pan-masked"}

// Judge answers whether a principal has a permission; authz gives it.
type Judge interface {
	May(p *access.Principal, permission string) bool
}

// Stage compiles the answers of one plan.
type Stage struct {
	schemas *schema.Set
	judge   Judge
}

// New returns the stage of a plan whose document's schemas are in set.
func New(set *schema.Set, judge Judge) *Stage { return &Stage{set, judge} }

// rule is one operation's answers, compiled.
type rule struct {
	judge    Judge
	programs map[*plan.Media][]*schema.Program
}

// Bind compiles the schemas of every declared answer.
func (s *Stage) Bind(op *plan.Operation) (exchange.Step, error) {
	r := &rule{judge: s.judge, programs: map[*plan.Media][]*schema.Program{}}
	var fields []string
	for i := range op.Answers {
		a := &op.Answers[i]
		for k := range a.Media {
			m := &a.Media[k]
			if m.Delivery != plan.Hold && m.Delivery != plan.Items {
				continue
			}
			if m.Kind == plan.PartBytes {
				r.programs[m] = nil // its length alone is judged
				continue
			}
			for _, pointer := range m.Schemas {
				p, err := s.schemas.Compile(pointer, schema.Options{Direction: schema.Response, Undeclared: policy(a.Undeclared)})
				if err != nil {
					return exchange.Step{}, fmt.Errorf("%s: answer %s %s: %w", a.Source, a.Status, m.Type, err)
				}
				r.programs[m] = append(r.programs[m], p)
				fields = append(fields, describe(p)...)
			}
		}
	}
	if len(r.programs) == 0 {
		return exchange.Absent(Name, "no answer has a schema", op.Source), nil
	}
	rule := "declared fields only"
	if len(fields) > 0 {
		rule += "; " + strings.Join(fields, ", ")
	}
	return exchange.Step{Stage: Name, Rule: rule, Source: op.Source, Controls: controls, Head: r.head, Part: r.part}, nil
}

func policy(u plan.Undeclared) schema.Undeclared {
	switch u {
	case plan.Refuse:
		return schema.Refuse
	case plan.Ignore:
		return schema.Ignore
	}
	return schema.Drop
}

func describe(p *schema.Program) []string {
	var out []string
	for _, f := range p.Fields() {
		text := f.Pointer
		switch {
		case f.Class == "secret":
			text += " never leaves"
		case f.Mask != "":
			text += " masked (" + f.Mask + ")"
			if f.Unmask != "" {
				text += " unless " + f.Unmask
			}
		case f.Permission != "":
			text += " with " + f.Permission
		case f.Class == "sensitive", f.Class == "cardholder":
			text += " never leaves without a permission"
		default:
			continue
		}
		out = append(out, text)
	}
	return out
}

// head takes away what speaks of the origin's bytes: the caller gets others.
func (r *rule) head(x *exchange.Exchange) exchange.Verdict {
	if _, judged := r.programs[x.Media]; x.Media == nil || !judged {
		return exchange.Pass
	}
	h := x.Out.Judged()
	for _, name := range [...]string{"Etag", "Last-Modified", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges",
		"Content-Range", "Content-Encoding", "Content-Length"} {
		delete(h, name)
	}
	if x.Media.Delivery == plan.Items {
		x.Out.Deliver(plan.Items, schema.NewSplitter(stream(x.Media.Type), exchange.MaxHeld))
	}
	return exchange.Pass
}

// stream is how the items of a media type follow each other.
func stream(mediaType string) schema.Stream {
	if s, ok := schema.StreamOf(mediaType); ok {
		return s
	}
	return schema.JSONArray
}

// viewer is the caller as a projection sees it.
type viewer struct {
	judge Judge
	x     *exchange.Exchange
}

func (v viewer) May(permission string) bool { return v.judge.May(&v.x.Principal, permission) }
func (v viewer) Owns() bool                 { return v.x.Owns }

// part judges and projects one body or item. Where paths of the document differ after '#' alone there is more than one
// schema; the body must fit one, and of each that it fits the rules hold: what any of them keeps back stays.
func (r *rule) part(x *exchange.Exchange, dst, part []byte) ([]byte, exchange.Verdict) {
	programs := r.programs[x.Media]
	if x.Media != nil && x.Media.Bytes != nil {
		if n := int64(len(part)); n < x.Media.Bytes.Least || x.Media.Bytes.Most >= 0 && n > x.Media.Bytes.Most {
			return nil, refuse(x, errLength)
		}
	}
	if x.Media == nil || len(programs) == 0 {
		return part, exchange.Pass
	}
	// What judging takes is of the order of the body; the API is not charged for the worst that a hostile client could send.
	judging := answerFactor * int64(len(part))
	if !x.Out.Budget().Take(judging) {
		return nil, x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Retry: time.Second, Fine: "memory_budget", Firm: true})
	}
	defer x.Out.Budget().Give(judging)
	var first error
	body, fits := part, 0
	for _, p := range programs {
		out, seen, err := project(x, p, dst, part, viewer{r.judge, x})
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		if fits++; fits > 1 { // what is left after the ones before
			if out, seen, err = project(x, p, nil, body, viewer{r.judge, x}); err != nil {
				return nil, refuse(x, err)
			}
		}
		x.Dropped += seen.Dropped
		x.Masked += seen.Masked
		body, dst = out, nil
	}
	if fits == 0 {
		return nil, refuse(x, first)
	}
	return body, exchange.Pass
}

var errLength = errors.New("the body is not as long as its schema says")

// project judges a body by what it is: JSON, or text.
func project(x *exchange.Exchange, p *schema.Program, dst, body []byte, v viewer) ([]byte, schema.Projection, error) {
	if x.Media.Kind == plan.PartText {
		return p.Text(body, v)
	}
	return p.Project(dst, body, v)
}

// answerFactor is how many bytes judging and projecting take for each byte of an answer.
const answerFactor = 3

// refuse: an answer that does not follow the document is the upstream's fault; a client error keeps its status, with
// our body instead of the one that cannot be judged.
func refuse(x *exchange.Exchange, err error) exchange.Verdict {
	no := exchange.Refusal{Status: http.StatusBadGateway, Reason: problem.Upstream, Fine: "answer_schema", Cause: err}
	if status := x.Out.Status(); status >= 400 && status < 500 {
		no.Status, no.Reason = status, problem.InvalidRequest
		switch status {
		case http.StatusUnauthorized:
			no.Reason = problem.Unauthenticated
		case http.StatusForbidden:
			no.Reason = problem.Forbidden
		case http.StatusNotFound, http.StatusGone:
			no.Reason = problem.NotFound
		case http.StatusTooManyRequests:
			no.Reason = problem.RateLimited
		}
	}
	var f *schema.Failure
	if errors.As(err, &f) && len(f.Violations) > 0 {
		no.Fine = access.Reason("answer_schema_" + f.Violations[0].Code)
	}
	return x.Refuse(no)
}
