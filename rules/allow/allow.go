// Package allow knows what is no leak although a rule says so: allow lists by
// path, commit, expression and stop word.
//
// A list is data. What it asks of the text (Content) is asked when a match is
// decided, since only then the text is at hand; what it asks of the place (Allows)
// when path and commit are known. A list narrows what is told; whether a match is
// made, and whether a token of the registry is contained, does not depend on it. It
// knows nothing of files that hold lists. Start reading at List and New.
package allow

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Target is what Regexes are tried on.
type Target string

// The targets: the secret, all that the rule's pattern matched, or the line, of
// which at most Reach bytes on each side of the match are seen.
const (
	Secret Target = "secret"
	Match  Target = "match"
	Line   Target = "line"
)

// Reach is how much of a line is looked at on each side of a match, in bytes:
// minified code has lines of megabytes, and what explains a match stands beside it.
const Reach = 1000

// List allows the findings for which one of its conditions holds, or with All
// each of those it has.
type List struct {
	// Description says for people why this is no leak.
	Description string
	// Where names the file and line it stands at, for reports.
	Where string
	// Rules are the ids it is for; none means all.
	Rules []string
	All   bool
	// Paths are doublestar globs, PathExprs expressions searched in the path.
	Paths, PathExprs []string
	// Commits are object ids in hex, or beginnings of at least 7 digits.
	Commits []string
	// Regexes are searched in the target; Secret when that is empty.
	Regexes []string
	Target  Target
	// StopWords are parts of the secret, without case.
	StopWords []string
}

// Set is compiled lists. It is immutable and safe for concurrent use.
type Set struct {
	lists    []*compiled
	needLine bool
}

type compiled struct {
	List
	rules            map[string]bool
	paths            []string
	pathExpr, regexp []*regexp.Regexp
	commits          []string
	words            *words
	content, place   int // conditions that it has
}

// Fault is what is wrong with a list, and with which of its keys.
type Fault struct {
	Key string // "paths", "commits", "regexes", "target", "stop_words" or ""
	Err error
}

func (f *Fault) Error() string { return f.Err.Error() }
func (f *Fault) Unwrap() error { return f.Err }

// ErrAllowsAll says that a list for all rules allows every finding: then a scan
// finds nothing, and looks as if all were well.
var ErrAllowsAll = errors.New("it allows every finding there could be")

// New compiles lists. The error is the *Fault of the first bad one, at the index
// returned.
func New(lists ...List) (s *Set, bad int, err error) {
	s = &Set{}
	for i, l := range lists {
		c, err := compile(l)
		if err != nil {
			return nil, i, err
		}
		s.lists = append(s.lists, c)
		s.needLine = s.needLine || c.Target == Line && len(c.regexp) > 0
	}
	return s, -1, nil
}

// Len counts the lists.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.lists)
}

// NeedLine reports whether a list looks at the line around a match.
func (s *Set) NeedLine() bool { return s != nil && s.needLine }

// AsksText reports whether a list looks at the text of a match at all.
func (s *Set) AsksText() bool {
	return s != nil && slices.ContainsFunc(s.lists, func(c *compiled) bool { return c.content > 0 })
}

func compile(l List) (*compiled, error) {
	c := &compiled{List: l}
	fault := func(key, format string, args ...any) error { return &Fault{key, fmt.Errorf(format, args...)} }
	if len(l.Rules) > 0 {
		c.rules = map[string]bool{}
		for _, id := range l.Rules {
			c.rules[id] = true
		}
	}
	for _, g := range l.Paths {
		if !doublestar.ValidatePattern(g) {
			return nil, fault("paths", "%q is not a glob", g)
		}
		c.paths = append(c.paths, g)
	}
	var err error
	if c.pathExpr, err = expressions(l.PathExprs); err != nil {
		return nil, fault("paths", "%w", err)
	}
	if c.regexp, err = expressions(l.Regexes); err != nil {
		return nil, fault("regexes", "%w", err)
	}
	switch l.Target {
	case "":
		c.Target = Secret
	case Secret, Match, Line:
	default:
		return nil, fault("target", "target %q: must be %q, %q or %q", l.Target, Secret, Match, Line)
	}
	for _, id := range l.Commits {
		id = strings.ToLower(strings.TrimSpace(id))
		if len(id) < 7 || len(id) > 64 || strings.Trim(id, "0123456789abcdef") != "" {
			return nil, fault("commits", "commit %q: must be an object id of at least 7 hexadecimal digits", id)
		}
		c.commits = append(c.commits, id)
	}
	if slices.Contains(l.StopWords, "") {
		return nil, fault("stop_words", "a stop word is empty: every secret holds it")
	}
	if len(l.StopWords) > 0 {
		c.words = newWords(l.StopWords)
	}
	c.content = min(len(c.regexp), 1) + min(len(l.StopWords), 1)
	c.place = min(len(c.paths)+len(c.pathExpr), 1) + min(len(c.commits), 1)
	if c.content+c.place == 0 {
		return nil, fault("", "it has no condition: give paths, commits, regexes or stop words")
	}
	if key := c.allowsAll(); key != "" && c.rules == nil {
		return nil, fault(key, "%w", ErrAllowsAll)
	}
	return c, nil
}

// expressions compiles regular expressions in the syntax of Go and RE2.
func expressions(in []string) (out []*regexp.Regexp, err error) {
	for _, s := range in {
		re, err := regexp.Compile(s)
		if err != nil {
			return nil, fmt.Errorf("expression %q: %s", s, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		out = append(out, re)
	}
	return out, nil
}

// Verdict holds the lists whose conditions on the text are met by a match; the
// zero Verdict is that of a match that no list's text conditions allow.
type Verdict struct{ lists []int }

// Equal reports whether two verdicts are one.
func (v Verdict) Equal(w Verdict) bool { return slices.Equal(v.lists, w.lists) }

// Content asks the lists for a rule what they ask of the text: secret, all that the
// pattern matched, and the line, which only is needed where NeedLine says so.
func (s *Set) Content(rule string, secret, match, line []byte) (v Verdict) {
	if s == nil {
		return v
	}
	for i, c := range s.lists {
		if c.content == 0 || c.rules != nil && !c.rules[rule] {
			continue
		}
		target := secret
		switch c.Target {
		case Match:
			target = match
		case Line:
			target = line
		}
		n := 0
		if slices.ContainsFunc(c.regexp, func(re *regexp.Regexp) bool { return re.Match(target) }) {
			n++
		}
		if c.words.in(secret) {
			n++
		}
		if n == c.content || n > 0 && !c.All {
			v.lists = append(v.lists, i)
		}
	}
	return v
}

// Decide is Content for a match buf[start:end] with its secret at from:to.
func (s *Set) Decide(rule string, buf []byte, from, to, start, end int) Verdict {
	if s == nil {
		return Verdict{}
	}
	start, end = max(0, start), min(len(buf), end)
	var line []byte
	if s.needLine {
		lo, hi := max(0, start-Reach), min(len(buf), end+Reach)
		if i := bytes.LastIndexByte(buf[lo:start], '\n'); i >= 0 {
			lo += i + 1
		}
		if i := bytes.IndexByte(buf[end:hi], '\n'); i >= 0 {
			hi = end + i
		}
		line = buf[lo:hi]
	}
	return s.Content(rule, buf[from:to], buf[start:end], line)
}

// Allows gives the first list that allows a finding: by what Content said of its
// text, or by its place. Path and commit may be empty.
func (s *Set) Allows(rule string, v Verdict, path, commit string) (l *List, ok bool) {
	if s == nil {
		return nil, false
	}
	for i, c := range s.lists {
		if c.rules != nil && !c.rules[rule] {
			continue
		}
		met := c.content == 0 || slices.Contains(v.lists, i)
		switch {
		case c.All && (!met || c.placed(path, commit) < c.place):
		case !c.All && (c.content == 0 || !met) && c.placed(path, commit) == 0:
		default:
			return &c.List, true
		}
	}
	return nil, false
}

// placed counts the conditions on the place that hold.
func (c *compiled) placed(path, commit string) (n int) {
	if path != "" && c.inPaths(path) {
		n++
	}
	if commit != "" && slices.ContainsFunc(c.commits, func(id string) bool { return strings.HasPrefix(commit, id) }) {
		n++
	}
	return n
}

func (c *compiled) inPaths(path string) bool {
	return slices.ContainsFunc(c.paths, func(g string) bool { return doublestar.MatchUnvalidated(g, path) }) ||
		slices.ContainsFunc(c.pathExpr, func(re *regexp.Regexp) bool { return re.MatchString(path) })
}

// allowsAll names the condition that every finding meets, as far as differing
// samples tell; with All, each condition must.
func (c *compiled) allowsAll() string {
	all := func(have bool, samples []string, test func(string) bool) bool {
		return have && !slices.ContainsFunc(samples, func(s string) bool { return !test(s) })
	}
	paths := all(len(c.paths)+len(c.pathExpr) > 0, samplePaths, c.inPaths)
	regexes := all(len(c.regexp) > 0, sampleTexts, func(s string) bool {
		return slices.ContainsFunc(c.regexp, func(re *regexp.Regexp) bool { return re.MatchString(s) })
	})
	switch {
	case c.All && (paths || c.place == 0) && (regexes || c.content == 0) && c.commits == nil && c.words == nil:
		if regexes {
			return "regexes"
		}
		return "paths"
	case c.All:
		return ""
	case paths:
		return "paths"
	case regexes:
		return "regexes"
	}
	return ""
}

// The samples differ in all that a sensible condition looks at.
var (
	samplePaths = []string{"a", "README", "src/main.go", ".env", "deep/er/and/deeper/x.yaml", "Ünï/cöde.txt", "with space/b.c"}
	sampleTexts = []string{"a", "7", "-", "Qx", "hunter2", "0123456789", "k_9+/=", "ünï", "two words", "AKIA7ZZQ", "e3b0c442-98fc", "\x00"}
)

// words finds any of many stop words, by their first bytes.
type words struct {
	short []string
	by    map[[3]byte][]string
}

func newWords(list []string) *words {
	w := &words{by: map[[3]byte][]string{}}
	for _, s := range list {
		s = strings.ToLower(s)
		if len(s) < 3 {
			w.short = append(w.short, s)
			continue
		}
		k := [3]byte{s[0], s[1], s[2]}
		w.by[k] = append(w.by[k], s)
	}
	return w
}

func (w *words) in(secret []byte) bool {
	if w == nil {
		return false
	}
	low := bytes.ToLower(secret)
	for _, s := range w.short {
		if bytes.Contains(low, []byte(s)) {
			return true
		}
	}
	for i := 0; i+3 <= len(low); i++ {
		for _, s := range w.by[[3]byte(low[i:])] {
			if bytes.HasPrefix(low[i:], []byte(s)) {
				return true
			}
		}
	}
	return false
}
