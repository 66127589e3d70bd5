package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The help of every command fits a terminal of 80 columns, but for its line of usage
// and its examples, which are to be copied.
func TestHelpFits(t *testing.T) {
	var check func(*cobra.Command)
	check = func(c *cobra.Command) {
		var b bytes.Buffer
		c.SetOut(&b)
		if err := c.Help(); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(b.String(), "\n")
		for i, l := range lines {
			usage := i > 0 && (strings.HasPrefix(lines[i-1], "Usage:") || strings.HasPrefix(lines[i-1], "  quench"))
			example := c.Example != "" && strings.Contains(c.Example, strings.TrimSpace(l))
			if n := len([]rune(l)); n > 80 && !usage && !example && c.Parent() != nil && c.Parent().Name() != "completion" {
				t.Errorf("%s: %d columns: %s", c.CommandPath(), n, l)
			}
		}
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	root := newRoot()
	root.InitDefaultHelpCmd()
	check(root)
}
