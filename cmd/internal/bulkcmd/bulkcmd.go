// Package bulkcmd is the commands that make tokens: token issue, token import, and
// fingerprint, each for one token or for a file of many.
//
// It is given how a registry is opened and closed, and does not know exit codes.
// A token's value is never an argument and never repeated. Start reading at New.
package bulkcmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/bulk"
)

// Env is what the commands are given.
type Env struct {
	Open        func(*cobra.Command, bool) (*registry.Registry, error)
	OpenToIssue func(cmd *cobra.Command, create bool, policy string) (*registry.Registry, error)
	Close       func(*registry.Registry, *error)
	// Incomplete makes an error of one that says that some lines were bad.
	Incomplete func(error) error
}

// New makes the commands of token.
func New(e Env) []*cobra.Command { return []*cobra.Command{e.issue(), e.imports()} }

// tokenFlags adds what issue, import and fingerprint share.
func tokenFlags(cmd *cobra.Command, l *bulk.Line) {
	f := cmd.Flags()
	f.StringVar(&l.Owner, "owner", "", "who answers for the token (required)")
	f.StringVar(&l.Purpose, "purpose", "", "what it is for (required)")
	f.StringArrayVar(&l.Scopes, "scope", nil, "what it may do, action:resource, or an action on each --resource; repeat for more")
	f.StringArrayVar(&l.Resources, "resource", nil, "what actions that --scope names alone may be done on, such as repo/*; repeat for more")
	f.StringVar(&l.Env, "env", "live", "environment: live or test")
	f.StringArrayVar(&l.Tags, "tag", nil, "label for lists; repeat for more")
}

// file says how a file is read.
type file struct {
	format  string
	columns []string
	o       bulk.Options
	from    int
	dry     bool
}

func (f *file) flags(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.format, "input-format", "", "of the file: csv, jsonl or lines (bare values); by default told by its first line")
	fl.StringArrayVar(&f.columns, "column", nil, "name of a column that is called otherwise, such as value=token; repeat for more")
	fl.BoolVar(&f.o.IgnoreUnknown, "ignore-unknown", false, "pass over columns of names that are not known")
}

func (f *file) more(cmd *cobra.Command) {
	f.flags(cmd)
	fl := cmd.Flags()
	fl.IntVar(&f.from, "from-line", 0, "pass over the lines before this one, to go on where a run ended")
	fl.BoolVar(&f.dry, "dry-run", false, "try every line, and change nothing")
}

// named are the flags that only make sense with a file.
func (f *file) named(cmd *cobra.Command) string {
	for _, name := range []string{"input-format", "column", "ignore-unknown", "from-line", "dry-run"} {
		if fl := cmd.Flags().Lookup(name); fl != nil && fl.Changed {
			return "--" + name
		}
	}
	return ""
}

// open opens a file, or standard input for "-". A name that is none may be a value
// by mistake, and is not repeated.
func (f *file) open(cmd *cobra.Command, name string, defaults bulk.Line) (*bulk.Reader, func(), error) {
	f.o.Format, f.o.Defaults, f.o.Columns = f.format, defaults, map[string]string{}
	for _, c := range f.columns {
		usual, other, ok := strings.Cut(c, "=")
		if !ok {
			return nil, nil, errors.New("--column wants NAME=COLUMN, such as value=token")
		}
		f.o.Columns[usual] = other
	}
	var in io.Reader = cmd.InOrStdin()
	end := func() {}
	if name != "-" {
		h, err := os.Open(name)
		if err != nil {
			var e *fs.PathError
			if errors.As(err, &e) {
				err = e.Err
			}
			return nil, nil, fmt.Errorf("opening the file of tokens: %w; the argument is the path of a file; a token's value is read from standard input or a file, never from the command line (if that was a real value, it is in your shell's history now: revoke it)", err)
		}
		in, end = h, func() { h.Close() }
	}
	r, err := bulk.NewReader(in, f.o)
	if err != nil {
		end()
		return nil, nil, err
	}
	return r, end, nil
}

// opening says of a registry that is missing why a command that makes one did not.
func (f *file) opening(err error) error {
	if f.dry && errors.Is(err, registry.ErrNoRegistry) {
		return fmt.Errorf("%w, or import one: a dry run tries its lines on the registry, and makes none", err)
	}
	return err
}

// bad tells of a line on standard error.
func bad(cmd *cobra.Command) func(int, error) {
	return func(n int, err error) { fmt.Fprintf(cmd.ErrOrStderr(), "line %d: %v\n", n, err) }
}

// atMostOne wants no argument or the name of a file.
func atMostOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return input.NoValue(name, 0)(cmd, args)
	}
}

func (e Env) imports() *cobra.Command {
	var l bulk.Line
	var life input.TTL
	var value string
	var f file
	cmd := &cobra.Command{
		Use:   "import --owner NAME --purpose TEXT [--provider NAME] [--file FILE] | import FILE|-",
		Short: "Register a token that exists already, or a file of them",
		Long: `Import reads one value from standard input, or from --file, and registers it, so
that a scan finds it whatever its form. Only a keyed hash and its form (length
and kinds of characters) are kept. The registry is created when there is none.

--provider names who issued the value and can revoke it; without it the value
counts as a token of this registry.

With the path of a file, or '-' for standard input, it registers a token for
each line: of CSV with a header, of JSON objects, or of bare values. Columns are
value (or pair, as quench fingerprint writes it), owner, purpose, scopes,
resources, env, provider, tags and ttl; what a line does not say is what the
flags say. A bad line is named by its number and passed over. Lines are stored
in batches, all or nothing each; what is a token already is counted, so that an
interrupted import is simply run again.

Exit codes: 0 all lines are tokens now, 2 error, 3 some lines were bad.`,
		Example: `  quench token import --owner ann --purpose "vendor key" --provider vendor < key.txt
  quench token import keys.csv --dry-run
  vault-export | quench token import - --owner ops --purpose vault --provider vault --column value=id --ignore-unknown`,
		Args: atMostOne("token import"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			l.TTL = time.Duration(life)
			switch name := f.named(cmd); {
			case len(args) == 1 && value != "":
				return errors.New("token import takes a file of many values as its argument, or one value by --file; not both")
			case len(args) == 1:
				return e.importFile(cmd, args[0], &f, l)
			case name != "":
				return fmt.Errorf("token import takes %s with a file of many values: token import FILE, or - for standard input", name)
			}
			return e.importOne(cmd, value, l)
		},
	}
	tokenFlags(cmd, &l)
	fl := cmd.Flags()
	fl.Var(&life, "ttl", "time until it expires (default 30d, and not known with --provider)")
	fl.Lookup("ttl").DefValue = ""
	fl.StringVar(&l.Provider, "provider", "", "who issued it, a provider of the policy")
	fl.StringVar(&value, "file", "", "read the one value from this file instead of standard input")
	f.more(cmd)
	return cmd
}

func (e Env) importOne(cmd *cobra.Command, file string, l bulk.Line) (err error) {
	if err := l.Settle(); err != nil {
		return err
	}
	q := registry.ImportRequest{Owner: l.Owner, Purpose: l.Purpose, Scopes: l.Scopes, TTL: l.TTL, Env: l.Env, Provider: l.Provider, Tags: l.Tags}
	if q.Value, err = input.Value(cmd.InOrStdin(), cmd.ErrOrStderr(), file); err != nil {
		return err
	}
	r, err := e.Open(cmd, true)
	if err != nil {
		return err
	}
	defer e.Close(r, &err)
	t, err := r.Import(cmd.Context(), q)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "imported %s\n", t.ID)
	if len(t.HardToFind) > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: a scan does not find this value written as %s\n", strings.Join(t.HardToFind, "  "))
	}
	return nil
}

// hardTold bounds the lines that are named as hard to find; the count tells of all.
const hardTold = 10

func (e Env) importFile(cmd *cobra.Command, name string, f *file, l bulk.Line) (err error) {
	in, end, err := f.open(cmd, name, l)
	if err != nil {
		return err
	}
	defer end()
	r, err := e.Open(cmd, !f.dry)
	if err != nil {
		return f.opening(err)
	}
	defer e.Close(r, &err)
	told := 0
	run := bulk.Run{Registry: r, FromLine: f.from, DryRun: f.dry, Bad: bad(cmd), Hard: func(n int, t registry.Token) {
		if told++; told <= hardTold {
			fmt.Fprintf(cmd.ErrOrStderr(), "line %d: note: a scan does not find this value written as %s\n", n, strings.Join(t.HardToFind, "  "))
		}
	}}
	c, err := run.Import(cmd.Context(), in)
	verb := "imported"
	if f.dry {
		verb = "would import"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s %d of %d lines: %s, %s, %d hard to find\n", verb, c.Stored, c.Lines, plural(c.Duplicates, "duplicate"), plural(c.Bad, "bad line"), c.Hard)
	return e.end(c, err)
}

// end is the error of a run.
func (e Env) end(c bulk.Count, err error) error {
	switch {
	case err != nil && c.Last > 0:
		return fmt.Errorf("%w; all up to line %d is done: go on with --from-line %d", err, c.Last, c.Last+1)
	case err != nil:
		return fmt.Errorf("%w; nothing was changed", err)
	case c.Bad > 0:
		return e.Incomplete(fmt.Errorf("%s of %d", plural(c.Bad, "bad line"), c.Lines))
	case c.Lines == 0:
		return errors.New("the file holds no line of a token")
	}
	return nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func oneOf(format string, all ...string) error {
	if !slices.Contains(all, format) {
		return fmt.Errorf("--format %q: must be %s or %s", format, strings.Join(all[:len(all)-1], ", "), all[len(all)-1])
	}
	return nil
}
