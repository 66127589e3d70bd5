// Package clock keeps time from going back: what has expired must not come to life
// because a clock was set back.
//
// It knows the machine's clock, its monotonic reading, and the time of the last
// thing that was written down. It does not know what expires. Start reading at New.
package clock

import "time"

// Clock is a clock that follows another one and does not go back. It is immutable,
// and safe for concurrent use.
type Clock struct {
	now    func() time.Time
	began  time.Time     // with its monotonic reading, where now has one
	behind time.Duration // that now was, of what is written down
}

// New makes a Clock of now, nil for time.Now, that is not before last: the time of
// the last thing that was written down, by which this machine's clock or another's
// has been so late before. Zero is nothing.
func New(now func() time.Time, last time.Time) *Clock {
	if now == nil {
		now = time.Now
	}
	c := &Clock{now: now, began: now()}
	if !last.IsZero() {
		c.behind = max(0, last.Sub(c.began))
	}
	return c
}

// Now is the time in UTC and whole microseconds, as times are stored. While the
// process runs no less time passes than its monotonic clock tells. A clock that was
// set forward by mistake and back again does no harm, unless something was written
// down meanwhile: see Behind.
func (c *Clock) Now() time.Time {
	t := c.now()
	// Sub reads the monotonic clock, if both have it; Add moves the wall clock.
	if passed := c.began.Add(c.behind + t.Sub(c.began)); passed.Round(0).After(t.Round(0)) {
		t = passed
	}
	return t.UTC().Truncate(time.Microsecond)
}

// Behind is how far the machine's clock was behind what had been written down.
func (c *Clock) Behind() time.Duration { return c.behind }
