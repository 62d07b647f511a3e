package validate

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/multipart"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
	"github.com/portreeve/portreeve/internal/schema"
)

// part is the rule of one member of a multipart body, beside its schema.
type part struct {
	kind    plan.PartKind
	types   []string
	headers []*schema.Parameter
}

func (s *Stage) parts(m plan.Media) (map[string]*part, error) {
	if len(m.Parts) == 0 {
		return nil, nil
	}
	out := make(map[string]*part, len(m.Parts))
	for _, p := range m.Parts {
		c := &part{kind: p.Kind, types: p.Types}
		for _, h := range p.Headers {
			compiled, err := s.schemas.CompileParameter(schema.ParameterConfig{Name: strings.ToLower(h.Name), In: "header", Style: h.Style, Explode: h.Explode,
				Required: h.Required, SchemaPointer: h.Schema, Content: h.Content})
			if err != nil {
				return nil, fmt.Errorf("%s: header %s of part %s: %w", h.Source, h.Name, p.Name, err)
			}
			c.headers = append(c.headers, compiled)
		}
		out[p.Name] = c
	}
	return out, nil
}

var kinds = map[plan.PartKind]schema.FieldKind{plan.PartNatural: schema.Natural, plan.PartText: schema.Text, plan.PartJSON: schema.JSON, plan.PartBytes: schema.Bytes}

func fields(m plan.Media) []schema.Field {
	var out []schema.Field
	for _, p := range m.Parts {
		out = append(out, schema.Field{Name: p.Name, Kind: kinds[p.Kind], Style: p.Style, Explode: p.Explode, Bytes: schema.Length{Least: p.Least, Most: p.Most}})
	}
	return out
}

// judgeParts reads a multipart body, judges its parts, and puts what was read in its place, written anew: whoever reads
// it next finds these parts and no others.
func (r *rule) judgeParts(x *exchange.Exchange, m *media) exchange.Verdict {
	boundary, err := multipart.Boundary(x.Request.Header.Get("Content-Type"))
	var parts []multipart.Part
	if err == nil {
		parts, err = multipart.Read(x.Body, boundary)
	}
	if err != nil {
		return refused(x, unreadable(err))
	}
	judging := schema.Memory(0)
	for i := range parts {
		if m.part(parts[i].Name).kind != plan.PartBytes {
			judging += schema.Memory(len(parts[i].Body)) - schema.Memory(0)
		}
	}
	anew := int64(multipart.Size(parts))
	if !r.budget.Take(int64(judging)) {
		return outOfMemory(x)
	}
	defer r.budget.Give(int64(judging))
	if !r.budget.Take(anew) {
		return outOfMemory(x)
	}
	x.Borrowed += anew
	parts, faults := r.partsDeclared(m, parts)
	if len(faults) > 0 {
		return invalid(x, "body", faults)
	}
	if parts, err = r.fitting(m, parts); err != nil {
		return refused(x, err)
	}
	fresh := multipart.NewBoundary()
	x.Body = multipart.Append(make([]byte, 0, anew), parts, fresh)
	x.Request.Header["Content-Type"] = []string{m.name + "; boundary=" + fresh}
	x.Request.ContentLength = int64(len(x.Body))
	if x.Request.Header["Content-Length"] != nil {
		x.Request.Header["Content-Length"] = []string{strconv.Itoa(len(x.Body))}
	}
	return exchange.Pass
}

// partsDeclared holds the header fields of parts against their rules. Parts that no schema has are refused, left out or let
// pass as any other undeclared thing.
func (r *rule) partsDeclared(m *media, parts []multipart.Part) ([]multipart.Part, []problem.Violation) {
	var faults []problem.Violation
	kept := parts[:0]
	for _, p := range parts {
		rule := m.part(p.Name)
		if !m.declares(p.Name) {
			switch r.undeclared {
			case plan.Drop:
				continue
			case plan.Ignore:
				rule = anyPart
			default:
				faults = append(faults, problem.Violation{Pointer: "/" + pointerEscapes.Replace(p.Name), Code: "undeclared", Detail: "is not declared"})
				continue
			}
		}
		faults = rule.judge(faults, m.name, &p)
		kept = append(kept, p)
	}
	return kept, faults
}

// declares reports whether some schema has a part of that name; without any all are welcome.
func (m *media) declares(name string) bool {
	return len(m.forms) == 0 || slices.ContainsFunc(m.forms, func(f *schema.Form) bool { return f.Declares(name) })
}

// fitting judges parts by their schema and returns what of them is declared.
func (r *rule) fitting(m *media, parts []multipart.Part) ([]multipart.Part, error) {
	if len(m.forms) == 0 {
		return parts, nil
	}
	var pieces []schema.Piece
	var judging, others []multipart.Part
	for _, p := range parts {
		if !m.declares(p.Name) {
			others = append(others, p)
			continue
		}
		judging = append(judging, p)
		pieces = append(pieces, schema.Piece{Name: p.Name, Value: string(p.Body)})
	}
	var first error
	for _, f := range m.forms {
		judged, err := f.Judge(pieces)
		if err == nil {
			return append(left(f, &judged, judging), others...), nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// left takes away what judging dropped.
func left(f *schema.Form, judged *schema.Judged, parts []multipart.Part) []multipart.Part {
	if judged.Kept == nil {
		return parts
	}
	var out []multipart.Part
	nth := map[string]int{}
	for i, p := range parts {
		if !judged.Kept[i] {
			continue
		}
		if text, changed := judged.NewText(p.Name, nth[p.Name], f.IsArray(p.Name)); changed {
			p.Body = text
		}
		nth[p.Name]++
		out = append(out, p)
	}
	return out
}

// unreadable turns what is wrong with a multipart body into what the client is told.
func unreadable(err error) error {
	var f *multipart.Fault
	if !errors.As(err, &f) {
		return err
	}
	pointer := ""
	switch {
	case f.Name != "":
		pointer = "/" + pointerEscapes.Replace(f.Name)
	case f.Part >= 0:
		pointer = "/" + strconv.Itoa(f.Part)
	}
	return &schema.Failure{Violations: []schema.Violation{{Pointer: pointer, Code: "multipart_" + f.Code, Detail: f.Detail}}}
}

var natural, anyPart = new(part), &part{kind: plan.PartBytes}

func (m *media) part(name string) *part {
	switch p := m.parts[name]; {
	case p != nil:
		return p
	case len(m.forms) == 0:
		return anyPart
	}
	return natural
}

// judge holds a part's own header fields against its rule, and says of its type what it leaves to be guessed.
func (c *part) judge(faults []problem.Violation, body string, p *multipart.Part) []problem.Violation {
	no := func(code, detail string) {
		faults = append(faults, problem.Violation{Pointer: "/" + pointerEscapes.Replace(p.Name), Code: code, Detail: detail})
	}
	if body == "multipart/form-data" && p.Disposition != "form-data" {
		no("multipart_disposition", "must be form-data (RFC 7578 §4.2)")
	}
	switch c.kind {
	case plan.PartBytes:
		if p.Type == "" && len(c.types) == 0 {
			p.Type = "application/octet-stream" // RFC 7578 §4.4: with a file name; without one readers differ
		}
	case plan.PartJSON:
		if p.Type == "" {
			p.Type = "application/json"
		}
	default:
		if p.Filename != "" && !isJSON(p.Type) {
			no("multipart_filename", "is a field, and no file: with a file name some readers put it elsewhere")
		}
	}
	if !c.takes(p) {
		no("multipart_type", "has a media type that is not accepted here")
	}
	if cs, ok := p.Params["charset"]; ok && c.kind != plan.PartBytes && !strings.EqualFold(cs, "utf-8") && !strings.EqualFold(cs, "us-ascii") {
		no("multipart_charset", "must be UTF-8")
	}
	for _, h := range c.headers {
		var raw []string
		for _, f := range p.Fields {
			if f.Name == h.Name() {
				raw = append(raw, f.Value)
			}
		}
		faults = report(faults, "header", h.Name(), h.Check(escapeAll(raw)))
	}
	for _, f := range p.Fields {
		if !slices.ContainsFunc(c.headers, func(h *schema.Parameter) bool { return h.Name() == f.Name }) {
			no("undeclared", "has a header field that is not declared: "+f.Name[:min(len(f.Name), 64)])
		}
	}
	return faults
}

// takes reports whether a part may be of its media type.
func (c *part) takes(p *multipart.Part) bool {
	t := p.Type
	if len(c.types) > 0 {
		if t == "" {
			t = "text/plain" // RFC 7578 §4.4
		}
		major, _, _ := strings.Cut(t, "/")
		return slices.Contains(c.types, t) || slices.Contains(c.types, major+"/*") || slices.Contains(c.types, "*/*")
	}
	switch c.kind {
	case plan.PartBytes:
		return true
	case plan.PartJSON:
		return isJSON(t)
	case plan.PartText:
		return t == "" || t == "text/plain"
	}
	return t == "" || t == "text/plain" || isJSON(t) // the schema knows which; the other cannot be read
}
