package decide

import (
	"strings"
	"testing"
	"time"
)

// What cannot be meant is refused, and says what could.
func TestFinalCheck(t *testing.T) {
	for want, f := range map[string]Final{
		"want days, times and a zone": {Hours: "always"},
		"nothing runs by itself":      {Grace: Grace(time.Hour), Approvers: []string{"ann"}},
		"want the name of an account": {Approvers: []string{"ann\nben"}},
		"is not kept for longer":      {Hours: "Mon 08:00-10:00"},
	} {
		if err := f.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", f, err, want)
		}
	}
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "1h": time.Hour, "2d": 48 * time.Hour, "0s": 0, "7d": 0, "-1h": 0, "x": 0, "9999999d": 0} {
		var g Grace
		if err := g.UnmarshalText([]byte(text)); (err == nil) != (want > 0) || time.Duration(g) != want {
			t.Errorf("%q: %v, %v", text, time.Duration(g), err)
		}
	}
	if err := (Rules{{Provider: []string{"a"}, Do: Ask, Final: Final{Grace: 1}}}).Check(); err == nil || !strings.Contains(err.Error(), "hours and grace are for") {
		t.Error(err)
	}
	if err := (Rules{{Provider: []string{"a"}, Do: Ask, Final: Final{Approvers: []string{"ann"}}}}).Check(); err != nil {
		t.Error(err)
	}
}

// Only what cannot be undone is held back.
func TestPlanHolds(t *testing.T) {
	now := time.Date(2026, 11, 26, 22, 0, 0, 0, time.UTC) // a Thursday night
	night := Final{Hours: "Mon-Fri 08:00-18:00"}
	for n, c := range []struct {
		f     Final
		undo  bool
		do    Action
		until time.Duration
	}{
		{Final{}, false, Revoke, 0},
		{night, false, Wait, 10 * time.Hour},
		{night, true, Revoke, 0},
		{Final{Grace: Grace(time.Hour)}, false, Wait, time.Hour},
		{Final{Grace: Grace(time.Hour), Hours: "21:30-22:30"}, false, Wait, 23*time.Hour + 30*time.Minute},
		{Final{Approvers: []string{"ann"}}, false, Ask, 0},
		{Final{Approvers: []string{"ann"}}, true, Revoke, 0},
		{Final{Approvers: []string{"ann"}, Hours: night.Hours}, false, Wait, 10 * time.Hour},
		{Final{Approvers: []string{"ann"}, Hours: "20:00-23:00"}, false, Revoke, 0},
	} {
		p := &Policy{Rules: Rules{{Provider: []string{"a"}, Do: Revoke, Final: c.f}}, Auto: true, Place: func(s string) string { return s },
			Undoes: func(string) bool { return c.undo }, Now: func() time.Time { return now }}
		w := p.Plan(Leak{Provider: "a", Confidence: "high"}, 0)
		if w.Do != c.do || c.until == 0 != w.Until.IsZero() || c.until > 0 && !w.Until.Equal(now.Add(c.until)) {
			t.Errorf("%d: %s until %v", n, w.Do, w.Until)
		}
	}
}

// The brake of tokens follows how many are live, unless the policy says a number.
func TestMostTokens(t *testing.T) {
	for _, c := range []struct {
		b          Brake
		live, most int
	}{{Brake{}, 0, 100}, {Brake{}, 10_000, 100}, {Brake{}, 20_000, 200}, {Brake{Tokens: 5}, 20_000, 5}, {Brake{Tokens: 1000}, 0, 1000}} {
		if got := c.b.MostTokens(c.live); got != c.most {
			t.Errorf("%+v of %d: %d", c.b, c.live, got)
		}
	}
	if err := (Brake{Secrets: -1}).Check(); err == nil {
		t.Error("a negative brake was taken")
	}
}
