// Package hours knows when an office is open: days of the week and times of a day, in a
// time zone.
//
// It reads one line of a policy and tells of an instant whether it is within, and when
// the next such begins. It knows no holidays and nothing of what is done then. Start
// reading at Parse.
package hours

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a container or Windows may have no zones of its own
)

// Hours are when an office is open. The zero value is always open.
type Hours struct {
	text  string
	zone  *time.Location
	spans []span
}

// span is a part of some days: minutes from midnight, the end not included. One that
// ends before it begins goes on into the next day.
type span struct {
	days       [7]bool // by time.Weekday: those it begins on
	begin, end int
}

const day = 24 * 60

var dayNames = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

var errForm = errors.New(`want days, times and a zone, such as "Mon-Fri 08:00-18:00 Europe/Berlin" or "Mon-Thu 08:00-18:00, Fri 08:00-14:00 UTC"`)

// Parse reads days, times and a zone, such as "Mon-Fri 08:00-18:00 Europe/Berlin", or
// several days and times with commas between. Without days each day is meant, without a
// zone UTC: what a machine is set to must not decide. Empty is always open.
func Parse(s string) (h Hours, err error) {
	h.text, h.zone = strings.Join(strings.Fields(s), " "), time.UTC
	if h.text == "" {
		return h, nil
	}
	parts := strings.Split(h.text, ",")
	last := strings.Fields(parts[len(parts)-1])
	if n := len(last); n > 1 && !strings.Contains(last[n-1], ":") {
		if h.zone, err = time.LoadLocation(last[n-1]); err != nil || last[n-1] == "Local" {
			return Hours{}, fmt.Errorf("hours %q: the zone %q is not known; %w", s, last[n-1], errForm)
		}
		parts[len(parts)-1] = strings.Join(last[:n-1], " ")
	}
	for _, p := range parts {
		one, ok := parseSpan(strings.Fields(p))
		if !ok {
			return Hours{}, fmt.Errorf("hours %q: %w", s, errForm)
		}
		h.spans = append(h.spans, one)
	}
	return h, nil
}

func parseSpan(f []string) (s span, ok bool) {
	switch len(f) {
	case 1:
		s.days = [7]bool{true, true, true, true, true, true, true}
	case 2:
		first, last, ranged := strings.Cut(f[0], "-")
		a, b := slices.Index(dayNames, first), slices.Index(dayNames, last)
		if !ranged {
			b = a
		}
		if a < 0 || b < 0 {
			return s, false
		}
		for d := a; ; d = (d + 1) % 7 {
			s.days[d] = true
			if d == b {
				break
			}
		}
	default:
		return s, false
	}
	begin, end, _ := strings.Cut(f[len(f)-1], "-")
	if s.begin, ok = minutes(begin); !ok || s.begin == day {
		return s, false
	}
	s.end, ok = minutes(end)
	return s, ok && s.begin != s.end
}

// minutes reads 00:00 to 24:00.
func minutes(s string) (int, bool) {
	if s == "24:00" {
		return day, true
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err == nil && len(s) == 5
}

// String is what was parsed.
func (h Hours) String() string { return h.text }

// Always reports whether there are no hours: it is always open.
func (h Hours) Always() bool { return len(h.spans) == 0 }

// Open reports whether t is within the hours.
func (h Hours) Open(t time.Time) bool {
	if h.Always() {
		return true
	}
	t = t.In(h.zone)
	at, today := t.Hour()*60+t.Minute(), t.Weekday()
	yesterday := (today + 6) % 7
	return slices.ContainsFunc(h.spans, func(s span) bool {
		if s.begin < s.end {
			return s.days[today] && at >= s.begin && at < s.end
		}
		return s.days[today] && at >= s.begin || s.days[yesterday] && at < s.end
	})
}

// Next is t if that is within the hours, else when they next begin, in UTC. A beginning
// that a change of the clock leaves out is the first instant after it.
func (h Hours) Next(t time.Time) time.Time {
	if h.Open(t) {
		return t
	}
	// The next beginning is on one of eight days, and a minute is the finest step: the
	// zone's own changes are seen because each minute is asked about as it is there.
	at := t.Truncate(time.Minute)
	for range 8 * day {
		if at = at.Add(time.Minute); h.Open(at) {
			break
		}
	}
	return at.UTC()
}

// Closed is the longest time in a week between two openings, as no clock is changed.
func (h Hours) Closed() time.Duration {
	if h.Always() {
		return 0
	}
	flat := h
	flat.zone = time.UTC
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) // a Sunday; any week does
	var most, now time.Duration
	for m := range 2 * 7 * day { // twice, for what goes over the week's end
		if now += time.Minute; flat.Open(begin.Add(time.Duration(m) * time.Minute)) {
			now = 0
		}
		most = max(most, now)
	}
	return most
}
