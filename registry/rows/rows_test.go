package rows_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/rows"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

// Each form is found once, in order, whatever others there are of its length.
func TestShapes(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	r, err := registry.Open(ctx, registry.Options{Path: filepath.Join(dir, "db", "r.db"), Create: true, Pepper: registry.PepperSource{File: filepath.Join(dir, "keys", "pepper")}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if all, err := rows.Shapes(ctx, r.Store().Reader()); err != nil || len(all) != 0 {
		t.Errorf("of none: %v, %v", all, err)
	}
	want := map[scanner.Shape]bool{}
	for i := range 60 {
		tail := []string{"abcd", "ab-d", "ab_d", "a-_d", "abcdefgh"}[i%5]
		v := fmt.Sprintf("%04dZq81mW3tR7xx%s", i/5, tail)
		if _, err := r.Import(ctx, registry.ImportRequest{Value: secret.NewString(v), Owner: "o", Purpose: "p"}); err != nil {
			t.Fatal(err)
		}
		extra := ""
		for _, c := range []string{"-", "_"} {
			if strings.Contains(tail, c) {
				extra += c
			}
		}
		want[scanner.Shape{Len: len(v), Extra: extra}] = true
	}
	all, err := rows.Shapes(ctx, r.Store().Reader())
	if err != nil || len(all) != len(want) {
		t.Fatalf("%v, %v; want %v", all, err, want)
	}
	if !slices.IsSortedFunc(all, func(a, b scanner.Shape) int {
		if a.Len != b.Len {
			return a.Len - b.Len
		}
		return strings.Compare(a.Extra, b.Extra)
	}) {
		t.Errorf("not in order: %v", all)
	}
	for _, s := range all {
		if !want[s] {
			t.Errorf("%+v is no form of these", s)
		}
	}
	var plan string
	var a, b, c int
	if err := r.Store().Reader().QueryRow("EXPLAIN QUERY PLAN SELECT shape_extra FROM tokens WHERE shape_len = 1 AND shape_extra > 'a' ORDER BY shape_extra LIMIT 1").Scan(&a, &b, &c, &plan); err != nil || !strings.Contains(plan, "shape_len=? AND shape_extra>?") {
		t.Errorf("plan %q, %v", plan, err)
	}
}
