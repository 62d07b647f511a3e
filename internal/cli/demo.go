package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/demo"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/jose"
	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/management"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/server"
	scratch "github.com/portreeve/portreeve/internal/store/sqlite"
)

func newDemo(s Streams) *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use:   "demo",
		Short: "A vulnerable API, naked on one port and guarded on another",
		Long: `Demo starts a small API twice, each with a database of its own: once naked, with every fault that security guides warn
of, and once behind the gate, where it answers nobody else. It prints commands that attack both, and says where the
identities are: demo.json in the data directory.

--once runs all of them itself, prints control by control what came back, and ends: with 0 when the gate held off every
attack and let every lawful use pass, with 1 when not. --attack does not know the faults: it finds them, by the document and
the configuration alone, on the naked API, the guarded one and the same API written well, and compares.

--tls has the gate speak HTTPS. Its certificate is made at the start and ends after a day; the CA that signed it, ca.pem in
the data directory, has signed nothing else, and its key is kept nowhere.

The naked API does what it is told by anybody. It listens on this machine alone.`,
		Example: `  portreeve demo
  portreeve demo --once
  portreeve demo --data ./demo --listen 127.0.0.1:8080 --naked-listen 127.0.0.1:8081
  portreeve demo --attack --prove evidence/
  portreeve demo --attack         # find every fault by itself, on the naked, the guarded and the mended API
  portreeve demo --once --fixed   # the same API written well, with and without the gate
  portreeve demo --tls            # the gate speaks HTTPS, with a certificate made for the occasion`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return demonstrate(cmd.Context(), s, o) },
	}
	f := c.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`ADDRESS` of the gate")
	f.StringVar(&o.naked, "naked-listen", "127.0.0.1:8081", "`ADDRESS` of the naked API")
	f.StringVar(&o.admin, "admin-listen", "127.0.0.1:9443", "`ADDRESS` of the gate's admin listener")
	f.StringVar(&o.data, "data", "", "`DIR` to keep everything in (default: a temporary one, removed at the end)")
	f.BoolVar(&o.once, "once", false, "run every demonstration, print what came back, and end")
	f.BoolVar(&o.attack, "attack", false, "attack the naked, the guarded and the mended API, print what was found, and end")
	f.BoolVar(&o.fixed, "fixed", false, "use the same API without its faults")
	f.BoolVar(&o.tls, "tls", false, "have the gate speak HTTPS")
	f.StringVar(&o.prove, "prove", "", "with --attack: gather the evidence about the guarded side in this new `DIR`")
	f.BoolVar(&o.json, "json", false, "with --once or --attack: print JSON")
	f.StringVar(&o.expose, "unsafe-expose-naked", "", "let the naked API listen off this machine, for this `REASON`")
	_ = c.MarkFlagDirname("data")
	return c
}

type demoOptions struct {
	listen, naked, admin, data, expose, prove string
	once, attack, fixed, tls, json            bool
}

// demonstrate puts the two sides up and shows them.
func demonstrate(ctx context.Context, s Streams, o demoOptions) (err error) {
	if o.json && !o.once && !o.attack {
		return usagef("--json goes with --once or --attack")
	}
	if o.prove != "" && !o.attack {
		return usagef("--prove goes with --attack: it is the attack that shows something")
	}
	if o.attack && (o.once || o.fixed) {
		return usagef("--attack goes without --once and --fixed: it attacks the mended API too")
	}
	for _, f := range []struct{ name, address string }{{"--listen", o.listen}, {"--naked-listen", o.naked}, {"--admin-listen", o.admin}} {
		if _, _, err := net.SplitHostPort(f.address); err != nil {
			return usagef("%s %q is not an address with a port\nhint: write 127.0.0.1:8080", f.name, f.address)
		}
		if f.name != "--naked-listen" && !loopback(f.address) {
			return usagef("%s %s is not on loopback, and the demonstration is for this machine alone\nhint: use 127.0.0.1; to guard an API for others, see portreeve serve --help", f.name, f.address)
		}
	}
	if !loopback(o.naked) && strings.TrimSpace(o.expose) == "" {
		return usagef("--naked-listen %s is not on loopback, and the naked API gives everything to everybody\nhint: use 127.0.0.1, or say why with --unsafe-expose-naked REASON", o.naked)
	}
	dir, clean, err := demoDirectory(o.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clean()) }()
	release, err := keys.Lock(dir, "portreeve demo", time.Now())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	d := &demonstration{demoOptions: o, begun: time.Now().UTC(), streams: s, dir: dir, log: slog.New(slog.NewTextHandler(s.Err, &slog.HandlerOptions{Level: slog.LevelError}))}
	if err := d.listeners(); err != nil {
		return hintListen(err)
	}
	defer d.stop()
	p, err := d.plan()
	if err != nil {
		return err
	}
	return serve(ctx, p, serving{log: d.log, who: "portreeve demo", ready: d.run})
}

// loopback reports whether an address to listen on is reachable from this machine alone.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// demoDirectory makes the data directory. One that is not the demonstration's is not written into.
func demoDirectory(dir string) (path string, clean func() error, err error) {
	if dir == "" {
		path, err = os.MkdirTemp("", "portreeve-")
		if err != nil {
			return "", nil, fmt.Errorf("making a temporary directory: %w", err)
		}
		return path, func() error { return os.RemoveAll(path) }, nil
	}
	if path, err = filepath.Abs(dir); err != nil {
		return "", nil, fmt.Errorf("finding %s: %w", dir, err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", nil, fmt.Errorf("making data directory: %w", err)
	}
	if _, err := os.Lstat(filepath.Join(path, "lock")); errors.Is(err, fs.ErrNotExist) {
		for _, name := range []string{demo.DocumentName, demo.ConfigurationName, demo.FileName} {
			if _, err := os.Lstat(filepath.Join(path, name)); !errors.Is(err, fs.ErrNotExist) {
				return "", nil, usagef("--data %s: there is %s already, and it is not the demonstration's\nhint: name a new directory", dir, name)
			}
		}
	}
	return path, func() error { return nil }, nil
}

// demonstration is a run of demo.
type demonstration struct {
	demoOptions
	begun   time.Time // before the ledger's first event
	streams Streams
	dir     string
	log     *slog.Logger

	nakedListener, behindListener net.Listener
	closers                       []func()

	deployment *deployment.Deployment
	roots      *x509.CertPool // of the gate's certificate; nil: it speaks plain HTTP
	certified  time.Time
	file       demo.File
}

// listeners takes the two ports of the API, and fixes the gate's where the system was to choose: its URL stands in the
// plan, so it must be known before.
func (d *demonstration) listeners() (err error) {
	if d.nakedListener, err = net.Listen("tcp", d.naked); err != nil {
		return &server.ListenError{Key: "--naked-listen", Address: d.naked, Err: err}
	}
	d.closers = append(d.closers, func() { d.nakedListener.Close() })
	if d.behindListener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		d.stop()
		return &server.ListenError{Key: "the API behind the gate", Address: "127.0.0.1:0", Err: err}
	}
	d.closers = append(d.closers, func() { d.behindListener.Close() })
	for _, a := range []*string{&d.listen, &d.admin} {
		host, port, err := net.SplitHostPort(*a)
		if err != nil || port != "0" {
			continue
		}
		l, err := net.Listen("tcp", *a)
		if err != nil {
			d.stop()
			return &server.ListenError{Key: "--listen", Address: *a, Err: err}
		}
		*a = net.JoinHostPort(host, fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
		l.Close()
	}
	return nil
}

func (d *demonstration) stop() {
	for _, c := range slices.Backward(d.closers) {
		c()
	}
	d.closers = nil
}

// plan writes document and configuration, and compiles them as serve would.
func (d *demonstration) plan() (*plan.Plan, error) {
	_, port, err := net.SplitHostPort(d.listen)
	if err != nil {
		return nil, fmt.Errorf("reading the gate's address: %w", err)
	}
	settings := demo.Settings{URL: "http://" + d.listen, Listen: d.listen, Admin: d.admin, Upstream: "http://" + d.behindListener.Addr().String(), TLS: d.tls}
	if d.tls {
		settings.URL = "https://" + d.listen
		if err := d.certify(time.Now()); err != nil {
			return nil, err
		}
	}
	for _, host := range demo.Hosts {
		if name := net.JoinHostPort(host, port); name != d.listen {
			settings.Hosts = append(settings.Hosts, name)
		}
	}
	path, err := settings.WriteFiles(d.dir)
	if err != nil {
		return nil, err
	}
	return compile.Load(path, time.Now())
}

// certify makes the gate's certificate anew.
func (d *demonstration) certify(now time.Time) (err error) {
	if err := demo.WriteCertificate(d.dir, now); err != nil {
		return err
	}
	d.certified = now
	d.roots, err = demo.ReadRoots(d.dir)
	return err
}

// run is called once the gate listens. It returns when the demonstration is over.
func (d *demonstration) run(ctx context.Context, l *server.Server, dep *deployment.Deployment) error {
	d.deployment = dep
	if !loopback(d.naked) {
		d.log.Error("the naked API listens off this machine", "address", d.nakedListener.Addr().String(), "reason", d.expose)
		if err := dep.Announce(ctx, "unsafe_expose_naked", d.expose); err != nil {
			return err
		}
	}
	old, _ := demo.ReadFile(d.dir) // of an earlier start: its passwords are kept
	if err := os.Remove(filepath.Join(d.dir, demo.FileName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the last demo.json: %w", err)
	}
	d.file = demo.File{Guarded: l.URL(), Naked: "http://" + d.nakedListener.Addr().String(), Admin: l.Admin(), Document: filepath.Join(d.dir, demo.DocumentName)}
	ctx = management.WithActor(ctx, fmt.Sprintf("uid:%d", os.Getuid()))
	if err := d.identities(ctx, old.Identities); err != nil {
		return err
	}
	if err := d.apis(ctx, d.file.Identities); err != nil {
		return err
	}
	if err := d.file.Write(d.dir); err != nil {
		return err
	}
	e := dep.Plan().Identity.Embedded
	forged, err := demo.Forge(e.Issuer, e.Audience, dep.Signer.Sign, time.Now())
	if err != nil {
		return err
	}
	sides := demo.Endpoints{Naked: d.file.Naked, Guarded: d.file.Guarded, Around: "http://" + d.behindListener.Addr().String(),
		File: filepath.Join(d.dir, demo.FileName), Identities: d.file.Identities, CA: filepath.Join(d.dir, demo.CAName), Roots: d.roots}
	list := demo.Demonstrations(forged)
	if d.attack {
		return d.attackAll(ctx, list) // the naked API is attacked over plain HTTP: what TLS protects is none of its faults
	}
	if d.tls {
		list = demo.OverTLS(list)
	}
	if d.once {
		return d.runAll(ctx, sides, list)
	}
	return d.keepRunning(ctx, l, sides, list)
}

// identities makes each person a user with a password, a token and a key.
func (d *demonstration) identities(ctx context.Context, old []demo.Identity) error {
	client := management.InProcess(d.deployment.State)
	known, err := client.Users(ctx)
	if err != nil {
		return err
	}
	if err := d.revokeKeys(ctx, client); err != nil {
		return err
	}
	changed := false
	for _, p := range demo.People() {
		id := demo.Identity{Name: p.Name, Role: p.Role, UserID: p.ID}
		for _, o := range old {
			if o.Name == p.Name {
				id.Password = o.Password
			}
		}
		there := slices.ContainsFunc(known.Users, func(u management.User) bool { return u.Name == p.Name })
		fits := false
		if there && id.Password != "" {
			_, err := d.deployment.Manager.VerifyPassword(ctx, p.Name, id.Password)
			fits = err == nil
		}
		if !fits {
			if id.Password, err = demo.NewPassword(rand.Reader); err != nil {
				return err
			}
		}
		switch {
		case !there:
			_, err = client.AddUser(ctx, management.NewUser{Name: p.Name, Subject: p.Subject(), Roles: []string{p.Role}, Password: id.Password})
		case !fits:
			changed = true
			_, err = client.SetPassword(ctx, p.Name, id.Password)
		}
		if err != nil {
			return fmt.Errorf("making user %s: %w", p.Name, err)
		}
		k, err := client.CreateKey(ctx, management.NewKey{Owner: p.Subject(), Purpose: keyPurpose, Roles: []string{p.Role}, Expires: time.Now().Add(24 * time.Hour)})
		if err != nil {
			return fmt.Errorf("making a key for %s: %w", p.Name, err)
		}
		id.APIKey = k.Secret
		d.file.Identities = append(d.file.Identities, id)
	}
	if changed { // a new password ends the tokens of this very second too
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(time.Now().Truncate(time.Second).Add(time.Second))):
		}
	}
	return d.tokens(ctx)
}

const keyPurpose = "demonstration"

// revokeKeys ends the keys of an earlier start: nobody has them any more.
func (d *demonstration) revokeKeys(ctx context.Context, client *management.Client) error {
	for _, p := range demo.People() {
		list, err := client.Keys(ctx, p.Subject())
		if err != nil {
			return err
		}
		for _, k := range list.Keys {
			if k.Purpose == keyPurpose && k.Status == "active" {
				if _, err := client.RevokeKey(ctx, k.ID); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// tokens issues everybody a new one.
func (d *demonstration) tokens(ctx context.Context) error {
	client := management.InProcess(d.deployment.State)
	for i, p := range demo.People() {
		t, err := client.IssueToken(ctx, management.NewToken{User: p.Name, AMR: p.AMR})
		if err != nil {
			return fmt.Errorf("issuing a token for %s: %w", p.Name, err)
		}
		d.file.Identities[i].Token = t.Token
	}
	return nil
}

// apis starts the API twice, each on a new database of its own.
func (d *demonstration) apis(ctx context.Context, ids []demo.Identity) error {
	naked, err := d.api(ctx, "naked", ids)
	if err != nil {
		return err
	}
	behind, err := d.api(ctx, "guarded", ids)
	if err != nil {
		return err
	}
	p := d.deployment.Plan()
	jwks, err := demo.FetchJWKS(ctx, d.file.Guarded, d.roots)
	if err != nil {
		return err
	}
	guarded, err := demo.Behind(behind, demo.Assertions{JWKS: jwks, Issuer: p.PublicURL, Audience: demo.Audience, Now: time.Now})
	if err != nil {
		return err
	}
	d.start(d.nakedListener, naked)
	d.start(d.behindListener, guarded)
	return nil
}

func (d *demonstration) api(ctx context.Context, name string, ids []demo.Identity) (http.Handler, error) {
	path := filepath.Join(d.dir, name+".db")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("removing the last database: %w", err)
		}
	}
	db, err := scratch.OpenScratch(ctx, path)
	if err != nil {
		return nil, err
	}
	d.closers = append(d.closers, func() { db.Close() })
	if !d.fixed {
		return demo.Naked(db), demo.SeedNaked(ctx, db, ids)
	}
	return d.fixedAPI(ctx, db, name, ids)
}

func (d *demonstration) fixedAPI(ctx context.Context, db *sql.DB, name string, ids []demo.Identity) (http.Handler, error) {
	if err := demo.SeedFixed(ctx, db, ids); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(d.dir, name+".log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the API's log: %w", err)
	}
	d.closers = append(d.closers, func() { log.Close() })
	a, err := newAuthority(d.deployment)
	if err != nil {
		return nil, err
	}
	p := d.deployment.Plan()
	return demo.Fixed(db, demo.FixedOptions{Authority: a, Origin: p.CORS.Origins[0], Contact: p.Help.Contact[0], Log: slog.New(slog.NewJSONHandler(log, nil)), Now: time.Now})
}

func (d *demonstration) start(l net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug)}
	d.closers = append(d.closers, func() { s.Close() })
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			d.log.Error("the API stopped", "address", l.Addr().String(), "cause", err.Error())
		}
	}()
}

// runAll makes every demonstration and says what came out.
func (d *demonstration) runAll(ctx context.Context, sides demo.Endpoints, list []demo.Demonstration) error {
	rows := demo.Run(ctx, sides, list)
	if err := ctx.Err(); err != nil {
		return err
	}
	report := demo.NewReport(rows)
	if d.json {
		if err := writeJSON(d.streams, report); err != nil {
			return err
		}
	} else if _, err := demo.Print(d.streams.Out, sides, rows); err != nil {
		return err
	}
	if !report.Held {
		return exit(failed, errors.New("the guarded side was not everywhere as it must be"))
	}
	return nil
}

// renewal is how often tokens are issued anew: they last an hour.
const renewal = 20 * time.Minute

// keepRunning prints what to try and waits for the end, with tokens that are always fresh.
func (d *demonstration) keepRunning(ctx context.Context, l *server.Server, sides demo.Endpoints, list []demo.Demonstration) error {
	if err := demo.PrintCurls(d.streams.Out, sides, list); err != nil {
		return err
	}
	api := "the same API, naked, with every fault"
	if d.fixed {
		api = "the same API, written well, without the gate"
	}
	_, err := fmt.Fprintf(d.streams.Out, `
guarded   %s
naked     %s   %s
admin     %s
who       %s

All of the above are commands to paste; they need curl and jq. Ctrl-C ends the demonstration.
`, d.file.Guarded, d.file.Naked, api, d.file.Admin, sides.File)
	if err != nil {
		return err
	}
	tick := time.NewTicker(renewal)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := cmp.Or(d.tokens(ctx), d.file.Write(d.dir), d.recertify(l, time.Now())); err != nil {
				return err
			}
		}
	}
}

// recertify renews a certificate that is past half its life.
func (d *demonstration) recertify(l *server.Server, now time.Time) error {
	if !d.tls || now.Sub(d.certified) < demo.CertificateLifetime/2 {
		return nil
	}
	if err := d.certify(now); err != nil {
		return err
	}
	return l.Take(d.deployment.Plan())
}

// authority lets the API that guards itself believe what the gate would believe.
type authority struct {
	deployment *deployment.Deployment
	verifier   *jose.Verifier
}

func newAuthority(d *deployment.Deployment) (*authority, error) {
	set, err := jose.NewKeySet(d.Signer.Key())
	if err != nil {
		return nil, err
	}
	e := d.Plan().Identity.Embedded
	return &authority{d, &jose.Verifier{Issuer: e.Issuer, Audience: []string{e.Audience}, Types: []string{"at+jwt"}, Required: []string{"jti"},
		MaxLifetime: e.Lifetime, Keys: set}}, nil
}

// strongFor is how long a second factor counts.
const strongFor = time.Hour

func (a *authority) Token(ctx context.Context, token string) (demo.Caller, error) {
	now := a.deployment.Clock()
	c, err := a.verifier.Verify(ctx, token, now)
	if err != nil {
		return demo.Caller{}, err
	}
	dir := a.deployment.Directory
	if dir.Revoked(compile.Embedded, c.Subject, c.ID, c.IssuedAt) || dir.RevokedKey(compile.Embedded, c.KeyID, c.IssuedAt) {
		return demo.Caller{}, demo.ErrUnproven
	}
	u, err := dir.User(c.Subject)
	if err != nil {
		return demo.Caller{}, err
	}
	if u.Disabled {
		return demo.Caller{}, demo.ErrUnproven
	}
	amr, _ := c.All["amr"].([]any)
	return demo.Caller{Subject: c.Subject, Roles: u.Roles, Strong: slices.Contains(amr, any("mfa")) && now.Sub(c.AuthTime) <= strongFor}, nil
}

func (a *authority) Key(_ context.Context, key string, from netip.Addr) (demo.Caller, error) {
	k, err := a.deployment.Directory.Authenticate(key, from, a.deployment.Clock())
	if err != nil {
		return demo.Caller{}, err
	}
	return demo.Caller{Subject: k.Owner, Roles: k.Roles}, nil
}
