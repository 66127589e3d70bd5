package audit_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quench-dev/quench/registry/audit"
)

func (f fixture) erase(t testing.TB, want func(audit.Entry) (bool, bool)) (n int) {
	t.Helper()
	err := f.InTx(context.Background(), func(tx *sql.Tx) (err error) {
		n, err = audit.Erase(context.Background(), tx, at, audit.Event{Actor: "admin"}, want)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What was erased is gone; the log, its checkpoints and proofs made before and after
// hold, and verify says how much is gone.
func TestErase(t *testing.T) {
	ctx := context.Background()
	f := newLog(t, 20)
	if err := f.log.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	before, err := f.log.Prove(ctx, 4)
	if err != nil {
		t.Fatal(err)
	}
	none := f.erase(t, func(audit.Entry) (bool, bool) { return false, false })
	n := f.erase(t, func(e audit.Entry) (bool, bool) { return e.Index == 9, e.TokenID == "token1" || e.Index == 9 }) // 1, 4, 7 … 19, and 9
	again := f.erase(t, func(e audit.Entry) (bool, bool) { return false, e.Index == 1 || e.Index == 2 })
	if none != 0 || n != 9 || again != 1 {
		t.Errorf("erased %d, %d and %d fields, want 0, 9 and 1", none, n, again)
	}
	sound, err := f.log.Verify(ctx)
	if err != nil || sound.N != 22 || sound.Erased != 10 {
		t.Errorf("%+v, %v", sound, err)
	}
	all := f.entries(t)
	for _, i := range []int{1, 2, 4, 9, 19} {
		if all[i].Details != nil || !slices.Contains(all[i].Erased, "details") || (all[i].Actor == "") != (i == 9) {
			t.Errorf("event %d: %+v", i, all[i])
		}
	}
	if e := all[20]; e.Kind != audit.EraseKind || e.Public["details"] != "1,4,7,9-10,13,16,19" || e.Public["actor"] != "9" {
		t.Errorf("the event of it: %+v", e)
	}
	for _, p := range []func() (audit.Proof, error){func() (audit.Proof, error) { return before, nil }, func() (audit.Proof, error) { return f.log.Prove(ctx, 4) }} {
		proof, err := p()
		if err != nil {
			t.Fatal(err)
		}
		if e, err := audit.CheckProof(f.log.Key(), proof); err != nil || e.Kind != "test.event" {
			t.Errorf("%+v, %v", e, err)
		}
	}
	var open []byte
	if err := f.Reader().QueryRow("SELECT open FROM audit_leaves WHERE idx = 4").Scan(&open); err != nil || strings.Contains(string(open), `"4`) || !strings.Contains(string(open), "actor") {
		t.Errorf("left is %s, %v", open, err)
	}
}

// What was taken away without an event, and what an event tells of that came later,
// is found.
func TestEraseUntold(t *testing.T) {
	for name, c := range map[string]struct{ do, want string }{
		"one more":    {`UPDATE audit_leaves SET open = (SELECT open FROM audit_leaves WHERE idx = 3) WHERE idx = 5`, "event 5"},
		"one removed": {`UPDATE audit_leaves SET open = NULL WHERE idx = 5`, "of event 5 is missing"},
		"the event":   {edit("data", 10, `"3"`, `"4"`), "event 10 is not what was written"},
	} {
		f := newLog(t, 10)
		f.erase(t, func(e audit.Entry) (bool, bool) { return false, e.Index == 3 })
		f.exec(t, c.do)
		if _, err := f.log.Verify(context.Background()); !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

// A salt makes equal texts unequal, so that what was erased cannot be guessed.
func TestSalted(t *testing.T) {
	f := newLog(t, 0)
	err := f.InTx(context.Background(), func(tx *sql.Tx) error {
		return audit.AppendAll(context.Background(), tx, at, []audit.Event{{Kind: "k", Actor: "a"}, {Kind: "k", Actor: "a"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	var leaves []string
	rows, err := f.Reader().Query("SELECT data FROM audit_leaves")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, string(b))
	}
	if len(leaves) != 2 || leaves[0] == leaves[1] || strings.Contains(fmt.Sprint(leaves), `"a"`) {
		t.Errorf("leaves %q", leaves)
	}
}
