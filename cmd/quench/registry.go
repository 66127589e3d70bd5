package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/bulkcmd"
	"github.com/quench-dev/quench/cmd/internal/registrycmd"
	"github.com/quench-dev/quench/cmd/internal/usagecmd"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/store"
)

// registryFlag adds the flag that every command with a registry has.
func registryFlag(root *cobra.Command) {
	root.PersistentFlags().String("registry", "", "registry: a file, or postgres://USER@HOST/DATABASE (default $QUENCH_REGISTRY or $XDG_STATE_HOME/quench/registry.db)")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if path, err := cmd.Flags().GetString("registry"); err == nil && store.HoldsPassword(path) {
			return errors.New("--registry holds a password, which whoever lists processes sees: give it by PGPASSFILE or PGPASSWORD, or the whole address by QUENCH_REGISTRY")
		}
		return nil
	}
}

// registryPath is the registry that the command line and the environment name.
func registryPath(cmd *cobra.Command) string {
	if path, err := cmd.Flags().GetString("registry"); err == nil && path != "" {
		return path
	}
	return registry.DefaultPath(os.Getenv)
}

// registryNamed reports whether the user named a registry: a missing one is
// then a mistake, and not just none.
func registryNamed(cmd *cobra.Command) bool {
	path, err := cmd.Flags().GetString("registry")
	return err == nil && path != "" || os.Getenv("QUENCH_REGISTRY") != ""
}

// openToIssue opens that registry under the issuing policy of a policy file.
func openToIssue(cmd *cobra.Command, create bool, policy string) (*registry.Registry, error) {
	p, err := loadPolicy(policy)
	if err != nil {
		return nil, err
	}
	return openWith(cmd, registry.Options{Create: create, Issue: p.Issue, EachUse: true})
}

// openRegistry opens that registry. With create it is made when missing;
// without, a missing one is an error that wraps registry.ErrNoRegistry.
func openRegistry(cmd *cobra.Command, create bool) (*registry.Registry, error) {
	return openWith(cmd, registry.Options{Create: create, EachUse: true})
}

// lateClock is how far a machine's clock may be behind what is written down before
// it is told: two machines of a network differ by less.
const lateClock = time.Minute

// openWith opens that registry, and warns of a clock that was set back.
func openWith(cmd *cobra.Command, o registry.Options) (*registry.Registry, error) {
	o.Path, o.TrustClock = registryPath(cmd), os.Getenv("QUENCH_TRUST_CLOCK") != ""
	r, err := registry.Open(cmd.Context(), o)
	if err == nil && r.ClockBehind() > lateClock {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: this machine's clock is %v behind the registry's last event, and times count from that; set the clock, or, if events were written by a clock that was ahead, run a command once with QUENCH_TRUST_CLOCK=1\n", r.ClockBehind().Round(time.Second))
	}
	return r, err
}

func newRegistryCmd() *cobra.Command {
	cmd := registrycmd.New(registrycmd.Env{Path: registryPath, Options: func(cmd *cobra.Command) registry.Options {
		return registry.Options{Path: registryPath(cmd), EachUse: true}
	}, Close: closeRegistry, Unsound: exit{Code: exitFindings}})
	cmd.AddCommand(bulkcmd.NewFingerprintKey(bulkEnv()))
	return cmd
}

// openToLook opens that registry even where it is older than its last checkpoint:
// the audit log tells what is missing.
func openToLook(cmd *cobra.Command, _ bool) (*registry.Registry, error) {
	return registry.Open(cmd.Context(), registry.Options{Path: registryPath(cmd), Older: true, EachUse: true})
}

// openWatched opens that registry, which must be there, with its uses watched under
// the user's policy; each use is written down by itself, or some together.
func openWatched(cmd *cobra.Command, each bool, notes io.Writer) (*registry.Registry, error) {
	p, err := loadPolicy("")
	if err != nil {
		return nil, err
	}
	r, _, err := usagecmd.Open(cmd, openWith, registry.Options{EachUse: each}, p, notes)
	return r, err
}

func openToVerify(cmd *cobra.Command, _ bool) (*registry.Registry, error) {
	return openWatched(cmd, true, nil)
}
