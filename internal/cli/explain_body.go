package cli

import (
	"fmt"
	"strings"

	"github.com/portreeve/portreeve/internal/plan"
)

// explainedBody says how bodies of one media type are judged.
type explainedBody struct {
	Media    string          `json:"media"`
	Delivery plan.Delivery   `json:"delivery"`
	Judged   string          `json:"judged"` // for people
	Parts    []explainedPart `json:"parts"`  // of forms and multiparts, where their schema does not say it
}

type explainedPart struct {
	Name  string   `json:"name"`
	Kind  string   `json:"kind"`  // text, json or bytes; natural where the schema decides
	Types []string `json:"types"` // media types that are taken; empty: the kind's own
}

func bodiesOf(op *plan.Operation) []explainedBody {
	out := []explainedBody{}
	if op.Request.Body == nil {
		return out
	}
	for i := range op.Request.Body.Media {
		m := &op.Request.Body.Media[i]
		b := explainedBody{Media: m.Type, Delivery: m.Delivery, Judged: howJudged(m), Parts: []explainedPart{}}
		for _, p := range m.Parts {
			kind := string(p.Kind)
			if p.Kind == plan.PartNatural {
				kind = "natural"
			}
			b.Parts = append(b.Parts, explainedPart{p.Name, kind, append([]string{}, p.Types...)})
		}
		out = append(out, b)
	}
	return out
}

// howJudged says it in words.
func howJudged(m *plan.Media) string {
	t := strings.ToLower(m.Type)
	what := "JSON"
	switch {
	case m.Delivery == plan.Never:
		return "refused: nothing holds its schema against it"
	case m.Bytes != nil:
		return "bytes" + lengthOf(m.Bytes.Least, m.Bytes.Most)
	case m.Delivery == plan.Relay:
		return "copied: no rule for it"
	case m.Kind == plan.PartText:
		return "text, by its schema"
	case m.Delivery == plan.Items:
		return "each item by the schema"
	case t == "application/x-www-form-urlencoded":
		what = "fields" + partsOf(m.Parts)
	case strings.HasPrefix(t, "multipart/"):
		what = "parts" + partsOf(m.Parts) + ", written anew"
	}
	if len(m.Schemas) == 0 {
		return what + ", read strictly; no schema"
	}
	return what + ", by its schema"
}

func partsOf(parts []plan.Part) string {
	var out []string
	for _, p := range parts {
		text := p.Name
		switch {
		case p.Style != "":
			text += " " + p.Style
		case p.Kind != plan.PartNatural:
			text += " " + string(p.Kind)
		}
		if len(p.Types) > 0 {
			text += " of " + strings.Join(p.Types, " or ")
		}
		if p.Kind == plan.PartBytes {
			text += lengthOf(p.Least, p.Most)
		}
		out = append(out, text)
	}
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out, ", ") + ")"
}

func lengthOf(least, most int64) string {
	switch {
	case least > 0 && most >= 0:
		return fmt.Sprintf(", %d to %d of them", least, most)
	case least > 0:
		return fmt.Sprintf(", at least %d", least)
	case most >= 0:
		return fmt.Sprintf(", at most %d", most)
	}
	return ""
}
