package hours

import (
	"strings"
	"testing"
	"time"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	x, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestNext(t *testing.T) {
	const office = "Mon-Fri 08:00-18:00 Europe/Berlin"
	for _, c := range []struct{ hours, now, next string }{
		{"", "2026-11-28T03:00:00Z", "2026-11-28T03:00:00Z"},
		{office, "2026-11-26T07:00:00Z", "2026-11-26T07:00:00Z"},                      // 08:00 there
		{office, "2026-11-26T06:59:59Z", "2026-11-26T07:00:00Z"},                      // a second before
		{office, "2026-11-26T16:59:59Z", "2026-11-26T16:59:59Z"},                      // a second before the end
		{office, "2026-11-26T17:00:00Z", "2026-11-27T07:00:00Z"},                      // the end is not within
		{office, "2026-11-27T17:00:00Z", "2026-11-30T07:00:00Z"},                      // Friday night
		{office, "2026-03-27T17:00:00Z", "2026-03-30T06:00:00Z"},                      // summer time begins on Sunday
		{"02:30-03:00 Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"}, // a half hour that is left out
		{"Fri-Mon 22:00-06:00", "2026-11-27T12:00:00Z", "2026-11-27T22:00:00Z"},       // over midnight, and over the week's end
		{"Fri-Mon 22:00-06:00", "2026-12-01T05:59:00Z", "2026-12-01T05:59:00Z"},       // Tuesday morning belongs to Monday
		{"Fri-Mon 22:00-06:00", "2026-12-01T06:00:00Z", "2026-12-04T22:00:00Z"},       //
		{"Mon 08:00-12:00, Wed 00:00-24:00 UTC", "2026-11-30T12:00:00Z", "2026-12-02T00:00:00Z"},
	} {
		h, err := Parse(c.hours)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Next(at(t, c.now)); !got.Equal(at(t, c.next)) {
			t.Errorf("%q at %s: %s, want %s", c.hours, c.now, got.Format(time.RFC3339), c.next)
		}
	}
}

func TestParse(t *testing.T) {
	for _, s := range []string{"Mon-Fri", "08:00", "8:00-18:00", "08:00-08:00", "Mon-Xyz 08:00-18:00", "mon 08:00-18:00", "24:00-08:00", "08:00-18:00 Mars/Olympus",
		"08:00-18:00 Local", "Mon Fri 08:00-18:00 UTC", ",", "08:00-25:00"} {
		if h, err := Parse(s); err == nil || !strings.Contains(err.Error(), "Europe/Berlin") {
			t.Errorf("%q: %v, %v", s, h, err)
		}
	}
	for s, want := range map[string]time.Duration{"": 0, "Mon-Fri 08:00-18:00 Europe/Berlin": 62 * time.Hour, "00:00-24:00": 0, "Mon 08:00-08:01": 7*24*time.Hour - time.Minute} {
		if h, err := Parse(s); err != nil || h.Closed() != want {
			t.Errorf("%q is closed for %v, %v; want %v", s, h.Closed(), err, want)
		}
	}
}

// Whatever is parsed opens within eight days, and is open then.
func FuzzParse(f *testing.F) {
	f.Add("Mon-Fri 08:00-18:00 Europe/Berlin", int64(1795651200))
	f.Add("Mon 08:00-12:00, Wed 22:00-04:00", int64(0))
	f.Fuzz(func(t *testing.T, s string, unix int64) {
		h, err := Parse(s)
		if err != nil || unix < 0 || unix > 1<<33 {
			return
		}
		again, err := Parse(h.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", s, h, err)
		}
		now := time.Unix(unix, 0)
		next := h.Next(now)
		if next.Before(now) || !again.Open(next) && next.Sub(now) < 7*24*time.Hour {
			t.Errorf("%q at %v: %v", s, now, next)
		}
	})
}
