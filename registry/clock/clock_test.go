package clock_test

import (
	"testing"
	"time"

	"github.com/quench-dev/quench/registry/clock"
)

func TestClock(t *testing.T) {
	start := time.Now()
	wall := start
	c := clock.New(func() time.Time { return wall }, time.Time{})
	micro := func(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
	wall = start.Add(time.Hour)
	if got := c.Now(); !got.Equal(micro(wall)) || c.Behind() != 0 {
		t.Errorf("an hour later it is %v, want %v", got, wall)
	}
	// Without a monotonic reading, as the clocks of tests are, it follows.
	wall = start.Add(-time.Hour).Round(0)
	if got := c.Now(); !got.Equal(micro(wall)) {
		t.Errorf("it is %v, want %v", got, wall)
	}
	// Something was written down a day later than it is now: time counts from that.
	wall = start
	c = clock.New(func() time.Time { return wall }, start.Add(24*time.Hour))
	if got := c.Now(); !got.Equal(micro(start.Add(24*time.Hour))) || c.Behind() != 24*time.Hour {
		t.Errorf("it is %v, behind %v", got, c.Behind())
	}
	wall = start.Add(time.Minute)
	if got := c.Now(); !got.Equal(micro(start.Add(24*time.Hour + time.Minute))) {
		t.Errorf("a minute later it is %v", got)
	}
}
