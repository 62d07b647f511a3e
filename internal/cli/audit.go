package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/management"
	text "github.com/portreeve/portreeve/internal/report/terminal"
)

func newAudit(s Streams) *cobra.Command {
	p := new(place)
	c := &cobra.Command{
		Use:   "audit",
		Short: "Ask, verify and prove the ledger",
		Long: `The ledger is a transparency log: each line carries the hash of the one before it, all of them are leaves of a Merkle tree
(RFC 6962), and checkpoints, signed heads of that tree, say what it held. Keep checkpoints somewhere else: then nobody, the
owner of the files and the key included, can cut or rewrite the past unseen.

Looking into the ledger is itself an event of it.`,
		Example: `  portreeve audit tail --follow
  portreeve audit query --subject alice --decision deny --since 24h
  portreeve audit verify --since kept/checkpoint-2026-11-01
  portreeve audit prove 0193b7c2-6f6e-7d2c-9a51-2f7e8f1c4b11 > denied.tlog-proof`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	p.flags(c)
	c.AddCommand(newAuditVerify(s, p), newAuditProve(s, p), newAuditQuery(s, p), newAuditTail(s, p), newAuditCheckpoint(s, p))
	return c
}

// verified is audit verify's result.
type verifiedLedger struct {
	Schema     string   `json:"schema"` // "portreeve/audit-verify/v1"
	Directory  string   `json:"directory,omitempty"`
	OK         bool     `json:"ok"`
	Problem    string   `json:"problem,omitempty"`
	Lines      uint64   `json:"lines"`
	Pruned     uint64   `json:"pruned,omitempty"`
	Origin     string   `json:"origin,omitempty"`
	Key        string   `json:"key,omitempty"`
	Checkpoint uint64   `json:"checkpoint"` // size of the newest
	Since      []uint64 `json:"since"`      // sizes of the checkpoints from elsewhere that hold
	SelfSigned bool     `json:"self_signed_only"`
	Unresolved []string `json:"unresolved"` // intents whose outcome is unknown
}

func newAuditVerify(s Streams, p *place) *cobra.Command {
	var since []string
	var dir, proof, key string
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read the whole ledger and find what was changed, removed, inserted, moved or cut off",
		Long: `Verify reads every line and holds its number, its hash, the tree and the newest checkpoint. With --since it also holds
checkpoints that were kept elsewhere. Without one, whoever owns the files and the key could have rewritten all of it:
verify then says "self-signed only".

With --proof it judges the proof of one event instead, which needs nothing but the ledger's verifier key.

Nothing is locked and nothing written: a running gate goes on. Exit code 4: the ledger is not what was written.`,
		Example: `  portreeve audit verify
  portreeve audit verify --since kept/checkpoint-2026-11-01 --json
  portreeve audit verify --dir /mnt/backup/audit
  portreeve audit verify --proof denied.tlog-proof --key ledger.pub`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				pl, err := p.plan(time.Now())
				if err != nil {
					return err
				}
				dir = pl.Audit.Dir
			}
			if proof != "" {
				return verifyProof(s, dir, proof, key, asJSON)
			}
			if key != "" {
				return usagef("--key stands without --proof")
			}
			if _, err := os.Stat(dir); err != nil {
				return usagef("there is no ledger at %s\nhint: name it with --dir, or the data directory with --config or --data", dir)
			}
			return verifyLedger(s, dir, since, asJSON)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&since, "since", nil, "hold a checkpoint kept elsewhere, a `FILE`: a checkpoint, or a copy of the events that a sink made (repeatable)")
	f.StringVar(&dir, "dir", "", "verify the ledger in `DIR`, a copy for example")
	f.StringVar(&proof, "proof", "", "judge the proof of an event in a `FILE`")
	f.StringVar(&key, "key", "", "`FILE` with the ledger's verifier key, for --proof (default: the ledger's own)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func verifyLedger(s Streams, dir string, since []string, asJSON bool) error {
	kept, err := readCheckpoints("--since", dir, since)
	if err != nil {
		return err
	}
	rep, err := ledger.Verify(dir, kept...)
	if err != nil && !ledger.Tampered(err) {
		return err
	}
	r := verifiedLedger{Schema: "portreeve/audit-verify/v1", Directory: dir, OK: err == nil, Lines: rep.Lines, Pruned: rep.Pruned, Origin: rep.Origin, Key: rep.Key,
		Checkpoint: rep.Checkpoint.Size, Since: append([]uint64{}, rep.Foreign...), SelfSigned: len(rep.Foreign) == 0, Unresolved: append([]string{}, rep.Unresolved...)}
	if err != nil {
		r.Problem = err.Error()
	}
	if asJSON {
		if werr := writeJSON(s, r); werr != nil {
			return werr
		}
	} else if err == nil {
		if werr := showVerified(s.Out, r); werr != nil {
			return werr
		}
	}
	if err != nil {
		return exit(integrity, fmt.Errorf("the ledger is not what was written: %w", err))
	}
	return nil
}

// readCheckpoints reads checkpoints of a ledger that were kept elsewhere. One of another ledger is as bad as one that does
// not hold.
func readCheckpoints(flag, dir string, files []string) ([]ledger.Checkpoint, error) {
	var out []ledger.Checkpoint
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, usagef("%s: %v", flag, err)
		}
		v, _, err := ledger.Verifier(dir)
		if err != nil {
			return nil, err
		}
		if bytes.HasPrefix(b, []byte("{")) {
			b = copied(b)
		}
		c, err := ledger.ReadCheckpoint(b, v)
		if errors.Is(err, ledger.ErrNotOurs) {
			return nil, exit(integrity, fmt.Errorf("%s %w: it is another ledger's, or this one was begun anew", name, err))
		}
		if err != nil {
			return nil, usagef("%s %v", name, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// copied finds the last checkpoint in a copy of a ledger's lines, as a sink has it.
func copied(text []byte) []byte {
	var last []byte
	for line := range bytes.Lines(text) {
		var e shown
		if json.Unmarshal(line, &e) == nil && e.Unmapped.Verb == ledger.CheckpointVerb {
			last = []byte(e.Message)
		}
	}
	return last
}

func showVerified(w io.Writer, r verifiedLedger) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "verified     %d lines of %s\n", r.Lines, cmp.Or(r.Origin, "an empty ledger"))
	if r.Pruned > 0 {
		fmt.Fprintf(&b, "pruned       lines 1 to %d were removed by retention; their hashes stand\n", r.Pruned)
	}
	fmt.Fprintf(&b, "checkpoint   line %d\n", r.Checkpoint)
	if r.SelfSigned {
		b.WriteString("witness      self-signed only: keep checkpoints elsewhere (portreeve audit checkpoint) and hold them with --since\n")
	} else {
		fmt.Fprintf(&b, "witness      %d checkpoints from elsewhere hold, up to line %d\n", len(r.Since), r.Since[len(r.Since)-1])
	}
	if n := len(r.Unresolved); n > 0 {
		fmt.Fprintf(&b, "unresolved   %d operations whose outcome is unknown: %s\n", n, strings.Join(r.Unresolved[:min(n, 5)], " "))
	}
	_, err := w.Write(b.Bytes())
	return err
}

func verifyProof(s Streams, dir, proof, key string, asJSON bool) error {
	b, err := os.ReadFile(proof)
	if err != nil {
		return usagef("--proof: %v", err)
	}
	var v note.Verifier
	if key == "" {
		v, _, err = ledger.Verifier(dir)
	} else {
		var text []byte
		if text, err = os.ReadFile(key); err == nil {
			v, err = note.NewVerifier(strings.TrimSpace(string(text)))
		}
	}
	if err != nil {
		return usagef("--key: %v", err)
	}
	p, err := ledger.ReadProof(b, v)
	if err != nil {
		return exit(integrity, fmt.Errorf("%s: %w", proof, err))
	}
	if asJSON {
		return writeJSON(s, provenEvent{"portreeve/audit-proof/v1", v.Name(), p.Index + 1, p.Checkpoint.Size, p.Line})
	}
	fmt.Fprintf(s.Err, "line %d of %s, by its checkpoint of %d lines\n", p.Index+1, v.Name(), p.Checkpoint.Size)
	_, err = fmt.Fprintf(s.Out, "%s\n", p.Line)
	return err
}

type provenEvent struct {
	Schema     string          `json:"schema"` // "portreeve/audit-proof/v1"
	Origin     string          `json:"origin"`
	Line       uint64          `json:"line"`
	Checkpoint uint64          `json:"checkpoint"`
	Event      json.RawMessage `json:"event"`
}

func newAuditProve(s Streams, p *place) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "prove EVENT",
		Short: "Write a proof that an event stands in the ledger; it needs no file of ours to be believed",
		Long: `Prove writes a proof (c2sp.org/tlog-proof) of one event: the event itself, the way to the tree's head, and the signed
checkpoint. EVENT is a request's id (Portreeve-Request-Id), an act's id, or a line's number. Of several lines with one id the
last is proven, which tells how it ended.

Who has the ledger's verifier key (portreeve audit checkpoint --key) believes it with any client of such logs.`,
		Example: `  portreeve audit prove 0193b7c2-6f6e-7d2c-9a51-2f7e8f1c4b11 > denied.tlog-proof
  portreeve audit prove 1734 --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return manage(cmd, p, rows, func(ctx context.Context, c *management.Client) error {
				r, err := c.Prove(ctx, strings.TrimPrefix(args[0], "urn:uuid:"))
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(s, r)
				}
				fmt.Fprintf(s.Err, "line %d is proven\n", r.Line)
				if len(r.Lines) > 1 {
					fmt.Fprintf(s.Err, "the same id have the lines %s\n", strings.Trim(fmt.Sprint(r.Lines), "[]"))
				}
				_, err = io.WriteString(s.Out, r.Proof)
				return err
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newAuditQuery(s Streams, p *place) *cobra.Command {
	var q management.EventQuery
	var since, until string
	var asJSON bool
	c := &cobra.Command{
		Use:   "query",
		Short: "Find events by who, what, decision, reason and time",
		Example: `  portreeve audit query --subject alice --since 24h
  portreeve audit query --decision deny --reason not_owner --json
  portreeve audit query --class "Entity Management" --verb key.create
  portreeve audit query --object 42 --operation getReport --since 2026-11-01 --until 2026-11-02`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			var err error
			if q.Since, err = instant("since", since, now); err != nil {
				return err
			}
			if q.Until, err = instant("until", until, now); err != nil {
				return err
			}
			return manage(cmd, p, rows, func(ctx context.Context, c *management.Client) error {
				l, err := c.Events(ctx, q)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(s, l)
				}
				for _, e := range l.Events {
					if err := showEvent(s.Out, e); err != nil {
						return err
					}
				}
				switch {
				case len(l.Events) == 0:
					fmt.Fprintln(s.Err, "no such event")
				case l.More:
					fmt.Fprintf(s.Err, "there are older ones: --limit says how many are shown\n")
				}
				return nil
			})
		},
	}
	f := c.Flags()
	f.StringVar(&q.ID, "id", "", "of the exchange or act, an `ID`")
	f.StringVar(&q.Subject, "subject", "", "who, a `SUBJECT`")
	f.StringVar(&q.Credential, "credential", "", "with which credential, the `ID` of a key or token")
	f.StringVar(&q.Address, "address", "", "from which `IP`")
	f.StringVar(&q.Operation, "operation", "", "which operation, an `operationId`")
	f.StringVar(&q.Object, "object", "", "which object, its `ID`; or the target of an act")
	f.StringVar(&q.Decision, "decision", "", "`permit`, deny or observe")
	f.StringVar(&q.Reason, "reason", "", "why, a fine `REASON`")
	f.StringVar(&q.Verb, "verb", "", "which act, a `VERB`: key.create")
	f.StringVar(&q.Class, "class", "", "OCSF class `NAME`: API Activity")
	f.StringVar(&since, "since", "", "from a `TIME` on: 24h, 2026-11-01, RFC 3339")
	f.StringVar(&until, "until", "", "before a `TIME`")
	f.IntVar(&q.Limit, "limit", 100, "at most the newest `N`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// instant reads a time in the past: a length of time before now, a day, or a time (RFC 3339).
func instant(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	d, err := span(flag, text)
	if err != nil {
		return time.Time{}, usagef("--%s: %q is no time; write 24h, 2026-11-01 or 2026-11-01T12:00:00Z", flag, text)
	}
	return now.Add(-d), nil
}

// shown is what a person wants to see of an event.
type shown struct {
	Time     int64  `json:"time"`
	Class    string `json:"class_name"`
	Message  string `json:"message"`
	Count    int    `json:"count"`
	Metadata struct {
		UID string `json:"correlation_uid"`
	} `json:"metadata"`
	Actor struct {
		User struct {
			Type string `json:"type"`
			UID  string `json:"uid"`
		} `json:"user"`
	} `json:"actor"`
	API struct {
		Operation string `json:"operation"`
	} `json:"api"`
	Request struct {
		Method string `json:"http_method"`
		URL    struct {
			Path string `json:"path"`
		} `json:"url"`
	} `json:"http_request"`
	Response struct {
		Code int `json:"code"`
	} `json:"http_response"`
	Source struct {
		IP string `json:"ip"`
	} `json:"src_endpoint"`
	Authorizations []struct {
		Decision string `json:"decision"`
	} `json:"authorizations"`
	Unmapped struct {
		Phase  string `json:"phase"`
		Reason string `json:"reason"`
		Verb   string `json:"verb"`
		Target string `json:"target"`
	} `json:"unmapped"`
	Ledger struct {
		Seq uint64 `json:"seq"`
	} `json:"ledger"`
}

// showEvent prints an event in one line.
func showEvent(w io.Writer, line []byte) error {
	var e shown
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("reading event: %w", err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%6d  %s  ", e.Ledger.Seq, time.UnixMilli(e.Time).UTC().Format("2006-01-02T15:04:05.000Z"))
	who := cmp.Or(e.Actor.User.UID, e.Actor.User.Type, "-")
	if e.API.Operation == "" {
		fmt.Fprintf(&b, "%-8s %-12s %s %s %s", cmp.Or(e.Unmapped.Phase, "-"), who, cmp.Or(e.Unmapped.Verb, e.Class), e.Unmapped.Target, e.Message)
	} else {
		decision := e.Unmapped.Phase
		if len(e.Authorizations) > 0 && decision != string(ledger.Intent) {
			decision = e.Authorizations[0].Decision
		}
		fmt.Fprintf(&b, "%-8s %-12s %s %s", decision, who, e.Request.Method, cmp.Or(e.Request.URL.Path, e.API.Operation))
		if e.Response.Code != 0 {
			fmt.Fprintf(&b, " %d", e.Response.Code)
		}
		if e.Unmapped.Reason != "" {
			fmt.Fprintf(&b, " %s", e.Unmapped.Reason)
		}
		if e.Count > 0 {
			fmt.Fprintf(&b, " ×%d", e.Count)
		}
		fmt.Fprintf(&b, "  %s %s", e.Source.IP, e.Metadata.UID)
	}
	_, err := fmt.Fprintln(w, strings.TrimRight(text.Clean(b.String()), " "))
	return err
}

func newAuditTail(s Streams, p *place) *cobra.Command {
	var q management.TailOf
	var asJSON bool
	c := &cobra.Command{
		Use:   "tail",
		Short: "Show the newest events, and those that come",
		Example: `  portreeve audit tail
  portreeve audit tail --follow --lines 0
  portreeve audit tail --follow --json | jq .http_response.code`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return manage(cmd, p, rows, func(ctx context.Context, c *management.Client) error {
				return c.Tail(ctx, q, func(line []byte) error {
					if asJSON {
						_, err := fmt.Fprintf(s.Out, "%s\n", line)
						return err
					}
					return showEvent(s.Out, line)
				})
			})
		},
	}
	f := c.Flags()
	f.IntVarP(&q.Lines, "lines", "n", 10, "begin with the newest `N`")
	f.BoolVarP(&q.Follow, "follow", "f", false, "go on with those that come")
	f.BoolVar(&asJSON, "json", false, "print the ledger's own lines")
	return c
}

func newAuditCheckpoint(s Streams, p *place) *cobra.Command {
	var keyOnly, asJSON bool
	c := &cobra.Command{
		Use:   "checkpoint",
		Short: "Sign what the ledger holds now; keep it where the owner of the ledger cannot reach it",
		Example: `  portreeve audit checkpoint > kept/checkpoint-$(date +%F)
  portreeve audit checkpoint --key > ledger.pub`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return manage(cmd, p, rows, func(ctx context.Context, c *management.Client) error {
				r, err := c.Seal(ctx)
				if err != nil {
					return err
				}
				switch {
				case asJSON:
					return writeJSON(s, r)
				case keyOnly:
					_, err = fmt.Fprintln(s.Out, r.Key)
				default:
					_, err = io.WriteString(s.Out, r.Checkpoint)
				}
				return err
			})
		},
	}
	f := c.Flags()
	f.BoolVar(&keyOnly, "key", false, "print the verifier key instead")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
