package deployment

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/sink"
)

// startSinks begins to send the ledger to everyone the plan names, and to tell them, and the log, its checkpoints.
func (d *Deployment) startSinks(p *plan.Plan) error {
	for i := range p.Audit.Sinks {
		s := &p.Audit.Sinks[i]
		sender, err := open(s)
		if err != nil {
			return fmt.Errorf("audit.sinks: %s: %w", s.Name, err)
		}
		shipper, err := sink.Start(sink.Options{Name: s.Name, Dir: p.Audit.Dir, Sender: sender, Log: d.Log})
		if err != nil {
			return err
		}
		d.sinks = append(d.sinks, shipper)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-time.After(time.Hour):
				d.publish(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	d.closers = append(d.closers, func() error {
		stop()
		<-done
		return nil
	})
	return nil
}

// publish signs a checkpoint and makes it a line of the ledger, so that everybody who gets the lines gets it; the log has
// it too, for whoever collects that.
func (d *Deployment) publish(ctx context.Context) (uint64, error) {
	c, err := d.Ledger.Seal(ctx)
	if err != nil {
		return 0, err
	}
	if c.Size == 0 || c.Size == d.published {
		return c.Size, nil // nothing but the last checkpoint came since
	}
	d.published = c.Size + 1
	d.Log.Info("checkpoint of the ledger", "lines", c.Size, "note", string(c.Note))
	return d.published, d.Announce(ctx, ledger.CheckpointVerb, string(c.Note))
}

// farewell gives the sinks what the stop itself added, and no more time than that takes.
func (d *Deployment) farewell() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	last, err := d.publish(ctx)
	if errors.Is(err, ledger.ErrUnavailable) {
		err = nil // it was told already
	}
	for _, s := range d.sinks {
		err = errors.Join(err, s.Close(ctx, last))
	}
	return err
}

// open makes a plan's sink.
func open(s *plan.Sink) (sink.Sender, error) {
	f := sink.Format(s.Format)
	var secured *tls.Config
	if s.Kind != "file" && s.Kind != "stdout" {
		var err error
		if secured, err = trust(s); err != nil {
			return nil, err
		}
	}
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: secured, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	switch s.Kind {
	case "file":
		return sink.NewFile(s.Where, f), nil
	case "stdout":
		return sink.NewStream(os.Stdout, f), nil
	case "syslog":
		u, err := url.Parse(s.Where)
		if err != nil {
			return nil, err
		}
		if u.Scheme == "tcp" {
			secured = nil
		}
		return sink.NewSyslog(u.Host, secured, f), nil
	case "otlp":
		headers := map[string]string{}
		for _, h := range s.Headers {
			headers[h.Name] = h.Value
			if !h.Secret.IsZero() {
				b, err := h.Secret.Fetch()
				if err != nil {
					return nil, err
				}
				headers[h.Name] = string(b)
			}
		}
		return sink.NewOTLP(client, s.Where, headers), nil
	case "webhook":
		key, err := s.Secret.Fetch()
		if err != nil {
			return nil, err
		}
		return sink.NewWebhook(client, s.Where, key, f)
	case "s3":
		u, err := url.Parse(s.Where)
		if err != nil {
			return nil, err
		}
		id, err := s.Access.Fetch()
		if err != nil {
			return nil, err
		}
		key, err := s.Private.Fetch()
		if err != nil {
			return nil, err
		}
		return sink.NewS3(client, u, s.Region, string(id), string(key)), nil
	}
	return nil, fmt.Errorf("%q is no kind of sink", s.Kind)
}

// trust reads whom a sink's connection believes, and by what it is known there.
func trust(s *plan.Sink) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CA != "" {
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			return nil, fmt.Errorf("reading ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca %s holds no certificate", s.CA)
		}
	}
	if s.Client.Cert != "" {
		pair, err := tls.LoadX509KeyPair(s.Client.Cert, s.Client.Key)
		if err != nil {
			return nil, fmt.Errorf("reading cert and key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
