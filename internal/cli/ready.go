package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// defaultAdmin is where a gate has its admin listener unless it is told otherwise.
const defaultAdmin = "127.0.0.1:9443"

func newReady(s Streams) *cobra.Command {
	var src source
	var wait time.Duration
	c := &cobra.Command{
		Use:   "ready",
		Short: "Ask a running gate whether it can answer requests now",
		Long: `Ready asks /readyz of the admin listener and exits with 0 when requests can be answered, 1 when not. What is missing
is said on stderr. It suits a container's health check.

Where there is no portreeve.yaml and no flag says more, it asks ` + defaultAdmin + `.`,
		Example: `  portreeve ready --config portreeve.yaml
  portreeve ready --admin-listen 127.0.0.1:9443 --wait 30s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			address := src.admin
			if address == "" && src.absent() {
				address = defaultAdmin
			}
			if address == "" || src.document != "" || src.config != "" {
				p, err := src.plan(time.Now())
				if err != nil {
					return err
				}
				address = p.Server.Admin
			}
			end := time.Now().Add(wait)
			for {
				err := askReady(cmd.Context(), address)
				if err == nil {
					fmt.Fprintln(s.Out, "ready")
					return nil
				}
				if time.Now().After(end) {
					return err
				}
				select {
				case <-cmd.Context().Done():
					return cmd.Context().Err()
				case <-time.After(200 * time.Millisecond):
				}
			}
		},
	}
	src.flags(c)
	c.Flags().DurationVar(&wait, "wait", 0, "keep asking for this `DURATION`")
	return c
}

func askReady(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return usagef("%q is not an address", address)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r) // no proxy of the environment
	if err != nil {
		return fmt.Errorf("asking %s: %w\nhint: start portreeve serve, or name its admin listener with --admin-listen", address, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return fmt.Errorf("asking %s: %w", address, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", strings.ReplaceAll(strings.TrimSpace(string(b)), "\n", ", "))
	}
	return nil
}
