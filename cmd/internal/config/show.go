package config

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/pflag"
)

// Describe says what a configuration comes to.
func (s *Settings) Describe(w io.Writer) {
	for _, f := range s.Files {
		fmt.Fprintf(w, "read %s\n", f)
	}
	for _, n := range s.Notices {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	slow := 0
	for _, r := range s.Rules.Rules() {
		if r.Slow() {
			slow++
		}
	}
	fmt.Fprintf(w, "rules: %d, of which %d search every line for want of a keyword\n", s.Rules.Len(), slow)
	fmt.Fprintf(w, "allow lists: %d\n", s.Allow.Len())
}

// Show writes the options that a scan would have, and where each comes from.
func (s *Settings) Show(w io.Writer, fs *pflag.FlagSet) error {
	s.Describe(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\nOPTION\tVALUE\tFROM")
	fs.VisitAll(func(f *pflag.Flag) {
		if slices.Contains([]string{"help", "registry"}, f.Name) {
			return
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", f.Name, f.Value, Origin(f))
	})
	return tw.Flush()
}
