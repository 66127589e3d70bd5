// Package pattern is a rule's pattern as it is matched: compiled when a keyword first
// asks for it, and tried around that keyword alone.
//
// It knows one rule at a time, and nothing of streams and findings. Start reading at
// Pattern and Locate.
package pattern

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/wasilibs/go-re2"
	"github.com/wasilibs/go-re2/experimental"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/internal/near"
	"github.com/quench-dev/quench/scanner/internal/simple"
)

// Pattern is a pattern rule and its expressions, made when first needed.
type Pattern struct {
	Rule        *rules.Rule
	Lead        int // of Rule, once Prepare was called
	ready, once sync.Once
	atOnce      sync.Once
	// simple serves Prefixed rules whose pattern is, without the others; the
	// plain engine does without it.
	Simple *simple.Pattern
	Plain  bool
	// Every match holds these bytes, and this row of bytes; the plain engine tries
	// without.
	needs []byte
	run   *simple.Run
	// at matches at the first byte of its input, after at the second; they
	// serve Prefixed rules. find searches, for all others. All hold the
	// pattern as their first group, so that of the rule's groups is one more.
	at, after *re2.Regexp
	Find      *re2.Regexp
	Group     int
	Near      *near.Search // of KindContext
	err       error
	failed    atomic.Bool // err is set, for those who did not call Compile
}

// Prepare reads off the pattern what decides most places without an expression.
func (c *Pattern) Prepare() {
	c.ready.Do(func() {
		r := c.Rule
		if !r.Prefixed {
			c.Lead = r.Lead()
		}
		if c.Plain {
			return
		}
		if r.Prefixed && !r.Score && r.Group != rules.FirstGroup {
			if m, ok := simple.New(r.Pattern); ok {
				c.Group, c.Simple = r.Group, m
				if c.Group == 0 && len(m.Groups) == 2 {
					c.Group = 1
				}
				if c.Group < len(m.Groups) {
					return
				}
				c.Simple = nil // let Compile say what is wrong
			}
		}
		c.needs, c.run = r.Needs(), simple.RunOf(r.Pattern)
	})
}

// Compile makes the expression that the rule is decided by. The loader has tried the
// pattern with Go's parser, which takes the same syntax; an error here is a defect
// worth a clear word and is reported once by the caller.
func (c *Pattern) Compile() error {
	c.once.Do(func() {
		r := c.Rule
		if r.Kind == rules.KindContext {
			c.compileContext()
			return
		}
		format := `(%s)`
		if r.Prefixed {
			format = `(?s:\A.)(%s)`
		}
		re, err := experimental.CompileLatin1(fmt.Sprintf(format, r.Pattern))
		if err != nil {
			c.err = fmt.Errorf("rule %q: RE2 refuses its pattern: %w", r.ID, err)
		} else {
			groups := re.NumSubexp() - 1
			if c.Group = r.Group; c.Group == 0 && groups == 1 {
				c.Group = 1
			}
			if c.Group > groups {
				c.err = fmt.Errorf("rule %q: secret_group %d of %d", r.ID, c.Group, groups)
			}
			c.Group++
		}
		if r.Prefixed {
			c.after = re
		} else {
			c.Find = re
		}
		c.failed.Store(c.err != nil)
	})
	return c.err
}

// first is after for a match at the very start of a text.
func (c *Pattern) first() *re2.Regexp {
	c.atOnce.Do(func() {
		// It compiles: after did.
		c.at, _ = experimental.CompileLatin1(fmt.Sprintf(`\A(%s)`, c.Rule.Pattern))
	})
	return c.at
}

// Secret is the span of the secret in a match, of which loc is in buf.
func (c *Pattern) Secret(buf []byte, loc []int) (start, end int, ok bool) {
	if c.Rule.Group != rules.FirstGroup {
		start, end = loc[2*c.Group], loc[2*c.Group+1]
		return start, end, start >= 0 && start < end
	}
	for i := 4; i+1 < len(loc); i += 2 {
		if loc[i] >= 0 && loc[i] < loc[i+1] {
			return loc[i], loc[i+1], true
		}
	}
	start, end = loc[2], loc[3]
	for ; start < end && buf[start] == '\n'; start++ {
	}
	for ; start < end && buf[end-1] == '\n'; end-- {
	}
	return start, end, start < end
}

// matchAt tries a match that begins exactly at start.
func (c *Pattern) matchAt(buf []byte, start, hi int) (loc []int, base int) {
	if start > 0 {
		loc = c.after.FindSubmatchIndex(buf[start-1 : hi])
		return loc, start - 1
	}
	return c.first().FindSubmatchIndex(buf[:hi]), 0
}

// search finds the match in the window that holds the keyword: of those that follow one
// another from the window's beginning, or else of those that begin within the last of
// them before the keyword.
func (c *Pattern) search(buf []byte, lo, hi, start, end int) (loc []int, base int) {
	last := -1
	for from, try := lo, 0; try < maxNeighbours; try++ {
		loc = c.Find.FindSubmatchIndex(buf[from:hi])
		if loc == nil || from+loc[2] > start {
			break
		}
		if from+loc[3] >= end {
			return loc, from
		}
		last = from + loc[2]
		if from += loc[3]; from > start {
			break
		}
	}
	if last < 0 {
		return nil, 0
	}
	for from, try := last+1, 0; from <= start && try < maxWithin; try++ {
		loc = c.Find.FindSubmatchIndex(buf[from:hi])
		if loc == nil || from+loc[2] > start {
			break
		}
		if from+loc[3] >= end {
			return loc, from
		}
		from += loc[2] + 1
	}
	return nil, 0
}

// maxNeighbours bounds the matches before the keyword that a search goes over, each by
// one trial, so that hostile text takes time that grows with its length: a window of a
// few hundred bytes holds no more of any that tell of a secret. maxWithin bounds those
// that begin within another one, which are rare.
const (
	maxNeighbours = 64
	maxWithin     = 8
)

// contextSearch is how the values of a KindContext rule are found near one of its
// keywords. The pattern is the value alone.
func contextSearch(c *Pattern) *near.Search {
	return &near.Search{
		Match: c.valueAt, Width: c.Rule.Width - rules.ContextReach - rules.ContextName,
		Reach: rules.ContextReach, Name: rules.ContextName, Words: c.Rule.Words,
	}
}

// valueAt gives the length of the value that begins with b, as near.Search asks.
func (c *Pattern) valueAt(b []byte) int {
	if c.Simple != nil {
		_, end, _ := c.Simple.Match(b, 0)
		return end
	}
	if loc := c.at.FindIndex(b); loc != nil {
		return loc[1]
	}
	return 0
}

// compileContext is Compile for a KindContext rule.
func (c *Pattern) compileContext() {
	c.Near = contextSearch(c)
	if !c.Plain {
		if run := simple.RunOf(c.Rule.Pattern); run != nil {
			c.Near.Has = run.In
		}
		if m, ok := simple.New(c.Rule.Pattern); ok {
			c.Simple = m
			return
		}
	}
	if c.at, c.err = experimental.CompileLatin1(`\A(?:` + c.Rule.Pattern + `)`); c.err != nil {
		c.err = fmt.Errorf("rule %q: RE2 refuses its pattern: %w", c.Rule.ID, c.err)
		c.failed.Store(true)
	}
}

// Locate finds the match at, or around, the keyword buf[start:end] in the window up to
// hi; loc counts from base, and its first group is the whole match.
func (c *Pattern) Locate(buf []byte, lo, hi, start, end int) (loc []int, base int) {
	if c.Rule.Prefixed {
		return c.matchAt(buf, start, hi)
	}
	return c.search(buf, lo, hi, start, end)
}

// Lacks reports whether buf holds too little for any match.
func (c *Pattern) Lacks(buf []byte) bool {
	for _, b := range c.needs {
		if bytes.IndexByte(buf, b) < 0 {
			return true
		}
	}
	return c.run != nil && !c.run.In(buf)
}

// Err is what Compile found wrong, also for those who did not call it.
func (c *Pattern) Err() error {
	if c.failed.Load() {
		return c.err
	}
	return nil
}
