package deadline_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quench-dev/quench/registry/deadline"
)

const day = 24 * time.Hour

func TestReached(t *testing.T) {
	made := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		life, at time.Duration
		want     time.Duration // -1: none
		next     time.Duration // after made, 0: none
	}{
		{30 * day, 0, -1, 23 * day},
		{30 * day, 23*day - 1, -1, 23 * day},
		{30 * day, 23 * day, 7 * day, 29 * day},
		{30 * day, 29 * day, day, 30*day - time.Hour},
		{30 * day, 30*day - time.Minute, time.Hour, 30 * day},
		{30 * day, 30 * day, 0, 0},
		{30 * day, 40 * day, 0, 0},
		{7 * day, 0, -1, 6 * day}, // made for a week: no warning of a week
		{time.Hour, 0, -1, time.Hour},
		{time.Hour, time.Hour, 0, 0},
	} {
		now := made.Add(c.at)
		got, ok := deadline.Reached(made, made.Add(c.life), now)
		if !ok {
			got = -1
		}
		next := deadline.Next(made, made.Add(c.life), now)
		if got != c.want || next.IsZero() != (c.next == 0) || c.next != 0 && !next.Equal(made.Add(c.next)) {
			t.Errorf("made for %v, after %v: reached %v, next %v; want %v and %v", c.life, c.at, got, next, c.want, made.Add(c.next))
		}
	}
	if !deadline.Next(made, time.Time{}, made).IsZero() || !deadline.First(made, time.Time{}, time.Time{}).IsZero() {
		t.Error("no deadline has a warning")
	}
	if got := deadline.First(made, made.Add(30*day), time.Time{}, made.Add(20*day)); !got.Equal(made.Add(13 * day)) {
		t.Errorf("the first of two is at %v", got)
	}
}

// Who looks at each Next and at no other time misses no warning.
func TestNextMissesNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		made := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		end := made.Add(time.Duration(rapid.Int64Range(1, int64(60*day)).Draw(t, "life")))
		last, steps := time.Duration(-1), 0
		for now := made; ; steps++ {
			next := deadline.Next(made, end, now)
			if next.IsZero() {
				break
			}
			if got, ok := deadline.Reached(made, end, next.Add(-1)); ok && got != last {
				t.Fatalf("at %v, before %v, a warning of %v had come already", next.Add(-1), next, got)
			}
			got, ok := deadline.Reached(made, end, next)
			if !ok || end.Add(-got) != next {
				t.Fatalf("at %v: %v, %v", next, got, ok)
			}
			last, now = got, next
		}
		if last != 0 || steps > 4 {
			t.Fatalf("%d steps, the last %v", steps, last)
		}
	})
}
