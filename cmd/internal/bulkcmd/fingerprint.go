package bulkcmd

import (
	"bufio"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/registry/bulk"
	"github.com/quench-dev/quench/registry/issued"
	"github.com/quench-dev/quench/registry/pepper"
)

// NewFingerprint makes the command fingerprint.
func NewFingerprint(e Env) *cobra.Command {
	var l bulk.Line
	var life input.TTL
	var key string
	var f file
	cmd := &cobra.Command{
		Use:   "fingerprint FILE|- [--key FILE]",
		Short: "Make what the registry keeps of values, where the values live",
		Long: `Fingerprint reads values, as token import does, and writes JSON lines that hold
in place of each value only what the registry keeps of it: a keyed hash, a keyed
fingerprint and its form. Carry these to the registry and import them there; the
values stay where they are.

The key is what quench registry fingerprint-key prints: who has it can tell
whether a guessed value is a token, so keep it as one. Without --key it is the
one of the registry here.`,
		Example: `  (umask 077; quench registry fingerprint-key > fingerprint.key)
  quench fingerprint keys.csv --key fingerprint.key > pairs.jsonl
  quench token import pairs.jsonl`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("fingerprint needs a file of values, or - for standard input")
			}
			return atMostOne("fingerprint")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			l.TTL = time.Duration(life)
			in, end, err := f.open(cmd, args[0], l)
			if err != nil {
				return err
			}
			defer end()
			hand, err := e.hand(cmd, key)
			if err != nil {
				return err
			}
			w := bufio.NewWriter(cmd.OutOrStdout())
			c, err := bulk.Fingerprint(hand, in, w, bad(cmd))
			err = errors.Join(err, w.Flush())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "fingerprints of %d of %d lines: %s, %d hard to find\n", c.Stored, c.Lines, plural(c.Bad, "bad line"), c.Hard)
			return e.end(c, nil)
		},
	}
	tokenFlags(cmd, &l)
	l.Env = ""
	cmd.Flags().Lookup("env").DefValue = ""
	cmd.Flags().StringVar(&l.Provider, "provider", "", "who issued the values")
	cmd.Flags().Var(&life, "ttl", "time until they expire")
	cmd.Flags().Lookup("ttl").DefValue = ""
	cmd.Flags().StringVar(&key, "key", "", "the registry's fingerprint key, in a file that only you can read")
	f.flags(cmd)
	return cmd
}

func (e Env) hand(cmd *cobra.Command, key string) (h pepper.Hand, err error) {
	if key != "" {
		return pepper.ReadHand(key)
	}
	r, err := e.Open(cmd, false)
	if err != nil {
		return h, err
	}
	defer e.Close(r, &err)
	return r.Hand(), nil
}

// NewFingerprintKey makes the command registry fingerprint-key.
func NewFingerprintKey(e Env) *cobra.Command {
	return &cobra.Command{
		Use:   "fingerprint-key",
		Short: "Print the key that quench fingerprint needs where values live",
		Long: `Fingerprint-key prints what quench fingerprint needs to make importable pairs on
another machine. Who has it can tell whether a guessed value is a token of this
registry, and nothing else; it opens no registry and verifies no token. It is
good until the pepper is rotated.`,
		Args: input.NoValue("registry fingerprint-key", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			r, err := e.Open(cmd, false)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			return issued.WriteHand(cmd.OutOrStdout(), r.Hand())
		},
	}
}
