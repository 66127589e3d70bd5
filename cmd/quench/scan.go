package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/muesli/termenv"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/quench-dev/quench/cmd/internal/atomicfile"
	"github.com/quench-dev/quench/cmd/internal/cachedir"
	"github.com/quench-dev/quench/cmd/internal/pipeline"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
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
--archive-max-size bound it: what is over the defaults was not covered (exit code
3), what is over a limit of your own is excluded.

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
	archives          archiveFlags
	workers           int
	memory            string
	compareFull       bool
	cache             string
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
  quench scan --format sarif --output quench.sarif .`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
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
	f.archives.add(cmd)
	fl.StringVar(&f.cache, "cache", "", "folder to remember in what history was read, so that the next scan reads only what is new")
	fl.StringVar(&f.memory, "memory", "", "aim at no more memory than this, such as 256MB: objects of over a quarter of it are passed over, and told")
	fl.IntVar(&f.workers, "workers", 0, "items read at the same time (default one per CPU)")
	return cmd
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
	archives, err := f.archives.options(cmd)
	if err != nil {
		return err
	}
	memory, err := aimAt(f.memory)
	if err != nil {
		return err
	}
	var dir *cachedir.Dir
	var walks sources.Memory
	if f.cache != "" {
		dir, err = cachedir.Open(f.cache, func(s string) { fmt.Fprintf(cmd.ErrOrStderr(), "quench: the cache: %s\n", s) })
		if err != nil {
			return err
		}
		walks = dir
	}
	var srcs []sources.Source
	var n notes
	names := make([]string, len(args))
	for i, target := range args {
		names[i] = sources.TargetName(target)
		s, err := sources.Open(target, sources.OpenOptions{
			Note: n.show, Walks: walks, Stdin: cmd.InOrStdin(), History: f.history, Worktree: f.worktree, Scope: f.scope,
			Archives: archives, NoGitignore: f.noGitignore, Unreachable: f.unreachable, TrustAlternates: f.trustAlternates, Memory: memory,
		})
		if err != nil {
			return err
		}
		srcs = append(srcs, s...)
	}
	if dir != nil {
		if err := dir.Outside(srcs); err != nil {
			return err
		}
	}
	res, err := runScan(cmd, srcs, names, f.output, f.detect, f.contain, scanOptions{
		notes: &n, workers: f.workers, mayBeEmpty: f.scope.MayBeEmpty(), compareFull: f.compareFull, cache: dir, detect: fmt.Sprintf("%+v %d", archives, memory),
	})
	if err != nil {
		return err
	}
	if code := res.ExitCode(); code != exitOK && !(f.exitZero && code == exitFindings) {
		return exit{Code: code, Err: res.Failed}
	}
	return res.Failed
}

// leastMemory is what the rules, a worker's buffers and a small repository take.
const leastMemory = 32 << 20

// aimAt tells the garbage collector to work harder as the memory taken comes near to
// what --memory says, and gives that in bytes; 0 for no limit.
func aimAt(memory string) (int64, error) {
	if memory == "" {
		return 0, nil
	}
	n, err := humanize.ParseBytes(memory)
	if err != nil || n < leastMemory || n > math.MaxInt64 {
		return 0, fmt.Errorf("--memory %q: want a size of %s or more, such as 256MB", memory, humanize.IBytes(leastMemory))
	}
	debug.SetMemoryLimit(int64(n))
	return int64(n), nil
}

// archiveFlags say how far archives are unpacked.
type archiveFlags struct {
	depth   int
	maxSize string
}

// maxArchiveDepth bounds --archive-depth: each level holds a decoder's memory, and
// nobody packs this deep but to break scanners.
const maxArchiveDepth = 20

func (f *archiveFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.IntVar(&f.depth, "archive-depth", sources.DefaultArchiveDepth, "how many archives in one another to unpack: zip, tar, gz and more; 0 for none")
	fl.StringVar(&f.maxSize, "archive-max-size", humanize.IBytes(sources.DefaultArchiveSize), "most that is unpacked of one file")
}

// options tells a limit that was asked for from the default, which is hit with
// another exit code.
func (f *archiveFlags) options(cmd *cobra.Command) (o sources.ArchiveOptions, err error) {
	if f.depth < 0 || f.depth > maxArchiveDepth {
		return o, fmt.Errorf("--archive-depth %d: want 0 to %d", f.depth, maxArchiveDepth)
	}
	if cmd.Flags().Changed("archive-depth") {
		o.Depth = f.depth
		if f.depth == 0 {
			o.Depth = -1
		}
	}
	if cmd.Flags().Changed("archive-max-size") {
		n, err := humanize.ParseBytes(f.maxSize)
		if err != nil || n == 0 || n > math.MaxInt64 {
			return o, fmt.Errorf("--archive-max-size %q: want a size, such as 500MB or 4GiB", f.maxSize)
		}
		o.MaxSize = int64(n)
	}
	return o, nil
}

// scanOptions are those of pipeline.Options that flags of some commands set.
type scanOptions struct {
	workers     int
	mayBeEmpty  bool
	compareFull bool
	cache       *cachedir.Dir
	detect      string // all that what is read depends on besides detectFlags, for the cache
	notes       *notes
}

// notes are shown by the meter, once there is one.
type notes struct{ m *meter }

func (n *notes) show(text string) {
	if n.m != nil {
		n.m.m.Note(text)
	}
}

// runScan scans the sources into the report that the flags ask for.
func runScan(cmd *cobra.Command, srcs []sources.Source, targets []string, of outputFlags, df detectFlags, cf containFlags, o scanOptions) (res pipeline.Result, err error) {
	set, err := df.rules()
	if err != nil {
		return res, err
	}
	meter := of.meter(cmd)
	if o.notes != nil {
		o.notes.m = meter
	}
	w, done, err := of.open(cmd, set, targets, meter)
	if err == nil {
		res, err = runScanWith(cmd, srcs, set, w, df, cf, o, meter)
		err = errors.Join(err, done(err == nil))
	}
	meter.stop()
	return res, err
}

// runScanWith joins rules, registry, revoker and a report around the sources.
func runScanWith(cmd *cobra.Command, srcs []sources.Source, set *rules.Set, w report.Writer, df detectFlags, cf containFlags, o scanOptions, m *meter) (res pipeline.Result, err error) {
	c, err := cf.open(cmd)
	if err != nil {
		return res, err
	}
	defer c.close(cmd.Context(), &err)
	eng, err := df.newEngine(set, c.known())
	if err != nil {
		return res, err
	}
	po := pipeline.Options{
		Engine: eng, Revoker: c.revoker, Writer: w, Workers: o.workers, MinConfidence: rules.Confidence(df.minConfidence), MayBeEmpty: o.mayBeEmpty, CompareFull: o.compareFull,
		Progress: m.counters(), Read: m.stop,
	}
	if o.cache != nil && !df.showDropped { // what was dropped is not remembered
		if po.Cache, err = o.cache.Found(set.Rules(), fmt.Sprintf("%d %s", df.decodeDepth, o.detect)); err != nil {
			return res, err
		}
	}
	res, err = pipeline.Run(cmd.Context(), srcs, po)
	res.Failed = errors.Join(res.Failed, c.check())
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

// open makes the report writer. done must be called once with whether all went
// well; only then does --output replace its file.
func (f *outputFlags) open(cmd *cobra.Command, set *rules.Set, targets []string, m *meter) (w report.Writer, done func(ok bool) error, err error) {
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
		out = m.over(out)
	}
	w, err = report.New(f.format, out, o)
	if err != nil {
		done(false)
	}
	return w, done, err
}

// detectFlags say what is looked for.
type detectFlags struct {
	files         []string
	minConfidence string
	engine        string
	decodeDepth   int
	showDropped   bool // of scan alone
}

// maxDecodeDepth bounds --decode-depth: each further one doubles, at worst, what
// is looked at, and nobody encodes by accident more than a few times over.
const maxDecodeDepth = 10

func (f *detectFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringArrayVar(&f.files, "rules", nil, "rule file to use beside the built-in rules (repeatable)")
	fl.StringVar(&f.engine, "engine", "fast", "fast, or plain: the same answers, found byte by byte, for those who doubt them")
	fl.IntVar(&f.decodeDepth, "decode-depth", 3, "how many encodings deep to look into base64, hex, escapes and the like; 0 for none")
	fl.StringVar(&f.minConfidence, "min-confidence", string(rules.Medium), "least confidence reported: low, medium, high")
}

// newEngine makes the engine that the flags ask for.
func (f *detectFlags) newEngine(set *rules.Set, known scanner.Known) (*scanner.Engine, error) {
	if f.decodeDepth < 0 || f.decodeDepth > maxDecodeDepth {
		return nil, fmt.Errorf("--decode-depth %d: want 0 to %d", f.decodeDepth, maxDecodeDepth)
	}
	depth := f.decodeDepth
	if depth == 0 {
		depth = -1
	}
	switch f.engine {
	case "fast", "plain":
		return scanner.New(set, scanner.Options{Known: known, Plain: f.engine == "plain", DecodeDepth: depth, Dropped: f.showDropped})
	}
	return nil, fmt.Errorf("--engine %q: want fast or plain", f.engine)
}

func (f *detectFlags) rules() (*rules.Set, error) {
	switch rules.Confidence(f.minConfidence) {
	case rules.Low, rules.Medium, rules.High:
	default:
		return nil, fmt.Errorf("--min-confidence %q: want low, medium or high", f.minConfidence)
	}
	return withFiles(f.files)
}
