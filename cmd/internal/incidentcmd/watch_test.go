package incidentcmd

import (
	"context"
	"errors"
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
