package visits_test

import (
	"context"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/quench-dev/quench/scanner/internal/visits"
	"github.com/quench-dev/quench/sources"
)

// source lists items while it visits some of them, and others that it does not list.
type source struct {
	items  []sources.Item
	early  []int // of items, or beyond them
	left   []int // not visited when asked for
	before int   // how many of early are visited before anything is listed
	ahead  *sources.Ahead
}

func (s *source) Foretell(a *sources.Ahead) { s.ahead = a }

func (s *source) Items(_ context.Context, yield func(sources.Item) error) error {
	early := s.early
	if s.ahead == nil {
		early = nil
	}
	visit := func(n int) {
		id := sources.ObjectID{byte(n), 1}
		if s.ahead.Wanted(id) {
			s.ahead.Visit(id, &sources.Content{Data: make([]byte, n)})
		}
	}
	n := min(s.before, len(early))
	for _, i := range early[:n] {
		visit(i)
	}
	var wg sync.WaitGroup
	for _, i := range early[n:] {
		wg.Go(func() { visit(i) })
	}
	defer wg.Wait()
	for _, it := range s.items {
		if err := yield(it); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) Visit(_ context.Context, items []sources.Item, _ int, f func(*sources.Content) any) (left []int, err error) {
	for i, it := range items {
		if n := int(it.Object[0]); slices.Contains(s.left, n) {
			left = append(left, i)
		} else {
			f(&sources.Content{Index: i, Data: make([]byte, n)})
		}
	}
	return left, nil
}

// same holds an item that waited to what it was.
func same(t *rapid.T, got, want sources.Item) {
	if got.Open == nil {
		t.Error("nothing opens it")
	}
	got.Open, want.Open = nil, nil
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Whatever is visited ahead, and when: each item is delivered once with what was
// found in its own content, or opened once.
func TestEachOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		labels := [][]string{nil, {"stash"}, {"note"}}
		s := &source{before: rapid.IntRange(0, 9).Draw(t, "before")}
		n := rapid.IntRange(0, 9).Draw(t, "items")
		for i := range n {
			it := sources.Item{Object: sources.ObjectID{byte(i), 1}, Open: func(context.Context) (io.ReadCloser, error) { return nil, nil }}
			it.Origin.Commit, it.Origin.Path = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "commit"), strings.Repeat("p", i)
			it.Origin.Labels = labels[rapid.IntRange(0, 2).Draw(t, "label")]
			if it.Origin.Blob = hex.EncodeToString(it.Object[:]); rapid.Bool().Draw(t, "named otherwise") {
				it.Origin.Blob = strings.Repeat("x", i+1)
			}
			it.Origin.Before = rapid.IntRange(0, 4).Draw(t, "before") == 0
			s.items = append(s.items, it)
		}
		if n > 0 && rapid.Bool().Draw(t, "twice") {
			s.items = append(s.items, s.items[0])
		}
		s.early = rapid.SliceOfNDistinct(rapid.IntRange(0, 12), 0, 9, rapid.ID[int]).Draw(t, "early")
		s.left = rapid.SliceOfDistinct(rapid.IntRange(0, 9), rapid.ID[int]).Draw(t, "left")
		unwanted := rapid.IntRange(0, 9).Draw(t, "unwanted")
		var mu sync.Mutex
		came := map[int]int{}
		set := &visits.Set[int]{
			Source: s, Workers: rapid.IntRange(1, 3).Draw(t, "workers"),
			Scan: func(c *sources.Content) (visits.Seen[int], any) {
				return visits.Seen[int]{Len: int64(len(c.Data)), Found: []int{len(c.Data)}}, nil
			},
			Deliver: func(j int, it sources.Item, seen visits.Seen[int]) {
				mu.Lock()
				defer mu.Unlock()
				same(t, it, s.items[j])
				if want := int(s.items[j].Object[0]); seen.Found[0] != want || seen.Len != int64(want) {
					t.Errorf("item %d has what was found in %d", want, seen.Found[0])
				}
				came[j]++
			},
			Open: func(j int, it sources.Item) {
				same(t, it, s.items[j])
				came[j]++
			},
		}
		set.Foretell(func(id sources.ObjectID) bool { return int(id[0]) != unwanted })
		ctx := context.Background()
		j := 0
		if err := s.Items(ctx, func(sources.Item) error {
			if !set.Add(ctx, j, s.items[j]) {
				t.Errorf("item %d is not taken", j)
			}
			j++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		set.Listed()
		set.Flush(ctx)
		for j := range s.items {
			if came[j] != 1 {
				t.Errorf("item %d came %d times", j, came[j])
			}
		}
	})
}

func TestNone(t *testing.T) {
	var set *visits.Set[int]
	set.Foretell(nil)
	if set.Add(context.Background(), 1, sources.Item{}) {
		t.Error("an item is taken, and nobody visits it")
	}
	set.Listed()
	set.Flush(context.Background())
}
