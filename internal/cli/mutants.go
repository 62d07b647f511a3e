package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/attack"
	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/mutant"
	"github.com/portreeve/portreeve/internal/plan"
)

// runMutants attacks gates that have one fault each, and says which faults no attack found: the demonstration's, or
// those of a configuration in front of a target that is an API to be tried.
func runMutants(ctx context.Context, s Streams, o attackOptions) (err error) {
	for name, set := range map[string]bool{"--document": o.document != "", "--only": len(o.only) > 0, "--skip": len(o.skip) > 0, "--direct": o.direct != "",
		"--destructive": o.destructive, "--report": len(o.reports) > 0} {
		if set {
			return usagef("%s does not go with --mutants", name)
		}
	}
	if (o.config == "") != (o.target == "") {
		return usagef("--mutants takes --config and --target together, or none of them: then it tries the demonstration's plan")
	}
	if o.config == "" && (o.identities != "" || o.ca != "" || len(o.allow) > 0) {
		return usagef("--identities, --ca and --allow go with --config and --target")
	}
	if o.budget <= 0 {
		return usagef("--budget must be more than nothing")
	}
	dir, err := os.MkdirTemp("", "portreeve-mutants-")
	if err != nil {
		return fmt.Errorf("making a temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var run mutant.Options
	if o.config == "" {
		run, err = mutant.Demonstration(dir)
	} else {
		run, err = mutantsOf(s, o, time.Now())
	}
	if err != nil {
		return err
	}
	run.Seed, run.Budget, run.Version = o.seed, o.budget, Version
	if run.Seed == 0 {
		run.Seed = rand.Int64N(1<<31) + 1
	}
	bar := newProgress(s.Err)
	run.Progress = bar.show
	r, err := mutant.Run(ctx, run)
	bar.clear()
	if errors.Is(err, mutant.ErrBaseline) {
		return exit(inconclusive, fmt.Errorf("%w\nhint: the API must answer whoever comes from this machine; one that demands the assertion of its own gate answers no other", err))
	}
	if err != nil {
		return err
	}
	if o.json {
		err = writeJSON(s, r)
	} else {
		err = mutant.Print(s.Out, r)
	}
	if err != nil {
		return err
	}
	switch {
	case len(r.Baseline) > 0:
		return exit(inconclusive, errors.New("the gate without a fault is not clean: mend what was found, then try its mutants"))
	case r.Interrupted:
		return exit(inconclusive, errors.New("the run ended early: not all mutants were judged"))
	case len(r.Unexplained()) > 0:
		return exit(findings, nil)
	}
	return nil
}

// mutantsOf prepares the mutants of a configuration, in front of the target.
func mutantsOf(s Streams, o attackOptions, now time.Time) (mutant.Options, error) {
	if err := mayStandBehind(o.target, o.allow); err != nil {
		return mutant.Options{}, err
	}
	p, err := compile.Load(o.config, now)
	if err != nil {
		return mutant.Options{}, err
	}
	if o.ca != "" {
		if p.Upstream.CA, err = filepath.Abs(o.ca); err != nil {
			return mutant.Options{}, fmt.Errorf("finding --ca: %w", err)
		}
	}
	promise, err := attack.Load("", o.config, now)
	if err != nil {
		return mutant.Options{}, err
	}
	run := mutant.Options{Plan: p, Promise: promise, Store: mutant.OpenStore, Screen: screening, People: twoOfEach(p.Roles)}
	if run.Rate, err = readRate(o.rate); err != nil {
		return mutant.Options{}, err
	}
	if o.identities != "" {
		people, err := attack.ReadPeople(o.identities)
		if err != nil {
			return mutant.Options{}, err
		}
		for _, w := range people.Warnings {
			fmt.Fprintf(s.Err, "portreeve: warning: %s\n", w)
		}
		run.People = nil
		for _, id := range people.Identities {
			if id.Role == "" || id.UserID == "" {
				return mutant.Options{}, usagef("%s: with --mutants each identity needs a role and a user_id: %s has not both", o.identities, id.Name)
			}
			run.People = append(run.People, mutant.Person{Name: id.Name, Role: id.Role, UserID: id.UserID, Password: id.Password, AMR: []string{"pwd", "otp", "mfa"}})
		}
	}
	run.API = func(context.Context, []attack.Identity) (string, func(), error) { return o.target, func() {}, nil }
	return run, nil
}

// twoOfEach makes people up, two for each role. Their ids are numbers, which an API may take for texts as well.
func twoOfEach(roles []plan.Role) []mutant.Person {
	var out []mutant.Person
	for i, r := range roles {
		for k := range 2 {
			out = append(out, mutant.Person{Name: fmt.Sprintf("mutant-%s-%d", strings.ToLower(r.Name), k+1), Role: r.Name, UserID: strconv.Itoa(910001 + 2*i + k), AMR: []string{"pwd", "otp", "mfa"}})
		}
	}
	return out
}

// mayStandBehind reports why an API must not stand behind a gate with a fault: it would be open to whoever is on this
// machine, and is attacked.
func mayStandBehind(target string, allow []string) error {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return usagef("--target %q is no URL of an API, like http://127.0.0.1:9000/v1", target)
	}
	host := u.Hostname()
	a, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && a.IsLoopback() || slices.ContainsFunc(allow, func(h string) bool { return strings.EqualFold(h, host) || strings.EqualFold(h, u.Host) }) {
		return nil
	}
	return usagef("%s is not this machine; put gates with faults in front of what you may attack alone, and say so with --allow %s", host, host)
}
