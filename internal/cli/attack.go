package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/portreeve/portreeve/internal/attack"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/report"
	"github.com/portreeve/portreeve/internal/report/jsonreport"
	text "github.com/portreeve/portreeve/internal/report/terminal"
)

func newAttack(s Streams) *cobra.Command {
	var o attackOptions
	c := &cobra.Command{
		Use:   "attack --target URL",
		Short: "Try to break what the document promises of a running API",
		Long: `Attack calls every operation of the document that it can reach: without a credential, with made-up ones, and as each
identity it is given. It says of every attack and operation what came of it: passed, failed with proof, or not decided and
why. A finding is made twice before it is reported, and comes with the command that shows it again.

With a configuration (--config) it knows what each role may do and see, and holds the API to that. With two or more
identities it tries what is one's as the other. Identities come from a file, JSON or YAML; demo.json is one:

  identities:
    - {name: alice, role: employee, user_id: 1, token: {env: ALICE_TOKEN}, api_key: {env: ALICE_KEY}}
    - name: bob
      role: employee
      user_id: 2
      login: {path: /login, body: {username: bob, password: {env: BOB_PASSWORD}}, token: /access_token}
  tokens: {expired: [{env: OLD_TOKEN}], foreign: [{env: OTHER_API_TOKEN}], stale: [{env: LONG_AGO_TOKEN}]}

Tokens are real ones that must not be believed: that ended, that are for another API, that prove two factors of long ago.

It makes objects of its own and removes them; it changes nothing else unless --destructive allows it. A target that is not
this machine must be named a second time with --allow. Attack only what you are allowed to attack.

--mutants turns the question round: would the attacks notice? It makes gates that lack one rule each, every rule of the
plan in turn, puts each in front of an API on a port of this machine, and says which faults no attack found. Alone it tries
the demonstration's plan; with --config and --target it tries yours, in front of an API that is there to be tried.

It ends with 0 when nothing was found, 2 with findings, and 3 when nothing was found but something that matters could not
be decided.`,
		Example: `  portreeve attack --target http://127.0.0.1:8081 --document openapi.yaml
  portreeve attack --target http://127.0.0.1:8080 --config portreeve.yaml --identities demo.json
  portreeve attack --target https://api.example.com/v1 --allow api.example.com --document openapi.yaml \
      --identities people.yaml --rate 5/s --report html=attack.html --report sarif=attack.sarif
  portreeve attack --target http://127.0.0.1:8081 --config portreeve.yaml --identities demo.json --only bola-read,bola-write
  portreeve attack --mutants   # which faults of a gate would the attacks not find?`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.mutants {
				return runMutants(cmd.Context(), s, o)
			}
			return runAttack(cmd.Context(), s, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.target, "target", "", "`URL` of the API; the document's paths are put behind it")
	f.StringVar(&o.document, "document", "", "OpenAPI document `FILE` (default: the configuration's)")
	f.StringVar(&o.config, "config", "", "configuration `FILE`: what roles may do, and which limits hold")
	f.StringVar(&o.identities, "identities", "", "`FILE` of identities to call as")
	f.StringSliceVar(&o.only, "only", nil, "run only these attacks: `ID,…`")
	f.StringSliceVar(&o.skip, "skip", nil, "leave these attacks out: `ID,…`")
	f.DurationVar(&o.budget, "budget", 10*time.Minute, "end after this `TIME`, with what there is")
	f.StringVar(&o.rate, "rate", "50/s", "never more requests than this: `N/s`")
	f.Int64Var(&o.seed, "seed", 0, "make the same choices as the run that printed this `N`")
	f.StringSliceVar(&o.allow, "allow", nil, "`HOST` that may be attacked although it is not this machine")
	f.BoolVar(&o.destructive, "destructive", false, "change and remove what the run did not make, too")
	f.StringVar(&o.direct, "direct", "", "`URL` of the API behind the gate, which should answer nobody else")
	f.BoolVar(&o.mutants, "mutants", false, "attack gates that lack one rule each, and say which faults are not found")
	f.StringVar(&o.ca, "ca", "", "PEM `FILE` of roots to trust instead of the system's")
	f.BoolVar(&o.json, "json", false, "print the whole report as JSON")
	f.StringArrayVar(&o.reports, "report", nil, "write a report: `FORMAT=FILE`, repeatable; "+report.Names())
	_ = c.MarkFlagFilename("document", "yaml", "yml", "json")
	_ = c.MarkFlagFilename("config", "yaml", "yml")
	_ = c.MarkFlagFilename("identities", "json", "yaml", "yml")
	_ = c.MarkFlagFilename("ca", "pem", "crt")
	ids := make([]string, len(attack.Attacks))
	for i, a := range attack.Attacks {
		ids[i] = a.ID + "\t" + a.Title
	}
	for _, name := range []string{"only", "skip"} {
		_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(ids, cobra.ShellCompDirectiveNoFileComp))
	}
	return c
}

type attackOptions struct {
	target, document, config, identities, rate, direct, ca string
	only, skip, allow, reports                             []string
	budget                                                 time.Duration
	seed                                                   int64
	destructive, mutants, json                             bool
}

// runAttack attacks, reports, and says by its exit code what came of it.
func runAttack(ctx context.Context, s Streams, o attackOptions) error {
	if o.target == "" {
		return usagef("--target is missing: the URL of the API")
	}
	if o.document == "" && o.config == "" {
		return usagef("give the OpenAPI document with --document, or a configuration that names one with --config")
	}
	if o.budget <= 0 {
		return usagef("--budget must be more than nothing")
	}
	outputs, err := report.ParseOutputs(o.reports)
	if err != nil {
		return exit(usage, err)
	}
	run := attack.Options{Target: o.target, Only: o.only, Skip: o.skip, Budget: o.budget, Seed: o.seed, Allow: o.allow, Destructive: o.destructive, Direct: o.direct, Version: Version}
	if run.Rate, err = readRate(o.rate); err != nil {
		return err
	}
	if run.Roots, err = readRoots(o.ca); err != nil {
		return err
	}
	if run.Promise, err = attack.Load(o.document, o.config, time.Now()); err != nil {
		return err
	}
	if o.identities != "" {
		if run.People, err = attack.ReadPeople(o.identities); err != nil {
			return err
		}
		for _, w := range run.People.Warnings {
			fmt.Fprintf(s.Err, "portreeve: warning: %s\n", w)
		}
	}
	if run.Seed == 0 {
		run.Seed = rand.Int64N(1<<31) + 1
	}
	bar := newProgress(s.Err)
	run.Progress, run.Waiting = bar.show, bar.wait
	r, err := attack.Run(ctx, run)
	bar.clear()
	if errors.Is(err, attack.ErrOptions) {
		return exit(usage, err)
	}
	if err != nil {
		return err
	}
	if o.json {
		err = jsonreport.Write(s.Out, r)
	} else {
		err = text.Write(s.Out, r)
	}
	for _, out := range outputs { // all of them, whatever became of the first
		err = errors.Join(err, out.Write(r))
	}
	if err != nil {
		return err
	}
	return attackVerdict(s.Err, r)
}

// attackVerdict turns a report into an exit code. What could not be decided is said even when the code is another's.
func attackVerdict(w io.Writer, r *finding.Report) error {
	undecided := attack.Undecided(r)
	if len(r.Findings) > 0 {
		if r.Interrupted != "" {
			fmt.Fprintf(w, "portreeve: the run ended early (%s): there may be more\n", r.Interrupted)
		}
		return exit(findings, nil)
	}
	if undecided != "" {
		return exit(inconclusive, fmt.Errorf("nothing was found, and that proves nothing: %s", undecided))
	}
	return nil
}

// readRate reads "20/s", or "20".
func readRate(s string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSuffix(s, "/s"), 64)
	if err != nil || v <= 0 || v > 1e6 {
		return 0, usagef("--rate %q is no rate\nhint: 20/s", s)
	}
	return v, nil
}

// readRoots reads roots from a PEM file; none is the system's.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, exit(usage, fmt.Errorf("reading --ca: %w", err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, usagef("--ca %s holds no certificate", file)
	}
	return pool, nil
}

// progress is one line at the bottom of a terminal; elsewhere it is nothing.
type progress struct {
	w     io.Writer
	on    bool
	width int
	last  time.Time
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, width: 80}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		p.on = true
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			p.width = width
		}
	}
	return p
}

// show draws how much is done, at most ten times a second.
func (p *progress) show(done, total int, what string) {
	if !p.on || total <= 0 || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last = time.Now()
	const cells = 24
	full := min(cells, done*cells/total)
	line := fmt.Sprintf("[%s%s] %3d%% %s", strings.Repeat("#", full), strings.Repeat("-", cells-full), min(100, done*100/total), what)
	fmt.Fprintf(p.w, "\r\x1b[K%s", line[:min(len(line), p.width-1)])
}

// wait says that the target's limit is waited for, on whatever stderr is: it may take a minute.
func (p *progress) wait(d time.Duration) {
	p.clear()
	fmt.Fprintf(p.w, "portreeve: the target limits requests: going on in %s\n", d.Round(time.Second))
}

func (p *progress) clear() {
	if p.on {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
