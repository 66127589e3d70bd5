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
	lead, tail int // bytes that the pattern matched before and after
	entropy    float64
	key        string
	token      *KnownToken
	why        []string
	confidence rules.Confidence
	score      *score.Result // of assignments
	also       []string      // the rules that gave way to this one
	dropped    string        // why it is none, when dropped matches are told
}

// decide says whether the rule matches at one occurrence of its keyword. Its
// answer depends only on the rule's window around the anchor plus one byte on
// each side: never on an earlier match, on where a buffer starts, or on what
// lies beyond. That is what lets streams, deltas and fast paths agree.
//
// A refusal comes with its reason in words, which quote nothing of the text.
func (e *Engine) decide(buf []byte, a anchor) (m raw, refusal string) {
	c := a.rule
	c.Prepare()
	if c.Simple != nil && c.Simple.Groups[c.Group][0] == 0 && !c.Rule.BoundaryOK(chars.Before(buf, a.start), -1) {
		return raw{}, besideToken // the secret starts with the keyword, and most words are not it
	}
	if c.Simple != nil && !c.Simple.Crosses {
		// Such a match ends at a line feed by itself.
		hi := min(len(buf), a.start+c.Rule.Width+1)
		s, end, ok := c.Simple.Match(buf[a.start:hi], c.Group)
		if !ok || s == end {
			return raw{}, noMatch
		}
		return e.judge(c.Rule, buf, a.start+s, a.start+end)
	}
	lo, hi := window(buf, a)
	if c.Simple != nil {
		s, end, ok := c.Simple.Match(buf[a.start:hi], c.Group)
		if !ok || s == end {
			return raw{}, noMatch
		}
		return e.judge(c.Rule, buf, a.start+s, a.start+end)
	}
	if c.Lacks(buf[lo:hi]) {
		return raw{}, noMatch
	}
	if err := c.Compile(); err != nil {
		return raw{}, err.Error()
	}
	loc, base := c.Locate(buf, lo, hi, a.start, a.end)
	if loc == nil {
		return raw{}, noMatch
	}
	s, end, ok := c.Secret(buf[base:], loc)
	if !ok {
		return raw{}, "the pattern matches without its secret"
	}
	m, refusal = e.judge(c.Rule, buf, s+base, end+base)
	m.lead, m.tail = s-loc[2], loc[3]-end
	if refusal == "" && c.Rule.Score {
		return scoreSecret(m, buf, nameOf(c.Rule, loc, base))
	}
	return m, refusal
}

// window is the span that a match around a can touch: what its rule's matches hold
// before a keyword, and Width after, ended by a line feed unless the rule is Multiline, and one byte more on each
// side for \b.
func window(buf []byte, a anchor) (lo, hi int) {
	r := a.rule.Rule
	lo, hi = max(0, a.start-a.rule.Lead-1), min(len(buf), a.start+r.Width+1)
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
