package main

import (
	"github.com/spf13/cobra"

	servecmd "github.com/quench-dev/quench/cmd/internal/serve"
	"github.com/quench-dev/quench/registry"
)

// newServeCmd serves with uses written down together, which other commands do not
// live long enough for.
func newServeCmd() *cobra.Command {
	return servecmd.New(servecmd.Env{Close: closeRegistry, Open: func(cmd *cobra.Command) (*registry.Registry, error) {
		return openWatched(cmd, false, cmd.ErrOrStderr())
	}})
}
