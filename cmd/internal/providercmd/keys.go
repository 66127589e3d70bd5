package providercmd

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/revoker/partnerkey"
)

func newKeys(d Deps) *cobra.Command {
	var rotate bool
	var format string
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Show the public keys that reports to providers are signed with",
		Long: `Keys shows the public halves of the keys that reports of leaked tokens are
signed with, for those who receive them; quench serve publishes the same. The
first is made when it is first needed. With --rotate a new one is made: it signs
once it has been published for ten minutes, so that receivers know it by then.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := d.Keys(cmd)
			if err != nil {
				return err
			}
			if rotate {
				if err := keys.Rotate(); err != nil {
					return fmt.Errorf("making a new key: %w", err)
				}
			}
			all, err := keys.Public()
			switch {
			case err != nil:
				return err
			case format == "json":
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string][]partnerkey.Key{"public_keys": all})
			case format != "human":
				return fmt.Errorf("unknown format %q: want human or json", format)
			}
			for _, k := range all {
				state := "is published"
				if k.Current {
					state = "signs"
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\nmade %s, %s\n%s", k.ID, k.Created.Local().Format(time.DateTime), state, k.PEM); err != nil {
					return err
				}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "receivers read them at %s of quench serve\n", partnerkey.Path)
			return err
		},
	}
	cmd.Flags().BoolVar(&rotate, "rotate", false, "make a new key first")
	cmd.Flags().StringVarP(&format, "format", "f", "human", "human or json")
	return cmd
}
