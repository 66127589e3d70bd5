package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/config"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// detectFlags say what is looked for, and what of it is left out.
type detectFlags struct {
	files         []string
	minConfidence string
	engine        string
	decodeDepth   int
	config        string
	noConfig      bool
	configRef     string
	base          string // the configRef of a change that others are to accept
	ignoreFiles   []string
	baselines     []string
	showIgnored   bool
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
	fl.StringVarP(&f.config, "config", "c", "", "configuration file, of ours or for gitleaks, instead of one found at the target")
	fl.BoolVar(&f.noConfig, "no-config", false, "read no configuration and no ignore file that lies in a scanned tree")
	fl.StringVar(&f.configRef, "config-ref", "", "read those from this commit of the tree, such as origin/main, not from its files")
	fl.StringArrayVar(&f.ignoreFiles, "ignore-file", nil, "file of ignored findings to use too (repeatable)")
	fl.StringArrayVar(&f.baselines, "baseline", nil, "file of findings that are known already, see quench baseline create (repeatable)")
	fl.BoolVar(&f.showIgnored, "show-ignored", false, "show ignored findings too, and why they are; they do not count")
	fl.Bool("no-marks", false, "do not let quench:allow, gitleaks:allow and trufflehog:ignore on a line ignore what is found there")
}

// load reads the environment and the files that set what the command line does not.
func (f *detectFlags) load(cmd *cobra.Command, targets []string, trustAlternates bool) (*config.Settings, error) {
	if err := config.Env(cmd.Flags(), os.Getenv); err != nil {
		return nil, err
	}
	o := config.Options{Targets: targets, File: f.config, NoFind: f.noConfig, Ref: f.configRef, Base: f.base, RuleFiles: f.files,
		IgnoreFiles: f.ignoreFiles, Baselines: f.baselines, TrustAlternates: trustAlternates, NoMarks: config.Given(cmd.Flags(), "no-marks")}
	if dir, err := configDir(); err == nil {
		o.UserFile = filepath.Join(dir, "config.toml")
	}
	conf, err := config.Load(o)
	if err != nil {
		return nil, err
	}
	if err := conf.Apply(cmd.Flags()); err != nil {
		return nil, err
	}
	for _, n := range conf.Notices {
		fmt.Fprintf(cmd.ErrOrStderr(), "quench: %s\n", n)
	}
	switch rules.Confidence(f.minConfidence) {
	case rules.Low, rules.Medium, rules.High:
		return conf, nil
	}
	return nil, fmt.Errorf("--min-confidence %q: want low, medium or high", f.minConfidence)
}

// newEngine makes the engine that flags and files ask for.
func (f *detectFlags) newEngine(conf *config.Settings, known scanner.Known) (*scanner.Engine, error) {
	if f.decodeDepth < 0 || f.decodeDepth > maxDecodeDepth {
		return nil, fmt.Errorf("--decode-depth %d: want 0 to %d", f.decodeDepth, maxDecodeDepth)
	}
	depth := f.decodeDepth
	if depth == 0 {
		depth = -1
	}
	switch f.engine {
	case "fast", "plain":
		return scanner.New(conf.Rules, scanner.Options{Known: known, Plain: f.engine == "plain", DecodeDepth: depth, Dropped: f.showDropped, Allow: conf.Allow})
	}
	return nil, fmt.Errorf("--engine %q: want fast or plain", f.engine)
}
