package record_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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

// A walk is read as it was written, with its key and in its state alone; sealed, it
// holds no text.
func TestWalk(t *testing.T) {
	type walk = record.Walk[int]
	rapid.Check(t, func(t *rapid.T) {
		var w record.Writer
		o := item.Origin{Author: "Ann the author", Path: "folder/file"}
		w.Add(record.Entry{Origin: o, Size: 3})
		want := walk{State: [32]byte{1}, Counts: 7, Entries: w.Bytes()}
		key := [32]byte{2}
		for i := range rapid.IntRange(0, 9).Draw(t, "answers") {
			var a []item.Attribution
			for range rapid.IntRange(0, 3).Draw(t, "leaks") {
				one := item.Attribution{Of: rapid.IntRange(0, 9).Draw(t, "of"), RefCount: rapid.IntRange(0, 999).Draw(t, "count")}
				one.Refs = rapid.SliceOfN(rapid.SampledFrom([]string{"refs/heads/main", "refs/tags/v1", ""}), 0, 4).Draw(t, "refs")
				a = append(a, one)
			}
			want.Answered(record.Question(i), a)
			if len(want.Answers) == 0 || len(want.Answers) > 4 {
				t.Fatalf("%d answers are kept", len(want.Answers))
			}
		}
		data, err := want.Seal(key)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{o.Author, o.Path, "refs/"} {
			if bytes.Contains(data, []byte(text)) {
				t.Errorf("%q lies there in clear", text)
			}
		}
		got, err := record.Open[int](data, want.State, key)
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Errorf("%v %s", err, d)
		}
		at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
		flipped := bytes.Clone(data)
		flipped[at] ^= 4
		for _, bad := range [][]byte{nil, data[:at], flipped} {
			if _, err := record.Open[int](bad, want.State, key); err == nil {
				t.Errorf("%d bytes of %d are taken for a walk", len(bad), len(data))
			}
		}
		if _, err := record.Open[int](data, want.State, [32]byte{3}); err == nil {
			t.Error("any key opens it")
		}
		if _, err := record.Open[int](data, [32]byte{4}, key); err == nil {
			t.Error("it is of any state")
		}
	})
}
