package scanner

import (
	"fmt"

	"github.com/wasilibs/go-re2/experimental"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/internal/near"
	"github.com/quench-dev/quench/scanner/internal/simple"
)

// contextSearch is how the values of a KindContext rule are found near one of its
// keywords. The pattern is the value alone.
func contextSearch(c *compiled) *near.Search {
	return &near.Search{
		Match: c.valueAt, Width: c.rule.Width - rules.ContextReach - rules.ContextName,
		Reach: rules.ContextReach, Name: rules.ContextName, Words: c.rule.Words,
	}
}

// valueAt gives the length of the value that begins with b, as near.Search asks.
func (c *compiled) valueAt(b []byte) int {
	if c.simple != nil {
		_, end, _ := c.simple.Match(b, 0)
		return end
	}
	if loc := c.at.FindIndex(b); loc != nil {
		return loc[1]
	}
	return 0
}

// decideContext calls add with each value near the keyword that the rule accepts,
// and refused, where it is not nil, with why others were not.
func (e *Engine) decideContext(buf []byte, a anchor, add func(raw), refused func(refusal string)) {
	c := a.rule
	if c.compile() != nil {
		return
	}
	c.near.Values(buf, a.start, a.end, func(start, end int, name [2]int) {
		m, refusal := e.judge(c.rule, buf, start, end)
		if refusal == "" && !near.Random(buf[start:end]) {
			refusal = "it reads like a name, not like a key"
		}
		if refusal != "" {
			if refused != nil {
				refused(refusal)
			}
			return
		}
		m.key = string(buf[name[0]:name[1]])
		m.why = append(m.why, "near the name of "+c.rule.ProviderName)
		add(m)
	})
}

// compileContext is compile for a KindContext rule.
func (c *compiled) compileContext() {
	c.near = contextSearch(c)
	if !c.plain {
		if m, ok := simple.New(c.rule.Pattern); ok {
			c.simple = m
			return
		}
	}
	if c.at, c.err = experimental.CompileLatin1(`\A(?:` + c.rule.Pattern + `)`); c.err != nil {
		c.err = fmt.Errorf("rule %q: RE2 refuses its pattern: %w", c.rule.ID, c.err)
		c.failed.Store(true)
	}
}
