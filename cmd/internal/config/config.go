// Package config reads what a scan is told by files: .quench.toml, gitleaks'
// configurations, ignore files and baselines.
//
// It keeps two kinds apart. A file that the user names, or that lies in the
// configuration folder, may set every option of a scan. A file found in a scanned
// tree comes from whoever wrote that tree: it can add rules and narrow the report,
// and nothing else; it names only files of the same tree, and a tree's own tokens
// are matched and contained whatever it says. It knows nothing of policy and the
// registry. Start reading at Load.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/rules/allow"
	"github.com/quench-dev/quench/rules/gitleaks"
	"github.com/quench-dev/quench/scanner/ignore"
	"github.com/quench-dev/quench/sources/gittree"
)

// GitleaksName is what gitleaks calls its configuration.
const GitleaksName = ".gitleaks.toml"

// Options say where to look.
type Options struct {
	// Targets are those of the scan, as the user named them.
	Targets []string
	// File is the configuration that the user names, instead of any found.
	File string
	// UserFile is that of the configuration folder, read first if it exists.
	UserFile string
	// NoFind leaves what lies in scanned trees alone.
	NoFind bool
	// Ref reads what would be found in a tree from this commit of it.
	Ref string
	// RuleFiles are rule files, IgnoreFiles and Baselines files of ignored
	// findings that the user names.
	RuleFiles, IgnoreFiles, Baselines []string
	TrustAlternates                   bool
	// NoMarks says whether marks on lines do not count; nil leaves that to the files,
	// where [scan] may have it, and then to Base.
	NoMarks *bool
	// Base is the Ref, where none is given, of a change that others are to accept: it
	// does not configure its own check, by marks neither.
	Base string
}

// Settings are what the files come to.
type Settings struct {
	Rules *rules.Set
	Allow *allow.Set
	// MinConfidence is "" where no file sets it.
	MinConfidence   rules.Confidence
	minConfidenceAt string
	// Scan are options of the scan by their flags' names, with where each stands.
	Scan []Option
	// Filters are those of the targets, in their order.
	Filters []*ignore.Filter
	// Files are the files read, the first one first. Notices are for the user.
	Files, Notices []string
	// Sums are hashes of what was read of Files, to be compared within one process.
	Sums map[string]string
}

// took notes a file that was read.
func (s *Settings) took(name string, data []byte) {
	s.Files = append(s.Files, name)
	s.Sums[name] = strconv.FormatUint(maphash.Bytes(seed, data), 16)
}

// seed is of a hash that costs next to nothing, since each scan reads these files and only
// a daemon that reloads compares them.
var seed = maphash.MakeSeed()

// Option is an option of the scan that a file sets.
type Option struct {
	Name, Where string
	Value       any
}

// Load reads all that holds for the targets. On an error nothing of it holds.
func Load(o Options) (s *Settings, err error) {
	o.Ref = cmp.Or(o.Ref, o.Base)
	l := &loader{o: o, s: &Settings{Sums: map[string]string{}}, disabled: map[string]string{}, replaced: map[string]bool{}}
	defer l.close()
	if err := l.open(); err != nil {
		return nil, err
	}
	if err := l.configs(); err != nil {
		return nil, err
	}
	if err := l.assemble(); err != nil {
		return nil, err
	}
	if err := l.filters(); err != nil {
		return nil, err
	}
	return l.s, nil
}

// loader is the state of one Load.
type loader struct {
	o     Options
	s     *Settings
	trees []*tree // of the targets
	all   []*tree // each once

	defaults  bool // the built-in rules are wanted
	sets      []*rules.Set
	lists     []allow.List
	disabled  map[string]string // id → where that is said
	replaced  map[string]bool   // ids of built-in rules
	foreign   []allow.List      // of gitleaks, with its names of rules
	places    []place
	baselines []*ignore.File
	reading   []string // files being read, from the first to the one at hand
}

// tree is one scanned tree: what lies at its top holds for all of it.
type tree struct {
	place
	dir string // on disk
	// from are the folders from the target up to the top, "." last.
	from []string
}

// top says where the tree of a target begins, and the folders from it up to there.
func (l *loader) top(target string) (dir string, from []string, ok bool) {
	t := target
	for _, p := range []string{"git:", "dir:", "file:"} {
		t = strings.TrimPrefix(t, p)
	}
	if t == "-" {
		t = "."
	}
	dir, err := filepath.Abs(t)
	if err != nil {
		return "", nil, false
	}
	root, prefix, err := gittree.Locate(dir, l.o.TrustAlternates)
	if errors.Is(err, gittree.ErrNotRepository) {
		// A file, or a folder in no repository.
		if root, prefix, err = gittree.Locate(filepath.Dir(dir), l.o.TrustAlternates); err != nil || isDir(dir) {
			if !isDir(dir) {
				dir = filepath.Dir(dir)
			}
			return dir, []string{"."}, true
		}
	}
	if err != nil || root == "" && l.o.Ref == "" {
		return "", nil, false // a bare repository has no files; other troubles are the scan's to tell
	}
	if root == "" {
		return dir, []string{"."}, true
	}
	for p := prefix; p != "" && p != "."; p = path.Dir(p) {
		from = append(from, p)
	}
	return root, append(from, "."), true
}

// open finds the trees of the targets.
func (l *loader) open() error {
	if l.o.NoFind {
		return nil
	}
	by := map[string]*tree{}
	for _, target := range l.o.Targets {
		dir, from, ok := l.top(target)
		if !ok {
			l.trees = append(l.trees, nil)
			continue
		}
		key := dir + "\x00" + strings.Join(from, "\x00")
		if by[key] == nil {
			p, err := l.place(dir, target)
			if err != nil {
				return err
			}
			l.places = append(l.places, p)
			by[key] = &tree{place: p, dir: dir, from: from}
			l.all = append(l.all, by[key])
		}
		l.trees = append(l.trees, by[key])
	}
	return nil
}

func (l *loader) place(dir, target string) (place, error) {
	if l.o.Ref == "" {
		return openFolder(dir, shown(dir))
	}
	t, err := gittree.Open(dir, l.o.Ref, l.o.TrustAlternates)
	if errors.Is(err, fs.ErrNotExist) {
		return nothing{}, nil // nothing was committed yet
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of %q at %s: %w", target, l.o.Ref, err)
	}
	return commit{t, l.o.Ref}, nil
}

// shown is a folder as messages name it: from the working folder where it lies in
// that.
func shown(dir string) string {
	if wd, err := filepath.Abs("."); err == nil {
		if rel, err := filepath.Rel(wd, dir); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return dir
}

func (l *loader) close() {
	for _, p := range l.places {
		p.Close()
	}
}

// configs reads the configuration files: the user's own, and the one named or
// those found.
func (l *loader) configs() error {
	l.defaults = true
	if l.o.UserFile != "" {
		if err := l.read(anywhere{}, l.o.UserFile, true); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if l.o.File != "" {
		err := l.read(anywhere{}, l.o.File, true)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("reading the configuration %q: no such file", l.o.File)
		}
		return err
	}
	found := ""
	for _, t := range l.all {
		name, err := l.find(t)
		if err != nil {
			return err
		}
		where := ""
		if name != "" {
			where = t.name(name)
		}
		if found != "" && where != found && t != l.all[0] || t != l.all[0] && where != found {
			return fmt.Errorf("the targets have different configurations, %s and %s: scan them one by one, or name one with --config", or(found, "none"), or(where, "none"))
		}
		if found = where; name != "" && t == l.all[0] {
			if err := l.read(t.place, name, false); err != nil {
				return err
			}
		}
	}
	return nil
}

func or(s, empty string) string {
	if s == "" {
		return empty
	}
	return s
}

// find looks for a configuration from the target's folder up to the tree's top:
// ours in all of them, then gitleaks', which looks at the top alone.
func (l *loader) find(t *tree) (string, error) {
	has := func(rel string) (bool, error) {
		_, err := t.read(rel, MaxFile)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	for _, dir := range t.from {
		if ok, err := has(path.Join(dir, Name)); ok || err != nil {
			return path.Join(dir, Name), err
		}
	}
	ok, err := has(GitleaksName)
	if !ok || err != nil {
		return "", err
	}
	l.s.Notices = append(l.s.Notices, fmt.Sprintf("using gitleaks' configuration %s; --no-config does without", t.name(GitleaksName)))
	return GitleaksName, nil
}

// maxExtend bounds how deep files extend others: more is a loop, or a riddle.
const maxExtend = 8

// read reads one configuration file and what it extends. trusted says that the
// user named it.
func (l *loader) read(p place, rel string, trusted bool) error {
	name := p.name(rel)
	if slices.Contains(l.reading, name) || len(l.reading) == maxExtend {
		return fmt.Errorf("%s: files extend each other in a circle, or too deep: %s", name, strings.Join(l.reading, " extends "))
	}
	data, err := p.read(rel, MaxFile)
	if err != nil {
		return err
	}
	l.reading = append(l.reading, name)
	defer func() { l.reading = l.reading[:len(l.reading)-1] }()
	l.s.took(name, data)
	if isGitleaks(path.Base(filepath.ToSlash(rel)), data) {
		return l.readGitleaks(p, rel, name, data)
	}
	d, at, err := parse(name, data)
	if err != nil {
		return err
	}
	return l.apply(p, rel, name, d, at, trusted)
}

func (l *loader) apply(p place, rel, name string, d document, at positions, trusted bool) error {
	// A fault of another file, which this one names, is told at its own place.
	fail := func(key string, err error) error {
		var own *Error
		var rule *rules.FileError
		var foreign *gitleaks.Error
		if errors.As(err, &own) || errors.As(err, &rule) || errors.As(err, &foreign) {
			return err
		}
		line, col := at.of(key)
		return &Error{name, line, col, err}
	}
	if d.Scan != nil && !trusted {
		return fail("scan", errors.New("[scan] is not taken from a scanned tree, which could switch the scan off: put it in a file of your own and name that with --config, or in config.toml of your configuration folder"))
	}
	follow := func(ref string) (place, string, error) {
		if trusted {
			base := filepath.Dir(p.name(rel))
			return anywhere{base}, ref, nil
		}
		in, err := inside(rel, ref)
		return p, in, err
	}
	if err := l.extend(d.Extend, follow, trusted, fail); err != nil {
		return err
	}
	switch d.MinConfidence {
	case "":
	case rules.Low, rules.Medium, rules.High:
		line, col := at.of("min_confidence")
		l.s.MinConfidence, l.s.minConfidenceAt = d.MinConfidence, fmt.Sprintf("%s:%d:%d", name, line, col)
	default:
		return fail("min_confidence", fmt.Errorf("min_confidence %q: must be low, medium or high", d.MinConfidence))
	}
	for _, ref := range d.Rules.Files {
		if err := l.namedRules(follow, ref); err != nil {
			return fail("rules.files", err)
		}
	}
	for _, ref := range d.Baselines {
		if err := l.baseline(follow, ref); err != nil {
			return fail("baselines", err)
		}
	}
	for _, id := range d.Rules.Disable {
		line, _ := at.of("rules.disable")
		l.disabled[id] = fmt.Sprintf("%s:%d", name, line)
	}
	lists, err := d.lists(name, at)
	if err != nil {
		return err
	}
	l.lists = append(l.lists, lists...)
	for _, key := range sorted(d.Scan) {
		line, col := at.of("scan."+key, "scan")
		l.s.Scan = append(l.s.Scan, Option{Name: strings.ReplaceAll(key, "_", "-"), Where: fmt.Sprintf("%s:%d:%d", name, line, col), Value: d.Scan[key]})
	}
	return nil
}

// baseline reads a baseline that a configuration names.
func (l *loader) baseline(follow follower, ref string) error {
	where, to, err := follow(ref)
	if err != nil {
		return err
	}
	data, err := where.read(to, ignore.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the baseline %q does not exist", ref)
	}
	if err != nil {
		return err
	}
	f, err := ignore.Read(where.name(to), data)
	if err != nil {
		return err
	}
	l.s.took(f.Name, data)
	l.baselines = append(l.baselines, f)
	return nil
}

func sorted(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// follower finds a file that a configuration names.
type follower func(ref string) (place, string, error)

// extend reads what a configuration adds to.
func (l *loader) extend(refs []string, follow follower, trusted bool, fail func(string, error) error) error {
	if refs != nil {
		l.defaults = false
	}
	for _, ref := range refs {
		if ref == "default" {
			l.defaults = true
			continue
		}
		where, to, err := follow(ref)
		if err == nil {
			before := l.defaults
			err = l.read(where, to, trusted)
			l.defaults = l.defaults || before
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("it extends %q, which does not exist", ref)
		}
		if err != nil {
			return fail("extend", err)
		}
	}
	return nil
}

// namedRules reads a rule file that a configuration names.
func (l *loader) namedRules(follow follower, ref string) error {
	where, to, err := follow(ref)
	if err == nil {
		err = l.ruleFile(where, to)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("the rule file %q does not exist", ref)
	}
	return err
}

// maxRules bounds a rule file, as package rules does.
const maxRules = 4 << 20

func (l *loader) ruleFile(p place, rel string) error {
	data, err := p.read(rel, maxRules)
	if err != nil {
		return err
	}
	set, err := rules.Parse(p.name(rel), data)
	if err != nil {
		return err
	}
	l.s.took(p.name(rel), data)
	l.sets = append(l.sets, set)
	return nil
}

// assemble joins the rules and the allow lists.
func (l *loader) assemble() error {
	if l.defaults {
		set, err := rules.Builtin()
		if err != nil {
			return err
		}
		l.sets = append([]*rules.Set{set.Without(l.replaced)}, l.sets...)
	}
	if len(l.o.RuleFiles) > 0 {
		set, err := rules.LoadFiles(l.o.RuleFiles...)
		if err != nil {
			return err
		}
		l.sets = append(l.sets, set)
	}
	set, err := rules.Merge(l.sets...)
	if err != nil {
		return err
	}
	var unknown []error
	gone := map[string]bool{}
	for id, where := range l.disabled {
		ids := []string{id}
		if _, ok := set.Rule(id); !ok {
			ids = gitleaks.Ours(id)
		}
		if len(ids) == 0 {
			unknown = append(unknown, fmt.Errorf("%s: no rule %q to disable; quench rules list shows all", where, id))
		}
		for _, id := range ids {
			gone[id] = true
		}
	}
	if err := errors.Join(unknown...); err != nil {
		return err
	}
	l.s.Rules = set.Without(gone)
	if l.s.Rules.Len() == 0 {
		return fmt.Errorf("%s: no rule is left to look for: name \"default\" in extend, or rule files in rules.files", strings.Join(l.s.Files, ", "))
	}
	for i := range l.lists {
		if err := l.known(&l.lists[i]); err != nil {
			return err
		}
	}
	for _, a := range l.foreign {
		for _, id := range slices.Clone(a.Rules) {
			a.Rules = append(a.Rules, gitleaks.Ours(id)...)
		}
		l.lists = append(l.lists, a)
	}
	l.s.Allow, _, err = allow.New(l.lists...)
	return err
}

// known checks the rules that a list is for, and reads gitleaks' names for ours.
func (l *loader) known(a *allow.List) error {
	var ids []string
	for _, id := range a.Rules {
		if _, ok := l.s.Rules.Rule(id); ok {
			ids = append(ids, id)
			continue
		}
		ours := gitleaks.Ours(id)
		if len(ours) == 0 && l.disabled[id] == "" {
			return fmt.Errorf("%s: the allow list is for a rule %q, which is none; quench rules list shows all", a.Where, id)
		}
		ids = append(ids, ours...)
	}
	if len(a.Rules) > 0 && len(ids) == 0 {
		ids = a.Rules // of disabled rules
	}
	a.Rules = ids
	return nil
}

// filters reads ignore files and baselines.
func (l *loader) filters() error {
	var errs []error
	named := func(paths []string) (out []*ignore.File) {
		for _, p := range paths {
			f, data, err := readIgnore(p)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			l.s.took(p, data)
			out = append(out, f)
		}
		return out
	}
	base := ignore.Options{Files: named(l.o.IgnoreFiles), Baselines: append(named(l.o.Baselines), l.baselines...), Allow: l.s.Allow, Names: gitleaks.Theirs}
	base.Marks = l.marks()
	by := map[*tree]*ignore.Filter{}
	for i := range l.o.Targets {
		var t *tree
		if i < len(l.trees) {
			t = l.trees[i]
		}
		if by[t] == nil {
			o := base
			if t != nil {
				if err := l.found(t, &o); err != nil {
					errs = append(errs, err)
				}
			}
			by[t] = ignore.New(o)
		}
		l.s.Filters = append(l.s.Filters, by[t])
	}
	return errors.Join(errs...)
}

// marks says whether marks on lines count.
func (l *loader) marks() bool {
	no := l.o.NoMarks
	for _, o := range l.s.Scan {
		if v, ok := o.Value.(bool); ok && o.Name == "no-marks" && l.o.NoMarks == nil {
			no = &v
		}
	}
	if no == nil {
		return l.o.Base == ""
	}
	return !*no
}

// found adds the ignore files at a tree's top.
func (l *loader) found(t *tree, o *ignore.Options) error {
	data, err := t.read(ignore.Name, ignore.MaxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		f, err := ignore.Read(t.name(ignore.Name), data)
		if err != nil {
			return err
		}
		l.s.took(f.Name, data)
		o.Files = append(slices.Clip(o.Files), f)
	}
	data, err = t.read(ignore.GitleaksName, ignore.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	p, err := ignore.ReadGitleaks(t.name(ignore.GitleaksName), data)
	if err != nil {
		return err
	}
	l.s.took(p.Name, data)
	o.Gitleaks = append(o.Gitleaks, p)
	return nil
}

// ReadIgnore reads an ignore file or a baseline that the user names.
func ReadIgnore(name string) (*ignore.File, error) {
	f, _, err := readIgnore(name)
	return f, err
}

func readIgnore(name string) (*ignore.File, []byte, error) {
	data, err := anywhere{}.read(name, ignore.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("reading %s: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := ignore.Read(name, data)
	return f, data, err
}
