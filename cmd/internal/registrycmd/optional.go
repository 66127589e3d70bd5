package registrycmd

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/registry"
)

// Optional is the registry of a command that goes without where there is none.
type Optional struct {
	Open  func(cmd *cobra.Command, create bool) (*registry.Registry, error)
	Named func(cmd *cobra.Command) bool // by the user: then it must be there
}

// Find opens it; nil where there is none.
func (o Optional) Find(cmd *cobra.Command) (*registry.Registry, error) {
	r, err := o.Open(cmd, false)
	if errors.Is(err, registry.ErrNoRegistry) && !o.Named(cmd) {
		return nil, nil
	}
	return r, err
}
