package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/muesli/termenv"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/sources"
)

const (
	// indent puts what is told of a finding under its rule, past place and
	// confidence.
	indent = 12
	// maxAuthor keeps a commit whose author field is a page long from filling
	// the terminal; names of people are shorter.
	maxAuthor = 60
	// maxStale is how many stale entries are named: a screen of them says that it
	// is time to prune.
	maxStale = 10
)

// human writes for people: findings under the path they are in, a summary last.
type human struct {
	w    io.Writer
	o    Options
	p    termenv.Profile
	head string
	n    int
}

func newHuman(w io.Writer, o Options) Writer {
	h := &human{w: w, o: o, p: termenv.Ascii}
	if o.Color {
		h.p = termenv.ANSI
	}
	return h
}

func (h *human) paint(s string, c termenv.ANSIColor) string {
	return h.p.String(s).Foreground(c).String()
}

func (h *human) bold(s string) string  { return h.p.String(s).Bold().String() }
func (h *human) faint(s string) string { return h.p.String(s).Faint().String() }

// Finding writes one block; a heading stands before it when the path changes.
func (h *human) Finding(f scanner.Finding) error {
	var b strings.Builder
	head := heading(f, h.o)
	if h.n == 0 || head != h.head {
		if h.n > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s\n", h.bold(clean(head)))
	}
	h.head = head
	h.n++
	place := fmt.Sprintf("%d:%d", f.Line, f.Column)
	fmt.Fprintf(&b, "  %-9s %s  %s  %s\n", place, h.sure(f), h.bold(f.Rule.ID), h.paint(clean(shown(f.Secret, h.o)), termenv.ANSIRed))
	if line := strings.TrimSpace(clean(f.Masked)); line != "" && line != "****" {
		for _, l := range wrap(line, h.o.Width-indent) {
			fmt.Fprintf(&b, "%*s%s\n", indent, "", h.faint(l))
		}
	}
	for _, d := range append(details(f), detail{text: "id " + f.ID}) {
		for _, l := range wrap(d.text, h.o.Width-indent) {
			if d.strong {
				l = h.paint(l, termenv.ANSIMagenta)
			}
			fmt.Fprintf(&b, "%*s%s\n", indent, "", l)
		}
	}
	_, err := io.WriteString(h.w, b.String())
	return err
}

// sure is the confidence, or that the finding is none.
func (h *human) sure(f scanner.Finding) string {
	if f.Dropped != "" {
		return h.faint("dropped")
	}
	s := fmt.Sprintf("%-6s", f.Confidence)
	switch f.Confidence {
	case rules.High:
		return h.paint(s, termenv.ANSIRed)
	case rules.Medium:
		return h.paint(s, termenv.ANSIYellow)
	}
	return s
}

// heading is what findings are grouped under.
func heading(f scanner.Finding, o Options) string {
	name := f.Origin.Path
	if name == "" {
		name = "<" + cmp.Or(f.Origin.Source, "input") + ">"
		for _, l := range f.Origin.Labels {
			name = "<" + l + ">"
		}
	}
	if t := target(f, o); t != "" {
		name = path.Join(filepath.ToSlash(t), name)
	}
	return name
}

// detail is one thing told under a finding; what a person must act on is strong.
type detail struct {
	text   string
	strong bool
}

// details tell where a finding comes from and whose it is.
func details(f scanner.Finding) []detail {
	var out []detail
	if f.Dropped != "" {
		out = append(out, detail{text: f.Dropped})
	}
	if p := f.Pair; p != nil {
		s := fmt.Sprintf("with the %s at %d:%d", p.Rule.Description, p.Line, p.Column)
		if len(p.Why) > 0 {
			s += ": " + strings.Join(p.Why, ", ")
		}
		out = append(out, detail{text: clean(s)})
	}
	if len(f.Also) > 0 {
		out = append(out, detail{text: "matched by " + strings.Join(f.Also, ", ") + " too"})
	}
	o := f.Origin
	if o.Commit != "" {
		s := "commit " + o.Commit[:min(10, len(o.Commit))]
		if !o.Date.IsZero() {
			s += " " + o.Date.Format(time.DateOnly)
		}
		if o.Author != "" {
			s += " by " + cut(clean(o.Author), maxAuthor)
		}
		if o.InHead != nil {
			if *o.InHead {
				s += ", still in HEAD"
			} else {
				s += ", no longer in HEAD"
			}
		}
		if f.Blobs > 1 {
			s += fmt.Sprintf(", %d versions", f.Blobs)
		}
		out = append(out, detail{text: s})
	}
	if len(f.MovedTo) > 0 {
		out = append(out, detail{text: "moved to " + clean(strings.Join(f.MovedTo, ", "))})
	}
	if s := reached(o); s != "" {
		out = append(out, detail{text: clean(s)})
	}
	if len(f.DecodedVia) > 0 {
		out = append(out, detail{text: "decoded from " + strings.Join(f.DecodedVia, ", ")})
	}
	if f.Marked && f.Ignored == "" {
		out = append(out, detail{text: "the mark on its line does not count here"})
	}
	if f.Token != nil {
		out = append(out, detail{"issued token " + f.Token.ID + " (" + f.Token.State + ")", true})
	}
	if f.Contained != "" {
		out = append(out, detail{clean(f.Contained), true})
	}
	if f.IncidentID != "" {
		out = append(out, detail{text: "incident " + f.IncidentID})
	}
	if f.Ignored != "" {
		out = append(out, detail{"ignored by " + clean(f.Ignored), true})
	}
	return out
}

// namedRefs is how many refs a person is told by name.
const namedRefs = 3

// reached tells what leads to a secret in a repository: refs, or none.
func reached(o sources.Origin) string {
	if len(o.Refs) == 0 {
		switch {
		case slices.Contains(o.Labels, "unreachable"):
			return "no ref reaches it: " + strings.Join(o.Labels, ", ")
		case o.Source == "git" && slices.Contains(o.Labels, "staged"):
			return "staged, in no commit"
		}
		return ""
	}
	var names []string
	for _, r := range o.Refs[:min(namedRefs, len(o.Refs))] {
		for _, p := range []string{"refs/heads/", "refs/remotes/", "refs/tags/", "refs/"} {
			if short, ok := strings.CutPrefix(r, p); ok {
				r = short
				break
			}
		}
		names = append(names, r)
	}
	s := "reached from " + strings.Join(names, ", ")
	if more := max(o.RefCount, len(o.Refs)) - len(names); more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

// Close writes the summary.
func (h *human) Close(c scanner.Coverage, t Totals) error {
	var b strings.Builder
	if h.n > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(h.verdict(c, t) + "\n")
	fmt.Fprintf(&b, "scanned %s in %s%s\n", scanned(c), duration(c.Elapsed), speed(c))
	if s := skipped(c); s != "" {
		fmt.Fprintf(&b, "passed over %s\n", s)
	}
	if t.Dropped > 0 {
		fmt.Fprintf(&b, "%s dropped, with the reason; none is a finding\n", count(t.Dropped, "match", "matches"))
	}
	for _, u := range c.Elsewhere {
		fmt.Fprintf(&b, "not covered: %s (%s)\n", clean(u.What), elsewhere[u.Reason])
	}
	if more := int(c.Skipped[sources.SkipSubmodule]+c.Skipped[sources.SkipLFS]) - len(c.Elsewhere); more > 0 {
		fmt.Fprintf(&b, "not covered: and %d more\n", more)
	}
	if t.Below > 0 {
		fmt.Fprintf(&b, "%s below the confidence asked for; see --min-confidence\n", count(t.Below, "match", "matches"))
	}
	b.WriteString(ignored(t))
	if t.Incidents > 0 {
		fmt.Fprintf(&b, "%s, %s revoked; see quench incident list\n", count(t.Incidents, "incident", "incidents"), count(t.Revoked, "token", "tokens"))
	}
	for _, u := range c.Unread {
		s := fmt.Sprintf("not read: %s (%s)", clean(u.What), u.Reason)
		if u.Err != "" {
			s += ": " + clean(u.Err)
		}
		fmt.Fprintln(&b, h.paint(s, termenv.ANSIYellow))
	}
	if more := moreUnread(c); more != "" {
		fmt.Fprintf(&b, "not read: and %s more\n", more)
	}
	if n := c.Skipped[sources.SkipPromised]; n > 0 {
		fmt.Fprintf(&b, "a partial clone: %s with its origin alone; git fetch --refetch --no-filter gets all\n", count(int(n), "object is", "objects are"))
	}
	_, err := io.WriteString(h.w, b.String())
	return err
}

// elsewhere says who keeps what is not covered.
var elsewhere = map[sources.Reason]string{
	sources.SkipSubmodule: "a submodule, a repository of its own",
	sources.SkipLFS:       "kept by Git LFS",
}

// moreUnread counts what is not read and not named, by reason.
func moreUnread(c scanner.Coverage) string {
	if len(c.Unread) == 0 {
		return ""
	}
	left := maps.Clone(c.Skipped)
	for _, u := range c.Unread {
		left[u.Reason]--
	}
	var parts []string
	for _, r := range slices.Sorted(maps.Keys(left)) {
		if n := left[r]; n > 0 && r.Wanted() {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ReplaceAll(string(r), "_", " ")))
		}
	}
	return strings.Join(parts, ", ")
}

// ignored tells what was left out, and what of that is written down for nothing.
func ignored(t Totals) string {
	var b strings.Builder
	n, parts := 0, []string{}
	for _, kind := range slices.Sorted(maps.Keys(t.Ignored)) {
		n += t.Ignored[kind]
		parts = append(parts, fmt.Sprintf("%d by %s", t.Ignored[kind], kind))
	}
	if n > 0 {
		fmt.Fprintf(&b, "%s ignored (%s); see --show-ignored\n", count(n, "finding", "findings"), strings.Join(parts, ", "))
	}
	for _, s := range t.Stale[:min(len(t.Stale), maxStale)] {
		fmt.Fprintf(&b, "stale: %s\n", clean(s))
	}
	if more := len(t.Stale) - maxStale; more > 0 {
		fmt.Fprintf(&b, "stale: and %d more; quench ignore prune and quench baseline prune remove them\n", more)
	}
	return b.String()
}

// verdict is the first line of the summary.
func (h *human) verdict(c scanner.Coverage, t Totals) string {
	incomplete := ""
	switch {
	case c.Interrupted:
		incomplete = "interrupted"
	case c.Nothing():
		incomplete = "nothing was read"
	case !c.Complete():
		incomplete = count(int(unread(c)), "thing", "things") + " could not be read"
	}
	switch {
	case t.Findings > 0:
		s := count(t.Findings, "finding", "findings")
		var parts []string
		for _, conf := range []rules.Confidence{rules.High, rules.Medium, rules.Low} {
			if n := t.ByConfidence[conf]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, conf))
			}
		}
		s = h.paint(s, termenv.ANSIRed) + " (" + strings.Join(parts, ", ") + ")"
		if incomplete != "" {
			s += "; " + h.paint(incomplete, termenv.ANSIYellow)
		}
		return s
	case c.Empty:
		return "nothing to scan"
	case incomplete != "":
		return h.paint("no findings, but the scan is not complete: "+incomplete, termenv.ANSIYellow)
	}
	return h.paint("no findings, complete", termenv.ANSIGreen)
}

func unread(c scanner.Coverage) int64 {
	var n int64
	for r, k := range c.Skipped {
		if r.Wanted() {
			n += k
		}
	}
	return n
}

func scanned(c scanner.Coverage) string {
	var parts []string
	add := func(n int, one, many string) {
		if n > 0 {
			parts = append(parts, count(n, one, many))
		}
	}
	if c.Repositories > 1 {
		add(c.Repositories, "repository", "repositories")
	}
	add(c.Commits, "commit", "commits")
	add(int(c.Blobs), "blob", "blobs")
	add(int(c.Files), "file", "files")
	if c.Archives > 0 {
		parts = append(parts, count(int(c.Entries), "entry", "entries")+" of "+count(int(c.Archives), "archive", "archives"))
	}
	parts = append(parts, size(c.Bytes))
	if c.Cached > 0 {
		parts = append(parts, count(int(c.Cached), "object", "objects")+" from the cache")
	}
	return strings.Join(parts, ", ")
}

func skipped(c scanner.Coverage) string {
	var rs []sources.Reason
	for r, n := range c.Skipped {
		if n > 0 && !r.Wanted() {
			rs = append(rs, r)
		}
	}
	slices.Sort(rs)
	var parts []string
	for _, r := range rs {
		parts = append(parts, fmt.Sprintf("%d %s", c.Skipped[r], strings.ReplaceAll(string(r), "_", " ")))
	}
	return strings.Join(parts, ", ")
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return count(int(n), "byte", "bytes")
}

func duration(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// speed is told for scans long enough to measure.
func speed(c scanner.Coverage) string {
	if c.Elapsed < 50*time.Millisecond || c.Bytes < 1e6 {
		return ""
	}
	return fmt.Sprintf(", %.0f MB/s", float64(c.Bytes)/1e6/c.Elapsed.Seconds())
}

// clean makes scanned content harmless to a terminal: control characters, among
// them escape sequences, and invisible ones that reorder text are written out.
func clean(s string) string {
	ok := func(r rune) bool { return unicode.IsPrint(r) && r != utf8.RuneError }
	if !strings.ContainsFunc(s, func(r rune) bool { return !ok(r) }) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case ok(r):
			b.WriteRune(r)
		case r == '\t':
			b.WriteByte(' ')
		case r == utf8.RuneError:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// cut shortens s to width characters and says so.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	r := []rune(s)
	return string(r[:width-1]) + "…"
}

// wrap breaks s into lines of at most width characters, at spaces where there
// is one in the second half of a line. Nothing but those spaces is lost, and a
// mask stays in one piece, since it marks the place of the finding. Widths too
// small to read in are taken as 20.
func wrap(s string, width int) (lines []string) {
	width = max(width, 20)
	r := []rune(s)
	for len(r) > width {
		n := width
		for n > width/2 && r[n] != ' ' {
			n--
		}
		if r[n] != ' ' {
			for n = width; n > width/2 && r[n] == '*' && r[n-1] == '*'; n-- {
			}
		}
		lines = append(lines, strings.TrimRight(string(r[:n]), " "))
		for n < len(r) && r[n] == ' ' {
			n++
		}
		r = r[n:]
	}
	return append(lines, string(r))
}
