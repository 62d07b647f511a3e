// Package cli is Portreeve's command line: one file per command. Results go to stdout, everything else to stderr;
// --json is stable and versioned; what went wrong is said with its place and how to mend it.
//
// It is the only package that knows exit codes, and, with cmd/portreeve, the only one that knows of a process.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes. 1 is a run-time failure of any command.
const (
	ok           = 0
	failed       = 1
	findings     = 2  // check, attack: findings; prove: gaps
	inconclusive = 3  // attack; prove: not evidenced
	integrity    = 4  // prove
	usage        = 64 // bad usage, document, configuration or secret
)

// Streams are a process's three, and whether stderr is a terminal.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs one command line and returns its exit code. args excludes the program's name. It never exits itself, so
// that tests run it in their own process.
func Main(ctx context.Context, args []string, s Streams) int {
	root := newRoot(s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ok
	}
	var e *exitError
	if !errors.As(err, &e) {
		e = &exitError{code: classify(err), err: err}
	}
	if e.err != nil {
		explainError(s.Err, e.err)
	}
	return e.code
}

// exitError carries the exit code with the error that is shown; err may be nil when everything was said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func exit(code int, err error) error { return &exitError{code, err} }

// usagef is an error of usage.
func usagef(format string, args ...any) error { return exit(usage, fmt.Errorf(format, args...)) }

// placed is an error that knows it is the user's document, configuration or secret.
type placed interface{ BadInput() bool }

// classify gives an error its code: what the user wrote wrongly is 64, what went wrong is 1.
func classify(err error) int {
	var p placed
	if errors.As(err, &p) && p.BadInput() {
		return usage
	}
	return failed
}

// explainError prints an error for people: one line each, hints below.
func explainError(w io.Writer, err error) {
	for _, line := range strings.Split(strings.TrimRight(err.Error(), "\n"), "\n") {
		fmt.Fprintf(w, "portreeve: %s\n", line)
	}
}

func newRoot(s Streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "portreeve",
		Short: "Point it at an OpenAPI document and an API: it enforces the document, and shows that it does",
		Long: `Portreeve guards an API by its own OpenAPI document.

It stands in front of the API (serve) or inside a Go program, and lets through only what the document and its
configuration allow: who may call, how often, with what, on which object, and which fields come back.`,
		Example: `  portreeve demo                       # a vulnerable API, naked and guarded, side by side
  portreeve init openapi.yaml          # write a starter configuration for your own API
  portreeve serve --config portreeve.yaml
  portreeve explain GET /orders/{id}   # what happens to a request, rule by rule`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w\nsee: %s --help", err, cmd.CommandPath())
	})
	for _, make := range commands {
		root.AddCommand(make(s))
	}
	fallible(root)
	return root
}

// fallible makes wrong arguments an error of usage everywhere.
func fallible(c *cobra.Command) {
	if args := c.Args; args != nil {
		c.Args = func(cmd *cobra.Command, a []string) error {
			if err := args(cmd, a); err != nil {
				return usagef("%w\nsee: %s --help", err, cmd.CommandPath())
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		fallible(sub)
	}
}

// commands are all there are, in the order help shows them.
var commands = []func(Streams) *cobra.Command{
	newDemo,
	newInit,
	newServe,
	newExplain,
	newCheck,
	newAttack,
	newProve,
	newReload,
	newKey,
	newUser,
	newToken,
	newReady,
	newVersion,
	newCompletion,
}
