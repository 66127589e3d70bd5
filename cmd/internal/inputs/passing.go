package inputs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/older"
	"github.com/quench-dev/quench/cmd/internal/passon"
	"github.com/quench-dev/quench/cmd/internal/redactcmd"
	"github.com/quench-dev/quench/cmd/internal/usagecmd"
	"github.com/quench-dev/quench/registry/accesslog"
	"github.com/quench-dev/quench/scanner/redact"
)

// What is done with files beside watching them: they are passed on, and uses of tokens
// in access logs are fed to the usage watch.
type beside struct {
	redactTo    string
	accessLog   string
	accessToken string

	through *redactcmd.Through // standard input
	out     io.Writer          // where files are passed on to, nil for a folder
}

func (b *beside) access() bool { return b.accessLog != "" }

// Prepare makes the report of a command that passes its input on to standard output go to
// standard error. Call it before the report is opened.
func (f *Flags) Prepare(cmd *cobra.Command, args []string) (err error) {
	stdin := slices.Contains(args, "-")
	if f.access() {
		if stdin || len(args) == 0 {
			return errors.New("--access-log is of files: pipes are fed by quench usage ingest -")
		}
		if f.accessLog != "auto" && !slices.Contains(accesslog.Formats, f.accessLog) {
			return fmt.Errorf("--access-log %q: want auto, %s", f.accessLog, strings.Join(accesslog.Formats, ", "))
		}
	}
	if f.redactTo == "" {
		return nil
	}
	switch {
	case len(f.syslog)+len(f.journald) > 0 || f.otlp != "" || f.Format == "journal":
		return errors.New("--redact-to passes on files or standard input: what comes in messages is no text that could be passed on byte for byte")
	case stdin && len(args) > 1:
		return errors.New("--redact-to passes on files or standard input, not both")
	case len(args) == 0:
		return errors.New("--redact-to needs files, or - for standard input")
	case stdin:
		f.through, err = redactcmd.Open(cmd, f.redactTo, f.Format, args)
		return err
	case f.redactTo == "-":
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // so that it is an error
		f.out = cmd.OutOrStdout()
		cmd.SetOut(cmd.ErrOrStderr())
	}
	return nil
}

// beside adds what is done with files beside watching them.
func (s *set) beside() error {
	f, o := &s.f, s.o
	if len(o.Paths) > 0 && o.From != "end" {
		plan, err := older.New(older.Options{Paths: o.Paths, Format: f.Files(), Anew: o.From == "start", State: filepath.Join(o.State, "older-logs.json"), Sink: s.sink("older"), Trouble: s.o.trouble})
		if err != nil {
			return err
		}
		s.runs = append(s.runs, plan.Read)
	}
	ro := redact.Options{Engine: o.Engine, Rules: o.Rules, MinConfidence: o.MinConfidence, Check: o.Check}
	switch {
	case f.redactTo == "":
	case f.through != nil:
		f.through.Start(ro)
	default:
		po := passon.Options{Redact: ro, Format: f.Files(), Paths: o.Paths, From: o.From, Out: f.out, Trouble: s.o.trouble}
		if f.out == nil {
			dir, err := filepath.Abs(f.redactTo)
			if err != nil {
				return fmt.Errorf("--redact-to: %w", err)
			}
			if err := passon.CheckDir(dir, o.Paths); err != nil {
				return err
			}
			po.Dir = dir
		} else {
			po.State = filepath.Join(o.State, "redact-stdout.json")
		}
		s.runs = append(s.runs, func(ctx context.Context) error { return passon.Run(ctx, po) })
	}
	if !f.access() {
		return nil
	}
	if o.From == "end" {
		return errors.New("--access-log reads files from checkpoint or start: a use that was not counted would be new each time")
	}
	w, err := usagecmd.Watch(o.Registry, o.Policy, o.notes)
	if err != nil {
		return err
	}
	lo := accesslog.Options{Format: strings.TrimPrefix(f.accessLog, "auto"), Token: f.accessToken}
	if _, err := accesslog.New(lo); err != nil {
		return err
	}
	fo := usagecmd.FollowOptions{Watch: w, Log: lo, Paths: o.Paths, Anew: o.From == "start", Notes: o.notes, Trouble: s.o.trouble}
	s.runs = append(s.runs, func(ctx context.Context) error { return usagecmd.Follow(ctx, fo) })
	return nil
}
