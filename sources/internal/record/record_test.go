package record_test

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/quench-dev/quench/sources/internal/item"
	"github.com/quench-dev/quench/sources/internal/record"
)

func drawEntry(t *rapid.T, o item.Origin) record.Entry {
	e := record.Entry{Origin: o, Size: rapid.Int64Range(-1, 1<<40).Draw(t, "size")}
	e.Path = rapid.SampledFrom([]string{"", "a", "b/\xff\n"}).Draw(t, "path")
	if rapid.Bool().Draw(t, "head known") {
		in := rapid.Bool().Draw(t, "in head")
		e.InHead = &in
	}
	if rapid.Bool().Draw(t, "object") {
		copy(e.Object[:], rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "id"))
	}
	switch rapid.IntRange(0, 2).Draw(t, "blob") {
	case 0:
		e.Blob = hex.EncodeToString(e.Object[:])
	case 1:
		e.Blob = "anything"
	}
	if e.Object == (item.ObjectID{}) && e.Blob != "anything" {
		e.Blob = ""
	}
	if rapid.IntRange(0, 5).Draw(t, "header") == 0 {
		e.Of[3] = 7
	}
	if rapid.Bool().Draw(t, "skip") {
		e.Reason, e.Err = "missing", rapid.SampledFrom([]string{"", "gone"}).Draw(t, "err")
	}
	return e
}

// What is read is what was written, in its order.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w record.Writer
		var want, got []record.Entry
		var o *item.Origin
		for range rapid.IntRange(0, 20).Draw(t, "entries") {
			if o == nil || rapid.Bool().Draw(t, "new commit") {
				o = &item.Origin{Author: rapid.SampledFrom([]string{"", "Ann", "Bob"}).Draw(t, "author"), RefCount: rapid.IntRange(0, 3).Draw(t, "refs")}
				if rapid.Bool().Draw(t, "commit") {
					o.Commit = hex.EncodeToString(rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "commit id"))
					o.Date = time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "when"), 0).In(time.FixedZone("", rapid.IntRange(-50, 50).Draw(t, "zone")*900))
				}
				if rapid.Bool().Draw(t, "labelled") {
					o.Labels, o.Refs = []string{"stash", "commit-message"}, []string{"refs/x"}
				}
			}
			e := drawEntry(t, *o)
			w.Add(e)
			want = append(want, e)
		}
		if err := record.Read(w.Bytes(), func(e record.Entry) error { got = append(got, e); return nil }); err != nil {
			t.Fatal(err)
		}
		zones := cmp.Comparer(func(a, b time.Time) bool { return a.Format(time.RFC3339) == b.Format(time.RFC3339) })
		if d := cmp.Diff(want, got, zones); d != "" {
			t.Fatal(d)
		}
	})
}

func TestStop(t *testing.T) {
	var w record.Writer
	for range 3 {
		w.Add(record.Entry{})
	}
	stop, n := errors.New("stop"), 0
	if err := record.Read(w.Bytes(), func(record.Entry) error { n++; return stop }); err != stop || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
}

// Whatever the bytes, reading them ends, and what is read can be written and read
// again, the same.
func FuzzRead(f *testing.F) {
	var w record.Writer
	yes := true
	o := item.Origin{Commit: "00112233445566778899aabbccddeeff00112233", Author: "Ann", Email: "a@b", Date: time.Unix(1, 0), Labels: []string{"x"}}
	o.Path = "a"
	w.Add(record.Entry{Origin: o, Object: [20]byte{1}, Size: -1})
	o.Blob, o.InHead = "b", &yes
	w.Add(record.Entry{Origin: o, Reason: "missing", Err: "gone"})
	f.Add(w.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		var all, again []record.Entry
		var w record.Writer
		record.Read(data, func(e record.Entry) error {
			all = append(all, e)
			w.Add(e)
			return nil
		})
		if err := record.Read(w.Bytes(), func(e record.Entry) error { again = append(again, e); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(again) != len(all) {
			t.Fatalf("%d entries of %d", len(again), len(all))
		}
	})
}

// A walk is read as it was written, and nothing else is taken for one.
func TestWalk(t *testing.T) {
	type walk = record.Walk[int, string]
	var w record.Writer
	w.Add(record.Entry{Size: 3})
	want := walk{State: [32]byte{1}, Counts: 7, Entries: w.Bytes()}
	for i := range 9 {
		want.Answered(record.Question(i), []string{"a", "b"})
	}
	if len(want.Answers) == 0 || len(want.Answers) > 4 || len(want.Answers[record.Question(8)]) != 2 {
		t.Errorf("answers: %v", want.Answers)
	}
	data, err := want.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	got, err := record.Parse[int, string](data)
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
	for _, bad := range [][]byte{nil, []byte("{}"), []byte("{}\n\xff"), []byte("[]\n"), data[:len(data)-1]} {
		if _, err := record.Parse[int, string](bad); err == nil {
			t.Errorf("%q is taken for a walk", bad)
		}
	}
}
