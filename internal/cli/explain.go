package cli

import (
	"crypto/rand"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/gate/edge"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
)

func newExplain(s Streams) *cobra.Command {
	var src source
	var asJSON bool
	c := &cobra.Command{
		Use:   "explain METHOD PATH",
		Short: "Show what happens to a request, rule by rule, with the line each rule comes from",
		Long: `Explain binds the plan as serve would and prints the steps of one operation: the very values that run.

PATH is a template of the document or a path as a client would send it.`,
		Example: `  portreeve explain GET '/orders/{id}'
  portreeve explain DELETE /orders/17 --json`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			method, path := strings.ToUpper(args[0]), args[1]
			p, err := src.plan(time.Now())
			if err != nil {
				return err
			}
			g, err := deployment.Preview(p, rand.Reader)
			if err != nil {
				return err
			}
			chain, err := g.Match(method, path)
			if err != nil {
				return usagef("%q is not a path\nhint: write it as a client sends it, /orders/17", path)
			}
			if asJSON {
				return writeJSON(s, explanationOf(chain))
			}
			return explainChain(s, method, path, chain)
		},
	}
	src.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// explanation is explain --json, version 1.
type explanation struct {
	Schema    string             `json:"schema"`
	Operation string             `json:"operation"`
	Method    string             `json:"method"`
	Path      string             `json:"path"`
	Source    plan.Source        `json:"source"`
	Record    plan.Record        `json:"record"`
	Steps     []explainedStep    `json:"steps"`
	Accepts   []explainedBody    `json:"accepts"`
	Delivery  []explainedAnswers `json:"delivery"`
}

type explainedStep struct {
	Stage    string      `json:"stage"`
	Rule     string      `json:"rule"`
	Source   plan.Source `json:"source"`
	Absent   bool        `json:"absent"`
	Observe  bool        `json:"observe"`
	Controls []string    `json:"controls"`
}

type explainedAnswers struct {
	Status   string        `json:"status"`
	Media    string        `json:"media"` // "" where no body is declared
	Delivery plan.Delivery `json:"delivery"`
	Judged   string        `json:"judged"` // for people
}

func explanationOf(c *exchange.Chain) explanation {
	op := c.Op
	e := explanation{Schema: "portreeve/explain/v1", Operation: op.ID, Method: op.Method, Path: op.Path, Source: op.Source, Record: op.Record,
		Accepts: bodiesOf(op), Delivery: []explainedAnswers{}}
	for _, step := range c.Steps {
		x := explainedStep{step.Stage, step.Rule, step.Source, step.Absent, step.Observe, []string{}}
		for _, id := range step.Controls {
			x.Controls = append(x.Controls, string(id))
		}
		e.Steps = append(e.Steps, x)
	}
	for _, a := range op.Answers {
		if len(a.Media) == 0 {
			e.Delivery = append(e.Delivery, explainedAnswers{a.Status, "", plan.Empty, "none leaves"})
		}
		for k := range a.Media {
			m := &a.Media[k]
			e.Delivery = append(e.Delivery, explainedAnswers{a.Status, m.Type, m.Delivery, howJudged(m)})
		}
	}
	return e
}

func explainChain(s Streams, method, path string, c *exchange.Chain) error {
	e := explanationOf(c)
	var b strings.Builder
	if e.Method == "" {
		fmt.Fprintf(&b, "%s %s is no operation of the document: it is refused\n\n", method, path)
	} else {
		fmt.Fprintf(&b, "%s %s  (%s, %s)\n\n", e.Method, e.Path, e.Operation, e.Source)
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	refused := false // on the way in; the steps that every answer passes still come
	for i, step := range e.Steps {
		rule := step.Rule
		switch {
		case refused && c.Steps[i].Dress == nil && c.Steps[i].Close == nil:
			rule = "— not reached"
		case step.Absent:
			rule = "— " + rule
		case step.Observe:
			rule = "OBSERVED ONLY: " + rule
		}
		if e.Method == "" && step.Stage == edge.Name {
			rule, refused = rule+"; refuses: 404, or 405 where the path has other methods", true
		}
		fmt.Fprintf(w, "%2d\t%s\t%s\t%s\n", i, step.Stage, rule, step.Source)
	}
	fmt.Fprintf(w, "\t\t\t\n")
	fmt.Fprintf(w, "\trecord\t%s\t\n", e.Record)
	for _, a := range e.Accepts {
		fmt.Fprintf(w, "\taccepts\t%s: %s\t\n", a.Media, a.Judged)
	}
	for _, d := range e.Delivery {
		if d.Media == "" {
			fmt.Fprintf(w, "\tdelivery\t%s no body: %s\t\n", d.Status, d.Delivery)
			continue
		}
		fmt.Fprintf(w, "\tdelivery\t%s %s: %s (%s)\t\n", d.Status, d.Media, d.Delivery, d.Judged)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing the steps: %w", err)
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(s.Out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}
