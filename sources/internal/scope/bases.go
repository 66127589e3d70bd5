package scope

import (
	"container/heap"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
)

// mergeBases gives commits that a and b both reach, and among them all that no
// other common one reaches: what is left out of a...b.
func mergeBases(repo *gitrepo.Repository, a, b plumbing.Hash) (bases []plumbing.Hash, err error) {
	const fromA, fromB, stale = 1, 2, 4
	flags := map[plumbing.Hash]int{}
	queue := Queue{}
	fresh := map[plumbing.Hash]bool{} // in the queue, and not below a base
	add := func(id plumbing.Hash, f int) error {
		old, known := flags[id]
		if known && old|f == old {
			return nil
		}
		c, err := repo.Commit(id)
		if err != nil {
			return err
		}
		flags[id] = old | f
		heap.Push(&queue, Queued{id, c.Committed})
		if delete(fresh, id); (old|f)&stale == 0 {
			fresh[id] = true
		}
		return nil
	}
	if err := add(a, fromA); err != nil {
		return nil, err
	}
	if err := add(b, fromB); err != nil {
		return nil, err
	}
	done := map[plumbing.Hash]int{} // with which flags its parents were told
	for queue.Len() > 0 && len(fresh) > 0 {
		id := heap.Pop(&queue).(Queued).ID
		f := flags[id]
		delete(fresh, id)
		if done[id] == f {
			continue
		}
		done[id] = f
		c, err := repo.Commit(id)
		if err != nil {
			return nil, err
		}
		if _, cut := repo.Shallow[id]; cut {
			c.Parents = nil
		}
		if f&(fromA|fromB) == fromA|fromB {
			if f&stale == 0 {
				bases = append(bases, id)
			}
			f |= stale
		}
		for _, p := range c.Parents {
			if err := add(p, f); err != nil {
				return nil, err
			}
		}
	}
	return bases, nil
}
