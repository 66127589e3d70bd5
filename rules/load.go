package rules

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp/syntax"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// A rule file is TOML: the provider's key and name, then one [[rule]] table per
// rule with the toml keys of Rule.
type ruleFile struct {
	Provider string  `toml:"provider"`
	Name     string  `toml:"name"`
	Rules    []*Rule `toml:"rule"`
}

// Set is an immutable collection of rules with distinct ids.
type Set struct {
	rules []*Rule
	byID  map[string]*Rule
}

// Rules lists the rules by id. The slice and the rules are shared: do not
// change them.
func (s *Set) Rules() []*Rule { return s.rules }

// Rule finds the rule called id.
func (s *Set) Rule(id string) (*Rule, bool) {
	r, ok := s.byID[id]
	return r, ok
}

// Halves are the ids of the rules that find one half of a credential.
func (s *Set) Halves() map[string]bool {
	m := map[string]bool{}
	for _, r := range s.rules {
		if r.Partner != "" {
			m[r.ID], m[r.Partner] = true, true
		}
	}
	return m
}

// Len counts the rules.
func (s *Set) Len() int { return len(s.rules) }

// Keywords lists the distinct keywords of all rules, sorted.
func (s *Set) Keywords() []string {
	seen := map[string]bool{}
	var out []string
	for _, r := range s.rules {
		for _, k := range r.Keywords {
			if !seen[k] {
				seen[k] = true
				out = append(out, k)
			}
		}
	}
	sort.Strings(out)
	return out
}

// Merge joins sets. An id that two of them hold is an error.
func Merge(sets ...*Set) (*Set, error) {
	var all []*Rule
	for _, s := range sets {
		all = append(all, s.rules...)
	}
	return newSet(all)
}

// Without is the set without the rules of some ids.
func (s *Set) Without(ids map[string]bool) *Set {
	out := &Set{byID: map[string]*Rule{}}
	for _, r := range s.rules {
		if !ids[r.ID] {
			out.rules = append(out.rules, r)
			out.byID[r.ID] = r
		}
	}
	return out
}

// Adopt makes a Set of rules that were read elsewhere. Their patterns may have
// anchors; what else the scanner needs to know is read off them.
func Adopt(list ...*Rule) (*Set, error) {
	for _, r := range list {
		if r.Pattern == "" {
			continue
		}
		re, err := syntax.Parse(r.Pattern, syntax.Perl)
		if err != nil {
			return nil, &FileError{File: r.File, Line: r.Line, RuleID: r.ID, Err: err}
		}
		derive(r, re)
	}
	return newSet(list)
}

func newSet(all []*Rule) (*Set, error) {
	s := &Set{rules: append([]*Rule(nil), all...), byID: make(map[string]*Rule, len(all))}
	var errs []error
	for _, r := range s.rules {
		if old := s.byID[r.ID]; old != nil {
			errs = append(errs, &FileError{File: r.File, Line: r.Line, RuleID: r.ID,
				Err: fmt.Errorf("duplicate id: %s holds a rule of that id; rename one", at(old.File, old.Line))})
			continue
		}
		s.byID[r.ID] = r
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	sort.Slice(s.rules, func(i, j int) bool { return s.rules[i].ID < s.rules[j].ID })
	return s, nil
}

// FileError says what is wrong with a rule file, and where.
type FileError struct {
	File   string
	Line   int    // from 1; 0 when unknown
	RuleID string // "" when the fault is outside a rule
	Err    error
}

func (e *FileError) Error() string {
	if e.RuleID == "" {
		return fmt.Sprintf("%s: %v", at(e.File, e.Line), e.Err)
	}
	return fmt.Sprintf("%s: rule %q: %v", at(e.File, e.Line), e.RuleID, e.Err)
}

func (e *FileError) Unwrap() error { return e.Err }

func at(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// maxFile bounds a rule file in bytes: the largest of ours is far below, and a
// file beyond this is a mistaken argument.
const maxFile = 4 << 20

// Load reads rule files from fsys, strictly; no names means every *.toml file
// of fsys, in subfolders too. All faults are reported at once, joined, each a
// *FileError, and then no Set is returned.
func Load(fsys fs.FS, names ...string) (*Set, error) {
	if len(names) == 0 {
		err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && path.Ext(p) == ".toml" {
				names = append(names, p)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("looking for rule files: %w", err)
		}
		if len(names) == 0 {
			return nil, errors.New("looking for rule files: no *.toml file there")
		}
	}
	return loadAll(names, func(n string) (fs.File, error) { return fsys.Open(n) }, true)
}

// LoadFiles reads rule files by their paths on disk, as Load does.
func LoadFiles(paths ...string) (*Set, error) {
	if len(paths) == 0 {
		return nil, errors.New("no rule file named")
	}
	return loadAll(paths, func(p string) (fs.File, error) { return os.Open(p) }, true)
}

// Parse reads one rule file that was read already, as Load does.
func Parse(name string, data []byte) (*Set, error) {
	rs, err := parseFile(name, data, true)
	if err != nil {
		return nil, err
	}
	return newSet(rs)
}

//go:embed builtin/*.toml
var builtinFS embed.FS

// Builtin is the set of rules in the binary. They passed the strict loader
// when they were tested, so here they are only read, which keeps the start of
// every command fast; TestBuiltinStrict holds the two equal.
func Builtin() (*Set, error) { return builtin() }

var builtin = sync.OnceValues(func() (*Set, error) {
	entries, err := builtinFS.ReadDir("builtin")
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = "builtin/" + e.Name()
	}
	return loadAll(names, builtinFS.Open, false)
})

func loadAll(names []string, open func(string) (fs.File, error), strict bool) (*Set, error) {
	loaded := make([][]*Rule, len(names))
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, n := range names {
		wg.Go(func() {
			var data []byte
			if data, errs[i] = readFile(n, open); errs[i] == nil {
				loaded[i], errs[i] = parseFile(n, data, strict)
			}
		})
	}
	wg.Wait()
	var all []*Rule
	for _, rs := range loaded {
		all = append(all, rs...)
	}
	set, err := newSet(all)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	return set, nil
}

func readFile(name string, open func(string) (fs.File, error)) ([]byte, error) {
	f, err := open(name)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err // the name is told once
		}
		return nil, fmt.Errorf("reading rule file %q: %w", name, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading rule file %q: %w", name, err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("reading rule file %q: not a regular file", name)
	}
	if st.Size() > maxFile {
		return nil, fmt.Errorf("reading rule file %q: %d bytes, more than the %d a rule file may have", name, st.Size(), maxFile)
	}
	data := make([]byte, st.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("reading rule file %q: %w", name, err)
	}
	return data, nil
}

// parseFile reads one rule file. Not strict, it trusts the content and only
// derives what the scanner needs.
func parseFile(name string, data []byte, strict bool) ([]*Rule, error) {
	var f ruleFile
	if !strict {
		if err := toml.Unmarshal(data, &f); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, r := range f.Rules {
			re, err := fill(r, &f, name)
			if err != nil {
				return nil, fmt.Errorf("%s: rule %q: %w", name, r.ID, err)
			}
			derive(r, re)
		}
		return f.Rules, nil
	}
	if err := decodeStrict(name, data, &f); err != nil {
		return nil, err
	}
	lines := locate(data)
	var errs []error
	if err := checkHead(&f); err != nil {
		errs = append(errs, &FileError{File: name, Line: 1, Err: err})
	}
	for i, r := range f.Rules {
		r.Line = lines.rule(i)
		re, err := fill(r, &f, name)
		for _, e := range append([]fault{{"pattern", err}}, check(r, re)...) {
			if e.err != nil {
				errs = append(errs, &FileError{File: name, Line: lines.key(i, e.key), RuleID: r.ID, Err: e.err})
			}
		}
		derive(r, re)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return f.Rules, nil
}

// fill sets what does not stand in the rule's own table and the defaults. The
// expression is nil for rules without a pattern.
func fill(r *Rule, f *ruleFile, name string) (re *syntax.Regexp, err error) {
	r.Provider, r.ProviderName, r.File = f.Provider, f.Name, name
	if r.Kind == "" {
		r.Kind = KindPattern
	}
	if r.Confidence == "" {
		r.Confidence = Medium
		if ShapeChecksum(r.Shape) {
			r.Confidence = High
		}
	}
	if r.Confidence != High {
		r.StopWords = slices.Clip(r.StopWords)
		for _, w := range GlobalStopWords {
			if r.Kind != KindContext && r.Entropy == 0 || len(w) > maxByChance {
				r.StopWords = append(r.StopWords, w)
			}
		}
	}
	if r.Boundary == "" {
		r.Boundary = DefaultBoundary
	}
	if r.Kind == KindContext && r.Words == nil {
		r.Words = SecretWords
	}
	if r.BoundaryBefore == "" {
		r.BoundaryBefore = DefaultBoundaryBefore
	}
	if r.Pattern != "" {
		re, err = parsePattern(r.Pattern)
	}
	// Faults in the boundaries are told by check.
	r.after, _ = classOf(r.Boundary)
	r.before, _ = classOf(r.BoundaryBefore)
	return re, err
}

// maxByChance is the length of words that chance puts into random keys: four given
// letters stand in one of 30,000 keys of 40 characters, five in one of a million.
const maxByChance = 4

// classOf is parseBoundary with the defaults read once.
func classOf(s string) (*byteClass, error) {
	switch s {
	case DefaultBoundary:
		return defaultAfter(), nil
	case DefaultBoundaryBefore:
		return defaultBefore(), nil
	}
	return parseBoundary(s)
}

var (
	defaultAfter  = sync.OnceValue(func() *byteClass { c, _ := parseBoundary(DefaultBoundary); return c })
	defaultBefore = sync.OnceValue(func() *byteClass { c, _ := parseBoundary(DefaultBoundaryBefore); return c })
)

// derive reads off the pattern what the scanner needs to know of it.
func derive(r *Rule, re *syntax.Regexp) {
	if re == nil {
		r.Fold = r.Kind == KindAssignment
		return
	}
	r.Width = width(re)
	r.literal = literal(re)
	if r.Kind == KindContext {
		r.Fold = !slices.ContainsFunc(r.Keywords, func(k string) bool { return k != strings.ToLower(k) })
		if len(r.Keywords) > 0 {
			r.literal += len(slices.MinFunc(r.Keywords, func(a, b string) int { return len(a) - len(b) }))
		}
		if r.Width = plus(r.Width, ContextReach+ContextName); r.Width == unbounded {
			r.Width = 0
		}
		return
	}
	if r.MaxLen > 0 {
		r.Width = min(r.Width, r.MaxLen)
	}
	if r.Width == unbounded {
		r.Width = 0 // the strict loader refuses it, the scanner too
	}
	r.Fold = r.Fold || folds(re)
	r.Multiline = multiline(re)
	r.Prefixed = prefixed(re, r.Keywords, r.Fold)
}

// checkHead checks the keys above the rules.
func checkHead(f *ruleFile) error {
	switch {
	case !slug(f.Provider):
		return fmt.Errorf("provider %q: must be a key such as \"github\": lower-case letters, digits and '-'", f.Provider)
	case strings.TrimSpace(f.Name) == "":
		return errors.New("name is missing: the provider's name for people, such as \"GitHub\"")
	case len(f.Rules) == 0:
		return errors.New("no [[rule]] in the file")
	}
	return nil
}
