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
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/lockfile"
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

// PathsFrom is the flag of a file of paths, which the command has.
const PathsFrom = "paths-from"

// Prepare makes the report of a command that passes its input on to standard output go to
// standard error. Call it before the report is opened.
func (f *Flags) Prepare(cmd *cobra.Command, args []string) (err error) {
	stdin := slices.Contains(args, "-")
	none := len(args) == 0 && !cmd.Flags().Changed(PathsFrom)
	if f.access() {
		if stdin || none {
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
	case f.Format == "journal":
		return errors.New("--redact-to passes on text, and --log-format journal reads JSON: follow the journal itself by --journald")
	case stdin && (len(args) > 1 || f.Any()):
		return errors.New("--redact-to passes on standard input, or all else, not both")
	case none && !f.Any():
		return errors.New("--redact-to needs files, or - for standard input")
	case stdin:
		f.through, err = redactcmd.Open(cmd, f.redactTo, f.Format, args)
		return err
	case f.redactTo == "-":
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // so that it is an error
		f.out = &shared{w: cmd.OutOrStdout()}
		cmd.SetOut(cmd.ErrOrStderr())
	}
	return nil
}

// beside adds what is done with files beside watching them. A reload begins it anew.
func (s *Set) beside() error {
	f, o := &s.f, s.o
	if o.From != "end" {
		sink := s.sink("older")
		if err := s.anew(o, func(o Options) (run, error) {
			plan, err := older.New(older.Options{Paths: o.Paths, Format: f.Files(), Anew: o.From == "start", State: filepath.Join(o.State, "older-logs.json"), Sink: sink, Trouble: s.trouble})
			if err != nil {
				return nil, err
			}
			return plan.Read, nil
		}); err != nil {
			return err
		}
	}
	switch {
	case f.redactTo == "":
	case f.through != nil:
		f.through.Start(o.redact())
	default:
		if err := s.anew(o, s.passOn); err != nil {
			return err
		}
	}
	if !f.access() {
		return nil
	}
	if o.From == "end" {
		return errors.New("--access-log reads files from checkpoint or start: a use that was not counted would be new each time")
	}
	return s.anew(o, s.uses)
}

// shared is a writer that files and messages are passed on to.
type shared struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// openMessages opens what messages are passed on to.
func (s *Set) openMessages(ctx context.Context) (err error) {
	if s.f.redactTo == "" || !s.f.Any() {
		return nil
	}
	s.mu.Lock()
	o := passon.Options{Redact: s.o.redact(), Out: s.f.out, Trouble: s.trouble}
	s.mu.Unlock()
	if s.f.out == nil {
		if o.Dir, err = filepath.Abs(s.f.redactTo); err != nil {
			return fmt.Errorf("--redact-to: %w", err)
		}
	}
	m, err := passon.NewMessages(ctx, o)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = m
	return err
}

// passer passes on what comes by an input; nil for what is passed on as it is read.
func (s *Set) passer(source string) func(string, []byte) {
	if s.f.redactTo == "" || !slices.Contains([]string{"journald", "syslog", "otlp"}, source) {
		return nil
	}
	return func(sender string, text []byte) { s.failing(s.messages.Write(source, sender, text)) }
}

// failing ends Serve where there is an error: no more can be passed on.
func (s *Set) failing(err error) {
	if err != nil {
		select {
		case s.failed <- err:
		default:
		}
	}
}

// lock keeps other watches from writing where this one keeps how far it is: each would
// undo what the other wrote.
func (s *Set) lock() error {
	f := &s.f
	take := func(path, what, try string) error {
		l, err := lockfile.Take(path)
		if errors.Is(err, lockfile.ErrTaken) {
			return fmt.Errorf("%s: %w; %s", what, lockfile.ErrTaken, try)
		}
		s.locks = append(s.locks, l)
		return err
	}
	const other = "end it, or set XDG_STATE_HOME to another folder for this one"
	switch {
	case f.redactTo == "" || f.through != nil:
	case f.out == nil:
		if err := take(filepath.Join(f.redactTo, ".quench-lock"), fmt.Sprintf("--redact-to %q", f.redactTo), "name another folder"); err != nil {
			return err
		}
	default:
		if err := take(filepath.Join(s.o.State, "redact-stdout.lock"), "--redact-to - keeps its positions in "+s.o.State, other); err != nil {
			return err
		}
	}
	if len(f.journald) > 0 {
		if err := take(filepath.Join(s.o.State, "journal-cursor.lock"), "--journald keeps its cursor in "+s.o.State, other); err != nil {
			return err
		}
	}
	if s.o.Registry == nil && len(s.o.Paths) > 0 {
		return take(filepath.Join(s.o.State, "watch.lock"), "without a registry positions are kept in "+s.o.State, other)
	}
	return nil
}

// run reads until its context ends, or for as long as it has something.
type run = func(context.Context) error

// passOn passes files on.
func (s *Set) passOn(o Options) (run, error) {
	f := &s.f
	po := passon.Options{Redact: o.redact(), Format: f.Files(), Paths: o.Paths, From: o.From, Out: f.out, Trouble: s.trouble}
	if f.out == nil {
		dir, err := f.passTo(o.Paths)
		if err != nil {
			return nil, err
		}
		po.Dir = dir
	} else {
		po.State = filepath.Join(o.State, "redact-stdout.json")
	}
	return func(ctx context.Context) error { return passon.Run(ctx, po) }, nil
}

// passTo is the folder that files are passed on to.
func (f *Flags) passTo(paths []string) (string, error) {
	dir, err := filepath.Abs(f.redactTo)
	if err != nil {
		return "", fmt.Errorf("--redact-to: %w", err)
	}
	return dir, passon.CheckDir(dir, paths)
}

// uses records uses of tokens.
func (s *Set) uses(o Options) (run, error) {
	w, err := usagecmd.Watch(o.Registry, o.Policy, o.notes)
	if err != nil {
		return nil, err
	}
	lo := accesslog.Options{Format: strings.TrimPrefix(s.f.accessLog, "auto"), Token: s.f.accessToken}
	if _, err := accesslog.New(lo); err != nil {
		return nil, err
	}
	fo := usagecmd.FollowOptions{Watch: w, Log: lo, Paths: o.Paths, Anew: o.From == "start", Notes: o.notes, Trouble: s.trouble}
	return func(ctx context.Context) error { return usagecmd.Follow(ctx, fo) }, nil
}

// redact is how text is passed on.
func (o *Options) redact() redact.Options {
	return redact.Options{Engine: o.Engine, Rules: o.Rules, MinConfidence: o.MinConfidence, Check: o.Check}
}
