package mutant

import (
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/disclose"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/gate/harden"
	"github.com/portreeve/portreeve/internal/gate/upstream"
	"github.com/portreeve/portreeve/internal/gate/validate"
	"github.com/portreeve/portreeve/internal/plan"
)

// judged reports whether a success of the operation has a body that is held against a schema.
func judged(a *plan.Answer) bool {
	if !strings.HasPrefix(a.Status, "2") {
		return false
	}
	for _, m := range a.Media {
		if (m.Delivery == plan.Hold || m.Delivery == plan.Items) && len(m.Schemas) > 0 {
			return true
		}
	}
	return false
}

// answers makes the mutants of upstream and disclose that are not about single fields: what may come back.
func (l *list) answers() {
	for _, op := range l.declared() {
		any := false
		for i := range op.Answers {
			any = any || judged(&op.Answers[i])
		}
		if !any {
			continue
		}
		l.add(Mutant{Rule: "answer-undeclared-passed", At: nameOf(op), Controls: []control.ID{"expose.minimal-fields"}, Does: "Fields leave that the document does not declare.",
			change: on(op, func(op *plan.Operation) {
				for i := range op.Answers {
					if judged(&op.Answers[i]) {
						op.Answers[i].Undeclared = plan.Ignore
					}
				}
			})})
		l.add(Mutant{Rule: "answer-unjudged", At: nameOf(op), Controls: []control.ID{"validate.response", "expose.minimal-fields", "expose.field-permissions"},
			Does: "The API's answer leaves as it is.", bend: plain(only(op, dropped(disclose.Name)))})
	}
	leak := []control.ID{"error.no-leak"}
	l.add(Mutant{Rule: "server-errors-passed", Controls: leak, Does: "Requests that break the API reach it, and what it says then is told to everybody.",
		bend: plain(both(dropped(validate.Name), heading(upstream.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
			if x.Out.Status() < http.StatusInternalServerError {
				return then(x)
			}
			x.Out.Deliver(plan.Relay, nil)
			return exchange.Pass
		})))})
	l.add(Mutant{Rule: "undeclared-answers-passed", Controls: []control.ID{"upstream.validate", "validate.response", "inject.output-encoding"},
		Does:   "Answers leave whose status or media type the document does not declare, and the API chooses the type by itself.",
		change: func(p *plan.Plan) { p.Upstream.Headers = nil },
		bend: plain(heading(upstream.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
			v := then(x)
			if v == exchange.Refused && x.Out.Status() < http.StatusInternalServerError {
				return forgive(x)
			}
			return v
		}))})
	l.add(Mutant{Rule: "banners-kept", Controls: []control.ID{"header.baseline", "error.no-leak"}, Does: "The API's headers leave as they are, with the names of its software.",
		bend: plain(both(
			heading(upstream.Name, func(x *exchange.Exchange, then func(*exchange.Exchange) exchange.Verdict) exchange.Verdict {
				before := maps.Clone(x.Out.Judged())
				v := then(x)
				for _, name := range []string{"Server", "X-Powered-By"} {
					if before[name] != nil {
						x.Out.Judged()[name] = before[name]
					}
				}
				return v
			}),
			step(harden.Name, func(s *exchange.Step) { s.Head = nil })))})
	l.add(Mutant{Rule: "patience-unbounded", Controls: []control.ID{"avail.fallback", "avail.resilience"}, Does: "The API may take an hour to answer.",
		change: func(p *plan.Plan) { p.Upstream.Timeout = time.Hour }})
}

// fields makes the mutants of single fields that the document lets leave only masked, with a permission, or never.
func (l *list) fields() {
	d, err := readDocument(l.plan)
	if err != nil {
		l.err = err
		return
	}
	var starts []string
	for _, op := range l.declared() {
		for i := range op.Answers {
			if !judged(&op.Answers[i]) {
				continue
			}
			for _, m := range op.Answers[i].Media {
				starts = append(starts, m.Schemas...)
			}
		}
	}
	change := func(pointer string, edit func(rule map[string]any)) func(*plan.Plan) {
		return func(p *plan.Plan) {
			d, err := readDocument(p)
			if err != nil {
				return
			}
			if s, ok := d.at(pointer).(map[string]any); ok {
				edit(s["x-portreeve"].(map[string]any))
				p.Document = d.raw()
			}
		}
	}
	open := func(rule map[string]any) { // a class can withhold a field by itself
		rule["class"] = "public"
	}
	d.walk(starts, func(pointer string, schema map[string]any) {
		rule, ok := schema["x-portreeve"].(map[string]any)
		if !ok {
			return
		}
		if rule["permission"] != nil {
			l.add(Mutant{Rule: "field-permission-dropped", At: pointer, Controls: []control.ID{"expose.field-permissions"}, Does: "The field leaves for everybody.",
				change: change(pointer, func(rule map[string]any) {
					delete(rule, "permission")
					delete(rule, "owner_may")
					open(rule)
				})})
		}
		if rule["mask"] != nil {
			l.add(Mutant{Rule: "mask-dropped", At: pointer, Controls: []control.ID{"expose.masking", "data.pan-masked"}, Does: "The field leaves whole.",
				change: change(pointer, func(rule map[string]any) {
					delete(rule, "mask")
					delete(rule, "unmask")
					open(rule)
				})})
			if rule["unmask"] != nil {
				l.add(Mutant{Rule: "unmask-for-all", At: pointer, Controls: []control.ID{"expose.masking"}, Does: "Whoever may see the field masked sees it whole.",
					change: change(pointer, func(rule map[string]any) { rule["unmask"] = rule["permission"] })})
			}
		}
		if rule["class"] == "secret" {
			l.add(Mutant{Rule: "secret-let-out", At: pointer, Controls: []control.ID{"expose.minimal-fields", "expose.classification"}, Does: "The field leaves although it is secret.",
				change: change(pointer, open)})
		}
	})
}
