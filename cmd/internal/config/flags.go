package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// notFromFiles are the flags that no file sets: what is revoked and who is told,
// what is shown or written where, and what would make one file name another. A
// file may be named without having been read.
var notFromFiles = []string{"help", "config", "no-config", "config-ref", "registry", "revoke", "policy", "output", "template", "show-secrets", "trust-alternates",
	"sarif", "cache", "rules", "baseline", "ignore-file"}

// instead says where those belong that a file may name otherwise.
var instead = map[string]string{"rules": "files in [rules]", "baseline": "baselines at the top of the file"}

// EnvName is the environment variable of a flag.
func EnvName(flag string) string {
	return "QUENCH_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Env sets the flags that the command line does not and the environment does. A
// flag that may be repeated has a value a line.
func Env(fs *pflag.FlagSet, getenv func(string) string) (err error) {
	fs.VisitAll(func(f *pflag.Flag) {
		v := getenv(EnvName(f.Name))
		if err != nil || f.Changed || v == "" || f.Name == "help" || f.Name == "registry" {
			return
		}
		values := []string{v}
		if f.Value.Type() == "stringArray" {
			values = strings.Split(strings.TrimRight(v, "\n"), "\n")
		}
		for _, v := range values {
			if e := fs.Set(f.Name, v); e != nil {
				err = fmt.Errorf("%s in the environment: %q is no value of --%s", EnvName(f.Name), v, f.Name)
			}
		}
		annotate(f, EnvName(f.Name))
	})
	return err
}

// Given is the value of a boolean flag, nil where nobody gave one.
func Given(fs *pflag.FlagSet, name string) *bool {
	f := fs.Lookup(name)
	if f == nil || !f.Changed {
		return nil
	}
	v := f.Value.String() == "true"
	return &v
}

// origin is the key under which a flag holds where its value comes from.
const origin = "quench origin"

func annotate(f *pflag.Flag, where string) {
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[origin] = []string{where}
}

// Origin says where the value of a flag comes from: "default", "command line", an
// environment variable, or a place in a file.
func Origin(f *pflag.Flag) string {
	switch {
	case f.Annotations[origin] != nil:
		return f.Annotations[origin][0]
	case f.Changed:
		return "command line"
	}
	return "default"
}

// Apply sets the flags that neither the command line nor the environment does and
// the files do. The last file that says something counts.
func (s *Settings) Apply(fs *pflag.FlagSet) error {
	last := map[string]int{}
	for i, o := range s.Scan {
		last[o.Name] = i
	}
	for i, o := range s.Scan {
		f := fs.Lookup(o.Name)
		switch {
		case slices.Contains(notFromFiles, o.Name):
			if to := instead[o.Name]; to != "" {
				return fmt.Errorf("%s: %q is no option here: see %s", o.Where, o.Name, to)
			}
			return fmt.Errorf("%s: %q is set on the command line or in the environment only", o.Where, strings.ReplaceAll(o.Name, "-", "_"))
		case f == nil && !knownOption(o.Name):
			return fmt.Errorf("%s: %w", o.Where, did("scan."+strings.ReplaceAll(o.Name, "-", "_"), o.Name, options()))
		case f == nil || f.Changed || last[o.Name] != i:
			continue
		}
		if err := set(fs, f, o); err != nil {
			return err
		}
	}
	if f := fs.Lookup("min-confidence"); f != nil && !f.Changed && s.MinConfidence != "" {
		if err := fs.Set(f.Name, string(s.MinConfidence)); err != nil {
			return err
		}
		annotate(f, s.minConfidenceAt)
	}
	return nil
}

// set sets a flag to what a file says.
func set(fs *pflag.FlagSet, f *pflag.Flag, o Option) error {
	wrong := func() error {
		return fmt.Errorf("%s: %v is no value of %s, which is a %s", o.Where, o.Value, strings.ReplaceAll(o.Name, "-", "_"), kind(f))
	}
	values := []any{o.Value}
	if list, ok := o.Value.([]any); ok {
		if kind(f) != "list" {
			return wrong()
		}
		values = list
	}
	for _, v := range values {
		switch v.(type) {
		case string:
			if kind(f) == "bool" || kind(f) == "int" {
				return wrong()
			}
		case bool:
			if kind(f) != "bool" {
				return wrong()
			}
		case int64:
			if kind(f) != "int" {
				return wrong()
			}
		default:
			return wrong()
		}
		if err := fs.Set(f.Name, fmt.Sprint(v)); err != nil {
			return wrong()
		}
	}
	annotate(f, o.Where)
	return nil
}

func kind(f *pflag.Flag) string {
	if t := f.Value.Type(); t != "stringArray" {
		return t
	}
	return "list"
}

// options are the names that [scan] may hold: the flags of quench scan. Commands
// that lack one of them pass over it.
func options() []string {
	return []string{"format", "min-confidence", "engine", "decode-depth", "show-ignored", "no-marks", "no-progress", "history", "worktree", "range", "since",
		"branch", "ref-glob", "max-count", "path", "staged", "unstaged", "no-gitignore", "exit-zero", "compare-full", "archive-depth", "archive-max-size", "workers", "memory", "unreachable", "show-dropped"}
}

func knownOption(name string) bool { return slices.Contains(options(), name) }
