package ignore

import (
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/quench-dev/quench/rules/allow"
	"github.com/quench-dev/quench/scanner"
)

// Kind is how a finding came to be ignored.
type Kind string

// The kinds.
const (
	ByMark     Kind = "mark"        // quench:allow and the like on its line
	ByFile     Kind = "ignore file" // an entry of an ignore file
	ByBaseline Kind = "baseline"    // an entry of a baseline
	ByList     Kind = "allow list"  // of a configuration
)

// Reason is why a finding is ignored.
type Reason struct {
	Kind Kind
	// Text says it for people: where it is written, and what is written there.
	Text string
}

// Options are what a Filter knows. All may be empty.
type Options struct {
	Files     []*File
	Baselines []*File
	Gitleaks  []*Places
	Allow     *allow.Set
	// Marks honours marks on lines.
	Marks bool
	// Names gives the ids that rules of gitleaks' configuration have here.
	Names func(id string) []string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Filter says which findings of one target are left out of the report. It is used
// by one goroutine.
type Filter struct {
	o       Options
	entries map[string][]*entry // by id
	all     []*entry
}

type entry struct {
	Entry
	file *File
	kind Kind
	used bool
}

// New makes a Filter.
func New(o Options) *Filter {
	if o.Now == nil {
		o.Now = time.Now
	}
	f := &Filter{o: o, entries: map[string][]*entry{}}
	add := func(files []*File, kind Kind) {
		for _, file := range files {
			for _, e := range file.Entries {
				x := &entry{Entry: e, file: file, kind: kind}
				f.entries[e.ID] = append(f.entries[e.ID], x)
				f.all = append(f.all, x)
			}
		}
	}
	add(o.Files, ByFile)
	add(o.Baselines, ByBaseline)
	return f
}

// NamesIDs reports whether any file names findings by their ids.
func (f *Filter) NamesIDs() bool { return f != nil && len(f.all) > 0 }

// Ignored says whether and why a finding is left out. A live or suspended token of
// the registry never is; what names it counts as used all the same.
func (f *Filter) Ignored(fd scanner.Finding) (r Reason, ok bool) {
	if f == nil {
		return r, false
	}
	for _, test := range []func(scanner.Finding) (Reason, bool){f.byEntry, f.byPlace, f.byMark, f.byList} {
		if r, ok = test(fd); ok {
			break
		}
	}
	return r, ok && (fd.Token == nil || fd.Token.State == "revoked" || fd.Token.State == "expired")
}

func (f *Filter) byEntry(fd scanner.Finding) (r Reason, ok bool) {
	for _, id := range append([]string{fd.ID}, fd.OtherIDs...) {
		for _, e := range f.entries[id] {
			if e.Rule != "" && e.Rule != fd.Rule.ID || e.Path != "" && e.Path != fd.Origin.Path {
				continue
			}
			e.used = true
			if !ok && !e.Expired(f.o.Now()) {
				r, ok = Reason{e.kind, fmt.Sprintf("%s:%d", e.file.Name, e.Line)}, true
				if e.Reason != "" {
					r.Text += " (" + e.Reason + ")"
				}
			}
		}
	}
	return r, ok
}

// byPlace asks gitleaks' files. Where they name a rule of gitleaks, ours of that
// kind is meant too.
func (f *Filter) byPlace(fd scanner.Finding) (r Reason, ok bool) {
	for _, p := range f.o.Gitleaks {
		for line := fd.Line; line <= fd.EndLine; line++ {
			for _, rule := range f.gitleaksNames(fd.Rule.ID) {
				at := Place{Path: path.Clean(fd.Origin.Path), Rule: rule, Line: line}
				n := p.at[at]
				if n == 0 && fd.Origin.Commit != "" {
					at.Commit = fd.Origin.Commit
					n = p.at[at]
				}
				if n > 0 {
					p.used[at] = true
					return Reason{ByFile, fmt.Sprintf("%s:%d", p.Name, n)}, true
				}
			}
		}
	}
	return r, false
}

func (f *Filter) gitleaksNames(id string) []string {
	if f.o.Names == nil {
		return []string{id}
	}
	return append([]string{id}, f.o.Names(id)...)
}

func (f *Filter) byMark(fd scanner.Finding) (Reason, bool) {
	return Reason{ByMark, "a mark on its line"}, fd.Marked && f.o.Marks
}

func (f *Filter) byList(fd scanner.Finding) (r Reason, ok bool) {
	l, ok := f.o.Allow.Allows(fd.Rule.ID, fd.Allowed, fd.Origin.Path, fd.Origin.Commit)
	if !ok {
		return r, false
	}
	r = Reason{ByList, l.Where}
	if l.Description != "" {
		r.Text += " (" + l.Description + ")"
	}
	return r, true
}

// Stale is an entry that ignores nothing any more.
type Stale struct {
	File  *File
	Entry Entry
	Why   string
}

func (s Stale) String() string {
	return fmt.Sprintf("%s:%d: %s %s", s.File.Name, s.Entry.Line, s.Entry.ID, s.Why)
}

// Stale lists the entries whose day is over, and with whole, when all that they
// could be for was scanned, those that no finding met.
func (f *Filter) Stale(whole bool) (out []Stale) {
	if f == nil {
		return nil
	}
	for _, e := range f.all {
		switch {
		case whole && !e.used:
			out = append(out, Stale{e.file, e.Entry, "matches nothing any more"})
		case e.Expired(f.o.Now()):
			out = append(out, Stale{e.file, e.Entry, "ended on " + e.Until.Format(time.DateOnly)})
		}
	}
	slices.SortStableFunc(out, func(a, b Stale) int { return a.Entry.Line - b.Entry.Line })
	return out
}
