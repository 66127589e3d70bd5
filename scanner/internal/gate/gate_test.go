package gate

import (
	"fmt"
	"slices"
	"testing"

	"github.com/quench-dev/quench/rules"
	"pgregory.net/rapid"
)

func of(p *Place) Place { return *p }

func gateOf(whole bool, told *[]string) *Gate[Place] {
	return &Gate[Place]{Of: of, Whole: whole, Tell: func(p Place, marked bool) { *told = append(*told, fmt.Sprintf("%s:%d %v", p.Rule.ID, p.Line, marked)) }}
}

// What is told waits until its lines are known, and knows their marks.
func TestMarks(t *testing.T) {
	r := &rules.Rule{ID: "r"}
	var told []string
	g := gateOf(false, &told)
	g.Add(Place{Rule: r, Line: 1, EndLine: 1})
	g.Add(Place{Rule: r, Line: 2, EndLine: 4})
	g.Mark(3)
	g.Settle(1)
	g.Settle(3)
	if want := []string{"r:1 false"}; !slices.Equal(told, want) || !g.Waiting() {
		t.Errorf("told %v, want %v", told, want)
	}
	g.Settle(4)
	g.Add(Place{Rule: r, Line: 3, EndLine: 3}) // known by now
	g.Add(Place{Rule: r, Line: 9, EndLine: 9})
	g.Mark(9)
	g.Mark(9)
	g.Close()
	if want := []string{"r:1 false", "r:2 true", "r:3 true", "r:9 true"}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	told = nil
	g.Reset()
	g.Add(Place{Rule: r, Line: 9, EndLine: 9})
	g.Close()
	if want := []string{"r:9 false"}; !slices.Equal(told, want) {
		t.Errorf("after a reset: %v", told)
	}
}

// Rules that look at others tell what the plain comparison of all pairs tells.
func TestComposed(t *testing.T) {
	abs := func(n int) int { return max(n, -n) }
	rapid.Check(t, func(t *rapid.T) {
		bound := func(name string) *int {
			if n := rapid.IntRange(-1, 3).Draw(t, name); n >= 0 {
				return &n
			}
			return nil
		}
		req := rules.Requirement{Rules: []string{"other"}, Lines: bound("lines"), Columns: bound("columns")}
		kinds := []*rules.Rule{{ID: "needs", Requires: []rules.Requirement{req}}, {ID: "other"}, {ID: "yields", Yields: true}, {ID: "hidden", Hidden: true}}
		var all []Place
		for range rapid.IntRange(0, 12).Draw(t, "n") {
			start := rapid.Int64Range(0, 20).Draw(t, "start")
			line := rapid.IntRange(1, 5).Draw(t, "line")
			all = append(all, Place{Rule: rapid.SampledFrom(kinds).Draw(t, "rule"), Start: start, End: start + rapid.Int64Range(1, 6).Draw(t, "len"),
				Line: line, EndLine: line, Col: rapid.IntRange(1, 6).Draw(t, "column"), Allowed: rapid.IntRange(0, 3).Draw(t, "allowed") == 0})
		}
		near := func(p Place) bool {
			return p.Rule.Requires == nil || slices.ContainsFunc(all, func(o Place) bool {
				return o.Rule.ID == "other" && !o.Allowed && (req.Lines == nil || abs(p.Line-o.Line) <= *req.Lines) && (req.Columns == nil || abs(p.Col-o.Col) <= *req.Columns)
			})
		}
		var want []Place
		for _, p := range all {
			tell := !p.Rule.Hidden
			if p.Rule.Requires != nil {
				tell = slices.ContainsFunc(all, func(o Place) bool {
					return o.Rule.ID == "other" && !o.Allowed && (req.Lines == nil || abs(p.Line-o.Line) <= *req.Lines) && (req.Columns == nil || abs(p.Col-o.Col) <= *req.Columns)
				})
			}
			if p.Rule.Yields {
				tell = !slices.ContainsFunc(all, func(o Place) bool {
					return near(o) && !o.Rule.Yields && !o.Rule.Hidden && !o.Allowed && o.Line == p.Line && o.Start <= p.Start && p.End <= o.End
				})
			}
			if tell {
				want = append(want, p)
			}
		}
		var got []Place
		g := &Gate[Place]{Of: of, Whole: true, Tell: func(p Place, _ bool) { got = append(got, p) }}
		for _, p := range all {
			g.Add(p)
		}
		g.Close()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("of %v\ntold %v\nwant %v", all, got, want)
		}
	})
}
