package incidentcmd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/revoker"
)

// watchEvery is how often incidents are read: people do not see faster, and a registry
// with a hundred thousand of them is read in a tenth of that.
const watchEvery = 2 * time.Second

func newWatch(with With) *cobra.Command {
	return &cobra.Command{
		Use:   "watch",
		Short: "Show incidents as they come and change, until interrupted",
		Long: `Watch shows all incidents on a terminal, those first that wait for a person, and
draws them again every second. Elsewhere it writes those that are not done, and
then a line for each that comes or changes. It runs until it is interrupted, and
changes nothing.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, "", func(r *revoker.Revoker) error {
				if size := screen(cmd.OutOrStdout()); size != nil {
					tick := time.NewTicker(liveEvery)
					defer tick.Stop()
					return live(cmd.Context(), cmd.OutOrStdout(), size, r.Incidents, tick.C)
				}
				tick := time.NewTicker(watchEvery)
				defer tick.Stop()
				return follow(cmd.Context(), cmd.OutOrStdout(), r.Incidents, tick.C)
			})
		},
	}
}

// follow writes a line for each incident that is not done, then for each change.
func follow(ctx context.Context, w io.Writer, list func(context.Context) ([]revoker.Incident, error), tick <-chan time.Time) error {
	seen := map[string]string{}
	for first := true; ; first = false {
		all, err := list(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		for _, i := range slices.Backward(all) { // the oldest first
			now := i.State + " " + string(i.Outcome)
			if seen[i.ID] == now {
				continue
			}
			seen[i.ID] = now
			if first && (i.State == revoker.StateDead || i.State == revoker.StateDismissed) {
				continue
			}
			if err := line(w, i); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
		}
	}
}

// line is an incident as it is now: the time of what was last known of it.
func line(w io.Writer, i revoker.Incident) error {
	at := i.FoundAt
	for _, t := range []time.Time{i.RevokingAt, i.DeadAt, i.ConfirmedAt} {
		if t.After(at) {
			at = t
		}
	}
	_, err := fmt.Fprintf(w, "%s  %s  %-9s  %s  %s\n", at.Local().Format(time.DateTime), i.ID, i.State,
		cmp.Or(i.TokenID, i.Provider+" "+i.Rule), show.Shown(cmp.Or(i.Note, string(i.Outcome))))
	return err
}
