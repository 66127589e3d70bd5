package audit_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quench-dev/quench/registry/audit"
)

// A batch leaves the log that the same events leave one by one, wherever it begins.
func TestAppendAllIsAppend(t *testing.T) {
	ctx := context.Background()
	for _, before := range []int{0, 1, 3, 8} {
		for _, n := range []int{0, 1, 5, 203} {
			a, b := newLog(t, 0), newLog(t, 0)
			var events []audit.Event
			for i := range n {
				events = append(events, audit.Event{Kind: "token.use", TokenID: fmt.Sprint("t", i%3), Details: map[string]string{"n": fmt.Sprint(i), "bad": "\xff"}})
			}
			one := func(tx *sql.Tx, l []audit.Event) error {
				for _, e := range l {
					if _, err := audit.Append(ctx, tx, at, e); err != nil {
						return err
					}
				}
				return nil
			}
			head := make([]audit.Event, before)
			for i := range head {
				head[i] = audit.Event{Kind: "token.issue", TokenID: fmt.Sprint("t", i)}
			}
			for _, err := range []error{
				a.InTx(ctx, func(tx *sql.Tx) error { return one(tx, append(head, events...)) }),
				b.InTx(ctx, func(tx *sql.Tx) error { return one(tx, head) }),
				b.InTx(ctx, func(tx *sql.Tx) error { return audit.AppendAll(ctx, tx, at, events) }),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			ta, err := a.log.Verify(ctx)
			if err != nil {
				t.Fatal(err)
			}
			tb, err := b.log.Verify(ctx)
			if err != nil || ta.N != tb.N || ta.N != int64(before+n) {
				t.Fatalf("%d and %d events: %+v one by one, %+v together, %v", before, n, ta, tb, err)
			}
			// Their salts differ, so the hashes do; what they tell is the same.
			if diff := cmp.Diff(a.entries(t), b.entries(t)); diff != "" {
				t.Fatalf("%d and %d events: %s", before, n, diff)
			}
		}
	}
}
