package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/match"
	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/revoker/policy"
	"github.com/quench-dev/quench/scanner"
)

// containFlags say which registry a scan asks and what happens to leaked tokens
// of it.
type containFlags struct {
	revoke, policy string
}

func (f *containFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.revoke, "revoke", "off", "leaked tokens of the registry: off (report), dry-run (say what would happen), auto (revoke)")
	fl.StringVar(&f.policy, "policy", "", "policy file (default policy.toml in the configuration folder, if there is one)")
}

// container is what a scan needs of the registry side; all nil without one.
type container struct {
	registry *registry.Registry
	revoker  *revoker.Revoker
	set      *match.Set
}

// known is the registry for the scanner, nil without one.
func (c *container) known() scanner.Known {
	if c.set == nil {
		return nil
	}
	return c.set
}

// check reports what kept the match set from being complete: a scan with such
// an error may have missed tokens of the registry.
func (c *container) check() error {
	if c.set == nil {
		return nil
	}
	if err := c.set.Err(); err != nil {
		return fmt.Errorf("matching against the registry: %w", err)
	}
	return nil
}

// open opens the registry if there is one. A scan never creates it.
func (f *containFlags) open(cmd *cobra.Command) (*container, error) {
	mode, err := policy.ParseMode(f.revoke)
	if err != nil {
		return nil, err
	}
	c := &container{}
	c.registry, err = openRegistry(cmd, false)
	if errors.Is(err, registry.ErrNoRegistry) && !registryNamed(cmd) {
		if mode != revoker.Off {
			return nil, fmt.Errorf("--revoke=%s needs a registry: %w", f.revoke, err)
		}
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	policy, err := loadPolicy(f.policy)
	if err != nil {
		return nil, errors.Join(err, c.registry.Close())
	}
	if c.set, err = c.registry.Match(cmd.Context()); err != nil {
		return nil, errors.Join(err, c.registry.Close())
	}
	c.revoker, err = revoker.New(c.registry, policy, revoker.Options{Mode: mode, Logger: logger(cmd)})
	if err != nil {
		return nil, errors.Join(err, c.registry.Close())
	}
	return c, nil
}

// logger tells what goes wrong in the background.
func logger(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// close ends what open began and adds its errors to *err.
func (c *container) close(ctx context.Context, err *error) {
	if c.revoker != nil {
		c.revoker.Alerts().Last(ctx)
		*err = errors.Join(*err, c.revoker.Close(context.WithoutCancel(ctx)))
	}
	if c.registry != nil {
		*err = errors.Join(*err, c.registry.Close())
	}
}
