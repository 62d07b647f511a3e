package mutant

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/portreeve/portreeve/internal/attack"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/gate"
	"github.com/portreeve/portreeve/internal/gate/audit"
	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/secret"
)

// Person is somebody the attacks call as. The stand makes a user, a token and a key for each.
type Person struct {
	Name, Role, UserID string
	Password           string // for the API's own sign-in
	AMR                []string
}

// stand is where mutants are put up: one data directory, and people whom every gate knows.
type stand struct {
	Options
	base        *plan.Plan
	state       *deployment.State
	people      *attack.People
	arms        arms
	certificate tls.Certificate
	roots       *x509.CertPool
}

// The embedded issuer is the plan's compile.Embedded, and what a principal of it is called.
const embedded = "embedded"

// outsiderID names the outsider, as a number and as a text.
const outsiderID = "990001"

// twoFactors is how a token says that more than one was shown (RFC 8176).
var twoFactors = []string{"pwd", "otp", "mfa"}

// newStand opens a data directory below dir and fills it.
func newStand(ctx context.Context, o Options, dir string) (_ *stand, err error) {
	s := &stand{Options: o}
	if s.base, err = altered(o.Plan, func(p *plan.Plan) { prepare(p, filepath.Join(dir, "gate")) }); err != nil {
		return nil, err
	}
	if s.state, err = deployment.OpenState(ctx, s.base, deployment.Options{Open: o.Store, Who: "portreeve attack --mutants"}); err != nil {
		return nil, err
	}
	if err = errors.Join(s.populate(ctx), s.certify(time.Now())); err != nil {
		return nil, errors.Join(err, s.state.Close())
	}
	return s, nil
}

// prepare makes a plan one that a stand can serve: with state of its own, and with tokens that it can issue itself. Whose
// tokens the deployment believes is no part of what is tried; what it asks of them is.
func prepare(p *plan.Plan, data string) {
	if d, err := readDocument(p); err == nil {
		p.Document = d.raw() // so that two plans differ only where they say something else
	}
	p.Server.Data, p.Server.Store = data, plan.Store{SQLite: filepath.Join(data, "portreeve.db")}
	p.Server.TLS, p.Server.Plain = plan.TLS{}, ""
	p.Audit.Dir = filepath.Join(data, "audit")
	p.Upstream.Headers = slices.DeleteFunc(p.Upstream.Headers, func(h plan.Header) bool { return h.Secret != secret.Ref{} })
	if p.Identity.Embedded == nil {
		p.Identity.Embedded = &plan.Embedded{Issuer: "https://mutant.invalid", Audience: "mutant", Lifetime: time.Hour}
	}
	p.Identity.Issuers, p.Identity.Certificates = nil, nil
	for i := range p.Identity.Schemes {
		sc := &p.Identity.Schemes[i]
		if sc.Certificates {
			sc.Certificates, sc.Location = false, plan.InBearer
		}
		if !sc.Keys {
			sc.Issuers = []string{embedded}
		}
	}
	for _, op := range p.Operations {
		if op.Object != nil && op.Object.Issuer != "keys" {
			op.Object.Issuer = embedded
		}
	}
}

// loosen takes away every limit, so that no attack waits for one.
func loosen(p *plan.Plan) {
	p.Guard.Address, p.Guard.Failures = plan.Limit{}, plan.Limit{}
	for _, op := range p.Operations {
		op.Limits = nil
	}
}

// populate makes users, their credentials, and tokens that must not be believed.
func (s *stand) populate(ctx context.Context) error {
	now := time.Now()
	s.people = new(attack.People)
	s.arms = arms{plan: s.base, signer: s.state.Signer, idle: "idle-mutant"}
	might := mightiest(s.base)
	// One of them has a role that the configuration does not know: whatever is granted to everybody by mistake shows.
	for _, p := range append(slices.Clone(s.People), Person{Name: "outsider", Role: "outsider", UserID: outsiderID, AMR: twoFactors}) {
		if _, _, err := s.state.Manager.AddUser(ctx, keys.NewUser{Name: p.Name, Subject: p.UserID, Roles: []string{p.Role}}); err != nil {
			return err
		}
		key, _, err := s.state.Manager.CreateKey(ctx, keys.NewKey{Owner: p.UserID, Purpose: "mutants", Roles: []string{p.Role}, Expires: now.Add(24 * time.Hour)})
		if err != nil {
			return err
		}
		token, err := s.state.IssueToken(deployment.NewToken{User: p.Name, AMR: p.AMR})
		if err != nil {
			return err
		}
		s.people.Identities = append(s.people.Identities, attack.Identity{Name: p.Name, Role: p.Role, UserID: p.UserID, Password: p.Password, Token: token.Text, APIKey: key.Secret})
		if s.arms.active == "" || p.Role == might {
			s.arms.active, s.arms.key = p.UserID, key.Secret
		}
	}
	return s.falseTokens(ctx, now)
}

// falseTokens makes tokens that the gate's own key has signed and that must not be believed all the same.
func (s *stand) falseTokens(ctx context.Context, now time.Time) error {
	e := s.base.Identity.Embedded
	claims := func(change map[string]any) map[string]any {
		c := map[string]any{"iss": e.Issuer, "aud": e.Audience, "sub": s.arms.active, "iat": now.Unix(), "exp": now.Add(50 * time.Minute).Unix(), "jti": rand.Text(),
			"auth_time": now.Unix(), "amr": twoFactors}
		for k, v := range change {
			if c[k] = v; v == nil {
				delete(c, k)
			}
		}
		return c
	}
	sign := func(list *[]string, typ string, change map[string]any) error {
		text, err := s.state.Signer.Sign(typ, claims(change))
		*list = append(*list, text)
		return err
	}
	t := &s.people.Tokens
	err := errors.Join(
		sign(&t.Expired, accessToken, map[string]any{"iat": now.Add(-2 * time.Hour).Unix(), "exp": now.Add(-90 * time.Minute).Unix()}),
		sign(&t.Expired, accessToken, map[string]any{"exp": now.Add(5 * time.Hour).Unix()}),
		sign(&t.Expired, accessToken, map[string]any{"jti": revokedID}),
		sign(&t.Expired, accessToken, map[string]any{"sub": s.arms.idle}),
		sign(&t.Stale, accessToken, map[string]any{"auth_time": now.Add(-30 * 24 * time.Hour).Unix()}),
		sign(&t.Foreign, accessToken, map[string]any{"aud": "https://another-api.invalid"}),
		sign(&t.Foreign, accessToken, map[string]any{"iss": "https://another-issuer.invalid"}),
		sign(&t.Foreign, "portreeve-assertion+jwt", nil),
		sign(&t.Foreign, accessToken, map[string]any{"jti": nil}))
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	if _, err := s.state.Manager.RevokeToken(ctx, embedded, revokedID, now.Add(2*time.Hour)); err != nil {
		return err
	}
	if _, _, err := s.state.Manager.AddUser(ctx, keys.NewUser{Name: s.arms.idle, Roles: []string{mightiest(s.base)}}); err != nil {
		return err
	}
	_, err = s.state.Manager.DisableUser(ctx, s.arms.idle)
	return err
}

// certify makes the certificate of all gates: some of what a gate promises holds over TLS alone.
func (s *stand) certify(now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mutant"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		return fmt.Errorf("making a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("making a certificate: %w", err)
	}
	s.certificate = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(leaf)
	return nil
}

// served is a gate that stands.
type served struct {
	url     string
	closers []func()
}

func (g *served) close() {
	for _, c := range slices.Backward(g.closers) {
		c()
	}
}

// errUnbound: the gate does not take such a plan, so the fault cannot be made by it.
var errUnbound = errors.New("the gate refuses to start like that")

// serve puts a mutant up in front of a fresh API; nil is the gate as it should be. Without loose the limits are the plan's.
func (s *stand) serve(ctx context.Context, m *Mutant, loose bool) (_ *served, err error) {
	g := new(served)
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	api, stop, err := s.API(ctx, s.people.Identities)
	if err != nil {
		return nil, err
	}
	g.closers = append(g.closers, stop)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	g.closers = append(g.closers, func() { l.Close() })
	p, err := altered(s.base, func(p *plan.Plan) {
		aim(p, api)
		p.Edge.Hosts = append(p.Edge.Hosts, l.Addr().String())
		if loose {
			loosen(p)
		}
		if m != nil && m.change != nil {
			m.change(p)
		}
	})
	if err != nil {
		return nil, err
	}
	var bend gate.Bend
	if m != nil && m.bend != nil {
		bend = m.bend(s.arms)
	}
	r, err := gate.NewRuntime(gate.Lent{Ledger: s.state.Ledger, Metrics: audit.NewMetrics(prometheus.NewRegistry()), Clock: time.Now, Directory: s.state.Directory, Owners: s.state.Owners,
		Signer: s.state.Signer, Held: p.Server.Held, Screen: s.Screen})
	if err != nil {
		return nil, err
	}
	g.closers = append(g.closers, r.Close)
	bent, err := gate.NewBent(p, r, bend)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnbound, err)
	}
	server := &http.Server{Handler: bent, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: p.Edge.MaxHeaderBytes, TLSConfig: &tls.Config{Certificates: []tls.Certificate{s.certificate}},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ServeTLS(l, "", "") // it ends with the mutant; what goes wrong before is seen by the attack
	}()
	g.closers = append(g.closers, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
		<-done
	})
	g.url = "https://" + l.Addr().String()
	return g, nil
}

// aim points a plan at another API.
func aim(p *plan.Plan, target string) {
	u, err := url.Parse(target)
	if err != nil {
		return // it is no URL: the gate does not start
	}
	p.Upstream.URL = u.Scheme + "://" + u.Host
	if u.Path != "" {
		p.Upstream.BasePath = strings.TrimRight(u.EscapedPath(), "/")
	}
}

// directory makes the temporary directory of a run.
func directory() (string, func() error, error) {
	dir, err := os.MkdirTemp("", "portreeve-mutants-")
	if err != nil {
		return "", nil, fmt.Errorf("making a temporary directory: %w", err)
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}
