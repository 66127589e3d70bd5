package decide

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/quench-dev/quench/revoker/internal/hours"
)

// Final is how an act that cannot be undone is held back. The zero value does not.
type Final struct {
	// Hours are when it runs by itself, such as "Mon-Fri 08:00-18:00 Europe/Berlin".
	Hours string `toml:"hours"`
	// Approvers are the accounts who alone may confirm. Without hours nothing runs by
	// itself; with them it does so within, and outside when one of them confirms.
	Approvers []string `toml:"approvers"`
	// Grace is how long it waits, suspended where that is possible, such as "1h".
	Grace Grace `toml:"grace"`
}

// Grace is a duration of a policy.
type Grace time.Duration

// UnmarshalText reads a duration, such as 90s, 1h or 2d.
func (g *Grace) UnmarshalText(b []byte) error {
	text, unit := string(b), time.Duration(1)
	if n, ok := strings.CutSuffix(text, "d"); ok {
		text, unit = n+"h", 24
	}
	d, err := time.ParseDuration(text)
	if d *= unit; err != nil || d <= 0 || d > maxHeld {
		return fmt.Errorf("grace %.20q: want a time up to %s, such as 1h", b, Words(maxHeld))
	}
	*g = Grace(d)
	return nil
}

// maxHeld bounds what is held back by itself: a leaked secret is kept for seven days at
// most, and its provider may need some of them to answer.
const maxHeld = 6 * 24 * time.Hour

// Words is a duration as a policy has it.
func Words(d time.Duration) string {
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	return strings.TrimSuffix(s, "0m")
}

// Zero reports whether nothing is held back.
func (f Final) Zero() bool { return f.Hours == "" && len(f.Approvers) == 0 && f.Grace == 0 }

// Check refuses what cannot be meant.
func (f Final) Check() error {
	h, err := hours.Parse(f.Hours)
	if err != nil {
		return err
	}
	for _, a := range f.Approvers {
		if strings.TrimSpace(a) != a || a == "" || strings.ContainsAny(a, "\n\r") || len(a) > 256 {
			return fmt.Errorf("approver %q: want the name of an account", a)
		}
	}
	switch {
	case f.Grace > 0 && len(f.Approvers) > 0 && h.Always():
		return errors.New("grace and approvers: without hours nothing runs by itself that could have a grace")
	case h.Closed()+time.Duration(f.Grace) > maxHeld:
		return fmt.Errorf("hours %q: up to %s closed, and the grace, are more than %s: a leaked secret is not kept for longer", f.Hours, Words(h.Closed()), Words(maxHeld))
	}
	return nil
}

// Hold is whether an act is held back, and how.
type Hold struct {
	Ask   bool      // only a person lets it go ahead
	Until time.Time // it goes ahead by itself then; zero: at once, unless Ask
	Why   string
}

// Held reports whether it is.
func (h Hold) Held() bool { return h.Ask || !h.Until.IsZero() }

// Hold says how an act that is decided on now is held back.
func (f Final) Hold(now time.Time) Hold {
	open, err := hours.Parse(f.Hours)
	if err != nil { // checked
		return Hold{Ask: true, Why: err.Error()}
	}
	if len(f.Approvers) > 0 && open.Always() {
		return Hold{Ask: true, Why: "the policy has " + Names(f.Approvers) + " confirm what cannot be undone"}
	}
	at := open.Next(now.Add(time.Duration(f.Grace)))
	if !at.After(now) {
		return Hold{}
	}
	var why []string
	if f.Grace > 0 {
		why = append(why, "a grace of "+Words(time.Duration(f.Grace)))
	}
	if !open.Open(now.Add(time.Duration(f.Grace))) {
		why = append(why, "the hours "+f.Hours)
	}
	return Hold{Until: at, Why: strings.Join(why, " and ") + " by policy"}
}

// Says is f in words, for those who read a policy; empty of the zero value.
func (f Final) Says() string {
	var all []string
	if f.Grace > 0 {
		all = append(all, "after a grace of "+Words(time.Duration(f.Grace)))
	}
	if f.Hours != "" {
		all = append(all, "within "+f.Hours)
	}
	switch {
	case len(f.Approvers) > 0 && f.Hours != "":
		all = append(all, "or when "+Names(f.Approvers)+" confirms")
	case len(f.Approvers) > 0:
		all = append(all, "when "+Names(f.Approvers)+" confirms")
	}
	return strings.Join(all, ", ")
}

// Names are accounts in words.
func Names(all []string) string {
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}
