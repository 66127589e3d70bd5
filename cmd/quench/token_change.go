package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/registry"
)

// changeVerbs are how an action is told: when it was done, and when it had been.
var changeVerbs = map[registry.Action][2]string{
	registry.Revoke:  {"revoked", "was already revoked:"},
	registry.Suspend: {"suspended", "was already suspended:"},
	registry.Resume:  {"resumed", "was not suspended:"},
}

func newTokenRevokeCmd() *cobra.Command {
	return newTokenChangeCmd(registry.Revoke, "End a token for good, or all of an owner, a tag, a scope or a time",
		`Revoke ends a token: when the command returns, it no longer verifies. Revoking
again changes nothing. A token that somebody else issued (see its provider) is
refused here from now on; whether its provider still accepts it is for the
provider to say.`)
}

func newTokenSuspendCmd() *cobra.Command {
	return newTokenChangeCmd(registry.Suspend, "Refuse a token until it is resumed",
		`Suspend makes Verify refuse a token until it is resumed: what to do while it is
not known yet whether a leak is one.`)
}

func newTokenResumeCmd() *cobra.Command {
	return newTokenChangeCmd(registry.Resume, "Accept a suspended token again",
		`Resume takes a suspension back. A token that ran out meanwhile stays expired,
and a revoked one revoked.`)
}

func newTokenChangeCmd(a registry.Action, short, long string) *cobra.Command {
	var c registry.Change
	var f registry.Filter
	var before string
	var dry bool
	cmd := &cobra.Command{
		Use:   fmt.Sprintf("%s ID|--owner NAME|--tag TAG|--scope SCOPE|--family ID|--issued-before TIME", a),
		Short: short,
		Long: long + `

Without an ID it is all tokens that fit every flag given, in one transaction:
all or none. --dry-run shows which, and does nothing. A --scope without
wildcards means the tokens that may do this; one with wildcards those that have
just that scope.`,
		Example: fmt.Sprintf(`  quench token %[1]s QF3xP0aYb1 --reason "seen in a log"
  quench token %[1]s --owner ci --issued-before 2026-01-31 --dry-run`, a),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.Before, err = pointInTime(before); err != nil {
				return err
			}
			all := f != registry.Filter{}
			switch {
			case all && len(args) > 0:
				return fmt.Errorf("token %s takes the id of a token, or flags that say which; not both", a)
			case !all:
				if err := input.IDOr("token "+string(a), "--owner, --tag, --scope, --family or --issued-before")(cmd, args); err != nil {
					return err
				}
			}
			r, err := openRegistry(cmd, false)
			if err != nil {
				return err
			}
			defer closeRegistry(r, &err)
			if !all {
				return changeToken(cmd, r, a, args[0], c, dry)
			}
			list, err := r.DoAll(cmd.Context(), a, f, c, dry)
			if err != nil {
				return err
			}
			return told(cmd, a, list, dry)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&c.Reason, "reason", "", "why, for the audit log")
	fl.StringVar(&f.Owner, "owner", "", "all tokens of this owner")
	fl.StringVar(&f.Tag, "tag", "", "all tokens with this tag")
	fl.StringVar(&f.Family, "family", "", "the token with this id and all that followed it by rotation")
	fl.StringVar(&f.Scope, "scope", "", "all tokens that may do this, action:resource")
	fl.StringVar(&before, "issued-before", "", "all tokens issued or imported before this time: 2026-01-31 or 2026-01-31T12:00:00Z")
	fl.BoolVar(&dry, "dry-run", false, "show what would happen, and do nothing")
	return cmd
}

// pointInTime reads a time or a date, which begins at midnight here.
func pointInTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; want 2026-01-31 or 2026-01-31T12:00:00Z", s)
}

func changeToken(cmd *cobra.Command, r *registry.Registry, a registry.Action, id string, c registry.Change, dry bool) error {
	if dry {
		t, err := r.Token(cmd.Context(), id)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "would %s %s of %s (%s), now %s\n", a, t.ID, t.Owner, t.Purpose, t.State)
		return err
	}
	t, changed, err := r.Do(cmd.Context(), a, id, c)
	if err != nil {
		return err
	}
	verb := changeVerbs[a][0]
	if !changed {
		verb = changeVerbs[a][1]
	}
	at := r.Now()
	if a == registry.Revoke {
		at = t.RevokedAt
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s of %s (%s) at %s\n", verb, t.ID, t.Owner, t.Purpose, show.Stamp(at)); err != nil {
		return err
	}
	if t.Provider != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: %s issued it and may still accept it; %s it there too\n", t.Provider, a)
	}
	return nil
}

// told lists what was changed, or would be.
func told(cmd *cobra.Command, a registry.Action, list []registry.Token, dry bool) error {
	verb := changeVerbs[a][0]
	if dry {
		verb = "would be " + verb
	}
	if len(list) > 0 {
		if err := show.Tokens(cmd.OutOrStdout(), list); err != nil {
			return err
		}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s %s\n", input.Count(len(list), "token"), verb)
	var abroad []string
	for _, t := range list {
		if t.Provider != "" {
			abroad = append(abroad, t.ID+" ("+t.Provider+")")
		}
	}
	if len(abroad) > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: others issued these and may still accept them: %s\n", strings.Join(abroad, ", "))
	}
	return nil
}
