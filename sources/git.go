package sources

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/attrib"
	"github.com/quench-dev/quench/sources/internal/forest"
	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/graph"
	"github.com/quench-dev/quench/sources/internal/objskip"
	"github.com/quench-dev/quench/sources/internal/pack"
	"github.com/quench-dev/quench/sources/internal/replay"
	"github.com/quench-dev/quench/sources/internal/scope"
)

// GitOptions say what of a repository is wanted: its history, its working tree, or
// both, or one of the scopes that narrow the history to what is new.
type GitOptions struct {
	// History gives every blob that any ref has ever reached, each once, and
	// the messages of commits and annotated tags.
	History bool
	// Worktree gives the files of the working tree as they are now.
	Worktree bool
	// Scope narrows the history.
	Scope Scope
	// Files are the options for the working tree.
	Files FileOptions
	// Archives are the limits on archives in the history.
	Archives ArchiveOptions
	// Unreachable adds to a History that nothing narrows the objects that no ref
	// reaches: what reflogs alone hold, what was amended, reset, dropped or pushed
	// over, what was staged and never committed.
	Unreachable bool
	// TrustAlternates allows object folders outside the repository.
	TrustAlternates bool
	// Memory is what the program is to take, in bytes, about; 0 for no such aim.
	// Objects that do not fit are told as too large.
	Memory int64
	// Name is what origins and messages call the repository; empty for its path.
	Name string
	// Walks keeps walks over whole histories, to be given again while nothing has
	// changed: what is new is saved when the source is closed. Nil keeps none.
	Walks Memory

	oneByOne bool // read no commits and trees ahead: the oracle of those that are
}

// Git is the source of the repository that path is, or lies in. A path inside
// a working tree narrows it to what lies below that folder, and leaves
// out commit messages, which belong to the whole.
//
// History is walked from the roots up, parents first, older commits first
// among the rest, and each tree and blob is visited once; so a blob's commit,
// author, date and path are those that showed it first. Trees are read, not
// diffs: what a merge alone brought is there too.
//
// The source keeps packs open between items; it is an io.Closer for who wants
// them closed sooner than the garbage collector does. Close is called after
// every opened item is closed.
func Git(path string, opts GitOptions) Source {
	return &gitSource{target: path, opts: opts}
}

type gitSource struct {
	target string
	opts   GitOptions

	mu     sync.Mutex
	counts Counts
	repo   *gitrepo.Repository
	past   *attrib.History // of the last walk
	replay *replay.Replay
	ahead  *Ahead // for the next walk of all
	known  *Known // of what the next call of Items gives
	early  *gitrepo.Early
}

// Preparer is implemented by sources that can begin to open what they read before it
// is asked for.
type Preparer interface{ Prepare() }

// Prepare implements Preparer. It comes before Items, at most once.
func (s *gitSource) Prepare() {
	if s.target != "" && (s.opts.History || s.opts.Scope.Narrows() || s.opts.Scope.OfIndex()) {
		s.early = gitrepo.OpenEarly(s.target, s.opts.TrustAlternates, s.opts.Memory)
	}
}

func (s *gitSource) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Places implements Placed.
func (s *gitSource) Places() []string {
	l, err := gitrepo.Find(s.target, s.opts.TrustAlternates)
	if err != nil {
		return nil // Items tells it
	}
	return slices.DeleteFunc([]string{l.CommonDir, l.GitDir, l.Worktree}, func(p string) bool { return p == "" })
}

// Close closes the pack files.
func (s *gitSource) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replay.Save()
	if s.repo != nil {
		s.repo.Objects.Close()
	}
	return nil
}

func (s *gitSource) Items(ctx context.Context, yield func(Item) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := exists(s.target); err != nil {
		return err
	}
	l, err := gitrepo.Find(s.target, s.opts.TrustAlternates)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.counts, s.past = Counts{Repositories: 1}, nil
	s.mu.Unlock()
	defer s.Foretell(nil)
	if err := s.opts.Scope.Check(); err != nil {
		return err
	}
	if s.opts.History || s.opts.Scope.Narrows() || s.opts.Scope.OfIndex() {
		if err := s.history(ctx, l, yield); err != nil {
			return err
		}
	}
	if !s.opts.Worktree || l.Worktree == "" {
		return nil
	}
	return s.worktree(ctx, l, yield)
}

// worktree gives the files of the working tree as they are now.
func (s *gitSource) worktree(ctx context.Context, l gitrepo.Layout, yield func(Item) error) error {
	fo := s.opts.Files
	fo.Kind, fo.Prefix = "worktree", l.Prefix
	return Files(filepath.Join(l.Worktree, filepath.FromSlash(l.Prefix)), fo).Items(ctx, func(it Item) error {
		it.Origin.Root = s.name()
		if it.Origin.Path != "" && !s.opts.Scope.InPaths(it.Origin.Path) {
			return nil
		}
		return yield(it)
	})
}

func (s *gitSource) origin() Origin { return Origin{Source: "git", Root: s.name()} }

func (s *gitSource) name() string { return cmp.Or(s.opts.Name, s.target) }

func (s *gitSource) skip(o Origin, r Reason, err error) Item {
	return Item{Origin: o, Size: -1, Skip: &Skip{Reason: r, Err: err}}
}

func (s *gitSource) history(ctx context.Context, l gitrepo.Layout, yield func(Item) error) error {
	if err := gitrepo.RefusedFormat(l.CommonDir); err != nil {
		return yield(s.skip(s.origin(), SkipFormat, err))
	}
	repo, err := s.early.Open(l, s.opts.Memory)
	if err != nil {
		return fmt.Errorf("opening the repository %q: %w", s.name(), err)
	}
	s.mu.Lock()
	s.repo = repo
	s.counts.Refs = len(repo.Refs)
	if repo.Promisor {
		s.counts.Partial = 1
	}
	s.mu.Unlock()
	for _, err := range repo.Bad {
		if err := yield(s.skip(s.origin(), SkipCorrupt, err)); err != nil {
			return err
		}
	}
	p := s.openReplay(repo)
	blob := func(id plumbing.Hash) replay.Opener { return s.openBlob(repo.Objects, id) }
	counted := func(c Counts) {
		s.mu.Lock()
		s.counts = c
		s.mu.Unlock()
	}
	if done, err := p.Items(ctx, s.name(), blob, objskip.Error, counted, yield); done {
		return err
	}
	if err = s.walk(ctx, repo, p.Recording(yield)); err == nil {
		p.Keep(s.Counts())
	}
	return err
}

// openReplay gives nil where walks are not kept: of a scope, and of a folder, they are
// short.
func (s *gitSource) openReplay(repo *gitrepo.Repository) (p *replay.Replay) {
	o := s.opts // whatever of them could matter is in the name
	if !o.Scope.Narrows() && !o.Scope.OfIndex() && len(o.Scope.Paths) == 0 && repo.Prefix == "" {
		o.Walks, o.Scope, o.Files = nil, Scope{}, FileOptions{}
		p = replay.Open(s.opts.Walks, fmt.Sprintf("walk of %q: %+v", repo.GitDir, o), repo)
	}
	s.mu.Lock()
	if s.replay = p; p != nil {
		p.Known = s.known
	}
	s.known = nil
	s.mu.Unlock()
	return p
}

// walk gives what is wanted of the history.
func (s *gitSource) walk(ctx context.Context, repo *gitrepo.Repository, yield func(Item) error) error {
	h := &history{
		s: s, repo: repo, ctx: ctx, yield: yield,
		trees: map[plumbing.Hash]struct{}{}, blobs: map[plumbing.Hash]struct{}{}, roots: map[plumbing.Hash]struct{}{}, tags: map[plumbing.Hash]struct{}{}, links: map[string]struct{}{}, last: map[string][]byte{},
	}
	if s.opts.Scope.OfIndex() {
		return h.index()
	}
	e, err := s.opts.Scope.Ends(repo, s.name())
	if err != nil {
		return err
	}
	h.narrowed = s.opts.Scope.Narrows()
	if h.narrowed && len(e.Include) == 0 {
		return nil
	}
	return h.run(e)
}

// history is the state of one walk.
type history struct {
	s        *gitSource
	repo     *gitrepo.Repository
	ctx      context.Context
	yield    func(Item) error
	narrowed bool

	forest *forest.Forest // of a walk of all; nil reads commits and trees one by one
	graph  *graph.Graph
	// labels are those of all that is given at the moment, and lost says that no
	// ref reaches it.
	labels []string
	lost   bool

	inHead map[plumbing.Hash]struct{} // HEAD's blobs
	// headKnown is closed when inHead is known: it is read beside all else, since
	// the walk of a range of one commit reads as many trees.
	headKnown chan struct{}
	trees     map[plumbing.Hash]struct{} // visited whole
	roots     map[plumbing.Hash]struct{} // descended to the prefix
	blobs     map[plumbing.Hash]struct{}
	tags      map[plumbing.Hash]struct{}
	// headers are lines of commits and tags that were given.
	headers gitrepo.Headers
	links   map[string]struct{} // paths of submodules told
	bounds  []plumbing.Hash     // trees of commits that the walk stops at
	before  map[string]struct{} // what was given of them
	folders gitrepo.Folders     // of bounds
	last    map[string][]byte   // of each folder, the tree visited last
}

func (h *history) run(e scope.Ends) (err error) {
	if !h.narrowed && len(h.s.opts.Scope.Paths) == 0 && h.repo.Prefix == "" && !h.s.opts.oneByOne {
		if h.forest, err = h.s.replay.Forest(h.ctx, h.repo.Objects, runtime.GOMAXPROCS(0)); err != nil {
			return err
		}
	}
	wait := h.visitAhead()
	defer func() { wait(err != nil) }()
	h.headKnown = make(chan struct{})
	go func() {
		defer close(h.headKnown)
		h.collectHead()
	}()
	defer func() { <-h.headKnown }()
	h.graph = h.newGraph()
	if h.narrowed {
		err = h.enter(gitrepo.Unnamed(e.Include), e)
	} else {
		err = h.all(len(e.Include) == 0)
	}
	if err == nil {
		h.keepPast()
	}
	return err
}

// all gives what refs reach, then what notes and stashes add to that, then what
// none of them reaches: a label says that something is nowhere else.
func (h *history) all(empty bool) error {
	t := h.repo.TipsByKind()
	every := scope.Ends{Since: -1 << 62}
	if err := h.enter(t.Refs, every); err != nil {
		return err
	}
	h.labels = []string{"note"}
	if err := h.enter(t.Notes, every); err != nil {
		return err
	}
	h.labels = []string{"stash"}
	if err := h.enter(t.Stash, every); err != nil {
		return err
	}
	h.labels = nil
	if h.s.opts.Unreachable {
		found, err := h.unreachable()
		if err != nil {
			return err
		}
		empty = empty && found == 0
		h.count(func(c *Counts) { c.Unreachable = found })
	}
	if empty {
		return h.yield(h.s.skip(h.s.origin(), SkipEmpty, errors.New("the repository has no commit yet")))
	}
	return nil
}

// count changes what Counts will tell.
func (h *history) count(f func(*Counts)) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	f(&h.s.counts)
}

// enter gives what tips reach and was not given yet.
func (h *history) enter(tips []gitrepo.Tip, e scope.Ends) error {
	commits, others, err := h.peelTips(tips)
	if err != nil {
		return err
	}
	var stops []plumbing.Hash
	for _, e := range e.Exclude {
		if t, id, err := h.repo.Peel(e); err == nil && t == plumbing.CommitObject {
			stops = append(stops, id)
		}
	}
	if err := h.walk(commits, stops, e); err != nil {
		return err
	}
	for _, o := range others {
		if err := o(); err != nil {
			return err
		}
	}
	return nil
}

// walk gives the commits that tips reach and were not given yet.
func (h *history) walk(tips, stops []plumbing.Hash, e scope.Ends) error {
	g := h.graph
	done, cut := len(g.Order), len(g.Cut)
	if err := g.Walk(h.ctx, tips, stops, e); err != nil {
		return err
	}
	if !h.lost {
		if err := h.tellShallow(g.Cut[cut:]); err != nil {
			return err
		}
	}
	for _, b := range g.Boundary {
		h.markSeen(b)
	}
	h.count(func(c *Counts) { c.Commits = len(g.Order) })
	for _, id := range g.Order[done:] {
		if err := h.commit(id, g.Commits[id].Tree); err != nil {
			return err
		}
	}
	return nil
}

func (h *history) newGraph() *graph.Graph {
	return &graph.Graph{
		Read: func(id plumbing.Hash) (gitrepo.Commit, error) {
			data, err := h.readCommit(id, (*forest.Forest).Commit)
			if err != nil {
				return gitrepo.Commit{}, err
			}
			return gitrepo.ParseLinks(data)
		},
		Failed: func(id plumbing.Hash, err error) error {
			o := h.origin()
			o.Commit = id.String()
			return h.yield(Item{Origin: o, Size: -1, Skip: h.skipOf(err)})
		},
		Shallow: h.repo.Shallow,
	}
}

// tellShallow yields one Skip for all wanted commits whose parents are cut off.
func (h *history) tellShallow(cut []plumbing.Hash) error {
	if len(cut) == 0 {
		return nil
	}
	h.count(func(c *Counts) { c.Boundary += len(cut) })
	o := h.s.origin()
	o.Commit = cut[0].String()
	return h.yield(h.s.skip(o, SkipShallow, fmt.Errorf("a shallow clone: history is cut off below %d of the %d commit(s) here; get the rest with: git fetch --unshallow", len(cut), len(h.graph.Order))))
}

// peelTips gives the commits that tips lead to, and what else they lead to, to be
// done after: tag messages, and trees and blobs that refs name directly.
func (h *history) peelTips(tips []gitrepo.Tip) (commits []plumbing.Hash, others []func() error, err error) {
	for _, tip := range tips {
		id, o := tip.ID, h.origin()
		for depth := 0; ; depth++ {
			if err := h.ctx.Err(); err != nil {
				return nil, nil, err
			}
			t, data, err := h.repo.Objects.ReadAny(id)
			if err == nil && t == plumbing.TagObject && depth < 10 {
				var tag gitrepo.Tag
				var msg []byte
				if tag, msg, err = gitrepo.ParseTag(data); err == nil {
					if _, seen := h.tags[id]; !seen {
						h.tags[id] = struct{}{}
						o.Author, o.Email, o.Date = tag.Tagger, tag.Email, tag.Date
						o := o
						if tip.Name != "" {
							o.Refs, o.RefCount = []string{tip.Name}, 1
						}
						others = append(others, h.tagMessage(o, id, tag, data, msg))
					}
					id = tag.Target
					continue
				}
			}
			if err != nil {
				o.Blob = id.String()
				if tip.Name != "" {
					err = fmt.Errorf("the ref %s: %w", tip.Name, err)
				}
				if err := h.yield(Item{Origin: o, Size: -1, Skip: h.skipOf(err)}); err != nil {
					return nil, nil, err
				}
				break
			}
			switch t {
			case plumbing.CommitObject:
				commits = append(commits, id)
			case plumbing.TreeObject:
				others = append(others, func() error { return h.root(id, o) })
			case plumbing.BlobObject:
				others = append(others, func() error { return h.blob(id, o) })
			}
			break
		}
	}
	return commits, others, nil
}

func (h *history) tagMessage(o Origin, id plumbing.Hash, tag gitrepo.Tag, data, msg []byte) func() error {
	if tag.Kind == "commit" {
		o.Commit = tag.Target.String()
	}
	return func() error {
		if err := h.header(id, o, "tag-header", data[:len(data)-len(msg)]); err != nil {
			return err
		}
		return h.message(id, plumbing.ZeroHash, o, "tag-message", msg)
	}
}

// header yields the lines above a message, as far as they were not given yet: most
// authors and committers write more than once.
func (h *history) header(of plumbing.Hash, o Origin, label string, head []byte) error {
	if h.repo.Prefix != "" || len(h.s.opts.Scope.Paths) > 0 {
		return nil
	}
	text := h.headers.New(head)
	return h.message(gitrepo.HeaderID(head, text), of, o, label, text)
}

// message yields the text of a commit or tag, or lines of the header of one. A folder's scan leaves it out.
func (h *history) message(id, of plumbing.Hash, o Origin, label string, msg []byte) error {
	if h.repo.Prefix != "" || len(h.s.opts.Scope.Paths) > 0 || len(msg) == 0 {
		return nil
	}
	o.Labels = append(slices.Clone(o.Labels), label)
	return h.yield(Item{Origin: o, Object: ObjectID(id), Of: ObjectID(of), Size: int64(len(msg)), Open: func(ctx context.Context) (io.ReadCloser, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return io.NopCloser(bytes.NewReader(msg)), nil
	}})
}

func (h *history) commit(id, tree plumbing.Hash) error {
	if err := h.ctx.Err(); err != nil {
		return err
	}
	o := h.origin()
	o.Commit = id.String()
	data, err := h.readCommit(id, (*forest.Forest).Take)
	if err != nil {
		return h.yield(Item{Origin: o, Size: -1, Skip: h.skipOf(err)})
	}
	c, msg, err := gitrepo.ParseCommit(data)
	if err != nil {
		return h.yield(h.s.skip(o, SkipCorrupt, fmt.Errorf("commit %s: %w", id, err)))
	}
	o.Author, o.Email, o.Date = c.Author, c.Email, c.Date
	if err := h.header(id, o, "commit-header", data[:len(data)-len(msg)]); err != nil {
		return err
	}
	if err := h.message(id, plumbing.ZeroHash, o, "commit-message", bytes.Clone(msg)); err != nil {
		return err
	}
	return h.root(tree, o)
}

// readCommit gives a commit's bytes. They are read again where the forest does not
// have them: authors and messages of a million commits would fill the memory.
func (h *history) readCommit(id plumbing.Hash, from func(*forest.Forest, pack.ID) ([]byte, bool)) ([]byte, error) {
	if h.forest != nil {
		if data, ok := from(h.forest, pack.ID(id)); ok {
			return data, nil
		}
	}
	return h.repo.Objects.Read(plumbing.CommitObject, id)
}

// root descends from a root tree to the prefix, then visits what is there.
func (h *history) root(id plumbing.Hash, o Origin) error {
	if h.repo.Prefix == "" {
		return h.tree(id, o, "")
	}
	if _, seen := h.roots[id]; seen {
		return nil
	}
	h.roots[id] = struct{}{}
	sub, ok, err := h.repo.Descend(id)
	if err != nil {
		return h.yield(Item{Origin: o, Size: -1, Skip: h.skipOf(err)})
	}
	if !ok {
		return nil
	}
	return h.tree(sub, o, h.repo.Prefix)
}

// place is a tree's name among those seen. Where paths are asked for, a tree counts
// once for each folder it was.
func (h *history) place(id plumbing.Hash, dir string) plumbing.Hash {
	if len(h.s.opts.Scope.Paths) > 0 {
		return plumbing.ComputeHash(plumbing.TreeObject, append(id[:], dir...))
	}
	return id
}

func (h *history) tree(id plumbing.Hash, o Origin, dir string) error {
	place := h.place(id, dir)
	if _, seen := h.trees[place]; seen {
		return nil
	}
	h.trees[place] = struct{}{}
	if err := h.ctx.Err(); err != nil {
		return err
	}
	o.Path = dir
	if strings.Count(dir, "/") >= gitrepo.MaxTreeDepth {
		return h.yield(h.s.skip(o, SkipCorrupt, fmt.Errorf("%w: %s: folders nested deeper than %d", gitrepo.ErrCorrupt, id, gitrepo.MaxTreeDepth)))
	}
	if h.forest != nil {
		if entries, ok := h.forest.NewEntries(pack.ID(id), gitrepo.IsLink); ok {
			for raw := range entries {
				for e := range gitrepo.TreeEntries(raw) {
					if err := h.entry(e, o, dir); err != nil {
						return err
					}
				}
			}
			return nil
		}
	}
	data, err := h.repo.Objects.Read(plumbing.TreeObject, id)
	if err != nil {
		return h.yield(Item{Origin: o, Size: -1, Skip: h.skipOf(err)})
	}
	// What stood in the folder's version before was visited then.
	for e, err := range gitrepo.NewEntries(data, h.last[dir]) {
		if err != nil {
			return h.yield(h.s.skip(o, SkipCorrupt, fmt.Errorf("tree %s: %w", id, err)))
		}
		if err := h.entry(e, o, dir); err != nil {
			return err
		}
	}
	h.last[dir] = data
	return nil
}

func (h *history) entry(e gitrepo.TreeEntry, o Origin, dir string) error {
	switch e.Mode & gitrepo.ModeType {
	case gitrepo.ModeTree:
		return h.tree(e.Hash, o, gitrepo.Join(dir, e.Name))
	case gitrepo.ModeGitlink:
		o.Path = gitrepo.Join(dir, e.Name)
		if _, told := h.links[o.Path]; told {
			return nil
		}
		h.links[o.Path] = struct{}{}
		return h.yield(h.s.skip(o, SkipSubmodule, nil))
	}
	if _, seen := h.blobs[e.Hash]; seen {
		return nil
	}
	o.Path = gitrepo.Join(dir, e.Name)
	if !h.s.opts.Scope.InPaths(o.Path) {
		return nil
	}
	return h.blob(e.Hash, o)
}

func (h *history) blob(id plumbing.Hash, o Origin) error {
	if _, seen := h.blobs[id]; seen {
		return nil
	}
	h.blobs[id] = struct{}{}
	if err := h.earlier(id, o); err != nil {
		return err
	}
	if <-h.headKnown; h.inHead != nil {
		if _, in := h.inHead[id]; in {
			o.InHead = &yes
		} else {
			o.InHead = &no
		}
	}
	return h.give(id, o)
}

// give yields a blob.
func (h *history) give(id plumbing.Hash, o Origin) error {
	o.Blob = id.String()
	store := h.repo.Objects
	if !store.Has(id) {
		return h.yield(Item{Origin: o, Size: -1, Skip: h.skipOf(fmt.Errorf("%w: %s", gitrepo.ErrMissing, id))})
	}
	return h.yield(Item{Origin: o, Object: ObjectID(id), Size: -1, Open: h.s.openBlob(store, id)})
}

// openBlob gives what opens a blob.
func (s *gitSource) openBlob(store *gitrepo.Store, id plumbing.Hash) func(context.Context) (io.ReadCloser, error) {
	return func(ctx context.Context) (io.ReadCloser, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rc, err := store.OpenBlob(id)
		if err != nil {
			return nil, objskip.Error(err)
		}
		return opened(objskip.Reader{ReadCloser: rc}, s.opts.Archives)
	}
}

// yes and no are pointed to, and never written.
var yes, no = true, false

// collectHead fills inHead with the blobs of HEAD's tree. Where HEAD cannot be
// read it stays nil, "not known"; the walk tells what is wrong.
func (h *history) collectHead() {
	if h.repo.Head.IsZero() {
		return
	}
	c, err := h.repo.Commit(h.repo.Head)
	if err != nil {
		return
	}
	if _, in, err := h.repo.Below(c.Tree); err == nil {
		h.inHead = in
	}
}

// markSeen takes what an excluded commit holds out of the walk. Where its trees
// cannot be read, more is scanned, not less.
func (h *history) markSeen(commit plumbing.Hash) {
	c, err := h.repo.Commit(commit)
	if err != nil {
		return
	}
	id, ok := c.Tree, true
	h.bounds = append(h.bounds, id)
	if h.repo.Prefix != "" {
		if id, ok, err = h.repo.Descend(id); err != nil || !ok {
			return
		}
	}
	trees, blobs, err := h.repo.Below(id)
	if err != nil {
		return
	}
	for t := range trees {
		h.trees[t] = struct{}{}
	}
	for b := range blobs {
		h.blobs[b] = struct{}{}
	}
}

// origin is that of what is given at the moment.
func (h *history) origin() Origin {
	o := h.s.origin()
	o.Labels = h.labels
	return o
}

// skipOf classifies what reading an object of this history said. What is missing
// may be missing by design: of a partial clone's, its origin has it; of what no ref
// reaches, git may have deleted parts.
func (h *history) skipOf(err error) *Skip {
	s := objskip.Of(err)
	switch {
	case s.Reason != SkipMissing:
	case h.lost:
		s.Reason = SkipPruned
	case h.repo.Promisor:
		s.Reason, s.Err = SkipPromised, fmt.Errorf("%w; it is with the clone's origin: git fetch --refetch --no-filter gets all", err)
	default:
		s.Err = fmt.Errorf("%w; git fsck tells what else is, and a clone may have it", err)
	}
	return s
}
