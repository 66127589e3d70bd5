package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/config"
	"github.com/quench-dev/quench/cmd/internal/daemon"
	"github.com/quench-dev/quench/cmd/internal/inputs"
	"github.com/quench-dev/quench/cmd/internal/reload"
	"github.com/quench-dev/quench/cmd/internal/watch"
	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// watched is all of a watch that a reload reads again.
type watched struct {
	conf   *config.Settings
	engine *scanner.Engine
	min    rules.Confidence
	shown  bool // what is ignored
	paths  []string
	policy revoker.Policy
}

// loadWatched reads what the command line says, with its files as they are now.
func loadWatched(cmd *cobra.Command, g reload.Given, args []string, known scanner.Known) (*watched, error) {
	var df detectFlags
	var cf containFlags
	var from string
	again := &cobra.Command{}
	again.SetErr(cmd.ErrOrStderr())
	df.add(again)
	cf.add(again)
	again.Flags().StringVar(&from, pathsFrom, "", "")
	if err := g.Set(again.Flags()); err != nil {
		return nil, err
	}
	// What stands in a log comes from anybody: it marks nothing, and a file beside it
	// configures nothing.
	df.noConfig = true
	if err := again.Flags().Set("no-marks", "true"); err != nil {
		return nil, err
	}
	w := &watched{}
	var err error
	if w.paths, err = watchedPaths(args, from); err != nil {
		return nil, err
	}
	if w.conf, err = df.load(again, append(slices.Clip(w.paths), ".")[:1], false); err != nil {
		return nil, err
	}
	if w.engine, err = df.newEngine(w.conf, known); err != nil {
		return nil, err
	}
	w.min, w.shown = rules.Confidence(df.minConfidence), df.showIgnored
	w.policy, err = loadPolicy(cf.policy)
	return w, err
}

// pathsFrom is the flag of a file of paths.
const pathsFrom = inputs.PathsFrom

// watchedPaths are those of the command line and those of a file, one a line, absolute so
// that positions are independent of the folder that watch is started in.
func watchedPaths(args []string, from string) ([]string, error) {
	if from != "" {
		b, err := os.ReadFile(from)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", pathsFrom, err)
		}
		for l := range strings.Lines(string(b)) {
			if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
				args = append(slices.Clip(args), l)
			}
		}
	}
	if len(args) == 0 {
		return nil, errors.New("nothing to watch: name files, folders or patterns, - for standard input, or give --journald, --syslog, --otlp or --" + pathsFrom)
	}
	var out []string
	for _, a := range args {
		if a == "-" {
			continue // standard input, or what else is no path
		}
		p, err := filepath.Abs(a)
		if err != nil {
			return nil, fmt.Errorf("finding %q: %w", a, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// settings are those of a watch with a revoker.
func (w *watched) settings(r *revoker.Revoker) watch.Settings {
	return watch.Settings{Revoker: r, Filter: w.conf.Filters[0], ShowIgnored: w.shown}
}

// difference is what a reload changed, for the log: names, and nothing of what a policy
// or a rule says.
func (w *watched) difference(old *watched) reload.Difference {
	d := reload.Difference{}
	d.Rules(old.conf.Rules, w.conf.Rules)
	d.Names("paths", old.paths, w.paths)
	d.Texts("files", old.conf.Sums, w.conf.Sums)
	if old.min != w.min {
		d.Note("min_confidence", string(w.min))
	}
	d.Changed("policy", reload.Text(old.policy) != reload.Text(w.policy))
	return d
}

// services are what runs beside a watch with a registry: the queue, alerts, deadlines and
// checkpoints of the audit log. A new policy is another revoker, and they are begun anew.
type services struct {
	cmd  *cobra.Command
	c    *container
	work bool
	stop context.CancelFunc
	done chan error
}

// start begins them.
func (s *services) start() {
	if s.c.registry == nil {
		return
	}
	ctx, stop := context.WithCancel(s.cmd.Context())
	s.stop, s.done = stop, make(chan error, 1)
	sub := &cobra.Command{}
	sub.SetContext(ctx)
	sub.SetErr(s.cmd.ErrOrStderr())
	r := s.c.revoker
	go func() {
		queue := make(chan error, 1)
		if s.work {
			go func() { queue <- r.Work(ctx, revoker.WorkOptions{}) }()
		} else {
			queue <- nil
		}
		err := beside(sub, r, func() error { <-ctx.Done(); return nil })
		s.done <- errors.Join(err, <-queue)
	}()
}

// end ends them.
func (s *services) end() error {
	if s.stop == nil {
		return nil
	}
	s.stop()
	return <-s.done
}

// swap puts a revoker of another policy in the place of the one before.
func (s *services) swap(r *revoker.Revoker) error {
	old := s.c.revoker
	err := s.end()
	s.c.revoker = r
	s.start()
	return errors.Join(err, old.Close(context.WithoutCancel(s.cmd.Context())))
}

// reloader reloads a watch.
type reloader struct {
	cmd      *cobra.Command
	given    reload.Given
	args     []string
	now      *watched
	beside   *services
	inputs   *inputs.Set
	notifier *daemon.Notifier
	log      *slog.Logger
	mode     string
	changes  chan<- watch.Change
}

// reload reads all again, and changes what changed or, where anything of it has a fault,
// nothing.
func (r *reloader) reload(ctx context.Context) {
	r.notifier.Reloading()
	status := "reloaded"
	defer func() { r.notifier.Ready(status) }()
	c := r.beside.c
	next, err := loadWatched(r.cmd, r.given, r.args, c.known())
	rev := c.revoker
	if err == nil && c.registry != nil { // what a policy names may have changed, too
		rev, err = revoker.New(c.registry, next.policy, revoker.Options{Mode: revoker.Mode(r.mode), Logger: logger(r.cmd)})
	}
	var apply func()
	var tls bool
	if err == nil {
		apply, tls, err = r.inputs.Check(inputs.Change{Engine: next.engine, Rules: next.conf.Rules, MinConfidence: next.min, Policy: next.policy, Paths: next.paths})
	}
	if err != nil {
		status = "not reloaded, going on as before"
		r.log.Error(status, "err", err)
		return
	}
	changed := next.difference(r.now)
	changed.Changed("tls", tls)
	select {
	case r.changes <- watch.Change{Engine: next.engine, MinConfidence: next.min, Settings: next.settings(rev), Paths: next.paths}:
	case <-ctx.Done():
		return
	}
	apply()
	if rev != c.revoker {
		if err := r.beside.swap(rev); err != nil {
			r.log.Warn("ending what ran with the policy before", "err", err)
		}
	}
	r.now = next
	r.given.Tell(r.log, changed)
}
