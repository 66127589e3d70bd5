package scanner

import (
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/internal/assign"
	"github.com/quench-dev/quench/scanner/internal/chars"
	"github.com/quench-dev/quench/scanner/internal/keywords"
	"github.com/quench-dev/quench/scanner/internal/memo"
	"github.com/quench-dev/quench/scanner/internal/score"
)

// assignment decides a KindAssignment rule at each occurrence of one of its
// keywords: package assign reads the value that the keyword's name is given, package
// score judges it. The answer depends on that line within width of the keyword.
type assignment struct {
	rule   *rules.Rule
	maxLen int
}

// defaultMaxValue bounds values of rules that name no maxlen. Longer values are
// certificates, blobs and paragraphs.
const defaultMaxValue = 256

func newAssignment(r *rules.Rule) *assignment {
	a := &assignment{rule: r, maxLen: r.MaxLen}
	if a.maxLen == 0 {
		a.maxLen = defaultMaxValue
	}
	return a
}

// width is how far a decision at a keyword can look to either side.
func (a *assignment) width() int { return assign.Reach + a.maxLen + 2*score.Aside }

// assignAnchor is a keyword of an assignment rule somewhere in a text.
type assignAnchor struct {
	rule     *assignment
	pos, end int
}

// assignTable finds the keywords of assignment rules the plainest way.
func assignTable(as []*assignment) *keywords.Table[*assignment] {
	t := &keywords.Table[*assignment]{}
	for _, a := range as {
		for _, w := range a.rule.Keywords {
			t.Add(w, true, a.rule.ID, a)
		}
	}
	return t
}

// judged is what was decided of a value, wherever in a text it stands.
type judged struct {
	raw     raw
	refusal string
}

// judgements remember what assignments said of names and values, and of the lines of
// those that may be secrets; see score.Memo and package memo.
type judgements struct {
	pairs score.Memo
	lines memo.Lines[*assignment, judged]
}

// decide looks at the value that the name around the keyword buf[at:end] is given.
// A refusal keeps the name, where there is a value, so that it can be explained.
// Where js is not nil, what was decided before of such a line is not judged again,
// and what is refused is not explained.
func (a *assignment) decide(buf []byte, at, end int, js *judgements) (m raw, refusal string) {
	v, ok := assign.At(buf, at, end, a.maxLen)
	if !ok {
		return raw{}, "no value is given to a name that holds the keyword"
	}
	return a.given(buf, v, js)
}

// given decides the value that a name is given.
func (a *assignment) given(buf []byte, v assign.Value, js *judgements) (m raw, refusal string) {
	if js == nil {
		return a.judge(buf, v)
	}
	if refusal = js.pairs.Refuses(buf, v); refusal != "" {
		return raw{}, refusal
	}
	j, known := js.lines.Get(a, buf, v, valueAside)
	if j == nil {
		return a.judge(buf, v)
	}
	if !known {
		j.raw, j.refusal = a.judge(buf, v)
	}
	m = j.raw
	m.start, m.end = v.Start, v.End
	return m, j.refusal
}

// valueAside is how far beside a name and its value a judgement looks: what closes
// the value, and score.Aside bytes more.
const valueAside = score.Aside + 8

// judge decides a value by its points.
func (a *assignment) judge(buf []byte, v assign.Value) (m raw, refusal string) {
	name, val := string(buf[v.Name[0]:v.Name[1]]), buf[v.Start:v.End]
	m = raw{rule: a.rule, start: v.Start, end: v.End, key: name}
	s := score.Of(buf, v)
	m.score = &s
	if s.Refusal != "" {
		return m, s.Refusal
	}
	m.entropy = chars.Entropy(val)
	if refusal = random(m, val); refusal != "" {
		return m, refusal
	}
	if s.Points < score.Low {
		return m, score.TooFew
	}
	m.confidence, m.why = scoredAs(name, s)
	return m, ""
}

// nameOf is where the name lies that the secret of a match is given to, or nothing.
func nameOf(r *rules.Rule, loc []int, base int) (name [2]int) {
	if i := 2 * (r.NameGroup + 1); r.NameGroup > 0 && loc[i] >= 0 {
		name = [2]int{loc[i] + base, loc[i+1] + base}
	}
	return name
}

// scoreSecret judges a secret that a pattern found as one assigned to the name, or,
// where there is none, in an address, user:secret@host, to the user.
func scoreSecret(m raw, buf []byte, name [2]int) (raw, string) {
	v := assign.Found(buf, name, m.start, m.end)
	if v.Op != assign.Address {
		m.key = string(buf[name[0]:name[1]])
	}
	s := score.Of(buf, v)
	m.score = &s
	if s.Refusal != "" {
		return m, s.Refusal
	}
	m.confidence, m.why = scoredAs(m.key, s)
	if s.Points < score.Low {
		return m, score.TooFew
	}
	return m, ""
}

// scoredAs gives the confidence that a sum of points stands for, and why.
func scoredAs(name string, s score.Result) (rules.Confidence, []string) {
	if name == "" {
		return score.Confidence(s.Points), []string{s.Why()}
	}
	return score.Confidence(s.Points), []string{"assigned to " + name, s.Why()}
}

// named gives a name to what was judged without one, as inFile tells it.
func (m *raw) named(key string) {
	if m.key = key; m.score != nil && m.token == nil {
		m.confidence, m.why = scoredAs(key, *m.score)
	}
}

// inFile judges an assigned value with the path it was found in.
func inFile(m *Match, path string) {
	if m.Score != nil && m.Token == nil {
		m.Confidence, m.Why = scoredAs(m.Key, m.Score.Plus(score.OfPath(path, *m.Score)))
	}
}
