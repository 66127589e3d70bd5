// Package deadline says when somebody is warned of a deadline: a week, a day and
// an hour before, and when it comes.
//
// It is arithmetic on times. It does not know what ends, who is warned, or how.
// Start reading at Reached.
package deadline

import "time"

// before is how long before a deadline it is warned of, the latest first: a week to
// plan a rotation, a day to make it, an hour to drop all else; and the deadline itself.
var before = []time.Duration{0, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}

// Reached is the latest warning of a deadline that has come by now: so long before
// it, 0 is the deadline itself. What was made at created for an hour is not warned
// of an hour before.
func Reached(created, deadline, now time.Time) (ahead time.Duration, ok bool) {
	for _, b := range before {
		if when := deadline.Add(-b); !now.Before(when) && (b == 0 || when.After(created)) {
			return b, true
		}
	}
	return 0, false
}

// Next is when the first warning after now comes; zero when there is none.
func Next(created, deadline, now time.Time) (next time.Time) {
	if deadline.IsZero() {
		return time.Time{}
	}
	for _, b := range before {
		if when := deadline.Add(-b); when.After(now) && (b == 0 || when.After(created)) {
			next = when
		}
	}
	return next
}

// First is when the first warning comes of any deadline of what was made at created;
// zero when there is none.
func First(created time.Time, deadlines ...time.Time) (first time.Time) {
	for _, d := range deadlines {
		first = Earlier(first, Next(created, d, created))
	}
	return first
}

// Earlier is the earlier of two times, of which zero ones are none.
func Earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
