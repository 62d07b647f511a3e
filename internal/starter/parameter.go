package starter

import (
	"errors"
	"fmt"
	"strings"

	"github.com/portreeve/portreeve/internal/schema"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// Parameter is one that no gate could read, because OpenAPI gives its style no form for its schema. It is taken out: what
// clients send for it is then undeclared, and refused.
type Parameter struct {
	Name, In, Why string

	list string // pointer of the list it stands in
	ref  string // by which it stands there; "": written out
	of   *Operation
}

// formless are the styles that have no form for every schema (OpenAPI 3.1 §4.8.12.3).
func formless(p *spec.Parameter) bool {
	return p.In == "query" && (p.Style == "deepObject" || strings.HasSuffix(p.Style, "Delimited")) || p.In == "cookie" && p.Schema != ""
}

// parameters finds what the schema engine cannot read, by asking it.
func (p *Proposal) parameters() {
	var set *schema.Set
	done := map[string]bool{}
	for _, op := range p.Operations {
		if op.remove {
			continue
		}
		for i := range op.op.Parameters {
			prm := &op.op.Parameters[i]
			if !formless(prm) {
				continue
			}
			if set == nil {
				dialect := schema.OpenAPI31
				if p.doc.Is30() {
					dialect = schema.OpenAPI30
				}
				var err error
				if set, err = schema.NewSet(p.doc.JSON, dialect); err != nil {
					return // the compiler says so
				}
			}
			_, err := set.CompileParameter(schema.ParameterConfig{Name: prm.Name, In: prm.In, Style: prm.Style, Explode: prm.Explode,
				Required: prm.Required, AllowReserved: prm.AllowReserved, AllowEmpty: prm.AllowEmpty, SchemaPointer: prm.Schema, Content: prm.Content})
			var fault *schema.CompileError
			if !errors.As(err, &fault) || fault.Pointer != prm.Schema {
				continue
			}
			list, ref := p.standsIn(op.op, prm)
			if list == "" || done[list+" "+prm.In+" "+prm.Name] {
				continue
			}
			done[list+" "+prm.In+" "+prm.Name] = true
			p.Parameters = append(p.Parameters, &Parameter{Name: prm.Name, In: prm.In, Why: fault.Detail, list: list, ref: ref, of: op})
		}
	}
}

// standsIn finds the list a parameter stands in: the operation's, or its path's.
func (p *Proposal) standsIn(op *spec.Operation, prm *spec.Parameter) (list, ref string) {
	path := op.Pointer[:strings.LastIndexByte(op.Pointer, '/')]
	for _, list := range []string{op.Pointer + "/parameters", strings.TrimSuffix(path, "/additionalOperations") + "/parameters"} {
		n := p.doc.Node(list)
		if n == nil {
			continue
		}
		for i, item := range n.Items {
			ref := item.Get("$ref").Str()
			if ref == "" && fmt.Sprintf("%s/%d", list, i) == prm.Pointer || ref != "" && p.named(ref) == p.doc.Node(prm.Pointer) {
				return list, ref
			}
		}
	}
	return "", ""
}

// named is what a local reference leads to, through others.
func (p *Proposal) named(ref string) *tree.Node {
	for range 16 {
		pointer, ok := pointerOf(ref)
		if !ok {
			return nil
		}
		n := p.doc.Node(pointer)
		next := n.Get("$ref").Str()
		if next == "" {
			return n
		}
		ref = next
	}
	return nil
}

func (p *Proposal) renderParameters(w *page) {
	if len(p.Parameters) == 0 {
		return
	}
	w.blank()
	w.line(1, "# Parameters that OpenAPI gives no form: taken out, so that they are refused. Describe them in another style to have them back.")
	for _, x := range p.Parameters {
		filter := "[?@.name==" + literal(x.Name) + " && @.in==" + literal(x.In) + "]"
		if x.ref != "" {
			filter = "[?@['$ref']==" + literal(x.ref) + "]"
		}
		w.line(1, "# %s: %s parameter %s: %s", x.of, x.In, quoted(x.Name), x.Why)
		w.line(1, "- target: %s", scalar(p.path(x.list)+filter))
		w.line(2, "remove: true")
	}
}
