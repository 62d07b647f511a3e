package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/management"
)

func newToken(s Streams) *cobra.Command {
	p := new(place)
	c := &cobra.Command{
		Use:   "token",
		Short: "Issue, inspect and revoke access tokens",
		Example: `  TOKEN=$(portreeve token issue alice --lifetime 15m)
  echo "$TOKEN" | portreeve token inspect
  portreeve token revoke --subject alice`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	p.flags(c)
	c.AddCommand(newTokenIssue(s, p), newTokenInspect(s, p), newTokenRevoke(s, p))
	return c
}

func newTokenIssue(s Streams, p *place) *cobra.Command {
	var n management.NewToken
	var lifetime string
	var asJSON bool
	c := &cobra.Command{
		Use:   "issue USER",
		Short: "Issue an access token for a user; it is printed alone on standard output",
		Long: `Issue an access token (RFC 9068) for a user of this gate. It is printed alone on standard output; all else goes to
standard error. Roles are not in it: the gate takes them from the user as they are when the token is used.

Without a running gate the configuration is needed, for it names the issuer, the audience and the lifetime.`,
		Example: `  TOKEN=$(portreeve token issue alice)
  portreeve token issue carol --lifetime 5m --scope reports:read --amr pwd --amr otp
  curl -H "Authorization: Bearer $TOKEN" https://api.example.com/orders`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.User = args[0]
			if lifetime != "" {
				d, err := span("lifetime", lifetime)
				if err != nil {
					return err
				}
				if n.LifetimeSeconds = int64(d / time.Second); n.LifetimeSeconds < 1 {
					return usagef("--lifetime: %s is less than a second", lifetime)
				}
			}
			return manage(cmd, p, issuer, func(ctx context.Context, c *management.Client) error {
				t, err := c.IssueToken(ctx, n)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(s, t)
				}
				fmt.Fprintf(s.Err, "Token %s for subject %s expires %s.\n", t.ID, t.Subject, shortDate(t.Expires, ""))
				_, err = fmt.Fprintln(s.Out, t.Token)
				return err
			})
		},
	}
	f := c.Flags()
	f.StringVar(&lifetime, "lifetime", "", "it is valid for this `TIME`, 15m (default and most: the configuration's, at most 1h)")
	f.StringArrayVar(&n.Scopes, "scope", nil, "limit it to a `SCOPE` (repeatable)")
	f.StringArrayVar(&n.AMR, "amr", nil, "`HOW` the user was proven to you, a value of RFC 8176: pwd, otp, hwk (repeatable)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newTokenInspect(s Streams, p *place) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "inspect",
		Short: "Show what a token says, and whether the gate would believe it now",
		Long: `Show the header and the claims of a token that comes on standard input, and whether the gate would believe it now. The
signature is never printed. Claims of a token that is not believed prove nothing.

Whether an operation then lets the caller in is for its own rules: see portreeve explain.`,
		Example: `  echo "$TOKEN" | portreeve token inspect
  portreeve token inspect --json < token.txt`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("the token is read from standard input: arguments can be seen by every user of this machine")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := readLine(s, "token")
			if err != nil {
				return err
			}
			return manage(cmd, p, issuer, func(ctx context.Context, c *management.Client) error {
				i, err := c.InspectToken(ctx, strings.TrimSpace(token))
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(s, i)
				}
				return showInspection(s, i, time.Now())
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func showInspection(s Streams, i management.Inspection, now time.Time) error {
	var b bytes.Buffer
	if i.Accepted {
		fmt.Fprintf(&b, "accepted: yes\nissuer:   %s\nsubject:  %s\nroles:    %s\n", i.Issuer, i.Subject, cmp.Or(strings.Join(i.Roles, " "), "none"))
	} else {
		fmt.Fprintf(&b, "accepted: no, %s\n", i.Reason)
	}
	var times struct {
		Issued  float64 `json:"iat"`
		Expires float64 `json:"exp"`
	}
	if json.Unmarshal(i.Claims, &times) == nil {
		for _, t := range []struct {
			name string
			at   float64
		}{{"issued:  ", times.Issued}, {"expires: ", times.Expires}} {
			if t.at > 0 && t.at < 1e11 {
				at := time.Unix(int64(t.at), 0)
				fmt.Fprintf(&b, "%s %s (%s)\n", t.name, at.UTC().Format(time.RFC3339), ago(at, now))
			}
		}
	}
	for _, part := range []struct {
		name string
		text json.RawMessage
	}{{"header", i.Header}, {"claims", i.Claims}} {
		fmt.Fprintf(&b, "%s:\n  ", part.name)
		if err := json.Indent(&b, part.text, "  ", "  "); err != nil {
			return fmt.Errorf("showing token: %w", err)
		}
		b.WriteByte('\n')
	}
	_, err := s.Out.Write(b.Bytes())
	return err
}

func ago(t, now time.Time) string {
	if d := t.Sub(now).Round(time.Second); d >= 0 {
		return "in " + d.String()
	}
	return now.Sub(t).Round(time.Second).String() + " ago"
}

func newTokenRevoke(s Streams, p *place) *cobra.Command {
	var id, subject, key, of string
	var asJSON bool
	c := &cobra.Command{
		Use:   "revoke (--id JTI | --subject SUBJECT | --key KID)",
		Short: "End tokens before they expire; a running gate refuses them within a second",
		Long: `End tokens before they expire: one by its jti, all that a subject has had until now, or all that a signing key ever signs.

Revoking this gate's own key is for a key that has leaked. Nothing can be issued then until the gate is stopped, another
Ed25519 key in PKCS #8 PEM form is put into signing-key.pem of the data directory, mode 0600, and it is started again.`,
		Example: `  portreeve token revoke --id 6DVR3GZ2QTX5M7KJ
  portreeve token revoke --subject alice
  portreeve token revoke --subject 00u1ab2 --issuer corp
  portreeve token revoke --key x7Qm0aVd3kLw9PzT`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var chosen []management.Revocation
			for kind, value := range map[string]string{"jti": id, "subject": subject, "key": key} {
				if value != "" {
					chosen = append(chosen, management.Revocation{Kind: kind, Issuer: of, Value: value})
				}
			}
			if len(chosen) != 1 {
				return usagef("give exactly one of --id, --subject and --key\nsee: %s --help", cmd.CommandPath())
			}
			return manage(cmd, p, rows, func(ctx context.Context, c *management.Client) error {
				r, err := c.RevokeTokens(ctx, chosen[0])
				if err != nil {
					return err
				}
				warn(s, r.Warnings)
				if asJSON {
					return writeJSON(s, r)
				}
				what := map[string]string{"jti": "The token with the jti", "subject": "All tokens until now of the subject", "key": "All tokens signed by the key"}[r.Kind]
				_, err = fmt.Fprintf(s.Out, "%s %s of issuer %s: revoked.\n", what, r.Value, r.Issuer)
				return err
			})
		},
	}
	f := c.Flags()
	f.StringVar(&id, "id", "", "the `JTI` of one token")
	f.StringVar(&subject, "subject", "", "the `SUBJECT` whose tokens end")
	f.StringVar(&key, "key", "", "the `KID` of a signing key")
	f.StringVar(&of, "issuer", "", "the issuer's `ID` in the configuration (default: embedded, the gate's own)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
