package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/metrics"
	"github.com/quench-dev/quench/cmd/internal/watch"
	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/rules"
)

func newWatchCmd() *cobra.Command {
	var of outputFlags
	var df detectFlags
	var cf containFlags
	var mf metrics.Flags
	var from string
	cmd := &cobra.Command{
		Use:   "watch PATH…",
		Short: "Follow logs and contain tokens that leak into them",
		Long: `Watch follows files, and the files in folders, through rotation and truncation,
until interrupted. Each line is decided when it is complete. Tokens of the
registry are contained as --revoke says, before anything else is done. With a
registry, deadlines of tokens are warned of as token sweep does, to the second,
and a checkpoint of the audit log is signed every ten minutes.

How far files were read is kept in the registry, or without one in the state
folder, so that a restart goes on where the last run ended, also after a kill.`,
		Example: "  quench watch --revoke=auto /var/log/app /var/log/nginx/access.log",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runWatch(cmd, args, of, df, cf, &mf, watch.From(from))
		},
	}
	of.add(cmd)
	df.add(cmd)
	cf.add(cmd)
	mf.Add(cmd.Flags())
	cmd.Flags().StringVar(&from, "from", string(watch.FromCheckpoint), "where files are read from: checkpoint (their start when there is none), start, end")
	return cmd
}

func runWatch(cmd *cobra.Command, args []string, of outputFlags, df detectFlags, cf containFlags, mf *metrics.Flags, from watch.From) (err error) {
	switch from {
	case watch.FromCheckpoint, watch.FromStart, watch.FromEnd:
	default:
		return fmt.Errorf("--from %q: want checkpoint, start or end", from)
	}
	if of.file != "" {
		return errors.New("--output is for reports that end; redirect the output of watch instead")
	}
	paths, err := absolute(args)
	if err != nil {
		return err
	}
	// What stands in a log comes from anybody: it marks nothing, and a file beside it
	// configures nothing.
	df.noConfig = true
	if err := cmd.Flags().Set("no-marks", "true"); err != nil {
		return err
	}
	conf, err := df.load(cmd, paths[:1], false)
	if err != nil {
		return err
	}
	c, err := cf.open(cmd)
	if err != nil {
		return err
	}
	defer c.close(cmd.Context(), &err)
	eng, err := df.newEngine(conf, c.known())
	if err != nil {
		return err
	}
	w, _, err := of.open(cmd, conf.Rules, args, nil)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	set, stop, err := mf.Start(buildVersion(), log)
	if err != nil {
		return err
	}
	defer stop(&err)
	if c.registry != nil {
		set.Incidents(c.registry, log)
	}
	queue := make(chan error, 1)
	if c.revoker != nil && cf.revoke == string(revoker.Auto) {
		go func() { queue <- c.revoker.Work(cmd.Context(), revoker.WorkOptions{}) }()
	} else {
		queue <- nil
	}
	run := func() error {
		return watch.Run(cmd.Context(), watch.Options{
			Engine: eng, Registry: c.registry, Writer: w, Paths: paths, From: from, State: watchState(),
			MinConfidence: rules.Confidence(df.minConfidence), Settings: watch.Settings{Revoker: c.revoker, Filter: conf.Filters[0], ShowIgnored: df.showIgnored},
			Metrics: metrics.NewWatch(set),
			Ready:   func(n int) { fmt.Fprintf(cmd.ErrOrStderr(), "watching %d files\n", n) },
			Trouble: func(path string, err error) { tell(log, "it is read again", err, "path", path) },
			Blocked: func(err error) { tell(log, "storing works again", err) },
		})
	}
	if c.registry == nil {
		err = run()
	} else {
		err = beside(cmd, c.revoker, run)
	}
	if cmd.Context().Err() == nil && err != nil {
		return err
	}
	return errors.Join(err, <-queue, c.check())
}

// tell logs a trouble, or that it is over.
func tell(log *slog.Logger, over string, err error, about ...any) {
	if err == nil {
		log.Info(over, about...)
		return
	}
	log.Warn(err.Error(), about...)
}

// absolute makes positions independent of the folder that watch is started in.
func absolute(args []string) ([]string, error) {
	var out []string
	for _, a := range args {
		p, err := filepath.Abs(a)
		if err != nil {
			return nil, fmt.Errorf("finding %q: %w", a, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// watchState is the file for positions when there is no registry.
func watchState() string {
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "quench", "watch.json")
}
