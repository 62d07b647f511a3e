package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/management"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/sqlite"
)

// defaultData is the data directory where neither flag nor configuration names one.
const defaultData = "data"

// place is where a management command acts: the gate that serves a data directory, or the directory itself.
type place struct {
	config, data string
}

func (p *place) flags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&p.config, "config", "", "configuration `FILE` (default: portreeve.yaml, if it is here)")
	f.StringVar(&p.data, "data", "", "data `DIR`, instead of a configuration (default ./data)")
	_ = c.MarkPersistentFlagFilename("config", "yaml", "yml")
	_ = c.MarkPersistentFlagDirname("data")
}

// need is what a command must find.
type need uint8

const (
	rows   need = iota // a data directory that is there
	fresh              // a data directory, made if need be
	issuer             // one that is there, and a configuration, unless a gate runs
)

// patience is how long a command waits for another one that has the data directory, or for a gate that is just starting
// or stopping.
const patience = 5 * time.Second

// open returns what acts, and what gives it back. A running gate is asked; where none runs the data directory is opened
// here, for as long as the command takes.
func (p *place) open(cmd *cobra.Command, n need) (*management.Client, func() error, error) {
	ctx := cmd.Context()
	pl, err := p.plan(time.Now())
	if err != nil {
		return nil, nil, err
	}
	for deadline := time.Now().Add(patience); ; {
		c, err := management.Dial(ctx, pl.Server.Data)
		if err == nil {
			return c, func() error { return nil }, nil
		}
		if !errors.Is(err, management.ErrNotRunning) {
			return nil, nil, err
		}
		s, err := p.state(ctx, pl, n, cmd.CommandPath())
		if err == nil {
			return management.InProcess(s), s.Close, nil
		}
		var locked *keys.LockedError
		if !errors.As(err, &locked) {
			return nil, nil, err
		}
		if time.Now().After(deadline) {
			return nil, nil, fmt.Errorf("%w\nhint: its admin socket does not answer; if it is still starting or stopping, try again", err)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// plan is the configuration's, or one that only knows the data directory; that one has no hash.
func (p *place) plan(now time.Time) (*plan.Plan, error) {
	if p.config != "" && p.data != "" {
		return nil, usagef("--config and --data exclude each other: a configuration names its data directory itself")
	}
	path := p.config
	if path == "" && p.data == "" {
		if _, err := os.Stat(defaultConfig); err == nil {
			path = defaultConfig
		}
	}
	if path != "" {
		return compile.Load(path, now)
	}
	dir := p.data
	if dir == "" {
		dir = defaultData
	}
	bare := &plan.Plan{Staleness: time.Minute}
	bare.Server.Data, bare.Server.Store.SQLite, bare.Audit.Dir = dir, filepath.Join(dir, "portreeve.db"), filepath.Join(dir, "audit")
	return bare, nil
}

func (p *place) state(ctx context.Context, pl *plan.Plan, n need, who string) (*deployment.State, error) {
	bare := pl.Hash == ""
	if n == issuer && bare {
		return nil, usagef("no gate runs on %s, and without one the configuration is needed: it names issuer, audience and lifetime\nhint: give --config, or start portreeve serve", pl.Server.Data)
	}
	if n != fresh {
		if _, err := os.Lstat(pl.Server.Store.SQLite); errors.Is(err, fs.ErrNotExist) {
			return nil, usagef("there is no store at %s\nhint: name the data directory with --config or --data; key create and user add make one", pl.Server.Store.SQLite)
		}
	}
	return deployment.OpenState(ctx, pl, deployment.Options{Who: who, Open: func(ctx context.Context, path string) (deployment.Store, error) {
		if bare { // here and not before: the directory is ours now, and nobody is about to fill it
			if err := whole(pl); err != nil {
				return nil, err
			}
		}
		return sqlite.Open(ctx, path)
	}})
}

// whole refuses a data directory of which the configuration has put a part elsewhere: keys would be made in a store that
// no gate reads, or acts recorded in a ledger that nobody looks at.
func whole(pl *plan.Plan) error {
	here := func(path string) bool {
		_, err := os.Lstat(path)
		return !errors.Is(err, fs.ErrNotExist)
	}
	dir := pl.Server.Data
	const hint = "\nhint: give --config, which says where it is"
	store := here(pl.Server.Store.SQLite)
	switch {
	case !store && (here(filepath.Join(dir, keys.SigningKeyFile)) || here(filepath.Join(dir, keys.PeppersFile))):
		return usagef("%s holds key material but no store%s", dir, hint)
	case store && !here(pl.Audit.Dir):
		return usagef("%s holds a store but no ledger%s, or make the directory %s if there never was one", dir, hint, pl.Audit.Dir)
	}
	return nil
}

// manage runs a command's act and gives everything back.
func manage(cmd *cobra.Command, p *place, n need, act func(context.Context, *management.Client) error) error {
	c, done, err := p.open(cmd, n)
	if err != nil {
		return err
	}
	err = act(cmd.Context(), c)
	if derr := done(); err == nil {
		err = derr
	}
	return err
}

// warn says what was done all the same but may not be what was meant.
func warn(s Streams, warnings []string) {
	for _, w := range warnings {
		fmt.Fprintf(s.Err, "portreeve: warning: %s\n", w)
	}
}

// span reads a length of time: 15m, 24h, 90d, 2w.
func span(flag, text string) (time.Duration, error) {
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if digits, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.ParseUint(digits, 10, 16)
			if err != nil {
				break
			}
			return time.Duration(n) * length, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, usagef("--%s: %q is no length of time; write 15m, 24h, 90d or 2w", flag, text)
	}
	return d, nil
}

// moment reads when something ends: a length of time from now, a day, or a time (RFC 3339).
func moment(flag, text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	d, err := span(flag, text)
	if err != nil {
		return time.Time{}, usagef("--%s: %q is neither a length of time (90d) nor a date (2027-01-31, or RFC 3339)", flag, text)
	}
	return now.Add(d), nil
}

// shortDate is a time as tables show it; never for none.
func shortDate(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}

// maxSecret bounds a secret that is read from standard input.
const maxSecret = 64 << 10

// readLine reads one line from standard input: a secret that must not stand in the arguments, where every user of the
// machine sees it.
func readLine(s Streams, what string) (string, error) {
	b, err := io.ReadAll(io.LimitReader(s.In, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", what, err)
	}
	if len(b) > maxSecret {
		return "", usagef("the %s on standard input is too long", what)
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	switch {
	case line == "":
		return "", usagef("no %s came on standard input", what)
	case strings.ContainsAny(line, "\r\n\x00"):
		return "", usagef("standard input must hold one line, the %s", what)
	}
	return line, nil
}

// readPassword reads a new password: from a terminal twice and without echo, from anything else as one line.
func readPassword(ctx context.Context, s Streams, user string) (string, error) {
	f, ok := s.In.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return readLine(s, "password")
	}
	first, err := hidden(ctx, f, s.Err, "New password of "+user+": ")
	if err != nil {
		return "", err
	}
	second, err := hidden(ctx, f, s.Err, "Again: ")
	if err != nil {
		return "", err
	}
	if !bytes.Equal(first, second) {
		return "", usagef("the two passwords differ")
	}
	return string(first), nil
}

// hidden asks on a terminal. Ctrl-C ends the asking, with the terminal as it was.
func hidden(ctx context.Context, f *os.File, w io.Writer, prompt string) ([]byte, error) {
	fd := int(f.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("reading password: %w", err)
	}
	fmt.Fprint(w, prompt)
	type line struct {
		text []byte
		err  error
	}
	got := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		got <- line{text, err}
	}()
	select {
	case l := <-got:
		fmt.Fprintln(w)
		if l.err != nil {
			return nil, fmt.Errorf("reading password: %w", l.err)
		}
		return l.text, nil
	case <-ctx.Done():
		fmt.Fprintln(w)
		return nil, errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}
