package mutant

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
)

// Print writes a result for people: what survived and why, what was killed and by which attack, and both by control.
func Print(w io.Writer, r *Result) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "mutants of the plan of %s (seed %d, %s)\n", r.Title, r.Seed, r.Ended.Sub(r.Started).Round(100*time.Millisecond))
	if len(r.Baseline) > 0 {
		fmt.Fprintf(b, "\nThe gate without a fault is not clean, so that nothing can be said about one with a fault:\n\n")
		for _, k := range r.Baseline {
			fmt.Fprintf(b, "  %s\n", strings.TrimSpace(k.Attack+" "+k.Operation))
			wrap(b, k.Message)
		}
		return b.Flush()
	}
	for _, part := range []struct {
		verdict Verdict
		title   string
	}{{Survived, "survived: no attack found these"}, {Unbound, "the gate does not start like this"}} {
		shown := false
		for _, j := range r.Mutants {
			if j.Verdict != part.verdict {
				continue
			}
			if !shown {
				fmt.Fprintf(b, "\n%s\n\n", part.title)
				shown = true
			}
			note := ""
			if j.Known {
				note = "  (known)"
			}
			fmt.Fprintf(b, "  %s%s\n", j.ID, note)
			wrap(b, j.Does)
			wrap(b, "Why: "+j.Reason)
		}
	}
	if r.Killed > 0 {
		fmt.Fprintf(b, "\nkilled\n\n")
	}
	for _, j := range r.Mutants {
		if j.Verdict == Killed {
			fmt.Fprintf(b, "  %-62s by %s\n", j.ID, j.By[0].Attack)
		}
	}
	if len(r.Controls) > 0 {
		fmt.Fprintf(b, "\n%-28s %s\n", "control", "killed")
	}
	for _, t := range r.Controls {
		mark := ""
		if t.Killed < t.Total {
			mark = fmt.Sprintf("   %d survived", t.Total-t.Killed)
		}
		fmt.Fprintf(b, "%-28s %3d of %3d%s\n", t.Control, t.Killed, t.Total, mark)
	}
	if r.Total > 0 {
		fmt.Fprintf(b, "\n%d of %d mutants were killed (%d %%); of those that survived %d have no known reason\n", r.Killed, r.Total, r.Percent(), len(r.Unexplained()))
	}
	return b.Flush()
}

// wrap writes a text below its title, in lines of some hundred columns.
func wrap(w io.Writer, text string) {
	const indent, width = "      ", 94
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			fmt.Fprintln(w, indent+line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	fmt.Fprintln(w, indent+line)
}
