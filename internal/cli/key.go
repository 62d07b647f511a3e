package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/management"
)

func newKey(s Streams) *cobra.Command {
	p := new(place)
	c := &cobra.Command{
		Use:   "key",
		Short: "Create, list, rotate and revoke API keys",
		Long: `An API key stands for a service or a user. Its text is shown once, when it is made: the gate keeps only a keyed hash of it.

With a running gate these commands go through its admin socket and count at once; without one they open the data
directory themselves. Every change is an event in the ledger.`,
		Example: `  KEY=$(portreeve key create --owner reports-job --purpose "nightly export" --role readonly)
  portreeve key list
  portreeve key rotate 4fT0aQx9Zk --overlap 24h
  portreeve key revoke 4fT0aQx9Zk`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	p.flags(c)
	c.AddCommand(newKeyCreate(s, p), newKeyList(s, p), newKeyRotate(s, p), newKeyRevoke(s, p))
	return c
}

func newKeyCreate(s Streams, p *place) *cobra.Command {
	var n management.NewKey
	var expires string
	var addresses []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "create --owner SUBJECT --purpose TEXT",
		Short: "Make a key; it is printed alone on standard output, once",
		Long: `Make a key. Its text is printed alone on standard output and cannot be had again; all else goes to standard error.

Where the owner is a user of this gate, the key can have no role that the user lacks, and ends with the user.`,
		Example: `  KEY=$(portreeve key create --owner reports-job --purpose "nightly export" --role readonly --expires 90d)
  portreeve key create --owner alice --purpose "command line" --scope reports:read --ip 192.0.2.0/24
  portreeve key create --owner ci --purpose tests --environment test --expires 2027-01-31 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if n.Owner == "" || n.Purpose == "" {
				return usagef("--owner and --purpose are compulsory: a key that nobody knows the use of is never revoked")
			}
			if n.Expires, err = moment("expires", expires, time.Now()); err != nil {
				return err
			}
			if n.AllowIPs, err = prefixes(addresses); err != nil {
				return err
			}
			return manage(cmd, p, fresh, func(ctx context.Context, c *management.Client) error {
				k, err := c.CreateKey(ctx, n)
				if err != nil {
					return err
				}
				return showKey(s, k, asJSON)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&n.Owner, "owner", "", "`SUBJECT` of a user, or the name of the service it is for")
	f.StringVar(&n.Purpose, "purpose", "", "`TEXT`: what it is for, in a few words")
	f.StringArrayVar(&n.Scopes, "scope", nil, "limit it to a `SCOPE` (repeatable)")
	f.StringArrayVar(&n.Roles, "role", nil, "give it a `ROLE` (repeatable)")
	f.StringArrayVar(&addresses, "ip", nil, "accept it only from an address or `CIDR` (repeatable)")
	f.StringVar(&expires, "expires", "90d", "`WHEN` it ends: 90d, 24h, or a date; at most 12 months away")
	f.StringVar(&n.Environment, "environment", "live", "`KIND`, live or test; stands in the text for people and scanners")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// prefixes reads addresses and CIDRs.
func prefixes(texts []string) (out []netip.Prefix, err error) {
	for _, t := range texts {
		p, err := netip.ParsePrefix(t)
		if err != nil {
			a, aerr := netip.ParseAddr(t)
			if aerr != nil || a.Zone() != "" {
				return nil, usagef("--ip: %q is neither an address nor a CIDR, like 192.0.2.0/24", t)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p)
	}
	return out, nil
}

// showKey prints a new key: the secret alone on stdout, for $(…), what it is on stderr.
func showKey(s Streams, k management.Key, asJSON bool) error {
	warn(s, k.Warnings)
	if asJSON {
		return writeJSON(s, k)
	}
	fmt.Fprintf(s.Err, "Key %s for %s ends %s. Its text is shown only now.\n", k.ID, k.Owner, shortDate(k.Ends, ""))
	if k.RotatedFrom != "" {
		fmt.Fprintf(s.Err, "It replaces %s, which is accepted until %s.\n", k.RotatedFrom, shortDate(k.PreviousEnds, ""))
	}
	_, err := fmt.Fprintln(s.Out, k.Secret)
	return err
}

func newKeyList(s Streams, p *place) *cobra.Command {
	var owner string
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List keys: what they are for, how they stand, when they were last used",
		Example: `  portreeve key list
  portreeve key list --owner reports-job --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return manage(cmd, p, rows, func(ctx context.Context, c *management.Client) error {
				l, err := c.Keys(ctx, owner)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(s, l)
				}
				w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "ID\tSTATUS\tOWNER\tPURPOSE\tROLES\tSCOPES\tENDS\tLAST USED")
				for _, k := range l.Keys {
					scopes := "any"
					if k.Scoped {
						scopes = cmp.Or(strings.Join(k.Scopes, " "), "none")
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Status, k.Owner, k.Purpose, cmp.Or(strings.Join(k.Roles, " "), "-"),
						scopes, shortDate(k.Ends, ""), shortDate(k.LastUsed, "never"))
				}
				return w.Flush()
			})
		},
	}
	c.Flags().StringVar(&owner, "owner", "", "only keys of this `SUBJECT`")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newKeyRotate(s Streams, p *place) *cobra.Command {
	var overlap string
	var asJSON bool
	c := &cobra.Command{
		Use:   "rotate ID",
		Short: "Make a key's successor with the same rights; both are accepted for the overlap",
		Example: `  KEY=$(portreeve key rotate 4fT0aQx9Zk)
  portreeve key rotate 4fT0aQx9Zk --overlap 0s   # the old one ends at once`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := keyID(args[0])
			if err != nil {
				return err
			}
			d, err := span("overlap", overlap)
			if err != nil {
				return err
			}
			return manage(cmd, p, rows, func(ctx context.Context, c *management.Client) error {
				k, err := c.RotateKey(ctx, id, d)
				if err != nil {
					return err
				}
				return showKey(s, k, asJSON)
			})
		},
	}
	c.Flags().StringVar(&overlap, "overlap", "24h", "for this `TIME` the old key is still accepted")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newKeyRevoke(s Streams, p *place) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "revoke ID",
		Short:   "End a key for good; a running gate refuses it within a second",
		Example: "  portreeve key revoke 4fT0aQx9Zk\n  portreeve key revoke ptr_live_4fT0aQx9Zk   # the public part of its text",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := keyID(args[0])
			if err != nil {
				return err
			}
			return manage(cmd, p, rows, func(ctx context.Context, c *management.Client) error {
				k, err := c.RevokeKey(ctx, id)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(s, k)
				}
				_, err = fmt.Fprintf(s.Out, "Key %s of %s is revoked since %s.\n", k.ID, k.Owner, shortDate(k.Revoked, ""))
				return err
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// keyID takes an id or the public part of a key's text. A whole key is refused, unrepeated: it is a secret, and in the
// arguments every user of the machine sees it.
func keyID(arg string) (string, error) {
	rest, isText := strings.CutPrefix(arg, "ptr_")
	if !isText {
		return arg, nil
	}
	_, id, _ := strings.Cut(rest, "_")
	id, _, whole := strings.Cut(id, "_")
	if whole {
		return "", usagef("give only the id of a key, never its whole text: arguments can be seen by every user of this machine")
	}
	return id, nil
}
