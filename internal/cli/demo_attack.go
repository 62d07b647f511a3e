package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/portreeve/portreeve/internal/attack"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/demo"
	"github.com/portreeve/portreeve/internal/finding"
	scratch "github.com/portreeve/portreeve/internal/store/sqlite"
)

// attackBudget is how long one side of the demonstration is attacked at most. Limits of a minute are waited for.
const attackBudget = 3 * time.Minute

// attackSeed makes every demonstration the same.
const attackSeed = 1

// attackedSide is one side of the demonstration with what the attack found there.
type attackedSide struct {
	Name   string          `json:"name"`
	Report *finding.Report `json:"report"`
}

// attackSides attacks the naked API, the guarded one, and the one written well, all at once.
func (d *demonstration) attackSides(ctx context.Context) ([]attackedSide, error) {
	fixed, err := d.startFixed(ctx)
	if err != nil {
		return nil, err
	}
	promise, err := attack.Load("", filepath.Join(d.dir, demo.ConfigurationName), time.Now())
	if err != nil {
		return nil, err
	}
	people, err := attack.ReadPeople(filepath.Join(d.dir, demo.FileName))
	if err != nil {
		return nil, err
	}
	if people.Tokens, err = d.wrongTokens(time.Now()); err != nil {
		return nil, err
	}
	behind := "http://" + d.behindListener.Addr().String()
	sides := []struct{ name, url, direct string }{{"naked", d.file.Naked, d.file.Naked}, {"guarded", d.file.Guarded, behind}, {"fixed", fixed, ""}}
	out := make([]attackedSide, len(sides))
	errs := make([]error, len(sides))
	bar := newProgress(d.streams.Err)
	var mu sync.Mutex
	done := make([]int, len(sides))
	var all sync.WaitGroup
	for i, s := range sides {
		all.Go(func() {
			o := attack.Options{Target: s.url, Direct: s.direct, Promise: promise, People: people, Budget: attackBudget, Seed: attackSeed, Version: Version, Roots: d.roots,
				Progress: func(n, total int, what string) {
					mu.Lock()
					defer mu.Unlock()
					done[i] = n
					sum := 0
					for _, n := range done {
						sum += n
					}
					bar.show(sum, total*len(sides), s.name+": "+what)
				}}
			var r *finding.Report
			r, errs[i] = attack.Run(ctx, o)
			out[i] = attackedSide{s.name, r}
		})
	}
	all.Wait()
	bar.clear()
	return out, errors.Join(errs...)
}

// startFixed starts the API written well, without a gate.
func (d *demonstration) startFixed(ctx context.Context) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listening for the API written well: %w", err)
	}
	d.closers = append(d.closers, func() { l.Close() })
	db, err := scratch.OpenScratch(ctx, filepath.Join(d.dir, "fixed.db"))
	if err != nil {
		return "", err
	}
	d.closers = append(d.closers, func() { db.Close() })
	h, err := d.fixedAPI(ctx, db, "fixed", d.file.Identities)
	if err != nil {
		return "", err
	}
	d.start(l, h)
	return "http://" + l.Addr().String(), nil
}

// wrongTokens are of the gate's own key, and must not be believed all the same.
func (d *demonstration) wrongTokens(now time.Time) (attack.Tokens, error) {
	e := d.deployment.Plan().Identity.Embedded
	f, err := demo.Forge(e.Issuer, e.Audience, d.deployment.Signer.Sign, now)
	if err != nil {
		return attack.Tokens{}, err
	}
	return attack.Tokens{Expired: []string{f.Expired}, Foreign: []string{f.Audience}}, nil
}

// controlRow is what the attack came to about one control.
type controlRow struct {
	Control control.ID        `json:"control"`
	Planted bool              `json:"planted"` // the naked API lacks it on purpose
	Sides   map[string]string `json:"sides"`   // "found", "held", "not tried"
	By      []string          `json:"by"`      // attacks that found it on the naked side
}

// controlTable compares the sides, control by control.
func controlTable(sides []attackedSide, planted []control.ID) []controlRow {
	tested := map[control.ID]bool{}
	for _, a := range attack.Attacks {
		for _, c := range a.Controls {
			tested[c] = true
		}
	}
	for _, c := range planted {
		tested[c] = true
	}
	var rows []controlRow
	for c := range tested {
		row := controlRow{Control: c, Planted: slices.Contains(planted, c), Sides: map[string]string{}, By: []string{}}
		for _, s := range sides {
			state := "not tried"
			for _, o := range s.Report.Outcomes {
				rule := s.Report.Rule(o.Rule)
				if rule == nil || !slices.Contains(rule.Controls, c) {
					continue
				}
				switch o.Verdict {
				case finding.Failed:
					state = "found"
					if s.Name == "naked" && !slices.Contains(row.By, o.Rule) {
						row.By = append(row.By, o.Rule)
					}
				case finding.Passed:
					if state != "found" {
						state = "held"
					}
				}
			}
			row.Sides[s.Name] = state
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b controlRow) int { return strings.Compare(string(a.Control), string(b.Control)) })
	return rows
}

// planted are the controls that the naked API lacks on purpose.
func planted(list []demo.Demonstration) []control.ID {
	var out []control.ID
	for _, d := range list {
		for _, c := range d.Controls {
			if id := control.ID(c); !d.Lawful() && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

// demoAttack is demo --attack --json, version 1.
type demoAttack struct {
	Schema   string         `json:"schema"`
	Controls []controlRow   `json:"controls"`
	Sides    []attackedSide `json:"sides"`
	Held     bool           `json:"held"`
}

// attackAll attacks all sides and prints one table. It fails where the attack is blind, or the gate or the API written well
// is not tight.
func (d *demonstration) attackAll(ctx context.Context, list []demo.Demonstration) error {
	begun := time.Now()
	sides, err := d.attackSides(ctx)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	rows := controlTable(sides, planted(list))
	faults := judgeSides(sides, rows)
	if d.json {
		err = writeJSON(d.streams, demoAttack{"portreeve/demo-attack/v1", rows, sides, len(faults) == 0})
	} else {
		err = printSides(d.streams.Out, sides, rows, time.Since(begun))
	}
	if err != nil {
		return err
	}
	if d.prove != "" {
		if err := d.proveGuarded(sides); err != nil {
			return err
		}
	}
	if len(faults) > 0 {
		return exit(failed, errors.New(strings.Join(faults, "\n")))
	}
	return nil
}

// judgeSides says what is not as it must be.
func judgeSides(sides []attackedSide, rows []controlRow) []string {
	var faults []string
	for _, r := range rows {
		if r.Planted && r.Sides["naked"] != "found" {
			faults = append(faults, fmt.Sprintf("the naked API lacks %s, and the attack did not find it", r.Control))
		}
		if r.Planted && r.Sides["guarded"] == "not tried" {
			faults = append(faults, fmt.Sprintf("nothing was tried about %s on the guarded side", r.Control))
		}
	}
	for _, s := range sides {
		if s.Name == "naked" {
			continue
		}
		for _, f := range s.Report.Findings {
			faults = append(faults, strings.TrimSpace(fmt.Sprintf("%s: %s %s: %s", s.Name, f.Rule, f.Operation, f.Message)))
		}
		if why := attack.Undecided(s.Report); why != "" && len(s.Report.Findings) == 0 {
			faults = append(faults, s.Name+": "+why)
		}
	}
	return faults
}

func printSides(w io.Writer, sides []attackedSide, rows []controlRow, took time.Duration) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "control")
	for _, s := range sides {
		fmt.Fprintf(t, "\t%s", s.Name)
	}
	fmt.Fprint(t, "\tfound on the naked side by\n")
	shown, extra := 0, 0
	for _, r := range rows {
		if !r.Planted {
			extra++
			continue
		}
		shown++
		fmt.Fprint(t, r.Control)
		for _, s := range sides {
			cell := r.Sides[s.Name]
			if cell == "found" {
				cell = "FOUND"
			}
			fmt.Fprintf(t, "\t%s", cell)
		}
		by := r.By
		if len(by) > 3 {
			by = append(slices.Clone(by[:3]), "…")
		}
		fmt.Fprintf(t, "\t%s\n", strings.Join(by, ", "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%d controls that the naked API lacks", shown)
	if extra > 0 {
		fmt.Fprintf(w, "; the attacks are about %d more", extra)
	}
	fmt.Fprintf(w, "\n\n")
	for _, s := range sides {
		r := s.Report
		fmt.Fprintf(w, "%-8s %3d findings; %d tried: %d passed, %d failed, %d not decided, %d skipped; %d of %d operations reached\n", s.Name, len(r.Findings), len(r.Outcomes),
			r.Count(finding.Passed), r.Count(finding.Failed), r.Count(finding.Inconclusive), r.Count(finding.Skipped), len(r.Coverage.Reached), r.Coverage.Declared)
	}
	_, err := fmt.Fprintf(w, "\nin %s; the same attack on a target of your own: portreeve attack --help\n", took.Round(time.Second))
	return err
}
