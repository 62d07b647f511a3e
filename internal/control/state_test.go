package control

import (
	"maps"
	"math/rand/v2"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func waiver() *Waiver {
	return &Waiver{Approver: "head of security", Reason: "replaced in March", Until: now.Add(24 * time.Hour)}
}

func TestJudge(t *testing.T) {
	all := []Facet{Declared, Tested, Operating}
	with := func(d, tt, o Value) map[Facet]Value { return map[Facet]Value{Declared: d, Tested: tt, Operating: o} }
	expired, endless, nobody := waiver(), waiver(), waiver()
	expired.Until, endless.Until, nobody.Approver = now.Add(-time.Second), now.Add(91*24*time.Hour), " "
	for name, c := range map[string]struct {
		required []Facet
		e        Evidence
		want     State
	}{
		"all shown":                        {all, Evidence{Values: with(Yes, Yes, Yes)}, Evidenced},
		"what is not asked for is no harm": {all[:1], Evidence{Values: with(Yes, No, NotRun)}, Evidenced},
		"one does not hold":                {all, Evidence{Values: with(Yes, No, Yes)}, Gap},
		"a gap is a gap before silence":    {all, Evidence{Values: with(NotRun, No, Error)}, Gap},
		"one not run":                      {all, Evidence{Values: with(Yes, NotRun, Yes)}, NotEvidenced},
		"one missing":                      {all, Evidence{Values: map[Facet]Value{Declared: Yes, Tested: Yes}}, NotEvidenced},
		"one failed to be looked at":       {all, Evidence{Values: with(Yes, Yes, Error)}, NotEvidenced},
		"an unknown word":                  {all, Evidence{Values: with(Yes, Yes, "compliant")}, NotEvidenced},
		"silence before part":              {all, Evidence{Values: with(Partly, NotRun, Yes)}, NotEvidenced},
		"one in part":                      {all, Evidence{Values: with(Yes, Partly, Yes)}, Partial},
		"one stale":                        {all, Evidence{Values: with(Yes, Yes, Stale)}, Partial},
		"one not applicable":               {all, Evidence{Values: with(Yes, Yes, Irrelevant)}, Evidenced},
		"all not applicable":               {all, Evidence{Values: with(Irrelevant, Irrelevant, Irrelevant)}, NotEvidenced},
		"nothing asked for":                {nil, Evidence{Values: with(Yes, Yes, Yes)}, NotEvidenced},
		"nothing at all":                   {all, Evidence{}, NotEvidenced},
		"waived":                           {all, Evidence{Values: with(No, Yes, Yes), Waiver: waiver()}, Waived},
		"a waiver excuses no silence":      {all, Evidence{Values: with(No, Yes, NotRun), Waiver: waiver()}, NotEvidenced},
		"a waiver makes nothing better":    {all, Evidence{Values: with(Yes, Yes, Yes), Waiver: waiver()}, Evidenced},
		"a waiver that has ended":          {all, Evidence{Values: with(No, Yes, Yes), Waiver: expired}, Gap},
		"a waiver without end":             {all, Evidence{Values: with(No, Yes, Yes), Waiver: endless}, Gap},
		"a waiver by nobody":               {all, Evidence{Values: with(No, Yes, Yes), Waiver: nobody}, Gap},
		"not applicable":                   {all, Evidence{NotApplicable: &Decision{"architect", "no cards here"}}, NotApplicable},
		"not applicable without reason":    {all, Evidence{NotApplicable: &Decision{"architect", ""}}, NotEvidenced},
	} {
		if got := Judge(c.required, c.e, now); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	for _, s := range States {
		if s.Meaning() == "" {
			t.Errorf("%s means nothing", s)
		}
	}
}

// TestLessEvidenceClaimsNoMore takes evidence away, piece by piece, from a great many controls.
func TestLessEvidenceClaimsNoMore(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func() Value { return append(order, "", "unheard of")[r.IntN(len(order)+2)] }
	changed := 0
	for range 200_000 {
		var required []Facet
		e := Evidence{Values: map[Facet]Value{}}
		for _, f := range Facets {
			if r.IntN(3) > 0 {
				required = append(required, f)
			}
			if r.IntN(4) > 0 {
				e.Values[f] = pick()
			}
			if r.IntN(2) > 0 {
				e.Values[f] = Yes
			}
		}
		if r.IntN(3) == 0 {
			e.Waiver = waiver()
		}
		if r.IntN(8) == 0 {
			e.NotApplicable = &Decision{"architect", "none here"}
		}
		before := Judge(required, e, now)
		var less []Evidence
		for f := range e.Values {
			for _, worse := range []Value{NotRun, ""} {
				l := e
				l.Values = maps.Clone(e.Values)
				l.Values[f] = worse
				less = append(less, l)
			}
			l := e
			l.Values = maps.Clone(e.Values)
			delete(l.Values, f)
			less = append(less, l)
		}
		without := e
		without.Waiver = nil
		less = append(less, without)
		without.NotApplicable = nil
		less = append(less, without)
		for _, l := range less {
			after := Judge(required, l, now)
			if after.Rank() > before.Rank() {
				t.Fatalf("required %v: %+v is %s, with less, %+v, it is %s", required, e, before, l, after)
			}
			if after != before {
				changed++
			}
		}
	}
	if changed == 0 {
		t.Error("no evidence ever mattered")
	}
}

func TestCombineWithLessClaimsNoMore(t *testing.T) {
	facet := func(v Value) State { return Judge([]Facet{Tested}, Evidence{Values: map[Facet]Value{Tested: v}}, now) }
	r := rand.New(rand.NewPCG(3, 4))
	for range 50_000 {
		values := make([]Value, 1+r.IntN(4))
		for i := range values {
			values[i] = order[r.IntN(len(order))]
		}
		before := Combine(values...)
		i := r.IntN(len(values))
		was := values[i]
		values[i] = NotRun
		if after := Combine(values...); facet(after).Rank() > facet(before).Rank() {
			t.Fatalf("%v gives %s; with %s not run it gives %s", values, before, was, after)
		}
	}
	if Combine() != NotRun || Combine(Yes, Yes) != Yes || Combine(Yes, Stale) != Stale || Combine(Yes, "odd") != NotRun {
		t.Error("Combine misjudges")
	}
}
