package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/scanner"
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
the line, and whether it matches or what speaks against it, with the points of each
term that an assigned value is judged by. It shows no secret.`,
		Example: "  quench explain config/app.env:12",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, line, err := splitFileLine(args[0])
			if err != nil {
				return err
			}
			text, err := readBounded(file, maxExplained)
			if err != nil {
				return err
			}
			if n := bytes.Count(text, []byte{'\n'}) + 1; line > n {
				return fmt.Errorf("%q has %d lines, there is no line %d", file, n, line)
			}
			set, err := df.rules()
			if err != nil {
				return err
			}
			eng, err := df.newEngine(set, nil)
			if err != nil {
				return err
			}
			return writeVerdicts(cmd.OutOrStdout(), args[0], eng.Explain(filepath.ToSlash(file), text, line), eng.Err())
		},
	}
	df.add(cmd)
	return cmd
}

func writeVerdicts(w io.Writer, place string, vs []scanner.Verdict, broken error) error {
	if len(vs) == 0 {
		fmt.Fprintf(w, "%s: no rule has an anchor on this line\n", place)
		return broken
	}
	for _, v := range vs {
		verdict, why := "no ", v.Refusal
		if v.Found {
			verdict, why = "YES", strings.Join(append(v.Why, fmt.Sprintf("entropy %.2f", v.Entropy)), ", ")
		}
		if _, err := fmt.Fprintf(w, "%s  %-28s  column %d  %s\n", verdict, v.Rule.ID, v.Column, why); err != nil {
			return err
		}
		writeTerms(w, v)
	}
	return broken
}

// writeTerms shows what the sum of points is made of, what weighs most first.
func writeTerms(w io.Writer, v scanner.Verdict) {
	terms := slices.DeleteFunc(slices.Clone(v.Terms), func(t scanner.Term) bool { return t.Points == 0 })
	slices.SortStableFunc(terms, func(a, b scanner.Term) int { return cmp.Compare(max(b.Points, -b.Points), max(a.Points, -a.Points)) })
	for _, t := range terms {
		fmt.Fprintf(w, "     %+4d  %s\n", t.Points, t.Name)
	}
	if len(terms) > 0 {
		fmt.Fprintf(w, "     %+4d  is the sum: %s\n", v.Points, v.Confidence)
	}
}

func splitFileLine(arg string) (file string, line int, err error) {
	i := strings.LastIndexByte(arg, ':')
	if i > 0 {
		line, err = strconv.Atoi(arg[i+1:])
	}
	if i <= 0 || err != nil || line < 1 {
		return "", 0, fmt.Errorf("%q does not name a line: want FILE:LINE, such as app.env:12", arg)
	}
	return arg[:i], line, nil
}

func readBounded(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading the file to explain: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", file, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%q is larger than %d MB: cut the part around the line into a smaller file", file, limit>>20)
	}
	return b, nil
}
