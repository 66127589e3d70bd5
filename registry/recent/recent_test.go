package recent_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/quench-dev/quench/registry/recent"
)

func key(i int) recent.Key { return recent.Key{byte(i)} }

// Nothing is handed out that differs from what a table holds when it is asked for,
// however readers that read the table, and keep what they read, are interleaved
// with changes of it. A reader that was slow keeps nothing.
func TestRowsAreNeverStale(t *testing.T) {
	some := recent.New[int64](1)
	row := int64(7)
	some.Put(key(1), 0, &row)
	if got, ok := some.Get(key(1), 0); !ok || *got != row { // a cache that never has anything is never stale
		t.Fatal("what was put is not handed out")
	}
	rapid.Check(t, func(t *rapid.T) {
		const keys = 5
		c := recent.New[int64](rapid.IntRange(1, keys).Draw(t, "most"))
		var table, changed [keys]int64 // the value of a row, and the version it is of
		version := int64(0)
		type reading struct {
			k       int
			version int64
			row     int64
		}
		var slow []reading
		look := func() int64 {
			have := c.Version()
			if have < version {
				var list []recent.Key
				for k, at := range changed {
					if at > have {
						list = append(list, key(k))
					}
				}
				if rapid.Bool().Draw(t, "many") {
					list = nil
				}
				c.Advance(have, version, list)
			}
			return version
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			k := rapid.IntRange(0, keys-1).Draw(t, "key")
			switch rapid.IntRange(0, 4).Draw(t, "act") {
			case 0:
				version++
				table[k], changed[k] = version, version
			case 1, 2:
				v := look()
				if row, ok := c.Get(key(k), v); ok {
					if *row != table[k] {
						t.Fatalf("key %d is handed out as of %d, and is of %d", k, *row, table[k])
					}
					break
				}
				slow = append(slow, reading{k, v, table[k]})
			case 3:
				if len(slow) > 0 {
					i := rapid.IntRange(0, len(slow)-1).Draw(t, "which")
					c.Put(key(slow[i].k), slow[i].version, &slow[i].row)
					slow = append(slow[:i:i], slow[i+1:]...)
				}
			case 4:
				c.Drop(key(k))
				if _, ok := c.Get(key(k), 0); ok {
					t.Fatal("dropped, and there")
				}
			}
		}
	})
}

// What is asked for stays; what is not is forgotten when others come.
func TestRowsForget(t *testing.T) {
	c := recent.New[int](2)
	one := 1
	for i := range 100 {
		c.Put(key(i), 0, &one)
		if _, ok := c.Get(key(0), 0); !ok {
			t.Fatalf("the row that is always asked for is forgotten after %d others", i)
		}
	}
	known := 0
	for i := range 100 {
		if _, ok := c.Get(key(i), 0); ok {
			known++
		}
	}
	if known > 4 {
		t.Errorf("%d rows are kept, of at most 4", known)
	}
}
