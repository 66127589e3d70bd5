package main

import (
	"bytes"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/show"
)

// maxExplained bounds the file read for an explanation: a person looks at one
// line, and the whole file is held in memory.
const maxExplained = 256 << 20

func newExplainCmd() *cobra.Command {
	var df detectFlags
	cmd := &cobra.Command{
		Use:   "explain FILE:LINE",
		Short: "Say what every rule thinks of one line, and why",
		Long: `Explain shows each rule that has an anchor (a keyword, or an assigned value) on
the line, and whether it matches or what speaks against it, with the points of
each term that an assigned value is judged by. It shows no secret.`,
		Example: "  quench explain config/app.env:12",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, line, err := input.FileLine(args[0])
			if err != nil {
				return err
			}
			text, err := input.Bounded(file, maxExplained)
			if err != nil {
				return err
			}
			if n := bytes.Count(text, []byte{'\n'}) + 1; line > n {
				return fmt.Errorf("%q has %d lines, there is no line %d", file, n, line)
			}
			conf, err := df.load(cmd, []string{file}, false)
			if err != nil {
				return err
			}
			eng, err := df.newEngine(conf, nil)
			if err != nil {
				return err
			}
			return show.Verdicts(cmd.OutOrStdout(), args[0], eng.Explain(filepath.ToSlash(file), text, line), eng.Err())
		},
	}
	df.add(cmd)
	return cmd
}
