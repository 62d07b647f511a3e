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
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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
	if e.err != nil && !abandoned(e.err) {
		explainError(s.Err, e.err)
	}
	return e.code
}

// abandoned reports whether nobody reads the result any more, as in portreeve explain … | head -1. That is no news.
func abandoned(err error) bool {
	var p *fs.PathError
	return errors.As(err, &p) && p.Path == os.Stdout.Name() && errors.Is(err, syscall.EPIPE)
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
	var version bool
	root := &cobra.Command{
		Use:   "portreeve",
		Short: "Point it at an OpenAPI document and an API: it enforces the document, and shows that it does",
		Long: `Portreeve guards an API by its own OpenAPI document.

It stands in front of the API (serve) or inside a Go program, and lets through only what the document and its
configuration allow: who may call, how often, with what, on which object, and which fields come back.`,
		Example: `  portreeve demo                       # a vulnerable API, naked and guarded, side by side
  portreeve init openapi.yaml          # write a starter configuration for your own API
  portreeve serve --config portreeve.yaml
  portreeve explain GET /orders/17     # what happens to a request, rule by rule`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		Args:              cobra.NoArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return given(cmd) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version {
				return printVersion(s, false)
			}
			return cmd.Help()
		},
	}
	root.Flags().BoolVar(&version, "version", false, "print the version and how it was built")
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w\nsee: %s --help", err, cmd.CommandPath())
	})
	for _, make := range commands {
		root.AddCommand(make(s))
	}
	root.SetHelpCommand(newHelp())
	fallible(root)
	return root
}

// newHelp stands in for cobra's own, which takes a command that does not exist for a success.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Show the help of a command",
		Example: "  portreeve help serve\n  portreeve help key create",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
			if above, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
				for _, c := range above.Commands() {
					if c.IsAvailableCommand() {
						names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknown(c, strings.Join(rest, " "))
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
	}
}

// unknown is the error of a command that is not there.
func unknown(above *cobra.Command, name string) error {
	above.SuggestionsMinimumDistance = 2
	hint := ""
	if near := above.SuggestionsFor(name); len(near) > 0 {
		hint = "\nhint: did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("unknown command %q for %q%s\nsee: %s --help", name, above.CommandPath(), hint, above.CommandPath())
}

// given refuses a flag whose value is empty: a variable of a script that was never set must not mean the default, which
// may be another configuration, another data directory, or no limit at all.
func given(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		empty := f.Value.String() == ""
		if list, ok := f.Value.(pflag.SliceValue); ok {
			empty = slices.Contains(list.GetSlice(), "")
		}
		if empty && err == nil {
			err = usagef("--%s is given, but empty\nsee: %s --help", f.Name, cmd.CommandPath())
		}
	})
	return err
}

// fallible makes wrong arguments an error of usage everywhere.
func fallible(c *cobra.Command) {
	if args := c.Args; args != nil {
		c.Args = func(cmd *cobra.Command, a []string) error {
			err := args(cmd, a)
			var said *exitError
			switch {
			case err == nil || errors.As(err, &said):
				return err
			case len(a) == 0:
				return usagef("an argument is missing: %s\nsee: %s --help", cmd.UseLine(), cmd.CommandPath())
			case cmd.HasAvailableSubCommands():
				return unknown(cmd, a[0])
			}
			return usagef("the arguments do not fit: %s\nsee: %s --help", cmd.UseLine(), cmd.CommandPath()) // not repeated: one may be a secret
		}
	}
	for _, sub := range c.Commands() {
		fallible(sub)
	}
}

// commands are all there are beside help.
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
	newAudit,
	newReady,
	newVersion,
	newCompletion,
}
