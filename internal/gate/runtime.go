package gate

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/certificate"
	"github.com/portreeve/portreeve/internal/gate/audit"
	"github.com/portreeve/portreeve/internal/gate/authn"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/gate/upstream"
	"github.com/portreeve/portreeve/internal/gate/validate"
	"github.com/portreeve/portreeve/internal/jose"
	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/meter"
	"github.com/portreeve/portreeve/internal/owner"
	"github.com/portreeve/portreeve/internal/plan"
)

// Lent is what a Runtime works with. Ledger, Metrics and Clock are compulsory.
type Lent struct {
	Ledger    audit.Ledger
	Metrics   *audit.Metrics
	Clock     func() time.Time
	Log       *slog.Logger    // nil: nothing is said
	Directory *keys.Directory // nil: there are no API keys, users or revocations, and nothing that needs them can be bound
	Signer    *jose.Signer    // nil: there are no tokens of our own and no assertions
	Owners    owner.Book      // nil: nobody remembers who made what
	Screen    Screening       // nil: no operation can be screened
	Held      int64           // bytes that all exchanges together may hold: 256 MiB
}

// Screening compiles what judges free text at a paranoia level.
type Screening func(paranoia int) (validate.Screener, error)

// Runtime is what outlives plans: counts, caches, the ledger, the memory budget. A reload loses none of it.
type Runtime struct {
	Lent
	Meter  *meter.Meter
	Budget *exchange.Budget
	Health func() string // the word that /.portreeve/health says; nil: always "ok"

	summaries *audit.Summaries
	stop      context.CancelFunc
	stopped   chan struct{}

	mu         sync.Mutex
	remotes    map[string]*jose.Verifier    // issuers whose keys are fetched, by the plan's rule for them
	transports map[string]http.RoundTripper // of the upstream as it was last met
	capacities map[string]*upstream.Capacity
	screeners  map[int]validate.Screener
	screening  chan struct{} // one place for each text that is judged at once
}

// meterKeys bounds how many counts are kept at once.
const meterKeys = 1 << 20

// NewRuntime returns a runtime. Close it after the gates that use it.
func NewRuntime(l Lent) (*Runtime, error) {
	if l.Ledger == nil || l.Metrics == nil || l.Clock == nil {
		return nil, fmt.Errorf("a gate needs a ledger, metrics and a clock")
	}
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	if l.Held <= 0 {
		l.Held = 256 << 20
	}
	r := &Runtime{Lent: l, Meter: meter.New(meterKeys), Budget: exchange.NewBudget(l.Held), stopped: make(chan struct{}),
		remotes: map[string]*jose.Verifier{}, transports: map[string]http.RoundTripper{}, capacities: map[string]*upstream.Capacity{},
		screeners: map[int]validate.Screener{}, screening: make(chan struct{}, runtime.GOMAXPROCS(0))}
	r.summaries = audit.NewSummaries(l.Ledger)
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	go func() {
		defer close(r.stopped)
		r.summaries.Run(ctx)
	}()
	return r, nil
}

// Close writes what is still counted into the ledger. It does not close what was lent.
func (r *Runtime) Close() {
	r.stop()
	<-r.stopped
}

// Cut records that the server refused or ended a connection, and why.
func (r *Runtime) Cut(p *plan.Plan, from netip.Addr, verb, reason string) {
	r.Metrics.Connection(r.summaries, audit.Connection{From: from, Verb: verb, Reason: reason, Plan: p.Hash, Time: r.Clock(), Control: "limit.global"})
}

// newID returns a UUID of version 7 (RFC 9562 §5.7): its order is time's.
func (r *Runtime) newID(now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	rand.Read(b[6:])
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	var out [36]byte
	hex.Encode(out[0:], b[0:4])
	hex.Encode(out[9:], b[4:6])
	hex.Encode(out[14:], b[6:8])
	hex.Encode(out[19:], b[8:10])
	hex.Encode(out[24:], b[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

// keys returns what proves API keys, nil without a directory.
func (r *Runtime) keys() authn.Keys {
	if r.Directory == nil {
		return nil
	}
	return authn.APIKeys{Directory: r.Directory}
}

// assertions returns what signs Portreeve-Assertion; a nil interface, not a nil pointer in one, where there is no key.
func (r *Runtime) assertions() upstream.Signer {
	if r.Signer == nil {
		return nil
	}
	return r.Signer
}

// tokens returns what proves the tokens of a plan's issuers. The keys that were fetched for an issuer stay while its
// rule stays.
func (r *Runtime) tokens(p *plan.Plan) (authn.Tokens, error) {
	t := authn.NewIssuers(r.directory())
	if e := p.Identity.Embedded; e != nil {
		if r.Signer == nil || r.Directory == nil {
			return nil, fmt.Errorf("identity.embedded needs a store with users and a signing key")
		}
		if err := t.Embedded(*e, r.Signer); err != nil {
			return nil, err
		}
	}
	for _, is := range p.Identity.Issuers {
		v, err := r.verifier(is)
		if err != nil {
			return nil, fmt.Errorf("%s: issuer %s: %w", is.Source, is.ID, err)
		}
		t.Foreign(is, v)
	}
	return t, nil
}

// clients returns what proves clients' certificates, by the roots as the file has them now; a nil interface where no
// scheme asks for one.
func (r *Runtime) clients(p *plan.Plan) (authn.Clients, error) {
	rule := p.Identity.Certificates
	if rule == nil {
		return nil, nil
	}
	c, err := authn.NewCertificates(*rule, r.directory())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Server.TLS.Source, err)
	}
	return c, nil
}

func (r *Runtime) directory() authn.Directory {
	if r.Directory == nil {
		return nil
	}
	return r.Directory
}

func (r *Runtime) verifier(is plan.Issuer) (*jose.Verifier, error) {
	if is.JWKS == "" {
		return authn.NewVerifier(is, r.Clock) // its key is read anew: the file may have changed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	is.Source = ""
	k, err := json.Marshal(is)
	if err != nil {
		return nil, err
	}
	if v := r.remotes[string(k)]; v != nil {
		return v, nil
	}
	v, err := authn.NewVerifier(is, r.Clock)
	if err == nil {
		r.remotes[string(k)] = v
	}
	return v, err
}

// transport returns the connections to an upstream; those that are open stay over a reload.
func (r *Runtime) transport(p *plan.Plan) (http.RoundTripper, error) {
	if p.Upstream.URL == "" {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	u := &p.Upstream
	k := fmt.Sprintf("%q %v %x", []string{u.URL, u.CA, u.Client.Cert, u.Client.Key, u.Name}, u.Timeout, certificate.Sum(u.CA, u.Client.Cert, u.Client.Key))
	if t := r.transports[k]; t != nil {
		return t, nil
	}
	t, err := upstream.NewTransport(u)
	if err != nil {
		return nil, err
	}
	for old, connections := range r.transports { // what was trusted by other roots is not used again
		(&http.Client{Transport: connections}).CloseIdleConnections()
		delete(r.transports, old)
	}
	r.transports[k] = t
	return t, nil
}

// capacity returns what is known of how much the plan's upstream bears; it stays while the rule for it stays.
func (r *Runtime) capacity(p *plan.Plan) *upstream.Capacity {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := &p.Upstream
	k := fmt.Sprint(u.URL, "\x00", u.Breaker, u.Concurrency)
	c := r.capacities[k]
	if c == nil {
		c = upstream.NewCapacity(u, func(c upstream.Change) { r.breaker(u.URL, c) })
		r.capacities[k] = c
	}
	return c
}

// breaker tells of a change: the ledger, and whoever reads the log.
func (r *Runtime) breaker(url string, c upstream.Change) {
	e := &ledger.Event{Kind: ledger.Lifecycle, Time: r.Clock(), Verb: "upstream.breaker", Target: url, Message: "from " + c.From + " to " + c.To}
	level := slog.LevelInfo
	if c.To == "open" {
		e.Kind, level = ledger.Alert, slog.LevelWarn
		if c.Answered > 0 {
			e.Message += fmt.Sprintf(": %d of %d calls failed", c.Failed, c.Answered)
		}
	}
	r.Ledger.Enqueue(e)
	r.Log.Log(context.Background(), level, "the upstream's circuit breaker changed", "upstream", url, "from", c.From, "to", c.To, "failed", c.Failed, "calls", c.Answered)
}

// screener returns what judges free text; compiling it takes longer than most plans, so that it is done once.
func (r *Runtime) screener(paranoia int) (validate.Screener, error) {
	if r.Screen == nil {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.screeners[paranoia]; s != nil {
		return s, nil
	}
	s, err := r.Screen(paranoia)
	if err == nil {
		r.screeners[paranoia] = s
	}
	return s, err
}
