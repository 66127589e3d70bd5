package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/scanner/secret"
)

func newTokenCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Issue, import, list, verify and revoke tokens",
		Long: `Token keeps the registry of issued tokens: whose each one is, what for, what it
may do and until when. Values are stored as keyed hashes only. A value is read
from standard input or a file, never from the command line, where every process
could see it and the shell would keep it.`,
		Args: noValue("token", 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenIssueCmd(), newTokenImportCmd(), newTokenListCmd(), newTokenShowCmd(), newTokenVerifyCmd(), newTokenRevokeCmd())
	return cmd
}

// noValue wants exactly n arguments, and repeats none of them in its error: any
// could be a token's value.
func noValue(name string, n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) > n:
			return fmt.Errorf("%s takes %s; a token's value is read from standard input or --file, never from the command line (if that was a real value, it is in your shell's history now: revoke it)", name, count(n, "argument"))
		case len(args) < n:
			return fmt.Errorf("%s needs the id of a token; see quench token list", name)
		}
		return nil
	}
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "one " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// ttl is a duration that may be in days or weeks, such as 30d.
type ttl time.Duration

func (t *ttl) Type() string   { return "duration" }
func (t *ttl) String() string { return days(time.Duration(*t)) }

func (t *ttl) Set(s string) error {
	for unit, d := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		n, ok := strings.CutSuffix(s, unit)
		if !ok {
			continue
		}
		v, err := strconv.ParseInt(n, 10, 32)
		if err != nil || v <= 0 || v > int64(registry.MaxTTL/d) {
			return fmt.Errorf("%q is not a number of days or weeks up to %s", s, days(registry.MaxTTL))
		}
		*t = ttl(time.Duration(v) * d)
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is not a duration such as 30d, 720h or 90m", s)
	}
	*t = ttl(d)
	return nil
}

// days prints a duration in whole days where it is one.
func days(d time.Duration) string {
	if d > 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return d.String()
}

func newTokenIssueCmd() *cobra.Command {
	var q registry.IssueRequest
	life := ttl(registry.DefaultTTL)
	var format string
	cmd := &cobra.Command{
		Use:   "issue --owner NAME --purpose TEXT [--scope ACTION:RESOURCE]…",
		Short: "Make a new token and show it this once",
		Long: `Issue makes a token and writes its value to standard output, this once; nobody
can show it again. All else goes to standard error. The registry is created when
there is none.

A scope is action:resource, each side segments joined by '/'. '*' stands for one
whole segment, '**' at the end for one or more. A token without scopes can do
nothing.`,
		Example: `  quench token issue --owner ann --purpose "nightly backup" --scope read:repo/* --ttl 7d
  quench token issue --owner ci --purpose deploy --scope deploy:** --format env > .env`,
		Args: noValue("token issue", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if format != "text" && format != "env" && format != "json" {
				return fmt.Errorf("--format %q: must be text, env or json", format)
			}
			q.TTL = time.Duration(life)
			r, err := openRegistry(cmd, true)
			if err != nil {
				return err
			}
			defer closeRegistry(r, &err)
			t, value, err := r.Issue(cmd.Context(), q)
			if err != nil {
				return err
			}
			if err := registry.WriteIssued(cmd.OutOrStdout(), format, t, value); err != nil {
				return err
			}
			w := cmd.ErrOrStderr()
			fmt.Fprintf(w, "issued %s for %s, expires %s; the value is not stored and cannot be shown again\n", t.ID, t.Owner, stamp(t.ExpiresAt))
			if len(t.Scopes) == 0 {
				fmt.Fprintln(w, "note: it has no scope, so it can do nothing; grant some with --scope ACTION:RESOURCE")
			}
			return nil
		},
	}
	f := cmd.Flags()
	tokenFlags(cmd, &q.Owner, &q.Purpose, &q.Scopes, &q.Env, &q.Tags)
	f.Var(&life, "ttl", "time until it expires, such as 30d, 720h or 90m")
	f.StringVar(&q.Prefix, "prefix", "", `brand the token begins with (default "qnk")`)
	f.StringVar(&format, "format", "text", "of standard output: text (the value), env (QUENCH_TOKEN=value) or json")
	return cmd
}

// tokenFlags adds what issue and import share.
func tokenFlags(cmd *cobra.Command, owner, purpose *string, scopes *[]string, env *string, tags *[]string) {
	f := cmd.Flags()
	f.StringVar(owner, "owner", "", "who answers for the token (required)")
	f.StringVar(purpose, "purpose", "", "what it is for (required)")
	f.StringArrayVar(scopes, "scope", nil, "what it may do, action:resource; repeat for more")
	f.StringVar(env, "env", "live", "environment: live or test")
	f.StringArrayVar(tags, "tag", nil, "label for lists; repeat for more")
}

func newTokenImportCmd() *cobra.Command {
	var q registry.ImportRequest
	var life ttl
	var file string
	cmd := &cobra.Command{
		Use:   "import --owner NAME --purpose TEXT [--provider NAME] [--file FILE]",
		Short: "Register a token that exists already",
		Long: `Import reads one value from standard input, or from --file, and registers it, so
that a scan finds it whatever its form. Only a keyed hash and its form (length
and kinds of characters) are kept. The registry is created when there is none.

--provider names who issued the value and can revoke it; without it the value
counts as a token of this registry.`,
		Example: `  quench token import --owner ann --purpose "vendor key" --provider vendor < key.txt`,
		Args:    noValue("token import", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			q.TTL = time.Duration(life)
			if q.Value, err = readValue(cmd, file); err != nil {
				return err
			}
			r, err := openRegistry(cmd, true)
			if err != nil {
				return err
			}
			defer closeRegistry(r, &err)
			t, err := r.Import(cmd.Context(), q)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "imported %s\n", t.ID)
			if len(t.HardToFind) > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "note: a scan does not find this value written as %s\n", strings.Join(t.HardToFind, "  "))
			}
			return nil
		},
	}
	f := cmd.Flags()
	tokenFlags(cmd, &q.Owner, &q.Purpose, &q.Scopes, &q.Env, &q.Tags)
	f.Var(&life, "ttl", "time until it expires (default 30d, and not known with --provider)")
	f.Lookup("ttl").DefValue = ""
	f.StringVar(&q.Provider, "provider", "", "who issued it, a provider of the policy")
	f.StringVar(&file, "file", "", "read the value from this file instead of standard input")
	return cmd
}

// maxValue bounds what is read for one value: the longest token is 4 KiB, and
// more is a wrong file.
const maxValue = 1 << 20

// readValue reads the one line that is a token's value, from file or standard
// input; at a terminal without showing it.
func readValue(cmd *cobra.Command, file string) (secret.Secret, error) {
	in, name := cmd.InOrStdin(), "standard input"
	if file != "" && file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return secret.Secret{}, fmt.Errorf("reading the token's value: %w", err)
		}
		defer f.Close()
		in, name = f, strconv.Quote(file)
	}
	var b []byte
	var err error
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(cmd.ErrOrStderr(), "token value (not shown): ")
		b, err = term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
	} else {
		b, err = io.ReadAll(io.LimitReader(in, maxValue+1))
	}
	if err != nil {
		return secret.Secret{}, fmt.Errorf("reading the token's value from %s: %w", name, err)
	}
	if len(b) > maxValue {
		return secret.Secret{}, fmt.Errorf("reading the token's value from %s: more than %d bytes is no token", name, maxValue)
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	switch {
	case len(b) == 0:
		return secret.Secret{}, fmt.Errorf("reading the token's value from %s: it is empty", name)
	case bytes.ContainsAny(b, "\r\n"):
		return secret.Secret{}, fmt.Errorf("reading the token's value from %s: it has several lines; give one value on one line", name)
	}
	return secret.New(b), nil
}

func newTokenListCmd() *cobra.Command {
	var f registry.Filter
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tokens, oldest first",
		Args:  noValue("token list", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := checkFormat(format); err != nil {
				return err
			}
			switch f.State {
			case "", registry.Live, registry.Expired, registry.Suspended, registry.Revoked:
			default:
				return fmt.Errorf("--state %q: must be live, expired, suspended or revoked", f.State)
			}
			r, err := openRegistry(cmd, false)
			if err != nil {
				return err
			}
			defer closeRegistry(r, &err)
			all, err := r.List(cmd.Context(), f)
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(cmd.OutOrStdout(), append([]registry.Token{}, all...))
			}
			if len(all) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "no tokens")
				return nil
			}
			return writeTokens(cmd.OutOrStdout(), all)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.Owner, "owner", "", "only tokens of this owner")
	fl.StringVar(&f.State, "state", "", "only tokens in this state: live, expired, suspended or revoked")
	fl.StringVar(&f.Tag, "tag", "", "only tokens with this tag")
	formatFlag(cmd, &format)
	return cmd
}

func formatFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVar(format, "format", "text", "of standard output: text or json")
}

func checkFormat(format string) error {
	if format != "text" && format != "json" {
		return fmt.Errorf("--format %q: must be text or json", format)
	}
	return nil
}

// writeTokens writes a table of at most 80 columns.
func writeTokens(w io.Writer, all []registry.Token) error {
	b := bufio.NewWriter(w)
	const line = "%-10s  %-9s  %-4s  %s  %s  %s\n"
	fmt.Fprintf(b, line, "ID", "STATE", "ENV", fit("OWNER", 14), fit("PURPOSE", 23), "EXPIRES")
	for _, t := range all {
		expires := "-"
		if !t.ExpiresAt.IsZero() {
			expires = t.ExpiresAt.Format(time.DateOnly)
		}
		fmt.Fprintf(b, line, t.ID, t.State, t.Env, fit(t.Owner, 14), fit(t.Purpose, 23), expires)
	}
	return b.Flush()
}

// fit cuts or pads s to n characters.
func fit(s string, n int) string {
	if have := utf8.RuneCountInString(s); have <= n {
		return s + strings.Repeat(" ", n-have)
	}
	return string([]rune(s)[:n-1]) + "…"
}

func newTokenShowCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show all that is known of a token",
		Args:  noValue("token show", 1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := checkFormat(format); err != nil {
				return err
			}
			r, err := openRegistry(cmd, false)
			if err != nil {
				return err
			}
			defer closeRegistry(r, &err)
			t, err := r.Token(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(cmd.OutOrStdout(), t)
			}
			return writeToken(cmd.OutOrStdout(), t)
		},
	}
	formatFlag(cmd, &format)
	return cmd
}

func writeToken(w io.Writer, t registry.Token) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(tw, "%s\t%s\n", name, value)
		}
	}
	row("id", t.ID)
	row("state", t.State)
	row("value", t.Hint)
	row("owner", t.Owner)
	row("purpose", t.Purpose)
	row("environment", t.Env)
	row("origin", t.Origin)
	row("provider", t.Provider)
	scopes := strings.Join(t.Scopes, " ")
	if scopes == "" {
		scopes = "none: it can do nothing"
	}
	row("scopes", scopes)
	row("tags", strings.Join(t.Tags, " "))
	row("created", stamp(t.CreatedAt))
	row("expires", stamp(t.ExpiresAt))
	if t.State == registry.Revoked {
		row("revoked", stamp(t.RevokedAt)+" by "+t.RevokedBy)
		row("reason", t.RevokedReason)
	}
	if t.Uses > 0 {
		row("last used", stamp(t.LastUsedAt))
	}
	row("uses", strconv.FormatInt(t.Uses, 10))
	row("hard to find", strings.Join(t.HardToFind, "  "))
	return tw.Flush()
}

func newTokenVerifyCmd() *cobra.Command {
	var use registry.Use
	var file, format string
	cmd := &cobra.Command{
		Use:   "verify -|--file FILE",
		Short: "Say whether a token is valid, and if not, why",
		Long: `Verify reads one value from standard input ('-') or a file and says whether it is
a live token of the registry, and with --scope whether it may do that. The use is
recorded.

Exit codes: 0 valid, 1 refused, 2 no answer.`,
		Example: `  printenv API_TOKEN | quench token verify - --scope read:repo/quench`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "-" && file == "" || len(args) == 0 && file != "" {
				return nil
			}
			if len(args) > 0 && (len(args) > 1 || args[0] != "-") {
				return noValue("token verify", 0)(cmd, args)
			}
			return errors.New("token verify reads the value from standard input or a file: quench token verify - < FILE, or --file FILE")
		},
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := checkFormat(format); err != nil {
				return err
			}
			value, err := readValue(cmd, file)
			if err != nil {
				return err
			}
			r, err := openRegistry(cmd, false)
			if err != nil {
				return err
			}
			defer closeRegistry(r, &err)
			v, err := r.Verify(cmd.Context(), value, use)
			if err != nil {
				return err
			}
			if format == "json" {
				err = writeJSON(cmd.OutOrStdout(), v)
			} else {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), verdictLine(v, use))
			}
			if err == nil && !v.Valid {
				err = exit{Code: exitFindings}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&use.Scope, "scope", "", "ask whether it may do this, action:resource")
	f.StringVar(&use.Client, "client", "", "who showed it, for the audit log")
	f.StringVar(&file, "file", "", "read the value from this file")
	formatFlag(cmd, &format)
	return cmd
}

// verdictLine says a verdict in a line for people.
func verdictLine(v registry.Verdict, use registry.Use) string {
	t := v.Token
	switch v.Reason {
	case registry.ReasonValid:
		return fmt.Sprintf("valid: token %s of %s (%s)", t.ID, t.Owner, t.Purpose)
	case registry.ReasonMalformed:
		return "refused: malformed, it is mistyped or no token at all"
	case registry.ReasonUnknown:
		return "refused: unknown, it is not a token of this registry"
	case registry.ReasonExpired:
		return fmt.Sprintf("refused: expired, token %s of %s ended %s", t.ID, t.Owner, stamp(t.ExpiresAt))
	case registry.ReasonRevoked:
		s := fmt.Sprintf("refused: revoked, token %s of %s was revoked %s by %s", t.ID, t.Owner, stamp(t.RevokedAt), t.RevokedBy)
		if t.RevokedReason != "" {
			s += ": " + t.RevokedReason
		}
		return s
	case registry.ReasonOutOfScope:
		return fmt.Sprintf("refused: out_of_scope, token %s of %s may not do %s", t.ID, t.Owner, use.Scope)
	}
	return fmt.Sprintf("refused: %s, token %s of %s", v.Reason, t.ID, t.Owner)
}

func newTokenRevokeCmd() *cobra.Command {
	var c registry.Change
	cmd := &cobra.Command{
		Use:   "revoke ID --reason TEXT",
		Short: "End a token for good",
		Long: `Revoke ends a token: when the command returns, it no longer verifies. Revoking
again changes nothing. A token that somebody else issued (see its provider) is
refused here from now on; whether its provider still accepts it is for the
provider to say.`,
		Args: noValue("token revoke", 1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			r, err := openRegistry(cmd, false)
			if err != nil {
				return err
			}
			defer closeRegistry(r, &err)
			before, err := r.Token(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			t, err := r.Revoke(cmd.Context(), args[0], c)
			if err != nil {
				return err
			}
			verb := "revoked"
			if before.State == registry.Revoked {
				verb = "was already revoked:"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s of %s (%s) at %s\n", verb, t.ID, t.Owner, t.Purpose, stamp(t.RevokedAt))
			if err == nil && t.Provider != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "note: %s issued it and may still accept it; revoke it there too\n", t.Provider)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&c.Reason, "reason", "", "why, for the record")
	return cmd
}

// stamp prints a time for people, to the second and in UTC.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "never, or not known"
	}
	return t.UTC().Format(time.RFC3339)
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// closeRegistry closes r and adds its error to *err: a checkpoint that could
// not be written must be heard of. The exit code of *err stays.
func closeRegistry(r *registry.Registry, err *error) {
	if cerr := r.Close(); cerr != nil {
		var e exit
		if errors.As(*err, &e) && e.Err == nil {
			*err = exit{Code: e.Code, Err: cerr}
			return
		}
		*err = errors.Join(*err, cerr)
	}
}
