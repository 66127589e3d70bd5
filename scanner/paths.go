package scanner

import (
	"github.com/bmatcuk/doublestar/v4"

	"github.com/quench-dev/quench/rules"
)

// inPath reports whether the rule's path filters let the report name path. An
// empty path, of a stream or a message, passes every filter but a list of
// paths. The loader has checked the globs.
func inPath(r *rules.Rule, path string) bool {
	any := func(globs []string) bool {
		for _, g := range globs {
			if doublestar.MatchUnvalidated(g, path) {
				return true
			}
		}
		return false
	}
	return (len(r.Paths) == 0 || any(r.Paths)) && !any(r.ExcludePaths)
}
