// Package lost lists the objects of a repository that a walk has not come by, and
// what is known of them: which reflogs name them, and which lie in which.
//
// It knows what lies in an object folder and nothing of what is done with it. Start
// reading at List.
package lost

import (
	"context"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
)

// Objects are the lost ones by type, each once.
type Objects struct {
	Commits, Trees, Blobs, Tags []plumbing.Hash

	all map[plumbing.Hash]struct{}
}

// Len is how many there are.
func (l *Objects) Len() int { return len(l.all) }

// Came reports whether the walk has come by an object of the type.
type Came func(plumbing.Hash, plumbing.ObjectType) bool

var types = []plumbing.ObjectType{plumbing.BlobObject, plumbing.TreeObject, plumbing.CommitObject, plumbing.TagObject}

// List compares what is in the repository's own object folder with what a walk has
// come by; with commits, those alone count. bad is told of an object whose type cannot be read; its error ends the
// list, and is stop then. err is that of listing the folder.
func List(ctx context.Context, r *gitrepo.Repository, commits bool, came Came, bad func(plumbing.Hash, error) error) (l *Objects, stop, err error) {
	l = &Objects{all: map[plumbing.Hash]struct{}{}}
	err = r.Objects.Own(ctx, func(id plumbing.Hash, t plumbing.ObjectType) error {
		if _, twice := l.all[id]; twice {
			return nil
		}
		if t == plumbing.InvalidObject {
			if slices.ContainsFunc(types, func(t plumbing.ObjectType) bool { return came(id, t) }) {
				return nil
			}
			var err error
			if t, err = r.Objects.KindOf(id); err != nil {
				l.all[id] = struct{}{}
				stop = bad(id, err)
				return stop
			}
		}
		if came(id, t) || commits && t != plumbing.CommitObject {
			return nil
		}
		l.all[id] = struct{}{}
		switch t {
		case plumbing.CommitObject:
			l.Commits = append(l.Commits, id)
		case plumbing.TreeObject:
			l.Trees = append(l.Trees, id)
		case plumbing.BlobObject:
			l.Blobs = append(l.Blobs, id)
		case plumbing.TagObject:
			l.Tags = append(l.Tags, id)
		}
		return nil
	})
	if stop != nil {
		err = nil
	}
	return l, stop, err
}

// Logged gives the lost objects that reflogs name, and of those the ones that were
// forced out of a remote branch.
func (l *Objects) Logged(r *gitrepo.Repository) (forced, all []plumbing.Hash) {
	r.Logs(func(e gitrepo.LogEntry) {
		for _, id := range []plumbing.Hash{e.Old, e.New} {
			if _, ok := l.all[id]; ok {
				all = append(all, id)
				// What git fetch and pull write; a push of one's own writes
				// nothing of the kind.
				if id == e.Old && strings.Contains(e.Message, "forced-update") {
					forced = append(forced, id)
				}
			}
		}
	})
	return forced, all
}

// Outermost gives the lost trees that no commit has led to and that lie in no other:
// from them, paths are whole.
func (l *Objects) Outermost(r *gitrepo.Repository, came Came) []plumbing.Hash {
	inner := map[plumbing.Hash]struct{}{}
	for _, id := range l.Trees {
		if came(id, plumbing.TreeObject) {
			continue
		}
		data, err := r.Objects.Read(plumbing.TreeObject, id)
		if err != nil {
			continue // told when it is visited
		}
		for e, err := range gitrepo.TreeEntries(data) {
			if err == nil && e.Mode&gitrepo.ModeType == gitrepo.ModeTree {
				inner[e.Hash] = struct{}{}
			}
		}
	}
	return slices.DeleteFunc(l.Trees, func(id plumbing.Hash) bool { _, in := inner[id]; return in })
}
