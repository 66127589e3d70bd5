package incidentcmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/revoker"
)

// Each change is a line; what was done before is none.
func TestFollow(t *testing.T) {
	steps := [][]revoker.Incident{
		{{ID: "b", State: revoker.StateRevoking, Provider: "acme", Rule: "acme-key"}, {ID: "a", State: revoker.StateDead, TokenID: "t"}},
		{{ID: "b", State: revoker.StateRevoking, Provider: "acme", Rule: "acme-key"}, {ID: "a", State: revoker.StateDead, TokenID: "t"}},
		{{ID: "c", State: revoker.StateReported, TokenID: "u", Note: "odd\x1b"}, {ID: "b", State: revoker.StateDead, Outcome: "revoked", Provider: "acme", Rule: "acme-key"}},
	}
	ctx, cancel := context.WithCancel(t.Context())
	tick := make(chan time.Time, len(steps))
	n := 0
	var out strings.Builder
	err := follow(ctx, &out, func(context.Context) ([]revoker.Incident, error) {
		if n == len(steps) {
			cancel()
			return nil, nil
		}
		n++
		tick <- time.Time{}
		return steps[n-1], nil
	}, tick)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if err != nil || len(lines) != 3 || !strings.Contains(lines[0], "b  revoking   acme acme-key") || !strings.Contains(lines[1], "b  dead       acme acme-key  revoked") ||
		!strings.HasSuffix(lines[2], `c  reported   u  "odd\x1b"`) {
		t.Errorf("%v\n%s", err, out.String())
	}
	bad := errors.New("gone")
	if err := follow(t.Context(), &out, func(context.Context) ([]revoker.Incident, error) { return nil, bad }, tick); !errors.Is(err, bad) {
		t.Errorf("%v", err)
	}
}

// A terminal shows what waits for a person first, within its size, nothing that steers
// it, and is left as it was.
func TestLive(t *testing.T) {
	var all []revoker.Incident
	for i := range 30 {
		all = append(all, revoker.Incident{ID: fmt.Sprintf("01a214e7-82c9-7e95-%04d", i), State: revoker.StateDead, TokenID: "t", FoundAt: time.Now()})
	}
	all[7].State, all[7].Note = revoker.StateFailed, "odd\x1b[2J"+strings.Repeat("long ", 30)
	ctx, cancel := context.WithCancel(t.Context())
	var out strings.Builder
	tick := make(chan time.Time, 1)
	tick <- time.Time{}
	n := 0
	err := live(ctx, &out, func() (int, int) { return 80, 12 }, func(context.Context) ([]revoker.Incident, error) {
		if n++; n == 2 {
			cancel()
		}
		return all, nil
	}, tick)
	text := out.String()
	if err != nil || !strings.HasPrefix(text, enter+home+"1 failed, 29 dead") || !strings.HasSuffix(text, leave+"1 failed, 29 dead\n") || strings.Contains(text, "\x1b[2J") {
		t.Errorf("%v\n%q", err, text)
	}
	lines := strings.Split(strings.TrimSuffix(strings.TrimPrefix(text, enter+home), below+leave+"1 failed, 29 dead\n"), rest+"\r\n")
	if len(lines) != 12 || !strings.HasPrefix(lines[3], "01a214e7-82c9-7e95-0007") || !strings.Contains(lines[10], "and 23 more") {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
	for _, l := range lines {
		if len([]rune(l)) > 80 {
			t.Errorf("%q is too long", l)
		}
	}
	if got := draw(page(nil, time.Now()), 80, 24); !strings.Contains(got, "no incidents") {
		t.Errorf("%q", got)
	}
}
