package usagecmd

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/registry/issuing"
	"github.com/quench-dev/quench/registry/usage"
	"github.com/quench-dev/quench/registry/usage/watch"
	"github.com/quench-dev/quench/revoker"
)

func (e Env) show() *cobra.Command {
	var format, policy string
	cmd := &cobra.Command{
		Use:   "show TOKEN",
		Short: "Show how a token is used",
		Args:  oneToken("usage show", 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return e.with(cmd, policy, nil, func(r *registry.Registry, w *watch.Watch, p revoker.Policy) error {
				t, err := r.Token(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				s, err := w.State(cmd.Context(), t.ID)
				if err != nil {
					return err
				}
				sum := s.Summary(r.Now(), &p.Usage)
				if format == "json" {
					return show.JSON(cmd.OutOrStdout(), sum)
				}
				if sum.Events == 0 {
					fmt.Fprintf(cmd.OutOrStdout(), "token %s of %s: no use was watched\n", t.ID, t.Owner)
					return nil
				}
				return summary(cmd.OutOrStdout(), t, sum)
			})
		},
	}
	formatFlag(cmd, &format)
	policyFlag(cmd, &policy)
	return cmd
}

func summary(out io.Writer, t registry.Token, s usage.Summary) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	state := "watched"
	if s.Learning {
		state = "learning: too little is known to judge by"
	}
	fmt.Fprintf(w, "token\t%s of %s (%s)\n", t.ID, t.Owner, t.Purpose)
	fmt.Fprintf(w, "state\t%s\n", state)
	fmt.Fprintf(w, "used\t%d times, %d of them refused, from %s to %s\n", s.Events, s.Refusals, show.Stamp(s.First), show.Stamp(s.Last))
	fmt.Fprintf(w, "rate\tp99.9 of minutes %.0f, highest minute %.0f, highest hour %.0f\n", s.P999Minute, s.HighestMinute, s.HighestHour)
	fmt.Fprintf(w, "week\t%s\n", week(s.Week))
	for _, x := range []struct {
		name string
		t    usage.Things
	}{{"endpoints", s.Endpoints}, {"methods", s.Methods}, {"countries", s.Countries}, {"networks", s.Networks}, {"agents", s.Agents}, {"scopes", s.Scopes}, {"refused", s.Refused}} {
		if x.t.Different == 0 {
			continue
		}
		fmt.Fprintf(w, "%s\t%d\n", x.name, x.t.Different)
		known := slices.Clone(x.t.Known)
		sort.SliceStable(known, func(i, j int) bool { return known[i].Uses > known[j].Uses })
		for i, k := range known {
			if i == 12 { // a screen; --format json has all
				fmt.Fprintf(w, "\tand %d more\n", x.t.Different-i)
				break
			}
			fmt.Fprintf(w, "\t%s\t%s, the last %s\n", k.Name, show.Count(int(k.Uses), "use", "uses"), show.Stamp(k.Last))
		}
	}
	return w.Flush()
}

// week draws the hours of a week, four to a sign, from Monday: a person sees nights
// and weekends at once.
func week(hours [168]float64) string {
	signs := []rune("▁▂▃▄▅▆▇█")
	most := 0.0
	for _, v := range hours {
		most = max(most, v)
	}
	var b strings.Builder
	for d := range 7 {
		if d > 0 {
			b.WriteByte(' ')
		}
		b.WriteString([]string{"Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"}[d])
		for q := range 6 {
			v := 0.0
			for h := range 4 {
				v = max(v, hours[d*24+q*4+h])
			}
			i := 0
			if most > 0 {
				i = int(v / most * float64(len(signs)-1))
			}
			b.WriteRune(signs[i])
		}
	}
	return b.String()
}

func (e Env) alerts() *cobra.Command {
	var f alert.Filter
	var format string
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "List the alerts on how tokens are used, oldest first",
		Args:  input.NoValue("usage alerts", 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return e.with(cmd, "", nil, func(_ *registry.Registry, w *watch.Watch, _ revoker.Policy) error {
				all, err := w.List(cmd.Context(), f)
				if err != nil {
					return err
				}
				if format == "json" {
					return show.JSON(cmd.OutOrStdout(), append([]alert.Alert{}, all...))
				}
				for _, a := range all {
					printAlert(cmd.OutOrStdout(), a)
				}
				if len(all) == 0 {
					fmt.Fprintln(cmd.ErrOrStderr(), "no alerts")
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&f.TokenID, "of", "", "only alerts on this token")
	cmd.Flags().Int64Var(&f.After, "after", 0, "only alerts with a larger number")
	formatFlag(cmd, &format)
	return cmd
}

func printAlert(w io.Writer, a alert.Alert) {
	fmt.Fprintf(w, "%d  %s  %s  %s\n", a.ID, show.Stamp(a.At), a.Severity, a.Title)
	var numbers []string
	for _, k := range slices.Sorted(maps.Keys(a.Details)) {
		if k != "signal" {
			numbers = append(numbers, k+"="+a.Details[k])
		}
	}
	fmt.Fprintf(w, "    %s: %s\n    to do: %s\n", a.Details["signal"], strings.Join(numbers, ", "), a.Advice)
}

func (e Env) mute() *cobra.Command {
	var until, reason string
	var all bool
	cmd := &cobra.Command{
		Use:   "mute TOKEN SIGNAL --until TIME",
		Short: "Mute a signal of a token for a while",
		Long: `Mute keeps a signal of a token, or with --all of every token, from being told
until a time: a date (2026-12-24), a time (2026-12-24T18:00:00Z), or a duration
from now (7d). A time that has passed ends a mute. What happens meanwhile is
learned. It is written to the audit log.

Signals: new_country, impossible_travel, endpoint_spread, burst, dormant,
sensitive_scope, after_revocation, denied_probing.`,
		Example: `  quench usage mute QF3xP0aYb1 new_country --until 14d --reason "ann travels"
  quench usage mute --all burst --until 2026-12-01 --reason "load test"`,
		Args: func(cmd *cobra.Command, args []string) error {
			if all {
				return input.NoValue("usage mute --all SIGNAL", 1)(cmd, args)
			}
			return oneToken("usage mute", 1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.with(cmd, "", nil, func(r *registry.Registry, w *watch.Watch, _ revoker.Policy) error {
				at, err := moment(until, r.Now())
				if err != nil {
					return err
				}
				m := watch.Mute{Signal: usage.Signal(args[len(args)-1]), Until: at, Reason: reason}
				if !all {
					m.TokenID = args[0]
				}
				if err := w.Mute(cmd.Context(), m); err != nil {
					return err
				}
				if !at.After(r.Now()) {
					fmt.Fprintf(cmd.OutOrStdout(), "%s is told again\n", m.Signal)
				} else {
					fmt.Fprintf(cmd.OutOrStdout(), "%s is muted until %s\n", m.Signal, show.Stamp(at))
				}
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&until, "until", "", "when it is told again (required)")
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	f.BoolVar(&all, "all", false, "of all tokens; only the signal is named")
	cmd.MarkFlagRequired("until")
	return cmd
}

// moment reads a date, a time, or a duration from now.
func moment(s string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	d, err := issuing.ParseTTL(s)
	if err != nil {
		return time.Time{}, fmt.Errorf("--until %q is no date (2026-12-24), time (2026-12-24T18:00:00Z) or duration (7d)", s)
	}
	return now.Add(d), nil
}

func (e Env) mutes() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "mutes",
		Short: "List what is muted, and until when",
		Args:  input.NoValue("usage mutes", 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return e.with(cmd, "", nil, func(_ *registry.Registry, w *watch.Watch, _ revoker.Policy) error {
				all, err := w.Mutes(cmd.Context())
				if err != nil {
					return err
				}
				if format == "json" {
					return show.JSON(cmd.OutOrStdout(), append([]watch.Mute{}, all...))
				}
				for _, m := range all {
					of := m.TokenID
					if of == "" {
						of = "all tokens"
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s  %s of %s, by %s (%s)\n", show.Stamp(m.Until), m.Signal, of, m.Actor, m.Reason)
				}
				return nil
			})
		},
	}
	formatFlag(cmd, &format)
	return cmd
}
