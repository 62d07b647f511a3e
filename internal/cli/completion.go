package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// shells are those a completion script can be written for.
var shells = []string{"bash", "zsh", "fish", "powershell"}

// newCompletion stands in for cobra's own completion command, whose errors of usage would exit with 1.
func newCompletion(s Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "completion " + strings.Join(shells, "|"),
		Short: "Print a completion script for a shell",
		Long: `Print a completion script for bash, zsh, fish or powershell.

The script asks portreeve itself for what can follow, so it stays right when portreeve is updated.`,
		Example: `  source <(portreeve completion bash)                                          # this session
  portreeve completion bash > /etc/bash_completion.d/portreeve                 # every session
  portreeve completion zsh > "${fpath[1]}/_portreeve"
  portreeve completion fish > ~/.config/fish/completions/portreeve.fish
  portreeve completion powershell | Out-String | Invoke-Expression`,
		Args:                  cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs:             shells,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(s.Out, true)
			case "zsh":
				return root.GenZshCompletion(s.Out)
			case "fish":
				return root.GenFishCompletion(s.Out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(s.Out)
			}
			return fmt.Errorf("no script for the shell %q", args[0])
		},
	}
}
