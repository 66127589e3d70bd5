package cache_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/quench-dev/quench/scanner/cache"
)

// registry is one of fingerprints alone.
type registry struct {
	key    string
	shapes []cache.Shape
	fps    map[uint64]bool
}

func (r registry) Key() []byte           { return []byte(r.key) }
func (r registry) Shapes() []cache.Shape { return r.shapes }
func (r registry) Has(fp uint64) bool    { return r.fps[fp] }
func (r registry) Len() int              { return len(r.fps) }
func (r registry) All(f func(uint64) bool) {
	for fp := range r.fps {
		if !f(fp) {
			return
		}
	}
}

func id(n int) (out cache.ID) {
	copy(out[:], fmt.Sprintf("%020d", n))
	return out
}

func drawResult(t *rapid.T) cache.Result {
	if rapid.IntRange(0, 4).Draw(t, "kind") == 0 {
		return cache.Result{Binary: true}
	}
	if rapid.IntRange(0, 4).Draw(t, "archive") == 0 {
		n := rapid.Int64Range(0, 1<<30)
		a := &cache.Archive{Archives: n.Draw(t, "archives"), Entries: n.Draw(t, "entries"), Items: n.Draw(t, "items")}
		if rapid.Bool().Draw(t, "skipped") {
			a.Skipped = map[string]int64{"binary": n.Draw(t, "binary"), "encrypted": 1}
		}
		return cache.Result{Size: n.Draw(t, "size"), Archive: a}
	}
	r := cache.Result{Size: rapid.Int64Range(0, 1<<40).Draw(t, "size")}
	for range rapid.IntRange(0, 3).Draw(t, "matches") {
		start := rapid.Int64Range(0, r.Size).Draw(t, "start")
		m := cache.Match{Rule: rapid.SampledFrom([]string{"a", "b-c"}).Draw(t, "rule"), Start: start,
			End: rapid.Int64Range(start, r.Size).Draw(t, "end"), Secret: rapid.IntRange(0, 9).Draw(t, "secret")}
		if rapid.Bool().Draw(t, "decoded") {
			m.Via = []string{"base64", "hex"}
		}
		r.Matches = append(r.Matches, m)
	}
	return r
}

// What scans put in is what a cache gives, over any number of scans, and nothing
// else; equal secrets of one scan stay equal and others apart.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &cache.Cache{}
		want := map[cache.ID]cache.Result{}
		n := 0
		for range rapid.IntRange(1, 12).Draw(t, "scans") {
			l := cache.NewLog(nil)
			for range rapid.IntRange(0, 4).Draw(t, "objects") {
				r := drawResult(t)
				l.Add(id(n), r)
				want[id(n)] = r
				n++
			}
			var err error
			if c, err = cache.Parse(c.For(nil).With(l).Bytes()); err != nil {
				t.Fatal(err)
			}
		}
		c = c.For(nil)
		if c.Len() != n {
			t.Fatalf("%d objects, want %d", c.Len(), n)
		}
		type place struct{ segment, secret int }
		secrets := map[place]bool{}
		for k, r := range want {
			got, segment, ok := c.Get(k)
			if !ok {
				t.Fatalf("%s is not there", k)
			}
			for i := range got.Matches {
				secrets[place{segment, got.Matches[i].Secret}] = true
				got.Matches[i].Secret = r.Matches[i].Secret // the number may change
			}
			if d := cmp.Diff(r, got); d != "" {
				t.Fatal(d)
			}
		}
		if _, _, ok := c.Get(id(n)); ok {
			t.Fatal("an object is there that was never put in")
		}
	})
}

// Secrets of segments that were made one keep their equalities.
func TestMerge(t *testing.T) {
	c := &cache.Cache{}
	for n := range 20 {
		l := cache.NewLog(nil)
		a, b := l.Secret([32]byte{byte(n)}), l.Secret([32]byte{byte(n), 1})
		if a == b || a != l.Secret([32]byte{byte(n)}) {
			t.Fatal("secrets are not numbered by their hash")
		}
		l.Add(id(n), cache.Result{Size: 9, Matches: []cache.Match{{Rule: "r", End: 1, Secret: a}, {Rule: "r", End: 2, Secret: b}, {Rule: "r", End: 3, Secret: a}}})
		c = c.For(nil).With(l)
	}
	c = c.For(nil)
	type place struct{ segment, secret int }
	seen := map[place]int{}
	for n := range 20 {
		r, segment, ok := c.Get(id(n))
		if !ok {
			t.Fatalf("object %d is lost", n)
		}
		m := r.Matches
		if m[0].Secret != m[2].Secret || m[0].Secret == m[1].Secret {
			t.Fatalf("object %d: secrets %v", n, m)
		}
		for _, s := range []int{m[0].Secret, m[1].Secret} {
			if old, twice := seen[place{segment, s}]; twice {
				t.Fatalf("a secret of object %d is one of object %d", n, old)
			}
			seen[place{segment, s}] = n
		}
	}
}

// A scan with a registry remembers what one before has read only when that could
// not hold a token which that scan did not know.
func TestFor(t *testing.T) {
	shape, other := cache.Shape{Len: 20}, cache.Shape{Len: 20, Extra: "-"}
	at := registry{"key", []cache.Shape{shape}, map[uint64]bool{5: true}}
	l := cache.NewLog(at)
	l.Add(id(1), cache.Result{Size: 1})
	runs := l.Runs()
	for _, fp := range []uint64{5, 7, 7, 9} {
		runs.Add(fp)
	}
	c := (&cache.Cache{}).With(l)
	without := cache.NewLog(nil)
	without.Add(id(2), cache.Result{Size: 1})
	both := c.For(nil).With(without)
	with := func(key string, shapes []cache.Shape, fps ...uint64) registry {
		r := registry{key, shapes, map[uint64]bool{}}
		for _, fp := range fps {
			r.fps[fp] = true
		}
		return r
	}
	for _, tt := range []struct {
		name string
		reg  registry
		ok   bool
	}{
		{"the same", at, true},
		{"one that was not there", with("key", at.shapes, 5, 6), true},
		{"one that was there", with("key", at.shapes, 5, 7), false},
		{"the same, among more than there are runs", with("key", at.shapes, 1, 2, 3, 4, 7), false},
		{"none, among more than there are runs", with("key", at.shapes, 1, 2, 3, 4, 5), true},
		{"the run whose fingerprint is zero", with("key", at.shapes, 0), false},
		{"another shape", with("key", []cache.Shape{shape, other}, 5), false},
		{"another key", with("kez", at.shapes, 5), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := both.For(tt.reg)
			if _, _, ok := got.Get(id(1)); ok != tt.ok {
				t.Errorf("remembered: %v", ok)
			}
			if _, _, ok := got.Get(id(2)); ok {
				t.Error("a scan with a registry remembers one without")
			}
			// What cannot be used stays until it was read again.
			again := cache.NewLog(tt.reg)
			if _, _, ok := got.With(again).For(at).Get(id(1)); !ok {
				t.Error("it is forgotten although nothing was read again")
			}
			again.Add(id(1), cache.Result{Size: 1})
			if _, _, ok := got.With(again).For(tt.reg).Get(id(1)); !ok {
				t.Error("it is not remembered when it was read again")
			}
		})
	}
	if _, _, ok := both.For(nil).Get(id(1)); !ok {
		t.Error("a scan without a registry does not remember one with")
	}
}

// The fingerprints that are kept are those that were added, whatever the order and
// however often.
func TestRuns(t *testing.T) {
	l := cache.NewLog(registry{key: "k"})
	l.Add(id(1), cache.Result{})
	var all []uint64
	for range 3 {
		runs := l.Runs()
		for n := range uint64(200_000) {
			fp := n * 0x9e3779b97f4a7c15 >> (n % 3 * 20)
			runs.Add(fp)
			if n%1000 == 0 {
				all = append(all, fp)
			}
		}
	}
	c := (&cache.Cache{}).With(l)
	for _, fp := range all {
		if _, _, ok := c.For(registry{key: "k", fps: map[uint64]bool{fp: true}}).Get(id(1)); ok {
			t.Fatalf("fingerprint %x is lost", fp)
		}
	}
	if _, _, ok := c.For(registry{key: "k", fps: map[uint64]bool{3: true}}).Get(id(1)); slices.Contains(all, 3) == ok {
		t.Error("a fingerprint is there that was never added")
	}
}

// Whatever the bytes, reading them ends, and what is read can be written and read
// once more, the same.
func FuzzParse(f *testing.F) {
	l := cache.NewLog(registry{"key", []cache.Shape{{Len: 20, Extra: "-_"}}, nil})
	l.Add(id(1), cache.Result{Size: 100, Matches: []cache.Match{{Rule: "r", Via: []string{"hex"}, Start: 3, End: 40, Secret: 1}}})
	l.Add(id(2), cache.Result{Binary: true})
	l.Add(id(3), cache.Result{Size: 5})
	l.Add(id(4), cache.Result{Size: 5, Archive: &cache.Archive{Archives: 1, Entries: 3, Items: 2, Skipped: map[string]int64{"binary": 1}}})
	l.Runs().Add(77)
	f.Add((&cache.Cache{}).With(l).Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := cache.Parse(data)
		if err != nil {
			return
		}
		c = c.For(nil)
		again, err := cache.Parse(c.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		again = again.For(nil)
		for n := range 5 {
			a, _, ok1 := c.Get(id(n))
			b, _, ok2 := again.Get(id(n))
			if ok1 != ok2 || !cmp.Equal(a, b) {
				t.Fatalf("object %d: %v, then %v", n, a, b)
			}
		}
		more := cache.NewLog(nil)
		more.Add(id(9), cache.Result{Size: 1})
		for range 10 {
			c = c.With(more).For(nil)
		}
		if _, _, ok := c.Get(id(9)); !ok {
			t.Fatal("an object that was added is not there")
		}
	})
}
