package main

import (
	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/duecmd"
	servecmd "github.com/quench-dev/quench/cmd/internal/serve"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/sweeper"
	"github.com/quench-dev/quench/revoker"
)

// newServeCmd serves with uses written down together, which other commands do not
// live long enough for; beside it deadlines are watched and alerts delivered.
func newServeCmd() *cobra.Command {
	return servecmd.New(servecmd.Env{Close: closeRegistry, Open: func(cmd *cobra.Command) (*registry.Registry, error) {
		return openWatched(cmd, false, cmd.ErrOrStderr())
	}, Beside: func(cmd *cobra.Command, reg *registry.Registry, work func() error) error {
		p, err := loadPolicy("")
		if err != nil {
			return err
		}
		r, err := revoker.New(reg, p, revoker.Options{Logger: logger(cmd)})
		if err != nil {
			return err
		}
		return r.Alerts().Beside(cmd.Context(), func() error {
			return sweeper.Beside(cmd.Context(), reg, duecmd.Telling(cmd.ErrOrStderr()), work)
		})
	}})
}
