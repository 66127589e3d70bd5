package coverage

import (
	"github.com/quench-dev/quench/scanner/cache"
	"github.com/quench-dev/quench/sources"
)

// Archive gives what lay in an archive that was covered whole, to be remembered.
func (c *Coverage) Archive() *cache.Archive {
	a := &cache.Archive{Archives: c.Archives, Entries: c.Entries, Items: c.Items, Skipped: map[string]int64{}}
	for reason, n := range c.Skipped {
		a.Skipped[string(reason)] = n
	}
	return a
}

// Of is the coverage of an archive that is remembered, but for its bytes.
func Of(a *cache.Archive) Coverage {
	c := Coverage{Archives: a.Archives, Entries: a.Entries, Items: a.Items, Skipped: map[sources.Reason]int64{}}
	for reason, n := range a.Skipped {
		c.Skipped[sources.Reason(reason)] = n
	}
	return c
}
