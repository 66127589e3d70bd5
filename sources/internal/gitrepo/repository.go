package gitrepo

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

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
	// Detached says that HEAD is on no branch.
	Detached bool
	Shallow  map[plumbing.Hash]struct{}
	Bad      []error // packs and refs that do not load
	// Promisor says that it is a partial clone: its origin may be the only one to
	// have an object.
	Promisor bool
}

// Open reads refs and pack indexes; the layout is proven already. memory is what the
// program is to take, about, or 0.
func Open(l Layout, memory int64) (*Repository, error) {
	gitFS := func(dir string) billy.Filesystem { return osfs.New(dir, osfs.WithBoundOS()) }
	var fsys billy.Filesystem = gitFS(l.GitDir)
	if l.CommonDir != l.GitDir {
		fsys = dotgit.NewRepositoryFilesystem(fsys, gitFS(l.CommonDir))
	}
	r := &Repository{Layout: l, Shallow: map[plumbing.Hash]struct{}{}}
	// AlternatesFS is empty: go-git never follows an alternate for us, the ones
	// that may be followed are in the layout.
	r.storage = filesystem.NewStorageWithOptions(fsys, cache.NewObjectLRU(1<<20), filesystem.Options{AlternatesFS: memfs.New()})
	var badPacks []error
	var packs sync.WaitGroup
	packs.Go(func() {
		r.Objects, badPacks = newStore(append([]string{filepath.Join(l.CommonDir, "objects")}, l.Alternates...), memory)
	})
	shallow, err := r.storage.Shallow()
	if err != nil {
		r.Bad = append(r.Bad, fmt.Errorf("reading the list of shallow commits: %w", cause(err)))
	}
	for _, h := range shallow {
		r.Shallow[h] = struct{}{}
	}
	r.Promisor = isPromisor(l)
	err = r.readRefs()
	packs.Wait()
	if err != nil {
		return nil, fmt.Errorf("reading its refs: %w", err)
	}
	r.Bad = append(badPacks, r.Bad...)
	return r, nil
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
// forms, HEAD, BRANCH@{upstream}, an object id or an abbreviated one, each followed
// by any of ~N, ^N and ^{commit}.
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
	if branch, ok := strings.CutSuffix(strings.Replace(name, "@{u}", "@{upstream}", 1), "@{upstream}"); ok {
		var err error
		if name, err = r.upstream(branch); err != nil {
			return plumbing.ZeroHash, err
		}
	}
	for _, form := range plumbing.RefRevParseRules {
		if h, ok := r.ref(fmt.Sprintf(form, name)); ok {
			return h, nil
		}
	}
	return r.abbreviated(name)
}

// ref gives what a ref leads to, by its full name. go-git is asked where there is a
// file of it, which may be symbolic; it would read all of packed-refs for each name
// that is none.
func (r *Repository) ref(name string) (plumbing.Hash, bool) {
	if local := filepath.FromSlash(name); filepath.IsLocal(local) {
		_, own := os.Lstat(filepath.Join(r.GitDir, local))
		_, common := os.Lstat(filepath.Join(r.CommonDir, local))
		if own == nil || common == nil {
			if ref, err := storer.ResolveReference(r.storage, plumbing.ReferenceName(name)); err == nil {
				return ref.Hash(), true
			}
		}
	}
	i, ok := slices.BinarySearchFunc(r.Refs, name, func(ref *plumbing.Reference, name string) int { return strings.Compare(ref.Name().String(), name) })
	if !ok {
		return plumbing.ZeroHash, false
	}
	return r.Refs[i].Hash(), true
}

// upstream gives the remote-tracking ref that a branch, or the one of HEAD, is set to
// follow.
func (r *Repository) upstream(branch string) (ref string, err error) {
	if branch == "" || branch == "HEAD" {
		head, err := r.storage.Reference(plumbing.HEAD)
		if err != nil || head.Type() != plumbing.SymbolicReference {
			return "", errors.New("HEAD is on no branch, and follows none")
		}
		branch = head.Target().Short()
	}
	cfg, err := readConfig(r.CommonDir)
	if err != nil {
		return "", err
	}
	s := cfg.Raw.Section("branch").Subsection(branch)
	remote, merge := s.Option("remote"), strings.TrimPrefix(s.Option("merge"), "refs/heads/")
	switch {
	case remote == "" || merge == "":
		return "", fmt.Errorf("branch %q follows none; see git branch --set-upstream-to", branch)
	case remote == ".":
		return "refs/heads/" + merge, nil
	}
	return "refs/remotes/" + remote + "/" + merge, nil
}

// abbreviated resolves a prefix of an object id of at least 4 digits, git's own
// least, that one commit or tag alone has.
func (r *Repository) abbreviated(name string) (found plumbing.Hash, err error) {
	if len(name) < 4 || len(name) > 40 || strings.Trim(strings.ToLower(name), "0123456789abcdef") != "" {
		return found, errRevision
	}
	for _, h := range r.Objects.WithPrefix(strings.ToLower(name)) {
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

// Below gives the trees and blobs of a tree, itself among them, or none with an error:
// EachBlob marks a tree before it has read what lies below.
func (r *Repository) Below(id plumbing.Hash) (trees, blobs map[plumbing.Hash]struct{}, err error) {
	trees, blobs = map[plumbing.Hash]struct{}{}, map[plumbing.Hash]struct{}{}
	if err := r.EachBlob(id, trees, blobs, 0); err != nil {
		return nil, nil, err
	}
	return trees, blobs, nil
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

// Index reads the index.
func (r *Repository) Index() (idx *Index, err error) {
	defer guard(&err)
	name := cmp.Or(r.Layout.Index, filepath.Join(r.GitDir, "index"))
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &Index{}, nil // nothing was ever added
	}
	info, statErr := os.Stat(name)
	if err = cmp.Or(err, statErr); err != nil {
		return nil, err
	}
	idx = &Index{Written: info.ModTime()}
	err = index.NewDecoder(bytes.NewReader(data)).Decode(&idx.Index)
	// With index.skipHash, git writes zeros for a checksum.
	if errors.Is(err, index.ErrInvalidChecksum) && bytes.HasSuffix(data, make([]byte, 20)) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w; git update-index --no-split-index, or git sparse-checkout reapply --no-sparse-index, writes one that is understood", err)
	}
	return idx, nil
}

// Index is the index, and when its file was written: the content of an entry as young
// as that may have changed since without a trace in size and time.
type Index struct {
	index.Index
	Written time.Time
}

// Unchanged reports whether the file name is what an entry of the index holds: by
// size and time, as git does, or else by content. A filter that changes content on
// the way into git makes a file look changed: it is scanned then.
func (x *Index) Unchanged(name string, e *index.Entry, open func() (io.ReadCloser, error)) (bool, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return false, err
	}
	if uint32(info.Size()) == e.Size && info.ModTime().Equal(e.ModifiedAt) && info.ModTime().Before(x.Written) {
		return true, nil
	}
	f, err := open()
	if err != nil {
		return false, err
	}
	defer f.Close()
	sum := sha1.New()
	fmt.Fprintf(sum, "blob %d\x00", info.Size())
	if _, err := io.Copy(sum, f); err != nil {
		return false, err
	}
	return hex.EncodeToString(sum.Sum(nil)) == e.Hash.String(), nil
}
