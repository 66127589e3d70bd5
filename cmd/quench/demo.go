package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/demo"
)

func newDemoCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Leak two tokens in a throw-away repository and log, and watch them die",
		Long: `Demo issues two tokens into a temporary registry, leaks one in a commit and one
in a watched log line, finds and revokes both, shows that they are refused, and
removes everything it made.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			say := func(f string, args ...any) { fmt.Fprintf(out, f+"\n", args...) }
			switch format {
			case "human":
			case "json":
				say = func(string, ...any) {}
			default:
				return fmt.Errorf("unknown format %q: want human or json", format)
			}
			leaks, err := demo.Run(cmd.Context(), say)
			if err != nil {
				return err
			}
			if format == "json" {
				return json.NewEncoder(out).Encode(leaks)
			}
			for _, l := range leaks {
				say("\ntoken %s, leaked in a %s", l.TokenID, l.Where)
				say("  leaked   %s", l.LeakedAt.Local().Format("15:04:05.000"))
				say("  found    %s  +%.1f ms", l.FoundAt.Local().Format("15:04:05.000"), float64(l.FoundAt.Sub(l.LeakedAt).Microseconds())/1000)
				say("  matched  %s  +%.1f ms", l.MatchedAt.Local().Format("15:04:05.000"), float64(l.MatchedAt.Sub(l.LeakedAt).Microseconds())/1000)
				say("  dead     %s  +%.1f ms from leak to death; verify says %s", l.DeadAt.Local().Format("15:04:05.000"), l.LeakToDeathMS, l.Verify)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "human", "human or json")
	return cmd
}
