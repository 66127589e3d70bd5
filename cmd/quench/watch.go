package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/daemon"
	"github.com/quench-dev/quench/cmd/internal/inputs"
	"github.com/quench-dev/quench/cmd/internal/metrics"
	"github.com/quench-dev/quench/cmd/internal/reload"
	"github.com/quench-dev/quench/cmd/internal/watch"
	"github.com/quench-dev/quench/revoker"
)

func newWatchCmd() *cobra.Command {
	var f watchFlags
	cmd := &cobra.Command{
		Use:   "watch [PATH… | -]",
		Short: "Follow logs and contain tokens that leak into them",
		Long: `Watch follows files, files in folders, and those that match a pattern, through
rotation and truncation, until interrupted. Each line is decided when it is
complete. Tokens of the registry are contained as --revoke says, before anything
else is done. With a registry, deadlines of tokens are warned of as token sweep
does, to the second, and a checkpoint of the audit log is signed every ten
minutes.

Besides files it reads standard input ('-'), the journal (--journald), and what
it is sent by syslog (--syslog) and OTLP (--otlp). Logs of containers are taken
out of their envelope. With --redact-to what is watched is passed on without its
secrets, with --access-log the uses of tokens are recorded.

How far files were read is kept in the registry, or without one in the state
folder, so that a restart goes on where the last run ended, also after a kill.
While findings cannot be stored nothing is read: the logs wait.

On SIGHUP rules, configuration, policy, certificates and --paths-from are read
again, for all inputs; what changed is logged, and what has a fault is refused
while the old goes on. What is listened at needs a restart.
As a service of systemd it tells when it is ready, reloads and is alive.`,
		Example: `  quench watch --revoke=auto /var/log/app '/var/log/nginx/*.log'
  quench watch --journald all --syslog udp://127.0.0.1:5514
  quench watch --otlp 127.0.0.1:4318 --metrics 9731
  kubectl logs -f deploy/api | quench watch -
  quench watch --print-unit /var/log/app > quench-watch.service`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.unit {
				exe, err := os.Executable()
				if err != nil {
					return err
				}
				_, err = io.WriteString(cmd.OutOrStdout(), daemon.Unit(exe, args))
				return err
			}
			return f.run(cmd, args)
		},
	}
	f.of.add(cmd)
	f.df.add(cmd)
	f.cf.add(cmd)
	f.mf.Add(cmd.Flags())
	f.in.Add(cmd.Flags())
	fl := cmd.Flags()
	fl.StringVar((*string)(&f.from), "from", string(watch.FromCheckpoint), "where files are read from: checkpoint (their start when there is none), start, end")
	fl.StringVar(&f.paths, pathsFrom, "", "file of further paths, one a line")
	fl.BoolVar(&f.unit, "print-unit", false, "print a unit for systemd that watches the paths, and end")
	return cmd
}

// watchFlags are the flags of watch; what a reload reads again is read by loadWatched.
type watchFlags struct {
	of    outputFlags
	df    detectFlags
	cf    containFlags
	mf    metrics.Flags
	in    inputs.Flags
	from  watch.From
	paths string
	unit  bool
}

func (f *watchFlags) check() error {
	switch f.from {
	case watch.FromCheckpoint, watch.FromStart, watch.FromEnd:
	default:
		return fmt.Errorf("--from %q: want checkpoint, start or end", f.from)
	}
	if f.of.file != "" {
		return errors.New("--output is for reports that end; redirect the output of watch instead")
	}
	return nil
}

func (f *watchFlags) run(cmd *cobra.Command, args []string) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	if err := f.in.Prepare(cmd, args); err != nil {
		return err
	}
	notifier, g := daemon.FromEnviron(), reload.From(cmd.Flags())
	c, err := f.cf.open(cmd)
	if err != nil {
		return err
	}
	defer c.close(cmd.Context(), &err)
	stdin := slices.Contains(args, "-")
	if f.in.Any() && !stdin {
		args = append(slices.Clip(args), "-") // no path need be given
	}
	now, err := loadWatched(cmd, g, args, c.known())
	if err != nil {
		return err
	}
	w, _, err := f.of.open(cmd, now.conf.Rules, args, nil)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	var counted *metrics.Watch
	stop, err := f.mf.Start(buildVersion(), log, func(s *metrics.Set) {
		counted = metrics.NewWatch(s)
		s.Incidents(c.registry, log)
	})
	if err != nil {
		return err
	}
	defer stop(&err)
	others, err := f.in.Open(cmd, inputs.Options{Engine: now.engine, Rules: now.conf.Rules, MinConfidence: now.min, Check: c.check, Registry: c.registry,
		Policy: now.policy, Stdin: stdin, Paths: now.paths, From: string(f.from), State: filepath.Dir(watchState()), Log: log, Metrics: counted})
	if err != nil {
		return err
	}
	if c.set != nil {
		watch.Wait(cmd.Context(), c.set, log, notifier.Alive)
	}
	beside := &services{cmd: cmd, c: c, work: c.revoker != nil && f.cf.revoke == string(revoker.Auto)}
	beside.start()
	changes := make(chan watch.Change)
	r := &reloader{cmd: cmd, given: g, args: args, now: now, beside: beside, inputs: others, notifier: notifier, log: log, mode: f.cf.revoke, changes: changes}
	hup := daemon.OnReload(cmd.Context(), r.reload)
	err = watch.Run(cmd.Context(), watch.Options{
		Engine: now.engine, Registry: c.registry, Writer: w, Paths: now.paths, From: f.from, State: watchState(), Reload: changes,
		MinConfidence: now.min, Settings: now.settings(c.revoker), Metrics: counted, Check: c.check, Alive: notifier.Alive,
		Ready: func(n int) {
			text := fmt.Sprintf("watching %d file%s", n, map[bool]string{false: "s"}[n == 1])
			fmt.Fprintln(cmd.ErrOrStderr(), text)
			notifier.Ready(text)
		},
		Trouble: func(path string, err error) { tell(log, "it is read again", err, "path", path) },
		Format:  f.in.Files(), Inputs: others.Serve,
		Ended: func(all map[string]watch.Read) {
			for _, input := range slices.Sorted(maps.Keys(all)) {
				log.Info("read", "input", input, "bytes", all[input].Bytes, "lines", all[input].Lines)
			}
		},
		Blocked: func(err error) { tell(log, "storing works again", err) },
	})
	notifier.Stopping()
	hup()
	return errors.Join(err, beside.end(), c.check())
}

// tell logs a trouble, or that it is over.
func tell(log *slog.Logger, over string, err error, about ...any) {
	if err == nil {
		log.Info(over, about...)
		return
	}
	log.Warn(err.Error(), about...)
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
