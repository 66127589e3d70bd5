package input

import (
	"testing"
	"time"
)

func TestTTL(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"30d": 720 * time.Hour, "2w": 336 * time.Hour, "90m": 90 * time.Minute, "1ms": time.Millisecond, "3650d": 3650 * 24 * time.Hour,
		"0d": 0, "-1d": 0, "3651d": 0, "99999999999d": 0, "0s": 0, "-5m": 0, "": 0, "never": 0, "1.5d": 0,
	} {
		var got TTL
		if err := got.Set(in); (err == nil) != (want > 0) || time.Duration(got) != want {
			t.Errorf("ttl %q: %v, %v; want %v", in, time.Duration(got), err, want)
		}
	}
}
