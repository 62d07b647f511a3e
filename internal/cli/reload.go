package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/management"
)

func newReload(s Streams) *cobra.Command {
	var src source
	var asJSON bool
	c := &cobra.Command{
		Use:   "reload",
		Short: "Make a running gate read its configuration and document anew",
		Long: `Reload checks the configuration here, then has the running gate take it over: provisioned fully, then swapped. Requests on
their way end under the old plan; no count of a limit is lost. When anything is not in order the old plan stays, and the
exit code says so.`,
		Example: `  portreeve reload --config portreeve.yaml
  portreeve reload --data ./data`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir := src.data
			if dir == "" && src.absent() {
				dir = defaultData
			}
			if dir == "" || src.document != "" || src.config != "" {
				p, err := src.plan(time.Now())
				if err != nil {
					return err
				}
				dir = p.Server.Data
			}
			gate, err := management.Dial(cmd.Context(), dir)
			if err != nil {
				return fmt.Errorf("reaching the gate of %s: %w\nhint: start portreeve serve, or name its data directory with --data or its configuration with --config", dir, err)
			}
			r, err := gate.Reload(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(s, r)
			}
			_, err = fmt.Fprintf(s.Out, "reloaded: the gate obeys plan %.12s\n", r.Plan)
			return err
		},
	}
	src.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
