package mutant

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/gate/validate"
	"github.com/portreeve/portreeve/internal/plan"
)

// requests makes the mutants of validate: what a request may bring.
func (l *list) requests() {
	strict, request := []control.ID{"validate.strict-schema"}, []control.ID{"validate.request"}
	var media []plan.Media
	var starts []string
	for _, op := range l.declared() {
		l.add(Mutant{Rule: "undeclared-ignored", At: nameOf(op), Controls: []control.ID{"validate.strict-schema", "validate.write-properties"},
			Does: "What a request brings beyond the document is passed on.", change: func(p *plan.Plan) {
				op := p.Operations[op.Index]
				op.Request.Undeclared = plan.Ignore
				if op.Request.Body != nil {
					for _, m := range op.Request.Body.Media {
						without(p, m.Schemas, "additionalProperties", closed)
					}
				}
			}})
		for i, p := range op.Request.Parameters {
			at := nameOf(op) + " " + p.In + " " + p.Name
			l.add(Mutant{Rule: "parameter-unjudged", At: at, Controls: request, Does: "The parameter may be anything.",
				change: on(op, func(op *plan.Operation) { op.Request.Parameters[i].Schema = "" })})
			if p.In != "path" {
				l.add(Mutant{Rule: "parameter-optional", At: at, Controls: request, Does: "The parameter may be missing.",
					change: on(op, func(op *plan.Operation) { op.Request.Parameters[i].Required = false })})
			}
			if p.Schema != "" {
				starts = append(starts, p.Schema)
			}
		}
		if op.Request.Body == nil {
			continue
		}
		media = append(media, op.Request.Body.Media...)
		l.add(Mutant{Rule: "body-unjudged", At: nameOf(op), Controls: []control.ID{"validate.request", "validate.write-properties"},
			Does: "The body may be any JSON.", change: on(op, func(op *plan.Operation) {
				for i := range op.Request.Body.Media {
					op.Request.Body.Media[i].Schemas = nil
				}
			})})
	}
	if len(media) > 0 {
		l.bodies(media)
	}
	for _, m := range media {
		starts = append(starts, m.Schemas...)
	}
	for _, k := range keywords {
		l.add(Mutant{Rule: "keyword-ignored", At: k.name, Controls: slices.Concat(request, strict), Does: k.does,
			change: func(p *plan.Plan) { without(p, starts, k.name, k.only) }})
	}
}

// without takes a keyword out of every schema that is reached from the given ones.
func without(p *plan.Plan, starts []string, keyword string, only func(any) bool) {
	d, err := readDocument(p)
	if err != nil {
		return // it was read before
	}
	d.each(starts, func(schema map[string]any) {
		if v, there := schema[keyword]; there && (only == nil || only(v)) {
			delete(schema, keyword)
		}
	})
	p.Document = d.raw()
}

func closed(v any) bool { return v == false }

// keywords are what a schema says most about a request (JSON Schema 2020-12).
var keywords = []struct {
	name, does string
	only       func(any) bool
}{
	{"minLength", "Strings may be shorter than the document says.", nil},
	{"maxLength", "Strings may be longer than the document says.", nil},
	{"pattern", "Strings need not have the form that the document says.", nil},
	{"format", "Strings need not be what the document says they are.", nil},
	{"enum", "Values need not be among those that the document lists.", nil},
	{"minimum", "Numbers may be smaller than the document says.", nil},
	{"maximum", "Numbers may be larger than the document says.", nil},
	{"type", "Values may be of another type than the document says.", func(v any) bool { return v != "object" && v != "array" }},
	{"required", "Members may be missing that the document demands.", nil},
	{"minItems", "Arrays may be shorter than the document says.", nil},
	{"maxItems", "Arrays may be longer than the document says.", nil},
}

// bodies makes the mutants of how bodies are read.
func (l *list) bodies(media []plan.Media) {
	l.add(Mutant{Rule: "body-size-unlimited", Controls: []control.ID{"limit.size"}, Does: "A body may be as large as anybody likes.",
		change: everywhere(func(op *plan.Operation) {
			if op.Request.Body != nil {
				op.Request.MaxBody = 1 << 40
			}
		})})
	l.add(Mutant{Rule: "media-type-unchecked", Controls: []control.ID{"validate.strict-schema", "validate.request"}, Does: "A body is read as JSON whatever it says it is.",
		bend: plain(entering(validate.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
			if b := x.Op.Request.Body; b != nil && len(b.Media) > 0 && x.Request.ContentLength != 0 {
				x.Request.Header["Content-Type"] = []string{b.Media[0].Type}
			}
			return then(x)
		}))})
	l.add(Mutant{Rule: "body-read-leniently", Controls: []control.ID{"validate.strict-schema"},
		Does: "Of a member that stands twice the last is judged, and what follows the body's value is not looked at; the API gets all of it.",
		bend: plain(entering(validate.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
			if x.Op.Request.Body == nil || x.Request.ContentLength <= 0 || x.Request.ContentLength > x.Op.Request.MaxBody {
				return then(x)
			}
			sent, err := io.ReadAll(http.MaxBytesReader(nil, x.Request.Body, x.Op.Request.MaxBody))
			if err != nil {
				return then(x)
			}
			judged := sent
			var v any
			if d := json.NewDecoder(bytes.NewReader(sent)); d.Decode(&v) == nil {
				if b, err := json.Marshal(v); err == nil {
					judged = b
				}
			}
			x.Request.Body, x.Request.ContentLength = io.NopCloser(bytes.NewReader(judged)), int64(len(judged))
			verdict := then(x)
			if verdict == exchange.Pass && x.Body != nil {
				x.Body = sent
			}
			return verdict
		}))})
}
