package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/portreeve/portreeve/internal/attack"
	"github.com/portreeve/portreeve/internal/demo"
	"github.com/portreeve/portreeve/internal/evidence"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/lint"
	"github.com/portreeve/portreeve/internal/report/jsonreport"
)

// proveGuarded makes the pack about the guarded side: what its plan declares, what the attack and a check of its
// configuration came to, and what its ledger holds of the attack.
func (d *demonstration) proveGuarded(sides []attackedSide) error {
	now := time.Now().UTC()
	var results []evidence.Source
	keep := func(name string, r *finding.Report) error {
		var b bytes.Buffer
		if err := jsonreport.Write(&b, r); err != nil {
			return err
		}
		results = append(results, evidence.Source{Name: name, Text: b.Bytes()})
		return nil
	}
	for _, s := range sides {
		if s.Name == "guarded" {
			if err := keep("attack.json", s.Report); err != nil {
				return err
			}
		}
	}
	attacks := make([]string, len(attack.Attacks))
	for i, a := range attack.Attacks {
		attacks[i] = a.ID
	}
	subject, err := lint.Load(lint.Options{Config: filepath.Join(d.dir, demo.ConfigurationName), Attacks: attacks, Now: now})
	if err != nil {
		return err
	}
	if err := keep("check.json", lint.Check(subject, Version, time.Now)); err != nil {
		return err
	}
	p := d.deployment.Plan()
	done, err := proving{plan: p, audit: p.Audit.Dir, out: d.prove, now: now, from: d.begun, to: now,
		operator: fmt.Sprintf("uid:%d", os.Getuid()), results: results}.prove()
	if err != nil {
		return err
	}
	fmt.Fprintf(d.streams.Err, "portreeve: the evidence about the guarded side is in %s; verify it with portreeve prove verify\n", d.prove)
	if d.json {
		return nil
	}
	fmt.Fprintln(d.streams.Out)
	return done.print(d.streams.Out)
}
