package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/duecmd"
	"github.com/quench-dev/quench/cmd/internal/metrics"
	"github.com/quench-dev/quench/registry/checkpoint"
	"github.com/quench-dev/quench/registry/sweeper"
	"github.com/quench-dev/quench/revoker"
)

func newWorkerCmd() *cobra.Command {
	var drain bool
	var policy string
	var mf metrics.Flags
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Work the queue of calls to providers, and deliver alerts",
		Long: `Worker makes the calls to providers that other commands queued and could not
make, or did not live to make, warns of deadlines as token sweep does, to the
second, delivers alerts to whom the policy names, and signs a checkpoint of the
audit log every ten minutes. It runs until interrupted; with --drain until
nothing is due, and fails if a call still waits for a later attempt.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withRevoker(cmd, policy, func(r *revoker.Revoker) (err error) {
				log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
				stop, err := mf.Start(buildVersion(), log, func(s *metrics.Set) { s.Incidents(r.Registry(), log) })
				if err != nil {
					return err
				}
				defer stop(&err)
				work := func() error { return r.Work(cmd.Context(), revoker.WorkOptions{Drain: drain}) }
				if drain {
					_, err := sweeper.Sweep(cmd.Context(), r.Registry())
					return errors.Join(err, work(), r.Alerts().Drain(cmd.Context()))
				}
				return beside(cmd, r, work)
			})
		},
	}
	mf.Add(cmd.Flags())
	cmd.Flags().BoolVar(&drain, "drain", false, "end when nothing is due")
	cmd.Flags().StringVar(&policy, "policy", "", "policy file (default policy.toml in the configuration folder)")
	return cmd
}

// beside runs work, and beside it what a process that lives does for its registry:
// alerts are delivered, deadlines watched, and checkpoints of the audit log signed.
func beside(cmd *cobra.Command, r *revoker.Revoker, work func() error) error {
	ctx, o := cmd.Context(), duecmd.Telling(cmd.ErrOrStderr())
	return checkpoint.Beside(ctx, r.Registry(), checkpoint.Options{Trouble: o.Trouble}, func() error {
		return r.Alerts().Beside(ctx, func() error { return sweeper.Beside(ctx, r.Registry(), o, work) })
	})
}

// withRevoker runs f with the revoker of the registry that exists.
func withRevoker(cmd *cobra.Command, policyFile string, f func(*revoker.Revoker) error) (err error) {
	policy, err := loadPolicy(policyFile)
	if err != nil {
		return err
	}
	reg, err := openRegistry(cmd, false)
	if err != nil {
		return err
	}
	defer closeRegistry(reg, &err)
	r, err := revoker.New(reg, policy, revoker.Options{Logger: logger(cmd)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close(context.WithoutCancel(cmd.Context()))) }()
	return f(r)
}
