package jose

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"
)

// Remote is an issuer's JWKS at a URL. It asks rarely: one request at a time, at least MinInterval between two whatever
// tokens name, and a key id it did not find is not asked for again until the set was fetched anew. When the issuer is
// away the last good set serves until it is Stale old.
type Remote struct {
	url    string
	client *http.Client
	now    func() time.Time

	MinInterval time.Duration // between two fetches, 30 s
	Refresh     time.Duration // age at which the set is fetched anew, 5 min
	Stale       time.Duration // age beyond which it is not believed, 1 h

	mu      sync.Mutex
	set     *KeySet
	fetched time.Time // when set was fetched
	tried   time.Time // when a fetch was last begun
	flight  chan struct{}
	err     error
	allowed []string
}

// NewRemote returns the set at a URL. https is compulsory off loopback. Private and link-local addresses are refused
// after resolution unless private is true; redirects are never followed.
func NewRemote(rawURL string, allowed []string, private bool, now func() time.Time) (*Remote, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("JWKS URL %q is not a URL", rawURL)
	}
	loopback := isLoopback(u.Hostname())
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback) {
		return nil, fmt.Errorf("JWKS URL %q: https is needed", rawURL)
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		a := ap.Addr().Unmap()
		if loopback && a.IsLoopback() || private || a.IsGlobalUnicast() && !a.IsPrivate() {
			return nil
		}
		return fmt.Errorf("JWKS URL resolves to %s, which is not public", a)
	}}
	return &Remote{url: rawURL, now: now, allowed: allowed, MinInterval: 30 * time.Second, Refresh: 5 * time.Minute, Stale: time.Hour,
		client: &http.Client{
			Timeout:       10 * time.Second,
			Transport:     &http.Transport{DialContext: dialer.DialContext, ResponseHeaderTimeout: 5 * time.Second, MaxIdleConns: 1},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}, nil
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

var errStale = errors.New("the issuer's keys cannot be had")

// Keys returns the issuer's set. It waits for a fetch only while there is no set to go by, or none that has the key.
func (r *Remote) Keys(ctx context.Context, kid string) (*KeySet, error) {
	r.mu.Lock()
	now := r.now()
	usable := r.set != nil && now.Sub(r.fetched) < r.Stale
	known := usable && r.set.has(kid)
	due := now.Sub(r.fetched) >= r.Refresh || !known
	if due && r.flight == nil && (r.tried.IsZero() || now.Sub(r.tried) >= r.MinInterval) {
		r.flight, r.tried = make(chan struct{}), now
		go r.fetch(r.flight)
	}
	set, flight := r.set, r.flight
	r.mu.Unlock()
	if known || flight == nil {
		if !usable {
			return nil, errStale
		}
		return set, nil
	}
	select {
	case <-flight:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set == nil || r.now().Sub(r.fetched) >= r.Stale {
		return nil, fmt.Errorf("%w: %v", errStale, r.err)
	}
	return r.set, nil
}

func (r *Remote) fetch(done chan struct{}) {
	set, err := r.get()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.set, r.fetched = set, r.now()
	}
	r.err, r.flight = err, nil
	close(done)
}

func (r *Remote) get() (*KeySet, error) {
	resp, err := r.client.Get(r.url)
	if err != nil {
		return nil, fmt.Errorf("fetching JWKS: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching JWKS: status %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
	if err != nil {
		return nil, fmt.Errorf("fetching JWKS: %w", err)
	}
	set, _, err := ParseJWKS(b, r.allowed...)
	return set, err
}

// State reports when the set was last fetched and what the last fetch ended with.
func (r *Remote) State() (fetched time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fetched, r.err
}
