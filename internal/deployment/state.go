// Package deployment puts one deployment together out of a plan: its data directory with the store, the key material and
// the ledger, and the gate that stands on them. serve, the library and the management commands open the same thing, so
// that a rule of the data directory holds for all of them.
//
// It opens no listener, reads no configuration, and links no database driver: the store's opener is given.
package deployment

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portreeve/portreeve/internal/gate"
	"github.com/portreeve/portreeve/internal/jose"
	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/owner"
	"github.com/portreeve/portreeve/internal/plan"
)

// Store is what a deployment needs of a database.
type Store interface {
	keys.Store
	keys.DirectoryStore
	keys.Inventory
	io.Closer
}

// Opener opens the database at a path, made if need be.
type Opener func(ctx context.Context, path string) (Store, error)

// Options are what a deployment is opened with.
type Options struct {
	Open   Opener           // nil: there is no store, so no API keys, users, tokens of our own or revocations
	Clock  func() time.Time // time.Now
	Log    *slog.Logger     // nil: nothing is said
	Rules  RuleSet          // what Screen judges by
	Screen gate.Screening   // nil: a plan whose operations are screened cannot be opened
	Who    string           // what this process does, for the one that finds the directory locked: "portreeve serve"
}

// RuleSet is a release of the rules for screening.
type RuleSet struct {
	Name     string // "OWASP CRS 4.25.0"
	Released time.Time
}

// State is a data directory that this process owns.
type State struct {
	Manager   *keys.Manager   // nil without a store
	Directory *keys.Directory // nil without a store
	Signer    *jose.Signer    // nil without a store
	Owners    owner.Book      // nil without a store, or with one that does not remember who made what
	Ledger    *ledger.Ledger
	Clock     func() time.Time
	Log       *slog.Logger

	plan    atomic.Pointer[plan.Plan]
	closers []func() error
	once    sync.Once
	closed  error
}

// OpenState takes a plan's data directory into ownership. It fails with a *keys.LockedError when another process has it,
// and with keys.ErrMaterialMissing when rows exist whose keys do not.
func OpenState(ctx context.Context, p *plan.Plan, o Options) (_ *State, err error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &State{Clock: o.Clock, Log: o.Log}
	s.take(p)
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if o.Open != nil {
		if err := s.openStore(ctx, o); err != nil {
			return nil, err
		}
	}
	l, recovered, err := ledger.Open(p.Audit.Dir, ledger.Options{Queue: p.Audit.Queue, Now: o.Clock})
	if err != nil {
		return nil, err
	}
	s.Ledger = l
	s.closers = append(s.closers, l.Close)
	if recovered.Dropped > 0 {
		o.Log.Warn("the ledger ended within a line; nobody was told that it was kept", "bytes", recovered.Dropped)
	}
	return s, nil
}

// Plan returns the plan the state is opened for; a reload changes it.
func (s *State) Plan() *plan.Plan { return s.plan.Load() }

func (s *State) take(p *plan.Plan) { s.plan.Store(p) }

func (s *State) openStore(ctx context.Context, o Options) error {
	dir := s.Plan().Server.Data
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making data directory: %w", err)
	}
	release, err := keys.Lock(dir, o.Who, o.Clock())
	if err != nil {
		return err
	}
	s.closers = append(s.closers, release)
	if err := os.MkdirAll(filepath.Dir(s.Plan().Server.Store.SQLite), 0o700); err != nil {
		return fmt.Errorf("making the store's directory: %w", err)
	}
	db, err := o.Open(ctx, s.Plan().Server.Store.SQLite)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, db.Close)
	s.Owners, _ = db.(owner.Book)
	material, err := keys.LoadMaterial(ctx, dir, db, rand.Reader)
	if err != nil {
		return err
	}
	s.Signer = jose.NewSigner(material.SigningKey())
	if s.Directory, err = keys.NewDirectory(db, material.Peppers, keys.DirectoryOptions{Staleness: s.Plan().Staleness, Now: o.Clock}); err != nil {
		return err
	}
	if err := s.Directory.Refresh(ctx); err != nil {
		return err
	}
	hasher, err := keys.NewHasher(rand.Reader)
	if err != nil {
		return err
	}
	s.Manager, err = keys.NewManager(db, material.Peppers, hasher, keys.ManagerOptions{Now: o.Clock, Directory: s.Directory})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Directory.Run(ctx)
	}()
	s.closers = append(s.closers, func() error {
		stop()
		<-done
		return nil
	})
	return nil
}

// Close gives everything back, last opened first. It may be called more than once.
func (s *State) Close() error {
	s.once.Do(func() {
		var errs []error
		for _, c := range slices.Backward(s.closers) {
			errs = append(errs, c())
		}
		s.closed = errors.Join(errs...)
	})
	return s.closed
}
