package gitrepo

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/memfs"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/index"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// Repository is one opened repository: where it lies, its objects, its refs.
type Repository struct {
	Layout
	Objects *Store
	storage *filesystem.Storage
	Refs    []*plumbing.Reference
	Head    plumbing.Hash // zero when HEAD has no commit yet
	Shallow map[plumbing.Hash]struct{}
	Bad     []error // packs and refs that do not load
}

// Open reads refs and pack indexes; the layout is proven already.
func Open(l Layout) (*Repository, error) {
	gitFS := func(dir string) billy.Filesystem { return osfs.New(dir, osfs.WithBoundOS()) }
	var fsys billy.Filesystem = gitFS(l.GitDir)
	if l.CommonDir != l.GitDir {
		fsys = dotgit.NewRepositoryFilesystem(fsys, gitFS(l.CommonDir))
	}
	r := &Repository{Layout: l, Shallow: map[plumbing.Hash]struct{}{}}
	// AlternatesFS is empty: go-git never follows an alternate for us, the ones
	// that may be followed are in the layout.
	r.storage = filesystem.NewStorageWithOptions(fsys, cache.NewObjectLRU(1<<20), filesystem.Options{AlternatesFS: memfs.New()})
	r.Objects, r.Bad = newStore(append([]string{filepath.Join(l.CommonDir, "objects")}, l.Alternates...))
	shallow, err := r.storage.Shallow()
	if err != nil {
		r.Bad = append(r.Bad, fmt.Errorf("reading the list of shallow commits: %w", cause(err)))
	}
	for _, h := range shallow {
		r.Shallow[h] = struct{}{}
	}
	if err := r.readRefs(); err != nil {
		return nil, fmt.Errorf("reading its refs: %w", err)
	}
	return r, nil
}

func (r *Repository) readRefs() (err error) {
	defer guard(&err)
	it, err := r.storage.IterReferences()
	if err != nil {
		return err
	}
	err = it.ForEach(func(ref *plumbing.Reference) error {
		if ref.Type() == plumbing.HashReference {
			r.Refs = append(r.Refs, ref)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(r.Refs, func(a, b *plumbing.Reference) int { return strings.Compare(a.Name().String(), b.Name().String()) })
	head, err := storer.ResolveReference(r.storage, plumbing.HEAD)
	switch {
	case err == nil:
		r.Head = head.Hash()
	case !errors.Is(err, plumbing.ErrReferenceNotFound):
		r.Bad = append(r.Bad, fmt.Errorf("reading HEAD: %w", err))
	}
	return nil
}

// Tips are all object ids from which history is reachable: refs, HEAD, heads of
// other worktrees, and the older entries of the stash, which only its log holds.
func (r *Repository) Tips() []plumbing.Hash {
	var out []plumbing.Hash
	for _, ref := range r.Refs {
		out = append(out, ref.Hash())
	}
	out = append(out, r.Head)
	heads, _ := filepath.Glob(filepath.Join(globEscape(r.CommonDir), "worktrees", "*", "HEAD"))
	for _, name := range append(heads, filepath.Join(r.CommonDir, "HEAD")) {
		if data, err := readMeta(name); err == nil {
			if h, err := ParseHash([]byte(strings.TrimSpace(data))); err == nil {
				out = append(out, h)
			}
		}
	}
	if log, err := readBounded(filepath.Join(r.CommonDir, "logs", "refs", "stash"), 64*metaLimit); err == nil {
		for line := range strings.SplitSeq(log, "\n") {
			if f := strings.SplitN(line, " ", 3); len(f) == 3 {
				if h, err := ParseHash([]byte(f[1])); err == nil && r.Objects.Has(h) {
					out = append(out, h)
				}
			}
		}
	}
	seen := map[plumbing.Hash]bool{plumbing.ZeroHash: true}
	return slices.DeleteFunc(out, func(h plumbing.Hash) bool {
		was := seen[h]
		seen[h] = true
		return was
	})
}

// globEscape keeps a folder's own name from being a pattern.
func globEscape(p string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(p)
}

// Peel follows annotated tags to what they are about.
func (r *Repository) Peel(h plumbing.Hash) (plumbing.ObjectType, plumbing.Hash, error) {
	// A tag of a tag of a tag is legal; a loop of ids is not possible, but a
	// chain can be long, and ten are more than anyone has made by hand.
	for range 10 {
		t, data, err := r.Objects.ReadAny(h)
		if err != nil || t != plumbing.TagObject {
			return t, h, err
		}
		tag, _, err := ParseTag(data)
		if err != nil {
			return t, h, fmt.Errorf("%w: %s: %w", ErrCorrupt, h, err)
		}
		h = tag.Target
	}
	return 0, h, fmt.Errorf("%w: tags nested deeper than 10", ErrCorrupt)
}

// Resolve gives the commit that a revision names: a ref in any of git's short
// forms, HEAD, an object id or an abbreviated one, each followed by any of ~N,
// ^N and ^{commit}.
func (r *Repository) Resolve(rev string) (plumbing.Hash, error) {
	base, steps := rev, ""
	if i := strings.IndexAny(rev, "~^"); i >= 0 {
		base, steps = rev[:i], rev[i:]
	}
	h, err := r.resolveBase(base)
	if err != nil {
		return h, fmt.Errorf("revision %q: %w", rev, err)
	}
	t, h, err := r.Peel(h)
	if err != nil {
		return h, fmt.Errorf("revision %q: %w", rev, err)
	}
	if t != plumbing.CommitObject {
		return h, fmt.Errorf("revision %q is a %s, not a commit", rev, t)
	}
	for steps != "" {
		if rest, ok := strings.CutPrefix(steps, "^{commit}"); ok {
			steps = rest
			continue
		}
		op := steps[0]
		digits := len(steps) - 1 - len(strings.TrimLeft(steps[1:], "0123456789"))
		n := 1
		if digits > 0 {
			if n, err = strconv.Atoi(steps[1 : 1+digits]); err != nil {
				return h, fmt.Errorf("revision %q: %q is no number of commits", rev, steps[1:1+digits])
			}
		}
		steps = steps[1+digits:]
		if op != '~' && op != '^' {
			return h, fmt.Errorf("revision %q: only ~N, ^N and ^{commit} are understood after a name", rev)
		}
		if h, err = r.step(h, op, n); err != nil {
			return h, fmt.Errorf("revision %q: %w", rev, err)
		}
	}
	return h, nil
}

func (r *Repository) step(h plumbing.Hash, op byte, n int) (plumbing.Hash, error) {
	times, parent := n, 1
	if op == '^' {
		times, parent = 1, n
		if n == 0 {
			return h, nil
		}
	}
	for range times {
		c, err := r.Commit(h)
		if err != nil {
			return h, err
		}
		if len(c.Parents) < parent {
			if _, cut := r.Shallow[h]; cut {
				return h, fmt.Errorf("history is cut at %s by a shallow clone; fetch more with: git fetch --deepen=N", h)
			}
			return h, fmt.Errorf("commit %s has no parent %d", h, parent)
		}
		h = c.Parents[parent-1]
	}
	return h, nil
}

// Commit reads and parses a commit.
func (r *Repository) Commit(h plumbing.Hash) (Commit, error) {
	data, err := r.Objects.Read(plumbing.CommitObject, h)
	if err != nil {
		return Commit{}, err
	}
	c, _, err := ParseCommit(data)
	if err != nil {
		err = fmt.Errorf("%w: %s: %w", ErrCorrupt, h, err)
	}
	return c, err
}

var errRevision = errors.New("no such ref or commit here; see git branch --all, or fetch it first")

func (r *Repository) resolveBase(name string) (plumbing.Hash, error) {
	if name == "" || name == "@" {
		name = "HEAD"
	}
	if name == "HEAD" {
		if r.Head.IsZero() {
			return r.Head, errors.New("HEAD has no commit yet")
		}
		return r.Head, nil
	}
	if plumbing.IsHash(name) && len(name) == 40 {
		if h := plumbing.NewHash(name); r.Objects.Has(h) {
			return h, nil
		}
		return plumbing.ZeroHash, errRevision
	}
	for _, form := range plumbing.RefRevParseRules {
		ref, err := storer.ResolveReference(r.storage, plumbing.ReferenceName(fmt.Sprintf(form, name)))
		if err == nil {
			return ref.Hash(), nil
		}
	}
	return r.abbreviated(name)
}

// abbreviated resolves a prefix of an object id of at least 4 digits, git's own
// least, that one commit or tag alone has.
func (r *Repository) abbreviated(name string) (found plumbing.Hash, err error) {
	if len(name) < 4 || len(name) > 40 || strings.Trim(strings.ToLower(name), "0123456789abcdef") != "" {
		return found, errRevision
	}
	defer guard(&err)
	// Whole bytes; an odd last digit is compared below.
	hashes, err := r.storage.HashesWithPrefix(prefixBytes(name))
	if err != nil {
		return found, err
	}
	for _, h := range hashes {
		if !strings.HasPrefix(h.String(), strings.ToLower(name)) || h == found {
			continue
		}
		if t, _, err := r.Objects.ReadAny(h); err != nil || (t != plumbing.CommitObject && t != plumbing.TagObject) {
			continue
		}
		if !found.IsZero() {
			return found, errors.New("several commits have ids that begin so; give more digits")
		}
		found = h
	}
	if found.IsZero() {
		return found, errRevision
	}
	return found, nil
}

func prefixBytes(name string) []byte {
	h := plumbing.NewHash((name + strings.Repeat("0", 40))[:40])
	return h[:len(name)/2]
}

// MaxTreeDepth bounds folders in folders. Git's own default is 2048
// (core.MaxTreeDepth); paths of that depth cannot be checked out.
const MaxTreeDepth = 2048

// Descend finds the tree at the repository's prefix.
func (r *Repository) Descend(id plumbing.Hash) (plumbing.Hash, bool, error) {
next:
	for _, name := range strings.FieldsFunc(r.Prefix, func(c rune) bool { return c == '/' }) {
		data, err := r.Objects.Read(plumbing.TreeObject, id)
		if err != nil {
			return id, false, err
		}
		for e, err := range TreeEntries(data) {
			if err != nil {
				return id, false, fmt.Errorf("%w: %s: %w", ErrCorrupt, id, err)
			}
			if string(e.Name) == name && e.Mode&ModeType == ModeTree {
				id = e.Hash
				continue next
			}
		}
		return id, false, nil
	}
	return id, true, nil
}

// EachBlob adds the blobs below a tree to blobs, and the trees to trees.
func (r *Repository) EachBlob(id plumbing.Hash, trees, blobs map[plumbing.Hash]struct{}, depth int) error {
	if _, seen := trees[id]; seen {
		return nil
	}
	trees[id] = struct{}{}
	data, err := r.Objects.Read(plumbing.TreeObject, id)
	if err == nil && depth > MaxTreeDepth {
		err = errTree
	}
	if err != nil {
		return err
	}
	for e, err := range TreeEntries(data) {
		if err != nil {
			return err
		}
		switch e.Mode & ModeType {
		case ModeTree:
			if err := r.EachBlob(e.Hash, trees, blobs, depth+1); err != nil {
				return err
			}
		case ModeGitlink:
		default:
			blobs[e.Hash] = struct{}{}
		}
	}
	return nil
}

// EachPath calls f with every blob below a tree and its path.
func (r *Repository) EachPath(tree plumbing.Hash, dir string, depth int, f func(path string, id plumbing.Hash)) error {
	data, err := r.Objects.Read(plumbing.TreeObject, tree)
	if err == nil && depth > MaxTreeDepth {
		err = errTree
	}
	if err != nil {
		return err
	}
	for e, err := range TreeEntries(data) {
		if err != nil {
			return err
		}
		switch e.Mode & ModeType {
		case ModeTree:
			if err := r.EachPath(e.Hash, dir+string(e.Name)+"/", depth+1, f); err != nil {
				return err
			}
		case ModeGitlink:
		default:
			f(dir+string(e.Name), e.Hash)
		}
	}
	return nil
}

// Index reads the index, that of GIT_INDEX_FILE where a hook is told of another:
// git commit FILE makes one of its own.
func (r *Repository) Index() (idx *index.Index, err error) {
	defer guard(&err)
	name := os.Getenv("GIT_INDEX_FILE")
	if name == "" {
		name = filepath.Join(r.GitDir, "index")
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &index.Index{}, nil // nothing was ever added
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	idx = &index.Index{}
	if err := index.NewDecoder(bufio.NewReader(f)).Decode(idx); err != nil {
		return nil, fmt.Errorf("%w; git update-index --no-split-index --index-version 2 writes one that is understood", err)
	}
	return idx, nil
}
