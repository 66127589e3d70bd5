package scanner

import (
	"bytes"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/internal/chars"
	"github.com/quench-dev/quench/scanner/internal/score"
)

// raw is a decided match inside a buffer, before spans, lines and secrets are
// made of it.
type raw struct {
	rule       *rules.Rule
	start, end int
	entropy    float64
	key        string
	token      *KnownToken
	why        []string
	confidence rules.Confidence
	score      *score.Result // of assignments
	also       []string      // the rules that gave way to this one
	dropped    string        // why it is none, when dropped matches are told
}

// maxTrials bounds the searches at one anchor of a rule that is not Prefixed.
// A trial beyond the first is only needed when an earlier match lies in the
// same window without touching the keyword; eight such neighbours do not occur
// in text, and the bound keeps hostile text linear.
const maxTrials = 8

// decide says whether the rule matches at one occurrence of its keyword. Its
// answer depends only on the rule's window around the anchor plus one byte on
// each side: never on an earlier match, on where a buffer starts, or on what
// lies beyond. That is what lets streams, deltas and fast paths agree.
//
// A refusal comes with its reason in words, which quote nothing of the text.
func (e *Engine) decide(buf []byte, a anchor) (m raw, refusal string) {
	c := a.rule
	c.prepare()
	if c.simple != nil && c.simple.Groups[c.group][0] == 0 && !c.rule.BoundaryOK(chars.Before(buf, a.start), -1) {
		return raw{}, besideToken // the secret starts with the keyword, and most words are not it
	}
	if c.simple != nil && !c.simple.Crosses {
		// Such a match ends at a line feed by itself.
		hi := min(len(buf), a.start+c.rule.Width+1)
		s, end, ok := c.simple.Match(buf[a.start:hi], c.group)
		if !ok || s == end {
			return raw{}, noMatch
		}
		return e.judge(c.rule, buf, a.start+s, a.start+end)
	}
	lo, hi := window(buf, a)
	if c.simple != nil {
		s, end, ok := c.simple.Match(buf[a.start:hi], c.group)
		if !ok || s == end {
			return raw{}, noMatch
		}
		return e.judge(c.rule, buf, a.start+s, a.start+end)
	}
	for _, b := range c.needs {
		if bytes.IndexByte(buf[lo:hi], b) < 0 {
			return raw{}, noMatch
		}
	}
	if c.run != nil && !c.run.In(buf[lo:hi]) {
		return raw{}, noMatch
	}
	if err := c.compile(); err != nil {
		return raw{}, err.Error()
	}
	var loc []int
	var base int
	if c.rule.Prefixed {
		loc, base = c.matchAt(buf, a.start, hi)
	} else {
		loc, base = c.search(buf, lo, hi, a)
	}
	if loc == nil {
		return raw{}, noMatch
	}
	s, end := loc[2*c.group]+base, loc[2*c.group+1]+base
	if loc[2*c.group] < 0 || s == end {
		return raw{}, "the pattern matches without its secret"
	}
	m, refusal = e.judge(c.rule, buf, s, end)
	if refusal == "" && c.rule.Score {
		return scoreSecret(m, buf, nameOf(c.rule, loc, base))
	}
	return m, refusal
}

// window is the span that a match around a can touch: Width to either side,
// ended by a line feed unless the rule is Multiline, and one byte more on each
// side for \b.
func window(buf []byte, a anchor) (lo, hi int) {
	r := a.rule.rule
	lo, hi = max(0, a.end-r.Width-1), min(len(buf), a.start+r.Width+1)
	if !r.Multiline {
		if i := bytes.LastIndexByte(buf[lo:a.start], '\n'); i >= 0 {
			lo += i
		}
		if i := bytes.IndexByte(buf[a.end:max(a.end, hi)], '\n'); i >= 0 {
			hi = a.end + i + 1
		}
	}
	return lo, hi
}

// matchAt tries a match that begins exactly at start.
func (c *compiled) matchAt(buf []byte, start, hi int) (loc []int, base int) {
	if start > 0 {
		loc = c.after.FindSubmatchIndex(buf[start-1 : hi])
		return loc, start - 1
	}
	return c.first().FindSubmatchIndex(buf[:hi]), 0
}

// search finds the first match in the window that holds the keyword.
func (c *compiled) search(buf []byte, lo, hi int, a anchor) (loc []int, base int) {
	for try, from := 0, lo; try < maxTrials && from <= a.start; try++ {
		loc = c.find.FindSubmatchIndex(buf[from:hi])
		if loc == nil || loc[2]+from > a.start {
			return nil, 0
		}
		if loc[3]+from >= a.end {
			return loc, from
		}
		from += loc[2] + 1
	}
	return nil, 0
}

// judge applies what a rule asks of the secret itself. What it drops is a refusal, or
// a match that says so where the caller of the engine wants to see it.
func (e *Engine) judge(r *rules.Rule, buf []byte, s, end int) (m raw, refusal string) {
	after := -1
	if end < len(buf) {
		after = int(buf[end])
	}
	sec := buf[s:end]
	if !r.BoundaryOK(chars.Before(buf, s), after) {
		return raw{}, besideToken
	}
	m = raw{rule: r, start: s, end: end, entropy: chars.Entropy(sec), confidence: r.Confidence}
	if refusal = random(m, sec); refusal != "" {
		return e.drop(m, refusal)
	}
	if r.Shape != "" {
		switch res := rules.CheckShape(r.Shape, sec); res.State {
		case rules.ShapeInvalid:
			return e.drop(m, "the offline check fails: "+res.Why)
		case rules.ShapeValid:
			m.why = append(m.why, res.Why)
		case rules.ShapeHarmless:
			m.why, m.confidence = append(m.why, res.Why), rules.Low
		}
	}
	return m, ""
}

// drop refuses a match that has the form of the rule and is none all the same, or
// tells it with the reason when dropped matches are to be told.
func (e *Engine) drop(m raw, why string) (raw, string) {
	if !e.dropped {
		return raw{}, why
	}
	m.dropped, m.confidence = why, rules.Low
	return m, ""
}

const noMatch = "the pattern does not match here"

const besideToken = "more characters of a token stand right beside it"

// random refuses secrets below the rule's entropy and those with a stop word.
func random(m raw, sec []byte) (refusal string) {
	if m.entropy < m.rule.Entropy {
		return "its entropy is below the rule's"
	}
	if chars.StopWord(sec, m.rule.StopWords) != "" {
		return "it holds a stop word of the rule"
	}
	return ""
}
