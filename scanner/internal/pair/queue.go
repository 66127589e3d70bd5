package pair

import (
	"cmp"
	"io"
	"math"
	"slices"
	"time"
)

// Queue holds the halves found in one text, in pieces, until all that could belong to
// them is known: what comes out is what the whole text would give. Its user guards it.
type Queue[F any] struct {
	// Half is a finding as a half, false where it is none.
	Half func(*F) (Half, bool)
	// Join makes one finding of a secret half and its public one, and says whether
	// the public one is told by it alone.
	Join func(secret, public *F) (told bool)

	held []F
}

// maxHeld bounds the halves of one text that wait: so many within ten lines of one
// another are a list, and a text that never ends must not fill the memory.
const maxHeld = 1 << 10

// All as the lines of Take says that the text ended, or went quiet.
const All = math.MaxInt

// Add takes a finding, or says that it is no half.
func (q *Queue[F]) Add(f F) bool {
	_, ok := q.Half(&f)
	if ok {
		q.held = append(q.held, f)
	}
	return ok
}

// First is the half nearest to the text's beginning of those that wait, nil of none.
func (q *Queue[F]) First() *F {
	q.sort()
	if len(q.held) == 0 {
		return nil
	}
	return &q.held[0]
}

// Take gives the findings that nothing beyond the text's first lines can belong to,
// joined. Halves farther apart than Lines have no bearing on one another: what lies
// between two such gaps is joined as a whole.
func (q *Queue[F]) Take(lines int) []F {
	if len(q.held) == 0 {
		return nil
	}
	q.sort()
	n := len(q.held)
	if lines != All && n < maxHeld {
		for next := lines + 1; n > 0 && next-q.line(n-1) <= Lines; n-- {
			next = q.line(n - 1)
		}
	}
	if n == 0 {
		return nil
	}
	out := Join(slices.Clone(q.held[:n]), q.Half, q.Join)
	q.held = slices.Delete(q.held, 0, n)
	return out
}

func (q *Queue[F]) line(i int) int {
	h, _ := q.Half(&q.held[i])
	return h.Line
}

func (q *Queue[F]) sort() {
	slices.SortStableFunc(q.held, func(a, b F) int {
		x, _ := q.Half(&a)
		y, _ := q.Half(&b)
		return cmp.Compare(x.Line, y.Line)
	})
}

// Join joins the halves among a list, which it changes, and leaves out those that
// others tell.
func Join[F any](list []F, half func(*F) (Half, bool), join func(secret, public *F) (told bool)) []F {
	var halves []Half
	var at []int
	for i := range list {
		if h, ok := half(&list[i]); ok {
			halves, at = append(halves, h), append(at, i)
		}
	}
	gone := map[int]bool{}
	for i, j := range Up(halves) {
		if j >= 0 && join(&list[at[i]], &list[at[j]]) {
			gone[at[j]] = true
		}
	}
	if len(gone) == 0 {
		return list
	}
	out := list[:0]
	for i, f := range list {
		if !gone[i] {
			out = append(out, f)
		}
	}
	return out
}

// Quiet is how long a live text says nothing before its halves wait no longer: those
// of one credential are written in one moment, and a person looks on.
const Quiet = time.Second

// Live is a text that may go quiet. Idle is called, from another goroutine, where one
// read takes longer than Quiet; it is not called after Read returned, though it may
// still run.
type Live struct {
	io.ReadCloser
	Idle func()
}

// Read implements io.Reader.
func (l Live) Read(p []byte) (int, error) {
	t := time.AfterFunc(Quiet, l.Idle)
	defer t.Stop()
	return l.ReadCloser.Read(p)
}
