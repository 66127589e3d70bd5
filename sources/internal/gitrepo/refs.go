package gitrepo

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// readRefs reads the refs, packed and loose, and HEAD. A ref that cannot be read
// is told in Bad, and stops no other. go-git reads refs too, and takes one that
// holds anything but an id for the id of zeros, which is none.
func (r *Repository) readRefs() error {
	common, err := os.OpenRoot(r.CommonDir)
	if err != nil {
		return cause(err)
	}
	defer common.Close()
	refs := map[string]plumbing.Hash{}
	if info, err := common.Stat("packed-refs"); err == nil {
		refs = make(map[string]plumbing.Hash, min(info.Size(), 16<<20)/refLine)
	}
	r.packedRefs(common, refs)
	r.looseRefs(common, refs)
	own := common
	if r.GitDir != r.CommonDir { // a linked worktree has a few refs of its own
		if own, err = os.OpenRoot(r.GitDir); err != nil {
			return cause(err)
		}
		defer own.Close()
		r.looseRefs(own, refs)
	}
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		r.Refs = append(r.Refs, plumbing.NewHashReference(plumbing.ReferenceName(name), refs[name]))
	}
	if r.Head, r.Detached, err = headOf(own, common, refs); err != nil {
		r.Bad = append(r.Bad, fmt.Errorf("reading HEAD: %w", err))
	}
	return nil
}

// refLine is about how long a line of packed-refs is, at least: 40 digits, a space,
// "refs/heads/" and a name, of half of them the line of what a tag is about.
const refLine = 64

// packedRefs reads packed-refs: lines of "ID NAME", and "^ID" for what the tag
// before is about.
func (r *Repository) packedRefs(root *os.Root, refs map[string]plumbing.Hash) {
	f, err := root.Open("packed-refs")
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	bad := func(err error) { r.Bad = append(r.Bad, fmt.Errorf("reading packed-refs: %w", cause(err))) }
	if err != nil {
		bad(err)
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		bad(errors.Join(errors.New("not a regular file"), err))
		return
	}
	if err := parsePacked(f, refs); err != nil {
		bad(err)
	}
}

// parsePacked adds the refs of a packed-refs file. Lines that are none are told in
// the error, and the others read.
func parsePacked(f io.Reader, refs map[string]plumbing.Hash) error {
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, metaLimit)
	wrong, first := 0, 0
	for n := 1; sc.Scan(); n++ {
		line := sc.Bytes()
		if len(line) == 0 || line[0] == '#' || line[0] == '^' {
			continue
		}
		hex, name, _ := bytes.Cut(line, []byte{' '})
		id, err := ParseHash(hex)
		if err != nil || !bytes.HasPrefix(name, []byte("refs/")) {
			if wrong++; wrong == 1 {
				first = n
			}
			continue
		}
		refs[string(name)] = id
	}
	if wrong > 0 {
		return errors.Join(fmt.Errorf("%w: %d line(s) of it are no refs, the first is line %d", ErrCorrupt, wrong, first), sc.Err())
	}
	return sc.Err()
}

// looseRefs reads the files below refs. They win over what is packed.
func (r *Repository) looseRefs(root *os.Root, refs map[string]plumbing.Hash) {
	bad := func(name string, err error) {
		r.Bad = append(r.Bad, fmt.Errorf("reading the ref %q: %w", name, cause(err)))
	}
	fs.WalkDir(root.FS(), "refs", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			if !errors.Is(err, fs.ErrNotExist) { // deleted just now, or packed
				bad(name, err)
			}
			return nil
		case d.IsDir(), strings.HasSuffix(name, ".lock"):
			return nil
		}
		text, err := readIn(root, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			bad(name, err)
			return nil
		}
		if _, symbolic := strings.CutPrefix(text, "ref:"); symbolic {
			return nil // what it names is listed itself
		}
		id, err := ParseHash([]byte(text))
		if err != nil {
			bad(name, fmt.Errorf("%w: it holds no object id", ErrCorrupt))
			return nil
		}
		refs[name] = id
		return nil
	})
}

// readIn reads a file of a ref.
func readIn(root *os.Root, name string) (string, error) {
	info, err := root.Stat(filepath.FromSlash(name))
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	if info.Size() > metaLimit {
		return "", fmt.Errorf("longer than %d bytes", metaLimit)
	}
	data, err := root.ReadFile(filepath.FromSlash(name))
	return strings.TrimSpace(string(data)), err
}

// headOf gives HEAD's commit, zero when its branch has none yet.
func headOf(own, common *os.Root, refs map[string]plumbing.Hash) (id plumbing.Hash, detached bool, err error) {
	text, err := readIn(own, "HEAD")
	if err != nil {
		return id, false, cause(err)
	}
	// Symbolic refs may name one another; five deep is git's own limit.
	for range 5 {
		name, symbolic := strings.CutPrefix(text, "ref:")
		if !symbolic {
			if id, err = ParseHash([]byte(text)); err != nil {
				return id, false, fmt.Errorf("%w: it names no branch and no commit", ErrCorrupt)
			}
			return id, true, nil
		}
		name = strings.TrimSpace(name)
		if id, ok := refs[name]; ok {
			return id, false, nil
		}
		if !strings.HasPrefix(name, "refs/") || path.Clean(name) != name {
			return id, false, fmt.Errorf("%w: it names %q, which is no ref", ErrCorrupt, name)
		}
		if text, err = readIn(common, name); err != nil || !strings.HasPrefix(text, "ref:") {
			return id, false, nil // no commit yet, or told as a ref already
		}
	}
	return id, false, fmt.Errorf("%w: its symbolic refs go in a circle", ErrCorrupt)
}

// Tip is where history may be entered.
type Tip struct {
	Name string // of a ref in full, or as git's revisions are written: "stash@{1}"
	ID   plumbing.Hash
}

// Unnamed are tips of ids alone.
func Unnamed(ids []plumbing.Hash) (tips []Tip) {
	for _, id := range ids {
		tips = append(tips, Tip{ID: id})
	}
	return tips
}

// Tips are where a repository's history is entered, by what for.
type Tips struct {
	// Refs are all refs but those of the other groups, and detached HEADs, of
	// other worktrees too.
	Refs []Tip
	// Notes are those of git notes.
	Notes []Tip
	// Stash is the stash, its older entries too, which only its log holds.
	Stash []Tip
}

const stash = "refs/stash"

// TipsByKind gives every Tip.
func (r *Repository) TipsByKind() (t Tips) {
	for _, ref := range r.Refs {
		tip := Tip{ref.Name().String(), ref.Hash()}
		switch {
		case tip.Name == stash:
			t.Stash = append(t.Stash, tip)
		case strings.HasPrefix(tip.Name, "refs/notes/"):
			t.Notes = append(t.Notes, tip)
		default:
			t.Refs = append(t.Refs, tip)
		}
	}
	if r.Detached {
		t.Refs = append(t.Refs, Tip{"HEAD", r.Head})
	}
	// A HEAD that was read as this repository's own is not among these: in a
	// linked worktree, the main one's is, and the others'.
	heads, _ := filepath.Glob(filepath.Join(globEscape(r.CommonDir), "worktrees", "*", "HEAD"))
	for _, name := range append(heads, filepath.Join(r.CommonDir, "HEAD")) {
		if filepath.Dir(name) == r.GitDir {
			continue
		}
		if data, err := readMeta(name); err == nil {
			if id, err := ParseHash([]byte(strings.TrimSpace(data))); err == nil {
				t.Refs = append(t.Refs, Tip{headName(r.CommonDir, name), id})
			}
		}
	}
	var older []Tip
	r.log(filepath.Join(r.CommonDir, "logs", filepath.FromSlash(stash)), func(e LogEntry) {
		if !e.New.IsZero() && r.Objects.Has(e.New) {
			older = append(older, Tip{ID: e.New})
		}
	})
	for i := range older { // the newest is refs/stash itself
		if n := len(older) - 1 - i; n > 0 {
			older[i].Name = fmt.Sprintf("stash@{%d}", n)
			t.Stash = append(t.Stash, older[i])
		}
	}
	return t
}

// headName is how git calls another worktree's HEAD.
func headName(common, name string) string {
	if rel, err := filepath.Rel(common, name); err == nil && rel != "HEAD" {
		return filepath.ToSlash(rel)
	}
	return "main-worktree/HEAD"
}

// Names are all Tips, those first that people know: branches, those of remotes, tags.
func (r *Repository) Names() []Tip {
	kinds := []string{"refs/heads/", "refs/remotes/", "refs/tags/"}
	rank := func(t Tip) int {
		n := slices.IndexFunc(kinds, func(k string) bool { return strings.HasPrefix(t.Name, k) })
		if n < 0 {
			return len(kinds)
		}
		return n
	}
	t := r.TipsByKind()
	slices.SortStableFunc(t.Refs, func(a, b Tip) int { return cmp.Compare(rank(a), rank(b)) })
	return slices.Concat(t.Refs, t.Notes, t.Stash)
}

// Tips are all object ids from which history is reachable, each once.
func (r *Repository) Tips() (out []plumbing.Hash) {
	t := r.TipsByKind()
	seen := map[plumbing.Hash]bool{plumbing.ZeroHash: true}
	for _, tip := range slices.Concat(t.Refs, t.Notes, t.Stash) {
		if !seen[tip.ID] {
			seen[tip.ID] = true
			out = append(out, tip.ID)
		}
	}
	return out
}

// globEscape keeps a folder's own name from being a pattern.
func globEscape(p string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(p)
}

// LogEntry is one line of a reflog.
type LogEntry struct {
	Old, New plumbing.Hash
	Message  string
}

// Logs calls f with every entry of every reflog, other worktrees' too. Those that
// do not parse are passed over: what they would name is found all the same, as what
// no ref reaches.
func (r *Repository) Logs(f func(LogEntry)) {
	dirs := []string{filepath.Join(r.CommonDir, "logs")}
	more, _ := filepath.Glob(filepath.Join(globEscape(r.CommonDir), "worktrees", "*", "logs"))
	for _, dir := range append(dirs, more...) {
		filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				r.log(name, f)
			}
			return nil
		})
	}
}

// log reads one reflog: lines of "OLD NEW NAME <EMAIL> SECONDS ZONE\tMESSAGE".
func (r *Repository) log(name string, f func(LogEntry)) {
	if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return
	}
	file, err := os.OpenFile(name, os.O_RDONLY|OpenFlags, 0)
	if err != nil {
		return
	}
	defer file.Close()
	parseLog(file, f)
}

func parseLog(r io.Reader, f func(LogEntry)) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, metaLimit)
	for sc.Scan() {
		line := sc.Bytes()
		if len(line) < 82 || line[40] != ' ' || line[81] != ' ' {
			continue
		}
		older, err1 := ParseHash(line[:40])
		newer, err2 := ParseHash(line[41:81])
		if err1 != nil || err2 != nil {
			continue
		}
		_, message, _ := strings.Cut(string(line[82:]), "\t")
		f(LogEntry{older, newer, message})
	}
}
