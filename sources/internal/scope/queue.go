package scope

import (
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

// CompareHash orders ids.
func CompareHash(a, b plumbing.Hash) int { return slices.Compare(a[:], b[:]) }

// Queued is a commit and its time, in seconds since 1970.
type Queued struct {
	ID   plumbing.Hash
	When int64
}

// Queue is a heap of commits by time: latest first, or oldest first.
type Queue struct {
	Items  []Queued
	Oldest bool
}

func (q *Queue) Len() int { return len(q.Items) }
func (q *Queue) Less(i, j int) bool {
	a, b := q.Items[i], q.Items[j]
	if a.When != b.When {
		return (a.When < b.When) == q.Oldest
	}
	return CompareHash(a.ID, b.ID) < 0
}
func (q *Queue) Swap(i, j int) { q.Items[i], q.Items[j] = q.Items[j], q.Items[i] }
func (q *Queue) Push(x any)    { q.Items = append(q.Items, x.(Queued)) }
func (q *Queue) Pop() any {
	x := q.Items[len(q.Items)-1]
	q.Items = q.Items[:len(q.Items)-1]
	return x
}
