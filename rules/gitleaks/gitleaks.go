// Package gitleaks reads configurations written for gitleaks as rules and allow
// lists of ours, so that they find what gitleaks finds with them.
//
// gitleaks tries an expression on all of a text that holds one of its keywords
// anywhere; here a match is decided around a text that it holds. Read finds such
// texts in the expression itself, bounds what is unbounded, turns what Latin-1
// cannot say into bytes, and asks for keywords elsewhere in the text as gitleaks
// does. gitleaks' own default rules are not in here: where a configuration extends
// them, the built-in rules stand for them, and the two kinds of names are told
// from each other in names.go. Start reading at Read.
package gitleaks

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/rules/allow"
)

// Config is a configuration as it is used here.
type Config struct {
	Rules *rules.Set
	Allow []allow.List
	// Default says that gitleaks' default rules are wanted too; Disabled and
	// Replaced are ids of those, by gitleaks' names, that are not.
	Default            bool
	Disabled, Replaced []string
	// Notices say what could not be read as gitleaks does.
	Notices []string
}

// The tables as gitleaks has them; keys are found in any case.
type document struct {
	Title, Description, MinVersion string
	Extend                         struct {
		Path, URL     string
		UseDefault    bool
		DisabledRules []string
	}
	Rules      []*ruleTable
	AllowList  *allowTable
	Allowlists []*allowTable
}

type ruleTable struct {
	ID, Description, Path, Regex string
	SecretGroup                  int
	Entropy                      float64
	Keywords, Tags               []string
	AllowList                    *allowTable
	Allowlists                   []*allowTable
	Required                     []requiredTable
	SkipReport                   bool

	file string
	line int
}

type requiredTable struct {
	ID                         string
	WithinLines, WithinColumns *int
}

type allowTable struct {
	Description, Condition, RegexTarget             string
	TargetRules, Commits, Paths, Regexes, StopWords []string

	where string
}

// Error says what is wrong in a configuration, and where.
type Error struct {
	File      string
	Line, Col int // from 1; 0 when not known
	Rule      string
	Err       error
}

func (e *Error) Error() string {
	at := e.File
	if e.Line > 0 {
		at += fmt.Sprintf(":%d", e.Line)
	}
	if e.Col > 0 {
		at += fmt.Sprintf(":%d", e.Col)
	}
	if e.Rule != "" {
		return fmt.Sprintf("%s: rule %q: %v", at, e.Rule, e.Err)
	}
	return fmt.Sprintf("%s: %v", at, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// maxExtend is how many files deep gitleaks follows extend.path.
const maxExtend = 2

// Read reads a configuration; open gives a file that it extends. All faults of a
// file are told at once.
func Read(name string, data []byte, open func(ref string) (name string, data []byte, err error)) (*Config, error) {
	r := &reader{c: &Config{}}
	d, err := r.load(name, data, open, 0)
	if err != nil {
		return nil, err
	}
	if err := r.translate(name, d); err != nil {
		return nil, err
	}
	return r.c, nil
}

type reader struct {
	c    *Config
	errs []error
}

// load parses a file and what it extends, merged as gitleaks does.
func (r *reader) load(name string, data []byte, open func(string) (string, []byte, error), depth int) (*document, error) {
	d, err := r.parse(name, data)
	if err != nil {
		return nil, err
	}
	x := d.Extend
	if x.URL != "" {
		return nil, &Error{File: name, Err: errors.New("extend.url is not followed: a scan makes no calls; name a file in extend.path")}
	}
	if x.Path != "" && x.UseDefault {
		return nil, &Error{File: name, Err: errors.New("extend.path and extend.useDefault exclude each other")}
	}
	r.c.Default = r.c.Default || x.UseDefault
	if x.UseDefault {
		r.c.Disabled = append(r.c.Disabled, x.DisabledRules...)
	}
	if x.Path == "" || depth == maxExtend {
		return d, nil
	}
	baseName, text, err := open(x.Path)
	if err != nil {
		return nil, &Error{File: name, Err: fmt.Errorf("extend.path: %w", err)}
	}
	base, err := r.load(baseName, text, open, depth+1)
	if err != nil {
		return nil, err
	}
	d.merge(base)
	return d, nil
}

func (r *reader) parse(name string, data []byte) (*document, error) {
	d := &document{}
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err := dec.Decode(d)
	var unknown *toml.StrictMissingError
	var bad *toml.DecodeError
	switch {
	case errors.As(err, &unknown): // gitleaks passes over them
		for i := range unknown.Errors {
			e := &unknown.Errors[i]
			line, _ := e.Position()
			r.notice("%s:%d: the key %q is not read", name, line, strings.Join(e.Key(), "."))
		}
	case errors.As(err, &bad):
		line, col := bad.Position()
		return nil, &Error{File: name, Line: line, Col: col, Err: errors.New(strings.TrimPrefix(bad.Error(), "toml: "))}
	case err != nil:
		return nil, &Error{File: name, Err: err}
	}
	lines := linesOf(data)
	for i, t := range d.Rules {
		t.file, t.line = name, lines.rule(i)
		for k, a := range t.lists() {
			a.where = fmt.Sprintf("%s:%d", name, lines.ruleList(i, k, t.line))
		}
	}
	for k, a := range d.lists() {
		a.where = fmt.Sprintf("%s:%d", name, lines.list(k))
	}
	return d, nil
}

// maxNotices bounds what a hostile file can say.
const maxNotices = 20

func (r *reader) notice(format string, args ...any) {
	if len(r.c.Notices) < maxNotices {
		r.c.Notices = append(r.c.Notices, fmt.Sprintf(format, args...))
	}
}

func (d *document) lists() []*allowTable { return joined(d.Allowlists, d.AllowList) }

func (t *ruleTable) lists() []*allowTable { return joined(t.Allowlists, t.AllowList) }

// joined is the lists in the new form and the one in the old.
func joined(list []*allowTable, old *allowTable) []*allowTable {
	if old != nil {
		return append(slices.Clip(list), old)
	}
	return list
}

// merge adds the rules and lists of the file that d extends. Rules that both have
// are d's where d says something.
func (d *document) merge(base *document) {
	own := map[string]*ruleTable{}
	for _, t := range d.Rules {
		own[t.ID] = t
	}
	for _, b := range base.Rules {
		t := own[b.ID]
		switch {
		case slices.Contains(d.Extend.DisabledRules, b.ID):
		case t == nil:
			d.Rules = append(d.Rules, b)
		default:
			t.Description, t.Regex, t.Path = first(t.Description, b.Description), first(t.Regex, b.Regex), first(t.Path, b.Path)
			t.Entropy, t.SecretGroup = first(t.Entropy, b.Entropy), first(t.SecretGroup, b.SecretGroup)
			t.Keywords, t.Allowlists = append(slices.Clone(b.Keywords), t.Keywords...), append(b.lists(), t.lists()...)
			t.AllowList = nil
			t.Required, t.SkipReport = b.Required, b.SkipReport
		}
	}
	d.Allowlists, d.AllowList = append(d.lists(), base.lists()...), nil
}

func first[T comparable](a, b T) T {
	var zero T
	if a != zero {
		return a
	}
	return b
}

// translate makes rules and lists of the tables.
func (r *reader) translate(name string, d *document) error {
	var list []*rules.Rule
	ids := map[string]bool{}
	for _, t := range d.Rules {
		fail := func(format string, args ...any) {
			r.errs = append(r.errs, &Error{File: t.file, Line: t.line, Rule: t.ID, Err: fmt.Errorf(format, args...)})
		}
		switch {
		case strings.TrimSpace(t.ID) == "":
			fail("id is missing")
			continue
		case ids[t.ID]:
			fail("duplicate id")
			continue
		case t.AllowList != nil && len(t.Allowlists) > 0:
			fail("[rules.allowlist] and [[rules.allowlists]] exclude each other; write the latter")
			continue
		}
		ids[t.ID] = true
		for _, a := range t.lists() {
			r.list(a, []string{t.ID})
		}
		if t.Regex == "" && t.Path == "" {
			if r.c.Default { // it says something of a rule of gitleaks' own
				if len(Ours(t.ID)) == 0 {
					fail("it has no regex and no path, and there is no built-in rule of that name")
				} else if t.Entropy != 0 || t.SecretGroup != 0 || len(t.Keywords) > 0 {
					r.notice("%s:%d: rule %q: entropy, secretGroup and keywords of built-in rules stay as they are", t.file, t.line, t.ID)
				}
				continue
			}
			fail("it has no regex and no path, so that it finds nothing")
			continue
		}
		r.c.Replaced = append(r.c.Replaced, t.ID)
		made, err := r.rule(t)
		if err != nil {
			fail("%w", err)
			continue
		}
		list = append(list, made...)
	}
	for _, t := range d.Rules {
		for _, q := range t.Required {
			if !ids[q.ID] {
				r.errs = append(r.errs, &Error{File: t.file, Line: t.line, Rule: t.ID, Err: fmt.Errorf("it requires a rule %q, which is none", q.ID)})
			}
		}
	}
	if d.AllowList != nil && len(d.Allowlists) > 0 {
		r.errs = append(r.errs, &Error{File: name, Err: errors.New("[allowlist] and [[allowlists]] exclude each other; write the latter")})
	}
	for _, a := range d.lists() {
		r.list(a, a.TargetRules)
	}
	if err := errors.Join(r.errs...); err != nil {
		return err
	}
	set, err := rules.Adopt(list...)
	r.c.Rules = set
	return err
}

// list makes an allow list for the named rules, or for all.
func (r *reader) list(a *allowTable, ids []string) {
	fail := func(err error) {
		if errors.Is(err, allow.ErrAllowsAll) {
			err = fmt.Errorf("this allow list leaves nothing to report: %w; say which paths, values or rules it is for", err)
		}
		r.errs = append(r.errs, &Error{File: a.where, Err: err})
	}
	l := allow.List{Description: a.Description, Where: a.where, Rules: ids, PathExprs: a.Paths, Regexes: a.Regexes, StopWords: a.StopWords}
	switch strings.ToUpper(a.Condition) {
	case "", "OR", "||":
	case "AND", "&&":
		l.All = true
	default:
		fail(fmt.Errorf("condition %q: must be \"OR\" or \"AND\"", a.Condition))
		return
	}
	switch a.RegexTarget {
	case "", "secret", "match", "line":
		l.Target = allow.Target(a.RegexTarget)
	default:
		fail(fmt.Errorf("regexTarget %q: must be \"secret\", \"match\" or \"line\"", a.RegexTarget))
		return
	}
	for _, c := range a.Commits {
		if c = strings.TrimSpace(c); len(c) < 40 {
			r.notice("%s: commit %q is no whole object id: gitleaks never finds it, here it is a beginning", a.where, c)
		}
		l.Commits = append(l.Commits, c)
	}
	if _, _, err := allow.New(l); err != nil {
		fail(err)
		return
	}
	r.c.Allow = append(r.c.Allow, l)
}

// maxLine and maxText bound the matches of unbounded expressions, in bytes: within
// a line no known secret is longer than a token of 4,000 characters, and over
// lines none longer than the private key of 16,384 bits.
const (
	maxLine = 4 << 10
	maxText = 16 << 10
)

// rule makes a rule, and one that finds its keywords where matches need not hold
// them.
func (r *reader) rule(t *ruleTable) (made []*rules.Rule, err error) {
	q := &rules.Rule{ID: t.ID, Description: t.Description, Provider: "gitleaks", ProviderName: "gitleaks configuration", Kind: rules.KindPattern,
		Confidence: rules.Medium, Boundary: "none", BoundaryBefore: "none", Fold: true, Group: rules.FirstGroup, File: t.file, Line: t.line,
		Hidden: t.SkipReport, Apart: true, Yields: strings.Contains(strings.ToLower(t.ID), "generic")}
	if q.Description == "" {
		q.Description = "Found by the rule " + t.ID
	}
	if t.SecretGroup > 0 {
		q.Group = t.SecretGroup
	}
	if t.Entropy != 0 { // gitleaks wants more than this
		q.Entropy = math.Nextafter(t.Entropy, math.Inf(1))
	}
	if t.Path != "" {
		if q.PathExpr, err = regexp.Compile(t.Path); err != nil {
			return nil, fmt.Errorf("path: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	}
	for _, n := range t.Required {
		q.Requires = append(q.Requires, rules.Requirement{Rules: []string{n.ID}, Lines: n.WithinLines, Columns: n.WithinColumns})
	}
	if t.Regex == "" {
		q.Kind = rules.KindPath
		return []*rules.Rule{q}, nil
	}
	e, err := parseExpr(t.Regex)
	if err != nil {
		return nil, err
	}
	if t.SecretGroup > e.groups {
		return nil, fmt.Errorf("secretGroup %d: the regex has %d groups", t.SecretGroup, e.groups)
	}
	keywords := foldedWords(t.Keywords)
	anchors, held := e.anchors(keywords)
	if len(anchors) == 0 {
		e.withinLines()
	}
	if e.approximate {
		r.notice("%s:%d: rule %q: characters beyond ASCII in classes are compared byte by byte", t.file, t.line, t.ID)
	}
	q.Keywords, q.Pattern = anchors, e.String()
	switch w, bounded := rules.Width(q.Pattern); {
	case w == 0 && bounded:
		return nil, errors.New("its regex matches nothing but the empty text")
	case bounded && w <= maxText:
	case e.lines():
		q.MaxLen = maxText
	default:
		q.MaxLen = maxLine
	}
	made = []*rules.Rule{q}
	if held || len(keywords) == 0 {
		return made, nil
	}
	k := wordRule(t, keywords)
	q.Requires = append(q.Requires, rules.Requirement{Rules: []string{k.ID}})
	return append(made, k), nil
}

// wordRule finds the keywords of a rule anywhere in a text, and serves that rule
// only.
func wordRule(t *ruleTable, words []string) *rules.Rule {
	var quoted []string
	for _, w := range words {
		quoted = append(quoted, regexp.QuoteMeta(w))
	}
	return &rules.Rule{ID: t.ID + " keyword", Description: "a keyword of " + t.ID, Provider: "gitleaks", Kind: rules.KindPattern, Confidence: rules.Low,
		Boundary: "none", BoundaryBefore: "none", Fold: true, Hidden: true, Word: true, Apart: true, Keywords: words, Pattern: "(?i)(?:" + strings.Join(quoted, "|") + ")", File: t.file, Line: t.line}
}

// foldedWords are the keywords that can be looked for: ASCII and of two bytes at
// least. With another one among them the rule has none, since that is never asked.
func foldedWords(in []string) (out []string) {
	for _, w := range in {
		w = strings.ToLower(w)
		if len(w) < 2 || strings.ContainsFunc(w, func(r rune) bool { return r > 0x7e || r < 0x20 }) {
			return nil
		}
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}
