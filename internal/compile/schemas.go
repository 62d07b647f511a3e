package compile

import (
	"errors"
	"slices"

	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/schema"
	"github.com/portreeve/portreeve/internal/tree"
)

// schemas finds what no engine could judge, where the document's lines are still known: the gate, which compiles the same
// schemas to run them, knows pointers alone.
func (b *builder) schemas(p *plan.Plan) {
	dialect := schema.OpenAPI31
	if b.d.Is30() {
		dialect = schema.OpenAPI30
	}
	set, err := schema.NewSet(b.d.JSON, dialect)
	if err != nil {
		b.fault(tree.Position{File: b.d.File}, "", "%v", err)
		return
	}
	defer set.Seal()
	told := []string{}
	check := func(pointer string) {
		if pointer == "" {
			return
		}
		var fault *schema.CompileError
		if err := set.Check(pointer); !errors.As(err, &fault) || slices.Contains(told, fault.Pointer) {
			return
		}
		told = append(told, fault.Pointer)
		b.fault(b.d.At(fault.Pointer), "mend it there, or take it out with an overlay; it stands at #"+fault.Pointer,
			"the schema cannot be judged, so that nothing it describes could be: %s", fault.Detail)
	}
	judged := func(m plan.Media) bool { return m.Delivery == plan.Hold || m.Delivery == plan.Items }
	for _, op := range p.Operations {
		for _, prm := range op.Request.Parameters {
			check(prm.Schema)
		}
		var media []plan.Media
		if op.Request.Body != nil {
			media = append(media, op.Request.Body.Media...)
		}
		for _, a := range op.Answers {
			media = append(media, a.Media...)
		}
		for _, m := range media {
			for _, pointer := range m.Schemas {
				if judged(m) {
					check(pointer)
				}
			}
		}
	}
}
