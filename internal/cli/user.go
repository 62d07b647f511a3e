package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/management"
)

func newUser(s Streams) *cobra.Command {
	p := new(place)
	c := &cobra.Command{
		Use:   "user",
		Short: "Add, list, disable and enable users; change passwords",
		Long: `A user has roles, and may hold keys and tokens; what these permit is never more than the user's roles permit now.
Users are disabled, never deleted: a subject always means the same person.`,
		Example: `  portreeve user add alice --role employee
  portreeve user passwd alice
  portreeve user disable alice`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	p.flags(c)
	c.AddCommand(newUserAdd(s, p), newUserList(s, p),
		newUserChange(s, p, "disable", "Stop a user: their tokens end, their keys are refused", "disabled", (*management.Client).DisableUser),
		newUserChange(s, p, "enable", "Undo disable: the keys are back, the tokens are not", "enabled", (*management.Client).EnableUser),
		newUserPasswd(s, p))
	return c
}

func newUserAdd(s Streams, p *place) *cobra.Command {
	var n management.NewUser
	var password, asJSON bool
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a user",
		Long: `Add a user. Without --with-password no password is right for them: give one later with user passwd, or only issue tokens.
A password is asked for on the terminal, or read as one line from standard input; it is never an argument.`,
		Example: `  portreeve user add alice --role employee
  portreeve user add bob --role manager --subject 1002 --with-password < bob.password`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			n.Name = args[0]
			if password {
				if n.Password, err = readPassword(cmd.Context(), s, n.Name); err != nil {
					return err
				}
			}
			return manage(cmd, p, fresh, func(ctx context.Context, c *management.Client) error {
				u, err := c.AddUser(ctx, n)
				if err != nil {
					return err
				}
				warn(s, u.Warnings)
				return showUser(s, u, "added", asJSON)
			})
		},
	}
	f := c.Flags()
	f.StringArrayVar(&n.Roles, "role", nil, "give a `ROLE` (repeatable)")
	f.StringVar(&n.Subject, "subject", "", "`SUBJECT`: what tokens call the user (default: the name); it never changes")
	f.BoolVar(&password, "with-password", false, "ask for a password, or read it from standard input")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func showUser(s Streams, u management.User, done string, asJSON bool) error {
	if asJSON {
		return writeJSON(s, u)
	}
	_, err := fmt.Fprintf(s.Out, "User %s (subject %s) is %s.\n", u.Name, u.Subject, done)
	return err
}

func newUserList(s Streams, p *place) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List users",
		Example: "  portreeve user list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return manage(cmd, p, rows, func(ctx context.Context, c *management.Client) error {
				l, err := c.Users(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(s, l)
				}
				w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "NAME\tSUBJECT\tSTATUS\tROLES\tPASSWORD\tCREATED")
				for _, u := range l.Users {
					status, password := "enabled", "none"
					if u.Disabled {
						status = "disabled"
					}
					if u.HasPassword {
						password = "set"
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", u.Name, u.Subject, status, cmp.Or(strings.Join(u.Roles, " "), "-"), password, shortDate(u.Created, ""))
				}
				return w.Flush()
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newUserChange(s Streams, p *place, verb, short, done string, change func(*management.Client, context.Context, string) (management.User, error)) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     verb + " NAME",
		Short:   short,
		Example: "  portreeve user " + verb + " alice",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return manage(cmd, p, rows, func(ctx context.Context, c *management.Client) error {
				u, err := change(c, ctx, args[0])
				if err != nil {
					return err
				}
				return showUser(s, u, done, asJSON)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newUserPasswd(s Streams, p *place) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "passwd NAME",
		Short: "Change a user's password; their tokens end",
		Long: `Change a user's password. It is asked for on the terminal without echo, or read as one line from standard input; it has 12
characters or more. All tokens of the user that were issued before end.`,
		Example: `  portreeve user passwd alice
  portreeve user passwd alice < alice.password`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := readPassword(cmd.Context(), s, args[0])
			if err != nil {
				return err
			}
			return manage(cmd, p, rows, func(ctx context.Context, c *management.Client) error {
				u, err := c.SetPassword(ctx, args[0], password)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(s, u)
				}
				_, err = fmt.Fprintf(s.Out, "The password of user %s is changed; tokens issued before are refused.\n", u.Name)
				return err
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
