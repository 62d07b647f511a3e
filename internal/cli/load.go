package cli

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/plan"
)

// defaultConfig is read where no flag names another.
const defaultConfig = "portreeve.yaml"

// source is where a command's plan comes from: a configuration, or a document and an upstream alone.
type source struct {
	config, document, upstream string
	listen, admin, data        string
}

func (s *source) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.config, "config", "", "configuration `FILE` (default: portreeve.yaml, if it is here)")
	f.StringVar(&s.document, "document", "", "OpenAPI document `FILE`, instead of a configuration")
	f.StringVar(&s.upstream, "upstream", "", "`URL` of the API, with --document")
	f.StringVar(&s.listen, "listen", "", "`ADDRESS` of the public listener, with --document (default 127.0.0.1:8080)")
	f.StringVar(&s.admin, "admin-listen", "", "`ADDRESS` of the admin listener, with --document (default 127.0.0.1:9443)")
	f.StringVar(&s.data, "data", "", "data `DIR`, with --document (default ./data)")
	_ = c.MarkFlagFilename("config", "yaml", "yml")
	_ = c.MarkFlagFilename("document", "yaml", "yml", "json")
	_ = c.MarkFlagDirname("data")
}

// absent reports whether nothing says where the plan is: no flag, and no configuration here.
func (s *source) absent() bool {
	if s.config != "" || s.document != "" {
		return false
	}
	_, err := os.Stat(defaultConfig)
	return errors.Is(err, fs.ErrNotExist)
}

// plan reads and compiles.
func (s *source) plan(now time.Time) (*plan.Plan, error) {
	if s.document == "" {
		if s.upstream != "" || s.listen != "" || s.admin != "" || s.data != "" {
			return nil, usagef("--upstream, --listen, --admin-listen and --data go with --document; a configuration says these itself")
		}
		path := s.config
		if path == "" {
			if s.absent() {
				return nil, usagef("there is no %s here\nhint: name one with --config, write one with portreeve init openapi.yaml, or give --document and --upstream", defaultConfig)
			}
			path = defaultConfig
		}
		return compile.Load(path, now)
	}
	if s.config != "" {
		return nil, usagef("--config and --document exclude each other")
	}
	if s.upstream == "" {
		return nil, usagef("--document needs --upstream, the URL of the API")
	}
	return compile.Simple(s.document, s.upstream, func(listen, admin, data *string) {
		for _, o := range []struct{ to, from *string }{{listen, &s.listen}, {admin, &s.admin}, {data, &s.data}} {
			if *o.from != "" {
				*o.to = *o.from
			}
		}
	})
}

// newLog is the program's own log: structured lines on stderr. Events are the ledger's, not the log's.
func newLog(s Streams, asJSON, debug bool) *slog.Logger {
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	if debug {
		o.Level = slog.LevelDebug
	}
	if asJSON {
		return slog.New(slog.NewJSONHandler(s.Err, o))
	}
	return slog.New(slog.NewTextHandler(s.Err, o))
}
