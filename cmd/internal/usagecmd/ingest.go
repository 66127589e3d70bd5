package usagecmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/accesslog"
	"github.com/quench-dev/quench/registry/usage/watch"
	"github.com/quench-dev/quench/revoker"
)

// The exit codes of ingest beside 0: an alert, and something not read.
const (
	codeAlerts     = 1
	codeIncomplete = 3
)

func (e Env) ingest() *cobra.Command {
	var o accesslog.Options
	var fields []string
	var anew bool
	var policy string
	cmd := &cobra.Command{
		Use:   "ingest FILE…|-",
		Short: "Read access logs, and alert on what is unlike a token",
		Long: `Ingest reads access logs, feeds the uses of tokens of this registry to the usage
watch, and prints the alerts. A file is read on from where the last run ended,
also under a new name or packed by gzip, so that each use counts once; standard
input ('-') is read until it ends, and uses are written within a second.

A log should name a token by its id, which is no secret: the answer of Verify
has it. --token says where: user (combined: the remote user), extra:N (combined:
the Nth field after the agent), query:NAME, or the path of a field of JSON. A
field that holds the token's value is looked up by its keyed hash, counted and
warned of. What other systems log, such as an access key's id, is named by the
token's tag ref:NAME.

Formats: combined (nginx, Apache; also common), json, caddy, envoy, traefik, alb
(AWS load balancers), cloudtrail; without --log-format the first line decides.

Exit codes: 0 nothing to tell, 1 alerts, 2 error, 3 no alert but lines that
could not be read, or no use of any token of this registry.`,
		Example: `  quench usage ingest /var/log/nginx/access.log --token extra:1
  quench usage ingest /var/log/caddy/access.log*
  kubectl logs -f deploy/api | quench usage ingest - --log-format json --token auth.token_id`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("usage ingest needs a log: usage ingest FILE…, or - for standard input")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, f := range fields {
				name, path, ok := strings.Cut(f, "=")
				if !ok || path == "" {
					return fmt.Errorf("--field %q: it is NAME=PATH, such as time=meta.at", f)
				}
				if o.Fields == nil {
					o.Fields = map[string]string{}
				}
				o.Fields[name] = path
			}
			if _, err := accesslog.New(o); err != nil { // before anything is read
				return err
			}
			return e.with(cmd, policy, cmd.ErrOrStderr(), func(_ *registry.Registry, w *watch.Watch, _ revoker.Policy) error {
				return e.read(cmd, w, args, o, anew)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Format, "log-format", "", strings.Join(accesslog.Formats, ", ")+" (default: found out)")
	f.StringVar(&o.Token, "token", "", "where the log names the token (default: the format's own place)")
	f.StringArrayVar(&fields, "field", nil, "where a field of JSON is, NAME=PATH: time, method, path, status, address or agent; repeat for more")
	f.BoolVar(&anew, "from-start", false, "read files from their beginning, again")
	policyFlag(cmd, &policy)
	return cmd
}

func (e Env) read(cmd *cobra.Command, w *watch.Watch, args []string, o accesslog.Options, anew bool) error {
	out, notes := cmd.OutOrStdout(), cmd.ErrOrStderr()
	told := func(t watch.Told) {
		also := ""
		if t.Suspended {
			also = "; it is suspended"
		}
		fmt.Fprintf(out, "%s  %-17s token %s of %s %s%s\n", show.Stamp(t.Finding.At), t.Finding.Signal, t.Token.ID, t.Token.Owner, t.Finding.Title, also)
	}
	alerts, bad, empty := 0, int64(0), 0
	var errs []error
	for _, name := range args {
		var rep watch.Report
		var err error
		if name == "-" {
			rep, err = w.Ingest(cmd.Context(), cmd.InOrStdin(), o, told)
		} else {
			rep, err = w.IngestFile(cmd.Context(), name, o, anew, told)
		}
		if name == "-" {
			name = "standard input"
		}
		if err != nil && (name != "standard input" || cmd.Context().Err() == nil) { // an interrupt is how a stream ends
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		alerts, bad = alerts+len(rep.Told), bad+rep.Bad+rep.Future
		if rep.Uses == 0 && err == nil && (rep.From == 0 || rep.Records > 0) {
			empty++
			fmt.Fprintf(notes, "%s: no use of a token of this registry; --token says where the log names one\n", name)
		}
		describe(notes, name, rep)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	switch {
	case alerts > 0:
		fmt.Fprintln(notes, "what to do: quench usage alerts")
		return e.Code(codeAlerts)
	case bad > 0 || empty == len(args):
		return e.Code(codeIncomplete)
	}
	return nil
}

// describe says what reading a log came to.
func describe(w io.Writer, name string, r watch.Report) {
	from := ""
	if r.From > 0 {
		from = fmt.Sprintf(" from byte %d on", r.From)
	}
	fmt.Fprintf(w, "%s: %s%s: %d uses of tokens, %d of none, %d without a token, %d alerts\n", name, cmp.Or(r.Format, "nothing read"), from, r.Uses, r.Unknown, r.NoToken, len(r.Told))
	if r.Bad > 0 {
		fmt.Fprintf(w, "%s: %s could not be read; the first: %s\n", name, show.Count(int(r.Bad), "line", "lines"), strings.Join(r.Faults, "; "))
	}
	if r.Future > 0 {
		fmt.Fprintf(w, "%s: %s of the future left out: is the clock of that server right?\n", name, show.Count(int(r.Future), "use", "uses"))
	}
	if r.Unfinished {
		fmt.Fprintf(w, "%s: the last line is unfinished, and read the next time\n", name)
	}
	if r.Values > 0 {
		fmt.Fprintf(w, "%s: %s the value of a token: whoever can read this log can use it. Log the token's id instead, and run quench scan %s\n", name, show.Count(int(r.Values), "line holds", "lines hold"), name)
	}
}

// oneToken takes the id of one token, and a signal where one is wanted.
func oneToken(name string, more int) cobra.PositionalArgs { return input.NoValue(name, 1+more) }
