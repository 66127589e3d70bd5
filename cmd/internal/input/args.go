package input

import (
	"fmt"

	"github.com/spf13/cobra"
)

// NoValue wants exactly n arguments, and repeats none of them in its error: any
// could be a token's value.
func NoValue(name string, n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) > n:
			return fmt.Errorf("%s takes %s; a token's value is read from standard input or --file, never from the command line (if that was a real value, it is in your shell's history now: revoke it)", name, Count(n, "argument"))
		case len(args) < n:
			return fmt.Errorf("%s needs the id of a token; see quench token list", name)
		}
		return nil
	}
}

// Count says how many of a thing there are: no, one, or a number.
func Count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "one " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// IDOr wants the id of a token, or says which flags can be in its place.
func IDOr(name, flags string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := NoValue(name, 1)(cmd, args)
		if len(args) == 0 {
			err = fmt.Errorf("%w; or name all that are meant by %s", err, flags)
		}
		return err
	}
}
