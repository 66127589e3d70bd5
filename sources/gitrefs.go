package sources

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/memfs"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// repository is one opened repository: where it lies, its objects, its refs.
type repository struct {
	layout
	objects *objectStore
	storage *filesystem.Storage
	refs    []*plumbing.Reference
	head    plumbing.Hash // zero when HEAD has no commit yet
	shallow map[plumbing.Hash]struct{}
	bad     []error // packs and refs that do not load
}

// openRepository reads refs and pack indexes; the layout is proven already.
func openRepository(l layout) (*repository, error) {
	gitFS := func(dir string) billy.Filesystem { return osfs.New(dir, osfs.WithBoundOS()) }
	var fsys billy.Filesystem = gitFS(l.gitDir)
	if l.commonDir != l.gitDir {
		fsys = dotgit.NewRepositoryFilesystem(fsys, gitFS(l.commonDir))
	}
	r := &repository{layout: l, shallow: map[plumbing.Hash]struct{}{}}
	// AlternatesFS is empty: go-git never follows an alternate for us, the ones
	// that may be followed are in the layout.
	r.storage = filesystem.NewStorageWithOptions(fsys, cache.NewObjectLRU(1<<20), filesystem.Options{AlternatesFS: memfs.New()})
	r.objects, r.bad = newObjectStore(append([]string{filepath.Join(l.commonDir, "objects")}, l.alternates...))
	shallow, err := r.storage.Shallow()
	if err != nil {
		r.bad = append(r.bad, fmt.Errorf("reading the list of shallow commits: %w", cause(err)))
	}
	for _, h := range shallow {
		r.shallow[h] = struct{}{}
	}
	if err := r.readRefs(); err != nil {
		return nil, fmt.Errorf("reading its refs: %w", err)
	}
	return r, nil
}

func (r *repository) readRefs() (err error) {
	defer guard(&err)
	it, err := r.storage.IterReferences()
	if err != nil {
		return err
	}
	err = it.ForEach(func(ref *plumbing.Reference) error {
		if ref.Type() == plumbing.HashReference {
			r.refs = append(r.refs, ref)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(r.refs, func(a, b *plumbing.Reference) int { return strings.Compare(a.Name().String(), b.Name().String()) })
	head, err := storer.ResolveReference(r.storage, plumbing.HEAD)
	switch {
	case err == nil:
		r.head = head.Hash()
	case !errors.Is(err, plumbing.ErrReferenceNotFound):
		r.bad = append(r.bad, fmt.Errorf("reading HEAD: %w", err))
	}
	return nil
}

// tips are all object ids from which history is reachable: refs, HEAD, heads of
// other worktrees, and the older entries of the stash, which only its log holds.
func (r *repository) tips() []plumbing.Hash {
	var out []plumbing.Hash
	for _, ref := range r.refs {
		out = append(out, ref.Hash())
	}
	out = append(out, r.head)
	heads, _ := filepath.Glob(filepath.Join(globEscape(r.commonDir), "worktrees", "*", "HEAD"))
	for _, name := range append(heads, filepath.Join(r.commonDir, "HEAD")) {
		if data, err := readMeta(name); err == nil {
			if h, err := parseHash([]byte(strings.TrimSpace(data))); err == nil {
				out = append(out, h)
			}
		}
	}
	if log, err := readBounded(filepath.Join(r.commonDir, "logs", "refs", "stash"), 64*metaLimit); err == nil {
		for line := range strings.SplitSeq(log, "\n") {
			if f := strings.SplitN(line, " ", 3); len(f) == 3 {
				if h, err := parseHash([]byte(f[1])); err == nil && r.objects.has(h) {
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

// peel follows annotated tags to what they are about.
func (r *repository) peel(h plumbing.Hash) (plumbing.ObjectType, plumbing.Hash, error) {
	// A tag of a tag of a tag is legal; a loop of ids is not possible, but a
	// chain can be long, and ten are more than anyone has made by hand.
	for range 10 {
		t, data, err := r.objects.readAny(h)
		if err != nil || t != plumbing.TagObject {
			return t, h, err
		}
		tag, _, err := parseTag(data)
		if err != nil {
			return t, h, fmt.Errorf("%w: %s: %w", errObjectCorrupt, h, err)
		}
		h = tag.target
	}
	return 0, h, fmt.Errorf("%w: tags nested deeper than 10", errObjectCorrupt)
}

// resolve gives the commit that a revision names: a ref in any of git's short
// forms, HEAD, an object id or an abbreviated one, each followed by any of ~N,
// ^N and ^{commit}.
func (r *repository) resolve(rev string) (plumbing.Hash, error) {
	base, steps := rev, ""
	if i := strings.IndexAny(rev, "~^"); i >= 0 {
		base, steps = rev[:i], rev[i:]
	}
	h, err := r.resolveBase(base)
	if err != nil {
		return h, fmt.Errorf("revision %q: %w", rev, err)
	}
	t, h, err := r.peel(h)
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

func (r *repository) step(h plumbing.Hash, op byte, n int) (plumbing.Hash, error) {
	times, parent := n, 1
	if op == '^' {
		times, parent = 1, n
		if n == 0 {
			return h, nil
		}
	}
	for range times {
		c, err := r.commit(h)
		if err != nil {
			return h, err
		}
		if len(c.parents) < parent {
			if _, cut := r.shallow[h]; cut {
				return h, fmt.Errorf("history is cut at %s by a shallow clone; fetch more with: git fetch --deepen=N", h)
			}
			return h, fmt.Errorf("commit %s has no parent %d", h, parent)
		}
		h = c.parents[parent-1]
	}
	return h, nil
}

func (r *repository) commit(h plumbing.Hash) (commitInfo, error) {
	data, err := r.objects.read(plumbing.CommitObject, h)
	if err != nil {
		return commitInfo{}, err
	}
	c, _, err := parseCommit(data)
	if err != nil {
		err = fmt.Errorf("%w: %s: %w", errObjectCorrupt, h, err)
	}
	return c, err
}

var errRevision = errors.New("no such ref or commit here; see git branch --all, or fetch it first")

func (r *repository) resolveBase(name string) (plumbing.Hash, error) {
	if name == "" || name == "@" {
		name = "HEAD"
	}
	if name == "HEAD" {
		if r.head.IsZero() {
			return r.head, errors.New("HEAD has no commit yet")
		}
		return r.head, nil
	}
	if plumbing.IsHash(name) && len(name) == 40 {
		if h := plumbing.NewHash(name); r.objects.has(h) {
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
func (r *repository) abbreviated(name string) (found plumbing.Hash, err error) {
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
		if t, _, err := r.objects.readAny(h); err != nil || (t != plumbing.CommitObject && t != plumbing.TagObject) {
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
