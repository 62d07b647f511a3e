package deployment

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/portreeve/portreeve/internal/gate"
	"github.com/portreeve/portreeve/internal/gate/audit"
	"github.com/portreeve/portreeve/internal/gate/validate"
	"github.com/portreeve/portreeve/internal/jose"
	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/owner"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/store"
)

// Preview binds a plan's gate to nothing that lasts: no data directory is touched, the signing key dies with the
// process, and what would be recorded is refused, so that it must serve nobody. It is for looking at the very chains
// that would run.
func Preview(p *plan.Plan, random io.Reader) (*gate.Gate, error) {
	_, key, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	r, err := gate.NewRuntime(gate.Lent{Ledger: unrecorded{}, Metrics: audit.NewMetrics(prometheus.NewRegistry()), Clock: time.Now,
		Log: slog.New(slog.DiscardHandler), Directory: new(keys.Directory), Signer: jose.NewSigner(key), Owners: unrecorded{}, Held: p.Server.Held,
		Screen: func(int) (validate.Screener, error) { return unrecorded{}, nil }})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return gate.New(p, r)
}

// unrecorded keeps no event and says so.
type unrecorded struct{}

func (unrecorded) Append(context.Context, *ledger.Event) error { return ledger.ErrUnavailable }

// Judge lets nothing pass: the rules take longer to compile than to be looked at.
func (unrecorded) Judge([]string) (int, []string, error) {
	return 0, nil, errors.New("nothing is screened here")
}

func (unrecorded) Enqueue(*ledger.Event) bool { return false }

func (unrecorded) Owner(context.Context, string, string) (owner.Owner, error) {
	return owner.Owner{}, store.ErrUnavailable
}
func (unrecorded) Claim(context.Context, string, string, owner.Owner, time.Time) error {
	return store.ErrUnavailable
}
func (unrecorded) Forget(context.Context, string, string) error { return store.ErrUnavailable }
