package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/muesli/termenv"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/quench-dev/quench/cmd/internal/atomicfile"
	"github.com/quench-dev/quench/cmd/internal/baseline"
	"github.com/quench-dev/quench/cmd/internal/cachedir"
	"github.com/quench-dev/quench/cmd/internal/config"
	"github.com/quench-dev/quench/cmd/internal/envelope"
	"github.com/quench-dev/quench/cmd/internal/limits"
	"github.com/quench-dev/quench/cmd/internal/pipeline"
	"github.com/quench-dev/quench/cmd/internal/progress"
	"github.com/quench-dev/quench/cmd/internal/redactcmd"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/ignore"
	"github.com/quench-dev/quench/scanner/redact"
	"github.com/quench-dev/quench/scanner/report"
	"github.com/quench-dev/quench/sources"
)

const scanLong = `Scan finds leaked secrets in what TARGET names; several at once is fine, and no
target means the current folder.

  a repository    its whole history, all refs and what no ref reaches any more,
                  and its working tree, with the git-ignored .env* files; a
                  folder in one: that part of it; --history=false is the working
                  tree only, --worktree=false the history only
  an address      https://…, ssh://…, git@host:path: the history of a repository
                  elsewhere, cloned to a temporary folder
  a folder        its files, except git-ignored ones where it has a .gitignore;
                  repositories in it are scanned as repositories
  a file          its bytes
  -               standard input, decided line by line as it arrives

Archives, compressed files and documents are unpacked wherever they lie, in one
another too; what is in them is told as archive!/inner/path. --archive-depth and
--archive-max-size bound it: what is over the defaults was not covered (exit
code 3), what is over a limit of your own is excluded.

Findings are redacted unless --show-secrets is given. Secrets that the registry
of issued tokens knows are matched whatever their shape; --revoke says what
happens to them, and by default nothing does.

Exit codes: 0 clean and complete, 1 findings, 2 error, 3 nothing found but
something wanted could not be read (or nothing was there to read).`

type scanFlags struct {
	output            outputFlags
	detect            detectFlags
	contain           containFlags
	history, worktree bool
	noGitignore       bool
	unreachable       bool
	trustAlternates   bool
	exitZero          bool
	scope             sources.Scope
	archives          limits.Archives
	workers           int
	memory            string
	compareFull       bool
	cache             string
	redactTo          string
	logFormat         string
}

func newScanCmd() *cobra.Command {
	f := &scanFlags{}
	cmd := &cobra.Command{
		Use:   "scan [TARGET…]",
		Short: "Scan repositories, folders, files or standard input",
		Long:  scanLong,
		Example: `  quench scan                       this repository, history and working tree
  quench scan --history=false src   the files in src as they are now
  tail -f app.log | quench scan -   a stream, line by line
  app | quench scan - --redact-to - passes it on without its secrets
  quench scan --format sarif --output quench.sarif .`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.addTo(cmd)
	return cmd
}

// addTo adds the flags of a scan.
func (f *scanFlags) addTo(cmd *cobra.Command) {
	f.output.add(cmd)
	f.detect.add(cmd)
	f.contain.add(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&f.history, "history", true, "scan the history of repositories")
	fl.BoolVar(&f.worktree, "worktree", true, "scan the working tree of repositories")
	fl.StringVar(&f.scope.Range, "range", "", "only what commits A..B bring, as git log reads it; A...B, COMMIT^! and @{upstream}.. too")
	fl.StringVar(&f.scope.Since, "since", "", "only commits since a time (2026-01-31, 14d, 2w, 3.months.ago) or not reachable from a commit")
	fl.StringArrayVar(&f.scope.Branches, "branch", nil, "only the history of this branch (repeatable)")
	fl.StringArrayVar(&f.scope.RefGlobs, "ref-glob", nil, "only the history of refs such as tags/v* or heads/release/** (repeatable)")
	fl.IntVar(&f.scope.MaxCount, "max-count", 0, "only the newest commits, this many")
	fl.StringArrayVar(&f.scope.Paths, "path", nil, "only files at such a path: *.go, src, docs/**/*.md (repeatable)")
	fl.BoolVar(&f.scope.Staged, "staged", false, "only what is staged to be committed")
	fl.BoolVar(&f.scope.Unstaged, "unstaged", false, "only what is changed and not staged, new files included")
	fl.BoolVar(&f.noGitignore, "no-gitignore", false, "scan git-ignored files too")
	fl.BoolVar(&f.unreachable, "unreachable", true, "scan what no ref of a repository reaches any more: reflogs, amended, reset, dropped and force-pushed commits")
	fl.BoolVar(&f.trustAlternates, "trust-alternates", false, "read object folders outside the repository that it names as alternates")
	fl.BoolVar(&f.detect.showDropped, "show-dropped", false, "also show what has the form of a secret and is none, and why: a wrong checksum, a stop word (human, json, jsonl, csv)")
	fl.BoolVar(&f.exitZero, "exit-zero", false, "exit 0 even with findings")
	fl.BoolVar(&f.compareFull, "compare-full", false, "scan history both by differences and in full, compare, and exit 2 if they do not agree")
	f.archives.Add(fl)
	fl.StringVar(&f.cache, "cache", "", "folder to remember in what history was read, so that the next scan reads only what is new")
	fl.StringVar(&f.redactTo, "redact-to", "", "pass standard input on with its secrets replaced: - for standard output, the report goes to standard error then, or a folder")
	fl.StringVar(&f.logFormat, "log-format", "auto", "what standard input is: "+envelope.Formats+"; docker and cri are logs of containers, whose split lines are joined")
	fl.StringVar(&f.memory, "memory", "", "aim at no more memory than this, such as 256MB: objects of over a quarter of it are passed over, and told")
	fl.IntVar(&f.workers, "workers", 0, "items read at the same time (default one per CPU)")
}

// isWhole says that all of the targets is scanned, so that an entry of an ignore
// file which meets nothing is for nothing.
func (f *scanFlags) isWhole() bool {
	return f.history && f.worktree && reflect.ValueOf(f.scope).IsZero()
}

// opened is what a scan goes by, and its sources.
type opened struct {
	conf  *config.Settings
	srcs  []sources.Source
	names []string // of the targets
	scanOptions
}

// open opens the targets.
func (f *scanFlags) open(cmd *cobra.Command, targets []string) (o opened, err error) {
	archives, err := f.archives.Options(cmd.Flags())
	if err != nil {
		return o, err
	}
	memory, err := limits.Memory(f.memory)
	if err != nil {
		return o, err
	}
	o.scanOptions = scanOptions{notes: &notes{}, workers: f.workers, mayBeEmpty: f.scope.MayBeEmpty(), compareFull: f.compareFull,
		detect: fmt.Sprintf("%+v %d", archives, memory), whole: f.isWhole()}
	stdin, err := envelope.New(cmd.InOrStdin(), f.logFormat)
	if err != nil {
		return o, err
	}
	var walks sources.Memory
	if f.cache != "" {
		o.cache, err = cachedir.Open(f.cache, func(s string) { fmt.Fprintf(cmd.ErrOrStderr(), "quench: the cache: %s\n", s) })
		if err != nil {
			return o, err
		}
		walks = o.cache
	}
	var each []int // how many sources a target is
	for _, target := range targets {
		o.names = append(o.names, sources.TargetName(target))
		s, err := sources.Open(target, sources.OpenOptions{
			Note: o.notes.show, Walks: walks, Stdin: stdin, History: f.history, Worktree: f.worktree, Scope: f.scope,
			Archives: archives, NoGitignore: f.noGitignore, Unreachable: f.unreachable, TrustAlternates: f.trustAlternates, Memory: memory,
		})
		if err != nil {
			return o, err
		}
		for _, src := range s {
			if p, ok := src.(sources.Preparer); ok && len(targets) == 1 {
				p.Prepare() // while the rules are read
			}
		}
		o.srcs, each = append(o.srcs, s...), append(each, len(s))
	}
	if o.conf, err = f.detect.load(cmd, targets, f.trustAlternates); err != nil {
		return o, err
	}
	for i, n := range each {
		o.filters = append(o.filters, slices.Repeat(o.conf.Filters[i:i+1], n)...)
	}
	if o.cache != nil {
		return o, o.cache.Outside(o.srcs)
	}
	return o, nil
}

// collect scans for what findings are called, those that are ignored too. It
// contains nothing.
func (f *scanFlags) collect(cmd *cobra.Command, targets []string) (*baseline.Collector, error) {
	if len(targets) == 0 {
		targets = []string{"."}
	}
	if f.redactTo != "" {
		return nil, errors.New("--redact-to is of quench scan: this command passes nothing on")
	}
	f.detect.showIgnored, f.detect.showDropped = true, false
	o, err := f.open(cmd, targets)
	if err != nil {
		return nil, err
	}
	c := &baseline.Collector{}
	f.contain.revoke = "off"
	m := f.output.meter(cmd)
	defer m.Stop()
	res, err := runScanWith(cmd, o.srcs, o.conf, c, f.detect, f.contain, o.scanOptions, m)
	return c, errors.Join(err, res.Failed)
}

func (f *scanFlags) run(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		args = []string{"."}
	}
	switch f.output.format {
	case "human", "json", "jsonl", "csv":
	default:
		if f.detect.showDropped {
			return fmt.Errorf("--show-dropped with --format %s: every result of that format stands for a finding; use human, json, jsonl or csv", f.output.format)
		}
	}
	through, err := redactcmd.Open(cmd, f.redactTo, f.logFormat, args)
	if err != nil {
		return err
	}
	o, err := f.open(cmd, args)
	if err != nil {
		return errors.Join(err, through.Close())
	}
	o.through = through
	res, err := runScan(cmd, o.srcs, o.conf, o.names, f.output, f.detect, f.contain, o.scanOptions)
	if err != nil {
		return err
	}
	if code := res.ExitCode(); code != exitOK && !(f.exitZero && code == exitFindings) {
		return exit{Code: code, Err: res.Failed}
	}
	return res.Failed
}

// scanOptions are those of pipeline.Options that flags of some commands set.
type scanOptions struct {
	workers     int
	mayBeEmpty  bool
	compareFull bool
	cache       *cachedir.Dir
	detect      string // all that what is read depends on besides detectFlags, for the cache
	notes       *notes
	filters     []*ignore.Filter
	whole       bool
	through     *redactcmd.Through
}

// notes are shown by the meter, once there is one.
type notes struct{ m *progress.Terminal }

func (n *notes) show(text string) {
	n.m.Note(text)
}

// runScan scans the sources into the report that the flags ask for.
func runScan(cmd *cobra.Command, srcs []sources.Source, conf *config.Settings, targets []string, of outputFlags, df detectFlags, cf containFlags, o scanOptions) (res pipeline.Result, err error) {
	meter := of.meter(cmd)
	if o.notes != nil {
		o.notes.m = meter
	}
	w, done, err := of.open(cmd, conf.Rules, targets, meter)
	if err == nil {
		res, err = runScanWith(cmd, srcs, conf, w, df, cf, o, meter)
		err = errors.Join(err, done(err == nil))
	}
	meter.Stop()
	return res, err
}

// runScanWith joins rules, registry, revoker and a report around the sources.
func runScanWith(cmd *cobra.Command, srcs []sources.Source, conf *config.Settings, w report.Writer, df detectFlags, cf containFlags, o scanOptions, m *progress.Terminal) (res pipeline.Result, err error) {
	c, err := cf.open(cmd)
	if err != nil {
		return res, err
	}
	defer c.close(cmd.Context(), &err)
	eng, err := df.newEngine(conf, c.known())
	if err != nil {
		return res, err
	}
	po := pipeline.Options{
		Engine: eng, Revoker: c.revoker, Writer: w, Workers: o.workers, MinConfidence: rules.Confidence(df.minConfidence), MayBeEmpty: o.mayBeEmpty, CompareFull: o.compareFull,
		Filters: o.filters, ShowIgnored: df.showIgnored, Whole: o.whole, Progress: m.Counters(), Read: m.Stop,
	}
	if o.cache != nil && !df.showDropped { // what was dropped is not remembered
		if po.Cache, err = o.cache.Found(conf.Rules.Rules(), fmt.Sprintf("%d %s", df.decodeDepth, o.detect)); err != nil {
			return res, err
		}
	}
	o.through.Start(redact.Options{Engine: eng, Rules: conf.Rules, MinConfidence: po.MinConfidence, Check: c.check})
	res, err = pipeline.Run(cmd.Context(), srcs, po)
	res.Failed = errors.Join(res.Failed, o.through.Close(), c.check())
	return res, err
}

// outputFlags say how and where a report is written.
type outputFlags struct {
	format, file string
	template     string
	showSecrets  bool
	noProgress   bool
}

func (f *outputFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&f.format, "format", "f", "human", "report format: "+strings.Join(report.Formats(), ", "))
	fl.StringVarP(&f.file, "output", "o", "", "write the report to this file, whole or not at all")
	fl.StringVar(&f.template, "template", "", "file of the text/template that --format template fills in")
	fl.BoolVar(&f.showSecrets, "show-secrets", false, "print secrets in plaintext")
	fl.BoolVar(&f.noProgress, "no-progress", false, "show no progress, which is shown on a terminal only")
}

func (f *outputFlags) meter(cmd *cobra.Command) *progress.Terminal {
	if f.noProgress {
		return nil
	}
	return progress.On(cmd.ErrOrStderr())
}

// open makes the report writer. done must be called once with whether all went
// well; only then does --output replace its file.
func (f *outputFlags) open(cmd *cobra.Command, set *rules.Set, targets []string, m *progress.Terminal) (w report.Writer, done func(ok bool) error, err error) {
	var out io.Writer = cmd.OutOrStdout()
	done = func(bool) error { return nil }
	o := report.Options{ShowSecrets: f.showSecrets, Version: buildVersion(), Rules: set.Rules(), Targets: targets, Width: 80}
	if f.template != "" {
		b, err := os.ReadFile(f.template)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the report template: %w", err)
		}
		if o.Template = string(b); f.format != "template" {
			return nil, nil, fmt.Errorf("--template %s goes with --format template", f.template)
		}
	}
	if f.file != "" {
		t, err := atomicfile.Create(f.file)
		if err != nil {
			return nil, nil, fmt.Errorf("creating the report beside %q: %w", f.file, err)
		}
		out = t
		done = func(ok bool) error {
			if !ok {
				return t.Discard()
			}
			return t.Commit()
		}
	} else if tty, ok := out.(*os.File); ok && term.IsTerminal(int(tty.Fd())) {
		o.Color = termenv.NewOutput(tty).EnvColorProfile() != termenv.Ascii
		if width, _, err := term.GetSize(int(tty.Fd())); err == nil && width > 20 {
			o.Width = width
		}
		out = m.Over(out)
	}
	w, err = report.New(f.format, out, o)
	if err != nil {
		done(false)
	}
	return w, done, err
}
